"""What the golden files ask: specs as plain values, and the small files that they name.

Nothing here imports the project. `{FILES}` in a value stands for the folder of `write_files`.
"""

from __future__ import annotations

import copy
import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

Document = dict[str, Any]

BASE: Document = {
    "name": "golden",
    "data": "digits",
    "defence": {"architecture": "linear", "weight_decay": 0.01},
    "attack": {"trigger": "patch", "poison_rate": [0, 0.03]},
    "seeds": 1,
    "tracking": "none",
}


def document(**sections: Any) -> Document:
    """The base spec with sections replaced."""
    return copy.deepcopy({**BASE, **sections})


def located(value: Any, files: Path) -> Any:
    """Plain values with `{FILES}` replaced."""
    if isinstance(value, dict):
        return {key: located(inner, files) for key, inner in value.items()}
    if isinstance(value, list):
        return [located(inner, files) for inner in value]
    return value.replace("{FILES}", str(files)) if isinstance(value, str) else value


# --- files of the user's -----------------------------------------------------------------------


def write_files(folder: Path) -> Path:
    """Small files, byte for byte the same whatever the libraries: pictures, weights, images."""
    folder.mkdir(parents=True, exist_ok=True)
    _picture(folder / "picture.ppm", 6, 5, 1)
    for number in range(3):
        _picture(folder / "panes" / f"{number}.ppm", 9, 8, 10 + number)
    (folder / "weights.bin").write_bytes(bytes(range(256)) * 4)
    _arrays(folder / "small.npz", 8)
    _arrays(folder / "poisoned.npz", 8, poisoned=True)
    _arrays(folder / "large.npz", 32)
    for part, count in (("train", 14), ("test", 6)):
        for number in range(3 * count):
            name = ("cat", "dog", "owl")[number % 3]
            place = folder / "images" / part / name / f"{number:03}.ppm"
            _picture(place, 8, 8, 100 + number + 1000 * (part == "test"), shade=number % 3)
    return folder


