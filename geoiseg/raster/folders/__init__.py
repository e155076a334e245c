"""Folders and lists of files that are one raster: of what it consists, as a virtual dataset."""
