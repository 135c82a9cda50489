# %% [markdown]
# # Section 4.2: which heads decide
#
# Every head's contribution to the arbitration margin (Eq. 12) ranks the heads on one
# half of the samples; on the other, and on failures, the top heads are blocked (factor
# 0) or amplified (factor above 1) at the instruction tokens, and the model answers.
# Controls: as many random heads of the same layers, and of the whole model, several
# draws; and the heads that both directions' top sets share. What ranking on the tested
# samples would have flattered is measured in `sec4_sensitivity`.

# %% tags=["parameters"]
model = "smol"
data = "scenes"  # "mc2", or the folder of your own samples
weights = "trained"  # "random": the same architecture with random weights, a control
# samples per direction, for the ranking, for blocking, and failures for amplification;
# 60 in a full run
n = 16
seed = 0
split = "held"
draws = 10  # random sets of each control at 5 % and at factor 2; 100 in a full run
elsewhere = (
    2  # random sets of each control at the other shares and factors; 10 in a full run
)
shares = [0.01, 0.025, 0.05, 0.075, 0.1]  # of all heads, blocked
factors = [1.25, 1.5, 2.0, 3.0, 5.0]  # on 5 % of the heads
top_k = 1  # positions averaged in Φ
pooling = "max"  # over the forms of an answer; "mean" averages
norm = False  # True applies the model's final norm before the lens
only_following = True  # False keeps samples that the model does not answer as told

# %%
import pandas as pd
from myst_nb import glue

import arbitration as arb
from arbitration.dataset import entities
from arbitration.equations import heads
from reproduction import cohorts, figures, numbers, parameters, results
from reproduction.measures import heads as heads_of_measures
from reproduction.measures.heads import Case

parameters.settle(
    globals()
)  # a value that a parameter cannot have is refused here, before anything is loaded
subject = arb.load(model, weights)
everything = arb.dataset.shuffled(arb.dataset.load(data, split), seed)
dictionary = entities.of(data, everything)
subject = cohorts.answered.adopt_spelling(subject, everything, dictionary)
half = min(3 * n, len(everything) // 2)
answers = cohorts.answered.ask_samples(subject, everything[: 2 * half], dictionary)
ranked = cohorts.answered.choose_prompts(
    subject, everything[:half], answers, n, only_following
)
tested = cohorts.answered.choose_prompts(
    subject, everything[half : 2 * half], answers, n, only_following
)

# %% [markdown]
# ## Fig. 8: contribution of every head

# %%
options = {"top_k": top_k, "pooling": pooling, "norm": norm}


def rows(prompt):
    return arb.head_attribution(subject, [prompt], dictionary, **options)


scores = results.collect(
    "heads", subject, ranked, lambda missing: map(rows, missing), **options
)
rankings = {
    way: heads.ranking(scores[scores["following"] == way]) for way in ("text", "vision")
}
alt = (
    "Contribution of every head to the arbitration margin by layer, and sorted, for "
    "text following and vision following"
)
figures.publish(figures.fig8(scores), "fig8", subject.name, alt=alt)

# %% [markdown]
# ## Fig. 9, left: blocking
#
# At the instruction tokens, as in the paper; at 5 % also at the last position and at
# both.

# %%
blocks = [Case(share, 0.0, draws if share == 0.05 else elsewhere) for share in shares]
places = {
    "instruction": blocks,
    "last": [Case(0.05, 0.0, elsewhere)],
    "both": [Case(0.05, 0.0, elsewhere)],
}


def scaled(prompt, cases, setting, place):
    sets = heads_of_measures.list_paper_settings(
        subject, cases, rankings, prompt.following, seed
    )
    return heads_of_measures.scale_sets(
        subject, prompt, dictionary, sets, setting, place
    )


def block(prompt):
    return pd.concat(
        [scaled(prompt, cases, "blocking", place) for place, cases in places.items()]
    )


origin = {
    "rankings": {way: list(map(str, order)) for way, order in rankings.items()},
    "seed": seed,
}
blocking = results.collect(
    "blocking",
    subject,
    tested,
    lambda missing: map(block, missing),
    heads_of_measures.NO_ANSWERS,
    cases=places,
    **origin,
)
alt = (
    "Modality following ratio against the share of blocked heads: top heads, shared "
    "heads, random heads, heads of the same layers"
)
figures.publish(figures.fig9_blocking(blocking), "fig9_blocking", subject.name, alt=alt)

# %% [markdown]
# ## Fig. 9, right: amplification
#
# Only prompts that the model answers with the competitor's answer, none of whose
# samples ranked the heads: those of the set first, as far as it has them, then samples
# whose instruction is weakened by mixing its embeddings with its mirror image until the
# answer turns (`mix` is the mirror's share). If they are fewer than `n`, the shortage
# is a number of the book.

# %%
unused = everything[half : 24 * n]
failed = [(prompt, 0.0) for prompt in tested]
if only_following:
    failed = [
        pair
        for way in ("text", "vision")
        for pair in cohorts.failures.find_failures(subject, unused, way, n, dictionary)
    ]
mix = {prompt.id: share for prompt, share in failed}
gains = [
    Case(0.05, factor, draws if factor == 2.0 else elsewhere) for factor in factors
]


def amplify(prompt):
    table = scaled(prompt, gains, "amplification", "instruction")
    return table.assign(
        mix=mix[prompt.id], source="weakened" if mix[prompt.id] else "natural"
    )


none = heads_of_measures.NO_ANSWERS.assign(
    mix=0.0, source=""
)  # of a model that never fails
amplification = results.collect(
    "amplification",
    subject,
    [prompt for prompt, _ in failed],
    lambda missing: map(amplify, missing),
    none,
    mix=mix,
    cases=gains,
    **origin,
)
alt = (
    "Modality following ratio of failed samples against the factor on the heads: top "
    "heads, shared heads, random heads, heads of the same layers"
)
figures.publish(
    figures.fig9_amplification(amplification),
    "fig9_amplification",
    subject.name,
    alt=alt,
)

# %% [markdown]
# ## Numbers for the book

# %%
interventions = pd.concat([blocking, amplification], ignore_index=True)
for key, value in numbers.summarise_heads(
    scores, interventions, seed=seed, wanted=n
).items():
    glue(key, value, display=False)
