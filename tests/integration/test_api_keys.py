"""API keys, tenants, and the defences of a server that browsers reach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from api.auth import OpenListen, check_listen
from api.keys import ApiKeys, BadKeyRequest, Scope
from tests.support.api_place import ApiPlace, api_place, until

if TYPE_CHECKING:
    from pathlib import Path

JOB = {"flow": "probe", "spec": {}}


async def key_of(place: ApiPlace, *scopes: Scope, tenant: str = "default") -> str:
    text, _ = await ApiKeys(place.services.client, place.services.keys).create("test", tenant=tenant, scopes=scopes)
    return text


async def test_a_key_is_shown_once_and_kept_as_a_digest(place: ApiPlace) -> None:
    keys = ApiKeys(place.services.client, place.services.keys)
    text, made = await keys.create("robot", tenant="acme", scopes=("read", "submit"))
    assert text.startswith("mr_")
    assert (made.tenant, made.scopes) == ("acme", ("submit", "read"))
    stored = await place.services.client.hgetall(place.services.keys.api_keys)
    assert text not in str(stored)
    assert await keys.find(text) == made
    assert await keys.find(text + "x") is None
    assert await keys.list() == [made]
    assert await keys.revoke(made.id)
    assert not await keys.revoke(made.id)
    assert await keys.find(text) is None


@pytest.mark.parametrize(
    "options", [{"scopes": ("fly",)}, {"scopes": ()}, {"tenant": "../x"}, {"tenant": ""}, {"name": " "}]
)
async def test_a_key_that_makes_no_sense_is_refused(place: ApiPlace, options: dict[str, Any]) -> None:
    keys = ApiKeys(place.services.client, place.services.keys)
    with pytest.raises(BadKeyRequest):
        await keys.create(options.pop("name", "robot"), **options)


async def test_with_a_key_nobody_is_anonymous(place: ApiPlace) -> None:
    assert (await place.call("GET", "jobs")).status == 200
    text = await key_of(place, "read")
    for headers in ({}, {"Authorization": "Bearer mr_wrong"}, {"X-API-Key": "wrong"}, {"Authorization": "Basic eDp5"}):
        answer = await place.call("GET", "jobs", headers=headers)
        assert (answer.status, answer.body["type"]) == (401, "/problems/unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"
    for headers in ({"Authorization": f"Bearer {text}"}, {"X-API-Key": text}):
        assert (await place.call("GET", "jobs", headers=headers)).status == 200
    assert (await place.call("GET", "/health")).status == 200
    async with place.session.ws_connect(f"{place.url}/ws/jobs/0-x") as socket:
        assert (await socket.receive_json())["status"] == 401


async def test_a_key_may_do_what_its_scopes_say(place: ApiPlace) -> None:
    may: dict[Scope, set[str]] = {
        "submit": {"submit", "cancel"}, "read": {"read"}, "operate": {"cancel"}, "admin": {"submit", "read", "cancel"},
    }  # fmt: skip
    asked = {
        "submit": ("POST", "jobs", JOB),
        "read": ("GET", "jobs", None),
        "cancel": ("POST", "jobs/0-1/cancel", None),
    }
    for scope, allowed in may.items():
        place.key = await key_of(place, scope)
        for what, (method, path, body) in asked.items():
            answer = await place.call(method, path, body)
            assert (answer.status == 403) is (what not in allowed), f"{scope} {what}: {answer}"


async def test_a_tenant_sees_nothing_of_another(place: ApiPlace) -> None:
    mine, theirs = await key_of(place, "admin", tenant="mine"), await key_of(place, "admin", tenant="theirs")
    async with place.worker(with_history=True) as worker:
        place.key = mine
        job = await place.submit("die once")
        await place.ended(job)
        assert worker.shipper is not None
        await worker.shipper.flush(5.0)
        letter = (await place.call("GET", "dlq")).body["items"][0]["dead_id"]
        file = (await place.call("GET", f"jobs/{job}/artifacts")).body["items"][0]["href"]
        parts = ("", "?wait=1", "/result", "/artifacts", "/logs", "/trace", "/events")
        paths = [f"jobs/{job}{part}" for part in parts] + [f"tasks/{job}", f"dlq/{letter}", file]
        for key, status in ((mine, 200), (theirs, 404)):
            place.key = key
            for path in paths:
                assert (await place.call("GET", path)).status == status, path
        for path in ("cancel", "retry"):
            assert (await place.call("POST", f"jobs/{job}/{path}")).status == 404
        for path in ("jobs", "dlq"):
            assert (await place.call("GET", path)).body["items"] == []
        cancel = {
            "specversion": "1.0",
            "id": "1",
            "source": "/x",
            "type": "millrace.job.cancel",
            "data": {"job_id": job},
        }
        headers = {"Content-Type": "application/cloudevents+json"}
        assert (await place.call("POST", "events", cancel, headers=headers)).status == 404
        headers = {"Authorization": f"Bearer {theirs}"}
        async with place.session.ws_connect(f"{place.url}/ws/jobs/{job}", headers=headers) as socket:
            assert (await socket.receive_json())["status"] == 404


async def test_tenants_may_use_the_same_idempotency_keys(place: ApiPlace) -> None:
    jobs = set()
    for tenant in ("one", "two"):
        place.key = await key_of(place, "submit", tenant=tenant)
        jobs.add((await place.call("POST", "jobs", JOB, headers={"Idempotency-Key": "same"})).body["job_id"])
    assert len(jobs) == 2


async def test_a_worker_shows_what_it_holds_to_the_tenant_alone(place: ApiPlace) -> None:
    mine, theirs = await key_of(place, "admin", tenant="mine"), await key_of(place, "admin", tenant="theirs")
    async with place.worker():
        place.key = mine
        job = await place.submit("wait")
        await place.gate.reached.wait()

        async def held() -> list[str]:
            workers = (await place.call("GET", "workers")).body["items"]
            return [one["job"] for worker in workers for one in worker["holds"]]

        async def is_held() -> bool:
            return await held() == [job]

        await until(is_held)
        place.key = theirs
        assert await held() == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "millrace.example"])  # noqa: S104 - refused
def test_without_keys_it_listens_on_loopback_alone(host: str) -> None:
    with pytest.raises(OpenListen, match="keys create"):
        check_listen(host, has_keys=False)
    check_listen(host, has_keys=True)
    for loopback in ("127.0.0.1", "::1", "localhost", "127.8.8.8"):
        check_listen(loopback, has_keys=False)


async def test_beyond_loopback_nobody_is_anonymous(
    valkey_url: str, store_url: str, namespace: str, tmp_path: Path
) -> None:
    async with api_place(valkey_url, store_url, namespace, tmp_path, api_host="0.0.0.0") as place:  # noqa: S104
        assert (await place.call("GET", "jobs")).status == 401


async def test_a_name_that_was_made_to_lead_here_is_refused(place: ApiPlace) -> None:
    for host in ("evil.example", "evil.example:8000", "127.0.0.1.evil.example", "10.0.0.7:8000", ""):
        answer = await place.call("GET", "jobs", headers={"Host": host})
        assert (answer.status, answer.body["type"]) == (403, "/problems/foreign-host"), host
    for host in ("localhost:8000", "127.0.0.1", "[::1]:8000", "LOCALHOST"):
        assert (await place.call("GET", "jobs", headers={"Host": host})).status == 200, host
    text = await key_of(place, "read")
    assert (await place.call("GET", "jobs", headers={"Host": "millrace.example", "X-API-Key": text})).status == 200


async def test_a_page_of_another_origin_changes_nothing(place: ApiPlace) -> None:
    job = await place.submit()
    own = place.url
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        for path, body in (("jobs", JOB), (f"jobs/{job}/cancel", None), (f"jobs/{job}/retry", None)):
            answer = await place.call("POST", path, body, headers=headers)
            assert (answer.status, answer.body["type"]) == (403, "/problems/foreign-origin")
        assert "access-control-allow-origin" not in answer.headers
    for headers in ({"Origin": own}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}):
        assert (await place.call("POST", "jobs", JOB, headers=headers)).status == 202
    socket = await place.call("GET", f"/ws/jobs/{job}", headers={"Origin": "https://evil.example"})
    assert socket.status == 404  # not even a handshake; with one:
    handshake = place.session.ws_connect(f"{own}/ws/jobs/{job}", headers={"Origin": "https://evil.example"})
    with pytest.raises(Exception, match="403"):
        await handshake


async def test_an_origin_that_the_operator_names_may_ask(
    valkey_url: str, store_url: str, namespace: str, tmp_path: Path
) -> None:
    origin = "https://app.example.com"
    async with api_place(valkey_url, store_url, namespace, tmp_path, cors_origins=(origin,)) as place:
        asks = {
            "Origin": origin, "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type, idempotency-key",
        }  # fmt: skip
        preflight = await place.call("OPTIONS", "jobs", headers=asks)
        assert (preflight.status, preflight.headers["access-control-allow-origin"]) == (200, origin)
        answer = await place.call("POST", "jobs", JOB, headers={"Origin": origin})
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (202, origin)
        bad = await place.call("POST", "jobs", {}, headers={"Origin": origin})
        assert (bad.status, bad.headers["access-control-allow-origin"]) == (422, origin)
        assert (await place.call("POST", "jobs", JOB, headers={"Origin": "https://evil.example"})).status == 403
