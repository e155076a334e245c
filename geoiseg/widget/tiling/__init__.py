"""How the raster is shown: tiles, warped from its overviews as a browser asks for them."""
