"""What the command writes: templates, errors on one line, and tables that fit a terminal."""

import contextlib
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from small import begin, small_spec, sweep

from backdoor.errors import Mistake, UserError
from sweeps.cli import FINE, WRONG
from sweeps.cli.main import main
from sweeps.runners.serial import SerialRunner
from sweeps.spec import bundled_specs, load_spec
from sweeps.storage.shell import line_of
from sweeps.storage.tables import table

ROOT = Path(__file__).parents[2]


def said(capsys, *words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    try:
        code = main(list(words))
    except SystemExit as stop:
        code = stop.code
    return code, *capsys.readouterr()


DOCUMENT = {
    "name": "x",
    "data": "digits",
    "defence": {"architecture": "linear"},
    "attack": {"trigger": {"kind": "patch"}},
}


# --- init ----------------------------------------------------------------------------------------


def test_a_template_has_a_name_and_a_folder_of_its_own(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results" / "taken").mkdir(parents=True)
    names = {
        "my study.yaml": "my-study", "digits.yaml": "digits-2", "taken.yaml": "taken-2",
        "übung.yaml": "uebung", "日本.yaml": "my-sweep", "a\nb.yaml": "a-b",
        ".yaml": "yaml", "x" * 90 + ".yaml": "x" * 59,
    }  # fmt: skip
    for file, name in names.items():
        assert said(capsys, "init", file)[0] == FINE
        spec = load_spec(file)
        assert spec.name == name and spec.name not in bundled_specs()
        text = (tmp_path / file).read_text(encoding="utf-8")
        assert f"{line_of(['sweeps', 'run', file])} " in text and str(sys.prefix) not in text
        assert f"sweeps resume results/{name} " in text and "sweeps extend" in text


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("there.yaml", "FILE must not exist yet, but got 'there.yaml'. Choose another name."),
        ("link.yaml", "FILE must not exist yet"),
        (".", "FILE must be a new file, but got '.'. It is a folder: name a file in it"),
        ("", "FILE must be a path, but got ''."),
        ("no/where.yaml", "must be in a folder that exists, but got 'no/where.yaml'. Make the folder first: mkdir -p no."),
        ("there.yaml/x.yaml", "must be a new file in a place that can be written (Not a directory)"),
        ("y" * 300, "FILE must hold no name of more than 255 bytes, and one has 300"),
        ("nul\0.yaml", "FILE must be a path without zero bytes, but got 'nul\\x00.yaml'"),
    ],
)  # fmt: skip
def test_a_template_is_not_written_there(file, text, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.yaml").write_text("mine")
    (tmp_path / "link.yaml").symlink_to("elsewhere")
    code, out, err = said(capsys, "init", file)
    assert code == WRONG and not out and text in err, err
    assert (tmp_path / "there.yaml").read_text() == "mine"
    assert {each.name for each in tmp_path.iterdir()} == {"there.yaml", "link.yaml"}


# --- errors --------------------------------------------------------------------------------------


def test_a_message_is_one_line_without_what_a_terminal_obeys() -> None:
    text = "a\x1b[31mb\nc\0d\u202ee"
    shown = str(Mistake(text, f"must not be {text}", text, f"Change {text}."))
    assert shown.isprintable() and shown.count("\\x1b[31mb\\nc\\x00d\\u202ee") == 4


def test_what_is_long_is_cut_and_its_length_is_said() -> None:
    assert str(Mistake("a", "must be short", "x" * 5000, "")).endswith("... (5,002 characters).")
    assert len(str(Mistake("a" * 9000, "must be short", list(range(9999)), "b" * 9000))) < 9000
    assert "cannot be shown (int, ValueError)" in str(
        Mistake("a", "must be", 10**5000, "Change it.")
    )


def test_an_error_of_a_text_is_one_mistake() -> None:
    error = UserError("this is wrong")
    assert [str(m) for m in error.mistakes] == ["this is wrong."] and str(error) == "this is wrong."
    assert str(error.inside("data")) == "data: this is wrong."


def test_arguments_of_the_command_begin_a_sentence() -> None:
    assert str(Mistake("DIR", "is in use by process 5", "r", "Wait.")) == "DIR 'r' is in use by process 5. Wait."  # fmt: skip
    assert str(Mistake("SPEC", "must exist", "r", "Make it.")) == "SPEC must exist, but got 'r'. Make it."  # fmt: skip
    assert str(Mistake("", "must exist", 1, "")) == "must exist, but got 1."


def test_one_mistake_is_not_counted_and_those_of_a_spec_are(capsys) -> None:
    _, _, err = said(capsys, "status", "nowhere")
    assert err.startswith("error: DIR must be the results folder of a sweep, but got 'nowhere'.")
    _, _, err = said(capsys, "check", "digits", "--set", "a=1", "--set", "b=2")
    assert err.startswith("error: 2 mistakes in the spec:\n  a: is not a known key")


@pytest.mark.parametrize("changes", [None, [], "seeds=1"])
def test_changes_may_be_none_or_one_text(changes) -> None:
    assert load_spec(DOCUMENT, changes).seeds == ((0,) if changes else (0, 1, 2))


@pytest.mark.parametrize(
    ("source", "changes", "text"),
    [
        (DOCUMENT, 5, "changes: must be a list of texts key=value, but got 5."),
        (DOCUMENT, [5], "changes: must be a list of texts key=value, but got [5]."),
        (
            None,
            None,
            "SPEC must be a file, the name of a bundled spec, or a mapping, but got None.",
        ),
        ("a\0b", None, "SPEC must be a file, or the name of a bundled spec, but got 'a\\x00b'."),
        ("n" * 5000, None, "SPEC must be a file, or the name of a bundled spec"),
    ],
)
def test_a_source_that_is_none_is_refused(source, changes, text) -> None:
    with pytest.raises(UserError) as refused:
        load_spec(source, changes)
    assert text in str(refused.value)


# --- tables --------------------------------------------------------------------------------------

HEAD, ROWS = ["id", "point", "x"], [["a", "linear, weight_decay 0.0003322, momentum 0.9", "1"]]


def test_a_table_is_whole_where_there_is_no_terminal() -> None:
    assert table(HEAD, ROWS).splitlines()[1] == f"a   {ROWS[0][1]}  1"


def test_a_table_is_cut_to_a_terminal_and_says_what_is_left_out() -> None:
    lines = table(HEAD, ROWS, 40).splitlines()
    assert max(map(len, lines)) <= 40 and "0.0003322" in lines[1] and "0.9  1" in lines[1]
    lines = table(HEAD, ROWS, 22).splitlines()
    assert max(map(len, lines[:2])) <= 22
    assert lines[2] == "(left out, as the terminal is narrow: x; --json has all)"


# --- the real command ----------------------------------------------------------------------------


def in_terminal(width: int, *words: str) -> list[str]:
    """Lines that the real command writes to a terminal of so many columns."""
    end, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    env = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    line = [sys.executable, "-m", "sweeps.cli", *words]
    process = subprocess.Popen(
        line, stdin=terminal, stdout=terminal, stderr=terminal, env=env | {"PYTHONPATH": str(ROOT)}
    )
    os.close(terminal)
    written = b""
    with contextlib.suppress(OSError):  # the terminal's other end is closed
        while read := os.read(end, 65536):
            written += read
    os.close(end)
    assert process.wait() == FINE, written
    return written.decode().replace("\r\n", "\n").rstrip().split("\n")


def test_the_answer_stands_last_and_fits_the_terminal(tmp_path) -> None:
    """At 80 and at 200 columns."""
    defence = {"architecture": "mlp", "regularizer": ["none", "label_smoothing"], "epochs": 1, "weight_decay": [0, 0.03]}  # fmt: skip
    spec = small_spec(defence=defence, seeds=1, attack={"trigger": "patch", "poison_rate": 0.03})
    paths = begin(tmp_path / "r", spec)
    sweep(paths, spec, SerialRunner())
    narrow, wide = (in_terminal(width, "region", str(paths.root)) for width in (80, 200))
    for lines in (narrow, wide):  # last on stderr, and never cut: a command to copy
        assert lines.pop().startswith("Next: ") and lines.pop() == ""
    for width, lines in ((80, narrow), (200, wide)):
        assert max(map(len, lines)) <= width and "Attacks:" in lines
        whole = any("label_smoothing, weight_decay 0.03" in line for line in lines[:12])
        assert whole == (width == 200)
        row = next(line for line in lines if "mlp, reg" in line and "0.03" in line)
        assert row.count("mlp") == 1 and ("patch" in row) == (width == 200)
        answer = lines.index("Verification: not yet")
        assert lines[answer + 1].startswith("Answer: No region found: none of 4 defence points ")
        assert any(line.startswith("Recommended: ") for line in lines[answer:])
        assert len(lines) - answer <= 23, "seen in 24 rows with a prompt, without scrolling"
    told = " ".join(narrow)
    assert "(the column seeds is left out, attacks are numbers: the terminal is too narrow;" in told


SHELL = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('"$PYTHON" -m sweeps.cli list specs | head -n 1', "specs:"),
        ('"$PYTHON" -m sweeps.cli status über/größe', "but got '\\xfcber/gr\\xf6\\xdfe'."),
        ('"$PYTHON" -m sweeps.cli nothing 2>&1 | true; "$PYTHON" -m sweeps.cli help >&-', ""),
    ],
)
def test_pipes_and_encodings_leave_no_traceback(line, text, tmp_path) -> None:
    env = os.environ | SHELL | {"PYTHON": sys.executable}
    run = subprocess.run(["bash", "-c", line], capture_output=True, env=env, cwd=tmp_path)
    said = (run.stdout + run.stderr).decode("ascii")
    assert text in said and "Traceback" not in said and "Exception" not in said, said


def test_a_refused_option_is_json_free(capsys) -> None:
    """What a script reads on stdout stays JSON or nothing."""
    _, out, _ = said(capsys, "check", "digits", "--json", "--set", "lr=1")
    assert out == "" or json.loads(out)
