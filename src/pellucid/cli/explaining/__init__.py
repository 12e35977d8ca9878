"""The verb ``attribute``."""
