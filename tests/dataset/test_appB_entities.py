"""The answer entity dictionary (Appendix B): made from a real WordNet, disjoint for the two
answers, and covered.
"""

import json
import shutil

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import AutoTokenizer, PreTrainedTokenizerFast

import tiny
from arbitration import dataset
from arbitration.dataset import Sample, entities, sets
from arbitration.dictionary import make, wordnet
from arbitration.files.folders import DATA
from arbitration.models import embedded
from reproduction.results import origin

SAMPLES = [sample for split in dataset.SPLITS for sample in dataset.load("scenes", split)]


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(embedded.MODELS)


@pytest.fixture(scope="module")
def reader():
    return wordnet.reader()


def conflict(vision, text, task="color"):
    return Sample("s", "held", task, "", "", "", vision, text, "", "")


def words(vocabulary):
    """A tokenizer whose tokens are whole strings; any other string is token 0."""
    model = WordLevel({word: i for i, word in enumerate(["?", *vocabulary])}, unk_token="?")
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(model), unk_token="?")


def dictionary(**colours):
    return entities.EntityDictionary(
        {"colour": {word: {"en": [word, *forms]} for word, forms in colours.items()}}
    )


def test_the_shipped_file_is_what_the_code_makes(reader):
    review = json.loads((DATA / "scenes" / "review.json").read_text(encoding="utf-8"))
    made = make.as_text(make.make(make.list_answers("scenes"), reader, review))
    assert made == (DATA / "scenes" / "entities.json").read_text(encoding="utf-8")


def test_it_is_wordnet_3(reader):
    assert reader.get_version() == "3.0"
    assert (
        len(set(reader.all_lemma_names("n"))) == 117798
    )  # unique nouns, as WordNet 3.0's own statistics count them


@pytest.mark.parametrize(
    "kind, word, name",
    [
        ("animal", "bat", "bat.n.01"),
        ("animal", "whale", "whale.n.02"),
        ("building", "school", "school.n.02"),
        ("colour", "orange", "orange.s.01"),
        ("food", "orange", "orange.n.01"),
        ("sport", "cricket", "cricket.n.02"),
        ("shape", "heart", "heart.n.07"),
        ("side", "right", "right.n.02"),
        ("activity", "running", "run.v.01"),
    ],
)
def test_the_sense_suits_the_kind(reader, kind, word, name):
    assert wordnet.sense(reader, word, kind).name() == name


def test_a_reviewed_sense_is_taken_and_must_exist(reader):
    assert wordnet.sense(reader, "cake", "food").name() == "patty.n.01"
    assert wordnet.sense(reader, "cake", "food", "cake.n.03").name() == "cake.n.03"
    with pytest.raises(
        ValueError,
        match="'cake' has no sense 'cake.n.99'; its senses are cake.n.01, patty.n.01, cake.n.03",
    ):
        wordnet.sense(reader, "cake", "food", "cake.n.99")


@pytest.mark.parametrize(
    "verb, form",
    [
        ("run", "running"),
        ("write", "writing"),
        ("sleep", "sleeping"),
        ("play", "playing"),
        ("see", "seeing"),
        ("bivouac", "bivouacking"),
        ("get up", "getting up"),
        ("swim", "swimming"),
        ("kneel", "kneeling"),
        ("sing", "singing"),
    ],
)
def test_participles(reader, verb, form):
    assert wordnet.participle(reader, verb) == form


def test_forms_leave_out_single_letters_and_what_the_review_rejects(reader):
    assert wordnet.forms(reader, "five", reader.synset("five.s.01")) == ["five", "5"]
    shipped = entities.load("scenes")
    assert shipped.forms("five", "counting") == ("five", "5")
    assert "wheel" in reader.synset("bicycle.n.01").lemma_names() and "wheel" not in shipped.forms(
        "bicycle"
    )


def test_a_word_means_what_its_task_asks_for():
    shipped = entities.load("scenes")
    assert "orangish" in shipped.forms("orange", "color") and "orangish" not in shipped.forms(
        "orange", "object_recognition"
    )
    assert set(shipped.forms("orange")) == set(shipped.forms("orange", "color")) | set(
        shipped.forms("orange", "attribute")
    )


def test_unknown_answers_and_sets_are_named():
    with pytest.raises(ValueError, match="no entry 'mauve' for the task 'color'"):
        entities.load("scenes").forms("mauve", "color")
    with pytest.raises(ValueError, match="'scene'; there is one for: scenes"):
        entities.load("scene")


