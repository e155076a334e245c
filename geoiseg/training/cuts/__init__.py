"""Fits by what a map chooses its objects to the weights of ``tiny`` that are there."""
