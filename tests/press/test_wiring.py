"""What a notebook hands to what: which samples, heads, layers and controls feed its tables. Seen in
the calls of a run on a tiny model, whose answers do not matter.
"""

import pandas as pd
import pytest

import tiny
from in_process import run
from reproduction import cohorts, measures, results
from reproduction.cohorts import failures, studies
from reproduction.measures import paths


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """Runs a notebook; gives what it handed to `results.collect` and `results.gather`, by table:
    the prompts, what they borrow, and the other arguments.
    """
    seen = {}

    def kept(honest):
        def collect(name, rows, subject, prompts, *args, **given):
            seen[name] = {"prompts": list(prompts), **given}
            return honest(name, rows, subject, prompts, *args, **given)

        return collect

    def execute(notebook, **options):
        monkeypatch.setattr(results, "collect", kept(results.collect))
        monkeypatch.setattr(results, "gather", kept(results.gather))
        load = lambda name, weights: tiny.subject("internvl")
        seen["glued"] = run(notebook, tmp_path, monkeypatch, load, **options)
        return seen

    return execute


def names(prompts):
    return {prompt.sample.id for prompt in prompts}


def test_heads_are_tried_on_samples_and_failures_that_did_not_rank_them(calls, monkeypatch):
    sought = []

    def failing(study, samples, instead, n=None):
        sought.extend(samples)
        return [(prompt, 0.0) for prompt in instead]

    monkeypatch.setattr(cohorts, "failing", failing)
    seen = calls("sec4_heads", n=3, draws=2, elsewhere=1, only_following=False)
    ranked = names(seen["heads"]["prompts"])
    assert len(ranked) == 3 and len(sought) > 3
    assert not ranked & {sample.id for sample in sought}
    assert not ranked & names(seen["blocking"]["prompts"])
    blocked = seen["blocking"]["places"]
    assert set(blocked) == {"instruction", "last", "both"}
    assert {case.factor for cases in blocked.values() for case in cases} == {0.0}
    assert {case.draws for case in blocked["instruction"] if case.share == 0.05} == {2}
    (raised,) = seen["amplification"]["places"].items()
    assert raised[0] == "instruction" and {case.share for case in raised[1]} == {0.05}
    assert {case.factor: case.draws for case in raised[1]} == {1.25: 1, 1.5: 1, 2: 2, 3: 1, 5: 1}


def test_the_head_question_ranks_on_one_half_and_tries_on_the_other(calls, monkeypatch):
    sought, ranked_by = [], []
    nothing = pd.DataFrame(columns=failures.TRIED)

    def seek_all_sources(subject, samples, *rest):
        sought.extend(samples)
        return {}, nothing

    monkeypatch.setattr(failures, "seek_all_sources", seek_all_sources)
    honest = measures.heads.rank_heads

    def rank_heads(scores):
        ranked_by.append(set(scores["sample"]))
        return honest(scores)

    monkeypatch.setattr(measures.heads, "rank_heads", rank_heads)

    def choose_all(subject, samples, answers, n, only_following, skip=0):
        some = samples[skip : skip + n]
        return [subject.encode(one, way) for way in ("text", "vision") for one in some]

    monkeypatch.setattr(studies.answered, "choose_prompts", choose_all)
    seen = calls("sec4_sensitivity", n=2, singles=1, draws=1, elsewhere=1, tries=4)
    ranked, tested = ranked_by
    tried = seen["head_blocking"]
    assert len(ranked) == len(tested) == 2 and not ranked & tested
    assert names(tried["prompts"]) == tested
    assert names(seen["head_effects"]["prompts"]) < tested
    assert len(sought) == 4 and not ranked & {sample.id for sample in sought}
    scores = seen["head_scores"]
    assert names(scores["prompts"]) == ranked | tested


def test_knockouts_have_controls_in_both_directions(calls):
    seen = calls("sec3_knockout", n=3, n_controls=2, only_following=False)
    for table, count in (("knockout", 3), ("knockout_controls", 2)):
        ways = [prompt.following for prompt in seen[table]["prompts"]]
        assert ways.count("text") == ways.count("vision") == count
    own, control = seen["knockout"]["pathways"], seen["knockout_controls"]["pathways"]
    assert [(path.source, path.target) for path in own] == [
        (path.source, path.target) for path in control
    ]
    assert {path.control for path in own} == {None} and {path.control for path in control} == {0}


def test_beliefs_are_held_against_strangers_and_paths_closed_where_the_paper_does(calls):
    seen = calls("sec3_beliefs", n=2, only_following=False)
    lent = seen["beliefs"]["borrowed"]
    assert all(lent[prompt.sample.id] != prompt.sample for prompt in seen["beliefs"]["prompts"])
    subject = tiny.subject("internvl")
    scaled = paths.critical_layers(subject.n_layers)
    places = seen["paths"]["places"]
    assert places["scaled"] == {"text": scaled, "vision": scaled}
    assert set(places["own"]) == {"text", "vision"} and len(scaled) < subject.n_layers
    others, tested = (names(seen[name]["prompts"]) for name in ("way_out", "paths"))
    assert others and not others & tested
    assert names(seen["paths"]["prompts"]) == names(seen["beliefs"]["prompts"])


def test_components_are_held_against_strangers(calls):
    seen = calls("sec4_components", n=2, only_following=False)
    lent = seen["components"]["borrowed"]
    for prompt in seen["components"]["prompts"]:
        stranger, own = lent[prompt.sample.id], set(prompt.sample.answers("text"))
        assert stranger != prompt.sample and not own & set(stranger.answers("text"))
