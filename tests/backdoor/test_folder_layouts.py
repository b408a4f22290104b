"""Layouts of folders of image files: what is read as which split, and what is refused by name."""

import numpy as np
import pytest
from folder_files import folder, read, refused, write

from backdoor.config import build_data
from backdoor.errors import UserError

PAIRS = """train/test Train/Test TRAIN/TEST Training/Testing trainset/testset TrainSet/TestSet
train_images/test_images seg_train/seg_test asl_alphabet_train/asl_alphabet_test train/val
training_set/test_set train/valid train/validation train/dev Training/Validation train2017/val2017
train-images/test trn/tst trainval/test train_val/test training/evaluation"""


@pytest.mark.parametrize("pair", PAIRS.split())
def test_folders_that_are_called_like_splits_are_splits(tmp_path, pair) -> None:
    train, test = pair.split("/")
    write(tmp_path, f"{train}/{{cat,dog}}/{{1,2}}.png", f"{test}/{{cat,dog}}/3.png")
    assert read(tmp_path) == [
        {c: [f"{train}/{c}/1.png", f"{train}/{c}/2.png"] for c in ("cat", "dog")},
        {c: [f"{test}/{c}/3.png"] for c in ("cat", "dog")},
    ]


def test_labels_are_class_numbers_with_names(tmp_path) -> None:
    write(tmp_path, "{10,9,Zebra,ape}/{1,2}.png")
    contents = folder(tmp_path).open()
    assert contents.names == ("10", "9", "Zebra", "ape") and contents.labels.dtype == np.int64
    assert contents.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3] and contents.test_from is None
    assert contents.left_out == () and contents.notes == ()


def test_validation_beside_test_is_left_out_and_counted(tmp_path) -> None:
    write(tmp_path, "{train,Test}/{cat,dog}/1.png", "valid/{cat,dog}/{1,2}.jpg", "valid/cat/a.txt")
    assert [sorted(part) for part in read(tmp_path)] == [["cat", "dog"]] * 2
    assert read(tmp_path)[1]["cat"] == ["Test/cat/1.png"]
    left = ("4 files in valid/ (.jpg)", "1 file in valid/ (.txt)")
    assert folder(tmp_path).open().left_out == left


def test_a_split_folder_inside_its_like_is_entered(tmp_path) -> None:
    """As Kaggle's archives unpack, with images without labels beside them."""
    write(tmp_path, "seg_{train,test}/seg_{train,test}/x.txt")
    write(tmp_path / "set", "seg_train/seg_train/{sea,street}/1.jpg", "seg_pred/seg_pred/{1,2}.jpg")
    write(tmp_path / "set", "seg_test/seg_test/{sea,street}/2.jpg", "seg_test/list.csv")
    train, test = read(tmp_path / "set")
    assert train == {c: [f"seg_train/seg_train/{c}/1.jpg"] for c in ("sea", "street")}
    assert test == {c: [f"seg_test/seg_test/{c}/2.jpg"] for c in ("sea", "street")}
    left = ("2 files in seg_pred/ (.jpg)", "1 file beside the class folders (.csv)")
    assert folder(tmp_path / "set").open().left_out == left


def test_folders_without_images_beside_splits_are_left_out(tmp_path) -> None:
    write(tmp_path, "{train,test}/{cat,dog}/1.png", "annotations/{a,b}.xml", "train_labels/a.txt")
    write(tmp_path, "unlabelled_train/1.png", "empty/")
    assert [sorted(part) for part in read(tmp_path)] == [["cat", "dog"]] * 2
    assert folder(tmp_path).open().left_out == (
        "2 files in annotations/ (.xml)",
        "1 file in train_labels/ (.txt)",
        "1 file in unlabelled_train/ (.png)",
    )


def test_classes_in_a_split_folder_may_have_any_name(tmp_path) -> None:
    """`train` is a class of COCO and of VOC."""
    write(tmp_path, "{train,test}/{bus,train,pred}/1.png")
    assert [sorted(part) for part in read(tmp_path)] == [["bus", "pred", "train"]] * 2


def test_a_class_that_is_called_unlabelled_is_noted(tmp_path) -> None:
    write(tmp_path, "{cat,dog,unlabelled}/1.png")
    (note,) = folder(tmp_path).open().warnings
    assert note == "classes whose names say that they have no labels: unlabelled"


