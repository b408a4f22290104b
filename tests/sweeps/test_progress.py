"""Rate and time left: from results, not from the start of Ray, and nothing before they are known."""

from __future__ import annotations

import io
import random

import pytest
from trials import fake_result, trial

from backdoor.config import build_attack
from sweeps.driver.progress import Progress, duration, rate_and_left, work_began
from sweeps.ledger import finished_rows

NIGHT = 8 * 3600


def test_nothing_is_known_without_results_or_after_the_first_moment() -> None:
    assert rate_and_left([], 0, 100, 5.0) == (None, None)
    assert rate_and_left([50.0] * 4, 4, 100, 50.4) == (None, None)
    assert rate_and_left([50.0] * 4, 4, 100, 300.0) == (None, None), "one result and no beginning"
    assert rate_and_left([50.0] * 4, 4, 100, 50.4, started=10.0) == (None, None)


def test_time_before_the_first_result_counts_only_as_work() -> None:
    ended = [1000 + second for second in range(11)]  # Ray started for 1,000 seconds
    assert rate_and_left(ended, 11, 61, 1010) == pytest.approx((1.0, 50.0))
    assert rate_and_left(ended, 11, 61, 1010, started=999.0) == pytest.approx((1.0, 50.0))
    rate, _ = rate_and_left(ended, 11, 61, 1010, started=989.0)
    assert rate == pytest.approx(11 / 21)


@pytest.mark.parametrize("workers", [1, 2, 16])
def test_packs_that_end_together_are_no_faster_than_they_are(workers) -> None:
    """Workers that start within 3 s, packs of 60 trials that take 60 s."""
    rng = random.Random(workers)
    ends = [start + 60 * pack for start in [rng.uniform(0, 3) for _ in range(workers)]
            for pack in range(1, 200)]  # fmt: skip
    for now in (100.0, 130.0, 500.0, 2500.0):
        done = [end for end in ends if end <= now for _ in range(60)]
        for started in (0.0, None) if now > 130 else (0.0,):
            rate, left = rate_and_left(done, len(done), len(ends) * 60, now, started)
            assert rate is not None and left is not None
            assert workers * 0.55 < rate < workers * 1.25


def test_what_ended_long_ago_does_not_count_and_a_silence_does() -> None:
    slow = [float(t) for t in range(0, 6000, 60)]
    fast = [6000.0 + t for t in range(600)]
    rate, _ = rate_and_left([*slow, *fast], 700, 1000, 6599.0)
    assert rate == pytest.approx(1.0, rel=0.02)
    assert rate_and_left(fast, 600, 1000, 6599.9)[0] == pytest.approx(1.0, rel=0.02)
    stalled, _ = rate_and_left(fast, 600, 1000, 6599.0 + 600)
    assert stalled == pytest.approx(0.5, rel=0.06)


def test_few_slow_trials_reach_back_further_than_the_window() -> None:
    hours = [3600.0 * n for n in range(1, 6)]
    rate, left = rate_and_left(hours, 5, 10, hours[-1], started=0.0)
    assert (rate, left) == pytest.approx((1 / 3600, 5 * 3600))


def test_order_and_all_that_is_done() -> None:
    ended = [5.0, 1.0, 3.0, 2.0, 4.0]
    assert rate_and_left(ended, 5, 5, 5.0) == (1.0, 0.0)
    assert rate_and_left(ended, 5, 0, 5.0) == (1.0, 0.0)


def test_the_work_on_packs_began_before_their_shares() -> None:
    packs, shares = ["a", "a", "b"], [2.0, 2.0, 10.0]
    assert work_began(packs, shares, [20.0, 20.1, 27.0]) == pytest.approx(16.1)
    assert work_began(["a"], [None], [20.0]) == 20.0
    assert work_began([], [], []) is None


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _rows(count: int, seed: int = 0):
    measures = [build_attack({"trigger": "patch"}).measure()]
    return finished_rows(
        [fake_result(trial("ridge", seed + n), measures) for n in range(count)], "p"
    )


def test_the_line_says_at_most_where_a_search_may_end_early() -> None:
    sure, perhaps = (Progress(100, 0, _Terminal(), at_most=each) for each in (False, True))
    for progress in (sure, perhaps):
        progress.recorded(_rows(1))
        first = next(iter(progress.meter._counts))
        assert progress.line(first + 0.5) == "1/100 trials"
        progress.meter._counts = {first + n: 1 for n in range(11)}
        progress.meter.began, progress.done = first - 1, 11
    assert sure.line(first + 10).startswith("11/100 trials, 1/s, 1 min 29 s left")
    assert perhaps.line(first + 10).startswith("11/100 trials, 1/s, at most 1 min 29 s left")
    sure.stop()
    assert sure.line(first + 10) == "11/100 trials, 1/s, stopping", "not the time to the end of all"


def test_durations_in_words() -> None:
    assert [duration(s) for s in (0.4, 59.4, 60, 3725)] == ["0 s", "59 s", "1 min 0 s", "1 h 2 min"]
