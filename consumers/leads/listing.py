"""A listing in a browser, by its recipe: overlays closed, feeds scrolled, panels opened, pages turned."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from consumers.leads.recipes import business_of, from_markup, read_fields
from consumers.net import urls

if TYPE_CHECKING:
    import playwright.async_api as pw

    from schemas.leads import Business, Detail, Recipe

BATCH: Final = 50
MAX_ROUNDS: Final = 2_000
CONSENT_MS: Final = 1_000
CLICK_MS: Final = 2_000
TRIES: Final = 2

# A card is ready when its name is there: many are drawn empty and filled later. What was read is marked in the page.
_READY: Final = """(card, name) => [...document.querySelectorAll(card)].filter(el => !el.dataset.millrace &&
    ((name.includes('@') ? el : el.querySelector(name) || {}).textContent || '').trim())"""
_TAKE: Final = f"""([card, name, most]) => ({_READY})(card, name).slice(0, most).map(el => {{
    el.dataset.millrace = window.millraceCards = (window.millraceCards || 0) + 1;
    return [el.dataset.millrace, el.outerHTML.slice(0, 200000)]; }})"""
_MORE: Final = f"""([card, name, end]) => ({_READY})(card, name).length > 0 ||
    (end && document.querySelector(end) && ![...document.querySelectorAll(card)].some(el => !el.dataset.millrace))"""
_LEFT: Final = "card => [...document.querySelectorAll(card)].filter(el => !el.dataset.millrace).length"
_SCROLL: Final = """([feed, card]) => { const el = feed && document.querySelector(feed);
    const cards = document.querySelectorAll(card); if (cards.length) cards[cards.length - 1].scrollIntoView();
    if (el) el.scrollTop = el.scrollHeight; else window.scrollTo(0, document.documentElement.scrollHeight); }"""
_PANEL: Final = """([panel, name, ready]) => { const squeeze = text => text.replace(/\\s+/g, ' ').trim();
    return [...document.querySelectorAll(panel)].some(el => squeeze(el.textContent).includes(squeeze(name)) &&
    (!ready || el.querySelector(ready))); }"""


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
    rounds = 0
    while rounds < MAX_ROUNDS:
        rounds += 1
        batch = await _visible(page, recipe)
        if batch.businesses or batch.missing:
            yield batch
            continue
        if recipe.card is not None and await _comes_more(page, recipe):
            continue
        if not await _pressed_next(page, recipe):
            break
    html, base = await page.content(), page.url
    missing: tuple[str, ...] = ()
    if recipe.card is not None and (left := await page.evaluate(_LEFT, recipe.card)):
        missing = (f"{left} cards of {urls.redact(base)} never showed a name",)
    yield Batch(
        tuple(from_markup(html, base)) if recipe.markup else (),
        await _links(page, recipe.links) if recipe.links else (),
        await _next_page(page, recipe),
        missing,
    )


async def accept_consent(page: pw.Page, recipe: Recipe) -> None:
    """Close an overlay that asks for consent, when one is there."""
    from playwright.async_api import Error  # noqa: PLC0415 - an extra, and slow to import

    if not recipe.consent:
        return
    button = page.locator(", ".join(recipe.consent)).first
    with contextlib.suppress(Error):
        await button.wait_for(state="visible", timeout=CONSENT_MS)
        await button.click(timeout=CLICK_MS)


async def _visible(page: pw.Page, recipe: Recipe) -> Batch:
    if recipe.card is None:
        return Batch()
    taken = await page.evaluate(_TAKE, [recipe.card, recipe.fields["name"], BATCH])
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
            await page.locator(f"{card} {detail.open}" if detail.open else card).first.click(timeout=CLICK_MS)
            await page.wait_for_function(
                _PANEL, arg=[detail.panel, name, detail.ready], timeout=recipe.detail_s * 1_000
            )
            panel = page.locator(detail.panel).filter(has_text=name).first
            return read_fields(await panel.evaluate("el => el.outerHTML.slice(0, 500000)"), detail.fields)
        except PlaywrightTimeoutError:
            if attempt == 0:
                await accept_consent(page, recipe)  # an overlay that came late
    return None


async def _comes_more(page: pw.Page, recipe: Recipe) -> bool:
    """Scroll on, and wait for a card that was not read yet."""
    from playwright.async_api import TimeoutError as PlaywrightTimeoutError  # noqa: PLC0415 - as above

    await page.evaluate(_SCROLL, [recipe.feed, recipe.card])
    try:
        await page.wait_for_function(
            _MORE, arg=[recipe.card, recipe.fields["name"], recipe.end], timeout=recipe.settle_s * 1_000
        )
    except PlaywrightTimeoutError:
        return False
    return bool(
        await page.evaluate(
            f"([card, name]) => ({_READY})(card, name).length > 0", [recipe.card, recipe.fields["name"]]
        )
    )


async def _pressed_next(page: pw.Page, recipe: Recipe) -> bool:
    """Press a button that shows more; links are followed by an entry of their own."""
    from playwright.async_api import Error  # noqa: PLC0415 - as above

    if recipe.next is None or recipe.card is None:
        return False
    button = page.locator(recipe.next).first
    try:
        if await button.count() == 0 or await button.get_attribute("href") is not None or not await button.is_enabled():
            return False
        await button.click(timeout=CLICK_MS)
    except Error:
        return False
    return await _comes_more(page, recipe)


async def _next_page(page: pw.Page, recipe: Recipe) -> str | None:
    if recipe.next is None:
        return None
    hrefs = await page.locator(recipe.next).evaluate_all("els => els.map(el => el.getAttribute('href') || '')")
    found = (urls.resolve(page.url, href) for href in hrefs if href)
    return next((url for url in found if url and url != page.url and urls.same_site(url, page.url)), None)


async def _links(page: pw.Page, selector: str) -> tuple[str, ...]:
    hrefs = await page.locator(selector).evaluate_all("els => els.map(el => el.getAttribute('href') || '')")
    found = (urls.resolve(page.url, href) for href in hrefs if href)
    return tuple(dict.fromkeys(url for url in found if url and urls.same_site(url, page.url)))
