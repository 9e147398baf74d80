"""Every rule that judges sites, with a site that fails it and one that passes it."""

from __future__ import annotations

from datetime import date

import pytest

from consumers.audit.document import Document, Hop
from consumers.audit.robots_file import read
from consumers.audit.rules import RULES, Fetched, Status
from consumers.audit.site import Probes, Sitemap, SitemapEntry, TextFile, Tls
from consumers.audit.sitemap_file import read_sitemap
from tests.support.audit_pages import BODY, HEAD, HOME, URL, doc, in_head, in_main, prose, site_verdict, swap

Case = tuple[list[Document], Probes]
CANONICAL = f'<link rel="canonical" href="{URL}">'
ROBOTS_URL, SITEMAP_URL = f"{HOME}robots.txt", f"{HOME}sitemap.xml"


def page(path: str, body: str = BODY, head: str = HEAD, **more: object) -> Document:
    """A page of the site whose canonical is itself."""
    url = HOME + path
    return doc(body, head=swap(head, (CANONICAL, f'<link rel="canonical" href="{url}">')), url=url, **more)  # type: ignore[arg-type]


def linked(*hrefs: str) -> str:
    return in_main("".join(f'<a href="{one}">Page {one}</a> ' for one in hrefs))


def robots(text: str = "User-agent: *\nAllow: /\n", status: int = 200, **more: object) -> Probes:
    file = TextFile(ROBOTS_URL, status, "" if status else "timeout", "text/plain", text, len(text))
    return Probes(robots_txt=file, robots=read(text) if status == 200 else None, **more)  # type: ignore[arg-type]


def sitemap(
    *urls: str, lastmod: str = "", size: int = 900, problems: tuple[str, ...] = (), declared: bool = True
) -> Probes:
    entries = tuple(SitemapEntry(one, lastmod) for one in urls)
    return robots(sitemaps=(Sitemap(TextFile(SITEMAP_URL, 200, size_bytes=size), entries, (), problems, declared),))


def fetched(url: str, answer: Fetched) -> Probes:
    return Probes(fetched={url: answer})


def moved(path: str, to: str) -> Document:
    return doc(url=HOME + to, requested_url=HOME + path, redirects=(Hop(301, HOME + path, HOME + to),))


START = page("")
OTHER = page(
    "b",
    in_main(prose(700)),
    head=swap(
        HEAD,
        ("Choosing a ship lamp for the table", "Cables and how to cut them"),
        ("How to choose a ship lamp", "How to cut a cable"),
    ),
)
CABLES = page("c", in_main("".join(f"<p>Cable {n} is cut at {n * 3} mm with shears {n % 7}.</p>" for n in range(90))))
GONE = doc(url=f"{HOME}gone", status=404)
HIDDEN = page("hidden", head=in_head('<meta name="robots" content="noindex">'))
ORG = (
    '<script type="application/ld+json">{{"@context":"https://schema.org","@type":"Organization","name":"{}"}}</script>'
)
LLMS = "# Harbour Lamps\n\n> Ship lamps for long tables, made to be mended.\n\n## Guides\n\n- [Choosing a lamp](/guides/choosing-a-ship-lamp): what to measure\n"
PHOTO = "https://www.harbourlamps.example/lamp.jpg"


def canonical_of(target: str) -> Document:
    return doc(head=swap(HEAD, (CANONICAL, f'<link rel="canonical" href="{HOME}{target}">')), url=f"{HOME}copy")


def alternate(code: str, target: str, path: str) -> Document:
    links = f'<link rel="alternate" hreflang="en" href="{HOME}{path}"><link rel="alternate" hreflang="{code}" href="{HOME}{target}">'
    return page(path, head=HEAD + links)


