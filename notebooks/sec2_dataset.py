# %% [markdown]
# # Section 2: the conflict set
#
# An image and a text support different answers to one question, and the instruction
# says which of them to trust. This notebook shows one such sample (Fig. 2), asks the
# model all samples under both instructions, and reports what the answer dictionary
# covers. The later sections analyse the samples that the model answers as instructed.

# %% tags=["parameters"]
model = "smol"  # a name of the README's table, org/name on the hub, or a folder
data = "scenes"  # "mc2", or the folder of your own samples
weights = "trained"  # "random": the same architecture untrained, a control
n = 128  # samples asked, each under both instructions
seed = 0  # draws the order of the samples, and the controls
split = "held"  # new wordings; "iid": the training's; "held_style": another style
measure = False  # True ignores records: everything is measured here

# %%
from arbitration.dataset import entities
from press.glued import glue_all
from reproduction import cohorts, figures, measures, numbers, results
from reproduction.numbers import dataset as counts

study = cohorts.study(globals())
subject, dictionary = study.subject, study.dictionary
samples = study.everything[:n]
origin = {"seed": seed, "n": n, "data": data, "split": split}

# %% [markdown]
# ## Samples that are not measured
#
# Where both answers begin with the same token of the model's vocabulary, the first
# token decides nothing. Other samples cannot be given to the model at all: its
# processor refuses the picture, or the prompt is too long. No notebook measures such a
# sample.

# %%
prompts, dropped = cohorts.encode_decidable(subject, samples, dictionary)
results.save(dropped, "dropped", subject, **origin)
print(f"{dropped['sample'].nunique()} of {len(samples)} samples are dropped")
dropped

# %% [markdown]
# ## Fig. 2: one sample
#
# Every token of the prompt belongs to one group. The next section closes attention
# paths between these groups.

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
# Greedy answers are matched against the surface forms of both answers: `follow`,
# `competitor`, or `other`. The later sections compare the probabilities of two first
# tokens, one for each answer as the model spells it. `first` says whether the most
# likely first token is one of them.

# %%
print(f"{subject.name} writes the answers of this set: {subject.spelling}")
answers = cohorts.ask_samples(subject, samples, dictionary)
results.save(answers, "answers", subject, **origin)
by_outcome = answers.groupby(["task", "following", "outcome"]).size()
by_outcome.unstack(["following", "outcome"], fill_value=0)

# %% [markdown]
# ## What the dictionary covers

# %%
asked = cohorts.keep_asked(answers, samples)
coverage = dictionary.coverage(asked, subject.tokenizer)
results.save(coverage, "coverage", subject, **origin)
found = coverage.groupby("following")[["forms", "ids", "fallback"]]
found.agg(["mean", "min"]).round(2)

# %% [markdown]
# ## The whole set (Appendix B)
#
# These numbers are counted over every sample, whatever `n` is, and over all splits of
# the scenes.

# %%
whole = counts.whole_set(data, split)
texts = counts.measure_texts(whole)
entries = counts.list_entries(whole, entities.of(data, whole))
for name, counted in (("texts", texts), ("entries", entries)):
    results.save(counted, name, subject, data=data, split=split)
alt = (
    "Samples by task and split, lengths of question, context, instruction and answer "
    "in words, and number of dictionary forms an answer"
)
figures.publish(figures.fig_set(texts, entries), "fig_set", subject.name, alt=alt)

# %%
counts.by_task(texts, entries).round(1)

# %% [markdown]
# The scenes that ship with the project are drawn from icons. The table counts different
# icons, and the pictures that contain one, by art style and split.

# %%
counts.list_pictures().groupby(["style", "split"])[["icon", "sample"]].nunique()

# %% [markdown]
# ## Numbers for the book

# %%
glue_all(numbers.summarise_answers(answers, coverage, seed=seed))
glue_all(numbers.summarise_set(texts, entries))

# %% [markdown]
# ## Where the rows come from
#
# The table below lists, for each table of this notebook, its record and how much of it
# was measured again here. Without a record it says that the table was measured here.

# %%
origins = results.save_origins("sec2_dataset", subject)
glue_all({"origin": results.tell_origins(origins)})
origins
