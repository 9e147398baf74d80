"""When a host that fails is left alone, tried again, and asked as ever."""

from consumers.net.breaker import FAILURES, LONGEST_S, MOST_HOSTS, OPEN_S, PATIENCE_S, Closed, HostBreakers


def opened(at_s: float = 0.0) -> HostBreakers:
    hosts = HostBreakers()
    for _ in range(FAILURES):
        assert hosts.ask("a:80", at_s) is None
        hosts.failed("a:80", at_s)
    return hosts


def test_failures_in_a_row_open_it_and_only_it() -> None:
    hosts = opened()
    assert hosts.ask("a:80", 1.0) == Closed(OPEN_S - 1.0, is_long=False)
    assert hosts.ask("b:80", 1.0) is None
    assert hosts.open() == ["a:80"]


def test_a_good_answer_between_begins_anew() -> None:
    hosts = HostBreakers()
    for n in range(3 * FAILURES):
        hosts.failed("a:80", 0.0)
        if n % (FAILURES - 1) == 0:
            hosts.succeeded("a:80")
    assert hosts.ask("a:80", 0.0) is None
    assert hosts.open() == []


def test_one_tries_and_closes_it_or_doubles_the_time() -> None:
    hosts = opened()
    assert hosts.ask("a:80", OPEN_S) is None, "one tries"
    assert hosts.ask("a:80", OPEN_S) == Closed(OPEN_S, is_long=False), "the others wait for it"
    hosts.failed("a:80", OPEN_S)
    assert hosts.ask("a:80", OPEN_S) == Closed(2 * OPEN_S, is_long=False)
    assert hosts.ask("a:80", 3 * OPEN_S) is None
    hosts.given_up("a:80")
    assert hosts.ask("a:80", 3 * OPEN_S) is None, "who went away leaves the try to the next"
    hosts.succeeded("a:80")
    assert hosts.ask("a:80", 3 * OPEN_S) is None
    assert hosts.open() == []


def test_a_host_that_stays_down_is_told_in_the_end() -> None:
    hosts, now_s = opened(), 0.0
    for _ in range(12):
        now_s += LONGEST_S
        assert hosts.ask("a:80", now_s) is None
        hosts.failed("a:80", now_s)
    assert now_s > PATIENCE_S
    assert hosts.ask("a:80", now_s) == Closed(LONGEST_S, is_long=True)


def test_hosts_are_forgotten_before_they_fill_the_memory() -> None:
    hosts = opened()
    for n in range(MOST_HOSTS):
        hosts.failed(f"h{n}:80", 0.0)
    assert hosts.ask("a:80", 0.0) is None
