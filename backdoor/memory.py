"""What a process may take of a card's memory, and giving back what it does not use."""

from __future__ import annotations

import ctypes
import gc
import os

import torch


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
