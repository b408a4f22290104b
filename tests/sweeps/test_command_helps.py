"""The command helps who mistypes: near misses, versions, short help, and texts that fit."""

from dataclasses import fields
from pathlib import Path

import pytest

from backdoor.config import Attack, Defence, Training
from backdoor.errors import UserError
from backdoor.settings.aliases import MEANINGS, OTHER_WORDS, nearest, same_name
from backdoor.settings.described import settings_of
from backdoor.settings.registry import FAMILIES
from backdoor.settings.schema import suggest
from sweeps.cli import FINE, WRONG
from sweeps.cli.commands import COMMANDS
from sweeps.cli.main import main
from sweeps.records.spec_keys import PLACES, SECTION_KEYS
from sweeps.spec import load_spec
from sweeps.spec.sections import (
    Document,
    RegionSettings,
    Resources,
    SearchSettings,
    Seeds,
    StoppingSettings,
    Tracking,
)

ROOT = Path(__file__).parents[2]


def said(capsys, *words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    try:
        code = main(list(words))
    except SystemExit as stop:
        code = stop.code
    return code, *capsys.readouterr()


# --- what was meant ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("rnu digits", "run"),
        ("digits", "`sweeps run digits`"),
        ("my.yaml", "`sweeps run my.yaml`"),
        ("ls", "list"),
        ("continue x", "resume"),
        ("probe effect x", "effects"),
        ("help rnu", "run"),
        ("run digits --seed 5", "`--set seeds=5`"),
        ("run digits --lr=0.1", "`--set defence.learning_rate=0.1`"),
        ("check digits --batch-size 32", "`--set training.batch_size=32`"),
        ("run digits --epohcs 3", "`--set defence.epochs=3`"),
        ("run digits --sett seeds=3", "`--set`"),
        ("run digits --jsn", "`--json`"),
        ("run digits --js", "`--json`"),
        ("report x --out y", "`--output`"),
        ("list triger", "triggers"),
        ("run digits --set seeds 5", "`--set seeds=5`"),
        ("run digits --runner seriel", "serial"),
    ],
)
def test_a_near_miss_of_the_command_line(line, meant, capsys) -> None:
    code, out, err = said(capsys, *line.split())
    assert code == WRONG and not out and f"Did you mean {meant}?" in err, err


def test_an_unknown_command_lists_no_others(capsys) -> None:
    code, _, err = said(capsys, "frobnicate")
    assert code == WRONG and "Did you mean" not in err
    assert err.endswith("there is no command 'frobnicate'. `sweeps help` lists all commands.\n")
    assert sum(command.name in err for command in COMMANDS) <= 2


@pytest.mark.parametrize(
    ("change", "texts"),
    [
        ("lr=0.1", ["lr: is not a known key", "Did you mean 'defence.learning_rate'?"]),
        ("learning_rate=0.1", ["Did you mean 'defence.learning_rate'?"]),
        ("defense.epochs=3", ["Did you mean 'defence'?"]),
        ("num_seeds=3", ["Did you mean 'seeds'?"]),
        ("dataset=mnist", ["Did you mean 'data'?"]),
        ("attacks=standard-1", ["Did you mean 'attack'?"]),
        ("defence.lr=0.1", ["Did you mean 'learning_rate'?"]),
        ("defence.wd=0.1", ["Did you mean 'weight_decay'?"]),
        ("defence.n_epochs=3", ["Did you mean 'epochs'?"]),
        ("defence.regulariser=dropout", ["Did you mean 'regularizer'?"]),
        ("defence.bs=32", ["Did you mean 'batch_size'? It is one for all trials", "`training`"]),
        ("training.lr=0.1", ["Did you mean 'learning_rate'?", "move it to `defence`"]),
        ("training.bs=32", ["Did you mean 'batch_size'?"]),
        ("training.normalisation=unit", ["Did you mean 'normalization'?"]),
        ("attack.poison_ratio=0.1", ["Did you mean 'poison_rate'?"]),
        ("attack.target_class=1", ["Did you mean 'target'?"]),
        ("region.asr=0.1", ["Did you mean 'attack_success'?"]),
        ("resources.gpus=1", ["Did you mean 'gpu'?"]),
        ("data.val=10", ["Did you mean 'validation'?"]),
        ("attack.trigger.color=0.5", ["Did you mean 'value'?"]),
    ],
)
def test_another_word_for_a_key_is_suggested_and_never_accepted(change, texts) -> None:
    with pytest.raises(UserError) as refused:
        load_spec(DOCUMENT, [change])
    message = str(refused.value)
    assert all(text in message for text in texts), message
    assert refused.value.about == "the spec"


DOCUMENT = {
    "name": "x",
    "data": "digits",
    "defence": {"architecture": "linear"},
    "attack": {"trigger": {"kind": "patch"}},
}


def test_other_words_mean_names_that_exist() -> None:
    """A word for a name that nothing has is a mistake in the table."""
    kinds = {n: c for family in FAMILIES.values() for n, c in family.kinds().items()}
    settings = {f.name for cls in kinds.values() for f in fields(cls)}
    budget = {"trials"}
    known = {*kinds, *settings, *budget, *SECTION_KEYS, *PLACES, "kind"}
    assert set(OTHER_WORDS) <= known
    assert all(word == word.lower() and "-" not in word for word in MEANINGS)


