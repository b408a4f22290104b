"""Weights that somebody else trained, from a file: safetensors, or a state dict that torch saved.

Only tensors are unpickled. The names of the weights must be those of the network. If the file is
for another number of classes, the last layer of the network keeps its own, untrained weights.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from backdoor.datasets.files import listed
from backdoor.errors import Mistake, UserError
from backdoor.settings.user_file import UserFile

State = dict[str, torch.Tensor]

#: What torch raises for files that are damaged, not a state dict, or contain more than tensors.
UNREADABLE = (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError)
#: Keys under which training scripts store the state dict, and their prefix of its names.
WRAPPERS, PREFIX = ("state_dict", "model", "model_state_dict"), "module."
#: Classifiers that are used in training only; our networks do not have them.
AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")


def read_weights(file: UserFile, place: str) -> State:
    """The state dict in a file, on the CPU; `UserError` at `place` if there is none."""
    path = file.open(place)
    try:
        found: Any = _read(path)
    except (*UNREADABLE, SafetensorError) as error:
        raise _wrong(place, path, type(error).__name__) from None
    for wrapper in WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    tensors = isinstance(found, Mapping) and all(
        isinstance(value, torch.Tensor) for value in found.values()
    )
    if not tensors or not found:
        raise _wrong(place, path, "no mapping of tensors")
    return {str(name).removeprefix(PREFIX): value for name, value in found.items()}


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return safetensors.torch.load_file(path)
    with warnings.catch_warnings():
        # A file of another pickle protocol can be read, or it raises.
        warnings.filterwarnings("ignore", message="Detected pickle protocol")
        return torch.load(path, map_location="cpu", weights_only=True)


def _wrong(place: str, path: Path, why: str) -> UserError:
    rule = "must be weights: a .safetensors file, or a state dict saved by torch"
    remedy = f"Save them with torch.save(network.state_dict(), FILE) ({why})."
    return UserError(Mistake(place, rule, str(path), remedy))


def fitted_weights(state: State, module: nn.Module, head: str) -> State:
    """The part of a state dict that the module uses: all its weights, or all but those of `head`.

    Raises:
        ValueError: with the differences.
    """
    own = module.state_dict()
    parts = [f"{head}.{last}" for last in ("weight", "bias") if f"{head}.{last}" in own]
    other_classes = any(name in state and state[name].shape != own[name].shape for name in parts)
    left_out = set(parts if other_classes else ())
    given = {name: value for name, value in state.items() if not name.startswith(AUXILIARY)}
    lacking = [n for n in own if n not in given and not n.endswith("num_batches_tracked")]
    shapes = [
        f"{name} is {tuple(given[name].shape)} and not {tuple(value.shape)}"
        for name, value in own.items()
        if name in given and name not in left_out and given[name].shape != value.shape
    ]
    unknown = [name for name in given if name not in own]
    differences = [("lacks", lacking), ("has besides", unknown), ("differs in shape:", shapes)]
    if any(names for _, names in differences):
        texts = [f"{word} {listed(names)}" for word, names in differences if names]
        raise ValueError("; ".join(texts))
    return {name: value for name, value in given.items() if name not in left_out}
