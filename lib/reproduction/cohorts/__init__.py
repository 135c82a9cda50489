"""Which prompts are measured: who follows, who fails, whose answers are borrowed. Chooses, and
computes no number.
"""

from reproduction.cohorts import answered, failures, layouts, strangers
from reproduction.cohorts.answered import ask_samples, encode_decidable, keep_asked, last_usable
from reproduction.cohorts.layouts import ask_layouts, choose_by_layout
from reproduction.cohorts.strangers import draw_strangers
from reproduction.cohorts.studies import (
    Study,
    choose,
    failing,
    first,
    halves,
    lend_answers,
    mark_mix,
    study,
)
