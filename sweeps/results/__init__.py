"""A results folder: made once, opened again with the same question and the same data.

`create` makes and opens it, `add_probes` changes the one part of its spec that may change, and
`judge` writes its region, without torch where `stored`, what sweep.json says of the spec, is enough.
"""
