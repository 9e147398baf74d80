"""robots.txt: what a site asks crawlers to leave alone. Pure; `consumers.net.robots_cache` fetches it.

Source: RFC 9309, and where it is silent the published behaviour of google/robotstxt, the parser it was written from:
a missing colon and a few misspellings are understood, unknown lines never end a group, and permission for
``/folder/index.html`` is permission for ``/folder/``. Crawl-delay is in neither; its customary meaning is taken.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

MAX_BYTES = 500 * 1024
"""What is read of a file; RFC 9309 section 2.5 asks for at least this."""

_EVERYONE = "*"
_KEYS = {
    "user-agent": "agent",
    "useragent": "agent",
    "user agent": "agent",
    "allow": "allow",
    "disallow": "disallow",
    "dissallow": "disallow",
    "dissalow": "disallow",
    "disalow": "disallow",
    "diasllow": "disallow",
    "disallaw": "disallow",
    "sitemap": "sitemap",
    "site-map": "sitemap",
    "crawl-delay": "delay",
    "crawldelay": "delay",
}
_LINE_END = re.compile(r"\r\n|\r|\n")
_TOKEN = re.compile(r"[A-Za-z_-]+")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


@dataclass(frozen=True, slots=True)
class Rule:
    """One allow or disallow line.

    Attributes:
        pieces: The path pattern, cut at its ``*``.
        is_anchored: It ended in ``$``.
        octets: Length of the pattern: the longer rule wins.
    """

    is_allow: bool
    pieces: tuple[str, ...]
    is_anchored: bool
    octets: int

    @classmethod
    def of(cls, pattern: str, *, is_allow: bool) -> "Rule":
        """A rule from its normalised pattern."""
        is_anchored = pattern.endswith("$")
        pieces = tuple((pattern[:-1] if is_anchored else pattern).split("*"))
        return cls(is_allow, pieces, is_anchored, len(pattern))

    def matches(self, target: str) -> bool:
        """Whether the pattern covers a path and query; takes time linear in both."""
        first, *rest = self.pieces
        if not target.startswith(first):
            return False
        at = len(first)
        if not rest:
            return not self.is_anchored or at == len(target)
        for piece in rest[:-1]:
            found = target.find(piece, at)
            if found < 0:
                return False
            at = found + len(piece)
        if self.is_anchored:
            return len(target) - len(rest[-1]) >= at and target.endswith(rest[-1])
        return target.find(rest[-1], at) >= 0


@dataclass(frozen=True, slots=True)
class Robots:
    """A robots.txt that was read.

    Attributes:
        sitemaps: As written, in their order.
    """

    rules: Mapping[str, tuple[Rule, ...]]
    delays_s: Mapping[str, float]
    sitemaps: tuple[str, ...]
    decodes_unreserved: bool = False

    def allowed(self, agent: str, url: str) -> bool:
        """Whether a crawler may fetch a URL: the longest matching rule decides, allow on a tie.

        Args:
            agent: The crawler's product token (``Millrace``), in any case; not its whole User-Agent header.
            url: A URL, or its path and query, percent-encoded as it is sent.
        """
        target = _target(url)
        if self.decodes_unreserved:
            target = _decode_unreserved(target)
        best, is_allowed = 0, True
        for rule in self.rules.get(self._group(agent), ()):
            if (rule.octets > best or (rule.octets == best and rule.is_allow)) and rule.matches(target):
                best, is_allowed = rule.octets, rule.is_allow
        return is_allowed

    def crawl_delay_s(self, agent: str) -> float | None:
        """Seconds between two requests that the site asks of this crawler; None when it does not say."""
        return self.delays_s.get(self._group(agent))

    def _group(self, agent: str) -> str:
        token = agent.lower()
        return token if token != _EVERYONE and token in self.rules else _EVERYONE


NO_ROBOTS = Robots({}, {}, ())
"""No robots.txt: everything is allowed."""


def parse(body: bytes | str, *, decode_unreserved: bool = False) -> Robots:
    """Read a robots.txt. Nothing in it is an error: lines that mean nothing are passed over.

    Args:
        body: The file; what lies beyond `MAX_BYTES` is ignored.
        decode_unreserved: Compare ``%7E`` and ``~`` as equal, as RFC 9309 section 2.2.2 asks. google/robotstxt
            leaves that to its caller and compares paths as sent, which is what its published answers need.
    """
    if isinstance(body, str):
        body = body.encode("utf-8", "replace")
    text = body[:MAX_BYTES].decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    rules: dict[str, list[Rule]] = {}
    delays_s: dict[str, float] = {}
    sitemaps: list[str] = []
    agents: list[str] = []
    group_has_rules = False
    for line in _LINE_END.split(text):
        key, value = _record(line)
        if key == "agent":
            if group_has_rules:
                agents, group_has_rules = [], False
            if name := _agent_name(value):
                agents.append(name)
                rules.setdefault(name, [])
        elif key in {"allow", "disallow"}:
            group_has_rules = True
            for agent in agents:
                rules[agent] += _rules_of(value, is_allow=key == "allow", decode_unreserved=decode_unreserved)
        elif key == "delay" and (delay_s := _seconds(value)) is not None:
            delays_s |= dict.fromkeys(agents, delay_s)
        elif key == "sitemap" and value:
            sitemaps.append(value)
    return Robots({name: tuple(found) for name, found in rules.items()}, delays_s, tuple(sitemaps), decode_unreserved)


def _record(line: str) -> tuple[str | None, str]:
    content = line.split("#", 1)[0].strip()
    key, colon, value = content.partition(":")
    if not colon:
        words = content.split()
        key, value = words if len(words) == 2 else ("", "")  # noqa: PLR2004 - a key and a value
    return _KEYS.get(key.strip().lower()), value.strip()


def _agent_name(value: str) -> str | None:
    if value.split(maxsplit=1)[:1] == [_EVERYONE]:
        return _EVERYONE
    token = _TOKEN.match(value)
    return token.group().lower() if token else None


def _rules_of(pattern: str, *, is_allow: bool, decode_unreserved: bool) -> list[Rule]:
    if not pattern:
        return []
    octets = _normalised(pattern)
    if decode_unreserved:
        octets = _decode_unreserved(octets)
    rules = [Rule.of(octets, is_allow=is_allow)]
    folder, slash, page = octets.rpartition("/")
    if is_allow and slash and page.startswith("index.htm"):
        rules.append(Rule.of(f"{folder}/$", is_allow=True))
    return rules


def _seconds(value: str) -> float | None:
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _target(url: str) -> str:
    """Path and query of a URL that may be just that already."""
    text = url.split("#", 1)[0]
    if not text.startswith("/"):
        _, separator, rest = text.partition("://")
        text = rest if separator else text
        start = min((at for at in map(text.find, "/?;") if at >= 0), default=len(text))
        text = text[start:]
    return text if text.startswith("/") else f"/{text}"


def _normalised(pattern: str) -> str:
    """Octets beyond ASCII percent-encoded, escapes in upper case."""
    encoded = "".join(
        chr(octet) if octet < 0x80 else f"%{octet:02X}"  # noqa: PLR2004 - ASCII
        for octet in pattern.encode("utf-8", "surrogateescape")
    )
    return _ESCAPE.sub(lambda escape: escape.group().upper(), encoded)


def _decode_unreserved(octets: str) -> str:
    def decoded(escape: re.Match[str]) -> str:
        char = chr(int(escape.group(1), 16))
        return char if char in _UNRESERVED else escape.group().upper()

    return _ESCAPE.sub(decoded, octets)
