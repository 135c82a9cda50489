"""What a model answers, plainly, with heads scaled, and with pathways closed."""

from collections.abc import Sequence
from functools import partial
from itertools import groupby

import torch
from torch import Tensor

from arbitration.engine import recent, resume
from arbitration.engine.plain import Decision, decision, next_token_logits
from arbitration.engine.plan import Variant, closing
from arbitration.engine.recent import Recent
from arbitration.equations.heads import scale_heads_by
from arbitration.equations.knockout import knockout, standing


def answers(
    subject,
    prompt,
    gains: Tensor | None = None,
    positions: Tensor | Sequence[Tensor] | None = None,
    max_new_tokens: int | None = None,
    engine: str = "auto",
) -> list[str]:
    """Greedy answers of one prompt, one for each setting of the heads.

    Parameters
    ----------
    subject : Subject
    prompt : Prompt
    gains : Tensor, optional, (n_settings, L, n_heads)
        A factor for each head; the settings run side by side. One plain answer unless given.
    positions : Tensor or sequence of Tensor, optional
        Where the heads are scaled, in all settings alike or in each; all of the prompt unless
        given.
    max_new_tokens : int, optional
        As many as the prompt's answers may take (`Prompt.room`) unless given.
    engine : {"auto", "plain"}
        ``plain`` generates with hooks; ``auto`` resumes from one clean pass where that is exact.

    Returns
    -------
    list of str
    """
    places = torch.arange(prompt.groups.length) if positions is None else positions
    if isinstance(places, Tensor):
        places = [places] * (1 if gains is None else len(gains))
    max_new_tokens = max_new_tokens or prompt.room
    decode = partial(subject.tokenizer.batch_decode, skip_special_tokens=True)
    if gains is None or engine == "plain" or subject.resume_obstacle:
        found, start = [], 0
        for _, alike in groupby(places, key=id):
            stop = start + len(list(alike))
            own = None if gains is None else gains[start:stop]
            found += decode(_generated(subject, prompt, own, places[start], max_new_tokens)[0])
            start = stop
        return found
    variants = [
        Variant(prompt, gains=one, positions=place)
        for one, place in zip(gains, places, strict=True)
    ]
    return decode(resume.greedy(subject, prompt, variants, max_new_tokens))


def first_answer(subject, prompt, last: Recent | None = None) -> tuple[str, int]:
    """The greedy answer of one prompt, and its first token, which is the most likely one.

    Parameters
    ----------
    subject : Subject
    prompt : Prompt
    last : Recent, optional
        What the prompt asked before left, for the rows that both have in common
        (`engine.recent`); this prompt takes its place. Without it, or where such rows would not be
        exact (`recent.can_share`), the answer is generated the plain way.

    Raises
    ------
    RuntimeError
        If the first answer from common rows is not the plain way's.
    """
    own, shared = None, 0
    if last is not None and recent.can_share(subject):
        ids, logits, shared = recent.answer_after(subject, prompt, last)
        if recent.is_certain(subject, logits):
            own = subject.tokenizer.decode(ids, skip_special_tokens=True), logits[0]
    if own is None or (shared and not last.checked):
        [ids], logits = _generated(subject, prompt, None, None, prompt.room)
        plain = subject.tokenizer.decode(ids, skip_special_tokens=True), logits[0]
        if own is not None:
            recent.check_shared(subject, prompt, own, plain)
            last.checked = True
        own = plain
    return own[0], int(own[1].argmax())


def leads(
    subject, prompt, gains: Tensor, positions: Tensor, engine: str = "auto"
) -> tuple[float, Tensor]:
    """The decision's lead ln P(y_p) − ln P(y_c) at the first answer token, in nats: clean, and
    under each setting of the heads.

    Parameters
    ----------
    gains : Tensor, (n_settings, L, n_heads)
        A factor for each head.
    positions : Tensor
        Where the heads are scaled.
    engine : {"auto", "plain"}
        As in `answers`.

    Returns
    -------
    float, and Tensor of float64, (n_settings,)
    """
    if engine == "plain" or subject.resume_obstacle:
        rows = [next_token_logits(subject, prompt)]
        for one in gains:
            with scale_heads_by(subject, one, positions):
                rows.append(next_token_logits(subject, prompt))
        both = decision(torch.cat(rows), prompt).log_probabilities
    else:
        both = torch.cat(
            [
                part.log_probabilities.cpu()
                for part in resume.scaled(subject, prompt, gains, positions)
            ]
        )
    lead = (both[:, 0].double() - both[:, 1].double()).cpu()
    return lead[0].item(), lead[1:]


