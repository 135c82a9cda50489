# %% [markdown]
# # Section 4.2, the head question: which ranking finds the heads that decide
#
# Eq. 12 ranks heads by what they write at the instruction tokens. `head_sensitivity`
# ranks them by how far the decision moves with each head's output. Both rank on one
# half of the samples. On the other half, ablating each head alone measures its actual
# effect. Then the top heads of both rankings are blocked together, and amplified on
# failures. They are compared with random heads of the whole model and of the same
# layers.

# %% tags=["parameters"]
model = "smol"  # a name of the README's table, org/name on the hub, or a folder
data = "scenes"  # "mc2", or the folder of your own samples
weights = "trained"  # "random": the same architecture untrained, a control
n = 12  # samples per direction in each half, and as many failures; 60 in a full run
singles = 3  # of them, those on which every head is ablated alone; 16 in a full run
draws = 3  # random sets of each control at 5 % and at factor 2; 100 in a full run
elsewhere = 1  # random sets at the other shares and factors; 10 in a full run
shares = [0.01, 0.05, 0.1]  # of all heads, blocked
factors = [1.5, 2.0, 5.0]  # on 5 % of the heads
tries = 24  # samples per direction searched for each kind of failure; 280 in a full run
seed = 0  # draws the order of the samples, and the controls
split = "held"  # new wordings; "iid": the training's; "held_style": another style
top_k = 1  # positions averaged in Φ
pooling = "max"  # over the forms of an answer; "mean" averages
norm = False  # True applies the model's final norm before the lens
only_following = True  # False keeps samples that are not answered as instructed
measure = False  # True ignores records: everything is measured here

# %%
from dataclasses import replace

import pandas as pd

from press.glued import glue_all
from reproduction import cohorts, figures, measures, numbers, results, tables
from reproduction.cohorts.failures import SOURCES, TRIED, UNREAD, seek_all_sources
from reproduction.measures.head_sets import NO_ANSWERS, Case
from reproduction.measures.heads import NO_EFFECTS

study = cohorts.study(globals())
subject, dictionary = study.subject, study.dictionary

# %%
half = min(2 * n, len(study.everything) // 2)
first, others = study.everything[:half], study.everything[half:][: max(half, tries)]
answers = cohorts.ask_samples(subject, first + others, dictionary)
ranked = cohorts.choose(study, first, answers)
tested = cohorts.choose(study, others[:half], answers)

# %% [markdown]
# ## Both rankings, on both halves
#
# The ranking of the first half is the one that is used. The ranking of the second half
# shows how much ranking on the tested samples would have enlarged the effect.

# %%
phi = {"top_k": top_k, "pooling": pooling, "norm": norm}
both = ranked + tested
scores = tables.gather_scores(subject, both, dictionary, results.collect, **phi)
in_first = scores["sample"].isin({sample.id for sample in first})
scores["half"] = in_first.map({True: "ranked", False: "tested"})
orders = measures.heads.rank_heads(scores[in_first])
flattered = measures.heads.rank_heads(scores[~in_first])

# %% [markdown]
# ## The effect of each head
#
# Every head is ablated alone, at the instruction tokens and at the last one. The loss
# of the decision's lead is the head's effect.

# %%
alone = cohorts.first(tested, singles, ways=("text", "vision"))
silence = measures.each(measures.heads.silence_heads)
silenced = results.collect("head_effects", silence, subject, alone, NO_EFFECTS)
alt = (
    "Scores of all heads by Eq. 12 and by sensitivity against the lead that the "
    "decision loses without the head, text and vision following"
)
figure = figures.fig_head_truth(scores[in_first], silenced)
figures.publish(figure, "fig_head_truth", subject.name, alt=alt)

# %% [markdown]
# ## Blocking
#
# Shares of all heads are blocked at the instruction tokens; 5 % also at the last token
# and at both. At 5 % the top heads are compared with those of the other direction, and
# with those of a ranking on the very samples that are tested.

# %%
most = max(0.05, *shares)
top = measures.heads.keep_top(subject, orders, most)
same = measures.heads.keep_top(subject, flattered, most)
few = [Case(0.05, 0.0, elsewhere)]
sizes = [
    Case(share, 0.0, draws if share == 0.05 else elsewhere, compared=share == 0.05)
    for share in shares
]

# %%
scale = measures.each(measures.head_sets.scale_rankings)
given = {"dictionary": dictionary, "orders": top, "seed": seed}
how = {"places": {"instruction": sizes, "last": few, "both": few}, "same": same}
how |= given | {"setting": "blocking"}
blocking = results.collect("head_blocking", scale, subject, tested, NO_ANSWERS, **how)

# %%
alt = (
    "Modality following ratio against the share of blocked heads: top heads by "
    "Eq. 12 and by sensitivity, random and layer-matched heads"
)
figure = figures.fig_head_blocking(blocking)
figures.publish(figure, "fig_head_blocking", subject.name, alt=alt)

# %%
alt = (
    "Modality following ratio with 5 % of the heads blocked, by ranking, samples of "
    "the ranking, direction and position, with every random draw"
)
figure = figures.fig_head_cases(blocking)
figures.publish(figure, "fig_head_cases", subject.name, alt=alt)

# %% [markdown]
# ## Failures from three sources
#
# Failures are sought among samples not used for ranking: under wordings of the set,
# under an instruction mixed with its mirror image, and with blurred evidence. Of each
# sample the mildest attempt counts that the model answers with the competitor's answer.
# Where prompts are measured whether they are followed or not, any prompt counts as a
# failure. The table lists everything that was tried.

# %%
wanted = -(-n // len(SOURCES))
found, tried = {UNREAD: tested}, pd.DataFrame(columns=TRIED)
if only_following:
    found, tried = seek_all_sources(
        subject, others[:tries], answers, wanted, dictionary, seed
    )
results.save(tried, "head_failures", subject, seed=seed, n=n, tries=tries)
outcomes = tried.groupby(["source", "following", "outcome"])["sample"]
outcomes.agg(attempts="size", samples="nunique")

# %% [markdown]
# ## Amplification
#
# 5 % of the heads are amplified at the instruction tokens, by several factors; by
# factor 2 also at the last token and at both.

# %%
twice = [Case(0.05, 2.0, elsewhere)]
gains = [
    Case(0.05, factor, draws if factor == 2 else elsewhere, compared=factor == 2)
    for factor in factors
]
given |= {"places": {"instruction": gains, "last": twice, "both": twice}}
given |= {"setting": "amplification"}

# %%
failures = [
    replace(prompt, variant=source) for source, some in found.items() for prompt in some
]
scale = measures.each(measures.head_sets.scale_failures)
none = NO_ANSWERS.assign(source="")
amplification = results.collect(
    "head_amplification", scale, subject, failures, none, **given
)

# %%
alt = (
    "Modality following ratio of failures from three sources against the factor on "
    "the heads: both rankings, random and layer-matched heads"
)
figure = figures.fig_head_amplification(amplification)
figures.publish(figure, "fig_head_amplification", subject.name, alt=alt)

# %% [markdown]
# ## Numbers for the book

# %%
measured = (scores, silenced, blocking, amplification, tried)
glue_all(numbers.summarise_sensitivity(*measured, seed=seed, wanted=wanted))

# %% [markdown]
# ## Where the rows come from
#
# The table below lists, for each table of this notebook, its record and how much of it
# was measured again here. Without a record it says that the table was measured here.

# %%
origins = results.save_origins("sec4_sensitivity", subject)
glue_all({"origin": results.tell_origins(origins)})
origins
