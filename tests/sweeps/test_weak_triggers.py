"""A positive control of attacks: a trigger that changes nearly nothing is refused before a sweep."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from small import of_before

from backdoor import Trigger, UserError
from backdoor.triggers.stamping import stamped
from sweeps.cli.main import main
from sweeps.driver.run import extend_sweep, resume_sweep, run_sweep
from sweeps.search import make_search
from sweeps.spec import load_spec, parse_spec
from sweeps.storage.paths import SweepPaths

RULE = "attack.trigger: must change at least 1 % of the triggered test images of every class"
REMEDY = (
    "No model can learn such a trigger, and every defence would seem to withstand it. Make it "
    "stronger or move it, or go on with `allow_weak: true`: --set attack.allow_weak=true."
)
NOTHING = "class 1 (dog): 0 of 200 images changed (mean change 0 grey levels); class 2 (owl): 0 of 100 (0)"
#: The corner pixel of one of 200 dogs has grey level 128: 128 / (64 x 200) grey levels on average.
ONE_DOG = "class 1 (dog): 1 of 200 images changed (mean change 0.01 grey levels)"
BLACK = {"kind": "patch", "size": 1, "value": 0}
FAINT = {"kind": "blend", "opacity": 0.001}


@dataclass(frozen=True)
class Returns(Trigger):
    """A user's trigger that returns its input."""

    def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return images.clone()


