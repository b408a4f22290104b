"""Whose fault failures are: hangs count in a pack too, and a sweep does not end as hopeless before
the harmless part of a pack was tried."""

from collections import Counter

import pytest
from small import begin, results, small_spec, sweep
from trials import fake_rows

from backdoor.errors import TrainingError
from sweeps.ledger import Ledger
from sweeps.records.failure import HANG, OPEN, Failure

BAD = 7
TRIGGERS = [{"kind": "patch", "size": size} for size in range(1, BAD + 2)]


class TwoWorkers:
    """Two packs at once, of which the one that began first, or last, ends first. All but the
    largest patch fail, each as the culprit of its pack; `all_fail`: that one as well. attempts: how
    often each failed."""

    def __init__(self, ends: int, all_fail: bool = False, cause: str = OPEN) -> None:
        self.ends, self.least, self.cause = ends, BAD + 2 if all_fail else BAD + 1, cause
        self.attempts = Counter[str]()

    def run(self, feed) -> None:
        feed.workers, running = 2, []
        while True:
            while len(running) < 2 and (pack := feed.next_pack()) is not None:
                running.append(pack)
            if not running:
                return
            pack = running.pop(self.ends)
            bad = [t.trial_id for t in pack.trials if t.attack.trigger.size < self.least]
            if bad:
                self.attempts[bad[0]] += 1
                feed.failed(pack, Failure("no", self.cause, suspects=(bad[0],), died=True))
            else:
                feed.finished([pack], fake_rows(pack))


SPEC = {"defence": {"architecture": "linear"}, "seeds": 1}


@pytest.mark.parametrize("ends", [0, -1])
def test_many_culprits_in_a_pack_do_not_end_the_sweep_before_its_last_trial(tmp_path, ends) -> None:
    spec = small_spec(**SPEC, attack={"trigger": TRIGGERS, "poison_rate": 0.03})
    paths = begin(tmp_path / "r", spec)
    outcome = sweep(paths, spec, TwoWorkers(ends))
    assert (outcome.finished, outcome.failed, outcome.open) == (1, BAD, 0)
    (fine,) = [row for row in results(paths).values() if row["status"] == "finished"]
    assert fine["config"]["attack"]["trigger"]["size"] == BAD + 1


@pytest.mark.parametrize("ends", [0, -1])
def test_where_everything_fails_the_sweep_ends_with_all_trials_open(tmp_path, ends) -> None:
    spec = small_spec(**SPEC, attack={"trigger": TRIGGERS, "poison_rate": 0.03})
    paths = begin(tmp_path / "r", spec)
    with pytest.raises(TrainingError, match=r"failed, each alone, and none succeeded anywhere: "):
        sweep(paths, spec, TwoWorkers(ends, all_fail=True))
    assert results(paths) == {}


@pytest.mark.parametrize("ends", [0, -1])
def test_a_trial_that_hung_in_a_pack_and_then_alone_has_hung_twice(tmp_path, ends) -> None:
    """Each time takes two minutes."""
    spec = small_spec(**SPEC, attack={"trigger": TRIGGERS, "poison_rate": 0.03})
    paths, workers = begin(tmp_path / "r", spec), TwoWorkers(ends, cause=HANG)
    assert sweep(paths, spec, workers).failed == BAD
    assert set(workers.attempts.values()) == {2}
    failed = [row for row in Ledger(paths.ledger).rows() if row["status"] == "failed"]
    assert {row["cause"] for row in failed} == {HANG}
