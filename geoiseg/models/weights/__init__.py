"""Weights that do not ship with the package: where they are, how they come, how they are read."""
