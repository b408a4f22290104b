"""BackdoorBench's BadNet training against ours, in processes in turn, each with two threads.

BACKDOORBENCH=DIR is a checkout of it, BACKDOORBENCH_PYTHON the interpreter that has what it
imports (by default this one); without a checkout these rows are left out. Both train the same
pre-activation ResNet-18 on the same images, in the same batches, with the same augmentation, and
are measured on the same test images, clean and triggered. Theirs is timed from the making of the
network to the last evaluation, ours from the choice of the poisoned images. The better of its variants
with 0 and 2 loader workers counts.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from peer_backdoorbench import BATCH, DATA_EPOCHS, THREADS
from synthetic import synthetic_source
from throughput import Row, selected
from trials import trial

from backdoor.config import Training, TrialConfig, build_data
from backdoor.datasets.source import load_source
from backdoor.engines import threads
from backdoor.engines.serial import EpochImages
from backdoor.trial import prepare, run_pack

HERE = Path(__file__).parent
PAIRS = 3
WORKERS = (0, 2)
TRAIN = "BackdoorBench's BadNet, PreActResNet18, vs ours"
DATA = "BackdoorBench's data path vs ours"
#: Images to train on and to test on: a hundredth of CIFAR-10, and a tenth for the data path.
IMAGES = {"train": (512, 100), "data": (4096, 100)}


def rows() -> Iterator[Row]:
    checkout = os.environ.get("BACKDOORBENCH")
    for name, part, required in ((TRAIN, "train", 1.0), (DATA, "data", 15.0)):
        if not selected(name):
            continue
        if checkout is None:
            print(f"left out, as BACKDOORBENCH names no checkout: {name}", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as folder:
            file = _images(Path(folder), *IMAGES[part])
            ratios = [_pair(Path(checkout).resolve(), file, part) for _ in range(PAIRS)]
        yield Row(name, statistics.median(ratios), required, tuple(ratios))


def _images(folder: Path, train: int, test: int) -> Path:
    source = synthetic_source(train + 10 + test, (3, 32, 32))
    images = source.images.transpose(0, 2, 3, 1)
    # Ten more than they train on: what we validate on is not trained on.
    np.savez(
        folder / "ours.npz", images=images[: train + 10], labels=source.labels[: train + 10],
        test_images=images[train + 10 :], test_labels=source.labels[train + 10 :],
    )  # fmt: skip
    np.savez(
        folder / "theirs.npz", images=images[:train], labels=source.labels[:train],
        test_images=images[train + 10 :], test_labels=source.labels[train + 10 :],
    )  # fmt: skip
    return folder


def _pair(checkout: Path, folder: Path, part: str) -> float:
    theirs = min(_theirs(checkout, folder, part, workers) for workers in WORKERS)
    return theirs / _ours(folder, part)


def _theirs(checkout: Path, folder: Path, part: str, workers: int) -> float:
    """In a folder that links to the checkout, so that nothing is written into the checkout."""
    python = os.environ.get("BACKDOORBENCH_PYTHON", sys.executable)
    with tempfile.TemporaryDirectory() as own:
        for entry in checkout.iterdir():
            if entry.name not in ("record", "data"):
                (Path(own) / entry.name).symlink_to(entry)
        (Path(own) / "record").mkdir()
        script, file = str(HERE / "peer_backdoorbench.py"), str(folder / "theirs.npz")
        return _seconds([python, script, file, part, "1", str(workers)], Path(own), "")


def _ours(folder: Path, part: str) -> float:
    paths = [str(HERE.parents[1]), str(HERE.parent), str(HERE)]
    code = f"import rows_peer; rows_peer.main({part!r}, {str(folder)!r})"
    return _seconds([sys.executable, "-c", code], folder, os.pathsep.join(paths))


def _seconds(command: Sequence[str], folder: Path, path: str) -> float:
    environment = dict(os.environ) | {"PYTHONPATH": path, "OMP_NUM_THREADS": str(THREADS)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)
    if done.returncode:
        raise RuntimeError(done.stderr[-4000:])
    return float(json.loads(done.stdout.splitlines()[-1])["seconds"])


def main(part: str, folder: str) -> None:
    """Prints our seconds as a line of JSON."""
    train, test = IMAGES[part]
    config = _config(Path(folder), train, test)
    load_source(config.data)  # theirs has its images in memory, too
    seconds = _trained(config) if part == "train" else _loaded(config)
    print(json.dumps({"seconds": seconds}))


def _config(folder: Path, train: int, test: int) -> TrialConfig:
    root = str(folder / "ours.npz")
    data = build_data({"kind": "arrays", "root": root, "train": train, "validation": 10})
    training = Training(batch_size=BATCH, augmentation="crop_flip", normalization="standard")
    return trial(
        "preact_resnet18", rate=0.1, trigger={"kind": "patch", "size": 3}, data=data,
        training=training, epochs=1, learning_rate=0.01, momentum=0.9, weight_decay=5e-4,
    )  # fmt: skip


def _trained(config: TrialConfig) -> float:
    """Poisoning, training, and the evaluation after its only epoch."""
    start = time.perf_counter()
    run_pack([config], threads=THREADS)
    return time.perf_counter() - start


def _loaded(config: TrialConfig) -> float:
    """An epoch of the poisoned training set, by one thread: a second one has little to do."""
    (member,), store = prepare([config], (), load_source(config.data))
    with threads(1):
        start = time.perf_counter()
        for epoch in range(10 * DATA_EPOCHS):
            inputs = EpochImages(member, store, epoch)
            for first in range(0, len(member.train), BATCH):
                inputs.batch(first, first + BATCH)
        return (time.perf_counter() - start) / (10 * DATA_EPOCHS)
