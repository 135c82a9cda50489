"""What the paper and its authors say, and the rules by which a measurement agrees. Reads
data/*.json, measures nothing.
"""
