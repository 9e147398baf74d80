"""Corners of robots.txt that the published cases do not turn: each from RFC 9309 or what google/robotstxt does."""

from __future__ import annotations

import pytest

from consumers.net.robots import MAX_BYTES, parse

CASES: tuple[tuple[str, bytes, str, str, bool], ...] = (
    ("the path keeps its case", b"User-agent: *\nDisallow: /Private\n", "Any", "/private", True),
    ("the agent's case does not matter", b"user-AGENT: fOObot\nDisallow: /\n", "FooBot", "/", False),
    ("the key's case does not matter", b"USER-AGENT: *\nDISALLOW: /a\n", "Any", "/a", False),
    ("the longest rule wins", b"User-agent: *\nDisallow: /a\nAllow: /a/b\n", "Any", "/a/b/c", True),
    ("allow wins a tie", b"User-agent: *\nDisallow: /a\nAllow: /a\n", "Any", "/a", True),
    ("a wildcard counts as an octet", b"User-agent: *\nAllow: /p\nDisallow: /*\n", "Any", "/page", True),
    ("a longer pattern with wildcards wins", b"User-agent: *\nAllow: /p\nDisallow: /*.html\n", "Any", "/page.html", False),
    ("groups of one agent are merged", b"User-agent: a\nDisallow: /x\n\nUser-agent: b\nDisallow: /z\n\nUser-agent: a\nDisallow: /y\n", "a", "/y", False),
    ("and the first of them still holds", b"User-agent: a\nDisallow: /x\n\nUser-agent: b\nDisallow: /z\n\nUser-agent: a\nDisallow: /y\n", "a", "/x", False),
    ("agents in a row share a group", b"User-agent: a\nUser-agent: b\nDisallow: /x\n", "a", "/x", False),
    ("a blank line does not part agents", b"User-agent: a\n\nUser-agent: b\nDisallow: /x\n", "a", "/x", False),
    ("an unknown line does not part agents", b"User-agent: a\nNonsense: 7\nUser-agent: b\nDisallow: /x\n", "a", "/x", False),
    ("nor does a sitemap", b"User-agent: a\nSitemap: https://a.example/s.xml\nUser-agent: b\nDisallow: /x\n", "a", "/x", False),
    ("an agent with a group of its own leaves everybody's", b"User-agent: *\nDisallow: /\nUser-agent: a\nDisallow: /x\n", "a", "/y", True),
    ("an empty group of its own allows all", b"User-agent: *\nDisallow: /\nUser-agent: a\nDisallow:\n", "a", "/y", True),
    ("everybody's group holds for who has none", b"User-agent: a\nAllow: /\nUser-agent: *\nDisallow: /\n", "b", "/", False),
    ("a version after the name is not the name", b"User-agent: FooBot/2.1\nDisallow: /\n", "FooBot", "/", False),
    ("a longer name is another agent", b"User-agent: FooBot-News\nDisallow: /\n", "FooBot", "/", True),
    ("a shorter name is another agent", b"User-agent: Foo\nDisallow: /\n", "FooBot", "/", True),
    ("a star in a name ends it", b"User-agent: Foo*\nDisallow: /\n", "Foo", "/", False),
    ("a star and a word is everybody", b"User-agent: * all\nDisallow: /x\n", "Any", "/x", False),
    ("byte order mark", b"\xef\xbb\xbfUser-agent: *\nDisallow: /x\n", "Any", "/x", False),
    ("lines may end in CR", b"User-agent: *\rDisallow: /x\rAllow: /x/y\r", "Any", "/x/z", False),
    ("lines may end in CRLF", b"User-agent: *\r\nDisallow: /x\r\n", "Any", "/x", False),
    ("CR LF apart is an empty line", b"User-agent: *\n\rDisallow: /x\n", "Any", "/x", False),
    ("a comment ends a value", b"User-agent: * # all\nDisallow: /x # not this\n", "Any", "/x", False),
    ("space around the colon", b"User-agent : *\nDisallow :  /x\n", "Any", "/x", False),
    ("the end mark", b"User-agent: *\nDisallow: /*.php$\n", "Any", "/a.php", False),
    ("the end mark does not match beyond", b"User-agent: *\nDisallow: /*.php$\n", "Any", "/a.php?x=1", True),
    ("a dollar in the middle is a dollar", b"User-agent: *\nDisallow: /a$b\n", "Any", "/a$b/c", False),
    ("and matches no end", b"User-agent: *\nDisallow: /a$b\n", "Any", "/a", True),
    ("only the root", b"User-agent: *\nDisallow: /$\n", "Any", "/x", True),
    ("stars in a row", b"User-agent: *\nDisallow: /a***b\n", "Any", "/a/x/b", False),
    ("a trailing star says nothing", b"User-agent: *\nDisallow: /a*\n", "Any", "/abc", False),
    ("a pattern may begin with a star", b"User-agent: *\nDisallow: *secret\n", "Any", "/a/secret", False),
    ("queries are part of the path", b"User-agent: *\nDisallow: /*?sort=\n", "Any", "https://a.example/x?sort=1", False),
    ("a fragment is not", b"User-agent: *\nDisallow: /x#y\n", "Any", "/x", False),
    ("escapes of other letters keep their case apart", b"User-agent: *\nDisallow: /%e4\n", "Any", "/%E4", False),
    ("letters beyond ASCII are compared escaped", "User-agent: *\nDisallow: /ä\n".encode(), "Any", "/%C3%A4", False),
    ("an escaped slash is no slash", b"User-agent: *\nDisallow: /a/b\n", "Any", "/a%2Fb", True),
    ("rules before any agent are nobody's", b"Disallow: /\nUser-agent: *\nAllow: /x\n", "Any", "/y", True),
    ("a path without slash matches nothing", b"User-agent: *\nDisallow: private\n", "Any", "/private", True),
    ("an empty file allows", b"", "Any", "/", True),
    ("what lies beyond the limit is not read", b"User-agent: *\n" + b"#" * MAX_BYTES + b"\nDisallow: /\n", "Any", "/", True),
)  # fmt: skip


@pytest.mark.parametrize(("why", "body", "agent", "url", "allowed"), CASES, ids=[case[0] for case in CASES])
def test_corner(why: str, body: bytes, agent: str, url: str, allowed: bool) -> None:  # noqa: FBT001 - a column
    assert parse(body).allowed(agent, url) is allowed


def test_unreserved_escapes_are_equal_when_asked_as_the_rfc_has_it() -> None:
    body = b"User-agent: *\nDisallow: /%7Ejoe/index\n"
    assert parse(body).allowed("Any", "/~joe/index")
    assert not parse(body, decode_unreserved=True).allowed("Any", "/~joe/index")
    assert not parse(body, decode_unreserved=True).allowed("Any", "/%7ejoe/index")
