"""Guess in which encoding a text is that is not UTF-8, and say when a whole file is in another one.

A text of one encoding is rarely valid in another, and where it is, it shows characters that nobody writes side by side.
A guess is only told to people, who convert the file themselves; nothing is decoded by it. Read ``../lines.py`` next.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["FEWEST_BAD_LINES", "guess_of", "is_other_encoding", "is_utf8", "looks_like"]

FEWEST_BAD_LINES: Final = 3
"""With fewer, a file may have been damaged; a memory of years has a few such lines."""
_SAMPLE_BYTES: Final = 1 << 14
_LEAST_SHARE: Final = 0.9
_FEWEST_OF_OTHER_SCRIPTS: Final = 4
"""Characters: a single byte beyond ASCII is a letter of any script."""
_WESTERN: Final = "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜŒŠŽßàáâãäåæçèéêëìíîïñòóôõöøùúûüœšž"
_CENTRAL: Final = "ĄĆĘŁŃÓŚŹŻąćęłńóśźżÁČĎÉĚÍŇŘŠŤÚŮÝŽáčďéěíňřšťúůýžÖÜŐŰöüőűÄäŔŕĹĺĽľÔôĂÂÎŞŢăâîşţ"
_SIGNS: Final = "‘’“”„‚–—…€£§°«»¿¡·\u00a0"
_CYRILLIC: Final = r"(?<![А-ЯЁІЇЄа-яёіїє])(?:[А-ЯЁІЇЄа-яёіїє][а-яёіїє]*|[А-ЯЁІЇЄ]+)(?![А-ЯЁІЇЄа-яёіїє])"
_CJK_SIGNS: Final = f"{_SIGNS}\u3000-\u303f\uff01-\uff5e"
_JAPANESE: Final = rf"(?=[^\n]*[\u3041-\u3093])[\u3041-\u30fc\u4e00-\u9fff{_CJK_SIGNS}]+"


def _script(letters: str) -> re.Pattern[str]:
    """Return what is usual in another script: its letters without Latin ones beside them, and signs."""
    return re.compile(rf"(?<![A-Za-z])(?:{letters})(?![A-Za-z])|[{_SIGNS}]")


def _latin(letters: str) -> re.Pattern[str]:
    """Return what is usual in a Latin script: signs, and letters, at most two together (Füße), large ones in front."""
    small, large = ("".join(c for c in letters if c.islower() is is_small) for is_small in (True, False))
    own = rf"(?:[{small}]|(?<![a-z])[{large}]){{1,2}}"
    return re.compile(rf"(?<![^\x00-\x7f]){own}(?![^\x00-\x7f])|[{_SIGNS}]")


_LATIN: Final = (_latin(_WESTERN), _latin(_CENTRAL))
# The first of the best is taken. Korean text is also valid as Chinese, and Japanese text nearly so.
_CANDIDATES: Final = (
    ("WINDOWS-1252", "cp1252", _LATIN[0]),
    ("WINDOWS-1250", "cp1250", _LATIN[1]),
    ("EUC-KR", "euc_kr", _script(rf"[\uac00-\ud7a3{_CJK_SIGNS}]+")),
    ("EUC-JP", "euc_jp", _script(_JAPANESE)),
    ("SHIFT_JIS", "cp932", _script(_JAPANESE)),
    ("GB18030", "gb2312", _script(rf"[\u4e00-\u9fff{_CJK_SIGNS}]+")),
    ("BIG5", "big5", _script(rf"[\u4e00-\u9fff{_CJK_SIGNS}]+")),
    # Lower-case letters behind the first one: KOI8-R has the cases the other way round.
    ("WINDOWS-1251", "cp1251", _script(_CYRILLIC)),
    ("KOI8-R", "koi8_r", _script(_CYRILLIC)),
    ("WINDOWS-1253", "cp1253", _script("[\u0386\u0388-\u03ce]+")),
)
_OTHER: Final = re.compile(r"[^\x00-\x7f]")


def guess_of(raw: bytes) -> str:
    """Return the name of the encoding that lines look like, as iconv knows it; empty if nothing is likely.

    Lines that are not UTF-8 among more that are, with characters beyond ASCII, are damaged and look like nothing.
    """
    if raw.count(b"\0") > len(raw) // 4:
        return "UTF-16LE" if raw[1::2].count(b"\0") > raw[::2].count(b"\0") else "UTF-16BE"
    bad, num_good = [], 0
    for line in raw.split(b"\n"):
        if not line.isascii():
            is_good = is_utf8(line)
            num_good += is_good
            bad += [] if is_good else [line]
    if len(bad) <= num_good:
        return ""
    sample = b"\n".join(bad)[:_SAMPLE_BYTES]
    shares = {name: _usual_share(sample, codec, usual) for name, codec, usual in _CANDIDATES}
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] >= _LEAST_SHARE else ""


def looks_like(raw: bytes) -> str:
    """Return the words of a message about lines that are not UTF-8: what they look like, and how to convert them."""
    name = guess_of(raw)
    if not name:
        return ""
    shown = f"{name} (Latin-1) or an encoding near it" if name == "WINDOWS-1252" else name
    return f"; the text looks like {shown}, which iconv -f {name} -t UTF-8 OLD > NEW converts"


def is_other_encoding(*, bad_lines: int, good_lines: int) -> bool:
    """Return whether a whole file is in another encoding, and not UTF-8 with a few damaged lines.

    Args:
        bad_lines: lines that are not UTF-8.
        good_lines: lines that are, and have characters beyond ASCII.
    """
    return bad_lines >= FEWEST_BAD_LINES and bad_lines > good_lines


def is_utf8(line: bytes) -> bool:
    """Return whether bytes are valid UTF-8."""
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _usual_share(sample: bytes, codec: str, usual: re.Pattern[str]) -> float:
    """Return the share of the characters beyond ASCII that people usually write in this encoding."""
    text = sample.decode(codec, errors="replace")
    every = len(_OTHER.findall(text))
    found = sum(len(_OTHER.findall(one[0])) for one in usual.finditer(text))
    return found / max(every, 1) if usual in _LATIN or found >= _FEWEST_OF_OTHER_SCRIPTS else 0.0
