# %% [markdown]
# # Appendix C: windows of other widths
#
# Section 3.1 closes a path in three layers at once. Here the paths of Fig. 3 are closed
# in one, three, five and seven layers. If the results of Section 3.1 do not depend on
# the window, extremes stay where they are and keep their sign. Grey: as many source
# tokens drawn at random.

# %% tags=["parameters"]
model = "smol"  # a name of the README's table, org/name on the hub, or a folder
data = "scenes"  # "mc2", or the folder of your own samples
weights = "trained"  # "random": the same architecture untrained, a control
n = 8  # samples per direction
n_controls = 8  # of them, those with the control, which costs as much as the path
seed = 0  # draws the order of the samples, and the controls
split = "held"  # new wordings; "iid": the training's; "held_style": another style
widths = [1, 3, 5, 7]  # layers per window, odd
pathways = ["vision→text", "vision→last", "text→last"]  # any pair of token groups
only_following = True  # False keeps samples that are not answered as instructed
measure = False  # True ignores records: everything is measured here

# %%
import pandas as pd

import arbitration as arb
from press.glued import glue_all
from reproduction import cohorts, figures, numbers, results, tables

study = cohorts.study(globals())
subject, prompts = study.subject, study.prompts
compared = cohorts.first(prompts, n_controls)

# %% [markdown]
# ## The sweeps
#
# There is one sweep for each width. At width 3 the pathways are all those of Section
# 3.1, so each of the two notebooks reads what the other has measured.

# %%
chosen = [arb.Pathway(*name.split("→")) for name in pathways]
more = [path for path in chosen if path not in tables.PATHWAYS]
swept = []
for width in widths:
    paths = [*tables.PATHWAYS, *more] if width == 3 else chosen
    swept.append(tables.gather_pathways(subject, prompts, compared, width, seed, paths))

# %%
table = pd.concat(swept, ignore_index=True)
table = table[table["pathway"].isin(pathways)].reset_index(drop=True)
origin = {"seed": seed, "n": n, "n_controls": n_controls, "data": data, "split": split}
results.save(table, "windows", subject, widths=widths, pathways=pathways, **origin)
table.tail(3)

# %% [markdown]
# ## Fig. 10: narrow and wide windows

# %%
alt = (
    "Layer-wise NSSD of vision to text, vision to last and text to last, "
    "one row of panels for each width of the window"
)
figures.publish(figures.fig10(table), "fig10", subject.name, alt=alt)

# %% [markdown]
# ## Numbers for the book

# %%
glue_all(numbers.summarise_windows(table, seed=seed))

# %% [markdown]
# ## Where the rows come from
#
# The table below lists, for each table of this notebook, its record and how much of it
# was measured again here. Without a record it says that the table was measured here.

# %%
origins = results.save_origins("appC_windows", subject)
glue_all({"origin": results.tell_origins(origins)})
origins
