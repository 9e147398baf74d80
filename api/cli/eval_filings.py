"""`millrace eval`: how well a flow reads, against a folder of expected values."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from api.cli.screen import Json, next_step, print_json, print_table, say

_SHARES: Final = (
    "pages_found", "cells_exact", "key_recall", "key_precision", "units_right", "compiled_right",
    "restatements_found", "classification_accuracy",
)  # fmt: skip
_MOST_MISSED: Final = 20

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Holds pdf/, html/ and the expected values.")]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Write the raw readings there, one JSON a document.")]


def filings(folder: Folder, *, out: Out = None, as_json: Json = False) -> None:
    """Read the reports of a folder and compare with what they print."""
    from consumers.filings.evaluate import evaluate
    from streams.errors import MillraceError

    def tell(name: str) -> None:
        if not as_json:
            say(f"reading {name}", "dim")

    try:
        found = evaluate(folder, out, tell)
    except (FileNotFoundError, ModuleNotFoundError) as error:
        raise MillraceError(str(error)) from error
    if as_json:
        print_json(found)
        return
    _show(found)
    if out is not None:
        say(f"The raw readings are in {out}.")
    next_step((f"eval filings {folder} --json", "prints all figures and every miss as JSON"))


def _show(found: dict[str, Any]) -> None:
    print_table(
        ("document", "class", "pages", "cells", "recall", "precision", "seconds", "problems"),
        [
            (
                each["doc"], each["class"] or "", *(_share(each.get(name)) for name in _SHARES[:4]),
                f"{each['seconds']:.2f}", ", ".join(each["problems"]),
            )
            for each in found["documents"]
            if "seconds" in each
        ],
    )  # fmt: skip
    misses = [(each["doc"], one) for each in found["documents"] for one in each.get("missed", ())]
    for doc, one in misses[:_MOST_MISSED]:
        say(f"missed in {doc}: {one}", "yellow")
    if len(misses) > _MOST_MISSED:
        say(f"… and {len(misses) - _MOST_MISSED} more: --json lists them all", "yellow")
    for each in found["documents"]:
        if "label" in each:
            say(f"{each['doc']} is {each['label']}, read as {each['document_type']}", "yellow")
    totals = found["totals"]
    print_table(
        ("figure", "total"),
        [(name, _share(value) if name in _SHARES else f"{value:g}") for name, value in totals.items()],
    )


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
