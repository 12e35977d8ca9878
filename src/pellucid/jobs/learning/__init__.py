"""From the corrections of users to a better model.

``review`` lists corrections and gives them their state; ``text`` and ``learn`` make a model of those that are accepted.
The journal itself is in ``serving/corrections``, because the server writes it.
"""
