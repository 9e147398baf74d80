"""Phone numbers in E.164, and none that nobody answers.

Numbers made for fiction and templates (555-01xx, 020 7946 0xxx, 123 456 7890 ...) are valid by numbering plan alone;
they are left out. Sources: NANPA's 555 assignments, Ofcom's numbers for drama, ACMA's, Arcep's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberMatcher

MAX_TEXT: Final = 100_000
_FICTION: Final = re.compile(
    r"^\+(?:"
    r"1\d{3}555(?:01\d\d|1212)|1555\d{7}"
    r"|44(?:(?:207946|1(?:13|14|15|16|17|18|21|31|41|51|61)496|191498|289018|292018)0\d{3}|1632960\d{3}|7700900\d{3}|8081570\d{3}"
    r"|9098790\d{3}|3069990\d{3})"
    r"|61(?:[2378](?:5550|7010)\d{4}|491570\d{3}|1800(?:160401|97570[7-9]|97571[01]))"
    r"|33(?:19900|26191|35301|46571|53649|63998)\d{4}"
    r"|49(?:3023125|6990009|4066969|2214710|8999998)\d+"
    r")$"
)
_SEQUENCES: Final = ("0123456789", "1234567890", "9876543210", "0987654321", "12345678", "87654321")
_DATED: Final = re.compile(r"\d\d?[^\w\s]\d\d?[^\w\s](?:1[0-9]|20)\d\d(?!\d)")
_REGION_OF_TLD: Final = {"uk": "GB", "com": "", "eu": "", "su": "RU"}
_MIN_SAME: Final = 6


def is_placeholder(e164: str) -> bool:
    """Whether a number belongs to fiction, templates or nobody."""
    digits = e164.removeprefix("+")
    if _FICTION.match(e164) or re.search(rf"(\d)\1{{{_MIN_SAME},}}", digits):
        return True
    return any(sequence in digits for sequence in _SEQUENCES)


def to_e164(text: str, region: str | None = None) -> str | None:
    """A number in E.164; None when it is not one, or a placeholder.

    Args:
        text: The number as written, or the target of a ``tel:`` link.
        region: Two-letter country that numbers without a country code belong to.
    """
    cleaned = re.sub(r"^(?:tel|callto|fax):/*", "", text.strip(), flags=re.IGNORECASE).replace("%20", " ").split(";")[0]
    cleaned = re.sub(r"^00(?=[1-9])", "+", cleaned)
    for country in dict.fromkeys((region or None, None)):
        try:
            number = phonenumbers.parse(cleaned, country)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            found = phonenumbers.format_number(number, PhoneNumberFormat.E164)
            return None if is_placeholder(found) else found
    return None


def phones_in_text(text: str, region: str | None = None) -> Iterator[tuple[str, str]]:
    """Valid numbers in running text: as written, and in E.164."""
    for match in PhoneNumberMatcher(text[:MAX_TEXT], region):
        found = phonenumbers.format_number(match.number, PhoneNumberFormat.E164)
        if not is_placeholder(found) and not _DATED.match(match.raw_string.strip()):
            yield match.raw_string.strip(), found


def region_of(host: str, lang: str | None = None) -> str | None:
    """The country that numbers of a site without a country code belong to: of its domain, else of its language tag."""
    suffix = host.rsplit(":", 1)[0].rsplit(".", 1)[-1].lower()
    region = _REGION_OF_TLD.get(suffix, suffix.upper())
    if region in phonenumbers.SUPPORTED_REGIONS:
        return region
    parts = (lang or "").replace("_", "-").split("-")
    return next((one.upper() for one in parts[1:] if one.upper() in phonenumbers.SUPPORTED_REGIONS), None)
