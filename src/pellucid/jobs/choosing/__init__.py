"""Choose the settings of a run by its text and its budget: ``preset = "auto"``.

The figures are data, in ``preset.toml``; nothing here holds one. What is chosen becomes plain numbers of the recipe
before the run begins, so a run, a model folder and a recipe on disk never contain "auto" as their preset.
Reading order: ``preset.toml`` → ``rules`` → ``preset``.
"""
