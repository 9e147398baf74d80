"""What a worker has in hand: slots, and concurrency by stage and flow."""

from consumers.worker.hand import Hand
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
