"""Every change that the dashboard offers, as data: which route does it, who may, and what it asks before.

An action is a link to a page that says what will happen and asks; its form, with the session's token, does it. The
scripts show the same page in a dialog. The scopes here only decide what is shown: the route behind decides what is
allowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlencode

import orjson

from api.problems import Problem
from schemas.names import STAGES

if TYPE_CHECKING:
    from api.dashboard.visit import Visit
    from api.keys import Scope

FieldKind = Literal["text", "number", "flag", "json", "choice", "list"]
MOST_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Field:
    """Something that an action asks.

    Attributes:
        name: In the body of the request; with ``.`` inside an object.
        kind: A `list` is separated by spaces.
        choices: Of a `choice`.
        is_hidden: It comes with the link and is not asked.
        to_query: It goes into the query instead.
        times: What a number is multiplied by: asked in hours, sent in seconds.
    """

    name: str
    label: str = ""
    kind: FieldKind = "text"
    hint: str = ""
    value: str = ""
    is_required: bool = False
    choices: Sequence[str] = ()
    is_hidden: bool = False
    to_query: bool = False
    times: int = 1


@dataclass(frozen=True, slots=True)
class Action:
    """A change.

    Attributes:
        name: In its address: ``/do/<name>``.
        says: What will happen; ``{name}`` stands for an argument.
        path: Of the route; ``{name}`` stands for an argument.
        scopes: One of these is needed.
        of_the_house: It concerns all tenants.
        is_hard: It cannot be undone.
        each: The argument that may be given many times: the route is asked once for each.
        back: Where one goes when it is done; ``{name}`` stands for an argument.
        shows: The template of a page of what the route answers, shown instead of going back.
    """

    name: str
    title: str
    says: str
    verb: str
    method: Literal["POST", "PUT", "DELETE"]
    path: str
    scopes: tuple[Scope, ...] = ("operate",)
    fields: tuple[Field, ...] = ()
    of_the_house: bool = False
    is_hard: bool = False
    each: str = ""
    back: str = "/"
    done: str = "Done."
    shows: str = ""

    def is_for(self, visit: Visit) -> bool:
        """Whether a person may use it."""
        return visit.may(*self.scopes) and (visit.is_of_the_house or not self.of_the_house)

    def text(self, template: str, given: Mapping[str, str]) -> str:
        """A template with the arguments in their places.

        Raises:
            Problem: One is missing, or has a slash and so would be another path.
        """
        try:
            filled = template.format_map(given)
        except KeyError as error:
            raise Problem("invalid-request", f"{self.name} needs {error}") from None
        return filled

    def target(self, given: Mapping[str, str]) -> str:
        """The path of the route.

        Raises:
            Problem: ``not-found`` for an argument that cannot be part of a path.
        """
        if any("/" in value for name, value in given.items() if f"{{{name}}}" in self.path):
            raise Problem("not-found", "an id has no slash")
        return self.text(self.path, given)

    def request(self, given: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Query and body from what the form has.

        Raises:
            Problem: A field is missing, or no JSON.
        """
        query: dict[str, Any] = {}
        body: dict[str, Any] = {}
        for field in self.fields:
            value = _read(field, given.get(field.name, ""))
            if value is None:
                continue
            into = query if field.to_query else body
            *outer, last = field.name.split(".")
            for name in outer:
                into = into.setdefault(name, {})
            into[last] = value
        return query, body


def _read(field: Field, text: str) -> Any:
    text = text.strip()
    if field.kind == "flag":
        return True if text else None
    if not text:
        if field.is_required:
            raise Problem(
                "invalid-request", f"{field.label} is missing", errors=[{"field": field.name, "detail": "is missing"}]
            )
        return None
    if field.kind == "list":
        return text.replace(",", " ").split()
    if field.kind == "json":
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise Problem(
                "bad-json", f"{field.label} is no JSON: {error}", errors=[{"field": field.name, "detail": str(error)}]
            ) from None
    if field.kind == "number":
        try:
            number = float(text) * field.times
        except ValueError:
            raise Problem(
                "invalid-request",
                f"{field.label} is no number: {text[:60]}",
                errors=[{"field": field.name, "detail": "is no number"}],
            ) from None
        return int(number) if number.is_integer() else number
    return text


def link(name: str, /, **given: str) -> str:
    """The address of an action's question."""
    return f"/do/{name}" + (f"?{urlencode(given)}" if given else "")


_REASON: Final = Field("reason", "Why (others see it)")
_ENTRIES: Final = (
    Field("ids", kind="list", is_hidden=True, is_required=True), Field("partition", kind="number", is_hidden=True),
)  # fmt: skip
_FORCE: Final = Field("force", "Kill what runs at once, instead of letting it clean up", "flag")

