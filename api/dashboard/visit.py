"""Who looks at a page: by session, or anyone of this machine where there are no keys."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from api.auth import Caller, caller_of, identify
from api.dashboard.ask import Asker
from api.keys import DEFAULT_TENANT
from api.problems import Problem
from api.services import services_of
from api.sessions import COOKIE, ID_LENGTH, csrf_token, is_csrf_token, new_id

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from api.keys import Scope

CSRF_FIELD: Final = "csrf"
CSRF_HEADER: Final = "x-csrf-token"
_ID: Final = re.compile(rf"[A-Za-z0-9_-]{{{ID_LENGTH}}}")


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of a person with a browser.

    Attributes:
        caller: None for somebody who has to sign in.
        session_id: Of the cookie; without one a new one, that the answer sets so that its forms have a token.
        is_fresh: The browser does not have the cookie yet.
        key_digest: Of the API key that the session stands for; empty when there are no keys.
    """

    request: Request
    caller: Caller | None
    session_id: str
    is_fresh: bool
    key_digest: str = ""

    @property
    def who(self) -> Caller:
        """The caller, who is known here.

        Raises:
            Problem: ``unauthenticated``.
        """
        if self.caller is None:
            raise Problem("unauthenticated", "sign in first")
        return self.caller

    @property
    def api(self) -> Asker:
        """The API, asked as this person."""
        return Asker(self.request, self.who)

    @property
    def csrf(self) -> str:
        """The token that forms carry."""
        return csrf_token(self.session_id)

    @property
    def role(self) -> str:
        """What a person may do, in a word."""
        for scope, name in (("admin", "admin"), ("operate", "operator"), ("submit", "submitter")):
            if scope in self.who.scopes:
                return name
        return "reader"

    @property
    def is_of_the_house(self) -> bool:
        """Whether it may see and change what all tenants share."""
        return self.who.tenant == DEFAULT_TENANT and self.who.may("operate")

    def may(self, *scopes: Scope) -> bool:
        """Whether a control for these scopes is shown."""
        return self.who.may(*scopes)

    def check_csrf(self, token: str) -> None:
        """Let only a form pass that we gave to this browser.

        Raises:
            Problem: ``bad-token``.
        """
        if self.is_fresh or not is_csrf_token(self.session_id, token):
            raise Problem(
                "bad-token", "the form was not made for this session: load the page again, and send it from there"
            )

    def keep(self, answer: Response) -> Response:
        """Set the cookie when the browser has none yet."""
        if self.is_fresh:
            set_cookie(self.request, answer, self.session_id)
        return answer


async def visit_of(request: Request) -> Visit:
    """Who asks for a page.

    Raises:
        Problem: ``foreign-host``; ``forbidden`` for a key that may not read.
    """
    given = request.cookies.get(COOKIE, "")
    is_fresh = _ID.fullmatch(given) is None
    session_id = new_id() if is_fresh else given
    services = services_of(request)
    held = None if is_fresh else await services.sessions.key_of(session_id)
    key_digest = ""
    if held is not None:
        key_digest, key = held
        caller: Caller | None = caller_of(key)
    else:
        caller = await _without_session(request)
    if caller is not None and not caller.may("read"):
        raise Problem("forbidden", "the dashboard needs the scope read")
    return Visit(request, caller, session_id, is_fresh, key_digest)


def set_cookie(request: Request, answer: Response, session_id: str) -> None:
    """Give a browser a session id that scripts cannot read and that forms of other sites do not carry."""
    answer.set_cookie(COOKIE, session_id, httponly=True, samesite="lax", secure=request.url.scheme == "https", path="/")


async def _without_session(request: Request) -> Caller | None:
    try:
        return await identify(request)
    except Problem as problem:
        if problem.name == "unauthenticated":
            return None
        raise
