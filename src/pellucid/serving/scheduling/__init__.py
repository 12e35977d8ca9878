"""What waits and what is translated next: one bounded queue of sentences, and the threads that take batches of it.

Reading order: ``work`` (a request as its sentences, and a batch), ``queue`` (who is next, and who is refused),
``workers`` (the threads). Nothing here knows of HTTP or of languages.
"""
