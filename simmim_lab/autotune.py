"""Autotuning: faster ways to take a step, used where this machine shows that they are right and fast (lesson 06).

A kernel that is fast on one GPU may be slow, wrong or missing on another. So none is believed: at the start of a
training `fastest` tries each way on the first batch, compares its numbers with those of the plain way, and keeps
it only if they agree and time is gained. Weights and moments are put back afterwards, so nothing of this is
training. Two such ways are here, a third is in `prefetch`:

    fused attention   relative positions go into one kernel, which never writes the scores into memory
    CUDA graph        the whole step is recorded once, and from then on launched as one piece
"""

import logging
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import zip_longest
from operator import itemgetter

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from simmim_lab.budget import synchronize
from simmim_lab.distributed import world_size
from simmim_lab.encoders import Attention, Bias, Heads, attend
from simmim_lab.hardware import autocast

Way = Callable[..., Tensor]

WORTH = 1.03  # times as fast as the plain way: what gains less is left out
TOLERANCE = 0.02  # of the size of the plain numbers; those of 16 bits are rounded by 0.4 %
TURN = 0.1  # seconds that a way is timed for, three times

log = logging.getLogger(__name__)


def applies(device: torch.device) -> bool:
    """Whether there is something to try: on a CUDA GPU that one process uses, nowhere else."""
    return device.type == "cuda" and world_size() == 1


