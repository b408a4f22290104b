"""Code of strangers: looking imports none, the rest says it first, and asks where others began."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from small import SMALL, begin, small_spec, sweep
from trials import fake_rows

import sweeps.cli.trusting as trusting
from backdoor.settings.outside import file_of, written_defaults
from sweeps.cli import FINE, WRONG
from sweeps.cli.main import main
from sweeps.ledger import Ledger
from sweeps.runners.serial import SerialRunner
from sweeps.storage.owner import host_name, user_name

ROOT = Path(__file__).parents[2]
MARK = """
import pathlib
pathlib.Path(__file__).with_name("imported").touch()
from dataclasses import dataclass
from typing import ClassVar
from backdoor.triggers import Trigger

@dataclass(frozen=True)
class Stripe(Trigger):
    kind: ClassVar[str] = "stripe"
    period: int = 4

    def stamp(self, images, ids, labels):
        stamped = images.clone()
        stamped[..., :: self.period] = 255
        return stamped
"""
KIND = "their_package.marks:Stripe"


class Theirs:
    """A package of a user, a spec that names its kind, and a results folder."""

    def __init__(self, folder: Path) -> None:
        self.package, self.spec = folder / "lib" / "their_package", folder / "s.yaml"
        self.package.mkdir(parents=True)
        (self.package / "__init__.py").write_text('open(__file__ + ".imported", "w").close()\n')
        (self.package / "marks.py").write_text(MARK)
        attack = {"trigger": {"kind": KIND, "period": 3}, "poison_rate": [0, 0.1]}
        defence = {"architecture": ["ridge"], "weight_decay": [0.3]}
        document = SMALL | {"attack": attack, "defence": defence, "seeds": 1}
        self.spec.write_text(yaml.safe_dump(document))
        self.results = folder / "r"

    @property
    def imported(self) -> list[str]:
        return sorted(file.name for file in self.package.glob("*imported"))

    def forget(self) -> None:
        """As in a new process."""
        for name in [name for name in sys.modules if name.startswith("their_package")]:
            del sys.modules[name]
        for file in self.package.glob("*imported"):
            file.unlink()

    def begun_by(self, **names: str | None) -> None:
        path = self.results / "sweep.json"
        stated = json.loads(path.read_text()) | names
        gone = {name for name, value in names.items() if value is None}
        path.write_text(json.dumps({k: v for k, v in stated.items() if k not in gone}))


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    made = Theirs(tmp_path)
    monkeypatch.syspath_prepend(made.package.parent)
    yield made
    made.forget()


@pytest.fixture
def begun(theirs, capsys):
    run = ["run", str(theirs.spec), "--out", str(theirs.results), "--runner", "serial"]
    assert main(run) == FINE
    theirs.forget()
    capsys.readouterr()
    return theirs


def test_run_says_the_class_and_its_file_before_it_imports_them(theirs, monkeypatch) -> None:
    said: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(trusting, "say", lambda text: said.append((text, theirs.imported)))
    assert main(["check", str(theirs.spec)]) == FINE
    assert said == [(f"imports {KIND} from {theirs.package / 'marks.py'}", [])]
    assert theirs.imported


def test_the_file_of_a_module_is_found_without_an_import(theirs) -> None:
    (theirs.package / "inner" / "deep").mkdir(parents=True)
    deep = theirs.package / "inner" / "deep" / "end.py"
    deep.touch()
    assert file_of("their_package.inner.deep.end") == str(deep)  # packages without a file of theirs
    assert (
        file_of("their_package.missing") is None and file_of("") is None and file_of(".x") is None
    )
    assert written_defaults(KIND) == {"period": 4}
    assert not theirs.imported


def test_commands_that_look_import_nothing(begun, tmp_path, capsys) -> None:
    folder = str(begun.results)
    trial = next(iter(Ledger(begun.results / "ledger").finished))
    looking = [["list", "triggers"], ["status", folder], ["show", folder, trial], ["report", folder],
               ["export", folder, "--csv", str(tmp_path / "t.csv")], ["region", folder],
               ["probe", "resistance", folder],
               ["probe", "effects", folder]]  # fmt: skip
    begun.begun_by(user="mallory", host="elsewhere")
    for command in looking:
        assert main(command) == FINE, command
    assert begun.imported == [] and f"{KIND}(period=3)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ({"user": "mallory"}, "as 'mallory' on '"),
        (
            {"host": "elsewhere"},
            f"as '{user_name()}' on 'elsewhere' began this sweep, and you are '",
        ),
        ({"user": None}, "as sweep.json of this folder does not say who began the sweep"),
        ({"user": 3}, "as sweep.json of this folder does not say who began the sweep"),
    ],
)
def test_a_folder_of_others_asks_for_trust(names, told, begun, capsys) -> None:
    begun.begun_by(**names)
    resume = ["resume", str(begun.results), "--runner", "serial"]
    for command in (resume, ["verify", *resume[1:]], ["train", str(begun.results)]):
        assert main(command) == WRONG
        text = capsys.readouterr().err
        assert f"attack.trigger: must be code that you trust, {told}" in text
        assert (
            f"Read {begun.package / 'marks.py'}, and repeat the command with --trust-code." in text
        )
    assert begun.imported == []
    assert main([*resume, "--trust-code"]) == FINE
    assert f"imports {KIND} from" in capsys.readouterr().err and begun.imported


def test_a_folder_of_ones_own_says_what_it_imports(begun, capsys) -> None:
    assert main(["resume", str(begun.results), "--runner", "serial"]) == FINE
    assert capsys.readouterr().err.count(f"imports {KIND} from") == 1


def test_a_folder_with_kinds_of_ours_never_asks(tmp_path, capsys) -> None:
    spec = small_spec(seeds=1)
    paths = begin(tmp_path / "r", spec)
    sweep(paths, spec, SerialRunner(fake_rows))
    stated = json.loads(paths.sweep.read_text())
    assert (stated["user"], stated["host"]) == (user_name(), host_name())
    paths.sweep.write_text(json.dumps(stated | {"user": "mallory"}))
    assert main(["resume", str(paths.root), "--runner", "serial"]) == FINE


def test_the_current_folder_is_not_searched(theirs, monkeypatch, capsys) -> None:
    """Neither for kinds, which the message says, nor for modules of ours and of others."""
    library = theirs.package.parent
    monkeypatch.chdir(library)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place != str(library)])
    assert main(["check", str(theirs.spec)]) == WRONG
    text = capsys.readouterr().err
    assert "their_package lies in the current folder, from which nothing is imported: begin" in text
    assert "begin the command with PYTHONPATH=. if that is meant (ModuleNotFoundError" in text
    assert not theirs.imported


def test_python_m_is_like_the_command(tmp_path) -> None:
    for name in ("torch", "lazy_loader", "yaml", "numpy", "sweeps_extra"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(7)\n")
    list_specs = [sys.executable, "-m", "sweeps.cli", "list", "specs"]
    done = subprocess.run(list_specs, text=True, capture_output=True, cwd=tmp_path, check=False,
                          env=os.environ | {"PYTHONPATH": str(ROOT)})  # fmt: skip
    assert (done.returncode, done.stderr) == (FINE, "") and "digits" in done.stdout


@pytest.mark.parametrize(("path", "kept"), [([""], True), (["/lib"], False)])
def test_workers_import_what_the_command_does(path, kept, monkeypatch) -> None:
    """Ray would put the current folder first on the path of its workers."""
    from sweeps.runners import ray_session

    given: dict[str, object] = {}
    monkeypatch.setattr(ray_session.ray, "init", lambda **options: given.update(options))
    monkeypatch.setattr(ray_session.ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray_session.ray, "shutdown", lambda: None)
    monkeypatch.setattr(sys, "path", path)
    with ray_session.ray_session(1):
        pass
    assert given["job_config"]._client_job is not kept
