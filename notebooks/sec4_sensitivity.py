# %% [markdown]
# # Section 4.2, the head question: which ranking finds the heads that decide
#
# Eq. 12 ranks heads by what they write at the instruction tokens; `head_sensitivity` by
# how far the decision moves with each head's output. Both rank on one half of the
# samples. On the other half, silencing each head alone tells the truth about it; then
# the top heads of both rankings are blocked together, and amplified on failures,
# against random heads of the whole model and of the same layers.

# %% tags=["parameters"]
model = "smol"
data = "scenes"  # "mc2", or the folder of your own samples
weights = "trained"  # "random": the same architecture with random weights, a control
# samples per direction in each half, and as many failures, a third from each source; 60
# in a full run
n = 12
singles = 3  # of them, those on which every head is silenced alone; 16 in a full run
draws = 3  # random sets of each control at 5 % and at factor 2; 100 in a full run
elsewhere = (
    1  # random sets of each control at the other shares and factors; 10 in a full run
)
shares = [0.01, 0.05, 0.1]  # of all heads, blocked
factors = [1.5, 2.0, 5.0]  # on 5 % of the heads
# samples per direction that are searched for failures from each source; 280 in a full
# run
tries = 24
seed = 0
split = "held"
top_k = 1  # positions averaged in Φ
pooling = "max"  # over the forms of an answer; "mean" averages
norm = False  # True applies the model's final norm before the lens
only_following = True  # False keeps samples that the model does not answer as told

# %%
import pandas as pd
from myst_nb import glue

import arbitration as arb
from arbitration.dataset import entities
from reproduction import cohorts, figures, numbers, parameters, results
from reproduction.cohorts.failures import SOURCES, TRIED, UNREAD, seek_all_sources
from reproduction.measures import heads
from reproduction.measures.heads import Case

