# ruff: noqa: E501 - a pattern is easier to check unbroken
"""Where each line of a statement stands: current or non-current assets, operating or investing activities."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from consumers.filings.concepts import lexicon
from consumers.filings.labels import folded, variants

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consumers.filings.sums import Sum
    from schemas.filings import Row

ANYWHERE: Final = "any"

_BALANCE_HEADS: Final = tuple(
    (re.compile(words), place)
    for words, place in (
        ((r"non-? ?current assets|fixed assets|long-term assets|langfristige\w* (?:vermogen|aktiv)|anlagevermogen"
         r"|actifs? (?:non[- ]courants?|immobilise)|activos? no corrientes?"), "noncurrent_assets"),
        ((r"current assets|kurzfristige\w* (?:vermogen|aktiv)|umlaufvermogen|actifs? (?:courants?|circulants?)"
         r"|activos? (?:corrientes?|circulantes?)"), "current_assets"),
        ((r"non-? ?current liabilities|long-term liabilities|after (?:more than )?one year"
         r"|langfristige\w* (?:schulden|verbindlichkeiten|fremdkapital)|passifs? non[- ]courants?|dettes a long terme"
         r"|pasivos? no corrientes?"), "noncurrent_liabilities"),
        ((r"current liabilities|within one year|kurzfristige\w* (?:schulden|verbindlichkeiten|fremdkapital)"
         r"|passifs? courants?|dettes a court terme|pasivos? (?:corrientes?|circulantes?)"), "current_liabilities"),
        ((r"(?:liabilities|schulden|verbindlichkeiten|passifs?|pasivos?)\b.*(?:equity|deficit|eigenkapital|propres|patrimonio)"
         r"|(?:equity|eigenkapital|propres|patrimonio)\b.*(?:liabilities|schulden|verbindlichkeiten|passifs?|pasivos?)"
         r"|^passiv(?:a|en)$|^passif$"), "funding"),
        ((r"equity|eigenkapital|capitaux propres|fonds propres|patrimonio|capital and reserves"
         r"|holders' (?:deficit|investment|funds)"), "equity"),
        (r"^(?:total )?(?:liabilities|schulden|verbindlichkeiten|fremdkapital|dettes|passifs?|pasivos?)$", "liabilities"),
        (r"^(?:total )?(?:assets|vermogenswerte|aktiv(?:a|en)|actifs?|activos?)$", "assets"),
    )
)  # fmt: skip
_FLOW_HEADS: Final = tuple(
    (re.compile(words), place)
    for words, place in (
        ((r"operating activit|operations\b|betriebstatigkeit|geschaftstatigkeit|betrieblicher tatigkeit"
         r"|operative\w* tatigkeit|operationnel|d'exploitation|liees? a l'activite|de explotacion|de operacion"), "operating"),
        (r"investing activit|investition|d'investissement|de inversion", "investing"),
        (r"financing activit|finanzierung|de financement|de financia", "financing"),
        (r"^supplement|reconciliation|non-?cash|cash paid", "after"),
    )
)  # fmt: skip
_NEXT: Final = {
    "total_current_assets": "noncurrent_assets",
    "total_non_current_assets": "current_assets",
    "total_assets": "funding",
    "total_current_liabilities": "noncurrent_liabilities",
    "total_non_current_liabilities": "liabilities",
    "total_liabilities": "funding",
}
_PLACE_OF: Final = {
    "total_current_assets": "current_assets",
    "total_non_current_assets": "noncurrent_assets",
    "total_current_liabilities": "current_liabilities",
    "total_non_current_liabilities": "noncurrent_liabilities",
}
_FLOW_TOTALS: Final = {
    "cash_generated_from_operations": "operating",
    "cfo": "operating",
    "cfi": "investing",
    "cff": "financing",
}
_SIDES: Final = {
    "assets": ("assets", "current_assets", "noncurrent_assets"),
    "liabilities": ("liabilities", "current_liabilities", "noncurrent_liabilities", "funding"),
}


def fits(wanted: str, place: str) -> bool:
    """Whether a concept that belongs to `wanted` may stand at `place`."""
    if wanted in (ANYWHERE, place) or place == ANYWHERE:
        return True
    if wanted in _SIDES:
        return place in _SIDES[wanted]
    if wanted == "equity":
        return place in ("funding", "liabilities", "noncurrent_liabilities")
    if place in _SIDES:
        return wanted in _SIDES[place]
    return place == "funding" and wanted in _SIDES["liabilities"]


def balance_places(rows: Sequence[Row], sums: Sequence[Sum]) -> list[str]:
    """The part of the balance sheet that each row stands in, by headings and by the totals that close a part."""
    totals = {each.total for each in sums}
    places: list[str] = []
    place = "assets"
    section = ""
    seen: set[str] = set()
    for index, row in enumerate(rows):
        if row.section and row.section != section:
            section = row.section
            place = _headed(section, place)
        said = _said_total(row, _NEXT)
        if said is None:
            places.append(place)
            continue
        seen.add(said)
        opens = said in _PLACE_OF and index not in totals and not folded(row.label).startswith(("total", "summe"))
        places.append(_PLACE_OF.get(said, ANYWHERE))
        place = _PLACE_OF[said] if opens else _after(said, seen)
    return places


def _headed(section: str, place: str) -> str:
    text = folded(section).strip(" :")
    for pattern, found in _BALANCE_HEADS:
        if pattern.search(text):
            return place if place in _SIDES.get(found, ()) and place != "funding" else found
    return place


def _after(said: str, seen: set[str]) -> str:
    following = _NEXT[said]
    if said in ("total_current_assets", "total_non_current_assets"):
        both = {"total_current_assets", "total_non_current_assets"} <= seen
        return "assets" if both else following
    if said == "total_current_liabilities" and "total_non_current_liabilities" in seen:
        return "liabilities"
    if said == "total_non_current_liabilities" and "total_current_liabilities" not in seen:
        return "current_liabilities"
    return following


def _said_total(row: Row, names: dict[str, str]) -> str | None:
    """The total that a row's label names, exactly."""
    words = lexicon("balance_sheet" if names is _NEXT else "cash_flow")
    for key, worth in variants(row.label):
        if worth < 94:  # noqa: PLR2004 - the variant without "total" is no total
            continue
        for concept, _ in words.get(key, ()):
            if concept.id in names:
                return concept.id
    return None


def flow_places(rows: Sequence[Row]) -> list[str]:
    """The activities that each row of a cash flow statement belongs to: by heading, else by the next total."""
    places = [""] * len(rows)
    following = "after"
    for index in range(len(rows) - 1, -1, -1):
        said = _said_total(rows[index], _FLOW_TOTALS)
        if said is not None:
            following = _FLOW_TOTALS[said]
        places[index] = following
    section = ""
    headed: str | None = None
    for index, row in enumerate(rows):
        if row.section and row.section != section:
            section = row.section
            found = next((p for pattern, p in _FLOW_HEADS if pattern.search(folded(section))), None)
            headed = found or headed
        if headed is not None and places[index] == "after" and headed != "after" and not _closed(rows, index, headed):
            places[index] = headed
    return places


def _closed(rows: Sequence[Row], index: int, headed: str) -> bool:
    """Whether the total of these activities was printed before."""
    return any(_FLOW_TOTALS.get(_said_total(row, _FLOW_TOTALS) or "") == headed for row in rows[:index])