def answers_without(
    subject, prompt, cases, layers: range, max_new_tokens: int | None = None, engine: str = "auto"
) -> list[str]:
    """Greedy answers of one prompt, one for each set of closed pathways (Fig. 5b).

    Parameters
    ----------
    subject : Subject
    prompt : Prompt
    cases : sequence of (sequence of Pathway)
        What is closed together; nothing for an empty one.
    layers : range
        Where it is closed.
    engine : {"auto", "plain"}
        As in `answers`.

    Returns
    -------
    list of str
    """
    sets = [(pathways, layers) for pathways in cases]
    return close_sets(subject, prompt, sets, max_new_tokens, engine)[2]


def close_sets(
    subject, prompt, sets, max_new_tokens: int | None = None, engine: str = "auto"
) -> tuple[Decision, Decision, list[str]]:
    """Decision and greedy answer of one prompt, with each set of pathways closed together.

    Parameters
    ----------
    subject : Subject
    prompt : Prompt
    sets : sequence of (sequence of Pathway, range)
        What is closed together, nothing for an empty one; and in which layers.
    engine : {"auto", "plain"}
        As in `answers`.

    Returns
    -------
    clean, closed : Decision
        Of the prompt as it is, and of each set.
    list of str
        The answer under each set; edges into ``last`` stay closed while it is written.
    """
    max_new_tokens = max_new_tokens or prompt.room
    if engine == "plain" or subject.resume_obstacle:
        clean, logits, ids = next_token_logits(subject, prompt), [], []
        for pathways, layers in sets:
            with knockout(subject, prompt, pathways, layers):
                logits.append(next_token_logits(subject, prompt))
                ids += _generated(subject, prompt, None, None, max_new_tokens)[0]
        found = decision(clean, prompt), decision(torch.cat(logits), prompt, clean)
    else:
        variants = [
            variant for pathways, layers in sets for variant in closing(prompt, pathways, [layers])
        ]
        *found, ids = resume.written(subject, prompt, variants, max_new_tokens)
    return *found, subject.tokenizer.batch_decode(ids, skip_special_tokens=True)


def steered(
    subject,
    prompt,
    gains: Tensor,
    positions: Tensor,
    generated: bool = False,
    max_new_tokens: int | None = None,
) -> tuple[list[str], Tensor]:
    """Greedy answers and the decision's leads of one prompt under each setting of the heads, in one
    pass, the plain way.

    Parameters
    ----------
    gains : Tensor, (n_settings, L, n_heads)
        A factor for each head.
    positions : Tensor
        Where in the prompt the heads are scaled.
    generated : bool
        At every generated token too.

    Returns
    -------
    list of str, and Tensor, (n_settings,)
        Leads as in `leads`, from logits in float32.
    """
    ids, logits = _generated(
        subject, prompt, gains, positions, max_new_tokens or prompt.room, generated
    )
    both = decision(logits, prompt).log_probabilities.cpu()
    return subject.tokenizer.batch_decode(ids, skip_special_tokens=True), both[:, 0] - both[:, 1]


@torch.no_grad()
def _generated(
    subject, prompt, gains, positions, max_new_tokens, generated=False
) -> tuple[Tensor, Tensor]:
    """Token ids after the prompt and the first token's logits, the plain way: the settings as one
    batch, heads scaled by hooks.
    """
    settings = 1 if gains is None else len(gains)
    inputs = {key: torch.cat([value] * settings) for key, value in prompt.inputs.items()}
    tokenizer = subject.tokenizer
    padding = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    options = {
        "max_new_tokens": max_new_tokens,
        "do_sample": False,
        "repetition_penalty": 1.0,
        "pad_token_id": padding,
    }
    unchanged = torch.ones(subject.n_layers, subject.n_heads)
    chosen = unchanged if gains is None else gains
    with standing(subject, prompt), scale_heads_by(subject, chosen, positions, generated):
        out = subject.model.generate(
            **inputs, **options, return_dict_in_generate=True, output_logits=True
        )
    ids = out.sequences
    return ids[:, inputs["input_ids"].shape[1] :] if "input_ids" in inputs else ids, out.logits[0]
