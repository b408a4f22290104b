"""One argument of a command."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Argument:
    """One argument as argparse expects it, and what a shell completes it with besides choices."""

    flags: tuple[str, ...]
    options: dict[str, Any]
    completer: Callable[..., Iterable[str]] | None = None


def argument(
    *flags: str, completer: Callable[..., Iterable[str]] | None = None, **options: Any
) -> Argument:
    """An argument by its flags and what argparse is given besides."""
    return Argument(flags, options, completer)


def given_id(value: str) -> str:
    """An id that was given; an empty one is a variable of a shell that is not set."""
    if not value:
        raise argparse.ArgumentTypeError("must be an id, or left out: it is empty")
    return value
