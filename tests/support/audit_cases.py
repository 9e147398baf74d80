"""For every rule that judges pages, a document that fails it and one that passes it."""

from __future__ import annotations

from consumers.audit.document import Document, Hop, Lighthouse, Rendered
from tests.support.audit_pages import BODY, HEAD, HOME, LOGO, QUESTION, URL, doc, in_head, in_main, prose, swap

TITLE = "<title>Choosing a ship lamp for the table | Harbour Lamps</title>"
SUMMARY = HEAD[HEAD.index('<meta name="description"') : HEAD.index('<meta name="viewport"')].strip()
VIEWPORT = '<meta name="viewport" content="width=device-width, initial-scale=1">'
CANONICAL = f'<link rel="canonical" href="{URL}">'
H1 = "<h1>Which ship lamp fits your table</h1>"
IMG = '<img src="/lamp.jpg" alt="A brass lamp above a table" width="640" height="480">'
EN, DE = f"{HOME}en/lamps", f"{HOME}de/lampen"


def head(old: str, new: str) -> Document:
    return doc(head=swap(HEAD, (old, new)))


def body(old: str, new: str) -> Document:
    return doc(swap(BODY, (old, new)))


def ld(text: str) -> Document:
    return doc(head=in_head(f'<script type="application/ld+json">{text}</script>'))


def alternates(*pairs: tuple[str, str], url: str = EN, lang: str = "en") -> Document:
    links = "".join(f'<link rel="alternate" hreflang="{code}" href="{href}">' for code, href in pairs)
    return doc(head=swap(HEAD, (URL, url)) + links, url=url, lang=lang)


def article(main: str, extra: str = "") -> Document:
    said = (
        '<meta property="article:published_time" content="2026-02-01T08:00:00Z"><meta name="author" content="Ida Holm">'
    )
    return doc(f"<main>{H1}{main}<p><a href='/guides/'>Guides</a></p></main>", head=in_head(said + extra))


def home(organisation: str, links: str = '<a href="/about">About us</a>') -> Document:
    return doc(
        swap(BODY, ('<a href="/about">About us</a>', links)),
        head=swap(HEAD, (URL, HOME)) + f'<script type="application/ld+json">{organisation}</script>',
        url=HOME,
    )


ORGANISATION = f'{{"@context":"https://schema.org","@type":"Organization","name":"Harbour Lamps","url":"{HOME}","logo":"{LOGO}","sameAs":["https://www.instagram.com/harbourlamps"]}}'
PLAIN_ARTICLE = article(prose(120))
LISTED = (
    prose(900)
    + "<ul><li>Brass, 60 cm</li><li>Bronze, 75 cm</li></ul><p>Source: <a href='https://glassworks.example/data'>the works, 2025</a></p>"
)
DATED = "<meta property='article:modified_time' content='{}'>"
CLEAN = doc()

