"""The most memory that a piece of work held while it ran."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import torch

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


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
