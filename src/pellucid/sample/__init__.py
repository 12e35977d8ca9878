"""Write the embedded corpus: English-French pairs from a synchronous grammar.

Every sentence is generated, and nothing here trains; ``walkthrough/`` holds the model that ships. Other rooms call
`build_corpus`. Read next: `records.py` (the result), `corpus.py` (the splits), `draft.py` and `templates_pronoun.py`
(how a sentence is written), and docs/concepts/sample_grammar.md for the rules.
"""

from pellucid.sample.corpus import build_corpus
from pellucid.sample.records import MinimalPair, Referent, SampleCorpus, SamplePair
from pellucid.sample.words import split_words

__all__ = ["MinimalPair", "Referent", "SampleCorpus", "SamplePair", "build_corpus", "split_words"]
