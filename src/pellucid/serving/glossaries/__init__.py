"""Glossaries that requests name: those of the owner of the server, and those that clients of DeepL's protocol make.

The protocols read and write them, and a folder keeps them if the owner names one. Nothing here translates: the search
with their terms is in ``translation/terms/``.
"""
