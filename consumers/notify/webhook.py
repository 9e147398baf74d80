"""Webhooks, signed so that a receiver can tell they are ours and have one only once.

Source: the Standard Webhooks specification 1.0 (payload, headers, signature).
"""

from __future__ import annotations

import binascii
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


async def send_webhook(
    fetch: Fetcher, url: str, outcome: JobOutcome, *, secret: SecretStr | None, traceparent: str, now: datetime
) -> None:
    """POST the outcome to a receiver.

    Args:
        now: When it is sent; receivers refuse what is older than some minutes.

    Raises:
        FetchFailedError: It may be sent again: the receiver tells repeats by the ``webhook-id``.
        PermanentError: The receiver or the guard refused it, or no key to sign it is set.
    """
    id_ = f"msg_{message_id(outcome, 'webhook', url)}"
    await post_signed(fetch, url, id_, webhook_body(outcome), secret=secret, now=now, traceparent=traceparent)


async def post_signed(
    fetch: Fetcher, url: str, id_: str, body: bytes, *, secret: SecretStr | None, now: datetime, traceparent: str = ""
) -> None:
    """POST a body with its signature.

    Args:
        id_: The same whenever this is sent again.

    Raises:
        FetchFailedError: It may be sent again: the receiver tells repeats by the ``webhook-id``.
        PermanentError: The receiver or the guard refused it, or no key to sign it is set.
    """
    headers = {
        "Content-Type": "application/json",
        "webhook-id": id_,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": _signer(secret).sign(id_, now, body.decode()),
        **({"traceparent": traceparent} if traceparent else {}),
    }
    await fetch.post(url, body, headers=headers, timeout_s=TIMEOUT_S)


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
