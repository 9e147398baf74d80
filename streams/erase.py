"""Forgetting for good: what mentions some words leaves the log, the dead letters and the archive.

For a person who asks to be forgotten, and for a document that is deleted. It is asked for with `Erasures.ask` and
carried out with `Erasures.carry_out`, as the maintenance chore ``erase`` does. What goes, of one tenant:

- lifecycle entries that mention the words, once archive and history have read them;
- the same entries in the archive: their payloads are replaced, ids and moves stay, so that a job's course is known;
- dead letters, which are given up as by ``dlq drop``;
- what the live records of the jobs say (spec, error, progress, keys of ``once``), and outcomes on the outcomes stream;
- payloads that were put aside (claim checks) and mention them.

A job that still runs is left until it has ended. Replaying an erased payload is refused (``erased``). Nothing here
knows PostgreSQL or bytes in the artifact store: who asks erases there itself. Backups keep what they have until they
are removed.

::

    erasures = Erasures(log, blobs.chunks)
    await erasures.ask(Erasure(tenant="default", words=("jane@example.com",), jobs=("0-5f2a9c0b7d1e4f60",)))
    ...
    for wanted, done in await erasures.carry_out():
        done.waiting  # jobs that are to end first; it is looked at again
"""

from __future__ import annotations

import time
import uuid
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import orjson
from redis.exceptions import ResponseError

from streams import archive
from streams.blobs import BlobNotFound
from streams.dlq import DeadLetters
from streams.mentions import ERASED_DATA, ERASED_TEXT, Mentions
from streams.retention import REQUIRED_GROUPS
from streams.states import ENDED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from streams.chunks import Chunks
    from streams.keys import PartitionKeys
    from streams.log import DeadLetter, Log

PAGE: Final = 250
AGAIN_MS: Final = 120_000
"""What is erased is looked for once more after so long: a member that archived meanwhile may have had it in hand."""

REASON: Final = "erased"
_RECORD: Final = ("spec", "error", "notify", "then", "then_error", "progress.step")
"""Fields of a job's live record that may say something about somebody."""

