"""What a worker with CIFAR-10 holds of its own, beside the data that all workers share.

Two workers at once train on the whole set. Each figure is the highest USS (memory that no other
process shares) while a pack runs, above that of the same process when it has imported everything
and done a small pack. Model and activations are what the same training takes on 256 images, less
those images. The convnet takes an epoch and is evaluated; the ResNet takes a few steps of one.
CIFAR10=DIR has the set as *.parquet; without it, random images of the same number and shape go
through the same cache. Only Linux reports what is measured here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from throughput import Row, selected
from trials import trial

from backdoor.config import Training, TrialConfig, build_data
from backdoor.datasets.source import load_source
from backdoor.engines.serial import EpochImages
from backdoor.image_store import store as store
from backdoor.trial import prepare, run_pack

HERE = Path(__file__).parent
ROLLUP = Path("/proc/self/smaps_rollup")
#: Seconds between two looks at the memory; one takes milliseconds.
EVERY = 0.05
BATCH = 128
SHAPE, TRAIN, TEST, VALIDATION = (32, 32, 3), 50_000, 10_000, 1000
#: Training and test images of a worker, and of the one that measures the model's share. Networks
#: are evaluated on 1,000 images at a time.
WHOLE, FEW = (TRAIN - VALIDATION, TEST), (256, 1000)
#: Architecture, and after how many steps to stop.
NETWORKS = {"convnet": ("convnet", None), "ResNet-18": ("resnet18", 2)}


class EnoughError(Exception):
    """So many steps were asked for."""


def rows() -> Iterator[Row]:
    """Ratios of 1.2 x model and activations to what each of the two workers holds."""
    for network in NETWORKS:
        name = f"worker memory, CIFAR-10, {network}"
        if selected(name) and ROLLUP.exists():
            with tempfile.TemporaryDirectory() as folder:
                (alone,) = _at_once(Path(folder), network, [FEW])
                whole = _at_once(Path(folder), network, [WHOLE, WHOLE])
            ratios = tuple(1.2 * alone / own for own in whole)
            yield Row(name, min(ratios), 1.0, ratios)


def _data(folder: Path) -> dict[str, object]:
    """A source of CIFAR-10's size."""
    if given := os.environ.get("CIFAR10"):
        return {"kind": "parquet", "root": given, "validation": VALIDATION}
    file = folder / "random.npz"
    if not file.exists():
        rng = np.random.default_rng(0)
        np.savez(
            file, images=rng.integers(0, 256, (TRAIN, *SHAPE), np.uint8),
            labels=rng.integers(0, 10, TRAIN), test_labels=rng.integers(0, 10, TEST),
            test_images=rng.integers(0, 256, (TEST, *SHAPE), np.uint8),
        )  # fmt: skip
    return {"kind": "arrays", "root": str(file), "validation": VALIDATION}


def _at_once(folder: Path, network: str, sizes: Sequence[tuple[int, int]]) -> list[int]:
    """Bytes that each worker holds at most, one for each pair of training and test images."""
    data = _data(folder)
    # This process maps the whole set, too: so none of its pages is a worker's own.
    shared = load_source(build_data(data))
    assert shared.images.any(axis=(1, 2, 3)).all()
    paths = [str(HERE.parents[1]), str(HERE.parent), str(HERE)]
    environment = dict(os.environ) | {"PYTHONPATH": os.pathsep.join(paths)}
    started = []
    for size in sizes:
        code = f"import rows_memory; rows_memory.main({network!r}, {json.dumps(data)!r}, *{size})"
        command = [sys.executable, "-c", code]
        started.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        )
    printed = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise RuntimeError(f"a worker on {network} ended with an error")
    return [int(text.splitlines()[-1]) for text in printed]


# --- in the worker -------------------------------------------------------------------------------


def main(network: str, data: str, train: int, test: int) -> None:
    """Prints the bytes that a pack takes at most, above those of a process that has done one."""
    architecture, steps = NETWORKS[network]
    training = Training(batch_size=BATCH, augmentation="crop_flip", normalization="standard")
    source = build_data(json.loads(data) | {"train": train, "test": test})
    config = trial(architecture, rate=0.1, trigger={"kind": "patch", "size": 3}, epochs=1,
                   data=source, training=training, learning_rate=0.01)  # fmt: skip
    run_pack([trial(epochs=1)])
    # A set as large as the whole is never normalised at once.
    uncopied = mock.patch.object(store, "FLOAT_BANK_BYTES", 0)
    with uncopied, _watched() as seen, suppress(EnoughError), _at_most(steps):
        run_pack([config])
    print(seen[-1] - seen[0] - (_copied(config) if (train, test) == FEW else 0))


def _copied(config: TrialConfig) -> int:
    """Bytes of the images of a small pack, which are copied."""
    _, own = prepare([config], (), load_source(config.data))
    return own._own.numel()


@contextmanager
def _at_most(steps: int | None) -> Iterator[None]:
    """Ends a training when it asks for one batch more."""
    real = EpochImages.batch

    def batch(self: EpochImages, start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
        if steps is not None and start >= steps * BATCH:
            raise EnoughError
        return real(self, start, stop)

    with mock.patch.object(EpochImages, "batch", batch):
        yield


@contextmanager
def _watched() -> Iterator[list[int]]:
    """USS in bytes: first before, last the highest while it ran."""
    seen, done = [_uss()], threading.Event()

    def look() -> None:
        highest = seen[0]
        while not done.wait(EVERY):
            highest = max(highest, _uss())
        seen.append(highest)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()


def _uss() -> int:
    lines = [line.split() for line in ROLLUP.read_text().splitlines()]
    private = ("Private_Clean:", "Private_Dirty:")
    return sum(1024 * int(words[1]) for words in lines if words[0] in private)
