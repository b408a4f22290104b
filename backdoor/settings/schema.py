"""Typed fields with ranges: a dataclass is its own schema, wherever it is built.

`Fields` checks and converts its values when an instance is made, be it from a spec, in a notebook
or on a worker: an integer in a float field becomes a float, a list becomes a tuple, and a float is
rounded to twelve significant digits, so that 0.01 and 0.010000000000000002 are the same trial.
"""

from __future__ import annotations

import contextlib
import functools
import math
import types
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from backdoor.errors import Mistake, UserError
from backdoor.settings.aliases import nearest
from backdoor.settings.user_file import UserFile


@dataclass(frozen=True)
class Range:
    """Bounds of a number, for `Annotated[float, Range(ge=0, le=1)]`."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    def holds(self, value: float) -> bool:
        """Whether the value is within the bounds."""
        return (
            (self.ge is None or value >= self.ge)
            and (self.gt is None or value > self.gt)
            and (self.le is None or value <= self.le)
            and (self.lt is None or value < self.lt)
        )

    def __str__(self) -> str:
        signs = ((">=", self.ge), (">", self.gt), ("<=", self.le), ("<", self.lt))
        return " and ".join(f"{sign} {bound:g}" for sign, bound in signs if bound is not None)


#: Not all JSON and Parquet readers keep larger whole numbers exactly.
LARGEST = 2**53

#: Where text is wanted and YAML has read true, null or a number.
QUOTE = "Put text in quotes: 'true'."

Fraction = Annotated[float, Range(ge=0, le=1)]
Count = Annotated[int, Range(ge=1)]


def location(default: Any) -> Any:
    """A field that says where something is, not what it is: no identity contains it."""
    return field(default=default, metadata={"identity": False})


def round_significant(value: float) -> float:
    """`value` at twelve significant digits, without a negative zero."""
    return float(f"{value:.12g}") + 0.0


def is_number(value: object) -> bool:
    """Whether a plain value is a number; true and false are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


class WrongValueError(Exception):
    """Raised by `_conform` with the rule that a value breaks."""


