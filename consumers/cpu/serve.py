"""The child's side: takes one task after the other from the socket and answers."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import pickle
import resource
import signal
import socket
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from consumers.cpu import guard
from consumers.cpu.task import SoftTimeLimit, report_progress
from consumers.cpu.wire import FRAME_HEADER, TASK_HEADER, Failure, Kind, Progress, pack_failure, pack_result

if TYPE_CHECKING:
    from collections.abc import Iterator

_NICE = 10
"""The worker's event loop, which renews leases, goes first."""
_OOM_SCORE = "500"
"""If the kernel runs out of memory it should take a child, not the worker. Source: proc(5), oom_score_adj."""


def serve(connection_fd: int) -> None:
    """Run tasks until the parent closes the connection."""
    _set_up()
    with socket.socket(fileno=connection_fd) as connection:
        sending = threading.Lock()

        def send(kind: Kind, body: bytes = b"") -> None:
            left_behind = kind > Kind.PROGRESS and any(guard.descendants(os.getpid()))
            resident = guard.resident_bytes(os.getpid()) if kind > Kind.PROGRESS else 0
            with sending:
                connection.sendall(FRAME_HEADER.pack(kind, len(body), resident, left_behind) + body)

        def send_progress(step: str, percent: float | None) -> None:
            send(Kind.PROGRESS, Progress(step=step[:200], percent=percent).model_dump_json().encode())

        report_progress.sink = send_progress
        send(Kind.HELLO, str(os.getpid()).encode())
        with connection.makefile("rb") as tasks:
            while header := tasks.read(TASK_HEADER.size):
                length, soft_timeout_s, memory_bytes = TASK_HEADER.unpack(header)
                kind, answer = _run(tasks.read(length), soft_timeout_s, memory_bytes)
                sys.stdout.flush()
                sys.stderr.flush()
                send(kind, answer)
                del answer


def _run(body: bytes, soft_timeout_s: float, memory_bytes: int) -> tuple[Kind, bytes]:
    try:
        with _memory_cap(memory_bytes), _soft_limit(soft_timeout_s):
            fn, args = pickle.loads(body)  # noqa: S301 - from the parent, which is trusted
            return pack_result(fn, fn(*args))
    except BaseException as error:  # noqa: BLE001 - whatever it was, the parent raises it
        try:
            failure = pack_failure(error)
        except Exception as unprintable:  # noqa: BLE001 - an error whose own text fails
            message = f"{type(error).__name__}, and its text fails with {type(unprintable).__name__}"
            failure = Failure(how="raised", message=message)
        return Kind.FAILURE, failure.model_dump_json().encode()


@contextlib.contextmanager
def _memory_cap(size_bytes: int) -> Iterator[None]:
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    with suppress(ValueError, OSError):  # a lower hard limit is in force, or the system does not have it
        resource.setrlimit(resource.RLIMIT_DATA, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


@contextlib.contextmanager
def _soft_limit(seconds: float) -> Iterator[None]:
    if not seconds:
        yield
        return
    armed = True

    def expire(*_: object) -> None:
        if armed:
            raise SoftTimeLimit

    signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)


def _set_up() -> None:
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the document
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123 - as in guard.py
        file.write(_OOM_SCORE)
    faulthandler.enable()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # they are pipes, hence TextIOWrapper
