"""What of a stored JSON value does not fit its schema, as `sweeps.records.schema` makes schemas.

It reads these keywords and no others: `$ref` into `$defs`, `type`, `const`, `enum`, `anyOf`,
`properties`, `required`, `additionalProperties` and `items`; a `description` is for people. A
general validator takes ten times as long to load as to check what `sweeps status` reads.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

#: In words, for people.
WORDS = {
    "object": "an object of JSON",
    "array": "a list",
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "null",
}


@dataclass(frozen=True)
class Fault:
    """A value that does not fit. place: `points[3].attacks[0].images`, empty for the whole; rule: a
    clause that begins with `must`."""

    place: str
    rule: str
    value: object


def faults(value: object, whole: Schema, lacking: bool = True) -> Iterator[Fault]:
    """All that does not fit, from the top down; below a value that does not fit nothing is said.

    whole: the schema, with its `$defs`. lacking: whether a required key that is missing is a fault.
    """
    return _Check(whole, lacking).walk(value, whole, "")


class _Check:
    def __init__(self, whole: Schema, lacking: bool) -> None:
        self.defs: Mapping[str, Schema] = whole.get("$defs", {})
        self.lacking = lacking

    def walk(self, value: object, schema: Schema, at: str) -> Iterator[Fault]:
        schema = self._resolved(schema, value)
        if not _fits(value, schema):
            yield Fault(at, _rule(self._options(schema)), value)
        elif isinstance(value, dict):
            yield from self._entries(value, schema, at)
        elif isinstance(value, list) and (each := schema.get("items")) is not None:
            for number, inner in enumerate(value):
                yield from self.walk(inner, each, f"{at}[{number}]")

    def _entries(self, value: dict[str, object], schema: Schema, at: str) -> Iterator[Fault]:
        known: Mapping[str, Any] = schema.get("properties", {})
        others = schema.get("additionalProperties", {})
        inside = f"{at}." if at else ""
        if self.lacking:
            for key in schema.get("required", ()):
                if key not in value:
                    yield Fault(f"{inside}{key}", "must be there", None)
        for key, inner in value.items():
            own = known.get(key, others)
            if own is False:
                yield Fault(f"{inside}{key}", "must not be there: no such key is known", inner)
            elif own:
                yield from self.walk(inner, own, f"{inside}{key}")

    def _resolved(self, schema: Schema, value: object) -> Schema:
        """Behind `$ref`, and of `anyOf` the option of the value's type, where one is."""
        while (name := schema.get("$ref")) is not None:
            schema = self.defs[name.removeprefix("#/$defs/")]
        for option in schema.get("anyOf", ()):
            found = self._resolved(option, value)
            if _fits(value, found):
                return found
        return schema

    def _options(self, schema: Schema) -> list[Schema]:
        return [self._resolved(each, None) for each in schema.get("anyOf", [schema])]


def _fits(value: object, schema: Schema) -> bool:
    """By itself, whatever is inside it."""
    if "anyOf" in schema:
        return False  # no option does, else it stood here
    if "const" in schema:
        return _same(value, schema["const"])
    if "enum" in schema:
        return any(_same(value, each) for each in schema["enum"])
    kinds = schema.get("type")
    if kinds is None:
        return True
    return any(_is(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds))


def _same(value: object, other: object) -> bool:
    """True is not 1 in JSON."""
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def _is(value: object, kind: str) -> bool:
    if isinstance(value, bool) or value is None:
        return kind == ("null" if value is None else "boolean")
    if isinstance(value, float):
        whole = kind == "integer" and value.is_integer()
        return whole or (kind == "number" and math.isfinite(value))
    if isinstance(value, int):
        return kind in ("number", "integer")
    return isinstance(value, _CLASSES.get(kind, ()))


_CLASSES: dict[str, type] = {"string": str, "array": list, "object": dict}


def _rule(options: list[Schema]) -> str:
    """What fits, in words."""
    if "const" in options[0]:
        return f"must be {options[0]['const']}"
    if "enum" in options[0]:
        return f"must be one of {', '.join(map(_shown, options[0]['enum']))}"
    kinds: list[str] = []
    for option in options:
        of = option.get("type", [])
        kinds += [of] if isinstance(of, str) else of
    return f"must be {' or '.join(WORDS[kind] for kind in kinds)}"


def _shown(value: object) -> str:
    return "null" if value is None else f"`{value}`"
