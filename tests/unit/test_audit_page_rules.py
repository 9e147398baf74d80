"""Every rule that judges pages, with a document that fails it and one that passes it."""

from __future__ import annotations

import pytest

from consumers.audit.document import Document
from consumers.audit.page import read_page
from consumers.audit.rules import RULES, Context, Status, Thresholds, audit_alone
from tests.support.audit_cases import CLEAN, FAST, LIGHTHOUSE_RULES, PAGE_CASES, POLICY_RULES, SLOW
from tests.support.audit_pages import TODAY, doc, in_main, verdict

HALVES = {name for name, rule in RULES.items() if rule.on_page is not None and rule.on_site is not None}


@pytest.mark.parametrize("rule", PAGE_CASES)
def test_it_fails_and_passes(rule: str) -> None:
    bad, good = (verdict(rule, one) for one in PAGE_CASES[rule])
    assert (bad.status, bad.count > 0) == (Status.FAILED, True)
    assert all(one.url and one.detail for one in bad.evidence)
    # Half of such a rule takes the crawl: one document alone cannot pass it.
    expected = {Status.NOT_MEASURED} if rule in HALVES else {Status.PASSED, Status.NOT_APPLICABLE}
    assert good.status in expected, good.evidence


@pytest.mark.parametrize("rule", LIGHTHOUSE_RULES)
def test_what_lighthouse_measures(rule: str) -> None:
    assert verdict(rule, CLEAN).status is Status.NOT_MEASURED
    assert verdict(rule, CLEAN, lighthouse=(FAST,)).status is Status.PASSED
    assert verdict(rule, CLEAN, lighthouse=(FAST, SLOW)).status is Status.FAILED


def test_followed_external_links_are_a_policy() -> None:
    on = Thresholds(external_followed=True)
    assert verdict("link-external-followed", CLEAN).status is Status.NOT_APPLICABLE
    assert verdict("link-external-followed", CLEAN, thresholds=on).status is Status.FAILED
    assert (
        verdict("link-external-followed", doc("<main><p>alone</p></main>"), thresholds=on).status is not Status.FAILED
    )


def test_every_page_rule_has_its_documents() -> None:
    wanted = {name for name, rule in RULES.items() if rule.on_page is not None}
    assert wanted == {*PAGE_CASES, *LIGHTHOUSE_RULES, *POLICY_RULES}


def test_a_page_without_a_fault_has_no_issue() -> None:
    said = audit_alone(read_page(CLEAN), Context(today=TODAY))
    assert {one.rule for one in said} == set(RULES)
    assert [one for one in said if one.status is Status.FAILED] == []


def test_headers_that_are_not_known_are_not_judged() -> None:
    blind = doc(sent=None)
    unknown = ("sec-hsts", "sec-csp", "sec-nosniff", "sec-clickjacking", "perf-no-compression", "media-type-mismatch")
    assert {verdict(rule, blind).status for rule in unknown} == {Status.NOT_MEASURED}


def test_what_needs_the_site_is_not_measured_alone() -> None:
    for rule in ("link-broken-internal", "title-duplicate", "orphan-page", "sec-tls-expiry", "geo-llms-txt-missing"):
        assert verdict(rule, CLEAN).status is Status.NOT_MEASURED


def test_thresholds_are_settings() -> None:
    assert verdict("thin-content", CLEAN, thresholds=Thresholds(thin_words=5_000)).status is Status.FAILED
    assert verdict("title-short", CLEAN, thresholds=Thresholds(title_min=100)).status is Status.FAILED


@pytest.mark.parametrize(
    "document",
    [
        doc(whole=""), doc(whole="<"), doc(whole="\x00\xff<html"), doc(whole="<div>" * 3_000), doc(whole="<div itemscope>" * 3_000 + "<b itemprop=a>x"),
        doc(whole="<div itemscope>" + "<p><b>" * 5_000 + "<i itemprop=name>x"), doc(whole='<a href="/">' + "<span>" * 5_000 + "x"),
        doc(head='<script type="application/ld+json">' + '{"@graph":' * 900 + "1" + "}" * 900 + "</script>"),
        doc(head='<script type="application/ld+json">' + "[" * 900 + "]" * 900 + "</script>"), doc(status=404, whole=""),
        doc(url="https://exa mple/"), doc(add={"content-type": "application/pdf"}, whole="%PDF-1.7"),
        Document(url="https://a.example/", headers=(("content-type", "text/html; charset=nonsense"),), body=b"\xff\xfe<\x00p\x00"),
    ],
)  # fmt: skip
def test_hostile_documents_are_judged_too(document: Document) -> None:
    assert verdict("title-missing", document).status in set(Status)


@pytest.mark.parametrize(
    ("rule", "piece", "fails"),
    [
        ("link-text-empty", '<a href="/x"><i aria-hidden="true">&gt;</i></a>', True),
        ("link-text-empty", '<a href="/x" title="Basket"><i></i></a>', False),
        ("link-text-empty", '<a href="/x"><svg><title>Basket</title></svg></a>', False),
        ("link-text-empty", '<a href="/x" hidden></a>', False),
        ("link-not-crawlable", '<a onclick="go()">Open</a>', True),
        ("link-not-crawlable", '<a href="#" onclick="go()">Open</a>', True),
        ("link-not-crawlable", '<a role="button" onclick="go()">Open</a>', False),
        ("link-not-crawlable", '<a href="mailto:ida@harbour.org">Ida</a>', False),
        ("link-malformed", '<a href="http//lamps.example">x</a>', True),
        ("link-malformed", '<a href="https:// lamps.example/">x</a>', True),
        ("link-malformed", '<a href="http://">x</a>', True),
        ("link-malformed", '<a href="http.html">x</a>', False),
        ("link-malformed", '<a href="whatsapp://send?text=x">x</a>', False),
        ("link-localhost", '<script src="http://localhost:3000/a.js"></script>', True),
        ("link-localhost", '<a href="https://staging.harbourlamps.example/">x</a>', True),
        ("link-localhost", '<a href="https://dev.to/harbour">x</a>', False),
        ("img-alt-missing", '<img src="/a.png" width=1 height=1 role="presentation">', False),
        ("img-alt-missing", '<img src="/a.png" width=1 height=1 alt>', False),
        ("a11y-form-label", "<label>E-mail <input></label>", False),
        ("a11y-form-label", "<label><input></label>", True),
        ("a11y-form-label", '<input type="hidden"><input type="submit">', False),
        ("a11y-button-name", '<input type="button">', True),
        ("a11y-button-name", '<button><img src="/s.png" alt="Search" width=1 height=1></button>', False),
        ("placeholder-text", "<p>Insert your text here</p>", True),
        ("placeholder-text", "<p>[Your Company Name] is proud</p>", True),
        ("a11y-phone-not-link", "<p>Phone: 0117 325 6170</p>", True),
        ("a11y-phone-not-link", "<p>Order 2024-01-15 of 12.000 lamps, ISBN 978-3-16-148410-0</p>", False),
        ("sec-mixed-content", '<a href="http://other.example/">x</a>', False),
        ("sec-mixed-content", '<iframe title="x" src="http://other.example/"></iframe>', True),
        ("geo-faq-schema-missing", "<h2>What our guests say</h2><h2>How we work</h2><h2>Why lamps</h2>", False),
    ],
)
def test_corners(rule: str, piece: str, fails: bool) -> None:  # noqa: FBT001 - a column
    assert (verdict(rule, doc(in_main(piece))).status is Status.FAILED) is fails
