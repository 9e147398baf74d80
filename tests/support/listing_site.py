"""A business directory on loopback that needs a browser, and the businesses' own websites beside it.

Consent overlay, infinite scroll, cards filled by script, detail panels, duplicates, slow and failing cards.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

from aiohttp import web

BATCH = 8
_PAGE = """<!doctype html><html lang="en"><title>Directory</title><style>
.feed { height: 300px; overflow: auto } .entry { height: 60px } .veil { position: fixed; inset: 0; background: #fff }
</style><div class="veil" role="dialog"><p>We value your privacy</p><button class="yes">Accept all</button></div>
<div class="feed"></div><aside class="sheet" hidden></aside><script>
const feed = document.querySelector('.feed'), sheet = document.querySelector('.sheet'); let at = 0, busy = false;
document.querySelector('.yes').onclick = () => document.querySelector('.veil').remove();
async function more() {
  if (busy) return; busy = true;
  const items = await (await fetch('/listing/items?from=' + at)).json(); at += items.length;
  for (const item of items) {
    if (item.hangs) for (;;);
    const el = document.createElement('div'); el.className = 'entry'; feed.append(el);
    const fill = () => { el.innerHTML = '<a class="t"></a><i class="r"></i><i class="n"></i>';
      el.querySelector('.t').textContent = item.title;
      el.querySelector('.r').setAttribute('aria-label', item.rating + ' stars');
      el.querySelector('.n').textContent = '(' + item.review_count + ')'; };
    if (item.slow) setTimeout(fill, 300); else if (!item.blank) fill();
    let clicks = 0;
    el.onclick = () => { clicks += 1; if (item.never || item.fails && clicks == 1) return;
      setTimeout(() => { sheet.hidden = false; sheet.innerHTML = '<h1></h1><p class="a"></p><p class="p"></p>';
        sheet.querySelector('h1').textContent = item.title; sheet.querySelector('.a').textContent = item.address;
        sheet.querySelector('.p').textContent = item.phone || '';
        if (item.website) { const w = document.createElement('a'); w.className = 'w'; w.href = item.website;
          sheet.append(w); }
        const done = document.createElement('span'); done.className = 'id'; done.dataset.id = item.place_id;
        sheet.append(done); }, item.slow ? 200 : 1); };
  }
  if (!items.length && !document.querySelector('.over'))
    feed.insertAdjacentHTML('beforeend', '<p class="over">End</p>');
  busy = false;
}
feed.addEventListener('scroll', () => { if (feed.scrollTop + feed.clientHeight >= feed.scrollHeight - 80) more(); });
more();
</script></html>"""

RECIPE: dict[str, Any] = {
    "card": ".entry", "feed": ".feed", "end": ".over", "consent": [".veil button"], "detail_s": 1.0, "settle_s": 3.0,
    "fields": {"name": ".t", "rating": ".r@aria-label", "reviews": ".n"},
    "detail": {
        "panel": ".sheet", "open": ".t", "ready": ".id",
        "fields": {"phone": ".p", "website": ".w@href", "address": ".a", "place_id": ".id@data-id"},
    },
}  # fmt: skip


def invented(count: int) -> list[dict[str, Any]]:
    """Businesses that are not."""
    return [
        {
            "title": f"Mill {number}", "address": f"{number} Weir Street, Lower Town", "rating": 3 + number % 3 * 0.9,
            "review_count": number * 3, "phone": f"+30 21 0261 {5000 + number}", "place_id": f"place-{number}",
            "website": f"/sites/{number}/" if number % 3 else None,
        }
        for number in range(1, count + 1)
    ]  # fmt: skip


def shared_listing() -> list[dict[str, Any]] | None:
    """The listing of real businesses that is kept beside this repository, when it is there."""
    shared = Path(os.environ.get("MILLRACE_SHARED", Path(__file__).parents[3] / "shared"))
    path = shared / "data" / "sites" / "listing-coffee.json"
    found: list[dict[str, Any]] | None = json.loads(path.read_text())["results"] if path.exists() else None
    return found


class ListingSite:
    """Serves a listing on a free port of 127.0.0.1 while entered.

    Args:
        businesses: What it lists, each of the first three twice; every fifth is slow, every seventh fails at first.
            One with ``never`` has a panel that does not open, one with ``blank`` a card that stays empty, and one with
            ``hangs`` keeps the page busy for ever, once.
    """

    def __init__(self, businesses: list[dict[str, Any]]) -> None:
        self.shown = [
            {**one, "slow": number % 5 == 0, "fails": number % 7 == 0} for number, one in enumerate(businesses, 1)
        ]
        self.shown += self.shown[:3]
        self.asked: list[str] = []
        self.at_second_batch: Callable[[], Awaitable[None]] | None = None
        self.port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Of the listing."""
        return f"http://127.0.0.1:{self.port}/listing"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if request.path == "/listing":
            return web.Response(text=_PAGE, content_type="text/html")
        if request.path == "/listing/items":
            begin = int(request.query["from"])
            if begin == BATCH and self.at_second_batch is not None:
                happens, self.at_second_batch = self.at_second_batch, None
                await happens()
            told = self.shown[begin : begin + BATCH]
            self.shown = [{**one, "hangs": False} if one in told else one for one in self.shown]
            return web.json_response(told)
        if request.path.startswith("/sites/"):
            _, _, number, *rest = request.path.split("/")
            if rest == ["contact"]:
                text = f'<p>Write to <a href="mailto:hello@mill{number}.gr">us</a>.</p>'
            else:
                text = '<meta name="generator" content="WordPress 6"><a href="contact">Contact</a> © 2012'
            return web.Response(text=f"<html><body>{text}</body></html>", content_type="text/html")
        raise web.HTTPNotFound
