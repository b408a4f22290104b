"""What Tune runs on a worker: it has the packs of a chunk trained, and answers for each of them.

Only the standard library and Ray: see the package's docstring. What it needs of the sweep is plain
values in the configuration that Tune hands it:

    payload      the chunk as text
    packs        the ids of its packs
    deadlines    seconds for each pack, None for no limit
    references   [node id, chunk as text] of trials that are known to succeed, best on other nodes
    believed     for each pack that failed before, the nodes where its failure needs no comparison
                 with a reference, else None
    data         the fingerprint of the sweep's data, or None

What it reports, with host and node_id:

    rows, reasons  of the packs that have ended since the last report, in their order; left: how
                   many are left. Every 5 seconds, and at the end. Without reasons: a pack has
                   begun, of which the driver would not know otherwise.
    starts         a trainer is to be started, before the next pack begins
    ends           the packs that are left go back
    partial        the row of a trial that may be stopped
    unfit          what the node lacks; [] where it is fit again. found_at: the first time, when
                   that was found, by the node's clock
    reference_passed
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from sweeps.runners.supervision.suspicion import Suspicion, found_unfit, reference_fails
from sweeps.runners.supervision.trainer_link import Trainer, TrainerGone

#: Seconds between two reports of a worker: the work that is lost if it is killed.
REPORT_EVERY = 5.0
#: Seconds between two reports of a worker that waits, and between two checks of its node.
WAIT_EVERY, CHECK_EVERY = 1.0, 30.0
#: Seconds that the check of a node may take. It reads the data, which may be converted first.
CHECK_WITHIN = 1800.0
#: The cause of a failure for which a pack was too large.
MEMORY = "memory"

Report = Callable[[dict[str, Any]], None]


class _Unfit(Exception):  # noqa: N818  (it is what the check found)
    """The node lacks what the packs need. lines: what."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


@dataclass
class _Answers:
    """What was answered since the last report: for each pack None or its failure, and rows."""

    reasons: list[dict[str, Any] | None] = field(default_factory=list)
    rows: list[bytes] = field(default_factory=list)


