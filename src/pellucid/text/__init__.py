"""From text files to batches of token ids.

Nothing here imports torch or uses a model. Reading order: ``lines`` and ``compression`` → ``corpus`` → ``cleaning`` →
``selection`` → ``normalisation`` → ``vocabulary`` and ``spelling`` → ``sentencepiece/`` → ``subword`` → ``tokenizer`` →
``tags`` → ``sentences`` → ``unknown`` → ``store`` → ``storing/`` → ``batching``.
"""
