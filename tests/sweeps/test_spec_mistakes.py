"""Wrong specs: every mistake of a file in one message, exit code 2, and nothing written."""

import copy

import pytest
import yaml
from PIL import Image
from small import SMALL

from backdoor.errors import UserError
from sweeps.cli import WRONG
from sweeps.cli.main import main
from sweeps.spec import load_spec


def changed(path: str, value):
    """The small spec with one dotted key set, or removed for `...`."""
    document = copy.deepcopy(SMALL)
    *steps, last = path.split(".")
    target = document
    for step in steps:
        if not isinstance(target.get(step), dict):
            target[step] = {"kind": target[step]} if step in target else {}
        target = target[step]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return document


WRONG_SPECS = {
    "unknown key": (changed("sedes", 3), ["sedes: is not a known key, but got 3. Did you mean 'seeds'?"]),
    "missing section": (changed("attack", ...), ["attack: must be given"]),
    "wrong name": (changed("name", "a/b"), ["name: must begin with a letter or digit", "'a/b'"]),
    "defence is no mapping": (changed("defence", 3), ["defence: must be a mapping of factors, but got 3"]),
    "seed beyond all bounds": (changed("seeds", [10**30]), ["seeds: must be distinct whole numbers >= 0"]),
    "epochs beyond all bounds": (changed("defence.epochs", 10**30), ["defence.epochs: must be a whole number below 2**53"]),
    "unusable tracking store": (changed("tracking", "mlruns"), ["tracking.uri: must be a tracking store that MLflow has", "'mlruns'"]),
    "unknown dataset": (changed("data", "digit"), ["data.kind: must be a known dataset, but got 'digit'. Did you mean 'digits'?"]),
    "unknown dataset setting": (changed("data.clases", [1, 2]), ["data.clases: is not a setting of `digits`", "Did you mean 'classes'?"]),
    "too many images": (changed("data.train", 5000), ["data.train + validation + test: must not exceed the 1797 images"]),
    "class that does not exist": (changed("data.classes", [1, 12]), ["data.classes: must be labels from 0 to 9, or names of classes, but got [12]"]),
    "missing data": (changed("data", {"kind": "parquet", "root": "/nowhere"}), ["data.root: must be a folder that exists, but got '/nowhere'"]),
    "no data root": (changed("data", "parquet"), ["data.root: must be given for `parquet`", "--set data.root=FOLDER"]),
    "wrong type": (changed("defence.epochs", "many"), ["defence.epochs: must be a whole number, but got 'many'"]),
    "empty choice": (changed("defence.epochs", []), ["defence.epochs: must not be an empty list"]),
    "impossible range": (changed("defence.learning_rate", {"log": [1, 0.1]}), ["defence.learning_rate: must have `low < high`, but got [1, 0.1]"]),
    "log range from zero": (changed("defence.learning_rate", {"log": [0, 1]}), ["must have `low > 0` on a log scale", "add 0 as a choice"]),
    "range without steps in a grid": (changed("defence.learning_rate", {"log": [0.1, 1]}), ["defence.learning_rate: must have `steps` for a grid search"]),
    "value out of range": (changed("defence.momentum", 1), ["defence.momentum: must be >= 0 and < 1, but got 1"]),
    "end of a range out of bounds": (changed("defence.momentum", {"uniform": [0, 2], "steps": 3}), ["defence.momentum: must be >= 0 and < 1, but got 2"]),
    "unknown architecture": (changed("defence.architecture", ["linaer"]), ["defence.architecture[0]: must be a known architecture, but got 'linaer'. Did you mean 'linear'?"]),
    "no architecture": (changed("defence.architecture", ...), ["defence.architecture: must be given"]),
    "strength on none": (changed("defence.regularizer", {"kind": "none", "strength": 1}), ["defence.regularizer.strength: is not a factor of `none`"]),
    "setting of another kind": (changed("defence.architecture", {"kind": "mlp", "norm": "batch"}), ["defence.architecture.norm: is not a setting of `mlp`"]),
    "attack factor under defence": (changed("defence.poison_rate", 0.1), ["defence.poison_rate: does not belong under `defence`", "attacker's choice", "move it to `attack`"]),
    "defence factor under attack": (changed("attack.weight_decay", 0.1), ["attack.weight_decay: does not belong under `attack`", "move it to `defence`"]),
    "patch larger than the image": (changed("attack.trigger", {"kind": "patch", "size": 9}), ["attack.trigger.size: must not be larger than the image, which is 8 x 8 pixels, but got 9"]),
    "target that does not exist": (changed("attack.target", 10), ["attack.target: must be one of the 10 classes, 0 to 9, but got 10"]),
    "target by its name": (changed("attack.target", 7) | {"data": {"kind": "digits", "classes": [7, 1], "train": 100, "validation": 50, "test": 50}}, ["attack.target: must be one of the 2 classes, 0 to 1, but got 7. Choose another class: number 0 is 7, 1 is 1."]),
    "rate that poisons nothing": (changed("attack.poison_rate", [0.0005]), ["attack.poison_rate: must poison at least one of the 1100 training images, or be 0, but got 0.0005"]),
    "clean-label rate beyond the target class": (changed("attack", {"trigger": "sine", "label_mode": "clean_label", "poison_rate": [0.01, 0.5]}), ["attack.poison_rate: must not exceed the 100 of 1100 training images that are of class 0", "but got 0.5. Use at most 0.090909."]),
    "unknown label mode": (changed("attack.label_mode", "all"), ["attack.label_mode: must be one of all_to_one, all_to_all, clean_label, but got 'all'"]),
    "machine without weight decay": (changed("defence.architecture", "rbf_svm"), ["defence.weight_decay: must be above 0 for rbf_svm", "Give this architecture a weight_decay of its own"]),
    "wave that leaves no mark": (changed("attack.trigger", {"kind": "sine", "frequency": 8}), ["attack.trigger.frequency: must change images 8 pixels wide"]),
    "no attack at all": (changed("attack.poison_rate", [0]), ["attack.poison_rate: must have a rate above 0 in the panel"]),
    "endless panel": (changed("attack.poison_rate", {"log": [0.01, 0.1]}), ["attack.poison_rate: must be finite: a panel is a list of attacks"]),
    "rate in percent beside the baseline": (changed("attack.poison_rate", [0, 3]), ["attack.poison_rate: must be >= 0 and <= 1, but got 3"]),
    "training setting under defence": (changed("defence.batch_size", 32), ["defence.batch_size: does not belong under `defence`", "move it to `training`"]),
    "training setting under attack": (changed("attack.stamp", "after"), ["attack.stamp: does not belong under `attack`", "move it to `training`"]),
    "defence factor under training": (changed("training.epochs", 3), ["training.epochs: does not belong under `training`", "move it to `defence`"]),
    "seeds in words": (changed("seeds", "two"), ["seeds: must be a number of seeds, a list of them, or a mapping, but got 'two'. For example 3, [0, 1, 2]"]),
    "negative seeds": (changed("seeds", [-1, 2]), ["seeds: must be distinct whole numbers >= 0, but got [-1, 2]"]),
    "repeated seeds": (changed("seeds", [1, 1]), ["seeds: must be distinct whole numbers >= 0"]),
    "no seeds": (changed("seeds", 0), ["seeds.count: must be greater than or equal to 1, but got 0"]),
    "unknown search": (changed("search", "gird"), ["search.kind: must be one of grid, random, sobol, optuna, region, but got 'gird'. Did you mean 'grid'?"]),
    "random without points": (changed("search", "random"), ["search.points: must be given for `random`"]),
    "threshold out of range": (changed("region.attack_success", 20), ["region.attack_success: must be less than or equal to 1, but got 20"]),
    "unreadable threshold": (changed("region.clean_accuracy", "best + 1"), ["region.clean_accuracy: must be a fraction in [0, 1] or `best - x`, but got 'best + 1'"]),
    "wrong resources": (changed("resources.cpu", 0), ["resources.cpu: must be greater than or equal to 1, but got 0"]),
    "wrong training": (changed("training.batchsize", 3), ["training.batchsize: is not a known setting", "Did you mean 'batch_size'?"]),
    "network too large for its images": (changed("defence.architecture", "convnet") | {"data": {"kind": "digits"}}, None),
}  # fmt: skip
del WRONG_SPECS["network too large for its images"]


