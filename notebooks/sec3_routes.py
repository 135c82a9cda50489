# %% [markdown]
# # Section 3.1, continued: redundant routes
#
# Closing one route may cost nothing because another one carries the same evidence. Here
# the routes to the answer are closed alone, in pairs and all together. Three things are
# measured: how much of the lead (log-odds of the two answers) is lost, whether the
# answer still follows, and by how much a pair costs more than the sum of each route
# alone. Grey: as many source tokens drawn at random.

# %% tags=["parameters"]
model = "smol"  # a name of the README's table, org/name on the hub, or a folder
data = "scenes"  # "mc2", or the folder of your own samples
weights = "trained"  # "random": the same architecture untrained, a control
n = 16  # samples per direction; as many others find the model's own layers
seed = 0  # draws the order of the samples, and the controls
split = "held"  # new wordings; "iid": the training's; "held_style": another style
only_following = True  # False keeps samples that are not answered as instructed
measure = False  # True ignores records: everything is measured here

# %%
from functools import partial

import pandas as pd

from arbitration.dataset import MODALITIES
from press.glued import glue_all
from reproduction import cohorts, figures, measures, numbers, results, tables
from reproduction.measures import routes
from reproduction.numbers.routes import pairs, place_routes, smallest_set

study = cohorts.study(globals())
subject, dictionary = study.subject, study.dictionary

# %%
half = min(3 * n, len(study.everything) // 2)
others, prompts = cohorts.halves(study, half)
names = routes.common_routes([*others, *prompts])
names

# %% [markdown]
# ## The model's own layers, found on other samples
#
# The paper closes paths in layers 20–25 of 28. The layers in which this model reads its
# instruction are found on other samples: the six neighbouring layers in which closing
# instruction→last costs most lead.

# %%
windows = tables.gather_way_out(subject, others)
places = place_routes(windows, subject.n_layers)
places

# %% [markdown]
# ## The smallest set that breaks the decision, on other samples
#
# The search is greedy and uses all layers. At each step it adds the route with which
# the fewest answers still follow, until fewer than half do.

# %%
rows = measures.each(routes.measure_routes)
everywhere = {way: {"all": places[way]["all"]} for way in MODALITIES}


# %%
search = partial(results.gather, "routes_search", rows, subject)
given = {"dictionary": dictionary, "places": everywhere}
smallest = {}
for way in MODALITIES:
    some = [one for one in others if one.following == way]
    if some:
        smallest[way] = smallest_set(partial(search, some, **given), names)
smallest

# %% [markdown]
# ## Routes closed alone, in pairs and together
#
# The routes are now closed on the tested samples: in all layers, in the paper's layers
# and in the model's own. Random sources are closed in all layers only.

# %%
alone = [[name] for name in names]
wanted = [[], *alone, *pairs(names), names, *smallest.values()]
sets = list({routes.join_names(some): some for some in wanted}.values())
len(sets)

# %%
given = {"dictionary": dictionary, "sets": sets}
own = results.gather("routes", rows, subject, prompts, places=places, **given)
random = results.gather(
    "routes_controls", rows, subject, prompts, places=everywhere, control=seed, **given
)
table = pd.concat([own, random[random["size"] > 0]], ignore_index=True)
results.save(table, "routes", subject, seed=seed, n=n, data=data, split=split)
table.tail(3)

# %%
alt = (
    "Share of samples that still follow with each route, each pair of routes and all "
    "routes closed, in all layers, at the paper's place and at the model's own, with "
    "random sources, for text following and vision following"
)
figures.publish(figures.fig_routes(table), "fig_routes", subject.name, alt=alt)

# %%
alt = (
    "Nats of lead that each pair of routes costs beyond the sum of each alone, in "
    "three places and with random sources, for text following and vision following"
)
figures.publish(
    figures.fig_interaction(table), "fig_interaction", subject.name, alt=alt
)

# %% [markdown]
# ## Numbers for the book

# %%
glue_all(numbers.summarise_routes(table, names, smallest, places, seed=seed))

# %% [markdown]
# ## Where the rows come from
#
# The table below lists, for each table of this notebook, its record and how much of it
# was measured again here. Without a record it says that the table was measured here.

# %%
origins = results.save_origins("sec3_routes", subject)
glue_all({"origin": results.tell_origins(origins)})
origins
