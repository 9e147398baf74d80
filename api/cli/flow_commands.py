"""`submit` and `run`: a command a flow, its options made from the flow's spec."""

import inspect
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer
from typer.core import TyperGroup

from api.cli.root import Usage, run
from api.cli.screen import Json, next_step, print_json, say, warn

if TYPE_CHECKING:
    from api.services import Services
    from consumers.flow import Flow
    from schemas.jobs import JobRequest, JobView

WHEN = "When and how"


class FlowGroup(TyperGroup):
    """A group whose commands are the installed flows."""

    verb: ClassVar[str]

    @abstractmethod
    def build(self, flow: "Flow") -> Callable[..., None]:
        """The command of a flow, for typer to read."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - of the base class
        """The names of the flows."""
        from consumers.flow import installed

        return sorted(installed().by_name)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - of the base class
        """The command of a flow."""
        from consumers.flow import installed

        flow = installed().by_name.get(cmd_name)
        if flow is None:
            return None
        about = flow.about or f"the {flow.name} flow"
        one = typer.Typer(add_completion=False, rich_markup_mode="rich")
        named = one.command(name=flow.name, help=f"{self.verb} {flow.name}: {about}.", short_help=about)
        named(self.build(flow))
        return typer.main.get_command(one)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the flow; say which there are."""
        if not args[0].startswith("-"):
            known_flow(args[0])
        return super().resolve_command(ctx, args)


def _submit_command(flow: "Flow") -> Callable[..., None]:
    def submit(
        *,
        spec: Annotated[
            str | None,
            typer.Option(metavar="JSON|@FILE", help="The whole spec; options win over it.", rich_help_panel=WHEN),
        ] = None,
        wait: Annotated[
            bool, typer.Option("--wait", help="Wait for the end, and show how it goes.", rich_help_panel=WHEN)
        ] = False,
        job_id: Annotated[
            str | None,
            typer.Option(metavar="ID", help="An id of your own; the same again is the same job.", rich_help_panel=WHEN),
        ] = None,
        priority: Annotated[
            str | None, typer.Option(metavar="high|normal|low|0-9", help="9 is the most urgent.", rich_help_panel=WHEN)
        ] = None,
        from_stage: Annotated[
            str | None,
            typer.Option(metavar="STAGE", help="Start there: --spec is that stage's payload.", rich_help_panel=WHEN),
        ] = None,
        until_stage: Annotated[
            str | None, typer.Option(metavar="STAGE", help="End after it.", rich_help_panel=WHEN)
        ] = None,
        run_at: Annotated[
            str | None, typer.Option(metavar="TIME", help="Not before: 2030-01-31T08:00:00Z.", rich_help_panel=WHEN)
        ] = None,
        expires_at: Annotated[
            str | None, typer.Option(metavar="TIME", help="Given up when not started by then.", rich_help_panel=WHEN)
        ] = None,
        webhook: Annotated[
            str | None, typer.Option(metavar="URL", help="Gets a signed POST at the end.", rich_help_panel=WHEN)
        ] = None,
        email: Annotated[
            list[str] | None, typer.Option(metavar="ADDRESS", help="Gets a mail at the end.", rich_help_panel=WHEN)
        ] = None,
        plan: Annotated[
            bool,
            typer.Option("--plan", help="Only say what it would be, and is expected to need.", rich_help_panel=WHEN),
        ] = False,
        as_json: Json = False,
        **fields: Any,
    ) -> None:
        asked = {
            "flow": flow.name,
            "spec": _spec(flow, spec, fields, whole=from_stage not in (None, "crawl")),
            **_given(job_id=job_id, priority=_number(priority), from_stage=from_stage, until_stage=until_stage),
            **_given(run_at=run_at, expires_at=expires_at, notify=_given(webhook=webhook, email=email) or None),
        }
        if plan:
            _print_plan(run(_plan(asked)), as_json=as_json)
            return
        raise typer.Exit(run(_submit(flow, asked, wait=wait, as_json=as_json)))

    return _with_fields(submit, flow)


