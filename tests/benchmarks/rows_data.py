"""The data path, alone and under training, against a DataLoader with transforms of single images.

The baseline treats every image as the published benchmarks of this field do: a PIL image is
resized, cropped after padding, mirrored, made a tensor and normalised; a poisoned one is stamped
first. Its best number of workers counts, and workers stay alive over epochs.

A single training leaves cores to the baseline's workers, which ours does not need. A sweep leaves
none: so one training for each core is measured as well, each in its own process.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from unittest import mock

import numpy as np
import torch
from PIL import Image
from synthetic import synthetic_source
from throughput import Row, one_thread, selected, side_by_side, timed
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from trials import trial

from backdoor.config import Training, build_data
from backdoor.engines import Member, init_state
from backdoor.engines.serial import EpochImages, Serial
from backdoor.image_store.store import ImageStore
from backdoor.trial import prepare

IMAGES, BATCH, TRAINED = 4096, 128, 1024
#: Repeats of our data path alone, which is too fast to be timed once.
EPOCHS = 10
SOURCE = synthetic_source(IMAGES + 100, (3, 32, 32))


def rows() -> Iterator[Row]:
    member, store = _member(IMAGES)
    alone = [_loaded(member, workers) for workers in (0, 2)]
    name = "data path: crop, flip, normalise, stamp"
    ours = timed(lambda: _every_batch(member, store), 1 / EPOCHS)
    yield from side_by_side(name, 18, alone, ours)
    yield from _training()


def _training() -> Iterator[Row]:
    member, store = _member(TRAINED)
    ours = timed(lambda: Serial().train([member], store, 10, None))
    behind = [_trained_behind_loader(member, workers) for workers in (0, 2)]
    yield from side_by_side("convnet with its data path, against a DataLoader", 1.9, behind, ours)
    constant = timed(lambda: _train_on_one_batch(member, store))
    name = "convnet with its data path, against a constant batch"
    yield from side_by_side(name, 0.85, [constant], ours)
    yield from _one_a_core()


def _one_a_core() -> Iterator[Row]:
    """As many trainings as there are cores, until the last one has ended."""
    name, cores = "convnets with their data path, one a core, against DataLoaders", os.cpu_count()
    if not selected(name):
        return
    # Spawned, as torch's threads do not survive a fork; and executors may have loader workers.
    with ProcessPoolExecutor(cores, get_context("spawn")) as processes:

        def together(workers: int | None) -> Callable[[], float]:
            return timed(lambda: list(processes.map(_train_here, [workers] * (cores or 1))))

        yield from side_by_side(name, 1.9, [together(0), together(2)], together(None))


def _train_here(workers: int | None) -> None:
    """Ours where there is no number of loader workers."""
    with one_thread():
        _training_here(workers)()


@functools.cache
def _training_here(workers: int | None) -> Callable[[], object]:
    """On four times the images, since the cost of the start is shared by two processes."""
    member, store = _member(4 * TRAINED)
    if workers is None:
        return lambda: Serial().train([member], store, 10, None)
    return _trained_behind_loader(member, workers)


def _member(images: int) -> tuple[Member, ImageStore]:
    data = build_data({"kind": "digits", "train": images, "validation": 10, "test": 30})
    training = Training(batch_size=BATCH, augmentation="crop_flip", normalization="standard")
    config = trial("convnet", rate=0.1, trigger={"kind": "patch", "size": 3}, data=data,
                   training=training, epochs=1, learning_rate=0.01)  # fmt: skip
    (member,), store = prepare([config], (), SOURCE)
    return member, store


def _every_batch(member: Member, store: ImageStore) -> None:
    for epoch in range(EPOCHS):
        inputs = EpochImages(member, store, epoch)
        for start in range(0, len(member.train), BATCH):
            inputs.batch(start, start + BATCH)


def _train_on_one_batch(member: Member, store: ImageStore) -> None:
    """Our engine without data work: the same images and labels in every step."""
    batch = EpochImages(member, store, 0).batch(0, BATCH)
    with (
        mock.patch.object(EpochImages, "__init__", lambda *_: None),
        mock.patch.object(EpochImages, "batch", lambda *_: batch),
    ):
        Serial().train([member], store, 10, None)


# --- the baseline ----------------------------------------------------------------------------------


class PoisonedImages(Dataset):
    """Items (image (3, 32, 32) float32, label), each through PIL."""

    def __init__(self, member: Member) -> None:
        pixels = SOURCE.images[: len(member.train)].transpose(0, 2, 3, 1)
        self.images = [Image.fromarray(np.ascontiguousarray(image)) for image in pixels]
        self.labels = member.train_labels.tolist()
        self.poisoned = set(member.poison.positions.tolist())
        self.transform = transforms.Compose([
            transforms.Resize((32, 32)), transforms.RandomCrop((32, 32), padding=4),
            transforms.RandomHorizontalFlip(), transforms.ToTensor(),
            transforms.Normalize(SOURCE.mean.tolist(), SOURCE.std.tolist()),
        ])  # fmt: skip

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = self.images[index]
        if index in self.poisoned:
            pixels = np.array(image)
            pixels[-3:, -3:] = 255
            image = Image.fromarray(pixels)
        return self.transform(image), self.labels[index]


def _loader(member: Member, workers: int) -> DataLoader:
    return DataLoader(
        PoisonedImages(member), BATCH, shuffle=True, num_workers=workers,
        persistent_workers=workers > 0,
    )  # fmt: skip


def _loaded(member: Member, workers: int) -> Callable[[], float]:
    loader = _loader(member, workers)

    def run() -> None:
        for _ in loader:
            pass

    return timed(run)


def _trained_behind_loader(member: Member, workers: int) -> Callable[[], float]:
    loader, defence = _loader(member, workers), member.config.defence

    def run() -> None:
        module = init_state(member.config, SOURCE.shape, 10)
        optimizer = torch.optim.SGD(module.parameters(), defence.learning_rate, defence.momentum)
        for images, labels in loader:
            loss = functional.cross_entropy(module(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return timed(run)