def fastest(plain: Way, ways: dict[str, Callable[[], Way]], try_out: Callable[[Way], list[Tensor]]) -> Way:
    """The fastest of `plain` and `ways` that computes what `plain` does.

    Each of the `ways` is a function that makes it. `try_out(way)` uses a way and returns the numbers to compare;
    it must find the same state at each call. A way is taken if it is at least WORTH times as fast as `plain`, and
    if no tensor of its numbers is further from the plain one than TOLERANCE times its norm, and twice what two
    tries of the plain way differ by: some kernels add up in another order each time, and where a gradient is zero
    Adam makes much of the rest. A way that fails is left out, whatever its error. If `plain` is left, a warning
    says why.
    """
    try:
        expected = try_out(plain)
        allowed = [TOLERANCE + 2 * off for off in map(distance, try_out(plain), expected)]
        needed = seconds(partial(try_out, plain))
    except Exception as error:  # such as too little memory for a trial, or no compiler
        warnings.warn(f"trains without {'; '.join(ways)}, with nothing to compare: {_told(error)}", stacklevel=2)
        return plain
    right, told = {}, {}
    for name, make in ways.items():
        try:
            way = make()
            distances = list(map(distance, try_out(way), expected))
            near = (off <= most for off, most in zip(distances, allowed, strict=True))
            if not all(near):  # nor if it is no number
                raise ArithmeticError(f"its numbers are {max(distances):.1%} off")
            right[name] = seconds(partial(try_out, way)), way
        except Exception as error:  # kernels, compilers and captures fail in many ways
            told[name] = _told(error)
    with suppress(torch.OutOfMemoryError):  # beside the ways, which are still there, it has perhaps no room
        needed = min(needed, seconds(partial(try_out, plain)))  # a GPU was perhaps not warm at first
    told |= {name: f"{needed / taken:.2f} times as fast as without" for name, (taken, _) in right.items()}
    for name, words in told.items():
        log.info("%s: %s", name, words)
    least, best = min(right.values(), key=itemgetter(0), default=(needed, plain))
    if least * WORTH <= needed:
        return best
    warnings.warn("trains without " + "; ".join(f"{name} ({words})" for name, words in told.items()), stacklevel=2)
    return plain


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def distance(found: Tensor, expected: Tensor) -> float:
    """The norm of their difference, as a share of the norm of what is expected.

    Infinite numbers may be equal, and so may what is no number: float16 has both until its scaler has found a
    scale.
    """
    same = (found == expected) | (found.isnan() & expected.isnan())
    off = torch.where(same, 0, found - expected).float().norm()
    return (off / expected.float().nan_to_num().norm().clamp(min=1e-30)).item()


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes, at the best of three turns of TURN seconds, or of two calls if one takes longer."""
    first = clock(call, 1)
    count = round(TURN / first)
    return min(clock(call, count) for _ in range(3)) if count else min(first, clock(call, 1))


def clock(call: Callable[[], object], count: int) -> float:
    """How many seconds one of `count` calls takes."""
    synchronize()
    start = time.perf_counter()
    for _ in range(count):
        call()
    synchronize()
    return (time.perf_counter() - start) / count


def in_fused_kernel(query: Heads, key: Heads, value: Heads, bias: Bias) -> Heads:
    """`encoders.attend` for PyTorch's memory-efficient kernel, which has a gradient for the bias.

    It takes a bias only if its last axis is contiguous in memory, and no axis for windows: else PyTorch falls back
    to products in float32 and writes all scores into memory, without a word. A bias that all images share must
    come as one: rows that are no multiple of 8 numbers long, such as 196, are padded, else for each image anew.
    Source: PyTorch's `sdp_utils_cpp.h`, `check_last_dim_stride_equals_1_dense` and `check_tensor_shapes`, and
    `attention.cpp`, `preprocess_mask`; its pull request 104310 gave the kernel its bias.
    """
    bias = bias.to(query.dtype).contiguous()
    bias = bias.expand(*query.shape[:-1], -1).flatten(0, -4) if query.ndim > 4 else bias[None]
    query_, key, value = (tensor.flatten(0, -4) for tensor in (query, key, value))
    return F.scaled_dot_product_attention(query_, key, value, attn_mask=bias).view(query.shape)


def in_flex_attention(query: Heads, key: Heads, value: Heads, bias: Bias) -> Heads:
    """`encoders.attend` as a kernel that `torch.compile` writes: it looks the bias up, and adds up its gradient.

    The gradient is added up in float32, by as many threads as come: its last digits differ from run to run.
    Uncompiled it would be slower than plain attention.
    Source: Dong et al. 2024, "Flex Attention"; PyTorch's pull request 137452, in 2.6, for biases that learn.
    """
    from torch.nn.attention.flex_attention import flex_attention  # takes half a second to import

    windows = bias.reshape(-1, *bias.shape[-3:])  # a ViT has one

    def add_bias(score: Tensor, batch: Tensor, head: Tensor, row: Tensor, column: Tensor) -> Tensor:
        return score + windows[batch % len(windows), head, row, column]

    query_, key, value = (tensor.flatten(0, -4) for tensor in (query, key, value))
    return flex_attention(query_, key, value, score_mod=add_bias).view(query.shape)


ATTENTION = {"fused attention": in_fused_kernel, "flex attention": in_flex_attention}


def fuse_attention(model: nn.Module, batch: tuple[Tensor, ...], *, compile: bool = False) -> None:
    """Give each attention of `model` with a bias that learns the `fastest` of ATTENTION; see `plain_attention`.

    They are tried on what attention gets in `model(*batch)`, forward and backward, once for each shape. Where no
    gradient is asked for, attention stays plain. Flex attention is tried only with `compile`.
    """
    ways = {name: way for name, way in ATTENTION.items() if compile or way is not in_flex_attention}
    for inputs, modules in _attention_inputs(model, batch):
        leaves = [tensor.requires_grad_() for tensor in inputs]

        def try_out(way: Way, leaves: list[Tensor] = leaves) -> list[Tensor]:
            with autocast(leaves[0].device):
                output = way(*leaves)
            return [output.detach(), *torch.autograd.grad(output, leaves, leaves[0].detach())]

        prepare = partial(torch.compile, dynamic=False) if compile else lambda way: way
        plain = prepare(attend)
        found = fastest(plain, {name: partial(prepare, way) for name, way in ways.items()}, try_out)
        if found is not plain:
            for module in modules:
                module.attend = partial(where_it_learns, found)


def plain_attention(model: nn.Module) -> None:
    """Undo `fuse_attention`."""
    for module in model.modules():
        if isinstance(module, Attention):
            vars(module).pop("attend", None)


def where_it_learns(way: Way, query: Heads, key: Heads, value: Heads, bias: Bias | None = None) -> Heads:
    """Attention by `way` where a bias learns, else by the plain one: only with its gradient was `way` tried."""
    return (way if bias is not None and bias.requires_grad else attend)(query, key, value, bias)


def _attention_inputs(model: nn.Module, batch: tuple[Tensor, ...]) -> list[tuple[list[Tensor], list[Attention]]]:
    """For each shape: queries, keys, values and a bias that learns, and the modules that get such."""
    found: dict[tuple, tuple[list[Tensor], list[Attention]]] = {}

    def note(module: Attention, query: Heads, key: Heads, value: Heads, bias: Bias | None = None) -> Heads:
        if bias is not None and bias.requires_grad:
            inputs = [tensor.detach() for tensor in (query, key, value, bias)]
            found.setdefault(tuple(tensor.shape for tensor in inputs), (inputs, []))[1].append(module)
        return attend(query, key, value, bias)

    for module in model.modules():
        if isinstance(module, Attention):
            module.attend = partial(note, module)
    try:
        with autocast(batch[0].device):
            model(*batch)
    finally:
        plain_attention(model)
    return list(found.values())


def captured(step: Way, inputs: tuple[Tensor | float, ...]) -> Way:
    """`step(*inputs)` as one CUDA graph: a function that takes such inputs, and replays what was recorded.

    It reads and writes where it did when it was recorded, so all that a step changes must stay in its place, and
    what differs from step to step must be among the inputs: their values are copied to their places. Numbers, such
    as a learning rate, become tensors there. Returns a copy of what `step` returned, a tensor.
    Raises RuntimeError if in a step the host waits for the device: no graph can do that, and a recording that
    fails would leave PyTorch's memory in disorder.
    Source: PyTorch's notes on CUDA semantics, "whole-network capture"; warming up on the stream that records is
    its pull request 187745.
    """
    device = inputs[0].device
    places = [torch.as_tensor(value, device=device).clone() for value in inputs]
    main, stream = torch.cuda.current_stream(), torch.cuda.Stream()
    stream.wait_stream(main)
    with torch.cuda.stream(stream), warnings.catch_warnings():
        for known in ("Synchronization debug mode is a prototype", "This instance was constructed with cap"):
            warnings.filterwarnings("ignore", known)
        for _ in range(2):
            step(*places)
        torch.cuda.set_sync_debug_mode("error")
        try:
            step(*places)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    main.wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    recording = torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local")  # others may draw images
    with torch.cuda.stream(main), recording:  # one that fails does not leave its stream by itself
        output = step(*places)

    def replay(*inputs: Tensor | float) -> Tensor:
        for place, value in zip(places, inputs, strict=True):
            place.copy_(value) if isinstance(value, Tensor) else place.fill_(value)
        graph.replay()
        return output.clone()

    return replay


def rewinding(model: nn.Module, optimizer: Optimizer, step: Callable[[], object]) -> Callable[[], None]:
    """A function that puts weights and moments back, in their places, to what they are now.

    `step()` takes a step, which makes the moments of an optimizer that has none yet. If there is too little memory
    for it, all is as it was.
    """

    def moments() -> list[Tensor]:
        return [tensor for state in optimizer.state.values() for tensor in state.values()]

    weights = [*model.parameters(), *model.buffers()]
    new, before = not optimizer.state, [tensor.detach().clone() for tensor in (*weights, *moments())]

    @torch.no_grad()
    def rewind() -> None:
        for place, value in zip_longest((*weights, *moments()), before):
            place.zero_() if value is None else place.copy_(value)

    try:
        step()
    except torch.OutOfMemoryError:  # perhaps between the moments of two weights
        rewind()
        if new:
            optimizer.state.clear()
        raise
    return rewind
