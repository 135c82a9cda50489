"""The knockout sweep, resumed against plain, side by side in one run.

    python benchmarks/knockout.py           on two CPU cores: smol, on a shipped scene and on
                                            a prompt of 200 tokens
    python benchmarks/knockout.py --gpu     real-size text decoders with random bfloat16
                                            weights, 700 tokens
    python benchmarks/knockout.py --growth  cost against prompt length, layers, pathways and
                                            samples

Every line says what the operation count allows and which share of it was reached; the numbers go to
``data/benchmarks``.
"""

import argparse
import dataclasses
import json
import platform
import statistics
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import torch
from matplotlib.figure import Figure
from tqdm import tqdm

import arbitration as arb
from arbitration.engine import plan, resume
from arbitration.engine.plain import decision, next_token_logits
from arbitration.equations.knockout import close_edges, open_mask
from arbitration.equations.trace import hooks
from arbitration.models.prompt import Prompt, TokenGroups
from arbitration.models.subject import Subject, check_subject
from press.markdown import markdown
from reproduction.figures.style import BLUE, ORANGE, draws, svg

RESULTS = Path(__file__).resolve().parents[1] / "data" / "benchmarks"


def operations(subject: Subject, prompt: Prompt, pathways, windows) -> dict[str, float]:
    """Floating-point operations of the sweep, plain and resumed, counting nothing that could be
    left out.

    Two per multiplication with a weight and row, four per query, key and channel in attention. The
    unembedding counts for the last row only. So does the last layer of a resumed variant, but for
    the keys and values of its other rows.
    """
    length, depth = prompt.groups.length, subject.n_layers
    unembedding = 2 * subject.unembedding.numel()

    def rows(count: int, first: int) -> float:
        return row_operations(subject, count, first)

    vision = vision_operations(subject, prompt)
    forward = depth * rows(length, 0) + unembedding + vision
    resumed = forward
    attention = subject.attention(depth - 1)
    key_value = 2 * sum(
        projection.weight.numel() for projection in (attention.k_proj, attention.v_proj)
    )
    for pathway in pathways:
        first = int(pathway.edges(prompt)[1].min())
        last_layer = rows(1, length - 1) + key_value * (length - first - 1)
        resumed += sum(
            (depth - 1 - window.start) * rows(length - first, first) + last_layer + unembedding
            for window in windows
        )
    return {"plain": forward * (1 + len(pathways) * len(windows)), "resumed": resumed}


def row_operations(subject: Subject, count: int, first: int) -> float:
    """Operations of some rows in one layer, the first of which has `first` rows before it."""
    weights = sum(p.numel() for p in subject.layers[0].parameters() if p.ndim == 2)
    channels = subject.output_projection(0).in_features
    keys = sum(range(first + 1, first + count + 1))
    return 2 * weights * count + 4 * channels * keys


def vision_operations(subject: Subject, prompt: Prompt) -> float:
    """Operations of the vision tower on a picture of 37 patches; none without a picture."""
    if "pixel_values" not in prompt.inputs:
        return 0
    tower = subject.model.model.vision_tower
    return 2 * 37 * sum(p.numel() for p in tower.parameters() if p.ndim == 2)


def plain(subject, prompt, pathways, windows) -> torch.Tensor:
    """One full pass per variant: (n_variants, 2) log-probabilities of y_p and y_c."""
    found = []
    for pathway in pathways:
        for window in windows:
            with arb.knockout(subject, prompt, [pathway], window):
                found.append(decision(next_token_logits(subject, prompt), prompt).log_probabilities)
    return torch.cat(found)


@torch.no_grad()
def batched(subject, prompt, pathways, windows, size: int = 10) -> torch.Tensor:
    """Full passes over many variants at once, each row with its own masks."""
    variants = [
        variant for pathway in pathways for variant in plan.closing(prompt, [pathway], windows)
    ]
    found = []
    for start in range(0, len(variants), size):
        pack = variants[start : start + size]
        inputs = {key: torch.cat([value] * len(pack)) for key, value in prompt.inputs.items()}
        with _closed_by_row(subject, pack):
            logits = subject.model(**inputs, use_cache=False, logits_to_keep=1).logits[:, -1]
        found.append(decision(logits, prompt).log_probabilities)
    return torch.cat(found)


