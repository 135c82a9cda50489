"""Which of two answers a model gives, and which two cannot be told apart. The check of a set and
the judge of an answer both ask here.

Where one answer's words hold the other's, the longer one is meant: *hot dog* does not name *dog*,
nor 50% the plain 50.

An answer that names a form need not give it (`judge_forms`). It gives a form that is all of it, and
otherwise one

* that no negation denies: before it with no punctuation between them, or behind it after *is*;
* that stands in no question, and that no *no* or *wait* takes back;
* that no hyphen joins to another word;
* beside which stand only words of a closed list (`frame_words`: articles, *it is*, *looks*,
  *in the picture*, …), words of the question, signs of currency or the like, or another form. A
  full stop, colon, bracket or new line ends what stands beside it; a comma does not.

For a judge regular English plurals are the word itself, both ways, but not of numbers. What gives
one of the two answers and leaves no doubt about the other has its outcome. Everything else is
``other``; if a form of either stands in it, it is ambiguous too, and counted as such.
"""

import operator
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from arbitration.dataset import frame_words
from arbitration.dataset.words import (
    ARTICLES,
    ONES,
    TENS,
    Word,
    find_forms,
    find_words,
    is_free,
    is_number,
    normalised,
    without_article,
)
from arbitration.files.given import quote


@dataclass(frozen=True)
class Judgement:
    """Which of two answers was given.

    Attributes
    ----------
    outcome : {"follow", "competitor", "other"}
    ambiguous : bool
        It is ``other``, and yet a form of one of the two stands in the answer.
    """

    outcome: str
    ambiguous: bool


def judge_forms(
    answer: str, forms_followed: Iterable[str], forms_competitor: Iterable[str], question: str = ""
) -> Judgement:
    """Which answer was given, and whether that is ambiguous.

    Parameters
    ----------
    answer : str
        As generated.
    forms_followed, forms_competitor : iterable of str
        Surface forms of the compliant answer and of its competitor. One that stands inside a longer
        one of the other side is not meant.
    question : str
        Its words may stand beside a form.

    Examples
    --------
    >>> judge_forms("dark red", ["red"], ["blue"])
    Judgement(outcome='other', ambiguous=True)
    >>> judge_forms("A red car, not a blue one.", ["red"], ["blue"], "What colour is the car?")
    Judgement(outcome='follow', ambiguous=False)
    >>> judge_forms("green", ["red"], ["blue"])
    Judgement(outcome='other', ambiguous=False)
    """
    given = find_words(answer)
    asked = {word.text for word in find_words(question)}
    exact = [_find_forms(given, forms, operator.eq) for forms in (forms_followed, forms_competitor)]
    loose = [_find_forms(given, forms, _akin) for forms in (forms_followed, forms_competitor)]
    places = [exact[0] | loose[0] - exact[1], exact[1] | loose[1] - exact[0]]
    followed, competing = (_outside(*places), _outside(*places[::-1]))
    formed = {at for low, high in followed | competing for at in range(low, high)}
    follows = {_read(given, place, formed, asked) for place in followed}
    competes = {_read(given, place, formed, asked) for place in competing}
    if "given" in follows and not competes & {"given", "unclear"}:
        return Judgement("follow", ambiguous=False)
    if "given" in competes and not follows & {"given", "unclear"}:
        return Judgement("competitor", ambiguous=False)
    return Judgement("other", ambiguous=bool(followed or competing))


def outcome(
    answer: str, forms_followed: Iterable[str], forms_competitor: Iterable[str], question: str = ""
) -> str:
    """Which answer was given: ``follow``, ``competitor``, or ``other`` for neither, both, or one
    that cannot be told (`judge_forms`, whose parameters it has).

    Examples
    --------
    >>> outcome("A hot dog.", ["hot dog"], ["dog"]), outcome("dogs", ["hot dog"], ["dog"])
    ('follow', 'competitor')
    >>> outcome("red or blue", ["red"], ["blue"])
    'other'
    """
    return judge_forms(answer, forms_followed, forms_competitor, question).outcome


def find_pair_fault(answer: str, other: str) -> str | None:
    """Why two answers make no conflict whose outcome can be judged, or None; what is accepted,
    `outcome` recognises.
    """
    for one in (answer, other):
        if not find_words(one):
            return f"{quote(one)} has no word to recognise in an answer"
    if normalised(answer) == normalised(other):
        return f"{quote(answer)} and {quote(other)} are the same answer; a conflict needs two"
    found = outcome(answer, [answer], [other]), outcome(other, [answer], [other])
    if found != ("follow", "competitor"):
        return (
            f"{quote(answer)} and {quote(other)} cannot be told apart in an answer; a conflict "
            f"needs two that can"
        )
    return None


def _find_forms(words: Sequence[Word], forms: Iterable[str], alike) -> set[tuple[int, int]]:
    """Where forms stand, by themselves or in a compound with a hyphen."""
    found = find_forms(words, forms, alike)
    return {place for place in found if is_free(words, place) or _is_in_compound(words, place)}


