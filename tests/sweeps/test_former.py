"""A sweep that an earlier release began keeps what its triggers did then, and its trials' ids."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from small import SMALL, of_before

from backdoor.config import build_defence
from backdoor.errors import UserError
from sweeps.cli.main import main
from sweeps.driver.run import extend_sweep, resume_sweep, run_sweep
from sweeps.ledger import Ledger
from sweeps.packs.chunk import Chunk
from sweeps.packs.pack import PackSettings, make_packs
from sweeps.region.labels import attack_label
from sweeps.results.create import create_results, read_spec
from sweeps.spec import RecordedClasses, parse_spec
from sweeps.storage.paths import SweepPaths, read_sweep
from sweeps.verify.transfer import transfer_attacks

QUIET: dict[str, Any] = {"runner": "serial", "quiet": True}
GHOST = {"kind": "reflection", "effect": "ghost"}
NOTE = (
    "note: attack.trigger: reflection keeps `falloff: canvas`, the form of the release that began "
    "this sweep; in a new sweep it is `image`"
)


def asked(*triggers: Any, **changes: Any) -> dict[str, Any]:
    defence = {"architecture": {"kind": "ridge", "weight_decay": 0.1}}
    attack = {"trigger": list(triggers), "poison_rate": 0.1}
    return copy.deepcopy({**SMALL, "seeds": 1, "defence": defence, "attack": attack, **changes})


def of_an_earlier_release(folder: Path, document: dict[str, Any]) -> SweepPaths:
    """A finished sweep as a release without `falloff` left it."""
    spec = parse_spec(document, begun=RecordedClasses((), former=True))
    paths = create_results(spec, folder, ["sweeps", "run", "small"])
    resume_sweep(folder, **QUIET)
    return paths


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("former") / "before"
    of_an_earlier_release(folder, asked("reflection", GHOST))
    return folder


@pytest.fixture
def folder(before: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copytree(before, tmp_path / "r"))


def triggers(folder: Path) -> list[dict[str, Any]]:
    """Of all recorded trials."""
    return [row.config["attack"]["trigger"] for row in Ledger(folder / "ledger").trials()]


def test_what_an_earlier_release_wrote(before) -> None:
    """Neither the spec nor sweep.json nor a trial says a word of the setting."""
    assert all(
        "falloff" not in f.read_text() for f in (before / "spec.yaml", before / "sweep.json")
    )
    assert "defaults" not in json.loads((before / "sweep.json").read_text())
    assert [("falloff" in each, each["effect"]) for each in triggers(before)] == [(False, "mixed"), (False, "ghost")]  # fmt: skip


def test_it_is_resumed_with_nothing_to_train(folder, capsys) -> None:
    kept = Ledger(folder / "ledger").rows()
    resume_sweep(folder, runner="serial")
    assert capsys.readouterr().err.count(NOTE) == 1
    assert Ledger(folder / "ledger").rows() == kept


def test_it_is_resumed_where_sweep_json_has_no_spec(folder) -> None:
    """As folders of the first releases."""
    of_before(SweepPaths(folder))
    kept = Ledger(folder / "ledger").rows()
    resume_sweep(folder, **QUIET)
    assert Ledger(folder / "ledger").rows() == kept
    assert "defaults" not in read_sweep(SweepPaths(folder))


WHOLE = pytest.param(asked("reflection", GHOST, seeds=2), marks=pytest.mark.slow)


@pytest.mark.parametrize("source", [None, WHOLE])
def test_it_is_extended_with_its_own_form(folder, source) -> None:
    """By a change, and by a whole spec that leaves the setting out."""
    extend_sweep(folder, source, [] if source else ["seeds=2"], **QUIET)
    assert len(triggers(folder)) == 4
    assert all("falloff" not in trigger for trigger in triggers(folder))
    assert "defaults" not in read_sweep(SweepPaths(folder))


@pytest.mark.slow
def test_it_may_ask_for_the_new_form_beside_the_old(folder) -> None:
    both = {"kind": "reflection", "falloff": ["canvas", "image"]}
    extend_sweep(folder, asked(both, GHOST), **QUIET)
    assert [trigger.get("falloff") for trigger in triggers(folder)] == [None, None, "image"]
    labels = [attack_label(attack) for attack in read_spec(SweepPaths(folder)).panel]
    assert labels == [
        "reflection at 10 % to class 0",
        "reflection(falloff=image) at 10 % to class 0",
        "reflection(effect=ghost) at 10 % to class 0",
    ]
    with pytest.raises(UserError, match="must keep reflection at 10 % to class 0: an extension"):
        extend_sweep(folder, asked({"kind": "reflection", "falloff": "image"}, GHOST), **QUIET)


@pytest.mark.slow
def test_the_same_spec_asks_the_same_there(folder, tmp_path, capsys) -> None:
    (tmp_path / "s.yaml").write_text(json.dumps(asked("reflection", GHOST)))
    assert main(["run", str(tmp_path / "s.yaml"), "--out", str(folder)]) == 2
    assert "holds a sweep already. It asks the same. To go on with it" in capsys.readouterr().err


def test_attacks_outside_its_panel_have_its_form(before) -> None:
    spec = read_spec(SweepPaths(before))
    with pytest.raises(
        UserError, match="must not be on the sweep's own panel, but got 'reflection"
    ):
        transfer_attacks(spec, "reflection")
    (other,) = transfer_attacks(spec, "[{kind: reflection, effect: out_of_focus}]")
    assert other.trigger.falloff == "canvas"


@pytest.mark.parametrize("falloff", ["image", "canvas"])
def test_workers_get_the_form_that_is_asked_for(falloff) -> None:
    spec = parse_spec(asked({"kind": "reflection", "falloff": falloff}))
    trial = spec.trial(build_defence({"architecture": "linear"}), spec.panel[0], 0)
    (pack,) = make_packs([trial], PackSettings.of(spec))
    (read,) = Chunk.from_json(Chunk((pack,)).to_json()).packs
    assert read.trials[0].attack.trigger.falloff == falloff
    assert read.settings.measures[0].trigger.falloff == falloff
    assert read.trials[0].trial_id == trial.trial_id


@pytest.mark.slow
def test_a_new_sweep_has_the_new_form_and_may_ask_for_the_old(before, tmp_path) -> None:
    """Then it takes over the trials of before."""
    new, old = tmp_path / "new", tmp_path / "old"
    run_sweep(asked("reflection", GHOST), new, **QUIET)
    assert read_sweep(SweepPaths(new))["defaults"] == 1
    assert [trigger.get("falloff") for trigger in triggers(new)] == ["image", None]
    resume_sweep(new, **QUIET)
    assert len(triggers(new)) == 2
    run_sweep(
        asked({"kind": "reflection", "falloff": "canvas"}, GHOST), old, reuse=[before], **QUIET
    )
    assert all(row.reused_from for row in Ledger(old / "ledger").trials())
    one, other = (Ledger(folder / "ledger").rows() for folder in (before, old))
    assert {row["trial_id"] for row in one} == {row["trial_id"] for row in other}
