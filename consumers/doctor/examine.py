"""The whole examination, from the connections to the last counter."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

from redis.exceptions import RedisError

from consumers.doctor import kept, servers, worklog
from consumers.doctor.finding import Finding
from consumers.worker.presence import presence
from streams.connect import AWAY
from streams.doctor import survey
from streams.errors import TransientError
from streams.findings import Findings
from streams.pressure import Pressure

if TYPE_CHECKING:
    from consumers.flow import Flows
    from consumers.store import Store
    from schemas.settings import Settings
    from streams.blobs import Blobs
    from streams.keys import Keys
    from streams.log import Log


class Patient(Protocol):
    """What is examined: the connections of an API, a command or a worker."""

    @property
    def settings(self) -> Settings:
        """As read from the environment."""
        ...

    @property
    def flows(self) -> Flows:
        """Those installed here."""
        ...

    @property
    def client(self) -> Any:
        """Of Redis."""
        ...

    @property
    def keys(self) -> Keys:
        """Of the namespace."""
        ...

    @property
    def log(self) -> Log:
        """Of the namespace."""
        ...

    @property
    def blobs(self) -> Blobs:
        """The artifact store."""
        ...

    @property
    def database(self) -> Store | None:
        """PostgreSQL; None when none is known."""
        ...


def itself() -> Finding:
    """Which version examines."""
    return Finding("millrace", "ok", f"{version('millrace')} on Python {platform.python_version()}")


async def examine(
    patient: Patient, *, redis: str = "your own", postgres: str = "your own", artifacts: str = ""
) -> list[Finding]:
    """Look at everything; nothing is changed.

    Args:
        patient: What is examined.
        redis: How the server is called where it is shown; it may not hold a password.
        postgres: As `redis`.
        artifacts: Where they are, as a person would say it.
    """
    findings = [itself()]
    findings += [one async for one in servers.redis(patient, redis)]
    findings += [one async for one in servers.postgres(patient, postgres)]
    findings.append(await servers.artifacts(patient, artifacts or patient.settings.artifacts_location))
    findings += [one async for one in servers.addressees(patient)]
    try:
        findings += await _of_log(patient)
    except (RedisError, *AWAY) as error:
        findings.append(Finding("log", "bad", f"it could not be looked through: {error}"))
    try:
        findings += await kept.blobs(patient)
        if patient.database is not None:
            findings.append(kept.judge_lost(await kept.lost_jobs(patient)))
    except (TransientError, RedisError, *AWAY) as error:
        findings.append(Finding("history", "bad", f"it could not be looked through: {error}"))
    return findings


async def _of_log(patient: Patient) -> list[Finding]:
    workers = await presence(patient.client, patient.keys)
    seconds, micros = await patient.client.time()
    now_s = int(seconds) + int(micros) / 1e6
    streams = [one async for one in worklog.stream_facts(patient, [one["name"] for one in workers])]
    groups = [one async for one in worklog.group_facts(patient, int(now_s * 1_000))]
    findings = worklog.judge_workers(workers, streams, now_s)
    findings += worklog.judge_streams(streams, patient.settings.lease_ms)
    findings += worklog.judge_groups(groups, patient.keys.all_partitions)
    said = await Pressure(patient.client, patient.keys, share=patient.settings.max_memory_share).said()
    findings += worklog.judge_pressure(said, streams, patient.settings.max_backlog)
    findings += worklog.judge_survey(await survey(patient.client, patient.keys))
    dead = sum([await patient.client.xlen(keys.dlq) for keys in patient.keys.all_partitions])
    findings += worklog.judge_told(await Findings(patient.client, patient.keys).all())
    if dead:
        findings.append(Finding("dead letters", "note", f"{dead:,}", "`./millrace dlq list` shows them"))
    return findings
