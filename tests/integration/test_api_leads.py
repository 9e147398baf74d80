"""The lead book over HTTP, and the providers behind it, with a real worker and services on loopback."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from consumers.leads.flow import flow
from tests.support.api_place import ApiPlace, api_place

PLACES = [
    {
        "id": f"place-{number}", "displayName": {"text": name}, "formattedAddress": f"Weir Street {number}, Town",
        "internationalPhoneNumber": f"+30 21 0261 70{number:02}", "rating": 4.8, "userRatingCount": 10 * number,
        "location": {"latitude": 38.0, "longitude": 23.7}, "businessStatus": "OPERATIONAL",
    }
    for number, name in enumerate(("=cmd|' /C calc'!A0", "Mill Two", "Mill Three"), 1)
]  # fmt: skip
ELEMENTS = [
    {
        "type": "node",
        "id": 1,
        "lat": 1.5,
        "lon": 2.5,
        "tags": {"name": "Osm Cafe", "amenity": "cafe", "phone": "+302102618001"},
    },
    {"type": "way", "id": 2, "center": {"lat": 1.0, "lon": 2.0}, "tags": {"amenity": "cafe"}},
]


class Services:
    """Google Places and Overpass, as they speak; Places is out of order at the first request."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def places(self, request: web.Request) -> web.Response:
        assert request.headers["X-Goog-Api-Key"] == "secret-key"
        assert "nextPageToken" in request.headers["X-Goog-FieldMask"]
        body = await request.json()
        self.asked.append(body)
        if len(self.asked) == 1:
            return web.json_response({"error": {"code": 503, "message": "backend error"}}, status=503)
        if body.get("pageToken") == "two":
            return web.json_response({"places": PLACES[2:]})
        return web.json_response({"places": PLACES[:2], "nextPageToken": "two"})

    async def overpass(self, request: web.Request) -> web.Response:
        self.asked.append(request.query["data"])
        if "Nowhere" in request.query["data"]:
            return web.json_response({"error": {"message": "quota exceeded"}}, status=429)
        return web.json_response({"elements": ELEMENTS})


@pytest.fixture
async def services() -> AsyncIterator[tuple[Services, str]]:
    spoken = Services()
    app = web.Application()
    app.router.add_post("/v1/places:searchText", spoken.places)
    app.router.add_get("/interpreter", spoken.overpass)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield spoken, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
async def place(
    valkey_url: str, store_url: str, namespace: str, tmp_path: Path, tenant: str, services: tuple[Services, str]
) -> AsyncIterator[ApiPlace]:
    async with api_place(
        valkey_url, store_url, namespace, tmp_path, more=(flow,), places_key="secret-key", places_url=services[1],
        overpass_url=f"{services[1]}/interpreter",
    ) as running:  # fmt: skip
        await running.become(tenant)
        yield running


async def found(place: ApiPlace, **spec: Any) -> dict[str, Any]:
    accepted = await place.call("POST", "jobs", {"flow": "leads", "spec": spec})
    assert accepted.status == 202, accepted.body
    return await place.ended(accepted.body["job_id"])


async def test_from_places_to_a_call_and_an_erasure(place: ApiPlace, services: tuple[Services, str]) -> None:
    async with place.worker():
        ended = await found(place, source="places", query="mill", location="Town")
        assert ended["status"] == "succeeded", ended
        assert [one.get("pageToken") for one in services[0].asked] == [None, None, "two"]
        assert services[0].asked[0]["textQuery"] == "mill in Town"
        first = (await place.call("GET", "leads?limit=2&sort=reviews")).body
        rest = (await place.call("GET", f"leads?limit=2&sort=reviews&cursor={first['next']}")).body
        assert [one["reviews"] for one in (*first["items"], *rest["items"])] == [30, 20, 10]
        by_name = (await place.call("GET", "leads?limit=2&sort=name")).body
        after = (await place.call("GET", f"leads?limit=2&sort=name&cursor={by_name['next']}")).body
        named = [one["name"] for one in (*by_name["items"], *after["items"])]
        assert (named, after["next"]) == (sorted(named), None)
        lead = first["items"][0]
        changed = await place.call(
            "PATCH",
            f"leads/{lead['id']}",
            {"status": "converted", "owner": "Ann", "follow_up_on": "2030-01-02", "note": "yes"},
        )
        assert (changed.body["status"], changed.body["owner"]) == ("converted", "Ann")
        told = (await place.call("GET", f"leads/{lead['id']}/timeline")).body["items"]
        assert {one["kind"] for one in told} == {"status", "owner", "follow_up_on", "note"}
        assert [one["id"] for one in (await place.call("GET", "/leads?status=converted")).body["items"]] == [lead["id"]]
        told = (await place.call("GET", "leads/statistics")).body
        assert (told["total"], told["by_status"], told["conversion"]) == (3, {"converted": 1, "new": 2}, 1.0)
        assert "'=cmd|" in (await place.call("GET", "leads/export")).body
        assert (await place.call("PATCH", f"leads/{lead['id']}", {"status": "gone"})).status == 422
        erased = await place.call("POST", "leads/erasures", {"phone": lead["phones"][0]["value"]})
        assert erased.body["erased"] == [lead["id"]]
        assert (await place.call("DELETE", f"leads/{rest['items'][0]['id']}")).status == 204
        await found(place, source="places", query="mill", location="Town")
    left = (await place.call("GET", "leads")).body["items"]
    assert [one["name"] for one in left] == ["Mill Two"]


async def test_openstreetmap_and_its_refusal(place: ApiPlace, services: tuple[Services, str]) -> None:
    blocked = await place.call("POST", "leads/blacklist", {"kind": "domain", "value": "www.mill.example"})
    assert blocked.body["value"] == "mill.example"
    assert (await place.call("GET", "leads/blacklist")).body["items"][0]["value"] == "mill.example"
    assert (await place.call("DELETE", "leads/blacklist?kind=domain&value=mill.example")).status == 204
    async with place.worker():
        ended = await found(place, source="osm", query="cafe", location='To"wn')
        assert ended["status"] == "succeeded", ended
        assert '"name"="To\\"wn"' in services[0].asked[-1]
        refused = await found(place, source="osm", query="amenity=cafe", location="Nowhere")
    assert refused["status"] == "failed"
    (lead,) = (await place.call("GET", "leads")).body["items"]
    assert (lead["name"], lead["category"], lead["lat"]) == ("Osm Cafe", "cafe", 1.5)
    wrong = await place.call("POST", "/jobs/browser", {"limit": 3})
    assert wrong.status == 422
    assert (
        (await place.call("POST", "/jobs/browser", {"url": "http://10.0.0.1/"})).body["type"].endswith("refused-target")
    )
    accepted = await place.call("POST", "jobs/browser", {"url": "https://directory.example/"})
    assert (accepted.status, accepted.body["flow"]) == (202, "leads")
