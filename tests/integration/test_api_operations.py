"""What operators ask: streams, workers, stages, dead letters, health, metrics; and the pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import orjson

from api.keys import ApiKeys
from tests.support.api_place import ApiPlace, api_place, until

if TYPE_CHECKING:
    from pathlib import Path


async def test_streams_tell_what_is_there_and_what_is_held(place: ApiPlace) -> None:
    async def crawl() -> dict[str, object]:
        rows = (await place.call("GET", "streams")).body["items"]
        (row,) = [one for one in rows if one["stream"] == "crawl"]
        return {name: row[name] for name in ("length", "pending", "lag")}

    await place.submit("wait", priority="high")
    for _ in range(2):
        await place.submit("wait")
    assert await crawl() == {"length": 2, "pending": 0, "lag": 2}
    rows = {row["stream"]: row for row in (await place.call("GET", "streams")).body["items"]}
    assert rows["crawl:high"]["length"] == 1
    assert rows["crawl"]["oldest_age_s"] >= 0
    assert rows["crawl"]["partitions"][0]["key"] == f"{place.settings.namespace}:{{0}}:crawl"
    assert rows["extract"]["oldest_age_s"] == 0
    async with place.worker():

        async def are_held() -> bool:
            return (await crawl())["pending"] == 2

        await until(are_held)
        assert (await crawl())["lag"] == 0
        (worker,) = (await place.call("GET", "workers")).body["items"]
        assert worker["pools"] == ["default", "heavy", "browser", "mail"]


async def test_stages_tell_their_policies(place: ApiPlace) -> None:
    rows = (await place.call("GET", "stages")).body["items"]
    (extract,) = [one for one in rows if (one["flow"], one["stage"]) == ("probe", "extract")]
    assert extract["accepts"] == "Probe"
    assert extract["policy"]["pool"] == "default"
    assert extract["policy"]["retry"]["max_attempts"] >= 1
    assert [one["stage"] for one in rows if one["flow"] == "noop"] == [
        "crawl", "classify", "download", "extract", "compile", "notify",
    ]  # fmt: skip


async def test_dead_letters_come_by_page_over_all_partitions(
    valkey_url: str, store_url: str, namespace: str, tmp_path: Path
) -> None:
    async with api_place(valkey_url, store_url, namespace, tmp_path, partitions=3) as place, place.worker():
        jobs = [await place.submit("die once") for _ in range(7)]
        for job in jobs:
            await place.ended(job)
        whole = [one["dead_id"] for one in (await place.call("GET", "dlq")).body["items"]]
        assert len(set(whole)) == 7
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = (await place.call("GET", f"dlq?limit=2{f'&cursor={cursor}' if cursor else ''}")).body
            seen += [one["dead_id"] for one in page["items"]]
            cursor = page["next"]
        assert seen == whole
        listed = (await place.call("GET", "jobs?limit=200")).body["items"]
        assert {one["job_id"] for one in listed} == set(jobs)


async def test_strays_are_shown_to_the_operator_alone(place: ApiPlace) -> None:
    dlq = place.services.keys.partition(0).dlq
    await place.services.client.xadd(dlq, {"job": "", "task": "", "flow": "", "stage": "crawl", "reason": "bad_json"})
    (stray,) = (await place.call("GET", "dlq")).body["items"]
    assert stray["reason"] == "bad_json"
    for scopes, tenant in ((("read",), "default"), (("admin",), "other")):
        place.key, _ = await ApiKeys(place.services.client, place.services.keys).create(
            "x", tenant=tenant, scopes=scopes
        )
        assert (await place.call("GET", "dlq")).body["items"] == []
        assert (await place.call("GET", f"dlq/{stray['dead_id']}")).status == 404


async def test_metrics_are_in_the_text_format_and_have_no_ids(place: ApiPlace) -> None:
    async with place.worker():
        job = await place.submit("die once")
        await place.ended(job)
        answer = await place.call("GET", "/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        sample = re.compile(r'[a-z_]+(\{([a-z]+="[^"]*",?)+\})? -?[0-9.e+-]+')
        lines = answer.body.splitlines()
        assert all(line.startswith("# ") or sample.fullmatch(line) for line in lines)
        names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
        assert len(names) == len(set(names))
        assert 'millrace_dlq_entries{partition="0"} 1' in lines
        assert 'millrace_stream_entries{stage="crawl",pool="default",lane="normal"} 0' in lines
        assert job not in answer.body


async def test_what_it_says_about_its_health(place: ApiPlace) -> None:
    assert (await place.call("GET", "/health")).body == {"status": "up"}
    ready = await place.call("GET", "/health/ready")
    assert ready.body == {"status": "ready", "checks": {"redis": "ok", "postgresql": "ok"}}


async def test_without_a_database_the_log_still_works(valkey_url: str, namespace: str, tmp_path: Path) -> None:
    async with api_place(valkey_url, None, namespace, tmp_path) as place:
        job = await place.submit()
        assert (await place.call("GET", f"jobs/{job}")).body["status"] == "queued"
        assert [one["job_id"] for one in (await place.call("GET", "jobs")).body["items"]] == [job]
        for part in ("result", "logs", "artifacts"):
            answer = await place.call("GET", f"jobs/{job}/{part}")
            assert (answer.status, answer.body["reason"]) == (503, "no_database")
        assert (await place.call("GET", f"tasks/{job}")).body["status"] == "PENDING"
        assert (await place.call("GET", "/metrics")).status == 200
        assert (await place.call("GET", "/health/ready")).status == 503


async def test_the_description_names_every_route(place: ApiPlace) -> None:
    openapi = (await place.call("GET", "openapi.json")).body
    for path in (
        "/api/v1/jobs",
        "/api/v1/events",
        "/api/v1/tasks/{task_id}",
        "/api/v1/jobs/{job_id}/events",
        "/health",
    ):
        assert path in openapi["paths"]
    body = openapi["paths"]["/api/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert "run_at" in openapi["components"]["schemas"][body["$ref"].rpartition("/")[2]]["properties"]
    refs = set(re.findall(r'"#/components/schemas/([^"]+)"', orjson.dumps(openapi).decode()))
    assert refs <= set(openapi["components"]["schemas"])
    docs = await place.call("GET", "/docs")
    assert "POST /api/v1/jobs" in docs.body
    assert "expires_at" in docs.body


async def test_pages_show_jobs_and_come_from_here_alone(place: ApiPlace) -> None:
    job = (await place.call("POST", "jobs", {"flow": "probe", "spec": {"say": "<script>alert(1)</script>"}})).body[
        "job_id"
    ]
    listed = await place.call("GET", "/")
    assert f'href="/jobs/{job}"' in listed.body
    one = await place.call("GET", f"/jobs/{job}")
    assert f'data-job="{job}" data-live' in one.body
    for page in (listed, one):
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert "<script>" not in page.body
        assert not re.search(r'(src|href)="(https?:)?//', page.body)
    assert (await place.call("GET", "/static/app.js")).headers["content-type"].startswith("text/javascript")
    assert (await place.call("GET", "/static/app.css")).status == 200
    assert (await place.call("GET", "/jobs/0-nothing")).status == 404


async def test_with_keys_one_signs_in_to_see_pages_and_to_do_nothing_else(place: ApiPlace) -> None:
    text, _ = await ApiKeys(place.services.client, place.services.keys).create("me", scopes=("admin",))
    form = await place.call("GET", "/")
    assert "API key" in form.body
    assert (await place.call("POST", "/sign-in", {"key": "mr_wrong"})).status == 401
    # aiohttp keeps no cookies of addresses: it is handed on here.
    signed_in = await place.call("POST", "/sign-in", {"key": text})
    cookie = signed_in.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    headers = {"Cookie": cookie.partition(";")[0]}
    assert "No jobs here" in (await place.call("GET", "/", headers=headers)).body
    assert (await place.call("GET", "jobs", headers=headers)).status == 200
    assert (await place.call("POST", "jobs", {"flow": "probe", "spec": {}}, headers=headers)).status == 401


async def test_contracts_are_those_of_this_installation(place: ApiPlace) -> None:
    document = (await place.call("GET", "asyncapi.json")).body
    assert document["asyncapi"] == "3.0.0"
    assert document["channels"]["lifecycle"]["address"] == f"{place.settings.namespace}:{{partition}}:lifecycle"
    listed = (await place.call("GET", "schemas")).body["items"]
    names = {row["name"] for row in listed}
    assert {"lifecycle", "dlq", "events", "outcomes.job"} < names
    assert {"noop.spec", "noop.crawl", "noop.notify"} < names
    answer = await place.call("GET", "schemas/lifecycle")
    assert answer.body["properties"]["type"]["enum"][0] == "submitted"
    missing = await place.call("GET", "schemas/nothing")
    assert missing.status == 404
    assert "/api/v1/schemas lists them" in missing.body["detail"]
