# ruff: noqa: E501 - a pattern is easier to check unbroken
"""Whether a company reports as a bank, as an insurer, or as most others do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from consumers.filings.labels import folded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from consumers.filings.concepts import Template
    from schemas.filings import Statement

_BANK: Final = re.compile(
    r"net interest (?:income|revenue|margin)|total interest (?:income|expense)|^(?:customer |total )?deposits\b|deposits from|due to customers"
    r"|loans and advances|credit losses|loan losses|zinsuberschuss|zinsengeschaft|forderungen (?:an|gegenuber) (?:kunden|banken|kreditinstitut)|diskontertrag|kommissions-? und|handelsgeschaft|verpflichtungen gegenuber banken"
    r"|verbindlichkeiten gegenuber kunden|kundeneinlagen|produit net bancaire|envers la clientele|sur la clientele|depots de la clientele"
    r"|margen de intereses|de la clientela|depositos de (?:la )?client|prestamos y anticipos"
)
_INSURER: Final = re.compile(
    r"premiums? (?:earned|written)|(?:earned|written) premiums?|insurance (?:revenue|service|contract)|unearned premium"
    r"|loss adjustment|policyholder|policy benefits|acquisition costs|versicherungs|verdiente (?:pramien|beitrage)|beitragsubertrage"
    r"|d'assurance|primes (?:acquises|emises)|provisions techniques|primas|provisiones tecnicas|de seguros?\b|reinsurance|reassurance"
)
_ENOUGH: Final = 3


def template_of(statements: Iterable[Statement]) -> Template:
    """The template whose own lines the statements print; three of them tell."""
    labels = [folded(row.label) for statement in statements for row in statement.rows]
    bank = sum(_BANK.search(label) is not None for label in labels)
    insurer = sum(_INSURER.search(label) is not None for label in labels)
    if max(bank, insurer) < _ENOUGH:
        return "general"
    return "insurer" if insurer >= bank else "bank"
