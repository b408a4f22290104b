"""YAML values that say something else than they seem to: the right value, or one clear mistake."""

from __future__ import annotations

import copy
import json

import pytest
import yaml
from small import SMALL, begin, of_before, sweep

from backdoor.errors import UserError
from backdoor.settings.schema import LARGEST
from sweeps.cli import WRONG
from sweeps.cli.main import main
from sweeps.panels.bundled import bundled_panels, panel_section
from sweeps.results.create import read_spec, reopen
from sweeps.results.update_region import update_region
from sweeps.runners.serial import SerialRunner
from sweeps.space.yaml_loader import dump_yaml, load_yaml
from sweeps.spec import load_spec, parse_spec
from sweeps.spec.load import bundled_specs, read_document


def load(text, place="spec"):
    mistakes = []
    return load_yaml(text, mistakes.append, place), [str(mistake) for mistake in mistakes]


def refused(**changes):
    with pytest.raises(UserError) as caught:
        parse_spec(copy.deepcopy(SMALL) | changes)
    return [str(mistake) for mistake in caught.value.mistakes]


# --- merge keys ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[&b {k: 1, w: 2}, {<<: *b, w: 3}]", [{"k": 1, "w": 2}, {"k": 1, "w": 3}]),
        ("[&b {k: 1, w: 2}, {w: 3, <<: *b}]", [{"k": 1, "w": 2}, {"k": 1, "w": 3}]),
        ("[&a {x: 1}, &b {x: 2, y: 2}, {<<: [*a, *b], z: 0}]", [{"x": 1}, {"x": 2, "y": 2}, {"x": 1, "y": 2, "z": 0}]),
        ("[&a {x: 1}, &b {<<: *a, x: 2}, {<<: *b}]", [{"x": 1}, {"x": 2}, {"x": 2}]),
        ("{'<<': 1}", {"<<": 1}),
    ],
)  # fmt: skip
def test_merge_keys(text, value) -> None:
    assert load(text) == (value, [])
    assert load(dump_yaml(value)) == (value, [])


def test_repeated_keys_beside_merge_keys() -> None:
    assert load("a: &a {b: 1}\nc: {<<: *a,\n  b: 2,\n  b: 3}\n")[1] == [
        "line 4: must not repeat a key (first in line 3), but got 'b'. Remove one of the two."
    ]
    assert load("a: &a {b: 1}\nc: {<<: *a, <<: *a}\n")[1] == [
        "line 2: must not repeat a key (first in line 2), but got '<<'. Merge several mappings as "
        "a list: <<: [*one, *other]."
    ]
    with pytest.raises(UserError, match="line 1: must be valid YAML, but got 'expected a mapping"):
        load("{<<: 3}")


@pytest.mark.parametrize("text", ["&a [*a]", "x: &a {b: [*a]}", "&a {<<: *a}"])
def test_what_contains_itself_is_refused(text) -> None:
    with pytest.raises(UserError, match="line 1: must be valid YAML, but got '&a contains itself"):
        load(text)


def test_a_component_with_a_merge_key(tmp_path) -> None:
    file = tmp_path / "spec.yaml"
    text = yaml.safe_dump(SMALL | {"defence": {"architecture": "X", "epochs": 1}})
    kinds = "[&base {kind: mlp, width: 8, weight_decay: 0.1}, {<<: *base, width: 16}]"
    file.write_text(text.replace("architecture: X", f"architecture: {kinds}"))
    spec = load_spec(file)
    points = [point["architecture"] | {"w": point["weight_decay"]} for point in spec.defence.grid()]
    assert points == [{"kind": "mlp", "width": width, "w": 0.1} for width in (8, 16)]


# --- numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["01", "007", "0755", "-01", "+00", "00.5", "01e3", "010"])
def test_leading_zeros_are_refused(text) -> None:
    rule = f"must not be a number that begins with 0, but got '{text}'. Decimals have a point: "
    rule += f"0.01, not 0,01. Put text in quotes: '{text}'."
    assert load(f"a: 1\nb: [{text}]")[1] == [f"line 2: {rule}"]
    assert load(text, "--set defence.epochs")[1] == [f"--set defence.epochs: {rule}"]
    assert load(f"{{a: '{text}', b: x{text}}}") == ({"a": text, "b": f"x{text}"}, [])


