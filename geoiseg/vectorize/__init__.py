from geoiseg.vectorize.trace import geometry_from_mask, polygons_from_labels, polygons_from_mask