@pytest.mark.parametrize("name", WRONG_SPECS)
def test_wrong_spec(name, tmp_path, capsys, monkeypatch) -> None:
    document, texts = WRONG_SPECS[name]
    monkeypatch.chdir(tmp_path)
    spec = tmp_path / "spec.yaml"
    spec.write_text(yaml.safe_dump(document))
    assert main(["run", "spec.yaml", "--out", "results", "--runner", "serial"]) == WRONG
    streams = capsys.readouterr()
    assert streams.out == ""
    for text in texts:
        assert text in streams.err
    assert "error: 1 mistake in the spec:\n" in streams.err, streams.err
    assert [file.name for file in tmp_path.iterdir()] == ["spec.yaml"]


def test_all_mistakes_of_a_file_in_one_message(tmp_path, capsys) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "name: many\n"
        "data: {kind: digits, foo: 1}\n"
        "defence:\n"
        "  architecture: [linaer, {kind: mlp, weight_decay: -1}]\n"
        "  trigger: patch\n"
        "  epochs: []\n"
        "attack:\n"
        "  trigger: {kind: patch, size: 9}\n"
        "  poison_rate: [0, 0.0005]\n"
        "  target: 11\n"
        "seeds: 3\n"
        "seeds: x\n"
        "search: gird\n"
    )
    assert main(["check", str(spec)]) == WRONG
    message = capsys.readouterr().err
    assert "error: 11 mistakes" in message
    for place in ("line 12", "data.foo", "defence.architecture[0]", "defence.weight_decay",
                  "defence.trigger", "defence.epochs", "attack.trigger.size", "attack.poison_rate",
                  "attack.target", "seeds:", "search.kind"):  # fmt: skip
        assert place in message, place


