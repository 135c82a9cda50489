# %% [markdown]
# # Section 4.1: what attention and MLP add
#
# Each sublayer's increment (Eqs. 10 and 11) of the followed modality's signal and of
# the arbitration margin, at the instruction tokens. The increments telescope: they sum
# to what the last layer has more than the embedding.

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
from arbitration.dataset import entities
from reproduction import cohorts, figures, measures, numbers, parameters, results

parameters.settle(
    globals()
)  # a value that a parameter cannot have is refused here, before anything is loaded
subject = arb.load(model, weights)
everything = arb.dataset.shuffled(arb.dataset.load(data, split), seed)
dictionary = entities.of(data, everything)
subject = cohorts.answered.adopt_spelling(subject, everything, dictionary)
samples = everything[: 2 * n]
answers = cohorts.answered.ask_samples(subject, samples, dictionary)
prompts = cohorts.answered.choose_prompts(subject, samples, answers, n, only_following)

# %% [markdown]
# ## Increments in every layer

# %%
strangers = cohorts.strangers.borrow_answers(
    dictionary, samples, seed, subject.tokenizer
)
options = {"positions": positions, "top_k": top_k, "pooling": pooling, "norm": norm}


def rows(prompt):
    return measures.components.measure_components(
        subject, prompt, dictionary, strangers[prompt.sample.id], **options
    )


components = results.collect(
    "components",
    subject,
    prompts,
    lambda missing: map(rows, missing),
    seed=seed,
    n=n,
    data=data,
    split=split,
    **options,
)

# %% [markdown]
# ## Fig. 6a: both modalities' signals

# %%
alt = (
    "Signal of the followed modality and of its competitor at the instruction tokens "
    "by layer, with the shuffled dictionary as control"
)
figures.publish(figures.fig6a(components), "fig6a", subject.name, alt=alt)

# %% [markdown]
# ## Fig. 6b: what each sublayer adds to the followed modality's signal

# %%
alt = (
    "Increment of the followed modality's signal by attention and by MLP in every layer"
)
figures.publish(figures.fig6b(components), "fig6b", subject.name, alt=alt)

# %% [markdown]
# ## Fig. 7: what each sublayer adds to the arbitration margin

# %%
alt = "Increment of the arbitration margin by attention and by MLP in every layer"
figures.publish(figures.fig7(components), "fig7", subject.name, alt=alt)

# %% [markdown]
# ## Numbers for the book

# %%
for key, value in numbers.summarise_components(components, seed=seed).items():
    glue(key, value, display=False)
