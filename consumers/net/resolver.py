"""The resolver of the connections: looks a name up once, has it judged, and hands on exactly what was judged."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence

from aiohttp.abc import AbstractResolver, ResolveResult

from consumers.net.guard import AllowList, check_addresses

Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port to addresses; raises OSError when there are none."""


async def system_lookup(host: str, port: int) -> Sequence[str]:
    """Addresses that the operating system knows for a name.

    Raises:
        OSError: The name has none, or the name server does not answer.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{host!r} is no name that can be looked up: {error}") from error
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class GuardedResolver(AbstractResolver):
    """Refuses names that lead where `AllowList` and the guard do not permit.

    A second lookup between the check and the connection could answer differently (DNS rebinding); here there is only
    one. aiohttp does not come here for hosts that are addresses: `check_url` has judged those.
    """

    def __init__(self, allow: AllowList, lookup: Lookup = system_lookup) -> None:
        self._allow = allow
        self._lookup = lookup

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - aiohttp's signature; it asks for any
    ) -> list[ResolveResult]:
        """Look a name up and check every address of it.

        Raises:
            OSError: It has none.
            FetchRefusedError: One of them is blocked.
        """
        addresses = [ipaddress.ip_address(text) for text in await self._lookup(host, port)]
        if not addresses:
            raise OSError(f"{host} has no address")
        check_addresses(host, port, addresses, self._allow)
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,  # noqa: PLR2004 - IP versions
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing to let go."""
