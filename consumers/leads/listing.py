"""A listing in a browser, by its recipe: overlays closed, feeds scrolled, panels opened, pages turned."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from consumers.leads.recipes import business_of, from_markup, read_fields
from consumers.net import urls
from consumers.net.errors import FetchFailedError

if TYPE_CHECKING:
    import playwright.async_api as pw

    from schemas.leads import Business, Detail, Recipe

BATCH: Final = 50
MAX_ROUNDS: Final = 2_000
CONSENT_MS: Final = 1_000
CLICK_MS: Final = 2_000
TRIES: Final = 2
ANSWER_S: Final = 20.0
"""A page that does not answer for so long hangs: its browser is killed and the listing read again."""

# A card is ready when its name is there: many are drawn empty and filled later. What was read is marked in the page.
# Of cards within cards the innermost is one.
_CARDS: Final = """card => { const all = [...document.querySelectorAll(card)], known = new Set(all), outer = new Set();
    for (const el of all) for (let up = el.parentElement; up; up = up.parentElement) if (known.has(up)) outer.add(up);
    return all.filter(el => !outer.has(el) && !el.dataset.millrace); }"""
_READY: Final = f"""(card, name) => ({_CARDS})(card).filter(el =>
    ((name.includes('@') ? el : el.querySelector(name) || {{}}).textContent || '').trim())"""
_TAKE: Final = f"""([card, name, most]) => ({_READY})(card, name).slice(0, most).map(el => {{
    el.dataset.millrace = window.millraceCards = (window.millraceCards || 0) + 1;
    return [el.dataset.millrace, el.outerHTML.slice(0, 200000)]; }})"""
_MORE: Final = f"""([card, name, end]) => ({_READY})(card, name).length > 0 ||
    (end && document.querySelector(end) && !({_CARDS})(card).length)"""
_LEFT: Final = f"card => ({_CARDS})(card).length"
_SCROLL: Final = """([feed, card]) => { const el = feed && document.querySelector(feed);
    const cards = document.querySelectorAll(card); if (cards.length) cards[cards.length - 1].scrollIntoView();
    if (el) el.scrollTop = el.scrollHeight; else window.scrollTo(0, document.documentElement.scrollHeight); }"""
_PANEL: Final = """([panel, name, ready]) => { const squeeze = text => text.replace(/\\s+/g, ' ').trim();
    return [...document.querySelectorAll(panel)].some(el => squeeze(el.textContent).includes(squeeze(name)) &&
    (!ready || el.querySelector(ready))); }"""

_HREFS: Final = "els => els.map(el => el.getAttribute('href') || '')"

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Batch:
    """What a stretch of a listing gave.

    Attributes:
        businesses: As far as they could be read.
        links: Pages of businesses, and the next page of the listing as `next_page`.
        missing: What could not be read, in words.
    """

    businesses: tuple[Business, ...] = ()
    links: tuple[str, ...] = ()
    next_page: str | None = None
    missing: tuple[str, ...] = ()


async def read_listing(page: pw.Page, recipe: Recipe) -> AsyncGenerator[Batch, None]:
    """Read the listing that a page shows, batch by batch; the caller stops when it has enough."""
    await accept_consent(page, recipe)
    rounds, has_read = 0, False
    while rounds < MAX_ROUNDS:
        rounds += 1
        batch = await _visible(page, recipe)
        if batch.businesses or batch.missing:
            has_read = True
            yield batch
            continue
        # What has pages shows all of one at once, unless a card is still to be filled.
        has_all = (has_read or await _is_marked_up(page, recipe)) and await _leads_on(page, recipe)
        if recipe.card is not None and not has_all and await _comes_more(page, recipe):
            continue
        if not await _pressed_next(page, recipe):
            break
    html, base = await answered(page, page.content()), page.url
    missing: tuple[str, ...] = ()
    if recipe.card is not None and (left := await answered(page, page.evaluate(_LEFT, recipe.card))):
        missing = (f"{left} cards of {urls.redact(base)} never showed a name",)
    yield Batch(
        tuple(from_markup(html, base)) if recipe.markup else (),
        await _links(page, recipe.links) if recipe.links else (),
        await _next_page(page, recipe),
        missing,
    )


async def answered(page: pw.Page, asked: Awaitable[_Answer], within_s: float | None = None) -> _Answer:
    """What a page answers.

    Args:
        page: Which.
        asked: What Playwright waits for. Its own time limits need a page that answers, and many calls have none.
        within_s: `ANSWER_S` when None.

    Raises:
        FetchFailedError: ``hung``: it did not; a script of its own keeps it busy for ever.
    """
    try:
        async with asyncio.timeout(within_s or ANSWER_S):
            return await asked
    except TimeoutError:
        raise FetchFailedError(
            f"{urls.redact(page.url)} did not answer in the browser, which is ended; it is read again later",
            reason="hung", url=page.url,
        ) from None  # fmt: skip


async def _shows(page: pw.Page, script: str, arg: list[str | None], within_s: float) -> None:
    """Wait until a script says so; it is Playwright's `TimeoutError` when it does not, and ``hung`` beyond that."""
    asked = page.wait_for_function(script, arg=arg, timeout=within_s * 1_000)
    await answered(page, asked, within_s + ANSWER_S)


