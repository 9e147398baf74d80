"""Limits over HTTP: what is declared, what it is set to, who may."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from streams.limits import ConcurrencyLimit, Limits
from streams.policy import AtOnce, RateLimit, StagePolicy
from tests.support.api_place import ApiPlace, api_place
from tests.support.chaos_local import flow_of

LIMITS = (RateLimit("mail", 10, 60), AtOnce("site", 1), AtOnce("host", 2, by=lambda note: str(note.n)))


@pytest.fixture
async def place(valkey_url: str, store_url: str, namespace: str, tmp_path: Path) -> AsyncIterator[ApiPlace]:
    flow = flow_of("limited", policies={"crawl": StagePolicy(limits=LIMITS)})
    async with api_place(valkey_url, store_url, namespace, tmp_path, more=[flow]) as running:
        yield running


async def test_limits_are_shown_set_and_cleared(place: ApiPlace) -> None:
    shared = Limits(place.services.client, place.settings.namespace)
    for task in ("0-a/1", "0-b/1"):
        await shared.acquire("site", task, ConcurrencyLimit(1))
    rows = {row["name"]: row for row in (await place.call("GET", "limits")).body["items"]}
    assert list(rows) == ["host", "mail", "site"]
    assert rows["mail"] == {
        "name": "mail", "kind": "rate", "by_value": False, "count": 10, "per_s": 60,
        "declared": {"count": 10, "per_s": 60}, "set": None, "waiting": 0,
    }  # fmt: skip
    assert (rows["site"]["running"], rows["site"]["waiting"]) == (1, 1)
    assert rows["host"]["by_value"]

    done = await place.call("PUT", "limits/mail", {"count": 30})
    assert (done.body["count"], done.body["per_s"], done.body["set"]) == (30, 60, {"count": 30})
    rows = {row["name"]: row for row in (await place.call("GET", "limits")).body["items"]}
    assert rows["mail"]["count"] == 30
    assert (await place.call("DELETE", "limits/mail")).status == 204
    rows = {row["name"]: row for row in (await place.call("GET", "limits")).body["items"]}
    assert rows["mail"]["count"] == 10
    (stage,) = [
        one for one in (await place.call("GET", "stages")).body["items"]
        if (one["flow"], one["stage"]) == ("limited", "crawl")
    ]  # fmt: skip
    assert stage["policy"]["limits"][0] == {"name": "mail", "count": 10, "per_s": 60}


async def test_what_is_no_limit_is_refused(place: ApiPlace) -> None:
    assert (await place.call("PUT", "limits/nothing", {"count": 1})).status == 404
    assert (await place.call("DELETE", "limits/nothing")).status == 404
    assert (await place.call("PUT", "limits/mail", {"count": 0})).fields == ["count"]
    assert (await place.call("PUT", "limits/site", {"count": 1, "per_s": 1})).fields == ["per_s"]


async def test_only_operators_of_the_installation_set_limits(place: ApiPlace) -> None:
    place.key, _ = await place.services.api_keys.create("reader", scopes=("read",))
    assert (await place.call("GET", "limits")).status == 200
    assert (await place.call("PUT", "limits/mail", {"count": 1})).status == 403
    await place.become("someone")
    assert (await place.call("PUT", "limits/mail", {"count": 1})).status == 403
    assert (await place.call("DELETE", "limits/mail")).status == 403
