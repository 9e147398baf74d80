"""The dashboard against those who should not get in, or not make others do what they do not mean."""

from __future__ import annotations

import re

import aiohttp

from api.auth import CALLER
from api.dashboard.actions import ACTIONS
from api.dashboard.render import NAV
from api.sessions import TRIES
from streams.pauses import Pauses
from tests.support.api_place import ApiPlace
from tests.support.dashboard import Shown, Visitor

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}"


async def key(place: ApiPlace, *scopes: str, tenant: str = "default") -> str:
    text, _ = await place.services.api_keys.create("test", tenant=tenant, scopes=scopes)
    return text


async def visitor(place: ApiPlace, *scopes: str, tenant: str = "default") -> Visitor:
    made = Visitor(place)
    assert (await made.sign_in(await key(place, *scopes, tenant=tenant))).status == 303
    await made.get("/")
    return made


async def paused(place: ApiPlace) -> list[str]:
    return [one.scope for one in await Pauses(place.services.client, place.services.keys).list()]


async def test_pages_carry_no_inline_script_and_come_from_here_alone(place: ApiPlace) -> None:
    job = await place.submit()
    person = Visitor(place)
    for path in [*(path for path, _ in NAV), f"/jobs/{job}", "/sign-in", "/docs", "/do/pause.add", "/streams/crawl"]:
        page = await person.get(path)
        assert page.status == 200, path
        csp = page.headers["content-security-policy"]
        assert "script-src 'self'" in csp
        assert "frame-ancestors 'none'" in csp
        assert "unsafe" not in csp
        assert "nonce" not in csp
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["cache-control"] == "no-store"
        assert not re.search(r"<script(?![^>]+src=)|<style|\sstyle=|\son\w+=", page.text), path
        assert not re.search(r'(src|href)="(https?:)?//', page.text), path
        for asset in re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text):
            assert (await person.get(asset)).status == 200
    assert (await person.get("/static/../app.py")).status == 404


async def test_one_signs_in_with_a_key_to_a_session_that_is_new(place: ApiPlace) -> None:
    text = await key(place, "read")
    person = Visitor(place)
    away = await person.get("/jobs?status=failed")
    assert away.status == 303
    assert away.headers["location"] == "/sign-in?goto=%2Fjobs%3Fstatus%3Dfailed"
    await person.get("/sign-in")
    before = person.session_id
    told = await person.post("/sign-in", {"key": text, "goto": "/jobs?status=failed"})
    assert (told.status, told.headers["location"]) == (303, "/jobs?status=failed")
    cookie = told.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert text not in cookie
    after = person.session_id
    assert after != before
    assert (await person.get("/jobs")).status == 200
    # What somebody planted before the sign-in is worth nothing after it.
    assert (await Visitor(place, {"millrace_session": before}).get("/jobs")).status == 303
    # The session reads the API, and changes nothing there.
    headers = {"Cookie": f"millrace_session={after}"}
    assert (await place.call("GET", "jobs", headers=headers)).status == 200
    assert (await place.call("POST", "pauses", {"stage": "crawl"}, headers=headers)).status == 401
    # Redis has neither the session nor the key.
    names = [name async for name in place.services.client.scan_iter(match=f"{place.settings.namespace}:session:*")]
    assert len(names) == 1
    assert after.encode() not in names[0]
    assert text.encode() not in await place.services.client.get(names[0])
    signed_out = await person.post("/sign-out")
    assert signed_out.status == 303
    assert (await Visitor(place, {"millrace_session": after}).get("/jobs")).status == 303


async def test_a_session_ends_with_its_key(place: ApiPlace) -> None:
    person = await visitor(place, "read")
    (made,) = await place.services.api_keys.list()
    await key(place, "admin")
    assert (await person.get("/jobs")).status == 200
    await place.services.api_keys.revoke(made.id)
    assert (await person.get("/jobs")).status == 303


