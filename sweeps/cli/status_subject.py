"""What `sweeps status` is asked about: a folder with a ledger and a lock, here that of a sweep."""

from __future__ import annotations

import fcntl
import os
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from backdoor.errors import UserError
from sweeps.cli.status_standing import PASSED, VerificationCount, answers_of, standing_of
from sweeps.records.control_text import NOWHERE_AT_ALL, takes_nowhere
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
#: A command to type, None where there is none, and what it does.
Next = tuple[str | None, str]


#: How trials end, in region.json's counts.
ENDED: tuple[Literal["finished", "stopped", "failed"], ...] = ("finished", "stopped", "failed")
#: Seeds from which more of them are no longer advised first, and the fewest that are advised.
ENOUGH_SEEDS, FEWEST_SEEDS = 10, 5


def more_seeds(region: RegionFile) -> int | None:
    """How many seeds would help where points are IN by means, few seeds were trained, bounds decide
    no point, and the model of all points finds none IN; None elsewhere."""
    bounds, means = region["counts"]["by_bounds"], region["counts"]["by_means"]
    seeds = max((point["seeds"] for point in region["points"]), default=0)
    if "model" in region or not means["IN"] or bounds["IN"] or bounds["OUT"] or by_model(region):
        return None
    return max(FEWEST_SEEDS, 2 * seeds) if 0 < seeds < ENOUGH_SEEDS else None


def by_model(region: RegionFile) -> int:
    """How many points are IN by the model of all points together; none in a file of before."""
    return region["counts"].get("by_model", {}).get("IN", 0)


def _verification(region: RegionFile, folder: Path) -> Next:
    """Of the points that are certainly IN where the model of all points finds some."""
    if by_model(region) and "model" not in region:  # a region search is verified by its own model
        what = "tries to prove with fresh seeds what is IN by model"
        return command("sweeps", "verify", folder, "--basis", "model"), what
    return command("sweeps", "verify", folder), "tries to prove the region with fresh seeds"


def stronger_attacks(folder: Path) -> Next:
    """Where no attack takes anywhere, nothing that rests on this panel is about backdoors."""
    extend = f"{command('sweeps', 'extend', folder)} --set 'attack.poison_rate=[...]'"
    return None, (
        f"stronger attacks: {extend}, higher rates besides those of now, or another trigger "
        f"({NOWHERE_AT_ALL})"
    )


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

    def verification(self, trials: Sequence[TrialRow]) -> VerificationCount | None:
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
    def next(self, state: State, again: int, trials: Sequence[TrialRow]) -> Next:
        """What to type next. again: how many trials and probes failed."""


class SweepSubject(Subject):
    """A sweep's results folder."""

    def __init__(self, paths: SweepPaths) -> None:
        self.paths, self._sweep = paths, read_sweep(paths)
        self.name, self.planned = self._sweep["name"], self._sweep["planned"]
        self.adaptive = self._sweep.get("planned_points", 0) is None
        self._now: RegionFile | None = None
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

        region = self._judged(ledger)
        if region is None:
            return None
        if region is self._region:
            return of_file(region, self._region_written)
        return judged(region, self._sweep.get("planned_points"))

    def _judged(self, ledger: Ledger) -> RegionFile | None:
        """The points judged now, once, where that takes no model of a search; else region.json,
        unless it is of before the sweep was extended."""
        from sweeps.region.point_table import region_of

        criteria, known = self._criteria, self._region
        if criteria is not None and criteria.search != REGION_SEARCH:
            if self._now is None:
                self._now = region_of(criteria, ledger, self.planned)
            return self._now
        if known is None or known["trials"].get("planned", self.planned) != self.planned:
            return None
        return known

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
        lacks = self.mirrored(len(trials))
        if lacks is not None and not self.sending():
            left = f"{lacks[0]} of {lacks[1]} trials are there"
            return command("sweeps", "mirror", folder), f"sends to MLflow what it lacks: {left}"
        answers, model = self._verifications, region.get("model")
        recommended = region["recommended"] or (model and model["recommended"])
        if recommended and takes_nowhere(region):
            return stronger_attacks(folder)
        if any(answer.get("verdict") == PASSED for answer in answers):
            return command("sweeps", "train", folder), "trains a model at the recommended point"
        if (seeds := more_seeds(region)) is not None:
            extend = command("sweeps", "extend", folder, "--set", f"seeds={seeds}")
            return extend, "more seeds: by bounds no point is decided yet"
        if recommended and not answers:
            return _verification(region, folder)
        if self.paths.report.is_file():
            asks = "`sweeps extend` asks for more seeds, or for other thresholds"
            return None, f"all results are in {self.paths.report}; {asks}"
        return command("sweeps", "report", folder), "writes all results as a page"

    def answer(self, ledger: Ledger) -> StatusLead:
        from sweeps.cli.status_verdict import lead_of

        region = self._judged(ledger)
        of_file = region is not None and region is self._region
        return lead_of(region, self._region_written if of_file else None)

    def verification(self, trials: Sequence[TrialRow]) -> VerificationCount | None:
        region = self._region
        counted = 0 if region is None else sum(region["trials"].get(of) or 0 for of in ENDED)
        return standing_of(region, max(0, len(trials) - counted), self._verifications)

    @cached_property
    def _verifications(self) -> list[dict[str, Any]]:
        return answers_of(self.paths)

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
