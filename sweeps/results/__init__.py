"""A results folder: made once, opened again with the same question and the same data."""
