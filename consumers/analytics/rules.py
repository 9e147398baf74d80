"""Alert rules: what makes one fire and what makes it clear, as decisions on figures and a clock. Pure.

Hysteresis: a rule fires when it was beyond its threshold for `HOLD_MS` without a break, and clears when it was below
`CLEARS_AT` of it for as long; in between it stays what it is. A silenced rule goes on deciding, and tells nobody.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Rule = Literal["queue_too_long", "failure_rate", "nothing_finished", "dlq_growing"]
RULES: Final[tuple[Rule, ...]] = ("queue_too_long", "failure_rate", "nothing_finished", "dlq_growing")

HOLD_MS: Final = 30_000
CLEARS_AT: Final = 0.8
LEAST_ENDED: Final = 20
"""Tasks that must have ended for a failure rate to say anything."""

CURES: Final[Mapping[Rule, str]] = {
    "queue_too_long": "start more workers (`millrace worker`), or pause what fills it (`millrace pause`)",
    "failure_rate": "look at what dies together (`millrace dlq incidents`), and mend the cause before redriving",
    "nothing_finished": "see whether workers are there and not paused (`millrace workers`, `millrace doctor`)",
    "dlq_growing": "look at what dies together (`millrace dlq incidents`); pause the host or stage until it is mended",
}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Beyond which a rule is broken; of the settings.

    Attributes:
        queue: Entries of a stage that wait.
        failure_rate: Share of a stage's tasks that ended in a dead letter, in the 5-minute window.
        quiet_minutes: Without a task that finished, while some are open.
        dlq: Dead letters more than were redriven, in the 15-minute window.
    """

    queue: int
    failure_rate: float
    quiet_minutes: float
    dlq: int


@dataclass(frozen=True, slots=True)
class Reading:
    """A rule's figure.

    Attributes:
        subject: What it is of: a stage; empty for all.
        said: For people.
    """

    rule: Rule
    subject: str
    value: float
    threshold: float
    said: str


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule and where it stands.

    Attributes:
        since_ms: Since when it is firing, or is not; 0 when it never was.
        turning_ms: Since when the figure says the other thing without a break; 0 when it does not.
    """

    rule: Rule
    subject: str
    is_firing: bool = False
    since_ms: int = 0
    turning_ms: int = 0
    value: float = 0.0
    threshold: float = 0.0
    said: str = ""

    @property
    def key(self) -> str:
        """What it is kept under."""
        return f"{self.rule} {self.subject}".strip()

    def view(self) -> dict[str, Any]:
        """As it is kept and shown."""
        return asdict(self)


def decide(alert: Alert, reading: Reading, now_ms: int) -> tuple[Alert, bool]:
    """Where a rule stands after a reading, and whether that is news."""
    alert = replace(alert, value=reading.value, threshold=reading.threshold, said=reading.said)
    turns = reading.value <= reading.threshold * CLEARS_AT if alert.is_firing else reading.value > reading.threshold
    if not turns:
        return replace(alert, turning_ms=0), False
    turning_ms = alert.turning_ms or now_ms
    if now_ms - turning_ms < HOLD_MS:
        return replace(alert, turning_ms=turning_ms), False
    return replace(alert, is_firing=not alert.is_firing, since_ms=now_ms, turning_ms=0), True


@dataclass(frozen=True, slots=True)
class StageFigures:
    """What the rules ask of a stage.

    Attributes:
        waiting: Entries in its streams that nobody has in hand.
        done, failed: In the 5-minute window.
    """

    waiting: int
    done: int
    failed: int


def readings(
    stages: Mapping[str, StageFigures], *, open_tasks: int, quiet_s: float, dead: int, thresholds: Thresholds
) -> Iterable[Reading]:
    """The figures of all rules.

    Args:
        open_tasks: That wait or run, in all.
        quiet_s: Since a task finished last, or since anybody looked.
        dead: Dead letters less those redriven, in the 15-minute window.
    """
    for stage, figures in stages.items():
        yield Reading(
            "queue_too_long", stage, figures.waiting, thresholds.queue, f"{figures.waiting} entries wait at {stage}"
        )
        ended = figures.done + figures.failed
        rate = figures.failed / ended if ended >= LEAST_ENDED else 0.0
        said = f"{rate:.1%} of what ended at {stage} in the last 5 minutes failed"
        yield Reading("failure_rate", stage, rate, thresholds.failure_rate, said)
    quiet_minutes = max(0.0, quiet_s) / 60 if open_tasks else 0.0
    said = f"nothing has finished for {quiet_minutes:.0f} minutes, and {open_tasks} tasks are open"
    yield Reading("nothing_finished", "", quiet_minutes, thresholds.quiet_minutes, said)
    said = f"{dead} dead letters more than a quarter of an hour ago"
    yield Reading("dlq_growing", "", dead, thresholds.dlq, said)
