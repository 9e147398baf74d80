"""`millrace replay --stream`: the entries of any stream, into another one or printed."""

from typing import Any

from api.cli.root import Usage, run
from api.cli.screen import next_step, print_json, say
from streams import copying


def copy_stream(
    stream: str,
    *,
    from_id: str,
    to_id: str,
    into: str | None,
    is_printed: bool,
    force: bool,
    resume: bool,
    rate: float,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Copy, or print, or only count."""
    if (into is None) == (not is_printed) and not dry_run:
        raise Usage("say where the entries go: --into KEY or --print")
    if is_printed:
        run(_print(stream, from_id, to_id))
        return
    if dry_run:
        count, last = run(_count(stream, from_id, to_id))
        if as_json:
            print_json({"dry_run": True, "stream": stream, "entries": count, "last": last})
            return
        say(f"{count} entries of {stream} would be copied, up to {last}.")
        next_step((f"replay --stream {stream} --into KEY", "copies them"))
        return
    assert into is not None  # noqa: S101 - refused above
    again = f"replay --stream {stream} --from-id {from_id} --to-id {to_id} --into {into} --resume"
    copied = 0
    try:
        copied = run(_copy(copying.Copy(stream, into, from_id, to_id), rate, force=force, resume=resume))
    except KeyboardInterrupt:
        say("Stopped.", "yellow")
        next_step((again, "goes on"))
        raise
    if as_json:
        print_json({"stream": stream, "into": into, "copied": copied})
        return
    say(f"{copied} entries of {stream} were added to {into}.", "green")
    next_step(("streams", "shows what waits and runs"))


async def _copy(copy: copying.Copy, rate: float, *, force: bool, resume: bool) -> int:
    from api.cli.lookup import here

    async with here() as services:
        copy = await copying.begin(services.client, services.keys, copy, resume=resume, force=force)
        async for at in copying.carry_out(services.client, services.keys, copy, per_s=rate):
            copy = at
    return copy.copied


async def _print(stream: str, from_id: str, to_id: str) -> None:
    from api.cli.lookup import here

    async with here() as services:
        last = await copying.last_of(services.client, stream, from_id, to_id)
        async for rows in copying.pages(services.client, stream, from_id, last):
            for entry_id, fields in rows:
                print_json({"id": entry_id.decode(), "fields": {_text(k): _text(v) for k, v in fields.items()}})


async def _count(stream: str, from_id: str, to_id: str) -> tuple[int, str]:
    from api.cli.lookup import here

    async with here() as services:
        last = await copying.last_of(services.client, stream, from_id, to_id)
        return sum([len(rows) async for rows in copying.pages(services.client, stream, from_id, last)]), last


def _text(raw: Any) -> str:
    return str(raw.decode("utf-8", "backslashreplace"))
