# %% [markdown]
# # Appendix F: meaning or position?
#
# The instruction has parts: a sentence that names a modality, the question, and in the
# paper's prompts a request for an answer of a certain form. The paths of each part are
# closed separately, in three layouts: the usual one, one with the question before the
# modality sentence, and one with neutral words between context and instruction. An
# effect of a sentence's meaning moves with the sentence; an effect of its position
# stays with the position.

# %% tags=["parameters"]
model = "smol"  # a name of the README's table, org/name on the hub, or a folder
data = "scenes"  # "mc2", or the folder of your own samples
weights = "trained"  # "random": the same architecture untrained, a control
n = 6  # samples per direction and layout; twice as many are asked
seed = 0  # draws the order of the samples, and the controls
split = "held"  # new wordings; "iid": the training's; "held_style": another style
width = 3  # layers per window: the centre and its neighbours
stride = 3  # windows are centred on every third layer; those of width 3 cover each once
only_following = True  # False keeps samples that are not answered as instructed
measure = False  # True ignores records: everything is measured here

# %%
import pandas as pd

from press.glued import glue_all
from reproduction import cohorts, figures, measures, numbers, results

study = cohorts.study(globals())
subject, samples = study.subject, study.samples
origin = {"n": n, "seed": seed, "data": data, "split": split}

# %% [markdown]
# ## Does the model still follow?
#
# Only samples that are answered as instructed under a layout are swept there. Where
# fewer than three follow, no sample is swept.

# %%
answers = cohorts.ask_layouts(subject, samples, study.dictionary)
results.save(answers, "layouts", subject, **origin)
answers["follows"] = answers["outcome"] == "follow"
followed = answers.groupby(["layout", "following"], sort=False)["follows"]
followed.agg(asked="size", follow="sum", ratio="mean")

# %% [markdown]
# ## The sweep
#
# Two kinds of paths are closed: from the tokens of the modality that the instruction
# names into each sentence, and from each sentence to the last token. Each is also
# closed with as many random source tokens.

# %%
centres = list(range(1, subject.n_layers, stride))
given = {"width": width, "layers": centres, "seed": seed}
chosen = cohorts.choose_by_layout(subject, samples, answers, n, only_following)
swept = []
for layout, prompts in chosen.items():
    sweep = measures.paths.sweep_spans
    part = results.gather("spans", sweep, subject, prompts, **given)
    swept.append(part.assign(layout=layout))

# %%
table = pd.concat(swept, ignore_index=True)
results.save(table, "spans", subject, width=width, stride=stride, **origin)
table.tail(3)

# %% [markdown]
# ## Into each sentence

# %%
alt = (
    "Layer-wise NSSD from the instructed modality into modality sentence, question "
    "and neutral words, one row of panels for each layout"
)
figure = figures.fig_spans_in(table, answers)
figures.publish(figure, "fig_spans_in", subject.name, alt=alt)

# %% [markdown]
# ## Out of each sentence

# %%
alt = (
    "Layer-wise NSSD from modality sentence, question and neutral words to the last "
    "token, one row of panels for each layout"
)
figure = figures.fig_spans_out(table, answers)
figures.publish(figure, "fig_spans_out", subject.name, alt=alt)

# %% [markdown]
# ## Numbers for the book

# %%
glue_all(numbers.summarise_meaning(table, answers, seed=seed))

# %% [markdown]
# ## Where the rows come from
#
# The table below lists, for each table of this notebook, its record and how much of it
# was measured again here. Without a record it says that the table was measured here.

# %%
origins = results.save_origins("appF_meaning", subject)
glue_all({"origin": results.tell_origins(origins)})
origins
