"""What is read of a document: charset, base, directives, markup, text."""

from __future__ import annotations

import orjson
import pytest

from consumers.audit.article import article_text
from consumers.audit.directives import header_directives, link_headers, refresh_of
from consumers.audit.document import Document, headers_of
from consumers.audit.llms_txt import read_llms_txt
from consumers.audit.page import Page, from_json, read_page, to_json
from consumers.audit.robots_file import access_matrix, bad_lines, read
from consumers.audit.rules.metadata import is_hreflang, is_well_formed, width_px
from consumers.audit.structured import types_of, walk
from consumers.audit.words import count_words, distance, language_of, simhash_of
from tests.support.audit_pages import CLEAN_TEXT, doc, prose


def page(html: str | bytes, *, url: str = "https://a.example/x/y", **headers: str) -> Page:
    sent = headers_of(
        {name.replace("_", "-"): value for name, value in headers.items()}
        | {"content-type": headers.get("content_type", "text/html")}
    )
    return read_page(Document(url=url, headers=sent, body=html if isinstance(html, bytes) else html.encode()))


def test_a_page_goes_to_json_and_back() -> None:
    read_one = read_page(doc())
    assert from_json(to_json(read_one)) == read_one
    assert orjson.loads(to_json(read_one))["titles"] == ["Choosing a ship lamp for the table | Harbour Lamps"]


@pytest.mark.parametrize(
    ("body", "content_type", "text", "source"),
    [
        ("\ufeffhé".encode("utf-8"), "text/html; charset=latin-1", "hé", "bom"), ("hé".encode("utf-16"), "text/html", "hé", "bom"),
        ("hé".encode("cp1252"), "text/html; charset=ISO-8859-1", "hé", "header"), ("<meta charset=windows-1251>привет".encode("cp1251"), "text/html", "привет", "meta"),
        ("hé".encode(), "text/html", "hé", "detected"), ("<!--<meta charset=koi8-r>-->hé".encode(), "text/html", "hé", "detected"),
        ("<meta charset=utf-16>hé".encode(), "text/html", "hé", "meta"),
    ],
)  # fmt: skip
def test_charsets(body: bytes, content_type: str, text: str, source: str) -> None:
    found = page(b"<p>" + body + b"</p>" if source != "bom" else body, content_type=content_type)
    assert found.charset is not None
    assert (found.visible_text, found.charset.source) == (text, source)


def test_base_moves_links_and_the_canonical() -> None:
    found = page('<base href="/shop/"><link rel="canonical" href="lamps"><a href="b">B</a><a href="#c">C</a>')
    assert found.base == "https://a.example/shop/"
    assert [link.url for link in found.links] == ["https://a.example/shop/b", "https://a.example/shop/"]
    assert found.canonicals[0].url == "https://a.example/shop/lamps"


def test_directives_of_headers_name_their_agents() -> None:
    said = list(
        header_directives(
            ["googlebot: noindex, nofollow", "max-snippet:20, unavailable_after: 25 Jun 2026 15:00:00 PST"]
        )
    )
    assert [(one.agent, one.name, one.value) for one in said[:3]] == [
        ("googlebot", "noindex", ""), ("googlebot", "nofollow", ""), ("robots", "max-snippet", "20"),
    ]  # fmt: skip


def test_link_headers_are_read() -> None:
    header = '<https://a.example/x>; rel="canonical", </de>; rel=alternate; hreflang="de"'
    assert list(link_headers([header])) == [
        ("https://a.example/x", {"rel": "canonical"}),
        ("/de", {"rel": "alternate", "hreflang": "de"}),
    ]


@pytest.mark.parametrize(
    ("text", "delay_s", "url"),
    [("0; url=/a", 0, "https://b.example/a"), ("5", 5, None), ("3;URL='https://c.example/'", 3, "https://c.example/"), ("0,/a", 0, "https://b.example/a")],
)  # fmt: skip
def test_refreshes(text: str, delay_s: float, url: str | None) -> None:
    found = refresh_of(text, "https://b.example/", "meta")
    assert found is not None
    assert (found.delay_s, found.url) == (delay_s, url)


