"""The dashboard's pages of analytics, alerts, incidents and shadows, with what hostile people wrote in them."""

from __future__ import annotations

import re
import time

from consumers.analytics.keep import Silence
from consumers.analytics.rules import Alert
from consumers.store.memos import Remembered
from tests.support.api_place import ApiPlace, until
from tests.support.dashboard import HOSTILE, Shown, Visitor, published


def told(page: Shown) -> str:
    """The text of a page, which must be one, without any script that somebody brought."""
    assert page.status == 200, page.text[:500]
    assert not re.search(r"<script(?!\s+src=\"/static/)|<img", page.text), page.text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page.text))


async def test_the_windows_are_shown_and_that_nobody_counts(place: ApiPlace) -> None:
    person = Visitor(place)
    page = told(await person.get("/analytics"))
    assert "The analytics process does not run, and never did here" in page
    assert "Nothing happened in this window" in page
    now_ms = round(time.time() * 1_000)
    await published(place, now_ms)
    page = told(await person.get("/analytics?window=1m"))
    assert "does not run" not in page
    for text in ("1,234", "0.5 %", "250 ms", "2.5 s", "4,321", "2 min 05 s", "1 h 01 min", "&lt;img"):
        assert text in page, text
    assert "77,777" not in page, "another tenant's"
    assert "Window by window" in page
    await published(place, now_ms - 3_600_000)
    assert "The analytics process does not run: it said something last at" in told(await person.get("/analytics"))
    assert (await person.get("/analytics?window=2m")).status == 422


async def test_alerts_are_shown_counted_and_silenced(place: ApiPlace) -> None:
    person = Visitor(place)
    page = told(await person.get("/alerts"))
    assert "No rule was decided so far" in page
    kept = await published(place, round(time.time() * 1_000))
    fires = Alert(
        "failure_rate", "extract", is_firing=True, since_ms=1_900_000_000_000, value=0.42, threshold=0.05, said=HOSTILE
    )
    fine = Alert("dlq_growing", "", value=1, threshold=50, said="1 dead letter more")
    await kept.note([fires, fine])
    await kept.tell(fires, 0, is_silenced=False)
    page = told(await person.get("/alerts"))
    for text in ("failure rate extract", "fires", "2030-03-17", "42 %", "5 %", "&lt;script", "fired", "dlq growing"):
        assert text in page, text
    assert "1 alert fires" in told(await person.get("/"))
    asked = await person.get("/do/alert.silence?rule=failure_rate")
    assert "Silence failure_rate" in asked.text
    assert await kept.silences() == {}
    before_ms = time.time() * 1_000
    assert (await person.post("/do/alert.silence?", {"rule": "failure_rate", "for_s": "2"}, token="")).status == 403
    given = {"rule": "failure_rate", "for_s": "2.5", "reason": HOSTILE}
    assert (await person.post("/do/alert.silence", given)).headers["location"] == "/alerts?done=alert.silence"
    silence = (await kept.silences())["failure_rate"]
    assert isinstance(silence, Silence)
    assert 8_990_000 < silence.until_ms - before_ms < 9_100_000, "hours"
    page = told(await person.get("/alerts"))
    assert "End the silence" in page
    assert (await person.post("/do/alert.tell", {"rule": "failure_rate"})).status == 422
    assert (await person.post("/do/alert.tell", {"rule": "failure_rate", "for_s": "0"})).status == 303
    assert await kept.silences() == {}
    log = told(await person.get("/audit-log"))
    assert log.count("alert.silence") >= 2
    news = (await place.call("GET", "alerts/news")).body["items"]
    assert [(one["type"], one["value"], one["silenced"]) for one in news] == [("fired", 0.42, False)]
    await published(place, 1_000)
    assert "nobody decides" in told(await person.get("/alerts"))

    async def is_said_to_be_old() -> bool:
        return "1 alert fires, as it was when the analytics process stopped" in told(await person.get("/"))

    await until(is_said_to_be_old)


async def test_an_incident_is_tried_in_shadow_and_redriven(place: ApiPlace) -> None:
    person = Visitor(place)
    async with place.worker(with_history=True):
        body = {"flow": "probe", "spec": {"say": HOSTILE, "act": "die once"}}
        jobs = [(await place.call("POST", "jobs", body)).body["job_id"] for _ in range(2)]
        for job in jobs:
            await place.ended(job)
        (incident,) = (await place.call("GET", "dlq/incidents")).body["items"]
        page = await person.get("/incidents")
        for text in ("http_403", "extract", "probe", "the site refuses us", "Redrive"):
            assert text in told(page), text
        assert "/incidents" in (await person.get("/dlq")).links
        page = await person.get(f"/incidents/{incident['id']}")
        assert "Jobs hit2" in told(page)
        for job in jobs:
            assert f"/jobs/{job}" in page.links
        (link,) = [one for one in page.links if one.startswith("/do/shadow.run")]
        asked = told(await person.get(link))
        assert "nothing comes of it outside" in asked
        given = {"select.jobs": " ".join(jobs), "from_stage": "extract", "back": f"/incidents/{incident['id']}"}

        async def is_tried() -> bool:
            shown = told(await person.post("/do/shadow.run", given))
            return jobs[0] in shown and "None of these jobs" not in shown

        await until(is_tried)
        shown = await person.post("/do/shadow.run", given)
        page_text = told(shown)
        assert "Nothing came of it outside" in page_text
        assert "succeeded" in page_text, "it dies once only"
        assert "partial" in page_text
        assert "/said" in page_text
        assert "&lt;script" in page_text
        assert given["back"] in shown.links
        assert (await place.call("GET", f"jobs/{jobs[0]}")).body["status"] == "partial"
        assert "replays.shadow" in told(await person.get("/audit-log"))
        sent = await person.post("/do/incident.retry", {"incident": incident["id"], "rate": "100"})
        assert sent.headers["location"] == "/incidents?done=incident.retry"
        for job in jobs:

            async def is_well(job: str = job) -> bool:
                return bool((await place.call("GET", f"jobs/{job}")).body["status"] == "succeeded")

            await until(is_well)
    assert "Nothing died here" in told(await person.get("/incidents"))
    assert "dlq.retry" in told(await person.get("/audit-log"))
    assert (await person.get(f"/incidents/{incident['id']}")).status == 404


async def test_a_job_page_shows_the_past_and_what_memo_gave(place: ApiPlace) -> None:
    person = Visitor(place)
    async with place.worker(with_history=True):
        job = await place.submit()
        ended = await place.ended(job)
    page = await person.get(f"/jobs/{job}?at={ended['finished_at'][:19]}")
    assert "As it was" in page.text
    assert "Stages then" in (page := await person.get(f"/jobs/{job}?at=2099-01-01T00:00")).text
    assert "None was open." in told(page)
    assert "Had from memo" not in page.text
    assert f"/do/shadow.run?select.jobs={job}&back=%2Fjobs%2F{job}" in page.links
    assert "was not there at 2020-01-01" in told(await person.get(f"/jobs/{job}?at=2020-01-01T00:00"))
    assert (await person.get(f"/jobs/{job}?at=soon")).status == 422
    memos, mine = place.services.store.memos, {"tenant": "default", "job_id": job, "stage": "extract"}
    await memos.put("a" * 64, Remembered(is_json=True, body=b"[1]", took_s=90), **mine, task=2)
    await memos.get("a" * 64, **mine, task=3)
    page = await person.get(f"/jobs/{job}")
    assert "1 of 2 results, 1 min 30 s saved" in told(page)
    assert "Results that were had from memo" in page.text
