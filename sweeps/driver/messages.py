"""What a running sweep says."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from backdoor.datasets.summary import DataSummary
from backdoor.errors import escaped
from backdoor.wording import counted, noun_for
from sweeps.scheduling.loop import SIGTERM_SECONDS
from sweeps.storage.paths import SweepPaths
from sweeps.storage.shell import command

#: What a first Ctrl-C or SIGTERM does.
STOPPING = (
    "\nStopping when the running trials have ended, after SIGTERM within "
    f"{SIGTERM_SECONDS:g} s. A second Ctrl-C or SIGTERM stops at once: then these trials are lost, "
    "recorded ones are not."
)


def interrupted(paths: SweepPaths, recorded: int, planned: int, answered: bool = False) -> str:
    """What is recorded after an interrupt, and what goes on from there. recorded: trials that are
    not to be trained again. answered: whether the answer is written, so that only MLflow lacks
    trials."""
    if answered:
        trials = f"{counted(recorded, 'trial')} and the answer are recorded"
        again = command("sweeps", "mirror", paths.root)
        return f"Interrupted: {trials}; MLflow may lack some. Go on with: {again}"
    if recorded >= planned:
        again = command("sweeps", "region", paths.root)
        trials = f"all {counted(planned, 'trial')} {noun_for(planned, 'is', 'are')}"
        return f"Interrupted: {trials} recorded; only the answer is missing. Write it with: {again}"
    are = noun_for(recorded, "trial is", "trials are")
    again = command("sweeps", "resume", paths.root)
    return f"Interrupted: {recorded} {are} recorded. Go on with: {again}"


def _why_again(count: int, stopped: int) -> str:
    reasons = list[str]()
    if count > stopped:
        lack = noun_for(count - stopped, "lacks", "lack")
        reasons.append(f"{counted(count - stopped, 'clean baseline')} that {lack} a trigger")
    if stopped:
        reasons.append(f"{counted(stopped, 'trial')} that other thresholds had stopped")
    return " and ".join(reasons)


@dataclass(frozen=True)
class Messages:
    """Messages on stderr. quiet: warnings only, and no progress."""

    quiet: bool = False

    def say(self, text: str) -> None:
        """Progress and remarks."""
        if not self.quiet:
            self.warn(text)

    def say_data(self, read: DataSummary) -> None:
        """What was read of the data, and what makes results on them doubtful."""
        for line in read.lines():
            self.say(f"data: {line}")
        for warning in read.warnings:
            self.warn(f"warning: data: {warning}")

    def say_added(self, added: Sequence[str], spec: str) -> None:
        """What an extension asks more. spec: the file that has the whole question now."""
        for each in added:
            self.say(f"changed: {each}")
        self.say(f"{escaped(spec)} has the whole spec now")

    def say_outdated(self, count: int, stopped: int, left: int) -> None:
        """How many trials are trained again after an extension. stopped: those of them that other
        thresholds stopped; left: how many trials are to be trained in all."""
        if not count:
            return
        are = noun_for(count, "is", "are")
        of = f"{count:,} of the {left:,} trials to train {are} trained again"
        self.say(f"{of}: {_why_again(count, stopped)}")

    def warn(self, text: str) -> None:
        """What nobody should miss."""
        print(text, file=sys.stderr, flush=True)
