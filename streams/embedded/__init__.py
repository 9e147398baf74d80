"""Real servers from wheels: Valkey and PostgreSQL under one folder, for a machine that has neither.

::

    with EmbeddedServers.start(settings.home) as servers:
        ...  # servers.redis_url, servers.database_url
"""

from streams.embedded.errors import AlreadyRunning, EmbeddedError
from streams.embedded.servers import EmbeddedServers, RunningServers

__all__ = ["AlreadyRunning", "EmbeddedError", "EmbeddedServers", "RunningServers"]
