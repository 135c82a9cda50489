"""Small transformers whose mechanism was written down, weight by weight, instead of trained: known
answers for every measure.

A `Plant` says which heads fetch the cues, what arbitrates and where, and how the last position
hears of it; `subject` writes that into the weights of a Llama of five layers with eight heads each.
All other heads are decoys: they look at the cues, as sharply as the planted ones, and write where
nobody reads, or they are idle.

Every dimension of the residual stream is a channel with a name and one meaning. Two tricks make the
rest of the architecture harmless. A loud channel that nobody reads settles the norms: they see only
it and multiply every channel by exactly 1. And positions are scaled down so far that rotary
embeddings turn nothing.
"""

import functools
import itertools
from dataclasses import dataclass, replace
from types import SimpleNamespace

import torch
from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from arbitration.checks.planted_prompts import COLOURS
from arbitration.dataset.sample import MODALITIES, SOURCE
from arbitration.equations.heads import Head
from arbitration.models.subject import Subject, check_subject

LAYERS, HEADS = 5, 8
#: Logits that the mechanism gives the right answer, and that the habit gives the text's.
STRENGTH, HABIT = 6.0, 2.0
#: Logit of the end after a word: enough, and no more, so that noise in what is spoken does not end
#: an answer before it began.
SPOKEN = 4.0
#: What a command puts on the MLP's gate; SiLU of it is the factor of an open gate, and of 0 that of
#: a shut one.
GATE = 4.0
#: What a key can say of its token; queries choose among these.
ROLES = ("start", "vision", "context", "command")
#: The channel that holds a modality's cue in the tokens where it is given.
CUE = {"vision": "shown", "text": "written"}
KINDS = ("shown", "written", "fetched vision", "fetched text", "answer", "unread")
CHANNELS = (
    "loud",
    "any",
    *ROLES,
    "last",
    "told vision",
    "told text",
    "heard vision",
    "heard text",
    "unsure",
    "spoken",
    *(f"{kind} {colour}" for kind in KINDS for colour in COLOURS),
)
CHANNEL = {name: number for number, name in enumerate(CHANNELS)}
# Powers of two, so that the norm, which transformers evaluates in float32, multiplies by exactly 1.
WIDTH, LOUD = 64, 2.0**27
#: Layers, heads and width of a model; what is beyond the plant is decoys and idle channels. The
#: root of a width is a power of two, for the reason above.
SIZES = {"small": (LAYERS, HEADS, WIDTH), "middle": (10, 16, 256), "large": (20, 32, 256)}
#: Lead of a wanted key over the first token, on which heads rest, and of that over all others: e to
#: its negative is 0 in float64.
SHARP = 1024.0


@dataclass(frozen=True)
class Plant:
    """Where a mechanism was put.

    Attributes
    ----------
    name : str
    vision, text : Head
        The heads that fetch each modality's cue; they may be one and the same.
    messenger : Head
        Brings from the instruction to the last position what is missing there: the answer, or the
        command.
    place : {"instruction", "last"}
        Where the cues are fetched to and the decision falls: a relay, or the direct way.
    mlp : int, optional
        The layer whose MLP arbitrates; then the fetching heads look at their cues whatever the
        instruction says. Unless given, they arbitrate themselves: each looks at a cue only on
        command.
    habit : Head, optional
        Pulls the last position towards the text's answer, whatever the instruction says.
    echo : Head, optional
        Writes the right answer at the instruction tokens although nothing reads it there.
    """

    name: str
    vision: Head
    text: Head
    messenger: Head
    place: str = "instruction"
    mlp: int | None = None
    habit: Head | None = None
    echo: Head | None = None

    def fetcher(self, modality: str) -> Head:
        return {"vision": self.vision, "text": self.text}[modality]

    def decided(self, modality: str) -> int:
        """The layer that writes the decision at the place of arbitration."""
        return self.fetcher(modality).layer if self.mlp is None else self.mlp

    @property
    def told(self) -> str:
        """The channels that hold the command at the place of arbitration, the instruction's own or
        what the messenger brought.
        """
        return "told" if self.place == "instruction" else "heard"


@dataclass(frozen=True)
class Wiring:
    """What one head does.

    Attributes
    ----------
    looks : dict of str to str
        Which of its own token's channels makes it look at tokens of which role. If none is set it
        rests on the first token; a head without any looks everywhere alike.
    reads, writes : list of list of str
        For each of its dimensions the channels that are summed up there, and those that the sum
        goes to.
    gain : float
        What the sum is multiplied by on its way.
    """

    looks: dict[str, str]
    reads: list[list[str]]
    writes: list[list[str]]
    gain: float = 1.0


def _each(kind: str) -> list[list[str]]:
    """The channels of one kind, colour by colour."""
    return [[f"{kind} {colour}"] for colour in COLOURS]


