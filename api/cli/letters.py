"""``dlq``: dead letters found, shown, put back to work, edited, given up."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.root import Usage, run
from api.cli.screen import (
    Json,
    console,
    duration_text,
    first_line,
    instant_text,
    next_step,
    print_json,
    print_table,
    say,
)
from api.cli.typed import instant_ms, json_or_file
from streams.errors import MillraceError

if TYPE_CHECKING:
    from api.services import Services
    from streams.dlq import Counted, DeadLetters, LetterFilter, Worked
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

    chosen = _filter(stage, flow, reason, tenant, host, job, since, until, quarantined)

    async def ask() -> "tuple[list[DeadLetter], list[dict[str, Any]]]":
        async with here() as services:
            found, _ = await DeadLetters(services.log).find(chosen, limit=limit, look_at=1_000_000)
            return found, [_shown(one, services) for one in found]

    letters, views = run(ask())
    if as_json:
        for view in views:
            print_json(view)
        return
    if not letters:
        say("No dead letters." if chosen == _filter() else "No dead letters of this kind.", "green")
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
            letter = await _letter(services, letter_id)
            return letter, _shown(letter, services)

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


@dlq.command("retry")
def dlq_retry(
    letter_ids: Letters = None,
    *,
    stage: StageOf = None,
    flow: FlowOf = None,
    reason: ReasonOf = None,
    tenant: TenantOf = None,
    host: HostOf = None,
    job: JobOf = None,
    since: Since = None,
    until: Until = None,
    all_: All = False,
    rate: Annotated[
        float | None,
        typer.Option(min=0.01, help="Letters a second; the timers keep the pace.", show_default="all at once"),
    ] = None,
    force: Force = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Put dead letters back to work: by id, by filter, or all; those that were redriven too often are left out."""
    from api.cli.lookup import here

    chosen = _filter(stage, flow, reason, tenant, host, job, since, until)
    _check_asked(letter_ids, chosen, all_=all_)
    if force and not letter_ids:
        raise Usage("--force is for letters named by id: quarantine guards the others")

    async def act() -> "Worked | Counted":
        async with here() as services:
            return await _retry(services, letter_ids or [], chosen, rate=rate, force=force, dry_run=dry_run)

    _tell(run(act()), "redriven", "run again", as_json=as_json)


@dlq.command("edit")
def dlq_edit(
    letter_id: Letter,
    *,
    merge: Annotated[
        str | None,
        typer.Option(metavar="JSON|@FILE", help='Fields to change; null removes one: \'{"url": "https://…"}\'.'),
    ] = None,
    data: Annotated[str | None, typer.Option(metavar="JSON|@FILE", help="A whole payload instead.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Also when it is in quarantine.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check, and show before and after.")] = False,
    as_json: Json = False,
) -> None:
    """Put a dead letter back to work with another payload, checked by its stage's schema before.

    Without --merge and --data the payload opens in $EDITOR.
    """
    from api.cli.lookup import here

    given = {name: json_or_file(f"--{name}", text) for name, text in (("merge", merge), ("data", data)) if text}
    if len(given) > 1:
        raise Usage("give --merge or --data, not both")

    async def act() -> dict[str, Any]:
        async with here() as services:
            return await _edit(services, letter_id, given, force=force, dry_run=dry_run)

    done = run(act())
    if as_json:
        print_json(done)
        return
    import orjson

    if dry_run:
        say("It fits. It would run with:")
        say(orjson.dumps(done["after"], option=orjson.OPT_INDENT_2).decode())
        next_step((f"dlq edit {letter_id} …", "without --dry-run does it"))
        return
    say(f"Dead letter {letter_id} runs again with the edited payload.")
    next_step((f"job {done['job_id']}", "shows how it goes"))


