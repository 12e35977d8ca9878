"""A translation memory: what people have translated before, and the model beside it.

An exact match is the translation; a similar unit is only shown, with its score and the words that differ.

Reading order: ``matches`` (what is shown), ``index`` (which units may be similar), ``units`` (the memory),
``recalling`` (what it says of a text), ``translating`` (a translator with a memory).
"""
