"""Drop path, or stochastic depth: in each step an image skips some residual branches (lesson 07).

A training draws which ones, with a generator of the step, so that a step can be repeated exactly. The encoder
needs no code for it: hooks multiply what its branches give.
"""

import re
from functools import partial

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

Keep = Float[Tensor, "batch branches"]  # a factor for each residual branch


class DropPath:
    """The residual branches of an encoder, each multiplied by a factor while `keep` is set.

    The branches of the last block are skipped at the rate `rate`, those of the first never, and the rate grows
    linearly in between. An encoder without residual branches, such as
    the article's CNN, has none to skip. Call `remove` at the end.
    Source: Huang et al. 2016, "stochastic depth", §3; timm.
    """

    def __init__(self, encoder: nn.Module, rate: float):
        branches = {
            name: module
            for name, module in encoder.named_modules()
            if re.search(r"\.(scale|drop_path)\d?$", name)  # ours, timm's
        }
        blocks = [name.rpartition(".")[0] for name in branches]
        rates = dict(zip(dict.fromkeys(blocks), torch.linspace(0, rate, len(set(blocks))), strict=True))
        self.rates = torch.tensor([rates[block] for block in blocks]).to(next(encoder.parameters()).device)
        self.keep: Keep | None = None
        self._hooks = [
            branch.register_forward_hook(partial(self._multiply, number))
            for number, branch in enumerate(branches.values())
        ]

    def draw(self, batch: int, generator: Generator) -> Keep:
        """A factor for each image and branch: 0, or else 1 / (1 - rate), so that the mean stays.

        The generator is on the device of the encoder.
        """
        drawn = torch.rand(batch, len(self.rates), generator=generator, device=generator.device)
        return (drawn >= self.rates) / (1 - self.rates)

    def remove(self) -> None:
        """Leave the encoder as it was."""
        for hook in self._hooks:
            hook.remove()

    def _multiply(self, number: int, branch: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        if self.keep is None:
            return output
        return output * self.keep[:, number].view(-1, *[1] * (output.ndim - 1))
