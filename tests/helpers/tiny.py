"""Small random models of the paper's three architectures and of others, with real processors over
the shipped vocabulary.

Queries and keys are scaled up so that attention is sharp: on uniform attention a blocked edge
hardly shows.
"""

import functools

import torch
from transformers import (
    AutoTokenizer,
    CLIPImageProcessor,
    CLIPVisionConfig,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3ImageProcessor,
    Gemma3Processor,
    GenerationConfig,
    GotOcr2ImageProcessor,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVideoProcessor,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessor,
    LlavaOnevisionProcessor,
    LlavaOnevisionVideoProcessor,
    LlavaProcessor,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLMoeConfig,
    Qwen3VLMoeForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from arbitration import dataset
from arbitration.files.folders import DATA
from arbitration.models.subject import Subject, check_subject

ARCHITECTURES = ("llava", "qwen2.5-vl", "internvl")
FURTHER = ("llava-onevision", "qwen3-vl", "qwen3-vl-moe", "gemma-3")
TEXT = {
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 5,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
}
CHAT = (
    "{% for m in messages %}[{{ m.role }}]{% for c in m.content %}{% if c.type == 'image' "
    "%}IMAGE{{ '\\n' }}{% else %}{{ c.text }}"
    "{% endif %}{% endfor %}{{ '\\n' }}{% endfor %}{% if add_generation_prompt "
    "%}[assistant]{{ '\\n' }}{% endif %}"
)


def vocabulary(**named):
    tokenizer = AutoTokenizer.from_pretrained(DATA / "models")
    tokenizer.add_special_tokens({"additional_special_tokens": list(named.values())})
    for name, token in named.items():
        setattr(tokenizer, name, token)
        setattr(tokenizer, f"{name}_id", tokenizer.convert_tokens_to_ids(token))
    return tokenizer


def _llava():
    tokenizer = vocabulary(image_token="<image>")
    vision = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=28,
        patch_size=7,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config={"model_type": "llama", "vocab_size": len(tokenizer), **TEXT},
        image_token_index=tokenizer.image_token_id,
        image_seq_length=16,
        vision_feature_layer=-2,
    )
    pictures = CLIPImageProcessor(size={"height": 28, "width": 28}, do_center_crop=False)
    return LlavaForConditionalGeneration(config), LlavaProcessor(
        pictures,
        tokenizer,
        patch_size=7,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT.replace("IMAGE", "<image>"),
    )


def _qwen():
    tokenizer = vocabulary(
        image_token="<|image_pad|>",
        video_token="<|video_pad|>",
        start="<|vision_start|>",
        end="<|vision_end|>",
    )
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}
    config = Qwen2_5_VLConfig(
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 2,
            "out_hidden_size": 48,
            "patch_size": 7,
            "fullatt_block_indexes": [1],
            "window_size": 28,
        },
        text_config={
            "vocab_size": len(tokenizer),
            "rope_parameters": rope,
            "bos_token_id": 1,
            "eos_token_id": 2,
            **TEXT,
        },
        image_token_id=tokenizer.image_token_id,
        video_token_id=tokenizer.video_token_id,
        vision_start_token_id=tokenizer.start_id,
        vision_end_token_id=tokenizer.end_id,
    )
    pixels = {"patch_size": 7, "min_pixels": 56 * 56, "max_pixels": 56 * 56}
    return Qwen2_5_VLForConditionalGeneration(config), Qwen2_5_VLProcessor(
        Qwen2VLImageProcessor(**pixels),
        tokenizer,
        Qwen2VLVideoProcessor(patch_size=7),
        chat_template=CHAT.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>"),
    )


def _internvl():
    tokenizer = vocabulary(
        context_image_token="<IMG_CONTEXT>",
        start_image_token="<img>",
        end_image_token="</img>",
        video_token="<video>",
    )
    config = InternVLConfig(
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": [56, 56],
            "patch_size": [14, 14],
        },
        text_config={"model_type": "qwen2", "vocab_size": len(tokenizer), **TEXT},
        image_token_id=tokenizer.context_image_token_id,
        image_seq_length=4,
        downsample_ratio=0.5,
    )
    pictures = GotOcr2ImageProcessor(size={"height": 56, "width": 56}, min_patches=1, max_patches=2)
    return InternVLForConditionalGeneration(config), InternVLProcessor(
        pictures,
        tokenizer,
        InternVLVideoProcessor(),
        image_seq_length=4,
        chat_template=CHAT.replace("IMAGE", "<IMG_CONTEXT>"),
    )


def _onevision():
    tokenizer = vocabulary(image_token="<image>", video_token="<video>")
    grid = [[28, 28], [28, 56], [56, 28]]
    config = LlavaOnevisionConfig(
        vision_config={
            "model_type": "siglip_vision_model",
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 28,
            "patch_size": 7,
            "vision_use_head": False,
        },
        text_config={"model_type": "qwen2", "vocab_size": len(tokenizer), **TEXT},
        image_grid_pinpoints=grid,
        image_token_index=tokenizer.image_token_id,
        video_token_index=tokenizer.video_token_id,
    )
    pictures = LlavaOnevisionImageProcessor(
        size={"height": 28, "width": 28}, image_grid_pinpoints=grid
    )
    return LlavaOnevisionForConditionalGeneration(config), LlavaOnevisionProcessor(
        pictures,
        tokenizer,
        LlavaOnevisionVideoProcessor(),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=CHAT.replace("IMAGE", "<image>"),
    )


