"""Who asks, and what they may do."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends
from starlette.requests import HTTPConnection

from api.keys import DEFAULT_TENANT, SCOPES, Scope
from api.problems import Problem
from api.services import services_of
from streams.errors import PermanentError

COOKIE: Final = "millrace_key"
"""Holds the key of a browser that signed in; HttpOnly, SameSite=Strict, and taken for reading only."""

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
    """Who asks, by API key; on a loopback where no key exists, anyone of this machine.

    Raises:
        Problem: ``unauthenticated``, or ``foreign-host`` for a web page that made its name resolve to us.
    """
    services = services_of(connection)
    text = _key_of(connection)
    if text is not None:
        key = await services.api_keys.find(text)
        if key is None:
            raise _unauthenticated("the API key is not one of ours, or was revoked")
        return Caller(key.id, key.tenant, frozenset(key.scopes))
    if not is_loopback(services.settings.api_host) or await services.api_keys.any():
        raise _unauthenticated("no API key was sent; `millrace keys create NAME` makes one")
    host = connection.headers.get("host", "")
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if not is_loopback(name):
        # DNS rebinding: a page's own name leads to 127.0.0.1, and the browser takes our answers for the page's.
        detail = f"the Host header names {name[:100]!r}; without API keys only localhost is served"
        raise Problem("foreign-host", detail)
    return ANONYMOUS


def allow(*scopes: Scope) -> Callable[[HTTPConnection], Awaitable[Caller]]:
    """A dependency: the caller, who has one of these scopes."""

    async def allowed(connection: HTTPConnection) -> Caller:
        caller = await identify(connection)
        if not caller.may(*scopes):
            raise Problem("forbidden", f"this needs the scope {' or '.join(scopes)}; the API key has {_named(caller)}")
        return caller

    return allowed


Reader = Annotated[Caller, Depends(allow("read"))]
Submitter = Annotated[Caller, Depends(allow("submit"))]
Operator = Annotated[Caller, Depends(allow("operate"))]
Ender = Annotated[Caller, Depends(allow("submit", "operate"))]


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
    if connection.scope.get("method", "GET") in _READING:
        return connection.cookies.get(COOKIE)
    return None


def _named(caller: Caller) -> str:
    return ", ".join(scope for scope in SCOPES if scope in caller.scopes)


def _unauthenticated(detail: str) -> Problem:
    return Problem("unauthenticated", detail, headers={"WWW-Authenticate": "Bearer"})
