"""`eval audit`: an invented folder, and the shared sites where they are at hand, floors a little under what is reached."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from consumers.audit.evaluation import evaluate
from consumers.audit.evaluation.evaluate import shingle_scores
from tests.support.audit_pages import doc, prose

SHARED = Path(os.environ.get("MILLRACE_SHARED", Path(__file__).parents[3] / "shared"))
SITES = SHARED / "data" / "sites"
FLOORS = {
    "lighthouse_agreement": 0.97,
    "broken_links_precision": 0.98,
    "broken_links_recall": 0.98,
    "contacts_recall": 0.97,
    "article_f1": 0.94,
}
AUDITS = (
    "document-title", "meta-description", "http-status-code", "link-text", "crawlable-anchors", "is-crawlable", "robots-txt",
    "image-alt", "hreflang", "canonical",
)  # fmt: skip


def write(place: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def reference(broken: list[list[Any]], **scores: float) -> dict[str, Any]:
    audits = {name: {"score": scores.get(name.replace("-", "_"), 1)} for name in AUDITS}
    return {"lamps": {"lighthouse": {"audits": audits}, "links": {"broken": broken}}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    body = (
        '<main><h1>Lamps</h1><a href="/about">About the works</a> <a href="/gone">Gone</a> <a href="http://www.lamps.example/away">Away</a>'
        '<a href="mailto:ida@lamps-works.org">Ida</a> <a href="/flaky">Flaky</a></main>'
    )
    write(
        tmp_path,
        {
            "SOURCES.md": "| folder | domain in its links |\n| --- | --- |\n| lamps | lamps.example |\n",
            "lamps/index.html": doc(body).body.decode().replace("www.harbourlamps.example", "lamps.example"),
            "lamps/about/index.html": "<html lang=en><title>About</title><img src=/missing.png><p>About</p>",
            "lamps/robots.txt": "User-agent: *\nAllow: /\nNoise\n",
            "reference.json": json.dumps(
                reference([["/gone", 404, "/"], ["/away", 404, "/"], ["/missing.png", 404, "/about"], ["/flaky", 0, "/"], ["/logo.png", 404, "/"], ["/lamp.jpg", 404, "/"], ["/favicon.ico", 404, "/"],
                           ["/guides/choosing-a-ship-lamp", 404, "/"], ["/guides/", 404, "/"]], robots_txt=0)
            ),
            "robots-cases.json": json.dumps([{"robotstxt": "user-agent: a\ndisallow: /", "user_agent": "a", "url": "/", "allowed": False}]),
            "contacts-explicit.json": json.dumps({"lamps": {"emails": {"ida@lamps-works.org": 1}, "phones": {"+442079460": 1}}}),
            "articles/ground-truth.json": json.dumps({"one": {"articleBody": prose(150).replace("<p>", "").replace("</p>", " ")}}),
        },
    )  # fmt: skip
    (tmp_path / "articles" / "html").mkdir()
    html = f"<html><body><article><h1>Lamps</h1>{prose(150)}</article></body></html>"
    (tmp_path / "articles" / "html" / "one.html.gz").write_bytes(gzip.compress(html.encode()))
    return tmp_path


async def test_an_invented_folder_is_compared(folder: Path) -> None:
    found = await evaluate(folder)
    totals = found["totals"]
    assert (totals["robots_right"], totals["robots_total"]) == (1, 1)
    assert totals["lighthouse_agreement"] == 1.0
    assert totals["broken_links_precision"] == 1.0, found["sites"][0]["broken_links_wrong"]
    assert totals["contacts_recall"] == 0.5
    assert totals["article_f1"] > 0.9
    site, articles = found["sites"]
    assert articles["article_f1"] == totals["article_f1"]
    assert (site["site"], site["pages"]) == ("lamps", 2)
    assert site["contacts_missed"] == ["+442079460"]
    assert ["/flaky", "/"] not in site["broken_links_wrong"] + site["broken_links_missed"]


async def test_what_is_not_there_is_left_out(tmp_path: Path) -> None:
    assert await evaluate(tmp_path) == {"sites": [], "totals": {}}


def test_shingles_count_runs_of_four() -> None:
    assert shingle_scores("a b c d e", "a b c d e") == (1.0, 1.0)
    assert shingle_scores("a b c d e", "a b c d") == (1.0, 0.5)
    assert shingle_scores("a b c d", "") == (0.0, 0.0)


@pytest.mark.skipif(not SITES.is_dir(), reason="the shared sites are not here")
async def test_the_shared_sites_are_audited_as_the_reference_has_it() -> None:
    totals = (await evaluate(SITES))["totals"]
    short = {name: (totals.get(name), floor) for name, floor in FLOORS.items() if totals.get(name, 0) < floor}
    assert not short
    assert totals["robots_right"] == totals["robots_total"]
