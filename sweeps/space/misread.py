"""Settings that YAML reads otherwise than they were meant, such as numbers with decimal commas.

What is read in their place breaks rules of its own. Those mistakes would lead away from the one
that was made, so they are left out beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import yaml

from backdoor.errors import Mistake


@dataclass(frozen=True)
class Misread(Mistake):
    """settings: the places in the document that were meant otherwise, such as `attack.source`."""

    settings: tuple[str, ...] = ()


def without_consequences(mistakes: Sequence[Mistake]) -> list[Mistake]:
    """The mistakes without others about settings that were misread, each of which has one."""
    said, kept = set[str](), list[Mistake]()
    misread = [mistake for mistake in mistakes if isinstance(mistake, Misread)]
    for first in sorted(misread, key=lambda each: -len(each.settings)):  # who knows more
        if not said.intersection(first.settings):
            kept.append(first)
        said.update(first.settings)
    kept.sort(key=list(mistakes).index)
    for mistake in mistakes:
        if not isinstance(mistake, Misread) and not _about(mistake.place, said):
            kept.append(mistake)
    return kept


def _about(place: str, settings: Iterable[str]) -> bool:
    """Whether a place is one of the settings or inside of one."""
    own = _plain(place)
    plain = (_plain(setting) for setting in settings)
    return any(own == each or own.startswith(f"{each}.") for each in plain)


def _plain(place: str) -> str:
    """Without the numbers of choices, which mistakes that are found late do not know."""
    return re.sub(r"\[\d+\]", "", place)


def paths_of(root: yaml.Node) -> dict[int, str]:
    """`id` of each node → where it is in the document; of one with several places, the first."""
    found: dict[int, str] = {}
    waiting = [(root, "")]
    while waiting:
        node, place = waiting.pop()
        if id(node) in found:
            continue
        found[id(node)] = place
        if isinstance(node, yaml.MappingNode):
            for key, value in reversed(node.value):
                inner = f"{place}.{_name(key)}".lstrip(".")
                waiting += [(value, inner), (key, inner)]
        elif isinstance(node, yaml.SequenceNode):
            waiting += [(each, f"{place}[{i}]") for i, each in enumerate(node.value)][::-1]
    return found


def _name(key: yaml.Node) -> str:
    """A key as it is read: 5 for 05."""
    return str(int(key.value)) if str(key.value).isdecimal() else str(key.value)


def settings_at(places: Iterable[str], root: str) -> tuple[str, ...]:
    """The settings that have these places, without the numbers of their own choices. A factor
    that a component carries is one of its section, too. root: of the document, "" for a whole one.
    """
    whole = [place if not root else f"{root}.{place}".replace(".[", "[") for place in places]
    found = [re.sub(r"(\[\d+\])+$", "", place.rstrip(".")) for place in whole]
    sections = [f"{p.partition('.')[0]}.{p.rpartition('.')[2]}" for p in found if p.count(".") > 1]
    return tuple(dict.fromkeys([*found, *sections]))
