"""Other readings of Φ and of the anchors: each equals the library's own function where that can say
it, and differs where it should.
"""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import tiny
from arbitration.dataset import entities
from arbitration.engine.plain import decision, next_token_logits
from arbitration.equations import attribution, heads
from arbitration.equations.knockout import Pathway, knockout
from directives.tables import write_conventions
from reproduction import measures, numbers
from reproduction.measures import readings
from reproduction.measures.answers import read_first_token
from reproduction.measures.beliefs import measure_beliefs
from reproduction.measures.paths import sweep_into
from reproduction.measures.readings import WIDENED, Reading
from reproduction.numbers import conventions
from reproduction.numbers.estimates import CHANGE, RATE
from toy_book import build, write_glued


@pytest.fixture(scope="module")
def subject():
    return tiny.subject("internvl")


@pytest.fixture(scope="module")
def dictionary():
    return entities.load("scenes")


@pytest.fixture(scope="module")
def prompt(subject):
    return subject.encode(tiny.samples()[0], "vision")


def test_one_pass_serves_every_reading(subject, dictionary, prompt):
    stranger = tiny.samples()[1]
    table = readings.measure_readings(subject, prompt, dictionary, stranger)
    columns = ["layer", "dictionary", "phi_f", "phi_c"]
    for reading in (
        Reading(),
        Reading("K = 2", top_k=2),
        Reading("average", pooling="mean"),
        Reading("final norm", norm=True),
    ):
        alone = measure_beliefs(
            subject,
            prompt,
            dictionary,
            stranger,
            top_k=reading.top_k,
            pooling=reading.pooling,
            norm=reading.norm,
        )
        own = table[table["reading"] == reading.name][columns].reset_index(drop=True)
        pd.testing.assert_frame_equal(
            own, alone[alone["positions"] == "instruction"][columns].reset_index(drop=True)
        )
    last = table[table["reading"] == "last position"][columns].reset_index(drop=True)
    alone = measure_beliefs(subject, prompt, dictionary, stranger)
    pd.testing.assert_frame_equal(
        last, alone[alone["positions"] == "last"][columns].reset_index(drop=True)
    )


def test_a_part_of_the_instruction_is_at_most_as_strong_as_the_whole(subject, dictionary):
    prompt = subject.encode(tiny.samples()[0], "text")
    assert len(dictionary.sample_ids(prompt.sample, subject.tokenizer)[1]) == 3, (
        "so that an average differs from a maximum"
    )
    table = readings.measure_readings(subject, prompt, dictionary, tiny.samples()[1])
    signal = table[table["dictionary"] == "own"].pivot(
        index="layer", columns="reading", values="phi_f"
    )
    parts = signal[["modality sentence", "question", "answer format"]]
    assert np.allclose(parts.max(axis=1), signal["default"])  # they make up the whole
    assert (signal["with the template after it"] >= signal["default"]).all()
    assert (signal["K = 4"] < signal["K = 2"]).all() and (
        signal["average"] < signal["default"]
    ).all()


def test_the_widened_instruction_is_read_as_a_whole(subject, dictionary, prompt):
    columns, wide = ["layer", "dictionary", "phi_f", "phi_c"], readings.widen(prompt)
    every = Reading("all tokens", top_k=len(wide.groups.instruction), span=WIDENED)
    own = readings.measure_readings(subject, prompt, dictionary, tiny.samples()[1], [every])
    alone = measure_beliefs(subject, wide, dictionary, tiny.samples()[1], top_k=every.top_k)
    pd.testing.assert_frame_equal(
        own[columns], alone[alone["positions"] == "instruction"][columns].reset_index(drop=True)
    )
    assert every.top_k > len(prompt.groups.instruction)


def test_a_span_that_the_prompt_lacks_is_left_out(subject, dictionary, prompt):
    bare = replace(prompt, groups=replace(prompt.groups, constraint=prompt.groups.constraint[:0]))
    assert "answer format" not in set(
        readings.measure_readings(subject, bare, dictionary, tiny.samples()[1])["reading"]
    )


