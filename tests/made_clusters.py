"""A cluster that is simulated: the driver's and the workers' real code, without Ray or processes.

Each worker is a real `Supervisor`, whose trainer is replaced by one that knows what the world does
to a pack. Chunks are handed out and served in random order, one at a time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from trials import fake_rows, trial

from backdoor.config import TrialConfig, measure_id
from sweeps.ledger import Ledger, encode
from sweeps.packs.chunk import Chunk
from sweeps.packs.pack import Pack, PackSettings
from sweeps.packs.without_measures import measures_of_pack
from sweeps.runners.in_flight import InFlight
from sweeps.runners.supervision import supervisor
from sweeps.runners.supervision.trainer_link import TrainerGone
from sweeps.scheduling.sweep_feed import SweepFeed

#: How a bad trial fails: an exception, a death whose images are known, one of which nobody knows.
RAISES, DIES, DIES_UNKNOWN, HANGS, MEMORY, TIME = (
    "raises",
    "dies",
    "unknown",
    "hang",
    "memory",
    "time",
)


class FixedList:
    """A search that asks for these trials, in batches, of which each waits for the results of the
    one before it."""

    def __init__(self, *batches: Sequence[TrialConfig], waits: bool = False) -> None:
        self.batches, self.waits, self.workers = [list(each) for each in batches], waits, 1
        self.size = sum(map(len, batches)) if waits else None
        self._missing: set[str] = set()

    @property
    def finished(self) -> bool:
        return not self.batches and not (self.waits and self._missing)

    def ask(self, limit: int) -> list[TrialConfig]:
        if not self.batches or (self.waits and self._missing):
            return []
        batch = self.batches.pop(0)
        self._missing = {each.trial_id for each in batch}
        return batch

    def tell(self, rows: Any) -> None:
        self._missing -= set(rows["trial_id"].to_pylist())


@dataclass
class Node:
    """bad_from: attempts after which everything fails there. told: whether its check finds that.
    heals_at: packs of the whole world after which it is fit again."""

    name: str
    bad_from: float = float("inf")
    told: bool = False
    heals_at: float = float("inf")
    attempts: int = 0


@dataclass
class World:
    """What happens to packs. bad: how these trials fail, wherever they are. losing: the chance that
    a worker is lost with its chunk. broken: how the images of measures fail, by `measure_id`."""

    nodes: list[Node]
    bad: dict[str, str] = field(default_factory=dict)
    losing: float = 0.0
    broken: dict[str, str] = field(default_factory=dict)
    attempts: list[tuple[str, tuple[str, ...], str]] = field(default_factory=list)

    def is_bad(self, node: Node) -> bool:
        return node.attempts >= node.bad_from and len(self.attempts) < node.heals_at

    def attempt(self, node: Node, pack: Pack) -> str | None:
        """How an attempt at a pack fails; None where it succeeds."""
        ids = tuple(each.trial_id for each in pack.trials)
        how = (
            "node" if self.is_bad(node) else next((self.bad[i] for i in ids if i in self.bad), None)
        )
        node.attempts += 1
        self.attempts.append((node.name, ids, how or "ok"))
        return how


class FakeTrainer:
    """In place of the trainer's process, on this node."""

    alive = True

    def __init__(self, world: World, node: Node) -> None:
        self.world, self.node = world, node
        self.at: list[str] = []
        self.measures: list[str] = []
        self._packs: tuple[Pack, ...] = ()
        self._reference: tuple[Pack, ...] = ()

    def ask(self, request: Any, content: bytes = b"", within: Any = None, **hooks: Any) -> Any:
        if request["do"] == "load":
            if request["check"] and self.node.told and self.world.is_bad(self.node):
                return {"done": True, "unfit": ["the disk is full"]}, b""
            packs = Chunk.from_json(content.decode()).packs
            if request["reference"]:
                self._reference = packs
            else:
                self._packs = packs
            return {"done": True, "unfit": []}, b""
        pack = self._reference[0] if request["reference"] else self._packs[request["pack"]]
        return self._train(pack)

    def _train(self, pack: Pack) -> Any:
        how = self.world.attempt(self.node, pack)
        culprits = [t.trial_id for t in pack.trials if t.trial_id in self.world.bad]
        self.measures = []
        if how != "node" and (broken := self._broken(pack)):
            self.measures, how = broken, self.world.broken[broken[0]]
            culprits = [t.trial_id for t in pack.trials if t.attack is None]
        self.at = culprits if how == DIES else []
        if how is None:
            return {"done": True}, encode(fake_rows(pack))
        if how in (DIES, DIES_UNKNOWN):
            raise TrainerGone("the process was ended by SIGSEGV", "open", "")
        if how in (HANGS, TIME):
            raise TrainerGone(f"it {how}s", how, "")
        cause = "memory" if how == MEMORY else "open"
        failure = {"error": f"ValueError: {how}", "cause": cause, "measures": self.measures}
        return {"done": True, "failure": failure}, b""

    def _broken(self, pack: Pack) -> list[str]:
        """The first measure of the clean baselines of a pack, if it has any, that fails."""
        ids = [measure_id(measure) for measure in measures_of_pack(pack)]
        clean = any(trial.attack is None for trial in pack.trials)
        return [each for each in ids if clean and each in self.world.broken][:1]

    def output(self) -> str:
        return ""

    def forget_output(self) -> None: ...

    def close(self) -> None: ...


