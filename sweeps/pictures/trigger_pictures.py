"""Pictures of what the attacker does: a few test images, clean and with every trigger."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from backdoor.datasets.source import load_source, split
from backdoor.errors import Mistake, UserError
from backdoor.triggers import Trigger
from backdoor.triggers.donors import DonorImages
from sweeps.region.labels import kind_label
from sweeps.spec import SweepSpec
from sweeps.storage.files import write_atomic, write_json
from sweeps.storage.paths import SweepPaths

PICTURES = 6


def draw_gallery(spec: SweepSpec) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """PNG files by name, and an index: the same images clean and with each distinct trigger.

    `UserError` where a trigger does not stamp as `Trigger.stamp` promises.
    """
    source = load_source(spec.data)
    parts = split(spec.data, source, spec.seeds[0])
    ids = one_a_class(parts.test, source.labels)
    images, labels = torch.from_numpy(source.images[ids]), torch.from_numpy(source.labels[ids])
    donors = DonorImages("training", spec.seeds[0], source.images, parts.train, parts.train)
    rows: list[tuple[str | None, torch.Tensor]] = [(None, images)]
    for trigger in dict.fromkeys(attack.trigger for attack in spec.panel):
        concrete = trigger.for_seed(spec.seeds[0]).lent(donors).for_test()
        stamped = stamp_checked(concrete, images, torch.from_numpy(ids), labels)
        rows.append((kind_label(trigger.identity()), stamped))
    files: dict[str, bytes] = {}
    index = []
    for row, (label, pictures) in enumerate(rows):
        for column, picture in enumerate(pictures):
            file = f"{'clean' if label is None else f'trigger-{row}'}-{column}.png"
            files[file] = _png(picture.numpy())
            name = source.class_names[int(source.labels[ids[column]])]
            index.append({"file": file, "trigger": label, "class": name})
    return files, index


def stamp_checked(
    trigger: Trigger, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """What the trigger stamps, held against its promise: it may be somebody else's."""
    place, rule = f"attack.trigger {trigger.kind_name()}", "must stamp (n, c, h, w) uint8 images"
    try:
        stamped = trigger.stamp(images, ids, labels)
    except Exception as error:
        value = f"{type(error).__name__}: {error}"
        raise UserError(Mistake(place, rule, value, "Mend its `stamp`.")) from error
    if stamped.shape != images.shape or stamped.dtype != torch.uint8:
        value = f"{tuple(stamped.shape)} {stamped.dtype}"
        raise UserError(Mistake(place, rule, value, "Mend its `stamp`."))
    return stamped


def write_gallery(paths: SweepPaths, files: dict[str, bytes], index: list[dict[str, Any]]) -> None:
    """Writes what `draw_gallery` drew."""
    for name, content in files.items():
        write_atomic(paths.pictures / name, content)
    write_json(paths.gallery, {"images": index})


def one_a_class(
    ids: npt.NDArray[np.int64], labels: npt.NDArray[np.int64], count: int = PICTURES
) -> npt.NDArray[np.int64]:
    """The first image of each of the first few classes that occur."""
    _, first = np.unique(labels[ids], return_index=True)
    return ids[first[:count]]


def _png(image: npt.NDArray[np.uint8]) -> bytes:
    """(c, h, w) uint8, one or three channels, as a PNG file."""
    pixels = image[0] if image.shape[0] == 1 else image[:3].transpose(1, 2, 0)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()