def _qwen3(config_class=Qwen3VLConfig, model_class=Qwen3VLForConditionalGeneration, **text):
    tokenizer = vocabulary(
        image_token="<|image_pad|>",
        video_token="<|video_pad|>",
        start="<|vision_start|>",
        end="<|vision_end|>",
    )
    rope = {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "mrope_section": [2, 1, 1],
        "mrope_interleaved": True,
    }
    config = config_class(
        vision_config={
            "depth": 3,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 2,
            "out_hidden_size": 48,
            "patch_size": 7,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0, 1, 2],
        },
        text_config={
            "vocab_size": len(tokenizer),
            "head_dim": 8,
            "rope_parameters": rope,
            "bos_token_id": 1,
            "eos_token_id": 2,
            **TEXT,
            **text,
        },
        image_token_id=tokenizer.image_token_id,
        video_token_id=tokenizer.video_token_id,
        vision_start_token_id=tokenizer.start_id,
        vision_end_token_id=tokenizer.end_id,
    )
    pictures = Qwen2VLImageProcessor(
        patch_size=7, size={"shortest_edge": 56 * 56, "longest_edge": 56 * 56}
    )
    return model_class(config), Qwen3VLProcessor(
        pictures,
        tokenizer,
        Qwen3VLVideoProcessor(patch_size=7),
        chat_template=CHAT.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>"),
    )


def _qwen3_moe():
    experts = {
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
        "mlp_only_layers": [1],
    }
    model, processor = _qwen3(Qwen3VLMoeConfig, Qwen3VLMoeForConditionalGeneration, **experts)
    model.set_experts_implementation("eager")  # the grouped product has no float64
    return model, processor


def _gemma3():
    tokenizer = vocabulary(
        image_token="<image_soft_token>", boi_token="<start_of_image>", eoi_token="<end_of_image>"
    )
    kinds = [
        "sliding_attention",
        "sliding_attention",
        "full_attention",
        "sliding_attention",
        "full_attention",
    ]
    config = Gemma3Config(
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 28,
            "patch_size": 7,
        },
        text_config={
            "vocab_size": len(tokenizer),
            "head_dim": 8,
            "query_pre_attn_scalar": 8,
            "sliding_window": 24,
            "layer_types": kinds,
            "pad_token_id": 2,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "tie_word_embeddings": False,
            **TEXT,
        },
        mm_tokens_per_image=4,
        image_token_index=tokenizer.image_token_id,
        boi_token_index=tokenizer.boi_token_id,
        eoi_token_index=tokenizer.eoi_token_id,
        # tied and random, it would say the last token again whatever is done to it
        tie_word_embeddings=False,
    )
    model = Gemma3ForConditionalGeneration(config)
    torch.nn.init.normal_(
        model.model.multi_modal_projector.mm_input_projection_weight
    )  # zeros as transformers makes it: a picture would say nothing
    pictures = Gemma3ImageProcessor(size={"height": 28, "width": 28})
    return model, Gemma3Processor(
        pictures, tokenizer, CHAT.replace("IMAGE", "<start_of_image>"), image_seq_length=4
    )


BUILD = {
    "llava": _llava,
    "qwen2.5-vl": _qwen,
    "internvl": _internvl,
    "llava-onevision": _onevision,
    "qwen3-vl": _qwen3,
    "qwen3-vl-moe": _qwen3_moe,
    "gemma-3": _gemma3,
}


@functools.lru_cache
def subject(
    architecture: str, dtype=torch.float64, seed: int = 0, sharpness: float = 4.0
) -> Subject:
    """A sharp random model; float64, so that disagreement is a mistake and not rounding.

    `sharpness` scales queries and keys: at 4 a row's largest attention weight is 0.89 on average,
    at 2 still 0.6.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, processor = BUILD[architecture]()
        for name, weight in model.get_decoder().named_parameters():
            if weight.ndim >= 2 and "embed" not in name:
                torch.nn.init.normal_(
                    weight,
                    std=(sharpness if "q_proj" in name or "k_proj" in name else 1.5)
                    * weight.shape[-1] ** -0.5,
                )
            elif "q_norm" in name or "k_norm" in name:  # these undo the scale of queries and keys
                torch.nn.init.constant_(weight, sharpness)
            elif "bias" in name:
                torch.nn.init.normal_(weight, std=0.3)
        torch.nn.init.normal_(model.get_input_embeddings().weight)
        torch.nn.init.normal_(model.get_output_embeddings().weight, std=0.5)
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=2)
    return check_subject(
        Subject(f"tiny-{architecture}", model.to(dtype).eval(), processor, f"random-{seed}")
    )


@functools.lru_cache
def samples(n: int = 4) -> tuple:
    return tuple(dataset.load("scenes", "held")[:n])
