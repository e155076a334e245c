"""Scenes made on the spot, for what the labelled data lacks: water above all.

Every scene is a :class:`Canvas`: an image, a map of object numbers and the numbers that
may serve as targets. The same seed makes the same scene.
"""
