"""A cell that is empty for a good reason is a finding: the number is not measured, the panel says
so, and the notebook runs to its end.
"""

import json
import math
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import arbitration as arb
import by_hand
import tiny
from arbitration.dataset import entities, sets
from arbitration.engine import generation
from arbitration.models import altered
from arbitration.models.prompt import Unusable
from by_library import summed
from in_process import NOTEBOOKS, run
from reproduction import cohorts
from reproduction.cohorts import failures
from reproduction.figures import style
from reproduction.results import question

EVERY = [*NOTEBOOKS, "controls"]
#: What keeps a run short: every parameter at its smallest.
SMALLEST = {
    "sec3_knockout": {"n_controls": 1},
    "sec4_heads": {"draws": 1, "elsewhere": 1, "shares": [0.05], "factors": [2.0, 3.0]},
    "sec4_sensitivity": {
        "singles": 1,
        "draws": 1,
        "elsewhere": 1,
        "shares": [0.05],
        "factors": [2.0, 5.0],
        "tries": 3,
    },
    "appC_windows": {"widths": [1, 3], "n_controls": 1},
    "appE_ablations": {"draws": 1},
    "appG_reviews": {"few": 1, "tries": 3, "draws": 1, "n_controls": 1},
    "controls": {"n_weights": 1},
    "steer": {"draws": 2},
}
FIELDS = (
    "id",
    "task",
    "question",
    "context",
    "answer_vision",
    "answer_text",
    "instruction_vision",
    "instruction_text",
)
#: What a model answers to a prompt, whatever is done to it.
FOLLOWS = {
    "always": lambda prompt: prompt.sample.answers(prompt.following)[0],
    "text": lambda prompt: prompt.sample.answer_text,
    "vision": lambda prompt: prompt.sample.answer_vision,
    "never": lambda prompt: "nothing",
}


def written(folder, samples):
    """A reader's own set of some samples, which stay in this order."""
    folder.mkdir(parents=True)
    for sample in samples:
        shutil.copy(sample.image, folder / f"{sample.id}.png")
    records = [
        {field: getattr(sample, field) for field in FIELDS} | {"image": f"{sample.id}.png"}
        for sample in samples
    ]
    (folder / "samples.jsonl").write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    return str(folder)


def pairs(*answers):
    """Scenes with other answers."""
    scenes = tiny.samples(6)[: len(answers)]
    return [
        replace(sample, answer_vision=vision, answer_text=text)
        for sample, (vision, text) in zip(scenes, answers, strict=True)
    ]


def execute(
    notebook, folder, monkeypatch, samples, follows="always", architecture="internvl", **parameters
):
    """What a notebook glues, and its figures, on some samples and a model that answers by one of
    `FOLLOWS`.
    """
    figures = {}
    said = FOLLOWS[follows]

    def first(subject, prompt, last=None):
        return said(prompt), prompt.y_p

    def answers(subject, prompt, gains=None, *rest, **options):
        return [said(prompt)] * (1 if gains is None else len(gains))

    def without(subject, prompt, cases, *rest, **options):
        return [said(prompt)] * len(cases)

    def publish(figure, name, model, alt):
        figures[name] = figure

    for name, patched in (
        ("first_answer", first),
        ("answers", answers),
        ("answers_without", without),
    ):
        monkeypatch.setattr(generation, name, patched)
    monkeypatch.setattr(sets, "shuffled", lambda samples, seed: list(samples))
    monkeypatch.setattr("reproduction.figures.publish", publish)
    data = written(folder / "set", samples)
    options = {"n": 2} | SMALLEST.get(notebook, {}) | parameters

    def load(name, weights):
        return tiny.subject(architecture, seed=("trained", "random").index(weights))

    return run(notebook, folder, monkeypatch, load, data=data, **options), figures


def words(axes):
    return " ".join(text.get_text() for text in axes.texts)


def legends(figure):
    """Everything that a figure's legends say."""
    own = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return own + [text for part in figure.subfigs for text in legends(part)]


#: What is known of a direction in which no sample follows: how many were asked, sought and drawn,
#: and what its failures show without a ranking.
KNOWN = (
    "n_",
    "wordings_",
    "follow_",
    "wanted_",
    "short_",
    "tried_",
    "attempts_",
    "competed_",
    "other_",
    "degree_",
    "failures_",
    "weakened_",
    "draws_",
    "amplify_draws_",
    "fail_",
    "amplify_original_",
    "amplify_random_",
    "rise_random_",
    "moved_",
)


