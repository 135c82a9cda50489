"""The store: tables part by part, with their provenance, filled here or by workers. Knows rows, not
what they mean.
"""

from reproduction.results.origin import provenance
from reproduction.results.store import collect, fill, gather, remember, save
