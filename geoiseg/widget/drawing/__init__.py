"""What lies over the raster: mask, prompts, outlines, accepted features and their classes."""
