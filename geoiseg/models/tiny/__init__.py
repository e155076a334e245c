"""The small promptable network that ships with the package."""

DESCRIPTION = "small promptable network, ships with the package, CPU, offline"
"""Of a network whose card has none of its own."""