@pytest.mark.parametrize(
    ("settings", "place"),
    [({"foo": 1}, "data.foo"), ({"image_size": "abc"}, "data.image_size"),
     ({"image_siz": 8}, "data.image_siz")],
)  # fmt: skip
def test_data_are_not_checked_as_nobody_asked_for(settings, place, tmp_path) -> None:
    """Images of two sizes are read with `image_size` only."""
    for name in ("cat", "dog"):
        for side in (*range(6, 18), 40):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.new("L", (side, 20), side).save(tmp_path / name / f"{side}.png")
    given = {"kind": "image_folder", "root": str(tmp_path), "image_size": 8, "train": 10,
             "validation": 4, "test": 4}  # fmt: skip
    if "image_siz" in settings:
        del given["image_size"]
    with pytest.raises(UserError) as caught:
        attack = {"trigger": {"kind": "patch", "size": 1}, "poison_rate": [0, 0.5]}
        load_spec(changed("data", given | settings) | {"attack": attack})
    assert [mistake.place for mistake in caught.value.mistakes] == [place]


def test_the_rest_is_checked_with_all_settings_that_exist() -> None:
    data = {"kind": "digits", "foo": 1, "classes": [0, 1], "train": 99, "validation": 9, "test": 9}
    attack = {"trigger": "patch", "poison_rate": [0, 0.1], "target": 2}
    with pytest.raises(UserError) as caught:
        load_spec(changed("data", data) | {"attack": attack})
    assert [mistake.place for mistake in caught.value.mistakes] == ["data.foo", "attack.target"]


def test_a_file_that_is_no_text(tmp_path, capsys) -> None:
    (tmp_path / "spec.yaml").write_bytes(b"\xff\xfe\x00")
    assert main(["check", str(tmp_path / "spec.yaml")]) == WRONG
    assert "spec.yaml: must be readable UTF-8 text" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made(tmp_path, capsys) -> None:
    (tmp_path / "file").write_text("")
    assert main(["run", "digits", "--out", str(tmp_path / "file" / "x")]) == WRONG
    assert "--out: must be a new folder in a place that can be written" in capsys.readouterr().err


def test_a_folder_in_use_is_refused_before_anything_else(tmp_path, capsys) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    assert main(["run", "digits", "--out", str(tmp_path)]) == WRONG
    assert "--out: must be a new or empty folder" in capsys.readouterr().err
    (tmp_path / "sweep.json").write_text("{}")
    assert main(["run", "digits", "--out", str(tmp_path)]) == WRONG
    assert "sweeps resume" in capsys.readouterr().err
    assert (tmp_path / "mine.txt").read_text() == "keep me"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ["run", "nothing"],
            "SPEC must be a file, or the name of a bundled spec, but got 'nothing'",
        ),
        (["run", "digts"], "Did you mean 'digits'?"),
        (
            ["check", "digits", "--set", "seeds"],
            "--set: must be written key=value, but got 'seeds'",
        ),
        (
            ["check", "digits", "--set", "seeds.count.x=3"],
            "--set seeds.count.x: must lead through mappings",
        ),
        (["check", "digits", "--set", "seed=3"], "Did you mean 'seeds'?"),
        (["resume", "nowhere"], "DIR must be the results folder of a sweep, but got 'nowhere'"),
        (["region", "nowhere"], "DIR must be the results folder of a sweep"),
        (["status", "nowhere"], "DIR must be the results folder of a sweep"),
        (["export", "nowhere", "--csv", "x.csv"], "DIR must be the results folder of a sweep"),
        (["mirror", "nowhere"], "DIR must be the results folder of a sweep"),
        (["report", "nowhere"], "DIR must be the results folder of a sweep"),
        (["show", "nowhere", "abc"], "DIR must be the results folder of a sweep"),
    ],
)
def test_wrong_usage(arguments, text, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == WRONG
    assert text in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
