"""The protocols of the service over HTTP: each reads requests and writes answers and errors in its own form.

Reading order: ``reading`` (bodies and their limits), ``answering`` (errors, metrics, who asks), then ``libretranslate``
(its form, word for word), ``deepl`` and ``opus_mt``, ``v1`` (ours, with everything), ``health``, ``routes``.
"""
