"""Every token of a sample's prompts with its group (Fig. 2)."""

import pandas as pd

from arbitration.dataset.sample import Sample
from arbitration.models.prompt import BASE_GROUPS, identity


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
