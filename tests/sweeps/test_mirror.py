"""The mirror against real MLflow stores: what it writes, and that it writes it exactly once."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shlex
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import mlflow
import pytest
from made_rows import plain_row
from mirrored import MEASURES, SWEEP_ID, Folder, by_trial, free_port, pair, runs, says
from mlflow import MlflowClient
from trials import PATCH, fake_result, trial

import sweeps.mirror
from backdoor.errors import UserError
from backdoor.result import CurvePoint, probe_id
from backdoor.trial import run_pack
from sweeps.ledger import Ledger, attached, failed_rows, finished_rows, load_results
from sweeps.mirror import (
    Mirrored,
    TrackingUnreachable,
    mirror,
    only_mirror,
    preflight,
    ui_command,
)
from sweeps.mirror.run_record import RunRecords
from sweeps.mirror.view import ChangedTrial

pytest_plugins = ["mirror_fixtures"]

NewStore = Callable[[str], str]


# --- what a run says ---------------------------------------------------------------------------


def test_runs_show_what_the_ledger_has(folder: Folder) -> None:
    results = run_pack(pair(0) + pair(1), MEASURES)
    Ledger(folder.paths.ledger).append(finished_rows(results, "pack-7"))
    done = mirror(folder.paths)
    assert (done.created, done.present, done.repaired) == (4, 0, 0)
    found = by_trial(runs(folder.uri))
    table = load_results(folder.paths.root).to_pylist()
    assert set(found) == {row["trial_id"] for row in table} and len(table) == 6
    for row in table:
        run, shared = found[row["trial_id"]], {"train_images": 1100, "collapsed": 0, "diverged": 0}
        for key in ("clean_accuracy", "validation_accuracy", "clean_correct", "clean_total",
                    "poisoned", "relabelled", "seconds"):  # fmt: skip
            shared[key] = row[key]
        assert shared.items() <= run.data.metrics.items()
        if row["attack_id"] == "clean":
            label = "patch size 1" if row["attack.trigger"] == "patch" else "blend"
            rate = run.data.metrics[f"baseline_attack_success.{label}"]
            assert rate == row["attack_success"]
            assert "attack_success" not in run.data.metrics
        else:
            for key in ("attack_success", "robust_accuracy"):
                assert run.data.metrics[key] == row[key]
            assert run.data.metrics["attack_success_count"] == row["success"]
            assert run.data.metrics["attack_total"] == row["total"]


def test_parameters_tags_name_and_times(folder: Folder) -> None:
    clean, poisoned = pair(3)
    folder.record(clean, poisoned)
    mirror(folder.paths)
    found, row = by_trial(runs(folder.uri)), folder.rows()[poisoned.trial_id]
    run = found[poisoned.trial_id]
    assert run.data.params == {
        "data": "digits", "data.train": "1100", "data.validation": "197", "data.test": "500",
        "defence.architecture": "ridge", "defence.weight_decay": "0.1",
        "training.normalization": "unit",
        "attack.trigger": "patch", "attack.trigger.size": "1",
        "attack.trigger.position": "bottom_right", "attack.trigger.value": "1.0",
        "attack.poison_rate": "0.03", "attack.target": "0", "attack.label_mode": "all_to_one",
        "seed": "3",
    }  # fmt: skip
    keys = ["trial_id", "defence_id", "attack_id", "engine", "pack_id", "device", "host",
            "data_fingerprint", "status"]  # fmt: skip
    expected = {key: getattr(row, key) for key in keys} | {"sweep_id": SWEEP_ID}
    assert expected.items() <= run.data.tags.items()
    assert run.info.run_name == "ridge wd=0.1 patch(size=1) 3 % seed 3"
    assert found[clean.trial_id].info.run_name == "ridge wd=0.1 clean seed 3"
    assert found[clean.trial_id].data.params["attack.poison_rate"] == "0.0"
    assert run.info.end_time == round(row.finished_at * 1000)
    assert run.info.end_time - run.info.start_time == 10  # fake results take 0.01 s


def test_curves_are_metrics_by_epoch(folder: Folder) -> None:
    result = fake_result(trial("mlp"))
    curve = (CurvePoint(5, 300, (90,)), CurvePoint(10, 400, (45,)))
    rows = finished_rows([dataclasses.replace(result, curve=curve)], "pack")
    Ledger(folder.paths.ledger).append(rows)
    mirror(folder.paths)
    (run,) = runs(folder.uri)
    client = MlflowClient(tracking_uri=folder.uri)

    def history(key: str) -> list[tuple[int, float]]:
        return [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, key)]

    assert history("clean_accuracy_by_epoch") == [(5, 0.6), (10, 0.8)]
    assert history("attack_success_by_epoch") == [(5, 0.2), (10, 0.1)]


def test_hostile_strings_are_only_strings(new_store: NewStore, tmp_path: Path) -> None:
    name = "'; DROP TABLE runs; --\n<script>"
    folder = Folder(tmp_path / "odd", new_store("odd.db"), name=name)
    error = "<b>\0 'x' " + "y" * 10_000
    rows = failed_rows([trial("mlp")], "'\"%s{}\n../..", error).to_pylist()
    rows[0]["config"] = rows[0]["config"].replace('"mlp"', '"a module:<i>Class"')
    table = failed_rows([], "", "").from_pylist(rows, schema=failed_rows([], "", "").schema)
    Ledger(folder.paths.ledger).append(table)
    assert mirror(folder.paths).created == 1
    (run,) = runs(folder.uri, name)
    assert run.data.tags["error"].startswith("<b>? 'x' yyy")
    assert run.data.tags["pack_id"] == "'\"%s{}\n../.."
    assert run.data.params["defence.architecture"] == "a module:<i>Class"
    assert len(run.data.tags["error"]) == 4000 and run.data.tags["error"].endswith("...")
    assert mirror(folder.paths).present == 1


def test_single_figures_of_probes_are_metrics_also_when_they_come_later(folder: Folder) -> None:
    """A run without them is written again; one that has them is left alone."""
    from fake_probes import Counting

    ledger, configs = Ledger(folder.paths.ledger), pair(0)
    ledger.append(finished_rows(run_pack(configs, MEASURES), "pack"))
    mirror(folder.paths)
    several = [Counting(), Counting(add=1)]
    for probes, suffixes in ((several[:1], [""]), (several, None)):
        results = run_pack(configs, MEASURES, probes=probes)
        ledger.append(attached(finished_rows(results, "pack"), results))
        done = mirror(folder.paths)
        # The probes have found nothing on the baseline.
        assert (done.created, done.present, done.repaired) == (0, 1, 1)
        assert mirror(folder.paths).present == 2
        run = by_trial(runs(folder.uri))[configs[1].trial_id]
        ids = [probe_id(p.identity()) for p in probes]
        suffixes = suffixes or [f" {i[:8]}" for i in ids]
        accuracy = run.data.metrics["clean_accuracy"]
        for add, suffix in enumerate(suffixes):
            figures = {k.rsplit(".", 1)[1]: v for k, v in run.data.metrics.items()
                       if k.startswith(f"fake_probes Counting{suffix}.")}  # fmt: skip
            assert figures == {"figure": pytest.approx(accuracy + add), "grad": 1.0, "seed": 0.0}
        assert run.data.tags["probes"] == ",".join(sorted(ids))
        clean = by_trial(runs(folder.uri))[configs[0].trial_id]
        assert not any("fake_probes" in key for key in clean.data.metrics)


def test_measures_of_one_trigger_get_metrics_of_their_own() -> None:
    patch = {"kind": "patch", "size": 1}
    blend = {"kind": "blend"}
    same = {"target": 0, "label_mode": "all_to_one"}
    measures = {"aaaaaaaaaa": {"trigger": patch, **same}, "bbbbbbbbbb": {"trigger": blend, **same}}
    assert _metric_names(measures) == ["patch size 1", "blend"]
    measures["bbbbbbbbbb"] = {"trigger": patch, **same, "target": 7}
    assert _metric_names(measures) == ["patch size 1 to class 0", "patch size 1 to class 7"]
    measures["bbbbbbbbbb"] = {"trigger": patch, **same, "label_mode": "other"}
    ends = ["patch size 1 to class 0 aaaaaaaa", "patch size 1 to class 0 bbbbbbbb"]
    assert _metric_names(measures) == ends


def _metric_names(measures: dict[str, Any]) -> list[str]:
    row = finished_rows([fake_result(trial("ridge", rate=0))], "pack").to_pylist()[0]
    row["measurements"] = [
        {"measure_id": key, "success": 1, "robust": 2, "total": 10} for key in measures
    ]
    records = RunRecords({"sweep_id": SWEEP_ID, "measures": measures})
    record = records.record(ChangedTrial(plain_row(row)))
    start = "baseline_attack_success."
    return [p.key.removeprefix(start) for p in record.points if p.key.startswith(start)]


# --- exactly once ------------------------------------------------------------------------------


def test_second_mirror_changes_nothing(folder: Folder, tmp_path: Path) -> None:
    folder.record(*pair(0), *pair(1))
    first = mirror(folder.paths)
    before = (tmp_path / "mlflow.db").read_bytes()
    again = mirror(folder.paths)
    assert again == Mirrored(0, 4, 0, first.experiment_id, folder.uri)
    assert (tmp_path / "mlflow.db").read_bytes() == before


def test_only_what_is_new_is_written(folder: Folder) -> None:
    folder.record(*pair(0))
    mirror(folder.paths)
    ids = {run.info.run_id for run in runs(folder.uri)}
    folder.record(*pair(0), *pair(1))
    done = mirror(folder.paths)
    assert (done.created, done.present, done.repaired) == (2, 2, 0)
    assert ids < {run.info.run_id for run in runs(folder.uri)}


def test_new_store_gets_equal_runs(folder: Folder, new_store: NewStore) -> None:
    folder.record(*pair(0))
    Ledger(folder.paths.ledger).append(failed_rows([trial("mlp")], "pack", "out of memory"))
    mirror(folder.paths)
    other = new_store("other.db")
    assert mirror(folder.paths, other).created == 3
    one, two = by_trial(runs(folder.uri)), by_trial(runs(other))
    assert {k: says(run) for k, run in one.items()} == {k: says(run) for k, run in two.items()}


def test_all_pages_are_read(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps.mirror.experiment, "PAGE", 2)
    folder.record(*pair(0), *pair(1), trial("ridge", 2))
    assert mirror(folder.paths).created == 5
    assert mirror(folder.paths).present == 5


def test_progress_counts_trials(folder: Folder) -> None:
    folder.record(*pair(0))
    heard: list[tuple[int, int]] = []
    mirror(folder.paths, on_progress=lambda done, total: heard.append((done, total)))
    assert heard == [(1, 2), (2, 2)]


def test_run_torn_by_a_crash_is_written_again(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.record(*pair(0))

    def crash(*args: Any, **kwargs: Any) -> None:
        raise ConnectionResetError("torn")

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "set_terminated", crash)
        with pytest.raises(TrackingUnreachable, match="torn"):
            mirror(folder.paths)
    (torn,) = runs(folder.uri)
    assert torn.info.status == "RUNNING" and torn.data.params
    done = mirror(folder.paths)
    assert (done.created, done.present, done.repaired) == (1, 0, 1)
    found = runs(folder.uri)
    assert len(by_trial(found)) == 2 and {run.info.status for run in found} == {"FINISHED"}
    assert torn.info.run_id not in {run.info.run_id for run in found}


def test_trial_that_failed_and_then_finished_has_one_run(folder: Folder) -> None:
    config = trial("ridge")
    Ledger(folder.paths.ledger).append(failed_rows([config], "pack", "out of memory"))
    assert mirror(folder.paths).created == 1
    (failed,) = runs(folder.uri)
    assert failed.info.status == "FAILED" and failed.data.tags["status"] == "failed"
    assert failed.data.tags["error"] == "out of memory" and not failed.data.metrics
    assert mirror(folder.paths).present == 1
    folder.record(config)
    done = mirror(folder.paths)
    assert (done.created, done.present, done.repaired) == (0, 0, 1)
    (finished,) = runs(folder.uri)
    assert finished.info.status == "FINISHED" and "error" not in finished.data.tags
    assert mirror(folder.paths).present == 1


def test_double_runs_are_thinned_to_one(folder: Folder) -> None:
    folder.record(*pair(0))
    experiment = mirror(folder.paths).experiment_id
    kept = {run.info.run_id for run in runs(folder.uri)}
    client = MlflowClient(tracking_uri=folder.uri)
    for trial_id in folder.rows():
        extra = client.create_run(experiment, tags={"trial_id": trial_id})
        client.set_terminated(extra.info.run_id)
    done = mirror(folder.paths)
    assert (done.created, done.present, done.repaired) == (0, 0, 2)
    assert {run.info.run_id for run in runs(folder.uri)} == kept


def test_runs_of_others_are_left_alone(folder: Folder) -> None:
    folder.record(*pair(0))
    experiment = mirror(folder.paths).experiment_id
    client = MlflowClient(tracking_uri=folder.uri)
    others = {
        client.create_run(experiment, tags=tags).info.run_id
        for tags in ({}, {"trial_id": "of another ledger"})
    }
    done = mirror(folder.paths)
    assert (done.created, done.present, done.repaired) == (0, 2, 0)
    assert others < {run.info.run_id for run in runs(folder.uri)}


def test_two_mirrors_of_one_folder_are_refused(folder: Folder) -> None:
    rule = (
        "DIR must not be mirrored by two processes at once, but got .*"
        f"process {os.getpid()} .* does it now. A running sweep mirrors"
    )
    with only_mirror(folder.paths), pytest.raises(UserError, match=rule):
        mirror(folder.paths)
    assert mirror(folder.paths).created == 0


# --- experiments -------------------------------------------------------------------------------


def test_sweeps_of_one_name_have_experiments_of_their_own(folder: Folder, tmp_path: Path) -> None:
    other = Folder(tmp_path / "other", folder.uri, sweep_id="feedbeef" * 4)
    for each in (folder, other):
        each.record(*pair(0))
        assert mirror(each.paths).created == 2
    assert len(runs(folder.uri, "small")) == len(runs(folder.uri, "small feedbeef")) == 2
    for each in (folder, other):
        assert mirror(each.paths).present == 2


def test_deleted_experiment_is_restored(folder: Folder) -> None:
    folder.record(*pair(0))
    client = MlflowClient(tracking_uri=folder.uri)
    client.delete_experiment(mirror(folder.paths).experiment_id)
    assert mirror(folder.paths).present == 2
    found = client.get_experiment_by_name("small")
    assert found is not None and found.lifecycle_stage == "active"


def test_deleted_experiment_of_another_sweep_stays_deleted(folder: Folder) -> None:
    client = MlflowClient(tracking_uri=folder.uri)
    client.delete_experiment(client.create_experiment("small"))
    folder.record(*pair(0))
    assert mirror(folder.paths).created == 2
    assert len(runs(folder.uri, "small 01234567")) == 2
    found = client.get_experiment_by_name("small")
    assert found is not None and found.lifecycle_stage == "deleted"


def test_renamed_experiment_is_found_by_its_tag(folder: Folder) -> None:
    folder.record(*pair(0))
    client = MlflowClient(tracking_uri=folder.uri)
    client.rename_experiment(mirror(folder.paths).experiment_id, "paper, table 2")
    assert mirror(folder.paths).present == 2
    assert len(runs(folder.uri, "paper, table 2")) == 2


# --- stores that cannot be used ----------------------------------------------------------------


@pytest.fixture
def gateway() -> Any:
    """The address of a gateway with nothing behind it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(503)

        def log_message(self, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://user:secret@127.0.0.1:{server.server_port}/mlflow"
        server.shutdown()


def test_dead_server_is_reported_at_once(folder: Folder) -> None:
    uri = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(TrackingUnreachable, match=f"{uri} cannot be used: .*refused") as caught:
        mirror(folder.paths, uri)
    assert caught.value.uri == uri and "refused" in caught.value.reason


def test_gateway_is_no_server_and_passwords_stay_secret(gateway: str) -> None:
    with pytest.raises(TrackingUnreachable, match="Service Unavailable") as caught:
        preflight(gateway)
    assert "secret" not in str(caught.value) and "user:***@127.0.0.1" in str(caught.value)


def test_dead_database_server_is_told_at_once() -> None:
    with pytest.raises(TrackingUnreachable, match="refused"):
        preflight(f"postgresql+psycopg2://u:p@127.0.0.1:{free_port()}/mlflow")


def test_file_that_is_no_database(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("remember the milk, and the eggs")
    with pytest.raises(TrackingUnreachable, match=r"notes\.db is not a sqlite database"):
        mirror(folder.paths, f"sqlite:///{tmp_path}/notes.db")
    with pytest.raises(TrackingUnreachable, match=r"notes\.db is not a folder"):
        mirror(folder.paths, f"sqlite:///{tmp_path}/notes.db/mlflow.db")


@pytest.mark.skipif(
    not hasattr(mlflow.environment_variables, "MLFLOW_ALLOW_FILE_STORE"),
    reason="before 3.13, MLflow takes a folder as its store",
)
def test_store_that_mlflow_refuses(folder: Folder, tmp_path: Path) -> None:
    with pytest.raises(TrackingUnreachable, match="filesystem tracking backend"):
        mirror(folder.paths, str(tmp_path / "mlruns"))


def test_sweep_without_tracking_needs_a_store(tmp_path: Path, new_store: NewStore) -> None:
    folder = Folder(tmp_path / "results", None)
    folder.record(*pair(0))
    message = "--uri: must name MLflow's tracking store: the sweep ran with tracking off, but"
    with pytest.raises(UserError, match=message):
        mirror(folder.paths)
    assert mirror(folder.paths, new_store("later.db")).created == 2


# --- manners -----------------------------------------------------------------------------------


def test_nothing_is_printed_and_nothing_is_left_set(
    folder: Folder, tmp_path: Path, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    before = dict(os.environ), mlflow.get_tracking_uri(), logging.getLogger("mlflow").level
    seen: list[str] = []
    folder.record(*pair(0))
    # A store that is not there yet, so that MLflow makes its tables, which it likes to tell.
    fresh = f"sqlite:///{tmp_path}/fresh folder/mlflow.db"
    mirror(
        folder.paths, fresh,
        on_progress=lambda *_: seen.append(os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"]),
    )  # fmt: skip
    assert capfd.readouterr() == ("", "")
    assert seen == ["77", "77"]
    after = dict(os.environ), mlflow.get_tracking_uri(), logging.getLogger("mlflow").level
    assert after == before


def test_what_opens_the_pages() -> None:
    uri = "sqlite:////home/a user/it's $HOME/mlflow.db"
    words = shlex.split(ui_command(uri))
    assert words[0].endswith("mlflow")
    assert words[1:] == ["ui", "--backend-store-uri", uri]
    assert ui_command("https://me:secret@host:5000/x") == "https://me:***@host:5000/x"


def test_sweep_file_is_the_source_of_the_address(folder: Folder) -> None:
    assert json.loads(folder.paths.sweep.read_text())["tracking"]["uri"] == folder.uri
    assert mirror(folder.paths).uri == folder.uri


# --- a real server -----------------------------------------------------------------------------


def test_through_a_server(folder: Folder, server: str, capfd: pytest.CaptureFixture[str]) -> None:
    folder.record(*pair(0), trial("mlp", trigger=PATCH))
    assert mirror(folder.paths, server).created == 3
    assert capfd.readouterr() == ("", "")
    assert mirror(folder.paths, server).present == 3
    mirror(folder.paths)
    direct, through = by_trial(runs(folder.uri)), by_trial(runs(server))
    assert {k: says(r) for k, r in direct.items()} == {k: says(r) for k, r in through.items()}


# --- what an experiment says -------------------------------------------------------------------


@pytest.mark.parametrize("said", [True, False])
def test_the_experiment_shows_what_was_read_of_the_data(said, new_store, tmp_path) -> None:
    """Folders of former releases do not say it."""
    entry = {"text": ["24 images", "3 classes"], "warnings": ["1 is doubtful"]}
    folder = Folder(tmp_path / "r", new_store("said.db"), **({"data": entry} if said else {}))
    mirror(folder.paths)
    experiment = MlflowClient(tracking_uri=folder.uri).get_experiment_by_name("small")
    tags = {key: value for key, value in experiment.tags.items() if key != "sweep_id"}
    shown = {"data": "24 images; 3 classes", "data_warnings": "1 is doubtful"}
    note = "Data: 24 images; 3 classes\n\nWarnings: 1 is doubtful"
    assert tags == ({**shown, "mlflow.note.content": note} if said else {})