parameters.settle(
    globals()
)  # a value that a parameter cannot have is refused here, before anything is loaded
subject = arb.load(model, weights)
everything = arb.dataset.shuffled(arb.dataset.load(data, split), seed)
dictionary = entities.of(data, everything)
subject = cohorts.answered.adopt_spelling(subject, everything, dictionary)
half = min(2 * n, len(everything) // 2)
unranked = everything[half : half + max(half, tries)]
answers = cohorts.answered.ask_samples(
    subject, everything[:half] + unranked, dictionary
)
halves = {"ranked": everything[:half], "tested": unranked[:half]}
prompts = {
    name: cohorts.answered.choose_prompts(subject, own, answers, n, only_following)
    for name, own in halves.items()
}

# %% [markdown]
# ## Both rankings, on both halves
#
# The ranking of the first half is the one that is used; that of the second serves to
# see what ranking on the tested samples would have flattered.

# %%
options = {"top_k": top_k, "pooling": pooling, "norm": norm}


def score(prompt):
    return heads.score_heads(subject, prompt, dictionary, **options)


both = prompts["ranked"] + prompts["tested"]
scores = results.collect(
    "head_scores", subject, both, lambda missing: map(score, missing), **options
)
in_first = scores["sample"].isin({sample.id for sample in halves["ranked"]})
scores["half"] = in_first.map({True: "ranked", False: "tested"})
ranked, same = (heads.rank_heads(scores[scores["half"] == name]) for name in halves)

# %% [markdown]
# ## The truth about each head
#
# Every head is silenced alone, at the instruction tokens and at the last one; what the
# decision's lead loses is what the head was worth.

# %%
alone = [
    prompt
    for way in ("text", "vision")
    for prompt in [p for p in prompts["tested"] if p.following == way][:singles]
]
silenced = results.collect(
    "head_effects",
    subject,
    alone,
    lambda missing: (heads.silence_heads(subject, prompt) for prompt in missing),
    heads.NO_EFFECTS,
)
alt = (
    "Scores of all heads by Eq. 12 and by sensitivity against the lead that the "
    "decision loses without the head, text and vision following"
)
figures.publish(
    figures.fig_head_truth(scores[scores["half"] == "ranked"], silenced),
    "fig_head_truth",
    subject.name,
    alt=alt,
)

# %% [markdown]
# ## Blocking
#
# Shares of all heads at the instruction tokens; 5 % also at the last token and at both.
# At 5 % the top heads are compared with those of the other direction, and with those of
# a ranking on the very samples that are tested.

# %%
sizes = [
    Case(share, 0.0, draws if share == 0.05 else elsewhere, compared=share == 0.05)
    for share in shares
]
blocks = {
    "instruction": sizes,
    "last": [Case(0.05, 0.0, elsewhere)],
    "both": [Case(0.05, 0.0, elsewhere)],
}


def block(prompt):
    sets = {
        at: heads.list_settings(
            subject, cases, ranked, at, prompt.following, same, seed
        )
        for at, cases in blocks.items()
    }
    return pd.concat(
        [
            heads.scale_sets(subject, prompt, dictionary, own, "blocking", at)
            for at, own in sets.items()
        ]
    )


top, flattered = (
    heads.name_top(subject, orders, max([0.05, *shares])) for orders in (ranked, same)
)
origin = {"ranked": top, "seed": seed}
blocking = results.collect(
    "head_blocking",
    subject,
    prompts["tested"],
    lambda missing: map(block, missing),
    heads.NO_ANSWERS,
    same=flattered,
    cases=blocks,
    **origin,
)
alt = (
    "Modality following ratio against the share of blocked heads: top heads by Eq. 12 "
    "and by sensitivity, random and layer-matched heads"
)
figures.publish(
    figures.fig_head_blocking(blocking), "fig_head_blocking", subject.name, alt=alt
)

# %%
alt = (
    "Modality following ratio with 5 % of the heads blocked, by ranking, samples of "
    "the ranking, direction and position, with every random draw"
)
figures.publish(
    figures.fig_head_cases(blocking), "fig_head_cases", subject.name, alt=alt
)

# %% [markdown]
# ## Failures from three sources
#
# Samples not used for ranking, under wordings of the set, under an instruction mixed
# with its mirror image, and with blurred evidence: the mildest attempt that the model
# answers with the competitor's answer. Everything that was tried:

# %%
each = -(-n // len(SOURCES))
if only_following:
    found, tried = seek_all_sources(
        subject, unranked[:tries], answers, each, dictionary, seed
    )
else:  # a model that does not follow has no failures: any prompt stands for one
    found, tried = {UNREAD: prompts["tested"]}, pd.DataFrame(columns=TRIED)
results.save(
    tried,
    "head_failures",
    results.provenance(subject, seed=seed, n=n, tries=tries),
    subject.name,
)
tried.groupby(["source", "following", "outcome"])["sample"].agg(
    attempts="size", samples="nunique"
)

# %% [markdown]
# ## Amplification
#
# 5 % of the heads at the instruction tokens, by factors; twofold also at the last token
# and at both.

# %%
gains = [
    Case(0.05, factor, draws if factor == 2.0 else elsewhere, compared=factor == 2.0)
    for factor in factors
]
louder = {
    "instruction": gains,
    "last": [Case(0.05, 2.0, elsewhere)],
    "both": [Case(0.05, 2.0, elsewhere)],
}


def amplify(prompt):
    sets = {
        at: heads.list_settings(subject, cases, ranked, at, prompt.following, seed=seed)
        for at, cases in louder.items()
    }
    return pd.concat(
        [
            heads.scale_sets(subject, prompt, dictionary, own, "amplification", at)
            for at, own in sets.items()
        ]
    )


def collected(source, failures):
    name = "head_amplification_" + source.replace(" ", "_")
    return results.collect(
        name,
        subject,
        failures,
        lambda missing: map(amplify, missing),
        cases=louder,
        **origin,
    ).assign(source=source)


parts = [collected(source, failures) for source, failures in found.items() if failures]
amplification = (
    pd.concat(parts, ignore_index=True) if parts else blocking[:0].assign(source="")
)
alt = (
    "Modality following ratio of failures from three sources against the factor on the "
    "heads: both rankings, random and layer-matched heads"
)
figures.publish(
    figures.fig_head_amplification(amplification),
    "fig_head_amplification",
    subject.name,
    alt=alt,
)

# %% [markdown]
# ## Numbers for the book

# %%
for key, value in numbers.summarise_sensitivity(
    scores, silenced, blocking, amplification, tried, seed=seed, wanted=each
).items():
    glue(key, value, display=False)
