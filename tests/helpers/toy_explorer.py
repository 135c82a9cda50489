"""Tables of a run for the page Explorer: a model that has every table, one that has a single one,
and words that would be a page's if they were not shown as they are.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from arbitration import dataset
from arbitration.equations import metrics
from reproduction.results.origin import picture_of

LAYERS, HEADS = 12, 4
WAYS = ("text", "vision")
PATHS = (
    "context→instruction",
    "vision→instruction",
    "instruction→last",
    "vision→last",
    "context→last",
)
WIDE = ("vision→last", "context→last")
WORDINGS = ("Follow the {A}.", "Trust the {A}.", "Go by the {A}.")
#: What a reader's own set may hold.
HOSTILE = (
    """<script>throw new Error("pwned")</script> "><img src=x onerror="throw Error('pwned')"> """
    "\\'`${pwned}` </script><!-- \\u2028 \u2028 \\( \\frac{a &lt; &copy;"
)
FULL, BARE = "smol", "org/bare"


def _grid(samples, **levels) -> pd.DataFrame:
    """A row for every sample, direction and combination of levels; samples in their order."""
    index = pd.MultiIndex.from_product(
        [samples["sample"], WAYS, *levels.values()], names=["sample", "following", *levels]
    )
    return index.to_frame(index=False).merge(samples, on="sample").assign(model=FULL)


def _sweep(samples, random, width, pathways, control=False) -> pd.DataFrame:
    table = _grid(samples, pathway=pathways, control=[control], layer=range(LAYERS))
    bump = np.exp(-(((table["layer"] - 7) / 2.0) ** 2)) * (0.2 if control else 1.0)
    strength = table["pathway"].map({name: 6.0 / (1 + at) for at, name in enumerate(PATHS)})
    start = 4.0 + random.normal(size=len(samples))[table.groupby("sample", sort=False).ngroup()]
    left = start - strength * bump * width / 3 + 0.3 * random.normal(size=len(table))
    leads = {"": torch.tensor(np.asarray(start)), "_blocked": torch.tensor(left.to_numpy())}
    logs = {}
    for end, lead in leads.items():
        logs[f"logp_p{end}"] = torch.nn.functional.logsigmoid(lead)
        logs[f"logp_c{end}"] = torch.nn.functional.logsigmoid(-lead)
    found = metrics.nssd(*logs.values())
    return table.assign(
        width=width, nssd=found.numpy(), **{name: one.numpy() for name, one in logs.items()}
    )


def _sets(samples, random, setting, ranked, sets) -> pd.DataFrame:
    along = {"share": [0.01, 0.05, 0.1]} if setting == "blocking" else {"factor": [1.5, 2.0, 5.0]}
    table = _grid(samples, positions=["instruction", "last"], heads=sets, draw=[0, 1], **along)
    follows = random.random(len(table)) < (0.8 if setting == "blocking" else 0.4)
    table = table.assign(outcome=np.where(follows, "follow", "competitor"), setting=setting)
    start = _grid(samples, positions=["instruction"], heads=["original"], draw=[0])
    start = start.assign(outcome="follow", setting=setting, share=0.0, factor=1.0)
    return pd.concat([start, table], ignore_index=True).assign(ranked_on=ranked)


