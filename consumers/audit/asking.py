"""Whether an address is there, and what its answer says of it; with manners."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from consumers.audit.image_size import START_BYTES, image_size
from consumers.net import urls
from consumers.net.errors import FetchFailedError, FetchRefusedError, status_error

if TYPE_CHECKING:
    from consumers.context import StageContext

TIMEOUT_S: Final = 20.0
MAX_FILE_BYTES: Final = 512 * 1024
_KEPT_HEADERS: Final = (
    "cache-control", "content-encoding", "content-type", "content-length", "expires", "etag", "last-modified",
    "strict-transport-security",
)  # fmt: skip


async def asked(url: str, ctx: StageContext, *, keep_bytes: int = 0) -> dict[str, Any]:
    """What asking an address comes to; of the body only the first bytes, when they are wanted.

    Raises:
        FetchFailedError: It may be better later, and there are attempts left.
    """
    try:
        async with (
            ctx.politeness.slot(urls.host_of(url)),
            ctx.fetch.stream(
                url, timeout_s=TIMEOUT_S, max_bytes=max(keep_bytes, MAX_FILE_BYTES), any_status=True
            ) as answer,
        ):
            head = answer.head
            shown = status_error(url, head.status, head.headers, now=datetime.now(UTC))
            if isinstance(shown, FetchFailedError) and not ctx.is_last_attempt:
                raise shown
            is_image = (head.content_type or "").startswith("image/")
            wanted = keep_bytes or (START_BYTES if is_image else 0)
            body = await answer.start(wanted) if wanted else b""
    except FetchRefusedError as error:
        return {"status": error.status or 0, "failure": error.reason}
    except FetchFailedError as error:
        if not ctx.is_last_attempt:
            raise
        return {"status": error.status or 0, "failure": error.reason}
    except ValueError:
        return {"status": 0, "failure": "bad_url"}
    length = head.headers.get("Content-Length", "")
    answered: dict[str, Any] = {
        "status": head.status,
        "url": head.url,
        "content_type": head.content_type or "",
        "size_bytes": int(length) if length.isdigit() else None,
        "headers": {name: head.headers[name] for name in _KEPT_HEADERS if name in head.headers},
        "redirect_status": head.redirects[0].status if head.redirects else 0,
    }
    if is_image and (size := image_size(body)) is not None:
        answered["width"], answered["height"] = size
    if keep_bytes:
        answered["text"] = body.decode("utf-8", "replace")
        answered["size_bytes"] = answered["size_bytes"] or len(body)
    return answered