@pytest.mark.parametrize("notebook", EVERY)
def test_a_model_that_follows_always_or_in_one_direction_alone_is_measured(
    notebook, tmp_path, monkeypatch
):
    glued, figures = {}, {}
    for follows in ("always", "text", "vision"):
        glued[follows], figures[follows] = execute(
            notebook, tmp_path / follows, monkeypatch, tiny.samples(6), follows
        )
    assert set(glued["always"]) == set(glued["text"]) == set(glued["vision"]), (
        "a page quotes the same numbers of every model"
    )
    assert set(figures["always"]) == set(figures["text"]) == set(figures["vision"])
    if notebook in ("sec2_dataset", "steer"):
        return
    for follows, lacking, column in (("text", "vision", 1), ("vision", "text", 0)):
        assert glued[follows].get(f"n_{lacking}", 0.0) == 0.0
        invented = {
            key: value
            for key, value in glued[follows].items()
            if key.endswith(f"_{lacking}")
            and not key.startswith(KNOWN)
            and value == value
            and value != "not measured"
        }
        assert not invented
        for name, figure in figures[follows].items():
            places = {axes: axes.get_subplotspec() for axes in figure.axes}
            panels = [
                axes for axes, place in places.items() if place and place.colspan.start == column
            ]
            empty = [axes for axes in panels if "n = 0" in axes.get_title("right")]
            if name == "fig_organism_claims":  # has a cell for each organism
                assert all("0 of 0" in words(axes) for axes in panels)
                continue
            if name.endswith("_published"):  # the authors' own, whatever is measured here
                continue
            assert empty or name.endswith("amplification") or name in ("fig14", "fig_failures"), (
                name
            )
            assert all(
                re.search("not measured: no (samples|failures)|not swept", words(axes))
                for axes in empty
            ), name


@pytest.mark.parametrize(
    "notebook, name",
    [
        ("sec4_heads", "fig9_amplification"),
        ("appE_ablations", "fig14"),
        ("sec4_sensitivity", "fig_head_amplification"),
        ("steer", "fig_steer"),
    ],
)
def test_where_no_sample_ranks_heads_none_is_scaled_as_a_top_head(
    notebook, name, tmp_path, monkeypatch
):
    glued, figures = execute(notebook, tmp_path, monkeypatch, tiny.samples(6), "text")
    assert style.NO_RANKING in " ".join(map(words, figures[name].axes)), (
        "failures under a vision instruction, and random heads alone"
    )
    if notebook == "sec4_heads":
        assert (
            math.isnan(glued["amplify_target_vision"])
            and math.isnan(glued["amplify_shared_vision"])
            and glued["amplify_random_vision"] == 0.0
        )
        assert (
            glued["overlap_top"] != glued["overlap_top"] and glued["shared_heads"] == "not measured"
        )
    if notebook == "steer":
        assert glued["answer_eq12_scaled"] == "not measured" and math.isnan(
            glued["lead_sensitivity_blocked"]
        )


def test_a_model_that_never_fails_has_a_figure_without_failures(tmp_path, monkeypatch):
    glued, figures = execute("sec4_heads", tmp_path, monkeypatch, tiny.samples(6))
    assert [glued[f"failures_{way}"] for way in ("text", "vision")] == [0.0, 0.0] and glued[
        "short_failures_text"
    ] == 2.0
    assert glued["contrast_sufficiency_text_verdict"] == "not measured" and math.isnan(
        glued["amplify_target_vision"]
    )
    assert glued["block_original_text"] == 1.0 and glued["n_blocked_vision"] > 0
    assert [words(axes) for axes in figures["fig9_amplification"].axes] == [
        "not measured: no failures"
    ] * 2


@pytest.mark.parametrize("notebook", [name for name in EVERY if name != "sec2_dataset"])
def test_a_model_that_never_follows_ends_with_one_sentence(notebook, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="no prompt for the table|follows fewer than 3"):
        execute(notebook, tmp_path, monkeypatch, tiny.samples(6), "never")


YES = pairs(*[("yes", "no"), ("no", "yes")] * 3)
#: The first shares an answer with either of the others, which share none.
SOME = pairs(("yes", "no"), ("yes", "red"), ("no", "blue"))
CONTROLLED = [
    "sec3_beliefs",
    "sec4_components",
    "appE_ablations",
    "appG_reviews",
    "controls",
    "steer",
]
SHUFFLED = {
    "sec3_beliefs": "ldar_max_text_shuffled",
    "sec4_components": "mlp_margin_deep_text_shuffled",
    "appE_ablations": "ldar_deep_default_text_shuffled",
    "appG_reviews": "last_attention_margin_text_shuffled",
    "controls": "ldar_text_shuffled_dictionary",
}
DRAWN = {
    "sec3_beliefs": ["fig5a"],
    "sec4_components": ["fig6a", "fig6b", "fig7"],
    "appE_ablations": ["fig14_beliefs"],
    "appG_reviews": ["fig_failures", "fig_last"],
    "steer": ["fig_steer"],
    "controls": [],
}


