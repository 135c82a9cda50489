"""Figure 2: one conflict sample, how its prompt falls into groups of tokens, and the forms of its answers."""

import textwrap

from arbitration import pictures
from arbitration.style import BLUE, DIRECTIONS, GREY, ORANGE, PINK, RED, below, check_columns, count, panels, styled

GROUPS = {"vision": BLUE, "context": ORANGE, "instruction": PINK, "last": RED, "template": GREY}


@styled
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
    check_columns(groups_table, ("following", "position", "token", "group"), "fig2")
    kind = f" ({sample.task.replace('_', ' ')})" if sample.task else ""
    figure, axes = panels(2, f"one conflict sample, {sample.id}{kind}", groups_table, rows=2, height=1.55)
    shown = pictures.read(sample.image)
    width, height = (side / max(shown.size) for side in shown.size)
    answers = {"vision": sample.answer_vision, "text": sample.answer_text}
    for column, following in enumerate(DIRECTIONS):
        picture, prompt = axes[:, column]
        picture.imshow(shown, extent=(0, width, 1 - height, 1))
        picture.set(xlim=(0, 2.6), ylim=(0, 1))
        lines = [f"image says: {answers['vision']}", f"text says: {answers['text']}", f"right here: {answers[following]}", ""]
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
        shown = f"[{length} image tokens]" if group == "vision" else token.replace("Ġ", " ").replace("Ċ", "↵").replace("\n", "↵")
        if x + len(shown) > width:
            x, y = 0, y + 1
        axes.text(x, y, shown, color=GROUPS[group], family="DejaVu Sans Mono", fontsize=7.2)
        x += len(shown)
    axes.set(xlim=(0, width), ylim=(max(y + 0.6, 4.2), -0.8))
