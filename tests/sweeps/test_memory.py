"""Packs that do not fit into memory: halved, tried again, and remembered; shares of a GPU."""

import ctypes
import os
import platform
from pathlib import Path

import pytest
import torch
from made_clusters import MEMORY, RAISES, FakeTrainer, Node, World
from small import begin, results, small_spec, sweep
from trials import trial

import sweeps.runners.worker
from backdoor.engines.packed import Packed
from backdoor.memory import cap_memory, out_of_memory, release_memory, return_freed
from sweeps.ledger import decode
from sweeps.packs.chunk import Chunk
from sweeps.packs.pack import Pack, PackSettings
from sweeps.runners import TOO_LARGE, attempt, train_pack
from sweeps.runners.serial import SerialRunner
from sweeps.runners.supervision import supervisor

ERRORS = [MemoryError("no room"), torch.cuda.OutOfMemoryError("CUDA out of memory")]
LINEAR = {"defence": {"architecture": "linear", "weight_decay": [0, 0.001, 0.01, 0.03], "epochs": [1, 2]}}  # fmt: skip


@pytest.fixture(
    params=[pytest.param(ERRORS[0], marks=pytest.mark.slow), ERRORS[1]],
    ids=["MemoryError", "OutOfMemoryError"],
)
def narrow(request, monkeypatch):
    """The packed engine on a machine that holds five models: the sizes of the packs it was given."""
    tried, train = [], Packed.train

    def five(self, members, *rest):
        tried.append(len(members))
        if len(members) > 5:
            raise request.param
        return train(self, members, *rest)

    monkeypatch.setattr(Packed, "train", five)
    return tried


def test_an_engine_that_runs_out_of_memory_gets_smaller_packs(
    tmp_path, monkeypatch, narrow
) -> None:
    spec = small_spec(**LINEAR)
    paths, calm = begin(tmp_path / "r", spec), begin(tmp_path / "calm", spec)
    outcome = sweep(paths, spec, SerialRunner())
    assert (outcome.finished, outcome.failed) == (48, 0)
    assert narrow.count(24) == 2, "one of each shape"
    assert narrow == [24, 12, 6, *[3] * 8, 24, 12, 6, *[3] * 8], "what was learned is not tried"
    assert all(row["error"] is None for row in results(paths).values())
    monkeypatch.setattr(Packed, "max_pack", 4)
    sweep(calm, spec, SerialRunner())
    assert results(calm) == results(paths)


def test_what_was_learned_holds_for_packs_that_wait(tmp_path, monkeypatch, narrow) -> None:
    monkeypatch.setattr(Packed, "max_pack", 8)
    spec = small_spec(**LINEAR)
    assert sweep(begin(tmp_path / "r", spec), spec, SerialRunner()).finished == 48
    assert narrow == [8, *[4] * 6, 8, *[4] * 6]


@pytest.mark.slow
def test_a_trial_too_large_by_itself_has_failed_and_says_why(tmp_path, monkeypatch) -> None:
    def none(self, members, *rest):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Packed, "train", none)
    spec = small_spec(defence={"architecture": ["linear", {"kind": "ridge", "weight_decay": 0.1}]})
    paths = begin(tmp_path / "r", spec)
    outcome = sweep(paths, spec, SerialRunner())
    assert (outcome.finished, outcome.failed) == (6, 6)
    errors = {row["error"] for row in results(paths).values() if row["status"] == "failed"}
    assert errors == {"out of memory: OutOfMemoryError: CUDA out of memory"}


def answers(monkeypatch, packs, bad):
    """What a worker reports of a chunk in which the trials `bad` fail in this way."""
    reports, node = [], Node("here")
    monkeypatch.setattr(supervisor, "_node_id", lambda: "here")
    trainer = FakeTrainer(World([node], bad), node)
    monkeypatch.setattr(supervisor, "Trainer", lambda *none: trainer)
    config = {"payload": Chunk(tuple(packs)).to_json(), "controls": []}
    config |= {"packs": [pack.pack_id for pack in packs]}
    config |= {"deadlines": [None] * len(packs), "believed": [None] * len(packs)}
    supervisor.Supervisor(None, 1.0, reports.append).serve(config)
    return reports


