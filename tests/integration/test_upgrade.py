"""Workers of two versions on one log, and what one of them cannot read."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError

from streams import scripts
from streams.doctor import survey
from tests.support.api_place import ApiPlace, until

if TYPE_CHECKING:
    import pytest


async def test_workers_with_other_scripts_work_side_by_side(place: ApiPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version's scripts have other texts, so other digests; the server keeps both."""
    others: set[int] = set()
    used: dict[bool, set[str]] = {True: set(), False: set()}

    async def run(client: Any, name: str, keys: list[str], args: list[Any]) -> Any:
        is_other = id(client) in others
        source = scripts.script(name).source + ("\n-- another version" if is_other else "")
        sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
        used[is_other].add(sha)
        try:
            return await client.evalsha(sha, len(keys), *keys, *args)
        except NoScriptError:
            return await client.eval(source, len(keys), *keys, *args)

    monkeypatch.setattr(scripts, "run", run)
    async with place.worker() as old:
        others |= {id(old.client), id(old._lease_client)}
        async with place.worker() as new:
            jobs = [
                (await place.call("POST", "jobs", {"flow": "noop", "spec": {"fan_out": 20}})).body["job_id"]
                for _ in range(10)
            ]
            for job in jobs:
                assert (await place.ended(job))["status"] == "succeeded"
            assert old.committer.counts["completed"] > 0
            assert new.committer.counts["completed"] > 0
        # The old one drains last here: what only it holds goes on too.
        assert (await place.ended(await place.submit()))["status"] == "succeeded"
    assert len(used[True]) >= 2
    assert used[True].isdisjoint(used[False])
    assert (await survey(place.services.client, place.services.keys)).suspects == ()


async def test_a_payload_of_a_later_version_waits_as_a_dead_letter(place: ApiPlace) -> None:
    stream = place.services.keys.partition(0).stream("crawl")
    async with place.worker():
        job = (await place.call("POST", "jobs", {"flow": "noop", "spec": {}, "run_at": "2090-01-01T00:00:00Z"})).body
        await place.services.client.xadd(stream, {"flow": "probe", "data": '{"v": 2, "of": "tomorrow"}'})

        async def is_dead() -> bool:
            return bool(await place.services.log.dead_letters())

        await until(is_dead)
    (letter,) = await place.services.log.dead_letters()
    assert letter.fields["data"] == '{"v": 2, "of": "tomorrow"}'
    assert letter.fields["reason"] == "unknown_schema_version"
    assert (await place.call("GET", f"jobs/{job['job_id']}")).body["status"] == "queued"
