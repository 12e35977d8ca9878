"""A Transformer translator that you train on your own text, run anywhere, and see through."""