def test_ids_by_hand():
    """Forms count bare, after a space and capitalised. What this vocabulary lacks is token 0 for
    both, hence in neither.
    """
    tokenizer = words(["red", " red", "Red", "crimson", "blue", "Azure"])
    ids = dictionary(red=["crimson"], blue=["azure", "sky blue"]).sample_ids(
        conflict("red", "blue"), tokenizer
    )
    assert [each.tolist() for each in ids] == [[1, 2, 3, 4], [5, 6]]


def test_a_form_of_both_answers_is_in_neither():
    both = dictionary(gray=["silver", "Ash"], white=["silver", "ash", "snowy"])
    sample = conflict("gray", "white")
    assert both.sample_forms(sample) == (("gray",), ("white", "snowy"))
    tokenizer = words(["gray", "white", "silver", "ash", "snowy"])
    ids = [set(each.tolist()) for each in both.sample_ids(sample, tokenizer)]
    assert not ids[0] & ids[1] and not {3, 4} & (ids[0] | ids[1])


def test_chinese_forms_count_where_a_vocabulary_has_them():
    bilingual = entities.EntityDictionary(
        {
            "colour": {
                "red": {"en": ["red"], "zh": ["红色"]},
                "blue": {"en": ["blue"], "zh": ["蓝色"]},
            }
        }
    )
    tokenizer = words(["red", "blue", "红色", "蓝色"])
    assert bilingual.forms("red", "color") == ("red", "红色")
    ids = [each.tolist() for each in bilingual.sample_ids(conflict("red", "blue"), tokenizer)]
    assert ids == [[1, 3], [2, 4]]


def test_ids_of_every_shipped_sample(tokenizer):
    shipped = entities.load("scenes")
    for sample in SAMPLES:
        answers = (sample.answer_vision, sample.answer_text)
        ids = [set(each.tolist()) for each in shipped.sample_ids(sample, tokenizer)]
        assert all(ids) and not ids[0] & ids[1]
        for answer, own, forms in zip(answers, ids, shipped.sample_forms(sample)):
            first = tokenizer(f" {answer}", add_special_tokens=False)["input_ids"]
            assert first[0] in own or len(first) > 1, (
                "the token that the model answers with is an entity"
            )
            known = {form.lower() for form in forms}
            said = {tokenizer.decode([token]).strip().lower() for token in own}
            # A fallback is the beginning of the answer; everything else is a whole form.
            assert said <= known or all(answer.startswith(part) for part in said)


def test_coverage_of_the_shipped_set(tokenizer):
    table = entities.load("scenes").coverage(SAMPLES, tokenizer)
    assert len(table) == 2 * len(SAMPLES) and (table.ids >= 1).all()
    assert list(table.columns) == [
        "sample",
        "task",
        "following",
        "answer",
        "forms",
        "ids",
        "shared",
        "fallback",
    ]
    single = {
        answer: any(
            len(tokenizer(spelt, add_special_tokens=False)["input_ids"]) == 1
            for spelt in (answer, f" {answer}")
        )
        for answer in set(table.answer)
    }
    assert not table[table.fallback].answer.map(single).any(), (
        "a fallback is only for answers that are no single token"
    )
    about = (DATA / "scenes" / "README.md").read_text(encoding="utf-8")
    assert (
        f"{len(table):,} answers" in about
        and f"{table.ids.mean():.1f} single tokens an answer" in about
    )
    assert f"{100 * table.fallback.mean():.1f} % of" in about


def test_answers_that_begin_alike_are_refused():
    tokenizer = words(["snow"])
    with pytest.raises(ValueError, match="do not tell them apart.*drop the sample"):
        dictionary(snowing=[], snowed=[]).sample_ids(conflict("snowing", "snowed"), tokenizer)
    assert not dictionary(snowing=[], snowed=[]).tells_apart(
        conflict("snowing", "snowed"), tokenizer
    )
    assert dictionary(snow=[], rain=[]).tells_apart(
        conflict("snow", "rain"), words(["snow", "rain"])
    )


@pytest.fixture
def own(tmp_path):
    """A folder of a reader's with one sample and no dictionary."""
    sample = dataset.load("scenes", "held")[0]
    shutil.copy(sample.image, tmp_path / "one.png")
    record = {
        "question": "Which?",
        "context": "Teal.",
        "answer_vision": "dark red",
        "answer_text": "teal",
        "image": "one.png",
        "task": "color",
    }
    (tmp_path / "samples.jsonl").write_text(json.dumps(record))
    return tmp_path


def entry(**words):
    return json.dumps(
        {
            "source": "",
            "entries": {"color": {word: {"en": [word, *forms]} for word, forms in words.items()}},
        }
    )


