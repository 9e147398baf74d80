"""Commands that supervisors of containers ask: `health worker`, `health api`."""

import socket
import time
from typing import Annotated, Any, Final

import typer

from api.cli.root import run
from api.cli.screen import Json, complain, print_json, say

FRESH_S: Final = 10.0
"""A worker writes its presence every 2 s; one that is this late does nothing else in time either."""
ANSWER_S: Final = 5.0

health = typer.Typer(no_args_is_help=True, help="Is it well? For health checks: exit code 0 says yes.")


@health.command("worker")
def health_worker(
    *,
    name: Annotated[str, typer.Option(metavar="NAME", help="Only those started with --name NAME.")] = "",
    as_json: Json = False,
) -> None:
    """Whether the workers of this host (or container) are there and in time."""
    records = run(_presence())
    mine = [one for one in records if one["host"] == socket.gethostname() and one["name"].startswith(name)]
    _say(*judge_workers(mine, time.time()), as_json=as_json)


@health.command("api")
def health_api(*, as_json: Json = False) -> None:
    """Whether the API of this host (or container) answers, and what it needs does."""
    from schemas.settings import load_settings

    settings = load_settings()
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.api_host, settings.api_host)  # noqa: S104 - not bound here
    _say(*run(_ready(f"http://{f'[{host}]' if ':' in host else host}:{settings.api_port}")), as_json=as_json)


def judge_workers(records: list[dict[str, Any]], now_s: float) -> tuple[bool, str]:
    """Whether these workers are well, and why (not)."""
    if not records:
        return False, "no worker of this host is there"
    late = [one["name"] for one in records if now_s - one["seen_at"] > FRESH_S]
    if late:
        return False, f"{len(late)} of {len(records)} workers have not been seen for {FRESH_S:g} s: {', '.join(late)}"
    return True, f"{len(records)} workers, {sum(one['in_hand'] for one in records)} entries in hand"


async def _presence() -> list[dict[str, Any]]:
    from api.environment import find
    from consumers.worker.presence import presence
    from schemas.settings import load_settings
    from streams.connect import connect
    from streams.keys import Keys

    settings = load_settings()
    client = connect(find(settings).redis_url, timeout_s=ANSWER_S, resent=0)
    try:
        return await presence(client, Keys(settings.namespace, settings.partitions))
    finally:
        await client.aclose()


async def _ready(url: str) -> tuple[bool, str]:
    import aiohttp

    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(ANSWER_S)) as session,
            session.get(f"{url}/health/ready") as answer,
        ):
            return answer.status == 200, (await answer.text())[:2_000]  # noqa: PLR2004 - HTTP OK
    except (aiohttp.ClientError, TimeoutError) as error:
        return False, f"{url} does not answer: {str(error) or type(error).__name__}"


def _say(is_well: bool, why: str, *, as_json: bool) -> None:  # noqa: FBT001 - the two parts of a verdict
    if as_json:
        print_json({"healthy": is_well, "why": why})
    elif is_well:
        say(why)
    else:
        complain(why)
    if not is_well:
        raise typer.Exit(1)
