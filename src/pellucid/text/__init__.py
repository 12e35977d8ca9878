"""From text files to batches of token ids.

Nothing here imports torch or uses a model. Reading order: ``lines`` → ``corpus`` → ``cleaning`` →
``normalisation`` → ``vocabulary`` → ``sentencepiece/`` → ``subword`` → ``tokenizer`` → ``tags`` → ``sentences`` →
``store`` → ``batching``.
"""
