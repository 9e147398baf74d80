"""API keys: made once, shown once, kept as digests in Redis."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args

import orjson

from streams.errors import PermanentError
from streams.keys import Keys

Scope = Literal["submit", "read", "operate", "admin"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
"""``submit`` jobs and end one's own; ``read``; ``operate`` the system; ``admin`` may do all of it."""

PREFIX: Final = "mr_"
DEFAULT_TENANT: Final = "default"
_TENANT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class BadKeyRequest(PermanentError):  # noqa: N818 - it says what is wrong
    """A key cannot be made like this."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; its text is not.

    Attributes:
        id: Names it in lists, logs and `ApiKeys.revoke`; part of the identity of what it submits.
        name: For people.
    """

    id: str
    name: str
    tenant: str
    scopes: tuple[Scope, ...]
    created_at: str


class ApiKeys:
    """The keys of a namespace: a hash, SHA-256 of the text -> what is known of it."""

    def __init__(self, client: Any, keys: Keys) -> None:
        self._client = client
        self._key = keys.api_keys

    async def create(
        self, name: str, *, tenant: str = DEFAULT_TENANT, scopes: Iterable[str] = ("submit", "read")
    ) -> tuple[str, ApiKey]:
        """Make a key; its text is in the answer and nowhere else.

        Raises:
            BadKeyRequest: An unknown scope, none at all, no name, or a tenant that cannot be one.
        """
        wanted = tuple(scope for scope in SCOPES if scope in set(scopes))
        unknown = sorted(set(scopes) - set(SCOPES))
        if unknown or not wanted:
            raise BadKeyRequest(f"scopes {', '.join(unknown) or 'are missing'}: choose of {', '.join(SCOPES)}")
        if not name.strip() or len(name) > 200:  # noqa: PLR2004 - a name, not a text
            raise BadKeyRequest("a key needs a name of 1 to 200 characters that tells who uses it")
        if _TENANT.fullmatch(tenant) is None:
            raise BadKeyRequest(f"tenant {tenant!r} may have 1 to 64 letters, digits, '_', '.' and '-'")
        text = PREFIX + secrets.token_urlsafe(32)
        made = ApiKey(secrets.token_hex(6), name, tenant, wanted, datetime.now(UTC).isoformat(timespec="seconds"))
        await self._client.hset(self._key, digest_of(text), orjson.dumps(asdict(made)))
        return text, made

    async def find(self, text: str) -> ApiKey | None:
        """What is known of a key by its text; None when it is none of ours, or was revoked."""
        if not text.startswith(PREFIX):
            return None
        return await self.of_digest(digest_of(text))

    async def of_digest(self, digest: str) -> ApiKey | None:
        """What is known of a key by `digest_of` its text."""
        known = await self._client.hget(self._key, digest)
        return _read(known) if known else None

    async def any(self) -> bool:
        """Whether there is a key at all."""
        return bool(await self._client.hlen(self._key))

    async def list(self) -> list[ApiKey]:
        """All keys, the oldest first."""
        found = await self._client.hgetall(self._key)
        return sorted((_read(known) for known in found.values()), key=lambda key: (key.created_at, key.id))

    async def revoke(self, key_id: str) -> bool:
        """Make a key worthless at once; False when there is none with this id."""
        for digest, known in (await self._client.hgetall(self._key)).items():
            if _read(known).id == key_id:
                return bool(await self._client.hdel(self._key, digest))
        return False


def digest_of(text: str) -> str:
    """SHA-256, as Redis keeps keys, sessions and tickets."""
    # The text has 256 random bits: a slow hash would protect nothing more.
    return hashlib.sha256(text.encode()).hexdigest()


def _read(known: bytes) -> ApiKey:
    fields = orjson.loads(known)
    return ApiKey(**{**fields, "scopes": tuple(fields["scopes"])})
