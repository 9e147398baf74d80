import asyncio

from hypothesis import given
from hypothesis import strategies as st

from consumers.net.politeness import Politeness, PolitenessPolicy, next_slot


class FakeTime:
    """A clock that sleeping moves on."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, delay_s: float) -> None:
        self.slept.append(delay_s)
        self.now += delay_s


def politeness(time: FakeTime, **policy: float) -> Politeness:
    return Politeness(PolitenessPolicy(**policy), clock=time, sleep=time.sleep)  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 60)), max_size=30))
def test_starts_are_never_closer_than_the_delay(requests: list[tuple[float, float]]) -> None:
    now, free_at, earlier = 0.0, float("-inf"), None
    for waited, delay_s in requests:
        now += waited
        start, free_at = next_slot(now, free_at, delay_s)
        assert start >= now
        assert earlier is None or start >= earlier
        earlier = start + delay_s


async def test_the_first_request_does_not_wait_and_the_next_does() -> None:
    time = FakeTime()
    polite = politeness(time, delay_s=2.0)
    for _ in range(3):
        async with polite.slot("a.example"):
            pass
    async with polite.slot("b.example"):
        pass
    assert time.slept == [2.0, 2.0]


async def test_a_crawl_delay_counts_when_it_is_longer_and_is_capped() -> None:
    time = FakeTime()
    polite = politeness(time, delay_s=2.0, max_delay_s=30.0)
    for delay_s in (10.0, 1.0, 3_600.0, None):
        async with polite.slot("a.example", delay_s):
            pass
    assert time.slept == [10.0, 2.0, 30.0]


async def test_a_host_serves_so_many_at_a_time() -> None:
    polite = politeness(FakeTime(), delay_s=0.0, max_concurrent=2)
    inside: list[int] = []
    leave = asyncio.Event()
    full = asyncio.Event()

    async def request(number: int) -> None:
        async with polite.slot("a.example"):
            inside.append(number)
            if len(inside) == 2:
                full.set()
            await leave.wait()

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(request(number))
        await full.wait()
        async with polite.slot("b.example"):
            assert inside == [0, 1]
        leave.set()
    assert inside == [0, 1, 2, 3]


async def test_a_cancelled_wait_gives_its_permit_back() -> None:
    never = asyncio.Event()
    waiting = asyncio.Event()

    async def sleep(_: float) -> None:
        waiting.set()
        await never.wait()

    polite = Politeness(PolitenessPolicy(delay_s=1.0, max_concurrent=1), clock=lambda: 0.0, sleep=sleep)
    async with polite.slot("a.example"):
        pass

    async def request() -> None:
        async with polite.slot("a.example"):
            pass

    task = asyncio.create_task(request())
    await waiting.wait()
    task.cancel()
    await asyncio.wait([task])
    assert polite._hosts["a.example"].users == 0
    assert not polite._hosts["a.example"].permits.locked()


async def test_hosts_are_forgotten() -> None:
    time = FakeTime()
    polite = politeness(time, delay_s=1.0)
    for number in range(5_000):
        time.now += 0.5
        async with polite.slot(f"{number}.example"):
            pass
    assert len(polite._hosts) < 1_100
