import pytest

from consumers.net import urls

BASE = "https://www.example.co.uk/investors/reports.html?year=2024#top"


@pytest.mark.parametrize(
    ("reference", "resolved"),
    [
        ("2024.pdf", "https://www.example.co.uk/investors/2024.pdf"),
        ("../a b.pdf", "https://www.example.co.uk/a%20b.pdf"),
        ("/x?q=é", "https://www.example.co.uk/x?q=%C3%A9"),
        ("?page=2", "https://www.example.co.uk/investors/reports.html?page=2"),
        ("#part", "https://www.example.co.uk/investors/reports.html?year=2024"),
        ("", "https://www.example.co.uk/investors/reports.html?year=2024"),
        ("//Other.example:443/x", "https://other.example/x"),
        (" \n/x\t", "https://www.example.co.uk/x"),
        ("HTTP:\\\\other.example\\x", "http://other.example/x"),
        ("/\udce9.pdf", "https://www.example.co.uk/%E9.pdf"),
        ("/\ud800.pdf", "https://www.example.co.uk/%EF%BF%BD.pdf"),
        ("mailto:ir@example.com", None),
        ("javascript:void(0)", None),
        ("data:text/html,x", None),
        ("tel:+123", None),
        ("http://[", None),
        ("http://a:99999/", None),
    ],
)
def test_links_are_resolved(reference: str, resolved: str | None) -> None:
    assert urls.resolve(BASE, reference) == resolved


def test_a_broken_base_resolves_nothing() -> None:
    assert urls.resolve("nowhere", "x") is None


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("HTTP://EXAMPLE.com:80/a/../b/./c#d", "http://example.com/b/c"),
        ("https://example.com", "https://example.com/"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("example.com", None),
        ("ftp://example.com/", None),
        ("", None),
    ],
)
def test_normalise(url: str, normal: str | None) -> None:
    assert urls.normalise(url) == normal


@pytest.mark.parametrize(
    ("url", "other", "same"),
    [
        ("https://www.example.com/", "http://ir.example.com:8080/x", True),
        ("https://example.co.uk/", "https://ir.example.co.uk/", True),
        ("https://a.co.uk/", "https://b.co.uk/", False),
        ("https://a.github.io/", "https://b.github.io/", False),
        ("https://example.com/", "https://example.org/", False),
        ("https://example.com/", "https://notexample.com/", False),
        ("https://example.com./", "https://example.com/", True),
        ("https://bücher.example/", "https://www.xn--bcher-kva.example/", True),
        ("http://127.0.0.1:1/", "http://127.0.0.1:1/x", True),
        ("http://127.0.0.1:1/", "http://127.0.0.1:2/", False),
        ("http://10.0.0.1/", "http://11.0.0.1/", False),
        ("http://[::1]/", "http://[::1]/x", True),
        ("http://localhost/", "http://localhost/x", True),
        ("http://a.localhost/", "http://localhost/", False),
        ("mailto:a@example.com", "mailto:b@example.com", False),
        ("nonsense", "nonsense", False),
    ],
)
def test_same_site(url: str, other: str, *, same: bool) -> None:
    assert urls.same_site(url, other) is same
    assert urls.same_site(other, url) is same


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.com/a?token=secret#part", "https://example.com/a?..."),
        ("https://user:secret@example.com/a", "https://example.com/a"),
        ("https://example.com/a", "https://example.com/a"),
        ("nonsense?secret", "nonsense"),
        ("http://user:secret?@[", "(not a URL)"),
        ("x" * 1_000, "x" * 100 + "..."),
    ],
)
def test_secrets_are_not_shown(url: str, shown: str) -> None:
    assert urls.redact(url) == shown


def test_parts() -> None:
    assert urls.host_of(BASE) == "www.example.co.uk"
    assert urls.host_of("http://a.example:8080/x") == "a.example:8080"
    assert urls.origin_of("https://A.example:443/x") == "https://a.example"
    assert urls.origin_of("http://[::1]:8080/x") == "http://[::1]:8080"
    assert urls.target_of(BASE) == "/investors/reports.html?year=2024"
    assert urls.target_of("http://a.example") == "/"
