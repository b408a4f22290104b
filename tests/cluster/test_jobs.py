"""All job commands, in order, against a real head on loopback that asks for a token.

The head's Python is not on its PATH, and only its Jobs API is used.
"""

import json
import re
import time
from pathlib import Path

import pytest
import yaml
from ray_head import ray_head
from small import SMALL, begin, results, sweep

from sweeps.cli import FINE, INTERRUPTED, WRONG
from sweeps.cli.main import main
from sweeps.ledger import Ledger
from sweeps.runners.serial import SerialRunner
from sweeps.spec import parse_spec
from sweeps.storage.paths import SweepPaths

LONG = {
    **SMALL,
    "name": "long",
    "defence": {"architecture": "mlp", "epochs": list(range(100, 110))},
    "attack": {"trigger": "patch", "poison_rate": [0, 0.03]},
}  # 40 trials in 10 packs
#: Seconds after which a step that takes a few has failed.
LIMIT = 120


@pytest.fixture(scope="module")
def head():
    with ray_head(cpus=1) as started:
        yield started


@pytest.fixture
def sweeps(head, monkeypatch, capsys):
    """`sweeps(...)` with the head's token: exit code, stdout, stderr."""
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(head.token))
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")  # --address is what counts

    def run(*arguments):
        code = main([*arguments, "--address", head.url])
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def spec_file(tmp_path_factory):
    def write(document):
        file = tmp_path_factory.mktemp("spec") / "spec.yaml"
        file.write_text(yaml.safe_dump(document))
        return str(file)

    return write


def jobs_of(sweeps):
    code, out, _ = sweeps("job", "list", "--json")
    assert code == FINE
    return json.loads(out)


def test_refused_without_the_token_and_with_a_wrong_one(
    head, tmp_path, monkeypatch, capsys, sweeps
) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH")
    monkeypatch.setenv("HOME", str(tmp_path))
    for command in (["submit", "digits"], ["list"], ["logs", "x"], ["stop", "x"],
                    ["fetch", "x", "--out", str(tmp_path / "f")]):  # fmt: skip
        code, out, err = sweeps("job", *command)
        assert (code, out) == (WRONG, "")
        assert f"token: must be given: the cluster at {head.url} asks for one, but got None. Put the head's token into ~/.ray/auth_token (chmod 600)" in err  # fmt: skip
    monkeypatch.setenv("RAY_AUTH_TOKEN", "f00" * 20)
    code, out, err = sweeps("job", "submit", "digits")
    assert (code, out) == (WRONG, "")
    assert f"RAY_AUTH_TOKEN must hold the token of the cluster at {head.url}, but got 'a token that it refuses'" in err  # fmt: skip
    assert "f00f00" not in err
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(head.token))
    assert jobs_of(sweeps) == []


def test_submitted_followed_listed_and_fetched(head, tmp_path, sweeps, spec_file, capsys) -> None:
    spec = spec_file(SMALL)
    code, out, err = sweeps("job", "submit", spec, "--set", "name=other", "--follow")
    job = out.strip()
    assert code == FINE, err
    assert re.fullmatch(r"other-\d{8}-\d{6}-[0-9a-f]{4}", job)
    assert "24/24 trials" in err and f"{job} SUCCEEDED" in err and "defence points are IN" in err
    assert f"sweeps job fetch {job} --out results/{job} --address {head.url}" in err

    there = SweepPaths(head.home / "backdoor-sweeps" / job)
    (listed,) = jobs_of(sweeps)
    assert (listed["job_id"], listed["sweep"], listed["state"]) == (job, "other", "SUCCEEDED")
    code, out, _ = sweeps("job", "logs", job)
    assert code == FINE and f"other: 24 trials, 0 recorded, in {there.root}" in out
    code, out, _ = sweeps("job", "list")
    assert [line.split()[:3] for line in out.splitlines()][1] == [job, "other", "SUCCEEDED"]

    folder = tmp_path / "fetched"
    code, out, err = sweeps("job", "fetch", job, "--out", str(folder))
    assert (code, out) == (FINE, f"{folder}\n"), err
    answers = []
    for place in (folder, there.root):
        assert main(["region", str(place), "--json"]) == FINE
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1]

    # What was trained over there is what this process trains.
    here = begin(tmp_path / "here", parse_spec({**SMALL, "name": "other"}))
    sweep(here, parse_spec({**SMALL, "name": "other"}), SerialRunner())
    assert results(SweepPaths(folder)) == results(here)

    code, _, err = sweeps("job", "fetch", job, "--out", str(folder))
    assert code == WRONG and "--out: must be a new or empty folder" in err
    assert [j["job_id"] for j in jobs_of(sweeps)] == [job], "requests are not sweeps"


