"""From sentences to translations: search over a stepper, and the translator around it.

Nothing here trains, and no search knows a network. Reading order: ``hypothesis`` (the records), ``stepper`` (what
search sees of a model), ``observer`` (what search shows of itself), ``constraints`` and ``candidates`` (what may come
next and what is best), ``greedy`` and ``sampling`` (one row a sentence), ``beam``, ``scoring`` (given translations),
then ``segments``, ``flags`` and ``translator`` (text around it all).
"""
