"""Whole documents: what is translated is cut out of the white space around it, and put back into it.

Reading order: ``layout`` (what of a text is translated), ``results`` (what a translated document is), ``translating``
(from a text to such a result).
"""
