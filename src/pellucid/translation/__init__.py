"""From sentences to translations: the search, the engines that compute it, and the translator around them.

Nothing here trains, and no search knows a network. Reading order: ``hypothesis`` (the records), ``stepper`` (what
search sees of a model), ``observer`` (what search shows of itself), ``constraints``, ``prefixes`` and ``candidates``
(what may come next and what is best), ``greedy`` and ``sampling`` (one row a sentence), ``beam`` and ``found`` (its
n-best list), ``scoring`` (given translations), ``engines/`` (what computes), then the text around it all:
``segments``, ``requests``, ``units``, ``flags`` with ``losses``, and ``translator``.
"""
