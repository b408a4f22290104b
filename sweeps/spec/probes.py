"""The section `probes`: what is measured on every trained model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from backdoor.config import TrialConfig
from backdoor.errors import Mistake, UserError
from backdoor.probes import Probe
from backdoor.settings.kind_checks import mistakes_of
from backdoor.settings.registry import PROBES
from sweeps.spec.sections import Warn


def read_probes(given: Any, warn: Warn) -> tuple[Probe, ...]:
    """Probes from a list of names and mappings, or from one of them; none where none is given."""
    if given is None or given == "none":
        return ()
    entries = [given] if isinstance(given, (str, Mapping)) else given
    if not isinstance(entries, list):
        remedy = f"For example [{next(iter(PROBES.kinds()))}]."
        warn(Mistake("probes", "must be a list of probes", given, remedy))
        return ()
    found: list[Probe] = []
    for index, entry in enumerate(entries):
        try:
            probe = PROBES.build(entry)
        except UserError as error:
            for mistake in error.inside(_place(index)).mistakes:
                warn(mistake)
            continue
        if probe in found:
            rule = f"must not repeat {_place(found.index(probe))}"
            warn(Mistake(_place(index), rule, entry, "Remove one of the two."))
        found.append(probe)
    return tuple(found)


def check_probes(probes: Sequence[Probe], trials: Iterable[TrialConfig]) -> list[Mistake]:
    """What is wrong with the probes that suit none of these trials: the first mistake of each
    setting. A probe that suits some of them runs on those and leaves out the others."""
    found: dict[int, dict[str, Mistake]] = {index: {} for index in range(len(probes))}
    for trial in trials:
        for index in list(found):
            mistakes = mistakes_of(probes[index], "suits", trial)
            if not mistakes:
                del found[index]
            for mistake in mistakes:
                found[index].setdefault(mistake.place, mistake.inside(_place(index)))
    return [mistake for places in found.values() for mistake in places.values()]


def _place(index: int) -> str:
    return f"probes[{index}]"
