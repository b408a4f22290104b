"""Attacks outside the panel. They are no part of the claim, and reported apart, as transfer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from backdoor.checks import check_trial
from backdoor.config import Attack, Defence, build_attack, build_defence
from backdoor.datasets.class_names import ClassNames
from backdoor.datasets.source import Source, load_source
from backdoor.errors import Mistake, UserError
from backdoor.settings.registry import TRIGGERS
from backdoor.settings.schema import suggest
from sweeps.panels import bundled_panels
from sweeps.panels.attacks import panel_attacks
from sweeps.region.labels import attack_label
from sweeps.space.yaml_limits import is_there, read_yaml_file
from sweeps.space.yaml_loader import load_yaml
from sweeps.spec import SweepSpec

NONE, DEFAULT = "none", "standard-1"
PLACE = "--transfer"


def transfer_attacks(
    spec: SweepSpec, given: str, say: Callable[[str], None] = lambda text: None
) -> tuple[Attack, ...]:
    """The attacks that `given` names: a bundled panel, a YAML or JSON file, such text, or `none`.

    Of a bundled panel, attacks are left out whose trigger is on the sweep's own panel, or that do
    not fit its data, and the target is the sweep's. A list holds triggers, or whole attacks; by
    default they have the panel's target and its largest poison rate.
    """
    if given == NONE:
        return ()
    if given in bundled_panels():
        return _of_panel(spec, given, say)
    attacks, mistakes = [], list[Mistake]()
    listed = _listed(given, mistakes)
    source = load_source(spec.data)
    for index, entry in enumerate(listed):
        try:
            attacks.append(_attack(spec, source, entry))
        except UserError as error:
            mistakes += error.inside(f"{PLACE}[{index}]").mistakes
    if mistakes:
        raise UserError(mistakes)
    return tuple(dict.fromkeys(attacks))


def _of_panel(spec: SweepSpec, name: str, say: Callable[[str], None]) -> tuple[Attack, ...]:
    own, source = spec.measures, load_source(spec.data)
    found = []
    for member in panel_attacks(name):
        attack = replace(member, target=spec.panel[0].target)
        if attack.measure() in own:
            continue
        try:
            check_trial(spec.trial(_some_defence(spec), attack, spec.seeds[0]), source)
        except UserError as error:
            label, why = attack_label(attack), error.mistakes[0]
            say(f"note: {label} is left out of the transfer attacks: {why}")
        else:
            found.append(attack)
    return tuple(found)


def _listed(given: str, mistakes: list[Mistake]) -> list[Any]:
    text = read_yaml_file(Path(given), PLACE) if is_there(given) else given
    value = load_yaml(text, mistakes.append, PLACE)
    return value if isinstance(value, list) else [value]


def _attack(spec: SweepSpec, source: Source, entry: Any) -> Attack:
    if isinstance(entry, str) or (isinstance(entry, Mapping) and "kind" in entry):
        entry = {"trigger": entry}
    if not isinstance(entry, Mapping):
        rule = "must be a trigger, an attack, the name of a panel, or a file that lists them"
        raise UserError(Mistake("", rule, entry, "For example: [sine, {kind: patch, size: 2}]."))
    name = entry.get("trigger")
    if isinstance(name, str) and ":" not in name and name not in TRIGGERS.kinds():
        rule = "must be a known trigger, or alone the name of a panel"
        raise UserError(
            Mistake("trigger", rule, name, suggest(name, [*TRIGGERS.kinds(), *bundled_panels()]))
        )
    entry = ClassNames.of(source).read_attack(entry)
    largest = max(attack.poison_rate for attack in spec.panel)
    entry = {"poison_rate": largest, "target": spec.panel[0].target, **entry}
    attack = build_attack(entry, former=spec.former)
    if not attack.poison_rate:
        rule, remedy = "must be above 0", "Leave it out for the panel's largest."
        raise UserError(Mistake("poison_rate", rule, 0, remedy))
    if attack in spec.panel:
        rule, remedy = "must not be on the sweep's own panel", "Remove it, or change it."
        raise UserError(Mistake("", rule, attack_label(attack), remedy))
    check_trial(spec.trial(_some_defence(spec), attack, spec.seeds[0]), source)
    return attack


def _some_defence(spec: SweepSpec) -> Defence:
    return build_defence(next(iter(spec.defence.ends()))[0])