@pytest.mark.parametrize("notebook", CONTROLLED)
def test_yes_and_no_questions_have_no_control_by_other_answers(notebook, tmp_path, monkeypatch):
    glued, figures = execute(notebook, tmp_path, monkeypatch, YES)
    if notebook != "steer":
        key = SHUFFLED[notebook]
        own = key.replace("_shuffled_dictionary", "_trained").removesuffix("_shuffled")
        assert math.isnan(glued[key]) and math.isnan(glued[f"{key}_low"])
        assert not math.isnan(glued[own])
    for verdict in [key for key in glued if key.startswith("over_") and key.endswith("_verdict")]:
        assert glued[verdict] == "not measured"
    for name in DRAWN[notebook]:
        assert style.NO_STRANGERS in legends(figures[name])
        assert not any("another sample's answers" in text for text in legends(figures[name]))


@pytest.mark.parametrize("notebook", CONTROLLED)
def test_a_control_that_some_samples_lack_is_that_of_the_others(notebook, tmp_path, monkeypatch):
    few = {"few": 3} if notebook == "appG_reviews" else {}
    glued, figures = execute(notebook, tmp_path, monkeypatch, SOME, n=3, **few)
    if (
        notebook == "appE_ablations"
    ):  # three samples in two halves: the one that ranks has no control
        assert math.isnan(glued[SHUFFLED[notebook]])
    elif notebook != "steer":
        assert glued[SHUFFLED[notebook]] == glued[SHUFFLED[notebook]]
    for key in [key for key in glued if key.startswith("over_") and key.endswith("_verdict")]:
        assert glued[key] != "not measured"
    if notebook in ("sec3_beliefs", "sec4_components"):
        assert any(text.endswith("(n = 2)") for text in legends(figures[DRAWN[notebook][0]]))


ALIKE = ("grey cat", "grey dog")


@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize("notebook", ["sec2_dataset", "steer"])
def test_a_sample_whose_answers_begin_alike_may_come_first_or_last(
    notebook, place, tmp_path, monkeypatch
):
    usable = [("red", "blue"), ("one", "two"), ("cat", "dog")]
    samples = pairs(*[ALIKE, *usable] if place == "first" else [*usable, ALIKE])
    glued, figures = execute(notebook, tmp_path, monkeypatch, samples, n=4)
    if notebook == "sec2_dataset":
        assert glued["n_text"] == 3.0
        assert samples[1 if place == "first" else 0].id in figures["fig2"].get_suptitle()
    else:
        assert samples[3 if place == "first" else 2].id in figures["fig_steer"].get_suptitle()


def test_a_sample_whose_answers_begin_alike_is_no_stranger(tmp_path, monkeypatch):
    samples = pairs(("red", "green"), ("blue", "green"), ALIKE, ("red", "blue"))
    _, figures = execute("steer", tmp_path, monkeypatch, samples)
    assert samples[3].id in figures["fig_steer"].get_suptitle() and style.NO_STRANGERS in legends(
        figures["fig_steer"]
    )


@pytest.mark.parametrize("notebook", EVERY)
def test_two_usable_samples_are_enough(notebook, tmp_path, monkeypatch):
    """Beside them one whose answers begin alike, and one that the model would take for something
    else.
    """
    samples = pairs(ALIKE, ("red", "blue"), ("one", "two"), ("cat", "dog"))
    samples[2] = replace(samples[2], context="It says <IMG_CONTEXT>.")
    if notebook == "appF_meaning":
        with pytest.raises(ValueError, match="follows fewer than 3 under every layout"):
            execute(notebook, tmp_path, monkeypatch, samples)
    else:
        assert execute(notebook, tmp_path, monkeypatch, samples)[0]


@pytest.mark.parametrize("place", [0, 3])
@pytest.mark.parametrize("notebook", ["sec2_dataset", "sec3_beliefs", "sec4_heads", "steer"])
def test_a_picture_that_the_processor_refuses_stops_no_notebook(
    notebook, place, tmp_path, monkeypatch
):
    """Qwen's takes none that is more than 200 times as long as wide."""
    samples = list(tiny.samples(4))
    Image.new("RGB", (1093, 5)).save(tmp_path / "wide.png")
    samples[place] = replace(samples[place], image=str(tmp_path / "wide.png"))
    glued, _ = execute(
        notebook, tmp_path / "run", monkeypatch, samples, architecture="qwen2.5-vl", n=4
    )
    if notebook != "steer":
        assert glued["n_text"] == (
            1.0
            if (notebook, place) == ("sec4_heads", 0)
            else 2.0
            if notebook == "sec4_heads"
            else 3.0
        )


