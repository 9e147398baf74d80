"""Sites audited on loopback, against Lighthouse's and linkinator's answers, robots cases, contacts and articles.

The folder holds a folder a site and any of `reference.json`, `robots-cases.json`, `contacts-explicit.json` and
`articles/`; what is not there is left out of the totals.
"""

from __future__ import annotations

import gzip
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from consumers.audit.article import article_text
from consumers.audit.authorship import today
from consumers.audit.charset import decode
from consumers.audit.evaluation.crawling import Crawled, crawl
from consumers.audit.evaluation.serving import INDEXES, own_domains, serve_folder
from consumers.audit.lighthouse_seo import seo_audits
from consumers.audit.rules import Context, Status, Verdict, audit_page, audit_site
from consumers.audit.site import Site
from consumers.contacts.read import contacts_of, merged
from consumers.net import robots, urls

_UNREACHED: Final = 0
_SHINGLE: Final = 4
Pair = tuple[str, str]


async def evaluate(folder: Path, tell: Callable[[str], None] | None = None) -> dict[str, Any]:
    """Audit the sites of a folder and compare.

    Args:
        tell: Hears what is being looked at.
    """
    say = tell or (lambda _: None)
    reference = _json(folder / "reference.json") or {}
    contacts = _json(folder / "contacts-explicit.json") or {}
    domains = own_domains(folder)
    tally: Counter[str] = Counter()
    sites = []
    for place in _site_folders(folder):
        say(f"{place.name}: crawled and audited on loopback")
        async with serve_folder(place, domains.get(place.name)) as start:
            crawled = await crawl(start)
        sites.append(_judged(place.name, start, crawled, reference.get(place.name), contacts.get(place.name), tally))
    totals: dict[str, Any] = {
        "lighthouse_agreement": _share(tally["lighthouse_same"], tally["lighthouse"]),
        "broken_links_precision": _share(tally["broken_right"], tally["broken_found"]),
        "broken_links_recall": _share(tally["broken_right"], tally["broken_known"]),
    }
    if (cases := _json(folder / "robots-cases.json")) is not None:
        wrong = [
            one
            for one in cases
            if robots.parse(one["robotstxt"]).allowed(one["user_agent"], one["url"]) != one["allowed"]
        ]
        totals |= {"robots_right": len(cases) - len(wrong), "robots_total": len(cases)}
    totals["contacts_recall"] = _share(tally["contacts_right"], tally["contacts"])
    if (folder / "articles" / "ground-truth.json").is_file():
        say("articles: read")
        totals["article_f1"], articles = articles_f1(folder / "articles")
        sites.append({"site": "articles", "article_f1": totals["article_f1"], "articles": articles})
    return {"sites": sites, "totals": _known(totals)}


def _site_folders(folder: Path) -> list[Path]:
    return [one for one in sorted(folder.iterdir()) if any((one / name).is_file() for name in INDEXES)]


def _judged(
    name: str,
    start: str,
    crawled: Crawled,
    reference: dict[str, Any] | None,
    contacts: dict[str, Any] | None,
    tally: Counter[str],
) -> dict[str, Any]:
    began = time.perf_counter()
    context = Context(today=today(), home_url=start)
    pages = [page for page in crawled.pages if page.is_ok and page.is_html]
    by_rule: Counter[str] = Counter()
    home: tuple[Verdict, ...] = ()
    for page in crawled.pages:
        verdicts = audit_page(page, context)
        by_rule.update(one.rule for one in verdicts if one.status is Status.FAILED)
        if page.url == start:
            home = verdicts
    site = Site(start, crawled.pages, crawled.probes)
    of_site = audit_site(site)
    by_rule.update(one.rule for one in of_site if one.status is Status.FAILED)
    found: dict[str, Any] = {"site": name, "pages": len(pages), "asked": len(crawled.fetched)}
    if reference and site.home is not None:
        found |= _lighthouse(seo_audits(site.home, home + of_site), reference.get("lighthouse") or {}, tally)
        found |= _broken(start, crawled, reference.get("links") or {}, tally)
    if contacts:
        found |= _contacts(crawled, contacts, tally)
    return found | {"issues": dict(by_rule.most_common()), "seconds": round(time.perf_counter() - began, 2)}


def _lighthouse(ours: dict[str, bool], theirs: dict[str, Any], tally: Counter[str]) -> dict[str, Any]:
    audits = theirs.get("audits") or {}
    compared = {
        name: (passes, (audits[name] or {}).get("score") != 0) for name, passes in ours.items() if name in audits
    }
    same = sum(one == other for one, other in compared.values())
    tally.update({"lighthouse": len(compared), "lighthouse_same": same})
    return {
        "lighthouse_agreement": _share(same, len(compared)),
        "lighthouse_differs": {
            name: {"ours": one, "theirs": other} for name, (one, other) in compared.items() if one != other
        },
    }


