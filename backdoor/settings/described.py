"""Settings of a class in words, read from the same types and ranges that check their values."""

from __future__ import annotations

import types
from dataclasses import MISSING, Field, dataclass, fields
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from backdoor.settings.schema import Fields, Range, hints_of
from backdoor.settings.user_file import UserFile

#: What values of a plain type are called.
PLAIN = {float: "number", int: "whole number", bool: "true or false", str: "text"}
#: What values of a class are called, where they are not settings of their own.
FILE = "path of a file"


@dataclass(frozen=True)
class Setting:
    """One setting in words. default: as YAML has it, `required` where it must be given. allowed:
    the values that it may have."""

    name: str
    default: str
    allowed: str


def settings_of(cls: Any) -> list[Setting]:
    """The settings of a dataclass in the order of its fields."""
    hints = hints_of(cls)
    return [Setting(f.name, _default(f), _allowed(hints[f.name])) for f in fields(cls)]


def _default(f: Field[Any]) -> str:
    if f.default is MISSING and f.default_factory is MISSING:
        return "required"
    if f.default is MISSING:
        return _plain(f.default_factory())  # type: ignore[operator]
    return _plain(f.default)


def _plain(value: Any) -> str:
    """A value as YAML has it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_plain, value))}]"
    if isinstance(value, Fields):
        return str(value.identity().get("kind", type(value).__name__))
    return str(value)


def _allowed(hint: Any, many: bool = False) -> str:
    """many: whether it stands after `list of`."""
    bounds: list[str] = []
    if get_origin(hint) is Annotated:
        hint, *notes = get_args(hint)
        bounds = [str(bound) for bound in notes if isinstance(bound, Range)]
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    shown = [
        # Ranges are of numbers: a text among the options is held to rules of its own.
        f"{_one(option, many)} {' and '.join(bounds)}"
        if bounds and option is not str
        else _one(option, many)
        for option in options
        if option is not type(None)
    ]
    listed = " or ".join(shown)
    return f"{listed}; or null" if type(None) in options else listed


def _one(hint: Any, many: bool) -> str:
    """A type that is no union."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _allowed(hint, many)
    if origin is Literal:
        return ", ".join(map(_plain, args))
    if origin is tuple:
        return f"list of {_allowed(args[0], many=True)}" if args else "list"
    if isinstance(hint, type) and issubclass(hint, UserFile):
        return FILE
    if isinstance(hint, type) and issubclass(hint, Fields):
        return f"mapping of settings ({', '.join(f.name for f in fields(hint))})"  # type: ignore[arg-type]
    named: str = PLAIN.get(hint, getattr(hint, "__name__", str(hint)))
    return f"{named}s" if many and hint in (int, float, str) else named
