"""The investor-relations web site as files: path -> text.

``{origin}`` in robots.txt and sitemap.xml stands for the address the site is served at.
"""

from dataclasses import dataclass
from datetime import date
from html import escape

from api.demo.company import DISCLAIMER, NAME, REPORT_YEARS, SHORT_NAME, TICKER
from api.demo.other_documents import LATEST, press_release_html
from api.demo.prose import CHAIR, CHIEF_EXECUTIVE, FINANCE_DIRECTOR, MOTTOES

RECENT_YEARS = 3
BROKEN_LINK = "/investors/events"
"""A page that the site links and does not have."""
DISALLOWED = "/investors/drafts/"
"""Linked, served, and disallowed by robots.txt."""
ORIGIN_MARK = "{origin}"


@dataclass(frozen=True, slots=True)
class Link:
    """A document in the site: where it is, how links call it, when it was published."""

    path: str
    text: str
    published: date


def annual_report_path(report_year: int) -> str:
    """URL path of an annual report."""
    return f"/files/{report_year}/brindlemoor-annual-report-{report_year}.pdf"


ANNUAL_REPORTS = tuple(
    Link(annual_report_path(year), f"Annual Report and Accounts {year}", date(year, 9, 28)) for year in REPORT_YEARS
)
QUARTERLY_REPORT = Link(
    f"/files/{LATEST}/brindlemoor-q1-{LATEST + 1}-interim-report.pdf",
    f"Interim report, first quarter {LATEST + 1}",
    date(LATEST, 10, 24),
)
PRESENTATION = Link(
    f"/files/{LATEST}/brindlemoor-results-presentation-{LATEST}.pdf",
    f"Full-year results presentation {LATEST}",
    date(LATEST, 9, 18),
)
PRESS_RELEASE = Link(
    f"/files/{LATEST}/brindlemoor-results-press-release-{LATEST}.pdf",
    f"Press release: full-year results {LATEST} (PDF)",
    date(LATEST, 9, 18),
)
NEWS_PAGE = f"/news/{LATEST}/full-year-results.html"

_STYLE = """
:root{--main:#123a63;--accent:#1f9e9a;--tint:#e9f4f6;--ink:#1c2126;--grey:#66707a}
*{box-sizing:border-box}body{margin:0;font:16px/1.6 Georgia,serif;color:var(--ink)}
header,footer{background:var(--main);color:#fff;font-family:Helvetica,Arial,sans-serif}
.wrap{max-width:60rem;margin:auto;padding:1.2rem 1.5rem}header .wrap{display:flex;gap:2rem;align-items:baseline}
header b{letter-spacing:.08em}nav a{color:#fff;margin-right:1.2rem;text-decoration:none}
nav a:hover{text-decoration:underline}
main{min-height:60vh}h1,h2{font-family:Helvetica,Arial,sans-serif;color:var(--main);line-height:1.2}
ul.reports{list-style:none;padding:0}ul.reports li{border-left:3px solid var(--accent);background:var(--tint);
margin:.6rem 0;padding:.7rem 1rem}ul.reports small,.when{color:var(--grey)}a{color:var(--main)}
table{border-collapse:collapse;min-width:26rem}
th,td{padding:.35rem .8rem;border-bottom:1px solid #d6dbe0;text-align:right}
th:first-child,td:first-child{text-align:left}footer{font-size:.8rem}footer a{color:#fff}
"""


