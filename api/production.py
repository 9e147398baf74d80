"""What must hold before others rely on an installation: `docs/production.md`, line by line."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

import orjson

from api.auth import is_loopback
from consumers.worker.presence import presence

if TYPE_CHECKING:
    from api.services import Services
    from consumers.doctor import Finding
    from schemas.settings import Settings

Verdict = Literal["ok", "note", "bad", "by hand"]
BACKUP_AGE: Final = timedelta(hours=26)
"""A daily backup, and the time that it takes."""
WORKERS_A_POOL: Final = 2


@dataclass(frozen=True, slots=True)
class Facts:
    """What the lines are held against.

    Attributes:
        findings: Of the doctor, by what it looked at.
        pools: Pool -> workers that serve it; those that no installed flow uses are left out.
        backup_age_s: Seconds since the last `millrace backup`; None when there was none.
        environment: The process's.
    """

    settings: Settings
    findings: Mapping[str, Sequence[Finding]]
    pools: Mapping[str, int]
    has_keys: bool
    backup_age_s: float | None
    environment: Mapping[str, str]

    def worst(self, *what: str) -> tuple[Verdict, str]:
        """The doctor's worst word about some things."""
        found = [one for name in what for one in self.findings.get(name, ())]
        worst: Verdict = next((state for state in ("bad", "note") if any(one.state == state for one in found)), "ok")
        told = [one.found for one in found if one.state == worst]
        return worst, "; ".join(told) or "not looked at"


Check = Callable[[Facts], tuple[Verdict, str]]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the list.

    Attributes:
        key: Its name in `docs/production.md`.
        wants: The sentence there.
        check: None for what only a person can see.
    """

    key: str
    wants: str
    check: Check | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of a line."""

    key: str
    state: Verdict
    wants: str
    found: str


def _own(name: str) -> Check:
    def check(facts: Facts) -> tuple[Verdict, str]:
        if getattr(facts.settings, name) is not None:
            return "ok", f"MILLRACE_{name.upper()} is set"
        return "bad", f"MILLRACE_{name.upper()} is not set: it is an embedded one, or a folder of this machine"

    return check


def _redis_password(facts: Facts) -> tuple[Verdict, str]:
    url = facts.settings.redis_url
    if url is None:
        return "bad", "the embedded server has no password: it is for this machine"
    return ("ok", "the URL has one") if urlsplit(url.get_secret_value()).password else ("bad", "the URL has none")


def _redis_user(facts: Facts) -> tuple[Verdict, str]:
    url = facts.settings.redis_url
    user = urlsplit(url.get_secret_value()).username if url is not None else None
    if user and user != "default":
        return "ok", f"signed in as {user}"
    return "note", "signed in as the default user, who may do everything; deploy/redis/users.acl has a narrower one"


def _has_limit(facts: Facts) -> tuple[Verdict, str]:
    state, told = facts.worst("memory")
    return ("bad", told) if "not set" in told else (state, told)


def _secret(name: str, otherwise: str) -> Check:
    def check(facts: Facts) -> tuple[Verdict, str]:
        return ("ok", "it is set") if getattr(facts.settings, name) is not None else ("note", otherwise)

    return check


def _keys(facts: Facts) -> tuple[Verdict, str]:
    if facts.has_keys:
        return "ok", "there are keys, so every request needs one"
    return "bad", "there are none: everybody who reaches the API may do everything"


def _api(facts: Facts) -> tuple[Verdict, str]:
    host = facts.settings.api_host
    if is_loopback(host):
        return "ok", f"it listens on {host}"
    return "by hand", f"it listens on {host}: see that only your proxy reaches that"


def _workers(facts: Facts) -> tuple[Verdict, str]:
    few = [f"{pool}: {count}" for pool, count in sorted(facts.pools.items()) if count < WORKERS_A_POOL]
    if few:
        return "bad", f"fewer than {WORKERS_A_POOL} processes serve {', '.join(few)}"
    return "ok", ", ".join(f"{pool}: {count}" for pool, count in sorted(facts.pools.items()))


def _backup(facts: Facts) -> tuple[Verdict, str]:
    if facts.backup_age_s is None:
        return "bad", "there was none: `./millrace backup DIR` makes one"
    told = f"the last one is {facts.backup_age_s / 3600:.1f} h old"
    return ("ok", told) if facts.backup_age_s <= BACKUP_AGE.total_seconds() else ("bad", told)


