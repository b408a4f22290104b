"""Folders of image files: which are splits, which are classes, and what is left out."""
