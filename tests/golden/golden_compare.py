"""Comparing recorded answers with today's: what differs, where, and by which rule."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

#: Floats that follow from counts, or from the same sums, differ by no more than this.
CLOSE = 1e-9
#: Differences that a failure names.
SHOWN = 8
#: On another machine so much of a total may be answered otherwise, and losses may differ by so much.
COUNTS, LOSSES = 0.02, 0.05
#: Ledger columns of counts, and the column that holds what each is out of.
OUT_OF = {"class_correct": "class_total", "validation_correct": "validation_total"}


def differences(expected: Any, actual: Any, place: str = "", close: float = CLOSE) -> Iterator[str]:
    """Where two plain values differ, each as `place: recorded ..., now ...`."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key in [*expected, *(key for key in actual if key not in expected)]:
            inner = f"{place}.{key}" if place else str(key)
            if key not in actual:
                yield f"{inner}: recorded {_short(expected[key])}, now missing"
            elif key not in expected:
                yield f"{inner}: not recorded, now {_short(actual[key])}"
            else:
                yield from differences(expected[key], actual[key], inner, close)
        if list(expected) != list(actual) and expected.keys() == actual.keys():
            yield f"{place}: recorded with keys in the order {list(expected)}, now {list(actual)}"
    elif isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            yield f"{place}: recorded {len(expected)} entries, now {len(actual)}"
        for index, (one, other) in enumerate(zip(expected, actual, strict=False)):
            yield from differences(one, other, f"{place}[{index}]", close)
    elif not _same(expected, actual, close):
        yield from _leaf(expected, actual, place)


def _same(expected: Any, actual: Any, close: float) -> bool:
    if isinstance(expected, float) and isinstance(actual, float):
        return math.isclose(expected, actual, rel_tol=close, abs_tol=1e-12)
    return type(expected) is type(actual) and bool(expected == actual)


def _leaf(expected: Any, actual: Any, place: str) -> Iterator[str]:
    """A difference; of long texts the first lines that differ."""
    if not (isinstance(expected, str) and isinstance(actual, str)):
        yield f"{place}: recorded {_short(expected)}, now {_short(actual)}"
        return
    one, other = expected.splitlines(), actual.splitlines()
    if len(one) != len(other):
        yield f"{place}: recorded {len(one)} lines, now {len(other)}"
    for number, (a, b) in enumerate(zip(one, other, strict=False), 1):
        if a != b:
            line = f", line {number}" if len(one) > 1 else ""
            # What long lines have in common is left out, but for a few characters.
            start = max(0, _agree(a, b) - 30) if max(len(a), len(b)) > 120 else 0
            dots = "... " if start else ""
            yield f"{place}{line}: recorded {dots}{_short(a[start:])}, now {dots}{_short(b[start:])}"
    if one == other:
        yield f"{place}: only the ends of lines differ"


def _agree(one: str, other: str) -> int:
    """How many characters two texts have in common from their beginning."""
    pairs = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:115] + " ..."


def refuse_differences(found: Iterator[str], what: str, rule: str) -> None:
    """Fails with the first of these differences."""
    first = [line for line, _ in zip(found, range(SHOWN + 1), strict=False)]
    if first:
        more = "\n  ..." if len(first) > SHOWN else ""
        listed = "\n  ".join(line.lstrip(",: ") for line in first[:SHOWN])
        raise AssertionError(f"not as it was: {what} (compared {rule}):\n  {listed}{more}")


def row_differences(expected: dict[str, Any], actual: dict[str, Any], exact: bool) -> Iterator[str]:
    """Where two ledger rows of one trial differ: by the exact rule, or by that of other machines."""
    place = f"trial {expected['trial_id']}"
    if exact:
        yield from differences(expected, actual, place, 1e-6)
        return
    yield from differences(_fixed(expected), _fixed(actual), place)
    for name, one, total in _counts(expected):
        other = dict((n, v) for n, v, _ in _counts(actual)).get(name)
        if (one is None) != (other is None):
            yield f"{place}.{name}: recorded {one}, now {other}"
        elif one is not None and abs(one - other) > max(1, math.ceil(COUNTS * total)):
            yield f"{place}.{name}: recorded {one} of {total}, now {other}"
    one, other = expected["clean_loss"], actual["clean_loss"]
    if (one is None) != (other is None) or (
        one is not None and not math.isclose(one, other, rel_tol=LOSSES)
    ):
        yield f"{place}.clean_loss: recorded {one}, now {other}"


def _fixed(row: dict[str, Any]) -> dict[str, Any]:
    """What of a row is the same on every machine."""
    kept = {k: v for k, v in row.items() if k not in {*OUT_OF, "clean_loss"}}
    measured = [{k: m[k] for k in ("measure_id", "total")} for m in row["measurements"] or ()]
    epochs = [point["epoch"] for point in row["curve"] or ()]
    return kept | {"measurements": measured, "curve": epochs}


def _counts(row: dict[str, Any]) -> Iterator[tuple[str, int | None, int]]:
    """Name, count and total of whatever counts answers."""
    total = sum(row["class_total"])
    correct = row["class_correct"]
    yield "clean", None if correct is None else sum(correct), total
    yield "validation_correct", row["validation_correct"], row["validation_total"]
    for m in row["measurements"] or ():
        for name in ("success", "robust"):
            yield f"{m['measure_id']}.{name}", m[name], m["total"] or 0
    for point in row["curve"] or ():
        at = f"after epoch {point['epoch']}"
        yield f"clean {at}", point["clean_correct"], total
        yield f"validation {at}", point["validation_correct"], row["validation_total"]
        for number, (count, m) in enumerate(
            zip(point["success"], row["measurements"], strict=True)
        ):
            yield f"success {number} {at}", count, m["total"] or 0
