"""Models of other tools, in and out; each conversion compares both sides before anything stays on disk.

One folder a format; what a format calls things is renamed there and nowhere else. ``verification`` compares two
engines and knows no format; ``untrusted`` opens what strangers made. Read ``formats.py`` first, the list of formats.
"""
