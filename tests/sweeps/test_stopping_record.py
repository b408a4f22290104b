"""What becomes of a stopped trial: the ledger, the region, the search, the mirror, the exports."""

import html
import json
import re
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from answered import text_of
from mirrored import Folder, runs
from mlflow import MlflowClient
from small import SMALL, begin, small_spec
from trials import FEW, fake_result, same, trial

from backdoor.config import measure_id
from backdoor.errors import UserError
from backdoor.result import CurvePoint, PartialResult
from backdoor.trial import run_pack
from dashboards.report import write_report
from sweeps.cli import FINE, WRONG
from sweeps.cli.main import main
from sweeps.final_model.select import choose
from sweeps.ledger import (
    SCHEMA,
    Ledger,
    failed_rows,
    finished_rows,
    load_results,
    partial_rows,
    stopped_rows,
)
from sweeps.mirror import mirror
from sweeps.packs.chunk import Chunk
from sweeps.packs.pack import Pack, PackSettings, make_packs
from sweeps.region.panel import criteria_of
from sweeps.region.point_table import region_of
from sweeps.runners import tune
from sweeps.runners.tune_schedulers import StoppingScheduler
from sweeps.search import make_search
from sweeps.spec.sections import StoppingSettings

pytest_plugins = ["mirror_fixtures"]
TRIALS = [trial("linear", seed=seed, epochs=5) for seed in range(4)]
REASON = "asha: score 0.1000 after epoch 2"


def partial(config):
    """After two of its epochs: 60 % and 80 % of 500 images, 20 % and 10 % of 450 with a trigger."""
    curve = (CurvePoint(1, 300, (90,), 120), CurvePoint(2, 400, (45,), 150))
    return PartialResult(
        config, "fake", 1, "fingerprint", 1100, 33, 30, 200, (50,) * 10,
        {measure_id(config.attack): 450}, curve, 0.5, "cpu", "here",
    )  # fmt: skip


def stopped(*configs):
    return stopped_rows(partial_rows([partial(c) for c in configs], "pack"), REASON)


def finished(*configs):
    return finished_rows([fake_result(c) for c in configs], "pack")


# --- the training ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("architecture", "epochs"), [("mlp", 5), ({"kind": "convnet", "width": 4}, 3), ("ridge", 0)]
)
def test_progress_is_reported_at_every_point_but_the_last_and_changes_nothing(
    architecture, epochs
) -> None:
    config = trial(architecture, epochs=epochs or 1, data=FEW, rate=0.1)
    heard = []
    (result,) = run_pack([config], curve_every=1, on_progress=heard.append)
    assert [p.epochs_run for p in heard] == list(range(1, epochs))
    assert all(p.curve == result.curve[: p.epochs_run] for p in heard)
    (calm,) = run_pack([config])
    assert same(replace(result, curve=()), calm)
    for p in heard:
        assert (p.class_total, p.validation_total) == (result.class_total, result.validation_total)
        assert p.attack_total == {m.measure_id: m.total for m in result.measurements}
    if epochs:
        last = result.curve[-1]
        assert last.validation_correct == result.validation_correct
        assert last.clean_correct == sum(result.class_correct)


def test_trials_that_may_be_stopped_have_packs_of_their_own() -> None:
    trials = [trial(a, seed, rate, weight_decay=0.1) for a in ("mlp", "ridge") for seed in (0, 1) for rate in (0, 0.03)]  # fmt: skip
    calm, stopping = (
        make_packs(trials, PackSettings(())),
        make_packs(trials, PackSettings((), 1, stopping=True)),
    )
    assert sorted(len(pack.trials) for pack in calm) == [4, 4]
    assert sorted(len(pack.trials) for pack in stopping) == [1, 1, 2, 4]
    for pack in stopping:
        alone = {t.attack is not None and t.defence.architecture.kind == "mlp" for t in pack.trials}
        assert alone == {pack.may_stop}
        assert Chunk.from_json(Chunk((pack,)).to_json()).packs == (pack,)
    assert not any(pack.may_stop for pack in calm)


# --- the rules ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Named:
    """The part of Tune's trials that a rule reads."""

    trial_id: str


