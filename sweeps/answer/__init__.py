"""The answer: what region.json says since version 2, the same for every search.

`write` judges what the ledger holds and writes the file; `state` says how far the sweep is,
`setting` what is known of the recommended setting, `where` and `limits` describe the region, and
`verification` how it stands with fresh trainings. Sentences that need nothing but the file lie in
`sweeps.records`, where readers of an earlier file find them too.
"""
