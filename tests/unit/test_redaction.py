"""Secrets do not leave in log lines or spans."""

from __future__ import annotations

from typing import Any

import pytest

from streams.telemetry.redaction import is_secret, redact, redact_text


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "Authorization",
        "proxy-authorization",
        "api_key",
        "X-Api-Key",
        "apiKey",
        "MILLRACE_LLM_API_KEY",
        "token",
        "access_token",
        "refreshToken",
        "webhook_secret",
        "Set-Cookie",
        "aws.secret.access.key",
        "smtp_password",
    ],
)
def test_a_key_that_names_a_secret(key: str) -> None:
    assert is_secret(key)


@pytest.mark.parametrize(
    "key", ["tokens_used", "tokenizer", "keyboard", "authority", "task", "monkey", "path", "author"]
)
def test_a_key_that_does_not(key: str) -> None:
    assert not is_secret(key)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("GET http://user:hunter2@example.com/a?b=1", "GET http://***@example.com/a?b=1"),
        (
            "redis://:hunter2@127.0.0.1:6379/0 and again redis://:x@h",
            "redis://***@127.0.0.1:6379/0 and again redis://***@h",
        ),
        ("postgresql://me:p@ss@db/x", "postgresql://***@db/x"),
        ("authorization: Bearer abc.def", "authorization: ***"),
        ("Proxy-Authorization: Basic dXNlcg==", "Proxy-Authorization: ***"),
        ("api_key=abc&page=2", "api_key=***&page=2"),
        ("https://x.test/?access_token=abc&q=1", "https://x.test/?access_token=***&q=1"),
        ('{"password": "a \\" b", "n": 1}', '{"password": ***, "n": 1}'),
        ("{'x-api-key': 'abc'}", "{'x-api-key': ***}"),
        ("password=hunter2, retrying", "password=***, retrying"),
        ("cookie: session=abc; theme=dark", "cookie: ***; theme=dark"),
    ],
)
def test_text_is_masked(text: str, masked: str) -> None:
    assert redact_text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "fetched https://example.com/reports/2024.pdf in 12 ms",
        "mail to someone@example.com: sent",
        "the key is: path",
        "tokens_used=12",
        "http://example.com/@handle",
        "a password is needed",
    ],
)
def test_text_without_secrets_is_kept(text: str) -> None:
    assert redact_text(text) == text


def test_values_are_masked_at_any_depth() -> None:
    value: dict[Any, Any] = {
        "headers": [{"Authorization": "Bearer x", "Accept": "*/*"}],
        "url": "http://u:p@h/",
        "n": 3,
        "token": 12,
        7: ("a", "password=b"),
    }
    assert redact(value) == {
        "headers": [{"Authorization": "***", "Accept": "*/*"}],
        "url": "http://***@h/",
        "n": 3,
        "token": "***",
        7: ["a", "password=***"],
    }
    assert value["token"] == 12


def test_what_lies_too_deep_is_masked_as_text() -> None:
    value: dict[str, Any] = {"password": "hunter2"}
    for _ in range(50):
        value = {"in": value}
    assert "hunter2" not in str(redact(value))


def test_a_long_text_takes_time_in_proportion_to_its_length() -> None:
    for text in ("a" * 200_000, "token" * 40_000, "http://" + "a@" * 50_000, "secret-" * 30_000, "=:" * 100_000):
        redact_text(text)
