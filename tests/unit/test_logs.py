"""What a log line holds."""

from __future__ import annotations

import asyncio
import io
import logging
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from streams.telemetry import bind, setup_logging, submit_span
from streams.telemetry.logs import bound

if TYPE_CHECKING:
    from collections.abc import Iterator

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02"
log = logging.getLogger("millrace.test")


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def stream() -> io.StringIO:
    stream = io.StringIO()
    setup_logging("info", stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_the_job_and_its_trace(stream: io.StringIO) -> None:
    with submit_span("filings", "0-abc", PARENT), bind(job_id="0-abc", task=3, stage="crawl", flow="filings"):
        log.info("fetched %d\npages", 7, extra={"pages": 7})
    log.debug("not asked for")
    [line] = lines(stream)
    time = line.pop("time")
    assert time.endswith("Z")
    assert len(time) == len("2030-01-01T00:00:00.000Z")
    assert line == {
        "level": "INFO",
        "logger": "millrace.test",
        "message": "fetched 7\npages",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": "b7ad6b7169203331",
        "job_id": "0-abc",
        "task": 3,
        "stage": "crawl",
        "flow": "filings",
        "pages": 7,
    }


def test_secrets_are_masked_in_message_fields_and_traceback(stream: io.StringIO) -> None:
    try:
        int("redis://:hunter2@127.0.0.1")
    except ValueError:
        with bind(api_key="hunter2"):
            log.exception("password=%s", "hunter2", extra={"headers": {"Cookie": "hunter2"}, "level": "hunter"})
    assert "hunter2" not in stream.getvalue()
    [line] = lines(stream)
    assert line["level"] == "ERROR"
    assert line["api_key"] == "***"
    assert line["headers"] == {"Cookie": "***"}
    assert "redis://***@127.0.0.1" in line["exception"]


def test_any_value_can_be_logged(stream: io.StringIO) -> None:
    class Odd:
        def __str__(self) -> str:
            return "token=abc"

    log.info("odd", extra={"odd": Odd(), "big": 1 << 70, "nested": {3: {1}}, "surrogate": "\ud800"})
    [line] = lines(stream)
    assert line["odd"] == "token=***"
    assert line["big"] == 1 << 70


async def test_a_binding_belongs_to_its_task_of_the_event_loop() -> None:
    async def work(job_id: str) -> Any:
        bind(job_id=job_id)
        await asyncio.sleep(0)
        with bind(stage="crawl"):
            return dict(bound())

    bind(flow="filings")
    results = await asyncio.gather(work("0-a"), work("0-b"))
    assert list(results) == [{"flow": "filings", "job_id": job, "stage": "crawl"} for job in ("0-a", "0-b")]
    assert dict(bound()) == {"flow": "filings"}


def test_a_terminal_gets_text_for_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    setup_logging("INFO", stream)
    with bind(job_id="0-abc"):
        log.warning("slow: %s", "token=abc")
    monkeypatch.delenv("NO_COLOR")
    setup_logging("INFO", stream)
    log.error("worse")
    plain, coloured = stream.getvalue().splitlines()
    assert plain.endswith(" WARNING millrace.test: slow: token=***  job_id=0-abc")
    assert "\x1b[31mERROR  \x1b[0m millrace.test: worse" in coloured


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="Unknown level"):
        setup_logging("LOUD", io.StringIO())
