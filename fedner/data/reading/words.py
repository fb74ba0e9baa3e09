"""Words of running text with their character offsets, by Unicode category alone: the same on every machine.

Runs of letters and digits are words; every other visible character is a word by itself, and so is each character of the
scripts that put no blank between words (Han, kana, Thai, Lao, Khmer, Burmese). Combining marks and joiners stay with
the character before them.
"""

import unicodedata
from functools import lru_cache

_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),  # Katakana extensions
    (0x3400, 0x4DBF),  # Han extension A
    (0x4E00, 0x9FFF),  # Han
    (0xF900, 0xFAFF),  # Han compatibility
    (0x20000, 0x323AF),  # Han extensions B to H
)


def split_words(text: str) -> list[tuple[int, int]]:
    """Return the (start, end) characters of each word, in order; blanks and control characters belong to none."""
    words: list[tuple[int, int]] = []
    joined = ""  # kind of the character before, if the next may join its word
    for index, character in enumerate(text):
        kind = _kind(character)
        if kind == "blank" or (kind == "format" and not joined):
            joined = ""
        elif joined and (kind in ("mark", "format") or kind == joined == "letter"):
            words[-1] = (words[-1][0], index + 1)
        else:
            words.append((index, index + 1))
            joined = "letter" if kind == "mark" else kind
    return words


@lru_cache(maxsize=65536)
def _kind(character: str) -> str:
    """Return blank, letter (or digit), mark, format, or the class of characters that stand alone."""
    category = unicodedata.category(character)
    if character.isspace() or category == "Cc":
        return "blank"
    if category in ("Mn", "Mc", "Me"):
        return "mark"
    if category != "Nd" and any(low <= ord(character) <= high for low, high in _UNSPACED):
        return "unspaced"
    if category[0] in "LN":
        return "letter"
    return "format" if category == "Cf" else "symbol"
