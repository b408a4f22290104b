"""What a node lacks for a pack is said in lines that are the same on every node."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from trials import FEW, trial

from backdoor.config import build_data
from backdoor.datasets.source import forget_sources, load_source
from backdoor.settings.user_file import UserFile
from sweeps.packs.chunk import Chunk
from sweeps.packs.pack import Pack, PackSettings
from sweeps.runners import node_checks
from sweeps.runners.node_check import check_chunk_text, check_node
from sweeps.runners.node_checks import CHECKS

MEASURE = trial().attack.measure()


def chunk(data: Any = FEW, gpu: float = 0.0, **changes: Any) -> Chunk:
    settings = PackSettings((MEASURE,), gpu=gpu)
    return Chunk((Pack((trial("ridge", data=data, weight_decay=0.1, **changes),), settings),))


def saved(file: Path, shift: int = 0) -> Any:
    """Forty images in a file, and the data set that reads them."""
    draw = np.random.default_rng(shift)
    np.savez(file, images=draw.integers(0, 256, (40, 8, 8), np.uint8), labels=np.arange(40) % 4)
    return build_data({"kind": "arrays", "root": str(file), "validation": 4, "test": 8})


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BACKDOOR_CACHE", str(tmp_path / "cache"))
    forget_sources()
    return tmp_path / "cache"


def test_a_fit_node_lacks_nothing() -> None:
    sent = chunk()
    before = load_source(FEW).fingerprint
    assert check_node(sent, before) == []
    read, lines = check_chunk_text(sent.to_json(), before)
    assert lines == [] and read is not None and read.chunk_id == sent.chunk_id


# --- data --------------------------------------------------------------------------------------


def test_data_that_are_not_there(tmp_path: Path) -> None:
    gone = build_data({"kind": "arrays", "root": str(tmp_path / "gone.npz")})
    assert check_node(chunk(gone)) == [
        f"cannot read the data at {tmp_path}/gone.npz: no such file or folder"
    ]


def test_data_that_cannot_be_read(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "broken.npz").write_bytes(b"not an archive")
    (line,) = check_node(
        chunk(build_data({"kind": "arrays", "root": str(tmp_path / "broken.npz")}))
    )
    assert line.startswith(f"cannot read the data at {tmp_path}/broken.npz: root: must be")
    folder = build_data({"kind": "image_folder", "root": str(tmp_path)})
    (line,) = check_node(chunk(folder))
    assert line.startswith(f"cannot read the data at {tmp_path}: root: must ")


def test_other_data_than_the_sweeps(tmp_path: Path, cache: Path) -> None:
    data = saved(tmp_path / "own.npz")
    before = load_source(data).fingerprint
    assert check_node(chunk(data), before) == []
    now = load_source(saved(tmp_path / "own.npz", shift=1)).fingerprint
    assert check_node(chunk(data), before) == [
        f"the data at {tmp_path}/own.npz are not those of the sweep: "
        f"their fingerprint is {now}, not {before}"
    ]


def test_what_the_check_read_is_there_for_the_pack(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = saved(tmp_path / "own.npz")
    assert check_node(chunk(data)) == []
    monkeypatch.setattr(type(data), "fingerprint", lambda self: pytest.fail("read again"))
    assert load_source(data).labels.shape == (40,)


# --- disks -------------------------------------------------------------------------------------


def test_a_read_only_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    really = os.open

    def refuse(path: Any, flags: int, *mode: Any, **more: Any) -> int:
        if str(path).startswith(str(tmp_path)) and flags & os.O_CREAT:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return really(path, flags, *mode, **more)

    monkeypatch.setattr(os, "open", refuse)
    expected = [f"cannot write in {tmp_path}: read-only file system"]
    assert check_node(chunk()) == expected == check_node(chunk())


@pytest.mark.skipif(not Path("/proc/sys/kernel").is_dir(), reason="no /proc")
def test_a_folder_in_which_nothing_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/proc/sys/kernel")
    (line,) = check_node(chunk())
    assert line.startswith("cannot write in /proc/sys/kernel: ") and str(os.getpid()) not in line


def test_a_folder_that_is_not_there_is_passed_over_as_python_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "gone"))
    assert check_node(chunk()) == []


@pytest.mark.parametrize(
    "name, value, line",
    [
        ("fsync", OSError(errno.EIO, "Input/output error"), "input/output error"),
        ("write", OSError(errno.ENOSPC, "No space left on device"), "no space left on device"),
        ("pread", b"other bytes", "what is read is not what was written"),
        ("statvfs", SimpleNamespace(f_bavail=4095, f_frsize=4096), "less than 16 MB are free"),
    ],
)
def test_a_disk_that_does_not_keep_what_is_written(
    name: str, value: Any, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fake(*arguments: Any) -> Any:
        if isinstance(value, OSError):
            raise value
        return value

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(node_checks.os, name, fake)
    assert check_node(chunk()) == [f"cannot write in {tmp_path}: {line}"]
    assert not list(tmp_path.iterdir())


def test_a_cache_that_cannot_be_written_counts_where_it_is_needed(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = saved(tmp_path / "own.npz")
    cache.write_text("a file in place of the folder")
    (line,) = check_node(chunk(data))
    assert line.startswith(f"cannot read the data at {tmp_path}/own.npz: BACKDOOR_CACHE must be a ")
    assert str(cache) in line and check_node(chunk()) == []
    # Where images of other seeds are still to be decoded, it must stay so.
    monkeypatch.setattr(node_checks, "_still_writes", lambda source: True)
    assert check_node(chunk()) == [f"cannot write in {cache}: not a directory"]


# --- modules and files -------------------------------------------------------------------------


MODULES = {
    "syntax": ("def (", "cannot import {}: SyntaxError: "),
    "missing": ("import not_on_this_node", "cannot import {}: ModuleNotFoundError: No module named 'not_on_this_node'"),
    "exit": ("raise SystemExit(3)", "cannot import {}: SystemExit: 3"),
    "memory": ("raise MemoryError", "cannot import {}: MemoryError"),
    "own": ("class Odd(BaseException): pass\nraise Odd(f'at {object()}')", "cannot import {}: Odd: at <object object at 0x...>"),
}  # fmt: skip


@pytest.mark.parametrize("fault", sorted(MODULES))
def test_a_module_that_cannot_be_imported(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, expected = MODULES[fault]
    name = f"node_check_{fault}"
    (tmp_path / f"{name}.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    text = chunk().to_json().replace('"kind":"patch"', f'"kind":"{name}:Stripes"')
    read, lines = check_chunk_text(text)
    assert read is None and len(lines) == 1 and lines[0].startswith(expected.format(name))


def test_a_module_that_is_not_there() -> None:
    text = chunk().to_json().replace('"kind":"patch"', '"kind":"nowhere.marks:Stripes"')
    assert check_chunk_text(text) == (
        None,
        ["cannot import nowhere.marks: ModuleNotFoundError: No module named 'nowhere'"],
    )


def test_packs_of_another_release() -> None:
    text = chunk().to_json().replace('"kind":"patch"', '"kind":"pach"')
    read, lines = check_chunk_text(text)
    assert read is None and all(line.startswith("cannot read the packs: ") for line in lines)
    assert "must be a known trigger, but got 'pach'" in lines[0]
    content = {k: v for k, v in json.loads(chunk().to_json()).items() if k != "curve_every"}
    assert check_chunk_text(json.dumps(content))[1] == [
        "cannot read the packs: KeyError: 'curve_every'"
    ]
    (line,) = check_chunk_text("{")[1]
    assert line.startswith("cannot read the packs: JSONDecodeError: ")


def test_a_file_that_a_configuration_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "weights.pt"
    file.write_bytes(b"as they were")
    known = UserFile.of(str(file))
    monkeypatch.setattr(
        node_checks, "files_of", lambda part: {} if part is None else {known.digest: known.path}
    )
    assert check_node(chunk()) == []
    file.write_bytes(b"other weights")
    (line,) = check_node(chunk())
    assert line.startswith(
        f"cannot use a file: {file}: must hold what it held when the trials were"
    )
    file.unlink()
    assert check_node(chunk()) == [f"cannot read {file}: no such file or folder"]


# --- memory, threads, GPU ----------------------------------------------------------------------


def test_no_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert check_node(chunk()) == ["cannot start a thread: RuntimeError: can't start new thread"]


def fake_cuda(monkeypatch: pytest.MonkeyPatch, gpus: int, to: Any) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    really = torch.Tensor.to
    monkeypatch.setattr(
        torch.Tensor,
        "to",
        lambda self, *a, **k: to(self) if a == ("cuda",) else really(self, *a, **k),
    )


def _fails(text: str) -> Any:
    def to(tensor: Any) -> Any:
        raise RuntimeError(text)

    return to


def test_a_gpu_that_works_and_one_that_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cuda(monkeypatch, 1, lambda tensor: tensor.clone())
    assert check_node(chunk(gpu=0.5)) == []
    fake_cuda(monkeypatch, 1, _fails("not asked for"))
    assert check_node(chunk()) == []


@pytest.mark.parametrize(
    "to, line",
    [
        (
            _fails("CUDA error: uncorrectable ECC error encountered"),
            "RuntimeError: CUDA error: uncorrectable ECC error encountered",
        ),
        (lambda tensor: tensor + 1, "the GPU multiplies two matrices otherwise than the CPU"),
    ],
)
def test_a_gpu_that_fails(to: Any, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cuda(monkeypatch, 1, to)
    assert check_node(chunk(gpu=1)) == [f"CUDA does not work: {line}"]


def test_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*size: Any, **more: Any) -> Any:
        raise RuntimeError("No CUDA GPUs are available")

    fake_cuda(monkeypatch, 0, lambda tensor: tensor)
    monkeypatch.setattr(torch, "zeros", refuse)
    assert check_node(chunk(gpu=1)) == [
        "CUDA does not work: RuntimeError: No CUDA GPUs are available"
    ]


def test_a_full_gpu_is_said_without_amounts(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(tensor: Any) -> Any:
        raise torch.cuda.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 2.00 MiB. Process 4711 has 79.1 GiB in use."
        )

    fake_cuda(monkeypatch, 1, full)
    (line,) = check_node(chunk(gpu=1))
    assert line == "CUDA does not work: OutOfMemoryError: CUDA out of memory"


# --- the checks themselves ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "error, cause",
    [
        (MemoryError(), "MemoryError"),
        (SystemExit("over"), "SystemExit: over"),
        (GeneratorExit(), "GeneratorExit"),
        (OSError(errno.EIO, "Input/output error", "/data/1.png"), "input/output error: /data/1.png"),
        (ValueError("pid 4711 in /tmp/tmpab12_x9z at 0x7f0012ab"), "ValueError: pid ... in /tmp/tmp... at 0x..."),
    ],
)  # fmt: skip
def test_what_a_check_raises_is_a_line(error: BaseException, cause: str) -> None:
    def check(needs: Any) -> Any:
        yield "first"
        raise error

    assert check_node(chunk(), checks={"cannot do it": check}) == [
        "first",
        f"cannot do it: {cause}",
    ]


def test_all_that_a_node_lacks_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CHECKS, "cannot speak", lambda needs: ["cannot speak", "cannot speak"])
    gone = build_data({"kind": "arrays", "root": str(tmp_path / "gone.npz")})
    assert [line.partition(" at ")[0] for line in check_node(chunk(gone))] == [
        "cannot read the data",
        "cannot speak",
    ]


def test_a_ctrl_c_ends_the_check() -> None:
    def check(needs: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_node(chunk(), checks={"cannot do it": check})
