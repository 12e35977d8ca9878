"""English names of languages by their code of ISO 639, for the lists that Argos shows.

Read ``package.py`` next.
"""

from __future__ import annotations

from typing import Final

__all__ = ["LANGUAGE_NAMES"]

_TABLE: Final = """
af Afrikaans, sq Albanian, am Amharic, ar Arabic, hy Armenian, az Azerbaijani, eu Basque, be Belarusian, bn Bengali,
bs Bosnian, br Breton, bg Bulgarian, my Burmese, ca Catalan, zh Chinese, hr Croatian, cs Czech, da Danish, nl Dutch,
en English, eo Esperanto, et Estonian, fo Faroese, fi Finnish, fr French, gl Galician, ka Georgian, de German, el Greek,
gu Gujarati, ht Haitian, ha Hausa, he Hebrew, hi Hindi, hu Hungarian, is Icelandic, ig Igbo, id Indonesian, ga Irish,
it Italian, ja Japanese, kn Kannada, kk Kazakh, km Khmer, rw Kinyarwanda, ko Korean, ku Kurdish, ky Kyrgyz, lo Lao,
la Latin, lv Latvian, lt Lithuanian, lb Luxembourgish, mk Macedonian, mg Malagasy, ms Malay, ml Malayalam, mt Maltese,
mi Maori, mr Marathi, mn Mongolian, ne Nepali, nb Norwegian, nn Nynorsk, oc Occitan, or Odia, ps Pashto, fa Persian,
pl Polish, pt Portuguese, pa Punjabi, ro Romanian, ru Russian, sm Samoan, gd Gaelic, sr Serbian, sn Shona, sd Sindhi,
si Sinhala, sk Slovak, sl Slovenian, so Somali, es Spanish, sw Swahili, sv Swedish, tl Tagalog, tg Tajik, ta Tamil,
tt Tatar, te Telugu, th Thai, ti Tigrinya, to Tongan, tr Turkish, tk Turkmen, uk Ukrainian, ur Urdu, ug Uyghur,
uz Uzbek, vi Vietnamese, cy Welsh, wo Wolof, xh Xhosa, yi Yiddish, yo Yoruba, zu Zulu
"""

LANGUAGE_NAMES: Final = dict(entry.split(maxsplit=1) for entry in _TABLE.replace("\n", " ").split(","))
"""Argos shows the code of a language that is missing here."""