EntryId = tuple[int, int]
_END: Final[EntryId] = (2**63, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What is to be erased.

    Attributes:
        words: Whole words in small or large letters, `streams.mentions.LEAST_CHARS` characters at least: ids,
            addresses, names, numbers as they are written. Empty: every payload of `jobs`.
        jobs: Only what is of these; empty: of every job of the tenant.
        flow: Only what is of jobs of this flow; empty: of any.
        since_ms: Nothing older is looked at: when the document or the person came in. Milliseconds since the epoch.
        until_ms: When it was asked; only jobs that were there then are looked at. 0: now.
        found: Jobs that were found to mention it: their later entries are looked at too.
        done_ms: When nothing was waiting for the first time; 0: something is.
    """

    tenant: str
    words: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    flow: str = ""
    since_ms: int = 0
    until_ms: int = 0
    erasure_id: str = ""
    found: tuple[str, ...] = ()
    done_ms: int = 0


@dataclass(slots=True)
class Erased:
    """What became of an erasure this time.

    Attributes:
        jobs: Those that mentioned it.
        waiting: Of them those that still run, or whose entries archive or history has not read.
    """

    entries: int = 0
    archived: int = 0
    letters: int = 0
    records: int = 0
    claims: int = 0
    jobs: set[str] = field(default_factory=set)
    waiting: set[str] = field(default_factory=set)


class Erasures:
    """Those that were asked for and are not over. Methods raise redis-py's errors when the server is away."""

    def __init__(self, log: Log, chunks: Chunks) -> None:
        self._log = log
        self._chunks = chunks

    async def ask(self, wanted: Erasure, *, now_ms: int | None = None) -> str:
        """Keep what is to be erased until it is; answers its id.

        Raises:
            ValueError: A word is too short, or neither words nor jobs are named.
        """
        if not wanted.words and not wanted.jobs:
            raise ValueError("name words or jobs: all that a tenant has is not erased this way")
        Mentions(wanted.words)
        at_ms = now_ms if now_ms is not None else round(time.time() * 1_000)
        kept = replace(wanted, until_ms=wanted.until_ms or at_ms, erasure_id=wanted.erasure_id or uuid.uuid4().hex[:20])
        await self._log.client.hset(self._log.keys.erasures, kept.erasure_id, orjson.dumps(asdict(kept)))
        return kept.erasure_id

    async def open(self) -> list[Erasure]:
        """Those that are not over, the oldest first."""
        rows = await self._log.client.hvals(self._log.keys.erasures)
        return sorted(map(_read, rows), key=lambda one: (one.until_ms, one.erasure_id))

    async def carry_out(self, *, now_ms: int | None = None) -> list[tuple[Erasure, Erased]]:
        """Erase what can be erased now; one that is gone, also when looked for later, is forgotten itself.

        Returns:
            What was looked for, those of a kind together, and what became of it.

        Raises:
            TransientError: The artifact store is away; it is gone on with next time.
        """
        at_ms = now_ms if now_ms is not None else round(time.time() * 1_000)
        alike: dict[Any, list[Erasure]] = {}
        for one in await self.open():
            if not one.done_ms or at_ms - one.done_ms >= AGAIN_MS:
                alike.setdefault((one.tenant, one.flow, one.jobs, not one.words, one.done_ms > 0), []).append(one)
        told = []
        for some in alike.values():
            wanted = replace(
                some[0],
                words=tuple({word for one in some for word in one.words}),
                found=tuple({job for one in some for job in one.found}),
                since_ms=min(one.since_ms for one in some),
                until_ms=max(one.until_ms for one in some),
            )
            done = await erase(self._log, self._chunks, wanted)
            for one in some:
                await self._settle(one, done, at_ms)
            told.append((wanted, done))
        return told

    async def _settle(self, one: Erasure, done: Erased, at_ms: int) -> None:
        key = self._log.keys.erasures
        if one.done_ms and not done.waiting:
            await self._log.client.hdel(key, one.erasure_id)
            return
        kept = replace(one, found=tuple(sorted(done.jobs)), done_ms=0 if done.waiting else at_ms)
        await self._log.client.hset(key, one.erasure_id, orjson.dumps(asdict(kept)))


def _read(row: bytes) -> Erasure:
    raw: dict[str, Any] = orjson.loads(row)
    lists: dict[str, Any] = {name: tuple(value) for name, value in raw.items() if isinstance(value, list)}
    return Erasure(**(raw | lists))


async def erase(log: Log, chunks: Chunks, wanted: Erasure) -> Erased:
    """Erase what can be erased now, see `Erasures`; twice is once."""
    return await _Eraser(log, chunks, wanted).run()


class _Eraser:
    def __init__(self, log: Log, chunks: Chunks, wanted: Erasure) -> None:
        self._log = log
        self._client = log.client
        self._chunks = chunks
        self._wanted = wanted
        self._mentions = Mentions(wanted.words)
        self._done = Erased(jobs={*wanted.jobs, *wanted.found})
        self._looked_into: set[str] = set()
        self._has_ended: dict[str, bool] = {}

    async def run(self) -> Erased:
        keys, namespace = self._log.keys, self._log.keys.namespace
        partitions = {keys.of_job(job).partition for job in self._wanted.jobs} or {
            *range(keys.partitions), *await archive.partitions(self._chunks, namespace),
        }  # fmt: skip
        for partition in sorted(partitions):
            of = keys.partition(partition)
            # Where the groups stand before the archive is rewritten: what they read later is in neither yet.
            limit = await self._read_by_all(of)
            await self._archive(partition)
            await self._lifecycle(of, limit)
            await self._letters(partition)
        await self._outcomes()
        for job in sorted(self._done.jobs):
            await self._record(job)
        if not self._done.waiting and not self._mentions.is_everything:
            for sha256 in self._mentions.claims:
                await self._chunks.delete_claim(sha256, tenant=self._wanted.tenant)
                self._done.claims += 1
        return self._done

    async def _archive(self, partition: int) -> None:
        found = [
            batch
            async for batch in archive.batches(
                self._chunks, self._log.keys.namespace, partition, from_ms=self._wanted.since_ms
            )
        ]
        for batch in sorted(found, key=lambda batch: (batch.first_ms, batch.key)):
            await self._look_into(await archive.claims_of(self._chunks, batch.key))
            self._done.archived += await archive.rewrite(
                self._chunks, batch.key, self._changed, self._mentions.may_be_in
            )

    def _changed(self, entry_id: str, fields: dict[str, str]) -> dict[str, str] | None:
        if not self._is_meant(_place(entry_id)[0], fields):
            return None
        kept = self._mentions.fields(fields)
        if kept is not None:
            self._done.jobs.add(fields["job"])
        return kept

    def _is_meant(self, at_ms: int, fields: Mapping[str, str]) -> bool:
        wanted, job = self._wanted, fields.get("job", "")
        return (
            bool(job)
            and fields.get("tenant") == wanted.tenant
            and (not wanted.jobs or job in wanted.jobs)
            and (not wanted.flow or fields.get("flow") == wanted.flow)
            and at_ms >= wanted.since_ms
            and (at_ms <= wanted.until_ms or job in self._done.jobs)
        )

    async def _lifecycle(self, of: PartitionKeys, limit: EntryId) -> None:
        after = str(self._wanted.since_ms)
        while rows := await self._client.xrange(of.lifecycle, after, "+", count=PAGE):
            gone = [raw_id for raw_id, raw in rows if await self._goes(raw_id.decode(), raw, limit)]
            if gone:
                await self._client.xdel(of.lifecycle, *gone)
                self._done.entries += len(gone)
            after = f"({rows[-1][0].decode()}"

    async def _goes(self, entry_id: str, raw: Mapping[bytes, bytes], limit: EntryId) -> bool:
        """Whether an entry leaves lifecycle now; one that is to leave it later keeps the erasure open."""
        if not self._mentions.may_be_in(b"\0".join(raw.values())):
            return False
        fields = _texts(raw)
        at = _place(entry_id)
        if not self._is_meant(at[0], fields):
            return False
        await self._look_into(archive.claims_in(fields.values()))
        if self._mentions.fields(fields) is None:
            return False
        job = fields["job"]
        self._done.jobs.add(job)
        if at < limit and await self._ended(job):
            return True
        self._done.waiting.add(job)
        return False

    async def _letters(self, partition: int) -> None:
        dead = DeadLetters(self._log)
        low = str(self._wanted.since_ms)
        while letters := await self._log.oldest_letters(partition, low, "+", limit=PAGE):
            gone = [letter for letter in letters if await self._buries(dead, letter)]
            await dead.drop_letters(gone, reason=REASON)
            self._done.letters += len(gone)
            low = "(" + letters[-1].dead_id.partition("-")[2]

    async def _buries(self, dead: DeadLetters, letter: DeadLetter) -> bool:
        fields = {**letter.fields, "tenant": await dead.tenant_of(letter)}
        if not self._is_meant(letter.place[0], fields):
            return False
        await self._look_into(archive.claims_in(fields.values()))
        if self._mentions.fields(fields) is None:
            return False
        self._done.jobs.add(fields["job"])
        return True

    async def _record(self, job: str) -> None:
        keys = self._log.keys.of_job(job)
        raw = await self._client.hgetall(keys.job(job))
        if not raw or raw.get(b"tenant", b"default").decode() != self._wanted.tenant:
            return
        if not await self._ended(job):
            self._done.waiting.add(job)
            return
        said = {name: raw[name.encode()].decode("utf-8", "replace") for name in _RECORD if name.encode() in raw}
        kept = {name: self._said(name, text) for name, text in said.items()}
        changed = {name: text for name, text in kept.items() if text != said[name]}
        if changed:
            await self._client.hset(keys.job(job), mapping=changed)
        once = [one async for one in self._client.sscan_iter(keys.once(job), count=PAGE) if self._says(one)]
        if once:
            await self._client.srem(keys.once(job), *once)
        self._done.records += bool(changed or once)

    def _said(self, name: str, text: str) -> str:
        if name == "spec":
            return self._mentions.spec_text(text)
        if not text or not self._mentions.text(text):
            return text
        return ERASED_DATA if text[:1] == "{" else ERASED_TEXT

    def _says(self, raw: bytes) -> bool:
        return self._mentions.text(raw.decode("utf-8", "replace"))

    async def _outcomes(self) -> None:
        after, key = str(self._wanted.since_ms), self._log.keys.outcomes
        while rows := await self._client.xrange(key, after, "+", count=PAGE):
            gone = [
                raw_id
                for raw_id, raw in rows
                if raw.get(b"subject", b"").decode() in self._done.jobs and self._says(raw.get(b"data", b""))
            ]
            if gone:
                await self._client.xdel(key, *gone)
            after = f"({rows[-1][0].decode()}"

    async def _ended(self, job: str) -> bool:
        if job not in self._has_ended:
            status = await self._client.hget(self._log.keys.of_job(job).job(job), "status")
            self._has_ended[job] = status is None or status.decode() in ENDED
        return self._has_ended[job]

    async def _look_into(self, claims: Iterable[str]) -> None:
        """Read payloads that were put aside: what they say counts as said where they stand."""
        for sha256 in set(claims) - self._looked_into:
            self._looked_into.add(sha256)
            try:
                payload = await self._chunks.get_claim(sha256, tenant=self._wanted.tenant)
            except BlobNotFound:
                continue
            if self._says(payload):
                self._mentions.claims.add(sha256)

    async def _read_by_all(self, of: PartitionKeys) -> EntryId:
        """Entries before this one were read by archive and history, as far as there are such groups."""
        try:
            groups = await self._client.xinfo_groups(of.lifecycle)
        except ResponseError:  # no such key
            return _END
        limit = _END
        for group in groups:
            if group["name"].decode() not in REQUIRED_GROUPS:
                continue
            ms, seq = _place(group["last-delivered-id"].decode())
            limit = min(limit, (ms, seq + 1))
            if group["pending"]:
                oldest = await self._client.xpending(of.lifecycle, group["name"])
                limit = min(limit, _place(oldest["min"].decode()))
        return limit


def _place(entry_id: str) -> EntryId:
    ms, _, seq = entry_id.partition("-")
    return int(ms), int(seq)


def _texts(raw: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in raw.items()}
