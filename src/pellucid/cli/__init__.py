"""The command line: one verb a file, its options, and what it writes to the screen.

Only here is anything printed. A verb calls one job and holds no logic of its own. Read ``main.py`` first, which
puts the verbs together.
"""
