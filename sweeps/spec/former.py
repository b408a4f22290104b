"""What to know of a sweep that an earlier release began: which settings act as before.

sweep.json has the key `defaults` since settings exist whose defaults change what a trigger does
(`backdoor.triggers.Trigger.former`). A folder without it is read as it was begun: what its spec
leaves out acts as before, so that its trials keep their ids, and what is trained later is alike.
"""

from __future__ import annotations

from collections.abc import Iterator

from sweeps.spec.model import SweepSpec

#: Of sweep.json: how many times defaults of triggers have changed when the sweep began.
DEFAULTS = 1


def former_notes(spec: SweepSpec) -> Iterator[str]:
    """One line for each setting of a kind of trigger that acts as before in this sweep."""
    if not spec.former:
        return
    kept = {
        (trigger.kind_name(), name, value, type(trigger).__dataclass_fields__[name].default)
        for trigger in (attack.trigger for attack in spec.panel)
        for name, value in trigger.former.items()
        if name not in trigger.inert() and getattr(trigger, name) == value
    }
    for kind, name, value, default in sorted(kept, key=str):
        yield (
            f"attack.trigger: {kind} keeps `{name}: {value}`, the form of the release that began "
            f"this sweep; in a new sweep it is `{default}`"
        )
