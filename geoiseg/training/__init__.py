"""How the shipped small model was made: ``python -m geoiseg.training`` makes it again.

Needs the ``train`` extra. Nothing at run time imports this package.
"""
