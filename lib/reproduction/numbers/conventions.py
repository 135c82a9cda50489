"""The table of conventions: each measure under its default and under every alternative, sample by
sample.
"""

import numpy as np
import pandas as pd

from arbitration.equations.heads import share_count
from arbitration.uncertainty import resamples
from reproduction.measures.paths import lead_lost
from reproduction.measures.readings import WIDENED
from reproduction.numbers.estimates import (
    CHANGE,
    DIRECTIONS,
    MEAN,
    RATE,
    clusters,
    count_groups,
    depth,
    drawn,
    estimate,
    extreme,
    per_sample,
    wide,
)

DRAWS = 500
#: Readings of Φ as lines of the table: (convention, choice).
READINGS = {
    "default": ("Φ", "the instruction's strongest token, its best form, no norm"),
    "K = 2": ("Top-K in Φ", "mean of the two strongest tokens"),
    "K = 4": ("Top-K in Φ", "mean of the four strongest tokens"),
    "average": ("forms in Φ", "their average"),
    "final norm": ("lens", "after the model's final norm"),
    "modality sentence": ("instruction", "the sentence that names a modality"),
    "question": ("instruction", "the question"),
    "answer format": ("instruction", "the wish for the answer's form"),
    "with the template after it": ("instruction", "with the template's words after it"),
    "English forms": ("dictionary", "English forms only"),
    "answer as written": ("dictionary", "the answer as written only"),
}
SPANS = {
    "modality": ("instruction", "into the sentence that names a modality"),
    "question": ("instruction", "into the question"),
    "constraint": ("instruction", "into the wish for the answer's form"),
    WIDENED: ("instruction", "with the template's words after it"),
}


def compare_conventions(answers, first, beliefs, paths, scores, seed=0):
    """Every convention with an alternative: measured value, interval, n, and what changes against
    the default.

    Parameters
    ----------
    answers : DataFrame
        From `answered.ask_samples`.
    first : DataFrame
        From `answers.read_first_token`; its samples are those that the following ratio is taken on.
    beliefs : DataFrame
        From `readings.measure_readings`.
    paths : DataFrame
        From `paths.sweep_into`: widths 3 and 7 for the whole instruction, width 3 for other spans.
    scores : DataFrame
        From `head_attribution`, with the column reading.
    seed : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        One row per direction, measure and choice: following, measure, convention, choice, n, value,
        value_low, value_high, of an NSSD also median and lead (the lead lost there, nats, turned
        like the NSSD; NaN elsewhere), difference, difference_low, difference_high (paired by sample
        with the measure's first row, the default), change ("default", "higher", "lower", "none":
        equal in every sample, "unclear": the interval reaches both sides, "not measured"). Shares,
        except the NSSD in nats.
    """
    rows = []
    for d in DIRECTIONS:
        own, said = answers[answers["following"] == d], first[first["following"] == d]
        asked, said = own.set_index(per_sample(own)), said.set_index(per_sample(said))
        asked = asked.loc[[sample for sample in said.index if sample in asked.index]]
        for measure, choices in (
            ("following ratio", _following(asked, said)),
            ("failures", _failures(asked)),
            ("LDAR, deep third", _deep(beliefs, d)),
            ("LDAR, critical layers", _critical(beliefs, d)),
            ("synchronisation", _synchronised(beliefs, own, d)),
        ):
            rows += [
                {"following": d, "measure": measure, **row}
                for row in _compared(choices, seed, RATE, CHANGE)
            ]
        rows += [
            {"following": d, "measure": "size of the largest NSSD (nats)", **row}
            for row in _compared_sizes(paths, d, seed)
        ]
        rows += [
            {"following": d, "measure": "top 5 % of heads, share that the default finds", **row}
            for row in _overlaps(scores, d, seed)
        ]
    return pd.DataFrame(rows)


def _compared(choices, seed, kind, kind_of_difference):
    """Rows of one measure from per-sample values by (convention, choice), the default first; `kind`
    as in `estimate`.
    """
    default = next(iter(choices.values()))
    for number, ((convention, choice), values) in enumerate(choices.items()):
        less = (values - default).dropna()
        found = estimate("value", values, seed, kind)
        found |= estimate("difference", less, seed, kind_of_difference)
        yield {
            "convention": convention,
            "choice": choice,
            "n": len(values),
            **found,
            "change": _change(found, less) if number else "default",
        }


def _change(found, less=None):
    """In words; `less` are the samples' differences, where they are known."""
    low, high = found["difference_low"], found["difference_high"]
    if low != low:
        return "not measured"
    if low == high == 0 or (less is not None and not less.any()):
        return "none"
    return "higher" if low > 0 else "lower" if high < 0 else "unclear"


def _following(asked, said):
    follows = (asked["outcome"] == "follow").astype(float)
    return {
        ("modality following", "the whole greedy answer"): follows,
        ("modality following", "the whole answer, neither and both left out"): follows[
            asked["outcome"] != "other"
        ],
        ("modality following", "the most likely first token"): (said["first"] == "follow").astype(
            float
        ),
        ("modality following", "the likelier of the two first tokens"): said["prefers"].astype(
            float
        ),
    }


