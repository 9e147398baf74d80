"""How often answers name a brand. Pure: answers in, counts out; nothing an answer says is ever followed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Z_95: Final = 1.959964
_ITEM: Final = re.compile(r"^\s*(?:\d{1,2}[.)]|[-*\u2022])\s+(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer to one question. `sources` are addresses that it cites beside its text."""

    question: str
    text: str
    sources: tuple[str, ...] = ()


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a share.

    Source: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.
    """
    if not trials:
        return 0.0, 1.0
    share, z2 = successes / trials, Z_95 * Z_95
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z_95 * sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials)) / (1 + z2 / trials)
    return round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4)


def names(text: str, brand: str) -> bool:
    """Whether a text names a brand: as a word of its own, in any case."""
    return bool(brand.strip()) and _pattern(brand).search(text) is not None


def first_place(text: str, brand: str, others: Iterable[str]) -> int | None:
    """At which place a text names a brand: of its list items, else among the others it names; None when it does not."""
    found = _pattern(brand).search(text) if brand.strip() else None
    if found is None:
        return None
    items = [_pattern(brand).search(item[1]) is not None for item in _ITEM.finditer(text)]
    if True in items:
        return items.index(True) + 1
    before = [one for one in others if (there := _pattern(one).search(text)) and there.start() < found.start()]
    return len(before) + 1


def leaks_brand(question: str, brand: str, domain: str) -> bool:
    """Whether a question names what it asks for: then its answers would measure nothing."""
    return names(question, brand) or names(question, domain)


def visibility_of(samples: Sequence[Sample], brand: str, domain: str, competitors: Sequence[str]) -> dict[str, Any]:
    """Counts over all samples and by question: mentions, citations, first place, competitors, with the interval."""
    mentioned = [one for one in samples if names(one.text, brand) or names(one.text, domain)]
    cited = [one for one in samples if _cites(one, domain)]
    questions: dict[str, list[Sample]] = {}
    for one in samples:
        questions.setdefault(one.question, []).append(one)
    return {
        "brand": brand,
        "answers": len(samples),
        "mentions": len(mentioned),
        "citations": len(cited),
        "rate": round(len(mentioned) / len(samples), 4) if samples else 0.0,
        "interval": wilson(len(mentioned), len(samples)),
        "competitors": {name: sum(names(one.text, name) for one in samples) for name in competitors if name.strip()},
        "questions": [
            {
                "question": question,
                "samples": len(asked),
                "mentions": sum(names(one.text, brand) or names(one.text, domain) for one in asked),
                "citations": sum(_cites(one, domain) for one in asked),
                "first_position": min(
                    (place for one in asked if (place := first_place(one.text, brand, competitors))), default=None
                ),
            }
            for question, asked in questions.items()
        ],
    }


def _cites(sample: Sample, domain: str) -> bool:
    return bool(domain) and any(
        domain in text for text in (sample.text.lower(), *(one.lower() for one in sample.sources))
    )


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(name.strip())}(?!\w)", re.IGNORECASE)
