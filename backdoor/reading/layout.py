"""Names of splits: whether a folder or a file holds training, test or validation images."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal

Split = Literal["train", "test", "validation"]

#: Word → the split that it names.
WORDS: dict[str, Split] = {
    **dict.fromkeys(("train", "training", "trn", "trainval"), "train"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
    **dict.fromkeys(
        ("val", "valid", "validation", "validate", "dev", "eval", "evaluation"), "validation"
    ),
}
#: Words that may stand beside such a word without a gap, as in `trainset` and `testimages`.
ENDINGS = (
    *("set", "sets", "data", "dataset", "split", "folder", "dir", "subset", "samples", "examples"),
    *("image", "images", "imgs", "img", "photos", "pictures", "pics", "files"),
)
#: Words for images without labels, which are left out where they lie beside splits.
UNLABELLED = ("pred", "preds", "prediction", "predictions", "unlabeled", "unlabelled")


def split_of(name: str) -> Split | None:
    """The split that a name of a folder or file says, such as `train_images` or `TestSet`; None if
    it says none, or two. Training and validation together (`train_val`) are training."""
    found = splits_in(name)
    if found == {"train", "validation"}:
        return "train"
    return next(iter(found)) if len(found) == 1 else None


def splits_in(name: str) -> frozenset[Split]:
    """All splits that a name says."""
    words = (_stem(word, WORDS) for word in words_of(name))
    return frozenset(WORDS[word] for word in words if word in WORDS)


def is_unlabelled(name: str) -> bool:
    """Whether a name says that the images have no labels."""
    return any(_stem(word, UNLABELLED) in UNLABELLED for word in words_of(name))


def rest_of(name: str) -> tuple[str, ...]:
    """What a name says beside a split, as sorted words: `seg_train_images` and `TestSeg` both say
    seg. Two splits of one set say the same."""
    words = (_stem(word, WORDS) for word in words_of(name))
    return tuple(sorted(word for word in words if word not in WORDS and word not in ENDINGS))


def words_of(name: str) -> list[str]:
    """The words of a name, in lower case: `seg_trainSet-2` is seg, train, set."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return [word.lower() for word in re.findall(r"[^\W\d_]+", spaced)]


def _stem(word: str, known: Collection[str]) -> str:
    """The word without what splits often have before or behind it."""
    if word in known:
        return word
    behind = (word.removesuffix(ending) for ending in ENDINGS if word.endswith(ending))
    before = (word.removeprefix(ending) for ending in ENDINGS if word.startswith(ending))
    return next((stem for stem in (*behind, *before) if stem in known), word)
