"""Segment Anything and its relatives, run by torch."""

from geoiseg.models.sam.loader import load_sam

__all__ = ["load_sam"]
