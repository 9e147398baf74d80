"""What does not fit is refused with a problem that says what, where and what to do; nothing is submitted."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.support.api_place import ApiPlace, api_place

if TYPE_CHECKING:
    from pathlib import Path

JSON = {"Content-Type": "application/json"}


def probe(**fields: Any) -> dict[str, Any]:
    return {"flow": "probe", "spec": {}, **fields}


REFUSED = {
    "unknown flow": ({"flow": "nothing", "spec": {}}, "unknown-flow", ["flow"]),
    "no flow": ({"spec": {}}, "invalid-request", ["flow"]),
    "no spec": ({"flow": "probe"}, "invalid-request", ["spec"]),
    "two wrong types": ({"flow": 7, "spec": []}, "invalid-request", ["flow", "spec"]),
    "unknown field": (probe(prority="high"), "invalid-request", ["prority"]),
    "unknown field of the spec": (probe(spec={"colour": "red"}), "invalid-request", ["spec.colour"]),
    "wrong type in the spec": (probe(spec={"say": 5, "act": "jump"}), "invalid-request", ["spec.act", "spec.say"]),
    "priority": (probe(priority=11), "invalid-request", ["priority"]),
    "job id": (probe(job_id="no spaces please"), "invalid-request", ["job_id"]),
    "partition": (probe(job_id="7-mine"), "invalid-request", ["job_id"]),
    "stages in the wrong order": (
        probe(from_stage="extract", until_stage="crawl"), "invalid-request", ["from_stage"],
    ),
    "payload of a stage": (probe(from_stage="extract", spec={"nothing": 1}), "invalid-request", ["spec"]),
    "instants": (
        probe(run_at="2030-01-02T00:00:00Z", expires_at="2030-01-01T00:00:00Z"), "invalid-request", ["expires_at"],
    ),
    "instant without a zone": (probe(run_at="2030-01-02T00:00:00"), "invalid-request", ["run_at"]),
    "webhook": (probe(notify={"webhook": "ftp://x"}), "invalid-request", ["notify.webhook"]),
    "follow-up": (probe(then={"flow": "gone", "spec": {}}), "unknown-flow", ["then.flow"]),
    "follow-up's spec": (probe(then=probe(spec={"colour": 1})), "invalid-request", ["then.spec.colour"]),
    "private webhook": (probe(notify={"webhook": "http://192.168.1.9/"}), "refused-target", ["notify.webhook"]),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
async def test_a_job_that_does_not_fit_names_its_fields(place: ApiPlace, case: str) -> None:
    body, kind, fields = REFUSED[case]
    answer = await place.call("POST", "jobs", body)
    assert (answer.status, answer.body["type"]) == (422, f"/problems/{kind}")
    assert sorted(answer.fields) == fields
    assert answer.body["detail"]
    assert (await place.call("GET", "jobs")).body["items"] == []
    assert (await place.call("GET", answer.body["type"])).body["status"] == 422


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/", "http://localhost/", "http://sub.localhost:8000/", "http://10.1.2.3/", "http://[::1]/",
        "http://169.254.169.254/latest/meta-data", "http://0x7f.1/", "http://2130706433/", "http://[::ffff:127.0.0.1]/",
    ],
)  # fmt: skip
async def test_a_private_target_is_refused_with_the_way_out(place: ApiPlace, url: str) -> None:
    for spec in ({"url": url}, {"urls": ["https://example.com/", url]}):
        answer = await place.call("POST", "jobs", probe(spec=spec))
        assert (answer.status, answer.body["type"]) == (422, "/problems/refused-target")
        assert "MILLRACE_ALLOW_HOSTS" in answer.body["detail"]
        assert answer.fields == ["spec.url" if "url" in spec else "spec.urls.1"]


@pytest.mark.parametrize("url", ["not a url", "ftp://example.com/", "https://user:secret@example.com/", "http://"])
async def test_a_bad_url_is_refused_and_not_repeated_with_its_password(place: ApiPlace, url: str) -> None:
    answer = await place.call("POST", "jobs", probe(spec={"url": url}))
    assert (answer.status, answer.body["type"], answer.fields) == (422, "/problems/refused-target", ["spec.url"])
    assert "secret" not in orjson.dumps(answer.body).decode()


async def test_a_target_that_the_operator_allows_is_taken(
    valkey_url: str, store_url: str, namespace: str, tmp_path: Path
) -> None:
    async with api_place(valkey_url, store_url, namespace, tmp_path, allow_hosts=("127.0.0.1:8123",)) as place:
        for url in ("http://127.0.0.1:8123/", "http://localhost:8123/"):
            assert (await place.call("POST", "jobs", probe(spec={"url": url}))).status == 202
        assert (await place.call("POST", "jobs", probe(spec={"url": "http://127.0.0.1:8124/"}))).status == 422


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b'{"flow": NaN}', b"[" * 50_000, b'{"a":' * 500 + b"1" + b"}" * 500, b'{"a": "\\ud800"}'],
)
async def test_what_is_no_json_is_refused(place: ApiPlace, body: bytes) -> None:
    answer = await place.call("POST", "jobs", data=body, headers=JSON)
    assert (answer.status, answer.body["type"]) == (400, "/problems/bad-json")


async def test_json_of_another_kind_is_refused(place: ApiPlace) -> None:
    bodies: list[Any] = [[], "text", 5]
    for body in bodies:
        answer = await place.call("POST", "jobs", body)
        assert (answer.status, answer.fields) == (422, ["body"])


async def test_odd_values_are_taken_or_refused_but_never_an_error_of_ours(place: ApiPlace) -> None:
    deep: Any = 1
    for _ in range(90):
        deep = {"a": deep}
    values: list[Any] = [deep, 10**30, "\x00", "é" * 1000, 1e308, [[]] * 1000, {"": None}]
    for value in values:
        answer = await place.call("POST", "jobs", probe(spec={"say": value}))
        assert answer.status in {202, 422}
    huge = await place.call("POST", "jobs", {"flow": "noop", "spec": {"n": 10**30}})
    assert huge.status in {202, 422}
    too_large = await place.call("POST", "jobs", probe(spec={"say": "x" * 900_000}))
    assert (too_large.status, too_large.fields) == (422, ["spec"])


async def test_a_body_of_two_megabytes_is_refused_before_it_is_read(place: ApiPlace) -> None:
    body = b'{"flow":"probe","spec":{"say":"' + b"x" * 2_000_000 + b'"}}'
    declared = await place.call("POST", "jobs", data=io.BytesIO(body), headers=JSON)
    assert (declared.status, declared.body["type"]) == (413, "/problems/too-large")

    sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        for at in range(0, len(body), 65_536):
            sent += len(body[at : at + 65_536])
            yield body[at : at + 65_536]

    chunked = await place.call("POST", "jobs", data=pieces(), headers=JSON)
    assert (chunked.status, chunked.body["type"]) == (413, "/problems/too-large")
    assert (await place.call("GET", "/health")).status == 200


async def test_the_limit_holds_though_more_was_never_sent(place: ApiPlace) -> None:
    host, port = place.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    for _ in range(17):
        writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
    # The last chunk is withheld: the answer comes without it.
    assert b"413" in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_a_body_that_trickles_is_given_up(
    valkey_url: str, store_url: str, namespace: str, tmp_path: Path
) -> None:
    async with api_place(valkey_url, store_url, namespace, tmp_path, body_s=0.2) as place:
        host, port = place.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        assert b"408" in await reader.readline()
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    "media_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/octet-stream"],
)
async def test_a_body_that_is_not_declared_as_json_is_refused(place: ApiPlace, media_type: str) -> None:
    body = orjson.dumps(probe())
    for path in ("jobs", "events", "jobs/0-1/cancel", "jobs/0-1/retry"):
        answer = await place.call("POST", path, data=body, headers={"Content-Type": media_type})
        assert (answer.status, answer.body["type"]) == (415, "/problems/unsupported-media-type")


async def test_what_is_not_there(place: ApiPlace) -> None:
    for job in ("0-5f2a9c0b7d1e4f60a1b2", "7-elsewhere", "999999-x", "nonsense", "0-", "%00", "0-a/b"):
        for part in ("", "/result", "/artifacts", "/logs", "/trace", "/events"):
            answer = await place.call("GET", f"jobs/{job}{part}")
            assert (answer.status, answer.body["type"]) == (404, "/problems/not-found"), f"{job}{part}"
    for path in ("jobs/0-1/cancel", "jobs/0-1/retry"):
        assert (await place.call("POST", path)).status == 404
    for path in ("tasks/0-1", "dlq/0-1-1", "dlq/nonsense", "/nothing", "/api/v2/jobs", "/problems/x", "/static/x"):
        assert (await place.call("GET", path)).status == 404
    method = await place.call("DELETE", "jobs")
    assert (method.status, method.body["type"]) == (405, "/problems/method-not-allowed")
    assert "POST" in method.headers["allow"] or "GET" in method.headers["allow"]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("jobs?limit=0", "limit"), ("jobs?limit=x", "limit"), ("jobs?status=done", "status"),
        ("jobs?cursor=xyz", "cursor"), ("dlq?cursor=!!", "cursor"),
    ],
)  # fmt: skip
async def test_bad_parameters_are_named(place: ApiPlace, path: str, field: str) -> None:
    answer = await place.call("GET", path)
    assert (answer.status, answer.fields) == (422, [field])


async def test_bad_parameters_of_a_job_are_named(place: ApiPlace) -> None:
    job = await place.submit()
    for path, field in (("?wait=-1", "wait"), ("?wait=9999", "wait"), ("/logs?limit=5000", "limit")):
        assert (await place.call("GET", f"jobs/{job}{path}")).fields == [field]
    for bad in ("nonsense", "1-", "9" * 60 + "-1"):
        answer = await place.call("GET", f"jobs/{job}/events", headers={"Last-Event-ID": bad})
        assert (answer.status, answer.fields) == (422, ["Last-Event-ID"])
    force = await place.call("POST", f"jobs/{job}/cancel", {"force": "maybe", "why": 1})
    assert (force.status, sorted(force.fields)) == (422, ["force", "why"])
    key = await place.call("POST", "jobs", probe(), headers={"Idempotency-Key": "x" * 300})
    assert (key.status, key.fields) == (422, ["idempotency-key"])


async def test_a_surprise_tells_nothing_of_the_inside(place: ApiPlace, caplog: pytest.LogCaptureFixture) -> None:
    await place.services.client.set(place.services.keys.of_job("0-odd").job("0-odd"), "not a hash")
    answer = await place.call("GET", "jobs/0-odd")
    assert (answer.status, answer.body["type"]) == (500, "/problems/internal")
    assert "WRONGTYPE" not in orjson.dumps(answer.body).decode()
    assert answer.body["incident"] in caplog.text
