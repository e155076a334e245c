"""The page without Python: clicks on a GeoTIFF in any browser.

In: the model that ships with the package, and perhaps a raster. Out: a folder of files that any
web server can show; its modules are in ``page/``, and the libraries that they use, each with its
licence, in ``vendor.tar.xz``.
"""
