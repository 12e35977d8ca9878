"""Documents and marked-up texts for the service: what ``pellucid/documents/`` reads goes through the queue.

Nothing of a document is ever on the disk. Reading order: ``translating`` (segments through the queue), ``markup`` (HTML
and XML in a request), ``desk`` (how many documents at once, and where the translated ones wait).
"""
