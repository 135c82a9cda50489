# %% [markdown]
# # Appendix F: meaning or position?
#
# The instruction has parts: a sentence that names a modality, the question, and in the
# paper's prompts a wish for the answer's form. Each is closed apart, in three layouts:
# as everywhere, with the question before the modality sentence, and with neutral words
# between context and instruction. What belongs to the words stays with a sentence; what
# belongs to the place stays with the place.

# %% tags=["parameters"]
model = "smol"
data = "scenes"  # "mc2", or the folder of your own samples
weights = "trained"  # "random": the same architecture with random weights, a control
n = 6  # samples per direction and layout; twice as many are asked
seed = 0
split = "held"
width = 3  # layers per window: the centre and its neighbours
# windows are centred on every third layer, so that those of three layers tile the model
stride = 3
only_following = True  # False keeps samples that the model does not answer as told

# %%
import pandas as pd
from myst_nb import glue

import arbitration as arb
from arbitration.dataset import entities
from reproduction import cohorts as cohorts_
from reproduction import figures, measures, numbers, parameters, results

parameters.settle(
    globals()
)  # a value that a parameter cannot have is refused here, before anything is loaded
subject = arb.load(model, weights)
everything = arb.dataset.shuffled(arb.dataset.load(data, split), seed)
dictionary = entities.of(data, everything)
subject = cohorts_.answered.adopt_spelling(subject, everything, dictionary)
samples = everything[: 2 * n]

# %% [markdown]
# ## Does the model still follow?
#
# Only samples that are answered as told under a layout are swept there; where fewer
# than three follow, nothing is.

# %%
answers = cohorts_.layouts.ask_layouts(subject, samples, dictionary)
results.save(
    answers,
    "layouts",
    results.provenance(subject, n=n, seed=seed, data=data, split=split),
    subject.name,
)
followed = answers.assign(follows=answers["outcome"] == "follow").groupby(
    ["layout", "following"], sort=False
)["follows"]
followed.agg(asked="size", follow="sum", ratio="mean")

# %% [markdown]
# ## The sweep
#
# From the tokens of the modality that the instruction names into each sentence, and
# from each sentence to the last token; each also with as many random source tokens.

# %%
centres = list(range(1, subject.n_layers, stride))
cohorts = cohorts_.layouts.choose_by_layout(
    subject, samples, answers, n, only_following
)


def swept(layout):
    def sweep(missing):
        return measures.paths.sweep_spans(subject, missing, width, centres, seed)

    return results.gather(
        "spans",
        subject,
        cohorts[layout],
        sweep,
        width=width,
        centres=centres,
        seed=seed,
    ).assign(layout=layout)


table = pd.concat(map(swept, cohorts), ignore_index=True)
results.save(
    table,
    "spans",
    results.provenance(
        subject, n=n, seed=seed, width=width, stride=stride, data=data, split=split
    ),
    subject.name,
)
table.tail(3)

# %% [markdown]
# ## Into each sentence

# %%
alt = (
    "Layer-wise NSSD from the instructed modality into modality sentence, question and "
    "neutral words, one row of panels for each layout"
)
figures.publish(
    figures.fig_spans_in(table, answers), "fig_spans_in", subject.name, alt=alt
)

# %% [markdown]
# ## Out of each sentence

# %%
alt = (
    "Layer-wise NSSD from modality sentence, question and neutral words to the last "
    "token, one row of panels for each layout"
)
figures.publish(
    figures.fig_spans_out(table, answers), "fig_spans_out", subject.name, alt=alt
)

# %% [markdown]
# ## Numbers for the book

# %%
for key, value in numbers.summarise_meaning(table, answers, seed=seed).items():
    glue(key, value, display=False)