SITE_CASES: dict[str, tuple[Case, Case]] = {
    "redirect-internal-link": (([page("", linked("/old")), moved("old", "new")], Probes()), ([page("", linked("/b")), OTHER], Probes())),
    "host-variants": (
        ([START], Probes(variants={HOME: Fetched(200, url=HOME), "https://harbourlamps.example/": Fetched(200, url="https://harbourlamps.example/")})),
        ([START], Probes(variants={HOME: Fetched(200, url=HOME), "https://harbourlamps.example/": Fetched(200, url=HOME, redirect_status=301)})),
    ),
    "soft-404": (([START], Probes(not_found=(200, "Page not found", ""))), ([START], Probes(not_found=(404, "Page not found", "")))),
    "robots-txt-missing": (([START], robots(status=404)), ([START], robots())),
    "robots-txt-error": (([START], robots(status=503)), ([START], robots())),
    "robots-txt-invalid": (([START], robots("Disallow: /x\nUser-agent: *\nDisallow: admin\nCrawl: no\n")), ([START], robots("# all\nUser-agent: *\nDisallow:\nSitemap: https://a.example/s.xml\n"))),
    "robots-txt-not-text": (([START], robots("<!doctype html><p>Not found</p>")), ([START], robots())),
    "robots-blocks-all": (([START], robots("User-agent: Googlebot\nDisallow: /\n")), ([START], robots("User-agent: *\nDisallow: /admin\n"))),
    "robots-blocked-page": (([page("", linked("/private/a"))], robots("User-agent: *\nDisallow: /private/\n")), ([page("", linked("/b"))], robots())),
    "robots-blocks-resources": (([doc(head=in_head('<link rel="stylesheet" href="/css/a.css">'), url=HOME)], robots("User-agent: *\nDisallow: /css/\n")), ([doc(head=in_head('<link rel="stylesheet" href="/css/a.css">'), url=HOME)], robots())),
    "crawl-delay-high": (([START], robots("User-agent: *\nCrawl-delay: 11\n")), ([START], robots("User-agent: *\nCrawl-delay: 10\n"))),
    "sitemap-missing": (([START], robots(sitemaps=())), ([START], sitemap(HOME))),
    "sitemap-not-declared": (([START], sitemap(HOME, declared=False)), ([START], sitemap(HOME))),
    "sitemap-invalid": (([START], sitemap(HOME, problems=("it is not well-formed XML",))), ([START], sitemap(HOME))),
    "sitemap-too-large": (([START], sitemap(HOME, size=60_000_000)), ([START], sitemap(HOME))),
    "sitemap-bad-status": (([START, GONE], sitemap(f"{HOME}gone")), ([START], sitemap(HOME))),
    "sitemap-noindex": (([START, HIDDEN], sitemap(f"{HOME}hidden")), ([START], sitemap(HOME))),
    "sitemap-blocked": (([START], Probes(robots_txt=TextFile(ROBOTS_URL, 200), robots=read("User-agent: *\nDisallow: /b"), sitemaps=sitemap(f"{HOME}b").sitemaps)), ([START], sitemap(HOME))),
    "sitemap-non-canonical": (([START, canonical_of("b")], sitemap(f"{HOME}copy")), ([START], sitemap(HOME))),
    "sitemap-missing-page": (([page("", linked("/b")), OTHER], sitemap(HOME)), ([page("", linked("/b")), OTHER], sitemap(HOME, f"{HOME}b"))),
    "sitemap-lastmod-bad": (([START], sitemap(HOME, lastmod="01.02.2026")), ([START], sitemap(HOME, lastmod="2026-02-01T10:00:00+01:00"))),
    "orphan-page": (([START, OTHER], sitemap(f"{HOME}b")), ([page("", linked("/b")), OTHER], sitemap(f"{HOME}b"))),
    "crawl-depth": (([page(f"d{n}" if n else "", f'<main><h1>Level {n}</h1><a href="/d{n + 1}">On</a></main>') for n in range(7)], Probes()), ([START], Probes())),
    "crawl-trap": (([page("", linked("/a/x/a/x/a/"))], Probes()), ([page("", linked("/a/x/"))], Probes())),
    "canonical-to-error": (([START, canonical_of("gone"), GONE], Probes()), ([START, canonical_of("b"), OTHER], Probes())),
    "canonical-to-redirect": (([START, canonical_of("old"), moved("old", "new")], Probes()), ([START, canonical_of("b"), OTHER], Probes())),
    "canonical-to-noindex": (([START, canonical_of("hidden"), HIDDEN], Probes()), ([START, canonical_of("b"), OTHER], Probes())),
    "canonical-chain": (([canonical_of("third"), doc(head=swap(HEAD, (CANONICAL, f'<link rel="canonical" href="{HOME}b">')), url=f"{HOME}third"), OTHER], Probes()), ([START, canonical_of("b"), OTHER], Probes())),
    "pagination-broken": (([page("", head=in_head('<link rel="next" href="/gone">')), GONE], Probes()), ([START], Probes())),
    "duplicate-content-exact": (([START, page("twin")], Probes()), ([START, OTHER], Probes())),
    "duplicate-content-near": (([page("", in_main(prose(3_000))), page("near", in_main(f"{prose(3_000)}<p>One sentence more.</p>"))], Probes()), ([START, CABLES], Probes())),
    "url-parameters-duplicate": (([page("x?a=1&b=2"), page("x?b=2&a=1&utm_source=mail")], Probes()), ([page("x?a=1"), page("x?a=2")], Probes())),
    "title-duplicate": (([START, page("twin")], Probes()), ([START, OTHER], Probes())),
    "description-duplicate": (([START, page("twin")], Probes()), ([START, OTHER], Probes())),
    "h1-duplicate": (([START, page("twin")], Probes()), ([START, page("other", swap(BODY, ("Which ship lamp fits your table", "Cables")))], Probes())),
    "favicon-missing": (([page("", head=swap(HEAD, ('<link rel="icon" href="/favicon.ico">', "")))], Probes(favicon=Fetched(404))), ([START], Probes(favicon=Fetched(200)))),
    "link-broken-internal": (([page("", linked("/gone")), GONE], Probes()), ([page("", linked("/b")), OTHER], Probes())),
    "link-broken-external": (([START], fetched("https://glassworks.example/furnaces", Fetched(404))), ([START], fetched("https://glassworks.example/furnaces", Fetched(403)))),
    "link-external-redirect": (([START], fetched("https://glassworks.example/furnaces", Fetched(200, url="https://new.example/", redirect_status=301))), ([START], fetched("https://glassworks.example/furnaces", Fetched(200)))),
    "link-fragment-missing": (([page("", linked("/b#nowhere")), OTHER], Probes()), ([page("", linked("/c#spot")), page("c", in_main('<p id="spot">x</p>'))], Probes())),
    "link-follow-mixed": (([page("", linked("/b")), page("n", in_main('<a rel="nofollow" href="/b">b</a>')), OTHER], Probes()), ([page("", linked("/b")), OTHER], Probes())),
    "link-few-inlinks": (([page("", linked("/b")), OTHER], Probes()), ([page("", linked("/b")), page("n", linked("/b")), page("m", linked("/b")), OTHER], Probes())),
    "img-broken": (([START], fetched(PHOTO, Fetched(200, content_type="text/html"))), ([START], fetched(PHOTO, Fetched(200, content_type="image/jpeg")))),
    "img-large": (([START], fetched(PHOTO, Fetched(200, content_type="image/jpeg", size_bytes=500_001))), ([START], fetched(PHOTO, Fetched(200, content_type="image/jpeg", size_bytes=500_000)))),
    "img-legacy-format": (([START], fetched(PHOTO, Fetched(200, content_type="image/jpeg", size_bytes=200_000))), ([START], fetched(PHOTO, Fetched(200, content_type="image/webp", size_bytes=200_000)))),
    "hreflang-no-return": (([alternate("de", "de", "en"), page("de")], Probes()), ([alternate("de", "de", "en"), alternate("de", "en", "de")], Probes())),
    "hreflang-to-non-canonical": (([alternate("de", "copy", "en"), canonical_of("b")], Probes()), ([alternate("de", "de", "en"), page("de")], Probes())),
    "hreflang-to-bad-target": (([alternate("de", "gone", "en"), GONE], Probes()), ([alternate("de", "de", "en"), page("de")], Probes())),
    "perf-resource-broken": (([doc(head=in_head('<script src="/a.js"></script>'), url=HOME)], fetched(f"{HOME}a.js", Fetched(404))), ([doc(head=in_head('<script src="/a.js"></script>'), url=HOME)], fetched(f"{HOME}a.js", Fetched(200)))),
    "sec-tls-expiry": (([START], Probes(tls=Tls(expires_on=date(2026, 6, 10)))), ([START], Probes(tls=Tls(expires_on=date(2026, 9, 10))))),
    "og-image-bad": (([START], fetched(f"{HOME}logo.png", Fetched(200, content_type="image/png", width=64, height=64))), ([START], fetched(f"{HOME}logo.png", Fetched(200, content_type="image/png", width=1200, height=630)))),
    "geo-ai-bots-blocked": (([START], robots("User-agent: PerplexityBot\nDisallow: /\n")), ([START], robots("User-agent: GPTBot\nDisallow: /\n"))),
    "geo-training-bots-policy": (([START], robots()), ([START], robots("".join(f"User-agent: {one}\n" for one in ("GPTBot", "ClaudeBot", "Google-Extended", "Applebot-Extended", "CCBot", "Bytespider", "Meta-ExternalAgent", "Amazonbot")) + "Disallow: /\n"))),
    "geo-llms-txt-missing": (([START], Probes(llms_txt=TextFile(f"{HOME}llms.txt", 404))), ([START], Probes(llms_txt=TextFile(f"{HOME}llms.txt", 200, text=LLMS)))),
    "geo-llms-txt-invalid": (([START], Probes(llms_txt=TextFile(f"{HOME}llms.txt", 200, text="Welcome"))), ([START], Probes(llms_txt=TextFile(f"{HOME}llms.txt", 200, text=LLMS)))),
    "geo-entity-inconsistent": (([page("", head=in_head(ORG.format("Harbour Lamps"))), page("x", head=in_head(ORG.format("Harbor Lamp Co")))], Probes()), ([page("", head=in_head(ORG.format("Harbour Lamps"))), page("x", head=in_head(ORG.format("Harbour Lamps")))], Probes())),
    "geo-brand-not-mentioned": (([START], Probes(brand_answers=(12, 0))), ([START], Probes(brand_answers=(12, 3)))),
}  # fmt: skip


