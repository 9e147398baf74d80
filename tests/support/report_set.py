"""Annual and interim reports of invented companies as PDFs, with what they print as expected values.

The same format as a folder that `millrace eval filings` reads, so that reading can be measured on layouts, languages
and scales that no shared report has.
"""

import io
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from tests.support.statement_model import Figures

KINDS = ("income_statement", "balance_sheet", "cash_flow")
PER_SHARE = ("eps_basic", "eps_diluted")
_KEYS = {
    "income_statement": """revenue cost_of_revenue gross_profit operating_income pretax_income income_tax net_income
        net_income_parent eps_basic eps_diluted net_interest_income premiums_earned provision_for_credit_losses""",
    "balance_sheet": """cash receivables inventories total_current_assets ppe_net goodwill total_non_current_assets
        total_assets accounts_payable total_current_liabilities long_term_debt total_liabilities equity_parent
        total_equity total_liabilities_and_equity deposits loans_net insurance_liabilities""",
    "cash_flow": """cfo depreciation_amortization capex cfi dividends_paid cff fx_effect net_change_in_cash
        cash_end""",
}
KEYED = {kind: frozenset(keys.split()) for kind, keys in _KEYS.items()}
"""The key lines of each statement: those of a hand-made key list, and what banks and insurers live on."""

Format = Callable[[Decimal], str]


def grouped(value: Decimal, group: str, point: str, negative: str) -> str:
    """A printed amount; `negative` holds the digits at "#". Zero is a dash."""
    if not value:
        return "\u2013"
    text = f"{abs(value):,}".replace(",", "\0").replace(".", point).replace("\0", group)
    return negative.replace("#", text) if value < 0 else text


def english(value: Decimal) -> str:
    """1,234 and (1,234)."""
    return grouped(value, ",", ".", "(#)")


def german(value: Decimal) -> str:
    """1.234 and -1.234."""
    return grouped(value, ".", ",", "-#")


def swiss(value: Decimal) -> str:
    """1'234 and -1'234."""
    return grouped(value, "\u2019", ".", "\u2013#")


def french(value: Decimal) -> str:
    """1 234 and (1 234)."""
    return grouped(value, "\u00a0", ",", "(#)")


@dataclass(frozen=True, slots=True)
class Look:
    r"""How a report prints its statements.

    Attributes:
        heads: Over the columns of each statement, newest first, as many lines as each head has parts ("\n").
        notes: The head of a column of note numbers, "" for none.
        change: A last column of changes in percent.
        convenience: A last column in another currency, as (head, rate).
        dollar: A sign set apart before the first and the last line's amounts.
        ascending: Oldest year first.
        split: Statements that go over two pages.
        footnote: Digits glued to the last year.
        scanned: Pages are pictures.
    """

    titles: dict[str, tuple[str, ...]]
    heads: dict[str, tuple[str, ...]]
    form: Format = english
    notes: str = ""
    change: bool = False
    convenience: tuple[str, Decimal] | None = None
    dollar: str = ""
    ascending: bool = False
    split: frozenset[str] = frozenset()
    footnote: str = ""
    scanned: bool = False
    size: tuple[float, float] = A4
    type_size: float = 9.0
    font: str = "Helvetica"


@dataclass(frozen=True, slots=True)
class Report:
    """An invented report.

    Attributes:
        ends: Period ends of the figures, oldest first, by statement.
        kind: Its class.
        extra: Pages of plain lines before (negative) or after the statements: other tables, decoys.
    """

    name: str
    company: str
    cover: tuple[str, ...]
    layout: dict[str, str]
    figures: dict[str, Figures]
    ends: dict[str, tuple[str, ...]]
    currency: str
    multiplier: int
    look: Look
    kind: str = "annual_report"
    before: tuple[tuple[str, ...], ...] = ()
    after: tuple[tuple[str, ...], ...] = ()
    order: tuple[str, ...] = KINDS


