"""First answers of prompts that begin alike: rows that the last prompt had too are not computed
again.

Both instructions of a sample, an instruction mixed with its mirror image, and other wordings stand
behind the same picture and context. Attention looks back, so a row is as it was if the decoder is
given the same for it and for every row before it. That is never assumed: the model makes the
decoder's inputs of every prompt anew, picture included, and rows are compared number for number
(embedding, position, what the row sees). An answer that rounding could turn is asked for once more,
the plain way.
"""

from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves
from transformers import DynamicCache

from arbitration.engine.exactness import EXACT
from arbitration.engine.plain import continued
from arbitration.engine.plan import usual_mask
from arbitration.engine.resume import end_tokens
from arbitration.equations.hooks import hooks
from arbitration.equations.knockout import standing

#: Where transformers has the hooks that keep what it is asked for.
CAPTURING = "transformers.utils.output_capturing"
#: What a decoder is given, of which no more is asked than that all tokens of the prompt count.
ASIDE = ("attention_mask", "past_key_values", "use_cache")
ROWS = ("inputs_embeds", "position_ids")


@dataclass(frozen=True)
class Rows:
    """What a decoder is given of a prompt, row by row.

    Attributes
    ----------
    embeddings : Tensor, (N, d)
        The picture's rows included.
    positions : Tensor or None, (..., N)
        None where they are just counted.
    seen : Tensor, (N, N)
        True where a row looks.
    """

    embeddings: Tensor
    positions: Tensor | None
    seen: Tensor

    def common(self, other: "Rows") -> int:
        """How many rows are the same from the first on."""
        length = min(len(self.seen), len(other.seen))
        same = (self.embeddings[:length] == other.embeddings[:length]).all(-1).cpu()
        same &= (self.seen[:length, :length] == other.seen[:length, :length]).all(-1)
        if (self.positions is None) != (other.positions is None):
            return 0
        if self.positions is not None:
            one, two = (rows.positions[..., :length].cpu() for rows in (self, other))
            if one.shape != two.shape:
                return 0
            same &= (one == two).reshape(-1, length).all(0)
        return int(same.long().cumprod(0).sum())


@dataclass
class Recent:
    """The last prompt that one model was asked, nothing at first: what its decoder was given, and
    every layer's keys and values.

    Attributes
    ----------
    subject : Subject, optional
    weights : tuple
        Of the model when it was asked, by where they lie and how often they were changed in place.
    rows : Rows, optional
    keys, values : list of Tensor, (1, n_heads, N, d_head)
    checked : bool
        Whether an answer from common rows was once compared with the plain way's.
    """

    subject: object = None
    weights: tuple = ()
    rows: Rows | None = None
    keys: list[Tensor] = field(default_factory=list, repr=False)
    values: list[Tensor] = field(default_factory=list, repr=False)
    checked: bool = False

    def common(self, subject, rows: Rows) -> int:
        """How many rows of a prompt are at hand: none of another subject's or of other weights."""
        if self.rows is None or self.subject is not subject or self.weights != _weights(subject):
            return 0
        return self.rows.common(rows)

    def keep(self, subject, rows: Rows, cache: DynamicCache) -> None:
        """Take a prompt's rows for the last one's."""
        length = len(rows.seen)
        self.subject, self.weights, self.rows = subject, _weights(subject), rows
        self.keys = [layer.keys[:, :, :length] for layer in cache.layers]
        self.values = [layer.values[:, :, :length] for layer in cache.layers]


def can_share(subject) -> bool:
    """Whether answers from common rows are those of full passes: where resuming is exact, rounding
    is bounded (`exactness.EXACT`), and nobody has a hook in a layer.

    Hooks that transformers leaves in every layer once it was asked for hidden states or attentions
    only look on.
    """
    if subject.resume_obstacle or subject.model.dtype not in EXACT:
        return False
    found = [
        hook
        for part in subject.layers.modules()
        for hook in (*part._forward_hooks.values(), *part._forward_pre_hooks.values())
    ]
    return all(getattr(hook, "__module__", "") == CAPTURING for hook in found)


