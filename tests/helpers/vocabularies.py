"""The true byte-pair vocabularies of Qwen2.5 and LLaMA, rebuilt from packages that carry them, in
processors of the paper's three models.

No weights come with them, so a subject here encodes prompts and cannot run. Pictures are small,
because nothing here depends on their size.
"""

import base64
import functools
import hashlib
import os
import re
import shutil
import struct
import subprocess
import tarfile
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import (
    AddedToken,
    CLIPImageProcessor,
    GotOcr2ImageProcessor,
    InternVLProcessor,
    InternVLVideoProcessor,
    LlamaTokenizer,
    LlavaProcessor,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)
from transformers.convert_slow_tokenizer import bytes_to_unicode

from arbitration.files import checksums, web
from arbitration.files.folders import cache
from arbitration.files.packages import Package, fetched
from arbitration.models.subject import Subject

ARCHITECTURES = ("qwen2.5-vl", "internvl3", "llava-1.5")

QWEN = Package(
    "dashscope==1.20.14",
    "1e20f56043150ac0adb70c5ec04ac202d87267ca8da63e5c94980dd10aeab7af",
    "the vocabulary of Qwen2.5 (1 MB)",
)
QWEN_FILE = "dashscope/resources/qwen.tiktoken"
#: From 151643 on, in this order.
QWEN_SPECIAL = (
    "<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> "
    "<|box_start|> <|box_end|> <|quad_start|> <|quad_end|> "
    "<|vision_start|> <|vision_end|> <|vision_pad|> <|image_pad|> <|video_pad|> "
    "<tool_call> </tool_call> <|fim_prefix|> <|fim_middle|> "
    "<|fim_suffix|> <|fim_pad|> <|repo_name|> <|file_sep|>"
).split()
#: InternVL3 adds these to Qwen2.5's.
INTERNVL_SPECIAL = (
    "<img> </img> <IMG_CONTEXT> <quad> </quad> <ref> </ref> <box> </box> <video>".split()
)

LLAMA = (
    "llama-tokenizer-js@1.2.2",
    "ee83014ac8b379b16cf8d81e99ffcdb23dfade8c0d2e751bd06e7dc0b8476e72",
    "package/llama-tokenizer.js",
)

TURNS = (
    "{% for m in messages %}OPEN{% for c in m.content %}{% if c.type == 'image' %}IMAGE{% else "
    "%}{{ c.text }}{% endif %}{% endfor %}CLOSE{% endfor %}"
)
CHATML = TURNS.replace("OPEN", "{{ '<|im_start|>' + m.role + '\\n' }}").replace(
    "CLOSE", "{{ '<|im_end|>\\n' }}"
)
CHATML += "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
SYSTEM = "{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}"
VICUNA = (
    TURNS.replace("OPEN", "USER: ").replace("IMAGE", "{{ '<image>\\n' }}").replace("CLOSE", " ")
    + "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def qwen(extra=()) -> Qwen2Tokenizer:
    """Qwen2.5's tokenizer: ranks of byte strings in a file, the class with its pre-tokenisation
    from transformers, special tokens after the ranks.
    """
    vocabulary, merges = _qwen_parts()
    tokenizer = Qwen2Tokenizer(vocab=dict(vocabulary), merges=list(merges))
    tokenizer.add_tokens(
        [AddedToken(token, special=True, normalized=False) for token in (*QWEN_SPECIAL, *extra)]
    )
    return tokenizer


@functools.lru_cache
def _qwen_parts():
    lines = (fetched(QWEN, [QWEN_FILE], "qwen") / Path(QWEN_FILE).name).read_bytes().splitlines()
    ranks = {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, lines)}
    spelt = bytes_to_unicode()
    written = {token: "".join(spelt[byte] for byte in token) for token in ranks}
    merges = [
        tuple(written[part] for part in _halves(token, ranks))
        for token in sorted(ranks, key=ranks.get)
        if len(token) > 1
    ]
    return {written[token]: rank for token, rank in ranks.items()}, merges


def _halves(token: bytes, ranks: dict) -> list[bytes]:
    """The pair whose merge makes a token: what is left when its bytes are merged by all lower
    ranks.
    """
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        rank, place = min(
            (ranks.get(left + right, len(ranks)), place)
            for place, (left, right) in enumerate(zip(parts, parts[1:]))
        )
        assert rank < ranks[token], f"{token} is not made of two earlier tokens"
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts


