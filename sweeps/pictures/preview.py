"""Test images of a data set, clean and with triggers, for a picture before any sweep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from backdoor.config import build_data
from backdoor.datasets import Dataset
from backdoor.errors import Mistake, UserError
from backdoor.settings.kind_checks import mistakes_of
from backdoor.settings.registry import TRIGGERS
from backdoor.triggers import Trigger
from sweeps.pictures.sample_images import SampleImages
from sweeps.region.labels import kind_label
from sweeps.space.yaml_loader import load_yaml

Images = npt.NDArray[np.uint8]
ALL = "all"
#: Of the split and of triggers that depend on a trial's seed.
SEED = 0


def show_triggers(
    triggers: str, data: str, count: int, say: Callable[[str], None] = lambda text: None
) -> tuple[Images, list[tuple[str, Images]]]:
    """Clean test images and the same with each trigger, by its label, all (n, c, h, w) uint8.

    triggers, data: YAML, or `all` for every kind with its defaults; kinds that do not fit the data
    are left out, and `say` is called with a note. count: most images, each of another class.

    Raises:
        UserError: every mistake in the arguments, or data that cannot be read.
    """
    mistakes: list[Mistake] = []
    given, dataset = load_yaml(triggers, mistakes.append, "--trigger"), _data(data, mistakes)
    if count < 1:
        mistakes.append(Mistake("--images", "must be >= 1", count, "Ask for one or more."))
    if mistakes or dataset is None:
        raise UserError(mistakes)
    try:
        sample = SampleImages.of(dataset, SEED, count)
    except UserError as error:
        raise _of_data(error, dataset) from None
    shape = sample.source.shape
    chosen = _every_kind(shape, say) if given == ALL else _named(given, shape)
    labels = [kind_label(trigger.identity()) for trigger in chosen]
    return sample.clean, [
        (label, sample.stamped(trigger)) for label, trigger in zip(labels, chosen, strict=True)
    ]


def _data(text: str, mistakes: list[Mistake]) -> Dataset | None:
    try:
        return build_data(load_yaml(text, mistakes.append, "--data"))
    except UserError as error:
        mistakes += error.inside("--data").mistakes
        return None


def _of_data(error: UserError, data: Dataset) -> UserError:
    """Mistakes about the files, placed at --data: this command has no --set for a root."""
    remedy = f"Say where they lie: --data '{{kind: {data.kind_name()}, root: FOLDER}}'."
    return UserError(
        (replace(m, remedy=remedy) if m.place == "root" and m.value is None else m).inside("--data")
        for m in error.mistakes
    )


def _every_kind(shape: tuple[int, int, int], say: Callable[[str], None]) -> list[Trigger]:
    fitting = []
    for name in TRIGGERS.kinds():
        trigger = TRIGGERS.build(name)
        if mistakes := mistakes_of(trigger, "fits", shape):
            say(f"note: without {name}: {mistakes[0]}")
        else:
            fitting.append(trigger)
    return fitting


def _named(given: Any, shape: tuple[int, int, int]) -> Sequence[Trigger]:
    """The triggers of YAML, or every mistake in all of them."""
    built, mistakes = list[Trigger](), list[Mistake]()
    for index, entry in enumerate(given if isinstance(given, list) else [given]):
        try:
            trigger = TRIGGERS.build(entry)
            if wrong := mistakes_of(trigger, "fits", shape):
                raise UserError(wrong)
            built.append(trigger)
        except UserError as error:
            mistakes += error.inside(f"--trigger[{index}]").mistakes
    if mistakes or not built:
        rule, remedy = "must name a trigger", "For example --trigger all."
        raise UserError(mistakes or [Mistake("--trigger", rule, given, remedy)])
    return built
