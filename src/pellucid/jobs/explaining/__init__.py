"""The job behind ``pellucid attribute``: translate one sentence and say why its pieces were written.

The methods are in ``analysis/attribution``; here are the choice of a step by a word, the lines for the terminal and the
numbers for a file. Nothing here computes a part.
"""