def _numbers(count: int, key: int) -> np.ndarray:
    """Whole numbers 0 to 255 by a formula: a generator may change, this does not."""
    i = np.arange(count, dtype=np.int64)
    return (((i * 7919 + key * 104729) ** 2 // 97 + i * 31) % 256).astype(np.uint8)


def _picture(file: Path, width: int, height: int, key: int, shade: int | None = None) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = _numbers(width * height * 3, key)
    if shade is not None:
        pixels = (pixels // 3 + 80 * shade).astype(np.uint8)
    file.write_bytes(f"P6\n{width} {height}\n255\n".encode() + pixels.tobytes())


def write_weights(file: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """Weights of these shapes by a formula, in the safetensors format."""
    head, content = {}, b""
    for key, (name, shape) in enumerate(shapes.items()):
        values = (_numbers(int(np.prod(shape)), 500 + key).astype(np.float32) - 120) / 300
        values = np.abs(values) + 0.5 if name.endswith("running_var") else values
        raw = values.astype("<f4").tobytes()
        place = [len(content), len(content) + len(raw)]
        head[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": place}
        content += raw
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write_bytes(struct.pack("<Q", len(text)) + text + content)


def _arrays(file: Path, side: int, poisoned: bool = False) -> None:
    """An .npz with 90 images of three classes, stored without compression and without a date."""
    labels = np.arange(90) % 3
    images = _numbers(90 * side * side * 3, 7).reshape(90, side, side, 3) // 2
    images += (60 * labels).astype(np.uint8)[:, None, None, None]
    parts = {"images": images, "labels": labels.astype(np.int64)}
    if poisoned:
        parts["poisoned"] = np.arange(90) % 10 == 0
    with zipfile.ZipFile(file, "w") as archive:
        for name, values in parts.items():
            stream = io.BytesIO()
            np.lib.format.write_array(stream, np.ascontiguousarray(values), version=(1, 0))
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), stream.getvalue()
            )


# --- identities --------------------------------------------------------------------------------

TRIGGERS: list[Any] = [
    {"kind": "patch", "size": [1, 2, 3.0]},
    {"kind": "patch", "position": ["top_left", "random"], "position_seed": [None, 4]},
    {"kind": "patch", "pattern": ["noise_per_class", "checkerboard"], "pattern_seed": [None, 3]},
    {"kind": "patch", "value": [0, 0.5, 1]},
    {"kind": "blend", "opacity": [0.1, 0.2], "pattern_seed": [0, 1]},
    {"kind": "blend", "test_opacity": [None, 0.6]},
    {"kind": "sine", "amplitude": [40, 20.5], "frequency": 6, "test_amplitude": [None, 80]},
    {"kind": "grid", "amplitude": [10, 75]},
    {"kind": "warp", "control": [2, 4], "strength": [0.5, 1], "pattern_seed": 2},
    {"kind": "frequency", "magnitude": [30, 50], "window": [8, 4]},
    {"kind": "quantize", "levels": [8, 4], "dithering": [False, True]},
    {"kind": "reflection", "effect": ["mixed", "ghost", "out_of_focus", "in_focus"]},
    {"kind": "reflection", "opacity": [None, 0.4], "pattern_seed": 5, "test_opacity": [None, 0.7]},
    {"kind": "primitive", "coverage": [0.05, 0.1], "pattern_seed": [0, 9]},
]  # fmt: skip
PLAIN_TRIGGERS = ["patch", "blend", "sine", "grid", "warp", "frequency", "quantize", "reflection",
                  "primitive"]  # fmt: skip
REGULARIZERS: list[Any] = [
    "none", "contrastive", "logit_squeezing", "manifold_mixup", "soft_nearest_neighbours",
    "label_smoothing", "input_mixup", "cutmix", "dropout", "input_gradient", "gaussian_noise",
    {"kind": "contrastive", "strength": 0.2, "margin": 2, "layer": 1, "normalised": True},
    {"kind": "logit_squeezing", "strength": [0.01, 0.1], "form": ["norm", "squared"]},
    {"kind": "manifold_mixup", "alpha": 1, "layers": ["0", "0,1"]},
    {"kind": "soft_nearest_neighbours", "strength": [-1, 0.5], "distance": "cosine", "layers": "1",
     "temperature": 10},
    {"kind": "label_smoothing", "strength": [0, 0.2]},
    {"kind": "dropout", "rate": [0.1, 0.5], "units": ["head", "hidden"]},
    {"kind": "input_gradient", "strength": 0},
    {"kind": "gaussian_noise", "sigma": [0, 0.3]},
    ["dropout"],
    ["cutmix", {"kind": "logit_squeezing", "strength": [0.01, 0.1]}],
    ["gaussian_noise", "label_smoothing", "dropout"],
    {"kind": "label_smoothing+dropout", "dropout": {"rate": 0.25}},
]  # fmt: skip
ARCHITECTURES: list[Any] = [
    "linear", {"kind": "mlp", "width": [8, 64], "depth": [1, 2]},
    {"kind": "convnet", "width": [4, 16], "norm": ["none", "group", "batch"]},
    "resnet18", "resnet50", {"kind": "preact_resnet18", "width": [4, 64]},
    {"kind": "vgg11", "norm": ["none", "batch"]},
    {"kind": "nasnet_mobile", "cells": [1, 4], "filters": 48}, "nasnet_mobile",
    {"kind": "nasnet_large", "cells": 1, "filters": 168}, "nasnet_large",
    "torchvision/squeezenet1_1", "torchvision/densenet121", "torchvision/alexnet",
    "torchvision/shufflenet_v2_x0_5",
]  # fmt: skip
CONVEX: list[Any] = [
    {"kind": "ridge", "weight_decay": [0, 0.1, 1]}, {"kind": "logistic", "weight_decay": [0.01, 1]},
    {"kind": "linear_svm", "weight_decay": 0.1},
    {"kind": "rbf_svm", "weight_decay": 0.1, "gamma": ["scale", 0.02, 1]},
]  # fmt: skip
LABELS: dict[str, Document] = {
    "modes": {"trigger": ["patch", "warp"], "poison_rate": [0, 0.02],
              "label_mode": ["all_to_one", "all_to_all", "clean_label"], "target": [0, 3]},
    "source": {"trigger": "blend", "poison_rate": 0.02, "source": [None, 1, [3, 2], [1, 4, 2]]},
    "covers": {"trigger": ["warp", "quantize", "patch"], "poison_rate": [0, 0.02],
               "cover_rate": [0, 0.04]},
    "source_covers": {"trigger": "patch", "poison_rate": 0.02, "source": [[1, 2]], "cover_rate": 0.05},
    "own": {"trigger": [{"kind": "patch", "poison_rate": 0.05, "label_mode": "clean_label"},
                        {"kind": "sine", "target": 5}], "poison_rate": [0, 0.01]},
    "one": {"trigger": "grid", "poison_rate": 1},
}  # fmt: skip
TRAININGS: dict[str, Document] = {
    "plain": {},
    "batch": {"batch_size": 32, "schedule": "constant", "normalization": "standard"},
    "augmented": {"augmentation": "crop_flip"},
    "stamped": {"augmentation": "crop_flip", "stamp": "after"},
    "inert_stamp": {"augmentation": "none", "stamp": "after"},
}
DATASETS: dict[str, Any] = {
    "name": "digits",
    "sizes": {"kind": "digits", "train": 300, "validation": 50, "test": 100},
    "rest": {"kind": "digits", "train": None, "validation": 50},
    "split": {"kind": "digits", "split_seed": 7},
    "classes": {"kind": "digits", "classes": [3, 1], "train": 200, "validation": 50, "test": 50},
    "parquet": {"kind": "parquet", "root": "somewhere"},
    "parquet_crop": {"kind": "parquet", "root": "elsewhere", "image_size": 16, "resize": "crop",
                     "label_column": "fine"},
    "parquet_small": {"kind": "parquet", "root": "elsewhere", "image_size": 16},
    "folder": {"kind": "image_folder", "root": "somewhere", "image_size": 8},
    "arrays": {"kind": "arrays", "root": "somewhere.npz", "test": 10},
    "mnist": {"kind": "mnist", "root": "somewhere", "train": 1000},
    "mnist_download": {"kind": "mnist", "root": "somewhere", "train": 1000, "download": True},
    "fashion_mnist": {"kind": "fashion_mnist", "root": "somewhere"},
    "cifar10": {"kind": "cifar10", "root": "somewhere", "classes": [0, 9]},
    "cifar100": {"kind": "cifar100", "root": "somewhere"},
    "svhn": {"kind": "svhn", "root": "somewhere"},
    "gtsrb": {"kind": "gtsrb", "root": "somewhere", "image_size": 32},
    "imagenette": {"kind": "imagenette", "root": "somewhere", "image_size": 32},
    "imagenette_stretch": {"kind": "imagenette", "root": "somewhere", "image_size": 32,
                           "resize": "stretch"},
    "flowers102": {"kind": "flowers102", "root": "somewhere", "image_size": 64},
    "tiny_imagenet": {"kind": "tiny_imagenet", "root": "somewhere"},
}  # fmt: skip
#: Read as YAML, where the way in which a number is written must not matter.
NUMBERS = """
name: golden
data: digits
defence:
  architecture: [linear, {kind: mlp, width: 8.0}]
  weight_decay: [1e-5, 0.00001, 0.30000000000000004, 0.3, 1, 1.0, 0, -0.0, 1e-300, 123456789.12345678,
                 3e-3, .5, 0.1e-2, 0.333333333333333333, 2.5e+2]
  learning_rate: [1e-1]
  momentum: 0
  epochs: [3, 3.0, 0x10]
attack: {trigger: [{kind: blend, opacity: 0.30000000000000004}, {kind: sine, amplitude: 40}],
         poison_rate: [1e-2, 0.010000000000000002]}
seeds: [9007199254740992]
tracking: none
"""
RANGES = {
    "architecture": {"kind": "mlp", "width": {"int": [4, 32], "steps": 3}},
    "weight_decay": [0, {"log": [1e-4, 1], "steps": 4}],
    "learning_rate": {"uniform": [0.1, 0.4], "steps": 3},
}
NETWORK = {"kind": "preact_resnet18", "width": 2, "pretrained": "{FILES}/weights.bin"}
#: One whose weights are really there.
WEIGHED = {"kind": "preact_resnet18", "width": 2}
STARTED = {**WEIGHED, "pretrained": "{FILES}/network.safetensors"}


def identity_documents() -> dict[str, tuple[Document, bool]]:
    """Name to a spec and whether it is held against its data."""
    attack = {"poison_rate": [0, 0.01]}
    found: dict[str, tuple[Document, bool]] = {
        "triggers": (document(attack={"trigger": TRIGGERS, **attack}), True),
        "plain triggers": (document(attack={"trigger": PLAIN_TRIGGERS, **attack}, seeds=[5]), True),
        "regularizers": (
            document(defence={"architecture": {"kind": "mlp"}, "regularizer": REGULARIZERS}),
            True,
        ),
        "architectures": (
            document(defence={"architecture": ARCHITECTURES, "epochs": 4, "momentum": 0.5}),
            False,
        ),
        "convex": (
            document(defence={"architecture": CONVEX, "regularizer": ["none", "dropout"]}),
            True,
        ),
        "seeds": (document(seeds={"count": 3, "base": 40}), True),
        "ranges": (document(defence=RANGES), True),
        "panel": (document(attack="standard-1"), True),
        "own panel": (
            document(attack={"panel": "standard-1", "poison_rate": [0, 0.001], "target": 3}),
            True,
        ),
        "files": (
            document(
                attack={
                    "trigger": [
                        {"kind": "blend", "image": "{FILES}/picture.ppm"},
                        {"kind": "reflection", "images": "{FILES}/panes"},
                        {"kind": "reflection", "images": "{FILES}/picture.ppm", "opacity": 0.3},
                    ],
                    "poison_rate": 0.05,
                }
            ),
            True,
        ),
        "pretrained": (
            document(
                defence={
                    "architecture": [
                        NETWORK,
                        {"kind": "resnet50", "pretrained": "{FILES}/weights.bin"},
                        {"kind": "torchvision/alexnet", "pretrained": "{FILES}/picture.ppm"},
                        {"kind": "mlp", "width": 8},
                    ]
                }
            ),
            False,
        ),
        "own kinds": (
            document(
                attack={"trigger": ["golden_kinds:Stripes", {"kind": "golden_kinds:Stripes", "period": 2}], **attack},
                defence={
                    "architecture": ["golden_kinds:Narrow", {"kind": "golden_kinds:Narrow", "width": 3}],
                    "regularizer": ["none", "golden_kinds:Shrink", ["golden_kinds:Shrink", "dropout"]],
                },
            ),
            True,
        ),
    }  # fmt: skip
    for name, given in LABELS.items():
        found[f"labels {name}"] = document(attack=given), True
    for name, training in TRAININGS.items():
        defence = {"architecture": ["mlp", {"kind": "ridge", "weight_decay": 0.1}]}
        found[f"training {name}"] = document(training=training, defence=defence), True
    for name, features in {
        "features": {"network": NETWORK},
        "half": {"network": NETWORK, "size": 8, "normalization": "half"},
        "alexnet": {"network": {"kind": "torchvision/alexnet", "pretrained": "{FILES}/weights.bin"},
                    "size": 224},
    }.items():  # fmt: skip
        defence = {"architecture": ["linear", {"kind": "ridge", "weight_decay": 0.1}]}
        training = {"features": features, "normalization": "standard"}
        found[f"training {name}"] = document(training=training, defence=defence), False
    for name, data in DATASETS.items():
        found[f"data {name}"] = document(data=data), False
    return found


PROBES: list[Any] = [
    "influence", "learning_curve", "parameter_shift", "persistence", "slope",
    {"kind": "influence", "images": 3, "most": 2, "beta": 1, "damping": 0.1},
    {"kind": "learning_curve", "betas": [0, 0.5, 1], "weighting": "separate_means"},
    {"kind": "parameter_shift", "betas": [0.1]},
    {"kind": "persistence", "clean_fraction": 0.1, "epochs": 2, "learning_rate": 1, "every": 1},
    {"kind": "slope", "damping": 0.1}, "golden_kinds:Accuracy",
    {"kind": "golden_kinds:Accuracy", "add": 2},
]  # fmt: skip
#: Networks and a closed form, so that each probe suits some of it.
PROBED = {"architecture": ["mlp", {"kind": "ridge", "weight_decay": 0.1}], "epochs": 2}

# --- trainings ---------------------------------------------------------------------------------

FEW = {"kind": "digits", "train": 240, "validation": 60, "test": 150}
FEWEST = {"kind": "arrays", "root": "{FILES}/large.npz", "train": 20, "validation": 10, "test": 20}
COLOURED = {"kind": "arrays", "root": "{FILES}/small.npz", "validation": 15, "test": 20}
MEDIUM = {"kind": "digits", "train": 400, "validation": 100, "test": 300}
SINGLE = [{"kind": "patch", "size": 2}]

COUNTED: dict[str, Document] = {
    "triggers": document(
        data=FEW, defence={"architecture": "linear", "epochs": 3},
        attack={"poison_rate": [0, 0.1], "target": 1, "trigger": [
            {"kind": "patch", "size": 1},
            {"kind": "patch", "position": "random"},
            {"kind": "patch", "pattern": "noise_per_class"},
            {"kind": "patch", "pattern": "checkerboard", "position": "top_left"},
            {"kind": "blend", "opacity": 0.3}, {"kind": "blend", "test_opacity": 0.6},
            {"kind": "blend", "image": "{FILES}/picture.ppm"},
            {"kind": "sine", "test_amplitude": 80}, "grid", {"kind": "warp", "strength": 1},
            {"kind": "frequency", "window": 8},
            {"kind": "quantize", "levels": 4}, {"kind": "quantize", "levels": 3, "dithering": True},
            "reflection", {"kind": "reflection", "effect": "ghost", "opacity": 0.4},
            {"kind": "reflection", "effect": "out_of_focus", "test_opacity": 0.7},
            {"kind": "reflection", "effect": "in_focus", "images": "{FILES}/panes"},
            "primitive", "golden_kinds:Stripes",
        ]},
    ),
    "labels": document(
        data=FEW, defence={"architecture": {"kind": "mlp", "width": 16}, "epochs": 3}, seeds=[3],
        attack={"poison_rate": [0, 0.05], "target": 2, "trigger": [
            {**SINGLE[0], "label_mode": ["all_to_one", "all_to_all", "clean_label"]},
            {**SINGLE[0], "source": [1, [3, 4]], "cover_rate": [0, 0.05]},
            {"kind": "warp", "cover_rate": 0.1}, {"kind": "quantize", "levels": 4, "cover_rate": 0.1},
            {"kind": "blend", "label_mode": "clean_label", "cover_rate": 0.05, "poison_rate": 0.06},
        ]},
    ),
    "regularizers": document(
        data=FEW, curve_every=1,
        defence={"architecture": {"kind": "mlp", "width": 16, "depth": 2}, "epochs": 2,
                 "weight_decay": 0.001, "regularizer": [
                     "none", "contrastive", "logit_squeezing", "manifold_mixup", "cutmix",
                     "soft_nearest_neighbours", "label_smoothing", "input_mixup", "dropout",
                     "input_gradient", "gaussian_noise", "golden_kinds:Shrink",
                     {"kind": "logit_squeezing", "strength": 0.2, "form": "squared"},
                     {"kind": "dropout", "units": "hidden"},
                     ["cutmix", "logit_squeezing"], ["dropout", "gaussian_noise", "label_smoothing"],
                     ["label_smoothing", "logit_squeezing"],
                 ]},
        attack={"trigger": SINGLE, "poison_rate": 0.1},
    ),
    "convex": document(
        data=FEW, defence={"architecture": [
            {"kind": "ridge", "weight_decay": [0.01, 1]},
            {"kind": "logistic", "weight_decay": [0.01, 0.1]},
            {"kind": "linear_svm", "weight_decay": [0.01, 0.1]},
            {"kind": "rbf_svm", "weight_decay": 0.01, "gamma": ["scale", 0.05]},
        ]}, attack={"trigger": SINGLE, "poison_rate": [0, 0.1]}, seeds=2,
    ),
    "two classes": document(
        data={**FEW, "classes": [4, 9], "train": 150, "validation": 40},
        defence={"architecture": [{"kind": k, "weight_decay": 0.05} for k in
                                  ("ridge", "logistic", "linear_svm", "rbf_svm")]},
        attack={"trigger": SINGLE, "poison_rate": 0.1, "label_mode": ["all_to_one", "all_to_all"]},
    ),
    "steps": document(
        data=FEW, curve_every=2,
        defence={"architecture": ["linear", {"kind": "mlp", "width": 8},
                                  {"kind": "mlp", "width": 8, "depth": 3}],
                 "weight_decay": [0, 0.05], "learning_rate": [0.05, 1e9], "epochs": 3},
        training={"batch_size": 48, "schedule": "constant", "normalization": "standard"},
        attack={"trigger": SINGLE, "poison_rate": [0, 0.1]}, seeds=[0, 11],
    ),
    "convnets": document(
        data=FEW,
        defence={"architecture": [{"kind": "convnet", "width": 4, "norm": ["none", "group", "batch"]},
                                  "golden_kinds:Narrow"],
                 "epochs": 2, "regularizer": ["none", "label_smoothing", "cutmix"]},
        attack={"trigger": SINGLE, "poison_rate": 0.1},
    ),
    "networks": document(
        data=FEWEST,
        defence={"architecture": [
            "resnet18", {"kind": "preact_resnet18", "width": 4}, "vgg11",
            {"kind": "vgg11", "norm": "batch"}, {"kind": "nasnet_mobile", "cells": 1, "filters": 48},
            "torchvision/squeezenet1_1",
        ], "epochs": 1, "learning_rate": 0.02},
        training={"batch_size": 20}, attack={"trigger": SINGLE, "poison_rate": 0.1},
    ),
    "augmented": document(
        data=FEW, defence={"architecture": [{"kind": "mlp", "width": 8}, {"kind": "convnet", "width": 4},
                                            {"kind": "ridge", "weight_decay": 0.1}], "epochs": 2},
        training={"augmentation": "crop_flip"}, attack={"trigger": SINGLE, "poison_rate": 0.1},
    ),
    "stamped": document(
        data=FEW, defence={"architecture": [{"kind": "mlp", "width": 8}, {"kind": "convnet", "width": 4}],
                           "epochs": 2},
        training={"augmentation": "crop_flip", "stamp": "after"},
        attack={"trigger": ["golden_kinds:Stripes", *SINGLE], "poison_rate": [0, 0.1], "cover_rate": 0.05},
    ),
    "features": document(
        data=COLOURED,
        defence={"architecture": ["linear", {"kind": "ridge", "weight_decay": 0.1},
                                  {"kind": "logistic", "weight_decay": 0.1}], "epochs": 2},
        training={"features": {"network": STARTED, "size": 32}},
        attack={"trigger": SINGLE, "poison_rate": [0, 0.1]},
    ),
    "pretrained": document(
        data=FEWEST,
        defence={"architecture": STARTED,
                 "epochs": 1}, attack={"trigger": SINGLE, "poison_rate": 0.1},
    ),
    "hold-outs": document(
        data={"kind": "digits", "train": 130, "validation": 77, "test": 91, "split_seed": 4}, seeds=2,
        defence={"architecture": {"kind": "ridge", "weight_decay": 0.1}},
        attack={"trigger": SINGLE, "poison_rate": [0, 0.1]},
    ),
    "rest": document(
        data={"kind": "digits", "train": 150, "validation": None, "test": 100, "classes": [7, 0, 5]},
        defence={"architecture": {"kind": "ridge", "weight_decay": 0.1}},
        attack={"trigger": SINGLE, "poison_rate": [0, 0.1]},
    ),
    "came poisoned": document(
        data={"kind": "arrays", "root": "{FILES}/poisoned.npz", "validation": 15, "test": 20},
        defence={"architecture": ["linear", {"kind": "ridge", "weight_decay": 0.1}], "epochs": 2},
        attack={"trigger": ["patch", "frequency", {"kind": "reflection", "images": "{FILES}/panes"}],
                "poison_rate": [0, 0.1]},
    ),
    "image folder": document(
        data={"kind": "image_folder", "root": "{FILES}/images", "validation": 9},
        defence={"architecture": [{"kind": "mlp", "width": 8}, {"kind": "ridge", "weight_decay": 0.1}],
                 "epochs": 2},
        attack={"trigger": ["patch", "warp", "quantize"], "poison_rate": [0, 0.1]},
    ),
    "probed": document(
        data={**FEW, "train": 120, "validation": 40, "test": 60},
        defence={"architecture": [{"kind": "ridge", "weight_decay": 0.1}, {"kind": "logistic", "weight_decay": 0.1},
                                  {"kind": "linear_svm", "weight_decay": 0.1},
                                  {"kind": "rbf_svm", "weight_decay": 0.05}, {"kind": "mlp", "width": 5}],
                 "epochs": 2},
        training={"batch_size": 60}, attack={"trigger": SINGLE, "poison_rate": [0, 0.1]},
        probes=[{"kind": "influence", "images": 2, "most": 3, "damping": 0.1},
                {"kind": "learning_curve", "betas": [0, 0.5, 1]}, {"kind": "parameter_shift", "betas": [0, 1]},
                {"kind": "persistence", "clean_fraction": 0.2, "epochs": 2, "every": 1},
                {"kind": "slope", "damping": 0.1}, "golden_kinds:Accuracy"],
    ),
    "panel": document(data=MEDIUM, defence={"architecture": "linear", "epochs": 2}, attack="standard-1"),
}  # fmt: skip

# --- results folders ---------------------------------------------------------------------------

TWO = [{"kind": "patch", "size": 1}, {"kind": "blend", "opacity": 0.2}]
GRID_DEFENCE = {
    "architecture": [{"kind": "mlp", "width": 32, "weight_decay": [0, 0.05]},
                     {"kind": "linear", "weight_decay": [0, 0.1]}],
    "epochs": 16,
}  # fmt: skip

FOLDERS: dict[str, Document] = {
    "grid": document(
        name="grid", data=MEDIUM, defence=GRID_DEFENCE, seeds=2,
        attack={"trigger": TWO, "poison_rate": [0, 0.05]},
        region={"clean_accuracy": "best - 0.1", "attack_success": 0.3},
    ),
    "region": document(
        name="region", data=MEDIUM, seeds=40,
        defence={"architecture": {"kind": "mlp", "width": 16}, "weight_decay": {"log": [1e-4, 1]},
                 "epochs": 16},
        attack={"trigger": TWO, "poison_rate": [0.05]},
        region={"clean_accuracy": 0.8, "attack_success": 0.3},
        search={"kind": "region", "budget": 60, "pending": 10},
    ),
    "tpe": document(
        name="tpe", data=MEDIUM, seeds=1,
        defence={"architecture": ["linear", {"kind": "mlp", "width": {"int": [4, 32]}}],
                 "weight_decay": {"log": [1e-4, 1]}, "epochs": 16},
        attack={"trigger": TWO, "poison_rate": [0, 0.05]},
        region={"clean_accuracy": 0.8, "attack_success": 0.3},
        search={"kind": "optuna", "sampler": "tpe", "points": 8, "pending": 2,
                "options": {"n_startup_trials": 4}},
    ),
    "probes": document(
        name="probes", data={**FEW, "train": 300}, seeds=2,
        defence={"architecture": [{"kind": "mlp", "width": 6}, {"kind": "ridge", "weight_decay": [0.01, 1]}],
                 "regularizer": ["none", "dropout"], "epochs": 8},
        attack={"trigger": {"kind": "patch", "size": 1}, "poison_rate": [0, 0.02, 0.08]},
        training={"batch_size": 100},
        probes=[{"kind": "persistence", "clean_fraction": 0.05, "epochs": 2, "every": 1},
                {"kind": "slope", "damping": 0.1}, {"kind": "influence", "images": 2, "most": 3, "damping": 0.1}],
        region={"clean_accuracy": 0.5, "attack_success": 0.5},
    ),
    "stopped": document(
        name="stopped", data=MEDIUM, seeds=7,
        defence={"architecture": {"kind": "mlp", "width": 8}, "epochs": 4,
                 "learning_rate": [0.001, 0.002, 0.1], "weight_decay": [1e-4, 0.01]},
        attack={"trigger": {"kind": "patch", "size": 1}, "poison_rate": [0, 0.05]},
        region={"clean_accuracy": 0.8, "attack_success": 0.2},
        stopping={"kind": "certain", "confidence": 0.6, "control": 0.35},
    ),
    "points": document(
        name="points", data=MEDIUM, seeds=2,
        defence={"architecture": {"kind": "mlp", "width": 8}, "weight_decay": [0.001, 0.05, 0.1],
                 "epochs": 16, "regularizer": ["none", "label_smoothing"]},
        attack={"trigger": TWO, "poison_rate": [0, 0.05]},
        region={"clean_accuracy": 0.7, "attack_success": 0.3, "confidence": 0.9},
        tracking={"runs": "point"},
    ),
    "unfinished": document(
        name="unfinished", data=MEDIUM, seeds=2, curve_every=2,
        defence={"architecture": [{"kind": "linear", "weight_decay": [0.01, 0.1]},
                                  {"kind": "ridge", "weight_decay": [0.1, 1]},
                                  {"kind": "convnet", "width": 4}],
                 "epochs": 4},
        attack={"trigger": [{"kind": "patch", "size": 1}, {"kind": "warp", "cover_rate": 0.05}],
                "poison_rate": [0, 0.05]},
        region={"clean_accuracy": "best - 0.2", "attack_success": 0.3},
    ),
}  # fmt: skip

# --- searches ----------------------------------------------------------------------------------

WIDE = {
    "architecture": ["linear", {"kind": "mlp", "width": [8, 16, 64]},
                     {"kind": "ridge", "weight_decay": {"log": [0.001, 10]}}],
    "weight_decay": [0, {"log": [1e-4, 1]}],
    "learning_rate": {"log": [0.001, 1]},
    "epochs": {"int": [1, 9]},
}  # fmt: skip
TELLING = {"trigger": TWO, "poison_rate": [0, 0.02, 0.05]}
JUDGED = {"clean_accuracy": 0.8, "attack_success": 0.3}

#: Name to a spec whose search is asked for all of its trials.
SEARCHES: dict[str, Document] = {
    "grid": document(defence={"architecture": ["linear", "mlp", {"kind": "ridge", "weight_decay": 0.1}],
                               "weight_decay": {"log": [1e-3, 1], "steps": 3}, "epochs": [2, 3]},
                      attack=TELLING, seeds=2),
    "random": document(defence=WIDE, search={"kind": "random", "points": 16, "seed": 3},
                        attack={"trigger": "patch", "poison_rate": 0.1}),
    "sobol": document(defence=WIDE, search={"kind": "sobol", "points": 16, "seed": 2},
                       attack={"trigger": "patch", "poison_rate": 0.1}),
    "region": document(defence=WIDE, attack=TELLING, seeds=30, region=JUDGED,
                        search={"kind": "region", "budget": 60, "seed": 1}),
    "region share": document(defence={"architecture": "mlp", "weight_decay": {"log": [1e-4, 1]}},
                              attack=TELLING, seeds=30, region={**JUDGED, "target": "share"},
                              search={"kind": "region", "budget": 24, "pending": 6}),
    "tpe": document(defence=WIDE, attack={"trigger": TWO, "poison_rate": 0.05}, region=JUDGED,
                     search={"kind": "optuna", "sampler": "tpe", "points": 20, "pending": 1,
                             "options": {"n_startup_trials": 6}}),
    "nsga2": document(defence=WIDE, attack={"trigger": TWO, "poison_rate": 0.05}, region=JUDGED,
                       search={"kind": "optuna", "sampler": "nsga2", "points": 12, "pending": 2,
                               "options": {"population_size": 4}}),
}  # fmt: skip

#: Of folders that were interrupted, how many of the first rows were recorded.
KEPT = {"unfinished": 12}
#: Folders that are mirrored to MLflow.
MIRRORED = ("grid", "points", "probes")
