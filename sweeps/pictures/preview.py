"""A few test images of a data set, clean and with triggers: what a picture of them is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from backdoor.config import build_data
from backdoor.datasets.source import load_source, split
from backdoor.errors import Mistake, UserError
from backdoor.settings.registry import TRIGGERS
from backdoor.triggers import Trigger
from backdoor.triggers.donors import DonorImages
from sweeps.pictures.trigger_pictures import one_a_class, stamp_checked
from sweeps.region.labels import kind_label
from sweeps.space.yaml_loader import load_yaml

Images = npt.NDArray[np.uint8]
ALL = "all"
#: Of the split and of triggers that draw by a trial's seed.
SEED = 0


def show_triggers(
    triggers: str, data: str, count: int, say: Callable[[str], None] = lambda text: None
) -> tuple[Images, list[tuple[str, Images]]]:
    """Clean test images and the same with each trigger, by its label, (n, c, h, w) uint8 all.

    triggers, data: YAML, or `all` for every kind with its defaults, of which those that do not fit
    the data are left out and said to be. count: at most so many images, each of another class.
    """
    mistakes: list[Mistake] = []
    given, described = load_yaml(triggers, mistakes.append, "--trigger"), _data(data, mistakes)
    if count < 1:
        mistakes.append(Mistake("--images", "must be >= 1", count, "Ask for one or more."))
    if mistakes:
        raise UserError(mistakes)
    try:
        source = load_source(described)
    except UserError as error:
        raise _of_data(error, described) from None
    parts = split(described, source, SEED)
    ids = one_a_class(parts.test, source.labels, count)
    donors = DonorImages("training", SEED, source.images, parts.train, parts.train)
    images, labels = torch.from_numpy(source.images[ids]), torch.from_numpy(source.labels[ids])
    chosen = _every_kind(source.shape, say) if given == ALL else _named(given, source.shape)
    shown = []
    for trigger in chosen:
        mark = trigger.for_seed(SEED).lent(donors).for_test()
        stamped = stamp_checked(mark, images, torch.from_numpy(ids), labels)
        shown.append((kind_label(trigger.identity()), stamped.numpy()))
    return source.images[ids], shown


def _data(text: str, mistakes: list[Mistake]) -> Any:
    try:
        return build_data(load_yaml(text, mistakes.append, "--data"))
    except UserError as error:
        mistakes += error.inside("--data").mistakes
        return None


def _of_data(error: UserError, data: Any) -> UserError:
    """What is wrong with the files, placed at --data: there is no --set to give a root with."""
    remedy = f"Say where they lie: --data '{{kind: {data.kind_name()}, root: FOLDER}}'."
    return UserError(
        (replace(m, remedy=remedy) if m.place == "root" and m.value is None else m).inside("--data")
        for m in error.mistakes
    )


def _every_kind(shape: tuple[int, int, int], say: Callable[[str], None]) -> list[Trigger]:
    fitting = []
    for name in TRIGGERS.kinds():
        trigger = TRIGGERS.build(name)
        if mistakes := list(trigger.fits(shape)):
            say(f"note: without {name}: {mistakes[0]}")
        else:
            fitting.append(trigger)
    return fitting


def _named(given: Any, shape: tuple[int, int, int]) -> Sequence[Trigger]:
    """The triggers of YAML; every mistake of all of them."""
    built, mistakes = list[Trigger](), list[Mistake]()
    for index, entry in enumerate(given if isinstance(given, list) else [given]):
        try:
            trigger = TRIGGERS.build(entry)
            if wrong := list(trigger.fits(shape)):
                raise UserError(wrong)
            built.append(trigger)
        except UserError as error:
            mistakes += error.inside(f"--trigger[{index}]").mistakes
    if mistakes or not built:
        rule, remedy = "must name a trigger", "For example --trigger all."
        raise UserError(mistakes or [Mistake("--trigger", rule, given, remedy)])
    return built
