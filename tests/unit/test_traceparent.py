"""W3C trace context and the decision on sampling."""

from __future__ import annotations

import random

import pytest
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased

from streams.telemetry import setup, unrecorded
from streams.telemetry.spans import TASKS_WITH_SPANS
from streams.telemetry.traceparent import (
    Sampler,
    TraceContext,
    continued,
    is_sampled,
    new_trace,
    parse,
    trace_of_job,
)

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(("flags", "kept"), [("00", 0), ("01", 1), ("02", 2), ("03", 3), ("ff", 3), ("fc", 0)], ids=str)
def test_flags_are_read_and_unknown_ones_dropped(flags: str, kept: int) -> None:
    context = parse(f"00-{TRACE}-{SPAN}-{flags}")
    assert context == TraceContext(TRACE, SPAN, kept)
    assert context.sampled is bool(kept & 1)
    assert is_sampled(f"00-{TRACE}-{SPAN}-{flags}") is context.sampled
    assert parse(str(context)) == context


@pytest.mark.parametrize(
    "later", [f"01-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-what-comes-later"], ids=["version 01", "with more fields"]
)
def test_a_later_version_is_read_by_its_first_four_fields(later: str) -> None:
    context = parse(later)
    assert context is not None
    assert str(context) == f"00-{TRACE}-{SPAN}-01"
    assert is_sampled(later)


@pytest.mark.parametrize(
    "invalid",
    [
        None,
        "",
        "garbage",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0g",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\n",
        f"ff-{TRACE}-{SPAN}-01",
        f"01-{TRACE}-{SPAN}-01more",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE[:-1]}é-{SPAN}-01",
    ],
)
def test_an_invalid_one_is_none(invalid: str | None) -> None:
    assert parse(invalid) is None


def test_a_look_at_one_digit_bears_short_strings() -> None:
    assert not is_sampled("")
    assert not is_sampled("00-")


def test_a_new_trace_is_random_and_says_so() -> None:
    context = new_trace(Sampler(), random.getrandbits)
    assert str(context).endswith("-03")
    assert parse(str(context)) == context
    assert str(new_trace(Sampler(0), random.getrandbits)).endswith("-02")
    assert new_trace(Sampler(), lambda _bits: 0).span_id == "0000000000000001"


def test_a_child_keeps_trace_and_flags() -> None:
    child = TraceContext(TRACE, SPAN, 3).child(lambda _bits: 0xAB)
    assert str(child) == f"00-{TRACE}-00000000000000ab-03"


def test_a_job_without_context_gets_the_same_trace_in_every_process() -> None:
    context = trace_of_job("0-abc", Sampler())
    assert context == trace_of_job("0-abc", Sampler())
    assert context.trace_id != trace_of_job("0-abd", Sampler()).trace_id
    assert parse(str(context)) == context
    assert not trace_of_job("0-abc", Sampler(0)).sampled


@pytest.mark.parametrize("ratio", [0.0, 0.01, 0.5, 1.0])
def test_the_decision_is_that_of_the_sdk(ratio: float) -> None:
    sampler, theirs = Sampler(ratio), TraceIdRatioBased(ratio)
    getrandbits = random.Random(7).getrandbits  # noqa: S311 - the same ids in every run
    for trace_id in [getrandbits(128) for _ in range(500)] + [1, (1 << 128) - 1]:
        expected = theirs.should_sample(None, trace_id, "any").decision is Decision.RECORD_AND_SAMPLE
        assert sampler.decide(f"{trace_id:032x}") is expected


@pytest.mark.parametrize(
    ("environ", "sampler"),
    [
        ({}, Sampler(1.0, follows_parent=True)),
        ({"OTEL_TRACES_SAMPLER": ""}, Sampler(1.0, follows_parent=True)),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, Sampler(0.0, follows_parent=False)),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, Sampler(0.0, follows_parent=True)),
        ({"OTEL_TRACES_SAMPLER": "traceidratio"}, Sampler(1.0, follows_parent=False)),
        (
            {"OTEL_TRACES_SAMPLER": "Parentbased_TraceIdRatio", "OTEL_TRACES_SAMPLER_ARG": "0.01"},
            Sampler(0.01, follows_parent=True),
        ),
    ],
)
def test_the_standard_variables_choose_the_sampler(environ: dict[str, str], sampler: Sampler) -> None:
    assert Sampler.of(environ) == sampler


@pytest.mark.parametrize("argument", ["2", "-0.1", "nan", "half"])
def test_a_ratio_that_is_none_is_refused(argument: str) -> None:
    with pytest.raises(ValueError, match="OTEL_TRACES_SAMPLER_ARG"):
        Sampler.of({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": argument})


@pytest.mark.parametrize(
    ("sampler", "flags", "expected"),
    [
        (Sampler(1.0), 2, 2),
        (Sampler(0.0), 3, 3),
        (Sampler(1.0, follows_parent=False), 2, 3),
        (Sampler(0.0, follows_parent=False), 3, 2),
    ],
    ids=["parent says no", "parent says yes", "always on", "always off"],
)
def test_a_foreign_trace_is_continued_with_its_flag_unless_told_otherwise(
    sampler: Sampler, flags: int, expected: int
) -> None:
    context = continued(TraceContext(TRACE, SPAN, flags), sampler, random.getrandbits)
    assert (context.trace_id, context.flags) == (TRACE, expected)
    assert context.span_id != SPAN


def test_of_a_very_wide_job_only_the_first_tasks_have_spans_and_the_others_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tracing = setup.Tracing(Sampler(), recorder=object())  # type: ignore[arg-type]
    monkeypatch.setattr(setup, "current", tracing)
    sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert unrecorded(sampled, TASKS_WITH_SPANS) is None
    assert unrecorded(sampled, TASKS_WITH_SPANS + 1) is not None
    assert unrecorded(sampled) is None
    assert tracing.capped == 1
