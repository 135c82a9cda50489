"""What the paper and its authors say, and the rule by which a measurement bears it out. Reads
data/*.json, measures nothing.
"""
