"""Eqs. 1 to 12 and the heads of §4.2, one idea a file. One prompt's tensors: no file, no set, no
search.
"""
