"""Interactive and scripted segmentation of georeferenced rasters."""
