"""Is a copy the same model? Two engines are compared on the same sentences.

Nothing here knows a format or a file; it compares any two classes that implement ``ComparedModel``. Read ``samples.py``
first.
"""
