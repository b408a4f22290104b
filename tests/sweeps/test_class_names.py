"""Classes by name, in `target`, `source` and `data.classes`: read as numbers, before hashing."""

from __future__ import annotations

import copy
import json
import shlex
import shutil

import numpy as np
import pytest
import yaml
from small import SMALL, begin, of_before, sweep

from backdoor import evaluate_model, load_data, poison_dataset
from backdoor.config import Attack, build_attack
from backdoor.datasets.class_names import ClassNames
from backdoor.errors import Mistake, StoredDataError, UserError
from sweeps.answer.write import write_region
from sweeps.cli import WRONG
from sweeps.cli.main import main
from sweeps.ledger import Ledger
from sweeps.region.labels import attacked_classes
from sweeps.region.panel import criteria_of
from sweeps.results import same_data
from sweeps.results.create import read_spec, reopen
from sweeps.runners.serial import SerialRunner
from sweeps.search import make_search
from sweeps.spec import load_spec, parse_spec

NAMES = ["bird", "cat", "dog", "3", "yes"]


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    """A small data set whose classes have names."""
    file = tmp_path_factory.mktemp("pets") / "pets.npz"
    images = np.random.default_rng(0).integers(0, 256, (150, 1, 8, 8), dtype=np.uint8)
    np.savez(file, images=images, labels=np.repeat(np.arange(5), 30), class_names=np.array(NAMES))
    return str(file)


def document(root, data=None, **attack):
    given = copy.deepcopy(SMALL)
    given["data"] = {"kind": "arrays", "root": root, **(data or {})}
    given["attack"] |= {"poison_rate": [0, 0.1]} | attack
    return given


def ids(spec):
    return [trial.trial_id for trial in make_search(spec).ask(1000)]


def refused(given, changes=()):
    with pytest.raises(UserError) as caught:
        load_spec(given, changes)
    return [str(mistake) for mistake in caught.value.mistakes]


@pytest.mark.parametrize(
    ("named", "numbered"),
    [
        ({"target": "cat"}, {"target": 1}),
        ({"target": "3"}, {"target": 3}),
        ({"target": "yes"}, {"target": 4}),
        ({"target": ["cat", 3]}, {"target": [1, 3]}),
        ({"source": "cat"}, {"source": 1}),
        ({"source": ["cat", [2, "yes"]]}, {"source": [1, [2, 4]]}),
        ({"source": [["dog", "cat"]], "target": "bird"}, {"source": [[1, 2]], "target": 0}),
        (
            {"trigger": [{"kind": "patch", "target": "cat"}, {"kind": "blend", "source": "dog"}]},
            {"trigger": [{"kind": "patch", "target": 1}, {"kind": "blend", "source": 2}]},
        ),
    ],
)
def test_names_are_numbers_before_hashing(pets, named, numbered) -> None:
    spec = load_spec(document(pets, **named))
    assert ids(spec) == ids(load_spec(document(pets, **numbered)))
    stored = yaml.safe_load(spec.to_yaml())["attack"]  # by YAML 1.1, where `yes` is true
    assert {key: stored[key] for key in named} == named


def test_selected_classes_by_name(pets) -> None:
    spec = load_spec(document(pets, {"classes": ["dog", "bird", "yes"]}, target="bird"))
    assert spec.data.classes == (2, 0, 4) and spec.panel[0].target == 1
    same = document(pets, {"classes": [2, 0, 4]}, target=1)
    assert ids(spec) == ids(load_spec(same))
    assert refused(document(pets, {"classes": ["dog", "bird"]}, target="cat")) == [
        "attack.target: must be the name of a class, but got 'cat'. Known: dog, bird."
    ]
    assert refused(document(pets, {"classes": ["dog", 2]})) == [
        "data.classes: must not repeat a class, but got [2, 2]. Name each class once."
    ]
    wrong = "data.classes[1]: must be the name of a class, but got 'brid'. Did you mean 'bird'?"
    assert refused(document(pets, {"classes": ["dog", "brid"]}))[0].startswith(wrong)


def test_a_panel_aims_at_a_name(pets) -> None:
    given = document(pets)
    given["attack"] = {"panel": "standard-1", "target": "dog", "poison_rate": [0, 0.1]}
    assert {attack.target for attack in load_spec(given).panel} == {2}


