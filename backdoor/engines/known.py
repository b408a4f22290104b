"""Which engine trains a trial, and which trials can be trained together."""

from __future__ import annotations

import functools

from backdoor.config import TrialConfig
from backdoor.engines.base import Engine
from backdoor.settings.digest import digest


def engine_of(config: TrialConfig) -> Engine:
    """The engine that trains this trial: that of its architecture, or the serial engine if that
    one does not support the kind of regularizer."""
    architecture, regularizer = config.defence.architecture, config.defence.regularizer
    if not architecture.takes_regularizer or regularizer.on_answers_alone:
        return engines()[architecture.trained_by()]()
    return engines()["serial"]()


@functools.cache
def engines() -> dict[str, type[Engine]]:
    """Name → class, of all engines. They are imported at the first call, which takes a second."""
    from backdoor.engines.convex import Convex
    from backdoor.engines.grouped import Grouped
    from backdoor.engines.logistic import LogisticEngine
    from backdoor.engines.packed import Packed
    from backdoor.engines.serial import Serial
    from backdoor.engines.svm import SvmEngine

    known: list[type[Engine]] = [Packed, Convex, LogisticEngine, SvmEngine, Grouped, Serial]
    return {engine.name: engine for engine in known}


def pack_key(config: TrialConfig) -> str:
    """Trials of equal key can be trained in one pack: equal shapes, equal number of steps."""
    defence = config.defence
    regularizer = defence.regularizer.pack_identity()
    training = config.training.active(defence.architecture)
    fields = defence.architecture.identity().items()
    shape: dict[str, object] = {
        "data": config.data.identity(),
        "architecture": {k: v for k, v in fields if k not in defence.architecture.pack_axes},
        "training": training,
    }
    if defence.architecture.trained_by_epochs:
        shape |= {"epochs": defence.epochs, "regularizer": regularizer}
    return digest("pack", shape)