async def accept_consent(page: pw.Page, recipe: Recipe) -> None:
    """Close an overlay that asks for consent, when one is there."""
    from playwright.async_api import Error  # noqa: PLC0415 - an extra, and slow to import

    if not recipe.consent:
        return
    button = page.locator(", ".join(recipe.consent)).first
    with contextlib.suppress(Error):
        await answered(page, button.wait_for(state="visible", timeout=CONSENT_MS))
        await answered(page, button.click(timeout=CLICK_MS))


async def _visible(page: pw.Page, recipe: Recipe) -> Batch:
    if recipe.card is None:
        return Batch()
    taken = await answered(page, page.evaluate(_TAKE, [recipe.card, recipe.fields["name"], BATCH]))
    found: list[Business] = []
    missing: list[str] = []
    for mark, html in taken:
        fields = read_fields(html, recipe.fields)
        name = fields.get("name", "")
        if recipe.detail is not None and name:
            told = await _detail(page, recipe, recipe.detail, mark, name)
            if told is None:
                missing.append(f"the details of a card of {urls.redact(page.url)} did not open; it is read without")
            fields |= told or {}
        business = business_of(fields, page.url)
        if business is not None:
            found.append(business)
    return Batch(tuple(found), missing=tuple(missing))


async def _detail(page: pw.Page, recipe: Recipe, detail: Detail, mark: str, name: str) -> dict[str, str] | None:
    """What the panel of a card says; None when it did not open for this card."""
    from playwright.async_api import TimeoutError as PlaywrightTimeoutError  # noqa: PLC0415 - as above

    card = f'[data-millrace="{mark}"]'
    for attempt in range(TRIES):
        try:
            opener = page.locator(f"{card} {detail.open}" if detail.open else card).first
            await answered(page, opener.click(timeout=CLICK_MS))
            await _shows(page, _PANEL, [detail.panel, name, detail.ready], recipe.detail_s)
            panel = page.locator(detail.panel).filter(has_text=name).first
            html = await answered(page, panel.evaluate("el => el.outerHTML.slice(0, 500000)"))
            return read_fields(html, detail.fields)
        except PlaywrightTimeoutError:
            if attempt == 0:
                await accept_consent(page, recipe)  # an overlay that came late
    return None


async def _comes_more(page: pw.Page, recipe: Recipe) -> bool:
    """Scroll on, and wait for a card that was not read yet."""
    from playwright.async_api import TimeoutError as PlaywrightTimeoutError  # noqa: PLC0415 - as above

    await answered(page, page.evaluate(_SCROLL, [recipe.feed, recipe.card]))
    try:
        await _shows(page, _MORE, [recipe.card, recipe.fields["name"], recipe.end], recipe.settle_s)
    except PlaywrightTimeoutError:
        return False
    ready = page.evaluate(f"([card, name]) => ({_READY})(card, name).length > 0", [recipe.card, recipe.fields["name"]])
    return bool(await answered(page, ready))


async def _is_marked_up(page: pw.Page, recipe: Recipe) -> bool:
    """Whether the page's markup tells of businesses, so that cards need not be waited for."""
    return recipe.markup and any(True for _ in from_markup(await answered(page, page.content()), page.url))


async def _leads_on(page: pw.Page, recipe: Recipe) -> bool:
    """Whether there is a next page, and nothing of this one is still to come."""
    if recipe.next is None or recipe.card is None or not await answered(page, page.locator(recipe.next).count()):
        return False
    return not await answered(page, page.evaluate(_LEFT, recipe.card))


async def _pressed_next(page: pw.Page, recipe: Recipe) -> bool:
    """Press a button that shows more; links are followed by an entry of their own."""
    from playwright.async_api import Error  # noqa: PLC0415 - as above

    if recipe.next is None or recipe.card is None:
        return False
    button = page.locator(recipe.next).first
    try:
        if await answered(page, button.count()) == 0:
            return False
        if await answered(page, button.get_attribute("href")) is not None:
            return False
        if not await answered(page, button.is_enabled()):
            return False
        await answered(page, button.click(timeout=CLICK_MS))
    except Error:
        return False
    return await _comes_more(page, recipe)


async def _next_page(page: pw.Page, recipe: Recipe) -> str | None:
    if recipe.next is None:
        return None
    hrefs = await answered(page, page.locator(recipe.next).evaluate_all(_HREFS))
    found = (urls.resolve(page.url, href) for href in hrefs if href)
    return next((url for url in found if url and url != page.url and urls.same_site(url, page.url)), None)


async def _links(page: pw.Page, selector: str) -> tuple[str, ...]:
    hrefs = await answered(page, page.locator(selector).evaluate_all(_HREFS))
    found = (urls.resolve(page.url, href) for href in hrefs if href)
    return tuple(dict.fromkeys(url for url in found if url and urls.same_site(url, page.url)))
