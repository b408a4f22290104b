"""`sweeps status`: how far a sweep is, what failed, what is known so far, and what to type next.

It reads and writes nothing, so that it may be asked while the sweep runs and of a folder that
cannot be written. All counts are of one reading of the ledger.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from sweeps.cli.console import FINE, say
from sweeps.cli.status_failures import Problems, problems_of
from sweeps.records.trial_row import FAILED, FINISHED, STOPPED

if TYPE_CHECKING:
    from sweeps.cli.status_standing import VerificationCount
    from sweeps.cli.status_subject import State, Subject
    from sweeps.cli.status_verdict import Verdict
    from sweeps.ledger.probe_results import ProbeSummary
    from sweeps.records.answer_entry import HeadlineEntry, VerdictsEntry
    from sweeps.records.trial_row import TrialRow


class Cost(TypedDict):
    """What recorded trials took. Seconds and hours are sums over trials; peak_memory: bytes, the
    most of any pack, None where no row says it."""

    worker_seconds: float
    train_seconds: float
    trained_images: int
    cpu_hours: float
    gpu_hours: float
    peak_memory: int | None


class StatusAnswer(Cost, Problems):
    """What `sweeps status --json` prints. Trials by how they ended; planned: in all, at most where
    the search is adaptive; foretold: those with a verdict predicted before their end. failures:
    error to its trials, the most frequent first; `Problems` has them by cause, and those that are
    tried again. studies: by kind of probe.

    state: `finished` where every planned trial has ended, or a search that may end earlier did;
    else `running` or `stopped`. held_by: the process that runs it. at_most: whether the search may
    end before all planned trials. rate: trials a second; seconds_left: at that rate; both None
    while not known. verdict: None where only `sweeps region` can tell. next: the command to type
    next, None where there is none; next_why: what it does. outdated: trials that count among the
    finished and stopped ones, but are to be trained again since the sweep was extended; reused:
    those that were taken over from other sweeps, whose seconds were spent there; learned: those of
    this sweep's verifications that were fed back into the search, likewise. mirrored: trials
    that MLflow has, and of all, where it is known to lack some. now: what is done where every trial
    has ended but a process still works. verification: the latest that was answered, of a
    verification's folder its own. headline,
    verdicts: as in region.json, of what is recorded now; of a region search as region.json has
    them; None where that has none, or is of an earlier release. answer_as_of:
    when that was written, in seconds since 1970; None where it is judged now.
    """

    name: str
    planned: int
    finished: int
    stopped: int
    failed: int
    foretold: int
    failures: dict[str | None, int]
    collapsed: int
    diverged: int
    studies: dict[str, ProbeSummary]
    state: State
    held_by: str | None
    at_most: bool
    rate: float | None
    seconds_left: float | None
    verdict: Verdict | None
    next: str | None
    next_why: str
    outdated: int
    reused: int
    learned: int
    mirrored: tuple[int, int] | None
    now: str | None
    verification: VerificationCount | None
    headline: HeadlineEntry | None
    verdicts: VerdictsEntry | None
    answer_as_of: float | None


def status(args: argparse.Namespace) -> int:
    """Say how far a sweep is, and what failed."""
    from sweeps.cli.status_running import running_notes
    from sweeps.cli.status_text import status_text

    subject = _subject_of(Path(args.dir))
    if (note := subject.note()) is not None:
        say(f"note: {note}")
    for note in running_notes(subject.paths):
        say(f"note: {note}")
    answer = status_answer(subject, time.time())
    print(json.dumps(answer) if args.json else status_text(answer))
    return FINE


def _subject_of(folder: Path) -> Subject:
    """Raises `UserError` where the folder holds neither a sweep nor a verification."""
    from sweeps.cli.status_subject import SweepSubject
    from sweeps.cli.status_verification import VerificationSubject
    from sweeps.storage.paths import VerificationPaths, open_results

    own = VerificationPaths(folder)
    if own.plan.is_file() and not own.sweep.is_file():
        return VerificationSubject(own)
    return SweepSubject(open_results(folder))


def status_answer(subject: Subject, now: float) -> StatusAnswer:
    """The answer by what is recorded. now: seconds since 1970."""
    from sweeps.ledger import Ledger
    from sweeps.storage.files import lock_holder
    from sweeps.storage.incident_log import IncidentLog

    # First whether it runs: a sweep that ends in between has written all that is read then.
    held_by, ledger = lock_holder(subject.paths.lock), Ledger(subject.paths.ledger)
    trials = ledger.trials()
    ended = Counter(trial.status for trial in trials)
    causes = Counter(trial.error for trial in trials if trial.status == FAILED)
    incidents = IncidentLog(subject.paths.incidents).read()
    outdated = subject.outdated(ledger)
    done = ended[FINISHED] + ended[STOPPED] - outdated
    whole = done + ended[FAILED] >= subject.planned or subject.ended_early(trials)
    state: State = "running" if held_by else "finished" if whole else "stopped"
    rate, left = _rate_and_left(subject, trials, done, now) if held_by else (None, None)
    verdict, probed = subject.verdict(ledger), ledger.probe_results.summary()
    again = ended[FAILED] + sum(sum(each["failures"].values()) for each in probed.values())
    found = subject.verification(ledger)
    following, why = subject.next(state, again, trials, found)
    lacks, lead = subject.mirrored(len(trials)), subject.answer(ledger)
    return {
        "name": subject.name,
        "planned": subject.planned,
        "finished": ended[FINISHED],
        "stopped": ended[STOPPED],
        "failed": ended[FAILED],
        "foretold": sum(trial.predicted is not None for trial in trials),
        "failures": dict(causes.most_common()),
        **problems_of(trials, incidents, bool(held_by)),
        "collapsed": sum(trial.collapsed for trial in trials),
        "diverged": sum(trial.diverged for trial in trials),
        **_cost([trial for trial in trials if trial.reused_from is None]),
        "studies": probed,
        "state": state,
        "held_by": held_by,
        "at_most": subject.adaptive,
        "rate": rate,
        "seconds_left": left,
        "verdict": verdict,
        "next": following,
        "next_why": why,
        "outdated": outdated,
        "reused": sum(t.reused_from is not None and not t.learned for t in trials),
        "learned": sum(trial.learned for trial in trials),
        "mirrored": lacks,
        "now": _now(subject, trials, bool(held_by), lacks) if whole else None,
        "verification": found,
        "headline": lead["headline"],
        "verdicts": lead["verdicts"],
        "answer_as_of": lead["as_of"],
    }


def _now(
    subject: Subject, trials: Sequence[TrialRow], held: bool, lacks: tuple[int, int] | None
) -> str | None:
    """What is done after the last trial."""
    if held and subject.answering(trials):
        return "writing the answer"
    if lacks is not None and (held or subject.sending()):
        return f"sending to MLflow, {lacks[0]} of {lacks[1]}"
    return "writing the answer" if held else None


def _rate_and_left(
    subject: Subject, trials: Sequence[TrialRow], done: int, now: float
) -> tuple[float | None, float | None]:
    """Trials a second and seconds left, by the trials that ended since the present run began."""
    from sweeps.driver.progress import rate_and_left, work_began

    began = subject.paths.lock.stat().st_mtime
    own = [trial for trial in trials if trial.finished_at >= began]
    times = [trial.finished_at for trial in own]
    started = work_began([t.pack_id for t in own], [t.seconds for t in own], times)
    failed = sum(trial.status == FAILED for trial in own)
    return rate_and_left(times, done + failed, subject.planned, now, started)


def _cost(trials: Sequence[TrialRow]) -> Cost:
    """What the recorded trials took. Rows of older releases do not say all of it."""
    cpu_hours = sum((trial.seconds or 0) * (trial.cpus or 0) for trial in trials) / 3600
    gpu_hours = sum((trial.seconds or 0) * (trial.gpus or 0) for trial in trials) / 3600
    peaks = [trial.peak_memory for trial in trials if trial.peak_memory]
    return {
        "worker_seconds": round(sum(trial.seconds or 0 for trial in trials), 1),
        "train_seconds": round(sum(trial.train_seconds or 0 for trial in trials), 1),
        "trained_images": sum(trial.trained_images or 0 for trial in trials),
        "cpu_hours": round(cpu_hours, 4),
        "gpu_hours": round(gpu_hours, 4),
        "peak_memory": max(peaks, default=None),
    }
