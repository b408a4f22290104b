"""Memory: how much a process may use of a GPU's, how much it used at most, and freeing the rest."""

from __future__ import annotations

import ctypes
import gc
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import torch

from backdoor.memory_errors import out_of_memory

__all__ = ["Meter", "cap_memory", "out_of_memory", "release_memory", "return_freed"]

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def cap_memory(share: float) -> None:
    """Makes torch raise `torch.cuda.OutOfMemoryError` beyond this share of the GPU's memory.

    share: in (0, 1], of the memory that the driver reports for the first visible GPU. It limits
    torch's allocator; what CUDA itself uses for the process comes on top.
    """
    torch.cuda.set_per_process_memory_fraction(share)


def release_memory() -> None:
    """Frees the memory of a failed training, for other processes on the GPU and for the next
    training. Call it when nothing refers to the exception any more."""
    gc.collect()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()


def return_freed() -> None:
    """Returns freed memory to the system. glibc keeps freed blocks below 32 MiB, and they become
    fragmented: a worker grows by a tenth of a gigabyte for each network, up to several gigabytes.
    It takes some hundredths of a second; without glibc it does nothing."""
    if os.name == "posix" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)


@dataclass
class Meter:
    """Measures the peak memory of what runs inside `with Meter(device) as meter`.

    peak_memory: bytes, of the device's memory on CUDA, else of the whole process; None where the
    system does not report it (Linux does). At the end of the block, the device has finished its
    work.
    """

    device: str = "cpu"
    peak_memory: int | None = None

    def __enter__(self) -> Meter:
        if self._cuda:
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            _reset_peak()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._cuda:
            torch.cuda.synchronize(self.device)
            self.peak_memory = torch.cuda.max_memory_allocated(self.device)
        else:
            self.peak_memory = _peak()

    @property
    def _cuda(self) -> bool:
        return self.device.startswith("cuda")


def _reset_peak() -> None:
    """Resets the process's peak resident size to its present size, if that is permitted."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return


def _peak() -> int | None:
    """The process's peak resident size in bytes; None if unknown."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(found[0]) * 1024 if found else None
