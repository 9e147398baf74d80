"""Each new lead is told of when the job asks for it, once, and nobody is told of known ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
from aiohttp import web
from standardwebhooks import Webhook

from consumers.leads.flow import flow
from consumers.testing import serve
from streams.overrides import Override, Overrides
from tests.support.flow_place import place
from tests.support.postbox import open_postbox

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TO = "caller@example.com"
CSV = "name,phone,rating,reviews\n<b>Mill</b>,+302102617001,4.9,50\nWeir,+302102617002,4.9,60\n"


@asynccontextmanager
async def receiver(calls: list[tuple[str, bytes]]) -> AsyncIterator[str]:
    """A webhook that is out of order now and then."""

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        Webhook(SECRET).verify(body, dict(request.headers))
        calls.append((request.headers["webhook-id"], body))
        return web.Response(status=503 if len(calls) in {1, 3} else 200)

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


async def test_each_new_lead_is_told_of_once(valkey_url: str, store_url: str, namespace: str, tmp_path: Path) -> None:
    calls: list[tuple[str, bytes]] = []
    async with (
        open_postbox() as postbox, receiver(calls) as hook, serve({"/list.csv": CSV}) as site,
        place(
            valkey_url, store_url, tmp_path, flow=flow, namespace=namespace, allow_hosts=("127.0.0.0/8",),
            webhook_secret=SECRET, **postbox.settings,
        ) as here,
    ):  # fmt: skip
        await Overrides(here.worker.client, here.worker.keys).set("mail", Override(1_000))
        asked = {"webhook": hook, "email": [TO], "leads": True}
        record = await here.run(source="csv", url=f"{site}list.csv", notify=asked)
        assert record.status == "succeeded"
        events = await here.worker.client.xrange(here.worker.keys.outcomes)
        again = await here.run(source="csv", url=f"{site}list.csv", notify=asked)
        quiet = await here.run(source="csv", url=f"{site}list.csv", notify={"email": [TO]})
    kinds = [fields[b"type"].decode() for _, fields in events]
    assert sorted(kinds) == ["millrace.job.succeeded", "millrace.lead.qualified", "millrace.lead.qualified"]
    assert all(b"Weir" not in fields[b"data"] for _, fields in events)
    told = {id_: orjson.loads(body) for id_, body in calls}
    leads = {one["data"]["name"]: one["data"] for one in told.values() if one["type"] == "millrace.lead.qualified"}
    assert set(leads) == {"<b>Mill</b>", "Weir"}
    assert leads["Weir"]["phones"] == ["+302102617002"]
    subjects = [str(mail["Subject"]) for mail in postbox.mails]
    assert sorted(one for one in subjects if "new lead" in one) == [
        "Millrace: new lead <b>Mill</b>, score 80", "Millrace: new lead Weir, score 80",
    ]  # fmt: skip
    assert all("<b>Mill" not in postbox.text(at, "html") for at in range(len(subjects)))
    jobs = [record.job_id, again.job_id, quiet.job_id]
    assert [sum(job in one for one in subjects) for job in jobs] == [1, 1, 1]