def test_set_on_the_command_line(pets) -> None:
    assert load_spec(document(pets), ["attack.target=cat"]).panel[0].target == 1
    assert load_spec(document(pets), ["attack.target='3'"]).panel[0].target == 3
    assert load_spec(document(pets), ["data.classes=[cat, dog]"]).data.classes == (1, 2)


def test_wrong_names_are_all_refused_at_once(pets) -> None:
    known = "Known: bird, cat, dog, 3, yes."
    given = document(pets, target=["cta", True, "Dog", "1"], source=[["x", "cat"]])
    rule = "must be the name of a class, but got"
    assert refused(given) == [
        f"attack.target[0]: {rule} 'cta'. Did you mean 'cat'? {known}",
        "attack.target[1]: must be the number or name of a class, but got True. If a class has "
        "this name, put it in quotes: 'true'.",
        f"attack.target[2]: {rule} 'Dog'. Did you mean 'dog'? {known}",
        f"attack.target[3]: {rule} '1'. A class number has no quotes: 1. {known}",
        f"attack.source[0][0]: {rule} 'x'. {known}",
    ]
    assert refused(document(pets, {"classes": [True, False]})) == [
        "data.classes: must be a whole number or must be text, but got [True, False]. Put text in "
        "quotes: 'true'."
    ]
    assert refused(document("/nowhere.npz", target="cat")) == [
        "data.root: must be an .npz file that exists, but got '/nowhere.npz'. Check the path."
    ]


def test_many_and_equal_names() -> None:
    many = ClassNames((*(f"class {n}" for n in range(300)), "crane", "crane"))
    assert many.read("target", "class 7") == 7
    with pytest.raises(
        UserError, match=r"but 2 classes have it.*Write the class number: 300 or 301"
    ):
        many.read("target", "crane")
    with pytest.raises(
        UserError, match=r"Did you mean 'class 30'\? .*, class 19, ... \(302 in all"
    ):
        many.read("target", "Class 30")


# --- numeric labels that were renumbered ---------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        (5, "It only means class '5' (the label 5, which is number 1): write target: '5'."),
        (1, "It could mean class '1' (the label 1, which is number 0) or class '5' (the class number 1): write target: '1' or target: '5'."),
        (2, "It only means class '9' (the class number 2): write target: '9'."),
        (7, "No label and no class number is 7. Known: 1, 5, 9."),
    ],
)  # fmt: skip
def test_both_readings_of_a_renumbered_label_are_shown(given, remedy) -> None:
    classes = ClassNames(("1", "5", "9"), (1, 5, 9))
    with pytest.raises(UserError) as caught:
        classes.read("attack.target", given)
    assert str(caught.value) == (
        "attack.target: must name a class, since numeric labels were renumbered, but got "
        f"{given}. {remedy}"
    )
    assert classes.read("attack.target", "9") == 2
    with pytest.raises(UserError, match="must be names of classes, since numeric labels were"):
        classes.read("attack.target", {"int": [0, 2]})


@pytest.fixture
def odd(tmp_path):
    """A data set whose labels are 3, 5 and 9."""
    file = tmp_path / "odd.npz"
    images = np.random.default_rng(1).integers(0, 256, (90, 1, 8, 8), dtype=np.uint8)
    np.savez(file, images=images, labels=np.repeat([3, 5, 9], 30))
    return str(file)


def test_explicit_numbers_of_renumbered_data_are_refused(odd) -> None:
    rule = "must name a class, since numeric labels were renumbered, but got"
    label = "It only means class '5' (the label 5, which is number 1): write target: '5'."
    assert refused(document(odd, target=5, source=[0])) == [
        f"attack.target: {rule} 5. {label}",
        f"attack.source[0]: {rule} 0. It only means class '3' (the class number 0): write "
        "source: '3'.",
    ]
    assert refused(document(odd, {"classes": [3, "9"]})) == [
        f"data.classes[0]: {rule} 3. It only means class '3' (the label 3, which is number 0): "
        "write classes: ['3']."
    ]
    both = [each.split("]")[0] for each in refused(document(odd, {"classes": [3, 5]}))]
    assert both == ["data.classes[0", "data.classes[1"]
    with pytest.raises(UserError, match=r"classes\[1\]: must name a class"):
        load_data({"kind": "arrays", "root": odd, "classes": ["9", 5]})
    assert load_data({"kind": "arrays", "root": odd, "classes": ["9", "5"]}).class_names == (
        "9",
        "5",
    )


