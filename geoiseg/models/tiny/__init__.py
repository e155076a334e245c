"""The small promptable network that ships with the package."""
