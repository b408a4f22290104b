"""Copying a results folder: whole, of one moment, checked; no archive can write elsewhere."""

import io
import os
import random
import subprocess
import tarfile
import threading
from pathlib import Path

import pytest
from small import begin, results, small_spec, sweep

import cluster.on_head
from backdoor.errors import UserError
from cluster.envelope import read_envelope, write_envelope
from cluster.fetch import unpack
from cluster.head import ClusterError
from cluster.on_head import CannotAnswer, pack
from cluster.payload import Payload, Remote, entrypoint
from sweeps.cli.job_payload import PACKAGES, ROOT, payload
from sweeps.ledger import Ledger
from sweeps.runners.serial import SerialRunner


def packed(root):
    stream = io.BytesIO()
    pack(root, stream)
    return stream.getvalue()


@pytest.fixture
def finished(tmp_path):
    spec = small_spec()
    paths = begin(tmp_path / "there", spec)
    sweep(paths, spec, SerialRunner())
    return paths


def test_a_folder_comes_as_it_was_without_lock_database_and_scraps(finished, tmp_path) -> None:
    unwanted = [".lock", "mlflow.db", "mlflow.db-wal", "ledger/.part-1.parquet.ab.tmp"]
    for name in unwanted:
        (finished.root / name).write_text("x")
    os.symlink("/etc/passwd", finished.root / "link")
    out = tmp_path / "here"
    count = unpack(packed(finished.root), out)

    def files(root):
        return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}

    expected = files(finished.root)
    for name in [*unwanted, "link"]:
        expected.pop(name)
    assert files(out) == expected and count == len(expected)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_no_row_is_missed_while_a_sweep_writes_and_compacts(
    finished, tmp_path, monkeypatch
) -> None:
    """Parts appear and are compacted all the time; an archive has all rows from before it was made."""
    monkeypatch.setattr(cluster.on_head, "PAUSE", 0.001)
    monkeypatch.setattr(cluster.on_head, "ATTEMPTS", 1000)
    rows = Ledger(finished.ledger).table()
    moving = begin(tmp_path / "moving", small_spec())
    written, ended = [0], threading.Event()

    def write():
        ledger = Ledger(moving.ledger)
        for index in range(rows.num_rows):
            ledger.append(rows.slice(index, 1))
            written[0] = index + 1
            if index % 3 == 2:
                ledger.compact()
        ended.set()

    thread = threading.Thread(target=write)
    thread.start()
    taken = []
    while not ended.is_set():
        before = written[0]
        out = tmp_path / f"taken-{len(taken)}"
        unpack(packed(moving.root), out)
        taken.append((before, len(Ledger(out / "ledger").rows())))
    thread.join()
    assert all(has >= before for before, has in taken)
    assert len(taken) > 1 and any(0 < has < rows.num_rows for _, has in taken)


def test_a_file_that_vanishes_restarts_the_archive(finished, tmp_path, monkeypatch) -> None:
    real, calls = cluster.on_head.results_files, []

    def listing(root):
        calls.append(root)
        return [*real(root), *(["ledger/gone.parquet"] if len(calls) == 1 else [])]

    monkeypatch.setattr(cluster.on_head, "results_files", listing)
    monkeypatch.setattr(cluster.on_head, "PAUSE", 0)
    unpack(packed(finished.root), tmp_path / "here")
    assert len(calls) == 3
    monkeypatch.setattr(cluster.on_head, "results_files", lambda root: [str(random.random())])
    with pytest.raises(CannotAnswer, match="changes faster than it can be read"):
        packed(finished.root)


def test_what_is_too_large_or_no_results_folder_is_refused(finished, tmp_path, monkeypatch) -> None:
    with pytest.raises(CannotAnswer, match="is not the results folder of a sweep"):
        packed(tmp_path)
    monkeypatch.setattr(cluster.on_head, "MOST", 2**20)
    (finished.root / "large").write_bytes(random.Random(0).randbytes(2**21))
    with pytest.raises(CannotAnswer, match=r"more than 1 MB go through no log; copy .*there"):
        packed(finished.root)


# --- envelopes ----------------------------------------------------------------------------------


def enveloped(content, before="", after=""):
    log = io.BytesIO()
    write_envelope(io.BytesIO(content), log)
    return before + log.getvalue().decode() + after


@pytest.mark.parametrize("size", [0, 1, 56, 57, 58, 57 * 4096 - 1, 57 * 4096, 57 * 4096 + 1])
def test_envelopes_return_every_byte(size) -> None:
    content = random.Random(size).randbytes(size)
    assert (
        read_envelope(enveloped(content, "INFO setting up\nRunning entrypoint\n", "bye\n"))
        == content
    )


