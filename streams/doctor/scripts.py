"""The doctor's scripts: ``lua/doctor/``, joined with the fragments of the moves that they use."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Any, Final

from redis.exceptions import NoScriptError

from streams.scripts import Script

LOOK: Final = ("lib/args", "lib/clock", "lib/fence", "lib/lifecycle", "lib/job", "lib/tasks", "doctor/lib/place")
FRAGMENTS: Final = {
    "entries": LOOK,
    "jobs": (*LOOK, "doctor/lib/recount"),
    "evict": LOOK,
    "put_back": LOOK,
    "settle": (*LOOK, "doctor/lib/recount"),
}
"""Each script with the fragments before it."""


@cache
def doctor_script(name: str) -> Script:
    """One of the doctor's scripts, its fragments before its own text.

    Raises:
        KeyError: There is no such script.
    """
    folder = files("streams") / "lua"
    fragments = [(folder / f"{part}.lua").read_text(encoding="utf-8") for part in FRAGMENTS[name]]
    shebang, _, rest = (folder / "doctor" / f"{name}.lua").read_text(encoding="utf-8").partition("\n")
    source = "\n".join((shebang, *fragments, rest))
    return Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


async def run(client: Any, name: str, keys: list[str], args: list[Any]) -> Any:
    """Run one of them; a server that has forgotten it is given it again."""
    script = doctor_script(name)
    try:
        return await client.evalsha(script.sha, len(keys), *keys, *args)
    except NoScriptError:
        return await client.eval(script.source, len(keys), *keys, *args)
