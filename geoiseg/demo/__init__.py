"""The main job from end to end, on a scene made on the spot or on the user's own raster."""
