"""Which targets a job may reach: the decisions of the SSRF guard, without any I/O.

A target is judged twice. `check_url` looks at what is written: scheme, user info, port, and the address when the host
is one. `check_addresses` looks at what a name resolved to, in the resolver of the connection itself
(`consumers.net.resolver`), so that what was checked is what is connected to.

Refused is whatever the IANA registries do not call globally reachable unicast. `ipaddress.is_global` is not enough:
it passes NAT64, 6to4 and multicast addresses, behind which private hosts may answer.

Source: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and its successors); "bad port" of the Fetch
Standard; OWASP, "Server-Side Request Forgery Prevention".
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from consumers.net import urls
from consumers.net.errors import FetchRefusedError

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

ALLOW_VARIABLE = "MILLRACE_ALLOW_HOSTS"

_REFUSED_V4 = tuple(
    (ipaddress.IPv4Network(network), why)
    for network, why in (
        ("0.0.0.0/8", "an unspecified address (RFC 791)"),
        ("10.0.0.0/8", "a private address (RFC 1918)"),
        ("100.64.0.0/10", "a carrier-grade NAT address (RFC 6598)"),
        ("127.0.0.0/8", "a loopback address (RFC 1122)"),
        ("169.254.0.0/16", "a link-local address (RFC 3927), where cloud metadata is served"),
        ("172.16.0.0/12", "a private address (RFC 1918)"),
        ("192.0.0.0/24", "an IETF protocol address (RFC 6890)"),
        ("192.0.2.0/24", "a documentation address (RFC 5737)"),
        ("192.31.196.0/24", "an AS112 address (RFC 7535)"),
        ("192.52.193.0/24", "an AMT relay address (RFC 7450)"),
        ("192.88.99.0/24", "a 6to4 relay address (RFC 7526)"),
        ("192.168.0.0/16", "a private address (RFC 1918)"),
        ("192.175.48.0/24", "an AS112 address (RFC 7534)"),
        ("198.18.0.0/15", "a benchmarking address (RFC 2544)"),
        ("198.51.100.0/24", "a documentation address (RFC 5737)"),
        ("203.0.113.0/24", "a documentation address (RFC 5737)"),
        ("224.0.0.0/4", "a multicast address (RFC 5771)"),
        ("255.255.255.255/32", "the broadcast address (RFC 919)"),
        ("240.0.0.0/4", "a reserved address (RFC 1112)"),
    )
)
# The first match names the reason; the last line but one refuses all that is not global unicast (RFC 4291).
_REFUSED_V6 = tuple(
    (ipaddress.IPv6Network(network), why)
    for network, why in (
        ("::/128", "the unspecified address (RFC 4291)"),
        ("::1/128", "the loopback address (RFC 4291)"),
        ("::ffff:0:0/96", "an IPv4-mapped address (RFC 4291)"),
        ("::ffff:0:0:0/96", "an IPv4-translated address (RFC 2765)"),
        ("::/96", "an IPv4-compatible address (RFC 4291)"),
        ("64:ff9b::/96", "a NAT64 address (RFC 6052)"),
        ("64:ff9b:1::/48", "a local NAT64 address (RFC 8215)"),
        ("100::/64", "a discard address (RFC 6666)"),
        ("2001::/32", "a Teredo address (RFC 4380)"),
        ("2001::/23", "an IETF protocol address (RFC 2928)"),
        ("2001:db8::/32", "a documentation address (RFC 3849)"),
        ("2002::/16", "a 6to4 address (RFC 3056)"),
        ("2620:4f:8000::/48", "an AS112 address (RFC 7534)"),
        ("3fff::/20", "a documentation address (RFC 9637)"),
        ("5f00::/16", "a segment routing address (RFC 9602)"),
        ("fc00::/7", "a unique local address (RFC 4193)"),
        ("fe80::/10", "a link-local address (RFC 4291)"),
        ("fec0::/10", "a site-local address (RFC 3879)"),
        ("ff00::/8", "a multicast address (RFC 4291)"),
    )
)
_GLOBAL_UNICAST_V6 = ipaddress.IPv6Network("2000::/3")

# Below 1024 only the two of the web; above, not where browsers refuse to speak HTTP nor where data stores listen.
_WEB_PORTS = frozenset({80, 443})
_FIRST_UNPRIVILEGED_PORT = 1_024
_BAD_PORTS = frozenset(
    {1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080}
    | {1433, 1521, 2375, 2379, 2380, 3306, 5432, 5672, 6379, 6380, 9042, 9092, 9200, 9300, 11211, 26379, 27017}
)


@dataclass(frozen=True, slots=True)
class AllowList:
    """What the operator lets through: ``host:port`` pairs, and address ranges on any web port."""

    hosts: frozenset[tuple[str, int]] = frozenset()
    networks: tuple[IPNetwork, ...] = ()

    @classmethod
    def parse(cls, entries: Iterable[str]) -> Self:
        """Read the entries of `ALLOW_VARIABLE`: ``host:port``, an address, or an address range (CIDR).

        Raises:
            ValueError: An entry is neither; the text quotes it.
        """
        hosts: set[tuple[str, int]] = set()
        networks: list[IPNetwork] = []
        for entry in entries:
            try:
                networks.append(ipaddress.ip_network(entry, strict=False))
            except ValueError:
                hosts.add(_host_and_port(entry))
        return cls(frozenset(hosts), tuple(networks))

    def has_host(self, host: str, port: int) -> bool:
        """Whether this very host and port are let through, wherever the name leads."""
        return (_bare(host), port) in self.hosts

    def has_address(self, address: IPAddress, port: int) -> bool:
        """Whether the address is let through on this port."""
        return self.has_host(str(address), port) or any(address in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that passed `check_url`.

    Attributes:
        url: Normalised, without a fragment: the text to send and to compare.
        host: As in the URL, without the brackets of an IPv6 address.
        address: The host, when it is an address and not a name.
    """

    url: str
    scheme: str
    host: str
    port: int
    address: IPAddress | None