async def test_guessing_keys_is_slowed_down(place: ApiPlace) -> None:
    text = await key(place, "read")
    person = Visitor(place)
    await person.get("/sign-in")
    for _ in range(TRIES):
        assert (await person.post("/sign-in", {"key": "mr_wrong"})).status == 401
    told = await person.post("/sign-in", {"key": text})
    assert told.status == 429
    assert 0 < int(told.headers["retry-after"]) <= 300


async def test_a_form_without_the_token_of_its_session_changes_nothing(place: ApiPlace) -> None:
    person, other = await visitor(place, "admin"), await visitor(place, "admin")
    fields = {"stage": "extract", "reason": "test"}
    for token in ("", "0" * 64, other.token):
        told = await person.post("/do/pause.add", fields, token=token)
        assert told.status == 403
        assert "not made for this session" in told.text
    bare = Visitor(place)
    assert (await bare.post("/do/pause.add", fields, token=person.token)).status == 403
    told = await person.post("/do/pause.add", fields, Origin="https://evil.example")
    assert told.status == 403
    assert (await person.post("/do/pause.add", fields, Sec_Fetch_Site="cross-site")).status == 403
    assert await paused(place) == []
    assert (await person.get("/do/pause.add?stage=extract")).status == 200  # asking changes nothing
    assert await paused(place) == []
    assert (await person.post("/do/pause.add", fields, Origin=place.url)).status == 303
    assert await paused(place) == ["stage:extract"]


async def test_without_keys_forms_have_tokens_all_the_same(place: ApiPlace) -> None:
    person = Visitor(place)
    await person.get("/limits")
    assert (await person.post("/do/pause.add", {"stage": "crawl"}, token="")).status == 403
    assert (await person.post("/do/pause.add", {"stage": "crawl"})).status == 303
    assert await paused(place) == ["stage:crawl"]


async def test_a_control_that_one_may_not_use_is_not_shown_and_is_refused(place: ApiPlace) -> None:
    job = await place.submit("wait")
    reader, submitter = await visitor(place, "read"), await visitor(place, "read", "submit")
    operator, admin = await visitor(place, "read", "operate"), await visitor(place, "admin")
    stranger = await visitor(place, "read", "operate", tenant="other")
    paths = [*(path for path, _ in NAV if path != "/audit-log"), f"/jobs/{job}"]

    async def offered(person: Visitor) -> set[str]:
        pages = [await person.get(path) for path in paths]
        return {link.partition("/do/")[2].partition("?")[0] for page in pages for link in page.links if "/do/" in link}

    assert await offered(reader) == set()
    assert await offered(submitter) == {"job.cancel"}
    assert {"pause.add", "purge", "replay.start", "schedule.add", "job.cancel"} <= await offered(operator)
    assert await offered(admin) >= await offered(operator)
    assert not {"limit.set", "worker.drain", "job.cancel"} & await offered(stranger)
    given = {"stage": "crawl", "job": job, "letter": "0-1-1", "name": "x", "stream": "crawl", "replay": "x"}
    for name, action in ACTIONS.items():
        told = await reader.post(f"/do/{name}", given)
        assert told.status == 403, name
        if not set(action.scopes) & {"submit"}:
            assert (await submitter.post(f"/do/{name}", given)).status == 403, name
    assert (await reader.get("/audit-log")).status == 403
    assert await paused(place) == []
    assert (await stranger.get(f"/jobs/{job}")).status == 404
    assert (await stranger.post("/do/job.cancel", {"job": job})).status == 404