class Reports:
    """A scheduler with trials that are only names."""

    def __init__(self, configs, past=None, **settings):
        self.packs = {n: Pack((c,), PackSettings((), 1, stopping=True)) for n, c in configs.items()}
        self.stopped = {}
        self.scheduler = StoppingScheduler(
            StoppingSettings(**settings), self.packs.get, self.stopped.__setitem__, past
        )

    def report(self, name, epoch, **values):
        verdict = self.scheduler.on_trial_result(None, Named(name), {"epoch": epoch, **values})
        assert self.scheduler.error is None
        return verdict


def test_trials_compete_only_with_those_of_the_same_attack_and_epochs() -> None:
    configs = {
        "good": trial(), "bad": trial(seed=1), "worse": trial(weight_decay=1),
        "stronger": trial(rate=0.3), "longer": trial(epochs=50),
    }  # fmt: skip
    reports = Reports(configs, kind="asha", metric="attack_success", reduction_factor=2)
    assert reports.report("good", 1, attack_success=0.1) == "CONTINUE"
    assert reports.report("stronger", 1, attack_success=0.9) == "CONTINUE"
    assert reports.report("longer", 1, attack_success=0.8) == "CONTINUE"
    assert reports.report("bad", 1, attack_success=0.2) == "STOP"
    assert reports.report("worse", 1, attack_success=0.14) == "CONTINUE"
    assert reports.stopped == {"bad": "asha: attack_success 0.2000 after epoch 1"}


def test_a_trial_that_begins_again_is_not_counted_twice() -> None:
    reports = Reports({"a": trial(), "b": trial(seed=1), "c": trial(seed=2)}, kind="median",
                grace_period=2, min_samples_required=2)  # fmt: skip
    for _ in range(2):  # its worker died after epoch 2
        assert reports.report("a", 1, score=0.0) == reports.report("a", 2, score=0.2) == "CONTINUE"
    assert reports.report("a", 3, score=0.8) == "CONTINUE"
    for epoch in (1, 2, 3):
        assert reports.report("b", epoch, score=0.4) == "CONTINUE"
    # At epoch 3 the means since epoch 2 are 0.5 and 0.4; with epoch 2 twice the first would be 0.4.
    assert [reports.report("c", epoch, score=0.42) for epoch in (1, 2)] == ["CONTINUE"] * 2
    assert reports.report("c", 3, score=0.42) == "STOP"


def test_no_rule_where_training_ends_within_the_grace_period() -> None:
    reports = Reports(
        {"a": trial(epochs=3), "b": trial(seed=1, epochs=3)}, kind="asha", grace_period=3
    )
    assert reports.report("a", 2, score=0.9) == reports.report("b", 2, score=0.1) == "CONTINUE"


def test_rules_begin_with_what_the_ledger_holds() -> None:
    low, high = stopped(*TRIALS[:1]), finished_with_curve(TRIALS[1])
    past = pa.concat_tables([low, high, failed_rows([TRIALS[2]], "p", "x"), finished(trial("ridge"))])  # fmt: skip
    options = {"kind": "asha", "grace_period": 2, "reduction_factor": 2}
    fresh, resumed = (Reports({"c": TRIALS[3]}, p, **options) for p in (None, past))
    # Recorded scores after epoch 2: 150/200 - 45/450 = 0.65, and 180/200 - 45/450 = 0.8.
    assert fresh.report("c", 2, score=0.7) == "CONTINUE"
    assert resumed.report("c", 2, score=0.72) == "STOP"
    again = Reports({"c": TRIALS[3]}, past, **options)
    assert again.report("c", 2, score=0.73) == "CONTINUE"


def finished_with_curve(config):
    curve = (CurvePoint(2, 450, (45,), 180), CurvePoint(5, 450, (0,), 200))
    result = fake_result(config)
    return finished_rows([replace(result, curve=curve, validation_total=200)], "pack")


def test_an_error_in_the_rules_is_raised_after_tunes_loop(monkeypatch) -> None:
    verdicts = []

    class Tuner:
        def __init__(self, trainable, tune_config, run_config):
            self.scheduler = tune_config.scheduler

        def fit(self):
            broken = SimpleNamespace()
            verdicts.append(self.scheduler.on_trial_result(None, broken, {"epoch": 1}))

    monkeypatch.setattr(tune.tune, "Tuner", Tuner)
    monkeypatch.setattr(tune.ray, "cluster_resources", lambda: {"CPU": 2.0})
    runner = tune.TuneRunner(stopping=StoppingSettings(kind="asha"))
    with pytest.raises(AttributeError, match="trial_id"):
        runner._fit(tune.InFlight(SimpleNamespace()), "scratch")
    assert verdicts == ["CONTINUE"]