ACTIONS: Final[Mapping[str, Action]] = {
    one.name: one
    for one in (
        Action(
            "job.cancel", "Cancel", "What waits is dropped; what runs is told to stop.", "Cancel", "POST",
            "jobs/{job}/cancel", ("submit", "operate"), (_FORCE,), is_hard=True, each="job", back="/jobs/{job}",
            done="Cancelled.",
        ),
        Action(
            "job.retry", "Retry", "All dead letters go back to work, as the next revision.", "Retry", "POST",
            "jobs/{job}/retry", ("submit", "operate"), each="job", back="/jobs/{job}", done="Back to work.",
        ),
        Action(
            "dlq.retry", "Redrive a dead letter", "It goes back to work at its stage, with the same payload.",
            "Redrive", "POST", "dlq/{letter}/retry", fields=(Field("force", "Although it is in quarantine", "flag"),),
            each="letter", back="/dlq", done="Back to work.",
        ),
        Action(
            "dlq.edit", "Edit and redrive a dead letter",
            "The payload below is checked by the stage's schema, and goes back to work.", "Check and redrive", "POST",
            "dlq/{letter}/edit", fields=(
                Field("data", "Payload", "json", is_required=True),
                Field("force", "Although it is in quarantine", "flag"),
            ), back="/dlq", done="Back to work with the edited payload.",
        ),
        Action(
            "dlq.drop", "Drop a dead letter", "It is given up for good, and counts as missing in its job.", "Drop",
            "DELETE", "dlq/{letter}", is_hard=True, each="letter", back="/dlq", done="Given up.",
        ),
        Action(
            "dlq.retry_all", "Redrive dead letters", "All that fit go back to work, oldest first, at the pace given.",
            "Redrive", "POST", "dlq/retry", fields=(
                Field("stage", "Stage", "choice", choices=STAGES), Field("flow", "Flow"), Field("reason", "Reason"),
                Field("host", "Host"), Field("rate", "Letters a second", "number", value="50"),
                Field("all", "All of them", "flag", "when nothing above is named"),
            ), back="/dlq", done="They go back to work.",
        ),
        Action(
            "dlq.drop_all", "Drop dead letters", "All that fit are given up for good.", "Drop", "POST", "dlq/drop",
            fields=(
                Field("stage", "Stage", "choice", choices=STAGES), Field("flow", "Flow"), Field("reason", "Reason"),
                Field("host", "Host"), Field("all", "All of them", "flag", "when nothing above is named"),
            ), is_hard=True, back="/dlq", done="Given up.",
        ),
        Action(
            "incident.retry", "Redrive incident {incident}",
            "All its letters go back to work at the pace given, at most 10,000 at once; those in quarantine stay.",
            "Redrive", "POST", "dlq/incidents/{incident}/retry", fields=(
                Field("rate", "Letters a second", "number", value="50"),
                Field("limit", "Letters", "number", value="10000", is_hidden=True),
            ), back="/incidents", done="They go back to work.",
        ),
        Action(
            "shadow.run", "Run in shadow",
            "They run with today's code, one after the other, and nothing comes of it outside: no result is written, "
            "no mail or webhook is sent. What would be different is shown; that may take a while.",
            "Run in shadow", "POST", "replays/shadow", fields=(
                Field("select.jobs", "Job ids, at most 20", "list", is_required=True),
                Field("from_stage", "From stage", "choice", value="extract", choices=STAGES),
            ), back="/replays", shows="shadow.html",
        ),
        Action(
            "alert.silence", "Silence {rule}", "Nobody is told of it for a while. It goes on deciding.", "Silence",
            "PUT", "alerts/{rule}/silence", fields=(
                Field("for_s", "Hours", "number", value="1", is_required=True, times=3_600), _REASON,
            ), of_the_house=True, back="/alerts", done="Silenced.",
        ),
        Action(
            "alert.tell", "End the silence of {rule}", "What fires or is over from now on is told again.",
            "End the silence", "PUT", "alerts/{rule}/silence",
            fields=(Field("for_s", "Seconds", "number", value="0", is_hidden=True, is_required=True),),
            of_the_house=True, back="/alerts", done="It is told again.",
        ),
        Action(
            "pause.add", "Pause", "Nothing of it starts from now on. What runs runs on.", "Pause", "POST", "pauses",
            fields=(
                Field("stage", "Stage", "choice", choices=STAGES), Field("flow", "or flow"),
                Field("host", "or host", hint="example.com"), Field("tenant", "or tenant"), _REASON,
            ), back="/limits", done="Paused.",
        ),
        Action(
            "pause.remove", "Resume", "{kind} {name} goes on at once.", "Resume", "DELETE", "pauses", fields=(
                Field("stage", is_hidden=True, to_query=True), Field("flow", is_hidden=True, to_query=True),
                Field("host", is_hidden=True, to_query=True), Field("tenant", is_hidden=True, to_query=True),
            ), back="/limits", done="It goes on.",
        ),
        Action(
            "purge", "Purge", "Every job that has something open there is cancelled.", "Purge", "POST", "purge",
            fields=(Field("stage", "Stage", "choice", choices=STAGES), Field("flow", "Flow"), _FORCE), is_hard=True,
            back="/limits", done="Purged.",
        ),
        Action(
            "limit.set", "Set limit {name}", "All workers hold to it within a second.", "Set", "PUT", "limits/{name}",
            fields=(
                Field("count", "How many", "number", is_required=True),
                Field("per_s", "in so many seconds", "number", "only for limits of how often"),
            ), of_the_house=True, back="/limits", done="Set.",
        ),
        Action(
            "limit.clear", "Reset limit {name}", "It is as its flow declares it again.", "Reset", "DELETE",
            "limits/{name}", of_the_house=True, back="/limits", done="As declared again.",
        ),
        Action(
            "worker.drain", "Drain worker {name}",
            "It takes nothing more, finishes what it has, and ends. What does not finish in its grace runs elsewhere.",
            "Drain", "POST", "workers/{name}/drain",
            fields=(Field("replace", "Start another in its place", "flag"),), of_the_house=True, is_hard=True,
            back="/workers", done="It drains.",
        ),
        Action(
            "schedule.pause", "Pause schedule {name}", "It ticks no more; ticks that pass are not made up for.",
            "Pause", "POST", "schedules/{name}/pause", fields=(_REASON,), back="/schedules", done="Paused.",
        ),
        Action(
            "schedule.resume", "Resume schedule {name}", "It goes on from its next tick.", "Resume", "POST",
            "schedules/{name}/resume", back="/schedules", done="It goes on.",
        ),
        Action(
            "schedule.run", "Run schedule {name} now", "Its job is submitted now; its ticks stay as they are.",
            "Run now", "POST", "schedules/{name}/run", back="/schedules", done="Submitted.",
        ),
        Action(
            "schedule.remove", "Remove schedule {name}", "It is forgotten; jobs that it submitted run on.", "Remove",
            "DELETE", "schedules/{name}", is_hard=True, back="/schedules", done="Removed.",
        ),
        Action(
            "schedule.add", "New schedule", "Its first tick is the next one after now.", "Make it", "POST", "schedules",
            fields=(
                Field("name", "Name", hint="filings-nightly", is_required=True),
                Field("cron", "Cron, five fields", hint="30 2 * * *"),
                Field("every_s", "or every so many seconds", "number"),
                Field("time_zone", "Time zone", value="UTC"),
                Field(
                    "job", "Job", "json", "as the body of POST /jobs",
                    '{"flow": "filings", "spec": {"url": "https://example.com/investors"}}', is_required=True,
                ),
            ), back="/schedules", done="Made.",
        ),
        Action(
            "replay.start", "New replay", "Jobs that ended run again as new jobs that name their origin.", "Start",
            "POST", "replays", fields=(
                Field("select.jobs", "Job ids", "list", "separated by spaces"),
                Field("select.flow", "or flow"), Field("select.since", "Submitted since", hint="2026-01-31T00:00:00Z"),
                Field("select.until", "until", hint="2026-02-01T00:00:00Z"),
                Field("from_stage", "From stage", "choice", value="extract", choices=STAGES),
                Field("fetch", "Fetch again instead of using what was recorded", "flag"),
                Field("rate.entries_per_s", "Entries a second", "number", value="500"),
            ), back="/replays", done="It has begun.",
        ),
        Action(
            "replay.cancel", "Cancel replay {replay}", "No further job is submitted; those that were go on.", "Cancel",
            "POST", "replays/{replay}/cancel", is_hard=True, back="/replays/{replay}", done="It stops.",
        ),
        Action(
            "stream.claim", "Take entries from their worker",
            "The lease is broken, which counts as a crash of the task, and whoever has room takes them at once.",
            "Take away", "POST", "streams/{stream}/claim", fields=_ENTRIES,
            back="/streams/{stream}", done="Given to whoever has room.",
        ),
        Action(
            "stream.ack", "Acknowledge entries unhandled",
            "They are closed for good without being worked on, and count as missing in their jobs.", "Acknowledge",
            "POST", "streams/{stream}/ack", fields=_ENTRIES,
            is_hard=True, back="/streams/{stream}", done="Closed.",
        ),
    )
}  # fmt: skip
