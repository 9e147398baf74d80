"""Who asks, and what they may do."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends
from starlette.requests import HTTPConnection

from api.gate import is_foreign
from api.keys import DEFAULT_TENANT, SCOPES, ApiKey, Scope
from api.problems import Problem
from api.services import services_of
from api.sessions import COOKIE
from streams.errors import PermanentError

CALLER: Final = "millrace.caller"
"""Where the scope of a request that our own pages make has who asks; no request from outside can have it."""

SEEN: Final = "millrace.seen"
"""Where the scope of a request has who asked, once that is known."""

_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class OpenListen(PermanentError):  # noqa: N818 - it names the thing
    """The API would be open to others without a key."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        key_id: Of the API key; ``anonymous`` on a loopback without keys.
    """

    key_id: str
    tenant: str
    scopes: frozenset[str]

    @property
    def actor(self) -> str:
        """As the audit log names it."""
        return f"key:{self.key_id}"

    def may(self, *scopes: Scope) -> bool:
        """Whether one of these scopes, or ``admin``, is among the caller's."""
        return "admin" in self.scopes or not self.scopes.isdisjoint(scopes)


ANONYMOUS: Final = Caller("anonymous", DEFAULT_TENANT, frozenset(SCOPES))


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reached from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def check_listen(host: str, has_keys: bool) -> None:  # noqa: FBT001 - the two facts that decide
    """Refuse to listen where others reach us while nobody needs a key.

    Raises:
        OpenListen: `host` is not loopback and there is no API key.
    """
    if not is_loopback(host) and not has_keys:
        raise OpenListen(
            f"Millrace does not listen on {host} without an API key: anyone who reaches it could use it. Make one "
            "with `millrace keys create NAME`, or listen on 127.0.0.1 (MILLRACE_API_HOST)",
            reason="open_listen",
        )


async def identify(connection: HTTPConnection) -> Caller:
    """Who asks: by API key, or by a browser's session, which only reads. Without keys on a loopback it is anyone there.

    Raises:
        Problem: ``unauthenticated``, or ``foreign-host`` for a web page that made its name resolve to us.
    """
    caller = connection.scope.get(CALLER)
    if isinstance(caller, Caller):
        return caller
    services = services_of(connection)
    text = _key_of(connection)
    if text is not None:
        key = await services.api_keys.find(text)
        if key is None:
            raise _unauthenticated("the API key is not one of ours, or was revoked")
        return caller_of(key)
    session = connection.cookies.get(COOKIE, "")
    if session and connection.scope["type"] == "http" and connection.scope["method"] in _READING:
        held = await services.sessions.key_of(session)
        if held is not None:
            return caller_of(held[1])
    if not is_loopback(services.settings.api_host) or await services.api_keys.any():
        raise _unauthenticated("no API key was sent; `millrace keys create NAME` makes one")
    host = connection.headers.get("host", "")
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if not is_loopback(name):
        # DNS rebinding: a page's own name leads to 127.0.0.1, and the browser takes our answers for the page's.
        detail = f"the Host header names {name[:100]!r}; without API keys only localhost is served"
        raise Problem("foreign-host", detail)
    return ANONYMOUS


async def identify_follower(connection: HTTPConnection) -> Caller:
    """Who opens an event stream or a WebSocket: by API key, or, from a browser, by a one-use ticket.

    A session's cookie does not do: the browser would send it for any page.

    Raises:
        Problem: ``foreign-origin``, ``unauthenticated``, ``forbidden``, ``foreign-host``.
    """
    services = services_of(connection)
    if is_foreign(connection.headers, services.settings.cors_origins):
        origin = connection.headers.get("origin", "another site")[:200]
        raise Problem("foreign-origin", f"a page of {origin} may not follow what happens here")
    ticket = connection.query_params.get("ticket")
    if ticket is not None:
        key = await services.sessions.spend(ticket, connection.url.path)
        if key is None:
            raise _unauthenticated("the ticket was used, is too old, or is for another path; ask for another one")
        caller = caller_of(key)
    elif connection.cookies.get(COOKIE) and _key_of(connection) is None and await services.api_keys.any():
        raise _unauthenticated("a browser follows with a ticket: POST /ticket gives one")
    else:
        caller = await identify(connection)
    if not caller.may("read"):
        raise Problem("forbidden", f"this needs the scope read; the API key has {_named(caller)}")
    return caller


def caller_of(key: ApiKey) -> Caller:
    """The holder of a key."""
    return Caller(key.id, key.tenant, frozenset(key.scopes))


def allow(*scopes: Scope) -> Callable[[HTTPConnection], Awaitable[Caller]]:
    """A dependency: the caller, who has one of these scopes."""

    async def allowed(connection: HTTPConnection) -> Caller:
        caller = await identify(connection)
        connection.scope[SEEN] = caller
        if not caller.may(*scopes):
            raise Problem("forbidden", f"this needs the scope {' or '.join(scopes)}; the API key has {_named(caller)}")
        return caller

    return allowed


Reader = Annotated[Caller, Depends(allow("read"))]
Follower = Annotated[Caller, Depends(identify_follower)]
Submitter = Annotated[Caller, Depends(allow("submit"))]
Operator = Annotated[Caller, Depends(allow("operate"))]
Ender = Annotated[Caller, Depends(allow("submit", "operate"))]


def tenant_asked(caller: Caller, tenant: str | None) -> str:
    """The tenant whose things a caller means: its own unless another is named.

    Raises:
        Problem: ``forbidden``: only an ``admin`` of the default tenant, who runs the installation, names others.
    """
    if tenant is None or tenant == caller.tenant:
        return caller.tenant
    if caller.tenant != DEFAULT_TENANT or not caller.may("admin"):
        raise Problem("forbidden", f"only an admin key of tenant {DEFAULT_TENANT!r} may name another tenant")
    return tenant


def of_the_house(caller: Caller, what: str) -> None:
    """Let only the operators of the installation change what all tenants share.

    Raises:
        Problem: ``forbidden``: the caller is another tenant's.
    """
    if caller.tenant != DEFAULT_TENANT:
        raise Problem("forbidden", f"{what} all tenants share; only a key of tenant {DEFAULT_TENANT} changes them")


def _key_of(connection: HTTPConnection) -> str | None:
    scheme, _, text = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and text.strip():
        return text.strip()
    if key := connection.headers.get("x-api-key"):
        return key.strip()
    return None


def _named(caller: Caller) -> str:
    return ", ".join(scope for scope in SCOPES if scope in caller.scopes)


def _unauthenticated(detail: str) -> Problem:
    return Problem("unauthenticated", detail, headers={"WWW-Authenticate": "Bearer"})