@torch.no_grad()
def answer_after(subject, prompt, recent: Recent) -> tuple[list[int], list[Tensor], int]:
    """The greedy answer of one prompt, computed from the first row that the last prompt did not
    have.

    The compliant answer's first token is passed behind the prompt as a guess: where the model
    writes it, the next token needs no pass of its own.

    Returns
    -------
    ids : list of int
        Up to and without the end token.
    logits : list of Tensor, (vocabulary,)
        From which each token was taken, the end token included.
    shared : int
        How many rows were not computed.
    """
    cache = DynamicCache(config=subject.decoder.config)
    ids = torch.tensor([[prompt.y_p]], device=subject.device)
    with standing(subject, prompt), _from_common_rows(subject, prompt, recent, cache) as shared:
        both = subject.model(
            **continued(subject, prompt, ids),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=2,
        ).logits[0]
        logits, written = [both[0]], []
        while (token := int(logits[-1].argmax())) not in end_tokens(subject):
            written.append(token)
            if len(written) == prompt.room:
                break
            if len(written) == 1 and token == prompt.y_p:
                logits.append(both[1])
                continue
            if len(written) == 1:
                cache.crop(-1)
            ids = torch.tensor([[token]], device=subject.device)
            out = subject.model(input_ids=ids, past_key_values=cache, logits_to_keep=1)
            logits.append(out.logits[0, -1])
    return written, logits, shared[0]


def is_certain(subject, logits: list[Tensor]) -> bool:
    """Whether no token of an answer hangs on rounding: the likeliest leads by more than twice what
    two ways may differ by.
    """
    best = torch.stack(logits).topk(2).values
    return bool((best[:, 0] - best[:, 1] > 2 * EXACT[subject.model.dtype]).all())


def check_shared(subject, prompt, one: tuple[str, Tensor], plain: tuple[str, Tensor]) -> None:
    """Compare an answer from common rows and its first token's logits with those of full passes, as
    transformers generates them: its logits have float32 at most.

    Raises
    ------
    RuntimeError
        With both answers and the difference, if it is more than rounding.
    """
    bound = EXACT[plain[1].dtype]
    own, full = (logits.log_softmax(-1)[[prompt.y_p, prompt.y_c]] for _, logits in (one, plain))
    off = (own - full).abs().max().item()
    if one[0] != plain[0] or not off <= bound:
        why = (
            f"{subject.name} answers {prompt.id} by {one[0]!r} behind rows that another prompt "
            f"left, by {plain[0]!r} in full passes, {off:.2g} nats apart at the first token (at "
            f"most {bound:g} is rounding in {plain[1].dtype}); please report it, and ask with "
            f"`first_answer(subject, prompt)` alone"
        )
        raise RuntimeError(why)


@contextmanager
def _from_common_rows(subject, prompt, recent: Recent, cache: DynamicCache):
    """The decoder's first call in the body leaves out the rows that `recent` has, reads their keys
    and values, and leaves its own prompt there; yields a list that is given how many.
    """
    shared: list[int] = []
    length = prompt.groups.length

    def skip(module, args, kwargs):
        if shared:
            return None
        rows = None if args else _rows_of(subject, prompt, kwargs)
        start = 0 if rows is None else min(recent.common(subject, rows), length - 1)
        if start <= int(prompt.groups.vision.max()):
            start = 0  # of another picture's prompt a full pass is worth more than a few rows
        shared.append(start)
        given.append(rows)
        for number in range(subject.n_layers) if start else ():
            part = recent.keys[number][:, :, :start], recent.values[number][:, :, :start]
            cache.update(*part, number)
        own = {"inputs_embeds": kwargs["inputs_embeds"][:, start:]} if start else {}
        if start and kwargs.get("position_ids") is not None:
            own["position_ids"] = kwargs["position_ids"][..., start:]
        return args, {**kwargs, **own}

    def keep(module, args, out):
        if given and (rows := given.pop()) is not None:
            recent.keep(subject, rows, cache)

    given: list[Rows | None] = []
    with hooks(
        [
            subject.decoder.register_forward_pre_hook(skip, with_kwargs=True),
            subject.decoder.register_forward_hook(keep),
        ]
    ):
        yield shared


def _rows_of(subject, prompt, kwargs: dict) -> Rows | None:
    """What a decoder is given of a prompt row by row; None if it is given anything else that may
    say something of rows, as features of the picture for later layers.
    """
    length, mask = prompt.groups.length, kwargs.get("attention_mask")
    rest = [value for name, value in kwargs.items() if name not in (*ASIDE, *ROWS)]
    if any(isinstance(leaf, Tensor) for leaf in tree_leaves(rest)):
        return None
    if mask is not None and not (isinstance(mask, Tensor) and mask.ndim == 2 and mask.all()):
        return None
    positions = kwargs.get("position_ids")
    return Rows(
        kwargs["inputs_embeds"][0, :length],
        None if positions is None else positions[..., :length],
        usual_mask(subject, prompt, 0),
    )


def _weights(subject) -> tuple:
    return tuple((weight.data_ptr(), weight._version) for weight in subject.model.parameters())
