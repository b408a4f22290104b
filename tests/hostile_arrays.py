"""Hostile `.npz` files, and what users' own kinds may return."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from hostile import Case, Read, Refused, Sample, Settings, draw, expect

TRAIN = [Sample(n % 3, p) for n, p in enumerate(draw(12, (6, 5, 3), seed=1))]
TEST = [Sample(n % 3, p) for n, p in enumerate(draw(6, (6, 5, 3), seed=2))]
PIXELS, LABELS = np.stack([s.pixels for s in TRAIN]), np.array([s.label for s in TRAIN])
HELD, HELD_LABELS = np.stack([s.pixels for s in TEST]), np.array([s.label for s in TEST])
POOL, BOTH = expect("012", TRAIN, None), expect("012", TRAIN, TEST)
GREY = expect("012", [Sample(s.label, s.pixels[..., 0]) for s in TRAIN], None)
NAMES = np.array(["a", "b", "c"])

Outcome = Read | Refused
SHAPE = r"\(|shape"


def saved(**changes: Any) -> Callable[[Path], Settings]:
    """A good file with changes; None leaves an array out."""

    def write(root: Path) -> Settings:
        arrays = {"images": PIXELS, "labels": LABELS, **changes}
        np.savez(root / "set.npz", **{k: v for k, v in arrays.items() if v is not None})
        return {"kind": "arrays", "root": str(root / "set.npz")}

    return write


def stored(content: Callable[[bytes], bytes]) -> Callable[[Path], Settings]:
    """The content of a good file, changed."""

    def write(root: Path) -> Settings:
        stream = io.BytesIO()
        np.savez(stream, images=PIXELS, labels=LABELS)
        (root / "set.npz").write_bytes(content(stream.getvalue()))
        return {"kind": "arrays", "root": str(root / "set.npz")}

    return write


def boastful(_: bytes) -> bytes:
    """A file of a few bytes whose header claims 10 ** 15 pixels."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, kind, shape in (
            ("images", "|u1", (10**9, 1000, 1000)),
            ("labels", "<i8", (10**9,)),
        ):
            head = (
                f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117)
                + "\n"
            )
            archive.writestr(
                f"{name}.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode()
            )
    return stream.getvalue()  # fmt: skip


def with_test(images: Any = HELD, labels: Any = HELD_LABELS) -> dict[str, Any]:
    return {"test_images": images, "test_labels": labels}


MASK = np.arange(12) % 4 == 1
#: Idea → what writes it, and what comes of it.
FILES: dict[str, tuple[Callable[[Path], Settings], Outcome]] = {
    "channels last": (saved(), POOL),
    "channels second": (saved(images=PIXELS.transpose(0, 3, 1, 2)), POOL),
    "channels second, in the order of Fortran": (saved(images=np.asfortranarray(PIXELS)), POOL),
    "a test set": (saved(**with_test()), BOTH),
    "grey without an axis of channels": (saved(images=PIXELS[..., 0]), GREY),
    "grey with an axis of channels": (saved(images=PIXELS[..., :1]), GREY),
    "floating point": (saved(images=PIXELS / 255), Refused((r"uint8", r"float64", r"255"))),
    "floating point of the test set": (saved(**with_test(HELD / 255.0)), Refused((r"test_images", r"float64"))),
    "16 bits": (saved(images=PIXELS.astype(np.uint16)), Refused((r"uint8", r"uint16"))),
    "signed": (saved(images=PIXELS.astype(np.int8)), Refused((r"uint8", r"int8"))),
    "black and white": (saved(images=PIXELS > 99), Refused((r"uint8", r"bool"))),
    "text in place of images": (saved(images=np.array(12 * ["x.png"])), Refused((r"uint8",))),
    "pickled objects": (saved(images=np.array([*PIXELS, None], dtype=object)), Refused((r"pickle",))),
    "pickled labels": (saved(labels=np.array([*LABELS[1:], "cat"], dtype=object)), Refused((r"pickle",))),
    "four channels": (saved(images=np.zeros((12, 4, 6, 5), np.uint8)), Refused((r"channels", SHAPE))),
    "channels that could be both axes": (saved(images=np.zeros((12, 3, 6, 3), np.uint8)), Refused((r"channels", r"12, 3, 6, 3"))),
    "flat images": (saved(images=PIXELS.reshape(12, -1)), Refused((r"images", r"12, 90"))),
    "a single image": (saved(images=PIXELS[0], labels=LABELS[:1]), Refused((r"images|labels",))),
    "no images": (saved(images=PIXELS[:0], labels=LABELS[:0]), Refused((r"images", SHAPE))),
    "images without pixels": (saved(images=PIXELS[:, :0]), Refused((r"images", SHAPE))),
    "an empty test set": (saved(**with_test(HELD[:0], HELD_LABELS[:0])), Refused((r"test_images",))),
    "fewer labels than images": (saved(labels=LABELS[:11]), Refused((r"labels", r"12", r"11"))),
    "more labels than images": (saved(labels=np.append(LABELS, 0)), Refused((r"labels", r"12", r"13"))),
    "fewer test labels": (saved(**with_test(labels=HELD_LABELS[:5])), Refused((r"test_labels", r"6", r"5"))),
    "test images of another size": (saved(**with_test(HELD[:, :5])), Refused((r"shape|size",))),
    "test images without labels": (saved(test_images=HELD), Refused((r"test_labels",))),
    "test labels without images": (saved(test_labels=HELD_LABELS), Refused((r"test_images",))),
    "no labels": (saved(labels=None), Refused((r"labels",))),
    "other names of arrays": (saved(images=None, labels=None, x_train=PIXELS, y_train=LABELS), Refused((r"images", r"x_train|y_train"))),
    "an array more": (saved(weights=LABELS), Refused((r"weights",))),
    "text labels and test labels of numbers": (saved(labels=NAMES[LABELS], **with_test()), Refused((r"label",))),
    "a mask of poisoned images": (saved(poisoned=MASK), POOL),
    "a mask of numbers": (saved(poisoned=MASK.astype(int)), Refused((r"poisoned", r"int64"))),
    "a mask that is too short": (saved(poisoned=MASK[:7]), Refused((r"poisoned", r"12", r"7"))),
    "a mask of test images too": (saved(**with_test(), poisoned=np.arange(18) < 2), Refused((r"poisoned", r"12", r"18"))),
    "names of classes": (saved(class_names=NAMES), expect("abc", TRAIN, None, "abc".__getitem__)),
    "names of classes as numbers": (saved(class_names=np.arange(3)), Refused((r"class_names",))),
    "names of classes in a table": (saved(class_names=NAMES[None]), Refused((r"class_names",))),
    "a file that was cut": (stored(lambda content: content[:-200]), Refused((r"npz",))),
    "a bit that was flipped": (stored(lambda content: content[:400] + b"\x7f\x80" + content[402:]), Refused((r"npz",))),
    "a file of nothing": (stored(lambda content: b""), Refused((r"npz",))),
    "a file of text": (stored(lambda content: b"images, labels\n"), Refused((r"npz",))),
    "an archive of nothing": (stored(lambda content: b"PK\x05\x06" + bytes(18)), Refused((r"images",))),
    "a header that claims more than there is": (stored(boastful), Refused((r"npz|memory|images",))),
}  # fmt: skip