OWN = f"{__name__}:Returns"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Black images of 8 x 8 with a white square in the middle, one column wider for each class. In
    the corner of the first dog of the test images, and of every owl, is something grey."""
    train, test = np.repeat([0, 1, 2], 20), np.repeat([0, 1, 2], [50, 200, 100])

    def images(labels: Any) -> Any:
        made = np.zeros((len(labels), 8, 8), np.uint8)
        for image, label in zip(made, labels, strict=True):
            image[3:5, 2 : 4 + label] = 255
        return made

    tests = images(test)
    tests[50, 7, 7] = tests[250:, 7, 7] = 128
    file = tmp_path_factory.mktemp("weak") / "images.npz"
    np.savez(
        file, images=images(train), labels=train, test_images=tests, test_labels=test,
        class_names=["cat", "dog", "owl"],
    )  # fmt: skip
    return str(file)


def question(data: str, *triggers: Any, **attack: Any) -> dict[str, Any]:
    """One ridge on the images, against these triggers."""
    return {
        "name": "weak",
        "data": {"kind": "arrays", "root": data},
        "defence": {"architecture": "ridge", "weight_decay": 0.1},
        "attack": {"trigger": list(triggers), "poison_rate": [0, 0.2], **attack},
        "seeds": 1,
        "tracking": "none",
    }


def refused(said: str) -> str:
    return f"{RULE}, but got '{said}'. {REMEDY}"


def mistakes(asked: Any, changes: list[str] | None = None) -> list[str]:
    with pytest.raises(UserError) as error:
        load_spec(asked, changes)
    return [str(mistake) for mistake in error.value.mistakes]


def warned(spec: Any) -> list[str]:
    return list(spec.warnings)


@pytest.mark.parametrize(
    "trigger, said",
    [
        (FAINT, f"blend(opacity=0.001): {NOTHING}"),
        ({"kind": "blend", "test_opacity": 0.001}, f"blend(test_opacity=0.001): {NOTHING}"),
        ({"kind": "grid", "amplitude": 0.3}, f"grid(amplitude=0.3): {NOTHING}"),
        ({"kind": "warp", "strength": 1e-5}, f"warp(strength=1e-05): {NOTHING}"),
        ({"kind": "patch", "size": 2, "value": 0, "position": "top_left"},
         f"patch(size=2, position=top_left, value=0): {NOTHING}"),
        (OWN, f"{OWN}: {NOTHING}"),
        (BLACK, f"patch(size=1, value=0): {ONE_DOG}"),
        # 128 is a grey level of 2 only in the corners: it becomes 255.
        ({"kind": "quantize", "levels": 2},
         "quantize(levels=2): class 1 (dog): 1 of 200 images changed (mean change 0.00992 grey levels)"),
    ],
)  # fmt: skip
def test_triggers_that_change_nearly_nothing_are_refused(
    data: str, trigger: Any, said: str
) -> None:
    assert mistakes(question(data, trigger)) == [refused(said)]
    spec = load_spec(question(data, trigger), ["attack.allow_weak=true"])
    name, counts = said.split(": class", 1)
    of = "changes less than 1 % of the triggered test images of some classes"
    assert warned(spec) == [f"attack.trigger: {name} {of}: class{counts}"]


def test_all_weak_triggers_and_other_mistakes_are_said_at_once(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "s.yaml", tmp_path / "out"
    asked = question(data, FAINT, "patch", BLACK) | {"curve_every": -1}
    asked["defence"] = {"architecture": "resnet18", "weight_decay": -1}
    file.write_text(yaml.safe_dump(asked))
    for words in (["check", str(file)], ["run", str(file), "--out", str(out)]):
        assert main([*words, "--set", "attack.poison_rate=[0, 0.2, 0.0001]"]) == 2
        said = capsys.readouterr().err
        assert "5 mistakes in the spec" in said and "curve_every: must be greater" in said
        assert said.count(RULE) == 2 and NOTHING in said and ONE_DOG in said
        assert not out.exists()


def test_only_classes_that_success_is_measured_on_count(data: str) -> None:
    # A dog is the target: cats, whose corners are black, are measured in its place.
    (found,) = mistakes(question(data, BLACK, target="dog"))
    assert "class 0 (cat): 0 of 50 images changed (mean change 0 grey levels)'" in found
    assert warned(load_spec(question(data, BLACK, source="owl"))) == []
    (found,) = mistakes(question(data, BLACK, source=["owl", "dog"]))
    assert found == refused(f"patch(size=1, value=0): {ONE_DOG}")
    (found,) = mistakes(question(data, BLACK, label_mode="all_to_all"))
    assert "class 0 (cat): 0 of 50 images" in found and "class 1 (dog): 1 of 200 (0.01)'" in found


def test_the_clean_baseline_is_no_attack(data: str) -> None:
    weak = {**FAINT, "poison_rate": 0}
    assert warned(load_spec(question(data, "patch", weak))) == []


def test_allow_weak_stands_where_settings_of_attacks_stand(data: str) -> None:
    own = {**FAINT, "allow_weak": True}
    (said,) = warned(load_spec(question(data, own)))
    assert said.startswith("attack.trigger: blend(opacity=0.001) changes less than 1 %")
    assert mistakes(question(data, own, BLACK)) == [refused(f"patch(size=1, value=0): {ONE_DOG}")]
    both = load_spec(question(data, FAINT, BLACK, allow_weak=True))
    assert len(warned(both)) == 2
    wrong = mistakes(question(data, "patch", allow_weak="maybe"))
    assert wrong == ["attack.allow_weak: must be true or false, but got 'maybe'. Change the value."]
    assert warned(load_spec("digits", ["attack.allow_weak=true"])) == []


@pytest.mark.parametrize(
    "attack", ["standard-1", {"panel": "standard-1", "poison_rate": [0, 0.05]}]
)
def test_allow_weak_with_a_panel(data: str, attack: Any) -> None:
    asked = question(data) | {"attack": attack, "data": "digits"}
    plain, allowed = load_spec(asked), load_spec(asked, ["attack.allow_weak=true"])
    assert ids(plain) == ids(allowed) and not allowed.warnings
    assert all(each.allow_weak for each in allowed.panel)


def ids(spec: Any) -> list[str]:
    return [trial.trial_id for trial in make_search(spec).ask(100)]


def test_allow_weak_is_no_part_of_what_an_attack_is(data: str) -> None:
    plain, allowed = (load_spec(question(data, "patch", allow_weak=w)) for w in (False, True))
    assert ids(plain) == ids(allowed) and plain.panel == allowed.panel
    assert "allow_weak" not in plain.panel[0].identity()


def test_python_refuses_before_anything_is_written(data: str, tmp_path: Path) -> None:
    asked, out = question(data, FAINT), tmp_path / "out"
    unread = parse_spec({**asked, "attack": {**asked["attack"], "target": 0}}, against_data=False)
    good = load_spec(question(data, "patch"))
    for given in (asked, unread, replace(good, panel=unread.panel)):
        with pytest.raises(UserError) as error:
            run_sweep(given, out, runner="serial", quiet=True)
        assert str(error.value) == refused(f"blend(opacity=0.001): {NOTHING}")
        assert not out.exists()


def test_check_says_in_json_what_is_allowed(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(question(data, FAINT)))
    assert main(["check", str(file), "--json", "--set", "attack.allow_weak=true"]) == 0
    out, err = capsys.readouterr()
    (warning,) = json.loads(out)["warnings"]
    assert NOTHING in warning and f"warning: {warning}\n" in err


def test_a_sweep_that_has_begun_goes_on_with_a_warning(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of an earlier release, which knew no `allow_weak`."""
    paths = SweepPaths(tmp_path / "out")
    asked = question(data, FAINT, allow_weak=True)
    assert run_sweep(asked, paths.root, runner="serial").finished == 2
    warning = "warning: attack.trigger: blend(opacity=0.001) changes less than 1 %"
    assert warning in capsys.readouterr().err
    paths.spec.write_text(paths.spec.read_text().replace("  allow_weak: true\n", ""))
    assert "allow_weak" not in paths.spec.read_text()
    of_before(paths)
    resume_sweep(paths.root, runner="serial")
    assert capsys.readouterr().err.count(warning) == 1
    extend_sweep(paths.root, None, ["seeds=2"], runner="serial")
    assert capsys.readouterr().err.count(warning) == 1


def test_an_extension_refuses_new_weak_attacks_only(data: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_sweep(question(data, FAINT, allow_weak=True), out, runner="serial", quiet=True)
    before = (out / "sweep.json").read_text()
    with pytest.raises(UserError) as error:
        extend_sweep(out, question(data, FAINT, BLACK), runner="serial", quiet=True)
    assert str(error.value) == refused(f"patch(size=1, value=0): {ONE_DOG}")
    assert (out / "sweep.json").read_text() == before
    more = extend_sweep(
        out, question(data, FAINT, BLACK), ["attack.allow_weak=true"], "serial", True
    )
    assert more.finished == 3


class WithoutStamp(Trigger):
    """Calls its method otherwise."""

    kind = "without_stamp"

    def apply(self, images, ids, labels):
        return images


def test_a_trigger_without_stamp_is_named() -> None:
    images, numbers = torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.arange(2)
    with pytest.raises(UserError, match="WithoutStamp: must have a method `stamp`"):
        stamped(WithoutStamp(), images, numbers, numbers)
