"""What the analytics leave in Redis for whoever shows it: windows, alerts, silences, and the news of alerts.

::

    <namespace>:analytics            hash: window -> JSON; `state` -> what the process says of itself
    <namespace>:analytics:lead       which process is elected
    <namespace>:alerts               hash: rule and subject -> JSON
    <namespace>:alerts:silence       hash: rule -> JSON {"until_ms", "by", "reason"}
    <namespace>:alerts:news          stream: what fired and cleared
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

import orjson

from consumers.analytics.rules import RULES, Alert
from streams.keys import Keys

NEWS_KEPT_MS: Final = 7 * 86_400_000
STALE_MS: Final = 15_000
"""After so long without a word the numbers are old: the process is gone, or reads back."""

_RENEW: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0
"""
_RELEASE: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


@dataclass(frozen=True, slots=True)
class Silence:
    """That nobody is told of a rule.

    Attributes:
        until_ms: Until when, milliseconds since the epoch.
    """

    rule: str
    until_ms: int
    by: str
    reason: str


class Kept:
    """A client of it. Every method raises redis-py's errors when the server is away."""

    def __init__(self, client: Any, keys: Keys) -> None:
        self._client = client
        self._windows = f"{keys.namespace}:analytics"
        self._lead = f"{keys.namespace}:analytics:lead"
        self._alerts = f"{keys.namespace}:alerts"
        self._silence = f"{keys.namespace}:alerts:silence"
        self.news = f"{keys.namespace}:alerts:news"

    async def lead(self, name: str, lease_ms: int) -> bool:
        """Be the elected process for so long, or stay it; False when another one is."""
        return bool(await self._client.eval(_RENEW, 1, self._lead, name, lease_ms))

    async def step_down(self, name: str) -> None:
        """Let another one lead."""
        await self._client.eval(_RELEASE, 1, self._lead, name)

    async def publish(self, windows: dict[str, Any], state: dict[str, Any]) -> None:
        """Show windows, and what the process says of itself."""
        fields = {name: orjson.dumps(window) for name, window in {**windows, "state": state}.items()}
        await self._client.hset(self._windows, mapping=fields)

    async def window(self, name: str) -> Any:
        """A kind's windows, the newest first; None when none were shown."""
        found = await self._client.hget(self._windows, name)
        return orjson.loads(found) if found is not None else None

    async def state(self) -> dict[str, Any]:
        """What the process said of itself; `is_stale` when that is long ago."""
        found = await self._client.hget(self._windows, "state")
        state: dict[str, Any] = orjson.loads(found) if found is not None else {}
        state["is_stale"] = time.time() * 1_000 - state.get("at_ms", 0) > STALE_MS
        return state

    async def alerts(self) -> dict[str, Alert]:
        """Every rule and where it stands."""
        rows = await self._client.hgetall(self._alerts)
        return {key.decode(): Alert(**orjson.loads(row)) for key, row in rows.items()}

    async def note(self, alerts: list[Alert]) -> None:
        """Keep where rules stand."""
        if alerts:
            await self._client.hset(self._alerts, mapping={one.key: orjson.dumps(one.view()) for one in alerts})

    async def tell(self, alert: Alert, now_ms: int, *, is_silenced: bool) -> str:
        """Add to the news what fired or cleared; answers the entry's id."""
        fields = {
            "type": "fired" if alert.is_firing else "cleared", "rule": alert.rule, "subject": alert.subject,
            "said": alert.said, "value": alert.value, "threshold": alert.threshold, "silenced": int(is_silenced),
        }  # fmt: skip
        entry_id = await self._client.xadd(self.news, fields)
        await self._client.xtrim(self.news, minid=f"{max(0, now_ms - NEWS_KEPT_MS)}-0", approximate=True)
        told: str = entry_id.decode()
        return told

    async def recent(self, limit: int) -> list[dict[str, Any]]:
        """The newest news, the newest first."""
        rows = await self._client.xrevrange(self.news, count=limit)
        return [news_view(entry_id.decode(), raw) for entry_id, raw in rows]

    async def silences(self) -> dict[str, Silence]:
        """Rules that nobody is told of now."""
        now_ms = time.time() * 1_000
        rows = await self._client.hgetall(self._silence)
        found = {rule.decode(): Silence(**orjson.loads(row)) for rule, row in rows.items()}
        return {rule: one for rule, one in found.items() if rule in RULES and one.until_ms > now_ms}

    async def silence(self, silence: Silence) -> None:
        """Tell nobody of a rule until then; a time that is past ends it."""
        await self._client.hset(self._silence, silence.rule, orjson.dumps(silence_view(silence)))


def silence_view(silence: Silence) -> dict[str, Any]:
    """As it is kept and shown."""
    return {"rule": silence.rule, "until_ms": silence.until_ms, "by": silence.by, "reason": silence.reason}


def news_view(entry_id: str, raw: dict[bytes, bytes]) -> dict[str, Any]:
    """A piece of news as it is shown."""
    fields: dict[str, Any] = {name.decode(): value.decode("utf-8", "replace") for name, value in raw.items()}
    for name in ("value", "threshold"):
        fields[name] = float(fields[name])
    return fields | {"id": entry_id, "silenced": fields["silenced"] == "1"}
