# ruff: noqa: E501 - a pattern is easier to check unbroken
"""What a reader of statements knows beyond words: whose share a profit is, which total closes, what must add up.

Each rule looks at the rows and the concepts chosen so far, and puts or moves a concept.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from consumers.filings.labels import folded
from consumers.filings.places import fits
from consumers.filings.sums import Sum, find_sums, values_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.filings import MatchedBy, Row

OTHERS: Final = re.compile(
    r"non-? ?controlling|minorit|nicht beherrschend|ohne beherrschend|nicht kontrollierend|anderer gesellschafter"
    r"|minderheit|ne (?:donnant|conferant) pas|no dominante|no controlador|socios externos"
)
DILUTED: Final = re.compile(r"(?<!un)\bdilut|(?<!un)verwassert|\bdilue|diluid")
_ATTRIBUTABLE: Final = re.compile(
    r"attributable|applicable to|available to|entfallend|zurechenbar|zuzurechnen|aktionare|anteilseigner"
    r"|part du groupe|proprietaires|imputable|atribui|accionistas de|propietarios de|dominante"
)
_COMPREHENSIVE: Final = re.compile(
    r"comprehensive|gesamtergebnis|sonstiges ergebnis|resultat global|resultado (?:global|integral)"
)
_HOLDERS_TOTAL: Final = re.compile(
    r"^total (?!liabilities)(?!.*liabilit).*(?:holders|owners)'? ?(?:equity|deficit|investment|funds)$"
    r"|^(?!.*liabilit).*(?:share|stock)holders' equity$"
)
_OF_CASH: Final = re.compile(
    r"cash.*\b(?:beginning|end) of|tresorerie.*(?:ouverture|cloture)|mittel.*(?:anfang|ende|beginn)\b"
)
_EARNED: Final = re.compile(r"revenue|sales|turnover|umsatz|erlose|ertrag|chiffre d'affaires|produits|ingresos|ventas")
_BASIC: Final = re.compile(r"(?<!un)(?<!and )\bbasic|unverwassert|de base\b|basic[oa]s?\b")
_FLOWS: Final = ("cfo", "cfi", "cff", "fx_effect", "net_change_in_cash")
_UNLABELLED: Final = {
    "current_assets": "total_current_assets",
    "noncurrent_assets": "total_non_current_assets",
    "current_liabilities": "total_current_liabilities",
    "noncurrent_liabilities": "total_non_current_liabilities",
    "operating": "cfo",
    "investing": "cfi",
    "financing": "cff",
}


@dataclass(frozen=True, slots=True)
class Claim:
    """A row that may be a concept, and how good the reason is."""

    row: int
    concept: str
    score: float
    by: MatchedBy


def put(chosen: dict[str, Claim], concept: str, row: int, by: MatchedBy, *, over: bool = False) -> None:
    """Give a concept its row, in place of what the row was before when `over`."""
    if over:
        for name in [name for name, claim in chosen.items() if claim.row == row and name != concept]:
            del chosen[name]
    chosen[concept] = Claim(row, concept, 90.0, by)


def owners(rows: Sequence[Row], chosen: dict[str, Claim]) -> None:
    """The split of the net income: whose share it is names a line, not what it is called."""
    split = [i for i, row in enumerate(rows) if row.unit == "amount" and _is_share_of_owners(row)]
    after = chosen.get("net_income")
    for index in split:
        text = folded(f"{rows[index].section} {rows[index].label}")
        if OTHERS.search(folded(rows[index].label)):
            concept = "net_income_nci"
        elif re.search(r"(?:common|ordinary) (?:share|stock)", text) and after is not None:
            concept = "net_income_common"
        else:
            concept = "net_income_parent"
        if concept not in chosen or (after is not None and chosen[concept].row < after.row <= index):
            put(chosen, concept, index, "label", over=concept != "net_income_parent" or after is None)
    claim = chosen.get("net_income")
    parent = chosen.get("net_income_parent")
    if claim is not None and parent is not None and claim.row == parent.row:
        del chosen["net_income_parent"]


def _is_share_of_owners(row: Row) -> bool:
    label, section = folded(row.label), folded(row.section)
    if re.search(r"\b(?:including|before)\b", label):
        return False
    if _COMPREHENSIVE.search(f"{section} {label}") or (
        re.search(r"share|aktie\b|par action|por accion", label) and row.unit != "amount"
    ):
        return False
    return _ATTRIBUTABLE.search(label) is not None or (
        (_ATTRIBUTABLE.search(section) is not None or re.search(r"davon|dont|of which", section) is not None)
        and re.search(r"owner|holder|parent|members|" + OTHERS.pattern, label) is not None
    )


def per_share(rows: Sequence[Row], chosen: dict[str, Claim]) -> None:
    """Basic and diluted earnings: by the word in the label, else by the heading, the last such line of each."""
    for concept in ("eps_basic", "eps_diluted", "shares_basic", "shares_diluted"):
        wanted = "per_share" if concept.startswith("eps") else "shares"
        pattern = DILUTED if concept.endswith("diluted") else _BASIC
        other = _BASIC if concept.endswith("diluted") else DILUTED
        lines = [i for i, row in enumerate(rows) if row.unit == wanted and not _part_of_share(row)]
        said = [i for i in lines if pattern.search(folded(rows[i].label))]
        headed = [
            i for i in lines
            if pattern.search(folded(rows[i].section)) and not other.search(folded(rows[i].label))
        ]  # fmt: skip
        if said:
            put(chosen, concept, said[-1] if wanted == "per_share" else said[0], "label")
        elif headed:
            put(chosen, concept, headed[-1], "position")


def _part_of_share(row: Row) -> bool:
    text = folded(row.label)
    return (
        re.search(r"dividend|continuing|discontinued|fortgefuhrt|poursuivies|abandonnees|continuadas", text) is not None
    )


def subtotals_of_income(rows: Sequence[Row], chosen: dict[str, Claim]) -> None:
    """Unlabelled subtotals, and the profit for the year where two lines are called so: what the arithmetic says."""
    blank = [i for i, row in enumerate(rows) if not row.label and row.unit == "amount"]
    if "revenue" not in chosen:
        under = [i for i in blank if _EARNED.search(folded(rows[i].section))]
        first = (
            [each for each in find_sums(rows[: under[0] + 1], may_deduct=False) if each.total == under[0]]
            if under
            else []
        )
        if first and first[0].parts[0] == 0:
            put(chosen, "revenue", under[0], "arithmetic")
    for concept, plus, less in (
        ("gross_profit", "revenue", "cost_of_revenue"),
        ("net_income", "pretax_income", "income_tax"),
    ):
        if concept in chosen or plus not in chosen or less not in chosen:
            continue
        for index in blank:
            if index > chosen[plus].row and _is_difference(rows[index], rows[chosen[plus].row], rows[chosen[less].row]):
                put(chosen, concept, index, "arithmetic")
                break


def _is_difference(made: Row, plus: Row, less: Row) -> bool:
    values = list(zip(values_of(made), values_of(plus), values_of(less), strict=True))
    told = [(a, b, c) for a, b, c in values if a is not None and b is not None and c is not None]
    return bool(told) and all(min(abs(b - c - a), abs(b + c - a)) <= 1 for a, b, c in told)


def equity(rows: Sequence[Row], places: Sequence[str], chosen: dict[str, Claim]) -> None:
    """The totals of equity: the owners' and, with the others', all of it."""
    for index, row in enumerate(rows):
        label = folded(row.label)
        if "total_liabilities_and_equity" in chosen and chosen["total_liabilities_and_equity"].row == index:
            continue
        owners = _ATTRIBUTABLE.search(label) is not None and fits("equity", places[index])
        owners = owners and re.search(r"equity|eigenkapital|propres|patrimonio|total|reserves", label) is not None
        if "equity_parent" not in chosen and not OTHERS.search(label) and (_HOLDERS_TOTAL.search(label) or owners):
            put(chosen, "equity_parent", index, "label", over=True)
    totals = [i for i, row in enumerate(rows) if _HOLDERS_TOTAL.search(folded(row.label))]
    if len(totals) > 1 and "total_equity" not in chosen:
        put(chosen, "equity_parent", totals[0], "label", over=True)
        put(chosen, "total_equity", totals[-1], "label", over=True)
    parent = chosen.get("equity_parent")
    if parent is not None and "total_equity" not in chosen:
        following = rows[parent.row + 1 : parent.row + 2]
        if not any(OTHERS.search(folded(row.label)) for row in following):
            chosen["total_equity"] = Claim(parent.row, "total_equity", parent.score, parent.by)
            del chosen["equity_parent"]


def unlabelled(rows: Sequence[Row], places: Sequence[str], sums: Sequence[Sum], chosen: dict[str, Claim]) -> None:
    """A subtotal without a label is what closes its part: the sum of all lines of it."""
    taken = {claim.row for claim in chosen.values()}
    for each in sums:
        place = places[each.parts[-1]]
        concept = _UNLABELLED.get(place)
        if rows[each.total].label or concept is None or concept in chosen:
            continue
        first = each.parts[0]
        whole = first == 0 or places[first - 1] != place or first - 1 in taken & _totals(chosen)
        if whole and all(places[part] == place for part in each.parts):
            put(chosen, concept, each.total, "arithmetic")


def _totals(chosen: dict[str, Claim]) -> set[int]:
    return {claim.row for concept, claim in chosen.items() if concept.startswith("total_")}


def unlabelled_totals(rows: Sequence[Row], chosen: dict[str, Claim]) -> None:
    """Both sides of a balance sheet come to the same amounts; an unlabelled line that does is the one not yet named."""
    both = ("total_assets", "total_liabilities_and_equity")
    blank = [i for i, row in enumerate(rows) if not row.label and row.unit == "amount" and any(values_of(row))]
    named = [chosen[concept].row for concept in both if concept in chosen]
    for index in blank:
        twins = [i for i in (*blank, *named) if i != index and values_of(rows[i]) == values_of(rows[index])]
        if len(twins) == 1:
            concept = both[0] if index < twins[0] else both[1]
            if concept not in chosen:
                put(chosen, concept, index, "arithmetic")
    parent, others = chosen.get("equity_parent") or chosen.get("total_equity"), chosen.get("non_controlling_interests")
    if parent is None or others is None or others.row < parent.row:
        return
    for index in blank:
        if index > others.row and _is_difference(rows[index], rows[parent.row], rows[others.row]):
            chosen["equity_parent"] = Claim(parent.row, "equity_parent", parent.score, parent.by)
            chosen["total_equity"] = Claim(index, "total_equity", 90.0, "arithmetic")


def moments(rows: Sequence[Row], places: Sequence[str], chosen: dict[str, Claim]) -> None:
    """Cash at the beginning and at the end, where the label gives a date or says nothing else."""
    for index, row in enumerate(rows):
        text = folded(f"{row.section} {row.label}") if len(row.label.split()) < 6 else folded(row.label)  # noqa: PLR2004
        if (places[index] != "after" and not _OF_CASH.search(text)) or not re.search(
            r"cash|mittel|tresorerie|efectivo|liquid|balance", text
        ):
            continue
        if re.search(
            r"beginning|\bstart\b|\bopening|\b(?:0?1|1st)[. ]+(?:de )?(?:jan|apr|jul|oct|ene|okt)|anfang|beginn|ouverture|debut|inicio|comienzo|1\.1\.|01\.01",
            text,
        ):
            if "cash_begin" not in chosen:
                put(chosen, "cash_begin", index, "label", over=True)
        elif (
            re.search(
                r"\bend\b|\bclosing|\b(?:at|as at|am|au|zum|a) (?:3[01]|2[89])\b|ende|schluss|cloture|\bfin\b|\bfinal|cierre|31\.12|30\.\d\d",
                text,
            )
            and "cash_end" not in chosen
        ):
            put(chosen, "cash_end", index, "label", over=True)


def reconciled(rows: Sequence[Row], claims: Sequence[Claim], chosen: dict[str, Claim]) -> None:
    """Where several lines could be the totals, the ones whose sum is the change in cash are."""
    generated = chosen.get("cash_generated_from_operations")
    if "cfo" not in chosen and generated is not None:
        put(chosen, "cfo", generated.row, generated.by, over=True)
    options = [_options(name, claims, chosen) for name in _FLOWS]
    if any(not each for name, each in zip(_FLOWS, options, strict=True) if name != "fx_effect"):
        return
    options = [each or [None] for each in options]
    for picked in itertools.islice(itertools.product(*options), 400):
        if _adds_up(rows, picked):
            for claim in picked:
                if claim is not None:
                    put(chosen, claim.concept, claim.row, claim.by, over=True)
            return


def _options(name: str, claims: Sequence[Claim], chosen: dict[str, Claim]) -> list[Claim | None]:
    present = [chosen[name]] if name in chosen else []
    others = sorted((c for c in claims if c.concept == name and c not in present), key=lambda c: -c.score)
    found: list[Claim | None] = [*present, *others[:4]]
    return [*found, None] if name == "fx_effect" and found else found


def _adds_up(rows: Sequence[Row], picked: Sequence[Claim | None]) -> bool:
    *parts, change = picked
    if change is None:
        return False
    told = [values_of(rows[part.row]) for part in parts if part is not None]
    sums = [sum((v or Decimal(0) for v in column), Decimal(0)) for column in zip(*told, strict=True)]
    wanted = values_of(rows[change.row])
    return any(wanted) and all(w is None or abs(w - s) <= 2 for w, s in zip(wanted, sums, strict=True))  # noqa: PLR2004


def depreciation(rows: Sequence[Row], places: Sequence[str], chosen: dict[str, Claim]) -> None:
    """Depreciation alone is not depreciation and amortisation where the statement prints amortisation beside it."""
    claim = chosen.get("depreciation_amortization")
    if claim is None or re.search(r"amorti|abschreib|depletion", folded(rows[claim.row].label)):
        return
    for index, row in enumerate(rows):
        text = folded(row.label)
        apart = re.search(r"^amorti[sz]ation", text) and not re.search(r"debt|financ|discount|premium|issu|loan", text)
        if apart and places[index] == "operating" and index != claim.row:
            del chosen["depreciation_amortization"]
            return
