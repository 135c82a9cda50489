# %% [markdown]
# # Section 4.1: what attention and MLP add
#
# This notebook measures each sublayer's increment (Eqs. 10 and 11) of the followed
# modality's signal and of the arbitration margin, at the instruction tokens. The
# increments of all sublayers sum to the difference between the last layer and the
# embedding.

# %% tags=["parameters"]
model = "smol"  # a name of the README's table, org/name on the hub, or a folder
data = "scenes"  # "mc2", or the folder of your own samples
weights = "trained"  # "random": the same architecture untrained, a control
n = 64  # samples per direction
seed = 0  # draws the order of the samples, and the controls
split = "held"  # new wordings; "iid": the training's; "held_style": another style
positions = "instruction"  # "last": the same at the last position
top_k = 1  # positions averaged in Φ
pooling = "max"  # over the forms of an answer; "mean" averages
norm = False  # True applies the model's final norm before the lens
only_following = True  # False keeps samples that are not answered as instructed
measure = False  # True ignores records: everything is measured here

# %%
from press.glued import glue_all
from reproduction import cohorts, figures, numbers, results, tables

study = cohorts.study(globals())
subject, dictionary, prompts = study.subject, study.dictionary, study.prompts

# %% [markdown]
# ## Increments in every layer

# %%
strangers = cohorts.lend_answers(study, study.samples, seed)
how = {"positions": positions, "top_k": top_k, "pooling": pooling, "norm": norm}
components = tables.gather_components(
    subject, prompts, dictionary, strangers, collect=results.collect, **how
)

# %% [markdown]
# ## Fig. 6a: both modalities' signals

# %%
alt = (
    "Signal of the followed modality and of its competitor at the instruction tokens "
    "by layer, with the shuffled dictionary as control"
)
figures.publish(figures.fig6a(components), "fig6a", subject.name, alt=alt)

# %% [markdown]
# ## Fig. 6b: what each sublayer adds to the followed modality's signal

# %%
alt = "Increment of the followed modality's signal by attention and by MLP, by layer"
figures.publish(figures.fig6b(components), "fig6b", subject.name, alt=alt)

# %% [markdown]
# ## Fig. 7: what each sublayer adds to the arbitration margin

# %%
alt = "Increment of the arbitration margin by attention and by MLP in every layer"
figures.publish(figures.fig7(components), "fig7", subject.name, alt=alt)

# %% [markdown]
# ## Numbers for the book

# %%
glue_all(numbers.summarise_components(components, seed=seed))

# %% [markdown]
# ## Where the rows come from
#
# The table below lists, for each table of this notebook, its record and how much of it
# was measured again here. Without a record it says that the table was measured here.

# %%
origins = results.save_origins("sec4_components", subject)
glue_all({"origin": results.tell_origins(origins)})
origins
