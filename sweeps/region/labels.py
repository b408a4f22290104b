"""Short names of kinds, attacks and defence points, as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

from backdoor.reading.printed_names import class_name
from backdoor.settings.outside import TOGETHER, written_defaults
from backdoor.settings.registry import FAMILIES, former_settings
from sweeps.ledger import flatten_factors
from sweeps.records.model_answer import Factors

if TYPE_CHECKING:
    from backdoor.config import Attack


#: The label mode without a target class: each image is given the class after its own.
NEXT = "all_to_all"


def kind_label(identity: Mapping[str, Any]) -> str:
    """`patch(size=1)`: a kind with those of its settings that differ from their defaults, or from
    what acts as before the setting existed: labels of before stay."""
    kind = identity["kind"]
    if TOGETHER in kind:
        return TOGETHER.join(kind_label({"kind": k, **identity[k]}) for k in kind.split(TOGETHER))
    defaults = _defaults(kind)
    shown = [
        f"{name}={_number(value)}"
        for name, value in identity.items()
        if name != "kind" and value != defaults.get(name, MISSING)
    ]
    return f"{kind}({', '.join(shown)})" if shown else kind


def _defaults(kind: str) -> dict[str, Any]:
    if ":" in kind:
        return written_defaults(kind)  # results are shown without running code that they name
    for family in FAMILIES.values():
        if "/" in kind or kind in family.kinds():
            try:
                cls = family.find(kind)
                return {f.name: f.default for f in fields(cls)} | dict(former_settings(cls))
            except Exception:
                continue
    return {}


def attack_label(attack: Attack) -> str:
    """`patch(size=1) at 3 % to class 0`; with covers `at 3 % and 6 % covers, to class 0`."""
    rate = f"{100 * attack.poison_rate:.4g} %"
    if attack.cover_rate:
        rate += f" and {100 * attack.cover_rate:.4g} % covers,"
    return f"{kind_label(attack.trigger.identity())} at {rate} {target_label(attack.identity())}"


def target_label(attack: Mapping[str, Any]) -> str:
    """`to class 0`: the class that an attack with this identity wants for triggered images."""
    if attack["label_mode"] == NEXT:
        return "to the next class"
    kept = ", labels kept" if attack["label_mode"] == "clean_label" else ""
    source = " or ".join(map(str, attack.get("source", ())))
    return f"{f'from class {source} ' if source else ''}to class {attack['target']}{kept}"


def attacked_classes(
    attacks: Iterable[Attack], names: Sequence[str], section: object = None
) -> str:
    """`target: class 3 (cat); source: class 5 (dog)`: the classes that attacks want and poison.

    names: by class number. section: the spec's `attack`. Empty where it names no class and all
    names are class numbers.
    """
    aimed = [attack for attack in attacks if attack.label_mode != NEXT]
    targets = {attack.target for attack in aimed}
    sources = {number for attack in aimed for number in attack.source or ()}
    chosen = isinstance(section, Mapping) and ("target" in section or "source" in section)
    if not chosen and all(_is_number(names[n], n) for n in targets | sources):
        return ""
    roles = {"target": targets, "source": sources}
    said = {role: ", ".join(_called(n, names[n]) for n in sorted(roles[role])) for role in roles}
    return "; ".join(f"{role}: {classes}" for role, classes in said.items() if classes)


def _is_number(name: str, number: int) -> bool:
    """Whether the name of a class is its number, such as torchvision's `0 - zero`."""
    return name.partition(" ")[0] == str(number)


def _called(number: int, name: str) -> str:
    return f"class {number}" if name == str(number) else f"class {number} ({class_name(name)})"


def flat_defence(defence: Mapping[str, object]) -> Factors:
    """A defence point's settings by dotted name, `defence.weight_decay`."""
    flat = flatten_factors({"data": {}, "training": {}, "attack": None, "defence": defence})
    return {name: value for name, value in flat.items() if name.startswith("defence.")}


def point_labels(points: Sequence[Factors]) -> list[str]:
    """A label for each point, from the factors in which the points differ."""
    seen: dict[str, set[Any]] = {}
    for factors in points:
        for name, value in factors.items():
            seen.setdefault(name, set()).add(value)
    varying = {name for name, values in seen.items() if len(values) > 1}
    return [_point_label(factors, varying) for factors in points]


def _point_label(factors: Factors, varying: set[str]) -> str:
    parts = [str(factors.get("defence.architecture", "defence"))]
    for name, value in factors.items():
        short = name.removeprefix("defence.")
        if name in varying and short != "architecture":
            parts.append(f"{short.removeprefix('architecture.')} {_number(value)}")
    return ", ".join(parts)


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
