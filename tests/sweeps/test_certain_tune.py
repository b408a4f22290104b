"""`stopping: certain` on a real Ray: packs of one are ended by Tune, members of larger ones by their engine."""

from dataclasses import dataclass

import pytest
from small import begin, results, small_spec, sweep
from trials import fake_result, trial

from backdoor.engines import engine_of
from backdoor.result import CurvePoint, Measurement
from sweeps.early_stopping.limits import StoppingLimit, StoppingLimits, is_holdout
from sweeps.ledger import Ledger, finished_rows
from sweeps.packs.pack import Pack, PackSettings
from sweeps.records.thresholds import Thresholds
from sweeps.runners.tune import TuneRunner
from sweeps.runners.tune_schedulers import CertainScheduler
from sweeps.search import make_search

#: So many that a few holdout trials that end otherwise change nothing.
KNOWN, EPOCHS = 110, 3
SPEC = {
    "data": {"kind": "digits", "train": 128, "validation": 10, "test": 40},
    "defence": {"architecture": ["mlp", {"kind": "convnet", "width": 5}], "epochs": EPOCHS,
                "weight_decay": [0.01]},
    "attack": {"trigger": "patch", "poison_rate": [0, 0.1]},
    "seeds": KNOWN + 6,
    "region": {"clean_accuracy": 0.05, "attack_success": 0.2},
    "stopping": {"kind": "certain", "confidence": 0.9, "control": 0.3},
}  # fmt: skip


def known(config):
    """A finished trial whose attack took in the last epoch only: any curve predicts it then."""
    points = [CurvePoint(e, 38, (0 if e < EPOCHS else 30,), 9) for e in range(1, EPOCHS + 1)]
    values = dict(vars(fake_result(config)))
    (measured,) = values["measurements"]
    values |= {"engine": None, "class_correct": (38,), "class_total": (40,), "curve": tuple(points),
               "measurements": (Measurement(measured.measure_id, 30, 0, 36),)}  # fmt: skip
    return type(fake_result(config))(**values)


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_on_tune_single_trials_and_members_end_once_they_are_certain(tmp_path) -> None:
    spec = small_spec(**SPEC)
    paths = begin(tmp_path / "r", spec)
    trials = make_search(spec).ask(4096)
    attacked = [t for t in trials if t.attack is not None]
    learned = [t for t in trials if t.seed < KNOWN]
    Ledger(paths.ledger).append(finished_rows([known(t) for t in learned if t.attack], "before"))
    baselines = finished_rows([fake_baseline(t) for t in learned if not t.attack], "before")
    Ledger(paths.ledger).append(baselines)
    outcome = sweep(paths, spec, TuneRunner(cpu=1, stopping=spec.stopping))
    rows = {r.trial_id: r for r in Ledger(paths.ledger).trials()}
    new = [t for t in attacked if t.seed >= KNOWN]
    assert {engine_of(t).name for t in new} == {"packed", "serial"}
    for config in new:
        row = rows[config.trial_id]
        assert row.predicted.startswith("fails: attack_success ")
        assert " after epoch 1 ends above 0.2, as it did in " in row.predicted
        if is_holdout(config.trial_id, 0.3):
            assert row.finished and len(row.curve) == EPOCHS and row.stopped_by is None
        else:
            assert (row.status, row.epochs_run) == ("stopped", 1)
            assert row.stopped_by == f"certain: {row.predicted}"
            assert row.trained_images == 128 and row.cpus == 1
    stopped = sum(not is_holdout(t.trial_id, 0.3) for t in new)
    assert 6 <= stopped == outcome.stopped < len(new) and outcome.failed == 0
    assert outcome.finished == len(trials) - stopped
    before, again = results(paths), []
    sweep(paths, spec, TuneRunner(work=again.append, stopping=spec.stopping))
    assert not again and results(paths) == before


def fake_baseline(config):
    return type(fake_result(config))(**{**vars(fake_result(config)), "engine": None})


@dataclass(frozen=True)
class Named:
    trial_id: str


def test_the_scheduler_asks_what_is_known_when_a_trial_reports() -> None:
    config, said = trial(), []
    limits = {"now": None}
    pack = Pack((config,), PackSettings((), 1, predicting=True))
    scheduler = CertainScheduler(
        {"t": pack}.get, lambda c: limits["now"], lambda *why: said.append(("stop", *why)),
        lambda *why: said.append(("goes on", *why)),
    )  # fmt: skip

    def report(**figures):
        verdict = scheduler.on_trial_result(None, Named("t"), figures)
        assert scheduler.error is None
        return verdict

    figures = {"clean_accuracy": 0.9, "attack_success": 0.5}
    thresholds = Thresholds(clean_accuracy=0.8, attack_success=0.2)
    assert report(epoch=1, **figures) == "CONTINUE"
    limits["now"] = StoppingLimits(
        thresholds, (StoppingLimit("attack_success", 2, 0.2, 30, 0),), True
    )
    assert report(epoch=1, **figures) == report(epoch=2, **figures) == "CONTINUE"
    predicted = "fails: attack_success 0.5000 after epoch 2 ends above 0.2, as it did in 30 of 30 finished trials"  # fmt: skip
    assert said == [("goes on", "t", predicted)]
    limits["now"] = StoppingLimits(thresholds, limits["now"].limits)
    assert report(epoch=2, **figures) == "STOP"
    assert said[1:] == [("stop", "t", f"certain: {predicted}", predicted)]
    assert scheduler.on_trial_result(None, Named("other"), {"left": 0}) == "CONTINUE"
    assert report(left=0) == "CONTINUE"  # the last report, of rows
