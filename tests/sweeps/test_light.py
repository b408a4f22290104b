"""Looking at results and listing what is there: without torch, and by the same criteria as the spec.

A region is judged by what sweep.json stores, or by the spec where that is not enough: both give the
same bytes.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from small import begin, small_spec, sweep

from sweeps.answer.write import write_point_table
from sweeps.cli.commands import COMMANDS
from sweeps.cli.main import main
from sweeps.ledger import Ledger
from sweeps.region.panel import criteria_of
from sweeps.results import create
from sweeps.results.add_probes import ask_probes
from sweeps.results.stored import StoredCriteria, spec_digest, stored_criteria
from sweeps.results.update_region import CHANGED, update_region
from sweeps.runners.serial import SerialRunner
from sweeps.storage.files import write_json
from sweeps.storage.paths import SweepPaths, read_sweep

#: What no command here may load, and what only `report` may, since it draws.
HEAVY = {"torch", "torchvision", "sklearn", "ray", "mlflow", "optuna", "pydantic", "scipy.stats"}
DRAWS = {"matplotlib", "PIL"}
#: Runs commands one after the other in one process, whose modules only grow.
RUN_ALL = """
import contextlib, io, json, sys
from sweeps.cli.main import main

answers = []
for argv in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            code = main(argv)
        except SystemExit as end:
            code = end.code
    answers.append([" ".join(argv), code, sorted(sys.modules)])
json.dump(answers, sys.stdout)
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> SweepPaths:
    """A small grid that has been run, of 16 trials."""
    attack = {"trigger": "patch", "poison_rate": [0, 0.03]}
    spec = small_spec(attack=attack)
    paths = begin(tmp_path_factory.mktemp("light") / "r", spec)
    sweep(paths, spec, SerialRunner())
    return paths