async def test_tickets_work_once_for_one_path_and_from_our_own_pages(place: ApiPlace) -> None:
    job = await place.submit("wait")
    person = await visitor(place, "read")
    path = f"/api/v1/jobs/{job}/events"
    assert (await person.ticket(path, token="")).status == 403
    assert (await Visitor(place).ticket(path, token=person.token)).status == 403

    async def opened(path: str, ticket: str | None, **headers: str) -> int:
        params = {"ticket": ticket} if ticket is not None else {}
        sent = {"Cookie": f"millrace_session={person.session_id}", **headers}
        async with place.session.get(place.url + path, params=params, headers=sent) as answer:
            return answer.status

    async def ticket(path: str = path) -> str:
        told = await person.ticket(path)
        found: str = re.findall(r'"ticket":"([^"]+)"', told.text)[0]
        return found

    first = await ticket()
    assert await opened(path, first) == 200
    assert await opened(path, first) == 401
    assert await opened(path, None) == 401  # the cookie alone does not do
    assert await opened("/live", await ticket()) == 401
    assert await opened(path, await ticket(), Origin="https://evil.example") == 403
    assert await opened("/live", await ticket("/live"), Origin=place.url) == 200

    async def spoken(ticket: str, origin: str) -> int | None:
        url = f"{place.url}/ws/jobs/{job}?ticket={ticket}"
        try:
            async with place.session.ws_connect(url, origin=origin) as socket:
                async for message in socket:
                    return None if b"submitted" in message.data.encode() else int(message.json()["status"])
                return socket.close_code
        except aiohttp.WSServerHandshakeError as error:
            return error.status

    socket = f"/ws/jobs/{job}"
    once = await ticket(socket)
    assert await spoken(once, place.url) is None
    assert await spoken(once, place.url) == 401
    assert await spoken(await ticket(socket), "https://evil.example") == 403


async def test_hostile_text_is_text_on_every_page(place: ApiPlace) -> None:
    await place.become("default")
    person = Visitor(place)
    assert place.key is not None
    await person.sign_in(place.key)
    body = {"flow": "probe", "spec": {"say": HOSTILE, "act": "die"}}
    job = (await place.call("POST", "jobs", body)).body["job_id"]
    await place.call("POST", "pauses", {"flow": "probe", "reason": HOSTILE})
    await place.services.client.xadd(
        f"{place.settings.namespace}:{{0}}:crawl", {"job": HOSTILE, "task": HOSTILE, "flow": HOSTILE, "data": HOSTILE}
    )
    pages: list[Shown] = [
        await person.get(path)
        for path in (
            "/",
            f"/jobs/{job}",
            "/limits",
            "/streams/crawl",
            "/audit-log",
            "/do/pause.add?reason=%3Cb%3E",
        )
    ]
    await place.call("DELETE", "pauses?flow=probe")
    async with place.worker():
        await place.ended(job)
    letters = (await place.call("GET", "dlq?limit=200")).body["items"]
    paths = ["/dlq", *(f"/dlq/{one['dead_id']}" for one in letters), f"/jobs/{job}"]
    asked = "%3Cscript%3Ealert(1)%3C%2Fscript%3E%22%3E"
    paths += [f"/jobs?q={asked}&worker={asked}", f"/dlq?reason={asked}", f"/sign-in?goto=/{asked}", f"/jobs/{asked}"]
    paths += [f"/do/job.cancel?job={asked}", f"/do/pause.remove?kind={asked}&name={asked}", f"/?done={asked}"]
    pages += [await person.get(path) for path in paths]
    for page in pages:
        if not page.headers["content-type"].startswith("text/html"):
            continue
        assert not re.search(r"<script(?!\s+src=\"/static/)|<img|onerror=(?!alert\(2\)&gt;)", page.text), page.text
        assert "49" not in re.findall(r"onerror=alert\(2\)&gt;([^<]{2})", page.text)
    assert sum("&lt;script&gt;" in page.text for page in pages) > 6


async def test_a_change_from_the_dashboard_is_in_the_audit_log_as_any_other(place: ApiPlace) -> None:
    person = await visitor(place, "admin")
    await person.post("/do/pause.add", {"stage": "extract", "reason": "by page"})
    await person.post(
        "/do/schedule.add", {"name": "every-hour", "every_s": "3600", "job": '{"flow": "probe", "spec": {}}'}
    )
    await person.post("/do/schedule.pause", {"name": "every-hour", "reason": "holidays"})
    page = (await person.get("/audit-log")).text
    for told in ("pause.add", "stage:extract", "schedules.post", "schedules.pause", "every-hour", "key:"):
        assert told in page


async def test_no_request_from_outside_names_its_caller(place: ApiPlace) -> None:
    await key(place, "admin")
    for name in (CALLER, "X-Millrace-Caller"):
        assert (await place.call("GET", "jobs", headers={name: "anonymous"})).status == 401