def test_markup_of_three_syntaxes_has_one_shape() -> None:
    found = page(
        '<script type="application/ld+json">{"@context":"https://schema.org","@graph":[{"@type":["Product"],"name":"Lamp",'
        '"offers":{"@type":"Offer","price":12.5}}]}</script>'
        '<div itemscope itemtype="https://schema.org/Product"><b itemprop="name">Lamp</b>'
        '<i itemprop="offers" itemscope itemtype="https://schema.org/Offer"><meta itemprop="price" content="12.5"></i></div>'
        '<div vocab="https://schema.org/" typeof="Product"><b property="name">Lamp</b><i property="offers" typeof="Offer">'
        '<meta property="price" content="12.5"></i></div>'
    )
    assert [block.syntax for block in found.markup] == ["json-ld", "microdata", "rdfa"]
    for block in found.markup:
        assert block.nodes[0]["name"] == ["Lamp"]
        assert [types_of(node) for node in walk(block.nodes)] == [["Product"], ["Offer"]]
        assert str(block.nodes[0]["offers"][0]["price"][0]) == "12.5"


def test_navigation_and_hidden_text_are_not_the_main_text() -> None:
    found = page(
        f"<nav>Shop</nav><div class='sidebar'>Aside</div>{prose(50)}<p hidden>Secret</p><footer>Pier 4</footer><script>x</script>"
    )
    assert all(word not in found.prose.text for word in ("Shop", "Aside", "Secret", "Pier", "x\n"))
    assert found.prose.words > 50


def test_words_are_counted_in_scripts_without_spaces() -> None:
    assert (count_words("a brass lamp"), count_words("船灯很重要"), count_words("don't stop")) == (3, 2, 2)


def test_simhash_is_near_for_texts_that_are_near() -> None:
    long = prose(2_000)
    assert distance(simhash_of(long), simhash_of(long + " One more sentence.")) <= 3
    assert (
        distance(simhash_of(long), simhash_of("Entirely different words about the tax on salt in old ports. " * 40))
        > 10
    )
    assert simhash_of("too short") == ""


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (prose(80), "en"), ("Die Lampe hängt über dem Tisch und ist nicht schwer, weil das Glas in der Hütte von Hand geblasen wird.", "de"),
        ("La lampe est au-dessus de la table et elle ne pèse pas lourd, car le verre est soufflé à la main dans un atelier.", "fr"),
        ("مصباح السفينة معلق فوق الطاولة", "ar"), ("船のランプはテーブルの上にある", "ja"), ("xyz", ""),
    ],
)  # fmt: skip
def test_languages(text: str, language: str) -> None:
    assert language_of(text) == language


def test_tags() -> None:
    assert [
        is_well_formed(one)
        for one in ("en", "pt-BR", "zh-Hant-TW", "de-CH-1996", "sl-rozaj", "en_US", "xx", "english", "e")
    ] == [True] * 5 + [False] * 4
    assert [
        is_hreflang(one) for one in ("en", "x-default", "zh-Hans-CN", "es-419", "en-UK", " en", "en_GB", "en-GB-oed")
    ] == [True] * 4 + [False] * 4


def test_titles_have_a_width() -> None:
    assert width_px("W" * 10) > 180 > width_px("i" * 40)
    assert width_px("灯" * 10) == 200


def test_wrong_lines_of_robots_are_named() -> None:
    text = "Disallow: /x\nUser-agent: *\nDisallow: admin\nNoise\nFoo: bar\nSitemap: /s.xml\nDisallow: /a$b\nCrawl-delay: 2\n# ok\n"
    assert [one.number for one in bad_lines(text)] == [1, 3, 4, 5, 6, 7]


def test_the_matrix_says_who_is_named() -> None:
    matrix = {
        one.agent: one.state
        for one in access_matrix(read("User-agent: GPTBot\nDisallow: /\nUser-agent: *\nAllow: /\n"))
    }
    assert (matrix["GPTBot"], matrix["PerplexityBot"]) == ("disallowed", "not named, so allowed")


def test_llms_txt() -> None:
    good = read_llms_txt(
        "# Lamps\n> All about lamps, for tables and boats and everything that floats between them.\n## Guides\n- [One](/one): first\n",
        "https://a.example/llms.txt",
    )
    assert (good.problems, good.links, good.sections) == ((), ("https://a.example/one",), ("Guides",))
    assert read_llms_txt("<!doctype html><h1>Lamps</h1>", "https://a.example/llms.txt").problems == ("it is HTML",)


def test_an_article_is_read_without_its_surroundings() -> None:
    html = f"<html><body><nav><a href=/>Home</a></nav><article><h1>Lamps</h1>{prose(200)}</article><aside>Related posts</aside><footer>Imprint</footer></body></html>"
    text = article_text(html)
    assert "warm light over a long table" in text
    assert "Imprint" not in text
    assert CLEAN_TEXT in text
