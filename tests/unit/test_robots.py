import json
import os
import time
from pathlib import Path

import pytest

from consumers.net.robots import MAX_BYTES, NO_ROBOTS, parse

SHARED = Path(os.environ.get("MILLRACE_SHARED", Path(__file__).parents[3] / "shared")) / "data" / "sites"
# RFC 9309 asks that %62%61%7A and baz be equal; the published answers compare them as sent.
ANSWERS_AGAINST_THE_RFC = {
    ("User-agent: FooBot\nDisallow: /\nAllow: /foo/bar/%62%61%7A\n", "http://foo.bar/foo/bar/baz")
}


def rules(*lines: str) -> str:
    return "\n".join(("User-agent: Bot", *lines))


@pytest.mark.parametrize(
    ("body", "path", "allowed"),
    [
        ("", "/any", True),
        (rules("Disallow: /"), "/any", False),
        (rules("Disallow:"), "/any", True),
        (rules("Disallow: /a"), "/abc", False),
        (rules("Disallow: /a"), "/A", True),
        (rules("Disallow: /a/"), "/a", True),
        # The longest rule wins, whatever the order; allow wins a tie.
        (rules("Disallow: /a/", "Allow: /a/b"), "/a/b", True),
        (rules("Allow: /a/b", "Disallow: /a/"), "/a/b", True),
        (rules("Disallow: /a", "Allow: /a"), "/a", True),
        (rules("Allow: /a", "Disallow: /*.pdf"), "/a.pdf", False),
        # Wildcards and the end.
        (rules("Disallow: /*.pdf$"), "/a/b.pdf", False),
        (rules("Disallow: /*.pdf$"), "/a/b.pdf?x", True),
        (rules("Disallow: /a*c*e"), "/abcdef", False),
        (rules("Disallow: /a*c*e$"), "/abcdef", True),
        (rules("Disallow: /a*a$"), "/a", True),
        (rules("Disallow: /$"), "/", False),
        (rules("Disallow: /$"), "/a", True),
        (rules("Disallow: /a$b"), "/a$b", False),
        (rules("Disallow: *private"), "/x/private", False),
        (rules("Disallow: /x%2A"), "/x%2A", False),
        (rules("Disallow: /x%2A"), "/xyz", True),
        # Only rules that start with a slash or a star can match.
        (rules("Disallow: private"), "/private", True),
        # Encoding.
        (rules("Disallow: /é"), "/%C3%A9", False),
        (rules("Disallow: /%c3%a9"), "/%C3%A9", False),
        # Reading.
        ("\ufeffuser-agent:bot\r\ndisallow:/a\rallow: /a/b # why", "/a/c", False),
        (rules("Disallow: /a # why"), "/a", False),
        ("User-agent: Bot/2.1\nDisallow: /", "/", False),
        ("Disallow: /\nUser-agent: Bot\nAllow: /a", "/b", True),
        ("User-agent: Other\nUser-agent: Bot\nDisallow: /", "/", False),
        ("User-agent: Other\nCrawl-delay: 1\nUser-agent: Bot\nDisallow: /", "/", False),
        ("User-agent: Bot\nDisallow: /a\nUser-agent: Other\nDisallow: /b\nUser-agent: bot\nDisallow: /c", "/c", False),
        ("User-agent: Bot\nDisallow: /a\nUser-agent: Other\nDisallow: /b\nUser-agent: bot\nDisallow: /c", "/b", True),
        ("User-agent: *\nDisallow: /\nUser-agent: Bot\nDisallow: /a", "/b", True),
        ("User-agent: *\nDisallow: /\nUser-agent: Bot\nDisallow:", "/b", True),
        ("User-agent: Robot\nDisallow: /", "/", True),
        ("User-agent: 008\nDisallow: /", "/", True),
        ("User-agent: *\nDisallow: /", "/", False),
        ("<html><body>not found: sorry</body></html>", "/", True),
        ("\x00\x01\x02:\n:::\n#\nallow", "/", True),
        # What is compared is path and query, of a path or of a whole URL.
        (rules("Disallow: /a?b"), "https://example.com/a?b=c#d", False),
        (rules("Disallow: /"), "https://example.com", False),
        (rules("Disallow: /?q"), "https://example.com?q", False),
        (rules("Disallow: /b"), "https://example.com/a#/b", True),
    ],
)
def test_allowed(body: str, path: str, *, allowed: bool) -> None:
    assert parse(body).allowed("BOT", path) is allowed
    assert parse(body.encode()).allowed("bot", path) is allowed


