"""Hostile folders of image files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hostile import Case, Read, Refused, Sample, Settings, draw, expect
from hostile_writers import png

TRAIN = [Sample("ab"[n % 2], p) for n, p in enumerate(draw(8, seed=1))]
TEST = [Sample("ab"[n % 2], p) for n, p in enumerate(draw(4, seed=2))]
OTHER = [Sample("ab"[n % 2], p) for n, p in enumerate(draw(4, seed=3))]
BOTH = expect("ab", TRAIN, TEST)
POOL = expect("ab", TRAIN, None)

Write = Callable[[Path], Settings]


def put(folder: Path, samples: Sequence[Sample], suffix: str = ".png") -> None:
    """folder/CLASS/NUMBER.png"""
    for number, sample in enumerate(samples):
        (folder / str(sample.label)).mkdir(parents=True, exist_ok=True)
        (folder / str(sample.label) / f"{number}{suffix}").write_bytes(png(sample.pixels))


def tree(*parts: tuple[str, Sequence[Sample]], also: Callable[[Path], Any] | None = None, **settings: Any) -> Write:  # fmt: skip
    """Parts of a root, what else lies there, and settings of the spec."""

    def write(root: Path) -> Settings:
        for place, samples in parts:
            put(root / place, samples)
        if also is not None:
            also(root)
        return {"kind": "image_folder", "root": str(root), **settings}

    return write


def files(*names: str, content: bytes = b"no image") -> Callable[[Path], None]:
    """Files that lie in a root as well."""

    def write(root: Path) -> None:
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)

    return write


def said(outcome: Read, **says: str) -> Read:
    return Read(outcome.names, outcome.train, outcome.test, says)


#: Names of the folders of training and test images.
SPLITS = [
    ("train", "test"), ("Train", "Test"), ("TRAIN", "TEST"), ("training", "testing"),
    ("Training", "Testing"), ("trainset", "testset"), ("TrainSet", "TestSet"),
    ("train_images", "test_images"), ("seg_train", "seg_test"), ("train2017", "test2017"),
    ("my-train", "my-test"), ("images.train", "images.test"), ("train_set", "test_set"),
    ("trn", "tst"), ("trainImages", "testImages"), ("train data", "test data"), ("01_train", "02_test"),
    ("train", "val"), ("train", "valid"), ("Train", "Validation"), ("train", "validate"),
    ("train", "dev"), ("train2017", "val2017"), ("training_set", "validation_set"), ("TRAIN", "VAL"),
    ("train-images", "Test"),
]  # fmt: skip
#: Names that hold such words and are no splits.
NO_SPLITS = [("trains", "cars"), ("valley", "hill"), ("testimony", "oath"), ("devil", "angel"), ("strain", "pull"), ("contest", "latest"), ("trainer", "coach")]  # fmt: skip


def renamed(samples: Sequence[Sample], names: Sequence[str]) -> list[Sample]:
    return [Sample(names["ab".index(s.label)], s.pixels) for s in samples]


def link_to_itself(root: Path) -> None:
    (root / "a" / "again").symlink_to(root / "a", target_is_directory=True)


def move_and_link(root: Path) -> None:
    (root / "train").rename(root.parent / f"{root.name}-elsewhere")
    (root / "train").symlink_to(root.parent / f"{root.name}-elsewhere", target_is_directory=True)


def link_to_nothing(root: Path) -> None:
    (root / "b" / "gone.png").symlink_to(root / "nowhere.png")


def folder_called_as_an_image(root: Path) -> None:
    (root / "a" / "odd.png").mkdir()


ONLY_A = [s for s in TRAIN if s.label == "a"]
FLAT = {f"{n}.png": png(s.pixels) for n, s in enumerate(TEST)}


def flat(folder: str) -> Callable[[Path], None]:
    """Images that are in no class folder."""

    def write(root: Path) -> None:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for name, content in FLAT.items():
            (root / folder / name).write_bytes(content)

    return write


#: Idea → what writes it, and what comes of it.
READ: dict[str, tuple[Write, Read]] = {
    "training, validation and test folders": (tree(("train", TRAIN), ("val", OTHER), ("test", TEST)), said(BOTH, left_out=r"val|4")),
    "the same in another case": (tree(("Train", TRAIN), ("Valid", OTHER), ("Test", TEST)), said(BOTH, left_out=r"valid|4")),
    "a folder of macOS beside": (tree(("train", TRAIN), ("test", TEST), ("__MACOSX/train", OTHER)), said(BOTH, left_out=r"__MACOSX")),
    "a folder of macOS beside classes": (tree((".", TRAIN), ("__MACOSX", OTHER)), said(POOL, left_out=r"__MACOSX")),
    "hidden files": (tree((".", TRAIN), also=files("a/._1.png", "a/.DS_Store", ".DS_Store", "b/.hidden/x.png")), said(POOL, left_out=r"hidden")),
    "hidden folders": (tree(("train", TRAIN), ("test", TEST), (".ipynb_checkpoints", OTHER), ("train/.ipynb_checkpoints", OTHER)), said(BOTH, left_out=r"hidden")),
    "GIF beside PNG": (tree((".", TRAIN), also=files("a/x.gif", "b/y.gif", "b/z.GIF")), said(POOL, left_out=r"3\b.*\.gif")),
    "texts and archives beside": (tree(("train", TRAIN), ("test", TEST), also=files("LICENSE", "set.zip", "train/labels.csv", "train/a/notes.txt")), said(BOTH, left_out=r"(?s)(?=.*\.zip)(?=.*\.csv)(?=.*\.txt)")),
    "annotations of each image": (tree((".", TRAIN), also=files(*(f"a/{n}.xml" for n in range(7)))), said(POOL, left_out=r"7\b.*\.xml")),
    "images beside the class folders": (tree((".", TRAIN), also=flat(".")), said(POOL, left_out=r"4\b")),
    "images beside the split folders": (tree(("train", TRAIN), ("test", TEST), also=flat(".")), said(BOTH, left_out=r"4\b")),
    "a folder of unlabelled images, pred": (tree(("train", TRAIN), ("test", TEST), also=flat("pred")), said(BOTH, left_out=r"4\b|pred")),
    "a folder of unlabelled images, unlabelled": (tree(("train", TRAIN), ("test", TEST), also=flat("unlabelled")), said(BOTH, left_out=r"4\b|unlabelled")),
    "a file called as a split": (tree((".", TRAIN), also=files("test.zip", "train.csv")), said(POOL, left_out=r"\.zip")),
    "classes called as splits, said so": (tree((".", renamed(TRAIN, ("dev", "ops"))), layout="classes"), expect(("dev", "ops"), renamed(TRAIN, ("dev", "ops")), None)),
    "classes called train and test, said so": (tree((".", renamed(TRAIN, ("test", "train"))), layout="classes"), expect(("test", "train"), renamed(TRAIN, ("test", "train")), None)),
    "a class called train within splits": (tree(("train", renamed(TRAIN, ("car", "train"))), ("test", renamed(TEST, ("car", "train")))), expect(("car", "train"), renamed(TRAIN, ("car", "train")), renamed(TEST, ("car", "train")))),
    "numbers as names of folders": (tree((".", renamed(TRAIN, ("10", "9")))), expect(("10", "9"), renamed(TRAIN, ("10", "9")), None)),
    "names with spaces and signs": (tree((".", renamed(TRAIN, ("Black #1 %", "é 猫")))), expect(("Black #1 %", "é 猫"), renamed(TRAIN, ("Black #1 %", "é 猫")), None)),
    "deeper folders of a class": (tree((".", [Sample(f"{s.label}/x{n % 3}/y", s.pixels) for n, s in enumerate(TRAIN)])), POOL),
    "ends in capitals": (tree((".", TRAIN), also=lambda root: [f.rename(f.with_suffix(".PNG")) for f in sorted(root.rglob("*.png"))]), POOL),
    "a split that is a link": (tree(("train", TRAIN), ("test", TEST), also=move_and_link), BOTH),
    "a folder called as an image": (tree((".", TRAIN), also=folder_called_as_an_image), POOL),
}  # fmt: skip
ONE_EACH = [Sample("ab"[n], p) for n, p in enumerate(draw(2))]
#: Idea → what writes it, and what the refusal says.
REFUSED: dict[str, tuple[Write, tuple[str, ...]]] = {
    "classes beside split folders": (tree(("train", TRAIN), ("test", TEST), (".", renamed(OTHER, ("cat", "dog")))), (r"cat", r"split|train|beside")),
    "one class beside split folders": (tree(("Training", TRAIN), ("Testing", TEST), ("cat", TEST)), (r"cat",)),
    "classes beside a validation folder": (tree(("valid", TEST), (".", renamed(TRAIN, ("cat", "dog")))), (r"valid", r"cat|dog|class")),
    "splits inside class folders": (tree(("cat/train", TRAIN), ("cat/test", TEST), ("dog/train", TRAIN), ("dog/test", TEST)), (r"cat", r"split|train|test")),
    "images in splits inside class folders": (tree(("cat", renamed(TRAIN, ("train", "test"))), ("dog", renamed(OTHER, ("train", "test")))), (r"cat", r"split|train|test")),
    "training images alone": (tree(("train", TRAIN)), (r"train", r"test")),
    "training images alone in another case": (tree(("Training", TRAIN)), (r"training", r"test")),
    "test images alone": (tree(("test", TEST)), (r"train",)),
    "validation images alone": (tree(("val", TEST)), (r"train",)),
    "validation and test images alone": (tree(("val", TEST), ("test", OTHER)), (r"train",)),
    "two folders of training images": (tree(("train", TRAIN), ("training", OTHER), ("test", TEST)), (r"train", r"training")),
    "two folders of training images in two cases": (tree(("train", TRAIN), ("Train", OTHER), ("test", TEST)), (r"train", r"Train")),
    "two folders of test images": (tree(("train", TRAIN), ("test", TEST), ("test_images", OTHER)), (r"test_images",)),
    "two folders of validation images and no test": (tree(("train", TRAIN), ("val", TEST), ("valid", OTHER)), (r"val", r"valid")),
    "two domains": (tree(("trainA", TRAIN), ("trainB", OTHER), ("testA", TEST), ("testB", OTHER)), (r"trainA", r"trainB")),
    "a class without images": (tree((".", TRAIN), also=lambda root: (root / "owl").mkdir()), (r"owl", r"images")),
    "a class without images in the test set": (tree(("train", [*TRAIN, Sample("owl", TEST[0].pixels), Sample("owl", TEST[1].pixels)]), ("test", TEST), also=lambda root: (root / "test" / "owl").mkdir()), (r"owl", r"images")),
    "a class of files that are not read": (tree((".", TRAIN), also=files("owl/1.gif", "owl/2.gif")), (r"owl", r"images")),
    "a class of hidden files": (tree((".", TRAIN), also=files("owl/.1.png")), (r"owl", r"images")),
    "a class in the test folder alone": (tree(("train", TRAIN), ("test", [*TEST, Sample("owl", OTHER[0].pixels)])), (r"owl", r"test")),
    "a class in the training folder alone": (tree(("train", [*TRAIN, Sample("owl", OTHER[0].pixels)]), ("test", TEST)), (r"owl", r"train")),
    "classes that differ in case": (tree(("train", renamed(TRAIN, ("Cat", "dog"))), ("test", renamed(TEST, ("cat", "dog")))), (r"Cat", r"cat")),
    "a single class folder": (tree((".", ONLY_A)), (r"class",)),
    "a single class in each split": (tree(("train", ONLY_A), ("test", ONLY_A)), (r"class",)),
    "a folder around the classes": (tree(("images", TRAIN)), (r"class", r"images")),
    "a folder around the splits": (tree(("images/train", TRAIN), ("images/test", TEST)), (r"images",)),
    "images without class folders": (tree(also=flat(".")), (r"class",)),
    "splits without class folders": (tree(also=lambda root: (flat("train")(root), flat("test")(root))), (r"class",)),
    "test images without class folders": (tree(("train", TRAIN), also=flat("test")), (r"class", r"test")),
    "an empty folder": (tree(), (r"class|hold",)),
    "empty split folders": (tree(also=lambda root: [(root / n).mkdir() for n in ("train", "test")]), (r"class",)),
    "a class called as a split": (tree((".", renamed(TRAIN, ("dev", "ops")))), (r"dev", r"layout=classes|layout: classes")),
    "a class called train among others": (tree((".", [*TRAIN, *renamed(OTHER, ("train", "bus"))])), (r"train", r"layout=classes|layout: classes")),
    "one image of each class": (tree((".", ONE_EACH)), (r"class", r"images")),
    "a link to nothing": (tree((".", TRAIN), also=link_to_nothing), (r"gone\.png",)),
    "a folder that does not exist": (lambda root: {"kind": "image_folder", "root": str(root / "nowhere")}, (r"exists",)),
    "a file in place of a folder": (lambda root: (files("x.zip")(root), {"kind": "image_folder", "root": str(root / "x.zip")})[1], (r"folder",)),
}  # fmt: skip


def cases() -> Iterator[Case]:
    for train, test in SPLITS:
        yield Case(f"split folders {train} and {test} [image_folder]", tree((train, TRAIN), (test, TEST)), (BOTH,))  # fmt: skip
    for names in NO_SPLITS:
        first, second = sorted(names)
        samples = renamed(TRAIN, (first, second))
        outcome = expect((first, second), samples, None)
        yield Case(f"classes {first} and {second} [image_folder]", tree((".", samples)), (outcome,))
    for idea, (write, outcome) in READ.items():
        yield Case(f"{idea} [image_folder]", write, (outcome,))
    for idea, (write, texts) in REFUSED.items():
        yield Case(f"{idea} [image_folder]", write, (Refused(texts),))
    nested = tree(("seg_train/seg_train", TRAIN), ("seg_test/seg_test", TEST))
    yield Case("splits in folders of their own name [image_folder]", nested, (BOTH, Refused((r"seg_train",))))  # fmt: skip
    with_pred = tree(("seg_train/seg_train", TRAIN), ("seg_test/seg_test", TEST), also=flat("seg_pred/seg_pred"))  # fmt: skip
    yield Case("the same beside unlabelled images [image_folder]", with_pred, (BOTH, Refused((r"seg_train",))))  # fmt: skip
    circle = tree((".", TRAIN), also=link_to_itself)
    yield Case("a folder that links to itself [image_folder]", circle, (POOL, Refused((r"link|again",))))  # fmt: skip
    yield Case("two sizes in two splits [image_folder]", tree(("train", TRAIN), ("test", SMALL)), (Refused((r"size", r"image_size")),))  # fmt: skip


SMALL = [Sample(s.label, np.ascontiguousarray(s.pixels[:3, :3])) for s in TEST]
