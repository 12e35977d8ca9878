"""Terms from files and from the command line: for a translation, and by name for the service.

``translation/terms/`` searches with them. Here is only which files and words make a glossary, and what is wrong with
them.
"""
