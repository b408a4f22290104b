"""What a shell offers when the tab key is pressed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from argcomplete.shell_integration import shellcode

from sweeps.cli import FINE, WRONG, completing
from sweeps.cli.commands import COMMANDS
from sweeps.cli.main import build_parser, main
from sweeps.panels import bundled_panels
from sweeps.spec import bundled_specs
from sweeps.storage.bundled import bundled_purposes

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "ray", "mlflow", "pyarrow", "numpy", "sklearn", "pydantic", "yaml", "optuna")

#: Sources the script, then presses the tab key after each line as bash does: it calls the function
#: that the script registers for `sweeps`.
PRESS_TAB = """
set -e
sweeps() { "$PYTHON" -W error -m sweeps.cli "$@"; }
eval "$(sweeps completion bash)"
asked=$(complete -p sweeps)
asked=${asked#*-F }
for line in "$@"; do
    COMP_LINE=$line COMP_POINT=${#line} COMP_TYPE=9 COMPREPLY=()
    ${asked%% *} sweeps 2>/dev/null
    (IFS='|'; echo "${COMPREPLY[*]}")
done
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a spec, results of a sweep, and things that are neither, as the current one."""
    for name in ("r/ledger", "runs of mine", ".hidden"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("mine.yaml", "notes.txt", "runs of mine/other.yml"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes_commands_specs_and_folders(folder) -> None:
    lines = ["sweeps re", "sweeps run digits-", "sweeps status r", "sweeps verify r --seeds "]
    run = subprocess.run(
        ["bash", "--norc", "-c", PRESS_TAB, "bash", *lines], capture_output=True, text=True,
        env=os.environ | {"PYTHON": sys.executable, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [
        "resume|region|report",
        "digits-region|digits-tpe",
        r"r/|runs\ of\ mine/",
        "",
    ]


def test_pressing_tab_loads_nothing_heavy(folder) -> None:
    """argcomplete ends the process by `os._exit`; here that says first what has been loaded."""
    code = (
        "import json, os, sys\n"
        "def ends(code):\n"
        f"    print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))\n"
        "    sys.exit(code)\n"
        "os._exit = ends\n"
        "from sweeps.cli.main import main\n"
        "main()\n"
    )
    line, answer = "sweeps run mi", folder / "answer"
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)),
             "_ARGCOMPLETE_STDOUT_FILENAME": str(answer), "PYTHONPATH": str(ROOT)}  # fmt: skip
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, env=os.environ | asked)  # fmt: skip
    assert (run.returncode, json.loads(run.stdout)) == (0, []), run.stderr
    assert answer.read_text() == "mine.yaml "


def test_bundled_names_are_those_that_a_spec_is_found_by() -> None:
    assert set(bundled_purposes("specs")) == set(bundled_specs())
    assert set(bundled_purposes("panels")) == set(bundled_panels())
    assert all(bundled_purposes("specs").values())


def test_a_spec_is_a_bundled_name_or_a_yaml_file(folder) -> None:
    assert set(completing.specs("")) == {*bundled_specs(), "mine.yaml", "r/", "runs of mine/"}
    assert set(completing.panels("n")) == {*bundled_panels(), "none"}
    assert completing.folders("r") == ["r/", "runs of mine/"]
    assert completing.files("n") == ["notes.txt"]


def test_paths_go_on_as_they_were_typed(folder, monkeypatch) -> None:
    """A shell drops what does not begin with the word that stands there."""
    monkeypatch.setenv("HOME", str(folder))
    assert completing.files("~/runs of mine/") == ["~/runs of mine/other.yml"]
    assert completing.folders("~/.h") == ["~/.hidden/"]
    assert completing.files(f"{folder}/m") == [f"{folder}/mine.yaml"]
    assert completing.files("nowhere/x") == []


def test_an_argument_that_names_a_place_is_completed() -> None:
    """FILE, FOLDER, DIR and SPEC, wherever a command takes one from this machine."""
    for command in COMMANDS:
        for argument in command.arguments:
            named = argument.options.get("metavar", argument.flags[-1].upper())
            elsewhere = argument.flags[0] == "--storage"  # over there, where no file is seen
            if not elsewhere and {"FILE", "FOLDER", "DIR", "SPEC"} & set(named.split()):
                assert argument.completer, f"{command.name} {argument.flags[0]}"


@pytest.mark.parametrize("shell", completing.SHELLS)
def test_the_script_of_each_shell_is_printed(shell, capsys) -> None:
    assert main(["completion", shell]) == FINE
    shown = capsys.readouterr()
    assert shown.out.strip() == shellcode(["sweeps"], False, shell).strip()
    assert shown.err == ""  # no note where a shell reads the script


def test_someone_who_looks_at_the_script_is_told_what_to_do_with_it(capsys, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["completion", "fish"]) == FINE
    note = "note: put this line into your shell's start-up file: sweeps completion fish | source\n"
    assert capsys.readouterr().err == note


def test_an_unknown_shell_is_refused(capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        build_parser().parse_args(["completion", "tcsh"])
    assert stop.value.code == WRONG
    assert "invalid choice: 'tcsh' (choose from" in capsys.readouterr().err


def test_names_that_cannot_be_typed_hide_no_others(folder) -> None:
    Path(os.fsdecode(b"bad\xff.yaml")).write_text("name: x")
    Path("two\nlines.yaml").write_text("name: x")
    offered = completing.specs("")
    assert "mine.yaml" in offered and "digits" in offered
    assert all(name.isprintable() for name in offered)
