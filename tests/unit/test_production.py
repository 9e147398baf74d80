"""`doctor --production` and docs/production.md say the same, line by line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from api.production import LINES, Facts, go_through
from consumers.doctor import Finding
from schemas.settings import Settings

DOCUMENT = Path(__file__).parents[2] / "docs" / "production.md"


def facts(*, good: bool) -> Facts:
    well = {
        "redis_url": "rediss://millrace:pw@redis.example.com/0",
        "database_url": "postgresql://db.example.com/millrace",
        "artifacts_url": "s3://bucket/prefix",
        "events_secret": "s",
        "webhook_secret": "s",
        "smtp_url": "smtp://mail.example.com",
        "mail_from": "a@example.com",
    }
    settings = Settings.model_validate(well if good else {"api_host": "0.0.0.0", "allow_hosts": "10.0.0.0/8"})  # noqa: S104
    names = ("eviction", "memory", "persistence", "PostgreSQL", "tables", "clock of Redis", "traces")
    found = {name: [Finding(name, "ok" if good else "bad", "so it is")] for name in names}
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://traces.example.com:4318"} if good else {}
    pools = {"default": 2, "heavy": 2 if good else 1}
    return Facts(settings, found, pools, good, 3_600.0 if good else None, environment)


def test_the_document_has_these_lines() -> None:
    told = re.findall(r"^- \*\*(\S+)\*\*: (.+)$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert told == [(line.key, line.wants) for line in LINES]


@pytest.mark.parametrize("good", [True, False])
def test_each_line_that_can_be_checked_tells_good_from_bad(good: bool) -> None:  # noqa: FBT001
    states = {one.key: one.state for one in go_through(facts(good=good))}
    by_hand = {line.key for line in LINES if line.check is None}
    if good:
        assert {key for key, state in states.items() if state == "ok"} == set(states) - by_hand
    else:
        assert {key for key, state in states.items() if state == "ok"} == set()
        assert states["api-tls"] == "by hand"
        assert states["backup"] == states["redis"] == states["workers"] == states["api-keys"] == "bad"


def test_an_old_backup_is_none() -> None:
    old = facts(good=True)
    aged = Facts(old.settings, old.findings, old.pools, old.has_keys, 48 * 3_600.0, old.environment)
    (backup,) = [one for one in go_through(aged) if one.key == "backup"]
    assert (backup.state, backup.found) == ("bad", "the last one is 48.0 h old")