def test_a_set_without_a_dictionary_has_the_answers_as_written(own):
    samples = dataset.load(own)
    plain = entities.of(own, samples)
    assert (
        plain.sample_forms(samples[0]) == (("dark red",), ("teal",)) and samples[0].dictionary == ""
    )
    assert plain.forms("teal", "a task of one's own") == plain.forms("teal") == ("teal",)
    with pytest.raises(ValueError, match="no entry 'red'"):
        plain.forms("red", "color")
    assert entities.of("scenes", []).entries == entities.load("scenes").entries


def test_a_dictionary_beside_the_samples_is_used(own):
    (own / "entities.json").write_text(entry(teal=["cyan"], **{"dark red": ["maroon"]}))
    samples = dataset.load(own)
    assert entities.of(own, samples).sample_forms(samples[0]) == (
        ("dark red", "maroon"),
        ("teal", "cyan"),
    )
    (own / "entities.json").write_text(entry(teal=["cyan"]))
    with pytest.raises(
        ValueError, match="not what it was when the samples were loaded; load them again"
    ):
        entities.of(own, samples)
    with pytest.raises(
        ValueError,
        match=r"lacks 1 of the 2 answers of the set: 'dark red' \(color\); "
        r"make it again: python -m arbitration.dictionary",
    ):
        entities.of(own, dataset.load(own))
    for broken in ("{", "[]", '{"entries": {"color": {"teal": {"en": [3]}}}}'):
        (own / "entities.json").write_text(broken)
        with pytest.raises(ValueError, match="entities.json is no entity dictionary"):
            entities.of(own, dataset.load(own))


def test_a_file_of_another_name_has_a_dictionary_of_its_own(own):
    (own / "entities.json").write_text(entry(teal=["cyan"], **{"dark red": ["maroon"]}))
    shutil.copy(own / "samples.jsonl", own / "fruit.jsonl")
    assert (
        sets.file_beside(own / "fruit.jsonl", "entities.json")
        == own.resolve() / "fruit.entities.json"
    )
    assert dataset.load(own / "fruit.jsonl")[0].dictionary == "" != dataset.load(own)[0].dictionary


def test_what_one_dictionary_measured_is_not_taken_for_another(own):
    """The name of a prompt's part on disk has in it what its dictionary says of its answers, and
    not what it says of others'.
    """
    subject, parts = tiny.subject("llava"), []
    for text in (
        None,
        entry(teal=[], **{"dark red": []}),
        entry(teal=["cyan"], **{"dark red": []}),
        entry(teal=["cyan"], green=["lime"], **{"dark red": []}),
    ):
        if text:
            (own / "entities.json").write_text(text)
        samples = dataset.load(own)
        prompt, dictionary = subject.encode(samples[0], "text"), entities.of(own, samples)
        parts.append(origin.content_of(prompt, dictionaries={"dictionary": dictionary}))
    assert len(set(parts[:3])) == 3 and parts[2] == parts[3]


def test_a_task_of_ones_own_is_a_kind():
    mine = entities.EntityDictionary(
        {
            "mood": {"orange": {"en": ["orange", "warm"]}},
            "colour": {"orange": {"en": ["orange", "orangish"]}},
        }
    )
    assert mine.forms("orange", "mood") == ("orange", "warm") and mine.forms("orange", "color") == (
        "orange",
        "orangish",
    )
    assert mine.knows("orange", "counting") is False and mine.knows("orange")


def test_senses_where_the_kind_says_nothing(reader):
    """The most frequent sense in WordNet's corpus, of any part of speech; phrases are looked up
    whole.
    """
    assert (
        wordnet.sense(reader, "dog", "mood").name() == "dog.n.01"
        and wordnet.sense(reader, "running", "mood").pos() == "v"
    )
    assert wordnet.sense(reader, "wooden", "attribute").name() == "wooden.s.01"
    assert wordnet.sense(reader, "ice cream", "object_recognition").name() == "ice_cream.n.01"
    assert (
        wordnet.sense(reader, "cat statue", "object_recognition") is None
        and wordnet.forms(reader, "cat statue", None) == []
    )


def test_candidates_come_from_all_senses_of_the_part_of_speech(reader):
    candidates = wordnet.related(reader, "bat", "object_recognition")
    assert (
        {"chiropteran", "squash racket"} <= set(candidates)
        and "bat" not in candidates
        and "flutter" not in candidates
    )
    assert len(wordnet.related(reader, "running", "mood")) <= wordnet.OFFERED
