"""The paper, measured again with the primitives of `arbitration`."""