def test_the_token_is_written_nowhere(head, sweeps) -> None:
    """After jobs have run: not in results, nor in any log or argument of Ray's."""
    token = head.token.read_bytes()
    files = [p for p in head.folder.rglob("*") if p.is_file() and p != head.token]
    assert any(p.name == "sweep.json" for p in files)
    assert any(p.name.startswith("job-driver-") for p in files)
    assert [p for p in files if token in p.read_bytes()] == []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert token not in process.read_bytes()
        except OSError:
            continue


@pytest.mark.slow
def test_stopped_cleanly_and_resumed(head, sweeps, spec_file) -> None:
    _, out, _ = sweeps("job", "submit", spec_file(LONG), "--storage", str(head.folder / "mine"))
    job = out.strip()
    paths = SweepPaths(head.folder / "mine" / job)
    limit = time.monotonic() + LIMIT
    while not list(paths.ledger.glob("*.parquet")):
        assert time.monotonic() < limit, sweeps("job", "logs", job)
        time.sleep(0.05)
    code, _, err = sweeps("job", "submit", "--resume", job)
    assert code == WRONG and f"but {job} is still writing to its folder" in err
    assert f"sweeps job stop {job} --address {head.url}" in err

    code, out, err = sweeps("job", "stop", job)
    assert (code, out) == (FINE, f"{job} STOPPED\n")
    assert f"sweeps job submit --resume {job} --address {head.url}" in err
    before = Ledger(paths.ledger).rows()
    assert 0 < len(before) < 40
    _, log, _ = sweeps("job", "logs", job)
    assert "Stopping when the running trials have ended" in log
    assert f"Interrupted: {len(before)} trials are recorded" in log
    _, _, err = sweeps("job", "stop", job)
    assert f"{job} had ended already: STOPPED" in err

    code, out, err = sweeps("job", "submit", "--resume", job, "--follow")
    again = out.strip()
    assert code == FINE and f"long: 40 trials, {len(before)} recorded, in {paths.root}" in err
    after = {row["trial_id"]: row for row in Ledger(paths.ledger).rows()}
    assert len(after) == 40
    assert all(after[row["trial_id"]] == row for row in before), (
        "a recorded trial was trained again"
    )
    assert {j["job_id"]: j["results"] for j in jobs_of(sweeps)}[again] == str(paths.root)


@pytest.mark.slow
def test_a_job_that_fails_says_so(sweeps, head, spec_file) -> None:
    missing = {**SMALL, "data": {"kind": "mnist", "root": "/nowhere/at/all"}}
    code, out, err = sweeps("job", "submit", spec_file(missing), "--follow")
    assert code not in (FINE, INTERRUPTED)
    assert "/nowhere/at/all" in err and f"{out.strip()} FAILED" in err
    code, _, err = sweeps("job", "fetch", out.strip(), "--out", str(head.folder / "none"))
    assert code == 1 and "on the cluster is not the results folder of a sweep" in err
    assert not (head.folder / "none").exists()
    code, _, err = sweeps("job", "logs", "nobody")
    assert code == WRONG and f"JOB must be a job of the cluster at {head.url}" in err


def test_the_doctor_asks_every_node(head, sweeps, spec_file) -> None:
    missing = {**SMALL, "data": {"kind": "mnist", "root": "/nowhere/at/all"}}
    code, out, _ = sweeps("doctor", spec_file(missing), "--json")
    findings = json.loads(out)
    (name,) = {f["where"] for f in findings if "(head)" in f["where"]}
    there = {f["subject"]: f for f in findings if f["where"] == name}
    assert "torch" in there["packages"]["says"] and there["python"]["level"] == "ok"
    assert there["data"]["says"] == "/nowhere/at/all does not exist"
    assert code == 1 and there["data"]["level"] == "failure"
    # Ray binds its own ports to every address; the core asks for the token.
    assert there["ports"]["level"] == "warning" and "gcs_server" in there["ports"]["says"]
    (cluster,) = [f for f in findings if f["subject"] == f"cluster at {head.url}"]
    assert cluster["level"] == "ok" and cluster["says"].endswith("asks for a token")