# --- the ledger --------------------------------------------------------------------------------


def test_a_stopped_trial_is_neither_finished_nor_failed(tmp_path) -> None:
    ledger = Ledger(tmp_path)
    ledger.append(failed_rows(TRIALS[:1], "pack", "boom"))
    assert ledger.append(stopped(*TRIALS[:2])).num_rows == 2
    assert ledger.append(stopped(TRIALS[1])).num_rows == 0
    assert ledger.append(failed_rows(TRIALS[:2], "pack", "too late")).num_rows == 0
    ledger.append(finished(TRIALS[2]))
    assert ledger.append(stopped(TRIALS[2])).num_rows == 0
    for found in (ledger, Ledger(tmp_path)):
        ids = [t.trial_id for t in TRIALS]
        assert (found.stopped, found.finished, found.failed) == ({*ids[:2]}, {ids[2]}, set())
    rows = {row["trial_id"]: row for row in ledger.rows()}
    row = rows[TRIALS[0].trial_id]
    assert (row["status"], row["epochs_run"], row["stopped_by"], row["error"]) == ("stopped", 2, REASON, None)  # fmt: skip
    assert [p["clean_correct"] for p in row["curve"]] == [300, 400]
    assert row["class_correct"] is row["validation_correct"] is row["collapsed"] is None


def test_of_two_rows_of_a_trial_the_finished_one_counts_then_the_stopped_one(tmp_path) -> None:
    tables = [failed_rows(TRIALS[:2], "p", "a"), stopped(*TRIALS[:3]), stopped(*TRIALS[:3]),
              finished(*TRIALS[1:2]), failed_rows(TRIALS[:3], "p", "b")]  # fmt: skip
    for table in tables:
        Ledger(tmp_path)._write("part", table)
    found = {row.trial_id: row.status for row in Ledger(tmp_path).trials()}
    assert [found[t.trial_id] for t in TRIALS[:3]] == ["stopped", "finished", "stopped"]


def test_a_ledger_of_the_version_before_is_read_and_goes_on(tmp_path) -> None:
    """Version 1: no stopped trials, no validation counts in curves."""
    curve = pa.struct([("epoch", pa.int64()), ("clean_correct", pa.int64()), ("success", pa.list_(pa.int64()))])  # fmt: skip
    fields = [f for f in SCHEMA if f.name not in ("epochs_run", "stopped_by")]
    fields = [pa.field("curve", pa.list_(curve)) if f.name == "curve" else f for f in fields]
    row = finished_with_curve(TRIALS[0]).to_pylist()[0]
    for point in row["curve"]:
        del point["validation_correct"]
    old = pa.schema(fields, metadata={"schema_version": "1"})
    pq.write_table(pa.Table.from_pylist([row], schema=old), tmp_path / "part-1.parquet")
    ledger = Ledger(tmp_path)
    ledger.append(stopped(TRIALS[1]))
    rows = {r["trial_id"]: r for r in ledger.rows()}
    expected = [{"epoch": 2, "clean_correct": 450, "success": [45], "validation_correct": None},
                {"epoch": 5, "clean_correct": 450, "success": [0], "validation_correct": None}]  # fmt: skip
    assert rows[TRIALS[0].trial_id]["curve"] == expected
    assert rows[TRIALS[0].trial_id]["class_correct"] == row["class_correct"]
    before = ledger.table()
    ledger.compact()
    (file,) = ledger.files()
    assert pq.read_schema(file).metadata[b"schema_version"] == b"7"
    assert Ledger(tmp_path).table().equals(before)
    reports = Reports({"c": TRIALS[3]}, before, kind="asha", grace_period=2)
    assert (
        reports.report("c", 2, score=-1.0) == "STOP"
    )  # by the stopped one: the old curve says nothing


# --- the region, the exports and the report ----------------------------------------------------