@contextmanager
def _closed_by_row(subject, pack):
    def close(module, args, kwargs):
        layer, hidden = module.layer_idx, kwargs["hidden_states"]
        if not any(layer in variant.layers for variant in pack):
            return None
        mask = open_mask(None, hidden, 0).repeat(len(pack), 1, 1, 1)
        for row, variant in enumerate(pack):
            for source, target, _ in variant.edges if layer in variant.layers else ():
                close_edges(mask[row], target.to(mask.device), source.to(mask.device), 0)
        return args, {**kwargs, "attention_mask": mask}

    with hooks(
        subject.attention(layer).register_forward_pre_hook(close, with_kwargs=True)
        for layer in range(subject.n_layers)
    ):
        yield


def resumed(subject, prompt, pathways, windows) -> torch.Tensor:
    [(_, found)], _ = resume.blocked(subject, [prompt], pathways, windows)
    return found.log_probabilities


def timed(way, *arguments, repeats: int) -> tuple[float, torch.Tensor]:
    """Median seconds of some repetitions, and the numbers themselves."""
    seconds = []
    for _ in range(repeats):
        _wait()
        started = time.perf_counter()
        numbers = way(*arguments)
        _wait()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds), numbers


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def measure(subject, prompt, name: str, plain_share: int = 1, peak: float | None = None) -> dict:
    """One line of the table: all layers × the standard pathways, three ways, the same numbers from
    each.
    """
    pathways = arb.STANDARD_PATHWAYS
    windows = [
        arb.LayerWindow(centre, 3).layers(subject.n_layers) for centre in range(subject.n_layers)
    ]
    count = operations(subject, prompt, pathways, windows)
    resumed(subject, prompt, pathways[:2], windows[:2])
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    above = torch.cuda.memory_allocated() if torch.cuda.is_available() else 0
    memory = None
    seconds, reference = {"resumed": [], "plain": [], "batched": []}, []
    # In turn, so that a machine whose speed changes changes it for all three.
    for number, pathway in enumerate(tqdm(pathways, desc=name, leave=False)):
        fast, numbers = timed(resumed, subject, prompt, pathways, windows, repeats=1)
        if number == 0 and torch.cuda.is_available():
            memory = (torch.cuda.max_memory_allocated() - above) / 2**30
        seconds["resumed"].append(fast)
        one, part = timed(plain, subject, prompt, [pathway], windows[::plain_share], repeats=1)
        many, _ = timed(batched, subject, prompt, [pathway], windows[::plain_share], repeats=1)
        seconds["plain"].append(one * plain_share)
        seconds["batched"].append(many * plain_share)
        reference.append(part)
    fast, one, many = (
        statistics.mean(seconds["resumed"]),
        sum(seconds["plain"]),
        sum(seconds["batched"]),
    )
    reference = torch.cat(reference)
    numbers = torch.cat([rows[::plain_share] for rows in numbers.split(len(windows))]).to(
        reference.device
    )
    allowed = count["plain"] / count["resumed"]
    groups = {
        group: len(prompt.groups.positions(group))
        for group in ("vision", "context", "instruction", "last", "template")
    }
    line = {
        "case": name,
        "model": subject.name,
        "tokens": prompt.groups.length,
        "groups": groups,
        "layers": subject.n_layers,
        "variants": len(pathways) * len(windows),
        "dtype": str(subject.model.dtype).removeprefix("torch."),
        "plain_s": one,
        "batched_s": many,
        "resumed_s": fast,
        "over_plain": one / fast,
        "over_batched": many / fast,
        "allowed": allowed,
        "share_of_allowed": one / fast / allowed,
        "share_of_allowed_batched": many / fast / allowed,
        "teraflop_plain": count["plain"] / 1e12,
        "teraflop_resumed": count["resumed"] / 1e12,
        "gigaflops_resumed": count["resumed"] / fast / 1e9,
        "largest_difference": (numbers - reference).abs().max().item(),
        "memory_above_weights_gib": memory,
    }
    return line | (
        {"share_of_peak": count["resumed"] / fast / peak, "floor_s": count["resumed"] / peak}
        if peak
        else {}
    )


def lengthened(sample, subject, tokens: int):
    """A sample whose context is repeated until its prompt has about as many tokens."""
    while subject.encode(sample, "vision").groups.length < tokens:
        sample = dataclasses.replace(sample, context=f"{sample.context} The air smelled of rain.")
    return sample


