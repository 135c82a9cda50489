# %% [markdown]
# # Section 2: the conflict set
#
# An image and a text support different answers to one question, and the instruction
# says which to trust. This notebook shows one such sample (Fig. 2), asks the model all
# of them under both instructions, and reports what the answer dictionary covers. The
# samples that the model answers as told are those that the later sections dissect.

# %% tags=["parameters"]
model = "smol"
data = "scenes"  # "mc2", or the folder of your own samples
weights = "trained"  # "random": the same architecture with random weights, a control
n = 128  # samples asked, each under both instructions
seed = 0
# held-out wordings; "iid": the training's; "held_style": a held-out art style
split = "held"

# %%
from myst_nb import glue

import arbitration as arb
from arbitration.dataset import entities
from reproduction import cohorts, figures, measures, numbers, parameters, results
from reproduction.numbers import dataset

parameters.settle(
    globals()
)  # a value that a parameter cannot have is refused here, before anything is loaded
subject = arb.load(model, weights)
everything = arb.dataset.shuffled(arb.dataset.load(data, split), seed)
dictionary = entities.of(data, everything)
subject = cohorts.answered.adopt_spelling(subject, everything, dictionary)
samples = everything[:n]

# %% [markdown]
# ## Samples that are not measured
#
# Where both answers begin with the same token of the model's vocabulary, the first
# token decides nothing. Other samples cannot be put to the model at all: its processor
# refuses the picture, or the prompt is too long. No notebook measures such a sample.

# %%
prompts, dropped = cohorts.answered.encode_decidable(subject, samples, dictionary)
results.save(
    dropped,
    "dropped",
    results.provenance(subject, seed=seed, n=n, data=data, split=split),
    subject.name,
)
print(f"{dropped['sample'].nunique()} of {len(samples)} samples are dropped")
dropped

# %% [markdown]
# ## Fig. 2: one sample
#
# Every token of the prompt belongs to one group; pathways between groups are what the
# next section closes.

# %%
shown = prompts[0].sample
groups = measures.tokens.group_tokens(subject, shown)
forms = dict(zip(("vision", "text"), dictionary.sample_forms(shown)))
alt = (
    "One conflict sample: its picture, its text, both instructions, the token groups "
    "of the prompt, and the forms of both answers"
)
figures.publish(figures.fig2(shown, groups, forms), "fig2", subject.name, alt=alt)

# %% [markdown]
# ## What the model answers
#
# Greedy answers, matched against the surface forms of both answers: `follow`,
# `competitor`, or `other`. The later sections compare the probabilities of two first
# tokens, one for each answer as the model spells it; `first` says whether the most
# likely first token is one of them.

# %%
print(f"{subject.name} writes the answers of this set: {subject.spelling}")
answers = cohorts.answered.ask_samples(subject, samples, dictionary)
results.save(
    answers,
    "answers",
    results.provenance(subject, seed=seed, n=n, data=data, split=split),
    subject.name,
)
answers.pivot_table(
    index="task",
    columns=["following", "outcome"],
    values="sample",
    aggfunc="count",
    fill_value=0,
)

# %% [markdown]
# ## What the dictionary covers

# %%
coverage = dictionary.coverage(
    [sample for sample in samples if sample.id in set(answers["sample"])],
    subject.tokenizer,
)
results.save(
    coverage,
    "coverage",
    results.provenance(subject, seed=seed, n=n, data=data, split=split),
    subject.name,
)
coverage.groupby("following")[["forms", "ids", "fallback"]].agg(["mean", "min"]).round(
    2
)

# %% [markdown]
# ## The whole set (Appendix B)
#
# Counted over every sample, whatever `n` is, and over all splits of the scenes.

# %%
everything = dataset.whole_set(data, split)
texts = dataset.measure_texts(everything)
entries = dataset.list_entries(everything, entities.of(data, everything))
for name, counted in (("texts", texts), ("entries", entries)):
    results.save(
        counted, name, results.provenance(subject, data=data, split=split), subject.name
    )
alt = (
    "Samples by task and split, lengths of question, context, instruction and answer "
    "in words, and number of dictionary forms an answer"
)
figures.publish(figures.fig_set(texts, entries), "fig_set", subject.name, alt=alt)

# %%
dataset.by_task(texts, entries).round(1)

# %% [markdown]
# What the scenes that ship with the project are drawn from: different icons, and
# pictures that hold one, by art style and split.

# %%
dataset.list_pictures().groupby(["style", "split"])[["icon", "sample"]].nunique()

# %% [markdown]
# ## Numbers for the book

# %%
for key, value in (
    numbers.summarise_answers(answers, coverage, seed=seed)
    | numbers.summarise_set(texts, entries)
).items():
    glue(key, value, display=False)
