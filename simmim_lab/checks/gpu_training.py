"""Checks of lesson 06 and its exercises, on training with a GPU. None of them needs a GPU."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn.functional import interpolate

from simmim_lab import budget
from simmim_lab.checks import solutions
from simmim_lab.checks.core import Answer, Verdict, check, compare, distinct, explain, form
from simmim_lab.checks.guessing import Guess
from simmim_lab.data.scenes import draw_scenes


@check(
    "First ask whether there is a GPU at all. If there is, one comparison decides. Which of the two arguments is "
    "it about? And on which side of the limit is a GPU that lies exactly on it?",
    "`capability is None` comes first and means fp32. Then compare the whole pair with the pair `(8, 0)`: Python "
    "compares tuples number by number, from the left. `bf16_claimed` is needed nowhere.",
)
def choose_precision(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`choose_precision(capability, bf16_claimed)` says in which precision a device should train."""

    def judge(cases: list, want: str, mistakes: dict[str, Callable]) -> Verdict:
        """A mistake says of which cases it thinks that they train in bf16."""
        wrong = {
            text: {case: "bf16" if bf16(*case) else "fp16" for case in cases} for text, bf16 in mistakes.items()
        }
        others = ["bf16", "fp16", "fp32", torch.bfloat16, torch.float16, torch.float32]
        wrong |= {f"you say {other} for all of these": dict.fromkeys(cases, other) for other in others}
        return compare({case: answer(*case) for case in cases}, dict.fromkeys(cases, want), wrong)

    capabilities = [(major, minor) for major in range(1, 16) for minor in range(10)]
    cases = [(capability, claimed) for capability in capabilities for claimed in (True, False)]
    mistakes = {
        "the claim has a say here: only the capability decides": lambda capability, claimed: claimed,
        "8.0 itself is enough: `>=`, not `>`": lambda capability, claimed: capability > (8, 0),
        "all of 8.x is left out: `>=`, not `>`": lambda capability, claimed: capability[0] > 8,
        "later GPUs have bf16, too: `>=`, not `==`": lambda capability, claimed: capability[0] == 8,
        "8.0 is the lowest of them, not the only one: `>=`, not `==`": lambda capability, claimed: (
            capability == (8, 0)
        ),
        "the minor number must be 8 or more here: 9.0 is above 8.9": lambda capability, claimed: (
            capability[1] >= 8
        ),
        "the minor number has a say of its own: 9.0 is above 8.9": lambda capability, claimed: capability[1] > 0,
        "from 10.0 on it is fp16 again, but 10.0 is above 8.0, though not as text": lambda capability, claimed: (
            capability[0] < 10
        ),
        "only GPUs that existed when you wrote it are known: compare with 8.0": lambda capability, claimed: (
            capability in {(8, 0), (8, 6), (8, 7), (8, 9), (9, 0), (10, 0), (12, 0)}
        ),
    }
    new = [case for case in cases if case[0] >= (8, 0)]
    yield "says bf16 from capability 8.0 on", judge(new, "bf16", mistakes)
    mistakes = {
        "the claim is trusted, but it counts emulation, too": lambda capability, claimed: claimed,
        "the limit is 8.0, not 7.0": lambda capability, claimed: capability >= (7, 0),
        "the two numbers are added here, but 7.5 is below 8.0": lambda capability, claimed: sum(capability) >= 8,
        "7.5 is below 8.0: do not round it": lambda capability, claimed: capability >= (7, 5),
    }
    old = [case for case in cases if case[0] < (8, 0)]
    yield "says fp16 for older GPUs, such as a T4, whatever they claim", judge(old, "fp16", mistakes)
    yield "says fp32 without a GPU", judge([(None, False), (None, True)], "fp32", {})


