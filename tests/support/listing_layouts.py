"""Directories in layouts that the built-in recipes were not written for, each with other conventions of markup."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

Firm = tuple[str, str, str, float, int]
"""Name, phone, street, rating, reviews."""


def firms_of(number: int) -> list[Firm]:
    """Those of one layout, which no other has."""
    names = ("Amsel", "Birke", "Cello", "Dorn", "Erle", "Falke", "Ginster")
    return [
        (
            f"{name} & Co {number}",
            f"+49 30 345{number} {1000 + at}",
            f"Kai {number}{at}, 10115 Berlin",
            4 + at / 10,
            at * 1_111,
        )
        for at, name in enumerate(names, 1)
    ]


@dataclass(frozen=True)
class Layout:
    """A directory: its pages by path, the first at ``/``, and the recipe that reads it."""

    recipe: str
    pages: dict[str, str]
    firms: list[Firm]


def _paged(
    name: str, firms: list[Firm], page: Callable[[list[Firm], str | None], str], size: int = 3
) -> dict[str, str]:
    starts = range(0, len(firms), size)
    paths = ["/", *(f"/{name}/{number}" for number in range(2, len(starts) + 1))]
    following = [*paths[1:], None]
    return {
        path: page(firms[start : start + size], after)
        for path, start, after in zip(paths, starts, following, strict=True)
    }


def _microdata(firms: list[Firm], after: str | None) -> str:
    rows = "".join(
        f"""<tr itemscope itemtype="http://schema.org/Restaurant"><td><b itemprop="name">{escape(n)}</b></td>
        <td itemprop="address" itemscope itemtype="http://schema.org/PostalAddress">
          <span itemprop="streetAddress">{s.split(",")[0]}</span>, <span itemprop="postalCode">10115</span>
          <span itemprop="addressLocality">Berlin</span></td>
        <td itemprop="aggregateRating" itemscope itemtype="http://schema.org/AggregateRating">
          <meta itemprop="ratingValue" content="{r}"><span itemprop="reviewCount">{c}</span> Stimmen</td>
        <td itemprop="telephone">{p}</td></tr>"""
        for n, p, s, r, c in firms
    )
    link = f'<link rel="next" href="{after}">' if after else ""
    return f"<html><head>{link}</head><body><table class='firms'>{rows}</table></body></html>"


def _json_list(firms: list[Firm], after: str | None) -> str:
    items = [
        {
            "@type": "ListItem", "position": at,
            "item": {
                "@type": ["Dentist", "MedicalBusiness"], "name": n, "telephone": p,
                "address": {"@type": "PostalAddress", "streetAddress": s},
                "aggregateRating": {"@type": "AggregateRating", "ratingValue": str(r), "ratingCount": c},
            },
        }
        for at, (n, p, s, r, c) in enumerate(firms, 1)
    ]  # fmt: skip
    listed = json.dumps({"@context": "https://schema.org", "@type": "ItemList", "itemListElement": items})
    shown = "".join(f"<dt>{escape(n)}</dt><dd>{p}</dd>" for n, p, *_ in firms)
    more = f'<a aria-label="Next page" href="{after}">&rsaquo;</a>' if after else "<span>&rsaquo;</span>"
    return (
        f'<html><head><script type="application/ld+json">{listed}</script></head><body><dl>{shown}</dl>'
        f'<nav aria-label="Pagination"><a href="/" aria-current="page">1</a>{more}</nav></body></html>'
    )


def _plain(firms: list[Firm], after: str | None) -> str:
    cards = "".join(
        f"""<div class="company-tile"><div class="company-tile__head"><a href="/firm/{p[-4:]}">
        <h3 class="company-tile__name">{escape(n)}</h3></a></div>
        <div class="company-tile__stars" aria-label="{str(r).replace(".", ",")} von 5 Sternen"></div>
        <div class="company-tile__votes">{c:,} Bewertungen</div>
        <div class="company-tile__address">{s}</div><div class="company-tile__phone">Tel. {p}</div></div>"""
        for n, p, s, r, c in firms
    )
    more = f'<ul class="pager"><li class="pager__item--next"><a href="{after}">weiter</a></li></ul>' if after else ""
    return f"<html><body><main>{cards}</main>{more}</body></html>"


def _more_button(firms: list[Firm]) -> dict[str, str]:
    rows = json.dumps([{"n": n, "p": p, "s": s, "r": r, "c": c} for n, p, s, r, c in firms])
    return {"/": f"""<html><body><section id="list" class="search-results"></section>
    <button type="button" class="btn">Show more</button><script>
    const rows = {rows}, list = document.querySelector('#list'); let at = 0;
    function more() {{ for (const one of rows.slice(at, at + 3)) {{ const el = document.createElement('article');
        el.innerHTML = '<header><h2></h2></header><p class="stars" data-rating="' + one.r + '"></p>'
          + '<p class="review-count">' + one.c + '</p><address></address><a>Call</a>';
        el.querySelector('a').href = 'tel:' + one.p.replaceAll(' ', '');
        el.querySelector('h2').textContent = one.n; el.querySelector('address').textContent = one.s; list.append(el); }}
      at += 3; if (at >= rows.length) document.querySelector('button').remove(); }}
    more(); document.querySelector('button').onclick = () => setTimeout(more, 30);
    </script></body></html>"""}  # fmt: skip


def _linked(firms: list[Firm]) -> dict[str, str]:
    def listing(some: list[Firm], after: str | None) -> str:
        links = "".join(f'<li><a href="/firm/{p[-4:]}"><span>{escape(n)}</span></a></li>' for n, p, *_ in some)
        more = f'<p class="nav-links"><a class="next page-numbers" href="{after}">Older</a></p>' if after else ""
        return (
            f'<html><body><nav><ul><li><a href="/about">About us</a></li></ul></nav><ul class="directory-list">{links}'
            f"</ul>{more}</body></html>"
        )

    pages = _paged("page", firms, listing, 4)
    for n, p, s, r, c in firms:
        pages[f"/firm/{p[-4:]}"] = f"""<html><body vocab="https://schema.org/" typeof="AutoRepair">
        <h1 property="name">{escape(n)}</h1><a property="telephone" href="tel:{p}">{p}</a>
        <div property="address" typeof="PostalAddress"><span property="streetAddress">{s}</span></div>
        <div property="aggregateRating" typeof="AggregateRating"><span property="ratingValue">{r}</span>
        (<span property="reviewCount">{c}</span>)</div></body></html>"""
    pages["/about"] = "<html><body><p>Who we are</p></body></html>"
    return pages


LAYOUTS: dict[str, Layout] = {
    "microdata rows, rel=next in the head": Layout("directory", _paged("seite", firms_of(1), _microdata), firms_of(1)),
    "JSON-LD list, labelled next": Layout("directory", _paged("list", firms_of(2), _json_list), firms_of(2)),
    "plain tiles, a pager": Layout("directory", _paged("p", firms_of(3), _plain), firms_of(3)),
    "articles and a button": Layout("directory", _more_button(firms_of(4)), firms_of(4)),
    "linked pages with RDFa": Layout("localbusiness", _linked(firms_of(5)), firms_of(5)),
}