@pytest.fixture
def specs_read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders whose spec has been built, in order."""
    read, read_spec = list[Path](), create.read_spec

    def noted(paths: SweepPaths, against_data: bool = False):
        read.append(paths.root)
        return read_spec(paths, against_data)

    monkeypatch.setattr(create, "read_spec", noted)
    return read


@pytest.fixture(scope="module")
def answers(swept: SweepPaths) -> list[tuple[str, int, set[str]]]:
    """Commands in their order, each with its exit code and all modules loaded so far."""
    folder, root = str(swept.root), swept.root.parent
    commands = [
        ["--help"],
        *([*command.name.split(), "--help"] for command in COMMANDS),
        ["init", str(root / "new.yaml")],
        ["list", "specs"],
        ["list", "panels"],
        ["status", folder],
        ["show", folder, Ledger(swept.ledger).trials()[0].trial_id],
        ["export", folder, "--csv", str(root / "trials.csv")],
        ["region", folder],
        ["report", folder],
    ]
    run = subprocess.run(
        [sys.executable, "-c", RUN_ALL], input=json.dumps(commands), capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return [(words, code, set(modules)) for words, code, modules in json.loads(run.stdout)]


def test_looking_and_listing_load_no_torch(answers) -> None:
    assert [words for words, code, _ in answers if code != 0] == []
    for words, _, modules in answers[:-1]:
        assert not (HEAVY | DRAWS) & modules, words
    listed = next(modules for words, _, modules in answers if words == "list panels")
    assert not {"numpy", "pyarrow"} & listed
    words, _, modules = answers[-1]
    assert words.startswith("report") and not HEAVY & modules and modules >= DRAWS


def test_a_folder_of_a_former_release_is_judged_alike(swept, answers, specs_read) -> None:
    """By the spec, in this process, as by what is stored, in that of the commands above."""
    files = (swept.region, swept.report)
    by_stored, sweep_json = [file.read_bytes() for file in files], swept.sweep.read_bytes()
    assert b"How stable the region is" in by_stored[1]
    assert main(["region", str(swept.root)]) == 0 and not specs_read
    assert swept.region.read_bytes() == by_stored[0]
    lacks = StoredCriteria.__annotations__
    try:
        former = {k: v for k, v in read_sweep(swept).items() if k not in lacks}
        write_json(swept.sweep, former)
        assert main(["report", str(swept.root)]) == 0
    finally:
        swept.sweep.write_bytes(sweep_json)
    assert specs_read == [swept.root]
    assert [file.read_bytes() for file in files] == by_stored


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"region": {"clean_accuracy": 0.9, "attack_success": 0.1, "confidence": 0.9}},
        {"region": {"clean_accuracy": "best - 0.1"}, "stopping": {"kind": "certain", "confidence": 0.9}, "defence": {"architecture": "linear", "epochs": 3}},
        {"attack": "standard-1", "seeds": [3, 1]},
        {"attack": {"trigger": "sine", "label_mode": ["all_to_all", "clean_label"]}},
        {"defence": {"architecture": "linear", "weight_decay": {"log": [0.001, 0.1]}, "epochs": 3},
         "search": {"kind": "region", "budget": 30}, "region": {"target": "share"}},
    ],
)  # fmt: skip
def test_sweep_json_stores_the_criteria_of_the_spec(changes, tmp_path) -> None:
    spec = small_spec(**changes)
    assert stored_criteria(read_sweep(begin(tmp_path / "r", spec))) == criteria_of(spec)


def test_a_spec_changed_by_hand_is_refused_with_what_differs(swept, specs_read, capsys) -> None:
    spec = swept.spec.read_text()
    try:
        swept.spec.write_text(f"# a comment\n{spec}region: {{attack_success: 0.01}}\n")
        for command in ("region", "report", "resume", "verify", "train"):
            assert main([command, str(swept.root)]) == 2
            said = capsys.readouterr()
            assert "spec.yaml: region: must be as the sweep asks it: nothing" in said.err
            assert "but got {'attack_success': 0.01}. Write it as it was." in said.err
            assert f"extend {swept.root} {swept.spec}`" in said.err and not said.out
        swept.spec.write_text(f"# a comment\n{spec}")
        assert main(["region", str(swept.root), "--json"]) == 0
        said = capsys.readouterr()
        assert json.loads(said.out)["thresholds"]["attack_success"] == 0.2
        assert not said.err
    finally:
        swept.spec.write_text(spec)


@pytest.mark.parametrize(
    "key, value",
    [
        ("thresholds", {"attack_success": 2}),
        ("seeds", []),
        ("panel", {}),
        ("search", "x"),
        ("prediction_confidence", "0.9"),
        ("criteria_digest", 5),
    ],
)
def test_stored_criteria_changed_by_hand_give_way_to_the_spec(
    key, value, swept, specs_read, capsys
) -> None:
    sweep_json = swept.sweep.read_bytes()
    before = update_region(swept, say=pytest.fail)
    try:
        write_json(swept.sweep, json.loads(sweep_json) | {key: value})
        assert main(["region", str(swept.root), "--json"]) == 0
        said = capsys.readouterr()
        assert json.loads(said.out) == json.loads(json.dumps(before))
        assert said.err.strip() == CHANGED.format("sweep.json") and specs_read == [swept.root]
    finally:
        swept.sweep.write_bytes(sweep_json)


@pytest.mark.parametrize(
    "key, value", [("class_names", 3), ("planned", "many"), ("name", None), ("versions", None)]
)
def test_a_sweep_json_that_lacks_something_is_refused(key, value, swept, capsys) -> None:
    sweep_json = swept.sweep.read_bytes()
    try:
        write_json(swept.sweep, json.loads(sweep_json) | {key: value})
        for command in ("status", "region", "report"):
            assert main([command, str(swept.root)]) == 2
            assert f"sweep.json: {key}: must be there, and a" in capsys.readouterr().err
    finally:
        swept.sweep.write_bytes(sweep_json)


def test_probes_that_were_added_change_no_criteria(tmp_path, specs_read) -> None:
    paths = begin(tmp_path / "r", small_spec())
    before = paths.spec.read_text()
    ask_probes(paths.root, "[parameter_shift]")
    assert paths.spec.read_text() != before
    update_region(paths, say=pytest.fail)
    assert not specs_read


def test_a_region_search_is_judged_by_its_spec(tmp_path, specs_read) -> None:
    axis = {"architecture": "linear", "weight_decay": {"log": [0.001, 0.1]}, "epochs": 3}
    spec = small_spec(defence=axis, search={"kind": "region", "budget": 30})
    paths = begin(tmp_path / "r", spec)
    assert update_region(paths, say=pytest.fail)["model"] is None and specs_read == [paths.root]
    with pytest.raises(ValueError, match="is written with its spec"):
        write_point_table(paths, criteria_of(spec))


def test_the_digest_of_a_spec_is_of_what_it_says() -> None:
    text = "name: a\nattack: {trigger: sine, target: 0}\n"
    same = "# b\nname: 'a'\nattack:\n  trigger: sine\n  target: 0\nprobes: [slope]\n"
    assert spec_digest(same) == spec_digest(text)
    others = (
        text.replace("0", "1"),
        text.replace("0", "0.0"),
        text + "seeds: 3\n",
        text + "name: a\n",  # a key twice, which is a mistake
        "name: a\nattack: {target: 0, trigger: sine}\n",  # the order decides that of the panel
        "none",
    )
    assert len({spec_digest(other) for other in (text, *others)}) == 1 + len(others)