@dlq.command("drop")
def dlq_drop(
    letter_ids: Letters = None,
    *,
    stage: StageOf = None,
    flow: FlowOf = None,
    reason: ReasonOf = None,
    tenant: TenantOf = None,
    host: HostOf = None,
    job: JobOf = None,
    since: Since = None,
    until: Until = None,
    all_: All = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Give dead letters up, after asking: each is closed for good and counts as missing in its job."""
    from api.cli.lookup import here

    chosen = _filter(stage, flow, reason, tenant, host, job, since, until)
    _check_asked(letter_ids, chosen, all_=all_)

    async def count() -> "Counted":
        async with here() as services:
            return await _count(services, letter_ids or [], chosen)

    counted = run(count())
    if dry_run or not counted.letters:
        _tell(counted, "dropped", "are given up", as_json=as_json)
        return
    if not yes:
        _print_causes(counted, stderr=as_json)
        typer.confirm(f"Give up {_letters(counted.letters)} for good?", abort=True, err=as_json)

    async def act() -> "Worked":
        async with here() as services:
            return await _drop(services, letter_ids or [], chosen)

    _tell(run(act()), "dropped", "are given up", as_json=as_json)


async def _retry(
    services: "Services", ids: list[str], chosen: "LetterFilter", *, rate: float | None, force: bool, dry_run: bool
) -> "Worked | Counted":
    from api.audit import cli_actor, record
    from api.cli.progress import counting
    from streams.dlq import DeadLetters, Worked, refusal
    from streams.scripts import Code

    if dry_run:
        return await _count(services, ids, chosen)
    letters = DeadLetters(services.log)
    if ids:
        found = [await _letter(services, one) for one in ids]
        codes = await services.log.redrive_letters(found, is_forced=force)
        if len(ids) == 1 and codes[0] != Code.OK:
            raise refusal(ids[0], codes[0], services.settings.max_redrives)
        worked = Worked()
        worked.take(codes)
    else:
        chosen = await _bounded(letters, chosen)
        total = (await letters.count(chosen)).letters
        with counting("redriven", total) as told:
            worked = await letters.redrive(
                chosen, per_s=rate, told=lambda so_far: told(so_far.done + so_far.quarantined + so_far.refused.total())
            )
    await record(
        services, cli_actor(), "dlq.retry", " ".join(ids) or _said(chosen),
        {"redriven": worked.done, "quarantined": worked.quarantined, "refused": dict(worked.refused), "rate": rate,
         "force": force},
    )  # fmt: skip
    return worked


async def _drop(services: "Services", ids: list[str], chosen: "LetterFilter") -> "Worked":
    from api.audit import cli_actor, record
    from api.cli.progress import counting
    from streams.dlq import DeadLetters, Worked

    letters = DeadLetters(services.log)
    reason = f"dropped by {cli_actor()}"
    if ids:
        worked = Worked()
        worked.take(await letters.drop_letters([await _letter(services, one) for one in ids], reason=reason))
    else:
        chosen = await _bounded(letters, chosen)
        total = (await letters.count(chosen)).letters
        with counting("given up", total) as told:
            worked = await letters.drop(chosen, reason=reason, told=lambda so_far: told(so_far.done))
    await record(services, cli_actor(), "dlq.drop", " ".join(ids) or _said(chosen), {"dropped": worked.done})
    return worked


async def _edit(
    services: "Services", letter_id: str, given: dict[str, Any], *, force: bool, dry_run: bool
) -> dict[str, Any]:
    from api.audit import cli_actor, record
    from consumers.edit import edited, readable
    from streams.dlq import DeadLetters, refusal
    from streams.scripts import Code

    letter = await _letter(services, letter_id)
    tenant = await DeadLetters(services.log).tenant_of(letter)
    if not given:
        given = {"data": _in_editor(await readable(letter, services.flows, services.blobs, tenant))}
    made = await edited(letter, services.flows, services.blobs, tenant, **given)
    done = {"dead_id": letter_id, "job_id": letter.fields["job"], "before": made.before, "after": made.after}
    if dry_run:
        return {"dry_run": True, **done}
    (code,) = await services.log.redrive_letters([letter], overlay={letter_id: made.data}, is_forced=force)
    if code != Code.OK:
        raise refusal(letter_id, code, services.settings.max_redrives)
    detail = {"job": letter.fields["job"], "merge": given.get("merge"), "is_whole": "data" in given}
    await record(services, cli_actor(), "dlq.edit", letter_id, detail)
    return {**done, "redriven": 1}


def _in_editor(payload: Any) -> Any:
    import click
    import orjson

    before = orjson.dumps(payload, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()
    after = click.edit(before, extension=".json")
    if after is None or after == before:
        raise MillraceError("nothing was changed, so nothing is done: `dlq retry` runs it again as it is")
    try:
        return orjson.loads(after)
    except orjson.JSONDecodeError as error:
        raise MillraceError(f"what you wrote is no JSON: {error}; nothing is done") from None


async def _letter(services: "Services", letter_id: str) -> "DeadLetter":
    letter = await services.log.dead_letter(letter_id)
    if letter is None:
        raise MillraceError(f"there is no dead letter {letter_id}: `./millrace dlq list` lists them")
    return letter


async def _count(services: "Services", ids: list[str], chosen: "LetterFilter") -> "Counted":
    from streams.dlq import Counted, DeadLetters

    if not ids:
        return await DeadLetters(services.log).count(chosen)
    counted = Counted()
    for one in ids:
        letter = await _letter(services, one)
        counted.letters += 1
        counted.quarantined += letter.redriven >= services.settings.max_redrives
        row = letter.fields
        counted.by_cause[row.get("flow", ""), row.get("stage", ""), row.get("reason", "")] += 1
    return counted


async def _bounded(letters: "DeadLetters", chosen: "LetterFilter") -> "LetterFilter":
    """What is dead now: what dies again meanwhile is not met again."""
    from dataclasses import replace

    newest_ms = await letters.newest_ms()
    return replace(chosen, until_ms=min(chosen.until_ms or newest_ms, newest_ms) or 1)


def _filter(
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
    from schemas.names import STAGES
    from streams.dlq import LetterFilter

    if stage is not None and stage not in STAGES:
        raise Usage(f"--stage: there is no {stage!r}; choose of {', '.join(STAGES)}")
    return LetterFilter(
        stage or "", flow or "", reason or "", tenant or "", host or "", job or "",
        instant_ms("--since", since), instant_ms("--until", until), quarantined, with_strays=tenant is None,
    )  # fmt: skip


def _check_asked(ids: list[str] | None, chosen: "LetterFilter", *, all_: bool) -> None:
    is_filtered = chosen != _filter()
    if not ids and not is_filtered and not all_:
        raise Usage("say which letters: their ids, filters such as --reason, or --all")
    if ids and (is_filtered or all_):
        raise Usage("letters named by id need no filters and no --all")


def _shown(letter: "DeadLetter", services: "Services") -> dict[str, Any]:
    from api.results import letter_view

    return {"id": letter.dead_id, **letter_view(letter, services.settings.max_redrives, whole=True)}


def _said(chosen: "LetterFilter") -> str:
    named = ((name, getattr(chosen, name)) for name in ("stage", "flow", "reason", "tenant", "host", "job"))
    return " ".join(f"{name}={value}" for name, value in named if value) or "all"


def _tell(done: "Worked | Counted", name: str, happens: str, *, as_json: bool) -> None:
    from streams.dlq import Counted

    if isinstance(done, Counted):
        if as_json:
            causes = [
                {"flow": flow, "stage": stage, "reason": reason, "letters": letters}
                for (flow, stage, reason), letters in done.by_cause.most_common()
            ]
            print_json({"dry_run": True, "letters": done.letters, "quarantined": done.quarantined, "by_cause": causes})
            return
        _print_causes(done)
        say(f"{_letters(done.letters)} meant, {done.quarantined} of them in quarantine. Nothing was done.")
        next_step(("dlq list", "shows them"))
        return
    if as_json:
        within = {"runs_within_s": round(done.spread_s, 1)} if done.spread_s else {}
        print_json({name: done.done, "quarantined": done.quarantined, "refused": dict(done.refused), **within})
        return
    say(f"{_letters(done.done)} {happens}{f', within {duration_text(done.spread_s)}' if done.spread_s else ''}.")
    if done.quarantined:
        say(f"{done.quarantined} stay in quarantine: they were redriven too often.", "yellow")
    for code, letters in done.refused.items():
        say(f"{letters} stay: {code.replace('_', ' ')}.", "yellow")
    next_step(("dlq list", "shows what is left"), ("streams", "shows what waits and runs"))


def _print_causes(counted: "Counted", *, stderr: bool = False) -> None:
    for (flow, stage, reason), letters in counted.by_cause.most_common(10):
        line = f"  {letters:>7}  {flow or '-'}  {stage or 'ingest'}  {reason}"
        console(stderr=stderr).print(line, soft_wrap=True, markup=False)


def _letters(count: int) -> str:
    return f"{count:,} dead letter{'s' if count != 1 else ''}"
