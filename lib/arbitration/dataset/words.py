"""Words of answers: what counts as the same, and which of two answers is given. The check of a set
and the judge of an answer both ask here.

An answer names a form if the form's words stand in it as whole words, next to each other. What is a
word:

* Case, composition (é in one code point or two), width, and the way of writing a digit do not
  count; whole numbers below 100 count as spelt out.
* A letter keeps its marks: पाना is not पीना.
* Words joined by a hyphen are one word for whoever looks for a part of it: *two* is not in
  *twenty-two*, but *t shirt* is *T-shirt*.
* A sign belongs to its number or letter: 5 is not in −5, *C* not in *C++* or *C#*. Units are
  words of their own: 5 is in $5 and 50 in 50%.
* In scripts without spaces (Chinese, Japanese, Thai, …) each character is a word: 红色 is in
  红色的.
* Other punctuation separates words and is dropped, and so is a leading English article with
  something behind it.

Where one answer's words hold the other's, the longer one is meant: *hot dog* does not name *dog*,
nor 50% the plain 50.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

ARTICLES = ("a", "an", "the")
#: Scripts that put no space between words, by how Unicode names their characters.
SPACELESS = (
    "CJK ",
    "HIRAGANA",
    "KATAKANA",
    "BOPOMOFO",
    "THAI ",
    "LAO ",
    "KHMER ",
    "MYANMAR ",
    "TIBETAN ",
)
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


@dataclass(frozen=True)
class Word:
    """A word of a text, and whether a hyphen or a sign joins it to the one before."""

    text: str
    joined: bool = False


@lru_cache(maxsize=4096)
def find_words(text: str) -> tuple[Word, ...]:
    """The words of a text, as the rules above have them."""
    return tuple(_spelt_out(_scanned(_folded(text))))


def normalised(text: str) -> str:
    """The words of a text with a space between them, without a leading article: two answers with
    the same are one answer.

    Examples
    --------
    >>> normalised("The 2 Dogs!"), normalised("T-shirt")
    ('two dogs', 't shirt')
    """
    return " ".join(word.text for word in _without_article(find_words(text)))


def names(text: str, form: str) -> bool:
    """Whether a form stands in a text in whole words.

    Examples
    --------
    >>> names("It is a red car.", "red"), names("twenty-two", "two"), names("-5", "5")
    (True, False, False)
    """
    return bool(_places(find_words(text), form))


def outcome(answer: str, forms_followed: Iterable[str], forms_competitor: Iterable[str]) -> str:
    """Which answer was given: ``follow``, ``competitor``, or ``other`` for neither (or both).

    Parameters
    ----------
    answer : str
        As generated.
    forms_followed, forms_competitor : iterable of str
        Surface forms of the compliant answer and of its competitor. One that stands inside a longer
        one of the other side is not meant.

    Examples
    --------
    >>> outcome("A hot dog.", ["hot dog"], ["dog"]), outcome("a dog", ["hot dog"], ["dog"])
    ('follow', 'competitor')
    >>> outcome("red or blue", ["red"], ["blue"])
    'other'
    """
    given = find_words(answer)
    followed = {place for form in forms_followed for place in _places(given, form)}
    competing = {place for form in forms_competitor for place in _places(given, form)}
    followed, competing = _outside(followed, competing), _outside(competing, followed)
    if bool(followed) == bool(competing):
        return "other"
    return "follow" if followed else "competitor"


def find_pair_fault(answer: str, other: str) -> str | None:
    """Why two answers make no conflict whose outcome can be judged, or None; what is accepted,
    `outcome` recognises.
    """
    for one in (answer, other):
        if not find_words(one):
            return f"{one!r} has no word to recognise in an answer"
    if normalised(answer) == normalised(other):
        return f"{answer!r} and {other!r} are the same answer; a conflict needs two"
    found = outcome(answer, [answer], [other]), outcome(other, [answer], [other])
    if found != ("follow", "competitor"):
        return (
            f"{answer!r} and {other!r} cannot be told apart in an answer; a conflict needs two "
            f"that can"
        )
    return None


def number_words(text: str) -> str:
    """The text with whole numbers below 100 spelt out.

    Examples
    --------
    >>> number_words("2 dogs"), number_words("2.5")
    ('two dogs', '2.5')
    """
    return re.sub(r"(?<!\S)[1-9]?[0-9](?!\S)", lambda found: _spelt(int(found[0])), text)


def _places(words: Sequence[Word], form: str) -> set[tuple[int, int]]:
    """Where a form stands in a text, with and without its article: (first word, behind the last);
    no hyphen or sign joins its ends.
    """
    ends = [not word.joined for word in words] + [True]
    spoken = [word.text for word in words]
    found = set()
    for wanted in (find_words(form), _without_article(find_words(form))):
        texts = [word.text for word in wanted]
        starts = range(len(spoken) - len(texts) + 1) if texts else ()
        places = (
            (start, start + len(texts))
            for start in starts
            if spoken[start : start + len(texts)] == texts
        )
        found |= {(start, end) for start, end in places if ends[start] and ends[end]}
    return found


def _outside(places: set[tuple[int, int]], others: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """The places that do not lie inside a longer one of the others."""

    def inside(start: int, end: int) -> bool:
        return any(
            low <= start and end <= high and end - start < high - low for low, high in others
        )

    return {place for place in places if not inside(*place)}


def _without_article(words: Sequence[Word]) -> Sequence[Word]:
    if len(words) > 1 and words[0].text in ARTICLES and not words[1].joined:
        return words[1:]
    return words


def _folded(text: str) -> str:
    """Without what does not count: case, composition, width, invisible characters, the script of
    digits, the kind of dash.
    """
    wide = (
        unicodedata.normalize("NFKC", char) if unicodedata.east_asian_width(char) in "FH" else char
        for char in text
    )
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", "".join(wide)).casefold())
    return "".join(map(_plain, text))


def _plain(char: str) -> str:
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    kind = unicodedata.category(char)
    if kind == "Pd" or char == "\N{MINUS SIGN}":
        return "-"
    # Joiners, and the choice of how an emoji is drawn.
    invisible = kind == "Cf" or "\ufe00" <= char <= "\ufe0f"
    return "" if invisible else char


def _scanned(text: str) -> list[Word]:
    """The words of a folded text."""
    words: list[Word] = []
    going = attached = joined = (
        # is the last word still being read; does it reach up to here; is the next one joined to it
        False
    )
    for place, char in enumerate(text):
        kind, before, behind = (
            unicodedata.category(char),
            text[place - 1 : place],
            text[place + 1 : place + 2],
        )
        inner = char in ".,:/" and before.isdecimal() and behind.isdecimal()
        if going and (inner or _is_letter(char)) or attached and _is_mark(char):
            words[-1] = replace(words[-1], text=words[-1].text + char)
            continue
        going = _is_letter(char)
        attached = going or _is_spaceless(char) or kind in ("Sc", "Sm", "So") or char in "%‰"
        if char in "-_":
            joined = bool(words) and _is_letter(before) and _is_letter(behind)
            if char == "-" and not joined and behind.isdecimal():
                words.append(Word(char))
                joined = True
        elif char in "+#" and (_is_letter(before) or before == char == "+"):
            words.append(Word(char, joined=True))
            joined = _is_letter(behind)
        elif attached and not (char == "+" and behind.isdecimal()):  # +5 is 5
            words.append(Word(char, joined))
            joined = False
    return words


def _is_letter(char: str) -> bool:
    """Whether a character makes words with its neighbours, or is a mark on one that does."""
    return bool(char) and unicodedata.category(char)[0] in "LNM" and not _is_spaceless(char)


def _is_mark(char: str) -> bool:
    return unicodedata.category(char)[0] == "M" or "EMOJI MODIFIER" in unicodedata.name(char, "")


def _is_spaceless(char: str) -> bool:
    return (
        bool(char)
        and unicodedata.category(char)[0] in "LN"
        and unicodedata.name(char, "").startswith(SPACELESS)
    )


def _spelt_out(words: list[Word]) -> Iterator[Word]:
    """With whole numbers below 100 as words, unless a sign or hyphen joins them to something."""
    for word, behind in zip(words, [*words[1:], Word("")]):
        alone = not word.joined and not behind.joined
        if alone and re.fullmatch("[1-9]?[0-9]", word.text):
            first, *rest = _spelt(int(word.text)).split("-")
            yield Word(first)
            yield from (Word(part, joined=True) for part in rest)
        else:
            yield word


def _spelt(number: int) -> str:
    if number < 20:
        return _ONES[number]
    tens, ones = divmod(number, 10)
    return _TENS[tens - 2] + (f"-{_ONES[ones]}" if ones else "")
