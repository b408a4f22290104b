"""What `sweeps status` is asked about: a folder with a ledger and a lock, here that of a sweep."""

from __future__ import annotations

import contextlib
import json
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from backdoor.errors import UserError
from sweeps.records.criteria import REGION_SEARCH, Criteria
from sweeps.records.trial_row import FAILED, FINISHED, STOPPED, TrialRow
from sweeps.storage.paths import SweepPaths, read_region, read_sweep
from sweeps.storage.shell import command

if TYPE_CHECKING:
    from sweeps.cli.status_verdict import Verdict
    from sweeps.ledger import Ledger
    from sweeps.records.region_file import RegionFile

State = Literal["running", "stopped", "finished"]
#: The line of mirror.log after which MLflow lacks nothing that was recorded.
MIRRORED_ALL = "mirrored all"
#: A command to type, None where there is none, and what it does.
Next = tuple[str | None, str]


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

    @abstractmethod
    def ended_early(self, trials: Sequence[TrialRow]) -> bool:
        """Whether an adaptive search is known to have ended by itself after these trials."""

    @abstractmethod
    def verdict(self, ledger: Ledger) -> Verdict | None:
        """What is known so far, where that takes neither the spec nor a model."""

    @abstractmethod
    def next(self, state: State, again: int, trials: Sequence[TrialRow]) -> Next:
        """What to type next. again: how many trials and probes failed."""


class SweepSubject(Subject):
    """A sweep's results folder."""

    def __init__(self, paths: SweepPaths) -> None:
        self.paths, self._sweep = paths, read_sweep(paths)
        self.name, self.planned = self._sweep["name"], self._sweep["planned"]
        self.adaptive = self._sweep.get("planned_points", 0) is None
        # Folders of earlier releases do not say whether the search is adaptive.
        self._may_end_early = self.adaptive or "planned_points" not in self._sweep

    def ended_early(self, trials: Sequence[TrialRow]) -> bool:
        """A model says that its search has ended. Of other searches, a run that is not interrupted
        ends with region.json and then the map, and `sweeps region` writes the first one only. Both
        must be of the ledger as it is."""
        region = self._region
        if not self._may_end_early or region is None or not self._is_current(region, trials):
            return False
        if (model := region.get("model")) is not None:
            return model["stopped_by"] is not None
        last = max((trial.finished_at for trial in trials), default=0.0)
        return self.paths.map.is_file() and self.paths.map.stat().st_mtime >= last

    def note(self) -> str | None:
        from sweeps.results.asked import present_text

        try:
            present_text(self.paths, self._sweep)
        except UserError:
            return f"{self.paths.spec} was changed by hand; `sweeps region` says what differs"
        return None

    def outdated(self, ledger: Ledger) -> int:
        from sweeps.results.outdated_trials import outdated_trials

        return len(outdated_trials(ledger, self._sweep))

    def verdict(self, ledger: Ledger) -> Verdict | None:
        from sweeps.cli.status_verdict import judged, of_file
        from sweeps.region.point_table import region_of

        criteria = self._criteria
        if criteria is not None and criteria.search != REGION_SEARCH:
            region = region_of(criteria, ledger, self.planned)
            return judged(region, self._sweep.get("planned_points"))
        known = self._region
        if known is None or known["trials"].get("planned", self.planned) != self.planned:
            return None  # none, or of before the sweep was extended
        return of_file(known, self._region_written)

    def next(self, state: State, again: int, trials: Sequence[TrialRow]) -> Next:
        folder = self.paths.root
        if state == "running":
            return command("sweeps", "region", folder), "shows what is known so far"
        if state == "stopped":
            ends = ", or ends at once if the search ended by itself" * self._may_end_early
            return command("sweeps", "resume", folder), f"goes on{ends}"
        if again:
            return command("sweeps", "resume", folder), "tries again what failed"
        return self._after_the_end(trials)

    def _after_the_end(self, trials: Sequence[TrialRow]) -> Next:
        folder, region = self.paths.root, self._region
        if region is None or not self._is_current(region, trials):
            return command("sweeps", "region", folder), "says where the region is"
        if (left := self._not_mirrored()) is not None:
            return command("sweeps", "mirror", folder), f"sends to MLflow what it lacks: {left}"
        answers, model = self._verifications(), region.get("model")
        if "passed" in answers:
            return command("sweeps", "train", folder), "trains a model at the recommended point"
        if (region["recommended"] or (model and model["recommended"])) and not answers:
            return command("sweeps", "verify", folder), "proves the region with fresh seeds"
        return command("sweeps", "report", folder), "writes all results as a page"

    def _verifications(self) -> list[str]:
        """The verdicts of those that have been answered; damaged ones have none."""
        found = []
        for file in sorted(self.paths.verifications.glob("*/answer.json")):
            with contextlib.suppress(OSError, ValueError):
                found.append(str(json.loads(file.read_bytes()).get("verdict")))
        return found

    def _not_mirrored(self) -> str | None:
        """`80 of 120 trials`, by the last line of mirror.log; None where that says nothing."""
        if not self._sweep["tracking"].get("uri"):
            return None
        try:
            lines = self.paths.mirror_log.read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            return None
        said = [line for line in lines if line.startswith("mirrored ")]
        counts = re.fullmatch(r"mirrored (\d+)/(\d+)", said[-1]) if said else None
        if counts is None or counts[1] == counts[2]:
            return None
        return f"{counts[1]} of {counts[2]} trials are there"

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