def _run_command(flow: "Flow") -> Callable[..., None]:
    def run_here(
        *,
        _: Annotated[
            bool, typer.Option("--inline", help="In this process, without servers: there is no other way.")
        ] = False,
        spec: Annotated[
            str | None, typer.Option(metavar="JSON|@FILE", help="The whole spec; options win over it.")
        ] = None,
        as_json: Json = False,
        **fields: Any,
    ) -> None:
        from api.cli.inline import run_here

        run_here(
            flow, _checked(flow, _request({"flow": flow.name, "spec": _spec(flow, spec, fields)})), as_json=as_json
        )

    return _with_fields(run_here, flow)


def known_flow(name: str) -> "Flow":
    """A flow by its name.

    Raises:
        Usage: There is none; the text lists those that there are.
    """
    from consumers.flow import UnknownFlow, installed

    try:
        return installed().get(name)
    except UnknownFlow as error:
        raise Usage(str(error)) from None


async def _plan(asked: dict[str, Any]) -> dict[str, Any]:
    from api.auth import Caller
    from api.cli.lookup import TENANT, here
    from api.problems import Problem
    from api.submission import dry_run

    async with here() as services:
        try:
            return await dry_run(services, _request(asked), Caller("cli", TENANT, frozenset({"submit"})))
        except Problem as problem:
            raise Usage(problem.detail) from None


def _print_plan(planned: dict[str, Any], *, as_json: bool) -> None:
    from api.cli.screen import duration_text, print_table

    expected = planned["estimate"]
    if as_json:
        print_json({**planned, "estimate": expected.model_dump(mode="json") if expected else None})
        return
    say(f"{planned['flow']} would start at {planned['stage']}; nothing is submitted.")
    if expected is None or not expected.based_on:
        say("No job of this flow has ended here, so what it needs is not known.", "bright_black")
        return
    rows = [("", "half need at most", "nine of ten")]
    rows += [
        (name, f"{one.p50:,.0f}", f"{one.p90:,.0f}")
        for name, one in (("pages", expected.pages), ("entries", expected.entries))
        if one
    ]
    if expected.duration_s:
        rows.append(("time", duration_text(expected.duration_s.p50), duration_text(expected.duration_s.p90)))
    if expected.cost_usd:
        rows.append(("language model", f"${expected.cost_usd.p50:.4f}", f"${expected.cost_usd.p90:.4f}"))
    print_table(rows[0], rows[1:])
    whose = "for this site" if expected.alike == "site" else "of this flow"
    say(f"From {expected.based_on} jobs {whose} that ended here.", "bright_black")


class SubmitGroup(FlowGroup):
    """``submit FLOW``."""

    verb = "Submit"

    def build(self, flow: "Flow") -> Callable[..., None]:
        """Submits a job of the flow."""
        return _submit_command(flow)


class RunGroup(FlowGroup):
    """``run FLOW --inline``."""

    verb = "Run"

    def build(self, flow: "Flow") -> Callable[..., None]:
        """Runs a job of the flow here."""
        return _run_command(flow)


