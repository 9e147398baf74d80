from __future__ import annotations

import json
import os
import sys

import pytest

from consumers.cpu.environment import child_environment
from consumers.cpu.errors import CpuTaskFailed
from consumers.cpu.wire import Kind, pack_failure, returned, unpack_failure, unpack_result
from streams.errors import MillraceError, PermanentError


class Corrupt(PermanentError):  # noqa: N818 - it is named after what happened
    pass


def count() -> int:
    return 1


def untyped():  # type: ignore[no-untyped-def]  # noqa: ANN201
    return None


def unknown() -> Nowhere:  # type: ignore[name-defined]  # noqa: F821
    return None


def rebuilt(body: bytes) -> MillraceError:
    return unpack_failure(body, task="count", soft_timeout_s=1, memory_mb=128)


def test_a_childs_answer_is_validated_against_the_declared_type() -> None:
    assert unpack_result(count, Kind.JSON, b"41") == 41
    for kind, body in ((Kind.JSON, b'"many"'), (Kind.JSON, b"{"), (Kind.BYTES, b"1")):
        with pytest.raises(CpuTaskFailed, match="count returned something else"):
            unpack_result(count, kind, body)


def test_without_an_annotation_json_values_arrive() -> None:
    assert unpack_result(untyped, Kind.JSON, b'{"a": [1]}') == {"a": [1]}


def test_a_return_type_for_the_type_checker_alone_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="Nowhere"):
        returned(unknown)


@pytest.mark.parametrize("named", ["os:system", "builtins:SystemExit", "not_imported:Error", "", "streams.errors:x.y"])
def test_a_child_cannot_name_a_class_that_is_not_ours(named: str) -> None:
    body = json.dumps({"how": "raised", "classes": [named], "message": "gotcha"}).encode()
    assert type(rebuilt(body)) is CpuTaskFailed


def test_the_nearest_class_that_the_parent_knows_is_used() -> None:
    failure = pack_failure(Corrupt("page 3", reason="corrupt"))
    assert type(rebuilt(failure.model_dump_json().encode())) is Corrupt
    elsewhere = failure.model_copy(update={"classes": ["nowhere:Corrupt", *failure.classes[1:]]})
    error = rebuilt(elsewhere.model_dump_json().encode())
    assert type(error) is PermanentError
    assert (str(error), error.reason) == ("page 3", "corrupt")


def test_the_environment_is_an_allow_list() -> None:
    environ = {"PATH": "/bin", "LC_TIME": "C", "PYTHONHASHSEED": "1", "AWS_PROFILE": "x", "MILLRACE_REDIS_URL": "x"}
    assert child_environment(environ, "me") == {
        "PATH": "/bin",
        "LC_TIME": "C",
        "PYTHONHASHSEED": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "MILLRACE_CPU_OWNER": "me",
    }
