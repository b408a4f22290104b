"""A trained model as files that anybody can read: weights, a program, and a description.

    model.safetensors   the weights, a state dict of the architecture's module
    model.pt2           the program from images to logits, normalization included. It needs nothing
                        but torch: `torch.export.load("model.pt2").module()`, for any batch size
    config.json         what the model is, for `load_model` and for people

Nothing in them is pickled. `torch.export.load` itself warns that it can unpickle: like any
program, a model.pt2 should come from somebody you trust. `load_model` never opens it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from backdoor.architectures import Shape
from backdoor.architectures.frozen_features import Featured, Features
from backdoor.config import Attack, TrialConfig
from backdoor.datasets.source import load_source
from backdoor.engines import Fitted, Ids, Member, classes_of
from backdoor.errors import BackdoorSweepsError, Mistake, StoredDataError
from backdoor.image_store.store import ImageStore
from backdoor.result import TrialResult
from backdoor.settings.registry import ARCHITECTURES
from backdoor.settings.schema import build_fields
from backdoor.trial import run_pack

MODEL_VERSION = 1
WEIGHTS, PROGRAM, CONFIG = "model.safetensors", "model.pt2", "config.json"
#: A saved model is checked on so many clean test images, and on so many of every trigger.
CHECKED = 1000
BATCH = 250
#: What loading raises for files that are missing, damaged, or do not fit each other.
UNREADABLE = (
    *(OSError, RuntimeError, LookupError, TypeError, ValueError),
    *(SafetensorError, BackdoorSweepsError),
)


class Classifier(nn.Module):
    """A network and its normalization: images (n, c, h, w) uint8 to logits (n, classes).

    scale, shift: (c, 1, 1) float32; the network sees image * scale - shift.
    """

    def __init__(self, network: nn.Module, scale: torch.Tensor, shift: torch.Tensor) -> None:
        super().__init__()
        self.network = network
        self.dtype = next(network.parameters()).dtype
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)
        self.scale: torch.Tensor
        self.shift: torch.Tensor

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = images.to(torch.float32) * self.scale - self.shift
        logits: torch.Tensor = self.network(x.to(self.dtype))
        return logits


def make_classifier(
    architecture: Mapping[str, Any],
    shape: Shape,
    classes: int,
    state: Mapping[str, torch.Tensor],
    scale: torch.Tensor,
    shift: torch.Tensor,
    features: Features | None = None,
) -> Classifier:
    """The module of an architecture's identity with trained weights, on the CPU, for evaluation.

    With `features`, the state is that of a `Featured`, and scale and shift do not change pixels.
    """
    shape = shape if features is None else features.shape
    network = ARCHITECTURES.build(architecture).build(shape, classes)
    if features is not None:
        network = Featured(features.build(), network)
    network.load_state_dict({name: tensor.cpu() for name, tensor in state.items()})
    return Classifier(network, scale.cpu(), shift.cpu()).eval()


# --- training one ------------------------------------------------------------------------------


@dataclass(frozen=True)
class TrainedModel:
    """One trial's model.

    images: (m, c, h, w) uint8, some of its clean and triggered test images. answers: (m,) int64,
    the classes that it predicted for them.
    """

    config: TrialConfig
    result: TrialResult
    classifier: Classifier
    class_names: tuple[str, ...]
    images: torch.Tensor
    answers: Ids


def train_model(
    config: TrialConfig, measures: Sequence[Attack] = (), *, device: str = "cpu", threads: int = 1
) -> TrainedModel:
    """Trains and measures one trial as `run_pack` does, and keeps its model."""
    kept: list[tuple[Classifier, torch.Tensor, Ids]] = []
    names = load_source(config.data).class_names

    def keep(fitted: Fitted, members: Sequence[Member], store: ImageStore) -> None:
        scale, shift = store.normalization
        state, features = fitted.state(0), config.training.features
        if features is not None:
            state = _with_features(features, state)
            scale, shift = torch.ones(1, 1, 1), torch.zeros(1, 1, 1)
        identity = config.defence.architecture.identity()
        how = (state, scale, shift, features)
        model = make_classifier(identity, store.shape, len(names), *how)
        shown = [members[0].test, *(triggered.rows for triggered in members[0].triggered)]
        rows = np.concatenate([part[:CHECKED] for part in shown])
        kept.append((model, store.uint8(rows).contiguous().cpu(), fitted.predict(0, rows)))

    (result,) = run_pack([config], measures, device=device, threads=threads, on_trained=keep)
    return TrainedModel(config, result, kept[0][0], names, *kept[0][1:])


def _with_features(
    features: Features, state: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The state of a learner and of its feature extractor, see `Featured`."""
    frozen = {f"extractor.{name}": t for name, t in features.load().state_dict().items()}
    return {**frozen, **{f"learner.{name}": tensor for name, tensor in state.items()}}


