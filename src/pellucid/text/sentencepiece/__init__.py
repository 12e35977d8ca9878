"""SentencePiece: training a model, cutting text into pieces, and opening untrusted model files.

An untrusted file is first checked byte by byte (``file``) and opened in a process with limits (``foreign``, ``child``);
only then does this process open it (``segmenter``). Our ids, special pieces and tags do not belong in this folder.
"""
