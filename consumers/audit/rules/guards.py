"""What must hold before a rule has anything to say."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from consumers.audit.rules.model import Context, Skip, applies_not, unmeasured
from consumers.net import urls

if TYPE_CHECKING:
    from consumers.audit.page import Page
    from consumers.audit.site import Site


def html(page: Page, _: Context) -> Skip | None:
    """A page: HTML that answered 2xx."""
    if page.failure or not page.status:
        return applies_not("there was no answer")
    if not page.is_html:
        return applies_not("it is not HTML")
    return None if page.is_ok else applies_not(f"it answered {page.status}")


def indexable(page: Page, context: Context) -> Skip | None:
    """A page that search engines may list."""
    if skip := html(page, context):
        return skip
    return None if page.is_indexable else applies_not("it is not indexable")


def headers(page: Page, _: Context) -> Skip | None:
    """The answer's headers are known."""
    return unmeasured("the headers of the answer are not known") if page.headers is None else None


def answered(page: Page, _: Context) -> Skip | None:
    """There was an answer at all."""
    return applies_not("there was no answer") if page.failure or not page.status else None


def https(page: Page, _: Context) -> Skip | None:
    """The page is served over https."""
    return None if page.url.startswith("https:") else applies_not("it is not served over https")


def home(page: Page, context: Context) -> Skip | None:
    """The page is the site's home page."""
    return None if is_home(page, context) else applies_not("it is not the home page")


def is_home(page: Page, context: Context) -> bool:
    """Whether a page is the start page of its site, or by its root path when the site is not known."""
    if context.home_url is not None:
        return context.home_url in {page.url, page.requested_url}
    return urlsplit(page.url).path in {"", "/", "/index.html", "/index.htm", "/index.php"}


def article(page: Page, context: Context) -> Skip | None:
    """The page is an article."""
    if skip := html(page, context):
        return skip
    return None if page.authorship.is_article else applies_not("it is not an article")


def lighthouse(_: Page, context: Context) -> Skip | None:
    """Lighthouse ran."""
    return None if context.lighthouse else unmeasured("Lighthouse did not run on this page")


def rendered(page: Page, _: Context) -> Skip | None:
    """The page was rendered in a browser."""
    return unmeasured("the page was not rendered in a browser") if page.rendered is None else None


def is_loopback(url: str) -> bool:
    """Whether a URL is this machine's own."""
    try:
        host = urls.parse(url).hostname
    except ValueError:
        return False
    return host in {"localhost", "[::1]"} or host.endswith(".localhost") or host.startswith("127.")


# Of sites


def robots_asked(site: Site) -> Skip | None:
    """robots.txt was asked for."""
    return unmeasured("robots.txt was not asked for") if site.probes.robots_txt is None else None


def robots_read(site: Site) -> Skip | None:
    """robots.txt was there to be read."""
    if skip := robots_asked(site):
        return skip
    file = site.probes.robots_txt
    if file is None or file.status != 200:  # noqa: PLR2004
        return applies_not("there is no robots.txt")
    return None


def sitemaps_asked(site: Site) -> Skip | None:
    """Sitemaps were looked for."""
    return unmeasured("sitemaps were not looked for") if site.probes.sitemaps is None else None


def sitemaps_found(site: Site) -> Skip | None:
    """There is a sitemap."""
    if skip := sitemaps_asked(site):
        return skip
    return None if site.probes.sitemaps else applies_not("there is no sitemap")


def crawled_whole(site: Site) -> Skip | None:
    """Nothing was left out by the page budget."""
    return None if site.is_complete else unmeasured("the page budget ended the crawl before all pages were seen")
