"""How the head that knows a few words was fitted: ``python -m geoiseg.training.words``."""
