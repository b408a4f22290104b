"""`sweeps train`: the final model of a small digits sweep, by the command."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small import begin, small_spec, sweep
from torch_only import predictions

from backdoor.datasets.source import forget_sources, load_source, split
from backdoor.export import load_model
from sweeps.cli import FAILURES, FINE, WRONG
from sweeps.cli.main import main
from sweeps.final_model.select import choose, fresh_seed
from sweeps.ledger import Ledger
from sweeps.region.panel import criteria_of
from sweeps.region.point_table import region_of
from sweeps.results.update_region import update_region
from sweeps.runners.serial import SerialRunner
from sweeps.statistics.prediction import predict_one
from sweeps.storage.paths import SweepPaths
from sweeps.storage.shell import command

RIDGE = {
    "defence": {"architecture": "ridge", "weight_decay": [1e-4, 0.2]},
    "attack": {"trigger": [{"kind": "patch", "size": 1}], "poison_rate": [0, 0.01, 0.03]},
    "seeds": 3,
}


def swept(folder: Path, **changes):
    spec = small_spec(**{**RIDGE, **changes})
    paths = begin(folder, spec)
    sweep(paths, spec, SerialRunner())
    update_region(paths)
    return paths, spec


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Two ridge points: one that is IN, and one that is more accurate and gives way."""
    return swept(tmp_path_factory.mktemp("sweep") / "r")


@pytest.fixture(scope="module")
def worst(finished):
    """The config.json and the folder of a model trained against the worst attack."""
    folder = finished[0].root / "worst"
    code = main(["train", str(finished[0].root), "--attack", "worst", "--out", str(folder)])
    assert code == FINE
    return json.loads((folder / "config.json").read_text()), folder


# --- what is trained and saved ------------------------------------------------------------------


def test_torch_alone_gets_the_figures_again_and_they_are_as_expected(finished, worst, tmp_path) -> None:  # fmt: skip
    """The final model in a process without our packages, on images that are made here again."""
    _, spec = finished
    config, folder = worst
    source, seed = load_source(spec.data), config["trial"]["seed"]
    assert seed == 3 and config["attack"]["label"] == "patch(size=1) at 3 % to class 0"
    test = split(spec.data, source, seed).test
    images, labels = source.images[test], source.labels[test]
    others = np.flatnonzero(labels != 0)
    stamped = images[others].copy()
    stamped[:, :, -1, -1] = 255  # the patch of size 1, bottom right
    asked = np.concatenate([images, stamped])
    (answers,) = predictions(tmp_path, [(folder / "model.pt2", asked)])
    ours = load_model(folder)(torch.from_numpy(asked)).argmax(1).numpy()
    assert np.array_equal(ours, answers)
    accuracy, success = config["figures"]
    assert (accuracy["count"], accuracy["total"]) == (int((answers[:500] == labels).sum()), 500)
    assert (success["count"], success["total"]) == (int((answers[500:] == 0).sum()), len(others))
    for figure in (accuracy, success):
        expected = figure["expected"]
        assert expected["seeds"] == 3 and expected["confidence"] == 0.95
        assert expected["low"] <= figure["value"] <= expected["high"]
        assert figure["inside"] is True
        assert expected["high"] - expected["low"] < 0.5


def test_what_is_expected_comes_from_the_seeds_of_that_point_and_attack(finished, worst) -> None:
    config, _ = worst
    rows = [row for row in Ledger(finished[0].ledger).rows()
            if row["config"]["defence"]["weight_decay"] == 0.2 and (row["config"]["attack"] or {}).get("poison_rate") == 0.03]  # fmt: skip
    assert sorted(row["seed"] for row in rows) == config["expected_from_seeds"] == [0, 1, 2]
    counts = [(row["measurements"][0]["success"], row["measurements"][0]["total"]) for row in rows]
    success = config["figures"][1]
    found = predict_one(counts, success["total"])
    assert (success["expected"]["low_count"], success["expected"]["high_count"]) == (found.low, found.high)  # fmt: skip


