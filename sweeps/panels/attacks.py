"""The attacks of a bundled panel, built: this loads torch, which listing panels must not."""

from __future__ import annotations

from backdoor.config import Attack, build_attack
from backdoor.errors import Mistake, UserError
from backdoor.settings.registry import TRIGGERS
from sweeps.panels.bundled import panel_section
from sweeps.space.parser import SpaceParser


def panel_attacks(name: str) -> tuple[Attack, ...]:
    """The attacks of a bundled panel, as a spec that names it has them, without the clean
    baseline."""
    mistakes: list[Mistake] = []
    families = {"trigger": TRIGGERS}
    space = SpaceParser("attack", Attack, families, {}, mistakes.append).parse(panel_section(name))
    if mistakes:
        raise UserError(mistakes)
    attacks = (build_attack(values) for values in space.grid())
    return tuple(dict.fromkeys(attack for attack in attacks if attack.poison_rate > 0))
