"""A sweep from Python: the same question, trials and answer as on the command line."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from small import SMALL, results

import sweeps
from backdoor import UserError
from backdoor.triggers.patch import Patch
from sweeps import (
    CsvColumns,
    RecordedGrid,
    ReplayRunner,
    load_results,
    load_spec,
    read_region,
    resume_sweep,
    run_sweep,
)
from sweeps.cli.main import main
from sweeps.runners import ray_session
from sweeps.runners.serial import SerialRunner
from sweeps.storage.paths import SweepPaths

QUESTION = SMALL | {
    "seeds": 1,
    "attack": {"trigger": [{"kind": "patch", "size": 1}], "poison_rate": [0, 0.03]},
}


def test_a_question_without_yaml_gets_the_answer_of_the_command_line(tmp_path, capsys) -> None:
    outcome = run_sweep(QUESTION, tmp_path / "python", runner="serial")
    said = capsys.readouterr()
    assert said.out == "" and "small: 8 trials, 0 recorded" in said.err and "8/8 trials" in said.err
    assert (outcome.finished, outcome.failed, outcome.interrupted) == (8, 0, False)
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump(QUESTION, sort_keys=False))
    out = str(tmp_path / "typed")
    assert main(["run", str(file), "--out", out, "--runner", "serial"]) == 0
    assert results(SweepPaths(outcome.folder)) == results(SweepPaths(Path(out)))
    assert read_region(outcome.folder) == read_region(out)
    assert load_results(outcome.folder).num_rows == 8
    ours, theirs = (SweepPaths(Path(each)).spec.read_text() for each in (outcome.folder, out))
    assert ours == theirs
    assert json.loads(SweepPaths(outcome.folder).sweep.read_text())["command"] == "sweeps.run_sweep"


def test_numpy_tuples_ranges_and_paths_are_plain_values() -> None:
    question = copy.deepcopy(QUESTION)
    question["defence"] = {
        "architecture": ("linear",),
        "weight_decay": np.array([0.0, 0.5]),
        "epochs": np.int64(3),
    }
    question["seeds"] = range(1, 3)
    spec = load_spec(question, ["region.attack_success=0.3"])
    assert spec.document["defence"] == {
        "architecture": ["linear"],
        "weight_decay": [0.0, 0.5],
        "epochs": 3,
    }
    assert spec.seeds == (1, 2) and spec.region.attack_success == 0.3
    assert question["seeds"] == range(1, 3), "the question is not written to"
    assert load_spec(yaml.safe_load(spec.to_yaml())) == spec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attack": {"trigger": [Patch(size=1)]}}, r"attack.trigger\[0\]: must be text.*Write \{'kind': 'patch'"),
        ({"seeds": {1, 2}}, "seeds: must be text, a number"),
        ({3: "x"}, "3: must have text as its key"),
        ({"defence": {"architecture": ["linear"], "weight_decay": np.array([np.nan])}}, "weight_decay"),
        ({"seedz": 3}, "seeds"),
    ],
)  # fmt: skip
def test_what_no_spec_can_hold_is_refused_by_its_place(change, message, tmp_path) -> None:
    with pytest.raises(UserError, match=message):
        run_sweep(QUESTION | change, tmp_path / "out", runner="serial")
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_and_wrong_runners_are_refused(tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"^out: must be a new or empty folder.*another out.$"):
        run_sweep(QUESTION, tmp_path)
    with pytest.raises(
        UserError, match=r"runner: must be tune or serial, or a runner, but got 'seriel'.*serial"
    ):
        run_sweep(QUESTION, tmp_path / "new", runner="seriel")
    asha = QUESTION | {"stopping": "asha"}
    for runner in ("serial", SerialRunner()):
        with pytest.raises(UserError, match="runner: must be `tune` for `stopping: asha`"):
            run_sweep(asha, tmp_path / "new", runner=runner)
    assert not (tmp_path / "new").exists()


def test_kinds_of_a_notebook_run_in_this_process_only(tmp_path, monkeypatch) -> None:
    import __main__

    @dataclass(frozen=True)
    class Corner(Patch):
        """A patch by another name."""

        kind = "corner"

    Corner.__module__, Corner.__qualname__ = "__main__", "Corner"
    monkeypatch.setattr(__main__, "Corner", Corner, raising=False)
    question = QUESTION | {
        "attack": {"trigger": [{"kind": "__main__:Corner", "size": 1}], "poison_rate": 0.03}
    }
    message = "runner: must be `serial` for kinds of `__main__`.*but got 'tune'. Or move Corner into a module"
    with pytest.raises(UserError, match=message):
        run_sweep(question, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert run_sweep(question, tmp_path / "out", runner="serial", quiet=True).finished == 4


def test_gpus_that_this_machine_lacks_are_refused_before_anything_is_made(
    tmp_path, capsys, monkeypatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray_session, "is_connected", lambda: False)  # other tests may be
    rule = r"resources.gpu: must not exceed the \d+ GPUs of this machine .*, but got 999"
    for runner in ("serial", "tune"):
        with pytest.raises(UserError, match=rule):
            run_sweep(QUESTION | {"resources": {"gpu": 999}}, tmp_path / "out", runner=runner)
    assert not (tmp_path / "out").exists()
    checked = ["check", "digits", "--set", "resources.gpu=999"]
    assert main(checked) == 0, "the spec may be for a cluster"
    assert re.search(f"note: not on this machine: {rule}", capsys.readouterr().err)
    assert main([*checked, "--time"]) == 2
    assert re.search(rule, capsys.readouterr().err)


class _Interrupted(SerialRunner):
    """Ctrl-C twice after the first pack."""

    def run(self, feed) -> None:
        pack = feed.next_pack()
        feed.finished([pack], self.work(pack))
        raise KeyboardInterrupt


def test_interrupted_and_resumed_quietly(tmp_path, capsys) -> None:
    outcome = run_sweep(QUESTION, tmp_path / "cut", runner=_Interrupted(), quiet=True)
    assert outcome.interrupted and 0 < outcome.finished < 8
    with pytest.raises(UserError, match=r"region.json: must exist.*sweeps region"):
        read_region(outcome.folder)
    whole = resume_sweep(str(outcome.folder), runner="serial", quiet=True)
    assert (whole.finished, whole.interrupted) == (8, False)
    assert capsys.readouterr() == ("", "")
    assert read_region(whole.folder)["recommended"] is None or whole.folder == tmp_path / "cut"


def test_a_results_folder_answers_for_its_trials(tmp_path) -> None:
    first = run_sweep(QUESTION, tmp_path / "first", runner="serial", quiet=True)
    runner = ReplayRunner(first.folder, workers=64)
    replayed = run_sweep(QUESTION, tmp_path / "second", runner=runner, quiet=True)
    assert runner.clock > 0 and replayed.finished == 8
    assert results(SweepPaths(replayed.folder)) == results(SweepPaths(first.folder))
    assert sweeps.SweepOutcome is type(replayed)


@pytest.mark.parametrize("runner", [None, 3, ["serial"], SerialRunner, ReplayRunner])
def test_what_is_no_runner_is_refused_before_the_folder_is_made(runner, tmp_path) -> None:
    with pytest.raises(
        UserError, match="runner: must be tune or serial, or an object with the method `run`"
    ):
        run_sweep(QUESTION, tmp_path / "out", runner=runner)
    assert not (tmp_path / "out").exists()


def test_a_runner_that_leaves_trials_has_not_finished(tmp_path, capsys) -> None:
    class Idle:
        def run(self, feed) -> None:
            """Takes nothing."""

    outcome = run_sweep(QUESTION, tmp_path / "out", runner=Idle())
    assert outcome.interrupted and outcome.finished == 0
    said = capsys.readouterr().err
    assert "Interrupted: 0 trials are recorded" in said and "sweeps resume" in said


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ReplayRunner({}), "recorded: must be a results folder, its ledger, or recorded"),
        (lambda: ReplayRunner("nowhere"), "DIR must be the results folder of a sweep"),
        (lambda: ReplayRunner({}, workers=0), "workers: must be a whole number from 1 on, but got 0"),
        (lambda: CsvColumns("a", "b", images=0), "images: must be a whole number from 1 on"),
        (lambda: CsvColumns("a", "b", images="500"), "images: must be a whole number from 1 on"),
        (lambda: RecordedGrid("nowhere.csv", CsvColumns("a", "b", 500)), "nowhere.csv: must be a CSV file"),
    ],
)  # fmt: skip
def test_recorded_trainings_say_what_is_wrong_with_them(make, message) -> None:
    with pytest.raises(UserError, match=message):
        make()


def test_a_misspelt_probe_is_no_empty_table(tmp_path) -> None:
    folder = run_sweep(QUESTION, tmp_path / "out", runner="serial", quiet=True).folder
    assert load_results(folder, "persistence").num_rows == 0
    with pytest.raises(
        UserError, match=r"probe: must be `all` or the name of a probe.*Did you mean 'persistence'"
    ):
        load_results(folder, "persistance")
