# %% [markdown]
# # Section 3.2: where the decision forms
#
# The logit lens (Eq. 2) reads the answers' words from the residual stream of the
# instruction tokens (Φ, Eq. 8). Where the followed modality's signal exceeds its
# competitor's, the latent state is aligned with the instruction (LDAR, Eq. 9). The
# control reads the words of another sample's answers.

# %% tags=["parameters"]
model = "smol"
data = "scenes"  # "mc2", or the folder of your own samples
weights = "trained"  # "random": the same architecture with random weights, a control
n = 64  # samples per direction
seed = 0
split = "held"
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
# ## Signals in every layer

# %%
strangers = cohorts.strangers.borrow_answers(
    dictionary, samples, seed, subject.tokenizer
)
options = {"top_k": top_k, "pooling": pooling, "norm": norm}


def rows(prompt):
    return measures.beliefs.measure_beliefs(
        subject, prompt, dictionary, strangers[prompt.sample.id], **options
    )


beliefs = results.collect(
    "beliefs",
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
# ## Fig. 5a: latent decision alignment

# %%
alt = (
    "Latent decision alignment rate by layer at the instruction tokens, with the "
    "shuffled dictionary as control"
)
figures.publish(figures.fig5a(beliefs), "fig5a", subject.name, alt=alt)

# %% [markdown]
# ## Fig. 5b: closing the way out of the instruction
#
# The paths into the last prompt token and every generated one are closed in the layers
# that the paper calls critical (20–25 of 28, here as the same part of the model's
# depth), and the model answers.

# %%
layers = measures.paths.critical_layers(subject.n_layers)


def blocked(prompt):
    return measures.paths.measure_paths(subject, prompt, dictionary, layers, seed)


paths = results.collect(
    "paths",
    subject,
    prompts,
    lambda missing: map(blocked, missing),
    layers=list(layers),
    seed=seed,
)
alt = (
    "Share of answers that follow the instruction with no path closed, instruction to "
    "last, own modality to last, and random tokens to last"
)
figures.publish(figures.fig5b(paths), "fig5b", subject.name, alt=alt)

# %% [markdown]
# ## Numbers for the book

# %%
for key, value in numbers.summarise_beliefs(beliefs, paths, seed=seed).items():
    glue(key, value, display=False)
