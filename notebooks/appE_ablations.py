# %% [markdown]
# # Appendix E: alternative definitions
#
# The paper leaves some choices open and varies others. This notebook measures them
# beside the default: Φ (Eq. 8) averaged over several tokens or over an answer's forms
# (Fig. 14), and every convention of this book that has an alternative, as a line of one
# table.

# %% tags=["parameters"]
model = "smol"  # a name of the README's table, org/name on the hub, or a folder
data = "scenes"  # "mc2", or the folder of your own samples
weights = "trained"  # "random": the same architecture untrained, a control
n = 8  # samples per direction to rank, to measure, and failures to amplify
seed = 0  # draws the order of the samples, and the controls
split = "held"  # new wordings; "iid": the training's; "held_style": another style
draws = 3  # random head sets per case
stride = 3  # windows are centred on every third layer; those of width 3 cover each once
only_following = True  # False keeps samples that are not answered as instructed
measure = False  # True ignores records: everything is measured here

# %%
import pandas as pd

from press.glued import glue_all
from reproduction import cohorts, figures, measures, numbers, results, tables
from reproduction.measures.head_sets import NO_ANSWERS

study = cohorts.study(globals())
subject, dictionary = study.subject, study.dictionary

# %%
half = min(3 * n, len(study.everything) // 2)
samples = study.everything[: 2 * half]
ranked, tested = cohorts.halves(study, half)
origin = {"seed": seed, "n": n, "data": data, "split": split}

# %% [markdown]
# ## LDAR under every definition of Φ
#
# Each prompt needs one clean pass. Φ is then taken with another pooling, at other
# tokens, and for other words.

# %%
strangers = cohorts.lend_answers(study, samples, seed)
read = measures.each(measures.readings.measure_readings)
given = {"borrowed": strangers, "dictionary": dictionary}
beliefs = results.collect("readings", read, subject, ranked, **given)
alt = (
    "Latent decision alignment rate by layer with Φ of the strongest token, of the "
    "two strongest, and averaged over an answer's forms"
)
figure = figures.fig14_beliefs(beliefs)
figures.publish(figure, "fig14_beliefs", subject.name, alt=alt)

# %% [markdown]
# ## Heads ranked with three definitions of Φ
#
# The heads are ranked by Eq. 12 with each Φ. The default's contributions are those of
# Section 4.2, whose notebook reads them too.

# %%
scored, rankings = [], {}
for reading in measures.readings.POOLINGS:
    phi = {"top_k": reading.top_k, "pooling": reading.pooling, "norm": reading.norm}
    rows = tables.gather_heads(subject, ranked, dictionary, **phi)
    scored.append(rows.assign(reading=reading.name))
    orders = measures.heads.rank_directions(rows)
    rankings[reading.name] = measures.heads.keep_top(subject, orders, 0.1)
scores = pd.concat(scored, ignore_index=True)
results.save(scores, "head_readings", subject, **origin)

# %% [markdown]
# ## Fig. 14: blocking and amplifying them
#
# As in Section 4.2, heads are scaled at the instruction tokens, on other samples than
# those that rank. Amplification uses samples answered with the competitor's answer:
# natural ones first, then those with a weakened instruction.

# %%
failed = cohorts.failing(study, study.everything[half : 8 * n], tested)
turned = [prompt for prompt, _ in failed]
scale = measures.each(measures.head_sets.scale_ranked)
given = {"dictionary": dictionary, "rankings": rankings, "draws": draws, "seed": seed}
shares = {"cases": [(0.025, 0.0), (0.05, 0.0), (0.1, 0.0)], "setting": "blocking"}
gains = {"cases": [(0.05, 1.5), (0.05, 2.0), (0.05, 3.0)], "setting": "amplification"}

# %%
blocked = results.gather(
    "ablated", scale, subject, tested, NO_ANSWERS, **given, **shares
)
amplified = results.gather(
    "ablated", scale, subject, turned, NO_ANSWERS, **given, **gains
)
parts = [blocked.assign(mix=0.0), cohorts.mark_mix(amplified, failed)]
answers = pd.concat(parts, ignore_index=True)
results.save(answers, "ablations", subject, draws=draws, **origin)

# %%
alt = (
    "Modality following ratio with top heads blocked or amplified, the heads ranked "
    "under three readings, and random heads"
)
figures.publish(figures.fig14(answers), "fig14", subject.name, alt=alt)

# %% [markdown]
# ## Other ways to close the path into the anchors
#
# The path starts at the tokens of the modality that the instruction names. It leads
# into the whole instruction, its parts, or the instruction with the template's words
# after it. It is also closed in windows of seven layers instead of three.

# %%
centres = list(range(1, subject.n_layers, stride))
ways = [("instruction", 7)]
ways += [(span, 3) for span in measures.readings.list_targets(ranked)]
swept = []
for span, width in ways:
    given = {"span": span, "width": width, "layers": centres}
    sweep = measures.paths.sweep_into
    swept.append(results.gather("anchor_paths", sweep, subject, ranked, **given))
paths = pd.concat(swept, ignore_index=True)
results.save(paths, "anchor_paths", subject, stride=stride, **origin)

# %% [markdown]
# ## The first token against the whole answer

# %%
said = cohorts.ask_samples(subject, samples, dictionary)
some = cohorts.keep_asked(said, samples[: 2 * n])
asked = [subject.encode(sample, way) for way in ("text", "vision") for sample in some]
begin = measures.each(measures.answers.read_first_token)
first = results.collect("first_token", begin, subject, asked)

# %% [markdown]
# ## Every convention with an alternative
#
# `difference` is paired, sample by sample, with the first line of the same measure,
# which is the default.

# %%
table = numbers.compare_conventions(said, first, beliefs, paths, scores, seed=seed)
table = table.assign(model=subject.name)
results.save(table, "conventions", subject, stride=stride, **origin)
table.drop(columns="model").round(2)

# %% [markdown]
# ## Numbers for the book

# %%
glue_all(numbers.summarise_ablations(beliefs, answers, table, seed=seed))

# %% [markdown]
# ## Where the rows come from
#
# The table below lists, for each table of this notebook, its record and how much of it
# was measured again here. Without a record it says that the table was measured here.

# %%
origins = results.save_origins("appE_ablations", subject)
glue_all({"origin": results.tell_origins(origins)})
origins
