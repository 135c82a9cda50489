# %% [markdown]
# # Section 4.2: which heads decide
#
# Every head's contribution to the arbitration margin (Eq. 12) ranks the heads on one set of samples; on others, and on
# failures, the top heads are blocked (factor 0) or amplified (factor above 1) at the instruction tokens, and the model
# answers. Controls: as many random heads, several draws; and the heads that both directions' top sets share.

# %% tags=["parameters"]
model = "smol"
data = "scenes"  # "mc2", or the folder of your own samples
weights = "trained"  # "random": the same architecture with random weights, a control
n = 16  # samples per direction, for the ranking, for blocking, and failures for amplification
seed = 0
split = "held"
draws = 5  # random head sets per case
top_k = 1  # positions averaged in Φ
pooling = "max"  # over the forms of an answer; "mean" averages
norm = False  # True applies the model's final norm before the lens
only_following = True  # False keeps samples that the model does not answer as told

# %%
import pandas as pd
from myst_nb import glue

import arbitration as arb

subject = arb.load(model, weights)
everything = arb.dataset.shuffled(arb.dataset.load(data, split), seed)
dictionary = arb.entities.of(data, everything)
samples = everything[: 6 * n]
answers = arb.measure.answered(subject, samples, dictionary)
ranked = arb.measure.cohort(subject, samples, answers, n, only_following)
tested = arb.measure.cohort(subject, samples, answers, n, only_following, skip=n)

# %% [markdown]
# ## Fig. 8: contribution of every head

# %%
options = {"top_k": top_k, "pooling": pooling, "norm": norm}


def rows(prompt):
    return arb.head_attribution(subject, [prompt], dictionary, **options)


scores = arb.results.collect("heads", subject, ranked, lambda missing: map(rows, missing), **options)
rankings = {way: arb.heads.ranking(scores[scores["following"] == way]) for way in ("text", "vision")}
alt = "Contribution of every head to the arbitration margin by layer, and sorted, for text following and vision following"
arb.figures.publish(arb.figures.fig8(scores), "fig8", model, alt=alt)

# %% [markdown]
# ## Fig. 9, left: blocking
#
# At the instruction tokens, as in the paper; at 5 % also at the last position and at both.

# %%
sweep = {"dictionary": dictionary, "rankings": rankings, "draws": draws, "seed": seed}
shares = [(0.01, 0.0), (0.025, 0.0), (0.05, 0.0), (0.075, 0.0), (0.1, 0.0)]
places = {"instruction": shares, "last": shares[2:3], "both": shares[2:3]}


def block(prompt):
    tables = [arb.measure.interventions(subject, prompt, cases=cases, setting="blocking", positions=place, **sweep) for place, cases in places.items()]
    return pd.concat(tables)


origin = {"rankings": {way: list(map(str, order[:40])) for way, order in rankings.items()}, "draws": draws, "seed": seed}
blocking = arb.results.collect("blocking", subject, tested, lambda missing: map(block, missing), **origin)
alt = "Modality following ratio against the share of blocked heads: top heads, shared heads, random heads"
arb.figures.publish(arb.figures.fig9_blocking(blocking), "fig9_blocking", model, alt=alt)

# %% [markdown]
# ## Fig. 9, right: amplification
#
# Only prompts that the model answers with the competitor's answer: those of the set first, as far as it has them, then samples whose
# instruction is weakened by mixing its embeddings with its mirror image until the answer turns (`mix` is the mirror's share).

# %%
used = {prompt.sample.id for prompt in ranked}
unused = [sample for sample in everything[: 24 * n] if sample.id not in used]
failed = [(prompt, 0.0) for prompt in tested]
if only_following:
    failed = [pair for way in ("text", "vision") for pair in arb.measure.failures(subject, unused, way, n, dictionary)]
mix = {prompt.id: share for prompt, share in failed}
factors = [(0.05, factor) for factor in (1.25, 1.5, 2.0, 3.0, 5.0)]


def amplify(prompt):
    table = arb.measure.interventions(subject, prompt, cases=factors, setting="amplification", **sweep)
    return table.assign(mix=mix[prompt.id], source="weakened" if mix[prompt.id] else "natural")


amplification = arb.results.collect("amplification", subject, [prompt for prompt, _ in failed], lambda missing: map(amplify, missing), mix=mix, **origin)
alt = "Modality following ratio of failed samples against the factor on the heads: top heads, shared heads, random heads"
arb.figures.publish(arb.figures.fig9_amplification(amplification), "fig9_amplification", model, alt=alt)

# %% [markdown]
# ## Numbers for the book

# %%
interventions = pd.concat([blocking, amplification], ignore_index=True)
for key, value in arb.summary.heads(scores, interventions, seed=seed).items():
    glue(key, value, display=False)
