"""A model of one's own: ``tiny``, whose decoder has learnt from accepted features.

The encoder stays as it ships and is run by onnxruntime; the decoder's weights are read from its
graph, learn in torch, and are put back into the same graph. So nothing but the installed package
is needed to begin with.
"""
