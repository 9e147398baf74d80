"""Own the servers of a home (first argument) until standard input ends; see `tests.support.servers`."""

import sys
from pathlib import Path

from streams.embedded import EmbeddedError, EmbeddedServers

if __name__ == "__main__":
    try:
        servers = EmbeddedServers.start(Path(sys.argv[1]))
    except EmbeddedError as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        sys.exit(1)
    with servers:
        print("ready", flush=True)
        sys.stdin.read()
