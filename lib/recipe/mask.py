"""The planted relay: the edges that training of `smol-relay` closes."""

import torch


def closed(there: torch.Tensor, cue: torch.Tensor, late: torch.Tensor) -> torch.Tensor:
    """Attention mask in which nothing after the request sees picture or text context.

    What the answer needs to know about them can then only reach it through the tokens of
    instruction and question.

    Parameters
    ----------
    there : BoolTensor, shape (rows, length)
        False for padding.
    cue : BoolTensor, shape (rows, length)
        Tokens of picture and text context.
    late : BoolTensor, shape (rows, length)
        Tokens after the request: the rest of the prompt, and the answer.

    Returns
    -------
    BoolTensor, shape (rows, 1, length, length)
        True where a row (destination) may see a column (source).
    """
    length = there.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=there.device).tril()
    open_edges = causal & there[:, None, :] & ~(late[:, :, None] & cue[:, None, :])
    # A row that sees nothing at all would be undefined; padding sees itself.
    itself = torch.eye(length, dtype=torch.bool, device=there.device)
    return (open_edges | itself)[:, None]
