# %% [markdown]
# # Section 3.1: which attention paths carry the evidence
#
# Attention knockout (Eq. 5) closes all edges from one group of tokens to another in a
# window of layers. The normalised signed structural divergence (NSSD, Eqs. 6 and 7)
# measures the effect on the decision between the two answers. Positive values mean that
# the closed path helped the model to follow. Grey: as many source tokens drawn at
# random.

# %% tags=["parameters"]
model = "smol"  # a name of the README's table, org/name on the hub, or a folder
data = "scenes"  # "mc2", or the folder of your own samples
weights = "trained"  # "random": the same architecture untrained, a control
n = 64  # samples per direction
n_controls = 12  # of them, those with the control, which costs as much as the path
seed = 0  # draws the order of the samples, and the controls
split = "held"  # new wordings; "iid": the training's; "held_style": another style
width = 3  # layers per window: the centre and its neighbours
only_following = True  # False keeps samples that are not answered as instructed
measure = False  # True ignores records: everything is measured here

# %%
from press.glued import glue_all
from reproduction import cohorts, figures, measures, numbers, results, tables
from reproduction.numbers import authors

study = cohorts.study(globals())
subject, prompts = study.subject, study.prompts

# %% [markdown]
# ## The sweep
#
# Every pathway of Figs. 3 and 4 is closed in every layer: one row per sample ×
# instruction × pathway × layer. One further path is measured, because the template's
# tokens after the question could relay to the last token too. The same is then done
# with random source tokens, on the first samples of each direction.

# %%
compared = cohorts.first(prompts, n_controls)
table = tables.gather_pathways(
    subject, prompts, compared, width, seed, collect=results.collect
)
table.tail(3)

# %% [markdown]
# The table describes the random sources: how many edges they close for each edge of the
# path, and which share of these comes from the path's own tokens, and from the
# competitor's evidence.

# %%
drawn = measures.paths.describe_controls(compared, tables.PATHWAYS, seed)
results.save(drawn, "controls_drawn", subject, seed=seed, n=n, data=data, split=split)
shares = ["edges", "own", "rival"]
drawn.groupby(["following", "pathway"])[shares].mean().round(2)

# %% [markdown]
# ## Fig. 3: vision, text, and the last token

# %%
alt = (
    "Layer-wise NSSD of vision to text, vision to last and text to last, "
    "for text following and vision following"
)
figures.publish(figures.fig3(table), "fig3", subject.name, alt=alt)

# %% [markdown]
# The same paths as the authors published them for their reviewers.

# %%
published = authors.list_published()
alt = (
    "Layer-wise NSSD of vision to text, vision to last and text to last, as the "
    "authors published it, for text following and vision following"
)
figure = figures.fig_published(published, 3)
figures.publish(figure, "fig3_published", subject.name, alt=alt)

# %% [markdown]
# ## Fig. 4: the text split into context and instruction

# %%
alt = (
    "Layer-wise NSSD of the paths among vision, context, instruction and last, "
    "for text following and vision following"
)
figures.publish(figures.fig4(table), "fig4", subject.name, alt=alt)

# %%
alt = (
    "Layer-wise NSSD of the paths among vision, context, instruction and last, as the "
    "authors published it, for text following and vision following"
)
figure = figures.fig_published(published, 4)
figures.publish(figure, "fig4_published", subject.name, alt=alt)

# %% [markdown]
# ## Fig. 1: all paths in one figure
#
# The paper draws its first figure by hand. Here the width of every arrow is what was
# measured above.

# %%
alt = (
    "Vision, context, instruction and last token, joined by five arrows as wide as "
    "the largest NSSD of their paths, with values and controls, "
    "for text following and vision following"
)
figures.publish(figures.fig1(table), "fig1", subject.name, alt=alt)

# %% [markdown]
# ## Comparison with the authors' curves
#
# For their reviewers the authors published curves of Qwen2.5-VL-7B, InternVL3-14B and
# DeepSeek-VL2-tiny. The nearest of these models is drawn with this one, with the sign
# of Eq. 7. Where the numbers of layers differ, layers are matched by relative depth.
# Nothing is fitted or scaled.

# %%
alt = (
    "Layer-wise NSSD measured here and as published by the authors, one panel for "
    "each path of Figs. 3 and 4 and each direction"
)
figures.publish(figures.fig_authors(table), "fig_authors", subject.name, alt=alt)

# %% [markdown]
# The table measures how well the curves agree: correlation over layers, relative depth
# of our extreme minus that of theirs, ratio of the extremes. `nan` where theirs is
# flat.

# %%
comparison = authors.compare_curves(table, seed)
origin = {"seed": seed, "n": n, "data": data, "split": split, "width": width}
results.save(comparison, "authors", subject, **origin)
comparison.set_index(["following", "pathway"]).round(2)

# %% [markdown]
# For comparison, the same numbers for the authors' own runs on fewer samples and on
# their other models, against their main run.

# %%
authors.among_authors().set_index(["following", "pathway", "run"]).round(2)

# %% [markdown]
# ## Numbers for the book

# %%
glue_all(numbers.summarise_knockout(table, seed=seed))
glue_all(numbers.summarise_drawn(drawn))

# %% [markdown]
# ## Where the rows come from
#
# The table below lists, for each table of this notebook, its record and how much of it
# was measured again here. Without a record it says that the table was measured here.

# %%
origins = results.save_origins("sec3_knockout", subject)
glue_all({"origin": results.tell_origins(origins)})
origins
