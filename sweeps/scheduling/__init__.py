"""The loop of a sweep: ask, pack, run, record, tell."""