def test_config_says_all_that_the_model_is(finished, worst) -> None:
    paths, _ = finished
    config, folder = worst
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "model.pt2", "model.safetensors"]  # fmt: skip
    assert config["architecture"] == {"kind": "ridge"}
    assert config["input"] == {"shape": [1, 8, 8], "dtype": "uint8", "range": [0, 255]}
    assert config["normalization"]["scale"] == [pytest.approx(1 / 255)]
    assert config["class_names"] == [str(i) for i in range(10)]
    assert config["trial"]["defence"]["weight_decay"] == 0.2
    assert config["trial"]["attack"]["poison_rate"] == 0.03
    assert config["data_fingerprint"] == json.loads(paths.sweep.read_text())["data_fingerprint"]
    assert config["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert (config["train_images"], config["poisoned"]) == (1100, 33)
    assert config["files"]["program"] == {
        "name": "model.pt2", "tried_on": 500 + config["figures"][1]["total"],
        "answers_alike": 500 + config["figures"][1]["total"],
        "images": 500, "triggered": [config["figures"][1]["total"]],
    }  # fmt: skip
    assert not any(row["seed"] == 3 for row in Ledger(paths.ledger).rows())


def test_on_the_data_as_they_are(finished, capsys) -> None:
    paths, _ = finished
    assert main(["train", str(paths.root), "--json"]) == FINE
    config = json.loads(capsys.readouterr().out)
    folder = Path(config["folder"])
    assert folder.parent == paths.models and folder.name.endswith("-clean-seed3")
    assert json.loads((folder / "config.json").read_text()) | {"folder": str(folder)} == config
    assert config["poisoned"] == 0 and config["attack"] is None
    names = [(figure["figure"], figure["attack"]) for figure in config["figures"]]
    assert names == [("clean_accuracy", None), ("attack_success", "patch(size=1) to class 0")]
    assert config["if_poisoned"]["attack"]["number"] == 2
    assert config["if_poisoned"]["attack_success"]["high"] > config["figures"][1]["expected"]["high"]  # fmt: skip
    said = {entry["figure"]: entry for entry in config["held_to"]}
    assert said["clean_accuracy"]["met"] is True and said["clean_accuracy"]["by"] == "seeds"
    assert said["attack_success"]["met"] is said["attack_success"]["beyond_chance"] is None
    assert "clean model" in said["attack_success"]["text"]
    foreseen = {entry["figure"]: entry for entry in config["if_poisoned"]["held_to"]}
    high = config["if_poisoned"]["attack_success"]["high"]
    crosses = foreseen["attack_success"]
    assert crosses["standing"] == ("crosses" if high > 0.2 else "meets")
    assert (crosses["chance_to_miss"] > 0.025) == (high > 0.2)
    before = (folder / "config.json").read_bytes()
    assert main(["train", str(paths.root)]) == WRONG
    assert "--out: must be a new or empty folder" in capsys.readouterr().err
    assert (folder / "config.json").read_bytes() == before


def test_it_says_what_is_expected(finished, tmp_path, capsys) -> None:
    paths, _ = finished
    arguments = ["train", str(paths.root), "--point", "best", "--attack", "2", "--seed", "8"]
    assert main([*arguments, "--out", str(tmp_path / "m")]) == FAILURES
    out, err = capsys.readouterr()
    assert "error: attack success of this model misses what the spec asks for, beyond what chance explains; the model is saved all the same" in err  # fmt: skip
    assert out.startswith("ridge, weight_decay 0.0001 (of the best validation accuracy, OUT by means), seed 8, on data poisoned by attack 2:")  # fmt: skip
    assert "patch(size=1) at 3 % to class 0, 33 of 1100 training images: do not deploy" in out
    assert "expected of one new seed (95 %, from 3 seeds)" in out
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    accuracy, success = config["held_to"]
    assert (accuracy["met"], accuracy["beyond_chance"]) == (True, False)
    assert (success["met"], success["beyond_chance"], success["by"]) == (False, True, "seeds")
    expected = config["figures"][1]["expected"]
    assert (success["low"], success["high"]) == (expected["low"], expected["high"])
    assert success["low"] > success["threshold"] == 0.2 and success["rule"] == "0.2"
    verdict = "Misses attack success beyond chance (exit code 1). Meets what the spec asks for: accuracy."  # fmt: skip
    assert f"\n\n{accuracy['text']}\n{success['text']}\n{verdict}\n\nLoad it" in out
    warned = [line for line in err.splitlines() if line.startswith("warning: this point is ")]
    assert len(warned) == 1 and warned[0].startswith("warning: this point is OUT by means: clean")
    assert warned[0].endswith(" at 3 % to class 0), but asked for are clean accuracy >= 0.889 (best - 0.05), attack success <= 0.2 for all 2 attacks")  # fmt: skip
    assert f"above the 0.200 asked for, as is all of what one seed may do here ({expected['low']:.3f} to" in out  # fmt: skip
    assert "The region is about the mean over seeds; these limits are of one new seed, and so wider." in out  # fmt: skip
    figure = config["figures"][0]
    assert f"{figure['value']:.3f}" in out and f"{figure['count']} of 500" in out
    assert f"{figure['expected']['low']:.3f} to {figure['expected']['high']:.3f}" in out
    assert f"torch.export.load('{tmp_path / 'm' / 'model.pt2'}').module()" in out
    others = config["figures"][1]["total"]
    assert f"the trained model's everywhere on 500 test images, {others} of them triggered as well." in out  # fmt: skip


def test_a_seed_of_the_sweep_is_reported_and_not_expected_of_itself(
    finished, tmp_path, capsys
) -> None:
    paths, _ = finished
    arguments = ["train", str(paths.root), "--attack", "1", "--seed", "1", "--out", str(tmp_path / "m")]  # fmt: skip
    assert main(arguments) == FINE
    assert "note: the sweep has trained seed 1 itself: this is no new model" in capsys.readouterr().err  # fmt: skip
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    assert config["expected_from_seeds"] == [0, 2]
    (row,) = [r for r in Ledger(paths.ledger).rows() if r["trial_id"] == config["trial_id"]]
    assert sum(row["class_correct"]) == config["figures"][0]["count"]
    assert row["measurements"][0]["success"] == config["figures"][1]["count"]


# --- choosing -----------------------------------------------------------------------------------


def test_attacks_are_numbered_as_the_region_lists_them(finished, capsys) -> None:
    paths, spec = finished
    assert main(["region", str(paths.root)]) == FINE
    listed = capsys.readouterr().out.partition("Attacks:\n")[2].partition("\n\n")[0].splitlines()
    numbered = [line for line in listed if line[2].isdigit()]  # below each is where it takes
    assert numbered == [
        "  1 patch(size=1) at 1 % to class 0",
        "  2 patch(size=1) at 3 % to class 0",
    ]
    panel = region_of(criteria_of(spec), Ledger(paths.ledger))["panel"]
    for number in (1, 2):
        assert choose(spec, paths, attack=str(number)).trial.attack == spec.panel[number - 1]
        prefix = panel[number - 1]["attack_id"][:6]
        chosen = choose(spec, paths, attack=prefix)
        assert chosen.named(chosen.attack)["number"] == number


def test_points_by_name_and_by_id(finished) -> None:
    paths, spec = finished
    decays = {word: choose(spec, paths, word).trial.defence.weight_decay for word in ("recommended", "best")}  # fmt: skip
    assert decays == {"recommended": 0.2, "best": 1e-4}
    for row in Ledger(paths.ledger).rows():
        found = choose(spec, paths, row["defence_id"][:10]).trial
        assert found.defence_id == row["defence_id"] and found.attack is None and found.seed == 3


def test_fresh_seeds() -> None:
    assert fresh_seed([]) == 0
    assert fresh_seed([2, 0, 1, 5]) == 3
    assert fresh_seed(range(1000, 1003)) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--point", "zz"], "--point: must be recommended, best, or the beginning of exactly one point's id, but got 'zz'. 0 points match"),
        (["--point", ""], "0 points match"),
        (["--attack", "3"], "--attack: must be a number from 1 to 2, `worst`, or the beginning of an attack's id, but got '3'. 1 is patch(size=1) at 1 % to class 0; 2 is patch(size=1) at 3 % to class 0."),
        (["--attack", "0"], "--attack: must be a number from 1 to 2"),
        (["--seed", "-1"], "--seed: must be from 0 to 9007199254740992, but got -1. Leave it out for a fresh one."),
        (["--data-root", "/x"], "--data-root: must not be given: `digits` is no set of files"),
    ],
)  # fmt: skip
def test_mistakes(finished, capsys, arguments, said) -> None:
    before = sorted(finished[0].root.rglob("*"))
    assert main(["train", str(finished[0].root), *arguments]) == WRONG
    assert said in capsys.readouterr().err
    assert sorted(finished[0].root.rglob("*")) == before


