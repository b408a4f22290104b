"""A positive control of attacks: triggers that change nearly no image of a class are refused.

Of such a trigger nothing can be learned, and every defence seems to withstand it. It is stamped on
test images of the first seed as trials measure it. A sweep that has begun with one goes on, with a
warning, and so does one that says `allow_weak: true`.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Collection, Sequence
from dataclasses import fields

import numpy as np

from backdoor.config import Attack
from backdoor.datasets import Dataset
from backdoor.datasets.source import Source, load_source, split
from backdoor.errors import Mistake, UserError
from backdoor.poison import target_labels_of
from backdoor.reading.contents import Ids
from backdoor.reading.printed_names import class_name
from backdoor.settings.kind_checks import mistakes_of
from backdoor.triggers import Trigger
from backdoor.triggers.change import LEAST_PERCENT, MOST_IMAGES, ClassChange, weak_classes
from backdoor.triggers.donors import DonorImages
from backdoor.triggers.stamping import measured_form
from sweeps.spec.model import SweepSpec

#: Characters of the counts of classes in one message; of the classes after them, the sums are said.
SHOWN = 800
#: Triggers whose answers a process remembers: a spec is checked when it is read, and again when its
#: sweep begins.
REMEMBERED = 1024
REMEDY = (
    "No model can learn such a trigger, and every defence would seem to withstand it. Make it "
    "stronger or move it, or go on with `allow_weak: true`: --set attack.allow_weak=true."
)


def check_triggers(
    data: Dataset, attacks: Sequence[Attack], seed: int, begun: bool = False
) -> tuple[list[Mistake], list[str]]:
    """Mistakes of the weak triggers of a panel, and warnings of those that are allowed.

    attacks: those that do not fit the images have mistakes of their own, and are left out here.
    seed: of the trial whose test images are stamped. begun: whether the sweep has begun, which
    allows all triggers, also those that cannot be stamped: they have failed trials of their own.
    """
    source = load_source(data)
    try:
        labels = source.labels[split(data, source, seed).test]
    except UserError:  # said where trials are checked
        return [], []
    groups: dict[tuple[Trigger, bool], list[Attack]] = {}
    for attack in attacks:
        if _fits(attack, source):
            groups.setdefault((attack.trigger, attack.allow_weak or begun), []).append(attack)
    mistakes, warnings = list[Mistake](), list[str]()
    for (trigger, allowed), several in groups.items():
        classes = _measured(labels, several, len(source.class_names))
        try:
            weak = dict(_weak(trigger, data, source.fingerprint, seed, classes))
        except UserError as error:
            mistakes += [] if begun else error.mistakes
            continue
        if weak and allowed:
            warnings.append(_warning(trigger, weak, source))
        elif weak:
            mistakes.append(_mistake(trigger, weak, source))
    return mistakes, warnings


def refuse_weak(spec: SweepSpec, known: Collection[Attack] = ()) -> None:
    """`UserError` where attacks of the spec have weak triggers that are not allowed.

    known: attacks that the sweep has begun with.
    """
    attacks = [attack for attack in spec.panel if attack not in known]
    mistakes, _ = check_triggers(spec.data, attacks, spec.seeds[0])
    if mistakes:
        raise UserError(mistakes)


def _fits(attack: Attack, source: Source) -> bool:
    """Whether there are such classes, and the trigger can be stamped on such images."""
    if max(attack.target, *(attack.source or (0,))) >= len(source.class_names):
        return False
    with contextlib.suppress(UserError):
        return not mistakes_of(attack.trigger, "fits", source.shape)
    return False


def _measured(labels: Ids, attacks: Sequence[Attack], count: int) -> tuple[int, ...]:
    """The classes whose test images some of the attacks is measured on, ascending. labels: of the
    test images, (n,). count: of all classes."""
    counted = [target_labels_of(labels, attack, count)[0] for attack in attacks]
    return tuple(np.unique(labels[np.logical_or.reduce(counted)]).tolist())


@functools.lru_cache(maxsize=REMEMBERED)
def _weak(
    trigger: Trigger, data: Dataset, fingerprint: str, seed: int, classes: tuple[int, ...]
) -> tuple[tuple[int, ClassChange], ...]:
    """Those of the classes in which the trigger is weak. fingerprint: of the data's files."""
    source = load_source(data)
    parts = split(data, source, seed)
    donors = DonorImages(fingerprint, seed, source.images, parts.train, parts.train)
    form = measured_form(trigger, seed, donors)
    weak = weak_classes(form, source.images, parts.test, source.labels[parts.test], classes)
    return tuple(weak.items())


def _mistake(trigger: Trigger, weak: dict[int, ClassChange], source: Source) -> Mistake:
    rule = f"must change at least {LEAST_PERCENT} % of the triggered test images of every class"
    value = f"{_label(trigger)}: {_said(weak, source)}"
    return Mistake("attack.trigger", rule, value, REMEDY)


def _warning(trigger: Trigger, weak: dict[int, ClassChange], source: Source) -> str:
    changes = f"{_label(trigger)} changes less than {LEAST_PERCENT} % of the triggered test images"
    return f"attack.trigger: {changes} of some classes: {_said(weak, source)}"


def _label(trigger: Trigger) -> str:
    """`blend(opacity=0.001)`: the trigger with those of its settings that are not the defaults."""
    identity, defaults = trigger.identity(), {f.name: f.default for f in fields(trigger)}
    given = [(n, v) for n, v in identity.items() if n != "kind" and v != defaults.get(n)]
    shown = ", ".join(f"{n}={v:.4g}" if isinstance(v, float) else f"{n}={v}" for n, v in given)
    return f"{trigger.kind_name()}({shown})" if shown else trigger.kind_name()


def _said(weak: dict[int, ClassChange], source: Source) -> str:
    """`class 1: 0 of 50 images changed (mean change 0 grey levels); class 2: 0 of 49 (0); ...`"""
    said, length = list[str](), 0
    for number, change in weak.items():
        counts, mean = f"{change.changed:,} of {change.images:,}", f"{change.mean:.3g}"
        if not said:
            counts, mean = f"{counts} images changed", f"mean change {mean} grey levels"
        said.append(f"{_called(number, source.class_names[number])}: {counts} ({mean})")
        length += len(said[-1])
        if length > SHOWN and len(said) < len(weak):
            rest = list(weak.values())[len(said) :]
            changed, images = sum(c.changed for c in rest), sum(c.images for c in rest)
            said.append(f"{len(rest):,} more classes: {changed:,} of {images:,}")
            break
    sampled = any(change.images == MOST_IMAGES for change in weak.values())
    return "; ".join(said) + (f"; of a class, at most {MOST_IMAGES:,}" if sampled else "")


def _called(number: int, name: str) -> str:
    return f"class {number}" if name == str(number) else f"class {number} ({class_name(name)})"
