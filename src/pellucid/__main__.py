"""Run the command line with ``python -m pellucid``."""

from pellucid.cli.main import run

run()
