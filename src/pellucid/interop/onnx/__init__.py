"""Models exported to ONNX and run again by onnxruntime.

Only what belongs to this format is here; the model's equations are written again as a graph. Read ``graph.py``
first, then ``layers.py`` and ``writing.py``.
"""