def test_any_change_to_an_envelope_is_noticed() -> None:
    content = random.Random(1).randbytes(300)
    log = enveloped(content)
    assert read_envelope("") is None and read_envelope("no envelope") is None
    for position in range(len(log)):
        for changed in (
            log[:position] + "A" + log[position + 1 :],
            log[:position] + log[position + 1 :],
        ):
            found = read_envelope(changed)
            assert found is None or found == content
        if position < len(log) - 1:
            assert read_envelope(log[:position]) is None
    lines = log.splitlines(keepends=True)
    assert read_envelope("".join([lines[0], "a warning in between\n", *lines[1:]])) is None


# --- hostile archives ----------------------------------------------------------------------------


def archive(*members):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as made:
        for name, kind, link in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, link
            info.size = 4 if kind == tarfile.REGTYPE else 0
            made.addfile(info, io.BytesIO(b"evil") if info.size else None)
    return stream.getvalue()


REG, SYM, LNK, DIR = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE


@pytest.mark.parametrize("members", [
    [("../escaped", REG, "")], [("/tmp/bs-escaped", REG, "")], [("a/../../escaped", REG, "")],
    [("link", SYM, "/tmp"), ("link/bs-escaped", REG, "")], [("hard", LNK, "/etc/passwd")],
    [("fifo", tarfile.FIFOTYPE, "")], [("device", tarfile.CHRTYPE, "")], [("..", DIR, "")],
    [("a\\..\\b", REG, "")], [(".", REG, "")],
])  # fmt: skip
def test_archives_that_reach_outside_are_refused(tmp_path, members) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(ClusterError, match="which is no file of a results folder"):
        unpack(archive(("sweep.json", REG, ""), *members), inside / "out")
    assert [p for p in tmp_path.rglob("*") if p != inside] == []
    assert not Path("/tmp/bs-escaped").exists()


def test_archives_that_are_none_leave_nothing(tmp_path) -> None:
    whole = archive(("sweep.json", REG, ""), ("spec.yaml", REG, ""))
    for content in (b"", b"no archive", whole[: len(whole) // 2]):
        with pytest.raises(ClusterError, match="no archive"):
            unpack(content, tmp_path / "out")
    with pytest.raises(FileExistsError):
        unpack(archive(("same", REG, ""), ("same", REG, "")), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_lies_there_stays(tmp_path) -> None:
    (tmp_path / "kept").write_text("mine")
    with pytest.raises(OSError, match="not empty"):
        unpack(archive(("sweep.json", REG, "")), tmp_path)
    assert (tmp_path / "kept").read_text() == "mine"


# --- payloads -----------------------------------------------------------------------------------


def test_a_payload_holds_our_packages_and_nothing_else(tmp_path) -> None:
    made = payload("name: x\n").write(tmp_path)
    names = {p.name for p in made.iterdir()}
    assert names - {n for n in names if n.endswith(".dist-info")} == {
        *PACKAGES,
        "start.sh",
        "spec.yaml",
    }
    files = {str(p.relative_to(made)) for p in made.rglob("*") if p.is_file()}
    assert "sweeps/specs/digits.yaml" in files and "cluster/on_head.py" in files
    assert not [f for f in files if "__pycache__" in f or "/." in f or f.startswith(".")]
    for name in PACKAGES:
        there = {p.relative_to(ROOT) for p in (ROOT / name).rglob("*.py")}
        assert {str(p) for p in there} <= files
    assert sum(p.stat().st_size for p in made.rglob("*")) < 5 * 2**20


def test_a_payload_has_its_version(tmp_path) -> None:
    import importlib.metadata

    folder = Payload({}, "9.8.7").write(tmp_path)
    (found,) = importlib.metadata.distributions(path=[str(folder)])
    assert (found.metadata["Name"], found.version) == ("backdoor-sweeps", "9.8.7")


@pytest.mark.parametrize("path, arrives", [
    ("~/it's mine/$HOME", "/home of me/it's mine/$HOME"), ("/abs/`id`;x", "/abs/`id`;x"),
])  # fmt: skip
def test_the_shell_over_there_gets_the_path_as_it_was_given(tmp_path, path, arrives) -> None:
    (tmp_path / "start.sh").write_text('printf "%s\\n" "$@"\n')
    line = entrypoint("sweeps.cli", "run", "spec.yaml", "--out", Remote(path))
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, env={"HOME": "/home of me", "PATH": "/usr/bin:/bin"},
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.splitlines() == ["-m", "sweeps.cli", "run", "spec.yaml", "--out", arrives]


@pytest.mark.parametrize("path", ["results", "", "~other/x", "/a\nb"])
def test_paths_over_there_are_absolute(path) -> None:
    with pytest.raises(UserError, match="--storage: must be an absolute path on the cluster"):
        Remote(path)


def test_fetched_results_are_the_same_trials(finished, tmp_path) -> None:
    from sweeps.storage.paths import SweepPaths

    unpack(read_envelope(enveloped(packed(finished.root))), tmp_path / "here")
    assert results(SweepPaths(tmp_path / "here")) == results(finished)
