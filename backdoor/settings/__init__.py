"""What a kind's settings are: typed fields, names of kinds, files of the user's, and ids."""
