"""Contacts of a page: markup first, then links, then text; and nothing that nobody answers."""

from __future__ import annotations

import pytest

from consumers.audit.document import Document
from consumers.audit.page import read_page
from consumers.contacts import emails
from consumers.contacts.numbers import shown_numbers
from consumers.contacts.phones import phones_in_text, region_of, to_e164
from consumers.contacts.read import contacts_of, merged
from consumers.contacts.social import network_of

HTML = """<html lang="de-DE"><head><script type="application/ld+json">{"@context":"https://schema.org","@type":"Bakery",
"name":"Hafenbrot","telephone":"0421 361 0","email":"mailto:Brot@hafenbrot.de","sameAs":["https://www.instagram.com/hafenbrot/"],
"address":{"@type":"PostalAddress","streetAddress":"Kai 3","postalCode":"28195","addressLocality":"Bremen"}}</script></head><body>
<p>Schreiben Sie an laden (at) hafenbrot (punkt) de oder brot@hafenbrot.de. Am 01-10-1915 39 Brote.</p>
<a href="mailto:lieferung@hafenbrot.de?subject=Hallo,%20x">Lieferung</a> <a href="tel:+49421361100">Anrufen</a>
<a href="https://www.facebook.com/sharer/sharer.php?u=x">Teilen</a> <a href="https://de.linkedin.com/company/hafenbrot">LinkedIn</a>
<a href="/cdn-cgi/l/email-protection#1a787f69737e7f5a727b7c7f74786875' 34">x</a>
<p>Muster: max@example.com, info@yourdomain.com, +1 555 0100, (212) 555-0123</p></body></html>"""


def test_a_page_is_read() -> None:
    found = contacts_of(read_page(Document(url="https://hafenbrot.de/kontakt", body=HTML.encode())))
    assert [(one.value, one.source) for one in found.emails] == [
        ("brot@hafenbrot.de", "schema.org"),
        ("lieferung@hafenbrot.de", "link"),
        ("laden@hafenbrot.de", "text"),
    ]
    assert [(one.value, one.source) for one in found.phones] == [("+494213610", "schema.org"), ("+49421361100", "link")]
    assert [one.value for one in found.names] == ["Hafenbrot"]
    assert [one.value for one in found.addresses] == ["Kai 3, 28195, Bremen"]
    assert {(one.label, one.value) for one in found.social} == {
        ("instagram", "https://www.instagram.com/hafenbrot/"),
        ("linkedin", "https://de.linkedin.com/company/hafenbrot"),
    }
    assert merged([found, found]) == found


@pytest.mark.parametrize(
    "number",
    ["+1 212 555 0123", "+44 20 7946 0958", "+44 7700 900123", "+49 30 23125 000", "+1 234 567 8901", "+1 555 123 4567", "+33 1 99 00 12 34", "+61 491 570 156"],
)  # fmt: skip
def test_numbers_of_fiction_are_nobodys(number: str) -> None:
    assert to_e164(number) is None
    assert list(phones_in_text(f"Call {number} now")) == []


@pytest.mark.parametrize(
    ("written", "region", "number"),
    [
        ("tel:(415)%20736-2098", "US", "+14157362098"), ("0117 325 6170", "GB", "+441173256170"), ("00966 50 214 7730", None, "+966502147730"),
        ("02.41.55.66.73", "FR", "+33241556673"), ("12", "US", None), ("", None, None),
    ],
)  # fmt: skip
def test_numbers_are_brought_to_e164(written: str, region: str | None, number: str | None) -> None:
    assert to_e164(written, region) == number


def test_dates_are_no_numbers() -> None:
    assert list(phones_in_text("gefallen 01-10-1915 39 Jahre", "FR")) == []
    assert shown_numbers("from 2024-01-02 to 2025-03-04, ISBN 978-3-16-148410-0, 12.10.2024") == []


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("Ida@Harbour-Lamps.CO.UK", "ida@harbour-lamps.co.uk"), ("info@münchen-lampen.de", "info@xn--mnchen-lampen-wob.de"),
        ("logo@2x.png", None), ("you@example.com", None), ("name@domain.com", None), ("noreply@harbour.org", None),
        ("abc123@sentry.io", None), ("a@b", None), ("icon@font.woff2", None),
    ],
)  # fmt: skip
def test_addresses(address: str, kept: str | None) -> None:
    assert emails.normalised(address) == kept


def test_an_address_hidden_by_cloudflare_is_read() -> None:
    key = 0x2A
    code = bytes([key, *(ord(char) ^ key for char in "ida@harbour.org")]).hex()
    assert emails.decloaked(code) == "ida@harbour.org"
    assert emails.decloaked("zz") is None


@pytest.mark.parametrize(
    ("url", "network"),
    [
        ("https://www.facebook.com/harbour", "facebook"), ("https://www.facebook.com/share/1Ab2Cd3Ef4/", "facebook"),
        ("https://www.facebook.com/sharer/sharer.php?u=x", None), ("https://twitter.com/intent/tweet?text=x", None), ("https://x.com/harbour", "x"),
        ("https://www.youtube.com/watch?v=1", None), ("https://www.youtube.com/channel/UC36", "youtube"), ("https://www.instagram.com/p/abc/", None),
        ("https://www.linkedin.com/shareArticle?url=x", None), ("https://notfacebook.com/a", None), ("https://facebook.com/", None),
    ],
)  # fmt: skip
def test_profiles(url: str, network: str | None) -> None:
    assert network_of(url) == network


def test_the_country_is_the_domains_or_the_languages() -> None:
    assert (region_of("a.co.uk"), region_of("a.de:8080"), region_of("a.com", "fr-CA"), region_of("a.com", "fr")) == (
        "GB",
        "DE",
        "CA",
        None,
    )


def test_dates_beside_ages_are_no_numbers() -> None:
    assert list(phones_in_text("Jean MARTIN 03-02-1885 / 09-10-1917 32 ans, tel : 02.98.00.12.34", "FR")) == [
        ("02.98.00.12.34", "+33298001234")
    ]


def test_a_profile_with_and_without_a_slash_is_one() -> None:
    html = '<a href="https://linkedin.com/in/ida">a</a><a href="https://linkedin.com/in/ida/">b</a>'
    found = contacts_of(read_page(Document(url="https://a.de/", body=html.encode())))
    assert [one.value for one in found.social] == ["https://linkedin.com/in/ida"]
