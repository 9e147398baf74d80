"""``dlq list`` and ``show``: dead letters found and shown."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.root import Usage, run
from api.cli.screen import (
    Json,
    first_line,
    instant_text,
    next_step,
    print_json,
    print_table,
    say,
)
from api.cli.typed import instant_ms
from streams.errors import MillraceError

if TYPE_CHECKING:
    from api.services import Services
    from streams.dlq import LetterFilter
    from streams.log import DeadLetter

dlq = typer.Typer(no_args_is_help=True, help="Dead letters: list, show, retry, edit, drop.")

WHICH = "Which letters"
Letters = Annotated[
    list[str] | None, typer.Argument(metavar="[LETTER]...", help="Their ids, from the list.", show_default=False)
]
Letter = Annotated[str, typer.Argument(metavar="LETTER", help="Its id, from the list.", show_default=False)]
StageOf = Annotated[str | None, typer.Option("--stage", help="That died at this stage.", rich_help_panel=WHICH)]
FlowOf = Annotated[str | None, typer.Option("--flow", help="Of this flow.", rich_help_panel=WHICH)]
ReasonOf = Annotated[str | None, typer.Option("--reason", help="For this reason: http_503.", rich_help_panel=WHICH)]
TenantOf = Annotated[str | None, typer.Option("--tenant", help="Of this tenant.", rich_help_panel=WHICH)]
HostOf = Annotated[str | None, typer.Option("--host", help="About this host.", rich_help_panel=WHICH)]
JobOf = Annotated[str | None, typer.Option("--job", help="Of this job.", rich_help_panel=WHICH)]
Since = Annotated[
    str | None,
    typer.Option(metavar="TIME|AGO", help="Died at this time or later: 2h, 2030-01-31T08:00Z.", rich_help_panel=WHICH),
]
Until = Annotated[str | None, typer.Option(metavar="TIME|AGO", help="At this time or earlier.", rich_help_panel=WHICH)]
All = Annotated[bool, typer.Option("--all", help="All of them.", rich_help_panel=WHICH)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
Force = Annotated[bool, typer.Option("--force", help="Also what is in quarantine; for letters named by id.")]


@dlq.command("list")
def dlq_list(
    *,
    stage: StageOf = None,
    flow: FlowOf = None,
    reason: ReasonOf = None,
    tenant: TenantOf = None,
    host: HostOf = None,
    job: JobOf = None,
    since: Since = None,
    until: Until = None,
    quarantined: Annotated[
        bool | None,
        typer.Option("--quarantined/--not-quarantined", help="Redriven too often.", rich_help_panel=WHICH),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Most letters.")] = 20,
    as_json: Json = False,
) -> None:
    """List the newest dead letters: what happened, to what, since when."""
    from api.cli.lookup import here
    from streams.dlq import DeadLetters

    chosen = chosen_of(stage, flow, reason, tenant, host, job, since, until, quarantined)

    async def ask() -> "tuple[list[DeadLetter], list[dict[str, Any]]]":
        async with here() as services:
            found, _ = await DeadLetters(services.log).find(chosen, limit=limit, look_at=1_000_000)
            return found, [shown(one, services) for one in found]

    letters, views = run(ask())
    if as_json:
        for view in views:
            print_json(view)
        return
    if not letters:
        say("No dead letters." if chosen == chosen_of() else "No dead letters of this kind.", "green")
        next_step(("streams", "shows what waits and runs"))
        return
    print_table(
        ("letter", "since", "flow", "stage", "reason", "redriven", "error"),
        [
            (view["dead_id"], instant_text(view["at"]), view["flow"], view["stage"], view["reason"],
             f"{view['redriven']}, quarantined" if view["quarantined"] else view["redriven"] or None,
             first_line(view["error"], 60))
            for view in views
        ],
    )  # fmt: skip
    first = letters[0]
    hints = [(f"dlq show {first.dead_id}", "shows all of it, and what to do")]
    if first.fields.get("job"):
        hints += [
            (f"dlq retry {first.dead_id}", "puts it back to work"),
            (f"dlq retry --reason {first.fields.get('reason')} --dry-run", "counts those that died alike"),
        ]
    next_step(*hints)


@dlq.command("show")
def dlq_show(letter_id: Letter, *, as_json: Json = False) -> None:
    """Show a dead letter: what happened, to what, since when, and what to do."""
    from api.cli.lookup import here

    async def ask() -> "tuple[DeadLetter, dict[str, Any]]":
        async with here() as services:
            letter = await letter_of(services, letter_id)
            return letter, shown(letter, services)

    letter, view = run(ask())
    if as_json:
        print_json(view)
        return
    job = letter.fields.get("job")
    what = f"task {view['task']} of job {job}" if job else "an entry that was never of a job"
    say(f"{view['stage'] or 'ingest'}: {view['reason']}: {first_line(view['error'], 400)}", "red")
    say(f"It happened to {what}, and lies here since {instant_text(view['at'])}.")
    say(view["advice"], "bold")
    say("")
    long = ("traceback", "data")
    print_table(("", ""), [(name, value) for name, value in letter.fields.items() if name not in long and value])
    for name in long:
        if letter.fields.get(name):
            say(f"\n{name}", "bold")
            say(letter.fields[name].rstrip())
    if job:
        force = " --force" if view["quarantined"] else ""
        next_step(
            (f"dlq retry {letter_id}{force}", "puts it back to work"),
            (f"dlq edit {letter_id}{force}", "changes its payload first"),
            (f"dlq drop {letter_id}", "gives it up"),
            (f"retry {job}", "puts the job's letters back to work"),
        )
    else:
        next_step((f"dlq drop {letter_id}", "gives it up"), ("dlq list", "lists the others"))


async def letter_of(services: "Services", letter_id: str) -> "DeadLetter":
    """A dead letter by its id.

    Raises:
        MillraceError: There is none.
    """
    letter = await services.log.dead_letter(letter_id)
    if letter is None:
        raise MillraceError(f"there is no dead letter {letter_id}: `./millrace dlq list` lists them")
    return letter


def chosen_of(
    stage: str | None = None,
    flow: str | None = None,
    reason: str | None = None,
    tenant: str | None = None,
    host: str | None = None,
    job: str | None = None,
    since: str | None = None,
    until: str | None = None,
    quarantined: bool | None = None,  # noqa: FBT001 - as the options come
) -> "LetterFilter":
    """The letters that the options mean.

    Raises:
        Usage: One of them cannot be understood.
    """
    from schemas.names import STAGES
    from streams.dlq import LetterFilter

    if stage is not None and stage not in STAGES:
        raise Usage(f"--stage: there is no {stage!r}; choose of {', '.join(STAGES)}")
    return LetterFilter(
        stage or "", flow or "", reason or "", tenant or "", host or "", job or "",
        instant_ms("--since", since), instant_ms("--until", until), quarantined, with_strays=tenant is None,
    )  # fmt: skip


def check_asked(ids: list[str] | None, chosen: "LetterFilter", *, all_: bool) -> None:
    """Refuse a command that names no letters, or names them twice.

    Raises:
        Usage: It does.
    """
    is_filtered = chosen != chosen_of()
    if not ids and not is_filtered and not all_:
        raise Usage("say which letters: their ids, filters such as --reason, or --all")
    if ids and (is_filtered or all_):
        raise Usage("letters named by id need no filters and no --all")


def shown(letter: "DeadLetter", services: "Services") -> dict[str, Any]:
    """A dead letter as ``--json`` prints it."""
    from api.results import letter_view

    return {"id": letter.dead_id, **letter_view(letter, services.settings.max_redrives, whole=True)}
