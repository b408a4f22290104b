"""Settings of kinds: typed fields, names of kinds, files of users, and digests for ids."""
