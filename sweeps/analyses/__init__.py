"""What finished sweeps say beyond their region: `detectability` and `resistance`.

Both read the ledger only. Each has a module with its numbers, plain values with a documented
schema, and `text` writes them for people.
"""
