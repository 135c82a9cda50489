"""Token by token: the group of each (Fig. 2), and what the logit lens reads of both answers at the
instruction's.
"""

import pandas as pd

from arbitration.dataset.sample import Sample
from arbitration.equations.attribution import signals
from arbitration.equations.trace import trace
from arbitration.models.groups import BASE_GROUPS
from arbitration.models.prompt import identity
from reproduction.measures.rows import to_numbers

#: Prompts of each direction that are shown one by one.
SHOWN = 24


def group_tokens(subject, sample: Sample) -> pd.DataFrame:
    """Every token of a sample's two prompts with its group (Fig. 2): following, position, token,
    group.
    """
    frames = []
    for direction in ("text", "vision"):
        prompt = subject.encode(sample, direction)
        tokens = subject.tokenizer.convert_ids_to_tokens(prompt.inputs["input_ids"][0].tolist())
        of = {
            int(position): name
            for name in BASE_GROUPS
            for position in prompt.groups.positions(name)
        }
        columns = {
            **identity(subject, prompt),
            "position": range(len(tokens)),
            "token": tokens,
            "group": [of[position] for position in range(len(tokens))],
        }
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def measure_token_signals(
    subject, prompt, dictionary, pooling: str = "max", norm: bool = False
) -> pd.DataFrame:
    """Φ_f and Φ_c at each token of the instruction alone, in every layer: what Φ (`lens.phi`) is
    taken over.

    Returns
    -------
    DataFrame
        model, sample, following, layer (−1 is the embedding), position, token (its text), phi_f,
        phi_c (logits).
    """
    place = prompt.groups.instruction
    residual = trace(subject, prompt).residual
    alone = residual[:, place.to(residual.device)].unsqueeze(-2)  # one position at a time
    found = [
        to_numbers(signal(alone)).ravel()
        for signal in signals(subject, prompt, dictionary, 1, pooling, norm)
    ]
    ids = prompt.inputs["input_ids"][0][place.cpu()].tolist()
    layers = pd.RangeIndex(-1, subject.n_layers)
    places = pd.MultiIndex.from_product([layers, place.tolist()], names=["layer", "position"])
    table = places.to_frame(index=False).assign(**identity(subject, prompt))
    words = [subject.tokenizer.decode([one]) for one in ids]
    table = table.assign(token=words * len(layers), phi_f=found[0], phi_c=found[1])
    return table["model sample following layer position token phi_f phi_c".split()]
