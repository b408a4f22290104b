"""How long it takes to read a set of image files: hash, decode, resize and keep them.

Beside it, in the same process and in turns, torchvision does what people do: an `ImageFolder` with
the same transforms in a `DataLoader` with a worker for each core; it only decodes. Then a whole set
of 100,000 files of 50 kB each is read once, in a process of its own, whose memory is looked at.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from figures import make_command, record
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from backdoor.datasets.source import forget_sources, load_source
from backdoor.settings.registry import DATASETS

SIDE, CLASSES = 64, 10
#: Different pictures; each file has one of them, and some bytes of its own behind it.
PICTURES = 100
ONCE = """
import resource, sys, time
from backdoor.datasets.source import load_source
from backdoor.settings.registry import DATASETS
begin = time.perf_counter()
load_source(DATASETS.build({"kind": "image_folder", "root": sys.argv[1], "image_size": 64, "resize": "crop"}))
print(time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def pictures(size: int) -> list[bytes]:
    """JPEGs of about 50 kB, of 500 x 375 pixels, as photographs on the web have."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(PICTURES):
        rough = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        image = np.asarray(Image.fromarray(rough).resize((500, 375), Image.Resampling.BICUBIC))
        noisy = np.clip(image + rng.normal(0, 9, image.shape), 0, 255).astype(np.uint8)
        content = next(c for q in range(95, 10, -3) if len(c := _jpeg(noisy, q)) <= size)
        made.append(content)
    return made


def _jpeg(pixels: np.ndarray, quality: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def write(root: Path, files: int, made: list[bytes]) -> None:
    for number in range(files):
        folder = root / f"class {number % CLASSES}"
        if number < CLASSES:
            folder.mkdir(parents=True)
        content = made[number % PICTURES] + number.to_bytes(8, "little")
        (folder / f"{number:06d}.jpg").write_bytes(content)


def ours(root: Path) -> float:
    """Seconds, from the files to the cache."""
    with tempfile.TemporaryDirectory(dir=root.parent) as cache:
        os.environ["BACKDOOR_CACHE"] = cache
        forget_sources()
        begin = time.perf_counter()
        how = {"image_size": SIDE, "resize": "crop"}
        load_source(DATASETS.build({"kind": "image_folder", "root": str(root), **how}))
        return time.perf_counter() - begin


def theirs(root: Path) -> float:
    """Seconds of torchvision, to tensors of uint8 that nobody keeps."""
    steps = v2.Compose([v2.CenterCrop(375), v2.Resize(SIDE), v2.PILToTensor()])
    begin = time.perf_counter()
    loader = DataLoader(ImageFolder(root, steps), 256, num_workers=os.cpu_count() or 1)
    assert sum(len(labels) for _, labels in loader) > 0
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000, help="files of the whole set")
    parser.add_argument("--compared", type=int, default=4_000, help="files of the comparison")
    args = parser.parse_args()
    made = pictures(50_000)
    with tempfile.TemporaryDirectory() as folder:
        few, whole = Path(folder) / "few", Path(folder) / "whole"
        write(few, args.compared, made)
        turns = [(ours(few), theirs(few)) for _ in range(3)]
        shutil.rmtree(few)
        write(whole, args.files, made)
        environment = {**os.environ, "BACKDOOR_CACHE": str(Path(folder) / "cache")}
        command = [sys.executable, "-c", ONCE, str(whole)]
        answer = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        )
    seconds, memory = map(float, answer.stdout.split())
    size = sum(map(len, made)) / len(made) / 1000
    rows = [
        {
            "what": f"{args.compared} files, median of 3: torchvision's seconds / ours",
            "value": float(np.median([b / a for a, b in turns])),
        },
        {"what": f"{args.files} files of {size:.0f} kB: s", "value": seconds},
        {"what": "images a second", "value": args.files / seconds},
        {"what": "peak memory: MB", "value": memory},
    ]
    for row in rows:
        print(f"{row['what']}: {row['value']:.4g}")
    record("reading", make_command("bench-reading"), rows)


if __name__ == "__main__":
    main()
