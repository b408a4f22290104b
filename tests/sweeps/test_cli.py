"""The command as people use it."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from small import SMALL

from sweeps.cli import FAILURES, FINE, INTERRUPTED, WRONG
from sweeps.cli.main import COMMANDS, build_parser, main
from sweeps.ledger import Ledger
from sweeps.spec import bundled_specs, load_spec
from sweeps.storage.files import write_atomic
from sweeps.storage.shell import command

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "ray", "mlflow", "pyarrow", "sklearn", "matplotlib", "pydantic", "yaml", "optuna")


def _loaded(arguments: list[str]) -> tuple[str, list[str]]:
    """What the command says in a process of its own, and which heavy packages that loads."""
    code = (
        "import sys\n"
        "from sweeps.cli.main import main\n"
        f"try: assert main({arguments!r}) == 0\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        f"print('LOADED', *[m for m in {HEAVY!r} if m in sys.modules])\n"
    )
    line = [sys.executable, "-W", "error", "-c", code]
    run = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    said, _, loaded = run.stdout.rpartition("LOADED")
    return said, loaded.split()


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"]])
def test_help_imports_nothing_heavy(arguments) -> None:
    said, loaded = _loaded(arguments)
    assert loaded == []
    assert "usage: sweeps" in said


def test_every_command_has_a_summary_and_an_example() -> None:
    parser = build_parser()
    for each in COMMANDS:
        words = ["sweeps", *each.name.split()]
        assert each.example.split()[: len(words)] == words
        args = parser.parse_args(each.example.split()[1:])
        assert args.handler is each.handler


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small sweep, run by the command."""
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "spec.yaml").write_text(yaml.safe_dump(SMALL))
    assert (
        main(["run", str(folder / "spec.yaml"), "--out", str(folder / "r"), "--runner", "serial"])
        == FINE
    )
    return folder / "r"


def test_run_leaves_everything_in_its_folder(finished) -> None:
    names = {file.name for file in finished.iterdir()}
    assert {
        "spec.yaml",
        "sweep.json",
        "ledger",
        "region.json",
        "region.svg",
        "report.html",
        "pictures",
    } <= names
    assert load_spec(finished / "spec.yaml").name == "small"
    sweep = json.loads((finished / "sweep.json").read_text())
    assert sweep["planned"] == 24 and sweep["tracking"]["uri"] is None
    assert sweep["versions"]["torch"] and sweep["class_names"] == [str(i) for i in range(10)]
    index = json.loads((finished / "pictures" / "index.json").read_text())["images"]
    assert len(index) == 12 and all((finished / "pictures" / i["file"]).is_file() for i in index)


def test_run_json_answers_on_stdout_alone(tmp_path, capfd) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(yaml.safe_dump(SMALL))
    assert (
        main(["run", str(spec), "--out", str(tmp_path / "r"), "--runner", "serial", "--json"])
        == FINE
    )
    streams = capfd.readouterr()
    assert json.loads(streams.out)["trials"]["finished"] == 24
    assert "24/24 trials" in streams.err


def test_resume_of_a_finished_sweep_trains_nothing(finished, capsys) -> None:
    before = Ledger(finished / "ledger").rows()
    assert main(["resume", str(finished), "--runner", "serial"]) == FINE
    assert Ledger(finished / "ledger").rows() == before
    assert "24 trials, 24 recorded" in capsys.readouterr().err


def test_resume_with_other_data_is_refused(finished, capsys) -> None:
    sweep = finished / "sweep.json"
    before = sweep.read_text()
    sweep.write_text(before.replace(json.loads(before)["data_fingerprint"], "0" * 16))
    try:
        assert main(["resume", str(finished), "--runner", "serial"]) == WRONG
    finally:
        sweep.write_text(before)
    assert (
        "must be the data that the sweep began with (0000000000000000)" in capsys.readouterr().err
    )


def test_status(finished, capsys) -> None:
    assert main(["status", str(finished), "--json"]) == FINE
    answer = json.loads(capsys.readouterr().out)
    assert (answer["planned"], answer["finished"], answer["failed"]) == (24, 24, 0)
    assert main(["status", str(finished)]) == FINE
    out = capsys.readouterr().out
    assert "finished           24" in out
    assert f"peak memory        {answer['peak_memory'] / 1024**3:.2f} GiB\n" in out


@pytest.mark.parametrize("words", [["status"], ["export", "--csv", "rows.csv"]])
def test_what_was_recorded_is_read_without_torch(words, finished, tmp_path) -> None:
    words = [str(tmp_path / word) if word.endswith(".csv") else word for word in words]
    _, loaded = _loaded([words[0], str(finished), *words[1:]])
    assert "torch" not in loaded and "pyarrow" in loaded


def test_show_takes_the_beginning_of_an_id(finished, capsys) -> None:
    row = Ledger(finished / "ledger").rows()[0]
    assert main(["show", str(finished), row["trial_id"][:10]]) == FINE
    assert json.loads(capsys.readouterr().out) == row
    assert main(["show", str(finished), ""]) == WRONG
    assert (
        "TRIAL must be the beginning of exactly one recorded trial's id" in capsys.readouterr().err
    )
    # The id that `sweeps region` shows is a point's.
    assert main(["show", str(finished), row["defence_id"][:8]]) == WRONG
    assert f"that defence point has the trials {row['trial_id'][:8]}, " in capsys.readouterr().err


def test_region_can_be_asked_again(finished, capsys) -> None:
    before = json.loads((finished / "region.json").read_text())
    assert main(["region", str(finished), "--json"]) == FINE
    assert json.loads(capsys.readouterr().out) == before
    assert main(["region", str(finished)]) == FINE
    assert "defence point" in capsys.readouterr().out


