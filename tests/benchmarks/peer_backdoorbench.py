"""BackdoorBench's BadNet on given images: run by `rows_peer.py`, in a folder that links to a checkout.

    python peer_backdoorbench.py IMAGES.npz {train,data} EPOCHS WORKERS

Its own code does the work, as its `attack/badnet.py` does when run as a script. CIFAR-10 is given
from memory, as CIFAR-10's class in torchvision gives it, and the cosine's length by the name that
its settings have for it. Left out, since they would take too much of so short a run: pictures
after each epoch, and saving the model. The last line printed is seconds as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time

import numpy as np
import torch
import torchvision
from PIL import Image
from torch.utils.data import DataLoader, Dataset

THREADS, BATCH, DATA_EPOCHS = 2, 128, 3


class FromMemory(Dataset):
    """As torchvision's CIFAR10: data (n, 32, 32, 3) uint8, targets, items (PIL image, label)."""

    file = ""

    def __init__(self, root: str, train: bool = True, **_: object) -> None:
        part = "" if train else "test_"
        arrays = np.load(self.file)
        self.data = arrays[f"{part}images"]
        self.targets = arrays[f"{part}labels"].tolist()

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return Image.fromarray(self.data[index]), self.targets[index]


def main(file: str, part: str, epochs: int, workers: int) -> None:
    torch.set_num_threads(THREADS)
    FromMemory.file = file
    torchvision.datasets.CIFAR10 = FromMemory
    sys.path.insert(0, os.getcwd())
    sys.argv[1:] = [
        "--save_folder_name", "here", "--epochs", str(epochs), "--batch_size", str(BATCH),
        "--num_workers", str(workers), "--pin_memory", "False", "--device", "cpu",
    ]  # fmt: skip
    attack = prepared(epochs)
    attack.stage1_non_training_data_prepare()
    print(json.dumps({"seconds": trained(attack) if part == "train" else loaded(attack, workers)}))


def prepared(epochs: int):
    from attack import badnet
    from utils import trainer_cls

    badnet.save_attack_result = lambda **_: None
    trainer = trainer_cls.BackdoorModelTrainer
    trainer.plot_loss = trainer.plot_acc_like_metric = lambda *_: None
    attack = badnet.BadNet()
    parser = attack.set_bd_args(attack.set_args(argparse.ArgumentParser()))
    args = parser.parse_args()
    attack.add_bd_yaml_to_args(args)
    attack.add_yaml_to_args(args)
    args.cos_t_max = epochs
    attack.prepare(attack.process_args(args))
    return attack


def trained(attack) -> float:
    """Seconds of training with an evaluation after each epoch."""
    start = time.perf_counter()
    attack.stage2_training()
    return time.perf_counter() - start


def loaded(attack, workers: int) -> float:
    """Seconds an epoch of the poisoned training set takes to be loaded."""
    training_set = attack.stage1_results[2]
    loader = DataLoader(training_set, BATCH, shuffle=True, drop_last=True, num_workers=workers)
    start = time.perf_counter()
    for _ in range(DATA_EPOCHS):
        for _ in loader:
            pass
    return (time.perf_counter() - start) / DATA_EPOCHS


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
