"""What differs between two specs as they are written, item by item. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

#: Where a spec says nothing.
NOTHING = "nothing"


@dataclass(frozen=True)
class Difference:
    """One setting by its dotted place; before, after: its values, `NOTHING` where it has none."""

    place: str
    before: Any
    after: Any

    @property
    def before_in_words(self) -> str:
        """What it was, for a sentence."""
        return NOTHING if self.before == NOTHING else repr(self.before)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Of two documents, probes left out, since they may change."""
    return [each for each in _found("", before, after) if each.place.split(".")[0] != "probes"]


def _found(place: str, before: Any, after: Any) -> Iterator[Difference]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys([*before, *after]):
            inner = f"{place}.{key}" if place else str(key)
            yield from _found(inner, before.get(key, NOTHING), after.get(key, NOTHING))
    elif before != after or type(before) is not type(after):
        yield Difference(place, before, after)
