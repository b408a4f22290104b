"""What kinds of users return where they report mistakes, held to its contract."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from backdoor.errors import Mistake, UserError
from backdoor.settings.users_errors import naming_users_code


def mistakes_of(kind: Any, method: str, *arguments: Any) -> list[Mistake]:
    """What `fits` or `suits` of a kind reports.

    Raises:
        UserError: it returned something else than mistakes, or a kind of users raised something.
    """
    with naming_users_code():
        found = getattr(kind, method)(*arguments)
        told = list(found) if isinstance(found, Iterable) else [found]
    if not all(isinstance(mistake, Mistake) for mistake in told):
        rule, remedy = "must return mistakes", "Write `return ()` where nothing is wrong."
        raise UserError(Mistake(f"{kind.kind_name()}.{method}", rule, repr(found), remedy))
    return told


def described(value: object) -> str:
    """What a kind of users returned, in a few words: `float32 (64, 1, 8, 8)`, `None`, `a list`."""
    dtype, shape = getattr(value, "dtype", None), getattr(value, "shape", None)
    if dtype is None or shape is None:
        return "None" if value is None else f"a value of type {type(value).__qualname__}"
    device = getattr(value, "device", "cpu")
    place = "" if str(device) == "cpu" else f" on {device}"
    return f"{str(dtype).removeprefix('torch.')} {tuple(shape)}{place}"