def test_numbers_that_nobody_wrote_stay(odd) -> None:
    assert load_spec(document(odd)).panel[0].target == 0
    panel = document(odd) | {"attack": {"panel": "standard-1", "poison_rate": 0.1}}
    assert load_spec(panel).panel[0].target == 0
    panel["attack"]["target"] = 0
    assert "attack.target: must name a class" in refused(panel)[0]
    spec = load_spec(document(odd, {"classes": ["9", "3"]}), ["attack.target='3'"])
    assert spec.data.classes == (2, 0) and spec.panel[0].target == 1


def test_a_sweep_of_before_the_labels_were_renumbered(odd, tmp_path, capsys) -> None:
    spec = load_spec(document(odd, target="5") | {"seeds": 1})
    paths = begin(tmp_path / "r", spec)
    sweep(paths, spec, SerialRunner())
    text = paths.spec.read_text()
    paths.spec.write_text(text.replace("target: '5'", "target: 5"))
    former = {"data_fingerprint": spec.data.fingerprint()[:16], "class_names": list("0123456789")}
    of_before(paths, **former)
    assert main(["resume", str(paths.root)]) == WRONG
    said = capsys.readouterr().err
    assert said.count("error:") == 1 and "error: data: must be read as when the sweep began" in said
    assert "The same files are read by a new rule: classes are those that training images" in said
    assert main(["region", str(paths.root)]) == 0


# --- results folders -----------------------------------------------------------------------------


@pytest.fixture
def begun(pets, tmp_path):
    """A sweep with names of classes, whose data are gone by now, and its trial ids."""
    file = tmp_path / "pets.npz"
    shutil.copy(pets, file)
    given = document(str(file), {"classes": ["dog", "cat", "bird"]}, target="cat")
    spec = load_spec(given | {"seeds": 1})
    paths = begin(tmp_path / "r", spec)
    sweep(paths, spec, SerialRunner())
    return paths, spec, file


def test_a_folder_keeps_the_names_and_needs_no_data(begun, capsys) -> None:
    paths, spec, file = begun
    stored = yaml.safe_load(paths.spec.read_text())
    assert stored["attack"]["target"] == "cat" and stored["data"]["classes"] == [
        "dog",
        "cat",
        "bird",
    ]
    assert json.loads(paths.sweep.read_text())["class_numbers"] == [2, 1, 0]
    attacks = [trial.config["attack"] for trial in Ledger(paths.ledger).trials()]
    assert {attack["target"] for attack in attacks if attack} == {1}
    assert ids(reopen(paths.root)[1]) == ids(spec)
    file.unlink()
    assert ids(read_spec(paths)) == ids(spec)
    assert criteria_of(read_spec(paths)) == criteria_of(spec)
    assert write_region(paths, read_spec(paths))["trials"]["finished"] == len(ids(spec))
    for command in ("region", "report"):
        assert main([command, str(paths.root)]) == 0
    assert "class 1 is cat" in capsys.readouterr().out


def test_names_that_a_folder_does_not_record(begun) -> None:
    paths, _, _ = begun
    of_before(paths)
    text = paths.spec.read_text()
    paths.spec.write_text(text.replace("target: cat", "target: cow"))
    with pytest.raises(
        UserError, match=r"attack.target: must be the name of a class, but got 'cow'"
    ):
        read_spec(paths)
    assert "- bird" in text
    paths.spec.write_text(text.replace("  - bird\n", ""))
    with pytest.raises(UserError, match=r"data\.classes: must be the classes that the sweep began"):
        read_spec(paths)


def test_a_source_that_is_the_target_is_named(pets) -> None:
    (mistake,) = refused(document(pets, target="cat", source="cat"))
    assert "attack.source: must be classes without the target class" in mistake
    assert "(cat), but got ['cat']" in mistake