def check_url(url: str, allow: AllowList) -> Target:
    """Judge a URL by what is written in it; names are judged again when they are resolved.

    Unusual spellings of an address (``0x7f.1``, ``2130706433``, full-width digits, a final dot) are read as
    browsers read them before anything is compared.

    Raises:
        FetchRefusedError: ``bad_url``, ``unsupported_scheme``, ``credentials_in_url``, ``blocked_port`` or
            ``blocked_address``.
    """
    try:
        parsed = urls.parse(url)
    except ValueError:
        raise FetchRefusedError(
            f"{urls.redact(url)!r} is not a URL; give one such as https://example.com/reports",
            reason="bad_url",
            url=url,
        ) from None
    scheme, host, port = (
        urls.scheme_of(parsed),
        parsed.hostname.removeprefix("[").removesuffix("]"),
        urls.port_of(parsed),
    )
    if scheme not in urls.DEFAULT_PORTS:
        raise FetchRefusedError(
            f"{urls.redact(url)} has the scheme {scheme!r}; only http and https are fetched",
            reason="unsupported_scheme",
            url=url,
        )
    if not _bare(host):
        raise FetchRefusedError(f"{urls.redact(url)} names no host; add one", reason="bad_url", url=url)
    if parsed.has_credentials():
        raise FetchRefusedError(
            f"{urls.redact(url)} carries a user name or password; take it out of the URL",
            reason="credentials_in_url",
            url=url,
        )
    target = Target(parsed.href, scheme, host, port, _address(host))
    if not (_is_web_port(port) or allow.has_host(host, port)):
        raise FetchRefusedError(
            f"{urls.redact(url)} is refused: port {port} is no port of the web; an operator who means it adds "
            f"{_pair(host, port)} to {ALLOW_VARIABLE}",
            reason="blocked_port",
            url=url,
        )
    if target.address is not None:
        check_addresses(host, port, (target.address,), allow)
    return target


def check_addresses(host: str, port: int, addresses: Iterable[IPAddress], allow: AllowList) -> None:
    """Judge the addresses of a host: one bad one refuses them all.

    Raises:
        FetchRefusedError: ``blocked_address``; the text names the address, the reason and the way out.
    """
    if allow.has_host(host, port):
        return
    for address in addresses:
        why = why_refused(address)
        if why is None or allow.has_address(address, port):
            continue
        shown = str(address) if _address(host) == address else f"{host}, which resolves to {address},"
        raise FetchRefusedError(
            f"{shown} is refused: {address} is {why}; an operator who means it adds {_pair(host, port)} "
            f"to {ALLOW_VARIABLE}",
            reason="blocked_address",
            url=f"http://{_pair(host, port)}/",
        )


def why_refused(address: IPAddress) -> str | None:
    """What an address is when it is not one of the public internet; None when it is."""
    if isinstance(address, ipaddress.IPv4Address):
        return next((why for network, why in _REFUSED_V4 if address in network), None)
    for network, why in _REFUSED_V6:
        if address in network:
            return why
    return None if address in _GLOBAL_UNICAST_V6 else "outside the global unicast range 2000::/3 (RFC 4291)"


def _is_web_port(port: int) -> bool:
    return port in _WEB_PORTS or (port >= _FIRST_UNPRIVILEGED_PORT and port not in _BAD_PORTS)


def _address(host: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _host_and_port(entry: str) -> tuple[str, int]:
    try:
        parsed = urls.parse(f"http://{entry}/")
        written = int(entry.rpartition(":")[2])
    except ValueError:
        parsed = None
    if parsed is None or urls.port_of(parsed) != written or parsed.pathname != "/" or parsed.has_credentials():
        raise ValueError(
            f"{ALLOW_VARIABLE} has the entry {entry!r}; write host:port, an address or a range such as 10.0.0.0/8"
        )
    return _bare(parsed.hostname), written


def _bare(host: str) -> str:
    return host.removeprefix("[").removesuffix("]").rstrip(".").lower()


def _pair(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