CLASSES = "If all folders are classes: --set data.layout=classes."
BOTH = "root: must hold folders of splits, or class folders, not both, but got 'named as splits: "
TWO = "root: must hold one folder for each split, but got "
INSIDE = "root: must not hold folders of splits inside class folders, but got "
SAME = "root: must hold folders of splits whose names say the same but for the split, but got "
PAIR = "root: must hold train/ and test/ (or val/), or neither and a folder for each class, but got"


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ("{cats,dogs,valid}/1.png", [BOTH + "valid; others: cats, dogs'", CLASSES]),
        ("{bus,steam_train}/1.png", [BOTH + "steam_train; others: bus'", CLASSES]),
        ("{bus,car,test_tube}/1.png", [BOTH + "test_tube; others: bus, car'", CLASSES]),
        ("{cat,dog,train_unlabelled}/1.png", [BOTH + "train_unlabelled; others: cat, dog'"]),
        ("{cat,dog}/1.png test_labels/a.csv", [BOTH + "test_labels; others: cat, dog'"]),
        ("{train,test}/{cat,dog}/1.png owl/1.png", [BOTH + "test, train; others: owl'"]),
        ("{steam_train,test_tube}/1.png", [SAME + "'steam_train, test_tube'", CLASSES]),
        ("train/{cat,dog}/1.png seg_test/{cat,dog}/1.png", [SAME + "'train, seg_test'"]),
        ("{train,Training,test}/{cat,dog}/1.png", [TWO + "'train: Training, train'", CLASSES]),
        ("{train,testA,testB}/{cat,dog}/1.png", [TWO + "'test: testA, testB'"]),
        ("{Training,Test,test-multiple}/{cat,dog}/1.png", [TWO + "'test: Test, test-multiple'"]),
        ("{train,val,dev}/{cat,dog}/1.png", [TWO + "'validation: dev, val'"]),
        ("{train_test,val}/{cat,dog}/1.png", ["whose names say one split each, but got 'train_test'"]),
        ("train/{cat,dog}/1.png", [PAIR, "Add test/ or val/", "Or point data.root at", "/train, which can be read."]),
        ("{test,val}/{cat,dog}/1.png", [PAIR + " 'test, val'", "Add train/, with a folder for each class."]),
        ("{train,unlabelled_test}/{cat,dog}/1.png", [PAIR + " 'train, unlabelled_test'", "Add test/ or val/"]),
        ("{v1,v2}/{train,test}/{cat,dog}/1.png", [INSIDE + "'v1/test, v1/train, v2/test, v2/train'", "Point data.root at ", "/v1 if that is a data set, or move them up, as train/CLASS", CLASSES]),
        ("{bottle,cable}/test/good/1.png {bottle,cable}/train/good/1.png", [INSIDE + "'bottle/test, "]),
        ("{cat,dog}/a/b/c/Train_images/x/1.png", [INSIDE + "'cat/a/b/c/Train_images, dog/a/b/c/Train_images'"]),
        ("{train,test}/{cat,dog}/1.png train/cat/val/2.png", [INSIDE + "'train/cat/val'. Rename them"]),
        ("{train,test}/{train,val}/{cat,dog}/1.png", [INSIDE + "'test/train, test/val, train/train, train/val'"]),
        ("data/{cat,dog}/1.png", ["must hold two or more class folders, but got 'data'", "/data, which can be read."]),
        ("data/{train,val}/{cat,dog}/1.png", [INSIDE, "/data, which can be read."]),
        ("test_data/{train,val}/{cat,dog}/1.png", [PAIR, "/test_data, which can be read."]),
        ("a/b/c/{cat,dog}/1.png", ["must hold two or more class folders, but got 'a'", "/a/b/c, which can be read."]),
        ("{1,2}.png a.csv", ["two or more class folders, but got '2 files (.png), 1 file (.csv)'. Put the images"]),
        ("{train,test}/{1,2}.png", ["class folders, but got 'train/: 2 files (.png)'", "'test/: 2 files (.png)'", "If they have no labels, move them"]),
        ("{train,val}/{cat,dog}/1.png test/1.png", ["but got 'test/: 1 file (.png)'"]),
        ("{train,test}/images/{cat,dog}/1.png", ["'train/: images'. Move the folders in train/images/ one folder up."]),
        ("{cat,dog}/{train,test}/1.png", [INSIDE, "move them up, as train/CLASS and test/CLASS."]),
        ("only/1.png", ["must hold two or more class folders, but got 'only'. Put the images"]),
        (".hidden/1.png", ["must hold two or more class folders, but got 'nothing'"]),
        ("{cat,dog}/1.png owl/{1,2}.GIF", ["in every class folder, but got 'owl (2 files (.gif))'. Convert"]),
        ("{train,test}/{cat,dog}/1.png train/owl/", ["in every class folder, but got 'train/owl'. Fill or remove"]),
        ("train/{cat,dog}/1.png test/{Cat,dog}/1.png", ["'only in train/: cat; only in test/: Cat'", "these are two classes: cat and Cat."]),
        ("train/seg_train/{cat,dog}/1.png test/{cat,owl}/1.png", ["in train/seg_train/ and test/, but got 'only in train/seg_train/: dog; only in test/: owl'"]),
    ],
)  # fmt: skip
def test_what_could_be_read_in_two_ways_is_refused_by_name(tmp_path, places, said) -> None:
    write(tmp_path, *places.split())
    text = refused(tmp_path)
    for each in said:
        assert each in text


