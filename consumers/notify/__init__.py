"""The notify stage, the same for all flows: the outcome event, signed webhooks and mails."""

from consumers.notify.tell import notify

__all__ = ["notify"]
