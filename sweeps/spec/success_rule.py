"""`region.attack_success` as text: `baseline + x`, which is paired by seed."""

from __future__ import annotations

import math
import re

RULE = "must be a fraction in [0, 1] or `baseline + x`"
EXAMPLE = "baseline + 0.1"
_WRITTEN = re.compile(r"\s*baseline\s*\+\s*([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*")
#: Any number in a text, with a decimal comma or a percent sign too.
_NUMBER = re.compile(r"([0-9]*[.,]?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*(%?)")


class AboveBaseline(float):
    """The x of `baseline + x`, in [0, 1]."""


class SuccessRuleError(ValueError):
    """The rule that a text breaks. remedy: what to write."""

    def __init__(self, remedy: str) -> None:
        super().__init__(RULE)
        self.remedy = remedy


def read_success_rule(text: str) -> AboveBaseline:
    """The x of `baseline + x`.

    Raises:
        SuccessRuleError: the text is something else, or x is not in [0, 1].
    """
    match = _WRITTEN.fullmatch(text)
    if match is not None and 0 <= float(match[1]) <= 1:
        return AboveBaseline(match[1])
    raise SuccessRuleError(_remedy(text))


def _remedy(text: str) -> str:
    """What to write, by what the text may mean."""
    if (quoted := _quoted_number(text)) is not None:
        return f"If it means {quoted:.12g}, write it so, in digits and without quotes."
    found = _NUMBER.search(text)
    if found is None:
        return f"For example 0.2, or {EXAMPLE}."
    number = float(found[1].replace(",", "."))
    percent = found[2] or number > 1
    meant = f"{number / 100 if percent else number:.12g}"
    if percent and number <= 100:
        return f"x is a fraction: for {number:g} % write baseline + {meant}."
    if percent:
        return f"x is a fraction, at most 1: for example {EXAMPLE}."
    if re.search(r"-\s*[0-9.,]", text) and "baseline" in text.lower():
        reason = "Attack success may lie above that of the clean baseline, by at most x"
        return f"{reason}: write baseline + {meant}."
    return f"Did you mean 'baseline + {meant}'?"


def _quoted_number(text: str) -> float | None:
    """The number that a text is, if it is nothing else."""
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