PLANES = np.ascontiguousarray(PIXELS.transpose(0, 3, 1, 2))


def own(**changes: Any) -> Callable[[Path], Settings]:
    """What `hostile_kinds.OwnRead` returns; None leaves it out."""

    def write(root: Path) -> Settings:
        arrays = {"images": PLANES, "labels": LABELS, "class_names": NAMES, **changes}
        np.savez(root / "own.npz", **{k: v for k, v in arrays.items() if v is not None})
        return {"kind": "hostile_kinds:OwnRead", "root": str(root / "own.npz")}

    return write


OWN: dict[str, tuple[Callable[[Path], Settings], Outcome]] = {
    "as they must be": (own(), expect("abc", TRAIN, None, "abc".__getitem__)),
    "a view of channels last": (own(images=np.asfortranarray(PLANES)), expect("abc", TRAIN, None, "abc".__getitem__)),
    "a test set": (own(images=np.concatenate([PLANES, HELD.transpose(0, 3, 1, 2)]), labels=np.concatenate([LABELS, HELD_LABELS]), test_from=12), expect("abc", TRAIN, TEST, "abc".__getitem__)),
    "labels of another type": (own(labels=LABELS.astype(np.uint8)), expect("abc", TRAIN, None, "abc".__getitem__)),
    "floating point": (own(images=PLANES / 255), Refused((r"uint8", r"float64"))),
    "floating point with nan": (own(images=np.where(PLANES > 9, PLANES, np.nan)), Refused((r"uint8", r"float64"))),
    "numbers of 64 bits": (own(images=PLANES.astype(int)), Refused((r"uint8", r"int64"))),
    "channels last": (own(images=PIXELS), Refused((r"c, h, w|channels", r"12, 6, 5, 3"))),
    "two channels": (own(images=PLANES[:, :2]), Refused((r"channels|c, h, w", r"12, 2, 6, 5"))),
    "four channels": (own(images=np.concatenate([PLANES, PLANES[:, :1]], axis=1)), Refused((r"channels|c, h, w", r"12, 4, 6, 5"))),
    "no axis of channels": (own(images=PLANES[:, 0]), Refused((r"c, h, w|shape", r"12, 6, 5"))),
    "no images": (own(images=PLANES[:0], labels=LABELS[:0]), Refused((r"image",))),
    "images without pixels": (own(images=PLANES[:, :, :0]), Refused((r"image", r"12, 3, 0, 5"))),
    "fewer labels": (own(labels=LABELS[:9]), Refused((r"label", r"12", r"9"))),
    "more labels": (own(labels=np.append(LABELS, 0)), Refused((r"label", r"12", r"13"))),
    "labels in a column": (own(labels=LABELS[:, None]), Refused((r"label", r"12, 1"))),
    "labels of floating point": (own(labels=LABELS + 0.5), Refused((r"label", r"whole|fraction|integer"))),
    "labels of nan": (own(labels=np.where(LABELS > 0, LABELS, np.nan)), Refused((r"label",))),
    "labels of objects": (own(labels=np.array([*LABELS[1:], None], dtype=object)), Refused((r"label",))),
    "a mask": (own(poisoned=MASK), expect("abc", TRAIN, None, "abc".__getitem__)),
    "a mask that is too short": (own(poisoned=MASK[:7]), Refused((r"poisoned", r"12", r"7"))),
    "a mask of numbers": (own(poisoned=MASK.astype(int)), Refused((r"poisoned", r"bool|int64"))),
    "a test set that begins at 0": (own(test_from=0), Refused((r"test_from|train", r"\b0\b"))),
    "a test set that begins at the end": (own(test_from=12), Refused((r"test",))),
    "a test set that begins behind the end": (own(test_from=99), Refused((r"test", r"99"))),
    "a test set that begins before the start": (own(test_from=-3), Refused((r"test", r"-3"))),
}  # fmt: skip


def cases() -> Iterator[Case]:
    for idea, (write, outcome) in FILES.items():
        yield Case(f"{idea} [arrays]", write, (outcome,))
    for idea, (write, outcome) in OWN.items():
        yield Case(f"{idea} [own read]", write, (outcome,))
