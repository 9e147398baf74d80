import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from schemas.settings import ENV_PREFIX, Settings, SettingsError, load_settings

PASSWORD = "hunter2-very-secret"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"{ENV_PREFIX}{name.upper()}", raising=False)


def secret_settings() -> Settings:
    return Settings.model_validate(
        {
            "redis_url": f"redis://:{PASSWORD}@redis.example.com:6379/0",
            "database_url": f"postgresql://me:{PASSWORD}@db.example.com/millrace",
            "smtp_url": f"smtps://me:{PASSWORD}@mail.example.com:465",
            "mail_from": "Millrace <millrace@example.com>",
            "llm_base_url": "https://llm.example.com/v1",
            "llm_model": "some-model",
            "llm_api_key": PASSWORD,
            "events_secret": PASSWORD,
            "webhook_secret": PASSWORD,
        }
    )


def test_no_form_of_the_settings_shows_a_password() -> None:
    settings = secret_settings()
    for text in (repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump())):
        assert PASSWORD not in text
    assert settings.redis_url is not None
    assert PASSWORD in settings.redis_url.get_secret_value()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", f"http://:{PASSWORD}@redis"),
        ("REDIS_URL", f"redis://:{PASSWORD}@redis:notaport"),
        ("DATABASE_URL", f"mysql://me:{PASSWORD}@db/x"),
        ("DATABASE_URL", f"postgresql://me:{PASSWORD}@/x"),
        ("SMTP_URL", f"{PASSWORD}"),
        ("ARTIFACTS_URL", f"s3://me:{PASSWORD}@bucket"),
    ],
)
def test_an_error_names_the_variable_and_hides_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"MILLRACE_{name}", value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert f"MILLRACE_{name}: " in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    with pytest.raises(ValidationError) as raw:
        Settings()
    assert PASSWORD not in str(raw.value)


def test_every_wrong_variable_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_PARTITIONS", "0")
    monkeypatch.setenv("MILLRACE_LEASE_MS", "soon")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "MILLRACE_PARTITIONS: " in str(caught.value)
    assert "MILLRACE_LEASE_MS: " in str(caught.value)


def test_lists_are_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_ALLOW_HOSTS", "127.0.0.1:8080, [::1]:9 ,10.0.0.0/8,fd00::/8,files.test:80,")
    monkeypatch.setenv("MILLRACE_CORS_ORIGINS", "https://app.example.com,http://localhost:3000")
    settings = load_settings()
    assert settings.allow_hosts == ("127.0.0.1:8080", "[::1]:9", "10.0.0.0/8", "fd00::/8", "files.test:80")
    assert settings.cors_origins == ("https://app.example.com", "http://localhost:3000")


@pytest.mark.parametrize(
    "value", ["example.com", "*", "*:80", "example.com:0", "example.com:65536", "http://x:80", "10.0.0.0/40", "a b:80"]
)
def test_what_allows_nothing_definite_is_refused(value: str) -> None:
    with pytest.raises(ValidationError, match="neither host:port nor an address range"):
        Settings(allow_hosts=(value,))


@pytest.mark.parametrize("value", ["https://app.example.com/", "app.example.com", "*", "ftp://x"])
def test_a_cors_origin_is_an_origin(value: str) -> None:
    with pytest.raises(ValidationError, match="is not an origin"):
        Settings(cors_origins=(value,))


@pytest.mark.parametrize("scheme", ["redis", "rediss", "redis+sentinel", "redis+cluster"])
def test_redis_schemes(scheme: str) -> None:
    url = f"{scheme}://h:6379/0"
    settings = Settings.model_validate({"redis_url": url})
    assert settings.redis_url is not None
    assert settings.redis_url.get_secret_value() == url


def test_several_sentinels_or_nodes_may_be_named() -> None:
    for url in ("redis+sentinel://:pw@a:26379,b,[::1]:26379/mymaster", "redis+cluster://a:7000,b:7001"):
        assert Settings.model_validate({"redis_url": url}).redis_url is not None
    for url in ("redis+cluster://a:7000,b:x", "redis+sentinel://a,,b/mymaster", "redis://a:6379,b:6379/0"):
        with pytest.raises(ValidationError, match="host"):
            Settings.model_validate({"redis_url": url})


def test_a_database_url_may_name_a_socket_folder() -> None:
    assert Settings.model_validate({"database_url": "postgresql://postgres@/millrace?host=/tmp/x"}).database_url


def test_settings_that_need_each_other() -> None:
    with pytest.raises(ValidationError, match="MILLRACE_MAIL_FROM"):
        Settings.model_validate({"smtp_url": "smtp://localhost:25"})
    with pytest.raises(ValidationError, match="go together"):
        Settings(llm_model="some-model")


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_REDIS_URL", "")
    monkeypatch.setenv("MILLRACE_PARTITIONS", "")
    assert load_settings() == Settings()


def test_frozen_and_closed() -> None:
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.partitions = 2  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        Settings.model_validate({"partitons": 2})


def test_home_is_absolute_and_holds_the_artifacts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings()
    assert settings.home == tmp_path / ".millrace"
    assert settings.artifacts_location == str(tmp_path / ".millrace" / "artifacts")
    assert Settings(artifacts_url="s3://bucket/prefix").artifacts_location == "s3://bucket/prefix"


def test_every_field_is_explained() -> None:
    schema = Settings.model_json_schema()
    unexplained = [name for name, field in schema["properties"].items() if not field.get("description")]
    assert unexplained == []
    json.dumps(schema)
