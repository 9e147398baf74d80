"""A flow's spec as command-line options."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from api.cli.root import Usage
from api.cli.spec_options import fields_of, option_of, parameters_of, payload_from, spec_from
from consumers.noop import NoopSpec
from schemas.filings import FilingsSpec

DATA = __file__


class Who(BaseModel):
    name: str | None = None


class Wanted(BaseModel):
    """A spec with a field of every kind.

    Attributes:
        url: Where to begin,
            and no further.
        how: Which way.
    """

    url: str
    how: Literal["fast", "slow"] = "fast"
    deep: bool = False
    share: float = 0.5
    words: tuple[str, ...] = ()
    years: int | tuple[int, ...] | None = None
    who: Who | None = None
    rules: dict[str, Any] = Field(default_factory=dict)
    other_name: Annotated[str, Field(max_length=5)] = "x"


def asked(**given: Any) -> dict[str, Any]:
    values = {f"spec_{name}": value for name, value in given.items()}
    return spec_from(Wanted, None, {"spec_url": "http://a/", **values})


def test_every_field_is_an_option_and_the_first_required_one_comes_by_itself() -> None:
    options = {field.path: field.option for field in fields_of(Wanted)}
    assert options["who", "name"] == "--who-name"
    assert options[("other_name",)] == "--other-name"
    assert [one.name for one in parameters_of(Wanted)][:2] == ["spec_url", "spec_how"]
    assert [field.path for field in fields_of(Wanted) if field.is_required] == [("url",)]


def test_what_the_docstring_says_is_the_help() -> None:
    about = {field.path[0]: field.about for field in fields_of(Wanted)}
    assert about["url"] == "Where to begin, and no further."
    assert about["how"] == "Which way."
    assert about["share"] == ""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"how": ["slow"]}, {"how": "slow"}),
        ({"deep": True}, {"deep": True}),
        ({"deep": False}, {"deep": False}),
        ({"share": ["0.25"]}, {"share": 0.25}),
        ({"share": ["much"]}, {"share": "much"}),
        ({"words": ["a,b", "c"]}, {"words": ["a", "b", "c"]}),
        ({"words": ["one"]}, {"words": ["one"]}),
        ({"words": ["2024"]}, {"words": ["2024"]}),
        ({"years": ["3"]}, {"years": 3}),
        ({"years": ["2023,2024"]}, {"years": [2023, 2024]}),
        ({"years": ["[2024]"]}, {"years": [2024]}),
        ({"years": ["2024,"]}, {"years": [2024]}),
        ({"who__name": ["Ann, Bob"]}, {"who": {"name": "Ann, Bob"}}),
        ({"rules": ['{"a": 1}']}, {"rules": {"a": 1}}),
        ({"other_name": ["7"]}, {"other_name": "7"}),
        ({"how": None, "words": []}, {}),
    ],
)
def test_what_was_typed(given: dict[str, Any], expected: dict[str, Any]) -> None:
    spec = asked(**given)
    assert spec == {"url": "http://a/", **expected}


def test_options_win_over_the_whole_spec() -> None:
    spec = spec_from(Wanted, '{"url": "http://b/", "who": {"name": "Ann"}, "how": "slow"}', {"spec_how": ["fast"]})
    assert spec == {"url": "http://b/", "who": {"name": "Ann"}, "how": "fast"}


@pytest.mark.parametrize(
    ("base", "given", "said"),
    [
        (None, {}, "the job needs url"),
        ("{", {}, "--spec is no JSON"),
        ("[]", {}, "must be a JSON object"),
        ("@/nowhere/at/all.json", {}, "/nowhere/at/all.json cannot be read: No such file"),
        ('{"url": "x"}', {"spec_rules": ["{"]}, "--rules: this is no JSON"),
        ('{"url": "x", "who": 7}', {"spec_who__name": ["Ann"]}, "something else than an object"),
    ],
)
def test_what_cannot_be_understood_is_said(base: str | None, given: dict[str, Any], said: str) -> None:
    with pytest.raises(Usage, match=said.replace("[", r"\[")):
        spec_from(Wanted, base, given)


def test_a_payload_is_given_whole() -> None:
    assert payload_from('{"v": 1}') == {"v": 1}
    with pytest.raises(Usage, match="--from-stage"):
        payload_from(None)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (("url",), "URL"),
        (("who", "name"), "--who-name"),
        (("years", "int"), "--years"),
        (("nonsense",), "nonsense"),
        ((), "spec"),
    ],
)
def test_an_error_names_the_option(place: tuple[Any, ...], name: str) -> None:
    assert option_of(Wanted, place) == name


def test_the_flows_that_ship() -> None:
    spec = spec_from(
        FilingsSpec, None, {"spec_url": "http://a/", "spec_years": ["3"], "spec_company__ticker": ["BRML"]}
    )
    assert FilingsSpec.model_validate(spec).years == 3
    assert [field.option for field in fields_of(NoopSpec)] == ["--fan-out", "--n"]
