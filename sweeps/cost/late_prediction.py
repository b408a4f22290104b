"""What `sweeps check --time` would predict for a pack that has been running for long.

It is asked for while the pack runs, ten minutes after its start, when the seconds that measuring
takes do not matter any more. A process of its own measures, so that nobody waits for it, and short
trainings of clean baselines are measured: what keeps the pack may be its trigger.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace

from backdoor.config import TrialConfig
from sweeps.cost.pack_cost import Asked, measure_shapes
from sweeps.cost.pack_parts import units_of
from sweeps.packs.chunk import Chunk
from sweeps.packs.pack import Pack

#: Seconds after which a measurement is given up: short trainings that take longer tell nothing.
PATIENCE = 600.0
#: What measures; tests replace it. Before anything is loaded it asks Linux to be killed when its
#: parent ends, whose process id is its argument (1 is PR_SET_PDEATHSIG); macOS has no such thing.
PROGRAM = """
import ctypes, os, sys
getattr(ctypes.CDLL(None), 'prctl', lambda *none: 0)(1, 9)
if os.getppid() == int(sys.argv[-1]):
    from sweeps.cost.late_prediction import main
    main()
"""


class LatePrediction:
    """Seconds of packs by short trainings, None while they are not known.

    Use it as `predicted` of `Deadlines`. One pack of each shape and size is measured, one at a
    time, on this machine and at the lowest priority. Where that fails, since this machine has not
    the data or the GPUs that the workers have, they stay unknown.
    """

    def __init__(self, program: str = PROGRAM, clock: Callable[[], float] = time.monotonic) -> None:
        self._program, self._clock = program, clock
        self._known: dict[tuple[str, int], float | None] = {}
        self._measured: tuple[str, int] | None = None  # what the process measures
        self._times = 1.0  # as many trials as it measures has the pack
        self._process: subprocess.Popen[str] | None = None
        self._until = 0.0

    def __call__(self, pack: Pack) -> float | None:
        """Returns at once; ask again."""
        asked = pack.key, len(pack.trials)
        self._look()
        if asked not in self._known and self._process is None:
            try:
                self._process, self._measured = self._started(pack), asked
            except OSError:  # no process starts, or no file can be written
                self._known[asked] = None
            self._until = self._clock() + PATIENCE
        return self._known.get(asked)

    def _look(self) -> None:
        """Takes what the process has found, or gives it up."""
        if self._process is None or self._measured is None:
            return
        if self._process.poll() is None and self._clock() < self._until:
            return
        found = self._found(self._process)
        self._known[self._measured] = None if found is None else found * self._times
        self.close()

    @staticmethod
    def _found(process: subprocess.Popen[str]) -> float | None:
        if process.poll() != 0 or process.stdout is None:
            return None
        with contextlib.suppress(ValueError, IndexError):
            return float(process.stdout.read().split()[-1])
        return None

    def _started(self, pack: Pack) -> subprocess.Popen[str]:
        """The process, which has read what it is to measure from a file without a name."""
        clean = clean_pack(pack)
        self._times = len(pack.trials) / len(clean.trials)
        script = [sys.executable, "-P", "-c", self._program, str(os.getpid())]
        with tempfile.TemporaryFile("w+", encoding="utf-8") as asked:
            asked.write(Chunk((clean,)).to_json())
            asked.seek(0)
            return subprocess.Popen(
                script,
                stdin=asked,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,  # a Ctrl-C is for the sweep, which ends it
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )

    def close(self) -> None:
        """Ends what is being measured."""
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
        self._process = self._measured = None


def clean_pack(pack: Pack) -> Pack:
    """The same trainings of clean baselines, measured with no trigger and without probes; fewer
    where some differ in their attack only."""
    clean = dict[str, TrialConfig]()
    for trial in pack.trials:
        own = replace(trial, attack=None)
        clean.setdefault(own.trial_id, own)
    settings = replace(pack.settings, measures=(), probes=(), stopping=False, predicting=False)
    return Pack(tuple(clean.values()), settings)


def measured(pack: Pack) -> float:
    """Seconds of the pack by short trainings of it."""
    units = units_of(pack)
    (line,) = measure_shapes([Asked(pack, units, 1)])
    if line is None:
        raise ValueError("not measured")
    return line.seconds(units)


def main() -> None:
    """Reads a chunk of one pack from stdin, and prints its seconds."""
    os.nice(19)
    (pack,) = Chunk.from_json(sys.stdin.read()).packs
    print(json.dumps(measured(pack)))
