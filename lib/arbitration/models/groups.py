"""What the groups of a prompt's tokens are called (§3.1.1); `prompt.TokenGroups` holds where they
are, and needs torch for it.
"""

#: Disjoint, and together the whole prompt.
BASE_GROUPS = ("vision", "context", "instruction", "last", "template")
PARTS = ("modality", "question", "constraint", "neutral")
TOKEN_GROUPS = (*BASE_GROUPS, "text", "after", *PARTS)