def called(folder, names):
    file = folder / "called.npz"
    images = np.random.default_rng(0).integers(0, 256, (150, 1, 8, 8), dtype=np.uint8)
    labels = np.repeat(np.arange(len(names)), 150 // len(names))
    np.savez(file, images=images, labels=labels, class_names=np.array(names))
    return str(file)


@pytest.mark.parametrize(
    ("names", "target", "note"),
    [
        (["1", "2", "3"], 2, "attack.target: 2 is the class number 2, '3'; the class '2' has "
         "number 1: write target: '2' for it"),
        (["a", "b", "0x1"], 1, "attack.target: 1 is the class number 1, 'b'; the class '0x1' has "
         "number 2: write target: '0x1' for it"),
        (["1e0", "b", "c"], 1.0, "attack.target: 1 is the class number 1, 'b'; the class '1e0' has "
         "number 0: write target: '1e0' for it"),
        (["0", "1", "2"], 2, None),
        (["1", "2", "3"], "2", None),
    ],
)  # fmt: skip
def test_numbers_that_are_names_of_other_classes(names, target, note, tmp_path) -> None:
    spec = load_spec(document(called(tmp_path, names), target=target))
    assert spec.notes == (() if note is None else (note,))


@pytest.mark.parametrize("name", ["null", "~", "-", "", "&y", "*x", "!z", "%p", "{x}", "a: b"])
def test_names_that_yaml_reads_otherwise_take_quotes(name, pets) -> None:
    (mistake,) = refused(document(pets), [f"attack.target={name}"])
    option = shlex.split(mistake.partition("put it in quotes: ")[2].rstrip("."))
    assert mistake.startswith("--set attack.target: must be ")
    assert "If you mean the class of this name, put it in quotes: --set " in mistake
    assert option == ["--set", f"attack.target='{name}'"]


def test_who_gives_a_number_that_could_be_a_label(tmp_path) -> None:
    file = tmp_path / "labels.npz"
    images = np.random.default_rng(0).integers(0, 256, (150, 1, 8, 8), dtype=np.uint8)
    np.savez(file, images=images, labels=np.repeat([1, 2, 3], 50))
    given = document(str(file), target=1)
    (mistake,) = refused(given, ["seeds=1"])
    assert "The spec says target: 1. It could mean" in mistake
    assert """On the command line: --set "attack.target='1'".""" in mistake
    (mistake,) = refused(given, ["attack.target=2"])
    assert "The spec says" not in mistake


def test_without_data_and_folder(pets) -> None:
    given = document(pets, {"classes": ["cat", "dog"]}, target="cat", source=[[1, "dog"]])
    with pytest.raises(UserError) as caught:
        parse_spec(copy.deepcopy(given), against_data=False)
    assert [mistake.place for mistake in caught.value.mistakes] == [
        "data.classes", "attack.target", "attack.source[0]"]  # fmt: skip
    assert "must be given by class number where the data are not read" in str(caught.value)
    assert parse_spec(given, against_data=False, names_later=True).document == given


@pytest.mark.parametrize("rule", [None, "EXIF orientation is applied (12 images)"])
def test_data_that_are_read_by_another_rule(begun, rule, monkeypatch, capsys) -> None:
    paths, spec, _ = begun
    description = json.loads(paths.sweep.read_text())
    paths.sweep.write_text(json.dumps(description | {"data_fingerprint": "0123456789abcdef"}))
    asked = []
    monkeypatch.setattr(same_data, "changed_rule", lambda *given: asked.append(given[2]) or rule)
    with pytest.raises(StoredDataError) as caught:
        reopen(paths.root)
    assert asked == ["0123456789abcdef"]
    message = str(caught.value)
    if rule is None:
        assert "data: must be the data that the sweep began with (0123456789abcdef)" in message
        assert "Restore the data, or begin a new sweep" in message
    else:
        assert "data: must be read as when the sweep began (0123456789abcdef)" in message
        assert f"The same files are read by a new rule: {rule}. Begin a new sweep." in message
        assert "sweeps region" in message and "sweeps report" in message
        assert message.endswith("still show this one.")
    point = write_region(paths, spec)["points"][0]["defence_id"]
    for command in (["train", "--point", point], ["verify", "--runner", "serial"], ["resume"]):
        capsys.readouterr()
        assert main([command[0], str(paths.root), *command[1:]]) == WRONG
        error = capsys.readouterr().err
        assert (rule or "data: must be the data that the sweep began with") in error, command
    for command in ("region", "report"):
        assert main([command, str(paths.root)]) == 0


@pytest.mark.parametrize("same", [True, False])
def test_data_that_are_refused_by_now(begun, same, monkeypatch, capsys) -> None:
    """No remedy is a setting: those of a sweep that has begun stay."""
    paths, spec, _ = begun
    if not same:
        description = json.loads(paths.sweep.read_text())
        paths.sweep.write_text(json.dumps(description | {"data_fingerprint": "0123456789abcdef"}))

    def refuse(*_):
        raise UserError(Mistake("root", "must use all bits", "12", "Say so: --set data.bits=12."))

    monkeypatch.setattr(same_data, "load_source", refuse)
    point = write_region(paths, spec)["points"][0]["defence_id"]
    for command in (["train", "--point", point], ["verify", "--runner", "serial"], ["resume"]):
        assert main([command[0], str(paths.root), *command[1:]]) == WRONG
        error = capsys.readouterr().err
        assert "data.root: must use all bits, but got '12'. " in error and "--set" not in error
        assert ("If the files are the same: The sweep" in error) is not same
        assert "began with data that an earlier version read; they are refused now by" in error
        assert "Begin a new sweep. " in error and error.rstrip().endswith("still show this one.")


def test_data_that_have_moved(begun, capsys) -> None:
    paths, spec, file = begun
    point = write_region(paths, spec)["points"][0]["defence_id"]
    file.rename(file.with_name("moved.npz"))
    for command in (["verify", "--runner", "serial"], ["resume"]):
        assert main([command[0], str(paths.root), *command[1:]]) == WRONG
        error = capsys.readouterr().err
        assert "must be an .npz file that exists" in error
        assert "Put the data back there, or a link to where they are now." in error
    assert main(["train", str(paths.root), "--point", point]) == WRONG
    assert "name their folder with --data-root." in capsys.readouterr().err


# --- Python --------------------------------------------------------------------------------------


def test_names_in_python(pets) -> None:
    data = load_data({"kind": "arrays", "root": pets, "classes": ["cat", "dog"]})
    assert data.class_names == ("cat", "dog")
    given = {"trigger": {"kind": "patch", "size": 1}, "poison_rate": 0.5, "target": "dog"}
    images, labels = data.train.images, data.train.labels
    named = poison_dataset(images, labels, given, classes=data.class_names)[1]
    numbered = poison_dataset(images, labels, given | {"target": 1}, classes=2)[1]
    assert np.array_equal(named, numbered)
    _, counts = evaluate_model(
        lambda batch: np.ones(len(batch), dtype=int), images, labels, given, data.class_names
    )
    assert counts.attack_success == 1
    with pytest.raises(
        UserError, match=r"attack.target: must be the name of a class, but got 'cow'"
    ):
        poison_dataset(images, labels, given | {"target": "cow"}, classes=data.class_names)
    for build in (lambda: poison_dataset(images, labels, given), lambda: build_attack(given)):
        with pytest.raises(
            UserError, match=r"target: must be a class number where the names .* `classes=`"
        ):
            build()
    with pytest.raises(UserError, match="classes: must be a number of classes, or a list of their"):
        poison_dataset(images, labels, given, classes="dog")


def test_what_numbers_in_labels_stand_for() -> None:
    attack = build_attack({"trigger": "patch", "target": 1, "source": [0, 3]})
    assert isinstance(attack, Attack)
    names = ("0 - zero", "cat", "dog", "3")
    assert (
        attacked_classes([attack], names)
        == "target: class 1 (cat); source: class 0 ('0 - zero'), class 3"
    )
    assert attacked_classes([build_attack({"trigger": "patch", "target": 3})], names) == ""
    assert (
        attacked_classes([build_attack({"trigger": "patch", "target": 3})], names, {"target": 3})
        == "target: class 3"
    )
