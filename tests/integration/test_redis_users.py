"""The Redis of compose.yaml, started by its own script: who may do what there."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError
from redis.retry import Retry

from streams.embedded.binaries import redis_program
from tests.support.api_place import api_place
from tests.support.servers import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD, PRODUCER = "pa55-of-millrace", "pa55-of-producer"
START = REPOSITORY / "deploy" / "redis" / "start.sh"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        number: int = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="mr-") as folder:
        place = Path(folder)
        (place / "bin").mkdir()
        (place / "bin" / "valkey-server").symlink_to(redis_program().path)
        environment = {
            "PATH": f"{place / 'bin'}:{os.defpath}",
            "REDIS_PASSWORD": PASSWORD,
            "REDIS_PRODUCER_PASSWORD": PRODUCER,
            "REDIS_MAXMEMORY": "100mb",
            "REDIS_APPENDFSYNC": "everysec",
            "REDIS_ACL_FILE": str(place / "users.acl"),
            "REDIS_DIR": folder,
        }
        arguments = ["--port", str(number), "--bind", "127.0.0.1"]
        server = subprocess.Popen([shutil.which("sh") or "sh", START, *arguments], env=environment, stdout=-3)
        try:
            deadline = time.monotonic() + 20
            while True:
                try:
                    with signed_in(number, "millrace", PASSWORD) as client:
                        client.ping()
                    break
                except redis.ConnectionError as error:
                    if isinstance(error, AuthenticationError) or time.monotonic() > deadline:
                        raise
                    time.sleep(0.02)
            assert PASSWORD not in (place / "users.acl").read_text()
            yield number
        finally:
            server.terminate()
            server.wait(20)


def signed_in(port: int, user: str | None, password: str | None) -> redis.Redis:
    return redis.Redis(port=port, username=user, password=password, retry=Retry(NoBackoff(), 0))


def test_nobody_gets_in_without_a_password(port: int) -> None:
    for user, password in ((None, None), ("default", ""), ("millrace", "wrong"), ("producer", PASSWORD)):
        with signed_in(port, user, password) as client, pytest.raises(AuthenticationError):
            client.ping()


def test_a_producer_may_add_events_and_nothing_else(port: int) -> None:
    with signed_in(port, "producer", PRODUCER) as client:
        assert client.xadd("millrace:events", {"type": "millrace.job.submit", "data": "{}"})
        refused = (
            ("XADD", "millrace:outcomes", "*", "a", "b"),
            ("XADD", "millrace:{0}:crawl", "*", "a", "b"),
            ("XRANGE", "millrace:events", "-", "+"),
            ("XLEN", "millrace:events"),
            ("XTRIM", "millrace:events", "MAXLEN", "0"),
            ("DEL", "millrace:events"),
            ("EVAL", "return 1", "0"),
            ("GET", "anything"),
            ("CONFIG", "GET", "*"),
            ("FLUSHALL",),
        )
        for command in refused:
            with pytest.raises(NoPermissionError):
                client.execute_command(*command)


def test_millrace_itself_may_not_destroy_or_reconfigure(port: int) -> None:
    with signed_in(port, "millrace", PASSWORD) as client:
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        assert client.config_get("appendonly")["appendonly"] == "yes"
        assert client.config_get("maxmemory")["maxmemory"] == str(100 << 20)
        for command in (("FLUSHALL",), ("CONFIG", "SET", "appendonly", "no"), ("SHUTDOWN",), ("GET", "other:key")):
            with pytest.raises(NoPermissionError):
                client.execute_command(*command)


async def test_it_may_do_all_that_running_jobs_takes(port: int, store_url: str, tmp_path: Path) -> None:
    url = f"redis://millrace:{PASSWORD}@127.0.0.1:{port}/0"
    async with api_place(url, store_url, "millrace", tmp_path) as place, place.worker(with_history=True):
        job = await place.ended(await place.submit("die once"))
        assert job["status"] == "partial"
        assert (await place.call("POST", f"jobs/{job['job_id']}/retry")).status == 202
        assert (await place.call("GET", "/metrics")).status == 200
