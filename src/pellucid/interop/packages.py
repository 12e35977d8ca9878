"""Optional packages that one format requires; extras of the installation name them.

Read ``formats.py`` next.
"""

from __future__ import annotations

import importlib.util

from pellucid.errors import ConfigError

__all__ = ["is_installed", "refuse_without"]


def is_installed(package: str) -> bool:
    """Tell whether a package can be imported here."""
    return importlib.util.find_spec(package) is not None


def refuse_without(*packages: str, extra: str) -> None:
    """Refuse to go on where a package is not installed.

    Raises:
        ConfigError: one is missing; the message says how to install it.
    """
    if missing := [name for name in packages if not is_installed(name)]:
        raise ConfigError(
            f"this needs {' and '.join(missing)}, which is not installed: pip install 'pellucid[{extra}]'"
        )
