"""Extending a sweep: exactly what is new is trained, and nothing that is recorded is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from small import SMALL, begin, results, small_spec

from backdoor.errors import UserError
from sweeps.cli.main import main
from sweeps.driver.run import extend_sweep, resume_sweep, run_sweep
from sweeps.ledger import Ledger, rows_of
from sweeps.mirror.sync import mirror
from sweeps.results.answer_changes import answer_changes
from sweeps.results.asked import present_text
from sweeps.results.create import read_spec
from sweeps.results.extend import extend_results
from sweeps.storage.files import lock_holder, locked
from sweeps.storage.paths import SweepPaths, read_region, read_sweep

QUIET: dict[str, Any] = {"runner": "serial", "quiet": True}
SOBOL = {"architecture": "linear", "weight_decay": {"log": [0.001, 0.1]}, "epochs": 2}


def asked(**changes: Any) -> dict[str, Any]:
    return {**SMALL, **changes}


def trained(folder: Path, before: float) -> int:
    """Trials that were recorded after this time."""
    return sum(row.finished_at > before for row in Ledger(folder / "ledger").trials())


def latest(folder: Path) -> float:
    return max(row.finished_at for row in Ledger(folder / "ledger").trials())


GRID = asked(seeds=2)
TWO = [{"kind": "patch", "size": 1}, "sine"]


@pytest.mark.parametrize(
    "before, after, new",
    [
        (GRID, asked(seeds=4), 24),
        (
            GRID,
            asked(
                defence={
                    "architecture": [
                        {"kind": "linear", "weight_decay": [0, 0.003, 0.03]},
                        {"kind": "ridge", "weight_decay": [0.01, 1]},
                    ],
                    "epochs": 3,
                }
            ),
            6,
        ),
        # 4 points x 2 seeds: two attacks more, and every clean baseline again for the new trigger.
        (GRID, asked(attack={"trigger": TWO, "poison_rate": [0, 0.01, 0.03]}), 8 * 3),
        (GRID, asked(attack={"trigger": SMALL["attack"]["trigger"], "poison_rate": [0, 0.01, 0.03, 0.1]}), 8),
        (GRID, asked(region={"attack_success": 0.4, "clean_accuracy": 0.5}), 0),
        (
            asked(attack={"trigger": TWO, "poison_rate": 0.03}),
            asked(attack={"trigger": TWO, "poison_rate": [0, 0.03]}, seeds=[0, 1, 7]),
            # 8 clean ones, and with the new seed three more at each of 4 points
            8 + 12,
        ),
        *(
            (
                asked(defence=SOBOL, search={"kind": kind, "points": 3}),
                asked(defence=SOBOL, search={"kind": kind, "points": 5}, seeds=3),
                5 * 3 * 3 - 3 * 3 * 2,
            )
            for kind in ("random", "sobol")
        ),
    ],
)  # fmt: skip
def test_an_extended_sweep_has_the_rows_of_one_that_asked_for_all(
    before, after, new, tmp_path
) -> None:
    folder, whole = tmp_path / "r", tmp_path / "whole"
    run_sweep(before, folder, **QUIET)
    then = latest(folder)
    extend_sweep(folder, after, **QUIET)
    run_sweep(after, whole, **QUIET)
    assert trained(folder, then) == new
    assert results(SweepPaths(folder)) == results(SweepPaths(whole))
    extended, fresh = read_sweep(SweepPaths(folder)), read_sweep(SweepPaths(whole))
    for key in ("planned", "planned_points", "measures", "panel", "thresholds", "seeds"):
        assert extended[key] == fresh[key]
    one, other = read_region(folder), read_region(whole)
    assert one["points"] == other["points"] and one["trials"] == other["trials"]
    assert len(extended["specs"]) == 2
    assert extended["specs"][0]["planned"] == read_sweep(SweepPaths(folder))["specs"][0]["planned"]


@pytest.mark.parametrize(
    "search, more",
    [
        ({"kind": "optuna", "points": 4}, {"kind": "optuna", "points": 7}),
        pytest.param(
            {"kind": "region", "budget": 30},
            {"kind": "region", "budget": 45},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_search_that_adapts_goes_on(search, more, tmp_path) -> None:
    folder = tmp_path / "r"
    run_sweep(asked(defence=SOBOL, search=search), folder, **QUIET)
    before = results(SweepPaths(folder))
    outcome = extend_sweep(
        folder, changes=[f"search={json.dumps(more)}", "seeds=3", "region.attack_success=0.3"], **QUIET
    )  # fmt: skip
    after = results(SweepPaths(folder))
    assert before.items() <= after.items()
    planned = read_sweep(SweepPaths(folder))["planned"]
    assert planned == (7 * 3 * 3 if more["kind"] == "optuna" else 45)
    assert outcome.finished == len(after) <= planned
    if more["kind"] == "optuna":
        assert len(after) == planned


def test_what_no_extension_can_change_is_refused_item_by_item(tmp_path, capsys) -> None:
    folder = tmp_path / "r"
    paths = begin(folder, small_spec())
    stored = paths.sweep.read_bytes(), paths.spec.read_bytes()
    changes = [
        "seeds=1",
        "name=other",
        "defence.epochs=4",
        "attack.poison_rate=[0, 0.01]",
        "training={batch_size: 32}",
        "curve_every=1",
        "stopping={kind: asha}",
        "data.validation=300",
        "tracking=sqlite:///x.db",
    ]
    code = main(["extend", str(folder), *(w for c in changes for w in ("--set", c))])
    said = capsys.readouterr().err
    assert code == 2 and (paths.sweep.read_bytes(), paths.spec.read_bytes()) == stored
    for text in (
        "name: must stay 'small', but got 'other'",
        "seeds: must keep 0, 1: an extension can only add, but got [0]. This would drop 1.",
        "defence.epochs: must stay as it is in an extension: 3, but got 4. "
        "Otherwise the sweep would lose 2 of its 4 points.",
        "attack: must keep patch(size=1) at 3 % to class 0: an extension can only add. "
        "This panel would drop it.",
        "training.batch_size: must stay as it is in an extension: nothing",
        "curve_every: must stay 0, but got 1",
        "stopping.kind: must stay as it is in an extension",
        "data: must stay as it is in an extension: 'digits'",
        "tracking: must stay as it is in an extension",
        f"run {paths.spec} --set seeds=1 --set name=other",
        f"--out NEW --reuse {folder}`.",
    ):
        assert text in said, text


def test_the_clean_baseline_stays(tmp_path) -> None:
    begin(tmp_path / "r", small_spec())
    with pytest.raises(UserError, match=r"attack.poison_rate: must keep 0, the clean baseline"):
        extend_results(tmp_path / "r", None, ["attack.poison_rate=[0.01, 0.03]"])


@pytest.mark.parametrize("kind", ["random", "sobol"])
def test_ranges_of_drawn_points_stay(kind, tmp_path) -> None:
    folder = tmp_path / "r"
    begin(folder, small_spec(defence=SOBOL, search={"kind": kind, "points": 3}))
    with pytest.raises(UserError, match=f"A {kind} search draws its points from the whole space"):
        extend_results(folder, None, ["defence.weight_decay={log: [0.001, 0.2]}"])
    with pytest.raises(UserError, match=r"search.points: must be at least 3 in an extension"):
        extend_results(folder, None, ["search.points=2"])


def test_a_search_keeps_every_recorded_point(tmp_path) -> None:
    folder = tmp_path / "r"
    run_sweep(asked(defence=SOBOL, search={"kind": "region", "budget": 24}), folder, **QUIET)
    with pytest.raises(UserError, match=r"the sweep would lose .* recorded points"):
        extend_results(folder, None, ["defence.weight_decay={log: [0.05, 0.1]}"])
    _, _, found = extend_results(folder, None, ["defence.weight_decay={log: [0.0005, 0.2]}"])
    assert found.added == ("defence.weight_decay.log: [0.001, 0.1] -> [0.0005, 0.2]",)


def test_nothing_new_is_no_extension(tmp_path) -> None:
    folder = tmp_path / "r"
    begin(folder, small_spec())
    with pytest.raises(UserError, match=r"must ask more than the sweep does.*sweeps resume"):
        extend_results(folder)


def test_an_interrupted_extension_is_put_right(tmp_path, monkeypatch) -> None:
    """Killed after sweep.json, before spec.yaml: the extension holds."""
    folder = tmp_path / "r"
    paths = begin(folder, small_spec())
    before = paths.spec.read_bytes()
    extend_results(folder, None, ["seeds=3"])
    paths.spec.write_bytes(before)
    assert read_spec(paths).seeds == (0, 1, 2)
    assert resume_sweep(folder, **QUIET).finished == 36
    assert paths.spec.read_bytes() != before and read_spec(paths).seeds == (0, 1, 2)


def test_an_edited_spec_is_taken_as_an_extension(tmp_path) -> None:
    folder = tmp_path / "r"
    paths = begin(folder, small_spec())
    paths.spec.write_text(paths.spec.read_text().replace("seeds: 2", "seeds: 3"))
    with pytest.raises(UserError, match="seeds: must be as the sweep asks it: 2, but got 3"):
        resume_sweep(folder, **QUIET)
    assert extend_sweep(folder, paths.spec, **QUIET).finished == 36


def test_a_folder_of_before_gets_its_digest_when_it_is_written(tmp_path) -> None:
    folder = tmp_path / "r"
    paths = begin(folder, small_spec())
    sweep = json.loads(paths.sweep.read_text())
    for key in ("specs", "spec_digest", "criteria_digest", "panel", "thresholds"):
        del sweep[key]
    paths.sweep.write_text(json.dumps(sweep))
    paths.spec.write_text("# changed\n" + paths.spec.read_text())
    assert resume_sweep(folder, **QUIET).finished == 24
    now = read_sweep(paths)
    assert now["specs"][0]["since"] == sweep["created"] and now["spec_digest"]
    paths.spec.write_text(paths.spec.read_text().replace("seeds: 2", "seeds: 3"))
    with pytest.raises(UserError, match="must be as the sweep asks it: 2, but got 3"):
        read_spec(paths)


def test_run_names_what_to_do_where_the_folder_is_in_use(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.json").write_text(json.dumps(SMALL))
    begin(Path("results/small"), small_spec())
    answers = {
        (): "To go on with it: `sweeps resume results/small --runner serial`",
        ("seeds=3",): "To ask more of it (seeds: 2 -> 3 (new: 2)): `sweeps extend results/small "
        "s.json --set seeds=3 --runner serial`",
        ("seeds=1",): "with `--reuse results/small` a sweep in another folder takes over",
    }  # fmt: skip
    monkeypatch.setattr("sweeps.storage.shell._found", lambda program: program)
    for changes, answer in answers.items():
        words = [word for change in changes for word in ("--set", change)]
        for out in ([], ["--out", "results/small"]):
            assert main(["run", "s.json", *words, *out, "--runner", "serial"]) == 2
            assert answer in capsys.readouterr().err


# --- trials that were stopped as certain ---------------------------------------------------------

STOPPING = asked(
    defence={"architecture": {"kind": "mlp", "width": 8}, "weight_decay": [0, 0.03], "epochs": 5},
    attack={"trigger": [{"kind": "patch", "size": 3}], "poison_rate": [0, 0.3]},
    seeds=24,
    stopping={"kind": "certain", "confidence": 0.9, "control": 0.2},
    region={"attack_success": 0.2, "clean_accuracy": 0.5},
)


@pytest.mark.parametrize("success", [0.1, pytest.param(0.6, marks=pytest.mark.slow)])
def test_stopped_trials_answer_the_present_thresholds(success, tmp_path) -> None:
    folder = tmp_path / "r"
    run_sweep(STOPPING, folder, **QUIET)
    extend_sweep(folder, changes=["seeds=32"], **QUIET)
    paths = SweepPaths(folder)
    before = {row.trial_id: row for row in Ledger(paths.ledger).trials()}
    stopped = {name for name, row in before.items() if row.status == "stopped"}
    assert stopped
    outcome = extend_sweep(
        folder, changes=[f"region.attack_success={success}", "seeds=34"], **QUIET
    )
    after = {row.trial_id: row for row in Ledger(paths.ledger).trials()}
    assert outcome.finished + outcome.stopped == len(after) == read_sweep(paths)["planned"]
    present = f"clean_accuracy >= 0.5, attack_success <= {success}"
    for row in after.values():
        assert row.finished or (row.status == "stopped" and row.thresholds == present)
        if row.trial_id in before and row.trial_id not in stopped:
            assert row.finished_at == before[row.trial_id].finished_at
    again = {name for name in stopped if after[name].finished_at > before[name].finished_at}
    assert again == stopped


# --- who reads the folder meanwhile --------------------------------------------------------------


def test_mlflow_shows_what_an_extension_has_changed(tmp_path) -> None:
    folder = tmp_path / "r"
    uri = f"sqlite:///{tmp_path / 'm.db'}"
    ridge = {"architecture": "ridge", "weight_decay": [0.01, 1]}
    run_sweep(asked(defence=ridge), folder, **QUIET)
    paths = SweepPaths(folder)
    assert mirror(paths, uri).created == 12
    extend_results(folder, None, [f"attack.trigger={json.dumps(TWO)}"])
    assert mirror(paths, uri).present == 12  # nothing is trained yet
    resume_sweep(folder, **QUIET)
    done = mirror(paths, uri)
    assert (done.created, done.repaired, done.present) == (8, 4, 8)
    assert mirror(paths, uri).present == 20
    runs = MlflowClient(uri).search_runs([done.experiment_id], max_results=100)
    clean = [run for run in runs if run.data.tags["attack_id"] == "clean"]
    names = {"baseline_attack_success.patch size 1", "baseline_attack_success.sine"}
    assert len(clean) == 4 and len(runs) == 20
    for run in clean:
        assert {key for key in run.data.metrics if key.startswith("baseline_attack")} == names


def test_the_region_of_an_unfinished_extension_is_incomplete_and_said(tmp_path, capsys) -> None:
    folder = tmp_path / "r"
    run_sweep(GRID, folder, **QUIET)
    extend_results(folder, None, [f"attack.trigger={json.dumps(TWO)}", "seeds=3"])
    for words in (["region"], ["status"], ["report"], ["export", "--csv", str(tmp_path / "x.csv")]):
        assert main([words[0], str(folder), *words[1:]]) == 0
    capsys.readouterr()
    assert main(["region", str(folder), "--json"]) == 0
    region = json.loads(capsys.readouterr().out)
    assert {point["by_means"] for point in region["points"]} == {"INCOMPLETE"}
    assert region["trials"]["planned"] == 60
    assert main(["status", str(folder), "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["state"], status["outdated"], status["planned"]) == ("stopped", 8, 60)
    assert main(["status", str(folder)]) == 0
    assert "8 recorded trials, since the sweep was extended" in capsys.readouterr().out


def test_of_two_rows_of_a_trial_the_one_that_says_most_counts(tmp_path) -> None:
    row = {
        "trial_id": "t", "defence_id": "d", "attack_id": "clean", "seed": 0, "config": "{}",
        "status": "finished", "finished_at": 1.0,
        "measurements": [{"measure_id": "a", "success": 1, "robust": 1, "total": 2}],
    }  # fmt: skip
    more = row | {"finished_at": 2.0, "measurements": row["measurements"] * 2}
    stopped = row | {"trial_id": "s", "status": "stopped", "measurements": []}
    ledger = Ledger(tmp_path)
    for each in (row, stopped):
        assert ledger.append(rows_of([each])).num_rows == 1
    again = [more, stopped | {"finished_at": 2.0}]
    assert not ledger.append(rows_of(again)).num_rows
    ledger.outdated = {"t", "s"}
    assert ledger.ended == set() and ledger.finished == {"t"}
    failed = more | {"status": "failed", "measurements": []}
    assert not ledger.append(rows_of([failed])).num_rows and ledger.outdated == {"t", "s"}
    assert ledger.append(rows_of(again)).num_rows == 2
    assert ledger.outdated == set() and ledger.ended == {"t", "s"}
    for _ in range(2):
        assert {r.finished_at for r in Ledger(tmp_path).trials()} == {2.0}
        ledger.compact()


# --- several processes, odd folders ----------------------------------------------------------------


def test_who_changes_a_sweep_holds_its_lock_from_before_it_reads(tmp_path, capsys) -> None:
    folder = tmp_path / "r"
    paths = begin(folder, small_spec())
    stored = paths.sweep.read_bytes()
    with locked(paths.lock):
        for words in (
            ["extend", "--set", "seeds=3"],
            ["resume", "--probes", "[slope]"],
            ["resume"],
        ):
            assert main([words[0], str(folder), *words[1:], "--runner", "serial"]) == 2
            assert f"DIR '{folder}' is in use by process" in capsys.readouterr().err
        with pytest.raises(UserError, match="is in use by process"):
            extend_sweep(folder, changes=["seeds=3"], **QUIET)
    assert paths.sweep.read_bytes() == stored


def test_the_answer_is_of_what_was_asked_when_the_lock_was_taken(tmp_path, monkeypatch) -> None:
    """The lock is held until region.json is there."""
    folder = tmp_path / "r"
    begin(folder, small_spec())
    held: list[str | None] = []

    def noted(*arguments: Any, **named: Any) -> None:
        held.append(lock_holder(SweepPaths(folder).lock))

    monkeypatch.setattr("sweeps.driver.run.write_region", noted)
    resume_sweep(folder, **QUIET)
    assert len(held) == 1 and held[0] is not None and held[0].startswith("process")


def test_a_sweep_that_was_extended_between_two_readings_is_no_edited_one(tmp_path) -> None:
    paths = begin(tmp_path / "r", small_spec())
    before = read_sweep(paths)
    extend_results(paths.root, None, ["seeds=3"])
    assert present_text(paths, before) == paths.spec.read_text()


def test_a_spec_file_that_is_gone_is_written_again(tmp_path) -> None:
    paths = begin(tmp_path / "r", small_spec())
    text = paths.spec.read_text()
    paths.spec.unlink()
    assert main(["region", str(paths.root)]) == 0
    assert resume_sweep(paths.root, **QUIET).finished == 24
    assert paths.spec.read_text() == text


def test_a_folder_of_before_that_was_edited_names_no_command_that_cannot_work(tmp_path) -> None:
    paths = begin(tmp_path / "r", small_spec())
    sweep = json.loads(paths.sweep.read_text())
    del sweep["specs"]
    paths.sweep.write_text(json.dumps(sweep))
    paths.spec.write_text(paths.spec.read_text().replace("seeds: 2", "seeds: 3"))
    with pytest.raises(UserError, match="Restore the file: only its digest is known") as told:
        read_spec(paths)
    assert "extend" not in str(told.value).replace(str(paths.root), "")


@pytest.mark.parametrize(
    "key, value, place",
    [
        ("specs", 5, "specs: must be a list of the specs"),
        ("specs", [], "specs: must be a list of the specs"),
        ("specs", [{}], "specs[0].yaml: must be there, and a str of JSON"),
        ("reuse", ["x", 4], "reuse: must be a list of results folders"),
    ],
)
def test_a_damaged_history_is_one_mistake(key, value, place, tmp_path, capsys) -> None:
    paths = begin(tmp_path / "r", small_spec())
    sweep = json.loads(paths.sweep.read_text())
    paths.sweep.write_text(json.dumps(sweep | {key: value}))
    for words in (["extend", "--set", "seeds=3"], ["resume"], ["region"], ["status"]):
        assert main([words[0], str(paths.root), *words[1:]]) == 2
        assert f"sweep.json: {place}" in capsys.readouterr().err


def test_status_of_an_interrupted_extension_is_of_the_new_question(tmp_path, capsys) -> None:
    folder = tmp_path / "r"
    run_sweep(GRID, folder, **QUIET)
    paths = SweepPaths(folder)
    text = paths.spec.read_text()
    extend_results(folder, None, ["seeds=3"])
    paths.spec.write_text(text)  # as a kill leaves it
    assert main(["status", str(folder), "--json"]) == 0
    said = capsys.readouterr()
    verdict = json.loads(said.out)["verdict"]
    assert verdict["points"] == 4 and not verdict["threshold_known"] and not said.err
    paths.spec.write_text(text.replace("seeds: 2", "seeds: 9"))
    assert main(["status", str(folder)]) == 0
    assert "spec.yaml was changed by hand; `sweeps region` says what" in capsys.readouterr().err


def test_a_sweep_does_not_reuse_itself(tmp_path) -> None:
    begin(tmp_path / "r", small_spec())
    with pytest.raises(UserError, match=r"--reuse: must be another sweep's folder"):
        extend_results(tmp_path / "r", None, ["seeds=3"], reuse=[tmp_path / "r"])


def test_every_refused_section_is_listed_at_once(tmp_path) -> None:
    begin(tmp_path / "r", small_spec())
    with pytest.raises(UserError) as told:
        extend_results(
            tmp_path / "r", None, ["search={kind: random, points: 3}", "defence.architecture=mlp"]
        )
    assert "search.kind: must stay 'grid'" in str(told.value)
    assert "defence.architecture: must stay as it is" in str(told.value)


# --- what changed in the answer -----------------------------------------------------------------


def test_the_command_says_what_changed_in_the_answer(tmp_path, capsys) -> None:
    """Easier thresholds let points in."""
    folder = tmp_path / "r"
    ridge = {"architecture": "ridge", "weight_decay": [0.01, 1]}
    hard = asked(region={"clean_accuracy": 1.0, "attack_success": 0.4}, defence=ridge, seeds=1)
    run_sweep(hard, folder, **QUIET)
    before = read_region(folder)
    assert before["setting"] is None
    code = main(["extend", str(folder), "--set", "region.clean_accuracy=0.5", "--runner", "serial"])
    assert code == 0
    said, after = capsys.readouterr().err, read_region(folder)
    inside = [point for point in after["points"] if point["by_means"] == "IN"]
    setting = after["setting"]
    assert f"Points IN by bounds, a model or means: 0 -> {len(inside)} ({len(inside)} came in: {inside[0]['label']}" in said  # fmt: skip
    assert f"Recommended: none -> {setting['label']} (IN by " in said
    assert f"Answer: {before['headline']['text']} -> {after['headline']['text']}\n" in said


def test_the_lines_of_a_change() -> None:
    def region(inside: list[str], text: str, **changes: Any) -> Any:
        points = [
            {"defence_id": name, "label": f"point {name}", "by_bounds": "UNDECIDED",
             "by_means": "IN" if name in inside else "OUT"} for name in "abcd"
        ]  # fmt: skip
        known = {"points": points, "recommended": None, "headline": {"claim": "means", "text": text}}  # fmt: skip
        return known | {"verification": {"text": "not yet"}} | changes

    one = region(["a"], "1 is IN", verification={"text": "verified (59 of 59 draws pass)"})
    other = region(["b", "c", "d"], "3 are IN", verification={"text": "stale"})
    assert answer_changes(one, other) == [
        "Points IN by bounds, a model or means: 1 -> 3 (3 came in: point b; point c; and 1 more; 1 left: point a)",
        "Answer: 1 is IN -> 3 are IN",
        "Verification: verified (59 of 59 draws pass) -> stale",
    ]  # fmt: skip
    assert answer_changes(one, one) == ["The answer is the same as before the extension."]
    assert answer_changes(None, one) == []
    # Files of before have neither a headline nor a verification.
    older = {"points": one["points"], "recommended": {"defence_id": "a", "basis": "means"}}
    assert answer_changes(older, region(["a"], "x"))[0] == "Recommended: point a (IN by means only: not certain) -> none"  # fmt: skip
    space = {"verdicts": {"space": {"likely_in": 0.125}}}
    grown = {"verdicts": {"space": {"likely_in": 0.25}}}
    assert answer_changes(one | space, one | grown) == ["Likely IN of the defence space: 12.5 % -> 25 %"]  # fmt: skip
