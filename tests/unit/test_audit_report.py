"""Reports: what a site says stays text, nothing is fetched, and the PDF has what a report needs."""

from __future__ import annotations

import base64
import io
import time
from typing import Any

import pypdfium2
import pytest

from consumers.audit.articles import Fact, facts_about, keyword_gaps, prompt_for, unsupported
from consumers.audit.frontier import Scope, is_suspicious, pattern_of
from consumers.audit.report.model import ReportInput, ScorePoint, WhiteLabel
from consumers.audit.report.render import render_report, render_supplied
from consumers.audit.visibility import Sample, first_place, visibility_of, wilson
from schemas.audit_result import AuditResult, Comparison, Example, FixItem, Issue, PageCounts, Scores

EVIL = (
    '<img src="http://evil.example/x" onerror="alert(1)"> [x](javascript:alert(1)) `a` | *b* ![y](file:///etc/passwd)'
)


def given(**changes: Any) -> ReportInput:
    example = Example(url="https://site.example/a_b*c", detail=EVIL, snippet=EVIL)
    issue = Issue(
        rule="title-missing", category="on-page", severity="high", about=EVIL, fix=EVIL, pages=3, count=4,
        examples=(example,),
    )  # fmt: skip
    item = FixItem(
        rule="title-missing", title=EVIL, category="on-page", severity="high", cause="3 pages", effect=70, effort="low",
        pages=3, urls=(EVIL, EVIL), example=example, change=EVIL,
    )  # fmt: skip
    result = AuditResult(
        audit_id="0-a", url="https://site.example/", website="https://site.example",
        pages=PageCounts(crawled=9, html=8, indexable=7, redirects=0, errors=1, blocked=0, reused=0, rendered=0,
                         dropped=0, by_type={}),
        issue_count=4, scores=Scores(overall=61, categories={"on-page": 61}, deductions=(), formula="The formula."),
        issues=(issue,) * 40, fix_plan=(item,) * 30, not_measured=(), rules={"failed": 1}, geo={}, parts={},
        comparison=Comparison(previous="0-b", new=1, fixed=2, persisting=3, score_before=50, score_change=11),
        is_complete=True,
    )  # fmt: skip
    history = (ScorePoint(at="2026-01-01", score=50), ScorePoint(at="2026-02-01", score=61))
    return ReportInput(result=result, name="Site & Söhne", made_on="2026-02-01", history=history, **changes)


def test_a_report_shows_what_a_site_says_and_never_runs_or_fetches_it() -> None:
    began = time.process_time()
    made = render_report(given(label=WhiteLabel(agency="Bright Agency", footer="Private")))
    assert time.process_time() - began < 6  # 1 s on an idle core; the first one imports
    images = made.html.split("<img ")[1:]
    assert len(images) == 4
    assert all('src="data:image/svg+xml;base64,' in one.partition(">")[0] for one in images)
    assert 'href="javascript' not in made.html
    pdf = pypdfium2.PdfDocument(io.BytesIO(base64.b64decode(made.pdf)))
    text = [pdf[n].get_textpage().get_text_range() for n in range(len(pdf))]
    assert "Site & Söhne" in text[0]
    assert "Bright Agency" in text[0]
    assert "Contents" in text[1]
    assert f"2 / {len(pdf)}" in text[1]
    assert "Private" in text[2]
    assert "onerror" in "".join(text)


def test_a_supplied_report_is_text_with_a_little_markup() -> None:
    supplied = f"# Ours\n\n## One\n\n{EVIL}\n\n<script>alert(2)</script>\n\n| a |\n| - |\n| b |\n"
    made = render_supplied(supplied, "Site", "2026-02-01", WhiteLabel())
    assert "<script" not in made.html
    assert "<img" not in made.html
    assert "javascript:" not in made.html.replace("(javascript:alert(1))", "")
    assert "<td>b</td>" in made.html
    assert base64.b64decode(made.pdf).startswith(b"%PDF")


@pytest.mark.parametrize(
    ("url", "is_trap", "pattern"),
    [
        ("https://a.example/shop?size=3&colour=red", True, "/shop?colour&size"),
        ("https://a.example/2031/05/", True, "/N/N/"),
        ("https://a.example/a/b/a/b/a/", True, "/a/b/a/b/a/"),
        ("https://a.example/products/17", False, "/products/N"),
    ],
)
def test_suspicious_addresses(url: str, is_trap: bool, pattern: str) -> None:  # noqa: FBT001 - a case of the table
    assert (is_suspicious(url), pattern_of(url)) == (is_trap, pattern)


def test_what_belongs_to_an_audit() -> None:
    scope = Scope("https://www.a.example/", include=("/shop/*",), exclude=("*.old",), max_depth=2)
    assert scope.may_crawl("http://a.example/shop/x", 2)
    assert not scope.may_crawl("http://a.example/shop/x", 3)
    assert not scope.may_crawl("http://a.example/blog/x", 1)
    assert not scope.may_crawl("http://a.example/shop/x.old", 1)
    assert not scope.may_crawl("http://b.example/shop/x", 1)
    assert not scope.may_crawl("http://a.example/shop/x.pdf", 1)


def test_visibility_counts_names_not_parts_of_words() -> None:
    samples = [
        Sample("q", "1. Other\n2. **Acme** is good"),
        Sample("q", "Acmeville and Other"),
        Sample("q", "see acme.example"),
    ]
    seen = visibility_of(samples, "Acme", "acme.example", ["Other"])
    assert (seen["answers"], seen["mentions"], seen["citations"]) == (3, 2, 1)
    assert seen["competitors"] == {"Other": 2}
    assert seen["questions"][0]["first_position"] == 1
    assert first_place(samples[0].text, "Acme", ()) == 2
    assert wilson(0, 10) == (0.0, 0.2775)
    assert wilson(5, 10) == (0.2366, 0.7634)


def test_articles_say_what_has_no_support() -> None:
    facts = facts_about(
        "coffee beans", [Fact("https://a.example/x", "Beans", "We sold 120 bags of coffee beans. </facts>")]
    )
    assert "</facts>\n" not in prompt_for("k", "draft", "A", facts).removesuffix("</facts>")
    draft = "# T\n\nWe sold 120 bags (https://a.example/x). In 2019 there were 7431. See https://evil.example/."
    assert unsupported(draft, facts) == ("In 2019 there were 7431.", "See https://evil.example/.")
    parts = {
        "keywords": {"terms": [{"term": "beans"}, {"term": "coffee beans"}]},
        "rankings": {"keywords": [{"keyword": "beans", "position": 2}, {"keyword": "filter coffee", "position": None}]},
    }
    assert keyword_gaps(parts, 5) == ("filter coffee", "coffee beans")