@pytest.mark.parametrize("rule", SITE_CASES)
def test_it_fails_and_passes(rule: str) -> None:
    (bad_pages, bad_probes), (good_pages, good_probes) = SITE_CASES[rule]
    bad, good = site_verdict(rule, *bad_pages, probes=bad_probes), site_verdict(rule, *good_pages, probes=good_probes)
    assert bad.status is Status.FAILED, bad.why
    assert all(one.url and one.detail for one in bad.evidence)
    assert good.status is Status.PASSED or (
        good.status is Status.NOT_APPLICABLE and rule.startswith(("canonical-to", "pagination"))
    ), good


def test_every_site_rule_has_its_sites() -> None:
    assert {name for name, rule in RULES.items() if rule.on_site is not None} == set(SITE_CASES)


def test_what_was_not_asked_is_not_measured() -> None:
    probed = ("host-variants", "soft-404", "robots-txt-missing", "sitemap-missing", "link-broken-external", "img-broken",
              "sec-tls-expiry", "geo-llms-txt-missing", "geo-brand-not-mentioned", "geo-ai-bots-blocked")  # fmt: skip
    assert {site_verdict(rule, START).status for rule in probed} == {Status.NOT_MEASURED}


def test_a_crawl_that_was_cut_short_measures_no_orphans() -> None:
    probes = sitemap(f"{HOME}b")
    assert site_verdict("orphan-page", START, OTHER, probes=probes, complete=False).status is Status.NOT_MEASURED


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"<urlset", "not well-formed"), (b"<rows/>", "root element"), (b'<!DOCTYPE x [<!ENTITY a "b">]><urlset/>', "entities"),
        (b'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"><url><loc>/a</loc></url></urlset>', "not an absolute URL"),
    ],
)  # fmt: skip
def test_sitemaps_that_are_none(body: bytes, problem: str) -> None:
    found = read_sitemap(TextFile(SITEMAP_URL, 200), body)
    assert problem in found.problems[0]


def test_a_good_sitemap_is_read() -> None:
    body = (
        b'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:xhtml="http://www.w3.org/1999/xhtml">'
        b"<url><loc> https://a.example/x </loc><lastmod>2026-01-01</lastmod>"
        b'<xhtml:link rel="alternate" hreflang="de" href="https://a.example/de/x"/></url></urlset>'
    )
    found = read_sitemap(TextFile(SITEMAP_URL, 200), body)
    assert found.problems == ()
    assert found.entries == (SitemapEntry("https://a.example/x", "2026-01-01", (("de", "https://a.example/de/x"),)),)
