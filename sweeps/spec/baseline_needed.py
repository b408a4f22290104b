"""What must be true of a spec whose attacks are compared with the clean baseline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backdoor.errors import Mistake
from sweeps.records.thresholds import Thresholds
from sweeps.spec.sections import SearchSettings, StoppingSettings


def check_baseline(
    region: Thresholds | None,
    baseline: bool,
    panel: bool,
    search: SearchSettings | None,
    stopping: StoppingSettings | None,
    attack: Any,
) -> Iterator[Mistake]:
    """What `baseline + x` needs from other sections.

    baseline: whether rate 0 is among the poison rates. panel: whether the attacks are known.
    attack: the section, as the spec has it.
    """
    if region is None or not region.above_baseline:
        return
    rule = f"where region.attack_success is `{region.attack_rule}`"
    instead = "Or give region.attack_success as a fraction: --set region.attack_success=0.2."
    if search is not None and search.kind == "region":
        why = "A region search trains single trials, without a clean baseline"
        remedy = f'{why}: --set "search={{kind: random, points: 40}}". {instead}'
        yield Mistake("search.kind", f"must not be region {rule}", search.kind, remedy)
    elif panel and not baseline:
        remedy = f"{_with_zero(attack)} {instead}"
        yield Mistake("attack.poison_rate", f"must include 0 {rule}", "no rate 0", remedy)
    if stopping is not None and stopping.kind == "certain":
        why = "A trial that trains cannot be judged without its clean baseline"
        remedy = f"{why}: --set stopping=none. {instead}"
        yield Mistake("stopping.kind", f"must not be certain {rule}", stopping.kind, remedy)


def _with_zero(attack: Any) -> str:
    """What to type for the same rates and 0."""
    asked = attack.get("poison_rate") if isinstance(attack, dict) else None
    rates = asked if isinstance(asked, list) else [asked]
    what = "Rate 0 is the clean baseline"
    if all(isinstance(r, (int, float)) and not isinstance(r, bool) for r in rates):
        listed = ", ".join(f"{rate:g}" for rate in [0, *rates])
        return f'{what}: --set "attack.poison_rate=[{listed}]".'
    return f"{what}: add 0 to the poison rates."
