"""Whose answers a control borrows: the same whatever else is measured, and never one's own."""

import pytest

from arbitration import dataset
from arbitration.dataset import entities
from reproduction.cohorts import strangers


@pytest.fixture(scope="module")
def scenes():
    return dataset.load("scenes", "held"), entities.load("scenes")


def test_fewer_samples_in_another_order_borrow_the_same_answers(scenes):
    everything, dictionary = scenes
    many = strangers.borrow_answers(dictionary, everything[:64], everything, 0)
    few = dataset.shuffled(everything[:64], 1)[:8]
    again = strangers.borrow_answers(dictionary, few, dataset.shuffled(everything, 2), 0)
    assert again == {sample.id: many[sample.id] for sample in few}


def test_the_seed_draws_the_lender_and_samples_differ_in_theirs(scenes):
    everything, dictionary = scenes
    first = strangers.borrow_answers(dictionary, everything[:32], everything, 0)
    other = strangers.borrow_answers(dictionary, everything[:32], everything, 1)
    assert sum(first[name] != other[name] for name in first) > 24
    assert len({lender.id for lender in first.values()}) > 24


def test_a_lender_is_of_the_same_task_and_has_none_of_one_s_answers(scenes):
    everything, dictionary = scenes
    lent = strangers.borrow_answers(dictionary, everything, everything, 0)
    for sample in everything:
        lender = lent[sample.id]
        assert lender.task == sample.task
        assert not dictionary.normal_forms(sample) & dictionary.normal_forms(lender)


def test_of_several_strangers_the_first_is_the_one_and_none_comes_twice(scenes):
    everything, dictionary = scenes
    for sample in everything[:4]:
        one = strangers.borrow_answers(dictionary, [sample], everything, 3)[sample.id]
        several = strangers.draw_strangers(dictionary, sample, everything, 9, 3)
        assert several[0] == one and len({stranger.id for stranger in several}) == 9
