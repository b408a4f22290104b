"""What went wrong while a sweep ran: failed attempts, and nodes that were left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from sweeps.records.failure import Failure

#: What an incident is. ATTEMPT: a pack was not trained. LEFT_OUT: a node gets no more packs.
#: BACK: it does again. LOST: a worker or its node vanished. STOPPED: the sweep ended since
#: nothing worked. STARTED: a run began; what is before it is history.
ATTEMPT: Final = "attempt"
LEFT_OUT: Final = "node left out"
BACK: Final = "node back"
LOST: Final = "worker lost"
STOPPED: Final = "stopped"
STARTED: Final = "started"


@dataclass(frozen=True)
class Incident:
    """One incident.

    at: seconds since 1970, by the driver's clock. trial_ids: of the pack, if it is about one.
    host, node_id: where. failure: what failed, if something did. text: what the console said.
    found_at: of a node that is left out, when that was found there, by its own clock.
    """

    what: str
    at: float
    trial_ids: tuple[str, ...] = ()
    host: str | None = None
    node_id: str | None = None
    failure: Failure | None = None
    text: str | None = None
    found_at: float | None = None

    def plain(self) -> dict[str, Any]:
        """As JSON has it, without what is not known."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        values["failure"] = None if self.failure is None else self.failure.plain()
        values["trial_ids"] = list(self.trial_ids)
        return {name: value for name, value in values.items() if value not in (None, [])}

    @staticmethod
    def from_plain(values: Mapping[str, Any]) -> Incident:
        """What `plain` made; keys of later releases are left out."""
        known = {each.name for each in fields(Incident)}
        kept = {name: value for name, value in values.items() if name in known}
        failure = kept.get("failure")
        kept["failure"] = None if failure is None else Failure.from_plain(failure)
        return Incident(**kept | {"trial_ids": tuple(kept.get("trial_ids", ()))})