PAGE_CASES: dict[str, tuple[Document, Document]] = {
    # crawlability
    "http-4xx": (doc(status=404), CLEAN),
    "http-5xx": (doc(status=503), CLEAN),
    "fetch-failed": (Document(url=URL, status=0, failure="dns"), CLEAN),
    "fetch-timeout": (Document(url=URL, status=0, failure="timeout"), CLEAN),
    "redirect-chain": (
        doc(redirects=(Hop(301, f"{HOME}a", f"{HOME}b"), Hop(302, f"{HOME}b", URL)), requested_url=f"{HOME}a"),
        doc(redirects=(Hop(301, f"{HOME}a", URL),), requested_url=f"{HOME}a"),
    ),
    "redirect-loop": (Document(url=URL, status=0, failure="redirect_loop", redirects=(Hop(301, URL, f"{URL}/"),)), CLEAN),
    "redirect-temporary-permanent-move": (
        doc(redirects=(Hop(302, URL.replace("www.", ""), URL),), requested_url=URL.replace("www.", "")),
        doc(redirects=(Hop(301, URL.replace("www.", ""), URL),), requested_url=URL.replace("www.", "")),
    ),
    "redirect-meta-refresh": (doc(head=in_head('<meta http-equiv="refresh" content="5; url=/new">')), CLEAN),
    "redirect-javascript": (doc(rendered=Rendered(f"{HOME}elsewhere", "<p>x</p>")), doc(rendered=Rendered(URL, BODY))),
    # indexability
    "noindex": (doc(head=in_head('<meta name="robots" content="noindex, follow">')), CLEAN),
    "noindex-conflict": (
        doc(head=in_head('<meta name="robots" content="index">'), add={"x-robots-tag": "noindex"}),
        doc(head=in_head('<meta name="robots" content="noindex">'), add={"x-robots-tag": "noindex"}),
    ),
    "meta-nofollow-page": (doc(add={"x-robots-tag": "nofollow"}), CLEAN),
    "nosnippet": (doc(head=in_head('<meta name="googlebot" content="max-snippet:0">')), doc(head=in_head('<meta name="robots" content="max-snippet:-1">'))),
    "noimageindex": (doc(head=in_head('<meta name="robots" content="noimageindex">')), CLEAN),
    "canonical-missing": (head(CANONICAL, ""), doc(head=swap(HEAD, (CANONICAL, "")), add={"link": f'<{URL}>; rel="canonical"'})),
    "canonical-multiple": (doc(head=in_head(f'<link rel="canonical" href="{HOME}other">')), doc(head=in_head(CANONICAL))),
    "canonical-relative": (head(CANONICAL, '<link rel="canonical" href="/guides/choosing-a-ship-lamp">'), CLEAN),
    "canonical-invalid": (head(CANONICAL, '<link rel="canonical" href="https://other-lamps.example/">'), CLEAN),
    "pagination-broken": (doc(head=in_head('<link rel="next" href="/guides/page/2">')), doc(in_main('<a href="/guides/page/2">Next</a>'), head=in_head('<link rel="next" href="/guides/page/2">'))),
    # url
    "url-too-long": (doc(url=f"{HOME}{'a-long-name/' * 10}"), CLEAN),
    "url-uppercase": (doc(url=f"{HOME}Guides/Lamps"), doc(url=f"{HOME}guides/l%C3%A4mp")),
    "url-underscore": (doc(url=f"{HOME}ship_lamps"), doc(url=f"{HOME}ship-lamps?a_b=1")),
    "url-spaces": (doc(url=f"{HOME}ship%20lamps"), CLEAN),
    "url-double-slash": (doc(url=f"{HOME}guides//lamps"), CLEAN),
    "url-non-ascii": (doc(in_main('<a href="/führer">Guide</a>')), doc(in_main('<a href="/f%C3%BChrer">Guide</a>'))),
    "media-type-mismatch": (doc(drop=("content-type",)), CLEAN),
    # on-page
    "title-missing": (head(TITLE, "<title> </title>"), CLEAN),
    "title-multiple": (doc(head=in_head("<title>Another</title>")), doc(in_main("<svg><title>Drawing</title></svg>"))),
    "title-short": (head(TITLE, "<title>Ship lamps, a talk</title>"), head(TITLE, "<title>Ship lamps: the talk</title>")),
    "title-long": (head(TITLE, f"<title>{'W' * 35}</title>"), head(TITLE, f"<title>{'i' * 60}</title>")),
    "title-equals-h1": (body(H1, "<h1>Choosing a ship lamp for the table | Harbour Lamps</h1>"), CLEAN),
    "description-missing": (head(SUMMARY, ""), CLEAN),
    "description-short": (head(SUMMARY, '<meta name="description" content="Lamps for tables.">'), CLEAN),
    "description-long": (head(SUMMARY, f'<meta name="description" content="{"lamp " * 33}">'), head(SUMMARY, f'<meta name="description" content="{"lamps" * 32}">')),
    "description-multiple": (doc(head=in_head('<meta name="description" content="Again">')), CLEAN),
    "h1-missing": (body(H1, "<h1><img src='/x.png' alt=''></h1>"), body(H1, "<h1><img src='/x.png' alt='Ship lamps' width=9 height=9></h1>")),
    "h1-multiple": (doc(in_main("<h1>Second</h1>")), CLEAN),
    "heading-order": (doc(in_main("<h4>Too deep</h4>")), doc(in_main("<h3>Deeper</h3><h2>Back up</h2>"))),
    "heading-empty": (doc(in_main("<h2> </h2>")), CLEAN),
    "thin-content": (doc(f"<main>{H1}{prose(100)}<a href='/'>Home</a></main>"), CLEAN),
    "low-text-ratio": (doc(in_main(f"<script>{'var lamp;' * 5000}</script>")), CLEAN),
    "placeholder-text": (doc(in_main("<p>Lorem ipsum dolor sit amet.</p>")), doc(in_main("<p>Templates use <code>{{ name }}</code>.</p>"))),
    "head-invalid": (doc(head=swap(HEAD, (CANONICAL, f"<div>x</div>{CANONICAL}"))), CLEAN),
    "charset-missing": (doc(head=swap(HEAD, ('<meta charset="utf-8">', "")), add={"content-type": "text/html"}), doc(add={"content-type": "text/html"})),
    "doctype-missing": (doc(whole=f"<html lang='en'><head>{HEAD}</head><body>{BODY}</body></html>"), CLEAN),
    "viewport-missing": (head(VIEWPORT, '<meta name="viewport" content="initial-scale=1">'), CLEAN),
    "viewport-blocks-zoom": (head(VIEWPORT, '<meta name="viewport" content="width=device-width, maximum-scale=1.5">'), head(VIEWPORT, '<meta name="viewport" content="width=device-width, maximum-scale=5">')),
    "html-lang-missing": (doc(lang=""), CLEAN),
    "html-lang-invalid": (doc(lang="english"), doc(lang="zh-Hant-TW")),
    "duplicate-id": (doc(in_main("<p id='a'>x</p><p id='a'>y</p>")), doc(in_main("<p id='a'>x</p><p id='b'>y</p>"))),
    # links
    "link-not-crawlable": (doc(in_main('<a href="javascript:void(0)">Open</a>')), doc(in_main('<a id="spot"></a>'))),
    "link-text-generic": (doc(in_main('<a href="/more">Read more</a>')), doc(in_main('<a href="#top">here</a> <a rel="nofollow" href="/x">here</a>'))),
    "link-text-empty": (doc(in_main('<a href="/x"><img src="/y.png" alt="" width=1 height=1></a>')), doc(in_main('<a href="/x" aria-label="Basket"></a>'))),
    "links-too-many": (doc(in_main("".join(f'<a href="/p/{n}">Lamp {n}</a> ' for n in range(101)))), CLEAN),
    "dead-end-page": (doc(f"<main>{H1}{prose(220)}</main>"), CLEAN),
    "link-internal-nofollow": (doc(in_main('<a rel="nofollow" href="/login">Sign in</a>')), doc(in_main('<a rel="nofollow" href="https://ads.example/">Ad</a>'))),
    "link-http-on-https": (doc(in_main('<a href="http://www.harbourlamps.example/old">Old lamps</a>')), CLEAN),
    "link-localhost": (doc(in_main('<a href="http://192.168.1.5/">Draft</a>')), CLEAN),
    "link-malformed": (doc(in_main('<a href="htp://lamps.example/">Lamps</a>')), doc(in_main('<a href="mailto:ida@harbourlamps.example">Ida</a>'))),
    "link-target-blank-opener": (doc(in_main('<a target="_blank" rel="opener" href="https://ads.example/">Ad</a>')), doc(in_main('<a target="_blank" rel="noopener" href="https://ads.example/">Ad</a>'))),
    # images
    "img-alt-missing": (doc(in_main('<img src="/a.png" width=1 height=1>')), doc(in_main('<img src="/a.png" width=1 height=1 alt="">'))),
    "img-alt-long": (body("A brass lamp above a table", "lamp " * 21), CLEAN),
    "img-no-size": (body(' width="640" height="480"', ""), body(' width="640" height="480"', ' style="aspect-ratio: 4/3"')),
    "img-not-lazy": (doc(in_main("".join(f'<img src="/{n}.png" alt="" width=9 height=9>' for n in range(11)))), CLEAN),
    "picture-without-img": (doc(in_main('<picture><source srcset="/a.avif"></picture>')), doc(in_main(f'<picture><source srcset="/a.avif">{IMG}</picture>'))),
    # structured data
    "sd-missing": (doc(head=HEAD[: HEAD.index("<script")]), CLEAN),
    "sd-invalid-json": (ld('{"@type": "Thing",}'), CLEAN),
    "sd-unknown-type": (ld('{"@context":"https://schema.org","@type":"LampShop","name":"x"}'), ld('{"@context":"https://schema.org","@type":"Store","name":"x"}')),
    "sd-missing-required": (ld('{"@context":"https://schema.org","@type":"Product","sku":"7"}'), ld('{"@context":"https://schema.org","@type":"Product","name":"Which ship lamp"}')),
    "sd-mismatch-visible": (ld('{"@context":"https://schema.org","@type":"Product","name":"Copper kettle"}'), ld('{"@context":"https://schema.org","@type":"Product","name":"Ship lamp"}')),
    "sd-breadcrumb-missing": (doc(head=HEAD[: HEAD.index("<script")]), CLEAN),
    # hreflang
    "hreflang-invalid-code": (alternates(("en", EN), ("en-UK", DE), ("x-default", EN)), alternates(("en", EN), ("zh-Hant-HK", DE), ("x-default", EN))),
    "hreflang-relative": (alternates(("en", EN), ("de", "/de/lampen")), alternates(("en", EN), ("de", DE))),
    "hreflang-no-self": (alternates(("de", DE)), alternates(("en", EN), ("de", DE))),
    "hreflang-no-x-default": (alternates(("en", EN), ("de", DE)), alternates(("en", EN), ("de", DE), ("x-default", EN))),
    "hreflang-lang-mismatch": (alternates(("en", EN), ("de", DE), lang="fr"), alternates(("en", EN), ("de", DE), lang="en-GB")),
    "hreflang-conflict": (alternates(("en", EN), ("de", EN)), alternates(("en", EN), ("de", DE))),
    # performance
    "perf-ttfb": (doc(ttfb_ms=950.0), doc(ttfb_ms=800.0)),
    "perf-html-large": (doc(in_main(f"<!--{'x' * 200_000}-->")), CLEAN),
    "perf-dom-size": (doc(in_main("<b></b>" * 1_500)), doc(in_main("<b></b>" * 1_000))),
    "perf-no-compression": (doc(drop=("content-encoding",)), CLEAN),
    "perf-no-cache": (
        Document(url=f"{HOME}a.css", headers=(("content-type", "text/css"),), body=b"a{}"),
        Document(url=f"{HOME}a.css", headers=(("content-type", "text/css"), ("cache-control", "max-age=600")), body=b"a{}"),
    ),
    # security
    "sec-http": (doc(url=URL.replace("https", "http")), doc(url="http://127.0.0.1:8080/")),
    "sec-mixed-content": (doc(in_main('<img src="http://cdn.example/a.png" alt="" width=1 height=1>')), CLEAN),
    "sec-hsts": (doc(add={"strict-transport-security": "max-age=15551999"}), doc(add={"strict-transport-security": "max-age=15552000"})),
    "sec-csp": (doc(add={"content-security-policy": "script-src 'self' 'unsafe-inline'"}), doc(add={"content-security-policy": "script-src 'nonce-r4nd' 'unsafe-inline'"})),
    "sec-nosniff": (doc(drop=("x-content-type-options",)), CLEAN),
    "sec-clickjacking": (doc(add={"content-security-policy": "default-src 'self'"}), doc(add={"content-security-policy": "default-src 'self'", "x-frame-options": "DENY"})),
    "sec-referrer-policy": (doc(drop=("referrer-policy",)), CLEAN),
    "sec-permissions-policy": (doc(drop=("permissions-policy",)), CLEAN),
    "sec-cookie-flags": (doc(add={"set-cookie": "sessionid=7; Secure; SameSite=Lax"}), doc(add={"set-cookie": "sessionid=7; Secure; HttpOnly; SameSite=Lax"})),
    "sec-server-leak": (doc(add={"server": "Apache/2.4.57"}), CLEAN),
    "sec-form-insecure": (doc(in_main('<form method="post" action="http://forms.example/send"></form>')), doc(in_main('<form method="post" action="/send"></form>'))),
    # social
    "og-missing": (head(f'<meta property="og:image" content="{LOGO}">', ""), CLEAN),
    "og-image-bad": (head(f'<meta property="og:image" content="{LOGO}">', '<meta property="og:image" content="/logo.png">'), CLEAN),
    "og-url-mismatch": (head(f'<meta property="og:url" content="{URL}">', f'<meta property="og:url" content="{HOME}">'), CLEAN),
    "twitter-card-missing": (head('<meta name="twitter:card" content="summary_large_image">', ""), CLEAN),
    # accessibility
    "a11y-form-label": (doc(in_main('<input type="email" placeholder="E-mail">')), doc(in_main('<label for="e">E-mail</label><input id="e" type="email">'))),
    "a11y-button-name": (doc(in_main("<button><i class='icon'></i></button>")), doc(in_main("<button aria-label='Search'><i></i></button>"))),
    "a11y-frame-title": (doc(in_main('<iframe src="/map"></iframe>')), doc(in_main('<iframe src="/map" title="Map"></iframe>'))),
    "a11y-landmark-main": (doc(f"<div>{H1}{prose(220)}<a href='/'>Home</a></div>"), doc(f"<div role=main>{H1}{prose(220)}</div>")),
    "a11y-phone-not-link": (doc(in_main("<p>Call +44 20 7946 0018 today.</p>")), doc(in_main('<p>Call <a href="tel:+442079460018">+44 20 7946 0018</a>.</p>'))),
    # geo
    "geo-js-only-content": (doc(f"<main>{H1}</main>", rendered=Rendered(URL, f"<main>{prose(400)}</main>")), doc(rendered=Rendered(URL, BODY))),
    "geo-no-answer-block": (doc(f"<main>{H1}<p>{' '.join(SENTENCE for SENTENCE in ('Lamps glow.',) * 10)}</p>{'<p>Short words only here.</p>' * 40}</main>"), doc(f"<main>{H1}{QUESTION}{prose(120)}</main>")),
    "geo-no-lists-tables": (article(prose(900)), article(LISTED)),
    "geo-faq-schema-missing": (doc(in_main("<h2>Is brass heavy?</h2><p>Yes.</p><h2>Does it rust?</h2><p>No.</p>")), ld('{"@context":"https://schema.org","@type":"FAQPage","mainEntity":[]}')),
    "geo-howto-schema-missing": (doc(in_main("<h2>How to hang the lamp</h2><ol><li>Drill.</li><li>Screw.</li><li>Hang.</li></ol>")), CLEAN),
    "geo-organization-schema-missing": (home('{"@context":"https://schema.org","@type":"Organization","name":"Harbour Lamps"}'), home(ORGANISATION)),
    "geo-sameas-missing": (home(ORGANISATION.replace("sameAs", "award")), home(ORGANISATION)),
    "geo-about-contact-missing": (home(ORGANISATION, '<a href="/shop">Shop</a>'), home(ORGANISATION)),
    "geo-author-missing": (doc(head=in_head(DATED.format("2026-03-01")), body=f"<main>{H1}<article>{prose(120)}</article></main>"), PLAIN_ARTICLE),
    "geo-date-missing": (doc(f"<main><article>{H1}<p>By Ida Holm</p>{prose(120)}</article></main>"), PLAIN_ARTICLE),
    "geo-stale": (doc(head=in_head("<meta property='article:published_time' content='2024-01-01'>")), PLAIN_ARTICLE),
    "geo-no-citations": (article(prose(600)), article(LISTED)),
    "geo-no-statistics": (article(prose(600).replace("three", "some")), article(LISTED)),
    "geo-paragraph-long": (doc(in_main(f"<p>{'A lamp hangs over the table. ' * 30}</p>")), CLEAN),
    "geo-snippet-blocked": (doc(head=in_head('<meta name="robots" content="max-snippet:49">')), doc(head=in_head('<meta name="robots" content="max-snippet:50">'))),
}  # fmt: skip

FAST = Lighthouse(
    "mobile",
    0.95,
    {
        name: {"score": 1, "value": 0.01}
        for name in (
            "largest-contentful-paint",
            "cumulative-layout-shift",
            "total-blocking-time",
            "total-byte-weight",
            "render-blocking-insight",
            "color-contrast",
        )
    },
)
SLOW = Lighthouse("mobile", 0.42, {
    "largest-contentful-paint": {"score": 0.2, "value": 4_100.0}, "cumulative-layout-shift": {"score": 0.3, "value": 0.3},
    "total-blocking-time": {"score": 0.2, "value": 700.0}, "total-byte-weight": {"score": 0.2, "value": 4_000_000.0},
    "render-blocking-insight": {"score": 0.0}, "color-contrast": {"score": 0},
})  # fmt: skip
LIGHTHOUSE_RULES = (
    "perf-lcp",
    "perf-cls",
    "perf-tbt",
    "perf-score-low",
    "perf-render-blocking",
    "perf-page-weight",
    "a11y-contrast",
)
"""Rules that fail with `SLOW`, pass with `FAST` and are not measured without either."""
POLICY_RULES = ("link-external-followed",)
