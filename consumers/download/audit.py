"""What is asked beside the pages: whether links are there, the site's own files, and measured parts."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from consumers.audit.asking import MAX_FILE_BYTES, asked
from consumers.audit.measuring import backlinks, competitor, measured, pagespeed
from consumers.audit.remembered import remembered
from consumers.net import urls
from consumers.net.certificate import certificate_of
from consumers.net.errors import FetchFailedError, FetchRefusedError
from consumers.outcome import Done, Outcome
from consumers.stage import stage
from schemas.audit import Errand, KeptErrand
from streams.policy import RetryPolicy, StagePolicy

if TYPE_CHECKING:
    from consumers.context import StageContext

RETRY: Final = RetryPolicy(max_attempts=3, base_s=2, cap_s=60)


@stage(
    name="download",
    accepts=Errand,
    policy=StagePolicy(soft_timeout_s=900, timeout_s=1_000, concurrency=16, window=256, retry=RETRY),
)
async def download(errand: Errand, ctx: StageContext) -> Outcome:
    """Run one errand and keep what it brought."""
    remembered(ctx.job_id).known.add(hash(f"{errand.kind} {errand.url}"))
    if errand.kind == "link":
        data = await asked(errand.url, ctx)
    elif errand.kind == "site":
        ctx.progress("looking at the site's files", 10)
        data = await _site(errand.start, ctx)
    else:
        ctx.progress(f"measuring {errand.kind}", 40)
        data = await measured(errand.kind, ctx, lambda: _part(errand, ctx), is_last=ctx.is_last_attempt)
    await ctx.collect(KeptErrand(kind=errand.kind, url=errand.url, data=data))
    return Done()


async def _part(errand: Errand, ctx: StageContext) -> dict[str, Any]:
    if errand.kind == "pagespeed":
        return await pagespeed(errand.start, ctx)
    if errand.kind == "backlinks":
        return await backlinks(errand.start, ctx)
    return await competitor(errand.url, ctx)


async def _site(start: str, ctx: StageContext) -> dict[str, Any]:
    origin = urls.origin_of(start)
    unlikely = hashlib.sha256(ctx.job_id.encode()).hexdigest()[:16]
    return {
        "robots_txt": await asked(f"{origin}/robots.txt", ctx, keep_bytes=MAX_FILE_BYTES),
        "llms_txt": await asked(f"{origin}/llms.txt", ctx, keep_bytes=64 * 1024),
        "favicon": await asked(f"{origin}/favicon.ico", ctx),
        "not_found": await asked(f"{origin}/millrace-{unlikely}", ctx, keep_bytes=64 * 1024),
        "variants": {url: await asked(url, ctx) for url in _variants(start)},
        "tls": await _tls(start, ctx),
    }


async def _tls(start: str, ctx: StageContext) -> dict[str, str] | None:
    """The site's certificate; None where there is none to look at."""
    if not start.startswith("https:"):
        return None
    try:
        found = await certificate_of(ctx.fetch, start)
    except (FetchFailedError, FetchRefusedError) as error:
        ctx.log.info("certificate not looked at: %s", error, reason=error.reason)
        return None
    return {"error": found.error, "expires_on": found.expires_on.isoformat() if found.expires_on else ""}


def _variants(start: str) -> list[str]:
    """The home page by the other scheme, and with and without www; none for a host that has no such."""
    parsed = urls.parse(start)
    host = parsed.hostname
    if parsed.port or "." not in host or host.replace(".", "").isdigit() or host.startswith("["):
        return []
    other = host.removeprefix("www.") if host.startswith("www.") else f"www.{host}"
    return [
        f"{scheme}://{name}/"
        for scheme in ("https", "http")
        for name in (host, other)
        if f"{scheme}://{name}/" != f"{parsed.protocol}//{host}/"
    ]
