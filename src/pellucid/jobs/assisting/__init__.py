"""Help for a person who types a translation: ``suggest`` gives the words that may come next."""
