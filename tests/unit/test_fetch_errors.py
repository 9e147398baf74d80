from datetime import UTC, datetime

import pytest

from consumers.net.errors import FetchFailedError, FetchRefusedError, retry_after_s, status_error
from streams.errors import PermanentError, TransientError

NOW = datetime(2025, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("999999999999", 3_600.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("٣", None),
        ("Wed, 01 Jan 2025 12:00:30 GMT", 30.0),
        ("Wednesday, 01-Jan-25 12:00:30 GMT", 30.0),
        ("Wed Jan  1 12:00:30 2025", 30.0),
        ("Wed, 01 Jan 2020 00:00:00 GMT", 0.0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 3_600.0),
        ("Wed, 99 Jan 2025 12:00:30 GMT", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, now=NOW) == seconds


def test_a_status_becomes_an_error_of_the_right_kind() -> None:
    url = "https://example.com/a?token=secret"
    refused = status_error(url, 403, {}, now=NOW)
    assert isinstance(refused, FetchRefusedError)
    assert isinstance(refused, PermanentError)
    assert (refused.reason, refused.status, refused.url) == ("http_403", 403, "https://example.com/a?...")
    failed = status_error(url, 503, {"Retry-After": "9"}, now=NOW)
    assert isinstance(failed, FetchFailedError)
    assert isinstance(failed, TransientError)
    assert (failed.reason, failed.retry_after_s) == ("http_503", 9.0)
    assert "secret" not in f"{refused} {failed}"
