"""Browser sessions, one-use tickets and the brake on guessing keys: small keys in Redis that expire by themselves.

A session id and a ticket are 256 random bits; only their SHA-256 is kept, so whoever reads Redis can use neither. A
session names its API key by digest: it ends at once when the key is revoked.

Source: OWASP, "Session Management Cheat Sheet".
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING, Any, Final

import orjson

from api.keys import digest_of

if TYPE_CHECKING:
    from api.keys import ApiKey, ApiKeys
    from streams.keys import Keys

COOKIE: Final = "millrace_session"
"""Holds a session id; HttpOnly and SameSite=Lax. Of itself it only reads."""

IDLE_S: Final = 12 * 3_600
LONGEST_S: Final = 7 * 86_400
TICKET_S: Final = 30
TRIES: Final = 10
TRIES_S: Final = 300
"""Failed sign-ins that an address may have in so many seconds."""
ID_LENGTH: Final = 43
"""Characters of 32 bytes in base64url."""


def new_id() -> str:
    """A fresh session id."""
    return secrets.token_urlsafe(32)


def csrf_token(session_id: str) -> str:
    """What forms of a session carry: whoever cannot read the cookie cannot make it.

    Source: OWASP, "Cross-Site Request Forgery Prevention", HMAC-based token pattern; the secret is the id itself.
    """
    return hmac.new(session_id.encode(), b"millrace csrf", hashlib.sha256).hexdigest()


def is_csrf_token(session_id: str, given: str) -> bool:
    """Whether a token belongs to a session, in constant time."""
    return bool(session_id) and hmac.compare_digest(csrf_token(session_id).encode(), given.encode())


class Sessions:
    """The sessions of a namespace."""

    def __init__(self, client: Any, keys: Keys, api_keys: ApiKeys) -> None:
        self._client = client
        self._keys = keys
        self._api_keys = api_keys

    async def begin(self, key_text: str) -> str:
        """Open a session for the holder of a key; answers its id, which is always a new one."""
        session_id = new_id()
        record = {"key": digest_of(key_text), "until": int(time.time()) + LONGEST_S}
        await self._client.set(self._keys.session(digest_of(session_id)), orjson.dumps(record), ex=IDLE_S)
        return session_id

    async def key_of(self, session_id: str) -> tuple[str, ApiKey] | None:
        """The digest and the key of a session's holder; None when it is over, or its key was revoked.

        Asking keeps the session from expiring.
        """
        if len(session_id) != ID_LENGTH:
            return None
        name = self._keys.session(digest_of(session_id))
        raw = await self._client.getex(name, ex=IDLE_S)
        if raw is None:
            return None
        record = orjson.loads(raw)
        key = await self._api_keys.of_digest(record["key"]) if record["until"] > time.time() else None
        if key is None:
            await self._client.delete(name)
            return None
        return record["key"], key

    async def end(self, session_id: str) -> None:
        """Close a session."""
        await self._client.delete(self._keys.session(digest_of(session_id)))

    async def ticket(self, key_digest: str, path: str) -> str:
        """A ticket that opens a path once, within `TICKET_S`."""
        text = secrets.token_urlsafe(32)
        body = orjson.dumps({"key": key_digest, "path": path})
        await self._client.set(self._keys.ticket(digest_of(text)), body, ex=TICKET_S)
        return text

    async def spend(self, text: str, path: str) -> ApiKey | None:
        """The key behind a ticket, which is worthless from then on; None when it does not open this path."""
        raw = await self._client.getdel(self._keys.ticket(digest_of(text)))
        if raw is None:
            return None
        told = orjson.loads(raw)
        return await self._api_keys.of_digest(told["key"]) if told["path"] == path else None

    async def wait_s(self, address: str) -> int:
        """Seconds until an address may try to sign in again; 0 for now."""
        name = self._keys.tries(digest_of(address)[:32])
        pipe = self._client.pipeline(transaction=False)
        pipe.get(name)
        pipe.ttl(name)
        tries, left_s = await pipe.execute()
        return max(1, int(left_s)) if tries is not None and int(tries) >= TRIES else 0

    async def failed(self, address: str) -> None:
        """Count a sign-in that failed."""
        name = self._keys.tries(digest_of(address)[:32])
        pipe = self._client.pipeline(transaction=True)
        pipe.set(name, 0, ex=TRIES_S, nx=True)
        pipe.incr(name)
        await pipe.execute()
