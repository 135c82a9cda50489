"""Fig. 2: one sample and its token groups; and the whole set by split, task and length."""

import textwrap

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from arbitration.dataset import pictures
from reproduction.figures.style import (
    BLUE,
    DIRECTIONS,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PINK,
    RED,
    below,
    count,
    draws,
    panels,
)
from reproduction.numbers.dataset import PARTS

GROUPS = {"vision": BLUE, "context": ORANGE, "instruction": PINK, "last": RED, "template": GREY}


@draws(groups_table=("following", "position", "token", "group"))
def fig2(sample, groups_table, forms):
    """Fig. 2: one conflict sample, the groups of its tokens, and the answers' surface forms.

    Parameters
    ----------
    sample : Sample
    groups_table : pandas.DataFrame
        One row per token: following, position, token, group.
    forms : dict
        Surface forms under ``"vision"`` and ``"text"``.
    """
    kind = f" ({sample.task.replace('_', ' ')})" if sample.task else ""
    figure, axes = panels(
        2, f"one conflict sample, {sample.id}{kind}", groups_table, rows=2, height=1.55
    )
    shown = pictures.read_picture(sample.image)
    width, height = (side / max(shown.size) for side in shown.size)
    answers = {"vision": sample.answer_vision, "text": sample.answer_text}
    for column, following in enumerate(DIRECTIONS):
        picture, prompt = axes[:, column]
        picture.imshow(shown, extent=(0, width, 1 - height, 1))
        picture.set(xlim=(0, 2.6), ylim=(0, 1))
        lines = [
            f"image says: {answers['vision']}",
            f"text says: {answers['text']}",
            f"right here: {answers[following]}",
            "",
        ]
        for source in ("vision", "text"):
            lines += textwrap.wrap(f"{source} forms: " + ", ".join(forms[source]), 40)[:4]
        picture.text(1.08, 1.0, "\n".join(lines), va="top", fontsize=7.5)
        rows = groups_table[groups_table["following"] == following].sort_values("position")
        count(picture, len(rows), "tokens")
        _token_lines(prompt, rows)
        for one in (picture, prompt):
            one.axis("off")
    for group, color in GROUPS.items():
        axes[1, 0].plot([], [], "s", color=color, label=group)
    below(figure, axes, 5)
    return figure


def _token_lines(axes, rows, width=68):
    """Write the prompt's tokens in the colour of their group, runs of image tokens as one."""
    runs = []
    for token, group in zip(rows["token"], rows["group"]):
        if runs and runs[-1][1] == group == "vision":
            runs[-1][2] += 1
        else:
            runs.append([str(token), group, 1])
    x = y = 0
    for token, group, length in runs:
        shown = (
            f"[{length} image tokens]"
            if group == "vision"
            else token.replace("Ġ", " ").replace("Ċ", "↵").replace("\n", "↵")
        )
        if x + len(shown) > width:
            x, y = 0, y + 1
        axes.text(x, y, shown, color=GROUPS[group], family="DejaVu Sans Mono", fontsize=7.2)
        x += len(shown)
    axes.set(xlim=(0, width), ylim=(max(y + 0.6, 4.2), -0.8))


SPLIT_LOOKS = ((BLUE, ""), (ORANGE, "///"), (GREEN, "..."), (PINK, "xxx"))


@draws(
    texts=("sample", "split", "task", "part", "words"),
    answers=("sample", "task", "answer", "forms"),
)
def fig_set(texts, answers):
    """Appendix B: samples by task and split, lengths of the texts, and forms of the answers. Counts
    of a whole set, without intervals.

    Parameters
    ----------
    texts, answers : pandas.DataFrame
        From `numbers.dataset.measure_texts` and `numbers.dataset.list_entries`.

    Raises
    ------
    ValueError
        When rows are missing.
    """
    if not len(texts):
        why = "fig_set was given a table without rows; give the texts of a set that has samples"
        raise ValueError(why)
    figure = Figure(figsize=(8.6, 3.3), layout="constrained")
    figure.suptitle(
        "App. B · what the set consists of", x=0.01, ha="left", fontsize=10.5, fontweight="bold"
    )
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
        here = (
            texts[texts["split"] == split]
            .groupby("task")["sample"]
            .nunique()
            .reindex(tasks, fill_value=0)
            .to_numpy()
        )
        axes.barh(
            range(len(tasks)),
            here,
            left=start,
            color=color,
            hatch=hatch,
            edgecolor=INK,
            linewidth=0.6,
            label=f"split {split}",
        )
        start += here
    axes.set_yticks(range(len(tasks)), [task.replace("_", " ") for task in tasks])
    axes.invert_yaxis()
    axes.set_xlabel("samples")
    count(axes, texts["sample"].nunique())


def _lengths(axes, texts):
    """How long the texts are: boxes from quartile to quartile, whiskers to the shortest and the
    longest.
    """
    values = [texts.loc[texts["part"] == part, "words"].to_numpy() for part in PARTS]
    ink = {"color": INK}  # matplotlib's own black would vanish on a dark page
    boxes = axes.boxplot(
        values,
        whis=(0, 100),
        widths=0.55,
        patch_artist=True,
        whiskerprops=ink,
        capprops=ink,
        medianprops=ink | {"linewidth": 1.6},
    )
    for box in boxes["boxes"]:
        box.set(facecolor=BLUE, edgecolor=INK, alpha=0.45)
    axes.set_xticks(
        range(1, len(PARTS) + 1), [part.capitalize() for part in PARTS], rotation=30, ha="right"
    )
    axes.set(ylabel="words: all, middle half, median", ylim=(0, None))


def _forms(axes, answers):
    """How many forms the dictionary knows of an answer."""
    found = answers["forms"].value_counts().sort_index()
    axes.bar(found.index, found.to_numpy(), width=0.8, color=BLUE, edgecolor=INK, linewidth=0.6)
    axes.set(xlabel="forms of an answer", ylabel="answers (two a sample)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    count(axes, len(answers), "answers")
