"""What becomes of packs that were not trained, and what is said and kept about it.

The judge decides; this remembers the packs that wait, writes incidents.jsonl, and says a line.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from sweeps.packs.pack import Pack
from sweeps.records.failure import NODE, Failure
from sweeps.records.failure_text import back_line, common_cause, death_line, node_line
from sweeps.records.incident import ATTEMPT, BACK, LEFT_OUT, LOST, STOPPED, Incident
from sweeps.scheduling.failure_judge import FailureJudge, Verdict, suspected_trigger
from sweeps.storage.incident_log import IncidentLog

#: Lines about workers that died, after which only their number is said.
MOST_LINES = 50


class Retries:
    """Packs that failed and are neither recorded nor waiting as usual.

    late: those to be tried when nothing else is waiting. parked: those that wait for a success, or
    for another node. say: shows a line. log: keeps incidents. declared: see `FailureJudge`.
    """

    def __init__(
        self,
        say: Callable[[str], None] = lambda line: None,
        log: IncidentLog | None = None,
        declared: bool = False,
    ) -> None:
        self.judge = FailureJudge(declared)
        self.late: deque[Pack] = deque()
        self.parked: list[Pack] = []
        self.alone: set[str] = set()  # ids of packs that are to be a worker's only one
        self._divided: set[str] = set()  # trials that were tried with others, and failed with them
        self.left_out: dict[tuple[str, str], list[str]] = {}  # node → what it lacks
        self.latest: dict[str, Failure] = {}  # of each trial that is open
        self._say, self._log, self._lines = say, log, 0

    # --- packs --------------------------------------------------------------------------------

    def failed(self, pack: Pack, failure: Failure) -> Verdict:
        """A pack failed; what is to happen with it, where it does not wait here."""
        ids = _ids(pack)
        if failure.died and (trigger := suspected_trigger(pack, failure)) is not None:
            during = f"while the images of the trigger {trigger.kind_name()} were made"
            failure = replace(failure, error=f"{failure.error}, {during}")
        verdict = self.judge.failed(pack, failure)
        self.latest |= dict.fromkeys(ids, failure)
        text = death_line(failure, ids) if failure.died else None
        self.note(ATTEMPT, ids, failure, text)
        return self._placed(pack, verdict)

    def lost(self, pack: Pack, failure: Failure, alone: bool) -> Verdict:
        """A pack was lost with its worker."""
        verdict = self.judge.lost(pack, failure, alone)
        self.alone |= {each.pack_id for each in verdict.again}
        return verdict

    def _placed(self, pack: Pack, verdict: Verdict) -> Verdict:
        """The verdict without what waits here."""
        if verdict.guilty is not None:
            self.forget(_ids(verdict.guilty))
        elif not verdict.again and not verdict.late:
            self.parked.append(pack)
        self._divided |= {trial_id for part in verdict.again for trial_id in _ids(part)}
        self.late.extend(verdict.late)
        return verdict

    def is_divided(self, pack: Pack) -> bool:
        """Whether a pack holds trials that failed together with others only, and not yet alone."""
        alone = self.judge.failed_alone
        return any(each in self._divided and not alone(each) for each in _ids(pack))

    def succeeded(self, packs: Sequence[Pack], node: str | None) -> list[Verdict]:
        """Trials of these packs have ended. Verdicts on trials that waited and are at fault by
        that; the others that waited are tried again, where this is the first success on its node,
        or they failed there."""
        for pack in packs:
            self.forget(_ids(pack))
        first = self.judge.succeeded(packs, node)
        return self._released(None if first else node)

    def reference_passed(self, node: str | None) -> list[Verdict]:
        """As `succeeded`, for what has succeeded before."""
        self.judge.reference_passed(node)
        return self._released(None)

    def _released(self, node: str | None) -> list[Verdict]:
        """Verdicts on what waited. node: only of trials that failed there; None: of all."""
        known = self.judge.failed_on
        waited = [p for p in self.parked if node is None or known(p.trials[0].trial_id, node)]
        self.parked = [p for p in self.parked if p not in waited]
        return [self._placed(pack, self.judge.again(pack)) for pack in waited]

    def next_late(self) -> tuple[Pack, Verdict | None]:
        """The next of `late`, and the verdict on its trial, if that has become known."""
        pack = self.late.popleft()
        verdict = self.judge.again(pack)
        if verdict.late == (pack,):
            return pack, None
        return pack, self._placed(pack, verdict)

    def forget(self, trial_ids: Iterable[str]) -> None:
        """These trials are not open any more."""
        for trial_id in trial_ids:
            self.latest.pop(trial_id, None)

    @property
    def open_trials(self) -> dict[str, Failure]:
        """Trials that failed, and of which nobody knows whether they are at fault."""
        waiting = {t.trial_id for pack in (*self.parked, *self.late) for t in pack.trials}
        return {trial: failure for trial, failure in self.latest.items() if trial in waiting}

    # --- nodes --------------------------------------------------------------------------------

    def node_unfit(
        self, host: str, node_id: str, lines: Sequence[str], found_at: float | None = None
    ) -> None:
        """A node gets no more packs. It is said once for each node, whatever its workers say. What
        failed there and waits is tried elsewhere."""
        self.judge.check_failed(node_id)
        waited, self.parked = self.parked, []
        self.late.extend(waited)
        if self.left_out.get((host, node_id)) is not None:
            return
        self.left_out[host, node_id] = list(lines)
        text = node_line(host, node_id, "; ".join(lines))
        failure = Failure("; ".join(lines), NODE, host=host, node_id=node_id)
        self.note(LEFT_OUT, (), failure, text, found_at=found_at)

    def node_fit(self, host: str, node_id: str) -> None:
        """A worker of a node has passed its check after all."""
        if self.left_out.pop((host, node_id), None) is not None:
            failure = Failure("", host=host, node_id=node_id)
            self.note(BACK, (), failure, back_line(host, node_id))

    def unfit_cause(self) -> str:
        """What the nodes that are left out have in common."""
        return common_cause(
            [
                Failure("; ".join(lines), host=host, node_id=node_id)
                for (host, node_id), lines in self.left_out.items()
            ]
        )

    # --- what is said and kept ------------------------------------------------------------

    def note_lost(self, packs: Sequence[Pack], failure: Failure) -> None:
        """A worker vanished."""
        ids = tuple(trial_id for pack in packs for trial_id in _ids(pack))
        self.note(LOST, ids, failure, death_line(failure, ()))

    def note_end(self, text: str) -> None:
        """The sweep ends since nothing works."""
        self.note(STOPPED, (), None, None, text)

    def note(
        self,
        what: str,
        trial_ids: Sequence[str],
        failure: Failure | None,
        line: str | None,
        text: str | None = None,
        found_at: float | None = None,
    ) -> None:
        """Keeps an incident; `line` is shown too, unless there were too many."""
        if line is not None:
            self._lines += 1
            if self._lines <= MOST_LINES:
                self._say(line)
            elif self._lines == MOST_LINES + 1:
                self._say("more workers died; `sweeps status` counts them")
        if self._log is not None:
            host = None if failure is None else failure.host
            node = None if failure is None else failure.node_id
            where = {"host": host, "node_id": node}
            self._log.append(
                Incident(what, time.time(), tuple(trial_ids), **where, failure=failure,
                         text=text or line, found_at=found_at)
            )  # fmt: skip


def _ids(pack: Pack) -> tuple[str, ...]:
    return tuple(trial.trial_id for trial in pack.trials)
