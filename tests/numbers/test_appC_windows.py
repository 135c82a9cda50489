"""What is said about knockouts under other windows: plateaus, sizes, places, and when answers count
as the same.
"""

import numpy as np
import pandas as pd
import pytest

from reproduction.numbers import summarise_windows
from reproduction.numbers.windows import plateau, same, throughout

SAMPLES = [f"s{i}" for i in range(8)]


@pytest.mark.parametrize(
    "mean, layer, layers",
    [
        (
            [0.0, 0.4, 0.5, 1.0, 0.9, 0.2, 0.8],
            3,
            3.0,
        ),  # half of it counts; what lies apart does not
        ([1.0, 0.1, 0.1], 0, 1.0),
        ([0.1, 0.6, 1.0], 2, 2.0),
        ([1.0, 1.0, 1.0], 1, 3.0),
        ([-0.2, -1.0, -0.6, 0.7], 1, 2.0),  # the other sign does not count
    ],
)
def test_a_plateau_is_the_neighbours_with_at_least_half(mean, layer, layers):
    assert plateau(pd.Series(mean), layer) == layers


def test_a_flat_zero_has_no_plateau():
    assert np.isnan(plateau(pd.Series([0.0, 0.0]), 0))


@pytest.mark.parametrize(
    "verdicts, one, every",
    [
        (["holds"] * 4, "holds", "holds"),
        (["contradicted"] * 4, "holds", "contradicted"),
        (["holds", "contradicted"], "contradicted", "contradicted"),
        (["holds", "not seen"], "not seen", "not seen"),
        (["contradicted", "not seen"], "not seen", "contradicted"),
        (["holds", "not measured"], "not measured", "not measured"),
        ([], "not measured", "not measured"),
    ],
)
def test_many_verdicts_become_one(verdicts, one, every):
    assert same(verdicts) == one and throughout(verdicts) == every


def table(peaks, noise=0.0, spread=0.0):
    """One pathway whose extreme has a place and a size for each width: {width: (layer, size)}; at
    the widest, the first samples have `spread` less of it and more a layer further on.
    """
    random = np.random.default_rng(0)
    return pd.DataFrame(
        [
            {
                "sample": sample,
                "following": d,
                "pathway": "vision→text",
                "control": control,
                "layer": layer,
                "width": width,
                "logp_p": -0.1,
                "logp_c": -2.1,
                "logp_p_blocked": -0.5,
                "logp_c_blocked": -1.0,
                "nssd": size
                * (
                    (layer == place)
                    + spread
                    * (i < 3 and width == max(peaks))
                    * (int(layer == place + 1) - int(layer == place))
                )
                * (not control)
                + noise * random.normal(),
            }
            for width, (place, size) in peaks.items()
            for i, sample in enumerate(SAMPLES)
            for d in ("text", "vision")
            for control in (False, True)
            for layer in range(12)
        ]
    )


def test_an_extreme_that_moves_away_is_told():
    """At the widest, three of eight samples have their extreme a layer further on: some resamples
    move by 9 layers, and none by less than 8, where half of the window is 2.5.
    """
    widths = {1: (2, 1.0), 3: (2, 1.0), 5: (10, 1.0)}
    numbers = summarise_windows(table(widths, spread=0.9, noise=0.01))
    assert (
        numbers["shift_vision_text_text_w5"] == 8.0 and numbers["shift_vision_text_text_w1"] == 0.0
    )
    assert numbers["place_vision_text_text_verdict"] == "contradicted"


def test_an_extreme_that_moves_within_the_window_stays():
    numbers = summarise_windows(table({3: (4, 1.0), 7: (4, 1.0)}, spread=0.9, noise=0.01))
    assert numbers["shift_vision_text_vision_w7"] == 0.0
    assert numbers["place_vision_text_vision_verdict"] == "holds"


def test_a_place_in_which_all_samples_agree_is_not_thereby_known():
    numbers = summarise_windows(table({3: (4, 1.0), 7: (7, 1.0)}))
    assert numbers["shift_vision_text_vision_w7"] == 3.0
    assert numbers["shift_vision_text_vision_w7_low"] == 3.0
    assert numbers["place_vision_text_vision_verdict"] == "not seen"


def test_another_sign_and_another_size_are_told():
    widths = {1: (4, -1.0), 3: (4, 1.0), 5: (4, 3.0)}
    numbers = summarise_windows(table(widths, noise=0.02))
    assert numbers["sign_vision_text_text_verdict"] == "contradicted"
    assert (
        numbers["ratio_vision_text_text"] == pytest.approx(3.0, rel=0.05)
        and numbers["ratio_vision_text_text_verdict"] == "contradicted"
    )


def test_noise_leaves_the_place_undecided():
    numbers = summarise_windows(table({1: (2, 0.3), 3: (9, 0.3)}, noise=0.5))
    assert numbers["shift_vision_text_text_w1_low"] < numbers["shift_vision_text_text_w1_high"]
    assert numbers["place_vision_text_text_verdict"] != "holds"


def test_pathways_that_were_not_swept_leave_their_conclusions_open():
    numbers = summarise_windows(table({3: (4, 1.0)}))
    assert numbers["same_relay_verdict"] == numbers["hub_text_w3_verdict"] == "not measured"
    assert (
        numbers["place_vision_text_text_verdict"] == "not measured"
    )  # one width has nothing to compare with


def test_the_median_and_the_lead_lost_stand_beside_an_extreme():
    """From a lead of 2 nats to one of 0.5; seven of eight samples have the size 1, one has 9."""
    rows = table({1: (2, 1.0), 3: (2, 1.0)})
    rows.loc[rows["sample"] == "s0", "nssd"] *= 9
    found = summarise_windows(rows)
    name = "extreme_vision_text_text_w1"
    assert found[name] == 2.0 and found[f"{name}_median"] == 1.0
    assert found[f"{name}_lead"] == pytest.approx(1.5)
