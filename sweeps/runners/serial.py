"""One pack after the other in this process: for tests, the debugger and a first look."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch

from backdoor.errors import TrainingError
from sweeps.ledger import Rows
from sweeps.packs.pack import Pack
from sweeps.runners.fault import error_line
from sweeps.runners.feed import Feed
from sweeps.runners.worker import Work, attempt, train_pack

#: Told which pack is trained next, and None when none is any more.
Note = Callable[[Pack | None], None]


class SerialRunner:
    """Runs packs one after the other.

    work: trains a pack; tests replace it by something faster. note: told what is trained, so that
    a fault which ends this process can be attributed to it.
    """

    def __init__(self, work: Work = train_pack, *, note: Note | None = None) -> None:
        self.work = work
        self._note: Note = note if note is not None else _untold

    def run(self, feed: Feed) -> None:
        """Also shows where the process was if a fault ends it, such as a segmentation fault."""
        with _faults_shown():
            try:
                self._run(feed)
            finally:
                self._note(None)

    def _run(self, feed: Feed) -> None:
        while (pack := feed.next_pack()) is not None:
            self._note(pack)
            rows, failure = attempt(self._train, pack)
            if failure is not None:
                feed.failed(pack, failure)
                self._note(None)  # unlike a finished pack, it may be tried again and end us then
            elif rows is not None:
                feed.finished([pack], rows)

    def _train(self, pack: Pack, **hooks: Any) -> Rows:
        """As `work`; whatever it raises fails this pack only, unless a signal interrupts it."""
        try:
            with _process_unchanged():
                return self.work(pack, **hooks)
        except (Exception, SystemExit, KeyboardInterrupt):
            raise  # `attempt` takes the first two for failures; a signal ends the sweep
        except BaseException as error:
            raise TrainingError(f"the training raised {error_line(error)}") from error


def _untold(pack: Pack | None) -> None:
    """Where no file is kept."""


@contextlib.contextmanager
def _process_unchanged() -> Iterator[None]:
    """Inside, code of users may change the current folder and torch's default type, and print: the
    next pack does not notice, and stdout is for answers."""
    folder, dtype = os.getcwd(), torch.get_default_dtype()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.chdir(folder)
        torch.set_default_dtype(dtype)


@contextlib.contextmanager
def _faults_shown() -> Iterator[None]:
    """Inside, a fault that ends this process prints Python's calls on stderr."""
    ours = not faulthandler.is_enabled()
    if ours:
        with contextlib.suppress(Exception):  # stderr is no file, as in notebooks
            faulthandler.enable()
    try:
        yield
    finally:
        if ours:
            faulthandler.disable()