def test_without_a_recommended_point_it_says_what_to_do(tmp_path, capsys) -> None:
    paths, _ = swept(tmp_path / "r", region={"clean_accuracy": 1.0}, attack={**RIDGE["attack"], "poison_rate": [0.03]}, seeds=1)  # fmt: skip
    assert main(["train", str(paths.root)]) == WRONG
    err = capsys.readouterr().err
    assert "--point: needs a point that is IN, and this sweep has none, but got 'recommended, with 2 points tried'. Take `--point best` or a point's id" in err  # fmt: skip
    # One seed and no baseline: there is a model, and nothing that can be expected of it.
    assert main(["train", str(paths.root), "--point", "best"]) == FAILURES
    out = capsys.readouterr().out
    assert out.count("none can be given") == 4
    assert "below the 1.000 asked for: beyond what its test images alone leave open (0.920 to 0.962)" in out  # fmt: skip
    assert "The sweep trained no clean baseline here: add poison rate 0 to `attack`." in out
    assert main(["train", str(paths.root), "--point", "best", "--attack", "1"]) == FAILURES
    assert "One seed says nothing of how seeds differ" in capsys.readouterr().out


def test_a_sweep_that_is_not_finished(finished, tmp_path, capsys) -> None:
    """Half of the panel is there: nothing is recommended or best, a point's id is enough."""
    paths, spec = SweepPaths(tmp_path / "r"), small_spec(**RIDGE)
    begin(paths.root, spec)
    table = Ledger(finished[0].ledger).table()
    half = [i for i, row in enumerate(Ledger(finished[0].ledger).rows()) if row["config"]["attack"] is None]  # fmt: skip
    Ledger(paths.ledger).append(table.take(half))
    for word in ("recommended", "best"):
        assert main(["train", str(paths.root), "--point", word]) == WRONG
        again = command("sweeps", "resume", paths.root)
        assert f"Finish the sweep first: {again}" in capsys.readouterr().err
    name = table.take(half)["defence_id"][0].as_py()
    assert main(["train", str(paths.root), "--point", name, "--attack", "worst"]) == WRONG
    assert "--attack: needs a point that every attack of the panel has met" in capsys.readouterr().err  # fmt: skip
    assert main(["train", str(paths.root), "--point", name, "--json"]) == FINE
    streams = capsys.readouterr()
    assert "warning: this point is INCOMPLETE: some of its trials have not ended" in streams.err
    config = json.loads(streams.out)
    assert config["expected_from_seeds"] == [0, 1, 2] and config["if_poisoned"] is None


