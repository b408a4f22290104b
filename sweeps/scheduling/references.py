"""Reference trials, which are known to succeed: where one of them fails as well, the machine is at
fault, or what all trials share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from backdoor.config import build_trial
from backdoor.settings.source_digest import has_outside_kinds
from sweeps.ledger import Ledger
from sweeps.packs.pack import Pack, PackSettings
from sweeps.records.trial_row import CLEAN

#: Nodes of which a success is remembered: one may be the node that is compared.
NODES = 2


class References:
    """The quickest trial that has succeeded on each of some nodes, as a pack of its own.

    ledger: what other runs of the sweep have finished. settings: of this sweep's packs. files: see
    `build_trial`.
    """

    def __init__(
        self, ledger: Ledger, settings: PackSettings, files: Mapping[str, str] | None
    ) -> None:
        self._ledger, self._settings, self._files = ledger, settings, files
        self._known: dict[str, tuple[float, Pack]] = {}
        self._recorded: Pack | None = None
        self._read = self._used = False

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
                self._known[node] = took, replace(pack, trials=(trial,), limits=())

    def of_nodes(self) -> list[tuple[str, Pack]]:
        """Node and pack, at most one for each node. Where none is known yet, the one that `once`
        would give, of a node without a name."""
        if self._known:
            return [(node, pack) for node, (_, pack) in self._known.items()]
        recorded = self._of_ledger()
        return [] if recorded is None else [("", recorded)]

    def once(self) -> Pack | None:
        """A trial that another run of the sweep has finished, once; None where there is none."""
        if self._used:
            return None
        self._used = True
        return self._of_ledger()

    def _of_ledger(self) -> Pack | None:
        if not self._read and self._ledger.finished:
            self._read = True
            self._recorded = self._quickest()
        return self._recorded

    def _quickest(self) -> Pack | None:
        """The quickest of the ledger whose success depends on as little as possible: on no code of
        users, and not on the triggers of all attacks, which clean baselines are measured with."""
        rows = self._ledger.rows()
        whole = [row for row in rows if row["trial_id"] in self._ledger.finished]
        usable = [row for row in whole if not (row["error"] or row["reused_from"])]
        for row in sorted(usable, key=_rank):
            try:
                config = build_trial(row["config"], self._settings.data_root, self._files)
            except Exception:
                continue  # of a kind, or with a file, that is gone
            return Pack((config,), self._settings)
        return None


def _rank(row: Mapping[str, Any]) -> tuple[bool, bool, float]:
    seconds = row["seconds"]
    known = float("inf") if seconds is None else float(seconds)
    return row["attack_id"] == CLEAN, has_outside_kinds(row["config"]), known
