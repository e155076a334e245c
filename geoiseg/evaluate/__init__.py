"""How good masks are, and how many clicks they cost."""
