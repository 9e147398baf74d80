"""The dashboard as operators use it: in Chromium, by mouse, by keyboard, and on a phone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from api.dashboard.render import NAV
from consumers.analytics.rules import Alert
from streams.pauses import Pauses
from tests.browser.conftest import opened
from tests.support.api_place import ApiPlace, until
from tests.support.dashboard import HOSTILE, published

if TYPE_CHECKING:
    from playwright.async_api import Page

NAMELESS = """() => [...document.querySelectorAll(
  'a[href], button, input:not([type=hidden]), select, textarea, summary, [role=img], [tabindex="0"]')].filter((one) => {
  const labels = one.labels ? [...one.labels].map((label) => label.textContent).join('') : '';
  const name = one.getAttribute('aria-label') || one.textContent || labels || one.title || '';
  return !name.trim();
}).map((one) => one.outerHTML.slice(0, 120))"""
"""Controls that a screen reader could not name."""

AXE_LIKE = """() => {
  const told = [];
  if (!document.documentElement.lang) told.push('no language');
  if (document.querySelectorAll('main').length !== 1) told.push('not one main');
  if (document.querySelectorAll('h1').length !== 1) told.push('not one h1');
  if (!document.title.trim()) told.push('no title');
  const first = document.querySelector('a[href]');
  if (!first || first.getAttribute('href') !== '#main') told.push('the first link does not skip to the content');
  for (const table of document.querySelectorAll('table'))
    if (!table.querySelector('th')) told.push('table without headers');
  const ids = [...document.querySelectorAll('[id]')].map((one) => one.id);
  for (const id of new Set(ids)) if (ids.filter((one) => one === id).length > 1) told.push(`id ${id} twice`);
  for (const one of document.querySelectorAll('[aria-labelledby]'))
    if (!document.getElementById(one.getAttribute('aria-labelledby'))) told.push('labelled by nothing');
  let level = 0;
  for (const one of document.querySelectorAll('h1, h2, h3')) {
    const now = Number(one.tagName[1]);
    if (now > level + 1) told.push(`h${now} after h${level}`);
    level = now;
  }
  return told;
}"""


async def sign_in(page: Page, place: ApiPlace, *scopes: str) -> None:
    place.key, _ = await place.services.api_keys.create("operator", scopes=scopes)
    await page.goto("/jobs")
    await page.get_by_label("API key").fill(place.key)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/jobs")


async def confirm(page: Page, verb: str) -> None:
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name=verb, exact=True).click()
    await page.locator("#said .flash").wait_for()


async def test_an_operator_signs_in_finds_what_failed_and_redrives_it(place: ApiPlace, page: Page) -> None:
    await sign_in(page, place, "submit", "read", "operate")
    async with place.worker():
        job = await place.submit("die once")
        assert (await place.ended(job))["status"] == "partial"
        await page.get_by_label("State").select_option("partial")
        await page.get_by_role("button", name="Find").click()
        await page.get_by_role("link", name=job).click()
        letters = page.locator("[data-part=letters]")
        await letters.locator(".alarm", has_text="the site refuses us").wait_for()
        assert await page.locator("#entries ~ div tbody tr").count() >= 4
        await letters.get_by_role("link", name="Redrive").click()
        await confirm(page, "Redrive")
        assert page.url.endswith(f"/jobs/{job}?done=dlq.retry")
        assert (await place.ended(job))["status"] in {"running", "retrying", "succeeded"}

        async def is_well() -> bool:
            return bool((await place.call("GET", f"jobs/{job}")).body["status"] == "succeeded")

        await until(is_well)
    await page.goto("/audit-log")
    await page.get_by_text("dlq.retry").first.wait_for()


async def test_a_stage_is_paused_and_resumed_by_keyboard_alone(place: ApiPlace, page: Page) -> None:
    await page.goto("/limits")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.className") == "skip"
    await page.get_by_role("link", name="Pause something").focus()
    await page.keyboard.press("Enter")
    dialog = page.locator("dialog[open]")
    await dialog.wait_for()
    await page.keyboard.type("extract")  # the first field has the focus, and its options are chosen by typing
    for _ in range(4):
        await page.keyboard.press("Tab")
    await page.keyboard.type("new parser")
    await page.keyboard.press("Enter")
    await page.locator("#said .flash").wait_for()
    (pause,) = await Pauses(place.services.client, place.services.keys).list()
    assert (pause.scope, pause.reason) == ("stage:extract", "new parser")
    await page.goto("/")
    await page.locator("#problems").get_by_text("new parser").wait_for()
    await page.goto("/limits")
    await page.get_by_role("link", name="Resume").click()
    await dialog.wait_for()
    await page.keyboard.press("Escape")
    await dialog.wait_for(state="hidden")
    await page.get_by_role("link", name="Resume").click()
    await confirm(page, "Resume")
    await page.get_by_text("Nothing is paused.").wait_for()


async def test_many_jobs_are_cancelled_at_once(place: ApiPlace, page: Page) -> None:
    jobs = [await place.submit("wait") for _ in range(3)]
    await page.goto("/jobs?status=queued")
    await page.get_by_role("button", name="Cancel").click()
    await page.get_by_text("Tick what is meant first.").wait_for()
    await page.get_by_label("All on this page").check()
    await page.get_by_text("3 chosen:").wait_for()
    await page.get_by_role("button", name="Cancel").click()
    for job in jobs:
        await page.get_by_role("dialog").get_by_text(job).wait_for()
    await confirm(page, "Cancel")
    for job in jobs:
        assert (await place.call("GET", f"jobs/{job}")).body["status"] == "cancelled"


async def test_without_scripts_a_change_asks_on_a_page_of_its_own(place: ApiPlace) -> None:
    async with opened(place, java_script_enabled=False) as page:
        job = await place.submit("wait")
        await page.goto(f"/jobs/{job}")
        await page.get_by_role("link", name="Cancel").click()
        await page.get_by_role("heading", name="Cancel").wait_for()
        await page.get_by_role("button", name="Cancel").click()
        await page.get_by_text("Cancelled.", exact=True).wait_for()
        assert (await place.call("GET", f"jobs/{job}")).body["status"] == "cancelled"


async def test_what_happens_is_seen_within_a_second_and_a_job_moves_on_its_page(place: ApiPlace, page: Page) -> None:
    await sign_in(page, place, "admin")
    async with place.worker():
        held = await place.submit("wait")
        await place.gate.reached.wait()
        await page.goto("/")
        await page.locator("#pulse-text", has_text="live").wait_for()

        async def is_followed() -> bool:
            return place.services.hub.waiters > 0

        await until(is_followed)
        took_s = []
        for text in ("1 dead letter", "2 dead letters"):
            await place.ended(await place.submit("die"))
            began = time.monotonic()
            await page.locator("#problems").get_by_text(text, exact=True).wait_for()
            took_s.append(time.monotonic() - began)
        assert float(await page.locator("[data-stage=extract] [data-of=failure_rate]").inner_text()) > 0
        assert min(took_s) < 1.0, took_s
        await page.goto(f"/jobs/{held}")
        await page.locator(".badge", has_text="running").first.wait_for()
        place.gate.is_open.set()
        await page.locator("[data-part=summary] .badge", has_text="succeeded").wait_for()


async def test_pages_fit_a_phone_and_name_every_control_in_light_and_dark(place: ApiPlace) -> None:
    place.gate.is_open.set()
    async with place.worker(with_history=True):
        job = await place.submit("die")
        await place.ended(job)
        await place.call("POST", "pauses", {"flow": "noop", "reason": "a long reason " * 12})
        (letter,) = (await place.call("GET", f"dlq?job={job}")).body["items"]
        kept = await published(place, round(time.time() * 1_000))
        fires = Alert(
            "failure_rate", "extract", is_firing=True, since_ms=1, value=0.4, threshold=0.05, said=HOSTILE * 3
        )
        await kept.note([fires, Alert("dlq_growing", "", value=1, threshold=50, said="1 dead letter more")])
        await kept.tell(fires, 0, is_silenced=False)
        await place.call("PUT", "alerts/dlq_growing/silence", {"for_s": 3600, "reason": "known"})
        (incident,) = (await place.call("GET", "dlq/incidents")).body["items"]
        paths = [path for path, _ in NAV]
        paths += [
            f"/jobs/{job}",
            f"/jobs/{job}?at=2099-01-01T00:00",
            "/analytics?window=1m",
            f"/incidents/{incident['id']}",
            "/do/alert.silence?rule=failure_rate",
            f"/dlq/{letter['dead_id']}",
            "/streams/crawl",
            "/docs",
            "/sign-in",
            "/do/replay.start",
        ]
        contexts: list[dict[str, Any]] = [
            {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
            {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
        ]
        for context in contexts:
            async with opened(place, **context) as page:
                for path in [*paths, "in shadow"]:
                    if path == "in shadow":
                        await page.goto(f"/incidents/{incident['id']}")
                        await page.get_by_role("link", name="Try these on today's code").click()
                        await page.get_by_role("dialog").get_by_role("button", name="Run in shadow").click()
                        await page.get_by_role("heading", name="In shadow, with today's code").wait_for()
                    else:
                        await page.goto(path)
                    wider = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
                    assert wider <= 0, (path, context)
                    assert await page.evaluate(NAMELESS) == [], path
                    assert await page.evaluate(AXE_LIKE) == [], path