def test_widening_takes_the_template_after_the_instruction_and_no_more(prompt):
    wide, groups = readings.widen(prompt).groups, prompt.groups
    gained = sorted(set(wide.instruction.tolist()) - set(groups.instruction.tolist()))
    assert (
        gained
        == [
            p
            for p in groups.template.tolist()
            if int(groups.instruction.max()) < p < int(groups.last)
        ]
        and gained
    )
    assert wide.length == groups.length
    assert sorted(wide.instruction.tolist() + wide.template.tolist()) == sorted(
        groups.instruction.tolist() + groups.template.tolist()
    )


def test_forms_are_left_out_as_asked():
    dictionary = entities.EntityDictionary(
        {"colour": {"red": {"en": ["red", "scarlet"], "zh": ["红"]}}}
    )
    forms = {words: readings.reword(dictionary, words).forms("red") for words in readings.WORDS}
    assert forms == {
        "all": ("red", "scarlet", "红"),
        "english": ("red", "scarlet"),
        "answer": ("red",),
    }
    with pytest.raises(
        ValueError, match="unknown choice of words 'chinese'; choose one of all, english, answer"
    ):
        readings.reword(dictionary, "chinese")


@pytest.mark.parametrize("span", ["instruction", "question", WIDENED])
def test_paths_into_a_span_are_knockouts(subject, span):
    prompts = [
        subject.encode(sample, way) for way in ("text", "vision") for sample in tiny.samples(2)
    ]
    tables = list(sweep_into(subject, prompts, span, 3, [1, 4]))
    assert [table["sample"].iloc[0] + "-" + table["following"].iloc[0] for table in tables] == [
        prompt.id for prompt in prompts
    ]
    for prompt, table in zip(prompts, tables):
        source, target = (
            {"text": "context", "vision": "vision"}[prompt.following],
            readings.span_positions(prompt, span),
        )
        place = prompt.groups.positions(source)
        for layer, p, c in table[["layer", "logp_p_blocked", "logp_c_blocked"]].itertuples(
            index=False
        ):
            chosen = readings.widen(prompt) if span == WIDENED else prompt
            pathway = Pathway(source, "instruction" if span == WIDENED else span)
            assert all(
                len(a) == len(b) and (a == b).all()
                for a, b in zip(pathway.edges(chosen), (place, target))
            )
            with knockout(subject, chosen, [pathway], range(max(0, layer - 1), min(5, layer + 2))):
                plain = decision(next_token_logits(subject, prompt), prompt).log_probabilities[0]
            assert [p, c] == pytest.approx(plain.tolist(), abs=1e-9)
        assert (table["nssd"] != 0).any() and (table["span"] == span).all()


def test_the_first_token_is_that_of_the_answer(subject, prompt):
    row = read_first_token(subject, prompt).iloc[0]
    found = decision(next_token_logits(subject, prompt), prompt)
    assert row["prefers"] == bool(found.log_probabilities[0, 0] > found.log_probabilities[0, 1])
    likeliest = int(found.tokens[0])
    one, two = [token for token in range(3) if token != likeliest][:2]
    for y_p, y_c, first in (
        (likeliest, one, "follow"),
        (one, likeliest, "competitor"),
        (one, two, "other"),
    ):
        assert read_first_token(subject, replace(prompt, y_p=y_p, y_c=y_c))["first"].item() == first


