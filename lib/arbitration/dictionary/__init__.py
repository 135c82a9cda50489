"""Makes the entity dictionary of a set of samples (``python -m arbitration.dictionary``)."""
