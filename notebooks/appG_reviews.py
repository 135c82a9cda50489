# %% [markdown]
# # Appendix G: what the reviewers asked for
#
# Fewer samples, the whole vocabulary, prompts that fail, the last position, and what
# else is lost with the heads. What Sections 3.1, 4.1 and 4.2 have measured with the
# same parameters is read and not measured again.

# %% tags=["parameters"]
model = "smol"
data = "scenes"  # "mc2", or the folder of your own samples
weights = "trained"  # "random": the same architecture with random weights, a control
n = 64  # samples per direction, as in Sections 3.1 and 4.1
n_controls = 12  # how many of them the control curves come from, as in Section 3.1
# samples per direction for everything else: failures, the last position, ranking heads,
# and trying them
few = 8
tries = 384  # samples that are searched for failures
draws = 3  # random head sets per case
seed = 0
split = "held"
width = 3  # layers per window: the centre and its neighbours
only_following = True  # False keeps samples that the model does not answer as told

# %%
import pandas as pd
from myst_nb import glue

import arbitration as arb
from arbitration.dataset import entities
from arbitration.equations import heads
from reproduction import cohorts, figures, measures, numbers, parameters, results

parameters.settle(
    globals()
)  # a value that a parameter cannot have is refused here, before anything is loaded
few = min(few, n)
subject = arb.load(model, weights)
everything = arb.dataset.shuffled(arb.dataset.load(data, split), seed)
dictionary = entities.of(data, everything)
subject = cohorts.answered.adopt_spelling(subject, everything, dictionary)
samples = everything[: 2 * n]
answers = cohorts.answered.ask_samples(subject, samples, dictionary)
prompts = cohorts.answered.choose_prompts(subject, samples, answers, n, only_following)
ranked = cohorts.answered.choose_prompts(subject, samples, answers, few, only_following)
origin = {"seed": seed, "n": n, "data": data, "split": split}

# %% [markdown]
# ## The knockouts of Section 3.1

# %%
pathways = [*arb.STANDARD_PATHWAYS, arb.Pathway("template", "last")]
controls = [arb.Pathway(path.source, path.target, control=seed) for path in pathways]
compared = [
    prompt
    for way in arb.dataset.MODALITIES
    for prompt in [p for p in prompts if p.following == way][:n_controls]
]
options = {"width": width, "pathways": list(map(str, pathways))}
own = results.gather(
    "knockout",
    subject,
    prompts,
    lambda some: arb.knockout_tables(subject, some, pathways, width),
    **options,
)
random = results.gather(
    "knockout_controls",
    subject,
    compared,
    lambda some: arb.knockout_tables(subject, some, controls, width),
    seed=seed,
    **options,
)
table = pd.concat([own, random], ignore_index=True)

# %% [markdown]
# ## Parts of the samples
#
# The authors show that 20 to 80 % of their samples give the curves of all. Such parts
# contain each other, and agree for that reason alone; crosses are parts that share no
# sample.

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
# ## Where failures fail
#
# Increments (Eqs. 10 and 11) on prompts that are answered with the competitor's answer:
# those of the set first, then samples whose instruction is weakened until the answer
# turns.

# %%
where = {"positions": "instruction", "top_k": 1, "pooling": "max", "norm": False}
strangers = cohorts.strangers.borrow_answers(
    dictionary, samples, seed, subject.tokenizer
)
others = cohorts.strangers.borrow_answers(
    dictionary, everything, seed, subject.tokenizer
)


def increments(prompts, borrowed, **options):
    def rows(prompt):
        return measures.components.measure_components(
            subject, prompt, dictionary, borrowed[prompt.sample.id], **options
        )

    return results.gather(
        "components",
        subject,
        prompts,
        lambda missing: map(rows, missing),
        **origin,
        **options,
    )


components = increments(prompts, strangers, **where)

# %%
failures = [(prompt, 0.0) for prompt in ranked]
if only_following:
    failures = [
        pair
        for way in ("text", "vision")
        for pair in cohorts.failures.find_failures(
            subject, everything[:tries], way, few, dictionary
        )
    ]
mix = {prompt.id: share for prompt, share in failures}
failed = components[:0].assign(mix=0.0)
if failures:
    failed = increments([prompt for prompt, _ in failures], others, **where)
    failed["mix"] = (failed["sample"] + "-" + failed["following"]).map(mix)
results.save(
    failed,
    "failures",
    results.provenance(subject, few=few, tries=tries, mix=mix, **origin),
    subject.name,
)
alt = (
    "Increments of signal and margin by attention and MLP in every layer, for prompts "
    "that follow and prompts that fail, text and vision"
)
figures.publish(
    figures.fig_failures(components, failed), "fig_failures", subject.name, alt=alt
)

# %% [markdown]
# ## At the last position

# %%
last = increments(ranked, strangers, **where | {"positions": "last"})
results.save(
    last,
    "components_last",
    results.provenance(subject, few=few, **origin),
    subject.name,
)
alt = (
    "Increments of the margin by attention and MLP at the last position and at the "
    "instruction tokens, in every layer"
)
figures.publish(figures.fig_last(components, last), "fig_last", subject.name, alt=alt)

# %% [markdown]
# ## General ability
#
# 5 % of the heads, ranked by Eq. 12 on other samples, blocked or doubled: at the
# instruction tokens of a conflict and of the same question with one modality alone; and
# at all positions of a plain English text. Control: as many random heads.

# %%
phi = {"top_k": 1, "pooling": "max", "norm": False}
tested = cohorts.answered.choose_prompts(
    subject, samples, answers, few, only_following, skip=few
)
scores = results.gather(
    "heads",
    subject,
    ranked,
    lambda missing: (
        arb.head_attribution(subject, [prompt], dictionary, **phi) for prompt in missing
    ),
    **phi,
)
rankings = {
    way: heads.ranking(scores[scores["following"] == way]) for way in ("text", "vision")
}
order = {way: list(map(str, ranking[:40])) for way, ranking in rankings.items()}


def able(prompt):
    return measures.ability.measure_ability(
        subject, prompt, dictionary, rankings, draws, seed
    )


none = measures.heads.NO_ANSWERS.assign(
    kind=""
)  # if no more samples follow than those that rank
ability = results.collect(
    "ability",
    subject,
    tested,
    lambda missing: map(able, missing),
    none,
    rankings=order,
    draws=draws,
    **origin,
)
reading = measures.ability.measure_reading(subject, rankings, draws, seed)
results.save(
    reading,
    "reading",
    results.provenance(subject, rankings=order, draws=draws, **origin),
    subject.name,
)
alt = (
    "Share of right answers to conflicts and with one modality alone, and nats per "
    "token of plain text, with heads unchanged, blocked and doubled"
)
figures.publish(
    figures.fig_ability(ability, reading), "fig_ability", subject.name, alt=alt
)

# %% [markdown]
# ## Numbers for the book

# %%
for key, value in numbers.summarise_reviews(
    table, components, failed, last, ability, reading, seed=seed
).items():
    glue(key, value, display=False)