def test_rankings_are_blocked_as_in_section_4(subject, dictionary, prompt):
    order = heads.ranking(attribution.head_attribution(subject, [prompt], dictionary))
    rankings = {
        "default": {"vision": order, "text": order},
        "average": {"vision": order[::-1], "text": order[::-1]},
    }
    cases = [(0.1, 0.0), (0.3, 0.0)]
    table = measures.head_sets.scale_ranked(
        subject, prompt, dictionary, rankings, cases, "blocking", draws=2, seed=5
    )
    assert len(table) == 1 + 2 * (2 + 2)
    for reading, ranking in rankings.items():
        sets = measures.head_sets.list_paper_settings(
            subject,
            [measures.head_sets.Case(*case, draws=2) for case in cases],
            ranking,
            prompt.following,
            seed=5,
        )
        theirs = measures.head_sets.scale_sets(
            subject, prompt, dictionary, {"instruction": sets}, "blocking"
        )
        for own, other in ((reading, "target"), ("random", "random"), ("original", "original")):
            columns = ["draw", "share", "count", "factor", "answer", "outcome"]
            kept = [
                one[one["heads"] == name][columns].reset_index(drop=True)
                for one, name in ((table, own), (theirs, other))
            ]
            pd.testing.assert_frame_equal(*kept)


# The table of conventions, from tables whose answers are known.

SAMPLES = [f"s{i}" for i in range(4)]


def known(d):
    index = {"following": d}
    answers = pd.DataFrame(
        [
            {**index, "sample": s, "outcome": o}
            for s, o in zip(SAMPLES, ("follow", "follow", "other", "competitor"))
        ]
    )
    first = pd.DataFrame(
        [{**index, "sample": s, "first": "follow", "prefers": s != "s0"} for s in SAMPLES]
    )
    margin = {"default": 1.0, "K = 2": 1.0, "average": -1.0, "last position": -1.0}
    beliefs = pd.DataFrame(
        [
            {
                **index,
                "sample": s,
                "reading": reading,
                "layer": layer,
                "dictionary": kind,
                "phi_f": 0.0 if layer == 28 else value,
                "phi_c": 0.0,
            }
            for s in SAMPLES
            for reading, value in margin.items()
            for layer in range(-1, 30)
            for kind in ("own", "shuffled")
        ]
    )
    paths = pd.DataFrame(
        [
            {
                **index,
                "sample": s,
                "span": span,
                "width": width,
                "layer": layer,
                "nssd": size * (layer == 4) * (-1 if i % 2 and span == "question" else 1),
            }
            for i, s in enumerate(SAMPLES)
            for span, width, size in (
                ("instruction", 3, -1.0),
                ("instruction", 7, -2.0),
                ("question", 3, 0.5),
            )
            for layer in (1, 4)
        ]
    )
    paths = paths.assign(logp_p=-1.0, logp_c=-9.0, logp_c_blocked=-9.0)
    paths["logp_p_blocked"] = -1.0 - 3 * paths["nssd"].where(paths["sample"] != "s3", 0.0)
    scores = pd.DataFrame(
        [
            {
                **index,
                "sample": s,
                "reading": reading,
                "layer": layer,
                "head": head,
                "margin": sign * (10 * layer + head) - (1000.0 if layer == head == 0 else 0.0),
            }
            for s in SAMPLES
            for reading, sign in (("default", 1), ("K = 2", 1), ("average", -1))
            for layer in range(4)
            for head in range(5)
        ]
    )
    return answers, first, beliefs, paths, scores


@pytest.fixture(scope="module")
def table():
    both = [pd.concat(pair, ignore_index=True) for pair in zip(known("text"), known("vision"))]
    return numbers.compare_conventions(*both)


