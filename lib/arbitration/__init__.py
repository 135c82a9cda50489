"""Primitives of modality arbitration: every equation of the paper as one function.

>>> import arbitration as arb
>>> subject = arb.load("smol")
>>> samples = arb.dataset.load("scenes", split="held")
>>> prompt = subject.encode(samples[0], following="vision")

=====================  =================================  ============================
of the paper           here                               where it is written
=====================  =================================  ============================
Eqs. 1, 3 and 4        `trace`                            ``equations/trace.py``
Eq. 2                  `lens.logits`                      ``equations/lens.py``
Eq. 5                  `knockout`                         ``equations/knockout.py``
Eq. 5 over layers      `knockout_sweep`                   ``engine/sweep.py``
Eq. 6                  `metrics.binary_subspace`          ``equations/metrics.py``
Eq. 7                  `metrics.nssd`                     ``equations/metrics.py``
Eq. 8                  `lens.phi`                         ``equations/lens.py``
Eq. 9                  `metrics.ldar`                     ``equations/metrics.py``
Eqs. 10 and 11         `attribution.sublayer_increments`  ``equations/attribution.py``
Eq. 12                 `attribution.head_increments`      ``equations/attribution.py``
Eq. 12 over prompts    `head_attribution`                 ``equations/attribution.py``
§4.2.2, scaled heads   `scale_heads`                      ``equations/heads.py``
§4.2.2, the ratio MFR  `metrics.mfr`                      ``equations/metrics.py``
=====================  =================================  ============================
"""

from importlib import import_module

#: The face: each name and the module that it is written in, or that it is. A module is imported
#: when its name is first asked for, so that a command which only looks for files does not wait for
#: torch.
FACE = {
    "dataset": "dataset",
    "entities": "dataset.entities",
    "mc2": "dataset.mc2",
    "load": "models.load",
    "Subject": "models.subject",
    "Prompt": "models.prompt",
    "TokenGroups": "models.prompt",
    "trace": "equations.trace",
    "Trace": "equations.trace",
    "lens": "equations.lens",
    "metrics": "equations.metrics",
    "attribution": "equations.attribution",
    "heads": "equations.heads",
    "Head": "equations.heads",
    "scale_heads": "equations.heads",
    "head_attribution": "equations.attribution",
    "head_sensitivity": "equations.sensitivity",
    "knockout": "equations.knockout",
    "Pathway": "equations.knockout",
    "LayerWindow": "equations.knockout",
    "STANDARD_PATHWAYS": "equations.knockout",
    "knockout_sweep": "engine.sweep",
    "knockout_tables": "engine.sweep",
}
__all__ = list(FACE)


def __getattr__(name: str):
    if name not in FACE:
        why = f"arbitration has no {name!r}; it has {', '.join(FACE)}"
        raise AttributeError(why)
    module = import_module(f"arbitration.{FACE[name]}")
    return getattr(module, name, module)


def __dir__() -> list[str]:
    return sorted(FACE)
