"""The key of a memo: the same call again has the same, anything that may change the result another one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from consumers import memo
from consumers.context import StageContext
from consumers.memo import Memo, code_digest, key_of
from consumers.outcome import Done, Outcome
from consumers.stage import stage
from schemas.settings import Settings
from schemas.stages import Payload

if TYPE_CHECKING:
    from pathlib import Path


class Page(Payload):
    job_id: str = "0-a"
    text: str = "a"


@dataclass(frozen=True)
class Cell:
    row: str
    task: int = 1


def read(data: bytes, page: Page) -> list[str]:
    return [data.decode(), page.text]


def other(data: bytes, page: Page) -> list[str]:
    return read(data, page)


def otherwise(data: bytes, page: Page) -> tuple[str, ...]:
    return tuple(read(data, page))


@stage(name="extract", accepts=Page, memo=Memo("consumers.contacts", libraries=("orjson",), settings=("llm_model",)))
async def extract(_: Page, ctx: StageContext) -> Outcome:
    return Done()


def key(one: Any = extract, flow: str = "f", settings: Settings | None = None, work: Any = read, *args: Any) -> str:
    found = key_of(one, flow, settings or Settings(), work, args or (b"a", Page()))
    assert found is not None
    return found


def with_memo(**changes: Any) -> Any:
    assert extract.memo is not None
    return replace(extract, memo=replace(extract.memo, **changes))


def test_the_same_again_has_the_same_key() -> None:
    assert key() == key()
    assert len(key()) == 64


def test_whose_job_it_is_does_not_matter() -> None:
    assert key(extract, "f", None, read, b"a", Page(job_id="0-b")) == key()
    assert key(extract, "f", None, read, Cell("x", task=1)) == key(extract, "f", None, read, Cell("x", task=2))


@pytest.mark.parametrize(
    "changed",
    [
        lambda: key(replace(extract, version=2)),
        lambda: key(replace(extract, name="classify")),
        lambda: key(extract, "g"),
        lambda: key(extract, "f", Settings(llm_model="other", llm_base_url="http://127.0.0.1:1/")),
        lambda: key(extract, "f", None, other),
        lambda: key(extract, "f", None, otherwise),
        lambda: key(extract, "f", None, read, b"b", Page()),
        lambda: key(extract, "f", None, read, b"a", Page(text="b")),
        lambda: key(with_memo(package="consumers.filings")),
        lambda: key(with_memo(libraries=("orjson", "pydantic"))),
        lambda: key(with_memo(traits=(lambda: "eng",))),
    ],
    ids=["version", "stage", "flow", "setting", "function", "shape", "bytes", "input", "code", "library", "trait"],
)
def test_what_may_change_the_result_changes_the_key(changed: Any) -> None:
    assert changed() != key()


def test_what_is_not_declared_does_not_matter() -> None:
    assert key(extract, "f", Settings(namespace="shadow")) == key()


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({Cell("a"): 1}, {Cell("a", task=7): 1}),
        (frozenset({"a", "b"}), frozenset({"b", "a"})),
        ([1, 2], (1, 2)),
    ],
)
def test_the_same_values_in_another_dress(one: Any, two: Any) -> None:
    assert key(extract, "f", None, read, one) == key(extract, "f", None, read, two)


def test_different_values_are_told_apart() -> None:
    values: list[Any] = [
        1,
        "1",
        1.5,
        None,
        True,
        [1],
        [[1]],
        {"a": 1},
        Decimal(1),
        date(2026, 1, 1),
        b"1",
        Cell("1"),
        set(),
    ]
    assert len({key(extract, "f", None, read, one) for one in values}) == len(values)


def test_what_has_no_digest_is_not_remembered() -> None:
    assert key_of(extract, "f", Settings(), read, (object(),)) is None
    assert key_of(replace(extract, memo=None), "f", Settings(), read, (b"a",)) is None


def test_changed_code_is_another_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "domain_of_a_test"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "rules.csv").write_text("a")
    monkeypatch.syspath_prepend(tmp_path)
    before = code_digest("domain_of_a_test")
    (folder / "rules.csv").write_text("b")
    assert code_digest("domain_of_a_test") == before  # this process has the old one imported
    memo.code_digest.cache_clear()
    assert code_digest("domain_of_a_test") != before


class Odd(BaseModel):
    value: int


def test_a_model_without_fields_of_a_job() -> None:
    assert key(extract, "f", None, read, Odd(value=1)) != key(extract, "f", None, read, Odd(value=2))
