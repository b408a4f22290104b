"""Trials that are known to succeed: where one of them fails as well, the machine is at fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backdoor.config import build_trial
from sweeps.ledger import Ledger
from sweeps.packs.pack import Pack, PackSettings

#: Nodes of which a success is remembered: one may be the node that is compared.
NODES = 2


class Controls:
    """The quickest trial that has succeeded on each of some nodes, as a pack of its own.

    ledger: what other runs of the sweep have finished. settings: of this sweep's packs. files: see
    `build_trial`.
    """

    def __init__(
        self, ledger: Ledger, settings: PackSettings, files: Mapping[str, str] | None
    ) -> None:
        self._ledger, self._settings, self._files = ledger, settings, files
        self._known: dict[str, tuple[float, Pack]] = {}
        self._found: Pack | None = None  # in the ledger
        self._used = False

    def add(
        self, packs: Sequence[Pack], node: str | None, seconds: Mapping[str, float | None]
    ) -> None:
        """Trials of these packs have succeeded on this node; seconds: of each, by its id."""
        if node is None or (node not in self._known and len(self._known) >= NODES):
            return
        for pack in packs:
            trial = pack.trials[0]
            took = seconds.get(trial.trial_id)
            if took is not None and (node not in self._known or took < self._known[node][0]):
                self._known[node] = took, Pack((trial,), self._settings)

    def of_nodes(self) -> list[tuple[str, Pack]]:
        """Node and pack, at most one for each node. Where none is known yet, the one that `once`
        would give, of a node without a name."""
        if not self._known and self._ledger.finished:
            return [("", self._recorded())]
        return [(node, pack) for node, (_, pack) in self._known.items()]

    def once(self) -> Pack | None:
        """The quickest finished trial of the sweep, once; None where there is none."""
        if self._used or not self._ledger.finished:
            return None
        self._used = True
        return self._recorded()

    def _recorded(self) -> Pack:
        """The quickest finished trial of the ledger, which is read once."""
        if self._found is None:
            self._found = self._read()
        return self._found

    def _read(self) -> Pack:
        table = self._ledger.table().select(["trial_id", "seconds"]).to_pylist()
        done = [row for row in table if row["trial_id"] in self._ledger.finished]
        quickest = min(done, key=lambda row: row["seconds"] or 0.0)["trial_id"]
        row = next(row for row in self._ledger.rows() if row["trial_id"] == quickest)
        config = build_trial(row["config"], self._settings.data_root, self._files)
        return Pack((config,), self._settings)
