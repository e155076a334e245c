"""geoiseg for programs that speak the Model Context Protocol: a session behind tools.

In comes a line of JSON a request on standard input, out goes one an answer on standard output; no
port is opened. ``desk`` does what is asked and knows nothing of the protocol, ``picture`` draws the
state, ``server`` speaks, with the official ``mcp`` package.
"""
