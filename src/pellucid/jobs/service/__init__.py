"""The translation service as a job: from a configuration to models behind a queue, and a server that drains.

Reading order: ``opening`` (configuration, models), ``running`` (signals, the end), then ``../serve.py``, which serves
the page, too.
"""
