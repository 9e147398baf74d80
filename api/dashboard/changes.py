"""Carrying out what `api.dashboard.actions` declares: the question, and the change."""

from collections.abc import Mapping

from fastapi import APIRouter, Request
from starlette.datastructures import FormData, QueryParams
from starlette.responses import RedirectResponse, Response

from api.dashboard.actions import ACTIONS, MOST_AT_ONCE, Action
from api.dashboard.door import inner
from api.dashboard.render import page, problem_page
from api.dashboard.visit import CSRF_FIELD, Visit, visit_of
from api.problems import Problem

router = APIRouter(include_in_schema=False)


@router.get("/do/{name}")
async def ask(request: Request, name: str) -> Response:
    """What an action would do, and a form that does it."""
    visit = await visit_of(request)
    if visit.caller is None:
        return RedirectResponse("/sign-in", 303)
    try:
        return _question(visit, _action(name, visit), request.query_params)
    except Problem as problem:
        return problem_page(visit, problem)


@router.post("/do/{name}")
async def carry_out(request: Request, name: str) -> Response:
    """Do it: ask the API's route, as the person who sent the form."""
    visit = await visit_of(request)
    try:
        return await _carried_out(visit, name)
    except Problem as problem:
        return problem_page(visit, problem)


async def _carried_out(visit: Visit, name: str) -> Response:
    form = await visit.request.form(max_fields=MOST_AT_ONCE + 50)
    visit.check_csrf(str(form.get(CSRF_FIELD, "")))
    action = _action(name, visit)
    given = _texts(form)
    refused: list[tuple[str, Problem]] = []
    targets = _each(action, form)
    done = 0
    for target in targets:
        arguments = given | ({action.each: target} if action.each else {})
        try:
            query, body = action.request(arguments)
            answer = await visit.api.send(action.method, action.target(arguments), query, None if query else body)
            done += 1
        except Problem as problem:
            refused.append((target, problem))
    if refused:
        return _question(visit, action, form, refused=refused, is_done=done)
    back = inner(str(form.get("back") or ""))
    if action.shows:
        return page(visit, action.shows, action=action, asked=body, answer=answer, back=back)
    if back == "/":
        back = action.text(action.back, given) if len(targets) == 1 else action.back.partition("{")[0].rstrip("/")
    return RedirectResponse(f"{back}{'&' if '?' in back else '?'}done={action.name}", 303)


def _action(name: str, visit: Visit) -> Action:
    action = ACTIONS.get(name)
    if action is None:
        raise Problem("not-found", f"there is nothing to do called {name[:60]!r}")
    if not action.is_for(visit):
        raise Problem("forbidden", f"this needs the scope {' or '.join(action.scopes)}; your key has not")
    return action


def _question(
    visit: Visit,
    action: Action,
    given: QueryParams | FormData,
    *,
    refused: list[tuple[str, Problem]] | None = None,
    is_done: int = 0,
) -> Response:
    arguments = _texts(given)
    shown = {name: value[:200] for name, value in arguments.items()}
    named = {field.name for field in action.fields} | {CSRF_FIELD, "back", action.each}
    values = {field.name: arguments.get(field.name, field.value) for field in action.fields}
    return page(
        visit, "ask.html", status=refused[0][1].status if refused else 200, action=action,
        title=action.text(action.title, shown), says=action.text(action.says, shown),
        targets=[target for target, _ in refused] if refused else _each(action, given),
        kept={name: value for name, value in arguments.items() if name not in named},
        values=values, refused=refused or [], is_done=is_done,
        back=inner(arguments.get("back") or visit.request.headers.get("x-back", "")),
    )  # fmt: skip


def _each(action: Action, given: QueryParams | FormData) -> list[str]:
    """What the action is done to: each is asked for by itself; one empty name for an action that names nothing."""
    if not action.each:
        return [""]
    found = list(dict.fromkeys(str(value) for value in given.getlist(action.each) if value))
    if not found:
        raise Problem("invalid-request", "nothing was chosen: tick what is meant, then try again")
    if len(found) > MOST_AT_ONCE:
        raise Problem("invalid-request", f"at most {MOST_AT_ONCE} at once; {len(found)} were chosen")
    return found


def _texts(given: QueryParams | FormData) -> dict[str, str]:
    found: Mapping[str, object] = dict(given)
    return {name: value for name, value in found.items() if isinstance(value, str)}
