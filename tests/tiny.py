"""Small random models of the paper's three architectures, with real processors over the shipped vocabulary.

Queries and keys are scaled up so that attention is sharp: on uniform attention a blocked edge hardly shows.
"""

import functools

import torch
from transformers import (
    AutoTokenizer, CLIPImageProcessor, CLIPVisionConfig, GenerationConfig, GotOcr2ImageProcessor, InternVLConfig,
    InternVLForConditionalGeneration, InternVLProcessor, InternVLVideoProcessor, LlavaConfig, LlavaForConditionalGeneration,
    LlavaProcessor, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor, Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

from arbitration import dataset
from arbitration.folders import DATA
from arbitration.models import Subject, checked

ARCHITECTURES = ("llava", "qwen2.5-vl", "internvl")
TEXT = {"hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 5, "num_attention_heads": 6, "num_key_value_heads": 2}
CHAT = (
    "{% for m in messages %}[{{ m.role }}]{% for c in m.content %}{% if c.type == 'image' %}IMAGE{{ '\\n' }}{% else %}{{ c.text }}"
    "{% endif %}{% endfor %}{{ '\\n' }}{% endfor %}{% if add_generation_prompt %}[assistant]{{ '\\n' }}{% endif %}"
)


def _tokenizer(**named):
    tokenizer = AutoTokenizer.from_pretrained(DATA / "models")
    tokenizer.add_special_tokens({"additional_special_tokens": list(named.values())})
    for name, token in named.items():
        setattr(tokenizer, name, token)
        setattr(tokenizer, f"{name}_id", tokenizer.convert_tokens_to_ids(token))
    return tokenizer


def _llava():
    tokenizer = _tokenizer(image_token="<image>")
    vision = CLIPVisionConfig(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=7)
    config = LlavaConfig(
        vision_config=vision, text_config={"model_type": "llama", "vocab_size": len(tokenizer), **TEXT},
        image_token_index=tokenizer.image_token_id, image_seq_length=16, vision_feature_layer=-2,
    )
    pictures = CLIPImageProcessor(size={"height": 28, "width": 28}, do_center_crop=False)
    return LlavaForConditionalGeneration(config), LlavaProcessor(
        pictures, tokenizer, patch_size=7, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=CHAT.replace("IMAGE", "<image>"),
    )


def _qwen():
    tokenizer = _tokenizer(image_token="<|image_pad|>", video_token="<|video_pad|>", start="<|vision_start|>", end="<|vision_end|>")
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}
    config = Qwen2_5_VLConfig(
        vision_config={"depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 48, "patch_size": 7, "fullatt_block_indexes": [1], "window_size": 28},
        text_config={"vocab_size": len(tokenizer), "rope_parameters": rope, "bos_token_id": 1, "eos_token_id": 2, **TEXT},
        image_token_id=tokenizer.image_token_id, video_token_id=tokenizer.video_token_id,
        vision_start_token_id=tokenizer.start_id, vision_end_token_id=tokenizer.end_id,
    )
    pixels = {"patch_size": 7, "min_pixels": 56 * 56, "max_pixels": 56 * 56}
    return Qwen2_5_VLForConditionalGeneration(config), Qwen2_5_VLProcessor(
        Qwen2VLImageProcessor(**pixels), tokenizer, Qwen2VLVideoProcessor(patch_size=7),
        chat_template=CHAT.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>"),
    )


def _internvl():
    tokenizer = _tokenizer(context_image_token="<IMG_CONTEXT>", start_image_token="<img>", end_image_token="</img>", video_token="<video>")
    config = InternVLConfig(
        vision_config={"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": [56, 56], "patch_size": [14, 14]},
        text_config={"model_type": "qwen2", "vocab_size": len(tokenizer), **TEXT},
        image_token_id=tokenizer.context_image_token_id, image_seq_length=4, downsample_ratio=0.5,
    )
    pictures = GotOcr2ImageProcessor(size={"height": 56, "width": 56}, min_patches=1, max_patches=2)
    return InternVLForConditionalGeneration(config), InternVLProcessor(
        pictures, tokenizer, InternVLVideoProcessor(), image_seq_length=4, chat_template=CHAT.replace("IMAGE", "<IMG_CONTEXT>"),
    )


@functools.lru_cache
def subject(architecture: str, dtype=torch.float64, seed: int = 0, sharpness: float = 4.0) -> Subject:
    """A sharp random model; float64, so that disagreement is a mistake and not rounding.

    `sharpness` scales queries and keys: at 4 a row's largest attention weight is 0.89 on average, at 2 still 0.6.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, processor = {"llava": _llava, "qwen2.5-vl": _qwen, "internvl": _internvl}[architecture]()
        for name, weight in model.get_decoder().named_parameters():
            if weight.ndim == 2 and "embed" not in name:
                torch.nn.init.normal_(weight, std=(sharpness if "q_proj" in name or "k_proj" in name else 1.5) * weight.shape[1] ** -0.5)
            elif "bias" in name:
                torch.nn.init.normal_(weight, std=0.3)
        torch.nn.init.normal_(model.get_input_embeddings().weight)
        torch.nn.init.normal_(model.get_output_embeddings().weight, std=0.5)
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=2)
    return checked(Subject(f"tiny-{architecture}", model.to(dtype).eval(), processor, f"random-{seed}"))


@functools.lru_cache
def samples(n: int = 4) -> tuple:
    return tuple(dataset.load("scenes", "held")[:n])
