"""Runs probes on trained models and records their results.

If a probe fails, only its own result is lost; the error is part of the record.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence

import torch

from backdoor.datasets.source import Source
from backdoor.engines import Fitted, Member
from backdoor.image_store.store import ImageStore
from backdoor.probes.base import Probe, ProbedModel, ProbeResult
from backdoor.result import FAILED, FOUND, NOTHING, ProbeRecord, Value
from backdoor.settings.kind_checks import mistakes_of
from backdoor.settings.users_errors import raised_by_users
from backdoor.working_on import working_on

#: Maximum length of an error message.
ERROR_LENGTH = 2000


def probe_models(
    probes: Sequence[Probe],
    fitted: Fitted,
    members: Sequence[Member],
    store: ImageStore,
    source: Source,
) -> list[tuple[ProbeRecord, ...]]:
    """For each member, the records of all probes, in their order. Gradients are enabled."""
    found = []
    for i, member in enumerate(members):
        with torch.enable_grad(), working_on([member.config.trial_id]):
            model = ProbedModel(fitted, i, member, store, source)
            found.append(tuple(_record(probe, model) for probe in probes))
    return found


def _record(probe: Probe, model: ProbedModel) -> ProbeRecord:
    started, identity = time.perf_counter(), probe.identity()

    def seconds() -> float:
        return time.perf_counter() - started

    try:
        result = None if mistakes_of(probe, "suits", model.config) else probe.study(model)
        columns = {} if result is None else _checked(result)
    except BaseException as error:  # whatever a probe raises, the trial itself is measured
        text = f"{type(error).__name__}: {' '.join(str(_cause(error)).split())}"[:ERROR_LENGTH]
        clean = text.encode("utf-8", "replace").decode()
        return ProbeRecord(identity, FAILED, {}, clean, seconds())
    outcome = NOTHING if result is None else FOUND
    return ProbeRecord(identity, outcome, columns, None, seconds())


def _cause(error: BaseException) -> object:
    """What is recorded of an error; what ends a process is raised again, unless a probe did it."""
    if isinstance(error, Exception):
        return error
    mistake = raised_by_users(error)
    if mistake is None:
        raise error
    return mistake


def _checked(result: ProbeResult) -> dict[str, tuple[Value, ...]]:
    """The columns as plain numbers and texts of equal length; infinite values become NaN."""
    given: object = result
    if not isinstance(given, ProbeResult) or not isinstance(result.columns, Mapping):
        raise TypeError(f"a probe returns what `found` returns, or None, not {given!r}")
    columns = {name: tuple(map(_plain, values)) for name, values in result.columns.items()}
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) != 1 or not max(lengths.values()):
        raise ValueError(f"columns of a result must have one length above 0, not {lengths}")
    return columns


def _plain(value: object) -> Value:
    value = value.item() if hasattr(value, "item") else value
    if not isinstance(value, (float, int, str)):
        raise TypeError(f"a result holds numbers and texts, not {type(value).__name__}")
    if isinstance(value, float) and not math.isfinite(value):
        return math.nan
    return int(value) if isinstance(value, bool) else value
