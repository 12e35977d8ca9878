"""The job behind ``pellucid align``.

It aligns the words of two parallel files with a model, and chooses the heads with which the model does so. What an
alignment is stands in ``translation/alignment``; here are only the files and the model folder. Read ``files.py``.
"""