def _with_fields(command: Callable[..., None], flow: "Flow") -> Callable[..., None]:
    """The command with a parameter for each field of the spec."""
    from api.cli.spec_options import parameters_of

    own = [
        one for one in inspect.signature(command).parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    command.__signature__ = inspect.Signature([*parameters_of(flow.spec), *own])  # type: ignore[attr-defined]
    command.__annotations__ = {}
    return command


def _spec(flow: "Flow", base: str | None, fields: Mapping[str, Any], *, whole: bool = False) -> dict[str, Any]:
    from api.cli.spec_options import payload_from, spec_from

    return payload_from(base) if whole else spec_from(flow.spec, base, fields)


def _request(asked: dict[str, Any]) -> "JobRequest":
    from pydantic import ValidationError

    from schemas.jobs import JobRequest

    try:
        return JobRequest.model_validate(asked)
    except ValidationError as error:
        said: dict[str, None] = {}
        for one in error.errors(include_url=False, include_input=False, include_context=False):
            names = [str(part) for part in one["loc"] if isinstance(part, str) and part not in {"notify", "str", "int"}]
            said[f"--{'-'.join(names).replace('_', '-')}: {_plain(one['msg'])}"] = None
        raise Usage("; ".join(said)) from None


def _checked(flow: "Flow", request: "JobRequest") -> Any:
    """The request's spec as its model.

    Raises:
        Usage: It does not fit the flow; each field is named as the command line calls it.
    """
    from api.cli.spec_options import option_of
    from consumers.flow import installed
    from consumers.submit import BadSpec, check

    try:
        return check(installed(), request)
    except BadSpec as error:
        if not error.problems:
            raise Usage(str(error)) from None
        said: dict[str, None] = {}
        for one in error.problems:
            said[f"{option_of(flow.spec, tuple(one['loc'][1:]))}: {_plain(one['msg'])}"] = None
        raise Usage("; ".join(said)) from None


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")


async def _submit(flow: "Flow", asked: dict[str, Any], *, wait: bool, as_json: bool) -> int:
    from api.cli.lookup import here
    from api.cli.progress import print_ended, shown, wait_for
    from consumers.flow import installed
    from consumers.submit import submit

    request = _request(asked)
    _checked(flow, request)
    async with here() as services:
        await services.pressure.check()
        submitted = await submit(services.log, installed(), request)
        if not as_json:
            again = "" if submitted.is_new else " (submitted before)"
            say(f"{flow.name} job {submitted.job_id}{again}  trace {submitted.trace_id}")
            if not await services.client.scard(services.keys.workers):
                warn("no worker is running, so the job waits: start `./millrace worker`")
        if not wait:
            if as_json:
                print_json(
                    {"job_id": submitted.job_id, "flow": flow.name, "status": "queued", "trace_id": submitted.trace_id}
                )
            else:
                next_step((f"job {submitted.job_id}", "shows it"), (f"logs {submitted.job_id} -f", "follows it"))
            return 0
        with shown(as_json=as_json) as show:
            view = await wait_for(services, submitted.job_id, show)
        code = print_ended(view, as_json=as_json)
        if not as_json:
            await _show_outcome(services, view)
        return code


async def submit_request(request: "JobRequest", *, wait: bool, as_json: bool) -> int:
    """Submit what another command has put together; answers the exit code."""
    asked = request.model_dump(mode="json", exclude_defaults=True)
    return await _submit(known_flow(request.flow), asked, wait=wait, as_json=as_json)


async def _show_outcome(services: "Services", view: "JobView") -> None:
    from api.cli.lookup import TENANT, print_failures
    from api.cli.results import print_result

    has_result = services.database is not None and view.status in {"succeeded", "partial"}
    found = await services.store.results.get(view.job_id, tenant=TENANT) if has_result else None
    if found is not None:
        print_result(view.flow, found.payload, brief=True)
    if view.status in {"partial", "failed"}:
        await print_failures(services, view.job_id)
    hints = [(f"trace {view.job_id}", "shows when what ran"), (f"logs {view.job_id}", "shows what it logged")]
    if found is not None:
        hints.insert(0, (f"result {view.job_id}", "shows all of it; --save DIR writes files"))
    if view.status in {"partial", "failed"}:
        hints.append((f"retry {view.job_id}", "tries again what failed"))
    next_step(*hints)


def _number(priority: str | None) -> str | int | None:
    return int(priority) if priority is not None and priority.isdigit() else priority


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, [], {})}


__all__ = ["RunGroup", "SubmitGroup", "known_flow", "submit_request"]
