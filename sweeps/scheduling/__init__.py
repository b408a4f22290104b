"""The loop of a sweep: ask the search, make packs, run them, record rows, tell the search.

loop.py          `run_search`, and how a sweep is interrupted
reuse.py         finished trials of other sweeps that are taken over
sweep_feed.py    what is handed out next; where rows are recorded and the search is told them
chunk_size.py    how many packs a worker is handed at once
"""
