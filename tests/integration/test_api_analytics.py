"""The figures and alerts through the API, and how operators are told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook

from consumers.analytics.keep import Kept
from consumers.analytics.process import Analytics
from consumers.analytics.rules import Alert
from consumers.analytics.tell import Teller
from consumers.email.flow import flow as email
from consumers.flow import Flows
from consumers.net.fetch import Fetcher, FetcherConfig
from schemas.settings import Settings
from streams.connect import connect
from streams.keys import Keys
from streams.log import Log
from tests.support.api_place import ApiPlace, until

FIRES = Alert("dlq_growing", "", is_firing=True, value=60, threshold=50, said="60 dead letters more")


async def test_what_flowed_is_seen_by_its_tenant_and_alerts_can_be_silenced(
    place: ApiPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.analytics.follow.FLUSH_S", 0.1)
    assert (await place.call("GET", "analytics")).body["is_stale"]
    analytics = Analytics(place.settings, place.redis_url)
    await analytics.start()

    async def is_shown() -> bool:
        rows = [row for one in (await place.call("GET", "analytics?window=1m")).body["windows"] for row in one["rows"]]
        return bool(sum(row["done"] for row in rows if row["stage"] == "extract") == 1)

    async def is_decided() -> bool:
        return bool((await place.call("GET", "alerts")).body["items"])

    try:
        async with place.worker():
            await place.ended(await place.submit("die"))
        await until(is_shown)
        await until(is_decided)
    finally:
        await analytics.stop()
    shown = (await place.call("GET", "analytics?window=1m")).body
    rows = [row for one in shown["windows"] for row in one["rows"]]
    assert not shown["is_stale"]
    assert {row["tenant"] for row in rows} == {"default"}
    assert sum(row["failed"] for row in rows if row["stage"] == "extract") == 1
    assert {row["failure_rate"] for row in rows if row["stage"] == "extract"} <= {0.5, 0.0, 1.0}
    assert (await place.call("GET", "analytics?window=2m")).status == 422
    alerts = {one["id"]: one for one in (await place.call("GET", "alerts")).body["items"]}
    assert {"queue_too_long:crawl", "failure_rate:extract", "nothing_finished", "dlq_growing"} <= set(alerts)
    assert not any(one["is_firing"] for one in alerts.values())
    silenced = await place.call("PUT", "alerts/dlq_growing/silence", {"for_s": 60, "reason": "known"})
    assert (silenced.status, silenced.body["reason"]) == (200, "known")
    alerts = {one["id"]: one for one in (await place.call("GET", "alerts")).body["items"]}
    assert alerts["dlq_growing"]["silence"]["reason"] == "known"
    await place.call("PUT", "alerts/dlq_growing/silence", {"for_s": 0})
    assert (await place.call("GET", "alerts")).body["items"][0]["silence"] is None
    assert (await place.call("PUT", "alerts/too_hot/silence", {})).status == 404
    await place.become("others")
    assert (await place.call("PUT", "alerts/dlq_growing/silence", {})).status == 403
    other = (await place.call("GET", "analytics?window=1m")).body
    assert not any(one["rows"] for one in other["windows"])
    assert other["open"] == []


async def test_alerts_are_live_events(place: ApiPlace) -> None:
    kept = Kept(place.services.client, place.services.keys)
    before = await kept.tell(FIRES, 0, is_silenced=True)
    url = f"{place.url}/api/v1/alerts/events"
    async with place.session.get(url, params={"after": "0-0"}) as live:
        text = b""
        async with asyncio.timeout(10):
            while b"fired" not in text:
                text += await live.content.readany()
    line = next(line for line in text.decode().splitlines() if line.startswith("data: "))
    event = orjson.loads(line[6:])
    assert (event["id"], event["rule"], event["silenced"], event["value"]) == (before, "dlq_growing", True, 60)
    assert (await place.call("GET", "alerts/events?after=soon")).status == 422


async def test_an_alert_is_mailed_and_posted_with_a_signature(valkey_url: str, namespace: str, tmp_path: Path) -> None:
    got: list[tuple[dict[str, str], bytes]] = []

    async def take(request: web.Request) -> web.Response:
        got.append((dict(request.headers), await request.read()))
        return web.Response()

    receiver = web.Application()
    receiver.router.add_post("/hook", take)
    runner = web.AppRunner(receiver)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    options: dict[str, Any] = {
        "digest_to": ("ops@example.com",), "webhook_secret": SecretStr(secret),
        "smtp_url": SecretStr("smtp://127.0.0.1:1"),
    }  # fmt: skip
    settings = Settings(
        namespace=namespace, home=tmp_path, alert_webhook=f"http://127.0.0.1:{port}/hook",
        allow_hosts=(f"127.0.0.1:{port}",), mail_from="m@example.com", **options,
    )  # fmt: skip
    client = connect(valkey_url)
    flows = Flows([email])
    log = Log(client, Keys(namespace), flows, record_ttl_s=60)
    try:
        async with Fetcher(FetcherConfig(allow_hosts=settings.allow_hosts)) as fetch:
            teller = Teller(settings, log, flows, fetch)
            await teller.tell(FIRES, "1-0")
            await teller.tell(FIRES, "1-0")
    finally:
        await runner.cleanup()
    headers, body = got[0]
    Webhook(secret).verify(body, {name.lower(): value for name, value in headers.items()})
    told = orjson.loads(body)
    assert (told["type"], told["rule"], told["value"]) == ("millrace.alert.fired", "dlq_growing", 60)
    assert "dlq incidents" in told["cure"]
    assert {headers["webhook-id"] for headers, _ in got} == {"msg_alert_1-0"}
    mails = [fields for _, fields in await client.xrange(Keys(namespace).partition(0).lifecycle)]
    assert [mail[b"flow"] for mail in mails] == [b"email"]  # told twice, mailed once
    spec = orjson.loads(mails[0][b"spec"])
    assert spec["to"] == ["ops@example.com"]
    assert "60 dead letters more" in spec["subject"]
    await client.aclose()
