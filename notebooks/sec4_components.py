# %% [markdown]
# # Section 4.1: what attention and MLP add
#
# Each sublayer's increment (Eqs. 10 and 11) of the followed modality's signal and of the arbitration margin, at the
# instruction tokens. The increments telescope: they sum to what the last layer has more than the embedding.

# %% tags=["parameters"]
model = "smol"
data = "scenes"  # "mc2", or the folder of your own samples
weights = "trained"  # "random": the same architecture with random weights, a control
n = 64  # samples per direction
seed = 0
split = "held"
positions = "instruction"  # "last": the same at the last position
top_k = 1  # positions averaged in Φ
pooling = "max"  # over the forms of an answer; "mean" averages
norm = False  # True applies the model's final norm before the lens
only_following = True  # False keeps samples that the model does not answer as told

# %%
from myst_nb import glue

import arbitration as arb

arb.parameters.settle(globals())  # a value that a parameter cannot have is refused here, before anything is loaded
subject = arb.load(model, weights)
everything = arb.dataset.shuffled(arb.dataset.load(data, split), seed)
dictionary = arb.entities.of(data, everything)
subject = arb.measure.adopt_spelling(subject, everything, dictionary)
samples = everything[: 2 * n]
answers = arb.measure.answered(subject, samples, dictionary)
prompts = arb.measure.cohort(subject, samples, answers, n, only_following)

# %% [markdown]
# ## Increments in every layer

# %%
strangers = arb.measure.borrowed(dictionary, samples, seed, subject.tokenizer)
options = {"positions": positions, "top_k": top_k, "pooling": pooling, "norm": norm}


def rows(prompt):
    return arb.measure.components(subject, prompt, dictionary, strangers[prompt.sample.id], **options)


components = arb.results.collect("components", subject, prompts, lambda missing: map(rows, missing), seed=seed, n=n, data=data, split=split, **options)

# %% [markdown]
# ## Fig. 6a: both modalities' signals

# %%
alt = "Signal of the followed modality and of its competitor at the instruction tokens by layer, with the shuffled dictionary as control"
arb.figures.publish(arb.figures.fig6a(components), "fig6a", subject.name, alt=alt)

# %% [markdown]
# ## Fig. 6b: what each sublayer adds to the followed modality's signal

# %%
alt = "Increment of the followed modality's signal by attention and by MLP in every layer"
arb.figures.publish(arb.figures.fig6b(components), "fig6b", subject.name, alt=alt)

# %% [markdown]
# ## Fig. 7: what each sublayer adds to the arbitration margin

# %%
alt = "Increment of the arbitration margin by attention and by MLP in every layer"
arb.figures.publish(arb.figures.fig7(components), "fig7", subject.name, alt=alt)

# %% [markdown]
# ## Numbers for the book

# %%
for key, value in arb.summary.components(components, seed=seed).items():
    glue(key, value, display=False)