def _conform(value: object, hint: Any) -> Any:
    """`value` converted to the type `hint`, or `WrongValueError(rule)`."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        conformed = _conform(value, args[0])
        for bound in args[1:]:
            if isinstance(bound, Range) and is_number(conformed) and not bound.holds(conformed):
                raise WrongValueError(f"must be {bound}")
        return conformed
    if origin is Literal:
        if not any(value == option and type(value) is type(option) for option in args):
            raise WrongValueError("must be one of " + ", ".join(map(str, args)))
        return value
    if origin in (Union, types.UnionType):
        return _conform_union(value, args)
    if origin is tuple:
        if isinstance(value, str) or not isinstance(value, (list, tuple)):
            raise WrongValueError("must be a list")
        return tuple(_conform(item, args[0]) for item in value)
    return _conform_plain(value, hint)


def _conform_union(value: object, options: tuple[Any, ...]) -> Any:
    if value is None and type(None) in options:
        return None
    rules = []
    for option in options:
        if option is not type(None):
            try:
                return _conform(value, option)
            except WrongValueError as wrong:
                rules.append(str(wrong))
    raise WrongValueError(" or ".join(rules))


def _conform_plain(value: Any, hint: Any) -> Any:
    if hint is float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise WrongValueError("must be a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise WrongValueError("must be a finite number")
        return round_significant(number)
    if hint is int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise WrongValueError("must be a whole number")
        if abs(value) > LARGEST:
            raise WrongValueError("must be a whole number below 2**53")
        return value
    if hint is UserFile and isinstance(value, str):
        try:
            return UserFile.of(value)
        except OSError as error:
            raise WrongValueError(f"must be a file that can be read ({error.strerror})") from None
    if hint is UserFile and not isinstance(value, UserFile):
        raise WrongValueError("must be the path of a file")
    if isinstance(hint, type) and issubclass(hint, Fields) and isinstance(value, Mapping):
        return build_fields(hint, dict(value))
    if hint is bool and not isinstance(value, bool):
        raise WrongValueError("must be true or false")
    if hint is str and not isinstance(value, str):
        raise WrongValueError("must be text")
    if isinstance(hint, type) and not isinstance(value, hint):
        raise WrongValueError(f"must be a {hint.__name__.lower()}")
    return value


@functools.cache
def hints_of(cls: Any) -> dict[str, Any]:
    """Field name → type with its range, for the dataclass fields of `cls`."""
    hints = get_type_hints(cls, include_extras=True)
    return {f.name: hints[f.name] for f in fields(cls)}


def suggest(name: str, options: Iterable[str]) -> str:
    """A remedy for an unknown name: the one that is probably meant, if any, and all that exist."""
    known = sorted(options)
    near = nearest(str(name), known)
    listing = f"Known: {', '.join(known)}." if known else "Nothing is known here."
    return (f"Did you mean {near!r}? " if near else "") + listing


def check_value(cls: type, name: str, value: object) -> Any:
    """`value` converted for the field `name` of `cls`; `UserError` at that field if it is wrong."""
    try:
        return _conform(value, hints_of(cls)[name])
    except UserError as error:
        raise error.inside(name) from None
    except WrongValueError as wrong:
        remedy = QUOTE if "text" in str(wrong) else change_remedy(value)
        raise UserError(Mistake(name, str(wrong), value, remedy)) from None


def change_remedy(value: object) -> str:
    """What to do about a value of a wrong type; text such as `1_000`, `0,5` or `1%` may mean a
    number."""
    with contextlib.suppress(ValueError):
        number = _meant_number(value) if isinstance(value, str) else math.nan
        if math.isfinite(number):
            plain = int(number) if number.is_integer() else number
            return f"If it means {plain}, write it so, in digits and without quotes."
    return "Change the value."


def _meant_number(text: str) -> float:
    """The number that a text may mean; `ValueError` where it is none."""
    plain = text.strip().replace(",", ".")
    if not plain.endswith("%"):
        return float(plain)
    return float(f"{float(plain[:-1]) / 100:.12g}")  # the division makes 7 to 0.07000000000000001


class Fields:
    """Base class of configuration dataclasses, which converts and checks the fields."""

    def __post_init__(self) -> None:
        mistakes: list[Mistake] = []
        cls: type[Any] = type(self)
        for name in hints_of(cls):  # type: ignore[arg-type]
            try:
                object.__setattr__(self, name, check_value(cls, name, getattr(self, name)))
            except UserError as error:
                mistakes += error.mistakes
        if mistakes:
            raise UserError(mistakes)
        for f in fields(self):  # type: ignore[arg-type]
            if f.name in self.inert():
                object.__setattr__(self, f.name, f.default)
        if rules := list(self.rules()):
            raise UserError(rules)

    def inert(self) -> frozenset[str]:
        """Names of inactive fields, which have no effect beside the values of the others, such as
        the grey value of a noise patch. They get their defaults and are left out of the identity,
        so that what acts the same is equal and has one id."""
        return frozenset()

    def rules(self) -> Iterable[Mistake]:
        """Mistakes that involve several fields; none by default."""
        return ()

    def identity(self) -> dict[str, Any]:
        """The fields that say what this is, as plain JSON values."""
        inactive = self.inert()
        return {
            f.name: _plain(getattr(self, f.name))
            for f in fields(self)  # type: ignore[arg-type]
            if f.metadata.get("identity", True) and f.name not in inactive
        }


def _plain(value: Any) -> Any:
    if isinstance(value, Fields):
        return value.identity()
    if isinstance(value, UserFile):
        return value.digest
    return list(value) if isinstance(value, tuple) else value


def build_fields(cls: type, given: dict[str, Any]) -> Any:
    """An instance of `cls` from a mapping; unknown and missing keys are mistakes too."""
    known = {f.name: f for f in fields(cls)}
    kind = getattr(cls, "kind", None)
    rule = f"is not a setting of `{kind}`" if kind else "is not a known setting"
    mistakes = [
        Mistake(str(key), rule, value, suggest(str(key), known))
        for key, value in given.items()
        if key not in known
    ]
    usable = {key: value for key, value in given.items() if key in known}
    try:
        made = cls(**usable)
    except UserError as error:
        raise UserError([*mistakes, *error.mistakes]) from None
    except TypeError:
        missing = [
            Mistake(name, "must be given", None, f"Add `{name}:`.")
            for name, f in known.items()
            if name not in usable and not _has_default(f)
        ]
        if not missing:
            raise
        raise UserError([*mistakes, *missing]) from None
    if mistakes:
        raise UserError(mistakes)
    return made


def _has_default(f: Field[Any]) -> bool:
    return f.default is not MISSING or f.default_factory is not MISSING