@check(
    "How many numbers does each parameter need, itself included? Go down the table, and add up the lines that "
    "hold for this optimizer. How many bytes has one number of 32 bits?",
    "Without `ema`, AdamW has 4 numbers for each parameter and SGD 3. `ema` adds one to both. Each number has 4 "
    "bytes.",
    solution=solutions.training_memory,
)
def training_memory(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`training_memory(parameters, optimizer, ema)` is the memory of the training state in bytes."""
    parameters = 2 * int(torch.randint(10**6, 10**7, (), generator=rng)) + 1
    models = parameters, 7 * parameters + 2

    state = {
        "one number too many for each parameter; `ema` is False: is the average counted?": (20, 16),
        "a number of 32 bits has 4 bytes, not 8": (32, 24),
        "these are the weights alone; training keeps more": (4, 4),
        "AdamW keeps two numbers for each parameter, not three": (20, 12),
        "the optimizer's numbers are missing": (8, 8),
        "one number for each parameter is missing: are weights and gradients both counted?": (12, 8),
        "these are the optimizer's numbers alone: weights and gradients are missing": (8, 4),
        "SGD with momentum keeps a number for each parameter, too": (16, 8),
        "both optimizers get as much as SGD; AdamW keeps one number more": (12, 12),
        "both optimizers get as much as AdamW; SGD with momentum keeps one number less": (16, 16),
        "the optimizers are swapped": (12, 16),
        "with bf16 autocast, too, each of these numbers is fp32 and has 4 bytes": (8, 6),
        "2 bytes for each parameter are missing: weights and gradients have 4 each": (14, 10),
        "this is how many numbers there are; how many bytes has each?": (4, 3),
        "these are bits; a byte has 8 of them": (128, 96),
        "the copies that autocast makes for a while are not asked for": (18, 14),
    }
    units = {"kB": 1e3, "KiB": 2**10, "MB": 1e6, "MiB": 2**20, "GB": 1e9, "GiB": 2**30}
    state |= {f"give bytes, not {unit}": (16 / size, 12 / size) for unit, size in units.items()}
    average = {
        "`ema` is True, but the average's 4 bytes for each parameter are missing": (16, 12),
        "the average's numbers have 4 bytes each, too": (17, 13),
        "SGD has no average, but `ema` is True": (20, 12),
        "AdamW has no average, but `ema` is True": (16, 16),
        "the averaged weights are not trained: no gradient, nothing of the optimizer": (32, 24),
        "the average has one number for each parameter, not two": (24, 20),
        "with bf16 autocast, too, the average has 4 bytes for each parameter, not 2": (18, 14),
    }

    def bytes_each(ema: bool, adamw: float, sgd: float) -> dict[tuple, float]:
        """The answers if a parameter takes so many bytes."""
        each = {"adamw": float(adamw), "sgd": float(sgd)}
        return {(size, optimizer, ema): each[optimizer] * size for size in models for optimizer in each}

    for claim, ema, right, mistakes in (
        ("counts weights, gradients and the optimizer's numbers", False, (16, 12), state),
        ("adds the average of the weights", True, (20, 16), average),
    ):
        want = bytes_each(ema, *right)
        wrong = {text: bytes_each(ema, *each) for text, each in mistakes.items()}
        problem = compare({case: answer(*case) for case in want}, want, wrong, tolerance=1e-6)
        yield claim, problem
        if problem:
            return

    sizes = {1: (16, 12, 20), 70 * 10**9: (112e10, 84e10, 140e10)}
    for size, (adamw, sgd, averaged) in sizes.items():
        got = [answer(size, "adamw", False), answer(size, "sgd", False), answer(size, "adamw", True)]
        want = [float(adamw), float(sgd), float(averaged)]
        yield "holds for one parameter and for 70 billion", compare(got, want, tolerance=1e-6)


@check(
    "How many tokens does the picture have? Then go down the table: for each product of an (n × m) and an (m × k) "
    "matrix write n * m * k, in N and d. In how many of them does N appear twice?",
    "N is (height / patch) * (width / patch). Four of the products are multiples of N * d * d, the other two are "
    "N * N * d: add them up for one block. A multiply-add is two FLOP, and the picture passes through `depth` "
    "blocks.",
    solution=budget.vit_flops,
)
def vit_flops(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`vit_flops(image_size, patch, dim, depth)` is the work of the blocks of a ViT for one picture, in FLOP."""
    sizes = distinct(rng, 10, 3, 12)
    cases = [
        ((rows * patch, cols * patch), patch, 64 * wide, depth)
        for rows, cols, patch, wide, depth in (sizes[:5], sizes[5:])
    ]

    def work(n: float, d: float, depth: int, square: float = 24, mix: float = 4) -> float:
        return depth * (square * n * d**2 + mix * n**2 * d)

    parts = {  # of (tokens, dim, depth)
        "a multiply-add is two FLOP, one product and one sum": lambda *of: work(*of) / 2,
        "the attention compares every token with every token: N * N is missing": lambda *of: work(*of, mix=0),
        "the products with N * N count half, as if scores or mixing were missing": lambda *of: work(*of, mix=2),
        "the attention compares every token with every token: N * N * d, not N * d": (
            lambda n, d, depth: depth * n * (24 * d**2 + 4 * d)
        ),
        "scores and mixing take N * N * d each, not N * N": lambda n, d, depth: depth * n * (24 * d**2 + 4 * n),
        "one token too many: the patches alone are tokens here": lambda n, d, depth: work(n + 1, d, depth),
        "this is one block; there are `depth`": lambda n, d, depth: work(n, d, 1),
        "this is training; the forward pass alone is asked for": lambda *of: 3 * work(*of),
        "the MLP is missing": lambda *of: work(*of, square=8),
        "these are the FLOP of the MLP alone": lambda *of: work(*of, square=16, mix=0),
        "the products with d * d count half, as if the MLP were not 4 * dim wide inside": lambda *of: work(
            *of, square=12
        ),
        "two products of d * d are missing, as if query, key and value were one": lambda *of: work(*of, square=20),
        "four products of d * d are missing, as if the MLP had one layer": lambda *of: work(*of, square=16),
        "one product of d * d is missing, as if there were no projection": lambda *of: work(*of, square=22),
        "the width of a layer counts twice, as input and as output: d², not d": (
            lambda n, d, depth: work(n, d, depth, square=24 / d)
        ),
        "each product counts the tokens once, not N²: (N × d) · (d × d) takes N * d * d": (
            lambda n, d, depth: depth * (24 * n**2 * d**2 + 4 * n**2 * d)
        ),
        "`^` is no power in Python but compares bits: write `**`": (
            lambda n, d, depth: depth * (24 * n * (d ^ 2) + 4 * (n ^ 2) * d)
        ),
        "`^` is no power in Python but compares bits: write `dim**2`": (
            lambda n, d, depth: depth * (24 * n * (d ^ 2) + 4 * n * n * d)
        ),
        "`^` is no power in Python but compares bits: write `tokens**2`": (
            lambda n, d, depth: depth * (24 * n * d * d + 4 * (n ^ 2) * d)
        ),
        "it is twice too much: a multiply-add is two FLOP, not four": lambda *of: 2 * work(*of),
        "this is the work for one token": lambda n, d, depth: work(n, d, depth) / n,
        "the blocks follow each other: multiply by `depth` once": lambda n, d, depth: work(n, d, depth) * depth,
        "these are GFLOP: give FLOP": lambda *of: work(*of) / 1e9,
        "these are MFLOP: give FLOP": lambda *of: work(*of) / 1e6,
    }
    tokens = {  # of (height, width, patch)
        "the tokens fill an area: rows * columns, not the rows alone": lambda h, w, p: h // p,
        "the tokens fill an area: rows * columns, not the columns alone": lambda h, w, p: w // p,
        "the tokens fill an area: divide both sides by `patch`": lambda h, w, p: h * w // p,
        "a token is a patch, not a pixel": lambda h, w, p: h * w,
        "the picture is not square: rows * rows is not its number of patches": lambda h, w, p: (h // p) ** 2,
        "the picture is not square: columns * columns is not its number of patches": lambda h, w, p: (w // p) ** 2,
        "these are rows + columns tokens: multiply them": lambda h, w, p: (h + w) // p,
        "N is the number of patches, not the number of pixels in one": lambda h, w, p: p * p,
    }
    mistakes = {text: _of_tokens(rule) for text, rule in parts.items()}
    mistakes |= {text: _of_tokens(work, count) for text, count in tokens.items()}
    mistakes["the patch embedding is counted: leave it out"] = lambda size, patch, d, depth: (
        _of_tokens(work)(size, patch, d, depth) + 6 * math.prod(size) * d
    )
    yield (
        "counts the products of all blocks",
        explain(answer, _of_tokens(work), cases, mistakes, tolerance=1e-6),
    )
    yield "counts 64 FLOP for the example", compare(answer((4, 8), 4, 1, 1), 64.0, tolerance=1e-6)
    verdict = compare(answer((32, 32), 4, 192, 12), 717_225_984.0, tolerance=1e-6)
    yield "counts 0.717 GFLOP for the course's vit_tiny", verdict
    verdict = compare(answer((224, 224), 16, 768, 12), 34_710_552_576.0, tolerance=1e-6)
    yield "counts 34.7 GFLOP for the paper's ViT-B", verdict
    verdict = compare(answer(32, 4, 192, 12), 717_225_984.0, tolerance=1e-6)
    yield "takes one side for a square image", verdict
    yield "refuses a size that patches do not tile", _refused(answer, [((30, 32), 4), ((32, 30), 4), (30, 4)])


def _refused(answer: Answer, cases: list[tuple]) -> Verdict:
    """None if the answer raises an error for each size and patch, else the first that it takes."""
    for size, patch in cases:
        try:
            got = answer(size, patch, 64, 1)
        except Exception:
            continue
        advice = ": `raise` an error, do not `return` it" if isinstance(got, Exception) else ""
        return f"expected a ValueError for {size} pixels and patches of {patch}, got {got!r}{advice}"
    return None


def _of_tokens(
    rule: Callable, tokens: Callable = lambda height, width, patch: height * width // patch**2
) -> Callable:
    """A function of (tokens, dim, depth) as an answer."""
    return lambda size, patch, dim, depth: float(rule(tokens(*size, patch), dim, depth))


@check(
    "Only a part fits: cut the batch into `parts` of them. `gradient` gives the gradient of a part's *mean* loss. "
    "How does the mean over the whole batch follow from the means of parts of equal size?",
    "`batch.chunk(parts)` cuts it into `parts` parts; `split(n)` makes parts of n images. Add up `gradient(part)` "
    "and divide the sum by `parts`: the mean over all images is the mean of the parts' means.",
    solution=solutions.accumulated_gradient,
)
def accumulated_gradient(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`accumulated_gradient(gradient, batch, parts)` is the gradient for a batch of which only a part fits."""
    cases = []
    for many_parts in (True, False):
        parts, each, height, width = distinct(rng, 4, 2, 6)
        parts, each = sorted((parts, each), reverse=many_parts)
        batch = torch.randn(parts * each, 3, height, width, generator=rng)
        weight = torch.randn(3, height, width, generator=rng)
        room = max(parts, each)  # for `split(parts)`, too
        cases.append((_Squares(weight, room, (3, height, width) if many_parts else (height, width)), batch, parts))

    def means(gradient: Callable, batch: Tensor, parts: int) -> Tensor:
        return torch.stack([gradient(part) for part in batch.chunk(parts)])

    rules = {
        "the parts' gradients are added; each is that of a mean: divide the sum by `parts`": (
            lambda g, x, n: means(g, x, n).sum(0)
        ),
        "this is the last part alone: add to what is there": lambda g, x, n: means(g, x, n)[-1],
        "this is the first part alone": lambda g, x, n: means(g, x, n)[0],
        "the first part alone, divided by `parts`: does the loop return too early?": (
            lambda g, x, n: means(g, x, n)[0] / n
        ),
        "each part replaces the one before, so only the last one counts": lambda g, x, n: means(g, x, n)[-1] / n,
        "halved with each part, from the second on: later parts count more": lambda g, x, n: reduce(
            lambda kept, new: (kept + new) / 2, means(g, x, n)
        ),
        "halved with each part, from 0 on: later parts count more": (
            lambda g, x, n: reduce(lambda kept, new: (kept + new) / 2, means(g, x, n), 0)
        ),
        "the last part is left out": lambda g, x, n: means(g, x, n)[:-1].sum(0) / n,
        "`split(parts)` cuts parts of `parts` images; `chunk(parts)` cuts so many parts": (
            lambda g, x, n: sum(g(part) for part in x.split(n)) / n
        ),
        "it is divided by the number of images; each part has divided by its own": (
            lambda g, x, n: means(g, x, n).sum(0) / len(x)
        ),
        "it is divided by the images in a part; divide by the number of parts": (
            lambda g, x, n: means(g, x, n).sum(0) / (len(x) // n)
        ),
        "it is divided by `parts` twice": lambda g, x, n: means(g, x, n).mean(0) / n,
        "it is multiplied by the images in a part: each part has a mean already": (
            lambda g, x, n: means(g, x, n).mean(0) * (len(x) // n)
        ),
        "these are the gradients of all parts; one is asked for, their mean": means,
        "one number is returned; the gradient has the shape that `gradient` gives": (
            lambda g, x, n: means(g, x, n).mean()
        ),
        "the sign is turned: it is the optimizer that goes against the gradient": (
            lambda g, x, n: -means(g, x, n).mean(0)
        ),
        "only one image of each part is taken": (
            lambda g, x, n: torch.stack([g(part[:1]) for part in x.chunk(n)]).mean(0)
        ),
        "the gradient has the shape that `gradient` gives, which need not be that of an image": lambda g, x, n: (
            sum((g(part) for part in x.chunk(n)), torch.zeros_like(x[0])) / n
        ),
        "the median of the parts is no mean": lambda g, x, n: means(g, x, n).median(0).values,
    }
    right = solutions.accumulated_gradient
    yield "is the gradient of the mean loss over the whole batch", explain(answer, right, cases, rules)
    tight = [(replace(g, room=len(x) // n), x, n) for g, x, n in cases]
    yield "works off no more images at a time than fit", explain(answer, right, tight, rules)
    gradient, batch, _ = cases[0]
    whole = replace(gradient, room=len(batch))
    edges = [(whole, batch, 1), (whole, batch, len(batch)), (whole, batch[:1], 1)]
    edges += [(replace(whole, shape=shape), batch, len(batch)) for shape in ((1, *batch.shape[2:]), ())]
    rules |= {
        "`squeeze` drops an axis of length 1": lambda g, x, n: means(g, x, n).mean(0).squeeze(),
        "a gradient may have no axis: begin the sum with 0, or with the first gradient": (
            lambda g, x, n: means(g, x, n).mean(0) + torch.zeros(1)
        ),
    }
    yield "is right for one part, and for parts of one image", explain(answer, right, edges, rules)


@dataclass(frozen=True, eq=False)
class _Squares:
    """The gradient of the mean over images x of (w · x)² / 2, on a machine with room for a few images.

    It may be added up to a smaller shape, as that of a weight that the colours share, or all pixels.
    """

    weight: Tensor
    room: int
    shape: tuple[int, ...]

    def __call__(self, images: Tensor) -> Tensor:
        if len(images) > self.room:
            raise MemoryError(f"out of memory: {len(images)} images at a time, but only {self.room} fit")
        products = (images * self.weight).sum((1, 2, 3), keepdim=True)
        return (products * images).mean(0).sum_to_size(self.shape)

    def __repr__(self) -> str:
        return "gradient"


@check(
    "Nothing is new in the products of the linear layers: for each token they are those of a ViT. With how many "
    "tokens is one compared in its window? And what does the next stage make of tokens and `dim`?",
    "A stage takes depth * N * (24 * d * d + 4 * window * window * d) FLOP. Then N becomes N / 4, because 2 x 2 "
    "tokens are merged, and d becomes 2 * d. Add up all stages.",
)
def swin_flops(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`swin_flops(image_size, patch, dim, depths, window)` is the work of a Swin's blocks for one picture."""
    cases = [_swin(rng, stages) for stages in (3, 4)]

    def rule(square: float = 24, mix: float = 4, *, look: Callable = lambda n, w: w * w, **changes) -> Callable:
        return partial(_swin_work, square=square, mix=mix, look=look, **changes)

    parts = {
        "this is a ViT's attention; here a token is compared with window * window others": (
            rule(look=lambda n, w: n)
        ),
        "a window of side `window` holds window * window tokens": rule(look=lambda n, w: w),
        "the attention is missing": rule(mix=0),
        "half of the attention: is a product missing, or is the first stage merged already?": rule(mix=2),
        "the linear layers are missing": rule(square=0),
        "two products of d * d are missing, as if query, key and value were one": rule(square=20),
        "one product of d * d is missing, as if there were no projection": rule(square=22),
        "four products of d * d are missing, as if the MLP had one layer": rule(square=16),
        "the products with d * d count half, as if the MLP were not 4 * dim wide inside": rule(square=12),
        "the merging is counted: leave it out": rule(merging=4),
        "all stages count like the first: tokens become fewer and longer": rule(wider=1, fewer=1),
        "the MLP is missing": rule(square=8),
        "a multiply-add is two FLOP, one product and one sum": rule(12, 2),
        "it is twice too much: a multiply-add is two FLOP, not four": rule(48, 8),
        "this is training; the forward pass alone is asked for": rule(72, 12),
        "`dim` doubles from stage to stage": rule(wider=1),
        "`dim` doubles from stage to stage; it does not grow fourfold": rule(wider=4),
        "2 x 2 tokens become one: N is a quarter in the next stage, not half": rule(fewer=2),
        "2 x 2 tokens become one: N is a quarter in the next stage": rule(fewer=1),
        "these are only the blocks of the first stage": rule(stages=slice(1)),
        "these are only the blocks of the last stage: add up all stages": rule(stages=slice(-1, None)),
        "the last stage is missing": rule(stages=slice(-1)),
        "the first stage is missing": rule(stages=slice(1, None)),
        "each stage has as many blocks as `depths` says, not one": rule(deep=False),
        "a token is a patch, not a pixel": rule(tokens=lambda h, w, p: h * w),
        "the tokens fill an area: divide both sides by `patch`": rule(tokens=lambda h, w, p: h * w // p),
        "the picture is not square: rows * rows is not its number of patches": rule(
            tokens=lambda h, w, p: (h // p) ** 2
        ),
        "the picture is not square: columns * columns is not its number of patches": rule(
            tokens=lambda h, w, p: (w // p) ** 2
        ),
        "these are GFLOP: give FLOP": rule(24e-9, 4e-9),
        "`^` is no power in Python but compares bits: write `window**2`": rule(look=lambda n, w: w ^ 2),
    }
    yield "counts the products of all stages", explain(answer, rule(), cases, parts, tolerance=1e-6)
    yield "counts 2,304 FLOP for the example", compare(answer((16, 32), 4, 1, [1, 1], 2), 2304.0, tolerance=1e-6)
    one = ((32, 32), 4, 192, [12], 8)
    yield "is a ViT's for one stage with a single window", compare(answer(*one), 717_225_984.0, tolerance=1e-6)
    paper = ((192, 192), 4, 128, [2, 2, 18, 2], 6)
    yield "counts 22.1 GFLOP for the paper's Swin-B", compare(answer(*paper), 22_072_393_728.0, tolerance=1e-6)


def _swin_work(
    size: tuple[int, int],
    patch: int,
    dim: int,
    depths: list[int],
    window: int,
    *,
    square: float,
    mix: float,
    look: Callable,
    wider: int = 2,
    fewer: int = 4,
    merging: float = 0,
    stages: slice = slice(None),
    deep: bool = True,
    tokens: Callable = lambda height, width, patch: height * width // patch**2,
) -> float:
    """The FLOP of the blocks, or what a mistake makes of them."""
    work = []
    for stage, depth in enumerate(depths):
        n, d = tokens(*size, patch) / fewer**stage, dim * wider**stage
        between = merging * n * d**2 * (stage < len(depths) - 1)
        work.append((depth if deep else 1) * n * (square * d**2 + mix * look(n, window) * d) + between)
    return float(sum(work[stages]))


def _swin(rng: Generator, stages: int) -> tuple[tuple[int, int], int, int, list[int], int]:
    """A Swin whose windows tile the tokens of every stage, and of one more; no two of its sizes are equal."""
    rows, cols, window, patch, *depths = distinct(rng, 4 + stages, 3, 13)
    rows, cols = sorted((rows, cols), reverse=stages == 3)  # so rows * rows is not always twice as much, or half
    side = patch * window * 2**stages
    return (rows * side, cols * side), patch, 32 * max(depths), depths, window


@check(
    "Without sharding every GPU holds everything. With it, what does each hold all the time, and what comes on "
    "top for a moment, while a block computes?",
    "Sharded, each GPU keeps 4 numbers for each of parameters / gpus parameters. On top come 2 numbers, weight "
    "and gradient, for each parameter of the largest block. A number has 4 bytes.",
)
def bytes_per_gpu(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`bytes_per_gpu(parameters, largest_block, gpus, shard)` is what each GPU keeps of a model in training."""
    models = []
    for many in (True, False):
        block, *counts = distinct(rng, 3, 3, 23)
        gpus, times = sorted(counts, reverse=many)  # a GPU keeps less than a block, or more
        block = 1_000 * block + 1
        models.append((times * block + 2, block, gpus))

    def rule(of: Callable, alone: Callable = lambda p, b, n: 16 * p) -> Callable:
        return lambda p, b, n, shard: float(of(p, b, n) if shard else alone(p, b, n))

    right = rule(lambda p, b, n: 16 * p / n + 8 * b)
    units = {"kB": 1e3, "KiB": 2**10, "MB": 1e6, "MiB": 2**20, "GB": 1e9, "GiB": 2**30}

    def scaled(factor: float) -> Callable:
        return lambda *of: factor * right(*of)

    scales = {
        "these are numbers; each has 4 bytes": 1 / 4,
        "these are bits; a byte has 8 of them": 8,
        "all of these are fp32 numbers, 4 bytes each, not 2": 1 / 2,
        "all of these are fp32 numbers, 4 bytes each, not 8": 2,
        **{f"give bytes, not {unit}": 1 / size for unit, size in units.items()},
    }
    mistakes = {text: scaled(factor) for text, factor in scales.items()}
    mistakes |= {
        "without sharding nothing is divided: every GPU keeps all of it": rule(
            lambda p, b, n: 16 * p / n + 8 * b, lambda p, b, n: 16 * p / n
        ),
        "without sharding nothing is divided, and no block is put together": rule(
            lambda p, b, n: 16 * p / n + 8 * b, lambda p, b, n: 16 * p / n + 8 * b
        ),
        "without sharding no block is put together: its weights are there": rule(
            lambda p, b, n: 16 * p / n + 8 * b, lambda p, b, n: 16 * p + 8 * b
        ),
        "without sharding this is all GPUs together": rule(
            lambda p, b, n: 16 * p / n + 8 * b, lambda p, b, n: 16 * p * n
        ),
        "it is the other way round: with `shard` it is divided": rule(
            lambda p, b, n: 16 * p, lambda p, b, n: 16 * p / n + 8 * b
        ),
        "the gradient and AdamW's two means are missing": rule(
            lambda p, b, n: 4 * p / n + 4 * b, lambda p, b, n: 4 * p
        ),
        "AdamW's two means are missing": rule(lambda p, b, n: 8 * p / n + 8 * b, lambda p, b, n: 8 * p),
        "AdamW keeps two means for each parameter, not one": rule(
            lambda p, b, n: 12 * p / n + 8 * b, lambda p, b, n: 12 * p
        ),
    }
    shards = {
        "`shard` changes nothing here": lambda p, b, n: 16 * p,
        "the largest block is missing: while it computes, it is whole on every GPU": lambda p, b, n: 16 * p / n,
        "of the largest block its gradients are whole, too": lambda p, b, n: 16 * p / n + 4 * b,
        "the two numbers for each parameter of the block have 4 bytes each, too": lambda p, b, n: (
            16 * p / n + 2 * b
        ),
        "of a block only weights and gradients are put together, not AdamW's means": (
            lambda p, b, n: 16 * p / n + 16 * b
        ),
        "of the block AdamW's means stay sharded, and its share stays: subtract nothing": (
            lambda p, b, n: 16 * (p - b) / n + 16 * b
        ),
        "the largest block is whole on every GPU: do not divide it": lambda p, b, n: (16 * p + 8 * b) / n,
        "`shard` divides weights and gradients, too, not AdamW's means alone": lambda p, b, n: 8 * p + 8 * p / n,
        "`shard` divides all four numbers, not AdamW's means alone; the block is right": (
            lambda p, b, n: 8 * p + 8 * p / n + 8 * b
        ),
        "`shard` divides all four numbers, not one of them": lambda p, b, n: 12 * p + 4 * p / n + 8 * b,
        "the block's own share is there already, and comes on top: do not subtract it": (
            lambda p, b, n: 16 * (p - b) / n + 8 * b
        ),
        "this is all GPUs together": lambda p, b, n: 16 * p + 8 * b * n,
        "the blocks are put together one after the other, not all of them": lambda p, b, n: 16 * p / n + 8 * p,
        "the block's own share is there already, and comes on top: do not take it off": (
            lambda p, b, n: 16 * p / n + 8 * b * (n - 1) / n
        ),
        "the whole block comes on top of what a GPU keeps: subtract nothing": (
            lambda p, b, n: 16 * p / n + 8 * max(0, b - p / n)
        ),
        "`shard` divides the weights, too, not the other three numbers alone": (
            lambda p, b, n: 4 * p + 12 * p / n + 8 * b
        ),
        "`shard` divides the weights, too; and the largest block is missing": lambda p, b, n: 4 * p + 12 * p / n,
        "the share is rounded up: it need not be a whole number": lambda p, b, n: 16 * -(-p // n) + 8 * b,
        "with `shard` AdamW's two means are missing": lambda p, b, n: 8 * p / n + 8 * b,
        "the block comes on top with one GPU, too": lambda p, b, n: 16 * p / n + 8 * b * (n > 1),
        "the division cuts off: `/`, not `//`": lambda p, b, n: 16 * (p // n) + 8 * b,
        "the bytes are cut off: shares need not be whole numbers": lambda p, b, n: 16 * p // n + 8 * b,
        "the bytes are rounded: shares need not be whole numbers": lambda p, b, n: round(16 * p / n) + 8 * b,
    }
    mistakes |= {text: rule(of) for text, of in shards.items()}
    cases = [(*model, shard) for model in models for shard in (False, True)]
    yield "counts what each GPU keeps", explain(answer, right, cases, mistakes, tolerance=1e-6)
    examples = [answer(80, 20, 4, False), answer(80, 20, 4, True)]
    yield "counts 1,280 and 480 bytes for the example", compare(examples, [1280.0, 480.0], tolerance=1e-6)
    edges = [
        (1, 1, 1, True),
        (1, 1, 1, False),
        (70 * 10**9, 10**9, 64, True),
        (10, 3, 4, True),
        (7, 2, 3, True),
        (8, 2, 3, True),
    ]
    yield (
        "is right for one GPU, and for 70 billion parameters",
        explain(answer, right, edges, mistakes, tolerance=1e-6),
    )


@check(
    "The mean over all hidden pixels is no mean of means when GPUs hide different numbers of pixels. What must a "
    "gradient be multiplied by to become that of a *sum* of errors? And what is NaN times 0?",
    "gradient * count is the gradient of the sum of errors on that GPU. Add these up where count is above 0, and "
    "divide by the sum of all counts, or by 1 if that is 0.",
)
def whole_gradient(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`whole_gradient(gradients, hidden)` is the gradient of the mean error over all GPUs' hidden pixels."""
    cases = []
    for axes in (2, 1, 4):
        gpus, *sides = distinct(rng, 5, 3, 7)
        gradients = [torch.randn(sides[:axes], generator=rng) for _ in range(gpus)]
        *others, most = sorted(distinct(rng, gpus, 10, 99))
        cases.append((gradients, [*others[1:], most, others[0]]))  # neither the first nor the last hides most

    def rule(of: Callable[[Tensor, Tensor], Tensor]) -> Callable:
        return lambda gradients, hidden: of(
            torch.stack(gradients), torch.tensor(hidden).view(-1, *[1] * gradients[0].ndim)
        )

    rules = {
        "the GPUs hide different numbers of pixels: weigh each gradient with its number": lambda g, h: g.mean(0),
        "the gradients are added; each is that of a mean": lambda g, h: g.sum(0),
        "this is the gradient of the sum of errors: divide it by all hidden pixels": lambda g, h: (g * h).sum(0),
        "it is divided by the number of GPUs; divide by that of all hidden pixels": (lambda g, h: (g * h).mean(0)),
        "it is divided by the number of GPUs, and by the number of hidden pixels": (
            lambda g, h: (g * h).mean(0) / h.sum()
        ),
        "a gradient is weighted with 1 / hidden: the more a GPU hides, the more it counts": (
            lambda g, h: (g / h).sum(0) / (1 / h).sum()
        ),
        "a gradient is divided by its number: it was divided already, so multiply": lambda g, h: (g / h).sum(0),
        "divided by all hidden pixels, but before: multiply each by its number first": (
            lambda g, h: g.sum(0) / h.sum()
        ),
        "this is the GPU that hides most": lambda g, h: g[h.flatten().argmax()],
        "this is the first GPU alone": lambda g, h: g[0],
        "this is the last GPU alone": lambda g, h: g[-1],
        "it is divided by the largest number; divide by that of all hidden pixels": (
            lambda g, h: (g * h).sum(0) / h.max()
        ),
        "the numbers are weights, not their square roots": lambda g, h: (g * h**0.5).sum(0) / (h**0.5).sum(),
        "the numbers are weights, not their squares": lambda g, h: (g * h**2).sum(0) / (h**2).sum(),
        "the gradients are joined, not averaged": lambda g, h: torch.cat(list(g)),
        "one number is returned; a gradient has a value for each parameter": (
            lambda g, h: (g * h).sum() / h.sum() / g[0].numel()
        ),
        "a gradient may have one axis, or four: give the numbers as many axes": (
            lambda g, h: (g * h.view(-1, 1, 1)).sum(0) / h.sum()
        ),
    }
    mistakes = {text: rule(of) for text, of in rules.items()}
    problem = explain(answer, _whole_gradient, cases, mistakes)
    yield "is the gradient of the mean over all hidden pixels", problem
    if problem:
        return

    gradients, hidden = cases[0]
    nothing = torch.full_like(gradients[0], torch.nan)
    rules = {
        "all of it is 0, whatever the others say: is NaN replaced by 0 at the end?": (
            lambda g, h: ((g * h).sum(0) / h.sum()).nan_to_num()
        ),
        "a GPU that hides nothing counts as if it hid one pixel": (
            lambda g, h: (g.nan_to_num() * h).sum(0) / h.clamp(min=1).sum()
        ),
        "a gradient is left out, but not its 0 in `hidden`: the numbers behind it shift": lambda g, h: (
            (g[h.flatten() > 0] * h[: (h > 0).sum()]).sum(0) / h.sum()
        ),
        "the GPUs behind one that hides nothing are left out": lambda g, h: _average(g, h * (h > 0).cumprod(0)),
    }
    mistakes = {text: rule(of) for text, of in rules.items()}
    idle = [
        (
            [*gradients[:place], *[nothing] * gpus, *gradients[place:]],
            [*hidden[:place], *[0] * gpus, *hidden[place:]],
        )
        for place, gpus in ((0, 1), (len(hidden), 1), (1, 1), (2, 2))
    ]
    problem = _poisoned(answer, idle) or explain(answer, _whole_gradient, idle, mistakes)
    yield "leaves out a GPU that hides nothing", problem
    none = [([nothing, nothing], [0, 0]), ([nothing], [0])]
    yield "is 0 where nothing is hidden at all", explain(answer, _whole_gradient, none, mistakes)
    one, two = torch.rand(2, 1, 3, generator=rng)
    edges = [([one], [1]), ([one, two], [1, 2]), ([one, two], [5, 5]), ([one, two], [10**6, 1])]
    yield "is right for one GPU, for equal numbers, 1 and large ones", explain(answer, _whole_gradient, edges)


def _average(gradients: Tensor, weights: Tensor) -> Tensor:
    return (gradients.nan_to_num() * weights).sum(0) / weights.sum().clamp(min=1)


def _poisoned(answer: Answer, cases: list[tuple]) -> Verdict:
    """None unless the result is NaN in one of the cases, which no value is equal to."""
    for case in cases:
        if isinstance(got := answer(*case), Tensor) and got.is_floating_point() and got.isnan().any():
            return f"NaN times 0 is NaN: leave out a GPU that hides nothing\n{answer.shown(*case)}"
    return None


def _whole_gradient(gradients: list[Tensor], hidden: list[int]) -> Tensor:
    sums = [gradient * count for gradient, count in zip(gradients, hidden, strict=True) if count]
    return sum(sums, torch.zeros_like(gradients[0])) / max(1, sum(hidden))


@check(
    "Which moments does a stopwatch show that waits for the GPU? Mark them in the table: one at the end of the "
    "warm-up, one at the end of all. Which steps lie between the two marks?",
    "The clock starts when the last warm-up step, `steps[warmup - 1]`, is finished, and stops when the last step "
    "is finished. Divide the images of the steps between by this one time; no step needs a rate of its own.",
)
def images_per_second(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`images_per_second(steps, batch, warmup)` is the rate from (launched, finished) times of each step."""
    cases = [
        (_queued(rng, warmup, timed, start), batch, warmup)
        for warmup, timed, start, batch in zip(
            distinct(rng, 2, 2, 5), (9, 11), (0.0, 1000.0), distinct(rng, 2, 16, 64), strict=True
        )
    ]
    right = _rate(lambda m: m.images / (m.done[-1] - m.ready))
    advice = "keep the fraction", "keep all digits, not one", "keep all digits, not two"
    roundings = {
        f"it is rounded: {text}": lambda *case, n=digits: round(right(*case), n)
        for digits, text in enumerate(advice)
    }
    rules = {
        "this is the time between launches: a launch only puts work in a queue": (
            lambda m: m.images / (m.launched[-1] - m.launched[m.warmup - 1])
        ),
        "this is the time until the last launch: a launch only puts work in a queue": (
            lambda m: m.images / (m.launched[-1] - m.launched[m.warmup])
        ),
        "this is the time from first to last launch: a launch only puts work in a queue": (
            lambda m: m.images / (m.launched[-1] - m.launched[0])
        ),
        "the clock stops when the last step is launched; wait until it is finished": (
            lambda m: m.images / (m.launched[-1] - m.ready)
        ),
        "the warm-up is `warmup` steps, not one": (
            lambda m: m.batch * (len(m.done) - 1) / (m.done[-1] - m.done[0])
        ),
        "the warm-up is counted, both its images and its time": (
            lambda m: m.batch * len(m.done) / (m.done[-1] - m.launched[0])
        ),
        "the images of the warm-up are counted, but not its time": (
            lambda m: m.batch * len(m.done) / (m.done[-1] - m.ready)
        ),
        "the time of the warm-up is counted, but not its images": (
            lambda m: m.images / (m.done[-1] - m.launched[0])
        ),
        "the clock starts when the first warm-up step is finished: wait for the last one": (
            lambda m: m.images / (m.done[-1] - m.done[0])
        ),
        "this is negative: subtract the start of the clock from its stop": (
            lambda m: m.images / (m.ready - m.done[-1])
        ),
        "one step too many is counted: between the two marks lie those after the warm-up": (
            lambda m: (m.images + m.batch) / (m.done[-1] - m.ready)
        ),
        "the clock does not start at 0: subtract when the warm-up is finished": lambda m: m.images / m.done[-1],
        "the clock starts at a launch, when the GPU was still busy with the warm-up": (
            lambda m: m.images / (m.done[-1] - m.launched[m.warmup])
        ),
        "the clock starts when the last warm-up step is launched; wait until it is finished": (
            lambda m: m.images / (m.done[-1] - m.launched[m.warmup - 1])
        ),
        "the images of the first step after the warm-up are counted, but not its time": (
            lambda m: m.images / (m.done[-1] - m.done[m.warmup])
        ),
        "one step too many is left out, as if it belonged to the warm-up": (
            lambda m: (m.images - m.batch) / (m.done[-1] - m.done[m.warmup])
        ),
        "one step of the warm-up is counted": (
            lambda m: (m.images + m.batch) / (m.done[-1] - m.done[m.warmup - 2])
        ),
        "the time of the last warm-up step is counted, but not its images": (
            lambda m: m.images / (m.done[-1] - m.done[m.warmup - 2])
        ),
        "one step too few is counted: between the two marks lie all steps after the warm-up": (
            lambda m: (m.images - m.batch) / (m.done[-1] - m.ready)
        ),
        "the last step is left out": lambda m: (m.images - m.batch) / (m.done[-2] - m.ready),
        "the mean of rates favours the fast steps: divide all images by all the time": (
            lambda m: m.batch * (1 / m.seconds).mean()
        ),
        "the median hides the slow step, which happened": lambda m: m.batch / m.seconds.median(),
        "the fastest and the slowest step are left out, which happened, too": (
            lambda m: m.batch / m.seconds.sort().values[1:-1].mean()
        ),
        "this is the rate of the fastest step": lambda m: m.batch / m.seconds.min(),
        "this is the rate of the slowest step": lambda m: m.batch / m.seconds.max(),
        "this is the rate of the first step after the warm-up": lambda m: m.batch / m.seconds[0],
        "the warm-up is counted, and the clock does not start at 0": (
            lambda m: m.batch * len(m.done) / m.done[-1]
        ),
        "the fraction is cut off: keep it": lambda m: int(m.images / (m.done[-1] - m.ready)),
        "this is the rate of the last step alone": lambda m: m.batch / m.seconds[-1],
        "a step mostly waits in the queue: do not add up times from launch to finish": (
            lambda m: m.images / (m.done - m.launched)[m.warmup :].sum()
        ),
        "these are steps per second: a step has `batch` images": (
            lambda m: m.images / m.batch / (m.done[-1] - m.ready)
        ),
        "these are seconds per image": lambda m: (m.done[-1] - m.ready) / m.images,
        "these are seconds per step": lambda m: m.seconds.mean(),
        "these are images per minute": lambda m: 60 * m.images / (m.done[-1] - m.ready),
        "these are images per millisecond": lambda m: m.images / (m.done[-1] - m.ready) / 1000,
        "these are all images, not those of one second": lambda m: m.images,
        "these are all seconds; divide the images by them": lambda m: m.done[-1] - m.ready,
    }
    mistakes = {text: _rate(rule) for text, rule in rules.items()} | roundings
    yield (
        "divides the images after the warm-up by the time they took",
        explain(answer, right, cases, mistakes, tolerance=1e-5),
    )
    waits = [([(time - 0.02, time) for _, time in steps], *rest) for steps, *rest in cases]
    mistakes = {
        "the time to wait for a launch counts, too: do not add up the steps' own times": _rate(
            lambda m: m.images / (m.done - m.launched)[m.warmup :].sum()
        ),
        "the clock starts when the warm-up is finished, not when the next step is launched": _rate(
            lambda m: m.images / (m.done[-1] - m.launched[m.warmup])
        ),
    }
    yield (
        "is the same where the GPU waits for each launch: the same finishes, the same rate",
        explain(answer, right, waits, mistakes, tolerance=1e-5),
    )
    steps = cases[0][0]
    edges = [(steps[-2:], 7, 1), (steps, 1, 1), (steps, 5, len(steps) - 1)]
    yield (
        "is right for one warm-up step, one timed step and one image",
        explain(answer, right, edges, roundings, tolerance=1e-5),
    )


class _Measured(NamedTuple):
    """Steps on a stopwatch."""

    launched: Tensor
    done: Tensor
    batch: int
    warmup: int

    @property
    def images(self) -> int:
        return self.batch * (len(self.done) - self.warmup)

    @property
    def ready(self) -> Tensor:
        """When the warm-up is finished."""
        return self.done[self.warmup - 1]

    @property
    def seconds(self) -> Tensor:
        """The time of each step after the warm-up."""
        return self.done[self.warmup - 1 :].diff()


def _rate(rule: Callable[[_Measured], float | Tensor]) -> Callable:
    """A rule as an answer."""

    def answer(steps: list, batch: int, warmup: int) -> float:
        launched, done = torch.tensor(steps, dtype=torch.float64).unbind(1)
        return float(rule(_Measured(launched, done, batch, warmup)))

    return answer


def _queued(rng: Generator, warmup: int, timed: int, start: float) -> list[tuple[float, float]]:
    """Steps that are launched at once: a slow warm-up, and then an odd number of steps, one of them slow."""
    slow = 1 + 0.1 * torch.randperm(warmup, generator=rng).double()
    others = torch.tensor([0, 1, *range(3, timed - 2), timed - 1])[
        torch.randperm(timed - 2, generator=rng)
    ].tolist()
    ranks = torch.tensor([2, *others, timed - 2]).double()  # neither end is the fastest or the median
    fast = 0.2 + 0.002 * ranks**2
    seconds = torch.cat([slow, fast])
    seconds[warmup + 3] += 1
    launched = start + 0.01 * torch.arange(warmup + timed).double()
    return list(zip(launched.tolist(), (start + seconds.cumsum(0)).tolist(), strict=True))


@check(
    "Go step by step: the FLOP of one image in training, of an epoch, of the whole run. How many FLOP does the "
    "GPU really do in a second? Only then think of minutes.",
    "Training takes 3 times `flops_per_image`. Multiply by images and epochs. The speed is the peak times the "
    "utilisation; work divided by speed gives seconds.",
)
def minutes(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`minutes(image_count, epochs, flops_per_image, flops_per_second, utilisation)` is the time of training."""
    percents = distinct(rng, 2, 7, 49)
    cases = [_training(rng, percents[0] / 100, 0.1, 0.4), _training(rng, percents[1] / 100, 0.6, 0.9)]
    rules = {  # of the minutes and the arguments
        "this is the forward pass alone; the backward pass costs twice as much again": lambda m, *_: m / 3,
        "these are two passes: the backward pass alone costs two, so both cost three": lambda m, *_: m * 2 / 3,
        "the backward pass costs twice the forward pass, so both cost three": lambda m, *_: m * 4 / 3,
        "the GPU does not reach its peak: the utilisation is missing": lambda m, n, e, f, s, used: m * used,
        "this is the forward pass alone, and the utilisation is missing": lambda m, n, e, f, s, used: m * used / 3,
        "a GPU that is used less takes longer, not shorter: the utilisation slows it down": (
            lambda m, n, e, f, s, used: m * used**2
        ),
        "this is the forward pass alone, and a GPU that is used less takes longer": (
            lambda m, n, e, f, s, used: m * used**2 / 3
        ),
        "this is the forward pass alone, in seconds": lambda m, *_: m / 3 * 60,
        "these are seconds, and the utilisation is missing": lambda m, n, e, f, s, used: m * 60 * used,
        "the utilisation is the share that is used, not the share that is lost": (
            lambda m, n, e, f, s, used: m * used / (1 - used)
        ),
        "the utilisation is a share, not a percentage: do not divide it by 100": lambda m, *_: m * 100,
        "the utilisation is a share, not a percentage: do not multiply it by 100": lambda m, *_: m / 100,
        "these are seconds": lambda m, *_: m * 60,
        "a minute has 60 seconds: divide the seconds by 60": lambda m, *_: m * 3600,
        "`flops_per_image` counts products and sums already: twice as much is too much": lambda m, *_: m * 2,
        "keep the fraction: do not round": lambda m, *_: round(m),
        "keep all digits: do not round to one or two": lambda m, *_: round(m, 1),
        "keep all digits: do not round to two": lambda m, *_: round(m, 2),
        "keep the fraction: do not cut it off": lambda m, *_: int(m),
        "keep the fraction: do not round it up": lambda m, *_: int(m) + 1,
        "these are hours": lambda m, *_: m / 60,
        "these are days": lambda m, *_: m / 60 / 24,
        "the number of epochs is missing": lambda m, n, e, *_: m / e,
        "the number of images is missing": lambda m, n, *_: m / n,
        "this is the time for one image": lambda m, n, e, *_: m / e / n,
        "epochs times images, not epochs plus images": lambda m, n, e, *_: m / (n * e) * (n + e),
        "this is the speed in images, not the time": lambda m, n, e, f, s, used: s * used / (3 * f),
        "work divided by speed gives time; this is the other way round": lambda m, *_: 1 / m,
    }
    mistakes = {text: lambda *of, rule=rule: rule(_minutes(*of), *of) for text, rule in rules.items()}
    problem = explain(answer, _minutes, cases, mistakes, tolerance=1e-5)
    yield "divides the work of training by the speed of the GPU", problem
    if problem:
        return
    verdict = compare(
        answer(1_000, 2, 1e9, 1e12, 0.5), 0.2, {"keep the fraction of the minute": 0}, tolerance=1e-5
    )
    yield "gives 0.2 minutes for the example", verdict
    edges = [(1, 1, 1e6, 1e6, 1.0), (7, 1, 3e10, 2e11, 1.0)]
    yield "is right for one image, one epoch and full use", explain(answer, _minutes, edges, tolerance=1e-5)
    official = (1_281_167, 800, 34_710_552_576, 65e12, 0.23)
    claim = f"gives {_minutes(*official) / 60 / 24:.0f} days for SimMIM's ViT-B on one T4"
    yield claim, compare(answer(*official), _minutes(*official), tolerance=1e-5)


def _minutes(images: int, epochs: int, flops: float, speed: float, used: float) -> float:
    return 3 * images * epochs * flops / (speed * used) / 60


def _training(rng: Generator, used: float, low: float, high: float) -> tuple[int, int, float, float, float]:
    """A training of some minutes and a fraction from `low` to `high`, so that all ways to round it differ."""
    while True:
        thousands, epochs, giga, tera = distinct(rng, 4, 7, 59)
        training = 1000 * thousands, epochs, giga * 1e9, tera * 1e12, used
        time = _minutes(*training)
        if time < 100 and low < time % 1 < high and abs(time - round(time, 2)) > 2e-5 * time:
            return training


@check(
    "Write down for image 0 which rows and which columns it needs: `top, top + 1, ...` for `size` numbers. With a "
    "loop you are nearly done: cut each image, then `torch.stack`. Which shapes must the tables of all rows and "
    "all columns have so that no loop is needed?",
    "A column of `tops` plus a row of `torch.arange(size)` is the table of rows, of shape (batch, size); so for "
    "the columns. Then index images, colours, rows and columns with four tensors that broadcast: of shapes "
    "(batch, 1, 1, 1), (1, 3, 1, 1), (batch, 1, size, 1) and (batch, 1, 1, size). A colon for the colours would "
    "move them to the end.",
    batched=(0, 1, 2),
)
def crop_batch(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`crop_batch(images, tops, lefts, size)` cuts a square from each image, at an offset of its own."""
    cases = []
    for high in (False, True):
        batch, size, *sides = distinct(rng, 4, 4, 9)
        height, width = sorted(sides, reverse=high)
        images = 2 * torch.randn(batch, 3, height + 30, width + 30, generator=rng)
        offsets = torch.randperm(29 - size + min(height, width), generator=rng)[: 2 * batch]
        cases.append((images, *(1 + offsets).chunk(2), size))  # no offset twice, and none at a border
    problem = explain(answer, _crops, cases, WRONG_CROPS)
    yield "cuts a square from each image at its own offset", problem
    if problem and form(answer(*cases[0]), _crops(*cases[0]).shape, torch.float32):
        return

    scenes = draw_scenes(2, 64, generator=rng).pixels[:, :, 16:] / 255  # 48 x 64 pixels
    tops, lefts = 1 + torch.randperm(15, generator=rng)[:4].view(2, 2)
    yield "cuts pictures", compare(answer(scenes, tops, lefts, 32), _crops(scenes, tops, lefts, 32), picture=True)
    corners = [(images[:4], *_corners(images, size), size) for images, *_, size in cases]
    mistakes = {
        "the last possible offsets, height - size and width - size, are left out": lambda x, t, c, s: _crops(
            x, t.clamp(max=x.shape[2] - s - 1), c.clamp(max=x.shape[3] - s - 1), s
        ),
        "the first possible offset, 0, is left out": lambda x, t, c, s: _crops(
            x, t.clamp(min=1), c.clamp(min=1), s
        ),
        "`lefts` is cut off at the height: it may be as large as width - size": lambda x, t, c, s: _crops(
            x, t, c.clamp(max=x.shape[2] - s), s
        ),
        "`tops` is cut off at the width: it may be as large as height - size": lambda x, t, c, s: _crops(
            x, t.clamp(max=x.shape[3] - s), c, s
        ),
    }
    yield "reaches into all four corners", explain(answer, _crops, corners, mistakes)
    images, *_, size = cases[0]
    none = torch.zeros(2, dtype=torch.long)
    whole, pixels = images[:2, :, :size, :size], (images[:2], none + 2, none + 5, 1)
    yield "takes whole images, and single pixels", explain(answer, _crops, [(whole, none, none, size), pixels])


def _corners(images: Tensor, size: int) -> Tensor:
    """The offsets, tops and lefts, of the four corners."""
    last = torch.tensor(images.shape[2:])[:, None] - size
    return last * torch.tensor([[0, 1, 0, 1], [0, 0, 1, 1]])


def _crops(images: Tensor, tops: Tensor, lefts: Tensor, size: int) -> Tensor:
    offsets = zip(images, tops.tolist(), lefts.tolist(), strict=True)
    return torch.stack([image[:, top : top + size, left : left + size] for image, top, left in offsets])


def _everywhere(images: Tensor, tops: Tensor, lefts: Tensor, size: int) -> Tensor:
    """The squares of each image at the offsets of all: (image, colour, offset, row, column)."""
    rows, cols = (start[:, None] + torch.arange(size) for start in (tops, lefts))
    return images[:, :, rows[:, :, None], cols[:, None, :]]


def _after(change: Callable[[Tensor], Tensor]) -> Callable:
    """The right squares, but changed."""
    return lambda *args: change(_crops(*args))


WRONG_CROPS: dict[str, Callable] = {  # of images x, tops t, lefts c and size s; no square touches a border
    "all images are cut at the offset of the first one": lambda *args: _everywhere(*args)[:, :, 0],
    "all images are cut at the offset of the last one": lambda *args: _everywhere(*args)[:, :, -1],
    "the first of `tops` is used for all: each image has its own": lambda x, t, c, s: _crops(
        x, 0 * t + t[0], c, s
    ),
    "the first of `lefts` is used for all: each image has its own": lambda x, t, c, s: _crops(
        x, t, 0 * c + c[0], s
    ),
    "tops and lefts are swapped": lambda x, t, c, s: _crops(x, c, t, s),
    "`tops` says where the columns begin, too: that is for `lefts`": lambda x, t, c, s: _crops(x, t, t, s),
    "`lefts` says where the rows begin, too: that is for `tops`": lambda x, t, c, s: _crops(x, c, c, s),
    "`lefts` is ignored: the columns start at 0": lambda x, t, c, s: _crops(x, t, 0 * c, s),
    "`tops` is ignored: the rows start at 0": lambda x, t, c, s: _crops(x, 0 * t, c, s),
    "the offsets are taken in the reverse order": lambda x, t, c, s: _crops(x, t.flip(0), c.flip(0), s),
    "the rows start one pixel too late": lambda x, t, c, s: _crops(x, t + 1, c, s),
    "the columns start one pixel too late": lambda x, t, c, s: _crops(x, t, c + 1, s),
    "all colours are the first one": _after(lambda want: want[:, :1].expand_as(want)),
    "all colours are their mean": _after(lambda want: want.mean(1, keepdim=True).expand_as(want)),
    "the order of the colours is reversed": _after(lambda want: want.flip(1)),
    "values are cut off at 0 and 1: leave them as they are": _after(lambda want: want.clamp(0, 1)),
    "the images are joined along the colours: `torch.stack` makes a new axis": (
        _after(lambda want: want.flatten(0, 1))
    ),
    "the axes of images and colours are swapped": _after(lambda want: want.movedim(1, 0)),
    "the order of the images is reversed": _after(lambda want: want.flip(0)),
    "every image is cut at the offsets of all: index the images, too": _everywhere,
    "all squares are cut from the first image": lambda *args: _everywhere(*args)[0].movedim(1, 0),
    "the square starts one pixel too late": lambda x, t, c, s: _crops(x, t + 1, c + 1, s),
    "the square starts one pixel too early": lambda x, t, c, s: _crops(x, t - 1, c - 1, s),
    "the square is one pixel too large: the end is not included": lambda x, t, c, s: _crops(x, t, c, s + 1),
    "the square is one pixel too small": lambda x, t, c, s: _crops(x, t, c, s - 1),
    "rows and columns are swapped inside the square": _after(lambda want: want.mT),
    "left and right are swapped: this is a flip": _after(lambda want: want.flip(3)),
    "top and bottom are swapped: this is a flip": _after(lambda want: want.flip(2)),
    "the colours come last: a colon between two index tensors moves its axis to the end": (
        _after(lambda want: want.movedim(1, 3))
    ),
    "`reshape` only cuts the numbers anew: `permute` brings the colours back": (
        _after(lambda want: want.movedim(1, 3).reshape(want.shape))
    ),
    "diagonals, of all images at the offsets of all: rows and columns need own axes": (
        lambda *args: _everywhere(*args).diagonal(dim1=3, dim2=4)
    ),
    "these are diagonals: rows and columns need axes of their own": (
        _after(lambda want: want.diagonal(dim1=2, dim2=3))
    ),
    "these are diagonals, and the colours come last: rows and columns need own axes": (
        _after(lambda want: want.diagonal(dim1=2, dim2=3).mT)
    ),
    "the offset is ignored: this is the upper left corner": lambda x, t, c, s: x[:, :, :s, :s],
    "the square is cut from the middle; the offset is ignored": lambda x, t, c, s: _crops(
        x, 0 * t + (x.shape[2] - s) // 2, 0 * c + (x.shape[3] - s) // 2, s
    ),
    "the whole image is made smaller, not cut": lambda x, t, c, s: interpolate(x, (s, s)),
}


GUESSES: dict[str, Guess] = {
    "best_features": Guess(
        "the pre-trained network",
        "it has learned to fill holes in other pictures, and what helps there helps here. Random weights and "
        "pixels do not know what belongs together.",
        choices=("the pre-trained network", "the random network", "the pixels"),
    ),
    "t4_epoch": Guess(
        1.66,
        "50,000 images of 2.15 GFLOP are 108 TFLOP, and a T4 does 65 of them in a second, at best.",
        within=0.3,
    ),
    "activation_megabytes": Guess(
        9.4,
        "12 blocks, 64 tokens, 16 * 192 numbers for each, 4 bytes for each number.",
        within=0.05,
    ),
    "queued": Guess(
        "less than a fifth",
        "to queue a product is nearly no work; to compute it is.",
        choices=("less than a fifth", "about half", "nearly all"),
    ),
    "pieces_of_gelu": Guess(8, "one for each of the four blocks on the way forward, and one on the way back."),
    "t4_precision": Guess(
        "fp16",
        "7.5 is below 8.0, so it has no bf16 in its hardware, whatever PyTorch says; and fp16 is much faster "
        "there than fp32.",
        choices=("bf16", "fp16", "fp32"),
    ),
    "cut": Guess(
        "not at all",
        "all chance of a step comes from the seed and the number of the step, and to compute a block again gives "
        "the same numbers.",
        choices=("not at all", "in the last digits", "clearly"),
    ),
    "race": Guess(
        "from scratch",
        "four minutes of one core are far too little pre-training to be worth a part of the time.",
        choices=("pre-trained", "from scratch"),
    ),
}