EITHER_CUE = [[f"{CUE[modality]} {colour}" for modality in MODALITIES] for colour in COLOURS]
PLANTS = (
    Plant("relay", Head(1, 2), Head(1, 2), Head(3, 0)),
    Plant("relay elsewhere", Head(2, 5), Head(2, 5), Head(4, 3)),
    Plant("relay by two heads", Head(1, 3), Head(2, 1), Head(4, 2)),
    Plant("relay by an MLP", Head(0, 4), Head(1, 1), Head(4, 1), mlp=2),
    Plant("relay against a habit", Head(1, 2), Head(1, 2), Head(3, 0), habit=Head(2, 3)),
    Plant("direct", Head(3, 1), Head(3, 1), Head(1, 0), place="last"),
    Plant("direct by two heads", Head(2, 2), Head(4, 0), Head(0, 3), place="last"),
    Plant("direct by an MLP", Head(1, 1), Head(2, 3), Head(2, 0), place="last", mlp=3),
    Plant("direct with an echo", Head(3, 1), Head(3, 1), Head(1, 0), place="last", echo=Head(2, 4)),
)
#: Every token, with the channels that its embedding sets to 1 (besides those that all set).
SHOWN = {f"<{colour}>": ["vision", f"shown {colour}"] for colour in COLOURS}
WRITTEN = {colour: ["context", f"written {colour}", "spoken"] for colour in COLOURS}
FILLERS = ("trust", "the", "note", "says", "here", "which", "colour", "?")
WORDS = {
    "<s>": ["start"],
    "</s>": [],
    "user": [],
    "assistant": [],
    ":": ["last", "unsure"],
    "<blank>": [],
    **SHOWN,
    **WRITTEN,
    "picture": ["command", "told vision"],
    "words": ["command", "told text"],
    **{word: [] for word in FILLERS},
    "unsure": ["spoken"],
}


def grown(plant: Plant, size: str) -> Plant:
    """The same plant at the same part of the depth of a model of another size.

    Examples
    --------
    >>> grown(PLANTS[0], "large").messenger
    Head(layer=12, index=0)
    """
    times = SIZES[size][0] // LAYERS
    heads = {
        name: replace(head, layer=times * head.layer)
        for name in ("vision", "text", "messenger", "habit", "echo")
        if (head := getattr(plant, name))
    }
    return replace(plant, **heads, mlp=None if plant.mlp is None else times * plant.mlp)


@functools.lru_cache
def subject(plant: Plant, size: str = "small", noise: float = 0.0, seed: int = 0) -> Subject:
    """A model that does what the plant says, and nothing else, in float64.

    Parameters
    ----------
    plant : Plant
        Its layers are those of the model's size (`grown`).
    size : str
        Of `SIZES`.
    noise : float
        Standard deviation of Gaussian noise on every weight, in units of the median of the matrix's
        weights that are not zero; on the weights of norms in units of each. The loud channel is
        neither written nor read by it, which would drown all others.
    seed : int
        Of the noise.
    """
    layers, heads, width = SIZES[size]
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=width,
        intermediate_size=3 * len(COLOURS),
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        head_dim=len(ROLES),
        max_position_embeddings=64,
        rope_parameters={"rope_type": "linear", "factor": 1e30, "rope_theta": 10000.0},
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    with torch.random.fork_rng(devices=[]):
        model = LlamaForCausalLM(config).double().eval()
    model.generation_config = GenerationConfig(bos_token_id=0, eos_token_id=1, pad_token_id=1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.fill_(LOUD / width**0.5 if "norm" in name else 0.0)
        _write_words(model)
        for number, layer in enumerate(model.model.layers):
            _write_heads(layer.self_attn, number, plant)
            _write_mlp(layer.mlp, plant if plant.mlp == number else None)
        if noise:
            _add_noise(model, noise, seed)
    name = f"planted: {plant.name}" if size == "small" else f"planted: {plant.name}, {size}"
    revision = f"written, noise {noise:g}, seed {seed}" if noise else "written"
    return check_subject(Subject(name, model, SimpleNamespace(tokenizer=_tokenizer()), revision))


def _add_noise(model, noise: float, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        drawn = torch.randn(weight.shape, generator=random, dtype=weight.dtype)
        if "norm" in name:
            weight.mul_(1 + noise * drawn)
            continue
        written = weight.abs()[(weight != 0) & (weight.abs() < LOUD)]
        scale = written.median() if len(written) else 0.0
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            drawn[CHANNEL["loud"]] = 0.0
        else:
            drawn[:, CHANNEL["loud"]] = 0.0
        weight.add_(noise * scale * drawn)


def _tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}))
    words.normalizer, words.pre_tokenizer = (
        normalizers.Lowercase(),
        pre_tokenizers.WhitespaceSplit(),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )


