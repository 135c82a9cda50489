"""Words of answers: what counts as the same, and where one stands in a text. Which of two answers
is given: `outcomes`.

A text names a form if the form's words stand in it as whole words, next to each other (`names`).
What is a word:

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
"""

import operator
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
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
#: What punctuation ends, the weaker first: a clause, a sentence or what is like one, a question.
ENDS = {",": ",/&、،|", ".": ".!;:()[]{}\n…。", "?": "?؟"}
ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


@dataclass(frozen=True)
class Word:
    """A word of a text.

    Attributes
    ----------
    text : str
    joined : bool
        Whether a hyphen or a sign joins it to the word before.
    end : str
        What punctuation behind it ends: nothing (``""``), a clause (``","``), a sentence or what
        is like one (``"."``), a question (``"?"``).
    """

    text: str
    joined: bool = False
    end: str = ""


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
    return " ".join(word.text for word in without_article(find_words(text)))


def names(text: str, form: str) -> bool:
    """Whether a form stands in a text in whole words.

    Examples
    --------
    >>> names("It is a red car.", "red"), names("twenty-two", "two"), names("-5", "5")
    (True, False, False)
    """
    words = find_words(text)
    return any(is_free(words, place) for place in find_forms(words, [form]))


def number_words(text: str) -> str:
    """The text with whole numbers below 100 spelt out.

    Examples
    --------
    >>> number_words("2 dogs"), number_words("2.5")
    ('two dogs', '2.5')
    """
    return re.sub(r"(?<!\S)[1-9]?[0-9](?!\S)", lambda found: _spelt(int(found[0])), text)


def find_forms(
    words: Sequence[Word],
    forms: Iterable[str],
    alike: Callable[[str, str], bool] = operator.eq,
) -> set[tuple[int, int]]:
    """Where one of some forms stands in a text, with or without its article, joined to its
    neighbours or not: (first word, behind the last).

    Parameters
    ----------
    alike : function
        Whether the last word of a place is that of the form.
    """
    found = set()
    for form in forms:
        for wanted in (find_words(form), without_article(find_words(form))):
            *first, last = [word.text for word in wanted] or [""]
            for end in range(len(wanted), len(words) + 1) if wanted else ():
                start = end - len(wanted)
                texts = [word.text for word in words[start:end]]
                if texts[:-1] == first and alike(texts[-1], last):
                    found.add((start, end))
    return found


def is_free(words: Sequence[Word], place: tuple[int, int]) -> bool:
    """Whether no hyphen or sign joins the ends of a place to its neighbours."""
    ends = [not word.joined for word in words] + [True]
    return ends[place[0]] and ends[place[1]]


def without_article(words: Sequence[Word]) -> Sequence[Word]:
    """The words without a leading article that has something behind it."""
    if len(words) > 1 and words[0].text in ARTICLES and not words[1].joined:
        return words[1:]
    return words


def is_number(word: str) -> bool:
    """Whether a word is a number, spelt out or in digits."""
    return word in ONES or word in TENS or word[:1].isdecimal()


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
            elif char == "-" and not joined:
                _end_last(words, ".")
        elif char in "+#" and (_is_letter(before) or before == char == "+"):
            words.append(Word(char, joined=True))
            joined = _is_letter(behind)
        elif attached and not (char == "+" and behind.isdecimal()):  # +5 is 5
            words.append(Word(char, joined))
            joined = False
        else:
            _end_last(words, next((end for end, chars in ENDS.items() if char in chars), ""))
    return words


def _end_last(words: list[Word], end: str) -> None:
    """Note punctuation at the last word, unless stronger stands there."""
    if words and end > words[-1].end:
        words[-1] = replace(words[-1], end=end)


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
            *tens, last = _spelt(int(word.text)).split("-")
            yield from (Word(part) for part in tens)
            yield Word(last, joined=bool(tens), end=word.end)
        else:
            yield word


def _spelt(number: int) -> str:
    if number < 20:
        return ONES[number]
    tens, ones = divmod(number, 10)
    return TENS[tens - 2] + (f"-{ONES[ones]}" if ones else "")
