"""Who may use the service, how much, and from which web pages.

Nothing here knows of translation.
Reading order: ``keys`` (clients by the hash of their key, and their limits), ``crossing`` (pages of other origins).
"""
