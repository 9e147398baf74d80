"""Telling operators of an alert: a mail by a job of its own, a signed webhook. The news stream has it in any case."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from consumers.analytics.rules import CURES, Alert
from consumers.flow import Flows
from consumers.notify.webhook import Call, send_webhook
from consumers.submit import submit
from schemas.jobs import JobRequest
from streams.errors import Refused
from streams.scripts import Code

if TYPE_CHECKING:
    from consumers.net.fetch import Fetcher
    from schemas.settings import Settings
    from streams.log import Log


def news_of(alert: Alert) -> dict[str, Any]:
    """What is said of an alert, in a webhook as in the live event."""
    return {
        "type": f"millrace.alert.{'fired' if alert.is_firing else 'cleared'}", "rule": alert.rule,
        "subject": alert.subject, "said": alert.said, "value": alert.value, "threshold": alert.threshold,
        "cure": CURES[alert.rule],
    }  # fmt: skip


class Teller:
    """Tells of alerts as the settings say; each news once, however often it is told."""

    def __init__(self, settings: Settings, log: Log, flows: Flows, fetch: Fetcher) -> None:
        self._settings = settings
        self._log = log
        self._flows = flows
        self._fetch = fetch

    async def tell(self, alert: Alert, news_id: str) -> None:
        """Send what fired or cleared.

        Raises:
            TransientError, PermanentError: The webhook's receiver did not take it; the mail is submitted all the same.
        """
        if self._settings.digest_to:
            await self._mail(alert, news_id)
        if self._settings.alert_webhook is not None:
            now = datetime.now(UTC)
            body = orjson.dumps({**news_of(alert), "timestamp": now.isoformat(), "id": news_id})
            await send_webhook(
                self._fetch, self._settings.alert_webhook, Call(f"msg_alert_{news_id}", body),
                secret=self._settings.webhook_secret, traceparent="", now=now,
            )  # fmt: skip

    async def _mail(self, alert: Alert, news_id: str) -> None:
        state = "fires" if alert.is_firing else "is over"
        subject = f"Millrace alert {alert.rule} {alert.subject}".strip() + f" {state}: {alert.said}"
        cure = f"\n\nWhat to do: {CURES[alert.rule]}." if alert.is_firing else ""
        text = f"{alert.said}. Threshold: {alert.threshold:g}.{cure}"
        spec = {"to": list(self._settings.digest_to), "subject": subject[:500], "text": text}
        request = JobRequest(flow="email", spec=spec, priority="low")
        try:
            await submit(self._log, self._flows, request, identity=f"alert {alert.key} {news_id}")
        except Refused as refusal:
            if refusal.code != Code.CONFLICT:  # mailed before
                raise
