"""Φ_f and Φ_c in every layer (Eq. 8), from which the LDAR (Eq. 9) is counted."""

import pandas as pd
from torch import Tensor

from arbitration.dataset.sample import Sample
from arbitration.equations.attribution import signals
from arbitration.equations.trace import trace
from arbitration.models.prompt import identity
from reproduction.measures.rows import to_numbers

OWN, SHUFFLED = "own", "shuffled"
COLUMNS = "model sample following layer positions dictionary phi_f phi_c".split()


def measure_beliefs(subject, prompt, dictionary, borrowed: Sample, **options) -> pd.DataFrame:
    """Φ_f and Φ_c in every layer (Eq. 8), at the instruction tokens and the last position.

    Parameters
    ----------
    borrowed : Sample or None
        Whose answers the control reads (`strangers.borrow_answers`); none for None.
    **options
        ``top_k``, ``pooling``, ``norm`` of `lens.phi`.

    Returns
    -------
    DataFrame
        layer (−1 is the embedding), positions, dictionary ("own" or "shuffled"), phi_f, phi_c
        (logits).
    """
    residual = trace(subject, prompt).residual
    frames = [
        read_beliefs(subject, prompt, dictionary, residual, sample, **options).assign(
            dictionary=source
        )
        for source, sample in list_dictionaries(prompt, borrowed)
    ]
    return pd.concat(frames, ignore_index=True)[COLUMNS]


def read_beliefs(
    subject, prompt, dictionary, residual: Tensor, sample: Sample, **options
) -> pd.DataFrame:
    """Φ_f and Φ_c of a sample's answers in a prompt's residual stream (`trace`).

    Returns
    -------
    DataFrame
        As `measure_beliefs`, without the column dictionary.
    """
    frames = []
    for name, own_options in (("instruction", options), ("last", options | {"top_k": 1})):
        place = prompt.groups.positions(name).to(residual.device)
        followed, competitor = signals(subject, prompt, dictionary, sample=sample, **own_options)
        columns = {
            **identity(subject, prompt),
            "layer": range(-1, subject.n_layers),
            "positions": name,
            "phi_f": to_numbers(followed(residual[:, place])),
            "phi_c": to_numbers(competitor(residual[:, place])),
        }
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def list_dictionaries(prompt, borrowed: Sample | None) -> list[tuple[str, Sample]]:
    """Whose answers are read of a prompt: its own, and as a control the stranger's, if there is
    one.
    """
    return [(OWN, prompt.sample)] + ([] if borrowed is None else [(SHUFFLED, borrowed)])