class _Waits(Exception):  # noqa: N818
    """A worker waits for its node."""


@dataclass
class _Worker:
    node: Node
    chunk: str | None = None  # that waits with it
    supervisor: Any = None


class Simulation:
    """Runs a feed to its end. workers: of each node."""

    def __init__(self, feed: SweepFeed, world: World, seed: int, workers: int = 1) -> None:
        self.feed, self.world, self.random = feed, world, random.Random(seed)
        self.in_flight = InFlight(feed)
        self.workers = [_Worker(node) for node in world.nodes for _ in range(workers)]
        feed.workers = len(self.workers)
        self.configs: dict[str, dict[str, Any]] = {}
        self.serving = ""
        self.steps = 0
        self.closed = False  # Tune asks no more once it was told that nothing is left

    def run(self, monkeypatch: Any, each: Callable[[], None] = lambda: None) -> None:
        """each: called before each step."""
        monkeypatch.setattr(supervisor, "REPORT_EVERY", self.random.choice([-1.0, 5.0]))
        monkeypatch.setattr(supervisor, "Trainer", self._trainer)
        monkeypatch.setattr(supervisor, "_node_id", lambda: self._now.node.name)
        while not (self.feed.done and not self.configs):
            self.steps += 1
            assert self.steps < 3000, "it does not end"
            each()
            self._take()
            self._release()
            if not self._serve() and not self._alone():
                break
        assert self.feed.done, "nobody works, and the sweep has not ended"

    def _take(self) -> None:
        """What Tune does at each of its steps, and so also between two reports of a worker."""
        while not self.closed:
            chunk = self.in_flight.take(name := f"t{self.in_flight._taken}")
            if chunk is None:
                break
            references = [[node, Chunk((p,)).to_json()] for node, p in self.feed.references()]
            limits = self.in_flight.deadlines(name)
            self.configs[name] = {"payload": chunk.to_json(), "deadlines": limits,
                                  "packs": [p.pack_id for p in chunk.packs],
                                  "references": references,
                                  "believed": [self.feed.believed(p) for p in chunk.packs]}  # fmt: skip
        self.closed |= self.in_flight.finished

    def _release(self) -> None:
        """What Tune does at the next report of a worker that waits."""
        for worker in self.workers:
            if worker.chunk is None:
                continue
            if not self.world.is_bad(worker.node) and not worker.supervisor._unfit:
                where = {"host": worker.node.name, "node_id": worker.node.name}
                self.in_flight.report(worker.chunk, {**where, "unfit": []})
            if self.in_flight.cancel(worker.chunk, 0):
                self._end(worker.chunk)
                worker.chunk = None

    def _end(self, name: str) -> None:
        del self.configs[name]
        self.in_flight.ended(name)

    def _serve(self) -> bool:
        """A random chunk is served by a random worker. Whether there were both."""
        held = {worker.chunk for worker in self.workers}
        waiting = [name for name in self.configs if name not in held]
        free = [worker for worker in self.workers if worker.chunk is None]
        if not waiting or not free:
            return False
        self.serving, self._now = self.random.choice(waiting), self.random.choice(free)
        self.in_flight.started(self.serving)
        if self.random.random() < self.world.losing:
            self._now.supervisor = None
            self.configs.pop(self.serving)
            self.in_flight.died(self.serving, "the node was lost")
            return True
        if self._now.supervisor is None:
            self._now.supervisor = supervisor.Supervisor(None, 1.0, self._report)
            self._now.supervisor.where = dict.fromkeys(("host", "node_id"), self._now.node.name)
        try:
            self._now.supervisor.serve(self.configs[self.serving])
        except _Waits:
            self._now.chunk = self.serving
        except SystemExit:
            self._end(self.serving)
        else:
            self._end(self.serving)
        return True

    def _report(self, content: dict[str, Any]) -> None:
        content = dict(content)
        left, waits = content.get("left", 0), "unfit" in content
        self.in_flight.report(self.serving, content)
        if self.in_flight.cancel(self.serving, left):
            raise SystemExit
        if waits:
            raise _Waits
        self._take()

    def _alone(self) -> bool:
        """Nobody works: what the driver does after some time. Whether that changes something."""
        if self.feed.done:
            return bool(self.configs)
        if all(worker.chunk is not None for worker in self.workers):
            if any(
                w.node.heals_at < float("inf") and not w.supervisor._unfit for w in self.workers
            ):
                self.world.attempts.append(("", (), "time passes"))
                return True
            self.feed.nobody_left()
            return True
        return False

    def _trainer(self, hang_after: float, spawner: Any) -> FakeTrainer:
        return FakeTrainer(self.world, self._now.node)


def trials_of(count: int, shapes: int = 2) -> list[TrialConfig]:
    """Trials of some shapes, that is in as many packs."""
    return [trial("mlp", seed=i, epochs=1 + i % shapes, weight_decay=0.01) for i in range(count)]


def feed_of(folder: Any, search: Any, **given: Any) -> SweepFeed:
    measures = given.pop("measures", (trial().attack.measure(),))
    settings = PackSettings(measures, **given.pop("settings", {}))
    return SweepFeed(search, Ledger(folder), settings, **given)
