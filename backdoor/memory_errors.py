"""Which errors say that memory was too small: of Python, numpy, Arrow, the system, and torch's
allocators, which raise a plain `RuntimeError`. It does not load torch."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator

#: What the `RuntimeError` of an allocator says: of the CPU, of a GPU, of GPU libraries, of C++.
_ALLOCATOR = re.compile(
    r"DefaultCPUAllocator|not enough memory: you tried to allocate"
    r"|\b(CUDA|HIP|MPS|XPU)\b.{0,40}out of memory"
    r"|ALLOC_?FAILED|ALLOCATION_FAILED|bad_alloc|Cannot allocate memory",
    re.IGNORECASE,
)
#: Errors of a chain that are looked at; user code may chain without end.
LONGEST_CHAIN = 50


def out_of_memory(error: BaseException) -> bool:
    """Whether the memory of the machine or of the GPU was too small: said by the error itself, or
    by one that it was raised from or while handling. A Ctrl-C and an exit never are."""
    return isinstance(error, Exception) and any(map(_says_so, chained(error)))


def chained(error: BaseException) -> Iterator[BaseException]:
    """The error, what it was raised from or while handling, and so on; the members of groups.
    Each once, the error itself first, at most `LONGEST_CHAIN`."""
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < LONGEST_CHAIN:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if (former := cause_of(one)) is not None:
            waiting.append(former)
        waiting += one.exceptions if isinstance(one, BaseExceptionGroup) else ()


def cause_of(error: BaseException) -> BaseException | None:
    """What an error was raised from, or while handling, as Python's tracebacks show it."""
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _says_so(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    # `torch.OutOfMemoryError`, which is also known as `torch.cuda.OutOfMemoryError`.
    if any(each.__name__ == "OutOfMemoryError" for each in type(error).__mro__):
        return True
    return isinstance(error, RuntimeError) and _ALLOCATOR.search(_text(error)) is not None


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # code of users can raise anything, here too
        return ""
