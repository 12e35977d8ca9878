"""Import from and export to the formats of other tools; a conversion is kept only if both sides compute the same.

Each format has a folder, and its names for things are used nowhere else. ``verification`` compares two
engines and knows no format; ``untrusted`` opens files that strangers made. Read ``formats.py`` first.
"""
