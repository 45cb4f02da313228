"""Which text-search configuration of Postgres reads a language."""

from __future__ import annotations

import re
from typing import Final

WANTED: Final = "must be a language tag, such as de or pt-BR"

SIMPLE: Final = "simple"
"""What stems nothing, and leaves nothing out."""

_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
# By the first part of a tag: what every Postgres that the service takes has.
_STEMMED: Final = {
    "ar": "arabic", "ca": "catalan", "da": "danish", "de": "german", "el": "greek", "en": "english", "es": "spanish",
    "eu": "basque", "fi": "finnish", "fr": "french", "ga": "irish", "hi": "hindi", "hu": "hungarian", "hy": "armenian",
    "id": "indonesian", "it": "italian", "lt": "lithuanian", "nb": "norwegian", "ne": "nepali", "nl": "dutch",
    "nn": "norwegian", "no": "norwegian", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sr": "serbian",
    "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip
_UNSPACED: Final = frozenset({"zh", "yue", "ja", "ko", "th", "lo", "km", "my", "bo"})


def is_tag(tag: str) -> bool:
    """Whether it has the form of a language tag, as BCP 47 has them."""
    return _TAG.fullmatch(tag) is not None


def text_config(tag: str | None) -> str | None:
    """The configuration that stems a language; `simple`, which stems nothing, where Postgres knows none. None leaves it
    to the deployment: without a tag, and in languages without spaces, whose words need none, for what is English there.
    """
    if tag is None:
        return None
    primary = tag.partition("-")[0].lower()
    return None if primary in _UNSPACED else _STEMMED.get(primary, SIMPLE)


def text_configs() -> dict[str, str | None]:
    """The same of every language that is known, by the first part of its tag; all others are read by `simple`."""
    return {primary: text_config(primary) for primary in (*_STEMMED, *_UNSPACED)}
