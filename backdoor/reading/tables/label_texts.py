"""What text in tables can be a label: not too long, and printable."""

from __future__ import annotations

import re

#: Characters of the longest label: longer texts are captions, and memory is needed for the longest.
LONGEST_LABEL = 200
#: Control characters and line separators: some are lost where labels are stored.
UNPRINTED = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
#: Rule and remedy.
TOO_LONG = (
    f"must have labels of at most {LONGEST_LABEL} characters",
    "Longer texts are captions and no classes: name another column with "
    "--set data.label_column=NAME.",
)
NOT_PRINTED = (
    "must have labels without control characters",
    "Remove these characters from the labels.",
)
