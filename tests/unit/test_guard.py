import ipaddress

import pytest

from consumers.net.errors import FetchRefusedError
from consumers.net.guard import AllowList, check_addresses, check_url, why_refused

NOTHING = AllowList()


def refusal(url: str, *allow: str) -> FetchRefusedError:
    with pytest.raises(FetchRefusedError) as caught:
        check_url(url, AllowList.parse(allow))
    return caught.value


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 - one of the addresses to refuse
        "0.1.2.3",
        "10.255.255.255",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::a00:1",
        "100::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:10::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_what_is_not_of_the_public_internet_is_refused(address: str) -> None:
    assert why_refused(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.0.1",
        "172.32.0.1",
        "198.17.0.1",
        "223.255.255.254",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2606:4700::1111",
        "2a00:1450:4001::1",
    ],
)
def test_the_public_internet_is_let_through(address: str) -> None:
    assert why_refused(ipaddress.ip_address(address)) is None


@pytest.mark.parametrize("last", range(0, 256, 5))
def test_nothing_that_python_calls_special_is_let_through(last: int) -> None:
    for first in range(256):
        address = ipaddress.IPv4Address(f"{first}.{last}.{last}.{last}")
        assert address.is_global or why_refused(address), address


@pytest.mark.parametrize(
    "host",
    [
        "127.1",
        "0x7f.1",
        "0x7f000001",
        "0177.0.0.1",
        "017700000001",
        "2130706433",
        "127.0.0.1.",
        "%31%32%37.0.0.1",
        "１２７．０．０．１",  # noqa: RUF001 - full-width on purpose
        "⑫⑦.0.0.1",
        "0",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "169.254.169.254",
    ],
)
def test_however_an_address_is_spelt(host: str) -> None:
    assert refusal(f"http://{host}/").reason == "blocked_address"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "bad_url"),
        ("reports", "bad_url"),
        ("/reports", "bad_url"),
        ("//example.com/", "bad_url"),
        ("http://", "bad_url"),
        ("http://./", "bad_url"),
        ("http://exa mple.com/", "bad_url"),
        ("http://1.2.3.4.5/", "bad_url"),
        ("http://[::1%25eth0]/", "bad_url"),
        ("http://example.com:99999/", "bad_url"),
        ("ftp://example.com/", "unsupported_scheme"),
        ("file:///etc/passwd", "unsupported_scheme"),
        ("gopher://127.0.0.1:6379/_FLUSHALL", "unsupported_scheme"),
        ("javascript:alert(1)", "unsupported_scheme"),
        ("data:text/html,x", "unsupported_scheme"),
        ("http://user@example.com/", "credentials_in_url"),
        ("https://user:pass@example.com/", "credentials_in_url"),
        ("http://example.com:22/", "blocked_port"),
        ("http://example.com:25/", "blocked_port"),
        ("http://example.com:6379/", "blocked_port"),
        ("http://example.com:6667/", "blocked_port"),
    ],
)
def test_bad_urls(url: str, reason: str) -> None:
    assert refusal(url).reason == reason


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("HTTP://Example.COM", "example.com", 80),
        ("https://example.com/a?b#c", "example.com", 443),
        ("https://example.com:8443/", "example.com", 8443),
        ("http://evil.com\\@127.0.0.1/", "evil.com", 80),
        ("http://evil.com#@127.0.0.1/", "evil.com", 80),
        ("http://bücher.example/", "xn--bcher-kva.example", 80),
        ("http://example.com./", "example.com.", 80),
        ("  http://exam\nple.com/ ", "example.com", 80),
        ("http://[2606:4700::1111]/", "2606:4700::1111", 80),
    ],
)
def test_hosts_are_read_as_browsers_read_them(url: str, host: str, port: int) -> None:
    target = check_url(url, NOTHING)
    assert (target.host, target.port) == (host, port)
    assert "#" not in target.url


def test_a_refusal_names_the_address_the_reason_and_the_way_out() -> None:
    text = str(refusal("http://192.168.7.1:8080/?token=secret"))
    for part in ("192.168.7.1", "RFC 1918", "192.168.7.1:8080 to MILLRACE_ALLOW_HOSTS"):
        assert part in text
    assert "secret" not in text
    assert "[fd00::1]:80 to MILLRACE_ALLOW_HOSTS" in str(refusal("http://[fd00::1]/"))


@pytest.mark.parametrize(
    ("allow", "url"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080/"),
        ("127.0.0.1:8080", "http://0x7f.1:8080/"),
        ("127.0.0.1:22", "http://127.0.0.1:22/"),
        ("[::1]:8080", "http://[::1]:8080/"),
        ("127.0.0.0/8", "http://127.9.9.9:8000/"),
        ("127.0.0.1", "http://127.0.0.1/"),
        ("fd00::/8", "http://[fd12::1]/"),
        ("Intranet.Example:80", "http://intranet.example./"),
    ],
)
def test_the_operator_lets_targets_through(allow: str, url: str) -> None:
    check_url(url, AllowList.parse([allow]))


@pytest.mark.parametrize(
    ("allow", "url"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8081/"),
        ("127.0.0.1:8080", "http://127.0.0.2:8080/"),
        ("10.0.0.0/8", "http://11.0.0.1:22/"),
        ("127.0.0.0/8", "http://127.0.0.1:6379/"),
        ("127.0.0.0/8", "http://[::ffff:127.0.0.1]/"),
    ],
)
def test_what_is_let_through_is_no_wider_than_written(allow: str, url: str) -> None:
    refusal(url, allow)


def test_names_are_let_through_by_name_or_by_address() -> None:
    private = [ipaddress.ip_address("10.0.0.7")]
    check_addresses("intranet.example", 80, private, AllowList.parse(["intranet.example:80"]))
    check_addresses("intranet.example", 80, private, AllowList.parse(["10.0.0.7:80"]))
    check_addresses("intranet.example", 80, private, AllowList.parse(["10.0.0.0/24"]))
    for other in ("other.example:80", "intranet.example:81", "10.0.0.7:81", "10.0.1.0/24"):
        with pytest.raises(FetchRefusedError, match=r"intranet\.example, which resolves to 10\.0\.0\.7,"):
            check_addresses("intranet.example", 80, private, AllowList.parse([other]))


def test_one_bad_address_refuses_the_name() -> None:
    with pytest.raises(FetchRefusedError):
        check_addresses("x.example", 80, [ipaddress.ip_address(a) for a in ("8.8.8.8", "::1")], NOTHING)


@pytest.mark.parametrize(
    "entry", ["localhost", "http://x:80", "x:", "x:0x50", "10.0.0.0/33", "a:1/b", "u@h:80", ":80", ""]
)
def test_a_malformed_entry_is_quoted(entry: str) -> None:
    with pytest.raises(ValueError, match="MILLRACE_ALLOW_HOSTS has the entry"):
        AllowList.parse([entry])
