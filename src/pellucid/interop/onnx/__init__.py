"""Models exported to ONNX and run again by onnxruntime.

Only what belongs to this format is here. Read ``graph.py`` first, then ``layers.py`` and ``writing.py``.
"""
