"""A model of one's own: ``tiny``, whose decoder has learnt from accepted features.

The encoder stays as it ships and is run by onnxruntime, but for its last stages where they are to
learn, too. What learns is read from its graph, learns in torch, and is put back into the same
graph. So nothing but the installed package is needed to begin with.
"""