def make_tables(n: int = 8, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Every table that the page reads: of `n` samples, of which the first half are shipped scenes
    and the others a reader's own.
    """
    random = np.random.default_rng(seed)
    scenes = dataset.load("scenes", "held")[: n // 2]
    names = [scene.id for scene in scenes] + [f"own-{at}" for at in range(n - n // 2)]
    images = [picture_of(scene) for scene in scenes] + [f"none{at}" for at in range(n - n // 2)]
    wordings = [WORDINGS[at % len(WORDINGS)] for at in range(n)]
    samples = pd.DataFrame({"sample": names, "image": images, "wording": wordings})
    few, half = samples[: n // 2], samples[n // 2 :]
    tables = {
        "knockout": _sweep(samples, random, 3, PATHS),
        "knockout_controls": _sweep(few, random, 3, PATHS, control=True),
    }
    swept = [_sweep(few, random, width, WIDE, c) for width in (1, 3, 5) for c in (False, True)]
    tables["windows"] = pd.concat(swept, ignore_index=True)
    heads = _grid(samples, layer=range(LAYERS), head=range(HEADS))
    size = (heads["layer"] == 8) * (heads["head"] == 2) * 5.0 - (heads["layer"] == 3) * 1.0
    heads = heads.assign(margin=size + random.normal(size=len(heads)))
    tables["heads"] = heads
    scores = heads.assign(
        eq12=heads["margin"], sensitivity_instruction=random.normal(size=len(heads))
    )
    tables["head_scores"] = scores.drop(columns="margin")
    effects = _grid(half, positions=["instruction", "last"], layer=range(LAYERS), head=range(HEADS))
    lost = random.normal(size=len(effects))
    tables["head_effects"] = effects.assign(effect=lost, turned=lost > 1.5)
    paper = ["target", "matched", "random"]
    tables["blocking"] = _sets(half, random, "blocking", "", paper)
    failed = _sets(half, random, "amplification", "", paper)
    kinds = dict(zip(half["sample"], ["natural", "weakened"] * n))
    tables["amplification"] = failed.assign(source=failed["sample"].map(kinds))
    tested = ["sensitivity", "sensitivity matched", "random"]
    same = _sets(half, random, "blocking", "same samples", tested[:1]).assign(outcome="other")
    tested_here = _sets(half, random, "blocking", "other samples", tested)
    tables["head_blocking"] = pd.concat([tested_here, same], ignore_index=True)
    weak = _sets(half, random, "amplification", "other samples", tested)
    tables["head_amplification"] = weak.assign(source="weak evidence")
    beliefs = _grid(
        samples,
        layer=range(-1, LAYERS),
        positions=["instruction", "last"],
        dictionary=["own", "shuffled"],
    )
    followed = beliefs["layer"] - 5 + random.normal(size=len(beliefs))
    tables["beliefs"] = beliefs.assign(phi_f=followed, phi_c=0.0)
    signals = _grid(samples, layer=range(-1, LAYERS), position=range(20, 24))
    words = dict(zip(range(20, 24), ("Follow", " the", " <b>text</b>", ".")))
    signals = signals.assign(
        token=signals["position"].map(words),
        phi_f=random.normal(size=len(signals)),
        phi_c=random.normal(size=len(signals)),
    )
    tables["token_signals"] = signals
    answers = _grid(samples).assign(answer=f" door {HOSTILE}", outcome="follow")
    tables["answers"] = answers
    closed = _grid(samples, place=["own", "scaled"], blocked=["none", "instruction→last"])
    layers = closed["place"].map({"own": "3–5", "scaled": "8–10"})
    tables["paths"] = closed.assign(layers=layers, answer=HOSTILE, outcome="other")
    parts = ["question", "context", *["instruction"] * 2, *["answer"] * 2]
    numbered = list(enumerate(parts))
    texts = [(name, part, f"{part} {at} {HOSTILE}") for name in names for at, part in numbered]
    tables["texts"] = pd.DataFrame(texts, columns=["sample", "part", "text"])
    origin = {"table": ["knockout"], "origin": ["measured here: 16 prompts"]}
    tables["sec3_knockout_origins"] = pd.DataFrame(origin)
    return tables


def write_tables(executed: Path) -> dict[str, pd.DataFrame]:
    """Both models' tables below a folder; returns those of the full one."""
    tables = make_tables()
    for model, some in ((FULL, tables), (BARE, {"knockout": tables["knockout"]})):
        folder = executed / model / "tables"
        folder.mkdir(parents=True)
        for name, table in some.items():
            table.to_parquet(folder / f"{name}.parquet")
    return tables
