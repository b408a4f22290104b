"""One MLflow run a defence point: its figures are the region's, and it is kept up to date."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mirrored import runs, says
from mlflow import MlflowClient
from mlflow.entities import Run
from small import begin, small_spec, sweep
from trials import fake_result, fake_rows

import sweeps.mirror
from sweeps.cli import FINE
from sweeps.cli.main import main
from sweeps.ledger import Ledger, failed_rows, finished_rows
from sweeps.mirror import Mirrored, MirrorProcess, TrackingUnreachable, mirror
from sweeps.mirror.follower import Follower
from sweeps.region.panel import criteria_of
from sweeps.region.points import gathered, modes_of
from sweeps.results.extend import extend_results
from sweeps.runners.serial import SerialRunner
from sweeps.search import make_search
from sweeps.spec import SweepSpec
from sweeps.storage.paths import SweepPaths

pytest_plugins = ["mirror_fixtures"]

ATTACK = {"trigger": [{"kind": "patch", "size": 1}, "blend"], "poison_rate": [0, 0.01, 0.03]}


class PointSweep:
    """A sweep of four points, 40 trials, whose MLflow runs are points. Nothing is trained."""

    def __init__(self, root: Path, uri: str, **changes: Any) -> None:
        self.uri = uri
        tracking = {"uri": uri, "runs": "point"}
        self.spec: SweepSpec = small_spec(**{"attack": ATTACK, "tracking": tracking, **changes})
        self.paths: SweepPaths = begin(root, self.spec)
        self.trials = make_search(self.spec).ask(100_000)

    def record(self, trials: Any) -> None:
        results = [fake_result(trial, self.spec.measures) for trial in trials]
        Ledger(self.paths.ledger).append(finished_rows(results, "pack"))

    def region(self, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
        capsys.readouterr()
        assert main(["region", str(self.paths.root), "--json"]) == FINE
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    def runs(self, uri: str | None = None) -> dict[str, Run]:
        """Point id → its only run."""
        found = runs(uri or self.uri)
        table = {run.data.tags["defence_id"]: run for run in found}
        assert len(table) == len(found)
        return table


@pytest.fixture
def swept(tmp_path: Path, new_store: Callable[[str], str]) -> PointSweep:
    return PointSweep(tmp_path / "results", new_store("mlflow.db"))


def agree(swept: PointSweep, region: dict[str, Any]) -> None:
    """Every run shows what region.json says of its point, and nothing else."""
    found = swept.runs()
    for point in region["points"]:
        data = found[point["defence_id"]].data
        metrics, tags = data.metrics, data.tags
        for key in ("clean_accuracy", "clean_lower", "clean_upper", "validation_accuracy", "margin",
                    "attack_success", "success_lower", "success_upper", "baseline_accuracy"):  # fmt: skip
            assert metrics.get(key) == point[key], key
        assert (tags["by_means"], tags["by_bounds"]) == (point["by_means"], point["by_bounds"])
        chosen = (region["recommended"] or {}).get("defence_id") == point["defence_id"]
        assert tags["recommended"] == ("true" if chosen else "false")
        shown = [v for k, v in metrics.items() if k.startswith("attack_success.")]
        assert sorted(shown) == sorted(a["attack_success"] for a in point["attacks"])
        if point["attacks"]:
            assert metrics["seeds_passing"] == point["seeds_passing"]
            assert metrics["seeds_done"] == point["seeds"]


# --- what a run says ---------------------------------------------------------------------------


def test_figures_are_those_of_the_region(
    swept: PointSweep, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep(swept.paths, swept.spec, SerialRunner(fake_rows)).finished == 40
    done = mirror(swept.paths)
    assert (done.created, done.present, done.repaired) == (4, 0, 0)
    region = swept.region(capsys)
    agree(swept, region)
    panel = {a["attack_id"]: a for a in region["panel"]}
    point, client = region["points"][0], MlflowClient(tracking_uri=swept.uri)
    run = swept.runs()[point["defence_id"]]
    assert run.data.tags["worst_attack"] == panel[point["worst_attack"]]["label"]
    names = {"patch(size=1)": "patch size 1", "blend": "blend"}
    for attack in point["attacks"]:
        about = panel[attack["attack_id"]]
        trigger = names[about["trigger"]]
        name = f"{trigger} at {about['poison_rate']:g}"
        assert run.data.metrics[f"attack_success.{name}"] == attack["attack_success"]
        floor = run.data.metrics[f"baseline_attack_success.{trigger}"]
        assert floor == attack["baseline_success"]
        for word, key in (("clean", "clean_accuracy"), ("success", "attack_success")):
            history = client.get_metric_history(run.info.run_id, f"{key}_by_seed.{name}")
            assert {str(m.step): m.value for m in history} == attack[f"{word}_by_seed"]


def test_parameters_tags_name_and_times(swept: PointSweep) -> None:
    swept.record(swept.trials)
    mirror(swept.paths)
    rows = [r for r in Ledger(swept.paths.ledger).trials() if r.config["defence"]["weight_decay"] == 1]  # fmt: skip
    run = swept.runs()[rows[0].defence_id]
    assert run.info.run_name == "ridge wd=1" and run.info.status == "FINISHED"
    assert run.data.params == {
        "data": "digits", "data.train": "1100", "data.validation": "197", "data.test": "500",
        "defence.architecture": "ridge", "defence.weight_decay": "1.0",
        "training.normalization": "unit",
    }  # fmt: skip
    assert run.data.tags["region"] == "clean_accuracy >= best - 0.05, attack_success <= 0.2, confidence 0.95"  # fmt: skip
    assert "error" not in run.data.tags and "trial_id" not in run.data.tags
    times = [row.finished_at for row in rows]
    assert run.info.end_time == round(1000 * max(times))
    assert run.info.start_time == round(1000 * (min(times) - 0.01))  # fake results take 0.01 s
    assert run.data.metrics["train_seconds"] == pytest.approx(0.1)
    assert run.data.metrics["trials_finished"] == len(rows) == 10


def test_sweeps_without_the_setting_have_a_run_a_trial(tmp_path: Path, new_store: Any) -> None:
    swept = PointSweep(
        tmp_path / "r", uri := new_store("x.db"), tracking={"uri": new_store("x.db")}
    )
    swept.record(swept.trials[:8])
    assert mirror(swept.paths).created == 8
    assert all("trial_id" in run.data.tags for run in runs(uri))


# --- as trials arrive --------------------------------------------------------------------------


def test_a_run_waits_until_its_point_is_complete(swept: PointSweep, capsys: Any) -> None:
    """Trials come one by one; after each, MLflow says what the region says of what is there."""
    said = list[str]()
    follower = Follower(swept.paths, said.append)
    ids: dict[str, str] = {}
    order = sorted(swept.trials, key=lambda trial: trial.trial_id)
    for count in range(8, 41, 8):
        swept.record(order[count - 8 : count])
        follower.step()
        recorded = Ledger(swept.paths.ledger).trials()
        for name, run in swept.runs().items():
            here = [row for row in recorded if row.defence_id == name]
            assert run.data.metrics["trials_finished"] == len(here)
            assert run.info.status == ("FINISHED" if len(here) == 10 else "RUNNING")
            assert ("margin" in run.data.metrics) == (run.data.tags["by_means"] != "INCOMPLETE")
            ids.setdefault(name, run.info.run_id)
            assert ids[name] == run.info.run_id  # updated in place
    assert said[-1] == "mirrored 40/40"
    assert follower.last()
    agree(swept, swept.region(capsys))


def better_and_better(swept: PointSweep) -> list[list[Any]]:
    """Rows of one point after another, each better than the one before: the best one moves."""
    from dataclasses import replace

    points: dict[str, list[Any]] = {}
    for trial in swept.trials:
        points.setdefault(trial.defence_id, []).append(trial)
    found = []
    for index, trials in enumerate(points.values()):
        made = [fake_result(trial, swept.spec.measures) for trial in trials]
        clean, total = 20_000 + index, 40_000
        found.append([
            replace(r, class_correct=(clean,), class_total=(total,), validation_correct=clean,
                    validation_total=total,
                    measurements=tuple(replace(m, success=0) for m in r.measurements))
            for r in made
        ])  # fmt: skip
    return found


def test_a_best_point_that_moves_moves_every_margin(swept: PointSweep, capsys: Any) -> None:
    follower = Follower(swept.paths, [].append)
    for results in better_and_better(swept):
        Ledger(swept.paths.ledger).append(finished_rows(results, "pack"))
        follower.step()
    follower.last()
    region = swept.region(capsys)
    assert len({point["margin"] for point in region["points"]}) == 4
    agree(swept, region)


def test_bounds_are_the_regions_where_all_points_show_that_seeds_have_two_modes(
    swept: PointSweep, capsys: Any
) -> None:
    """Each attack takes with one of two seeds, which no point shows by itself."""
    from dataclasses import replace

    asked, follower = criteria_of(swept.spec), Follower(swept.paths, [].append)
    numbers = {name: number for number, name in enumerate(asked.measures)}
    order = sorted(swept.trials, key=lambda trial: trial.defence_id)
    for start in range(0, 40, 10):  # a point each
        results = []
        for trial in order[start : start + 10]:
            takes = trial.attack and (trial.seed + start // 10 + numbers[trial.attack_id]) % 2
            made, hits = fake_result(trial, swept.spec.measures), 800 if takes else 20
            counts = tuple(replace(m, success=hits, total=900) for m in made.measurements)
            results.append(replace(made, measurements=counts))
        Ledger(swept.paths.ledger).append(finished_rows(results, "pack"))
        follower.step()
    follower.last()
    points = gathered(Ledger(swept.paths.ledger).trials(), asked.measures, (0, 1), 0.95)
    assert modes_of(points).success.fired
    agree(swept, swept.region(capsys))


def test_calls_are_linear_in_trials_also_when_the_best_point_moves_all_the_time(
    tmp_path: Path, new_store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = {"architecture": "ridge", "weight_decay": {"log": [0.01, 1], "steps": 16}}
    attack = {"trigger": "patch", "poison_rate": 0.01}
    swept = PointSweep(tmp_path / "r", new_store("x.db"), defence=many, attack=attack, seeds=1)
    calls: list[str] = []
    for name in ("create_run", "log_batch", "set_terminated", "update_run", "delete_run"):
        method = getattr(MlflowClient, name)
        monkeypatch.setattr(
            MlflowClient, name,
            lambda self, *a, _method=method, _name=name, **k: calls.append(_name) or _method(self, *a, **k),
        )  # fmt: skip
    follower = Follower(swept.paths, [].append)
    for results in better_and_better(swept):
        Ledger(swept.paths.ledger).append(finished_rows(results, "pack"))
        follower.step()
    assert follower.last()
    assert calls.count("create_run") == calls.count("set_terminated") == len(swept.trials) == 16
    # One by one: 16. All of them when as many have come: 1 + 2 + 4 + 8 + 16, and once at the end.
    assert calls.count("log_batch") <= 4 * 16
    assert len(calls) <= 6 * 16


def test_a_failed_trial_fails_its_point_until_it_has_finished(swept: PointSweep) -> None:
    (bad, *others) = [t for t in swept.trials if t.defence_id == swept.trials[0].defence_id]
    swept.record(others)
    Ledger(swept.paths.ledger).append(failed_rows([bad], "pack", "out of memory"))
    mirror(swept.paths)
    (run,) = runs(swept.uri)
    assert run.info.status == "FAILED" and run.data.tags["error"] == "out of memory"
    assert run.data.metrics["trials_failed"] == 1
    swept.record([bad])
    done = mirror(swept.paths)
    assert (done.created, done.present, done.repaired) == (0, 0, 1)
    (finished,) = runs(swept.uri)
    assert finished.info.run_id == run.info.run_id and finished.info.status == "FINISHED"
    assert "error" not in finished.data.tags and finished.data.metrics["trials_failed"] == 0


def test_a_point_of_failures_alone_has_a_run(swept: PointSweep) -> None:
    Ledger(swept.paths.ledger).append(failed_rows(swept.trials[:1], "pack", "no memory"))
    mirror(swept.paths)
    (run,) = runs(swept.uri)
    assert run.data.tags["by_means"] == "INCOMPLETE" and run.info.status == "RUNNING"
    assert run.data.metrics["trials_finished"] == 0 and run.data.metrics["trials_failed"] == 1


# --- exactly once ------------------------------------------------------------------------------


def test_second_mirror_changes_nothing(swept: PointSweep, tmp_path: Path) -> None:
    swept.record(swept.trials[:25])  # complete and incomplete points
    first = mirror(swept.paths)
    before = (tmp_path / "mlflow.db").read_bytes()
    assert mirror(swept.paths) == Mirrored(0, first.created, 0, first.experiment_id, swept.uri)
    assert (tmp_path / "mlflow.db").read_bytes() == before


def test_a_lost_store_is_rebuilt(swept: PointSweep, new_store: Any, empty_store: Path, tmp_path: Path) -> None:  # fmt: skip
    swept.record(swept.trials)
    mirror(swept.paths)
    before = swept.runs()
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    assert mirror(swept.paths).created == 4
    after = swept.runs()
    assert {k: says(run) for k, run in before.items()} == {k: says(run) for k, run in after.items()}


def test_followed_runs_end_as_rebuilt_ones(swept: PointSweep, new_store: Any) -> None:
    follower = Follower(swept.paths, [].append)
    for count in range(0, 40, 5):
        swept.record(swept.trials[count : count + 5])
        follower.step()
    assert follower.last()
    other = new_store("other.db")
    mirror(swept.paths, other)
    live, rebuilt = swept.runs(), swept.runs(other)
    for name, run in live.items():
        keep = [0, 1, 3, 4, 5, 6]  # all but the start, which a live run cannot know better
        assert [says(run)[i] for i in keep] == [says(rebuilt[name])[i] for i in keep]
    assert mirror(swept.paths).present == 4


@pytest.mark.parametrize("method", ["log_batch", "set_terminated"])
def test_run_torn_by_a_crash_is_completed(
    swept: PointSweep, monkeypatch: pytest.MonkeyPatch, capsys: Any, method: str
) -> None:
    swept.record(swept.trials)

    def crash(*args: Any, **kwargs: Any) -> None:
        raise ConnectionResetError("torn")

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, method, crash)
        with pytest.raises(TrackingUnreachable, match="torn"):
            mirror(swept.paths)
    (torn,) = runs(swept.uri)
    done = mirror(swept.paths)
    assert (done.created, done.present, done.repaired) == (3, 0, 1)
    assert torn.info.run_id in {run.info.run_id for run in swept.runs().values()}
    agree(swept, swept.region(capsys))
    assert mirror(swept.paths).present == 4


def test_doubles_go_and_what_others_wrote_stays(swept: PointSweep) -> None:
    swept.record(swept.trials)
    experiment = mirror(swept.paths).experiment_id
    client = MlflowClient(tracking_uri=swept.uri)
    kept = {name: run.info.run_id for name, run in swept.runs().items()}
    name = next(iter(kept))
    client.set_tag(kept[name], "mlflow.note.content", "look at this one")
    client.log_metric(kept[name], "my own", 1)
    client.create_run(experiment, tags={"defence_id": name})
    mine = client.create_run(experiment, tags={"trial_id": "x", "defence_id": name}).info.run_id
    done = mirror(swept.paths)
    assert (done.created, done.present, done.repaired) == (0, 3, 1)
    found = {run.info.run_id: run for run in runs(swept.uri)}
    assert set(found) == {*kept.values(), mine}
    assert found[kept[name]].data.tags["mlflow.note.content"] == "look at this one"


def test_other_thresholds_are_other_verdicts_of_the_same_runs(
    swept: PointSweep, capsys: Any
) -> None:
    swept.record(swept.trials)
    mirror(swept.paths)
    before = {name: run.info.run_id for name, run in swept.runs().items()}
    for limits in ("{clean_accuracy: best - 0.5, attack_success: 1}", "{clean_accuracy: 1, attack_success: 0}"):  # fmt: skip
        extend_results(swept.paths.root, None, [f"region={limits}"])
        assert mirror(swept.paths).repaired == 4
        agree(swept, swept.region(capsys))
    assert {name: run.info.run_id for name, run in swept.runs().items()} == before


def test_a_point_that_is_no_longer_complete_loses_its_figures(
    swept: PointSweep, capsys: Any
) -> None:
    swept.record(swept.trials)
    mirror(swept.paths)
    extend_results(swept.paths.root, None, ["seeds=3"])
    assert mirror(swept.paths).repaired == 4
    agree(swept, swept.region(capsys))
    assert {run.info.status for run in swept.runs().values()} == {"RUNNING"}
    assert all("margin" not in run.data.metrics for run in swept.runs().values())


def test_metrics_beyond_one_request(swept: PointSweep, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:  # fmt: skip
    monkeypatch.setattr(sweeps.mirror.experiment, "BATCH", 7)
    swept.record(swept.trials)
    assert mirror(swept.paths).created == 4
    agree(swept, swept.region(capsys))


@pytest.mark.slow
def test_the_process_beside_a_sweep(swept: PointSweep, capsys: Any) -> None:
    process = MirrorProcess(swept.paths)
    process.start()
    assert sweep(swept.paths, swept.spec, SerialRunner(fake_rows), [_Bell(process)]).finished == 40
    assert process.finish() is None
    agree(swept, swept.region(capsys))
    assert swept.paths.mirror_log.read_text().splitlines()[-1] == "mirrored 40/40"


class _Bell:
    def __init__(self, process: MirrorProcess) -> None:
        self.process = process

    def recorded(self, rows: Any) -> None:
        self.process.notify()
