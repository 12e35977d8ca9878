"""What a person asks for, each in one function: the only place where the rooms meet.

The command line and the library call the same jobs; nothing here prints or reads options. ``prepare`` → ``train``
→ ``translate``, ``score``, ``evaluate``, ``average``; ``demo`` strings them together.
"""