def test_report_goes_where_it_is_asked_to(finished, tmp_path, capsys) -> None:
    assert main(["report", str(finished), "-o", str(tmp_path / "x.html")]) == FINE
    assert capsys.readouterr().out.strip() == str(tmp_path / "x.html")
    assert (tmp_path / "x.html").read_text().lstrip().lower().startswith("<!doctype html")


def test_export_is_a_row_a_measurement(finished, tmp_path) -> None:
    assert main(["export", str(finished), "--csv", str(tmp_path / "x.csv")]) == FINE
    with (tmp_path / "x.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 24
    assert {row["attack.poison_rate"] for row in rows} == {"0", "0.01", "0.03"}
    assert all(0 <= float(row["attack_success"]) <= 1 for row in rows)


def test_mirror_needs_a_store_where_tracking_is_off(finished, capsys) -> None:
    assert main(["mirror", str(finished)]) == WRONG
    assert "--uri: must be given: the sweep ran with tracking off" in capsys.readouterr().err


def test_check_says_what_would_run(capsys) -> None:
    assert main(["check", "digits"]) == FINE
    out = capsys.readouterr().out
    assert "36 defence points x 6 attacks and the clean baseline x 3 seeds" in out
    assert "756 trials" in out


@pytest.mark.parametrize("what", ["triggers", "regularizers", "architectures", "datasets", "specs"])
def test_list(what, capsys) -> None:
    from backdoor.settings.registry import FAMILIES

    assert main(["list", what]) == FINE
    out = capsys.readouterr().out
    for name in bundled_specs() if what == "specs" else FAMILIES[what].kinds():
        assert f"\n  {name} " in out
    # Whole sentences, beginning in one column; settings are further in.
    lines = [line for line in out.splitlines()[1:] if re.match("  [^ ]", line)]
    assert len({len(line) - len(line.split(maxsplit=1)[1]) for line in lines}) == 1
    assert all(text.endswith((".", "?")) for text in lines), lines


def test_init_writes_a_spec_that_is_fine_and_never_overwrites(tmp_path, capsys) -> None:
    target = tmp_path / "mine.yaml"
    assert main(["init", str(target)]) == FINE
    assert main(["check", str(target)]) == FINE
    target.write_text("mine")
    assert main(["init", str(target)]) == WRONG
    assert target.read_text() == "mine"
    assert "FILE must not exist yet" in capsys.readouterr().err


def test_failed_trials_are_exit_code_1_and_said(tmp_path, capsys, monkeypatch) -> None:
    """A learning rate list of which one value makes the trainer raise."""
    import sweeps.runners.serial as serial
    from sweeps.runners import train_pack

    def work(pack):
        if any(t.defence.weight_decay == 1 for t in pack.trials):
            raise RuntimeError("cannot train this")
        return train_pack(pack)

    monkeypatch.setattr(serial.SerialRunner.__init__, "__defaults__", (work,))
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(SMALL))
    arguments = [
        "run",
        str(tmp_path / "spec.yaml"),
        "--out",
        str(tmp_path / "r"),
        "--runner",
        "serial",
    ]
    assert main(arguments) == FAILURES
    assert (
        f"6 trials failed: `{command('sweeps', 'status', tmp_path / 'r')}` says why"
        in capsys.readouterr().err
    )
    assert main(["status", str(tmp_path / "r")]) == FINE
    assert "6 x RuntimeError: cannot train this" in capsys.readouterr().out


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_an_interrupted_sweep_stops_cleanly_and_says_how_to_resume(tmp_path, number) -> None:
    document = SMALL | {
        "defence": {"architecture": "mlp", "epochs": list(range(60, 90)), "weight_decay": 0.01}
    }
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(document))
    folder = tmp_path / "r"
    arguments = ["run", str(tmp_path / "spec.yaml"), "--out", str(folder), "--runner", "serial"]
    process = subprocess.Popen([sys.executable, "-W", "error", "-m", "sweeps.cli", *arguments], stderr=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})  # fmt: skip
    while process.poll() is None and not list(folder.glob("ledger/part-*")):
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate()
    assert process.returncode == INTERRUPTED, err
    assert out == "" and "Traceback" not in err
    recorded = len(Ledger(folder / "ledger").finished)
    assert 0 < recorded < 180
    assert (
        f"Interrupted: {recorded} trials are recorded. Go on with: {command('sweeps', 'resume', folder)}"
        in err
    )


@pytest.mark.parametrize(
    ("words", "meant"),
    [(["chek"], "check"), (["probe", "variants"], "variance"), (["run", "digits", "--runner", "seril"], "serial")],
)  # fmt: skip
def test_a_misspelt_command_or_choice_meets_the_one_that_is_meant(words, meant, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2 and f"Did you mean {meant}?" in capsys.readouterr().err


def test_outputs_follow_links_and_write_into_pipes(tmp_path) -> None:
    """What is there is no file of ours to replace: a pipe, or a link to a file elsewhere."""
    real, link, pipe = tmp_path / "real.html", tmp_path / "link.html", tmp_path / "pipe"
    real.write_text("old")
    link.symlink_to(real)
    write_atomic(link, b"new")
    assert link.is_symlink() and real.read_text() == "new"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as reader:
        read = reader.submit(pipe.read_bytes)
        write_atomic(pipe, b"through")
        assert read.result(timeout=60) == b"through"
    assert pipe.is_fifo() and sorted(tmp_path.iterdir()) == [link, pipe, real]
