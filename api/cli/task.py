"""`task`: submit by a name of the task queue before, and follow it under the old states. What `make test-task` runs."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from api.cli.root import Usage, run
from api.cli.screen import Json, next_step, print_json, say
from streams.errors import MillraceError

COLLECTIONS: Final[Mapping[str, str]] = {
    "company": "companies", "audit": "audits", "website": "websites", "lead": "leads", "document": "documents",
    "collection": "collections",
}  # fmt: skip
"""What a name begins with -> where its tasks are."""
ENDED: Final = frozenset({"SUCCESS", "FAILURE", "REVOKED"})
POLL_S: Final = 0.5


def task(
    command: Annotated[
        list[str],
        typer.Argument(metavar="NAME [ID]", help="As company-scrape 1; or the name of a flow.", show_default=False),
    ],
    *,
    poll: Annotated[bool, typer.Option("--poll", help="Ask for its state until it has ended.")] = False,
    url: Annotated[str, typer.Option(help="Of the API.", show_default="MILLRACE_API_HOST and _PORT")] = "",
    as_json: Json = False,
) -> None:
    """Submit by an old name, such as [bold]company-scrape 1[/], over HTTP; MILLRACE_KEY is sent as API key."""
    from schemas.settings import load_settings

    settings = load_settings()
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.api_host, settings.api_host)  # noqa: S104 - not bound here
    path, body = request_of(command)
    last = run(_followed(url or f"http://{host}:{settings.api_port}", path, body, poll=poll, as_json=as_json))
    if not as_json:
        next_step((f"job {last['task_id']}", "shows it"), (f"trace {last['task_id']}", "shows where its time went"))
    if poll and last["status"] != "SUCCESS":
        raise typer.Exit(1)


def request_of(command: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Path below ``/api/v1`` and body for an old name and its arguments.

    Raises:
        Usage: It has more arguments than an id, or none where one is needed.
    """
    name, *arguments = command
    noun, _, verb = name.partition("-")
    if noun in COLLECTIONS and verb:
        if len(arguments) != 1:
            raise Usage(f"{name} needs one id, as in `task {name} 1`")
        return f"tasks/{COLLECTIONS[noun]}/{arguments[0]}/{verb}", {}
    if arguments:
        raise Usage(f"{name!r} is no old name with an id; `submit {name} --help` shows what a flow of that name needs")
    return "jobs", {"flow": name, "spec": {}}


async def _followed(url: str, path: str, body: dict[str, Any], *, poll: bool, as_json: bool) -> dict[str, Any]:
    import aiohttp

    key = os.environ.get("MILLRACE_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    shown = ""
    try:
        async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(30)) as session:
            accepted = await _answer(session.post(f"{url}/api/v1/{path}", json=body))
            view = {"task_id": accepted.get("task_id") or accepted["job_id"], "status": "PENDING"}
            while True:
                if view["status"] != shown:
                    shown = view["status"]
                    _tell(view, as_json=as_json)
                if not poll or shown in ENDED:
                    return view
                await asyncio.sleep(POLL_S if shown else 0)
                view = await _answer(session.get(f"{url}/api/v1/tasks/{view['task_id']}"))
    except aiohttp.ClientError as error:
        raise MillraceError(
            f"the API at {url} does not answer ({error}): start `./millrace up`, or give --url"
        ) from None


async def _answer(request: Any) -> dict[str, Any]:
    async with request as answer:
        told: dict[str, Any] = await answer.json()
        if answer.status >= 400:  # noqa: PLR2004 - HTTP's own
            raise MillraceError(f"{told.get('title', answer.status)}: {told.get('detail', '')}")
        return told


def _tell(view: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(view)
    else:
        error = f": {view['error']}" if view.get("error") else ""
        say(f"{view['task_id']}  {view['status']}{error}")
