"""From files to batches of token ids.

numpy only: nothing here imports torch or knows a model. Reading order: ``lines`` → ``corpus`` → ``cleaning`` →
``normalisation`` → ``vocabulary`` → ``segmenter`` → ``tokenizer`` → ``tags`` → ``sentences`` → ``store`` →
``batching``.
"""
