"""When a sweep ends because nothing works: not before the harmless part of a pack was tried."""

import pytest
from small import begin, results, small_spec, sweep
from trials import fake_rows

from backdoor.errors import TrainingError
from sweeps.records.failure import Failure

BAD = 7
TRIGGERS = [{"kind": "patch", "size": size} for size in range(1, BAD + 2)]


class TwoWorkers:
    """Two packs at once, of which the one that began first, or last, ends first. All but the
    largest patch fail, each as the culprit of its pack; `all_fail`: that one as well."""

    def __init__(self, ends: int, all_fail: bool) -> None:
        self.ends, self.least = ends, BAD + 2 if all_fail else BAD + 1

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
                feed.failed(pack, Failure("no", suspects=(bad[0],), died=True))
            else:
                feed.finished([pack], fake_rows(pack))


SPEC = {"defence": {"architecture": "linear"}, "seeds": 1}


@pytest.mark.parametrize("ends", [0, -1])
def test_many_culprits_in_a_pack_do_not_end_the_sweep_before_its_last_trial(tmp_path, ends) -> None:
    spec = small_spec(**SPEC, attack={"trigger": TRIGGERS, "poison_rate": 0.03})
    paths = begin(tmp_path / "r", spec)
    outcome = sweep(paths, spec, TwoWorkers(ends, all_fail=False))
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
