"""Does a model do what the measures take for granted? One function for each thing.

Every check compares two ways to the same numbers, one of which does not use what is checked. A
measure that an architecture does not allow must say so itself, with the reason: that is *refused*.
Anything else is *failed*.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from arbitration.checks.verdict import Refused, Result, check, require
from arbitration.dataset.sample import MODALITIES, opposite
from arbitration.engine import exactness, resume
from arbitration.engine.generation import answers, first_answer, leads
from arbitration.engine.plain import (
    blocked_plain,
    check_bites,
    continued,
    log_softmax,
    next_token_logits,
)
from arbitration.engine.recent import Recent
from arbitration.engine.sweep import knockout_sweep
from arbitration.equations.attribution import head_attribution, head_writes
from arbitration.equations.heads import Head, gain_table, scale_heads
from arbitration.equations.hooks import hooks
from arbitration.equations.knockout import Pathway, knockout, standing
from arbitration.equations.lens import final_norm, logits
from arbitration.equations.trace import precision, trace, widened
from arbitration.models.groups import BASE_GROUPS
from arbitration.models.prompt import NoDecision

NEW_TOKENS = 4


@check
def token_groups(subject, prompt) -> str:
    """The groups are a partition, hold the words that they should, and the image's group is what
    the model fills from the picture.
    """
    groups, ids = prompt.groups, prompt.inputs["input_ids"][0]
    together = torch.cat([groups.positions(name) for name in BASE_GROUPS]).sort().values
    require(
        torch.equal(together, torch.arange(len(ids))),
        f"the groups hold {len(together)} positions, the prompt has {len(ids)} tokens",
    )
    sample = prompt.sample
    for group, words in (
        ("context", sample.context),
        ("question", sample.question),
        ("modality", sample.instruction(prompt.following)),
    ):
        found = subject.tokenizer.decode(ids[groups.positions(group).to(ids.device)])
        require(
            _squeezed(words) in _squeezed(found),
            f"the group {group!r} reads {found!r}; it should hold {words!r}",
        )
    given = _decoder_input(subject, prompt.inputs)
    filled = (given != subject.model.get_input_embeddings()(ids).to(given)).any(-1).cpu()
    wrong = filled.nonzero().flatten().tolist()
    require(
        wrong == groups.vision.tolist(),
        f"the model fills {len(wrong)} positions from the picture, the group 'vision' has "
        f"{len(groups.vision)}: others",
    )
    another = prompt.inputs | {"pixel_values": -prompt.inputs["pixel_values"]}
    moved = (given != _decoder_input(subject, another)).any(-1).cpu()
    require(
        moved.any() and not (moved & ~filled).any(),
        f"another picture changes {int(moved.sum())} positions, of which "
        f"{int((moved & ~filled).sum())} are no image",
    )
    return (
        f"{len(groups.vision)} image tokens, {len(groups.context)} of the context, "
        f"{len(groups.instruction)} of the instruction, {len(ids)} in all"
    )


@check
def engine(subject, prompt) -> str:
    """Resuming gives the numbers of full passes: closed pathways, one of them among the image's own
    rows, and scaled heads at all rows.
    """
    if subject.resume_obstacle:
        to_last = [Pathway("text", "last")]
        _expect_refusal(
            lambda: knockout_sweep(subject, [prompt], to_last, engine="resume", progress=False),
            subject.resume_obstacle,
            "the engine",
        )
        why = f"{subject.resume_obstacle}: measured the plain way"
        raise Refused(why)
    bound = exactness.rounding(subject, prompt)
    windows = _compare_closed(subject, prompt, bound)
    settings = _compare_scaled(subject, prompt, bound)
    return (
        f"{windows} closed windows and {settings} settings of heads within {bound:.2g} "
        f"nats of full passes"
    )


def _compare_closed(subject, prompt, bound: float) -> int:
    """Resumed and full passes under closed pathways; how many closed windows were compared."""
    pathways = [
        Pathway("vision", "text"),
        Pathway("context", "instruction"),
        Pathway("instruction", "last"),
        Pathway("vision", "vision"),
    ]
    depth = subject.n_layers
    windows = [range(1), range(depth // 2, depth // 2 + 1), range(depth - 1, depth), range(depth)]
    [(clean, resumed)], _ = resume.blocked(subject, [prompt], pathways, windows)
    plain = torch.cat(
        [blocked_plain(subject, prompt, pathway, windows).log_probabilities for pathway in pathways]
    ).cpu()
    off, moved = (
        (one - plain).abs().max().item()
        for one in (resumed.log_probabilities.cpu(), clean.log_probabilities.cpu())
    )
    require(
        moved > bound,
        f"closing pathways moved nothing by more than {moved:.1g} nats, so nothing was "
        f"compared (at most {bound:.2g} is rounding in {subject.model.dtype})",
    )
    require(
        off <= bound,
        f"resumed and full passes differ by {off:.2g} nats under closed pathways; "
        f"{bound:.2g} is rounding in {subject.model.dtype}",
    )
    return len(plain)


def _compare_scaled(subject, prompt, bound: float) -> int:
    """Resumed and full passes under scaled heads; how many settings were compared."""
    gains, everywhere = _gains(subject), torch.arange(prompt.groups.length)
    clean, quick = leads(subject, prompt, gains, everywhere)
    _, slow = leads(subject, prompt, gains, everywhere, engine="plain")
    off, moved = (quick - slow).abs().max().item(), (slow - clean).abs().max().item()
    require(
        moved > bound,
        f"scaling heads moved nothing by more than {moved:.1g} nats, so nothing was "
        f"compared (at most {bound:.2g} is rounding in {subject.model.dtype})",
    )
    require(
        off <= 2 * bound,
        f"resumed and full passes differ by {off:.2g} nats under scaled heads; "
        f"{2 * bound:.2g} is rounding in {subject.model.dtype}",
    )
    return len(gains)


def _expect_refusal(measure: Callable, obstacle: str, name: str) -> None:
    """A measure that the architecture does not allow must stop, and name what stands in the way."""
    try:
        measure()
    except ValueError as error:
        require(
            obstacle in str(error),
            f"{name} refuses for another reason than {obstacle!r}: {error}",
        )
    else:
        why = f"{name} runs although {obstacle}"
        raise AssertionError(why)


@check
def residual_sums(subject, prompt) -> str:
    """Eq. 1 at every position, and the prediction is the unembedding, Eq. 2's E_u, of the normed
    last residual stream.
    """
    activations = trace(subject, prompt)
    unembedding = subject.unembedding
    state = final_norm(subject)(widened(activations.residual[-1, -1])).to(unembedding.device)
    # The whole of it in float32 may not fit beside a large model.
    found = torch.cat([logits(state, rows) for rows in unembedding.split(2**14)])
    off = log_softmax(found).to(activations.log_probabilities) - activations.log_probabilities
    off = off.abs().max().item()
    bound = max(exactness.rounding(subject, prompt, whole=True), 1e-4)
    require(
        off <= bound,
        f"norm and unembedding of the last residual stream miss the prediction by "
        f"{off:.2g} nats; at most {bound:.2g} is rounding",
    )
    apart = f"; at the image's, {subject.image_term} besides" if subject.image_term else ""
    return (
        f"H + A + F in all {subject.n_layers} layers at all {prompt.groups.length} positions{apart}"
    )


@check
def head_sums(subject, prompt) -> str:
    """What the heads write sums to what the attention adds, as Eqs. 3 and 12 have it."""
    if subject.head_obstacle:
        _expect_refusal(
            lambda: head_attribution(subject, [prompt]), subject.head_obstacle, "head attribution"
        )
        why = f"head attribution (Eq. 12): {subject.head_obstacle}"
        raise Refused(why)
    activations, worst = trace(subject, prompt), 0.0
    dtype = subject.model.dtype
    # What is added is rounded once, the sum is taken here.
    bound = 4 * torch.finfo(dtype).eps + 64 * torch.finfo(precision(dtype)).eps
    for layer in range(subject.n_layers):
        projection, added = subject.output_projection(layer), widened(activations.attention[layer])
        total = head_writes(activations.heads[layer], projection.weight.to(added.device)).sum(0)
        total = total if projection.bias is None else total + projection.bias.to(added)
        off = (total - added).abs().max() / added.abs().max()
        worst = max(worst, off.item())
        require(
            off <= bound,
            f"the heads of layer {layer} miss what its attention adds by {off.item():.2g} "
            f"of its largest entry",
        )
    return (
        f"{subject.n_layers} × {subject.n_heads} heads, at most {worst:.1g} of the largest "
        f"entry apart"
    )


@check
def knockout_canary(subject, prompt) -> str:
    """Closed edges have no attention at all, closing nothing changes nothing, and closing the last
    token's edges changes the answer's odds.
    """
    pathway, layers = Pathway("text", "last"), range(subject.n_layers)
    middle = subject.n_layers // 2
    check_bites(subject, prompt, pathway)
    clean = log_softmax(next_token_logits(subject, prompt))
    off, moved = (
        (log_softmax(_logits_without(subject, prompt, closed, layers)) - clean).abs().max().item()
        for closed in ([], [pathway])
    )
    bound = exactness.rounding(subject, prompt, whole=True)
    require(
        off <= bound,
        f"closing nothing moves the prediction by {off:.2g} nats; at most {bound:.2g} is "
        f"rounding in {subject.model.dtype}",
    )
    require(
        moved > bound,
        f"closing {pathway} in all layers moves the prediction by no more than {moved:.2g} "
        f"nats; {bound:.2g} is rounding in {subject.model.dtype}",
    )
    source, target = pathway.edges(prompt)
    before, after = (
        _attention(subject, prompt, closed, middle)[:, target[:, None], source[None, :]]
        for closed in ([], [pathway])
    )
    require(
        (before > 0).any(),
        f"no head of layer {middle} attends along {pathway} anyway, so that nothing was closed",
    )
    require(
        (after == 0).all(),
        f"closed edges of {pathway} in layer {middle} keep up to {after.max().item():.2g} "
        f"of attention",
    )
    return (
        f"{pathway} closed moves the prediction by {moved:.2g} nats and has no attention left, "
        f"before at most {before.max().item():.2g}"
    )


@check
def generation(subject, prompt) -> str:
    """Token by token with a cache is one pass over prompt and answer: as it is, with a pathway
    closed, and with heads scaled in the answer too.
    """
    chosen = [Head(subject.n_layers // 2, index) for index in range(subject.n_heads)]
    bound = max(exactness.rounding(subject, prompt, whole=True), 1e-4)
    for what, changed in {
        "nothing changed": lambda: knockout(subject, prompt, [], []),
        "text→last closed": lambda: knockout(
            subject, prompt, [Pathway("text", "last")], range(subject.n_layers)
        ),
        "a layer's heads blocked": lambda: scale_heads(subject, chosen, 0.0, generated=True),
    }.items():
        with standing(subject, prompt), changed():
            options = {
                "max_new_tokens": NEW_TOKENS,
                "min_new_tokens": NEW_TOKENS,
                "do_sample": False,
                "repetition_penalty": 1.0,
            }
            written = subject.model.generate(
                **prompt.inputs, **options, return_dict_in_generate=True, output_logits=True
            )
            ids = written.sequences[:, prompt.groups.length : prompt.groups.length + NEW_TOKENS - 1]
        with standing(subject, prompt), changed():
            whole = subject.model(
                **continued(subject, prompt, ids), use_cache=False, logits_to_keep=NEW_TOKENS
            ).logits[0]
        off = (log_softmax(torch.cat(written.logits)) - log_softmax(whole)).abs().max().item()
        require(
            off <= bound,
            f"{what}: generating misses a pass over the whole by {off:.2g} nats; at most "
            f"{bound:.2g} is rounding in {subject.model.dtype}",
        )
    gains = _gains(subject)
    quick, slow = (
        answers(subject, prompt, gains, prompt.groups.instruction, NEW_TOKENS, engine)
        for engine in ("auto", "plain")
    )
    require(quick == slow, f"answers under scaled heads are {quick} and the plain way {slow}")
    [plain] = answers(subject, prompt, max_new_tokens=NEW_TOKENS)
    require(plain == slow[0], f"the answer is {plain!r}, and {slow[0]!r} with every head times one")
    _answer_after_the_other(subject, prompt)
    return (
        f"{NEW_TOKENS} tokens three ways within {bound:.2g} nats; answers "
        f"{', '.join(repr(answer) for answer in slow)}"
    )


def _answer_after_the_other(subject, prompt) -> None:
    """Behind the rows that the other instruction left, the answer is that of passes over the
    whole.
    """
    last, other = Recent(), subject.encode(prompt.sample, opposite(prompt.following))
    found = [first_answer(subject, one, last) for one in (other, prompt)][1]
    expected = first_answer(subject, prompt)
    require(
        found == expected,
        f"behind the other instruction's rows the first answer is {found}, else {expected}",
    )


CHECKS = (token_groups, engine, residual_sums, head_sums, knockout_canary, generation)


def check_model(subject, samples: Iterable) -> list[Result]:
    """All checks on the first sample whose answers the model's first token tells apart, under both
    instructions.
    """
    results = []
    for direction in MODALITIES:
        try:
            prompt = _first_prompt(subject, samples, direction)
        except ValueError as error:
            results.append(Result("prompt", "failed", str(error)))
        else:
            results += [one(subject, prompt) for one in CHECKS]
    return results


def _first_prompt(subject, samples, direction: str):
    for sample in samples:
        try:
            return subject.encode(sample, direction)
        except NoDecision:
            continue
    why = f"in none of these samples do both answers begin with different tokens of {subject.name}"
    raise ValueError(why)


def _squeezed(words: str) -> str:
    return "".join(words.split())


def _decoder_input(subject, inputs: dict[str, Tensor]) -> Tensor:
    """What the text decoder is given, (N, d): embeddings, in the picture's place what was seen."""
    seen: dict[str, Tensor] = {}
    keep = subject.decoder.register_forward_pre_hook(
        lambda module, args, kwargs: seen.update(kwargs), with_kwargs=True
    )
    with hooks([keep]):
        subject.model(**inputs, use_cache=False, logits_to_keep=1)
    return seen["inputs_embeds"][0]


def _gains(subject) -> Tensor:
    """Three settings: as it is, one layer's heads blocked, and one head amplified."""
    blocked = [Head(subject.n_layers // 2, index) for index in range(subject.n_heads)]
    settings = [([], 1.0), (blocked, 0.0), ([Head(0, 0)], 5.0)]
    return torch.stack([gain_table(subject, some, factor) for some, factor in settings])


def _logits_without(subject, prompt, pathways, layers) -> Tensor:
    with knockout(subject, prompt, pathways, layers):
        return next_token_logits(subject, prompt)


def _attention(subject, prompt, pathways, layer: int) -> Tensor:
    """Attention weights of a layer, (n_heads, N, N), from the implementation that has them, with
    pathways closed in it.
    """
    found: list[Tensor] = []
    usual = subject.decoder.config._attn_implementation
    subject.model.set_attn_implementation("eager")
    try:
        keep = subject.attention(layer).register_forward_hook(
            lambda module, args, out: found.append(out[1][0].cpu())
        )
        with hooks([keep]):
            _logits_without(subject, prompt, pathways, [layer])
    finally:
        subject.model.set_attn_implementation(usual)
    return found[0]
