"""Help while a translation is typed: the words that the model would write next, and the translation with each of them.

Reading order: ``words`` (where a word ends), ``expansion`` (the next pieces of a beginning, from any engine),
``alternatives`` (the next words).
"""
