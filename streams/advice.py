"""What to do about a dead letter: pure, from its reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ADVICE: Final[Mapping[str, str]] = {
    "unknown_task": "Someone put it into the stream under a job that was not issued here. Submit a job, drop this.",
    "unknown_flow": "Install the flow in the workers (or start one that has it), then retry.",
    "unknown_schema_version": "A newer producer wrote it. Upgrade the workers, then retry.",
    "invalid_payload": "Edit the payload: the error names the fields. It is checked before it runs again.",
    "bad_json": "The payload is no JSON: edit it and give a whole one, or drop it.",
    "no_data": "The payload is missing: edit it and give a whole one, or drop it.",
    "poison": "Workers died under it. Look at their log and its payload, raise memory_mb, then retry it alone.",
    "soft_time_limit": "It took longer than its stage allows. Raise the stage's time limit or make the input smaller.",
    "hard_time_limit": "It took longer than its stage allows. Raise the stage's time limit or make the input smaller.",
    "memory_cap": "It needed more memory than its stage allows. Raise the stage's memory_mb, then retry.",
    "blocked_address": "The target is a private address. If that is meant: MILLRACE_ALLOW_HOSTS, restart, retry.",
    "dns": "The name did not resolve. Check the address; edit it when it is wrong, retry when it resolves.",
    "connection": "The other side could not be reached. Retry when it is up.",
    "timeout": "The other side was too slow. Retry when it is well; `pause --host` spares it meanwhile.",
    "tls_certificate": "The site's certificate is not valid. Tell the site, or edit the address.",
    "no_database": "The worker had no PostgreSQL. Set MILLRACE_DATABASE_URL, restart it, then retry.",
    "database_unavailable": "PostgreSQL was away. `millrace doctor` looks; retry when it is back.",
    "database_not_migrated": "Run `millrace migrate`, then retry.",
    "artifact_store_unavailable": "The artifact store was away. `millrace doctor` looks; retry when it is back.",
    "blob_not_found": "Its bytes are gone from the artifact store. Restore them, or run the job again.",
    "browser_missing": "Install the browser: `millrace setup leads`, then retry.",
    "undeclared_emission": "A handler emitted to a stage that it does not declare. Mend the flow, then retry.",
    "http_401": "The site wants a login. It will not succeed by itself: drop it, or name another source.",
    "http_403": "The site refuses us. Ask its owner or name another source; retry only when that changed.",
    "http_404": "The page is gone. Edit the address, or drop it.",
    "http_410": "The page is gone for good. Edit the address, or drop it.",
    "http_429": "The site asked for a pause. Wait, then retry slowly (`--rate 1`).",
    "http_451": "The page is withheld for legal reasons. Drop it, or name another source.",
}
"""Reason -> what to do."""

QUARANTINED: Final = (
    "It was redriven {redriven} times and died again: mend the cause, then retry it by its id with --force."
)
SERVER_ERROR: Final = "The site failed. Retry when it is well; `pause --host` spares it meanwhile."
OTHERWISE: Final = "Read the error and the traceback, mend the cause (or edit the payload), then retry; or drop it."


def advice(reason: str, redriven: int, max_redrives: int) -> str:
    """What to do about a dead letter, in a sentence or two."""
    if redriven >= max_redrives:
        return QUARANTINED.format(redriven=redriven)
    if reason.startswith("http_5"):
        return SERVER_ERROR
    return ADVICE.get(reason, OTHERWISE)