def test_all_mistakes_of_a_layout_are_said_at_once(tmp_path) -> None:
    write(tmp_path, "{train,Train,test,dev,val,train_test,cat}/{a,b}/1.png")
    text = refused(tmp_path)
    assert BOTH in text and "one split each, but got 'train_test'" in text
    assert TWO + "'train: Train, train; validation: dev, val'" in text


def test_layout_classes_takes_every_folder_for_a_class(tmp_path) -> None:
    write(tmp_path, "{steam_train,test_tube,bus}/{1,2}.png", "bus/train/3.png")
    (pool,) = read(tmp_path, layout="classes")
    assert sorted(pool) == ["bus", "steam_train", "test_tube"]
    assert pool["bus"] == ["bus/1.png", "bus/2.png", "bus/train/3.png"]


def test_layout_auto_is_no_part_of_ids(tmp_path) -> None:
    plain = folder(tmp_path)
    assert "layout" not in plain.identity() and plain == folder(tmp_path, layout="auto")
    own = folder(tmp_path, layout="classes")
    assert own.identity() == {**plain.identity(), "layout": "classes"}
    with pytest.raises(UserError, match="layout: must be one of auto, classes"):
        folder(tmp_path, layout="splits")


@pytest.mark.parametrize("kind", ["gtsrb", "imagenette", "flowers102", "tiny_imagenet"])
def test_published_sets_have_a_layout_of_their_own(kind) -> None:
    with pytest.raises(UserError, match=f"layout: is not a setting of `{kind}`"):
        build_data({"kind": kind, "root": "somewhere", "layout": "classes"})


@pytest.mark.parametrize("place", ["test", "train/owl"])
def test_a_link_to_nothing_may_be_a_class_or_a_split(tmp_path, place) -> None:
    write(tmp_path, "train/{cat,dog}/0.png")
    (tmp_path / place).symlink_to(tmp_path / "unmounted")
    assert refused(tmp_path) == (
        f"root: must hold folders and files that can be read, but got '{place}'. Fix or remove "
        "them (a link to nothing)."
    )


def test_a_link_to_nothing_with_an_extension_is_counted(tmp_path) -> None:
    write(tmp_path, "{cat,dog}/0.png")
    (tmp_path / "notes.txt").symlink_to(tmp_path / "unmounted")
    assert folder(tmp_path).open().left_out == ("1 file beside the class folders (.txt)",)


@pytest.mark.parametrize(
    ("splits", "note"),
    [
        ("{Train,val}", "the images in val/ are the test set"),
        ("{Train,val,test}", "val/ is not read: validation images are drawn from Train/"),
    ],
)
def test_what_validation_images_serve_for_is_noted(tmp_path, splits, note) -> None:
    for split in splits[1:-1].split(","):
        write(tmp_path, f"{split}/{{cat,dog}}/1.png")
    contents = folder(tmp_path).open()
    assert contents.notes == (note,) and contents.warnings == ()


def test_a_split_beside_the_root_is_a_warning(tmp_path) -> None:
    write(tmp_path, "set/{Train,Test}/{cat,dog}/1.png", "set/val/", "set/old_test/{cat,dog}/1.png")
    contents = folder(tmp_path / "set" / "Train").open()
    assert contents.test_from is None
    assert contents.warnings == (
        f"Test/ beside data.root is not read: to use it, point data.root at {tmp_path / 'set'}",
    )
    assert folder(tmp_path / "set" / "Train", layout="classes").open().warnings == ()


def test_the_folder_of_one_class_names_the_one_above(tmp_path) -> None:
    write(tmp_path, "Train/{cat,dog}/1.png")
    remedy = f"This seems to be the folder of one class: --set data.root={tmp_path / 'Train'}."
    assert refused(tmp_path / "Train" / "cat").endswith(remedy)


@pytest.mark.parametrize(
    ("file", "remedy"),
    [
        ("set.csv", "Name the kind that reads it: --set data.kind=csv."),
        ("set.tsv", "Name the kind that reads it: --set data.kind=csv."),
        ("set.npz", "Name the kind that reads it: --set data.kind=arrays."),
        ("1.png", "It is one image: point data.root at the folder that holds a folder for each"),
    ],
)
def test_files_name_the_kind_that_reads_them(tmp_path, file, remedy) -> None:
    write(tmp_path, file)
    assert remedy in refused(tmp_path / file)


def test_parquet_files_name_the_kind_that_reads_them(tmp_path) -> None:
    write(tmp_path, "data/train.parquet")
    text = "Name the kind that reads it: --set data.kind=parquet"
    assert refused(tmp_path).endswith(f"{text}.")
    file = tmp_path / "data" / "train.parquet"
    assert refused(file).endswith(f"{text} --set data.root={file.parent}.")


@pytest.mark.parametrize("image", ["1.png", "images/1.png"])
def test_a_table_beside_images_may_be_meant(tmp_path, image) -> None:
    write(tmp_path, image, "labels.csv")
    assert refused(tmp_path).endswith(
        " If labels.csv lists the images: --set data.kind=csv "
        f"--set data.root={tmp_path / 'labels.csv'}."
    )
