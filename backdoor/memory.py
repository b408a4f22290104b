"""A process's part of a card's memory: what it may take, and giving back what it does not use."""

from __future__ import annotations

import gc

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


def out_of_memory(error: BaseException) -> bool:
    """Whether the machine's or the card's memory was too small."""
    return isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError))