def pages() -> dict[str, str]:
    """Every text file of the site, by its path below the site's folder."""
    recent = ANNUAL_REPORTS[-RECENT_YEARS:]
    older = ANNUAL_REPORTS[:-RECENT_YEARS]
    found = {
        "index.html": _page(
            "Pumps, valves and leak detection",
            f"<h1>{escape(MOTTOES[LATEST])}</h1><p>{SHORT_NAME} makes the pumps, valves and listening devices with "
            "which water utilities lose less of what they treat.</p>"
            f"<p><a href='/investors/'>Investor relations</a></p><h2>Latest</h2>{_list((PRESENTATION,))}"
            f"<p><a href='{NEWS_PAGE}'>Full-year results {LATEST}</a></p>",
        ),
        "about.html": _page(
            "About us",
            f"<h1>About {SHORT_NAME}</h1><p>Founded in a railway arch in 1962, {SHORT_NAME} employs a thousand people "
            f"on five sites.</p><h2>The board</h2><ul><li>{CHAIR}, chair</li><li>{CHIEF_EXECUTIVE}, chief executive"
            f"</li><li>{FINANCE_DIRECTOR}, finance director</li></ul>",
        ),
        "investors/index.html": _page(
            "Investor relations",
            f"<h1>Investor relations</h1><p>Shares in {NAME} trade under the code {TICKER}. The fiscal year ends on "
            "30 June.</p><ul><li><a href='reports.html'>Reports and results</a></li><li><a href='archive.html'>Archive"
            f"</a></li><li><a href='{BROKEN_LINK}'>Events</a></li><li><a href='/news/'>News</a></li></ul>"
            f"<h2>Latest annual report</h2>{_list(recent[-1:])}",
        ),
        "investors/reports.html": _page(
            "Reports and results",
            f"<h1>Reports and results</h1><h2>Annual reports</h2>{_list(recent[::-1])}<h2>Interim reports</h2>"
            f"{_list((QUARTERLY_REPORT,))}<h2>Presentations</h2>{_list((PRESENTATION,))}"
            "<p>Older reports are in the <a href='archive.html'>archive</a>.</p>",
        ),
        "investors/archive.html": _page(
            "Archive",
            f"<h1>Archive</h1><h2>Annual reports</h2>{_list(older[1:][::-1])}"
            "<p><a href='archive-2019.html'>2019 and before</a> | <a href='drafts/'>Drafts</a></p>",
        ),
        "investors/archive-2019.html": _page(
            "Archive, 2019 and before", f"<h1>Archive: 2019 and before</h1>{_list(older[:1])}"
        ),
        "investors/drafts/index.html": _page("Drafts", "<h1>Drafts</h1><p>Not for publication.</p>"),
        "news/index.html": _page(
            "News",
            f"<h1>News</h1><ul class=reports><li><a href='{NEWS_PAGE}'>Full-year results {LATEST}</a><br><small>"
            f"18 September {LATEST}</small></li></ul>{_list((PRESS_RELEASE,))}",
        ),
        NEWS_PAGE.lstrip("/"): _page(f"Full-year results {LATEST}", press_release_html()),
        "style.css": _STYLE,
        "robots.txt": f"User-agent: *\nDisallow: {DISALLOWED}\nDisallow: /search\n\n"
        f"Sitemap: {ORIGIN_MARK}/sitemap.xml\n",
    }
    listed = sorted(f"/{path.removesuffix('index.html')}" for path in found if path.endswith(".html"))
    locations = "".join(
        f"<url><loc>{ORIGIN_MARK}{path}</loc></url>" for path in listed if not path.startswith(DISALLOWED)
    )
    found["sitemap.xml"] = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{locations}</urlset>\n'
    )
    return found


def _list(links: tuple[Link, ...]) -> str:
    items = "".join(
        f"<li><a href='{link.path}'>{escape(link.text)}</a><br><small>PDF, {link.published.day} "
        f"{link.published:%B %Y}</small></li>"
        for link in links
    )
    return f"<ul class=reports>{items}</ul>"


def _page(title: str, body: str) -> str:
    return (
        f"<!doctype html><html lang=en><head><meta charset=utf-8><title>{escape(title)} | {NAME}</title>"
        "<meta name=viewport content='width=device-width,initial-scale=1'><link rel=stylesheet href='/style.css'>"
        f"</head><body><header><div class=wrap><b>{SHORT_NAME.upper()}</b><nav><a href='/'>Home</a>"
        "<a href='/about.html'>About</a><a href='/investors/'>Investors</a>"
        "<a href='/news/'>News</a></nav></div></header>"
        f"<main class=wrap>{body}</main><footer><div class=wrap>{escape(DISCLAIMER)}</div></footer></body></html>\n"
    )
