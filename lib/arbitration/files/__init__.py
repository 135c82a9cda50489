"""Bytes: where they lie, how they come, written whole or not at all. Knows no sample, no model, no
number.
"""
