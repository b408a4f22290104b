"""The loop of a sweep: ask the search, make packs, run them, record rows, tell the search."""
