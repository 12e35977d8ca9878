"""The version of this source tree: the only place where it is written.

``pyproject.toml`` reads it from here, so it is known in a tree that was never installed, too.
"""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