def on_cpu() -> list[dict]:
    subject = arb.load("smol", device="cpu")
    sample = arb.dataset.shuffled(arb.dataset.load("scenes", "held"), 0)[1]
    return [
        measure(subject, subject.encode(sample, "vision"), "smol, a shipped scene"),
        measure(
            subject, subject.encode(lengthened(sample, subject, 200), "vision"), "smol, 200 tokens"
        ),
    ]


def on_gpu() -> list[dict]:
    """Needs no weights and no network: random bfloat16 weights at the real sizes of two text
    decoders.
    """
    if not torch.cuda.is_available():
        sys.exit("no GPU here; --gpu needs one with at least 24 GB")
    left = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    best = min(timed(lambda: left @ left, repeats=20)[0] for _ in range(3))
    peak = 2 * 8192**3 / best
    lines = []
    for name, text in REAL_SIZES.items():
        subject = real_size(name, text)
        lines.append(
            measure(subject, synthetic_prompt(subject, 700), name, plain_share=4, peak=peak)
        )
        del subject
        torch.cuda.empty_cache()
    return lines


REAL_SIZES = {
    "Qwen2.5-VL-7B decoder": {
        "model_type": "qwen2",
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
    },
    "LLaVA-1.5-7B decoder": {
        "model_type": "llama",
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "vocab_size": 32064,
    },
}


