"""Which names of folders and files are those of splits."""

import pytest

from backdoor.reading.layout import is_unlabelled, rest_of, split_of, splits_in

NAMES = {
    "train": "train Train TRAIN training Training trainset TrainSet train_images images_train "
    "seg_train asl_alphabet_train train2017 train-1 TRAINING_DATA trainingdata imgtrain XTrain "
    "training_set Training_Set trn trainA trainval train_val train_valid TrainImages my.train",
    "test": "test Test TEST testing TestSet test_images testImages test2 seg_test tst "
    "testset test-multiple_sizes test_tube testData datatest",
    "validation": "val valid Valid validation VALIDATION validate dev val2017 validset val_images "
    "eval evaluation",
}
NO_SPLITS = (
    "cat trains latest contest fastest strain constraint medieval interval rainbow protest "
    "development device devil 0 00001 n01440764 trainer tester tests evaluate-not T10k images"
)


@pytest.mark.parametrize(
    ("name", "split"),
    [(name, split) for split, names in NAMES.items() for name in names.split()],
)
def test_a_name_says_a_split(name, split) -> None:
    assert split_of(name) == split


@pytest.mark.parametrize("name", NO_SPLITS.split())
def test_other_names_say_none(name) -> None:
    assert split_of(name) is None and not splits_in(name)


@pytest.mark.parametrize("name", ["train_test", "test-train-split", "ValTest", "train_val_test"])
def test_a_name_that_says_two_splits_says_none(name) -> None:
    assert split_of(name) is None and len(splits_in(name)) > 1


def test_splits_of_one_set_say_the_same_beside_the_split() -> None:
    same = ["seg_train", "TestSeg", "seg-validation", "seg_train_images", "segTestset2"]
    assert {rest_of(name) for name in same} == {("seg",)}
    plain = ["train", "test_images", "ValSet", "training_data", "test2017"]
    assert {rest_of(name) for name in plain} == {()}
    assert rest_of("steam_train") != rest_of("test_tube")


def test_images_without_labels() -> None:
    words = (
        "pred seg_pred predictions Prediction unlabeled unlabelled unlabeled2017 UnlabelledImages"
    )
    assert all(map(is_unlabelled, words.split()))
    assert not any(map(is_unlabelled, ["labelled", "predator", "cat", "test", "unknown"]))
