"""Knockout over prompts, pathways and layer windows (Figs. 3, 4, 10 and 11), the resumed way
wherever it is exact.
"""

from collections.abc import Iterator

import pandas as pd
from tqdm.auto import tqdm

from arbitration.engine import exactness, plan, resume
from arbitration.engine.plain import (
    Decision,
    blocked_plain,
    check_bites,
    decision,
    join_decisions,
    next_token_logits,
)
from arbitration.equations import metrics
from arbitration.equations.knockout import STANDARD_PATHWAYS, LayerWindow

#: Prompts whose clean passes are kept at once, so that pathways into their last tokens travel
#: together.
TOGETHER = 4


def knockout_sweep(
    subject,
    prompts,
    pathways=STANDARD_PATHWAYS,
    width: int = 3,
    engine: str = "auto",
    layers=None,
    workspace: float | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """NSSD of every prompt × pathway × layer window (Figs. 3, 4, 10 and 11).

    Parameters
    ----------
    subject : Subject
    prompts : sequence of Prompt
    pathways : sequence of Pathway
    width : int
        Layers per window, odd; clipped at both ends of the model.
    engine : {"auto", "resume", "plain"}
        ``plain`` is one full forward per variant; ``resume`` recomputes only what a variant
        changes; ``auto`` resumes where that is exact and says so where it is not.
    layers : iterable of int, optional
        Centres of the windows; all layers unless given.
    workspace : float, optional
        MiB that the variants of one pass may take, `plan.default_workspace` unless given: bounds
        the memory.

    Returns
    -------
    DataFrame
        One row per prompt × pathway × layer in the prompts' order: model, sample, following,
        pathway, control, layer, width, engine, workspace (MiB), p_p, p_c, p_p_blocked, p_c_blocked
        and their natural logarithms (``logp_p`` and so on), token and token_blocked (most likely
        next token), nssd (nats), divergence (`metrics.signed_divergence`, nats).

    Raises
    ------
    ValueError
        Before any pass, if a pathway has no edge in one of the prompts, or for an even width or
        unknown engine.
    RuntimeError
        If the model ignores the mask, or the engine disagrees with the plain way on the variant
        that is checked (`exactness.check_against_plain`).
    """
    tables = knockout_tables(subject, prompts, pathways, width, engine, layers, workspace)
    return pd.concat(
        tqdm(tables, desc=f"knockout, {subject.name}", total=len(prompts), disable=not progress),
        ignore_index=True,
    )


def knockout_tables(
    subject,
    prompts,
    pathways=STANDARD_PATHWAYS,
    width: int = 3,
    engine: str = "auto",
    layers=None,
    workspace: float | None = None,
) -> Iterator[pd.DataFrame]:
    """As `knockout_sweep`, one table after the other, so that each can be kept as soon as it is
    measured.
    """
    centres = range(subject.n_layers) if layers is None else list(layers)
    windows = [LayerWindow(centre, width).layers(subject.n_layers) for centre in centres]
    if engine not in ("auto", "resume", "plain"):
        why = f"unknown engine {engine!r}; choose 'auto', 'resume' or 'plain'"
        raise ValueError(why)
    for prompt in prompts:
        for pathway in pathways:
            pathway.edges(prompt)
    obstacle = subject.resume_obstacle
    if engine == "resume" and obstacle:
        why = f"engine='resume' is not exact for {subject.name}: {obstacle}; use 'plain'"
        raise ValueError(why)
    if engine == "auto":
        engine = "plain" if obstacle else "resume"
        if obstacle:
            tqdm.write(f"{subject.name} needs the plain way: {obstacle}")
    check_bites(subject, prompts[0], pathways[0])
    workspace = workspace or plan.default_workspace(subject)
    for start in range(0, len(prompts), TOGETHER):
        some = prompts[start : start + TOGETHER]
        if engine == "plain":
            decisions = (_plain(subject, prompt, pathways, windows) for prompt in some)
        else:
            decisions, workspace = resume.blocked(subject, some, pathways, windows, workspace)
            if start == 0:
                exactness.check_against_plain(
                    subject,
                    prompts[0],
                    pathways[-1],
                    windows,
                    decisions[0][1].log_probabilities[-len(windows) :],
                )
        for prompt, (clean, blocked) in zip(some, decisions):
            table = _table(prompt, pathways, centres, clean, blocked)
            yield table.assign(model=subject.name, width=width, engine=engine, workspace=workspace)


def _plain(subject, prompt, pathways, windows) -> tuple[Decision, Decision]:
    clean = next_token_logits(subject, prompt)
    found = [blocked_plain(subject, prompt, pathway, windows, clean) for pathway in pathways]
    return decision(clean, prompt), join_decisions(found)


def _table(prompt, pathways, centres, clean: Decision, blocked: Decision) -> pd.DataFrame:
    """One row per pathway × window of one prompt."""
    log, after = clean.log_probabilities.cpu()[0], blocked.log_probabilities.cpu()
    numbers = {
        "logp_p": log[0],
        "logp_c": log[1],
        "logp_p_blocked": after[:, 0],
        "logp_c_blocked": after[:, 1],
    }
    probabilities = {name.removeprefix("log"): value.exp() for name, value in numbers.items()}
    columns = {
        name: value.double().expand(len(after)).numpy()
        for name, value in (numbers | probabilities).items()
    }
    frame = pd.MultiIndex.from_product(
        [range(len(pathways)), centres], names=["pathway", "layer"]
    ).to_frame(index=False)
    return pd.DataFrame(
        {
            "sample": prompt.sample.id,
            "following": prompt.following,
            "pathway": frame["pathway"].map(lambda number: str(pathways[number])),
            "control": frame["pathway"].map(lambda number: pathways[number].control is not None),
            "layer": frame["layer"],
            **columns,
            "token": int(clean.tokens[0]),
            "token_blocked": blocked.tokens.cpu().numpy(),
            "nssd": metrics.nssd(log[0], log[1], after[:, 0], after[:, 1]).double().numpy(),
            "divergence": blocked.divergence.double().cpu().numpy(),
        }
    )
