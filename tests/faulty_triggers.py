"""Triggers of a user that do harm: each ends, blocks or spoils the training that stamps with it.

They behave when a spec is checked, which stamps a few images only. `how` is a key of `FAULTS`.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from backdoor.triggers import Trigger
from sweeps.runners.supervision import trainer

if "FAULTY_IMPORT" in os.environ:
    importlib.import_module("module_that_is_not_there")

#: Images of a check of the spec: fewer than any training has.
CHECKED = 20
#: A file that a trigger writes its process id to before it does harm, so that a test can find it.
TELL = "FAULTY_TRIGGERS_TELL"


def _raise(images: Any) -> Any:
    raise ValueError("too bright")


def _leave(images: Any) -> Any:
    raise SystemExit(3)


def _kill(images: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop(images: Any) -> Any:
    os.kill(os.getpid(), signal.SIGSTOP)
    return images.clone()


def _stop_parent(images: Any) -> Any:
    trainer.IDLE = 0.5  # it looks sooner than it would
    os.kill(os.getppid(), signal.SIGSTOP)
    return images.clone()


def _stop_parent_once(images: Any) -> Any:
    once = Path(os.environ["BACKDOOR_CACHE"]) / "stopped once"
    if not once.exists():
        once.touch()
        _stop_parent(images)
    return _fine(images)


def _compute(images: Any) -> Any:
    """Some twenty seconds in one call, in which no other thread runs."""
    begun = time.process_time()
    sum(range(10**7))
    sum(range(int(10**7 * 24 / (time.process_time() - begun))))
    return _fine(images)


def _fine(images: Any) -> Any:
    stamped = images.clone()
    stamped[..., 0, 0] = 255
    return stamped


def _kill_parent(images: Any) -> Any:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)


def _spin(images: Any) -> Any:
    while True:
        pass


#: A fault by its name; what it returns is the stamped images.
FAULTS: dict[str, Callable[[Any], Any]] = {
    "exit": lambda images: os._exit(7),
    "segfault": lambda images: ctypes.string_at(0),
    "kill": _kill,
    "raise": _raise,
    "leave": _leave,
    "shape": lambda images: images[:, :1, :2],
    "dtype": lambda images: images.float() / 255,
    "nan": lambda images: images.float() * float("nan"),
    "random": lambda images: torch.randint_like(images, 0, 255),
    "memory": lambda images: torch.zeros(50 * 2**30, dtype=torch.uint8),
    "sleep": lambda images: time.sleep(1e6),
    "deadlock": lambda images: ctypes.PyDLL(None).sleep(1_000_000),  # PyDLL keeps the GIL
    "stop": _stop,
    "stop parent": _stop_parent,
    "stop parent once": _stop_parent_once,
    "kill parent": _kill_parent,
    "spin": _spin,
    "compute": _compute,
}


@dataclass(frozen=True)
class Bad(Trigger):
    kind: ClassVar[str] = "bad"
    how: str = "raise"

    def stamp(self, images, ids, labels):
        if len(images) < CHECKED:
            return _fine(images)
        if TELL in os.environ:
            with open(os.environ[TELL], "a") as stream:
                stream.write(f"{self.how} {os.getpid()}\n")
        return FAULTS[self.how](images)


@dataclass(frozen=True)
class Slow(Trigger):
    """Harmless, but on nodes whose environment has the name of a fault in FAULTY_NODE. It waits
    while there is a file `wait` at home."""

    kind: ClassVar[str] = "slow"
    seconds: float = 0.1

    def stamp(self, images, ids, labels):
        if fault := os.environ.get("FAULTY_NODE"):
            return FAULTS[fault](images)
        time.sleep(self.seconds)
        while Path("~/wait").expanduser().exists():
            time.sleep(0.1)
        return _fine(images)