def real_size(name: str, text: dict, device: str = "cuda") -> Subject:
    from transformers import LlavaConfig, LlavaForConditionalGeneration

    vision = {
        "model_type": "clip_vision_model",
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(device):
        model = LlavaForConditionalGeneration(
            LlavaConfig(vision_config=vision, text_config=text, image_token_index=3)
        )
    torch.set_default_dtype(torch.float32)
    return check_subject(Subject(name, model.to(torch.bfloat16).eval(), None, "random"))


def synthetic_prompt(subject, tokens: int) -> Prompt:
    """Token ids drawn at random, in groups of realistic size: an image of 576 tokens, context 50,
    instruction 50.
    """
    ids = torch.randint(10, 30000, (1, tokens), generator=torch.Generator().manual_seed(0)).to(
        subject.device
    )
    edges = [5, 581, 582, 632, 633, 683, tokens - 1]
    part = [torch.arange(a, b) for a, b in zip(edges[:-1], edges[1:])]
    empty = torch.empty(0, dtype=torch.long)
    template = torch.cat([torch.arange(5), part[1], part[3], part[5]])
    groups = TokenGroups(
        part[0], part[2], part[4], torch.tensor([tokens - 1]), template, part[4], empty, empty
    )
    return Prompt({"input_ids": ids}, groups, 11, 12, None, "vision", "")


def growth() -> list[dict]:
    """Seconds of the resumed sweep as one thing grows and the others stay."""
    subject = arb.load("smol", device="cpu")
    sample = arb.dataset.shuffled(arb.dataset.load("scenes", "held"), 0)[1]
    lines = []

    def line(what, value, prompts, pathways, centres):
        windows = [arb.LayerWindow(centre, 3).layers(subject.n_layers) for centre in centres]
        seconds, _ = timed(resume.blocked, subject, prompts, pathways, windows, repeats=3)
        plain_one, _ = timed(next_token_logits, subject, prompts[0], repeats=5)
        variants = len(prompts) * len(pathways) * len(windows)
        lines.append(
            {"what": what, "value": value, "resumed_s": seconds, "plain_s": plain_one * variants}
        )
        tqdm.write(f"{what} {value}: {seconds:.2f} s (plain {plain_one * variants:.1f} s)")

    every, some = range(subject.n_layers), arb.STANDARD_PATHWAYS
    prompt = subject.encode(sample, "vision")
    for tokens in (80, 120, 160, 240, 320):
        line(
            "tokens",
            tokens,
            [subject.encode(lengthened(sample, subject, tokens), "vision")],
            some,
            every,
        )
    for layers in (5, 10, 20, 30):
        line("layers", layers, [prompt], some, range(layers))
    for number in (1, 2, 4, 8):
        line("pathways", number, [prompt], some[:number], every)
    for number in (1, 2, 4):
        line("samples", number, [prompt] * number, some, every)
    return lines


@draws()
def growth_figure(lines: list[dict]) -> Figure:
    """Seconds of the sweep against what grows; the plain way from the time of one pass times the
    number of variants.
    """
    figure = Figure(figsize=(9, 2.9), layout="constrained")
    panels = figure.subplots(1, 4, sharey=True)
    for panel, (what, unit) in zip(
        panels,
        {
            "tokens": "prompt tokens",
            "layers": "window centres",
            "pathways": "pathways",
            "samples": "samples",
        }.items(),
    ):
        here = [line for line in lines if line["what"] == what]
        for key, color, label in (("plain_s", ORANGE, "plain"), ("resumed_s", BLUE, "resumed")):
            panel.plot(
                [line["value"] for line in here],
                [line[key] for line in here],
                color=color,
                marker="o",
                markersize=3.5,
                label=label,
            )
        panel.set_xlabel(unit)
    panels[0].set_yscale("log")
    panels[0].yaxis.set_major_formatter("{x:g}")
    panels[0].set_ylabel("seconds")
    panels[0].legend()
    return figure


def table(lines: list[dict]) -> str:
    """A column for each case.

    The floor is what the resumed operations would take at a GPU's peak, or on a processor at the
    speed of the batched way.
    """

    def tokens(line):
        named = [line["groups"][name] for name in ("vision", "context", "instruction")]
        return f"{line['tokens']}: {', '.join(map(str, named))}, {line['tokens'] - sum(named)}"

    rows = {
        "": lambda line: line["case"],
        "tokens: vision, context, instruction, other": tokens,
        "variants": lambda line: line["variants"],
        "operations, plain, Tflop": lambda line: f"{line['teraflop_plain']:.2f}",
        "operations, resumed, Tflop": lambda line: f"{line['teraflop_resumed']:.2f}",
        "ratio of the operations": lambda line: f"{line['allowed']:.1f}",
        "plain, s": lambda line: f"{line['plain_s']:.1f}",
        "plain, batched, s": lambda line: f"{line['batched_s']:.1f}",
        "floor, s": lambda line: f"{line.get('floor_s', line['batched_s'] / line['allowed']):.3g}",
        "**resumed, s**": lambda line: f"**{line['resumed_s']:.2f}**",
        "faster than plain (share of the ratio)": lambda line: (
            f"{line['over_plain']:.1f} × ({line['share_of_allowed']:.0%})"
        ),
        "faster than batched (share of the ratio)": lambda line: (
            f"{line['over_batched']:.1f} × ({line['share_of_allowed_batched']:.0%})"
        ),
        "largest difference, nats": lambda line: f"{line['largest_difference']:.0e}",
    }
    if all("share_of_peak" in line for line in lines):
        rows["share of the peak"] = lambda line: f"{line['share_of_peak']:.0%}"
        rows["memory above the weights, GiB"] = lambda line: (
            "–"
            if line["memory_above_weights_gib"] is None
            else f"{line['memory_above_weights_gib']:.2f}"
        )
    written = [[name, *(str(value(line)) for line in lines)] for name, value in rows.items()]
    return "\n".join(markdown(written))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--gpu", action="store_true")
    kind.add_argument("--growth", action="store_true")
    chosen = parser.parse_args()
    name = "gpu" if chosen.gpu else "growth" if chosen.growth else "cpu"
    lines = {"gpu": on_gpu, "growth": growth, "cpu": on_cpu}[name]()
    machine = (
        torch.cuda.get_device_name()
        if chosen.gpu
        else f"{platform.machine()}, {torch.get_num_threads()} threads"
    )
    RESULTS.mkdir(parents=True, exist_ok=True)
    origin = {"machine": machine, "torch": torch.__version__, "date": time.strftime("%Y-%m-%d")}
    (RESULTS / f"knockout_{name}.json").write_text(
        json.dumps({**origin, "lines": lines}, indent=1) + "\n", encoding="utf-8"
    )
    if name == "growth":
        for theme in ("light", "dark"):
            (RESULTS / f"growth-{theme}.svg").write_text(
                svg(growth_figure(lines), dark=theme == "dark"), encoding="utf-8"
            )
    else:
        print(table(lines))
        (RESULTS / f"knockout_{name}.md").write_text(
            (
                f"Measured on {machine}, torch {torch.__version__}, "
                f"{origin['date']}.\n\n{table(lines)}\n"
            ),
            encoding="utf-8",
        )
    print(f"written: data/benchmarks/knockout_{name}.json")


if __name__ == "__main__":
    main()