# --- what goes wrong ----------------------------------------------------------------------------


def test_a_failure_leaves_no_half_model(finished, tmp_path, monkeypatch) -> None:
    def full(path, value):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sweeps.final_model.train.write_json", full)
    assert main(["train", str(finished[0].root), "--out", str(tmp_path / "m")]) == WRONG
    assert list(tmp_path.iterdir()) == []


def test_what_torch_cannot_export_is_saved_as_weights(finished, tmp_path, monkeypatch, capsys) -> None:  # fmt: skip
    def unable(classifier, shape):
        raise NotImplementedError("aten::odd")

    monkeypatch.setattr("sweeps.final_model.train.program_of", unable)
    assert main(["train", str(finished[0].root), "--out", str(tmp_path / "m")]) == FINE
    streams = capsys.readouterr()
    assert "only its weights are saved (NotImplementedError: aten::odd)" in streams.err
    assert f"backdoor.export.load_model('{tmp_path / 'm'}')" in streams.out
    assert not (tmp_path / "m" / "model.pt2").exists()
    assert load_model(tmp_path / "m")(torch.zeros(1, 1, 8, 8, dtype=torch.uint8)).shape == (1, 10)


def test_a_program_that_answers_otherwise_is_a_failure_and_kept(finished, tmp_path, monkeypatch, capsys) -> None:  # fmt: skip
    monkeypatch.setattr(
        "sweeps.final_model.train.answers_of", lambda program, images: np.zeros(len(images))
    )
    assert main(["train", str(finished[0].root), "--out", str(tmp_path / "m")]) == FAILURES
    assert "error: the saved program gives another class than the trained model in 8" in capsys.readouterr().err  # fmt: skip
    assert (tmp_path / "m" / "model.pt2").is_file()


def test_data_that_moved_and_data_that_changed(tmp_path, capsys) -> None:
    rng = np.random.default_rng(0)
    old, new = tmp_path / "old.npz", tmp_path / "new.npz"
    labels = np.arange(300) % 3
    images = (rng.integers(0, 60, (300, 8, 8)) + 60 * labels[:, None, None]).astype(np.uint8)
    np.savez(old, images=images, labels=labels)
    paths, _ = swept(tmp_path / "r", data={"kind": "arrays", "root": str(old)}, seeds=2)
    old.rename(new)
    forget_sources()
    arguments = ["train", str(paths.root), "--point", "best"]
    assert main(arguments) == WRONG
    assert "data.root: " in capsys.readouterr().err
    assert main([*arguments, "--data-root", str(new)]) == FINE
    np.savez(new, images=255 - images, labels=labels)
    forget_sources()
    assert main([*arguments, "--data-root", str(new), "--seed", "9"]) == WRONG
    assert "Restore the data, or name their folder with --data-root." in capsys.readouterr().err
