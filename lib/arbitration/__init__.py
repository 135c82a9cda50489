"""Primitives of modality arbitration: every equation of the paper as one function.

>>> import arbitration as arb
>>> subject = arb.load("smol")
>>> samples = arb.dataset.load("scenes", split="held")
>>> prompt = subject.encode(samples[0], following="vision")
"""

from arbitration import (
    ability, ablations, dataset, entities, failing, figures, following, heads, lens, mc2, meaning, measure, metrics, paper, parameters, prompts, results,
    single_heads, steering, summary,
)
from arbitration.entities import EntityDictionary
from arbitration.heads import Head, head_attribution, scale_heads
from arbitration.knockout import STANDARD_PATHWAYS, LayerWindow, Pathway, knockout, knockout_sweep, knockout_tables
from arbitration.models import Subject, load
from arbitration.prompts import Prompt, TokenGroups
from arbitration.sensitivity import head_sensitivity
from arbitration.trace import Trace, trace

__all__ = [
    "STANDARD_PATHWAYS", "EntityDictionary", "Head", "LayerWindow", "Pathway", "Prompt", "Subject", "TokenGroups", "Trace",
    "ability", "ablations", "dataset", "entities", "failing", "figures", "following", "head_attribution", "head_sensitivity", "heads", "knockout",
    "knockout_sweep", "knockout_tables", "lens", "load", "mc2", "meaning", "measure", "metrics", "paper", "parameters", "prompts", "results", "scale_heads",
    "single_heads", "steering", "summary", "trace",
]
