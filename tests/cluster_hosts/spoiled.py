"""Ways in which a host of a lab is bad, and the data that good ones have."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from cluster_hosts.lab import DISK, HOME, Host

#: Where hosts have the data, and how a spec says that.
IMAGES = f"{HOME}/images"
DATA: Mapping[str, Any] = {"kind": "image_folder", "root": IMAGES}
#: What a program says whose driver does not fit its CUDA, and one whose GPU fails.
NO_LIBRARY = "libcudart.so.12: cannot open shared object file: No such file or directory"
FAILING_GPU = "CUDA error: uncorrectable ECC error encountered"


def give_images(*hosts: Host) -> None:
    """Makes the same 64 images of two classes on each."""
    for host in hosts:
        draws = np.random.default_rng(1)
        for number in range(64):
            label = number % 2
            pixels = draws.integers(0, 100, (8, 8)) + 100 * label
            file = host.path(f"{IMAGES}/{('dark', 'light')[label]}/{number:03d}.png")
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(file)


def no_data(host: Host) -> None:
    """Its images are not there, as where a mount is missing."""
    host.shell(f"rm -rf {IMAGES}")


def read_only_disk(host: Host) -> None:
    """Nothing can be written but Ray's own folder, without which no Ray would run."""
    host.make_read_only(DISK)
    host.make_read_only(HOME)


def no_torch(host: Host) -> None:
    """Torch is installed, and cannot be imported."""
    host.write(f"{HOME}/torch.py", f"raise ImportError({NO_LIBRARY!r})\n")
    host.shell(f"mount --bind {HOME}/torch.py {shlex.quote(str(Path(torch.__file__)))}")


def failing_gpu(host: Host) -> None:
    """Each training fails in CUDA, which no check of the node shows: see `marks.Slow`."""
    host.write(f"{HOME}/failing_gpu", FAILING_GPU)


#: Name of a bad host → how it is spoiled, and what has to be said of it.
KINDS: dict[str, tuple[Callable[[Host], None], str]] = {
    "nodata": (no_data, IMAGES),
    "readonly": (read_only_disk, "read-only file system"),
    "notorch": (no_torch, NO_LIBRARY),
    "badgpu": (failing_gpu, FAILING_GPU),
}
