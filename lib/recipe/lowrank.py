"""Low-rank deltas for the linear layers of the language model."""

import torch
from torch import nn
from torch.nn.utils import parametrize

SCALE = 2.0


class LowRank(nn.Module):
    """W ↦ W + 2·B·A with W frozen; B starts at zero, so the model starts as it was."""

    def __init__(self, weight: torch.Tensor, rank: int):
        super().__init__()
        outputs, inputs = weight.shape
        self.lora_A = nn.Parameter(torch.randn(rank, inputs) / inputs**0.5)
        self.lora_B = nn.Parameter(torch.zeros(outputs, rank))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + SCALE * self.lora_B @ self.lora_A


def adapt(language_model: nn.Module, rank: int) -> None:
    """Give every linear layer a delta of a rank. Layers that have one keep it."""
    for layer in [module for module in language_model.modules() if isinstance(module, nn.Linear)]:
        if not parametrize.is_parametrized(layer, "weight"):
            parametrize.register_parametrization(layer, "weight", LowRank(layer.weight, rank))


def deltas(language_model: nn.Module) -> dict[str, torch.Tensor]:
    """The deltas as ``<layer>.lora_A`` and ``<layer>.lora_B``, which
    `arbitration.models.embedded.assemble` takes.
    """
    return {
        name.replace(".parametrizations.weight.0", ""): parameter.detach().cpu()
        for name, parameter in language_model.named_parameters()
        if "lora_" in name
    }
