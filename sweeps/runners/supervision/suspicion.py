"""Whether a node is to be suspected after a pack has failed there, and whether it fails what has
succeeded before.

Only the standard library: see the package's docstring.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sweeps.runners.supervision.trainer_link import Trainer, TrainerGone

#: Different packs that fail in a row before the node is suspected.
IN_A_ROW = 3
#: The cause of a failure that is not decided by itself.
OPEN = "open"


class Suspicion:
    """Counts different packs that fail in a row for no reason of their own. node_id: of here."""

    def __init__(self, node_id: str) -> None:
        self.node_id = node_id
        self._in_a_row: list[str] = []

    def note(
        self, pack_id: str, failure: Mapping[str, Any] | None, believed: Sequence[str] | None
    ) -> str:
        """Takes the end of a pack; why the node is suspected by it, "" if it is not.

        believed: nodes on which a failure of this pack needs no comparison, None where no single
        failure of it does.
        """
        if failure is None:
            self._in_a_row = []
            return ""
        if failure.get("cause") != OPEN:
            return ""
        self._in_a_row += [] if pack_id in self._in_a_row else [pack_id]
        if len(self._in_a_row) >= IN_A_ROW:
            return f"{IN_A_ROW} packs in a row failed here"
        if believed is None or self.node_id in believed:
            return ""
        return "a pack that failed before failed here"

    def forget(self) -> None:
        """The node is compared, by a trial that has succeeded before."""
        self._in_a_row = []


def found_unfit(suspected: str, elsewhere: bool, why: str) -> str:
    """What is said of a node on which a trial fails that has succeeded before."""
    if elsewhere:
        return f"{suspected}, and a trial that succeeded elsewhere fails here: {why}"
    return f"{suspected}, and a trial that succeeded here before fails now: {why}"


def reference_fails(running: Callable[[], Trainer], chunk: str, within: float) -> str | None:
    """Why a reference fails here; None where it succeeds.

    running: gives a trainer that runs. chunk: the reference, as text. within: seconds, to read it
    and to train it.
    """
    try:
        trainer = running()
        load = {"do": "load", "reference": True, "check": False}
        trainer.ask(load, chunk.encode(), within)
        done, _ = trainer.ask({"do": "train", "reference": True}, within=within)
    except TrainerGone as gone:
        return gone.how
    except OSError as error:
        return str(error)
    return str(done["failure"]["error"]) if "failure" in done else None
