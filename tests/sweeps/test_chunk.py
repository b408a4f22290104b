"""What a worker is handed at once: by predicted seconds, sent as JSON, and returned."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from small import small_spec
from trials import fake_result, fake_rows, trial

from backdoor.result import FAILED, ProbeRecord
from sweeps.ledger import Ledger, attached, decode, encode, finished_rows, joined
from sweeps.ledger.probe_results import detached
from sweeps.packs.chunk import Chunk
from sweeps.packs.pack import Pack, PackSettings
from sweeps.records.failure import PREEMPTED, Failure
from sweeps.runners import in_flight
from sweeps.runners.in_flight import InFlight
from sweeps.scheduling.chunk_size import LAST, LONGEST, SHORTEST, ChunkSizer
from sweeps.scheduling.sweep_feed import SweepFeed
from sweeps.search import make_search

SETTINGS = PackSettings((trial().attack.measure(),), curve_every=2, cpu=1)


def packs(count, size=4, **defence):
    return [Pack(tuple(trial(seed=size * i + j, **defence) for j in range(size)), SETTINGS) for i in range(count)]  # fmt: skip


def learned(seconds, pack):
    sizer = ChunkSizer()
    sizer.learn([pack], {t.trial_id: seconds for t in pack.trials})
    return sizer


def test_a_chunk_is_sent_as_json() -> None:
    sent = Chunk((*packs(2), Pack((trial("ridge", weight_decay=0.1), trial("ridge", rate=0, weight_decay=1.0)), SETTINGS)))  # fmt: skip
    again = Chunk.from_json(sent.to_json())
    assert again.chunk_id == sent.chunk_id and len(again.packs) == 3
    for one, other in zip(sent.packs, again.packs, strict=True):
        assert one.pack_id == other.pack_id and one.settings == other.settings
        assert [t.canonical for t in one.trials] == [t.canonical for t in other.trials]


def test_a_pack_of_unknown_duration_is_a_chunk_by_itself() -> None:
    assert ChunkSizer().take(packs(9), workers=2, final=True) == 1
    known = learned(0.001, packs(1)[0])
    assert known.take([*packs(3), *packs(1, epochs=5)], 2, final=False) == 4, "an engine is known"
    ridge = Pack((trial("ridge", weight_decay=0.1),), SETTINGS)
    assert known.take([*packs(3), ridge, *packs(2)], 2, final=False) == 3


def test_chunks_shrink_towards_the_end_and_stay_within_bounds() -> None:
    sizer, queue = learned(0.05, packs(1)[0]), packs(800)  # 0.2 s a pack, 160 s in all
    shares = []
    while queue:
        count = sizer.take(queue, workers=2, final=True)
        shares.append(count * 0.2)
        queue = queue[count:]
    assert shares[0] == pytest.approx(40, abs=0.3) and shares == sorted(shares, reverse=True)
    assert max(shares[-4:]) <= LAST and sum(shares) == pytest.approx(160)
    assert len(shares) < 30
    assert sizer.take(packs(40), 4, final=False) * 0.2 == pytest.approx(SHORTEST, abs=0.3)
    assert sizer.take(packs(2000), 1, final=False) * 0.2 == pytest.approx(LONGEST, abs=0.3)


class Learning:
    """A search that asks for some trials and then waits for their results."""

    size, finished = 100, False

    def __init__(self, *batches) -> None:
        self.batches, self.workers = list(batches), 1

    def ask(self, limit):
        return self.batches.pop(0) if self.batches else []

    def tell(self, rows): ...


def sizes_of(feed):
    """How many trials each pack has that is handed out now."""
    handed = iter(feed.next_pack, None)
    return [len(pack.trials) for pack in handed]


@pytest.mark.parametrize(
    ("workers", "seconds", "sizes"),
    [
        (1, 5.0, [12]),
        (2, 5.0, [6, 6]),
        (5, 5.0, [2, 3, 2, 3, 2]),
        (50, 5.0, [1] * 12),
        (50, 0.3, [4, 4, 4]),  # a second each, or it would take longer to hand them out
        (50, 0.01, [12]),
    ],
)
def test_trials_that_a_search_waits_for_are_spread_over_the_workers(
    tmp_path, workers, seconds, sizes
) -> None:
    batch = list(packs(1, size=12)[0].trials)
    feed = SweepFeed(Learning(batch), Ledger(tmp_path), SETTINGS)
    feed.workers = workers
    feed._queue._sizer.learn(
        packs(1), dict.fromkeys((t.trial_id for t in packs(1)[0].trials), seconds)
    )
    assert sizes_of(feed) == sizes and feed.search.workers == workers


def test_busy_workers_get_no_part_of_a_batch(tmp_path) -> None:
    ones = [list(p.trials) for p in packs(4, size=8)]
    feed = SweepFeed(Learning(*ones[:2]), Ledger(tmp_path), SETTINGS)
    feed.workers = 2
    assert [len(feed.next_pack().trials) for _ in range(2)] == [4, 4]
    assert sizes_of(feed) == [8], "as many are under way: the second batch is for one of the two"


def test_a_trial_that_may_stop_is_a_chunk_by_itself() -> None:
    stopping = PackSettings(SETTINGS.measures, 1, stopping=True)
    ones = [Pack((trial(seed=i),), stopping) for i in range(4)]
    assert learned(0.001, ones[0]).take(ones, 1, final=False) == 1


class Feed:
    """Notes what it is called with."""

    workers = 1

    def __init__(self, *chunk: Pack, cancelling: bool = False) -> None:
        self.chunk, self.cancelling, self.calls = chunk, cancelling, []

    def next_chunk(self):
        return Chunk(self.chunk)

    def should_cancel(self, left):
        return self.cancelling

    def deadline(self, pack):
        return None

    def __getattr__(self, name):
        return lambda *arguments: self.calls.append((name, *arguments))


def answered(feed):
    in_flight = InFlight(feed)
    in_flight.take("t")
    return in_flight


def answer(in_flight, rows, reasons, **more):
    content = {"host": "h", "node_id": "n", "rows": rows, "reasons": reasons, "left": 1, **more}
    in_flight.report("t", content)
    assert content.keys().isdisjoint({"rows", "reasons"}), "Tune must not keep them"


BAD = {"error": "ValueError: bad", "cause": "open", "node_id": "n", "host": "h"}


def test_packs_are_answered_for_one_by_one() -> None:
    one, two, three, four = packs(4)
    in_flight = answered(feed := Feed(one, two, three, four))
    rows = [encode(fake_rows(one)), encode(fake_rows(three))]
    answer(in_flight, rows, [None, BAD, None])
    name, done, brought = feed.calls[0]
    assert (name, done, brought.num_rows) == ("finished", [one, three], 8)
    assert set(brought["node_id"].to_pylist()) == {"n"}
    assert feed.calls[1] == ("failed", two, Failure.from_plain(BAD))
    in_flight.ended("t")
    lost = Failure("its worker ended without a report", PREEMPTED, host="h", node_id="n")
    assert feed.calls[2:] == [("lost", [four], lost, False)]
    in_flight.ended("t")
    answer(in_flight, rows, [None, None, None])
    assert len(feed.calls) == 3, "a second report finds nothing"


def test_packs_with_probe_results_and_without_are_sent_in_one_report() -> None:
    plain, probed = packs(2, size=1)
    record = ProbeRecord({"kind": "slope"}, FAILED, error="no reason")
    result = replace(fake_result(probed.trials[0]), studies=(record,))
    both = joined([fake_rows(plain), attached(finished_rows([result], "p"), [result])])
    rows, found = detached(decode(encode(both)))
    assert rows.num_rows == 2
    assert found["trial_id"].to_pylist() == [probed.trials[0].trial_id]


def test_a_lost_worker_loses_what_it_has_not_reported() -> None:
    one, two, three = packs(3)
    in_flight = answered(feed := Feed(one, two, three))
    answer(in_flight, [], [BAD])
    in_flight.died("t", "the actor died")
    lost = Failure("the actor died", PREEMPTED, host="h", node_id="n")
    assert feed.calls[1:] == [("lost", [two, three], lost, False)]
    in_flight = answered(feed := Feed(one))
    in_flight.started("t")
    in_flight.died("t", "ray.exceptions.OutOfMemoryError: Task was killed: low on memory")
    assert feed.calls[0][2].cause == "memory" and feed.calls[0][3], "it was alone"


def test_a_cancelled_chunk_returns_its_other_packs() -> None:
    one, two, three = packs(3)
    in_flight = answered(feed := Feed(one, two, three, cancelling=True))
    assert not in_flight.cancel("t", 0), "it has nothing left"
    assert in_flight.cancel("t", 2)
    answer(in_flight, [b"not Arrow"], [None])
    in_flight.ended("t")
    name, pack, failure = feed.calls[0]
    assert (name, pack) == ("failed", one) and "unreadable report" in failure.error
    assert feed.calls[1:] == [("requeue", two, three)]


def test_the_packs_of_an_unfit_worker_go_back_at_once() -> None:
    one, two = packs(2)
    in_flight = answered(feed := Feed(one, two))
    unfit = {"host": "h", "node_id": "n", "unfit": ["no disk"]}
    in_flight.report("t", unfit | {"found_at": 5.0})
    in_flight.report("t", dict(unfit))
    assert feed.calls == [("requeue", one, two), ("node_unfit", "h", "n", ["no disk"], 5.0)]
    feed.done = False
    assert not in_flight.cancel("t", 0), "it keeps its place"
    in_flight.report("t", unfit | {"unfit": []})
    assert feed.calls[2:] == [("node_fit", "h", "n")] and in_flight.cancel("t", 0)
    in_flight.ended("t")
    assert len(feed.calls) == 3, "it has no packs any more"


def test_an_unfit_worker_gives_its_place_where_the_sweep_is_to_end() -> None:
    """A chunk that waits for the only place would keep the sweep running for ever."""
    in_flight = answered(feed := Feed(*packs(1), cancelling=True))
    feed.done = False
    in_flight.report("t", {"host": "h", "node_id": "n", "unfit": ["no disk"]})
    assert in_flight.cancel("t", 0)


def test_a_worker_that_has_answered_may_still_train_a_reference() -> None:
    """What failed there waits for that, so that there will be more to take."""
    in_flight = answered(feed := Feed(*packs(1)))
    answer(in_flight, [], [BAD], left=0)
    feed.done = True
    assert not in_flight.finished
    feed.cancelling = True
    assert in_flight.finished, "an interrupted sweep waits for nothing"
    feed.cancelling = False
    in_flight.ended("t")
    assert in_flight.finished


def test_a_worker_that_waits_for_its_node_does_not_keep_a_sweep_running() -> None:
    in_flight = answered(feed := Feed(*packs(1)))
    in_flight.report("t", {"host": "h", "node_id": "n", "unfit": ["no disk"]})
    feed.done = True
    assert in_flight.finished


@pytest.fixture
def clock(monkeypatch):
    """What the driver takes for the time, in a list of one."""
    now = [0.0]
    monkeypatch.setattr(in_flight, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_workers_that_do_not_start_blame_no_pack_and_end_the_sweep(clock) -> None:
    one = packs(1)[0]
    held, error = InFlight(feed := Feed(one)), "RuntimeEnvSetupError: postgresql://u:pw@h/db"
    held.may_wait = 2
    for second in range(1, 5):
        held.take("t"), held.take("u")
        clock[0] = second
        held.died("t", error), held.died("u", error)  # together: they count once
    held.take("t")
    held.report("t", {"host": "h", "node_id": "n"})
    assert feed.calls == [("requeue", one)] * 8
    held = InFlight(feed := Feed(one))
    for second in range(5, 10):
        held.take("t")
        clock[0] = second
        held.died("t", error)
    said = "no worker starts: RuntimeEnvSetupError: postgresql://u:***@h/db"
    assert feed.calls == [("requeue", one)] * 5 + [("nobody_left", said)]


def test_the_time_before_a_pack_begins_is_not_its_own(clock) -> None:
    one, two = packs(2)
    feed = Feed(one, two)
    feed.deadline, feed.overdue = lambda pack: 60.0, lambda pack, ran: ran > 60
    held = answered(feed)
    held.started("t")
    for clock[0], late in ((1900, []), (1921, ["t"])):
        assert held.overdue() == late, "the check of its node may take half an hour"
    held.report("t", {"host": "h", "node_id": "n"})  # it begins
    clock[0] += 180
    assert held.overdue() == []
    clock[0] += 1
    held.report("t", {"host": "h", "node_id": "n", "partial": b""})
    assert held.overdue() == ["t"], "it goes on, and is late"
    held.died("t", "killed")
    assert feed.calls[0] == ("requeue", two)
    assert feed.calls[1][:2] == ("failed", one) and feed.calls[1][2].cause == "time"
    held.take("t")
    held.started("t")
    clock[0] += 16
    held.died("t", "the node was lost")
    assert feed.calls[2:] == [("requeue", one, two)], "none of them can have begun"


def test_another_trainer_that_starts_takes_none_of_the_time(clock) -> None:
    one, two = packs(2)
    feed = Feed(one, two)
    feed.deadline, feed.overdue = lambda pack: 60.0, lambda pack, ran: ran > 60
    held = answered(feed)
    answer(held, [], [BAD], starts=True)
    clock[0] = 1000
    assert held.overdue() == []
    held.report("t", {"host": "h", "node_id": "n"})
    clock[0] = 1181
    assert held.overdue() == ["t"]


def test_a_worker_that_is_lost_while_it_trains_a_control_blames_no_pack(clock) -> None:
    one, two = packs(2)
    feed = Feed(one, two)
    feed.deadline, feed.overdue = lambda pack: 60.0, lambda pack, ran: ran > 60
    held = answered(feed)
    answer(held, [], [BAD], ends=True)
    clock[0] = 3000
    assert held.overdue() == []
    held.died("t", "the node was lost")
    assert feed.calls[1:] == [("requeue", two)]


def test_a_pack_without_a_deadline_is_asked_about_each_time(clock) -> None:
    feed = Feed(packs(1)[0])
    feed.overdue = lambda pack, ran: ran < 700
    held = answered(feed)
    held.report("t", {"host": "h", "node_id": "n"})
    for clock[0], late in ((599, []), (601, ["t"]), (701, [])):
        assert held.overdue() == late, "a prediction has come"


def test_failures_are_kept_without_passwords() -> None:
    held = answered(feed := Feed(*packs(2)))
    secret = "postgresql://u:pw@host/db"
    answer(held, [], [{**BAD, "error": f"E: {secret}", "log": f"{secret}\nlast"}, {"strange": 1}])
    (_, _, first), (_, _, second) = feed.calls
    assert first.error == "E: postgresql://u:***@host/db"
    assert first.log == "postgresql://u:***@host/db\nlast"
    assert second.error.startswith("unreadable report: TypeError"), "of another version"
    held = answered(feed := Feed(*packs(1)))
    held.report("t", {"host": "h", "node_id": "n", "unfit": [f"no training: {secret}"]})
    assert feed.calls[1][3] == ["no training: postgresql://u:***@host/db"]


@pytest.fixture
def feed(tmp_path):
    spec = small_spec(
        defence={"architecture": "linear", "weight_decay": 0.1, "epochs": [1, 2, 3, 4]}
    )
    return SweepFeed(make_search(spec), Ledger(tmp_path), PackSettings(spec.measures))


def test_the_feed_joins_packs_once_their_duration_is_known(feed) -> None:
    first = feed.next_chunk()
    assert len(first.packs) == 1
    feed.finished(first.packs, fake_rows(first.packs[0]))
    second = feed.next_chunk()
    assert len(second.packs) == 3, "three shapes of one engine"
    assert not feed.done and feed.next_chunk() is None
    assert feed.should_cancel(2) and not feed.should_cancel(1), "another worker has nothing to do"
    feed.requeue(*second.packs[1:])
    assert not feed.should_cancel(2)
    assert feed.next_chunk().packs == second.packs[1:]
    feed.stopping.set()
    assert feed.should_cancel(1)


def test_asking_for_work_takes_no_pack(feed) -> None:
    assert feed.has_work() and feed.has_work() and not feed.done
    assert len(sizes_of(feed)) == 4
    assert not feed.has_work() and not feed.done, "four packs are still running"
    feed.stopping.set()
    assert not feed.has_work()


def test_nothing_is_cancelled_where_no_worker_waits() -> None:
    in_flight = InFlight(SimpleNamespace(should_cancel=lambda left: False))
    assert not in_flight.cancel("t", 5)
