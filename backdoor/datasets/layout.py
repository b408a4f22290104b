"""Names of splits: whether a folder or a file holds training, test or validation images."""

from __future__ import annotations

import re
from typing import Literal

Split = Literal["train", "test", "validation"]

#: Word → the split that it names.
WORDS: dict[str, Split] = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev"), "validation"),
}
#: Words that may follow such a word without a gap, as in `trainset` and `testimages`.
ENDINGS = ("set", "sets", "data", "dataset", "images", "imgs", "img", "split", "folder")


def split_of(name: str) -> Split | None:
    """The split that a name of a folder or file says, such as `train_images` or `TestSet`; None if
    it says none, or two."""
    found = {WORDS[word] for word in map(_stem, words_of(name)) if word in WORDS}
    return found.pop() if len(found) == 1 else None


def words_of(name: str) -> list[str]:
    """The words of a name, in lower case: `seg_trainSet-2` is seg, train, set."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return [word.lower() for word in re.findall(r"[^\W\d_]+", spaced)]


def _stem(word: str) -> str:
    """The word without an ending that splits often have."""
    endings = (word.removesuffix(ending) for ending in ENDINGS if word.endswith(ending))
    return word if word in WORDS else next((stem for stem in endings if stem in WORDS), word)
