"""A conflict sample, its words and its answers' forms; the sets. No model, a tokenizer at most."""

from arbitration.dataset.checked import load
from arbitration.dataset.sample import MODALITIES, Sample, opposite
from arbitration.dataset.sets import SPLITS, content, shuffled, source

__all__ = ["MODALITIES", "SPLITS", "Sample", "content", "load", "opposite", "shuffled", "source"]
