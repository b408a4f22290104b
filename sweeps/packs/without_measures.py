"""Clean baselines that are measured without a trigger that fails.

A clean baseline is measured with the triggers of all attacks. Where the images of one of them
cannot be made, the others are measured all the same: otherwise a trigger that fails would leave
every attack without a clean baseline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from backdoor.config import Attack, measure_id
from sweeps.packs.pack import Pack
from sweeps.records.failure import Failure

#: Characters of a row's text.
LONGEST = 2000


def without_broken(pack: Pack, failure: Failure) -> Pack | None:
    """The pack as it can be trained again, without the measures whose images could not be made.

    None where the pack failed for another reason, where leaving them out has not helped, and where
    its clean baselines would be left without a measure. To be asked where the node is not to blame,
    before trials are recorded as failed or a pack is divided.
    """
    of_pack = [measure_id(measure) for measure in pack.settings.measures]
    known = dict(pack.without)
    broken = [name for name in failure.measures if name in of_pack and name not in known]
    less = without(pack, dict.fromkeys(broken, failure.error))
    return less if len(less.without) > len(known) else None


def without(pack: Pack, broken: Mapping[str, str]) -> Pack:
    """The pack without these measures too, by id with the reason; as it is, where none would be
    left to measure its clean baselines with."""
    of_pack = [measure_id(measure) for measure in pack.settings.measures]
    known = dict(broken) | dict(pack.without)
    if all(name in known for name in of_pack):
        return pack
    return replace(pack, without=tuple((name, known[name]) for name in of_pack if name in known))


def measures_of_pack(pack: Pack) -> tuple[Attack, ...]:
    """What the clean baselines of a pack are measured with."""
    left_out = dict(pack.without)
    return tuple(m for m in pack.settings.measures if measure_id(m) not in left_out)


def left_out_text(pack: Pack) -> str | None:
    """What the clean baselines of a pack are not measured with, and why: for the column `error` of
    their rows, from which `sweeps resume` knows that they are to be tried again."""
    if not pack.without:
        return None
    kinds = {measure_id(m): m.trigger.kind_name() for m in pack.settings.measures}
    each = "; ".join(f"{kinds.get(name, '?')} ({name}): {why}" for name, why in pack.without)
    count = f"{len(pack.without)} of {len(kinds)} triggers"
    return f"not measured with {count}: {each}"[:LONGEST]
