"""A results folder: made once, opened again with the same question and the same data.

`create` makes and opens it, and `add_probes` changes the one part of its spec that may change.
`update_region` writes its region, without torch where sweep.json has all that it takes (`stored`).
"""
