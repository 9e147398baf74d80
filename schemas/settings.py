"""Everything an operator can set, read once from the environment at start.

One frozen object, passed down; nothing else reads the environment. Every field is the variable
``MILLRACE_<FIELD>``; an empty variable counts as unset. The standard ``OTEL_*`` variables belong to
OpenTelemetry and are read by its SDK.
"""

import ipaddress
import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

ENV_PREFIX = "MILLRACE_"
DAY_S = 86_400
MAX_PORT = 65_535

_HOST = re.compile(r"[a-z0-9]([a-z0-9_.-]{0,251}[a-z0-9])?", re.IGNORECASE)


class SettingsError(ValueError):
    """The environment does not make valid settings; the text names each variable and shows no value."""


def _split(value: object) -> object:
    """``"a, b"`` -> ``["a", "b"]``; anything but a string passes through."""
    if isinstance(value, str):
        return [part for part in (item.strip() for item in value.split(",")) if part]
    return value


def _check_url(value: str, schemes: tuple[str, ...]) -> None:
    wanted = " or ".join(f"{scheme}://" for scheme in schemes)
    try:
        parts = urlsplit(value)
        # Of a Sentinel or a Cluster several may be named; each has a port of its own.
        several = parts.netloc.rpartition("@")[2].split(",") if "+" in parts.scheme else [parts.netloc]
        hosts = [(one.hostname, one.port) for one in map(urlsplit, (f"//{one}" for one in several))]
    except ValueError as error:
        raise ValueError(f"is not a URL: {type(error).__name__} in its host or port; expected {wanted}") from None
    if parts.scheme not in schemes:
        found = f"starts with {parts.scheme}:" if parts.scheme else "has no scheme"
        raise ValueError(f"{found}; expected {wanted}")
    # A PostgreSQL URL may name a socket folder in its query instead of a host.
    if not all(host for host, _ in hosts) and "host=" not in parts.query:
        raise ValueError("names no host")


def _url(*schemes: str) -> AfterValidator:
    def check(value: str) -> str:
        _check_url(value, schemes)
        return value

    return AfterValidator(check)


def _secret_url(*schemes: str) -> AfterValidator:
    def check(value: SecretStr) -> SecretStr:
        _check_url(value.get_secret_value(), schemes)
        return value

    return AfterValidator(check)


