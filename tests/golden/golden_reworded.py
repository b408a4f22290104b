"""Texts that were worded otherwise at 5634bd7: the record stays as it is, and is read by this table.

Only words differ: each pattern leaves numbers and order as they were recorded.
"""

from __future__ import annotations

import re
from typing import Any

#: What the record says → what is said today.
REWORDED = [
    (r"how to mend what is wrong", "how to fix what is wrong"),
    (r"drawn anew for each image", "drawn again for each image"),
    (r"how much the loss hangs on the input", "how much the loss depends on the input"),
    (r"without normalisation by default", "without normalization by default"),
    (r"Of (\d+) others foretold that ran", r"Of \1 others with a predicted verdict that ran"),
    (
        r"None that was foretold has run to its end",
        "No other trial with a predicted verdict has run to its end",
    ),
]


def in_words_of_today(value: Any) -> Any:
    """A recorded answer with its texts worded as they are today."""
    if isinstance(value, str):
        for before, now in REWORDED:
            value = re.sub(before, now, value)
        return value
    if isinstance(value, list):
        return [in_words_of_today(each) for each in value]
    if isinstance(value, dict):
        return {key: in_words_of_today(each) for key, each in value.items()}
    return value
