"""The tasks of a user, each in one function; only here do the other rooms meet.

The command line and the library call the same jobs; nothing here prints or reads options. The usual order is ``train``
(``opening`` → ``prepare`` → the trainer), then ``translate``, ``score``, ``evaluate``, ``average``; ``demo`` does all.
"""