def llama() -> LlamaTokenizer:
    """LLaMA's tokenizer, with LLaVA-1.5's two tokens: base64 strings in a source file hold the
    tokens, one a line, and pairs of their places.

    As LLaVA-1.5's own settings have it (`legacy`), what follows a special token begins with a space
    of its own.
    """
    source = _from_npm(*LLAMA).read_text(encoding="utf-8")
    blobs = [base64.b64decode(blob) for blob in re.findall(r"[A-Za-z0-9+/=]{20000,}", source)]
    (tokens,) = [blob.decode().split("\n") for blob in blobs if blob.startswith(b"<unk>")]
    (pairs,) = [
        struct.unpack(f"<{len(blob) // 2}H", blob)
        for blob in blobs
        if not blob.startswith(b"<unk>")
    ]
    merges = [(tokens[left], tokens[right]) for left, right in zip(pairs[::2], pairs[1::2])]
    tokenizer = LlamaTokenizer(
        vocab={token: place for place, token in enumerate(tokens)},
        merges=merges,
        legacy=True,
        add_bos_token=True,
    )
    tokenizer.add_tokens(
        [AddedToken(token, special=True, normalized=False) for token in ("<image>", "<pad>")]
    )
    return tokenizer


def _from_npm(specification: str, sha256: str, member: str) -> Path:
    """A file of a package of npm's registry, checked and kept like those of pip's."""
    path = cache() / "llama" / Path(member).name
    if checksums.is_whole(path):
        return path
    if shutil.which("npm") is None:
        why = "npm is not installed, and LLaMA's vocabulary comes from its registry"
        pytest.fail(why) if os.environ.get("CI") else pytest.skip(why)
    with tempfile.TemporaryDirectory() as room:
        done = subprocess.run(
            ["npm", "pack", "--silent", specification],
            cwd=room,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        (archive,) = list(Path(room).glob("*.tgz")) or pytest.fail(
            f"npm could not fetch {specification}: {done.stderr}"
        )
        assert hashlib.sha256(archive.read_bytes()).hexdigest() == sha256, (
            f"{specification} is another file than the pinned one"
        )
        with tarfile.open(archive) as content:
            return web.kept(
                specification, path, bytes, lambda _: content.extractfile(member).read()
            )


def _named(tokenizer, **named):
    """Processors look for their special tokens under these names."""
    for name, token in named.items():
        setattr(tokenizer, name, token)
        setattr(tokenizer, f"{name}_id", tokenizer.convert_tokens_to_ids(token))
    return tokenizer


def _qwen_processor():
    pixels = {"patch_size": 14, "min_pixels": 112 * 112, "max_pixels": 112 * 112}
    tokenizer = _named(qwen(), image_token="<|image_pad|>", video_token="<|video_pad|>")
    return Qwen2_5_VLProcessor(
        Qwen2VLImageProcessor(**pixels),
        tokenizer,
        Qwen2VLVideoProcessor(patch_size=14),
        chat_template=SYSTEM
        + CHATML.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>"),
    )


def _internvl_processor():
    names = {
        "context_image_token": "<IMG_CONTEXT>",
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "video_token": "<video>",
    }
    tokenizer = _named(qwen(INTERNVL_SPECIAL), **names)
    pictures = GotOcr2ImageProcessor(size={"height": 56, "width": 56}, min_patches=1, max_patches=1)
    return InternVLProcessor(
        pictures,
        tokenizer,
        InternVLVideoProcessor(),
        image_seq_length=4,
        chat_template=CHATML.replace("IMAGE", "{{ '<IMG_CONTEXT>\\n' }}"),
    )


def _llava_processor():
    pictures = CLIPImageProcessor(size={"height": 28, "width": 28}, do_center_crop=False)
    return LlavaProcessor(
        pictures,
        _named(llama(), image_token="<image>"),
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=VICUNA,
    )


@functools.lru_cache
def subject(architecture: str) -> Subject:
    """The processor of one of the paper's models, without a model."""
    processor = {
        "qwen2.5-vl": _qwen_processor,
        "internvl3": _internvl_processor,
        "llava-1.5": _llava_processor,
    }[architecture]()
    config = SimpleNamespace(
        image_token_id=processor.tokenizer.convert_tokens_to_ids(processor.image_token)
    )
    model = SimpleNamespace(
        device=torch.device("cpu"),
        config=config,
        get_decoder=lambda: SimpleNamespace(config=config),
    )
    return Subject(f"true-{architecture}", model, processor, "no weights")