def unusable(sample):
    raise Unusable(sample, "too long")


def test_an_attempt_that_cannot_be_put_to_the_model_is_passed_over(monkeypatch, tmp_path):
    monkeypatch.setattr(question, "cache", lambda: tmp_path)
    subject, sample, dictionary = (
        tiny.subject("internvl"),
        tiny.samples(1)[0],
        entities.load("scenes"),
    )
    found = list(
        failures.list_attempts(
            subject, sample, "text", failures.UNREAD, ["Follow <IMG_CONTEXT>.", "Follow the text."]
        )
    )
    assert [degree for degree, _ in found] == [0.0, 2.0]
    weaken = altered.weaken
    monkeypatch.setattr(
        altered,
        "weaken",
        lambda subject, one, *rest: unusable(one) if one == sample else weaken(subject, one, *rest),
    )
    assert list(failures.list_attempts(subject, sample, "text", failures.WEAKENED)) == []
    monkeypatch.setattr(
        generation,
        "first_answer",
        lambda subject, prompt, last: (prompt.sample.answer_text, prompt.y_p),
    )
    found = failures.find_failures(subject, list(tiny.samples(2)), 1, dictionary)
    assert [one for one, _ in found if one.following == "text"] == []


def test_layouts_say_which_samples_they_leave_out(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(question, "cache", lambda: tmp_path)
    subject, samples = tiny.subject("internvl"), list(tiny.samples(2))
    monkeypatch.setattr(
        generation,
        "first_answer",
        lambda subject, prompt, last: (prompt.sample.answer_text, prompt.y_p),
    )
    samples[0] = replace(samples[0], question="What is <IMG_CONTEXT>?")
    table = cohorts.layouts.ask_layouts(subject, samples, entities.load("scenes"), ["plain"])
    assert set(table["sample"]) == {samples[1].id}
    assert (
        f"dropped 1 of 2 samples: {samples[0].id}: its question holds '<IMG_CONTEXT>'"
        in "".join(capsys.readouterr())
    )
    with pytest.raises(
        ValueError,
        match=f"none of 1 samples can be put to tiny-internvl; {samples[0].id}: its question holds",
    ):
        cohorts.layouts.ask_layouts(subject, samples[:1], entities.load("scenes"))


def random_tables():
    """Tables of a run of 30 layers of 9 heads, every number drawn: what `by_hand` and the summaries
    read.
    """
    rng = np.random.default_rng(0)

    def grid(columns=(), outcomes=(), **levels):
        index = pd.MultiIndex.from_product(
            [*levels.values(), [f"s{number}" for number in range(4)]], names=[*levels, "sample"]
        )
        table = index.to_frame(index=False).assign(model="toy", image=lambda rows: rows["sample"])
        drawn = {column: rng.normal(size=len(table)) for column in columns}
        return table.assign(
            **drawn, **({"outcome": rng.choice(outcomes, len(table))} if outcomes else {})
        )

    ways, kinds, said = (
        {"following": ["text", "vision"]},
        {"dictionary": ["own", "shuffled"]},
        ["follow", "competitor"],
    )
    paths = {"pathway": [str(path) for path in arb.STANDARD_PATHWAYS], "layer": range(30)}
    swept = ["nssd", "logp_p", "logp_c", "logp_p_blocked", "logp_c_blocked"]
    sets = ["target", "random", "matched", "shared"]
    at = {"positions": ["instruction"]}
    plain = {"heads": ["original"], "draw": [0], "share": [0.0], "factor": [1.0]}
    readings = ["default", "K = 2", "average", "random"]

    def asked(names, shares, factors, **more):
        levels = ways | at | more
        sets = grid(outcomes=said, **levels, heads=names, draw=[0, 1], share=shares, factor=factors)
        return pd.concat([sets, grid(outcomes=said, **levels, **plain)], ignore_index=True)

    return {
        "knockout": grid(swept, **ways, **paths, control=[False]),
        "knockout_controls": grid(swept, **ways, **paths, control=[True]),
        "windows": grid(
            swept,
            **ways,
            pathway=["vision→text", "vision→last", "text→last"],
            layer=range(30),
            control=[False, True],
            width=[1, 3, 5],
        ),
        "beliefs": grid(
            ["phi_f", "phi_c"],
            **ways,
            **kinds,
            positions=["instruction", "last"],
            layer=range(-1, 30),
        ),
        "paths": grid(
            outcomes=[*said, "other"],
            **ways,
            place=["own", "scaled"],
            blocked=["none", "instruction→last", "context→last", "vision→last", "random→last"],
        ).assign(layers=lambda rows: rows["place"].map({"own": "3–8", "scaled": "21–26"})),
        "components": grid(
            [
                "signal_f",
                "signal_c",
                "attention_signal",
                "mlp_signal",
                "attention_margin",
                "mlp_margin",
            ],
            **ways,
            **kinds,
            layer=range(30),
        ).assign(
            signal_f=lambda rows: rows["signal_f"] + 10,
            attention_margin=lambda rows: rows["attention_margin"] + 10,
        ),  # a share of nothing is none
        "heads": grid(["margin"], **ways, layer=range(30), head=range(9)),
        "blocking": asked(sets, [0.05], [0.0], setting=["blocking"]),
        "amplification": asked(
            sets, [0.05], [1.25, 1.5, 2.0, 3.0, 5.0], setting=["amplification"]
        ).assign(
            mix=lambda rows: 0.4 * (rows["sample"] == "s3"),
            source=lambda rows: np.where(rows["sample"] == "s3", "weakened", "natural"),
        ),
        "head_effects": grid(
            ["effect"], **ways, positions=["instruction", "last"], layer=range(30), head=range(9)
        ).assign(turned=lambda rows: rows["effect"] > 1),
        "head_blocking": asked(
            ["eq12"], [0.05], [0.0], setting=["blocking"], ranked_on=["other samples"]
        ),
        "ablations": pd.concat(
            [
                asked(readings, [0.05], [0.0], setting=["blocking"]),
                asked(readings, [0.05], [2.0], setting=["amplification"]),
            ]
        ).assign(mix=0.0),
    }


RANKED = ["target", "matched", "default", "K = 2", "average"]


def _heads(table):
    return table.get("heads", pd.Series("", table.index))


#: What a table may lack, as a choice of its rows.
LACKING = {
    "nothing": lambda name, table: table["sample"] == "none",
    "vision": lambda name, table: table["following"] == "vision",
    "text": lambda name, table: table["following"] == "text",
    "some controls": lambda name, table: (
        (table.get("dictionary") == "shuffled") & (table["sample"] < "s2")
    ),
    "all controls": lambda name, table: (
        (table.get("dictionary") == "shuffled")
        | (name == "knockout_controls") & (table["sample"] < "s3")
    ),
    "failures": lambda name, table: (
        (table.get("setting") == "amplification") & (table["following"] == "vision")
    ),
    "a ranking": lambda name, table: (table["following"] == "vision") & _heads(table).isin(RANKED),
}


@pytest.mark.parametrize("lacking", LACKING)
def test_numbers_by_hand_and_by_the_library_are_the_same_where_a_cell_is_missing(lacking, tmp_path):
    (tmp_path / "tables").mkdir()
    tables = {}
    for name, table in random_tables().items():
        gone = LACKING[lacking](name, table)
        tables[name] = table[~np.broadcast_to(gone, len(table))].reset_index(drop=True)
        tables[name].to_parquet(tmp_path / "tables" / f"{name}.parquet")
    theirs, ours = by_hand.numbers(tmp_path), summed(tables)
    assert set(theirs) <= set(ours)
    assert {key: ours[key] for key in theirs} == pytest.approx(theirs, nan_ok=True, abs=1e-9)
    assert any(value != value for value in theirs.values()) == (
        lacking not in ("nothing", "some controls")
    )


def test_a_sample_that_cannot_be_shown_one_modality_alone_leaves_the_others(
    tmp_path, monkeypatch, capsys
):
    """What its picture alone asks is found out while the rows are measured, hours into a run."""
    samples, alone = list(tiny.samples(6)), altered.encode_alone
    monkeypatch.setattr(
        altered,
        "encode_alone",
        lambda subject, sample, way: (
            unusable(sample) if sample.id == samples[2].id else alone(subject, sample, way)
        ),
    )
    glued, _ = execute("appG_reviews", tmp_path, monkeypatch, samples, few=2)
    assert [glued[f"n_able_{way}"] for way in ("text", "vision")] == [1.0, 1.0]
    told = f"{samples[2].id}-text: too long; {samples[2].id}-vision: too long"
    assert f"dropped 2 of 4 prompts from the table 'ability': {told}" in "".join(
        capsys.readouterr()
    )
