"""From files to labels and pixels: the rules by which every data set is read.

The rules are written down in `backdoor/datasets/README.md`. `contents` is what a source has before
its pixels are decoded; `labels`, `pixels` and `scan` say what becomes of it; `cache` keeps it.
"""