def _broken(start: str, crawled: Crawled, links: dict[str, Any], tally: Counter[str]) -> dict[str, Any]:
    """Broken links as pairs of target and page.

    The reference marks with status 0 what it could not reach itself, files that are there among them: neither such
    targets nor pages that it therefore never came to can be compared. Pages that answer an error are no pages.
    """
    base = urls.origin_of(start)
    known = [
        (_target(base, target), status, _target(base, parent)) for target, status, parent in links.get("broken") or ()
    ]
    unreached = {target for target, status, _ in known if status == _UNREACHED}
    read = {url for url in _reachable(start, crawled, unreached) if crawled.fetched[url].status == 200}  # noqa: PLR2004
    theirs = {
        (target, page)
        for target, status, page in known
        if status != _UNREACHED and page in read and target not in unreached
    }
    ours = {
        (target, page)
        for page, targets in crawled.references.items()
        for target in targets
        if page in read and target not in unreached and crawled.fetched[target].is_error
    }
    right = ours & theirs
    tally.update({"broken_found": len(ours), "broken_known": len(theirs), "broken_right": len(right)})
    return {
        "broken_links_found": len(ours),
        "broken_links_known": len(theirs),
        "broken_links_precision": _share(len(right), len(ours)),
        "broken_links_recall": _share(len(right), len(theirs)),
        "broken_links_missed": _shown(theirs - ours),
        "broken_links_wrong": _shown(ours - theirs),
    }


def _reachable(start: str, crawled: Crawled, unreached: set[str]) -> set[str]:
    """What the reference came to: everything that links lead to without passing what it could not reach."""
    seen, waiting = {start}, [start]
    while waiting:
        for target in crawled.references.get(waiting.pop(), ()):
            if target not in seen and target not in unreached:
                seen.add(target)
                waiting.append(target)
    return seen


def _target(base: str, path: str) -> str:
    return urls.normalise(path if path.startswith("http") else base + path) or base + path


def _shown(pairs: set[Pair]) -> list[list[str]]:
    return [
        [
            urlsplit(target)._replace(scheme="", netloc="").geturl(),
            urlsplit(page)._replace(scheme="", netloc="").geturl(),
        ]
        for target, page in sorted(pairs)
    ]


def _contacts(crawled: Crawled, expected: dict[str, Any], tally: Counter[str]) -> dict[str, Any]:
    region = expected.get("region_hint")
    found = merged(contacts_of(page, region) for page in crawled.pages if page.is_html)
    wanted = {("email", one.lower()) for one in expected.get("emails") or ()}
    wanted |= {("phone", one) for one in expected.get("phones") or ()}
    wanted |= {("social", _plain(one)) for one in expected.get("social") or ()}
    have = {("email", one.value) for one in found.emails} | {("phone", one.value) for one in found.phones}
    have |= {("social", _plain(one.value)) for one in found.social}
    tally.update({"contacts": len(wanted), "contacts_right": len(wanted & have)})
    return {
        "contacts_recall": _share(len(wanted & have), len(wanted)),
        "contacts_missed": sorted(value for _, value in wanted - have),
        "contacts_besides": [
            f"{one.value} ({one.source})"
            for one in found.emails + found.phones
            if ("email", one.value) not in wanted and ("phone", one.value) not in wanted
        ],
    }


def _plain(url: str) -> str:
    parts = urlsplit(url)
    return f"{(parts.hostname or '').removeprefix('www.')}{parts.path.rstrip('/')}".lower()


def articles_f1(folder: Path) -> tuple[float, list[dict[str, Any]]]:
    """How well the main text of articles is read: F1 of runs of four words, averaged as the benchmark does.

    Source: the scoring of scrapinghub/article-extraction-benchmark.
    """
    expected = _json(folder / "ground-truth.json") or {}
    rows = []
    for name, one in expected.items():
        html, _ = decode(gzip.decompress((folder / "html" / f"{name}.html.gz").read_bytes()), None)
        precision, recall = shingle_scores(one["articleBody"], article_text(html))
        rows.append(
            {"article": name, "url": one.get("url", ""), "precision": round(precision, 4), "recall": round(recall, 4)}
        )
    mean_precision, mean_recall = (sum(row[key] for row in rows) / max(len(rows), 1) for key in ("precision", "recall"))
    return round(2 * mean_precision * mean_recall / max(mean_precision + mean_recall, 1e-9), 4), rows


def shingle_scores(expected: str, found: str) -> tuple[float, float]:
    """Precision and recall of the runs of four words of a text."""
    one, other = _shingles(expected), _shingles(found)
    right = sum((one & other).values())
    return right / max(sum(other.values()), 1), right / max(sum(one.values()), 1)


def _shingles(text: str) -> Counter[tuple[str, ...]]:
    words = re.findall(r"\w+", text)
    if len(words) < _SHINGLE:
        return Counter([tuple(words)]) if words else Counter()
    return Counter(tuple(words[at : at + _SHINGLE]) for at in range(len(words) - _SHINGLE + 1))


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _share(right: int, of: int) -> float | None:
    return round(right / of, 4) if of else None


def _known(totals: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in totals.items() if value is not None}
