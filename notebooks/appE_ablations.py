# %% [markdown]
# # Appendix E: other readings
#
# What the paper leaves open, or tries out itself, is measured beside the default: Φ
# (Eq. 8) averaged over several tokens or over an answer's forms (Fig. 14), and every
# convention of this book that has an alternative, as a line of one table.

# %% tags=["parameters"]
model = "smol"
data = "scenes"  # "mc2", or the folder of your own samples
weights = "trained"  # "random": the same architecture with random weights, a control
# samples per direction, for the ranking, for each measure, and failures for
# amplification
n = 8
seed = 0
split = "held"
draws = 3  # random head sets per case
# closing a path: windows are centred on every third layer, so that those of three
# layers tile the model
stride = 3
only_following = True  # False keeps samples that the model does not answer as told

# %%
import pandas as pd
from myst_nb import glue

import arbitration as arb
from arbitration.dataset import entities
from arbitration.equations import heads
from reproduction import cohorts, figures, measures, numbers, parameters, results

parameters.settle(
    globals()
)  # a value that a parameter cannot have is refused here, before anything is loaded
subject = arb.load(model, weights)
everything = arb.dataset.shuffled(arb.dataset.load(data, split), seed)
dictionary = entities.of(data, everything)
subject = cohorts.answered.adopt_spelling(subject, everything, dictionary)
half = min(3 * n, len(everything) // 2)
samples = everything[: 2 * half]
answers = cohorts.answered.ask_samples(subject, samples, dictionary)
ranked = cohorts.answered.choose_prompts(
    subject, samples[:half], answers, n, only_following
)
tested = cohorts.answered.choose_prompts(
    subject, samples[half:], answers, n, only_following
)
origin = {"seed": seed, "n": n, "data": data, "split": split}

# %% [markdown]
# ## Beliefs under every reading
#
# One clean pass of each prompt; Φ is then taken with another pooling, at other tokens,
# for other words.

# %%
strangers = cohorts.strangers.borrow_answers(
    dictionary, samples, seed, subject.tokenizer
)


def believed(prompt):
    return measures.readings.measure_readings(
        subject, prompt, dictionary, strangers[prompt.sample.id]
    )


beliefs = results.collect(
    "readings", subject, ranked, lambda missing: map(believed, missing), **origin
)
alt = (
    "Latent decision alignment rate by layer with Φ of the strongest token, of the two "
    "strongest, and averaged over an answer's forms"
)
figures.publish(figures.fig14_beliefs(beliefs), "fig14_beliefs", subject.name, alt=alt)

# %% [markdown]
# ## Heads ranked under three readings
#
# Eq. 12 with each Φ. The default's contributions are kept under the name and parameters
# of Section 4.2, which reads them too.

# %%
readings = measures.readings.POOLINGS


def contributions(reading):
    options = {"top_k": reading.top_k, "pooling": reading.pooling, "norm": reading.norm}

    def rows(prompt):
        return arb.head_attribution(subject, [prompt], dictionary, **options)

    return results.gather(
        "heads", subject, ranked, lambda missing: map(rows, missing), **options
    ).assign(reading=reading.name)


scores = pd.concat(map(contributions, readings), ignore_index=True)
results.save(
    scores, "head_readings", results.provenance(subject, **origin), subject.name
)
rankings = {
    reading: {
        way: heads.ranking(rows[rows["following"] == way]) for way in ("text", "vision")
    }
    for reading, rows in scores.groupby("reading", sort=False)
}

# %% [markdown]
# ## Fig. 14: blocking and amplifying them
#
# As in Section 4.2: at the instruction tokens, on other samples than those that rank;
# amplification on samples answered with the competitor's answer, natural ones first,
# then such with a weakened instruction.

# %%
failed = [(prompt, 0.0) for prompt in tested]
if only_following:
    unused = everything[half : 8 * n]
    failed = [
        pair
        for way in ("text", "vision")
        for pair in cohorts.failures.find_failures(subject, unused, way, n, dictionary)
    ]
mix = {prompt.id: share for prompt, share in failed}
cases = {
    "blocking": [(0.025, 0.0), (0.05, 0.0), (0.1, 0.0)],
    "amplification": [(0.05, 1.5), (0.05, 2.0), (0.05, 3.0)],
}


def intervened(setting, prompts):
    def scaled(prompt):
        table = measures.heads.scale_ranked(
            subject, prompt, dictionary, rankings, cases[setting], setting, draws, seed
        )
        return table.assign(mix=mix[prompt.id] if setting == "amplification" else 0.0)

    order = {
        name: [str(head) for way in ranking.values() for head in way]
        for name, ranking in rankings.items()
    }
    kept = {
        "rankings": order,
        "draws": draws,
        "cases": cases[setting],
        "mix": mix if setting == "amplification" else {},
        **origin,
    }
    none = measures.heads.NO_ANSWERS.assign(mix=0.0)
    return results.gather(
        "ablated",
        subject,
        prompts,
        lambda missing: map(scaled, missing),
        none,
        setting=setting,
        **kept,
    )


settings = {"blocking": tested, "amplification": [prompt for prompt, _ in failed]}
interventions = pd.concat(
    [intervened(setting, prompts) for setting, prompts in settings.items()],
    ignore_index=True,
)
results.save(
    interventions,
    "ablations",
    results.provenance(subject, draws=draws, mix=mix, **origin),
    subject.name,
)
alt = (
    "Modality following ratio with top heads blocked or amplified, the heads ranked "
    "under three readings, and random heads"
)
figures.publish(figures.fig14(interventions), "fig14", subject.name, alt=alt)

# %% [markdown]
# ## Closing the way into the anchors, otherwise
#
# The path from the tokens of the modality that the instruction names, into the whole
# instruction, its parts, or the instruction with the template's words after it; and in
# windows of seven layers instead of three.

# %%
centres = list(range(1, subject.n_layers, stride))


def closed(span, width):
    def sweep(missing):
        return measures.paths.sweep_into(subject, missing, span, width, centres)

    return results.gather(
        "anchor_paths", subject, ranked, sweep, span=span, width=width, centres=centres
    )


targets = [
    "instruction",
    "modality",
    "question",
    "constraint",
    measures.readings.WIDENED,
]
spans = [
    span
    for span in targets
    if all(len(measures.readings.span_positions(prompt, span)) for prompt in ranked)
]
paths = pd.concat(
    [closed("instruction", 7), *(closed(span, 3) for span in spans)], ignore_index=True
)
results.save(
    paths,
    "anchor_paths",
    results.provenance(subject, stride=stride, **origin),
    subject.name,
)

# %% [markdown]
# ## The first token against the whole answer

# %%
asked = [
    subject.encode(sample, way)
    for way in ("text", "vision")
    for sample in samples[: 2 * n]
    if sample.id in set(answers["sample"])
]
first = results.collect(
    "first_token",
    subject,
    asked,
    lambda missing: (
        measures.answers.read_first_token(subject, prompt) for prompt in missing
    ),
)

# %% [markdown]
# ## Every convention with an alternative
#
# `difference` is paired, sample by sample, with the first line of the same measure, the
# default.

# %%
table = numbers.compare_conventions(
    answers, first, beliefs, paths, scores, seed=seed
).assign(model=subject.name)
results.save(
    table,
    "conventions",
    results.provenance(subject, stride=stride, **origin),
    subject.name,
)
table.drop(columns="model").round(2)

# %% [markdown]
# ## Numbers for the book

# %%
for key, value in numbers.summarise_ablations(
    beliefs, interventions, table, seed=seed
).items():
    glue(key, value, display=False)
