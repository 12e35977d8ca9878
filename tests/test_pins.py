"""The pinned packages can be installed with every Python that pellucid promises, down to the first release of one."""

from __future__ import annotations

import tomllib
from importlib.metadata import distributions
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent


def test_pins_take_the_oldest_python() -> None:
    """Debian 12 has 3.11.2; one pin that asked for 3.11.5 made the installation fail there, with an unclear message."""
    promised = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    assert promised.startswith(">=")
    oldest = f"{promised.removeprefix('>=')}.0"
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {canonicalize_name(line.partition("==")[0]) for line in lines if "==" in line and line[0] != "#"}
    found = [one for one in distributions() if canonicalize_name(one.metadata["Name"]) in pins]
    assert len(found) > 20
    wrong = {
        one.metadata["Name"]: one.metadata["Requires-Python"]
        for one in found
        if oldest not in SpecifierSet(one.metadata.get("Requires-Python") or "")
    }
    assert not wrong
