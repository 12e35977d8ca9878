"""Fine-tuning with a guard: what a model that starts from another one has gained, and what it has forgotten.

    general.py     general text, and the score of a model on it
    comparison.py  the scores before and after, in the domain and on general text, with intervals

``training/validation.py`` compares the general score of each validation with the one before the first step.
"""