# --- writing and reading -----------------------------------------------------------------------


def weights_of(classifier: Classifier) -> bytes:
    """The content of model.safetensors."""
    state = classifier.network.state_dict()
    return safetensors.torch.save({k: v.detach().contiguous() for k, v in state.items()})


def program_of(classifier: Classifier, shape: Shape) -> bytes:
    """The content of model.pt2. A network that torch cannot export raises an error of torch's."""
    example = torch.zeros(2, *shape, dtype=torch.uint8)
    batch = {0: torch.export.Dim("n", min=1)}
    program = torch.export.export(classifier, (example,), dynamic_shapes=(batch,))
    program.example_inputs = None  # they would be pickled
    stream = io.BytesIO()
    torch.export.save(program, stream)
    return stream.getvalue()


def answers_of(program: bytes, images: torch.Tensor) -> Ids:
    """Classes (m,) that a model.pt2 of this content predicts for images (m, c, h, w) uint8."""
    module = torch.export.load(io.BytesIO(program)).module()
    with torch.no_grad():
        return classes_of(torch.cat([module(chunk) for chunk in torch.split(images, BATCH)]))


def describe_model(model: TrainedModel) -> dict[str, Any]:
    """What config.json must hold for `load_model`, as plain values."""
    classifier, training = model.classifier, model.config.training
    features = training.features
    return {
        "schema_version": MODEL_VERSION,
        "architecture": model.config.defence.architecture.identity(),
        "input": {"shape": list(model.images.shape[1:]), "dtype": "uint8", "range": [0, 255]},
        "normalization": {
            "kind": "none" if features is not None else training.normalization,
            "rule": "image * scale - shift, per channel",
            "scale": classifier.scale.flatten().tolist(),
            "shift": classifier.shift.flatten().tolist(),
        },
        "class_names": list(model.class_names),
        **({} if features is None else {"features": features.identity()}),
    }


def load_model(folder: Path | str) -> Classifier:
    """The model saved in `folder`, from config.json and model.safetensors.

    Raises:
        StoredDataError: a file is missing, damaged, or of another schema version.
    """
    config = _read_config(Path(folder) / CONFIG)
    weights = Path(folder) / WEIGHTS
    try:
        normal = config["normalization"]
        scale, shift = (torch.tensor(normal[key])[:, None, None] for key in ("scale", "shift"))
        state = safetensors.torch.load(weights.read_bytes())
        shape, classes = tuple(config["input"]["shape"]), len(config["class_names"])
        given = config.get("features")
        features = None if given is None else build_fields(Features, dict(given))
        how = (state, scale, shift, features)
        return make_classifier(config["architecture"], shape, classes, *how)
    except UNREADABLE as error:
        rule = f"must hold the weights that {CONFIG} beside it describes"
        why = " ".join(str(error).split())
        raise StoredDataError(
            Mistake(str(weights), rule, why, "Restore the folder, or train the model again.")
        ) from None


def _read_config(file: Path) -> dict[str, Any]:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        config = str(error)
    version = config.get("schema_version") if isinstance(config, dict) else config
    if version != MODEL_VERSION:
        rule = f"must describe a model with schema version {MODEL_VERSION}"
        remedy = "Name the folder that `sweeps train` wrote, by the release that wrote it."
        raise StoredDataError(Mistake(str(file), rule, version, remedy))
    found: dict[str, Any] = config
    return found
