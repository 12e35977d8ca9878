"""How the codes of a segment come through its translation: each once, pairs balanced, in an order that is valid.

Reading order: ``plain`` (the text without codes, and where they were), ``words`` (which words of source and translation
belong together), ``placing`` (where each code goes), ``outcomes`` (which way was used, and what to report).
"""
