# %% [markdown]
# # Section 3.1: which paths carry the cues
#
# Attention knockout (Eq. 5) closes all edges from one group of tokens to another in a
# window of layers; the normalised signed structural divergence (Eqs. 6 and 7) says how
# much the decision between the two answers suffers. Positive values: the closed path
# helped the model to follow. Grey: as many source tokens drawn at random.

# %% tags=["parameters"]
model = "smol"
data = "scenes"  # "mc2", or the folder of your own samples
weights = "trained"  # "random": the same architecture with random weights, a control
n = 64  # samples per direction
# how many of them the control curves come from; they cost as much as the curves
# themselves
n_controls = 12
seed = 0
split = "held"
width = 3  # layers per window: the centre and its neighbours
only_following = True  # False keeps samples that the model does not answer as told

# %%
import pandas as pd
from myst_nb import glue

import arbitration as arb
from arbitration.dataset import entities
from reproduction import cohorts, figures, numbers, parameters, results
from reproduction.numbers import authors

parameters.settle(
    globals()
)  # a value that a parameter cannot have is refused here, before anything is loaded
subject = arb.load(model, weights)
everything = arb.dataset.shuffled(arb.dataset.load(data, split), seed)
dictionary = entities.of(data, everything)
subject = cohorts.answered.adopt_spelling(subject, everything, dictionary)
samples = everything[: 2 * n]
answers = cohorts.answered.ask_samples(subject, samples, dictionary)
prompts = cohorts.answered.choose_prompts(subject, samples, answers, n, only_following)

# %% [markdown]
# ## The sweep
#
# Every pathway of Figs. 3 and 4 in every layer; one row per sample × instruction ×
# pathway × layer. One more is measured for completeness: the template's tokens after
# the question could relay to the last one too.

# %%
pathways = [*arb.STANDARD_PATHWAYS, arb.Pathway("template", "last")]


def sweep(missing):
    return arb.knockout_tables(subject, missing, pathways, width)


options = {"width": width, "pathways": list(map(str, pathways))}
paths = results.collect("knockout", subject, prompts, sweep, **options)
paths.tail(3)

# %% [markdown]
# The same with random source tokens, on the first samples of each direction.

# %%
controls = [
    arb.Pathway(pathway.source, pathway.target, control=seed) for pathway in pathways
]
compared = [
    prompt
    for way in arb.dataset.MODALITIES
    for prompt in [p for p in prompts if p.following == way][:n_controls]
]


def sweep_controls(missing):
    return arb.knockout_tables(subject, missing, controls, width)


table = pd.concat(
    [
        paths,
        results.collect(
            "knockout_controls", subject, compared, sweep_controls, seed=seed, **options
        ),
    ],
    ignore_index=True,
)

# %% [markdown]
# ## Fig. 3: vision, text, and the last token

# %%
alt = (
    "Layer-wise NSSD of vision to text, vision to last and text to last, for text "
    "following and vision following"
)
figures.publish(figures.fig3(table), "fig3", subject.name, alt=alt)

# %% [markdown]
# ## Fig. 4: the text split into context and instruction

# %%
alt = (
    "Layer-wise NSSD of the paths among vision, context, instruction and last, for "
    "text following and vision following"
)
figures.publish(figures.fig4(table), "fig4", subject.name, alt=alt)

# %% [markdown]
# ## Fig. 1: the paths at a glance
#
# The paper draws its first figure by hand. Here every arrow is as wide as what was
# measured above.

# %%
alt = (
    "Vision, context, instruction and last token, joined by five arrows as wide as the "
    "largest NSSD of their paths, with values and controls, "
    "for text following and vision following"
)
figures.publish(figures.fig1(table), "fig1", subject.name, alt=alt)

# %% [markdown]
# ## With the authors' curves
#
# For their reviewers the authors published curves of Qwen2.5-VL-7B, InternVL3-14B and
# DeepSeek-VL2-tiny. The nearest of these models is laid over this one, with the sign of
# Eq. 7, at equal relative depth where the numbers of layers differ. Nothing is fitted
# or scaled.

# %%
alt = (
    "Layer-wise NSSD measured here and as published by the authors, one panel for each "
    "path of Figs. 3 and 4 and each direction"
)
figures.publish(figures.fig_authors(table), "fig_authors", subject.name, alt=alt)

# %% [markdown]
# How well the curves agree: correlation over layers, relative depth of our extreme
# minus that of theirs, ratio of the extremes. `nan` where theirs is flat.

# %%
comparison = authors.compare_curves(table, seed)
results.save(
    comparison,
    "authors",
    results.provenance(subject, seed=seed, n=n, data=data, split=split, width=width),
    subject.name,
)
comparison.set_index(["following", "pathway"]).round(2)

# %% [markdown]
# A yardstick: the same numbers for the authors' own runs on fewer samples and on their
# other models, against their main run.

# %%
authors.among_authors().set_index(["following", "pathway", "run"]).round(2)

# %% [markdown]
# ## Numbers for the book

# %%
for key, value in numbers.summarise_knockout(table, seed=seed).items():
    glue(key, value, display=False)
