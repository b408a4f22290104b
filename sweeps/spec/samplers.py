"""Optuna's samplers by name: checks their options from the spec and makes them without warnings."""

from __future__ import annotations

import contextlib
import inspect
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import optuna
from optuna.samplers import BaseSampler

from backdoor.errors import Mistake
from backdoor.settings.schema import is_number, suggest

SAMPLERS: dict[str, type[BaseSampler]] = {
    "tpe": optuna.samplers.TPESampler,
    "nsga2": optuna.samplers.NSGAIISampler,
    "gp": optuna.samplers.GPSampler,
    "qmc": optuna.samplers.QMCSampler,
    "random": optuna.samplers.RandomSampler,
}
#: Samplers that learn about parameters which every trial has, and choose all others at random.
FIXED_SPACE = frozenset({"nsga2", "gp", "qmc"})

_PLAIN = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}


def make_sampler(name: str, options: Mapping[str, Any], seed: int) -> BaseSampler:
    """The sampler `name`. seed: any whole number >= 0, of which 32 bits count."""
    with quiet():
        return SAMPLERS[name](**options, seed=seed % 2**32)  # type: ignore[call-arg]


def check_options(name: str, options: Mapping[str, Any]) -> list[Mistake]:
    """What is wrong with the options of the sampler `name`, each at the option's own place."""
    known = _plain_options(name)
    mistakes = []
    for key, value in options.items():
        if key == "seed":
            rule, remedy = "is no option of a sampler here", "Set `search.seed`."
            mistakes.append(Mistake(key, rule, value, remedy))
        elif key not in known:
            rule = f"is not an option of `{name}` that a spec can set"
            mistakes.append(Mistake(str(key), rule, value, suggest(str(key), known)))
        elif not any(_fits(value, kind) for kind in known[key]):
            rule = "must be " + " or ".join(_PLAIN[kind] for kind in known[key] if kind in _PLAIN)
            mistakes.append(Mistake(key, rule, value, "Change the value."))
    if mistakes:
        return mistakes
    try:
        make_sampler(name, options, 0)
    except (ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        cls = SAMPLERS[name].__name__
        return [Mistake("", f"must suit {cls}", dict(options), f"Optuna says: {reason}")]
    return []


def _plain_options(name: str) -> dict[str, list[str]]:
    """Option → the names of its types, for options of plain values.

    Options that take Python objects cannot be written in a spec; the seed is the search's; those
    that switch Optuna's own messages on or off have no effect here.
    """
    found = {}
    for parameter in inspect.signature(SAMPLERS[name]).parameters.values():
        kinds = re.findall(r"\w+", str(parameter.annotation))
        if parameter.name == "seed" or parameter.name.startswith("warn_"):
            continue
        if set(kinds) <= {*_PLAIN, "None"}:
            found[parameter.name] = kinds
    return found


def _fits(value: Any, kind: str) -> bool:
    if kind == "None":
        return value is None
    if kind == "float":
        return is_number(value)
    return type(value).__name__ == kind


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences Optuna's messages, and its warnings that some samplers are experimental."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)
