"""`audit-page` and `robots-check`: what they print, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.cli import app
from consumers.audit.rules import RULES
from tests.support.audit_pages import SENT, URL, doc


def ran(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.fixture
def page(tmp_path: Path) -> Path:
    file = tmp_path / "page.html"
    file.write_bytes(doc().body)
    return file


def headers(**changes: str) -> list[str]:
    sent = dict(SENT) | {name.replace("_", "-"): value for name, value in changes.items()}
    return [part for name, value in sent.items() for part in ("--header", f"{name}: {value}")]


def test_a_document_is_audited(page: Path) -> None:
    said = json.loads(
        ran("audit-page", page, "--url", URL, "--status", 200, *headers(x_robots_tag="noindex"), "--json").stdout
    )
    assert set(said) == {"issues", "passed", "not_applicable", "not_measured", "signals"}
    assert [(one["id"], one["severity"]) for one in said["issues"]] == [("noindex", "high")]
    assert said["issues"][0]["evidence"][0]["snippet"] == "X-Robots-Tag: noindex"
    named = [one["id"] for one in said["issues"]] + said["passed"] + said["not_applicable"] + said["not_measured"]
    assert sorted(named) == sorted(RULES)
    assert "perf-lcp" in said["not_measured"]
    assert (said["signals"]["lang"], said["signals"]["title"]) == (
        "en",
        "Choosing a ship lamp for the table | Harbour Lamps",
    )


def test_people_see_issues_and_what_to_do_next(page: Path) -> None:
    shown = ran("audit-page", page, "--url", "http://lamps.example/", *headers()).stdout
    assert "critical  sec-http" in shown
    assert "not measured" in shown
    assert "--json" in shown


def test_a_status_is_an_issue(page: Path) -> None:
    said = json.loads(ran("audit-page", page, "--url", URL, "--status", 404, "--json").stdout)
    assert [one["id"] for one in said["issues"]] == ["http-4xx"]


@pytest.mark.parametrize(
    ("name", "text", "issues"),
    [
        ("robots.txt", "User-agent: *\nDisallow: /\nOops\n", {"robots-txt-invalid", "robots-blocks-all", "geo-ai-bots-blocked", "geo-training-bots-policy"}),
        ("llms.txt", "Hello", {"geo-llms-txt-invalid"}),
        ("sitemap.xml", "<urlset><url><loc>/a</loc></url></urlset>", {"sitemap-invalid"}),
    ],
)  # fmt: skip
def test_files_beside_the_pages_are_judged_as_what_they_are(
    tmp_path: Path, name: str, text: str, issues: set[str]
) -> None:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    said = json.loads(ran("audit-page", file, "--url", f"https://lamps.example/{name}", "--json").stdout)
    assert {one["id"] for one in said["issues"]} == issues


def test_mistakes_are_answered(page: Path) -> None:
    assert "no web address" in ran("audit-page", page, "--url", "lamps.example").output
    assert "is no header" in ran("audit-page", page, "--url", URL, "--header", "nonsense").output
    missing = ran("audit-page", page.with_name("gone.html"), "--url", URL)
    assert missing.exit_code == 1
    assert "cannot be read" in missing.output


def test_robots_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "robots.txt"
    file.write_text("User-agent: FooBot\nDisallow: /a\n", encoding="utf-8")
    shown = ran("robots-check", file, "--agent", "FooBot", "https://x.example/a/b", "/c").stdout.splitlines()
    assert shown[:2] == ["disallowed https://x.example/a/b", "allowed /c"]
    said = json.loads(ran("robots-check", file, "--agent", "foobot", "/a", "--json").stdout)
    assert said == {"agent": "foobot", "urls": [{"url": "/a", "allowed": False}]}