def _outside(places: set[tuple[int, int]], others: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """The places that do not lie inside a longer one of the others."""

    def inside(start: int, end: int) -> bool:
        return any(
            low <= start and end <= high and end - start < high - low for low, high in others
        )

    return {place for place in places if not inside(*place)}


def _akin(word: str, other: str) -> bool:
    """Whether one word is the regular English plural of another, or the same."""
    return word == other or other in _plurals(word) or word in _plurals(other)


def _plurals(word: str) -> tuple[str, ...]:
    if len(word) < 3 or not (word.isascii() and word.isalpha()) or is_number(word):
        return ()
    if word[-1] == "y" and word[-2] not in "aeiou":
        return (f"{word[:-1]}ies",)
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return (f"{word}es",)
    return (f"{word}s", f"{word}es") if word[-1] == "o" else (f"{word}s",)


def _is_in_compound(words: Sequence[Word], place: tuple[int, int]) -> bool:
    """Whether hyphens join a place to other words that do not make a number of it (*dark-red*;
    not *twenty-two*, nor the C of *C++*).
    """
    start, end = place
    while words[start].joined:
        start -= 1
    while end < len(words) and words[end].joined:
        end += 1
    texts = [word.text for word in words[start:end]]
    return all(map(str.isalpha, texts)) and not (texts[0] in TENS and texts[1] in ONES)


def _read(
    words: Sequence[Word],
    place: tuple[int, int],
    formed: set[int],
    asked: set[str],
) -> str:
    """How a form stands in an answer: ``given``, ``denied``, or ``unclear``.

    Parameters
    ----------
    place : (int, int)
        Of the form: first word, behind the last.
    formed : set of int
        Which words belong to forms.
    asked : set of str
        The words of the question.
    """
    start, end = place
    if end == len(words) and (start == 0 or words[start:] == without_article(words)):
        return "given"
    if not is_free(words, place):
        return "unclear"
    endings = [word.end for word in words[end - 1 :] if word.end in (".", "?")]
    if endings[:1] == ["?"]:
        return "denied"
    denial = _find_denial(words, place, formed)
    if denial is not None:
        more = [word.text for word in words[denial + 1 : denial + 2]] in (["only"], ["just"])
        return "unclear" if more else "denied"
    if _is_withdrawn(words, end, formed):
        return "unclear"
    before, behind = _neighbour(words, start, -1), _neighbour(words, end - 1, 1)
    counted = all(is_number(word.text) for word in words[start:end])
    units = frame_words.UNITS if counted else frozenset()
    beside = ((before, frame_words.FRAME_BEFORE), (behind, units))
    fits = [
        at is None or at in formed or words[at].text in more or _is_frame(words[at].text, asked)
        for at, more in beside
    ]
    return "given" if all(fits) else "unclear"


def _is_frame(word: str, asked: set[str]) -> bool:
    """Whether a word may stand beside a form on either side."""
    sign = unicodedata.category(word[0]) in ("Sc", "So") or word[0] in "%‰"
    listed = word in frame_words.FRAME or word in frame_words.NEGATIONS
    return sign or listed or any(_akin(word, one) for one in asked)


def _find_denial(words: Sequence[Word], place: tuple[int, int], formed: set[int]) -> int | None:
    """The negation that governs a place: before it in the same clause, or behind it and *is*."""
    start, end = place
    for at in range(start - 1, -1, -1):
        if words[at].end or words[at].text in frame_words.TURNS:
            break
        if _is_negation(words, at) and at not in formed:
            return at
    if end + 1 < len(words) and not words[end - 1].end and not words[end].end:
        copula = words[end].text in frame_words.COPULAS
        return end + 1 if copula and _is_negation(words, end + 1) else None
    return None


def _is_negation(words: Sequence[Word], at: int) -> bool:
    if words[at].text == "t" and at:
        return words[at - 1].text.endswith("n")
    doubt = any(word.text == "doubt" for word in words[at + 1 : at + 3])
    return words[at].text in frame_words.NEGATIONS and not doubt


def _is_withdrawn(words: Sequence[Word], end: int, formed: set[int]) -> bool:
    """Whether something behind takes a form back: *no* by itself, *wait*, *sorry*, 不对."""
    for at in range(end, len(words)):
        word = words[at]
        alone = word.text == "no" and word.end and words[at - 1].end != "?"
        wrong = word.text == "不" and [one.text for one in words[at + 1 : at + 2]] == ["对"]
        if at not in formed and (alone or wrong or word.text in frame_words.WITHDRAWALS):
            return True
    return False


def _neighbour(words: Sequence[Word], at: int, step: int) -> int | None:
    """The word beside another one; behind it the one over 的, or over a comma and an article. None
    where a sentence ends between them.
    """
    near = at + step
    if not 0 <= near < len(words) or words[min(at, near)].end in (".", "?"):
        return None
    if step > 0 and near + 1 < len(words) and not words[near].end:
        listed = words[at].end and words[near].text in ARTICLES
        return near + 1 if listed or words[near].text == "的" else near
    return near
