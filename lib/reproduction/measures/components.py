"""What attention and MLP of each layer add to signal and margin (Eqs. 10 and 11)."""

import pandas as pd

from arbitration.dataset.sample import Sample
from arbitration.equations.attribution import signals, sublayer_increments
from arbitration.equations.trace import trace
from arbitration.models.prompt import identity
from reproduction.measures.beliefs import list_dictionaries
from reproduction.measures.rows import to_numbers


def measure_components(
    subject, prompt, dictionary, borrowed: Sample, positions: str = "instruction", **options
) -> pd.DataFrame:
    """Increments of the followed signal and of the margin by attention and MLP (Eqs. 10 and 11).

    Returns
    -------
    DataFrame
        layer, dictionary, attention_signal, mlp_signal, attention_margin, mlp_margin, and the
        signals after the layer signal_f, signal_c; all in logits.
    """
    activations = trace(subject, prompt)
    place = prompt.groups.positions(positions).to(activations.residual.device)
    residual, attention, mlp = (
        part[:, place] for part in (activations.residual, activations.attention, activations.mlp)
    )
    frames = []
    for source, sample in list_dictionaries(prompt, borrowed):
        followed, competitor = signals(subject, prompt, dictionary, sample=sample, **options)
        signal = sublayer_increments(residual[:-1], attention, mlp, followed)
        rival = sublayer_increments(residual[:-1], attention, mlp, competitor)
        columns = {
            **identity(subject, prompt),
            "layer": range(subject.n_layers),
            "dictionary": source,
            "attention_signal": to_numbers(signal[0]),
            "mlp_signal": to_numbers(signal[1]),
            "attention_margin": to_numbers(signal[0] - rival[0]),
            "mlp_margin": to_numbers(signal[1] - rival[1]),
            "signal_f": to_numbers(followed(residual[1:])),
            "signal_c": to_numbers(competitor(residual[1:])),
        }
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)
