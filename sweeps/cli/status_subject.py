"""What `sweeps status` is asked about: a folder with a ledger and a lock, here that of a sweep."""

from __future__ import annotations

import fcntl
import os
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from backdoor.errors import UserError
from sweeps.cli.status_next import (
    Next,
    more_seeds,
    next_by_standing,
    panel_not_known,
    stronger_attacks,
)
from sweeps.cli.status_standing import VerificationCount, count_of
from sweeps.records.control_text import takes_nowhere
from sweeps.records.criteria import REGION_SEARCH, Criteria
from sweeps.records.trial_row import FAILED, FINISHED, STOPPED, TrialRow
from sweeps.storage.paths import SweepPaths, read_region, read_sweep
from sweeps.storage.shell import command

if TYPE_CHECKING:
    from sweeps.cli.status_verdict import StatusLead, Verdict
    from sweeps.ledger import Ledger
    from sweeps.records.region_file import RegionFile

State = Literal["running", "stopped", "finished"]
#: The line of mirror.log after which MLflow lacks nothing that was recorded.
MIRRORED_ALL = "mirrored all"


class Subject(ABC):
    """A folder with a ledger and a lock.

    name: of the sweep. planned: trials in all, at most where it is adaptive: such a search may end
    earlier.
    """

    paths: SweepPaths
    name: str
    planned: int
    adaptive: bool

    def outdated(self, ledger: Ledger) -> int:
        """Recorded trials that are to be trained again."""
        return 0

    def note(self) -> str | None:
        """What keeps other commands from working here."""
        return None

    def mirrored(self, trials: int) -> tuple[int, int] | None:
        """Trials that MLflow has, and of all that are recorded, where it is known to lack some."""
        return None

    def sending(self) -> bool:
        """Whether a process sends trials to MLflow now."""
        return False

    def answering(self, trials: Sequence[TrialRow]) -> bool:
        """Whether the answer to these trials is not there yet."""
        return False

    def verification(self, ledger: Ledger) -> VerificationCount | None:
        """What the latest verification found, and whether that still holds."""
        return None

    def answer(self, ledger: Ledger) -> StatusLead:
        """The headline and the counts of verdicts, as far as they are known."""
        return {"headline": None, "verdicts": None, "as_of": None}

    @abstractmethod
    def ended_early(self, trials: Sequence[TrialRow]) -> bool:
        """Whether an adaptive search is known to have ended by itself after these trials."""

    @abstractmethod
    def verdict(self, ledger: Ledger) -> Verdict | None:
        """What is known so far, where that takes neither the spec nor a model."""

    @abstractmethod
    def next(
        self, state: State, again: int, trials: Sequence[TrialRow], found: VerificationCount | None
    ) -> Next:
        """What to type next. again: how many trials and probes failed; found: `verification`."""


