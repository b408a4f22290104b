"""JSON Schema (draft 2020-12) of a typed dictionary, made from its type hints.

A typed dictionary becomes an object of `$defs` with its docstring as the description; of this,
`key: text.` or `key, other: text.` is the description of these keys too. `Literal` becomes an
`enum`; a union of plain types a list of types, another one `anyOf`; `Any` no restriction.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import (
    Any,
    Literal,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

Schema = dict[str, Any]

#: Of JSON; a bool is no number there, and an integer is one.
PLAIN: dict[Any, str] = {
    str: "string",
    float: "number",
    int: "integer",
    bool: "boolean",
    type(None): "null",
}


def schema_of(
    kind: type, required: Mapping[str, Iterable[str]] | None = None, strict: bool = False
) -> Schema:
    """The schema of the typed dictionary `kind`, with those that it refers to in `$defs`.

    Args:
        required: by name of a typed dictionary, keys that must be there although its type has them
            as `NotRequired`.
        strict: whether keys that the types do not have are refused. They are let pass otherwise, as
            later versions may have more.

    Raises:
        TypeError: a hint has no counterpart in JSON.
    """
    maker = _Maker(required or {}, strict)
    whole = maker.entry(kind)
    return {**whole, "$defs": dict(sorted(maker.defs.items()))}


#: What may be the names of keys, with a colon, where a sentence or a clause of a list begins.
_NAMES = re.compile(r"(?:^|(?<=[.;] ))(\w+(?:, \w+)*): ")


def key_descriptions(kind: type) -> dict[str, str]:
    """Key of the typed dictionary `kind` to what its docstring says of it, a sentence or several.

    A part begins with `key: ` or `key, other: `, all of them keys of `kind`, and ends where the
    next one begins, or the paragraph ends.
    """
    found: dict[str, str] = {}
    for paragraph in (inspect.getdoc(kind) or "").split("\n\n"):
        for names, text in _parts(" ".join(paragraph.split()), set(get_type_hints(kind))):
            found |= dict.fromkeys(names, f"{text[:1].upper()}{text[1:].rstrip(' ;.')}.")
    return found


def _parts(text: str, keys: set[str]) -> Iterator[tuple[list[str], str]]:
    starts = [match for match in _NAMES.finditer(text) if keys.issuperset(match[1].split(", "))]
    ends = [match.start() for match in starts[1:]] + [len(text)]
    for match, end in zip(starts, ends, strict=False):
        yield match[1].split(", "), text[match.end() : end]


class _Maker:
    """Collects the typed dictionaries that are met on the way."""

    def __init__(self, required: Mapping[str, Iterable[str]], strict: bool) -> None:
        self.required, self.strict = required, strict
        self.defs: dict[str, Schema] = {}

    def entry(self, kind: type) -> Schema:
        """A typed dictionary as an object."""
        hints = get_type_hints(kind, include_extras=True)
        also = set(self.required.get(kind.__name__, ()))
        if unknown := also - set(hints):
            raise TypeError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
        said = key_descriptions(kind)
        found: Schema = {
            "type": "object",
            "description": " ".join(inspect.getdoc(kind).split()),  # type: ignore[union-attr]
            "properties": {
                key: self.value(_bare(hint)) | ({"description": said[key]} if key in said else {})
                for key, hint in hints.items()
            },
            "required": [key for key, hint in hints.items() if hint is _bare(hint) or key in also],
        }
        return found | ({"additionalProperties": False} if self.strict else {})

    def value(self, hint: Any) -> Schema:
        """Any hint."""
        if hint is Any or hint is object:
            return {}
        if hint in PLAIN:
            return {"type": PLAIN[hint]}
        if is_typeddict(hint):
            return self._reference(hint)
        origin, inner = get_origin(hint), get_args(hint)
        if origin is Literal:
            return {"enum": list(inner)}
        if origin in (list, dict):
            return self._container(origin, inner[-1])
        if origin in (Union, types.UnionType):
            return _either([self.value(each) for each in inner])
        raise TypeError(f"JSON has no counterpart of {hint}")

    def _container(self, origin: type, inner: Any) -> Schema:
        of, within = ("array", "items") if origin is list else ("object", "additionalProperties")
        value = self.value(inner)
        return {"type": of, **({within: value} if value else {})}

    def _reference(self, kind: type) -> Schema:
        if kind.__name__ not in self.defs:
            self.defs[kind.__name__] = {}  # one that refers to itself ends here
            self.defs[kind.__name__] = self.entry(kind)
        return {"$ref": f"#/$defs/{kind.__name__}"}


def _bare(hint: Any) -> Any:
    """Without `NotRequired`; the hint itself where the key is required."""
    return get_args(hint)[0] if get_origin(hint) is NotRequired else hint


def _either(options: list[Schema]) -> Schema:
    """One of these: plain types together, and values of an `enum` with None."""
    null: Schema = {"type": "null"}
    if all(set(each) == {"type"} for each in options):
        names = [each["type"] for each in options]
        return {"type": [name for name in names if name != "integer" or "number" not in names]}
    others = [each for each in options if each != null]
    if len(others) == 1 and "enum" in others[0]:
        return {"enum": [*others[0]["enum"], None]}
    return {"anyOf": options}