def _failures(asked):
    return {
        ("failure", "the competitor's answer"): (asked["outcome"] == "competitor").astype(float),
        ("failure", "any answer that does not follow"): (asked["outcome"] != "follow").astype(
            float
        ),
    }


def _margins(beliefs, d, reading):
    return wide(
        beliefs.assign(margin=beliefs["phi_f"] - beliefs["phi_c"]),
        "margin",
        following=d,
        reading=reading,
        dictionary="own",
    )


def _deep(beliefs, d):
    layers = int(beliefs["layer"].max()) + 1
    deep, present = list(depth(layers)["deep"]), set(beliefs["reading"])
    choices = {
        line: (_margins(beliefs, d, name) > 0)[deep].mean(axis=1)
        for name, line in READINGS.items()
        if name in present
    }
    default = _margins(beliefs, d, "default")
    choices["ties", "count as aligned"] = (default >= 0)[deep].mean(axis=1)
    for word, start in (("half", layers // 2), ("quarter", 3 * layers // 4)):
        choices["deep", f"the last {word} of the layers"] = (default > 0)[
            list(range(start, layers))
        ].mean(axis=1)
    return choices


def _critical(beliefs, d):
    layers = int(beliefs["layer"].max()) + 1
    aligned = (_margins(beliefs, d, "default") > 0).astype(float)
    choices = {
        ("critical layers", "20 to 25 of 28, as that part of the depth"): aligned[
            list(depth(layers)["critical"])
        ].mean(axis=1)
    }
    if layers > 25:
        choices["critical layers", "20 to 25 as they stand"] = aligned[list(range(20, 26))].mean(
            axis=1
        )
    return choices


def _synchronised(beliefs, answers, d):
    layers = list(depth(int(beliefs["layer"].max()) + 1)["critical"])
    anchors, last = (
        np.sign(_margins(beliefs, d, reading))[layers] for reading in ("default", "last position")
    )
    final = (
        answers.set_index(per_sample(answers))["outcome"]
        .map({"follow": 1.0, "competitor": -1.0})
        .reindex(anchors.index)
    )
    return {
        ("synchronisation", "with the last position of the same layer"): (anchors == last).mean(
            axis=1
        ),
        ("synchronisation", "with the final answer"): anchors.eq(final, axis=0).mean(axis=1)[
            final.notna()
        ],
    }


def _compared_sizes(paths, d, seed):
    """NSSD at the layer where its mean is largest in size, turned so that this mean is positive:
    sizes compare, whatever the sign. Beside it the median and the mean lead lost of the same rows.
    """
    paths = paths.assign(lead=lead_lost(paths))

    def size(span, width, unsigned=False):
        """Samples × (nssd, lead) at that layer."""
        of = {"following": d, "span": span, "width": width}
        curve, lead = (wide(paths, value, **of) for value in ("nssd", "lead"))
        curve = curve.abs() if unsigned else curve
        layer = extreme(curve, np.abs)
        if not len(curve):
            return pd.DataFrame({"nssd": curve.mean(axis=1), "lead": lead.mean(axis=1)})
        turn = np.sign(curve[layer].mean()) or 1.0
        return pd.DataFrame({"nssd": curve[layer] * turn, "lead": lead[layer] * turn})

    choices = {
        ("window", "3 layers"): size("instruction", 3),
        ("window", "7 layers: three on each side"): size("instruction", 7),
        ("sign of the NSSD", "dropped in each sample"): size("instruction", 3, unsigned=True),
    }
    choices |= {line: size(span, 3) for span, line in SPANS.items() if span in set(paths["span"])}
    sizes = {line: table["nssd"] for line, table in choices.items()}
    for table, row in zip(choices.values(), _compared(sizes, seed, MEAN, MEAN), strict=True):
        beside = {"median": table["nssd"].median(), "lead": table["lead"].mean()}
        yield row | {name: float(value) for name, value in beside.items()}


def _overlaps(scores, d, seed):
    """Of each reading's top heads the share that the default's top has too, with intervals from
    resampled samples.
    """
    values = {
        name: wide(scores, "margin", ["layer", "head"], following=d, reading=name)
        for name in scores["reading"].unique()
    }
    n, total = values["default"].shape
    top = share_count(total)
    weights = np.vstack([np.ones(n), resamples(n, seed, DRAWS, clusters(values["default"]))])
    means = {name: weights @ table.to_numpy() for name, table in values.items()}
    lines = {READINGS[name]: mean for name, mean in means.items()} | {
        ("ranking of heads", "by size, the sign dropped"): np.abs(means["default"])
    }
    sets = {line: np.argsort(-mean, axis=1, kind="stable")[:, :top] for line, mean in lines.items()}
    default = sets[READINGS["default"]]
    for number, ((convention, choice), chosen) in enumerate(sets.items()):
        shares = (
            np.array(
                [
                    len(np.intersect1d(one, other)) if n else np.nan
                    for one, other in zip(chosen, default)
                ]
            )
            / top
        )
        groups = count_groups(values["default"])
        found = drawn("value", shares, groups) | drawn("difference", shares - 1.0, groups)
        yield {
            "convention": convention,
            "choice": choice,
            "n": n,
            **found,
            "change": _change(found) if number else "default",
        }