class SweepSubject(Subject):
    """A sweep's results folder."""

    def __init__(self, paths: SweepPaths) -> None:
        self.paths, self._sweep = paths, read_sweep(paths)
        self.name, self.planned = self._sweep["name"], self._sweep["planned"]
        self.adaptive = self._sweep.get("planned_points", 0) is None
        self._now: RegionFile | None = None
        self._may_end_early = self._sweep.get("planned_points") is None  # as of earlier releases

    def ended_early(self, trials: Sequence[TrialRow]) -> bool:
        """As region.json has it, which must be of the ledger as it is: a model says that its search
        has ended; of other searches, the run that ended it does."""
        from sweeps.answer.state import ended_early

        region = self._region
        if region is None or not self._is_current(region, trials):
            return False
        if (model := region.get("model")) is not None and model["stopped_by"] is not None:
            return True
        return self._may_end_early and ended_early(self.paths, region, trials)

    def note(self) -> str | None:
        from sweeps.results.asked import present_text

        try:
            present_text(self.paths, self._sweep)
        except UserError:
            return f"{self.paths.spec} was changed by hand; `sweeps region` says what differs"
        return None

    def outdated(self, ledger: Ledger) -> int:
        from sweeps.ledger.outdated_trials import outdated_trials

        return len(outdated_trials(ledger, self._sweep))

    def verdict(self, ledger: Ledger) -> Verdict | None:
        from sweeps.cli.status_verdict import judged, of_file

        region = self._judged(ledger)
        if region is None:
            return None
        if region is self._region:
            return of_file(region, self._region_written)
        return judged(region, self._sweep.get("planned_points"))

    def _judged(self, ledger: Ledger) -> RegionFile | None:
        """The points judged now, where that takes no model of a search; else region.json, unless it
        is of before the sweep was extended."""
        criteria, known = self._criteria, self._region
        if criteria is not None and criteria.search != REGION_SEARCH:
            return self._judged_points(ledger)
        if known is None or known["trials"].get("planned", self.planned) != self.planned:
            return None
        return known

    def _judged_points(self, ledger: Ledger) -> RegionFile | None:
        """The points judged now, once, without the model of a region search; None where sweep.json
        does not have the criteria of spec.yaml."""
        from sweeps.region.point_table import region_of

        if self._now is None and self._criteria is not None:
            self._now = region_of(self._criteria, ledger, self.planned)
        return self._now

    def next(
        self, state: State, again: int, trials: Sequence[TrialRow], found: VerificationCount | None
    ) -> Next:
        folder = self.paths.root
        if state == "running":
            return command("sweeps", "region", folder), "shows what is known so far"
        if state == "stopped":
            ends = ", or ends at once if the search ended by itself" * self._may_end_early
            return command("sweeps", "resume", folder), f"goes on{ends}"
        if again:
            return command("sweeps", "resume", folder), "tries again what failed"
        return self._after_the_end(trials, found)

    def _after_the_end(self, trials: Sequence[TrialRow], found: VerificationCount | None) -> Next:
        folder, region = self.paths.root, self._region
        if region is None or not self._is_current(region, trials):
            return command("sweeps", "region", folder), "says where the region is"
        lacks = self.mirrored(len(trials))
        if lacks is not None and not self.sending():
            left = f"{lacks[0]} of {lacks[1]} trials are there"
            return command("sweeps", "mirror", folder), f"sends to MLflow what it lacks: {left}"
        model = region.get("model")
        if region["recommended"] or (model and model["recommended"]):
            if takes_nowhere(region):
                return stronger_attacks(folder)
            why = panel_not_known(region)
            if why is not None and more_seeds(region) is None:
                return None, why
            return next_by_standing(folder, region, found)
        if self.paths.report.is_file():
            asks = "`sweeps extend` asks for more seeds, or for other thresholds"
            return None, f"all results are in {self.paths.report}; {asks}"
        return command("sweeps", "report", folder), "writes all results as a page"

    def answer(self, ledger: Ledger) -> StatusLead:
        from sweeps.cli.status_verdict import lead_of

        region = self._judged(ledger)
        of_file = region is not None and region is self._region
        return lead_of(region, self._region_written if of_file else None)

    def verification(self, ledger: Ledger) -> VerificationCount | None:
        """By the files of `verify/`, and the region as `sweeps region` would judge it now."""
        from sweeps.answer.verification import verification_entry

        region = self._judged_points(ledger) or self._region
        if region is None:
            return None
        return count_of(verification_entry(self.paths, region, ledger.ended))

    def mirrored(self, trials: int) -> tuple[int, int] | None:
        """By mirror.log, which is that of the latest run; None also where that says nothing."""
        if not self._sweep["tracking"].get("uri"):
            return None
        try:
            lines = self.paths.mirror_log.read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            return None
        said = [line for line in lines if line.startswith("mirrored ")]
        if said and said[-1] == MIRRORED_ALL:
            return None
        counts = re.fullmatch(r"mirrored (\d+)/(\d+)", said[-1]) if said else None
        if counts is None:
            return (0, trials) if any(line.startswith("not mirrored: ") for line in lines) else None
        done, total = int(counts[1]), max(int(counts[2]), trials)
        return None if done >= total else (done, total)

    def sending(self) -> bool:
        """The mirror locks the folder itself; this looks for a moment."""
        try:
            folder = os.open(self.paths.root, os.O_RDONLY)
        except OSError:
            return False
        try:
            fcntl.flock(folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False  # a file system without locks for folders
        finally:
            os.close(folder)
        return False

    def answering(self, trials: Sequence[TrialRow]) -> bool:
        return self._region is None or not self._is_current(self._region, trials)

    def _is_current(self, region: RegionFile, trials: Sequence[TrialRow]) -> bool:
        """Whether region.json counts the trials as the ledger does."""
        ended = Counter(trial.status for trial in trials)
        counted: Mapping[str, object] = {**region["trials"]}
        if counted.get("planned", self.planned) != self.planned:
            return False  # the sweep was extended since
        return all(counted.get(of, 0) == ended[of] for of in (FINISHED, STOPPED, FAILED))

    @property
    def _region_written(self) -> float:
        return self.paths.region.stat().st_mtime

    @cached_property
    def _region(self) -> RegionFile | None:
        try:
            return read_region(self.paths.root) if self.paths.region.is_file() else None
        except UserError:  # damaged, or of another release: `sweeps region` writes it again
            return None

    @cached_property
    def _criteria(self) -> Criteria | None:
        """Those in sweep.json, where they are still those of spec.yaml."""
        from sweeps.results.asked import present_text
        from sweeps.results.stored import ChangedByHandError, stored_criteria

        try:
            present_text(self.paths, self._sweep)
            return stored_criteria(self._sweep)
        except (ChangedByHandError, UserError):
            return None
