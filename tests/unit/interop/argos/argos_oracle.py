"""Install a package into the real Argos Translate and translate standard input, a line at a time, without a network.

    python argos_oracle.py PACKAGE FROM TO

Run as a process of its own: Argos makes folders where the environment tells it to as soon as it is imported.
"""

from __future__ import annotations

import socket
import sys
import types


def refuse(*arguments: object, **_: object) -> None:
    raise OSError("a package that is complete needs no network")


def main() -> None:
    socket.socket.connect = refuse  # type: ignore[method-assign,assignment]
    socket.getaddrinfo = refuse  # type: ignore[assignment]
    # Imported by Argos in any case, used for packages with Stanza's data only; it weighs gigabytes.
    sys.modules.setdefault("stanza", types.ModuleType("stanza"))
    from argostranslate import package, translate

    path, source, target = sys.argv[1:]
    package.install_from_path(path)
    translation = translate.get_translation_from_codes(source, target)
    for line in sys.stdin:
        print(translation.hypotheses(line.rstrip("\n"), 1)[0].value)


if __name__ == "__main__":
    main()