def crafted(tmp_path, clean_by_decay, stops, **changes):
    """A sweep of made-up rows: clean images correct of 500 by weight decay; where `stops`, the
    attacked trials at rate 0.03 were stopped. Every attack fails; the baseline is 5 better."""
    spec = small_spec(defence={"architecture": "linear", "epochs": 5, "weight_decay": list(clean_by_decay)},
                      stopping={"kind": "asha", "grace_period": 2}, **changes)  # fmt: skip
    paths = begin(tmp_path / "r", spec)
    done, ended = [], []
    for config in make_search(spec).ask(4096):
        rate = config.attack.poison_rate if config.attack else 0
        correct = clean_by_decay[config.defence.weight_decay] + (0 if rate else 5)
        if rate == 0.03 and config.defence.weight_decay in stops:
            ended.append(config)
            continue
        result = fake_result(config, spec.measures)
        counts = tuple(replace(m, success=9) for m in result.measurements)
        done.append(replace(result, class_correct=(correct,), class_total=(500,), measurements=counts,
                            validation_correct=correct // 5, validation_total=100))  # fmt: skip
    ledger = Ledger(paths.ledger)
    ledger.append(finished_rows(done, "pack"))
    ledger.append(stopped(*ended))
    return paths, spec, ledger


def test_a_point_with_stopped_trials_is_incomplete_and_its_baseline_keeps_the_best(
    tmp_path, capsys
) -> None:
    paths, spec, ledger = crafted(tmp_path, {0.01: 480, 0.1: 450, 1.0: 470}, stops=(0.01,))
    region = region_of(criteria_of(spec), ledger, 18)
    assert region["trials"] == {"finished": 16, "stopped": 2, "failed": 0, "planned": 18}
    table = {p["factors"]["defence.weight_decay"]: p for p in region["points"]}
    assert [table[d]["stopped"] for d in (0.01, 0.1, 1.0)] == [2, 0, 0]
    assert [table[d]["by_means"] for d in (0.01, 0.1, 1.0)] == ["INCOMPLETE", "OUT", "IN"]
    assert table[0.01]["by_bounds"] == "UNDECIDED" and table[0.01]["clean_accuracy"] is None
    # The accurate point is gone, but not what it says of accuracy: (480 + 5) / 500 - 0.05.
    clean = region["thresholds"]["clean_accuracy"]
    assert clean["best"] == pytest.approx(0.97) and clean["value"] == pytest.approx(0.92)
    assert (clean["best_point"], clean["best_source"]) == (table[0.01]["defence_id"], "baseline")
    text = text_of(region, criteria_of(spec), ledger)
    assert ", 1 incomplete; 1 IN by means\n" in text
    assert "\nState: finished, 18 of 18 trials have ended, 2 of them early.\n" in text
    assert "\n  clean accuracy 0.940 (mean of 2 seeds; one new seed: " in text
    assert (
        "; it costs 0.030 against the point that is best on validation images (0.970 by its clean "
        "baseline)\n"
    ) in text

    assert main(["status", str(paths.root), "--json"]) == FINE
    answer = json.loads(capsys.readouterr().out)
    assert (answer["finished"], answer["stopped"], answer["failed"]) == (16, 2, 0)
    assert main(["region", str(paths.root)]) == FINE
    write_report(paths.root)
    page = paths.report.read_text()
    assert "<h2>Trials without a result: stopped</h2>" in page
    assert "planned trials have no result" not in page
    assert "2 trials were stopped early, by a rule" in page
    words = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())
    assert (
        "0.030 less than the most accurate point by validation images ( 0.970 , its clean baseline)"
    ) in words

    stopped_point = table[0.01]["defence_id"]
    chosen = choose(spec, paths, stopped_point, "1")
    assert {row.attack_id for row in chosen.rows} == {"clean", region["panel"][0]["attack_id"]}
    with pytest.raises(UserError, match="--attack: needs a point that every attack"):
        choose(spec, paths, stopped_point, "worst")

    rows = [r for r in load_results(paths.root).to_pylist() if r["status"] == "stopped"]
    assert len(rows) == 2
    for row in rows:
        assert (row["epochs_run"], row["stopped_by"]) == (2, REASON)
        assert row["clean_accuracy"] is row["attack_success"] is row["success"] is None


def test_without_a_complete_point_nothing_is_denied(tmp_path) -> None:
    _, spec, ledger = crafted(tmp_path, {0.01: 480, 0.1: 450}, stops=(0.01, 0.1))
    criteria = criteria_of(spec)
    text = text_of(region_of(criteria, ledger, 12), criteria, ledger)
    assert (
        "\nAnswer: No defence point is complete yet, 2 are tried and incomplete (4 trials were "
        "stopped early): every attack of the panel needs every seed.\n"
    ) in text
    assert "No region" not in text


def test_a_point_that_is_only_not_done_yet_says_nothing_of_the_best(tmp_path) -> None:
    paths, spec, ledger = crafted(tmp_path, {0.01: 480, 1.0: 470}, stops=())
    rows = ledger.table().to_pylist()
    keep = [r for r in rows if json.loads(r["config"])["defence"]["weight_decay"] == 1.0 or r["attack_id"] == "clean"]  # fmt: skip
    other = Ledger(paths.root / "other")
    other.append(pa.Table.from_pylist(keep, schema=SCHEMA))
    clean = region_of(criteria_of(spec), other, 12)["thresholds"]["clean_accuracy"]
    assert (clean["best"], clean["best_source"]) == (pytest.approx(0.94), "panel")


# --- the search --------------------------------------------------------------------------------


def test_optuna_hears_of_a_pruned_trial_and_never_proposes_it_again() -> None:
    search = {"kind": "optuna", "points": 3, "pending": 1}
    spec = small_spec(defence={"architecture": "linear", "epochs": 5, "weight_decay": {"log": [0.01, 1]}},
                      search=search, stopping="asha")  # fmt: skip
    first = make_search(spec)
    asked = first.ask(4096)
    rows = [stopped(t) if t.attack else finished_rows([fake_result(t, spec.measures)], "p") for t in asked]  # fmt: skip
    first.tell(pa.concat_tables(rows))
    assert not {t.defence_id for t in first.ask(4096)} & {t.defence_id for t in asked}
    assert [t.state.name for t in first.study.trials] == ["PRUNED", "RUNNING"]

    resumed = make_search(spec)
    resumed.tell(pa.concat_tables(rows))
    again = resumed.ask(4096)
    assert again and not {t.trial_id for t in again} & {t.trial_id for t in asked}
    assert [t.state.name for t in resumed.study.trials] == ["PRUNED", "RUNNING"]


# --- the mirror --------------------------------------------------------------------------------


def test_a_stopped_trial_is_a_killed_run_with_its_curve(folder: Folder) -> None:
    Ledger(folder.paths.ledger).append(stopped(TRIALS[0]))
    assert mirror(folder.paths).created == 1
    assert mirror(folder.paths).present == 1
    (run,) = runs(folder.uri)
    assert run.info.status == "KILLED"
    tags = {"status": "stopped", "stopped_by": REASON, "trial_id": TRIALS[0].trial_id}
    assert tags.items() <= run.data.tags.items() and "error" not in run.data.tags
    client = MlflowClient(tracking_uri=folder.uri)
    curves = {
        key: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, key)]
        for key in run.data.metrics if key.endswith("_by_epoch")
    }  # fmt: skip
    assert curves == {
        "clean_accuracy_by_epoch": [(1, 0.6), (2, 0.8)],
        "validation_accuracy_by_epoch": [(1, 0.6), (2, 0.75)],
        "attack_success_by_epoch": [(1, 0.2), (2, 0.1)],
    }
    assert run.data.metrics["epochs_run"] == 2 and run.data.metrics["poisoned"] == 33
    assert not {"clean_accuracy", "attack_success", "validation_accuracy"} & set(run.data.metrics)


