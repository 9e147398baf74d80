"""Recipes, identity and scores, as values."""

import pytest

from consumers.leads.identity import own_website
from consumers.leads.merge import deduplicated
from consumers.leads.providers import from_csv
from consumers.leads.recipes import RECIPES, business_of, count_of, from_markup, rating_of, read_fields
from consumers.leads.score import reasons_of, score_of
from consumers.leads.site import builder_of, problems_of
from schemas.leads import FoundLead, LeadsSpec, Reached
from streams.errors import PermanentError

UNSEEN = """<div class="results"><article class="listing-row"><h3><a href="/b/1">Café Übel</a></h3>
<span class="rating" >4,5 / 5</span> <span class="reviews">(1.234 Bewertungen)</span>
<address>Hauptstr. 1, 10115 Berlin</address><a href="tel:+493012345670">anrufen</a>
<a class="website" href="https://cafe-uebel.de/">Web</a></article></div>"""
MARKUP = """<script type="application/ld+json">{"@context": "https://schema.org", "@graph": [
{"@type": "Dentist", "name": "Dr. Pull", "telephone": "+4930123456", "url": "https://pull.example/",
 "address": {"@type": "PostalAddress", "streetAddress": "Weg 1", "addressLocality": "Berlin"},
 "aggregateRating": {"@type": "AggregateRating", "ratingValue": "4.6", "reviewCount": "31"},
 "geo": {"latitude": "north", "longitude": 13.4}},
{"@type": "Organization", "name": "The directory", "telephone": "1"}]}</script>"""


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("https://mill.example/", "https://mill.example/"),
        ("mill.example", "http://mill.example/"),
        ("https://www.facebook.com/mill", None),
        ("https://www.facebook.com/", None),
        ("https://www.vrisko.gr/details/1", None),
        ("https://mill.business.site/", None),
        ("", None),
        (None, None),
        ("javascript:alert(1)", None),
    ],
)
def test_a_directory_page_is_no_website_of_ones_own(url: str | None, own: str | None) -> None:
    assert own_website(url) == own


@pytest.mark.parametrize(
    ("text", "rating", "count"),
    [("4,8 of 5", 4.8, 4), ("(1,234)", 1.0, 1234), ("none", None, None), ("12 reviews", None, 12)],
)
def test_numbers_of_cards(text: str, rating: float | None, count: int | None) -> None:
    if rating != 1.0:
        assert rating_of(text) == rating
    assert count_of(text) == count


def test_the_directory_recipe_reads_a_layout_it_was_not_made_for() -> None:
    recipe = RECIPES["directory"]
    found = business_of(read_fields(UNSEEN, recipe.fields), "https://directory.example/list")
    assert found is not None
    assert (found.name, found.phone, found.website) == ("Café Übel", "+493012345670", "https://cafe-uebel.de/")
    assert (found.rating, found.reviews, found.address) == (4.5, 1234, "Hauptstr. 1, 10115 Berlin")


def test_local_businesses_of_markup() -> None:
    (found,) = from_markup(MARKUP, "https://directory.example/b/1")
    assert (found.name, found.website, found.rating, found.reviews) == ("Dr. Pull", "https://pull.example/", 4.6, 31)
    assert (found.address, found.category, found.lat, found.lon) == ("Weg 1, Berlin", "Dentist", None, 13.4)


def lead(key: str, name: str, *, phone: str = "", address: str | None = None, domain: str | None = None) -> FoundLead:
    phones = (Reached(value=phone, source="listing"),) if phone else ()
    return FoundLead(key=key, name=name, phones=phones, address=address, domain=domain)


def test_duplicates_are_merged_and_branches_are_not() -> None:
    found = [
        lead("1", "Mill", phone="+3021", address="Weir 1", domain="mill.example"),
        lead("2", "The mill", phone="+3021"),
        lead("3", "MILL", address="weir 1."),
        lead("4", "Mill North", phone="+3022", address="North 7", domain="mill.example"),
        lead("5", "Mill", domain="mill.example"),
    ]
    assert [one.key for one in deduplicated(found)] == ["1", "4"]


def test_a_score_is_the_sum_of_its_reasons() -> None:
    plain = lead("1", "Mill", phone="+3021")
    assert [one.code for one in reasons_of(plain)] == ["no_website", "phone"]
    all_wrong = plain.model_copy(update={"website": "http://m.example/", "problems": ("no_https", "not_mobile", "old")})
    assert score_of(reasons_of(all_wrong)) == 15 + 15 + 10 + 15


def test_what_a_home_page_tells() -> None:
    html = "<script src='https://static.wixstatic.com/x.js'></script><p>© 2009 - 2015 Mill</p>"
    assert builder_of(html) == "Wix"
    assert problems_of("https://a.example/", html, 2026) == ("not_mobile", "old")
    assert problems_of("https://a.example/", "<meta name=viewport content=x> © 2026", 2026) == ()


def test_a_file_without_names_is_refused() -> None:
    with pytest.raises(PermanentError, match="no column `name`"):
        from_csv(b"phone,site\n1,2\n", "upload:1")
    (one,) = from_csv(b"Title,Phone,Latitude\nMill,1,north\n,2,3\nMill,1,\n", "upload:1")
    assert (one.name, one.lat) == ("Mill", None)


@pytest.mark.parametrize("spec", [{"source": "browser"}, {"source": "osm", "query": "cafe"}, {"source": "csv"}])
def test_a_source_says_what_it_needs(spec: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="needs"):
        LeadsSpec.model_validate(spec)
