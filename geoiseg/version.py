"""The version of geoiseg, for whoever must not import the package's face."""

__version__ = "0.1.0"
