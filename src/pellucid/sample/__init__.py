"""Write the embedded corpus: English-French pairs from a synchronous grammar of our own.

Nothing here is taken from a corpus, and nothing trains; ``walkthrough/`` holds the model that ships. `build_corpus` is
the whole surface. To read on: `records.py` (what comes out), `corpus.py` (how the splits are made), `draft.py` and
`templates_pronoun.py` (how a sentence is written), and docs/concepts/sample_grammar.md for the rules.
"""

from pellucid.sample.corpus import build_corpus
from pellucid.sample.records import MinimalPair, Referent, SampleCorpus, SamplePair
from pellucid.sample.words import split_words

__all__ = ["MinimalPair", "Referent", "SampleCorpus", "SamplePair", "build_corpus", "split_words"]
