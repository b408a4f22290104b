"""Trials stopped by Tune's rules on a real Ray, against the rules written out once more here."""

import numpy as np
import pytest
from small import SMALL, begin, results, small_spec, sweep

from sweeps.ledger import Ledger
from sweeps.packs.pack import PackSettings, make_packs
from sweeps.runners import train_pack
from sweeps.runners.serial import SerialRunner
from sweeps.runners.tune import TuneRunner
from sweeps.search import make_search

pytestmark = pytest.mark.usefixtures("local_ray")
EPOCHS, GRACE = 7, 2
#: Files that the disk has room for in the sweep that is cut off.
SEGMENTS = 8
#: Three learning rates that learn, three that do not, and a closed form.
DEFENCE = {
    "architecture": ["mlp", {"kind": "ridge", "weight_decay": 0.1}],
    "learning_rate": [1e-6, 1e-5, 1e-4, 0.03, 0.1, 0.2],
    "epochs": EPOCHS,
}
ATTACK = {"trigger": {"kind": "patch", "size": 1}, "poison_rate": [0, 0.01, 0.03]}
ASHA = {"kind": "asha", "grace_period": GRACE, "reduction_factor": 2}
MEDIAN = {"kind": "median", "metric": "validation_accuracy", "grace_period": GRACE, "min_samples_required": 2}  # fmt: skip
DOCUMENT = {**SMALL, "defence": DEFENCE, "attack": ATTACK, "seeds": 1, "curve_every": 1}


@pytest.fixture(scope="module")
def unstopped(tmp_path_factory):
    """Trial id → row of the same sweep without stopping, trained in packs in this process."""
    spec = small_spec(**DOCUMENT)
    paths = begin(tmp_path_factory.mktemp("unstopped") / "r", spec)
    sweep(paths, spec, SerialRunner(train_pack))
    return results(paths)


def in_order(spec):
    """Attacked trials that are trained by epochs, as packs of one and one after the other."""
    packs = make_packs(make_search(spec).ask(4096), PackSettings(spec.measures, 1, stopping=True))
    return [t for p in packs for t in p.trials if t.attack and "epochs" in t.canonical["defence"]]


def curve(row, metric):
    """The metric after epochs 1 to EPOCHS - 1, from the counts."""
    size, total = row["validation_total"], row["measurements"][0]["total"]
    accuracy = np.array([p["validation_correct"] / size for p in row["curve"]])
    success = np.array([p["success"][0] / total for p in row["curve"]])
    return ({"score": accuracy - success, "validation_accuracy": accuracy}[metric])[: EPOCHS - 1]


def asha(values, alternatives):
    """The epoch after which ASHA stops a trial, None where it never does."""
    for epoch in (GRACE, 2 * GRACE):
        reached = [other[epoch - 1] for other in alternatives if len(other) >= epoch]
        if reached and values[epoch - 1] < np.percentile(reached, 50):
            return epoch
    return None


def median(values, alternatives):
    """The epoch after which the median rule stops a trial, None where it never does."""
    for epoch in range(GRACE, EPOCHS):
        means = [o[GRACE - 1 : epoch].mean() for o in alternatives if len(o) >= epoch]
        if len(means) >= 2 and max(values[:epoch]) < np.median(means):
            return epoch
    return None


def predicted(rule, metric, spec, unstopped):
    """Trial id → the epoch after which it is stopped, None for those that finish."""
    expected, alternatives = {}, {}
    for trial in in_order(spec):
        values = curve(unstopped[trial.trial_id], metric)
        before = alternatives.setdefault(trial.attack_id, [])
        expected[trial.trial_id] = rule(values, before)
        before.append(values[: expected[trial.trial_id]])
    return expected


