"""What a worker has in hand: slots, and concurrency by stage and flow."""

from dataclasses import replace

from consumers.worker.hand import PROBE_S, Hand, InHand
from schemas.names import StageName
from streams.codec import Delivery
from streams.keys import PartitionKeys, StreamName
from streams.pauses import Pause, Paused
from streams.policy import StagePolicy

KEYS = PartitionKeys("t", 0)


class Policies:
    """One policy for all."""

    def __init__(self, concurrency: int | None) -> None:
        self._policy = StagePolicy(concurrency=concurrency)

    def policy(self, flow: str, stage: StageName) -> StagePolicy:
        """The policy."""
        del flow, stage
        return self._policy


def entry(n: int, stage: StageName = "crawl") -> Delivery:
    return Delivery(
        KEYS, KEYS.stream(stage), StreamName(stage), f"{n}-0", 1, "0-a", str(n), "f", 1, "", b"{}", {}
    )  # fmt: skip


def hand(slots: int, concurrency: int | None = None) -> Hand:
    return Hand({"default": slots}, Policies(concurrency), lambda: 0.0)


async def test_what_a_read_brings_beyond_the_slots_waits_for_one() -> None:
    one = hand(2)
    for n in range(5):
        one.take(entry(n))
    assert len(one.ready) == 2
    first, second = one.ready.popleft(), one.ready.popleft()
    one.settled(first)
    assert [ready.entry.task for ready in one.ready] == ["2"]
    one.settled(second)
    assert len(one.ready) == 2
    assert not one.has_room["default"].is_set()


async def test_every_entry_leaves_and_all_slots_are_free_again() -> None:
    one = hand(2, concurrency=1)
    for n in range(6):
        one.take(entry(n, "crawl" if n % 2 else "extract"))
    settled = 0
    while one.ready:
        one.settled(one.ready.popleft())
        settled += 1
    assert settled == 6
    assert one.free() == {"default": 2}
    assert one.is_idle.is_set()


async def test_a_surplus_entry_that_is_given_back_frees_nobody_elses_slot() -> None:
    one = hand(1)
    one.take(entry(0))
    one.take(entry(1))
    (surplus,) = [held for held in one.entries.values() if held.entry.task == "1"]
    one.settled(surplus)
    assert [ready.entry.task for ready in one.ready] == ["0"]
    assert one.free() == {"default": 0}


async def test_a_stage_at_its_concurrency_closes_its_streams_only() -> None:
    one = hand(10, concurrency=1)
    one.take(entry(0))
    one.take(entry(1))
    one.take(entry(2, "extract"))
    assert one.room() == {("crawl", "default"): 0}
    assert [ready.entry.task for ready in one.ready] == ["0", "2"]


async def test_no_more_of_a_stage_is_read_than_may_run() -> None:
    bounds = {("crawl", "default"): {"f": 3, "g": 1}, ("extract", "heavy"): {"f": 2}}
    one = Hand({"default": 10}, Policies(3), lambda: 0.0, bounds)  # type: ignore[arg-type]
    assert one.room() == {("crawl", "default"): 1, ("extract", "heavy"): 2}
    for n in range(3):
        one.take(entry(n))
    assert one.room()["crawl", "default"] == 1, "g has room"
    one.settled(one.ready.popleft())
    assert one.room()["crawl", "default"] == 1


async def test_a_paused_stage_is_closed_in_every_pool() -> None:
    one = Hand({"default": 1, "heavy": 1}, Policies(None), lambda: 0.0)
    one.paused = Paused.of([Pause("stage", "extract"), Pause("flow", "f"), Pause("host", "a.example")])
    assert one.closed() == {("extract", "default"), ("extract", "heavy")}
    assert one.places() == {("extract", "default"): 0, ("extract", "heavy"): 0}
    assert one.paused.over(stage="crawl", flow="g") is None
    held = one.paused.over(stage="crawl", flow="g", host="a.example")
    assert held is not None
    assert held.scope == "host:a.example"


class OneOfTwo:
    """Flow `f` may run `limit` at a time, others as many as there are slots."""

    def __init__(self, limit: int) -> None:
        self._bounded, self._free = StagePolicy(concurrency=limit), StagePolicy()

    def policy(self, flow: str, stage: StageName) -> StagePolicy:
        """The policy."""
        del stage
        return self._bounded if flow == "f" else self._free


def sharing(limit: int, slots: int = 100) -> tuple[Hand, list[InHand], list[float]]:
    """A hand, what it gave back, and its clock."""
    now, back = [0.0], list[InHand]()
    one = Hand({"default": slots}, OneOfTwo(limit), lambda: now[0])
    one.give_back = back.append
    return one, back, now


async def test_what_may_not_run_here_is_given_back_and_no_more_of_it_is_read() -> None:
    one, back, now = sharing(2)
    for n in range(10):
        one.take(entry(n))
    assert [held.entry.task for held in back] == [str(n) for n in range(2, 10)]
    assert one.room() == {("crawl", "default"): 0}
    for held in back:
        one.settled(held)
    assert one.free() == {"default": 98}
    one.settled(one.ready.popleft())
    assert one.room() == {("crawl", "default"): 1}, "as many as may run"
    one.take(entry(11))
    assert one.room() == {("crawl", "default"): 0}
    now[0] += PROBE_S
    assert one.room() == {("crawl", "default"): 1}, "others may be behind it"


async def test_other_flows_widen_a_stage_that_was_tight() -> None:
    one, back, now = sharing(1)
    one.take(entry(0))
    one.take(entry(1))
    assert len(back) == 1
    now[0] += PROBE_S
    steps = []
    for n in range(7):
        steps.append(one.room().get(("crawl", "default")))
        one.take(replace(entry(n + 2), flow="g"))
    assert steps == [1, 1, 3, 7, 15, 31, 63]
    assert one.room() == {}, "as if nothing were bounded"
    one.take(entry(20))
    assert len(back) == 2
    assert one.room() == {("crawl", "default"): 0}


async def test_a_few_of_many_wait_in_hand() -> None:
    one, back, _ = sharing(32)
    for n in range(40):
        one.take(entry(n))
    assert [held.entry.task for held in back] == [str(n) for n in range(34, 40)]
    one.settled(one.ready.popleft())
    assert [held.entry.task for held in one.ready][-1] == "32"


async def test_what_exceeds_the_slots_of_a_small_pool_is_given_back() -> None:
    one, back, _ = sharing(100, slots=1)
    for n in range(3):
        one.take(replace(entry(n), flow="g"))
    assert [held.entry.task for held in back] == ["1", "2"]
    for held in back:
        one.settled(held)
    assert one.free() == {"default": 0}
    one.settled(one.ready.popleft())
    assert one.free() == {"default": 1}
    assert not one.ready
