"""The models of the service, by language pair: opened when they are needed, closed when memory is short.

Reading order: ``languages`` (codes and names), ``pool`` (which model, and its memory), ``detection`` (the language of
a text).
"""
