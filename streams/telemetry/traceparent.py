"""W3C trace context as a value: parse, make, continue, and decide what is sampled. Pure.

Source: W3C Trace Context Level 2, section 3.2 (traceparent); OpenTelemetry specification, "TraceIdRatioBased".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    RandomBits = Callable[[int], int]
    """`random.getrandbits`, or a test's."""

SAMPLED: Final = 0x01
RANDOM: Final = 0x02
TRACEPARENT_LENGTH: Final = 55

_SHAPE = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII | re.DOTALL)
_ODD_DIGITS: Final = frozenset("13579bdf")
_RATIO_BITS: Final = 64
_LOW_BITS: Final = (1 << _RATIO_BITS) - 1


@dataclass(frozen=True, slots=True)
class TraceContext:
    """The place in a trace that a `traceparent` names.

    Attributes:
        trace_id: 32 lower-case hex digits, not all zero.
        span_id: 16 lower-case hex digits, not all zero.
        flags: `SAMPLED`, `RANDOM` or both; bits that we do not know were dropped.
    """

    trace_id: str
    span_id: str
    flags: int

    @property
    def sampled(self) -> bool:
        """Whether the spans of this trace are recorded."""
        return bool(self.flags & SAMPLED)

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    def child(self, random_bits: RandomBits) -> TraceContext:
        """A new span's context in the same trace, with the same decision on sampling."""
        return TraceContext(self.trace_id, _span_id(random_bits), self.flags)


def is_sampled(traceparent: str) -> bool:
    """Whether the sampled flag is set, by a look at one digit; the rest is not checked (`parse` does)."""
    return traceparent[54:55] in _ODD_DIGITS


def parse(traceparent: str | None) -> TraceContext | None:
    """The context named by a `traceparent`, or None when it is absent or invalid: start a new trace then.

    Versions after 00 are read by their first four fields, as the standard asks; ff, upper-case digits and all-zero
    ids are invalid.
    """
    match = _SHAPE.fullmatch(traceparent or "")
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest is not None):
        return None
    if trace_id.strip("0") == "" or span_id.strip("0") == "":
        return None
    return TraceContext(trace_id, span_id, int(flags, 16) & (SAMPLED | RANDOM))


def new_trace(sampler: Sampler, random_bits: RandomBits) -> TraceContext:
    """The root of a new trace, with a random id, on which the sampler has decided."""
    trace_id = _non_zero(random_bits, 128)
    return TraceContext(trace_id, _span_id(random_bits), RANDOM | (SAMPLED if sampler.decide(trace_id) else 0))


def continued(parent: TraceContext | None, sampler: Sampler, random_bits: RandomBits) -> TraceContext:
    """The context of a span of ours below a foreign one, or of a new trace's root when there is none."""
    if parent is None:
        return new_trace(sampler, random_bits)
    sampled = sampler.decide(parent.trace_id, parent_sampled=parent.sampled)
    flags = (parent.flags & ~SAMPLED) | (SAMPLED if sampled else 0)
    return TraceContext(parent.trace_id, _span_id(random_bits), flags)


def trace_of_job(job_id: str, sampler: Sampler) -> TraceContext:
    """The root of the trace of a job whose entries carry no valid context.

    Its ids derive from the job's id, so every process and every delivery puts the job into the same trace.
    """
    digest = blake2b(job_id.encode(), digest_size=24).hexdigest()
    trace_id, span_id = digest[:32], digest[32:]
    return TraceContext(trace_id, span_id, SAMPLED if sampler.decide(trace_id) else 0)


@dataclass(frozen=True, slots=True)
class Sampler:
    """Which traces are recorded; a function of the trace id, so that every process decides alike.

    Attributes:
        ratio: Share of the traces that we start, in [0, 1].
        follows_parent: Whether a foreign trace keeps its own flag instead of being decided by `ratio`.
    """

    ratio: float = 1.0
    follows_parent: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.ratio <= 1:
            raise ValueError(f"the sampling ratio is {self.ratio}; set OTEL_TRACES_SAMPLER_ARG to 0 .. 1")

    def decide(self, trace_id: str, *, parent_sampled: bool | None = None) -> bool:
        """Whether the trace is recorded.

        Args:
            trace_id: 32 hex digits.
            parent_sampled: The flag of the context that we continue; None at the root of a trace.
        """
        if self.follows_parent and parent_sampled is not None:
            return parent_sampled
        return int(trace_id, 16) & _LOW_BITS < round(self.ratio * (1 << _RATIO_BITS))

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Sampler:
        """The sampler that `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` ask for.

        Unset means `parentbased_always_on`: every job is traced unless its caller's own flag says no.

        Raises:
            ValueError: The name is not one of the six standard ones, or the argument is not in [0, 1].
        """
        name = environ.get("OTEL_TRACES_SAMPLER", "").strip().lower() or "parentbased_always_on"
        follows_parent = name.startswith("parentbased_")
        match name.removeprefix("parentbased_"):
            case "always_on":
                ratio = 1.0
            case "always_off":
                ratio = 0.0
            case "traceidratio":
                argument = environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip() or "1.0"
                try:
                    ratio = float(argument)
                except ValueError:
                    raise ValueError(
                        f"OTEL_TRACES_SAMPLER_ARG is {argument!r}, not a number; set it to 0 .. 1"
                    ) from None
            case _:
                raise ValueError(
                    f"OTEL_TRACES_SAMPLER is {name!r}; set it to always_on, always_off or traceidratio, "
                    "or one of them after parentbased_"
                )
        return cls(ratio, follows_parent)


def _span_id(random_bits: RandomBits) -> str:
    return _non_zero(random_bits, 64)


def _non_zero(random_bits: RandomBits, bits: int) -> str:
    return f"{random_bits(bits) or 1:0{bits // 4}x}"
