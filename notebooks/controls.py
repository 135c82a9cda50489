# %% [markdown]
# # Controls, side by side
#
# The measures of Sections 3 and 4 once more, on a few samples, and beside them the same
# where something is taken away: with a label that the prompt need not carry, with
# another sample's answers, with random sources, and with random weights.

# %% tags=["parameters"]
model = "smol"
data = "scenes"  # "mc2", or the folder of your own samples
n = 12  # samples per direction; 64 in a full run
seed = 0
split = "held"
width = 3  # layers per window
n_weights = (
    6  # how many of them the paths of the random weights come from; they cost most
)
stride = (
    6  # and their windows are centred on every sixth layer; every third in a full run
)
only_following = True  # False keeps samples that the model does not answer as told

# %%
from dataclasses import replace

from myst_nb import glue

import arbitration as arb
from arbitration.dataset import entities
from arbitration.models import embedded
from reproduction import cohorts, figures, measures, numbers, parameters, results
from reproduction.numbers import controls

parameters.settle(
    globals()
)  # a value that a parameter cannot have is refused here, before anything is loaded
subject = arb.load(model, "trained")
everything = arb.dataset.shuffled(arb.dataset.load(data, split), seed)
dictionary = entities.of(data, everything)
subject = cohorts.answered.adopt_spelling(subject, everything, dictionary)
samples = everything[: 2 * n]
answers = cohorts.answered.ask_samples(subject, samples, dictionary)
prompts = cohorts.answered.choose_prompts(subject, samples, answers, n, only_following)
strangers = cohorts.strangers.borrow_answers(
    dictionary, samples, seed, subject.tokenizer
)

# %% [markdown]
# ## The trained model
#
# Paths are those of Section 3.1, under its name and parameters: what it has measured is
# read here.

# %%
pathways = [*arb.STANDARD_PATHWAYS, arb.Pathway("template", "last")]
randomised = [arb.Pathway(path.source, path.target, control=seed) for path in pathways]
options = {"width": width, "pathways": list(map(str, pathways))}


def shown(table):
    return table[table["pathway"] != "template→last"]


def components(subject, prompts):
    def rows(prompt):
        return measures.components.measure_components(
            subject, prompt, dictionary, strangers[prompt.sample.id]
        )

    return results.gather(
        "control_components",
        subject,
        prompts,
        lambda missing: map(rows, missing),
        seed=seed,
        n=n,
        data=data,
        split=split,
    )


def heads(subject, prompts):
    return results.gather(
        "heads",
        subject,
        prompts,
        lambda missing: (
            arb.head_attribution(subject, [prompt], dictionary) for prompt in missing
        ),
        top_k=1,
        pooling="max",
        norm=False,
    )


own = results.gather(
    "knockout",
    subject,
    prompts,
    lambda some: arb.knockout_tables(subject, some, pathways, width),
    **options,
)
sources = results.gather(
    "knockout_controls",
    subject,
    prompts,
    lambda some: arb.knockout_tables(subject, some, randomised, width),
    seed=seed,
    **options,
)
both = components(subject, prompts)
paths = {controls.TRAINED: shown(own), controls.SOURCES: shown(sources)}
parts = {
    controls.TRAINED: both[both["dictionary"] == "own"],
    controls.DICTIONARY: both[both["dictionary"] == "shuffled"],
}
margins = {controls.TRAINED: heads(subject, prompts)}

# %% [markdown]
# ## Shuffled instructions
#
# Half of the prompts of each direction, drawn by seed, are labelled with the
# instruction that they do *not* carry: the two answers change places in the tables.

# %%
for tables in (paths, parts, margins):
    tables[controls.INSTRUCTION] = controls.shuffle_labels(
        tables[controls.TRAINED], seed
    )

# %% [markdown]
# ## Random weights
#
# The same architecture, prompts and samples; nothing was learnt. Only the embedded
# models are built this way.

# %%
if model in embedded.NAMES:
    untrained = replace(arb.load(model, "random"), spelling=subject.spelling)
    centres = list(range(1, untrained.n_layers, stride))
    asked = [untrained.encode(prompt.sample, prompt.following) for prompt in prompts]
    swept = [
        prompt
        for way in arb.dataset.MODALITIES
        for prompt in [p for p in asked if p.following == way][:n_weights]
    ]
    paths[controls.WEIGHTS] = results.gather(
        "control_paths",
        untrained,
        swept,
        lambda some: arb.knockout_tables(
            untrained, some, arb.STANDARD_PATHWAYS, width, layers=centres
        ),
        width=width,
        centres=centres,
    )
    drawn = components(untrained, asked)
    parts[controls.WEIGHTS] = drawn[drawn["dictionary"] == "own"]
    margins[controls.WEIGHTS] = heads(untrained, asked)

# %%
kinds = [
    controls.TRAINED,
    controls.INSTRUCTION,
    *([controls.WEIGHTS] if controls.WEIGHTS in paths else []),
]
alt = (
    "NSSD of the path into the instruction, and LDAR, by layer: of the trained model, "
    "with labels drawn at random, and with random weights"
)
figure = figures.fig_controls(
    {kind: paths[kind] for kind in kinds}, {kind: parts[kind] for kind in kinds}
)
figures.publish(figure, "fig_controls", subject.name, alt=alt)

# %% [markdown]
# ## Every measure under every control

# %%
table = controls.compare_controls(paths, parts, margins, seed).assign(
    model=subject.name
)
results.save(
    table,
    "controls",
    results.provenance(
        subject, seed=seed, n=n, data=data, split=split, width=width, stride=stride
    ),
    subject.name,
)
table.drop(columns=["model", "expected"]).round(2)

# %% [markdown]
# ## Numbers for the book

# %%
for key, value in numbers.summarise_controls(table).items():
    glue(key, value, display=False)
