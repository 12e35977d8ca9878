"""Placeholders and tags that come through a translation exactly once and in their order.

A text is translated without them, and each is put back where the cross-attention of the model says. Reading order:
``markers`` (what is taken out), ``attention`` (which source token each target token is about), ``placing`` (where the
markers go).
"""