def test_a_decimal_comma_in_a_list(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = yaml.safe_dump(SMALL).replace("- 0.01\n  - 0.03", "- 0.03")
    text += "training: {}\n"
    (tmp_path / "spec.yaml").write_text(text)
    argv = ["run", "spec.yaml", "--set", "defence.weight_decay=[0,01, 0,1]"]
    assert main(argv) == WRONG
    assert "--set defence.weight_decay: must not be a number that begins" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["spec.yaml"]


@pytest.mark.parametrize("text", ["1e400", "-1e400", "1e-400", "9" * 400 + ".0"])
def test_numbers_that_no_computer_holds(text) -> None:
    [mistake] = load(f"[{text}]")[1]
    assert mistake.startswith("line 1: must be a number that a computer can hold")


def test_numbers_as_they_are_meant() -> None:
    given = "[1e-3, .5, 5., 1E3, +3, -0, 0, 0.0, 0e7, 0.01, 0x1F, 0o17, 1e300]"
    assert load(given) == ([0.001, 0.5, 5.0, 1000.0, 3, 0, 0, 0.0, 0.0, 0.01, 31, 15, 1e300], [])


@pytest.mark.parametrize(
    ("text", "means"),
    [("1_000", 1000), ("'3'", 3), ("٣", 3), ("1,5", 1.5), ("'0,5'", 0.5)],
)
def test_text_that_means_a_number(text, means) -> None:
    value, mistakes = load(text)
    assert isinstance(value, str) and not mistakes
    remedy = f"If it means {means}, write it so, in digits and without quotes."
    rule = f"but got {value!r}. {remedy}"
    assert refused(attack=SMALL["attack"] | {"poison_rate": value}) == [
        f"attack.poison_rate: must be a number, {rule}"
    ]
    [mistake] = refused(region={"attack_success": value})
    assert mistake.startswith("region.attack_success: must be") and mistake.endswith(rule)


@pytest.mark.parametrize("text", ["1:30", "yes", "off", "2021-01-01", "NaN", "0b101", "1 000"])
def test_text_that_is_no_number(text) -> None:
    assert load(f"[{text}]") == ([text], [])
    assert refused(defence=SMALL["defence"] | {"epochs": text}) == [
        f"defence.epochs: must be a whole number, but got {text!r}. Change the value."
    ]
    assert yaml.safe_load(dump_yaml({"text": text})) == {"text": text}  # by YAML 1.1 too


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"defence": SMALL["defence"] | {"learning_rate": float("nan")}}, "defence.learning_rate: must be a finite number, but got nan."),
        ({"defence": SMALL["defence"] | {"learning_rate": {"log": [0.1, float("inf")]}}}, "defence.learning_rate: must have two numbers as its ends"),
        ({"defence": SMALL["defence"] | {"epochs": float("inf")}}, "defence.epochs: must be a whole number, but got inf."),
        ({"defence": SMALL["defence"] | {"epochs": LARGEST + 1}}, "defence.epochs: must be a whole number below 2**53"),
        ({"region": {"attack_success": float("nan")}}, "region.attack_success: must be a finite number, but got nan."),
        ({"search": {"kind": "region", "budget": {"gpu_hours": float("inf")}}, "resources": {"gpu": 1}}, "search.budget: must be a finite number"),
    ],
)  # fmt: skip
def test_numbers_that_are_not_finite(change, message) -> None:
    assert refused(**change)[0].startswith(message)


# --- choices that repeat a value -----------------------------------------------------------------

REPEATED = [
    ({"attack": {"trigger": {"kind": "patch", "size": 1, "value": [1, 0, 0]}, "poison_rate": 0.1}},
     "attack.trigger.value: must not repeat a choice, which 0 does, but got [1, 0, 0]. A list is a choice, which names each value once. No list is one value of `value`."),
    ({"attack": SMALL["attack"] | {"source": [1, 2, 1]}},
     "attack.source: must not repeat a choice, which 1 does, but got [1, 2, 1]. A list is a choice, which names each value once. For one value that is a list, write source: [[1, 2, 1]]."),
    ({"defence": SMALL["defence"] | {"learning_rate": [0.1, 0.10, 1]}},
     "defence.learning_rate: must not repeat a choice, which 0.1 does"),
    ({"defence": {"architecture": ["linear", {"kind": "linear"}]}},
     "defence.architecture: must not repeat a choice, which {'kind': 'linear'} does"),
    ({"defence": SMALL["defence"] | {"learning_rate": [{"log": [0.1, 1], "steps": 2}] * 2}},
     "defence.learning_rate: must not repeat a choice, which {'log': [0.1, 1], 'steps': 2} does"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), REPEATED)
def test_repeated_choices_are_refused(change, message) -> None:
    assert refused(**change)[0].startswith(message)


def test_different_values_are_no_repetition() -> None:
    attack = SMALL["attack"] | {"source": [1, [1, 2], [2, 3]]}
    defence = {"architecture": [{"kind": "linear", "weight_decay": [0, 0.03]}, {"kind": "linear"}]}
    assert parse_spec(SMALL | {"attack": attack, "defence": defence})


def test_what_comes_with_the_package_repeats_nothing() -> None:
    for name in bundled_specs():
        document, mistakes = read_document(name)
        document["data"] = {"kind": "digits"} if document["data"] != "digits" else "digits"
        assert not mistakes and parse_spec(document, against_data=False), name
    assert all(panel_section(name) for name in bundled_panels())


def test_a_folder_whose_spec_repeats_a_value_is_still_read(tmp_path, capsys) -> None:
    spec = parse_spec(copy.deepcopy(SMALL) | {"seeds": 1})
    paths = begin(tmp_path / "r", spec)
    sweep(paths, spec, SerialRunner())
    document = load_yaml(paths.spec.read_text(), lambda mistake: None)
    document["attack"]["poison_rate"].append(0.03)
    of_before(paths)
    paths.spec.write_text(dump_yaml(document))
    [note] = read_spec(paths).notes
    assert note.startswith("attack.poison_rate: must not repeat a choice, which 0.03 does")
    assert reopen(paths.root)[1].panel == spec.panel
    assert (
        update_region(paths)["trials"]["finished"] == json.loads(paths.sweep.read_text())["planned"]
    )
    assert main(["resume", str(paths.root), "--runner", "serial"]) == 0
    assert f"note: {note}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "value", "part"),
    [
        ("attack.poison_rate", "[0, 0,01, 0,03]", "Decimals have a point: 0.01"),
        ("defence.weight_decay", "[0,01, 0,1]", "Decimals have a point: 0.01"),
        ("defence.architecture", "[linear, {kind: linear, learning_rate: 0,05}]", "point: 0.05"),
    ],
)
def test_what_follows_from_a_decimal_comma_is_no_mistake_of_its_own(key, value, part) -> None:
    with pytest.raises(UserError) as caught:
        load_spec("digits", [f"{key}={value}"])
    (mistake,) = caught.value.mistakes
    assert part in str(mistake)
