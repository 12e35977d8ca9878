"""Terminology: forms of words that a translation must contain, and forms that it must not contain.

Reading order: ``forms`` (where a form stands in a text), ``glossary`` (the terms, and which of them a source has),
``watch`` (how far a translation that is being written has met them), ``banks`` (the beam search that meets them all).
"""
