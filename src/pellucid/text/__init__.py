"""From files to batches of token ids; numpy only.

``lines`` → ``corpus`` → ``cleaning`` → ``normalisation`` → ``vocabulary`` → ``segmenter`` → ``tokenizer``
→ ``tags`` → ``sentences`` → ``store`` → ``batching``. Each file says which to read next.
"""