@dataclass(slots=True)
class _Setter:
    report: Report
    out: io.BytesIO = field(default_factory=io.BytesIO)
    page: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    keys: list[dict[str, Any]] = field(default_factory=list)
    pages: dict[str, list[int]] = field(default_factory=dict)
    y: float = 0.0
    canvas: Canvas = field(init=False)

    def __post_init__(self) -> None:
        self.canvas = Canvas(self.out, pagesize=self.report.look.size, invariant=1)

    def set_all(self) -> bytes:
        look = self.report.look
        self.plain(self.report.cover, large=True)
        self.plain(("Contents", *(f"{t[0]} {'.' * 40} {i + 4}" for i, t in enumerate(look.titles.values()))))
        for lines in self.report.before:
            self.plain(lines)
        self.plain(_prose(self.report.company, 3))
        for kind in self.report.order:
            self.statement(kind)
        for lines in self.report.after:
            self.plain(lines)
        self.plain(_prose(self.report.company, 7))
        self.canvas.save()
        return self.out.getvalue()

    def start(self) -> None:
        self.page += 1
        self.canvas.setFont(self.report.look.font, self.report.look.type_size)
        self.y = self.report.look.size[1] - 56

    def finish(self) -> None:
        self.canvas.setFont(self.report.look.font, 7)
        self.canvas.drawCentredString(self.report.look.size[0] / 2, 28, f"{self.report.company}   {self.page}")
        self.canvas.showPage()

    def plain(self, lines: Sequence[str], *, large: bool = False) -> None:
        self.start()
        if large:
            self.canvas.setFont(self.report.look.font, 15)
        for line in lines:
            label, *cells = line.split("|")
            self.canvas.drawString(56, self.y, label)
            for at, cell in zip((330, 400, 470, 540), cells, strict=False):
                self.canvas.drawRightString(at, self.y, cell)
            self.y -= 22 if large else 13
        self.finish()

    def statement(self, kind: str) -> None:
        look, lines = self.report.look, [line for line in self.report.layout[kind].splitlines() if line.strip()]
        half = len(lines) // 2 if kind in look.split else len(lines)
        parts = [lines[:half], lines[half:]] if half < len(lines) else [lines]
        self.pages[kind] = []
        rights = self._rights(kind)
        for number, part in enumerate(parts):
            self.start()
            self.pages[kind].append(self.page)
            for title in look.titles[kind]:
                continued = " (continued)" if number and title is look.titles[kind][0] else ""
                self.canvas.drawCentredString(look.size[0] / 2, self.y, title + continued)
                self.y -= 13
            self._heads(kind, rights)
            amounts = [line for line in part if ">" in line]
            for line in part:
                self._line(kind, line, rights, signed=bool(look.dollar) and line in (amounts[0], amounts[-1]))
            self.canvas.drawString(56, self.y - 6, "See accompanying notes.")
            self.finish()

    def _rights(self, kind: str) -> list[float]:
        look = self.report.look
        count = len(self.report.ends[kind]) + bool(look.change) + (look.convenience is not None)
        step = 76.0
        return [look.size[0] - 56 - step * (count - 1 - n) for n in range(count)]

    def _heads(self, kind: str, rights: Sequence[float]) -> None:
        look = self.report.look
        heads = list(look.heads[kind])
        if look.footnote:
            heads[-1] += look.footnote
        if look.ascending:
            heads.reverse()
        if look.convenience is not None:
            heads.append(look.convenience[0])
        if look.change:
            heads.append("Change %")
        deep = max(head.count("\n") for head in heads) + 1
        for depth in range(deep):
            for head, right in zip(heads, rights, strict=True):
                parts = head.split("\n")
                if depth < len(parts):
                    self.canvas.drawRightString(right, self.y, parts[depth])
            if look.notes and depth == deep - 1:
                self.canvas.drawRightString(rights[0] - 66, self.y, look.notes)
            self.y -= 13

    def _line(self, kind: str, line: str, rights: Sequence[float], *, signed: bool) -> None:
        look, report = self.report.look, self.report
        label, _, key = (part.rstrip() for part in line.partition(">"))
        indent = len(label) - len(label.lstrip())
        label, key = label.strip(), key.strip()
        self.canvas.drawString(56 + 4 * indent, self.y, label)
        if key:
            told = [-v if key.startswith("-") else v for v in report.figures[kind][key.lstrip("-")]]
            told = told[len(told) - len(report.ends[kind]) :]
            printed = told if look.ascending else told[::-1]
            cells = [look.form(value) for value in printed]
            if look.convenience is not None:
                newest = told[-1] * look.convenience[1]
                cells.append(look.form(round(newest, 2) if key in PER_SHARE else Decimal(round(newest))))
            if look.change:
                cells.append(f"{random.Random(label).uniform(-20, 20):.1f}%")  # noqa: S311 - figures for tests
            for right, cell in zip(rights, cells, strict=True):
                self.canvas.drawRightString(right + (3 if cell.endswith(")") else 0), self.y, cell)
                if signed and look.dollar:
                    self.canvas.drawString(right - 52, self.y, look.dollar)
            if look.notes and len(label) % 3 == 0:
                self.canvas.drawRightString(rights[0] - 66, self.y, str(len(label) % 27 + 1))
            self._expect(kind, key.lstrip("-"), label, dict(zip(report.ends[kind], map(float, told), strict=True)))
        self.y -= 12.5 if look.size[1] > look.size[0] else 10.8

    def _expect(self, kind: str, key: str, label: str, values: dict[str, float]) -> None:
        self.rows.append({"statement": kind, "label": label, "page": self.page, "values": values})
        if key not in KEYED[kind]:
            return
        known = {(each["statement"], each["key"]) for each in self.keys}
        if (kind, key) not in known:
            self.keys.append({"statement": kind, "key": key, "label": label, "page": self.page, "values": values})


