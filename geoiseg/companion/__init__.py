"""The process beside a desktop GIS: geoiseg in its own environment, spoken to through a pipe.

``python -m geoiseg.companion`` reads requests from its standard input and answers on its
standard output, a line of JSON each. It opens no port, and it ends with its input.
"""

PROTOCOL = 2
"""Number of the way of speaking; a plugin of another number is refused by the plugin."""
