"""Transport, headers and cookies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from consumers.audit.rules.guards import answered, headers, html, https, is_loopback
from consumers.audit.rules.model import Context, Evidence, Skip, applies_not, unmeasured
from consumers.audit.rules.registry import page_rule, site_rule

if TYPE_CHECKING:
    from consumers.audit.page import Page
    from consumers.audit.site import Site

_SESSION: Final = re.compile(r"sess|sid$|^sid|auth|login|token|jwt|remember", re.IGNORECASE)
_NO_SESSION: Final = re.compile(r"csrf|xsrf", re.IGNORECASE)
_VERSION: Final = re.compile(r"/v?\d+(?:\.\d+)*(?![\w.])|\b\d+\.\d+")
_SAFE_INLINE: Final = re.compile(r"'(?:nonce-|sha256-|sha384-|sha512-)", re.IGNORECASE)


def _headers(page: Page, context: Context) -> Skip | None:
    return answered(page, context) or headers(page, context)


def _page_headers(page: Page, context: Context) -> Skip | None:
    return html(page, context) or headers(page, context)


@page_rule(
    "sec-http", "security", "critical", "core", "page", "crawl", answered, fix="Serve the page over https and redirect."
)
def sec_http(page: Page, _: Context) -> Iterator[Evidence]:
    """The page is served over plain http; loopback is excepted."""
    if page.url.startswith("http:") and not is_loopback(page.url):
        yield Evidence(page.url, "the page is served over plain http")


@page_rule("sec-mixed-content", "security", "high", "core", "page", "html", html, https, fix="Load it over https.")
def sec_mixed_content(page: Page, _: Context) -> Iterator[Evidence]:
    """An https page loads an http resource."""
    for url, shown in [(one.url, one.snippet) for one in page.images] + [
        (one.url, one.snippet) for one in page.resources
    ]:
        if url is not None and url.startswith("http:"):
            yield Evidence(page.url, "the resource is loaded over http", shown, url)


@page_rule(
    "sec-hsts",
    "security",
    "medium",
    "core",
    "site",
    "headers",
    _headers,
    https,
    threshold="< 15552000",
    fix="Send Strict-Transport-Security with a max-age of 180 days or more.",
)
def sec_hsts(page: Page, context: Context) -> Iterator[Evidence]:
    """No Strict-Transport-Security on https, or a max-age under the threshold."""
    sent = page.header("strict-transport-security")
    found = re.search(r"max-age\s*=\s*\"?(\d+)", sent or "", re.IGNORECASE)
    if sent is None:
        yield Evidence(page.url, "no Strict-Transport-Security is sent")
    elif found is None or int(found[1]) < context.thresholds.hsts_s:
        yield Evidence(
            page.url, f"max-age is less than {context.thresholds.hsts_s} s", f"Strict-Transport-Security: {sent[:150]}"
        )


@page_rule(
    "sec-csp",
    "security",
    "medium",
    "core",
    "site",
    "headers",
    _page_headers,
    fix="Define a Content-Security-Policy that lets only known scripts run.",
)
def sec_csp(page: Page, _: Context) -> Iterator[Evidence]:
    """No Content-Security-Policy in header or meta, or it allows unsafe-inline scripts without nonce or hash."""
    policies = [*page.all_headers("content-security-policy"), *([page.csp_in_meta] if page.csp_in_meta else [])]
    if not policies:
        yield Evidence(page.url, "there is no Content-Security-Policy")
    elif all(_allows_inline(one) for one in policies):
        yield Evidence(
            page.url,
            "scripts in the page may run without nonce or hash",
            f"Content-Security-Policy: {policies[0][:300]}",
        )


def _allows_inline(policy: str) -> bool:
    directives = dict(part.strip().lower().partition(" ")[::2] for part in reversed(policy.split(";")) if part.strip())
    sources = directives.get("script-src-elem", directives.get("script-src", directives.get("default-src")))
    if sources is None:
        return True  # nothing is said of scripts, so all of them run
    return "'unsafe-inline'" in sources and not _SAFE_INLINE.search(sources) and "'strict-dynamic'" not in sources


@page_rule(
    "sec-nosniff",
    "security",
    "low",
    "extended",
    "site",
    "headers",
    _headers,
    fix="Send X-Content-Type-Options: nosniff.",
)
def sec_nosniff(page: Page, _: Context) -> Iterator[Evidence]:
    """No X-Content-Type-Options: nosniff."""
    sent = page.header("x-content-type-options")
    if (sent or "").strip().lower() != "nosniff":
        yield Evidence(
            page.url,
            "X-Content-Type-Options: nosniff is not sent",
            f"X-Content-Type-Options: {sent[:80]}" if sent else "",
        )


@page_rule(
    "sec-clickjacking",
    "security",
    "medium",
    "core",
    "site",
    "headers",
    _page_headers,
    fix="Send X-Frame-Options or a Content-Security-Policy with frame-ancestors.",
)
def sec_clickjacking(page: Page, _: Context) -> Iterator[Evidence]:
    """Neither X-Frame-Options nor frame-ancestors is sent."""
    framed = page.header("x-frame-options")
    ancestors = any("frame-ancestors" in one.lower() for one in page.all_headers("content-security-policy"))
    if (
        not ancestors
        and (framed or "").strip().lower() not in {"deny", "sameorigin"}
        and not (framed or "").lower().startswith("allow-from")
    ):
        yield Evidence(
            page.url, "any site may show the page in a frame", f"X-Frame-Options: {framed[:80]}" if framed else ""
        )


@page_rule(
    "sec-referrer-policy",
    "security",
    "low",
    "extended",
    "site",
    "headers",
    _headers,
    fix="Send Referrer-Policy: strict-origin-when-cross-origin, or a tighter one.",
)
def sec_referrer_policy(page: Page, _: Context) -> Iterator[Evidence]:
    """No Referrer-Policy."""
    if not page.header("referrer-policy") and not page.meta("referrer"):
        yield Evidence(page.url, "there is no Referrer-Policy")


@page_rule(
    "sec-permissions-policy",
    "security",
    "info",
    "extended",
    "site",
    "headers",
    _headers,
    fix="Limit powerful features with Permissions-Policy.",
)
def sec_permissions_policy(page: Page, _: Context) -> Iterator[Evidence]:
    """No Permissions-Policy."""
    if not page.header("permissions-policy"):
        yield Evidence(page.url, "there is no Permissions-Policy")


def _has_cookies(page: Page, context: Context) -> Skip | None:
    return _headers(page, context) or (
        None if page.header("set-cookie") is not None else applies_not("it sets no cookies")
    )


@page_rule(
    "sec-cookie-flags",
    "security",
    "medium",
    "core",
    "site",
    "headers",
    _has_cookies,
    fix="Set the flags that the cookie lacks.",
)
def sec_cookie_flags(page: Page, _: Context) -> Iterator[Evidence]:
    """A cookie lacks Secure, HttpOnly (for sessions) or SameSite."""
    for cookie in page.all_headers("set-cookie"):
        pair, *flags = cookie.split(";")
        name = pair.partition("=")[0].strip()
        has = {one.partition("=")[0].strip().lower() for one in flags}
        is_session = bool(_SESSION.search(name)) and not _NO_SESSION.search(name)
        lacks = [
            flag
            for flag, is_needed in (("Secure", True), ("HttpOnly", is_session), ("SameSite", True))
            if is_needed and flag.lower() not in has
        ]
        if lacks:
            yield Evidence(
                page.url,
                f"the cookie {name[:60]!r} lacks {', '.join(lacks)}",
                f"Set-Cookie: {name[:60]}=…;{';'.join(flags)[:100]}",
            )


@page_rule(
    "sec-server-leak",
    "security",
    "info",
    "extended",
    "site",
    "headers",
    _headers,
    fix="Leave the version out of the header.",
)
def sec_server_leak(page: Page, _: Context) -> Iterator[Evidence]:
    """Server or X-Powered-By states a version."""
    for name in ("server", "x-powered-by"):
        for value in page.all_headers(name):
            if _VERSION.search(value):
                yield Evidence(page.url, f"{name.title()} states a version", f"{name.title()}: {value[:150]}")


def _has_forms(page: Page, context: Context) -> Skip | None:
    return html(page, context) or (None if page.forms else applies_not("it has no forms"))


@page_rule(
    "sec-form-insecure",
    "security",
    "high",
    "core",
    "page",
    "html",
    _has_forms,
    fix="Serve the page and the form's target over https.",
)
def sec_form_insecure(page: Page, _: Context) -> Iterator[Evidence]:
    """A form posts to http, or sits on an http page."""
    on_http = page.url.startswith("http:") and not is_loopback(page.url)
    for form in page.forms:
        if form.url.startswith("http:") and not is_loopback(form.url):
            yield Evidence(page.url, "the form sends over plain http", form.snippet, form.url)
        elif on_http:
            yield Evidence(page.url, "the form sits on a page served over http", form.snippet, form.url)


# Of the site


def _tls_looked_at(site: Site) -> Skip | None:
    if not site.start_url.startswith("https:"):
        return applies_not("the site is not on https")
    return unmeasured("the certificate was not looked at") if site.probes.tls is None else None


@site_rule(
    "sec-tls-expiry",
    "security",
    "high",
    "core",
    "site",
    "tls",
    _tls_looked_at,
    threshold="14 days",
    fix="Renew the certificate.",
)
def sec_tls_expiry(site: Site) -> Iterator[Evidence]:
    """The certificate has expired, is for another host, or expires within the threshold."""
    tls = site.probes.tls
    if tls is None:
        return
    if tls.error:
        yield Evidence(site.start_url, f"the certificate is not accepted: {tls.error}")
    elif tls.expires_on is not None and (days := (tls.expires_on - site.today).days) <= site.thresholds.tls_days:
        yield Evidence(
            site.start_url,
            f"it expires in {days} days" if days >= 0 else f"it expired {-days} days ago",
            tls.expires_on.isoformat(),
        )
