"""Which samples a notebook's study takes, and in which order."""

from types import SimpleNamespace

from reproduction.cohorts import answered, studies


def prompt(number, way):
    return SimpleNamespace(sample=number, following=way)


def test_twice_as_many_samples_are_asked_as_are_measured(monkeypatch):
    """So that half of them may fail, in either direction."""
    monkeypatch.setattr(answered, "ask_samples", lambda subject, samples, dictionary: samples)
    study = studies.Study(None, list(range(10)), None, n=3, only_following=True)
    assert study.answers == study.samples == [0, 1, 2, 3, 4, 5]


def test_the_halves_are_chosen_apart_from_answers_to_both(monkeypatch):
    monkeypatch.setattr(answered, "ask_samples", lambda subject, samples, dictionary: samples)
    monkeypatch.setattr(
        answered, "choose_prompts", lambda subject, samples, answers, n, *rest: (samples, answers)
    )
    study = studies.Study(None, list(range(10)), None, n=3, only_following=True)
    asked = [0, 1, 2, 3, 4, 5]
    assert studies.halves(study, 3) == (([0, 1, 2], asked), ([3, 4, 5], asked))


def test_the_first_of_each_direction():
    prompts = [prompt(number, way) for way in ("vision", "text") for number in range(4)]
    found = studies.first(prompts, 2, ways=("text", "vision"))
    assert [(one.sample, one.following) for one in found] == [
        (0, "text"),
        (1, "text"),
        (0, "vision"),
        (1, "vision"),
    ]


def test_as_many_failures_are_sought_as_are_asked_for(monkeypatch):
    monkeypatch.setattr(
        studies, "find_failures", lambda subject, samples, n, dictionary: [(samples, n)]
    )
    study = studies.Study(None, [], None, n=3, only_following=True)
    assert studies.failing(study, [7, 8], []) == [([7, 8], 3)]
    assert studies.failing(study, [7], [], n=1) == [([7], 1)]
