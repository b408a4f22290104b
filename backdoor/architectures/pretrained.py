"""Tensors in a file: safetensors, or what torch saved. Only tensors are unpickled."""

from __future__ import annotations

import pickle
import warnings
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from backdoor.architectures.pickled import objects_in, strings_in
from backdoor.errors import Mistake, UserError
from backdoor.reading.files import listed
from backdoor.settings.user_file import UserFile

State = dict[str, torch.Tensor]
#: Place in a file, such as `state_dict` or `model.ema`, empty for the file itself → its tensors.
Tables = dict[str, State]

#: What torch raises for files that are damaged, not a state dict, or contain more than tensors.
UNREADABLE = (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError)
#: Entries of the weights in the files of training scripts.
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network")


def read_weights(file: UserFile, place: str) -> Tables:
    """All tensors in a file, on the CPU; `UserError` at `place` if there are none."""
    path = file.open(place)
    try:
        found: Any = _read(path)
    except (*UNREADABLE, SafetensorError) as error:
        if objects := objects_in(path):
            raise _with_objects(place, path, objects) from None
        raise _wrong(place, path, type(error).__name__) from None
    tables = dict(_tables(found))
    if not tables:
        raise _wrong(place, path, "no mapping of tensors")
    return tables


def _tables(found: Any) -> Iterator[tuple[str, State]]:
    """Mappings of names to tensors, at any depth, each once."""
    waiting, seen = deque([("", found)]), set[int]()
    while waiting:
        place, value = waiting.popleft()
        if not isinstance(value, Mapping) or id(value) in seen:
            continue
        seen.add(id(value))
        state = {str(name): v for name, v in value.items() if isinstance(v, torch.Tensor)}
        if state:
            yield place, state
        waiting.extend((f"{place}.{n}" if place else str(n), v) for n, v in value.items())


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


def _with_objects(place: str, path: Path, objects: list[str]) -> UserError:
    """For a file that holds more than tensors, which we never unpickle."""
    strings = strings_in(path)
    entry = next((name for name in WRAPPERS if name in strings), WRAPPERS[0])
    network = any(name.startswith("torch.nn.modules.") for name in objects)
    whole = network and not strings & {"state_dict", "model_state_dict"}
    part = ".state_dict()" if whole else f"['{entry}']"
    new = str(path.with_name(f"{path.stem}-weights.pt"))
    code = f"torch.save(torch.load({str(path)!r}, 'cpu', weights_only=False){part}, {new!r})"
    rule = "must hold weights and no other objects, which could run any code when they are read"
    remedy = f"If you trust it, save its weights alone: `import torch; {code}`."
    return UserError(Mistake(place, rule, listed(objects), remedy))