def test_unreserved_characters_may_be_decoded_first() -> None:
    body = "User-agent: *\nDisallow: /%7ejoe\nDisallow: /a%2fb"
    as_sent, decoded = parse(body), parse(body, decode_unreserved=True)
    assert (as_sent.allowed("bot", "/~joe"), decoded.allowed("bot", "/~joe")) == (True, False)
    assert (as_sent.allowed("bot", "/%7Ejoe"), decoded.allowed("bot", "/%7Ejoe")) == (False, False)
    assert decoded.allowed("bot", "/a/b")
    assert not decoded.allowed("bot", "/a%2Fb")


def test_bytes_that_are_not_utf8_are_compared_as_octets() -> None:
    assert not parse(b"User-agent: *\nDisallow: /\xe9t\xe9").allowed("bot", "/%E9t%E9")


def test_delay_and_sitemaps() -> None:
    robots = parse(
        "Sitemap: https://example.com/a.xml\nUser-agent: *\nCrawl-delay: 2.5\nUser-agent: Bot\nUser-agent: Other\n"
        "Disallow: /x\nCrawl-delay: 10\nsite-map: /b.xml\nUser-agent: Fast\nCrawl-delay: soon\nCrawl-delay: -1\n"
        "Crawl-delay: nan\nCrawl-delay: inf"
    )
    assert robots.sitemaps == ("https://example.com/a.xml", "/b.xml")
    assert [robots.crawl_delay_s(agent) for agent in ("bot", "OTHER", "fast", "whoever")] == [10, 10, None, 10]
    assert NO_ROBOTS.crawl_delay_s("bot") is None


def test_what_lies_beyond_the_cap_is_ignored() -> None:
    body = b"User-agent: *\nDisallow: /a\n".ljust(MAX_BYTES, b"#") + b"\nDisallow: /b\n"
    assert not parse(body).allowed("bot", "/a")
    assert parse(body).allowed("bot", "/b")


def test_a_malicious_pattern_takes_linear_time() -> None:
    robots = parse(f"User-agent: *\nDisallow: /{'*a' * 50_000}b$")
    began = time.process_time()
    assert robots.allowed("bot", f"/{'a' * 50_000}")
    assert time.process_time() - began < 1


@pytest.mark.skipif(not (SHARED / "robots-cases.json").exists(), reason="needs the shared data")
def test_published_answers() -> None:
    cases = json.loads((SHARED / "robots-cases.json").read_bytes())
    for case in cases:
        body, agent, url, allowed = case["robotstxt"], case["user_agent"], case["url"], case["allowed"]
        assert parse(body).allowed(agent, url) is allowed, case
        by_the_rfc = allowed is not ((body, url) in ANSWERS_AGAINST_THE_RFC)
        assert parse(body, decode_unreserved=True).allowed(agent, url) is by_the_rfc, case
    assert len(cases) == 142


@pytest.mark.skipif(not (SHARED / "robots-real").exists(), reason="needs the shared data")
def test_real_files_are_understood() -> None:
    found = {path.stem: parse(path.read_bytes()) for path in (SHARED / "robots-real").iterdir()}
    assert len(found) == 50
    assert all(robots.rules or robots.sitemaps for robots in found.values())
    assert found["www.sixflags.com"].crawl_delay_s("millrace") == 10
