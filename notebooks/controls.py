# %% [markdown]
# # Controls, side by side
#
# The measures of Sections 3 and 4 are repeated on a few samples, beside the same
# measures with their signal taken away: with a label that the prompt need not carry,
# with another sample's answers, with random sources, and with random weights.

# %% tags=["parameters"]
model = "smol"  # a name of the README's table, org/name on the hub, or a folder
data = "scenes"  # "mc2", or the folder of your own samples
n = 12  # samples per direction; 64 in a full run
seed = 0  # draws the order of the samples, and the controls
split = "held"  # new wordings; "iid": the training's; "held_style": another style
width = 3  # layers per window: the centre and its neighbours
n_weights = 6  # of them, those whose paths are closed with random weights
stride = 6  # their windows are centred on every sixth layer; third in a full run
only_following = True  # False keeps samples that are not answered as instructed
measure = False  # True ignores records: everything is measured here

# %%
from dataclasses import replace

import arbitration as arb
from arbitration.models import catalogue
from press.glued import glue_all
from reproduction import cohorts, figures, numbers, results, tables
from reproduction.numbers import controls

study = cohorts.study(globals())
subject, dictionary, prompts = study.subject, study.dictionary, study.prompts

# %% [markdown]
# ## The trained model
#
# The paths are those of Section 3.1, under its name and parameters, so what it has
# measured is read here.

# %%
table = tables.gather_pathways(subject, prompts, prompts, width, seed)
table = table[table["pathway"] != "template→last"]
random = table["control"]
paths = {controls.TRAINED: table[~random], controls.SOURCES: table[random]}
margins = {controls.TRAINED: tables.gather_heads(subject, prompts, dictionary)}

# %%
strangers = cohorts.lend_answers(study, study.samples, seed)
both = tables.gather_components(subject, prompts, dictionary, strangers)
own, other = (both[both["dictionary"] == kind] for kind in ("own", "shuffled"))
parts = {controls.TRAINED: own, controls.DICTIONARY: other}

# %% [markdown]
# ## Shuffled instructions
#
# Half of the prompts of each direction, drawn by seed, are labelled with the
# instruction that they do *not* carry: the two answers change places in the tables.

# %%
for measured in (paths, parts, margins):
    turned = controls.shuffle_labels(measured[controls.TRAINED], seed)
    measured[controls.INSTRUCTION] = turned

# %% [markdown]
# ## Random weights
#
# The architecture, prompts and samples are the same, but nothing was learnt. Only the
# embedded models are built this way.

# %%
if model in catalogue.EMBEDDED:
    untrained = replace(arb.load(model, "random"), spelling=subject.spelling)
    asked = [untrained.encode(one.sample, one.following) for one in prompts]
    some = cohorts.first(asked, n_weights)
    how = {"pathways": list(arb.STANDARD_PATHWAYS), "width": width}
    how |= {"layers": list(range(1, untrained.n_layers, stride))}
    found = results.gather("control_paths", arb.knockout_tables, untrained, some, **how)
    paths[controls.WEIGHTS] = found

# %%
if model in catalogue.EMBEDDED:
    drawn = tables.gather_components(untrained, asked, dictionary, strangers)
    parts[controls.WEIGHTS] = drawn[drawn["dictionary"] == "own"]
    margins[controls.WEIGHTS] = tables.gather_heads(untrained, asked, dictionary)

# %%
kinds = [controls.TRAINED, controls.INSTRUCTION, controls.WEIGHTS]
kinds = [kind for kind in kinds if kind in paths]
alt = (
    "NSSD of the path into the instruction, and LDAR, by layer: of the trained model, "
    "with labels drawn at random, and with random weights"
)
shown = [{kind: found[kind] for kind in kinds} for found in (paths, parts)]
figures.publish(figures.fig_controls(*shown), "fig_controls", subject.name, alt=alt)

# %% [markdown]
# ## Every measure under every control

# %%
table = controls.compare_controls(paths, parts, margins, seed)
table = table.assign(model=subject.name)
origin = {"seed": seed, "n": n, "data": data, "split": split}
results.save(table, "controls", subject, width=width, stride=stride, **origin)
table.drop(columns=["model", "expected"]).round(2)

# %% [markdown]
# ## Numbers for the book

# %%
glue_all(numbers.summarise_controls(table))

# %% [markdown]
# ## Where the rows come from
#
# The table below lists, for each table of this notebook, its record and how much of it
# was measured again here. Without a record it says that the table was measured here.

# %%
origins = results.save_origins("controls", subject)
glue_all({"origin": results.tell_origins(origins)})
origins
