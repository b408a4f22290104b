"""What a person reads of failures: `status`, `show`, tables, MLflow's runs, and the report."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small import begin, small_spec
from trials import fake_result

from sweeps.cli.main import main
from sweeps.ledger import SCHEMA, Ledger, failed_rows, finished_rows, load_results
from sweeps.mirror.run_record import RunRecords
from sweeps.mirror.view import ChangedTrial
from sweeps.records.failure import HANG, MEMORY, TRIAL, Failure
from sweeps.records.incident import ATTEMPT, BACK, LEFT_OUT, LOST, STARTED, STOPPED, Incident
from sweeps.search import make_search
from sweeps.storage.files import locked
from sweeps.storage.incident_log import IncidentLog
from sweeps.storage.paths import SweepPaths, read_sweep

BRIGHT = Failure(
    "ValueError: too bright: 300",
    TRIAL,
    place="/home/me/marks.py:12",
    traceback='Traceback (most recent call last):\n  File "marks.py", line 12\nValueError: too bright: 300\n',
    log="epoch 1\tloss 0.5\n\x1b[31mred\x1b[0m mysql://me:geheim@db/x",
    host="host7",
    node_id="2f3e9a01abcdef",
)
#: Columns that rows of version 6 did not have.
ADDED = ("node_id", "cause", "failed_at", "traceback", "log")
TRIALS = make_search(small_spec()).ask(24)
IDS = [trial.trial_id for trial in TRIALS]


@pytest.fixture
def paths(tmp_path: Path) -> SweepPaths:
    """A sweep of 24 trials: 0 to 2 failed in the user's code, 3 without a sign of life, 4 as
    earlier releases recorded it, 5 finished; 6 and 7 are open."""
    paths = begin(tmp_path / "r", small_spec())
    ledger = Ledger(paths.ledger)
    other = replace(BRIGHT, error="ValueError: too bright: 256", place="/tmp/ray/marks.py:12")
    ledger.append(failed_rows(TRIALS[:2], "pack", BRIGHT))
    ledger.append(failed_rows(TRIALS[2:3], "pack", other))
    ledger.append(failed_rows(TRIALS[3:4], "pack", Failure("no sign of life", HANG, host="host8")))
    ledger.append(failed_rows(TRIALS[4:5], "pack", "RuntimeError: no"))
    ledger.append(finished_rows([fake_result(TRIALS[5])], "pack"))
    return paths


def note(paths: SweepPaths, *incidents: Incident) -> None:
    for incident in incidents:
        IncidentLog(paths.incidents).append(incident)


def run(*words: object, capsys, code: int = 0) -> tuple[str, str]:
    assert main(list(map(str, words))) == code
    said = capsys.readouterr()
    return said.out, said.err


LACKS = Failure("ModuleNotFoundError: No module named 'marks'", place="/x/a.py:3", host="host9")
PROBLEMS = (
    Incident(ATTEMPT, 1.0, (IDS[9],), failure=LACKS),
    Incident(STARTED, 2.0),
    Incident(ATTEMPT, 3.0, (IDS[6],), "host9", "abc", replace(LACKS, host="host8")),
    Incident(ATTEMPT, 4.0, (IDS[6],), "host9", "abc", LACKS),
    Incident(ATTEMPT, 4.0, (IDS[0], IDS[5]), failure=BRIGHT),
    Incident(ATTEMPT, 5.0, (IDS[7],), failure=Failure("too little memory", MEMORY)),
    Incident(LOST, 5.0, (IDS[7],), "host6"),
    Incident(LEFT_OUT, 6.0, host="host9", node_id="0123456789ab", failure=Failure("no data")),
    Incident(LEFT_OUT, 7.0, host="host8", node_id="ba98", text="disk is read-only"),
    Incident(BACK, 8.0, host="host8", node_id="ba98"),
)


# --- status ------------------------------------------------------------------------------------


def test_status_groups_failures_by_cause_with_an_example(paths, capsys) -> None:
    text, _ = run("status", paths.root, capsys=capsys)
    first, third = IDS[0][:8], IDS[3][:8]
    assert (
        "  the trial's own fault: 3\n"
        f"    3 x ValueError at marks.py:12, for example trial {first} on host7 "
        "(/home/me/marks.py:12): ValueError: too bright: 300\n"
        "  no sign of life: 1\n"
        f"    1 x no sign of life, trial {third} on host8\n"
        "  1 x RuntimeError: no\n"
        "  `sweeps show DIR TRIAL` prints a trial's traceback and log\n"
    ) in f"{text}\n"
    assert "open " not in text and "workers lost" not in text and "node " not in text


def test_status_as_data_keeps_its_keys(paths, capsys) -> None:
    answer = json.loads(run("status", paths.root, "--json", capsys=capsys)[0])
    assert answer["failures"] == {
        "ValueError: too bright: 300": 2, "ValueError: too bright: 256": 1,
        "no sign of life": 1, "RuntimeError: no": 1,
    }  # fmt: skip
    assert answer["failure_groups"][0] == {
        "cause": "trial", "kind": "ValueError at marks.py:12", "count": 3, "trial_id": IDS[0],
        "error": "ValueError: too bright: 300", "place": "/home/me/marks.py:12",
        "host": "host7", "node_id": "2f3e9a01abcdef",
    }  # fmt: skip
    assert [g["cause"] for g in answer["failure_groups"]] == ["trial", "hang", None]
    others = [answer[key] for key in ("open", "nodes", "lost_workers", "in_common")]
    assert others == [[], [], 0, None]


def test_open_trials_and_nodes_are_told_apart_from_failures(paths, capsys) -> None:
    note(paths, *PROBLEMS)
    with locked(paths.lock):
        answer = json.loads(run("status", paths.root, "--json", capsys=capsys)[0])
        text, _ = run("status", paths.root, capsys=capsys)
    found = {e["trial_id"]: (e["attempts"], e["host"], e["waits_for"]) for e in answer["open"]}
    elsewhere = "another node, or for a success on the same one"
    assert found == {IDS[6]: (2, "host9", elsewhere), IDS[7]: (1, None, "a smaller pack")}
    assert answer["failed"] == 5 and answer["lost_workers"] == 1
    assert answer["nodes"] == [
        {"host": "host9", "node_id": "0123456789ab", "state": "left out", "reason": "no data", "since": 6.0},
        {"host": "host8", "node_id": "ba98", "state": "back", "reason": "disk is read-only", "since": 8.0},
    ]  # fmt: skip
    assert (
        f"open               1 trial failed and waits for {elsewhere}\n"
        f"  1 x ModuleNotFoundError: No module named 'marks', trial {IDS[6][:8]} on host9 (/x/a.py:3)\n"
        "open               1 trial failed and waits for a smaller pack\n"
        "  1 x too little memory\n"
    ) in text
    assert "\nnode left out      host9 (01234567…), for " in text and " days: no data\n" in text
    assert " days: it had been left out: disk is read-only\nworkers lost       1" in text
    # Nobody tries them again while no process runs.
    stopped = json.loads(run("status", paths.root, "--json", capsys=capsys)[0])
    assert {entry["waits_for"] for entry in stopped["open"]} == {"`sweeps resume`"}


def test_a_sweep_in_which_nothing_worked_says_what_failures_share(paths, capsys) -> None:
    note(paths, *(Incident(ATTEMPT, 1.0, (each,), failure=LACKS) for each in IDS[6:11]))
    note(paths, Incident(STOPPED, 2.0, text="stopped"))
    text, _ = run("status", paths.root, capsys=capsys)
    shared = "all 5 failures: ModuleNotFoundError: No module named 'marks' at a.py:3, on host9"
    assert f"\nstopped            nothing worked; {shared}" in text
    assert "\nopen               5 trials failed and wait for `sweeps resume`\n" in text


def test_texts_of_others_do_nothing_to_a_terminal(paths, capsys) -> None:
    bad = Failure("ValueError: \x1b[2J mysql://me:geheim@db", TRIAL, "/a\x1b/m.py:1", host="h\x1b")
    Ledger(paths.ledger).append(failed_rows(TRIALS[8:9], "pack", bad))
    note(paths, Incident(LEFT_OUT, 1.0, host="\x1b", node_id="\x1b", failure=bad))
    note(paths, Incident(ATTEMPT, 1.0, (IDS[10],), failure=bad), Incident(STOPPED, 2.0))
    text, _ = run("status", paths.root, capsys=capsys)
    assert "\x1b" not in text and "geheim" not in text and text.count("mysql://me:***@db") >= 3
    _, told = run("show", paths.root, IDS[8], capsys=capsys)
    assert "\x1b" not in told and "geheim" not in told


@pytest.mark.parametrize(
    "content", [b"\xff\n{\n[]\n3\n", b'{"what": "attempt", "at": "x"}\n', b"[" * 5000]
)
def test_a_damaged_log_of_incidents_changes_nothing(paths, capsys, content) -> None:
    before = run("status", paths.root, capsys=capsys)
    paths.incidents.write_bytes(content)
    assert run("status", paths.root, capsys=capsys) == before
    paths.incidents.unlink()
    paths.incidents.mkdir()
    assert run("status", paths.root, capsys=capsys) == before


# --- show --------------------------------------------------------------------------------------


def test_show_has_data_on_stdout_and_the_traceback_for_people_on_stderr(paths, capsys) -> None:
    note(paths, *PROBLEMS)
    out, err = run("show", paths.root, IDS[0][:10], capsys=capsys)
    shown = json.loads(out)
    assert shown["error"] == BRIGHT.error and shown["traceback"] == BRIGHT.traceback
    assert [each["failure"]["error"] for each in shown["attempts"]] == [BRIGHT.error]
    assert err == (
        f"\ntrial {IDS[0]} failed on host7 (1 failed attempt)\n"
        "cause: the trial's own fault\n"
        "ValueError: too bright: 300\nat /home/me/marks.py:12\n\n"
        'Traceback (most recent call last):\n  File "marks.py", line 12\n'
        "ValueError: too bright: 300\n\n"
        "What it printed last:\n"
        "epoch 1 loss 0.5\n\\x1b[31mred\\x1b[0m mysql://me:***@db/x\n"
    )


def test_show_finds_a_trial_that_is_open(paths, capsys) -> None:
    assert main(["show", str(paths.root), IDS[6]]) == 2, "nothing is known of it yet"
    capsys.readouterr()
    note(paths, *PROBLEMS)
    out, err = run("show", paths.root, IDS[6][:9], capsys=capsys)
    shown = json.loads(out)
    assert (shown["trial_id"], shown["status"], shown["error"]) == (IDS[6], "open", LACKS.error)
    assert (shown["failed_at"], shown["host"], shown["node_id"]) == ("/x/a.py:3", "host9", "abc")
    assert [each["at"] for each in shown["attempts"]] == [3.0, 4.0]
    told = (
        f"trial {IDS[6]} is open: it failed on host9 (2 failed attempts) and is to be tried again"
    )
    assert err == f"\n{told}\n{LACKS.error}\nat /x/a.py:3\n"
    _, err = run("show", paths.root, "", capsys=capsys, code=2)
    assert "9 trials match; " in err, "six rows, two open ones, and one of a run before"


def test_a_finished_trial_is_shown_as_before(paths, capsys) -> None:
    out, err = run("show", paths.root, IDS[5], capsys=capsys)
    row = next(row for row in Ledger(paths.ledger).rows() if row["trial_id"] == IDS[5])
    assert json.loads(out) == row and err == ""


# --- folders of before -------------------------------------------------------------------------


def test_a_folder_of_version_6_is_read_as_before(paths, capsys) -> None:
    table = Ledger(paths.ledger).table()
    for file in Ledger(paths.ledger).files():
        file.unlink()
    former = pa.schema([f for f in SCHEMA if f.name not in ADDED], {"schema_version": "6"})
    pq.write_table(table.drop_columns(list(ADDED)).cast(former), paths.ledger / "part-1.parquet")
    trials = {trial.trial_id: trial for trial in Ledger(paths.ledger).trials()}
    assert len(trials) == 6 and {t.cause for t in trials.values()} == {None}
    answer = json.loads(run("status", paths.root, "--json", capsys=capsys)[0])
    assert answer["failures"]["ValueError: too bright: 300"] == 2 and answer["failed"] == 5
    assert {g["cause"] for g in answer["failure_groups"]} == {None}
    out, err = run("show", paths.root, IDS[0], capsys=capsys)
    assert json.loads(out)["traceback"] is None and err == ""
    # What is recorded from now on is of this version, beside the rows of before.
    Ledger(paths.ledger).append(failed_rows(TRIALS[10:11], "pack", BRIGHT))
    Ledger(paths.ledger).compact()
    assert {t.cause for t in Ledger(paths.ledger).trials()} == {None, TRIAL}


# --- tables, runs, pages -----------------------------------------------------------------------


def test_the_flat_table_and_the_run_say_why_and_where(paths) -> None:
    names = ("error", "cause", "failed_at", "host", "node_id")
    table = load_results(paths.root)
    row = next(row for row in table.to_pylist() if row["trial_id"] == IDS[0])
    known = (BRIGHT.error, TRIAL, BRIGHT.place, "host7", BRIGHT.node_id)
    assert tuple(row[name] for name in names) == known
    at = table.column_names.index("foretold")
    assert table.column_names[at + 1 : at + 5] == list(names[1:])
    trial = next(t for t in Ledger(paths.ledger).trials() if t.trial_id == IDS[0])
    tags = RunRecords(read_sweep(paths)).record(ChangedTrial(trial)).tags
    assert tuple(tags[name] for name in names) == known
    fine = replace(trial, error=None, cause=None, failed_at=None, node_id=None)
    tags = RunRecords(read_sweep(paths)).record(ChangedTrial(fine)).tags
    assert not {"error", "cause", "failed_at", "node_id"} & set(tags)


def test_the_report_has_causes_with_host_and_line(paths) -> None:
    from dashboards.failed_trials import _causes

    failed = [trial for trial in Ledger(paths.ledger).trials() if trial.status == "failed"]
    found = [(c.text, c.fault, c.trials, c.of_first) for c in _causes(failed)]
    assert found == [
        ("ValueError at marks.py:12", "the trial's own fault", 3,
         "on host7, at marks.py:12, ValueError: too bright: 300"),
        ("no sign of life", "no sign of life", 1, "on host8"),
        ("RuntimeError: no", None, 1, ""),
    ]  # fmt: skip
