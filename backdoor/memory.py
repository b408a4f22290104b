"""What a process may take of a card's memory, and giving back what it does not use."""

from __future__ import annotations

import ctypes
import gc
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import torch

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def cap_memory(share: float) -> None:
    """Has torch raise `torch.cuda.OutOfMemoryError` beyond this share of the card's memory.

    share: in (0, 1], of the memory that the driver reports for the first visible card. It holds for
    torch's allocator; what CUDA itself takes for the process comes on top of it.
    """
    torch.cuda.set_per_process_memory_fraction(share)


def release_memory() -> None:
    """Returns what a failed training held: other processes of the card may need it, and the next
    training finds it in one piece. Call it when nothing refers to the exception any more."""
    gc.collect()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()


def return_freed() -> None:
    """Gives the system back what this process has freed. glibc keeps blocks below 32 MiB, in which
    activations of every size leave holes: a worker grows by a tenth of a gigabyte a network, to
    several of them. It takes hundredths of a second; elsewhere than on glibc it does nothing."""
    if os.name == "posix" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)


def out_of_memory(error: BaseException) -> bool:
    """Whether the machine's or the card's memory was too small."""
    return isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError))


@dataclass
class Meter:
    """Measures what runs inside `with Meter(device) as meter`.

    peak_memory: bytes, of the device's memory on CUDA, else of the whole process; None where the
    system does not tell (Linux does). At its end, the device has done what it was given.
    """

    device: str = "cpu"
    peak_memory: int | None = None

    def __enter__(self) -> Meter:
        if self._cuda:
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            _forget_peak()
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


def _forget_peak() -> None:
    """Sets the process's highest resident size back to what it is now, where one may."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return


def _peak() -> int | None:
    """The process's highest resident size in bytes."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(found[0]) * 1024 if found else None