@pytest.mark.parametrize(
    "measure_name, choice, value, difference, change, n",
    [
        ("following ratio", "the whole greedy answer", 0.5, 0.0, "default", 4),
        (
            "following ratio",
            "the most likely first token",
            1.0,
            0.5,
            "unclear",
            4,
        ),  # four samples, two of them moved: the interval reaches 0, and it would of all four
        ("following ratio", "the whole answer, neither and both left out", 2 / 3, 0.0, "none", 3),
        ("following ratio", "the likelier of the two first tokens", 0.75, 0.25, "unclear", 4),
        ("failures", "any answer that does not follow", 0.5, 0.25, "unclear", 4),
        (
            "LDAR, deep third",
            "the instruction's strongest token, its best form, no norm",
            0.9,
            0.0,
            "default",
            4,
        ),
        ("LDAR, deep third", "their average", 0.0, -0.9, "unclear", 4),
        ("LDAR, deep third", "mean of the two strongest tokens", 0.9, 0.0, "none", 4),
        ("LDAR, deep third", "count as aligned", 1.0, 0.1, "unclear", 4),
        ("LDAR, deep third", "the last quarter of the layers", 7 / 8, -0.025, "unclear", 4),
        ("LDAR, critical layers", "20 to 25 as they stand", 1.0, 0.0, "none", 4),
        ("synchronisation", "with the last position of the same layer", 0.0, 0.0, "default", 4),
        ("synchronisation", "with the final answer", 2 / 3, 2 / 3, "unclear", 3),
        ("size of the largest NSSD (nats)", "3 layers", 1.0, 0.0, "default", 4),
        ("size of the largest NSSD (nats)", "7 layers: three on each side", 2.0, 1.0, "higher", 4),
        ("size of the largest NSSD (nats)", "dropped in each sample", 1.0, 0.0, "none", 4),
        (
            "top 5 % of heads, share that the default finds",
            "mean of the two strongest tokens",
            1.0,
            0.0,
            "none",
            4,
        ),
        ("top 5 % of heads, share that the default finds", "their average", 0.0, -1.0, "lower", 4),
        (
            "top 5 % of heads, share that the default finds",
            "by size, the sign dropped",
            0.0,
            -1.0,
            "lower",
            4,
        ),
    ],
)
def test_each_line_holds_its_measure_and_its_difference(
    table, measure_name, choice, value, difference, change, n
):
    for d in ("text", "vision"):
        (row,) = table[
            (table["following"] == d)
            & (table["measure"] == measure_name)
            & (table["choice"] == choice)
        ].to_dict("records")
        assert (row["value"], row["difference"], row["n"]) == (
            pytest.approx(value),
            pytest.approx(difference),
            n,
        )
        assert (
            row["change"] == change
            and row["value_low"] - 1e-9 <= row["value"] <= row["value_high"] + 1e-9
        )


def test_what_was_not_measured_is_said():
    empty = pd.Series(dtype=float)
    (_, row) = conventions._compared(
        {("a", "default"): pd.Series([1.0]), ("a", "other"): empty}, 0, RATE, CHANGE
    )
    assert row["change"] == "not measured" and row["n"] == 0


def test_the_page_shows_every_line(table):
    written = write_conventions(table)
    assert len(written) == 2 + len(table) / 2
    (line,) = [line for line in written if "7 layers" in line]
    cells = "2.00 [2.00, 2.00], n = 4; median 2.00; lead 4.50 | +1.00 [+1.00, +1.00], higher"
    assert line == f"|  | window | 7 layers: three on each side | {cells} | {cells} |"
    with pytest.raises(ValueError, match="one direction only: .*7 layers"):
        write_conventions(
            table.drop(index=table.index[table["choice"].str.startswith("7 layers")][:1])
        )


def test_the_directive_writes_the_table_or_breaks_the_build(table, tmp_path):
    toctree = "```{toctree}\n_executed/smol/appE_ablations\n```\n"
    page = f"# Toy\n\n```{{conventions}}\n:models: smol\n```\n\n{toctree}"
    (tmp_path / "index.md").write_text(page)
    (tmp_path / "_executed/smol/tables").mkdir(parents=True)
    glued = {"moved_text": "2 of 9", "moved_vision": "3 of 9"}
    write_glued(tmp_path / "_executed/smol/appE_ablations.ipynb", glued)
    settings = {"nb_execution_mode": "off", "exclude_patterns": "jupyter_execute"}
    done = build(tmp_path, **settings)
    assert done.returncode != 0 and "conventions of model 'smol' is not there" in done.stderr
    table.to_parquet(tmp_path / "_executed/smol/tables/conventions.parquet")
    done = build(tmp_path, **settings)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "html/index.html").read_text(encoding="utf-8")
    assert page.count("<tr") == 1 + len(table) / 2 and "three on each side" in page
    assert re.search(r">\s*smol\s*</label>", page) and "2 of 9" in page and "3 of 9" in page
