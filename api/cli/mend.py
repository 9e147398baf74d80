"""``dlq retry``, ``edit`` and ``drop``: dead letters put back to work, mended, given up."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.letters import (
    All,
    DryRun,
    FlowOf,
    Force,
    HostOf,
    JobOf,
    Letter,
    Letters,
    ReasonOf,
    Since,
    StageOf,
    TenantOf,
    Until,
    check_asked,
    chosen_of,
    letter_of,
)
from api.cli.root import Usage, run
from api.cli.screen import Json, console, duration_text, next_step, print_json, say
from api.cli.typed import json_or_file
from streams.errors import MillraceError

if TYPE_CHECKING:
    from api.services import Services
    from streams.dlq import Counted, DeadLetters, LetterFilter, Worked


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

    chosen = chosen_of(stage, flow, reason, tenant, host, job, since, until)
    check_asked(letter_ids, chosen, all_=all_)
    if force and not letter_ids:
        raise Usage("--force is for letters named by id: quarantine guards the others")

    async def act() -> "Worked | Counted":
        async with here() as services:
            return await _retry(services, letter_ids or [], chosen, rate=rate, force=force, dry_run=dry_run)

    _tell(run(act()), "redriven", "run again", as_json=as_json)


def redrive_chosen(chosen: "LetterFilter", *, rate: float | None, dry_run: bool, as_json: bool) -> None:
    """Put what a filter means back to work, and say so."""
    from api.cli.lookup import here

    async def act() -> "Worked | Counted":
        async with here() as services:
            return await _retry(services, [], chosen, rate=rate, force=False, dry_run=dry_run)

    _tell(run(act()), "redriven", "run again", as_json=as_json)


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

    chosen = chosen_of(stage, flow, reason, tenant, host, job, since, until)
    check_asked(letter_ids, chosen, all_=all_)

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
        found = [await letter_of(services, one) for one in ids]
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
        worked.take(await letters.drop_letters([await letter_of(services, one) for one in ids], reason=reason))
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

    letter = await letter_of(services, letter_id)
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


async def _count(services: "Services", ids: list[str], chosen: "LetterFilter") -> "Counted":
    from streams.dlq import Counted, DeadLetters

    if not ids:
        return await DeadLetters(services.log).count(chosen)
    counted = Counted()
    for one in ids:
        letter = await letter_of(services, one)
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


def _said(chosen: "LetterFilter") -> str:
    named = ((name, getattr(chosen, name)) for name in ("stage", "flow", "reason", "tenant", "host", "job", "incident"))
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
