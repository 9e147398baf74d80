# ruff: noqa: E501 - a pattern is easier to check unbroken
"""Printed lines to standard concepts.

Context comes before spelling: a line may only become what can stand at its place (part of the balance sheet, activity,
money or money a share). Within that, the published synonyms decide, then arithmetic between the lines, then likeness
of spelling with a margin over the next concept. A line that nothing tells stays as reported.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from consumers.filings.concepts import Concept, by_element, by_id, lexicon
from consumers.filings.labels import canonical, folded, variants
from consumers.filings.likeness import alike
from consumers.filings.places import balance_places, fits, flow_places
from consumers.filings.signs import standard_signs
from consumers.filings.statement_rules import (
    DILUTED,
    OTHERS,
    Claim,
    depreciation,
    equity,
    moments,
    owners,
    per_share,
    reconciled,
    subtotals_of_income,
    unlabelled,
    unlabelled_totals,
)
from consumers.filings.sums import find_sums
from consumers.filings.templates import template_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from consumers.filings.concepts import Template
    from schemas.filings import MatchedBy, Row, Statement

_SPENT_ON_PLANT: Final = re.compile(
    r"^\(?(?:net )?(?:purchases?|acquisitions?|additions?|payments?|expenditures?|investments?|capital expenditures?|spending)"
    r"\b(?!.*\b(?:accrued|unpaid|proceeds|sale)).{0,25}\b(?:property|plant|premises|fixed assets|tangible)"
    r"|^(?:auszahlungen|investitionen|erwerb|kauf|zugange)\b.*sachanlage|^(?:acquisitions?|investissements|decaissements)\b.*corporel"
    r"|^(?:adquisicion|inversion|pago|compra)\w*\b.*(?:inmovilizado|planta y equipo|propiedad)"
)
_WORN: Final = re.compile(
    r"^depreciation(?:,| and) amorti[sz]ation(?!.*impairment)|^abschreibungen (?:auf|und)\b(?!.*finanz)|^(?:dotations aux )?amortissements (?:et|des) (?!.*financ)"
)
_LAST: Final = frozenset({"cfo", "cfi", "cff", "eps_basic", "eps_diluted", "total_equity", "equity_parent"})
"""Of several lines as good, the last one is the total; of others it is the first."""

_TAG_SCORE: Final = 200.0


def normalise(statements: Sequence[Statement]) -> tuple[Statement, ...]:
    """Give the rows of a document's statements their concepts and the sign of the convention."""
    template = template_of(statements)
    return tuple(_statement(statement, template) for statement in statements)


def _statement(statement: Statement, template: Template) -> Statement:
    rows = statement.rows
    sums = find_sums(rows, may_deduct=statement.kind == "income_statement")
    if statement.kind == "balance_sheet":
        places = balance_places(rows, sums)
    elif statement.kind == "cash_flow":
        places = flow_places(rows)
    else:
        places = [row.unit for row in rows]
    claims = [c for i, row in enumerate(rows) for c in _claims(statement, i, row, places[i], template)]
    chosen = _chosen(claims)
    if statement.kind == "income_statement":
        owners(rows, chosen)
        per_share(rows, chosen)
        subtotals_of_income(rows, chosen)
    elif statement.kind == "balance_sheet":
        equity(rows, places, chosen)
        unlabelled(rows, places, sums, chosen)
        unlabelled_totals(rows, chosen)
    else:
        moments(rows, places, chosen)
        unlabelled(rows, places, sums, chosen)
        reconciled(rows, claims, chosen)
        depreciation(rows, places, chosen)
    return _annotated(statement, chosen, _aliases(statement, chosen))


def _claims(statement: Statement, index: int, row: Row, place: str, template: Template) -> list[Claim]:
    tagged = _by_tag(statement, index, row, template)
    if tagged or not row.label:
        return tagged
    words = lexicon(statement.kind)
    found: dict[str, Claim] = {}
    keys = list(variants(row.label))
    if row.section and len(keys[0][0].split() if keys else ()) <= 2:  # noqa: PLR2004 - "Basic", "End of year"
        keys.append((canonical(f"{row.section} {row.label}"), 90.0))
    for key, worth in keys:
        for concept, rank in words.get(key, ()):
            if _allowed(concept, place, template):
                score = worth - rank / 50 + _fitness(concept, place, template)
                if concept.id not in found or score > found[concept.id].score:
                    found[concept.id] = Claim(index, concept.id, score, "label")
    if found or not keys:
        return list(found.values())
    lead = _led_by(statement.kind, row.label, place)
    if lead is not None:
        return [Claim(index, lead, 84.0, "label")]
    near = alike(statement.kind, keys[0][0], lambda concept: _allowed(concept, place, template))
    return [Claim(index, concept, score * 0.9, "similar_label") for concept, score in near]


