"""Pictures in a results folder of what the attacker does: test images, clean and with triggers."""

from __future__ import annotations

import io
from typing import TypedDict

import numpy as np
import numpy.typing as npt
from PIL import Image

from sweeps.pictures.sample_images import SampleImages
from sweeps.region.labels import kind_label
from sweeps.spec import SweepSpec
from sweeps.storage.files import refuse_links, write_atomic, write_json
from sweeps.storage.paths import SweepPaths

#: Images in a row of pictures, at most.
PICTURES = 6

#: A PNG file, the label of its trigger (None for a clean image), and the name of its class.
Picture = TypedDict("Picture", {"file": str, "trigger": str | None, "class": str})


def draw_gallery(spec: SweepSpec) -> tuple[dict[str, bytes], list[Picture]]:
    """PNG files by name, and an index: the same images clean and with each distinct trigger.

    Raises:
        UserError: the data cannot be read, or a trigger does not stamp as `Trigger.stamp` promises.
    """
    sample = SampleImages.of(spec.data, spec.seeds[0], PICTURES)
    rows: list[tuple[str | None, npt.NDArray[np.uint8]]] = [(None, sample.clean)]
    for trigger in dict.fromkeys(attack.trigger for attack in spec.panel):
        rows.append((kind_label(trigger.identity()), sample.stamped(trigger)))
    files: dict[str, bytes] = {}
    index: list[Picture] = []
    for row, (label, pictures) in enumerate(rows):
        for column, (picture, name) in enumerate(zip(pictures, sample.class_names, strict=True)):
            file = f"{'clean' if label is None else f'trigger-{row}'}-{column}.png"
            files[file] = _png(picture)
            index.append({"file": file, "trigger": label, "class": name})
    return files, index


def write_gallery(paths: SweepPaths, files: dict[str, bytes], index: list[Picture]) -> None:
    """Writes what `draw_gallery` returned."""
    refuse_links(paths.root, paths.pictures.name)
    for name, content in files.items():
        write_atomic(paths.pictures / name, content, follow=False)
    write_json(paths.gallery, {"images": index})


def _png(image: npt.NDArray[np.uint8]) -> bytes:
    """(c, h, w) uint8, one or three channels, as a PNG file."""
    pixels = image[0] if image.shape[0] == 1 else image[:3].transpose(1, 2, 0)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()