def check(found, expected, unstopped, reason):
    """Finished rows are those of the undisturbed sweep, bitwise; stopped ones begin like theirs."""
    assert set(found) == set(unstopped)
    assert {i: r["epochs_run"] for i, r in found.items() if i in expected} == expected
    stopped = {i for i, epoch in expected.items() if epoch}
    assert {i for i, r in found.items() if r["status"] == "stopped"} == stopped
    for name in set(found) - stopped:
        assert found[name] == unstopped[name]
    kept = ["trial_id", "defence_id", "attack_id", "seed", "config", "engine", "engine_version",
            "data_fingerprint", "train_images", "poisoned", "relabelled", "validation_total", "class_total", "error"]  # fmt: skip
    lost = ["validation_correct", "class_correct", "collapsed", "diverged"]
    for name in stopped:
        row, whole = found[name], unstopped[name]
        assert (
            row["curve"] == whole["curve"][: expected[name]] and len(row["curve"]) == expected[name]
        )
        assert {k: row[k] for k in kept} == {k: whole[k] for k in kept}
        assert [row[k] for k in lost] == [None] * 4
        (measured,), (end,) = row["measurements"], whole["measurements"]
        assert measured == {**end, "success": None, "robust": None}
        assert row["stopped_by"].startswith(reason)
        assert row["stopped_by"].endswith(f" after epoch {expected[name]}")


def test_asha_stops_those_that_it_should(tmp_path, unstopped) -> None:
    """One trial at a time, so that what a rule knows when it decides is known here as well."""
    spec = small_spec(**{**DOCUMENT, "stopping": ASHA})
    paths, expected = begin(tmp_path / "r", spec), predicted(asha, "score", spec, unstopped)
    outcome = sweep(paths, spec, TuneRunner(cpu=2, stopping=spec.stopping))
    assert outcome.stopped == sum(map(bool, expected.values())) >= 3
    assert (outcome.finished, outcome.failed) == (len(unstopped) - outcome.stopped, 0)
    found = results(paths)
    check(found, expected, unstopped, "asha: score ")
    for name in expected:
        if found[name]["stopped_by"]:
            value = curve(unstopped[name], "score")[expected[name] - 1]
            assert (
                found[name]["stopped_by"] == f"asha: score {value:.4f} after epoch {expected[name]}"
            )
    again = []
    outcome = sweep(paths, spec, TuneRunner(work=again.append, stopping=spec.stopping))
    assert not again and results(paths) == found
    assert outcome.stopped == len(found) - outcome.finished


@pytest.mark.slow
def test_the_median_rule_cut_off_and_resumed(tmp_path, unstopped, monkeypatch) -> None:
    """What the rule knew is in the ledger: a resumed sweep ends as if nothing had happened."""
    spec = small_spec(**{**DOCUMENT, "stopping": MEDIAN})
    paths = begin(tmp_path / "r", spec)
    expected = predicted(median, "validation_accuracy", spec, unstopped)
    write = Ledger._write

    def full(self, word, table):
        if len(self.segments()) == SEGMENTS:
            raise OSError("no space left on device")
        write(self, word, table)

    monkeypatch.setattr(Ledger, "_write", full)
    with pytest.raises(OSError, match="no space left"):
        sweep(paths, spec, TuneRunner(cpu=2, stopping=spec.stopping))
    monkeypatch.undo()
    before = Ledger(paths.ledger)
    stamps = {r.trial_id: r.finished_at for r in before.trials()}
    assert before.stopped and before.finished and len(before.segments()) == SEGMENTS

    runner = TuneRunner(cpu=2, stopping=spec.stopping, past=before.table())
    outcome = sweep(paths, spec, runner)
    assert outcome.stopped == sum(map(bool, expected.values())) > len(before.stopped)
    rows = Ledger(paths.ledger).trials()
    assert stamps.items() <= {r.trial_id: r.finished_at for r in rows}.items()
    assert sum(file_rows(paths)) == len(rows) == len(unstopped)
    check(results(paths), expected, unstopped, "median: validation_accuracy ")


def file_rows(paths):
    """Rows of each file: a trial that was recorded twice would count twice."""
    from pyarrow import parquet

    return [parquet.read_metadata(file).num_rows for file in Ledger(paths.ledger).files()]
