"""From files of translators to a recipe, and from a test set to a score.

``command_line`` makes a recipe of the options of ``train``; ``test_set`` reads the text that a model is scored on, and
``test_score`` scores a finished run on the part that was held out.
"""
