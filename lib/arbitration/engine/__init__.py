"""Passes with interventions, the plain way and the resumed way. Says the same as the equations,
sooner; holds no measure.
"""