def test_keys_by_section_are_those_that_are_read() -> None:
    read = {
        "defence": {f.name for f in fields(Defence)},
        "attack": {f.name for f in fields(Attack)} | {"panel"},
        "training": {f.name for f in fields(Training)},
        "seeds": set(Seeds.model_fields),
        "region": set(RegionSettings.model_fields),
        "search": set(SearchSettings.model_fields) - {"kind"},
        "resources": set(Resources.model_fields),
        "stopping": set(StoppingSettings.model_fields) - {"kind", "confidence"},
        "tracking": set(Tracking.model_fields),
    }
    assert set(SECTION_KEYS) == set(Document.model_fields)
    assert {section: set(SECTION_KEYS[section].split()) for section in read} == read


def test_a_name_in_other_letters_is_certain() -> None:
    assert same_name("Learning-Rate", ["learning_rate"]) == "learning_rate"
    assert same_name("weightDecay", ["weight_decay"]) == "weight_decay"
    assert same_name("lr", ["momentum"]) is None
    assert nearest("momentm", ["momentum", "epochs"]) == "momentum"
    assert suggest("wd", ["weight_decay"]) == "Did you mean 'weight_decay'? Known: weight_decay."


# --- help and versions ---------------------------------------------------------------------------


def test_without_a_command_there_is_a_short_help_on_stderr(capsys) -> None:
    code, out, err = said(capsys)
    assert (code, out) == (WRONG, "")
    assert err.count("\n") <= 16 and "sweeps run digits" in err and "sweeps init" in err
    assert all(command.name.split()[0] in err for command in COMMANDS)
    code, out, err = said(capsys, "job")
    assert (code, out) == (WRONG, "") and "submit" in err


def test_help_on_a_command_is_its_help(capsys) -> None:
    expected = said(capsys, "probe", "effects", "--help")
    assert said(capsys, "help", "probe", "effects") == expected and expected[0] == FINE
    assert said(capsys, "help") == said(capsys, "--help")


def test_the_version_names_the_engines_and_imports_none(capsys) -> None:
    code, out, _ = said(capsys, "--version")
    assert code == FINE and out.startswith("backdoor-sweeps 0.")
    assert all(f"{name} " in out for name in ("torch", "ray", "mlflow", "optuna"))
    import importlib.metadata as metadata

    assert f"optuna {metadata.version('optuna')})" in out


# --- lists ---------------------------------------------------------------------------------------


def test_a_list_of_one_family_has_defaults_and_ranges(capsys) -> None:
    _, out, _ = said(capsys, "list", "triggers")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "opacity 0.2 number > 0 and <= 1" in lines
    assert "pattern solid solid, noise_per_class, checkerboard" in lines
    assert "levels 8 whole number >= 2 and <= 128" in lines
    assert "position_seed null whole number >= 0; or null" in lines
    _, short, _ = said(capsys, "list")
    assert "whole number" not in short and "blend" in short


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_listed_of_a_setting_is_what_is_checked(family) -> None:
    """Defaults are accepted, and numbers beside the ends of a range are refused."""
    import re

    from backdoor.settings.schema import check_value

    for cls in FAMILIES[family].kinds().values():
        for each, declared in zip(settings_of(cls), fields(cls), strict=True):
            assert each.default != "required" or declared.default is not declared.default_factory
            for sign, text in re.findall(r"(>=|<=|>|<) (-?[\d.]+)", each.allowed):
                bound, listed = float(text), each.allowed.startswith("list")
                step = 1 if each.allowed.startswith("whole") else 1e-6
                outside = {">=": bound - step, "<=": bound + step}.get(sign, bound)
                with pytest.raises(UserError):
                    check_value(cls, each.name, [outside] if listed else outside)


def test_an_option_of_other_commands_is_said_to_be_theirs(capsys) -> None:
    code, out, err = said(capsys, "check", "digits", "--runner", "serial")
    assert code == WRONG and not out and "--set tracking" not in err
    assert "`sweeps check` has no --runner, which is an option of `sweeps run`" in err


def test_a_spec_with_another_ending(capsys, tmp_path) -> None:
    (tmp_path / "s.yaml").touch()
    assert f"Did you mean '{tmp_path}/s.yaml'?" in said(capsys, "check", f"{tmp_path}/s.yml")[2]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (
            "seeds=",
            "--set seeds: must have a value, but got ''. For the default, write seeds=null.",
        ),
        ("data..root=x", "Did you mean data.root=x?"),
        ("tracking=off", "To switch it off, write `tracking: none`."),
        ("name=" + "a" * 300, "name: must have at most 64 characters"),
        ("attack.poison_rate=[1%]", "If it means 0.01, write it so"),
        ("region={3: 1}", "region.3: must be text, as each key is, but got 3."),
        ("tracking.uri:http://u:hush@h", "but got 'tracking.uri:http://u:***@h'"),
        ("tracking.uri={http://u:hush@h: 1}", "but got {'http://u:***@h': 1}"),
        ("http://u:hush@h=1", "http://u:***@h: is not a known key"),
    ],
)
def test_a_change_that_cannot_be_meant(change, part, capsys) -> None:
    code, out, err = said(capsys, "check", "digits", "--set", change)
    assert code == WRONG and not out and "1 mistake in" in err
    assert part in err and "hush" not in err
