"""Commands that people copy work as they are printed."""

import shutil
import sys
from pathlib import Path

from sweeps.storage.shell import command


def test_a_program_on_the_path_keeps_its_name(monkeypatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert command("sweeps", "resume", "my results") == "sweeps resume 'my results'"


def test_a_program_beside_our_python_gets_its_whole_name(monkeypatch, tmp_path) -> None:
    beside = tmp_path / ".venv" / "bin"
    beside.mkdir(parents=True)
    (beside / "sweeps").touch()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(sys, "executable", str(beside / "python"))
    monkeypatch.chdir(tmp_path)
    assert command("sweeps", "status", Path("r")) == ".venv/bin/sweeps status r"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert command("sweeps", "status") == f"{beside}/sweeps status"
    assert command("mlflow", "ui") == "mlflow ui"
