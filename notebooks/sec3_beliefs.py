# %% [markdown]
# # Section 3.2: where the decision forms
#
# The logit lens (Eq. 2) reads the answers' words from the residual stream of the
# instruction tokens (Φ, Eq. 8). Where the followed modality's signal exceeds its
# competitor's, the latent state is aligned with the instruction (LDAR, Eq. 9). The
# control reads the words of another sample's answers.

# %% tags=["parameters"]
model = "smol"  # a name of the README's table, org/name on the hub, or a folder
data = "scenes"  # "mc2", or the folder of your own samples
weights = "trained"  # "random": the same architecture untrained, a control
n = 64  # samples per direction
n_place = 16  # other samples per direction, on which the layers of Fig. 5b are found
seed = 0  # draws the order of the samples, and the controls
split = "held"  # new wordings; "iid": the training's; "held_style": another style
top_k = 1  # positions averaged in Φ
pooling = "max"  # over the forms of an answer; "mean" averages
norm = False  # True applies the model's final norm before the lens
only_following = True  # False keeps samples that are not answered as instructed
measure = False  # True ignores records: everything is measured here

# %%
from press.glued import glue_all
from reproduction import cohorts, figures, measures, numbers, results, tables
from reproduction.numbers.routes import find_own_layers

study = cohorts.study(globals())
subject, dictionary, prompts = study.subject, study.dictionary, study.prompts

# %% [markdown]
# ## Signals in every layer

# %%
strangers = cohorts.lend_answers(study, study.samples, seed)
read = measures.each(measures.beliefs.measure_beliefs)
phi = {"top_k": top_k, "pooling": pooling, "norm": norm}
beliefs = results.collect(
    "beliefs", read, subject, prompts, borrowed=strangers, dictionary=dictionary, **phi
)

# %% [markdown]
# ## Fig. 5a: latent decision alignment

# %%
alt = (
    "Latent decision alignment rate by layer at the instruction tokens, "
    "with the shuffled dictionary as control"
)
figures.publish(figures.fig5a(beliefs), "fig5a", subject.name, alt=alt)

# %% [markdown]
# ## Token by token
#
# The same Φ at each token of the instruction, on the first samples of each direction:
# what the explorer of the book colours.

# %%
shown = cohorts.first(prompts, measures.tokens.SHOWN)
tokens = measures.each(measures.tokens.measure_token_signals)
given = {"dictionary": dictionary, "pooling": pooling, "norm": norm}
results.collect("token_signals", tokens, subject, shown, **given).tail(3)

# %% [markdown]
# ## Fig. 5b: closing the paths out of the instruction
#
# The paths into the last prompt token and every generated one are closed in a few
# layers, and the model answers. The paper takes the layers that its Fig. 3 shows. Here,
# for each direction, as many neighbouring layers are found on other samples: those in
# which closing instruction→last costs this model most. Beside them stand the paper's
# own, 20–25 of 28, at the same relative depth.

# %%
scaled = measures.paths.critical_layers(subject.n_layers)
others = study.others(n_place)
windows = tables.gather_way_out(subject, others, collect=results.collect)
own = find_own_layers(windows, subject.n_layers)
places = {"own": own, "scaled": dict.fromkeys(("text", "vision"), scaled)}
places

# %%
blocked = measures.each(measures.paths.measure_paths)
given = {"dictionary": dictionary, "places": places, "seed": seed}
paths = results.collect("paths", blocked, subject, prompts, **given)
alt = (
    "Share of answers that follow the instruction with no path closed, instruction "
    "to last, own modality to last, and random tokens to last, in the layers found on "
    "other samples and in those that the paper names"
)
figures.publish(figures.fig5b(paths), "fig5b", subject.name, alt=alt)

# %% [markdown]
# ## Numbers for the book

# %%
glue_all(numbers.summarise_beliefs(beliefs, paths, seed=seed))

# %% [markdown]
# ## Where the rows come from
#
# The table below lists, for each table of this notebook, its record and how much of it
# was measured again here. Without a record it says that the table was measured here.

# %%
origins = results.save_origins("sec3_beliefs", subject)
glue_all({"origin": results.tell_origins(origins)})
origins