def test_a_run_a_point_is_killed_too_and_keeps_the_best(new_store, tmp_path) -> None:
    tracking = {"uri": new_store("points.db"), "runs": "point"}
    decays = {0.01: 480, 0.1: 450, 1.0: 470}
    paths, *_ = crafted(tmp_path, decays, stops=(0.01,), tracking=tracking)
    assert mirror(paths).created == 3
    found = {float(r.data.params["defence.weight_decay"]): r for r in runs(tracking["uri"])}
    assert [found[d].info.status for d in decays] == ["KILLED", "FINISHED", "FINISHED"]
    assert [found[d].data.tags["by_means"] for d in decays] == ["INCOMPLETE", "OUT", "IN"]
    assert found[0.01].data.metrics["trials_stopped"] == 2
    assert "trials_stopped" not in found[1.0].data.metrics
    assert found[1.0].data.metrics["margin"] == pytest.approx(0.94 - 0.92)  # best by its baseline


# --- specs -------------------------------------------------------------------------------------

LINEAR = {"architecture": "linear", "epochs": 5}
WRONG_SPECS = {
    "unknown rule": ({"stopping": "asah"}, "stopping.kind: must be one of none, asha, median, certain, but got 'asah'. Did you mean 'asha'?"),
    "unknown key": ({"stopping": {"kind": "asha", "grace_perod": 2}}, "stopping.grace_perod: is not a known key, but got 2. Did you mean 'grace_period'?"),
    "unknown metric": ({"stopping": {"kind": "asha", "metric": "loss"}}, "stopping.metric: must be one of score, validation_accuracy, attack_success, but got 'loss'."),
    "no factor": ({"stopping": {"kind": "asha", "reduction_factor": 1}}, "stopping.reduction_factor: must be greater than 1, but got 1."),
    "foreign option": ({"stopping": {"kind": "median", "reduction_factor": 3}}, "stopping.reduction_factor: has no meaning for `median`, but got 3"),
    "options without a kind": ({"stopping": {"grace_period": 2}}, "stopping.grace_period: has no meaning for `none`, but got 2. Remove it, or say `kind: asha` or `kind: median`"),
    "no curve": ({"stopping": "asha", "curve_every": 0}, "curve_every: must be at least 1 when trials are stopped: decisions are made on the curve, but got 0."),
    "closed forms only": ({"stopping": "asha", "defence": {"architecture": "ridge"}}, "stopping: must have something to stop: none of the architectures is trained by epochs, but got 'asha'."),
    "grace to the end": ({"stopping": {"kind": "asha", "grace_period": 5}}, "stopping.grace_period: must leave a point of the curve before the last epoch, but got 5. With 5 epochs and curve_every 1 the last decision is after epoch 4: use at most that."),
    "rare curve": ({"stopping": "asha", "curve_every": 5}, "stopping.grace_period: must leave a point of the curve before the last epoch, but got 1. With 5 epochs and curve_every 5 there is none at all."),
    "no baseline for the best": ({"stopping": "asha", "attack": {"trigger": "patch", "poison_rate": 0.03}}, "attack.poison_rate: must include 0 when trials are stopped and clean_accuracy is `best - x`"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_SPECS)
def test_wrong_spec(name, tmp_path, capsys) -> None:
    changes, text = WRONG_SPECS[name]
    file = tmp_path / "spec.yaml"
    file.write_text(yaml.safe_dump({**SMALL, "defence": LINEAR, **changes}))
    assert main(["check", str(file)]) == WRONG
    message = capsys.readouterr().err
    assert text in message and "error: 1 mistake in the spec:\n" in message, message


def test_settings_and_their_defaults() -> None:
    assert small_spec().stopping is small_spec(stopping="none").stopping is None
    spec = small_spec(stopping="asha")
    found = spec.stopping
    assert (found.metric, found.grace_period, found.reduction_factor) == ("score", 1, 4)
    assert spec.curve_every == 1 and small_spec(stopping="median", curve_every=2).curve_every == 2
    absolute = {
        "region": {"clean_accuracy": 0.9},
        "attack": {"trigger": "patch", "poison_rate": 0.03},
    }
    assert small_spec(stopping="median", **absolute).stopping.min_samples_required == 3


def test_the_serial_runner_refuses(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump({**SMALL, "stopping": "asha"}))
    text = "--runner: must be `tune` for `stopping: asha` or `median`: Ray Tune stops the trials, but got 'serial'. Use --runner tune."
    assert main(["run", "spec.yaml", "--out", "r", "--runner", "serial"]) == WRONG
    assert text in capsys.readouterr().err and not (tmp_path / "r").exists()
    begin(tmp_path / "r", small_spec(stopping="asha"))
    assert main(["resume", "r", "--runner", "serial"]) == WRONG
    assert text in capsys.readouterr().err


def test_check_says_what_is_stopped(tmp_path, capsys) -> None:
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump({**SMALL, "stopping": {"kind": "median", "grace_period": 2}}))  # fmt: skip
    assert main(["check", str(tmp_path / "spec.yaml")]) == FINE
    out = capsys.readouterr().out
    assert "24 trials in 10 packs" in out
    assert "stopped early: by median on score, from epoch 2 on" in out