class Supervisor:
    """The worker's side of a sweep, for as long as its process lives.

    work: what trains a pack, pickled, if not the usual one. hang_after: seconds without a sign of
    life after which a trainer is killed.
    """

    def __init__(self, work: bytes | None, hang_after: float, report: Report) -> None:
        self.work, self.hang_after, self._tell = work, hang_after, report
        self._trainer: Trainer | None = None
        self._spawner = ThreadPoolExecutor(1)
        self._loaded: str | None = None
        self._checked = False
        self._unfit: list[str] = []  # for good
        self.where = {"host": socket.gethostname(), "node_id": _node_id()}
        self._suspicion = Suspicion(self.where["node_id"])
        self._told, self._begun = 0.0, False  # when it last reported; whether that a pack began

    def serve(self, config: dict[str, Any]) -> None:
        """Answers for all packs of a chunk, or returns them."""
        self._told, self._begun = time.monotonic(), False
        if self._unfit:
            self._wait(config, self._unfit)
        try:
            self._ready(config)
        except _Unfit as found:
            self._wait(config, found.lines)
        self._serve_packs(config)

    def _report(self, **content: Any) -> None:
        """To the driver. Where it has ended the chunk, `SystemExit` is raised."""
        self._tell({**self.where, **content})
        self._told, self._begun = time.monotonic(), not content.get("starts", False)

    # --- the trainer and its node -----------------------------------------------------------

    def _ready(self, config: dict[str, Any]) -> Trainer:
        """A trainer that has the packs of the chunk. The first one of a node is checked first."""
        try:
            trainer = self._running_trainer()
        except TrainerGone as gone:
            raise self._did_not_start(gone) from None
        except OSError as error:
            raise _Unfit([f"no process can be started: {error}"]) from None
        if self._loaded != config["payload"]:
            self._load(trainer, config)
        return trainer

    def _running_trainer(self) -> Trainer:
        """The trainer; a new one, which has no packs yet, where there is none that lives.

        Raises:
            TrainerGone, OSError: it did not start.
        """
        if self._trainer is not None and not self._trainer.alive:
            self._end_trainer()
        if self._trainer is None:
            self._loaded, self._checked = None, False
            self._trainer = Trainer(self.hang_after, self._spawner)
            if self.work is not None:
                self._trainer.ask({"do": "work"}, self.work)
        return self._trainer

    def _load(self, trainer: Trainer, config: dict[str, Any]) -> None:
        request = {"do": "load", "reference": False, "check": not self._checked}
        try:
            done, _ = trainer.ask(
                request | {"data": config.get("data")}, config["payload"].encode(), CHECK_WITHIN
            )
        except TrainerGone as gone:
            raise self._did_not_start(gone) from None
        if done["unfit"]:
            raise _Unfit(done["unfit"])
        self._loaded, self._checked = config["payload"], True

    def _did_not_start(self, gone: TrainerGone) -> _Unfit:
        self._end_trainer()
        lines = [line for line in gone.log.splitlines() if line.strip()]
        # After the calls of a traceback, whose lines are indented, comes the error in some lines.
        calls = [number for number, line in enumerate(lines) if line.startswith('  File "')]
        errors = [line for line in lines[calls[-1] :] if line[:1] != " "] if calls else []
        begin = lines.index(errors[0], calls[-1]) if errors else -1
        last = " ".join(line.strip() for line in lines[begin:])
        return _Unfit([f"no training can be started: {last or gone.how}"])

    def _wait(self, config: dict[str, Any], lines: list[str]) -> None:
        """Keeps its place without work, so that nobody else gets it, until the node is fit again;
        then the driver ends the chunk, whose packs it has given to others."""
        self._report(unfit=lines, found_at=time.time())
        checked = time.monotonic()
        while True:
            time.sleep(WAIT_EVERY)
            fit = False
            if not self._unfit and time.monotonic() - checked > CHECK_EVERY:
                self._loaded, self._checked = None, False
                self._end_trainer()
                try:
                    self._ready(config)
                    fit = True
                except _Unfit as found:
                    lines = found.lines
                checked = time.monotonic()
            self._report(unfit=[] if fit else lines)

    def _end_trainer(self) -> None:
        if self._trainer is not None:
            self._trainer.close()
            self._trainer = None

    # --- packs --------------------------------------------------------------------------------

    def _serve_packs(self, config: dict[str, Any]) -> None:
        answers, count = _Answers(), len(config["deadlines"])
        for index in range(count):
            failure = self._train(config, index, answers)
            answers.reasons.append(failure)
            too_large = failure is not None and failure.get("cause") == MEMORY
            noted = config["packs"][index], failure, config["believed"][index]
            suspected = self._suspicion.note(*noted)
            left = count - index - 1
            # The next pack might be too large as well: the driver makes it smaller.
            ends = too_large or bool(suspected)
            # Another trainer may have to check its node first: that is not the next pack's time.
            starts = self._trainer is None and left > 0 and not ends
            if left == 0 or ends or starts or self._is_due():
                self._answer(answers, left=left, ends=ends, starts=starts)
                if suspected:
                    self._compare(config, suspected)
                if ends:
                    return

    def _is_due(self) -> bool:
        return time.monotonic() - self._told > REPORT_EVERY

    def _answer(self, answers: _Answers, **more: Any) -> None:
        """Reports what has ended since the last time."""
        rows, reasons = answers.rows, answers.reasons
        answers.rows, answers.reasons = [], []
        self._report(rows=rows, reasons=reasons, **more)

    def _train(
        self, config: dict[str, Any], index: int, answers: _Answers
    ) -> dict[str, Any] | None:
        """Has one pack trained: adds its rows, or returns its failure."""
        try:
            trainer = self._ready(config)
        except _Unfit as found:
            if answers.reasons:
                self._answer(answers, left=len(config["deadlines"]) - index, ends=True)
            self._wait(config, found.lines)
            raise  # not reached: the driver ends the chunk
        trainer.forget_output()
        request = {"do": "train", "reference": False, "pack": index}
        try:
            done, rows = trainer.ask(
                request,
                within=config["deadlines"][index],
                on_message=self._on_partial,
                on_wait=lambda: self._report_in_time(answers),
            )
        except TrainerGone as gone:
            self._trainer = None
            trainer.close()
            return self._failure(gone, trainer)
        if done.get("stopped"):
            raise SystemExit(0)
        if "failure" in done:
            # What raised may have changed the process: the next pack gets a new one.
            known: dict[str, Any] = {"log": trainer.output()} | done["failure"] | self.where
            self._end_trainer()
            return known
        answers.rows.append(rows)
        return None

    def _report_in_time(self, answers: _Answers) -> None:
        """Reports what was trained before a pack that takes long: nothing of it can be lost then,
        and the driver knows which pack runs, and since when. Nothing is left: the chunk is not to
        be ended."""
        if self._is_due() and (answers.reasons or not self._begun):
            self._answer(answers, left=0, ends=False)

    def _failure(self, gone: TrainerGone, trainer: Trainer) -> dict[str, Any]:
        found = {"error": gone.how, "cause": gone.cause, "log": gone.log, "died": True}
        return {**found, "suspects": trainer.at, "measures": trainer.measures, **self.where}

    def _on_partial(self, message: dict[str, Any], rows: bytes) -> dict[str, Any]:
        """A trial that may be stopped reports: Tune decides whether it goes on."""
        try:
            self._report(**message["partial"], partial=rows)
        except SystemExit:
            return {"go": False}
        return {"go": True}

    # --- is it the node? ------------------------------------------------------------------

    def _compare(self, config: dict[str, Any], suspected: str) -> None:
        """Trains what has succeeded, best on another node: if it fails here, the node is at
        fault."""
        references = sorted(config["references"], key=lambda pair: pair[0] == self.where["node_id"])
        self._suspicion.forget()
        if not references:
            return  # nothing has succeeded: the driver judges
        node, text = references[0]
        why = reference_fails(self._running_trainer, text, CHECK_WITHIN)
        if why is None:
            self._report(reference_passed=True)
            return
        self._end_trainer()
        self._unfit = [found_unfit(suspected, node != self.where["node_id"], why)]
        self._wait(config, self._unfit)


def _node_id() -> str:
    """Ray's name of this machine."""
    import ray

    return str(ray.get_runtime_context().get_node_id())
