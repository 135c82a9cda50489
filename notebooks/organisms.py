# %% [markdown]
# # The relay in other model variants, without training
#
# Whether a measure finds a relay should not depend on one pair of models. Merges of
# `smol` and `smol-relay` interpolate their deltas; the dose is the share of
# `smol-relay`. `smol-masked` is `smol-relay` with its training mask on. Models that
# were written by hand come in three sizes, with noise on their weights. Grey: as many
# source tokens drawn at random.

# %% tags=["parameters"]
model = "smol"  # whose folder the tables go to; all variants are measured anyway
data = "scenes"  # "mc2", or the folder of your own samples
weights = "trained"  # "random": the same architecture untrained, a control
n = 8  # samples per direction of each model, of three times as many that are asked
seed = 0  # draws the order of the samples, the controls, and the noise
split = "held"  # new wordings; "iid": the training's; "held_style": another style
width = 5  # layers per window: the centre and its neighbours
stride = 5  # layers from one window to the next
only_following = True  # False keeps samples that are not answered as instructed
measure = False  # True ignores records: everything is measured here

# %%

from arbitration.checks import planted
from arbitration.models import catalogue
from press.glued import glue_all
from reproduction import cohorts, figures, numbers, results
from reproduction.measures import organisms
from reproduction.numbers.organisms import judge_organisms, list_organisms

study = cohorts.study(globals())
subject = study.subject

# %% [markdown]
# ## Merges, and the masked model
#
# Two paths are closed around every fifth layer: from the instructed modality into the
# instruction, and straight to the last token.

# %%
centres = list(range(stride // 2, subject.n_layers, stride))
given = {"width": width, "layers": centres, "seed": seed}
rows = organisms.sweep_ways
centres

# %%
swept, replies = {}, {}
for name in [*organisms.DOSES, catalogue.MASKED]:
    one = cohorts.study({**globals(), "model": name})
    asked = one.everything[: 3 * n]
    replies[name] = cohorts.ask_samples(one.subject, asked, one.dictionary)
    some = cohorts.choose(one, asked, replies[name])
    swept[name] = results.gather("organisms_ways", rows, one.subject, some, **given)

# %% [markdown]
# ## Models written by hand, with noise
#
# There are four hand-written models in three sizes. Two questions are asked: is the
# written path the costliest, in its layer, and is the written head the one with the
# largest derivative?

# %%
sizes = tuple(planted.SIZES)
made = organisms.list_plants(sizes, organisms.NOISES)
given = {"n": min(n, 2), "seed": seed}
plants = results.collect("plants", organisms.measure_plants, subject, made, **given)
plants.groupby(["noise", "size"])[["follows", "path", "head"]].mean().round(2)

# %%
table = list_organisms(swept, plants, seed)
results.save(table, "organisms", subject, seed=seed, n=n, data=data, split=split)
table.tail(3)

# %%
alt = (
    "Largest loss of lead when own to instruction, own to last, or random sources are "
    "closed, against the dose of the planted relay, with the masked model beside, for "
    "text following and vision following"
)
figures.publish(figures.fig_organisms(table), "fig_organisms", subject.name, alt=alt)

# %% [markdown]
# ## Model × claim

# %%
verdicts = judge_organisms(swept, seed)
alt = (
    "A grid of claims and models: which claim on the way into the instruction holds in "
    "which model, and in how many, for text following and vision following"
)
figures.publish(
    figures.fig_organism_claims(verdicts), "fig_organism_claims", subject.name, alt=alt
)

# %% [markdown]
# ## Numbers for the book

# %%
glue_all(numbers.summarise_organisms(swept, plants, replies, seed=seed))

# %% [markdown]
# ## Where the rows come from
#
# The table below lists, for each table of this notebook, its record and how much of it
# was measured again here. Without a record it says that the table was measured here.

# %%
origins = results.save_origins("organisms", subject)
glue_all({"origin": results.tell_origins(origins)})
origins
