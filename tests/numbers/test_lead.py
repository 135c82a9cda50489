"""What could be seen beside what is: lead lost, medians, how sure a model is, and the layers that
carry most: by hand.
"""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from arbitration.equations.knockout import STANDARD_PATHWAYS
from reproduction.measures.paths import lead_lost
from reproduction.numbers.knockout import summarise_drawn, summarise_knockout
from reproduction.numbers.routes import SIZE, find_own_layers

WAYS = ("text", "vision")
SAMPLES = ("a", "b", "c", "d", "e")


def closed(before, after):
    """Log-probabilities of both answers by sample and layer, from leads in nats."""
    rows = [
        (sample, layer, lead - 3.0, -3.0, after(number, layer) - 4.0, -4.0)
        for number, (sample, lead) in enumerate(zip(SAMPLES, before))
        for layer in range(6)
    ]
    logs = ["logp_p", "logp_c", "logp_p_blocked", "logp_c_blocked"]
    return pd.DataFrame(rows, columns=["sample", "layer", *logs])


def test_the_lead_lost_is_the_difference_of_log_odds():
    """Odds of 9 : 1 become 1 : 4: ln 9 + ln 4 = 3.5835 are lost; and the other way round won."""
    logs = np.log([[0.45, 0.05, 0.1, 0.4], [0.1, 0.4, 0.45, 0.05]])
    names = ["logp_p", "logp_c", "logp_p_blocked", "logp_c_blocked"]
    lost = lead_lost(pd.DataFrame(logs, columns=names))
    assert lost.tolist() == pytest.approx([3.58352, -3.58352], abs=1e-5)


def costs(*means):
    """What closing a route costs five samples in the window from each layer, by its mean."""
    rows = [
        (sample, way, start, mean * (number + 1) / 3)
        for way, (number, sample) in itertools.product(WAYS, enumerate(SAMPLES))
        for start, mean in enumerate(means)
    ]
    return pd.DataFrame(rows, columns=["sample", "following", "start", "lost"])


def test_own_layers_are_the_window_that_costs_most():
    table = costs(0.0, 5.0, -9.0, 6.0, 3.0, 0.0)
    shuffled = table.sample(frac=1.0, random_state=0)
    n_layers = 5 + SIZE
    own = range(3, 3 + SIZE)
    assert find_own_layers(shuffled, n_layers) == {"text": own, "vision": own}
    one = find_own_layers(table[table["following"] == "text"], n_layers)
    assert one == {"text": own}, "a direction without samples has no place"


def test_the_first_of_equal_places_is_taken_and_none_ends_behind_the_model():
    assert find_own_layers(costs(1.0, 2.0, 2.0), 2 + SIZE)["text"] == range(1, 1 + SIZE)
    assert find_own_layers(costs(1.0), 4)["text"] == range(4), "a model of fewer layers"


def knockouts(before, cost):
    """All pathways and controls; closing vision→instruction in layer 3 costs `cost` nats of lead,
    a control half of it.
    """
    tables = []
    for way, path, control in itertools.product(WAYS, map(str, STANDARD_PATHWAYS), (False, True)):
        matters = path == "vision→instruction"
        factor = 0.5 if control else 1.0

        def after(number, layer, matters=matters, factor=factor):
            return before[number] - factor * cost[number] * (matters and layer == 3)

        rows = closed(before, after)
        tables.append(rows.assign(following=way, pathway=path, control=control))
    table = pd.concat(tables, ignore_index=True).assign(model="toy", width=3, image="")
    table["image"] = table["sample"]
    return table.assign(nssd=[_nssd(row) for row in table.itertuples()])


def _nssd(row):
    """Eqs. 6 and 7 in plain numbers."""
    before = 1 / (1 + math.exp(row.logp_c - row.logp_p))
    after = 1 / (1 + math.exp(row.logp_c_blocked - row.logp_p_blocked))
    divergence = before * math.log(before / after)
    divergence += (1 - before) * math.log((1 - before) / (1 - after))
    return divergence if after < before else -divergence


