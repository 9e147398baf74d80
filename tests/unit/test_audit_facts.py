"""Facts beside the crawl that rules judge by: image sizes, the page of what is not there, Lighthouse, certificates."""

from __future__ import annotations

import struct
from datetime import date
from typing import Any

import orjson
import pytest

from consumers.audit.document import Document
from consumers.audit.examine import examine
from consumers.audit.image_size import image_size
from consumers.audit.judging import SiteReader, Tally, judge, probes_of
from consumers.audit.rules import Status
from tests.support.audit_pages import BODY, HEAD

HOME = "https://lamps.example/"
TODAY = date(2026, 3, 1)
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(9) + b"\xff\xff\xc0\x00\x11\x08" + struct.pack(">HH", 630, 1200)


@pytest.mark.parametrize(
    ("start", "size"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 1200, 630), (1200, 630)),
        (b"GIF89a" + struct.pack("<HH", 16, 9), (16, 9)),
        (JPEG, (1200, 630)),
        (b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + b"\xaf\x04\0" + b"\x75\x02\0", (1200, 630)),
        (b"RIFF\0\0\0\0WEBPVP8L" + bytes(4) + b"\x2f" + (1199 | 629 << 14).to_bytes(4, "little"), (1200, 630)),
        (b"RIFF\0\0\0\0WEBPVP8 " + bytes(7) + b"\x9d\x01\x2a" + struct.pack("<HH", 1200, 630), (1200, 630)),
        (JPEG[:20], None),
        (b"\x89PNG\r\n\x1a\n", None),
        (b"\xff\xd8\xff\xe0\x00\x00" + bytes(64), None),
        (b"<svg/>", None),
        (b"", None),
    ],
)
def test_image_sizes(start: bytes, size: tuple[int, int] | None) -> None:
    assert image_size(start) == size


def collected(path: str = "", body: str = BODY) -> dict[str, Any]:
    """A page as crawl collects it."""
    html = f"<!doctype html><html lang='en'><head>{HEAD}</head>{body}</html>"
    document = Document(
        url=HOME + path, status=200, headers=(("content-type", "text/html"),), body=html.encode(), ttfb_ms=80.0
    )
    kept: dict[str, Any] = orjson.loads(
        examine(document, HOME, 1 if path else 0, "link" if path else "start", "", TODAY).kept
    )
    return kept


def statuses(site_data: dict[str, Any], *pages: dict[str, Any]) -> dict[str, Status]:
    """What the site's rules say when the errand brought this."""
    reader = SiteReader(HOME)
    reader.tally.take({"kind": "site", "url": "", "data": site_data})
    reader.read(pages or [collected()])
    return {one.rule: one.status for one in judge(reader.site(), reader.tally, is_complete=True)}


@pytest.mark.parametrize(
    ("tls", "status"),
    [
        ({"error": "certificate has expired", "expires_on": ""}, Status.FAILED),
        ({"error": "", "expires_on": "2999-01-01"}, Status.PASSED),
        (None, Status.NOT_MEASURED),
    ],
)
def test_the_certificate_is_judged(tls: dict[str, str] | None, status: Status) -> None:
    assert statuses({"tls": tls})["sec-tls-expiry"] is status


def test_an_error_page_that_answers_200_is_known_by_its_text() -> None:
    body = "<body><main><h1>Page not found</h1><p>" + "We looked everywhere for this lamp in vain. " * 9 + "</p></main>"
    html = f"<html><head><title>Page not found</title></head>{body}</html>"
    asked = {
        "status": 404, "url": f"{HOME}millrace-x", "text": html, "headers": {"content-type": "text/html"},
    }  # fmt: skip
    lost = collected("old", body)
    lost["page"]["titles"] = ["Page not found"]
    assert statuses({"not_found": asked}, collected(), lost)["soft-404"] is Status.FAILED
    assert statuses({"not_found": asked}, collected())["soft-404"] is Status.PASSED
    assert probes_of(Tally(site={"not_found": {"status": 404}})).not_found == (404, "", "")


def test_what_lighthouse_measured_is_judged() -> None:
    audits = {
        "largest-contentful-paint": {"score": 0.1, "value": 9_000.0},
        "cumulative-layout-shift": {"score": 1, "value": 0.01},
    }
    run = {"status": "measured", "strategy": "mobile", "scores": {"performance": 20}, "audits": audits}
    reader, without = SiteReader(HOME), SiteReader(HOME)
    reader.tally.parts["pagespeed"] = {"status": "measured", "mobile": run, "desktop": {**run, "strategy": "desktop"}}
    (judged,) = reader.read([collected()])
    (plain,) = without.read([collected()])
    found = {one.rule for one in judged.findings} - {one.rule for one in plain.findings}
    assert "perf-lcp" in found
    assert "perf-cls" in set(judged.passed) - set(plain.passed)
    assert {"perf-lcp", "perf-cls"} <= set(plain.not_measured)
    assert reader.tally.outcomes["perf-lcp"][Status.FAILED] == 1


def test_answers_of_a_model_are_judged() -> None:
    reader = SiteReader(HOME)
    reader.read([collected()])
    reader.tally.parts["visibility"] = {"status": "measured", "answers": 9, "mentions": 0, "citations": 0}
    found = {one.rule: one.status for one in judge(reader.site(), reader.tally, is_complete=True)}
    assert found["geo-brand-not-mentioned"] is Status.FAILED
