"""A GPU that is not there: what needs no values runs as on a GPU, on tensors that have none."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Generator, Tensor
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class FakeGenerator(Generator):
    """Says that it is on a GPU."""

    device = torch.device("cuda:0")


class NoCopies(TorchDispatchMode):
    """Refuses what goes from one device to another: the host would wait until the GPU has done all before."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        devices = {leaf.device for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)}
        assert len(devices) <= 1, f"{operation} goes from one device to another"
        return result


@contextmanager
def on_gpu() -> Iterator[Generator]:
    """Within, tensors have a shape and a device but no values: who asks for a value, or lets values decide about a
    shape, gets an error. Gives a generator on the GPU."""
    with FakeTensorMode(allow_non_fake_inputs=True), NoCopies():
        yield FakeGenerator()
