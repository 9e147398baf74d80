"""`run FLOW --inline`: the same handlers in this process, without servers; what they raise comes through."""

import time
from typing import TYPE_CHECKING, Any

from api.cli.results import print_result
from api.cli.root import run
from api.cli.screen import duration_text, next_step, print_json, say, warn

if TYPE_CHECKING:
    from consumers.flow import Flow
    from consumers.inline import Progress


def run_here(flow: "Flow", spec: Any, *, as_json: bool) -> None:
    """Run a job and print its result."""
    from consumers.inline import run_inline
    from schemas.settings import load_settings

    began = time.monotonic()
    told = None if as_json else _Told().tell
    done = run(run_inline(flow, spec, settings=load_settings(), on_progress=told))
    result = done.result.model_dump(mode="json") if done.result is not None else None
    if as_json:
        stages = {stage: counts.model_dump() for stage, counts in done.stages.items()}
        print_json({"status": done.status, "stages": stages, "missing": done.missing, "result": result})
        return
    for missing in done.missing:
        warn(missing)
    say(f"{flow.name} {done.status} in {duration_text(time.monotonic() - began)}; nothing of it is kept.", "green")
    if result is not None:
        print_result(flow.name, result)
    next_step((f"submit {flow.name} --help", "runs it durably, on workers"))


class _Told:
    """Says each step once."""

    def __init__(self) -> None:
        self._last = ""

    def tell(self, progress: "Progress") -> None:
        if progress.step != self._last:
            self._last = progress.step
            say(f"  {progress.step}", "bright_black")
