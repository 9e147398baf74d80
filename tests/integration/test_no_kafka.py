"""aiokafka comes with Faust and is never used; see docs/decisions/0004-faust-without-kafka.md."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.servers import REPOSITORY


def test_worker_analytics_and_agents_build_no_kafka_client_and_connect_to_redis_alone(
    valkey_url: str, namespace: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.watched_worker", valkey_url, namespace, tmp_path],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    redis = urlsplit(valkey_url)
    assert seen == {"status": "succeeded", "built": [], "connected": [str((redis.hostname, redis.port))]}
