"""FastSAM and YOLO segmentation through ultralytics, which is AGPL-3.0 and never a dependency.

Nothing else of geoiseg imports this room but the registry, and that when such a model is asked for.
"""