def _traces(facts: Facts) -> tuple[Verdict, str]:
    names = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    if any(facts.environment.get(name) for name in names):
        return facts.worst("traces")
    return "note", "no OTLP endpoint is set: traces are those of `./millrace trace ID` alone"


def _reach(facts: Facts) -> tuple[Verdict, str]:
    allowed = facts.settings.allow_hosts
    return ("note", f"jobs may reach {', '.join(allowed)}") if allowed else ("ok", "none")


def _all(facts: Facts) -> tuple[Verdict, str]:
    bad = sorted({name for name, found in facts.findings.items() if any(one.state == "bad" for one in found)})
    return ("bad", f"bad: {', '.join(bad)}") if bad else ("ok", "nothing bad was found")


def _of(*what: str) -> Check:
    return lambda facts: facts.worst(*what)


LINES: Final = (
    Line("redis", "Redis is a server of your own, on a machine of its own.", _own("redis_url")),
    Line("redis-eviction", "`maxmemory-policy` is `noeviction`.", _of("eviction")),
    Line("redis-memory", "`maxmemory` is set, and less than 80 % of it is used.", _has_limit),
    Line("redis-aof", "`appendonly` is `yes`, `appendfsync` is `always` or `everysec`.", _of("persistence")),
    Line("redis-password", "Redis asks for a password.", _redis_password),
    Line("redis-users", "Millrace signs in as a user that may not flush or reconfigure.", _redis_user),
    Line("redis-network", "Redis is reached by Millrace and your producers only, or by TLS (`rediss://`)."),
    Line("postgres", "PostgreSQL is a server of your own, with pgvector.", _own("database_url")),
    Line("postgres-schema", "Its tables are those of this version.", _of("PostgreSQL", "tables")),
    Line("artifacts", "Artifacts are in a bucket, or in a folder that every worker mounts.", _own("artifacts_url")),
    Line("workers", "Two worker processes or more serve every pool that your flows use.", _workers),
    Line("clocks", "All machines keep time by NTP.", _of("clock of Redis", "clock of PostgreSQL")),
    Line("api-keys", "The API asks for keys, and each client has its own.", _keys),
    Line("api-tls", "The API is behind a proxy that ends TLS.", _api),
    Line("egress", "`MILLRACE_ALLOW_HOSTS` names no address that a job's author must not reach.", _reach),
    Line("events-secret", "`MILLRACE_EVENTS_SECRET` is set, so that producers sign what they add.",
         _secret("events_secret", "everybody who may add to millrace:events submits jobs")),
    Line("webhook-secret", "`MILLRACE_WEBHOOK_SECRET` is set, so that receivers can check who calls.",
         _secret("webhook_secret", "webhooks go out unsigned")),
    Line("mail", "Mail can be sent.", _secret("smtp_url", "MILLRACE_SMTP_URL is not set: no mail is sent")),
    Line("traces", "Traces go to a collector.", _traces),
    Line("metrics", "Prometheus scrapes `/metrics`, and the alerts of `deploy/prometheus` reach somebody."),
    Line("logs", "Standard error of every process is kept, and rotated."),
    Line("backup", "A backup was made within the last day.", _backup),
    Line("restore", "A restore was drilled since the last upgrade."),
    Line("doctor", "`millrace doctor` finds nothing bad.", _all),
)  # fmt: skip


def go_through(facts: Facts) -> list[Checked]:
    """Every line, in order."""
    checked = []
    for line in LINES:
        state, found = line.check(facts) if line.check is not None else ("by hand", "only you can see this")
        checked.append(Checked(line.key, state, line.wants, found))
    return checked


async def gather(services: Services, findings: Sequence[Finding]) -> Facts:
    """What there is to know."""
    by_what: dict[str, list[Finding]] = {}
    for one in findings:
        by_what.setdefault(one.what, []).append(one)
    used = {one.policy.pool for flow in services.flows.by_name.values() for one in flow.by_name.values()}
    workers = await presence(services.client, services.keys)
    pools = {pool: sum(pool in one["pools"] for one in workers) for pool in used}
    stamp: Any = await services.client.get(services.keys.backup)
    age_s = time.time() - float(orjson.loads(stamp)["at"]) if stamp else None
    return Facts(services.settings, by_what, pools, await services.api_keys.any(), age_s, dict(os.environ))
