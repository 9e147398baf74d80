"""Webhooks, signed so that a receiver can tell they are ours and have one only once.

Source: the Standard Webhooks specification 1.0 (payload, headers, signature).
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from consumers.notify.event import message_id
from streams.errors import PermanentError

if TYPE_CHECKING:
    from datetime import datetime

    from pydantic import SecretStr

    from consumers.net.fetch import Fetcher
    from schemas.outcomes import JobOutcome

TIMEOUT_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Call:
    """What one webhook is told: its ``webhook-id``, the same for every try, and the body."""

    id: str
    body: bytes


async def send_webhook(
    fetch: Fetcher, url: str, call: Call, *, secret: SecretStr | None, traceparent: str, now: datetime
) -> None:
    """POST something to a receiver.

    Args:
        now: When it is sent; receivers refuse what is older than some minutes.

    Raises:
        FetchFailedError: It may be sent again: the receiver tells repeats by the ``webhook-id``.
        PermanentError: The receiver or the guard refused it, or no key to sign it is set.
    """
    signer = _signer(secret)
    headers = {
        "Content-Type": "application/json",
        "webhook-id": call.id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signer.sign(call.id, now, call.body.decode()),
        "traceparent": traceparent,
    }
    await fetch.post(url, call.body, headers=headers, timeout_s=TIMEOUT_S)


def outcome_call(outcome: JobOutcome, url: str) -> Call:
    """What a receiver is told of a job's end."""
    return Call(f"msg_{message_id(outcome, 'webhook', url)}", webhook_body(outcome))


def webhook_body(outcome: JobOutcome) -> bytes:
    """What is POSTed: type, timestamp and data."""
    return orjson.dumps(
        {
            "type": outcome.event_type,
            "timestamp": outcome.finished_at.isoformat(),
            "data": outcome.model_dump(mode="json"),
        }
    )


def _signer(secret: SecretStr | None) -> Webhook:
    if secret is None:
        raise PermanentError(
            "webhooks are signed, and there is no key: set MILLRACE_WEBHOOK_SECRET", reason="no_webhook_secret"
        )
    try:
        return Webhook(secret.get_secret_value())
    except (binascii.Error, ValueError, EmptyWebhookSecretError):
        raise PermanentError(
            "MILLRACE_WEBHOOK_SECRET is not whsec_ and base64, so webhooks cannot be signed",
            reason="bad_webhook_secret",
        ) from None
