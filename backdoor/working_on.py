"""Which trials of a pack the code that runs now works for, so that a failure points at them.

The trials of a pack share what they train on: a stamp is made once for all that need it. Where it
raises, hangs or ends the process, the rest of the pack is not to blame. `working_on` is placed
around such code; whoever watches a training from outside the process hears of it by `listening`,
and an exception remembers it (`suspects_of`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType

Ids = tuple[str, ...]
#: Is told ids; () means the whole pack, or no measure.
Listener = Callable[[Ids], None]

_ATTRIBUTE = "_backdoor_working_on"


@dataclass(frozen=True)
class _Work:
    """trials: whom the code works for; measures: ids of what only clean baselines are measured
    with, where it works for such a measurement. depth: how many such blocks are around it."""

    trials: Ids = ()
    measures: Ids = ()
    depth: int = 0


_WHOLE_PACK = _Work()
_now: ContextVar[_Work] = ContextVar("working_on", default=_WHOLE_PACK)
_listeners: ContextVar[tuple[Callable[[_Work], None], ...]] = ContextVar("listeners", default=())


@contextlib.contextmanager
def listening(callback: Listener, measuring: Listener | None = None) -> Iterator[None]:
    """Inside, `callback` is told the ids of the trials that each block works for, before it begins,
    and what is around it afterwards; () is the whole pack.

    measuring: is told, before `callback`, the ids of the measures where a block makes the images
    that only clean baselines are measured with, else (). What a listener raises is not caught.
    """

    def tell(work: _Work) -> None:
        if measuring is not None:
            measuring(work.measures)
        callback(work.trials)

    token = _listeners.set((*_listeners.get(), tell))
    try:
        yield
    finally:
        _listeners.reset(token)


def working_on(
    trial_ids: Iterable[str], measure_ids: Iterable[str] = ()
) -> AbstractContextManager[None]:
    """Around code that works for these trials of the pack only. Blocks may be nested.

    measure_ids: where the block makes images that only clean baselines are measured with, the ids
    of these measures.
    """
    return _Block(tuple(trial_ids), tuple(measure_ids))


class _Block(AbstractContextManager[None]):
    """A class, as a generator of contextlib sets the traceback of an error that passes it, which
    errors of users that are frozen dataclasses refuse."""

    def __init__(self, trials: Ids, measures: Ids) -> None:
        self._trials, self._measures = trials, measures

    def __enter__(self) -> None:
        self._around = _now.get()
        self._work = _Work(self._trials, self._measures, self._around.depth + 1)
        _tell(self._work)
        self._token = _now.set(self._work)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _now.reset(self._token)
        if error is not None:
            _remember(error, self._work)
        _tell(self._around)


def _tell(work: _Work) -> None:
    for tell in _listeners.get():
        tell(work)


def _remember(error: BaseException, work: _Work) -> None:
    """Keeps the innermost block. An exception that is raised again in another block, as one object
    that a user's module keeps, remembers the new one."""
    known = getattr(error, _ATTRIBUTE, None)
    if isinstance(known, _Work) and known.depth > work.depth:
        return
    with contextlib.suppress(Exception):
        BaseException.__setattr__(error, _ATTRIBUTE, work)  # classes of users may refuse theirs


def suspects_of(error: BaseException) -> Ids:
    """Ids of the trials that the code worked for which raised this error, or what caused it; () if
    it worked for the whole pack. One of them is to blame."""
    return _work_of(error).trials


def measures_of(error: BaseException) -> Ids:
    """Ids of the measures whose images could not be made, where only clean baselines need them; ()
    in all other cases. Without these measures the suspects can be trained."""
    return _work_of(error).measures


def _work_of(error: BaseException) -> _Work:
    """Looks through what an error was raised from, nearest first."""
    seen = set[int]()
    step: BaseException | None = error
    while step is not None and id(step) not in seen:
        seen.add(id(step))
        known = getattr(step, _ATTRIBUTE, None)
        if isinstance(known, _Work):
            return known
        step = step.__cause__ or step.__context__
    return _WHOLE_PACK
