"""What finished sweeps say beyond their region: `detectability`, `resistance`, `variance`,
`effects` and `persistence`.

All read the ledger only. Each has a module with its numbers, plain values with a documented
schema, and `text` writes them for people.
"""
