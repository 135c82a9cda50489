# %% [markdown]
# # Section 4.2: which heads decide
#
# Every head's contribution to the arbitration margin (Eq. 12) ranks the heads on one
# half of the samples. On the other half, and on failures, the top heads are blocked
# (factor 0) or amplified (factor above 1) at the instruction tokens, and the model
# answers. Controls are as many random heads of the same layers, and of the whole model,
# in several draws; and the heads that both directions' top sets share.
# `sec4_sensitivity` measures how much ranking on the tested samples would have enlarged
# the effect.

# %% tags=["parameters"]
model = "smol"  # a name of the README's table, org/name on the hub, or a folder
data = "scenes"  # "mc2", or the folder of your own samples
weights = "trained"  # "random": the same architecture untrained, a control
n = 16  # samples per direction to rank, to block, and failures to amplify; 60 in full
seed = 0  # draws the order of the samples, and the controls
split = "held"  # new wordings; "iid": the training's; "held_style": another style
draws = 10  # random sets of each control at 5 % and at factor 2; 100 in a full run
elsewhere = 2  # random sets at the other shares and factors; 10 in a full run
shares = [0.01, 0.025, 0.05, 0.075, 0.1]  # of all heads, blocked
factors = [1.25, 1.5, 2.0, 3.0, 5.0]  # on 5 % of the heads
top_k = 1  # positions averaged in Φ
pooling = "max"  # over the forms of an answer; "mean" averages
norm = False  # True applies the model's final norm before the lens
only_following = True  # False keeps samples that are not answered as instructed
measure = False  # True ignores records: everything is measured here

# %%
import pandas as pd

from press.glued import glue_all
from reproduction import cohorts, figures, measures, numbers, results, tables
from reproduction.measures.head_sets import NO_ANSWERS, Case

study = cohorts.study(globals())
subject, dictionary = study.subject, study.dictionary
half = min(3 * n, len(study.everything) // 2)
ranked, tested = cohorts.halves(study, half)

# %% [markdown]
# ## Fig. 8: contribution of every head

# %%
phi = {"top_k": top_k, "pooling": pooling, "norm": norm}
scores = tables.gather_heads(subject, ranked, dictionary, results.collect, **phi)
rankings = measures.heads.rank_directions(scores)
alt = (
    "Contribution of every head to the arbitration margin by layer, and sorted, "
    "for text following and vision following"
)
figures.publish(figures.fig8(scores), "fig8", subject.name, alt=alt)

# %% [markdown]
# ## Fig. 9, left: blocking
#
# Heads are blocked at the instruction tokens, as in the paper; at 5 % also at the last
# position and at both. Beside the top heads stand those that both directions share, as
# many random heads, and as many of the same layers.

# %%
sizes = [Case(share, 0.0, draws if share == 0.05 else elsewhere) for share in shares]
few = [Case(0.05, 0.0, elsewhere)]
top = measures.heads.keep_top(subject, rankings, max(0.05, *shares))
given = {"dictionary": dictionary, "rankings": top, "seed": seed}
scale = measures.each(measures.head_sets.scale_paper_sets)

# %%
places = {"instruction": sizes, "last": few, "both": few}
given |= {"setting": "blocking", "places": places}
blocking = results.collect("blocking", scale, subject, tested, NO_ANSWERS, **given)
alt = (
    "Modality following ratio against the share of blocked heads: "
    "top heads, shared heads, random heads, heads of the same layers"
)
figure = figures.fig9_blocking(blocking)
figures.publish(figure, "fig9_blocking", subject.name, alt=alt)

# %% [markdown]
# ## Fig. 9, right: amplification
#
# Amplification uses only prompts that the model answers with the competitor's answer;
# none of their samples ranked the heads. Failures of the set come first, as far as it
# has them. Then come samples whose instruction is weakened: its embeddings are mixed
# with those of its mirror image until the answer turns (`mix` is the mirror's share).
# If there are fewer failures than `n`, the shortage is a number of the book.

# %%
failed = cohorts.failing(study, study.everything[half : 24 * n], tested)
turned = [prompt for prompt, _ in failed]
gains = [Case(0.05, factor, draws if factor == 2 else elsewhere) for factor in factors]
given |= {"setting": "amplification", "places": {"instruction": gains}}
found = results.gather("amplification", scale, subject, turned, NO_ANSWERS, **given)
amplification = cohorts.mark_mix(found, failed)
weakened = amplification["mix"] > 0
amplification["source"] = weakened.map({True: "weakened", False: "natural"})
results.save(amplification, "amplification", subject, **given)

# %%
alt = (
    "Modality following ratio of failed samples against the factor on the heads, "
    "natural and weakened: top, shared and random heads, heads of the same layers"
)
figure = figures.fig9_amplification(amplification)
figures.publish(figure, "fig9_amplification", subject.name, alt=alt)

# %% [markdown]
# ## Numbers for the book

# %%
answers = pd.concat([blocking, amplification], ignore_index=True)
glue_all(numbers.summarise_heads(scores, answers, seed=seed, wanted=n))

# %% [markdown]
# ## Where the rows come from
#
# The table below lists, for each table of this notebook, its record and how much of it
# was measured again here. Without a record it says that the table was measured here.

# %%
origins = results.save_origins("sec4_heads", subject)
glue_all({"origin": results.tell_origins(origins)})
origins
