"""``replay --shadow``: what would change, before anything does."""

from typing import TYPE_CHECKING, Any

from api.cli.root import run
from api.cli.screen import next_step, print_json, print_table, say

if TYPE_CHECKING:
    from schemas.replays import ReplayRequest
    from schemas.shadows import ShadowView

SHOWN = 20
"""Differences of a job that are shown to people; --json has all."""

WIDE = 60
"""Characters of a value that are shown."""

SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def show_shadows(asked: "ReplayRequest", *, as_json: bool) -> int:
    """Run them, and print each as it is done; answers the exit code: 1 when something would fail or cannot be run."""
    found = run(_each(asked, as_json=as_json))
    if not as_json:
        if not found:
            say("No ended job is chosen by that.")
        else:
            same = sum(one.is_same for one in found)
            say(f"{same} of {len(found)} jobs would come to the same. Nothing was changed, sent or stored.", "bold")
        next_step(("replay …", "the same without --shadow runs them for real"))
    return int(any(one.status in {"failed", "impossible"} for one in found))


async def _each(asked: "ReplayRequest", *, as_json: bool) -> "list[ShadowView]":
    from api.cli.lookup import TENANT, here, need_store
    from api.shadow import shadows

    found: list[ShadowView] = []
    async with here() as services:
        need_store(services)
        async for one in shadows(services, asked, TENANT):
            found.append(one)
            if as_json:
                print_json(one.model_dump(mode="json"))
            else:
                _show(one)
    return found


def _show(one: "ShadowView") -> None:
    ends = f"{one.status} as before, with the same result" if one.is_same else f"{one.status}, was {one.was}"
    colour = "green" if one.is_same else "yellow"
    say(f"{one.flow} {one.job_id} from {one.from_stage}, {one.entries} entries: {ends}", colour)
    if one.error:
        say(f"  {one.error}", "red")
    if one.changes:
        rows = [(SIGNS[c.kind], c.path, _text(c.before), _text(c.after)) for c in one.changes[:SHOWN]]
        print_table(("", "field", "then", "now"), rows)
    if len(one.changes) > SHOWN:
        say(f"  … and {len(one.changes) - SHOWN}{' or more' if one.more else ''} fields: --json has them")
    for effect in one.effects:
        say(f"  not done: {effect}", "bright_black")


def _text(value: Any) -> str | None:
    if value is None:
        return None
    text = str(value)
    return text if len(text) <= WIDE else f"{text[: WIDE - 1]}…"
