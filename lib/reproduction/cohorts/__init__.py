"""Which prompts are measured: who follows, who fails, whose answers are borrowed. Chooses, and
computes no number.
"""

from reproduction.cohorts import answered, failures, layouts, strangers