_TOPICS = """market demand customers supply network growth costs quality people region volume pricing
    energy"""


def _prose(company: str, seed: int) -> tuple[str, ...]:
    draw = random.Random(seed)  # noqa: S311 - text for tests
    topics = _TOPICS.split()
    return tuple(
        f"{company} saw {draw.choice(topics)} and {draw.choice(topics)} develop in line with the plan of the board, as"
        f" {draw.choice(topics)} rose by {draw.randint(2, 9)}%."
        for _ in range(8)
    )


def as_pictures(pdf: bytes, dpi: int = 200) -> bytes:
    """The same document without a text layer."""
    from consumers.filings.pdf import open_pdf  # noqa: PLC0415 - needs the extra

    out = io.BytesIO()
    canvas: Canvas | None = None
    with open_pdf(pdf) as reader:
        for page in range(1, reader.page_count + 1):
            picture = reader.picture(page, dpi)
            assert picture is not None
            image = ImageReader(io.BytesIO(picture[0]))
            width, height = (side * 72 / dpi for side in image.getSize())
            canvas = canvas or Canvas(out, pagesize=(width, height), invariant=1)
            canvas.drawImage(image, 0, 0, width, height)
            canvas.showPage()
    assert canvas is not None
    canvas.save()
    return out.getvalue()


def typeset(report: Report) -> tuple[bytes, dict[str, Any]]:
    """The PDF of a report and what it prints, as `expected.json` says it."""
    setter = _Setter(report)
    data = setter.set_all()
    if report.look.scanned:
        data = as_pictures(data)
    shown = report.ends
    if not report.look.ascending:
        shown = {kind: ends[::-1] for kind, ends in shown.items()}
    return data, {
        "doc": report.name,
        "file": f"pdf/{report.name}.pdf",
        "label": report.kind,
        "currency": report.currency,
        "unit_multiplier": report.multiplier,
        "statements": {
            kind: {"pages": setter.pages[kind], "period_ends_in_printed_order": list(shown[kind])} for kind in KINDS
        },
        "key_values": setter.keys,
        "rows": setter.rows,
    }


def write(reports: Sequence[Report], folder: Path) -> None:
    """Write reports and their expected values as a folder that can be evaluated."""
    (folder / "pdf").mkdir(parents=True, exist_ok=True)
    expected = []
    for report in reports:
        data, told = typeset(report)
        (folder / told["file"]).write_bytes(data)
        expected.append(told)
    (folder / "expected.json").write_text(json.dumps({"documents": expected}), encoding="utf-8")


__all__ = ["KINDS", "Look", "Report", "english", "french", "german", "replace", "swiss", "typeset", "write"]