def _write_words(model) -> None:
    embedding, unembedding = (
        model.get_input_embeddings().weight,
        model.get_output_embeddings().weight,
    )
    for number, (word, channels) in enumerate(WORDS.items()):
        embedding[number, CHANNEL["loud"]] = LOUD
        embedding[number, [CHANNEL[name] for name in ("any", *channels)]] = 1.0
        if word in COLOURS:
            unembedding[number, CHANNEL[f"answer {word}"]] = 1.0
    words = list(WORDS)
    unembedding[words.index("unsure"), CHANNEL["unsure"]] = (
        1.0  # what is said when nothing was decided
    )
    unembedding[words.index("</s>"), CHANNEL["spoken"]] = SPOKEN  # an answer is one word


def _write_heads(attention, layer: int, plant: Plant) -> None:
    """The plant's heads of one layer, and decoys of every kind in the others."""
    wirings = {
        head.index: wiring for head, wiring in _planted(plant).items() if head.layer == layer
    }
    heads = attention.config.num_attention_heads
    free = [index for index in range(heads) if index not in wirings]
    wirings |= zip(free, itertools.cycle(_decoys(plant)))
    for index, wiring in wirings.items():
        if wiring:
            _write_head(attention, index, wiring)


def _planted(plant: Plant) -> dict[Head, Wiring]:
    """The heads that do something."""
    wirings = {}
    for modality in MODALITIES:
        head = plant.fetcher(modality)
        if plant.mlp is None:
            looks = {
                f"{plant.told} {other}": SOURCE[other]
                for other in MODALITIES
                if plant.fetcher(other) == head
            }
            wirings[head] = Wiring(looks, EITHER_CUE, _each("answer"), STRENGTH)
        else:
            here = "command" if plant.place == "instruction" else "last"
            wirings[head] = Wiring(
                {here: SOURCE[modality]}, _each(CUE[modality]), _each(f"fetched {modality}")
            )
    if plant.place == "instruction":
        wirings[plant.messenger] = Wiring({"last": "command"}, _each("answer"), _each("answer"))
    else:
        wirings[plant.messenger] = Wiring(
            {"last": "command"},
            [["told vision"], ["told text"]],
            [["heard vision"], ["heard text"]],
        )
    if plant.habit:
        wirings[plant.habit] = Wiring({"last": "context"}, _each("written"), _each("answer"), HABIT)
    if plant.echo:
        wirings[plant.echo] = Wiring(_on_command("told"), EITHER_CUE, _each("answer"), STRENGTH)
    return wirings


def _decoys(plant: Plant) -> tuple[Wiring | None, ...]:
    """The heads that do nothing, one of each kind."""
    unread = _each("unread")
    return (
        Wiring({}, [[role] for role in ROLES], unread),  # looks everywhere alike
        Wiring({"any": "vision"}, _each("shown"), unread),
        Wiring({"any": "context"}, _each("written"), unread),
        Wiring(_on_command(plant.told), EITHER_CUE, unread, STRENGTH),  # looks as an arbiter does
        None,  # idle
    )


def _on_command(told: str) -> dict[str, str]:
    return {f"{told} {modality}": SOURCE[modality] for modality in MODALITIES}


def _write_head(attention, index: int, wiring: Wiring) -> None:
    size = len(ROLES)
    own = slice(index * size, (index + 1) * size)
    query, key, value = (
        projection.weight[own]
        for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    for dimension, role in enumerate(ROLES):
        key[dimension, CHANNEL[role]] = 1.0
    sharp = SHARP * size**0.5  # attention divides by the root
    if wiring.looks:
        query[ROLES.index("start"), CHANNEL["any"]] = sharp
    for when, role in wiring.looks.items():
        query[ROLES.index(role), CHANNEL[when]] = 2 * sharp
    for dimension, (sources, targets) in enumerate(zip(wiring.reads, wiring.writes)):
        value[dimension, [CHANNEL[name] for name in sources]] = 1.0
        attention.o_proj.weight[[CHANNEL[name] for name in targets], index * size + dimension] = (
            wiring.gain
        )


def _write_mlp(mlp, plant: Plant | None) -> None:
    """Neurons that let a fetched cue through on command, if this MLP arbitrates; and decoys that
    write where nobody reads.
    """
    neurons = [("any", f"shown {colour}", f"unread {colour}", 1.0) for colour in COLOURS]
    if plant:
        opened = GATE * torch.sigmoid(torch.tensor(GATE, dtype=torch.float64)).item()
        neurons += [
            (
                f"{plant.told} {modality}",
                f"fetched {modality} {colour}",
                f"answer {colour}",
                STRENGTH / opened,
            )
            for modality in MODALITIES
            for colour in COLOURS
        ]
    for number, (gate, source, target, weight) in enumerate(neurons):
        mlp.gate_proj.weight[number, CHANNEL[gate]] = GATE
        mlp.up_proj.weight[number, CHANNEL[source]] = 1.0
        mlp.down_proj.weight[CHANNEL[target], number] = weight