def test_lead_and_median_beside_nssd():
    """Leads of 1, 2, 3, 4, 5; closing costs 1, 1, 2, 4, 7 nats: 3 in the mean, 2 in the median."""
    found = summarise_knockout(knockouts([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 1.0, 2.0, 4.0, 7.0]))
    for way in WAYS:
        path = f"vision_instruction_{way}"
        assert found[f"lead_{path}"] == pytest.approx(3.0)
        assert found[f"lead_{path}_layer"] == 3.0
        assert found[f"lead_{path}_median"] == pytest.approx(2.0)
        assert found[f"lead_{path}_control"] == pytest.approx(1.5)
        assert found[f"lead_trough_{path}"] == pytest.approx(0.0)
        assert found[f"keeps_{path}"] == pytest.approx(2 / 5), "leads of 0, 1, 1, 0, −2 are left"
    assert found["contrast_lead_control_vision"] == pytest.approx(1.5)
    assert found["contrast_lead_control_text"] == 0.0, "of context→instruction"


def test_the_median_sample_at_the_peak():
    """Three samples lose nothing, two from even odds to 1 : 4: 0.5 ln(0.5/0.2) + 0.5 ln(0.5/0.8) =
    0.22314, two fifths of it in the mean, nothing in the median.
    """
    found = summarise_knockout(knockouts([0.0] * 5, [0.0, 0.0, 0.0, *[math.log(4)] * 2]))
    assert found["peak_vision_instruction_text"] == pytest.approx(0.22314 * 2 / 5, abs=1e-5)
    assert found["peak_vision_instruction_text_median"] == 0.0
    assert found["lead_vision_instruction_text"] == pytest.approx(math.log(4) * 2 / 5)


def test_how_sure_and_what_could_have_been_seen():
    """0.99 is odds of 99 : 1, a lead of 4.595: two of five are beyond. From even odds ten nats less
    or more are ±(½ ln(½ / 4.54e-5) + ½ ln ½) = ±4.30690.
    """
    found = summarise_knockout(knockouts([1.0, 4.5, 4.59, 4.6, 9.0], [0.0] * 5))
    assert found["sure_text"] == found["sure_vision"] == pytest.approx(2 / 5)
    even = summarise_knockout(knockouts([0.0] * 5, [0.0] * 5))
    assert even["most_text"] == pytest.approx(4.30690, abs=1e-5)
    assert even["least_text"] == pytest.approx(-4.30690, abs=1e-5)
    # Of a model as sure as 1 − 4.54e-5, ten nats more are 9 · 4.54e-5, and ten less nearly ln 2.
    sure = summarise_knockout(knockouts([10.0] * 5, [0.0] * 5))
    assert sure["least_text"] == pytest.approx(-9 * 4.54e-5, rel=1e-3)
    assert sure["most_text"] == pytest.approx(0.69265, abs=1e-4)


def test_without_samples_nothing_could_have_been_seen():
    found = summarise_knockout(knockouts([1.0] * 5, [0.0] * 5).query("following == 'text'"))
    assert math.isnan(found["sure_vision"]) and math.isnan(found["least_vision"])
    assert math.isnan(found["lead_vision_instruction_vision_median"])


def test_what_controls_are_drawn_from_is_the_mean_over_samples():
    rows = [("a", 1.0, 0.5, 0.0), ("b", 0.5, 0.0, 0.3)]
    table = pd.DataFrame(rows, columns=["sample", "edges", "own", "rival"])
    found = summarise_drawn(table.assign(following="text", pathway="context→last"))
    assert (found["control_edges_context_last_text"], found["control_own_context_last_text"]) == (
        0.75,
        0.25,
    )
    assert found["control_rival_context_last_text"] == pytest.approx(0.15)
    assert math.isnan(found["control_edges_context_last_vision"]), "a direction without samples"
