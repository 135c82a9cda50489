# %% [markdown]
# # Appendix C: windows of other widths
#
# Section 3.1 closes a path in three layers at once. Here the paths of Fig. 3 are closed
# in one, three, five and seven layers: if what Section 3.1 says is no matter of the
# window, extremes stay where they are and keep their sign. Grey: as many source tokens
# drawn at random.

# %% tags=["parameters"]
model = "smol"
data = "scenes"  # "mc2", or the folder of your own samples
weights = "trained"  # "random": the same architecture with random weights, a control
n = 8  # samples per direction
# how many of them the control curves come from; they cost as much as the curves
# themselves
n_controls = 8
seed = 0
split = "held"
widths = [1, 3, 5, 7]  # layers per window, odd
pathways = ["vision→text", "vision→last", "text→last"]  # any pair of token groups
only_following = True  # False keeps samples that the model does not answer as told

# %%
import pandas as pd
from myst_nb import glue

import arbitration as arb
from arbitration.dataset import entities
from reproduction import cohorts, figures, numbers, parameters, results

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
compared = [
    prompt
    for way in arb.dataset.MODALITIES
    for prompt in [p for p in prompts if p.following == way][:n_controls]
]

# %% [markdown]
# ## The sweeps
#
# One for each width. At width 3 the pathways are all those of Section 3.1, so that what
# either notebook has measured is read by the other.

# %%
chosen = [arb.Pathway(*name.split("→")) for name in pathways]
section3 = [*arb.STANDARD_PATHWAYS, arb.Pathway("template", "last")]


def swept(width):
    paths = (
        [*section3, *(path for path in chosen if path not in section3)]
        if width == 3
        else chosen
    )
    controls = [arb.Pathway(path.source, path.target, control=seed) for path in paths]
    options = {"width": width, "pathways": list(map(str, paths))}
    own = results.gather(
        "knockout",
        subject,
        prompts,
        lambda some: arb.knockout_tables(subject, some, paths, width),
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
    return pd.concat([own, random], ignore_index=True)


table = pd.concat(map(swept, widths), ignore_index=True)
table = table[table["pathway"].isin(pathways)].reset_index(drop=True)
origin = {
    "widths": widths,
    "pathways": pathways,
    "seed": seed,
    "n": n,
    "n_controls": n_controls,
    "data": data,
    "split": split,
}
results.save(table, "windows", results.provenance(subject, **origin), subject.name)
table.tail(3)

# %% [markdown]
# ## Fig. 10: narrow and wide windows

# %%
alt = (
    "Layer-wise NSSD of vision to text, vision to last and text to last, one row of "
    "panels for each width of the window"
)
figures.publish(figures.fig10(table), "fig10", subject.name, alt=alt)

# %% [markdown]
# ## Numbers for the book

# %%
for key, value in numbers.summarise_windows(table, seed=seed).items():
    glue(key, value, display=False)