def _check_artifacts_url(value: str) -> str:
    if "://" not in value:
        return value
    _check_url(value, ("s3",))
    if urlsplit(value).username or urlsplit(value).password:
        raise ValueError("carries credentials; put them in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    return value


def _check_allowed_host(value: str) -> str:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        host, _, port = value.rpartition(":")
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        if not (port.isascii() and port.isdigit() and 0 < int(port) <= MAX_PORT and _is_host(bare)):
            raise ValueError(f"{value!r} is neither host:port nor an address range such as 10.0.0.0/8") from None
    return value


def _is_host(value: str) -> bool:
    if ":" in value:
        try:
            ipaddress.IPv6Address(value)
        except ValueError:
            return False
        return True
    return _HOST.fullmatch(value) is not None


def _check_origin(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path or parts.query:
        raise ValueError(f"{value!r} is not an origin such as https://app.example.com (no path, no final slash)")
    return value


def known_zone(value: str) -> str:
    """The name of a time zone, checked.

    Raises:
        ValueError: It is none.
    """
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{value[:60]!r} is no IANA time zone such as Europe/Berlin or UTC") from None
    return value


def _absolute(value: Path) -> Path:
    return value.expanduser().absolute()


class Settings(BaseSettings):
    """The operator's settings. ``Settings()`` reads the environment; tests pass fields by name.

    Passwords and keys are ``SecretStr``: no ``repr``, log line, JSON dump or validation error shows them.

    Raises:
        pydantic.ValidationError: A value is out of bounds or two contradict each other. Programs call
            `load_settings`, which names the variables instead.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        validate_default=True,
    )

    # Where things are kept

    redis_url: Annotated[SecretStr, _secret_url("redis", "rediss", "redis+sentinel", "redis+cluster")] | None = None
    """Redis >= 7.0 or Valkey >= 8 that holds the log: ``redis://``, ``rediss://``, ``redis+sentinel://`` or
    ``redis+cluster://``; the last two may name several hosts. Unset: an embedded Valkey under `home`."""

    database_url: Annotated[SecretStr, _secret_url("postgresql")] | None = None
    """PostgreSQL with pgvector for results and history: ``postgresql://``. Unset: an embedded one under `home`."""

    artifacts_url: Annotated[str, AfterValidator(_check_artifacts_url)] | None = None
    """Where bytes are kept: a folder or ``s3://bucket/prefix``. Unset: ``artifacts`` under `home`."""

    home: Annotated[Path, AfterValidator(_absolute)] = Path(".millrace")
    """Folder of the embedded servers and local files; made absolute when read."""

    namespace: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")] = "millrace"
    """First part of every key in Redis. Tests and shadow runs use one of their own."""

    partitions: Annotated[int, Field(ge=1, le=256)] = 1
    """Partitions that new jobs are spread over; 16 on a Cluster. A job stays in its own for life."""

    # What jobs may reach

    allow_hosts: Annotated[
        tuple[Annotated[str, AfterValidator(_check_allowed_host)], ...], NoDecode, BeforeValidator(_split)
    ] = ()
    """Private targets that the SSRF guard lets through, comma separated: ``host:port``, an address or an address
    range. Set by the operator, never by a job."""

    chromium: str | None = None
    """Path of the Chromium that renders pages. Unset: the one on PATH."""

    llm_base_url: Annotated[str, _url("http", "https")] | None = None
    """OpenAI-compatible or Anthropic endpoint; goes with `llm_model`. Unset: deterministic work only."""

    llm_api_key: SecretStr | None = None
    """Key for `llm_base_url`; local endpoints need none."""

    llm_model: str | None = None
    """Model name that `llm_base_url` understands; ``anthropic:NAME`` or ``openai:NAME`` also says which protocol,
    which else the host tells."""

    llm_job_tokens: Annotated[int, Field(ge=0)] = 500_000
    """Tokens, in and out, that one job may use; what is left is done without."""

    llm_job_cost: Annotated[Decimal, Field(ge=0)] | None = None
    """US dollars that one job may spend; needs a model whose prices are known. Unset: only tokens count."""

    llm_tenant_tokens: Annotated[int, Field(ge=0)] | None = None
    """Tokens, in and out, that all jobs of a tenant may use in a calendar month (UTC). Unset: no cap."""

    llm_tenant_cost: Annotated[Decimal, Field(ge=0)] | None = None
    """US dollars that all jobs of a tenant may spend in a calendar month (UTC), as `llm_job_cost`. Unset: no cap."""

    llm_input_price: Annotated[Decimal, Field(ge=0)] | None = None
    """US dollars for a million tokens in; goes with `llm_output_price`. Unset: the model's list price, if known."""

    llm_output_price: Annotated[Decimal, Field(ge=0)] | None = None
    """US dollars for a million tokens out."""

    # Leads: where they come from, beside listings and files, and who stays out

    suppression_key: SecretStr | None = None
    """Secret behind the hashes that keep erased people out of the lead book. Unset: one is made at the first erasure
    and kept in the artifact store. Changing it lets the erased in again."""

    places_key: SecretStr | None = None
    """Google API key for the Places API (New). Unset: `leads` jobs with source `places` are refused."""

    places_url: Annotated[str, _url("http", "https")] = "https://places.googleapis.com"
    """Where the Places API is."""

    overpass_url: Annotated[str, _url("http", "https")] = "https://overpass-api.de/api/interpreter"
    """Where OpenStreetMap's Overpass API is."""

    # What audits ask of others; unset parts are told as not measured

    pagespeed_key: SecretStr | None = None
    """Google API key for PageSpeed Insights. Unset: a local Lighthouse (`millrace setup audit`), else not measured."""

    pagespeed_url: Annotated[str, _url("http", "https")] = "https://www.googleapis.com/pagespeedonline/v5/runPagespeed"
    """Where PageSpeed Insights is."""

    search_provider: Literal["searxng", "serper", "serpapi", "google_cse"] | None = None
    """Search engine for rankings and competitors."""

    search_url: Annotated[str, _url("http", "https")] | None = None
    """Where it is; SearXNG needs it, the others have one address."""

    search_key: SecretStr | None = None
    """Its API key; SearXNG needs none."""

    search_engine_id: str | None = None
    """``cx`` of a Google Programmable Search Engine."""

    backlinks_graph: str | None = None
    """Common start of the paths of Common Crawl's domain graph: a folder's or ``https://``; the file names that follow
    are ``vertices.txt.gz``, ``edges.txt.gz`` and ``ranks.txt.gz``."""

    embedding_base_url: Annotated[str, _url("http", "https")] | None = None
    """OpenAI-compatible endpoint for the vectors of documents, as ``https://api.example.com/v1``."""

    embedding_api_key: SecretStr | None = None
    """Key for `embedding_base_url`; local endpoints need none."""

    embedding_model: str | None = None
    """Model that `embedding_base_url` is asked for when a collection names none."""

    embedding_folder: Annotated[Path, AfterValidator(_absolute)] | None = None
    """Folder of a sentence-transformers model for collections that choose ``local``."""

    # Telling others

    smtp_url: Annotated[SecretStr, _secret_url("smtp", "smtps")] | None = None
    """Mail server, ``smtp://user:password@host:port`` or ``smtps://``. Unset: no mail is sent."""

    sendgrid_api_key: SecretStr | None = None
    """Key of SendGrid's HTTP API, in place of `smtp_url`."""

    sendgrid_url: Annotated[str, _url("http", "https")] = "https://api.sendgrid.com"
    """Where that API is; another host that speaks it, or one within your network, must be in `allow_hosts`."""

    digest_to: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[^@\s<>,]{1,64}@[^@\s<>,]{1,255}$")], ...],
        NoDecode,
        BeforeValidator(_split),
    ] = ()
    """Who gets the daily digest and alerts, comma separated. Unset: nobody."""

    digest_hour: Annotated[int, Field(ge=0, le=23)] = 7
    """Hour of the digest, in `digest_time_zone`."""

    digest_time_zone: Annotated[str, AfterValidator(known_zone)] = "UTC"
    """IANA time zone of the digest, such as Europe/Berlin."""

    mail_from: Annotated[str, Field(pattern=r"^[^\r\n]*@[^\r\n]+$")] | None = None
    """Sender of every mail; required with `smtp_url` and `sendgrid_api_key`."""

    webhook_secret: SecretStr | None = None
    """Key that signs webhooks (Standard Webhooks, ``whsec_`` and base64)."""

    events_secret: SecretStr | None = None
    """HMAC key for ``<namespace>:events``. Set: entries without a valid ``sig`` are refused."""

    # HTTP

    api_host: str = "127.0.0.1"
    """Address the API listens on. Beyond loopback it starts only when an API key exists."""

    api_port: Annotated[int, Field(ge=0, le=MAX_PORT)] = 8000
    """Port of the API; 0 takes a free one."""

    cors_origins: Annotated[
        tuple[Annotated[str, AfterValidator(_check_origin)], ...], NoDecode, BeforeValidator(_split)
    ] = ()
    """Origins of browser applications that may call the API, comma separated."""

    # Workers

    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 256
    """Entries one worker process has in hand at most, over all stages; policies set lower bounds per stage."""

    lease_ms: Annotated[int, Field(ge=500, le=600_000)] = 5_000
    """How long an entry stays with a worker that no longer renews. Work may take longer: leases are renewed."""

    drain_s: Annotated[float, Field(ge=0, le=3_600)] = 30.0
    """Grace on shutdown for work in hand; what is left is released and runs elsewhere."""

    worker_max_mb: Annotated[int, Field(ge=64)] = 2_048
    """Memory of a worker process, in MiB, above which it drains and is started anew; looked at every five minutes."""

    # Keeping and letting go

    result_ttl_s: Annotated[int, Field(ge=60)] = 30 * DAY_S
    """How long a result is kept when its job does not say (``result_ttl_s``)."""

    history_days: Annotated[int, Field(ge=1)] = 90
    """Days after a job's end when the daily clean-up removes its history, log and results."""

    memo: bool = True
    """Whether what a stage computed is had from memo when the same code gets the same input again."""

    memo_days: Annotated[int, Field(ge=1)] = 30
    """Days without use after which the daily clean-up removes a memo."""

    max_backlog: Annotated[int, Field(ge=0)] = 2_000_000
    """Entries of a stage in one partition above which jobs that begin there are refused with 503: those of low
    priority from 80 % of it, normal ones from 90 %. 0: no bound."""

    max_memory_share: Annotated[float, Field(ge=0.1, le=1)] = 0.8
    """Share of Redis's ``maxmemory`` above which nothing new is taken in; what is under way goes on."""

    parked_in_memory: Annotated[int, Field(ge=256)] = 1_000
    """Parked tasks of a job at a stage that Redis keeps, about; more are spilled to the artifact store."""

    wait_replicas: Annotated[int, Field(ge=0, le=10)] = 0
    """Replicas that must have a submission before it is answered with 202."""

    record_ttl_s: Annotated[int, Field(ge=60)] = 7 * DAY_S
    """How long Redis keeps the live record of a finished job; history has it for good."""

    max_redrives: Annotated[int, Field(ge=1, le=1_000)] = 5
    """Redrives of one task after which its dead letter is quarantined: mass redrives leave it out."""

    lifecycle_max_age_s: Annotated[int, Field(ge=60)] = 7 * DAY_S
    """Age up to which lifecycle entries stay in Redis, and up to which a foreign consumer group may pin them."""

    lifecycle_max_bytes: Annotated[int, Field(ge=1 << 20)] = 1 << 30
    """Size up to which lifecycle streams stay in Redis, all partitions together."""

    archive_max_age_s: Annotated[int, Field(ge=60)] = 90 * DAY_S
    """Age up to which the artifact store keeps archived lifecycle, from which jobs are replayed; not below
    `lifecycle_max_age_s`."""

    @model_validator(mode="after")
    def _check_pairs(self) -> Self:
        if self.smtp_url is not None and self.mail_from is None:
            raise ValueError("MILLRACE_SMTP_URL is set without MILLRACE_MAIL_FROM: set the sender of the mails")
        if self.sendgrid_api_key is not None and self.mail_from is None:
            raise ValueError("MILLRACE_SENDGRID_API_KEY is set without MILLRACE_MAIL_FROM: set the sender of the mails")
        if self.sendgrid_api_key is not None and self.smtp_url is not None:
            raise ValueError("MILLRACE_SMTP_URL and MILLRACE_SENDGRID_API_KEY are both set: set one of them")
        if self.search_provider == "searxng" and self.search_url is None:
            raise ValueError("MILLRACE_SEARCH_PROVIDER is searxng without MILLRACE_SEARCH_URL: name the instance")
        if self.search_provider in {"serper", "serpapi", "google_cse"} and self.search_key is None:
            raise ValueError("MILLRACE_SEARCH_PROVIDER needs MILLRACE_SEARCH_KEY: set the provider's API key")
        if self.search_provider == "google_cse" and self.search_engine_id is None:
            raise ValueError("MILLRACE_SEARCH_PROVIDER is google_cse without MILLRACE_SEARCH_ENGINE_ID: set its cx")
        if (self.llm_base_url is None) != (self.llm_model is None):
            raise ValueError("MILLRACE_LLM_BASE_URL and MILLRACE_LLM_MODEL go together: set both or neither")
        if self.archive_max_age_s < self.lifecycle_max_age_s:
            raise ValueError(
                "MILLRACE_ARCHIVE_MAX_AGE_S is below MILLRACE_LIFECYCLE_MAX_AGE_S: the archive outlives lifecycle"
            )
        if (self.llm_input_price is None) != (self.llm_output_price is None):
            raise ValueError("MILLRACE_LLM_INPUT_PRICE and MILLRACE_LLM_OUTPUT_PRICE go together: set both or neither")
        return self

    @property
    def artifacts_location(self) -> str:
        """`artifacts_url`, or the folder under `home` that stands in for it."""
        return self.artifacts_url or str(self.home / "artifacts")


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        SettingsError: A variable is wrong; one line each, with the variable's name and what is expected.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = []
        for problem in error.errors(include_url=False, include_input=False, include_context=False):
            field = str(problem["loc"][0]).upper() if problem["loc"] else None
            text = problem["msg"].removeprefix("Value error, ")
            problems.append(f"{ENV_PREFIX}{field}: {text}" if field else text)
    raise SettingsError("Millrace cannot start with these settings:\n  " + "\n  ".join(problems))
