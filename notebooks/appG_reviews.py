# %% [markdown]
# # Appendix G: what the reviewers asked for
#
# This notebook repeats measures on fewer samples, over the whole vocabulary, on prompts
# that fail and at the last position. It also measures which other abilities depend on
# the heads. What Sections 3.1, 4.1 and 4.2 have measured with the same parameters is
# read and not measured again.

# %% tags=["parameters"]
model = "smol"  # a name of the README's table, org/name on the hub, or a folder
data = "scenes"  # "mc2", or the folder of your own samples
weights = "trained"  # "random": the same architecture untrained, a control
n = 64  # samples per direction, as in Sections 3.1 and 4.1
n_controls = 12  # of them, those with the control of Section 3.1
few = 8  # samples per direction for all else: failures, last position, ranking, tests
tries = 384  # samples that are searched for failures
draws = 3  # random head sets per case
seed = 0  # draws the order of the samples, and the controls
split = "held"  # new wordings; "iid": the training's; "held_style": another style
width = 3  # layers per window: the centre and its neighbours
only_following = True  # False keeps samples that are not answered as instructed
measure = False  # True ignores records: everything is measured here

# %%
from press.glued import glue_all
from reproduction import cohorts, figures, measures, numbers, results, tables
from reproduction.measures.head_sets import NO_ANSWERS

study = cohorts.study(globals())
subject, dictionary, prompts = study.subject, study.dictionary, study.prompts
few = min(few, n)
ranked = cohorts.choose(study, study.samples, study.answers, few)
origin = {"seed": seed, "n": n, "data": data, "split": split}

# %% [markdown]
# ## The knockouts of Section 3.1

# %%
compared = cohorts.first(prompts, n_controls)
table = tables.gather_pathways(subject, prompts, compared, width, seed)

# %% [markdown]
# ## Parts of the samples
#
# The authors show that 20 to 80 % of their samples give the curves of all. Such parts
# contain each other, and agree for that reason alone. The crosses of the figure are
# parts that share no sample.

# %%
alt = (
    "Largest mean NSSD of three main pathways on 20 to 100 % of the samples, and on "
    "disjoint fifths and halves, with random sources"
)
figures.publish(figures.fig_stability(table), "fig_stability", subject.name, alt=alt)

# %% [markdown]
# ## All tokens instead of two answers

# %%
alt = (
    "Layer-wise NSSD and signed divergence of the whole next-token distribution for "
    "three main pathways, with random sources"
)
figures.publish(figures.fig_whole(table), "fig_whole", subject.name, alt=alt)

# %% [markdown]
# ## What is missing in failures
#
# The increments (Eqs. 10 and 11) are measured on prompts that are answered with the
# competitor's answer: those of the set first, then samples whose instruction is
# weakened until the answer turns.

# %%
strangers = cohorts.lend_answers(study, study.everything, seed)
components = tables.gather_components(subject, prompts, dictionary, strangers)

# %%
failures = cohorts.failing(study, study.everything[:tries], ranked, few)
turned, failed = [prompt for prompt, _ in failures], components[:0]
if failures:
    failed = tables.gather_components(subject, turned, dictionary, strangers)
failed = cohorts.mark_mix(failed, failures)
results.save(failed, "failures", subject, few=few, tries=tries, **origin)

# %%
alt = (
    "Increments of signal and margin by attention and MLP in every layer, for prompts "
    "that follow and prompts that fail, text and vision"
)
figure = figures.fig_failures(components, failed)
figures.publish(figure, "fig_failures", subject.name, alt=alt)

# %% [markdown]
# ## At the last position

# %%
last = tables.gather_components(
    subject, ranked, dictionary, strangers, positions="last"
)
results.save(last, "components_last", subject, few=few, **origin)
alt = (
    "Increments of the margin by attention and MLP at the last position and at the "
    "instruction tokens, in every layer"
)
figures.publish(figures.fig_last(components, last), "fig_last", subject.name, alt=alt)

# %% [markdown]
# ## General ability
#
# 5 % of the heads, ranked by Eq. 12 on other samples, are blocked or doubled: at the
# instruction tokens of a conflict and of the same question with one modality alone; and
# at all positions of a plain English text. Control: as many random heads.

# %%
tested = cohorts.choose(study, study.samples, study.answers, few, skip=few)
scores = tables.gather_heads(subject, ranked, dictionary)
rankings = measures.heads.rank_directions(scores)
top = measures.heads.keep_top(subject, rankings, measures.ability.SHARE)
given = {"rankings": top, "draws": draws, "seed": seed}

# %%
able = measures.each(measures.ability.measure_ability)
none = NO_ANSWERS.assign(kind="")  # if only the samples that rank follow
how = given | {"dictionary": dictionary}
ability = results.collect("ability", able, subject, tested, none, **how)
sets = measures.ability.list_read_sets(subject, **given)
read = measures.ability.measure_reading
reading = results.collect("reading", read, subject, sets)

# %%
alt = (
    "Share of right answers to conflicts and with one modality alone, and nats per "
    "token of plain text, with heads unchanged, blocked and doubled"
)
figure = figures.fig_ability(ability, reading)
figures.publish(figure, "fig_ability", subject.name, alt=alt)

# %% [markdown]
# ## Numbers for the book

# %%
measured = (table, components, failed, last, ability, reading)
glue_all(numbers.summarise_reviews(*measured, seed=seed))

# %% [markdown]
# ## Where the rows come from
#
# The table below lists, for each table of this notebook, its record and how much of it
# was measured again here. Without a record it says that the table was measured here.

# %%
origins = results.save_origins("appG_reviews", subject)
glue_all({"origin": results.tell_origins(origins)})
origins