def test_a_chunk_ends_at_the_pack_that_did_not_fit(monkeypatch) -> None:
    packs = [Pack((trial(seed=2 * i), trial(seed=2 * i + 1)), PackSettings(())) for i in range(4)]
    bad = {packs[1].trials[0].trial_id: MEMORY}
    (report,) = answers(monkeypatch, packs, bad)
    assert report["ends"] and report["left"] == 2 and len(report["reasons"]) == 2
    assert report["reasons"][0] is None and report["reasons"][1]["cause"] == "memory"
    (rows,) = report["rows"]
    assert decode(rows)["trial_id"].to_pylist() == [t.trial_id for t in packs[0].trials]
    (report,) = answers(monkeypatch, packs[2:], bad)
    assert report["reasons"] == [None, None] and not report["ends"]


def test_an_ordinary_failure_does_not_end_a_chunk(monkeypatch) -> None:
    packs = [Pack((trial(seed=i),), PackSettings(())) for i in range(3)]
    monkeypatch.setattr(supervisor, "REPORT_EVERY", -1.0)
    reports = answers(monkeypatch, packs, {packs[1].trials[0].trial_id: RAISES})
    assert [(r["left"], r["ends"]) for r in reports] == [(2, False), (1, False), (0, False)]
    errors = [each and each["error"] for r in reports for each in r["reasons"]]
    assert errors == [None, "ValueError: raises", None]


def test_which_errors_are_of_memory() -> None:
    assert all(map(out_of_memory, ERRORS)) and not out_of_memory(RuntimeError("CUDA error"))
    rows, failure = attempt(lambda pack: (_ for _ in ()).throw(ValueError("x")), None)
    assert rows is None and failure.error == "ValueError: x" and failure.cause == "open"
    for error in ERRORS:
        rows, failure = attempt(lambda pack, it=error: (_ for _ in ()).throw(it), None)
        assert failure.error.startswith(TOO_LARGE) and failure.cause == "memory"


@pytest.mark.parametrize(("gpu", "capped"), [(0, []), (0.25, [0.25]), (1, []), (2, [])])
def test_a_part_of_a_gpu_is_a_part_of_its_memory(gpu, capped, monkeypatch) -> None:
    """torch.cuda is faked where this project calls it: no GPU is needed, and none was there."""
    said, devices = [], []
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", said.append)
    monkeypatch.setattr(sweeps.runners.worker, "run_pack", lambda *a, device, **k: devices.append(device) or [])  # fmt: skip
    train_pack(Pack((trial(),), PackSettings((), gpu=gpu)))
    assert said == capped and devices == ["cuda" if gpu else "cpu"]


def test_memory_is_returned_where_a_gpu_is_in_use(monkeypatch) -> None:
    emptied = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))
    release_memory()
    assert not emptied, "CUDA is not started for it"
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    release_memory()
    assert emptied
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", emptied.append)
    cap_memory(0.5)
    assert emptied[-1] == 0.5


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc_trim is glibc's")
def test_what_was_freed_goes_back_to_the_system() -> None:
    """Blocks of 64 KiB, every thousandth of which stays: the heap does not shrink by such holes."""
    before = _resident()
    blocks = [ctypes.create_string_buffer(b"x" * 2**16) for _ in range(4000)]
    kept = blocks[::1000]
    del blocks
    held = _resident() - before
    return_freed()
    assert held - (_resident() - before) > 100 * 2**20 and len(kept) == 4


def _resident() -> int:
    words = Path("/proc/self/statm").read_text().split()
    return int(words[1]) * os.sysconf("SC_PAGE_SIZE")