def _led_by(kind: str, label: str, place: str) -> str | None:
    """A long label whose first words tell: "Purchases of property and equipment and other assets"."""
    text = folded(label)
    if kind == "cash_flow" and place == "investing" and _SPENT_ON_PLANT.search(text):
        return "capex"
    if kind == "cash_flow" and place == "operating" and _WORN.search(text):
        return "depreciation_amortization"
    return None


def _by_tag(statement: Statement, index: int, row: Row, template: Template) -> list[Claim]:
    """What the tags on a row mean: the surest element of each concept first."""
    names = {cell.tag.rpartition(":")[2] for cell in row.cells if cell is not None and cell.tag is not None}
    return [
        Claim(index, concept.id, _TAG_SCORE - 5 * concept.xbrl.index(name), "tag")
        for name in names
        for concept in by_element()[statement.kind].get(name, ())
        if concept.template in ("general", template)
    ]


def _allowed(concept: Concept, place: str, template: Template) -> bool:
    if concept.template not in ("general", template):
        return False
    if concept.statement == "income_statement":
        return concept.place == place
    return fits(concept.place, place)


def _fitness(concept: Concept, place: str, template: Template) -> float:
    """What stands exactly where it belongs comes first; in a bank's statement the bank's lines do."""
    return (3.0 if concept.place == place else 0.0) + (5.0 if concept.template == template != "general" else 0.0)


def _chosen(claims: Iterable[Claim]) -> dict[str, Claim]:
    """One row a concept and one concept a row, the best claims first."""
    chosen: dict[str, Claim] = {}
    taken: set[int] = set()

    def order(claim: Claim) -> tuple[float, int]:
        return -claim.score, -claim.row if claim.concept in _LAST else claim.row

    for claim in sorted(claims, key=order):
        if claim.concept not in chosen and claim.row not in taken:
            chosen[claim.concept] = claim
            taken.add(claim.row)
    return chosen


def _aliases(statement: Statement, chosen: dict[str, Claim]) -> dict[str, str]:
    """Concepts that another concept's line is as well: with no other owners, what is the parent's is all of it."""
    rows = statement.rows
    found: dict[str, str] = {}
    if statement.kind == "balance_sheet":
        others = any(OTHERS.search(folded(row.label)) for row in rows)
        if "total_equity" in chosen and "equity_parent" not in chosen and not others:
            found["equity_parent"] = "total_equity"
    elif statement.kind == "income_statement":
        others = any(OTHERS.search(folded(f"{row.section} {row.label}")) for row in rows if row.unit == "amount")
        if "net_income" in chosen and "net_income_parent" not in chosen and not others:
            found["net_income_parent"] = "net_income"
        elif "net_income_parent" in chosen and "net_income" not in chosen and not others:
            found["net_income"] = "net_income_parent"
        both = chosen.get("eps_basic")
        if both is not None and "eps_diluted" not in chosen and DILUTED.search(folded(rows[both.row].label)):
            found["eps_diluted"] = "eps_basic"
    return found


def _annotated(statement: Statement, chosen: dict[str, Claim], aliases: dict[str, str]) -> Statement:
    named: dict[int, list[str]] = {}
    why: dict[int, MatchedBy] = {}
    for concept, claim in sorted(chosen.items(), key=lambda item: -item[1].score):
        named.setdefault(claim.row, []).append(concept)
        why.setdefault(claim.row, claim.by)
    for alias, concept in aliases.items():
        if alias not in named[chosen[concept].row]:
            named[chosen[concept].row].append(alias)
    rows = [
        row.model_copy(update={"concepts": tuple(named[i]), "matched_by": why[i]}) if i in named else row
        for i, row in enumerate(statement.rows)
    ]
    signs = standard_signs(statement.kind, rows, by_id())
    signed = tuple(
        row if sign == row.standard_sign else row.model_copy(update={"standard_sign": sign})
        for row, sign in zip(rows, signs, strict=True)
    )
    return statement.model_copy(update={"rows": signed})
