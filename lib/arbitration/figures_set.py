"""What a conflict set consists of (Appendix B), as a figure."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from arbitration.style import BLUE, GREEN, INK, ORANGE, PINK, below, check_columns, count, styled
from arbitration.summary_samples import PARTS

SPLIT_LOOKS = ((BLUE, ""), (ORANGE, "///"), (GREEN, "..."), (PINK, "xxx"))


@styled
def fig_set(texts, answers):
    """Appendix B: samples by task and split, lengths of the texts, and forms of the answers. Counts of a whole set, without intervals.

    Parameters
    ----------
    texts, answers : pandas.DataFrame
        From `summary_samples`.

    Raises
    ------
    ValueError
        When columns or rows are missing.
    """
    if not len(texts):
        raise ValueError("fig_set was given a table without rows; give the texts of a set that has samples")
    check_columns(texts, ("sample", "split", "task", "part", "words"), "fig_set")
    check_columns(answers, ("sample", "task", "answer", "forms"), "fig_set")
    figure = Figure(figsize=(8.6, 3.3), layout="constrained")
    figure.suptitle("App. B · what the set consists of", x=0.01, ha="left", fontsize=10.5, fontweight="bold")
    sizes, lengths, forms = figure.subplots(1, 3, width_ratios=(1.25, 1, 1))
    _sizes(sizes, texts)
    _lengths(lengths, texts)
    _forms(forms, answers)
    below(figure, [sizes], 4)
    return figure


def _sizes(axes, texts):
    """Samples by task, one part of a bar for each split."""
    tasks = list(dict.fromkeys(texts["task"]))
    start = np.zeros(len(tasks))
    for index, split in enumerate(dict.fromkeys(texts["split"])):
        color, hatch = SPLIT_LOOKS[index % len(SPLIT_LOOKS)]
        here = texts[texts["split"] == split].groupby("task")["sample"].nunique().reindex(tasks, fill_value=0).to_numpy()
        axes.barh(range(len(tasks)), here, left=start, color=color, hatch=hatch, edgecolor=INK, linewidth=0.6, label=f"split {split}")
        start += here
    axes.set_yticks(range(len(tasks)), [task.replace("_", " ") for task in tasks])
    axes.invert_yaxis()
    axes.set_xlabel("samples")
    count(axes, texts["sample"].nunique())


def _lengths(axes, texts):
    """How long the texts are: boxes from quartile to quartile, whiskers to the shortest and the longest."""
    values = [texts.loc[texts["part"] == part, "words"].to_numpy() for part in PARTS]
    ink = {"color": INK}  # matplotlib's own black would vanish on a dark page
    boxes = axes.boxplot(values, whis=(0, 100), widths=0.55, patch_artist=True, whiskerprops=ink, capprops=ink, medianprops=ink | {"linewidth": 1.6})
    for box in boxes["boxes"]:
        box.set(facecolor=BLUE, edgecolor=INK, alpha=0.45)
    axes.set_xticks(range(1, len(PARTS) + 1), [part.capitalize() for part in PARTS], rotation=30, ha="right")
    axes.set(ylabel="words: all, middle half, median", ylim=(0, None))


def _forms(axes, answers):
    """How many forms the dictionary knows of an answer."""
    found = answers["forms"].value_counts().sort_index()
    axes.bar(found.index, found.to_numpy(), width=0.8, color=BLUE, edgecolor=INK, linewidth=0.6)
    axes.set(xlabel="forms of an answer", ylabel="answers (two a sample)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    count(axes, len(answers), "answers")
