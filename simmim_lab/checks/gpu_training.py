"""Checks of the exercises on training with a GPU (lesson 06). None of them needs a GPU."""

from collections.abc import Callable, Iterator

import torch
from torch import Generator, Tensor

from simmim_lab.checks.core import Answer, Verdict, check, compare, form
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
        wrong |= {
            f"you say {other} for all of these": dict.fromkeys(cases, other) for other in ("bf16", "fp16", "fp32")
        }
        return compare({case: answer(*case) for case in cases}, dict.fromkeys(cases, want), wrong)

    minor = int(torch.randint(1, 10, (), generator=rng))
    new = [(pair, True) for pair in ((8, 0), (8, 9), (9, 0), (10, 0), (12, minor))] + [((8, 6), False)]
    mistakes = {
        "the claim has a say here: only the capability decides": lambda capability, claimed: claimed,
        "8.0 itself is enough: `>=`, not `>`": lambda capability, claimed: capability > (8, 0),
        "all of 8.x is left out: `>=`, not `>`": lambda capability, claimed: capability[0] > 8,
        "later GPUs have bf16, too: `>=`, not `==`": lambda capability, claimed: capability[0] == 8,
        "8.0 is the lowest of them, not the only one: `>=`, not `==`": lambda capability, claimed: (
            capability == (8, 0)
        ),
        "the minor number is compared alone: 9.0 is above 8.9": lambda capability, claimed: capability[1] >= 8,
        "the minor number has a say of its own: 9.0 is above 8.9": lambda capability, claimed: capability[1] > 0,
        'as texts "10.0" comes before "8.0": compare numbers': lambda capability, claimed: capability[0] < 10,
    }
    yield "says bf16 from capability 8.0 on", judge(new, "bf16", mistakes)
    old = [(pair, True) for pair in ((7, 5), (7, 0), (6, minor), (3, 7))] + [((7, 0), False)]
    mistakes = {
        "the claim is trusted, but it counts emulation, too": lambda capability, claimed: claimed,
        "the limit is 8.0, not 7.0": lambda capability, claimed: capability >= (7, 0),
        "7.5 is below 8.0: do not round it": lambda capability, claimed: capability == (7, 5),
    }
    yield "says fp16 for older GPUs, such as a T4, whatever they claim", judge(old, "fp16", mistakes)
    yield "says fp32 without a GPU", judge([(None, False), (None, True)], "fp32", {})


@check(
    "How many numbers does each parameter need, itself included? Go down the table, and add up the lines that "
    "hold for this optimizer. How many bytes has one number of 32 bits?",
    "Without `ema`, AdamW has 4 numbers for each parameter and SGD 3. `ema` adds one to both. Each number has 4 "
    "bytes.",
)
def training_memory(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`training_memory(parameters, optimizer, ema)` is the memory of the training state in bytes."""
    parameters = int(torch.randint(10**6, 10**7, (), generator=rng))

    def bytes_each(ema: bool, adamw: float, sgd: float) -> dict[tuple, float]:
        """The two answers if a parameter takes so many bytes."""
        return {(parameters, "adamw", ema): adamw * parameters, (parameters, "sgd", ema): sgd * parameters}

    for ema, adamw, sgd in (False, 16, 12), (True, 20, 16):
        wrong = {
            "one number too many for each parameter; `ema` is False: is the average counted?": (20, 16),
            "the average is missing, but `ema` is True": (16, 12),
            "a number of 32 bits has 4 bytes, not 8": (2 * adamw, 2 * sgd),
            "the averaged weights are not trained: no gradient, nothing of the optimizer": (32, 24),
            "these are the weights alone; training keeps more": (adamw - 12, sgd - 8),
            "the optimizer's numbers are missing": (adamw - 8, sgd - 4),
            "each parameter has a weight and a gradient, 4 bytes each: one is missing": (adamw - 4, sgd - 4),
            "the weight and its gradient are missing": (adamw - 8, sgd - 8),
            "SGD with momentum keeps a number for each parameter, too": (adamw, sgd - 4),
            "AdamW keeps two numbers for each parameter, not one": (sgd, sgd),
            "SGD with momentum keeps one number for each parameter, not two": (adamw, adamw),
            "the optimizers are swapped": (sgd, adamw),
            "with bf16 autocast, too, each of these numbers is fp32 and has 4 bytes": (adamw / 2, sgd / 2),
            "this is how many numbers there are; how many bytes has each?": (adamw / 4, sgd / 4),
            "these are bits; a byte has 8 of them": (8 * adamw, 8 * sgd),
            "the copies that autocast makes for a while are not asked for": (adamw + 2, sgd + 2),
            "give bytes, not MB": (adamw / 1e6, sgd / 1e6),
            "give bytes, not MiB": (adamw / 2**20, sgd / 2**20),
            "give bytes, not GB": (adamw / 1e9, sgd / 1e9),
            "give bytes, not GiB": (adamw / 2**30, sgd / 2**30),
        }
        want = bytes_each(ema, adamw, sgd)
        mistakes = {text: bytes_each(ema, *each) for text, each in wrong.items()}
        claim = (
            "adds the average of the weights" if ema else "counts weights, gradients and the optimizer's numbers"
        )
        problem = compare({case: answer(*case) for case in want}, want, mistakes, tolerance=1e-9)
        yield claim, problem
        if problem:
            return


@check(
    "How many tokens does the picture have? Then go down the table: for each product of an (n × m) and an (m × k) "
    "matrix write n * m * k, in N and d. In how many of them does N appear twice?",
    "N is (height / patch) * (width / patch). Four of the products are multiples of N * d * d, the other two are "
    "N * N * d: add them up for one block. A multiply-add is two FLOP, and the picture passes through `depth` "
    "blocks.",
)
def vit_flops(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`vit_flops(image_size, patch, dim, depth)` is the work of the blocks of a ViT for one picture, in FLOP."""
    rows, depth, wide = (int(torch.randint(*limits, (), generator=rng)) for limits in ((3, 6), (5, 12), (4, 9)))
    cols, patch, d = rows + 1, 8, 64 * wide  # far fewer tokens than dimensions

    def work(n: int, square: float = 24, mix: float = 4, pairs: int | None = None) -> float:
        return depth * (square * n * d**2 + mix * (n**2 if pairs is None else pairs) * d)

    n = rows * cols
    mistakes = {
        "a multiply-add is two FLOP, one product and one sum": work(n) / 2,
        "the attention compares every token with every token: N * N is missing": work(n, mix=0),
        "of the two products with N * N one is missing, the scores or the mixing": work(n, mix=2),
        "the attention compares every token with every token: N * N * d, not N * d": work(n, pairs=n),
        "the tokens fill an area: rows * columns, not the rows alone": work(rows),
        "the tokens fill an area: rows * columns, not the columns alone": work(cols),
        "the tokens fill an area: divide both sides by `patch`": work(n * patch),
        "a token is a patch, not a pixel": work(n * patch**2),
        "the picture is not square: rows * rows is not its number of patches": work(rows**2),
        "the picture is not square: columns * columns is not its number of patches": work(cols**2),
        "these are rows + columns tokens: multiply them": work(rows + cols),
        "one token too many: the patches alone are tokens here": work(n + 1),
        "this is one block; there are `depth`": work(n) / depth,
        "this is training; the forward pass alone is asked for": 3 * work(n),
        "the MLP is 4 * dim wide inside": work(n, square=12),
        "query, key and value are three products of d * d": work(n, square=20),
        "the MLP has two layers": work(n, square=16),
        "the projection behind the attention is missing": work(n, square=22),
        "the width of a layer counts twice, as input and as output: d², not d": work(n, 24 / d),
    }
    size = rows * patch, cols * patch
    verdict = compare(answer(size, patch, d, depth), work(n), mistakes, tolerance=1e-9)
    yield f"counts {depth} blocks of dim {d} on {rows} × {cols} patches of {patch} × {patch} pixels", verdict
    verdict = compare(answer((32, 32), 4, 192, 12), 717_225_984, tolerance=1e-9)
    yield "counts 0.717 GFLOP for the course's vit_tiny", verdict
    verdict = compare(answer((224, 224), 16, 768, 12), 34_710_552_576, tolerance=1e-9)
    yield "counts 34.7 GFLOP for the paper's ViT-B", verdict


@check(
    "Which moments does a stopwatch show that waits for the GPU? Mark them in the table: one at the end of the "
    "warm-up, one at the end of all. Which steps lie between the two marks?",
    "The clock starts when the last warm-up step, `steps[warmup - 1]`, is finished, and stops when the last step "
    "is finished. Divide the images of the steps between by this one time; no step needs a rate of its own.",
)
def images_per_second(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`images_per_second(steps, batch, warmup)` is the rate from (launched, finished) times of each step."""
    warmup, batch = (int(torch.randint(*limits, (), generator=rng)) for limits in ((2, 5), (16, 65)))
    timed = 9  # odd, so that the median is one of them
    slow, fast = torch.randperm(warmup, generator=rng), torch.randperm(timed, generator=rng)
    seconds = torch.cat([1 + 0.1 * slow, 0.2 + 0.02 * fast]).double()
    seconds[warmup + 3] += 1  # one of the later steps is slow, too
    done = seconds.cumsum(0)
    launched = 0.01 * torch.arange(warmup + timed).double()
    total, busy, rates = done[-1], done - launched, batch / seconds
    images, elapsed = batch * timed, total - done[warmup - 1]
    mistakes = {
        "this is the time between launches: a launch only puts work in a queue": (
            images / (launched[-1] - launched[warmup - 1])
        ),
        "this is the time until the last launch: a launch only puts work in a queue": (
            images / (launched[-1] - launched[warmup])
        ),
        "this is the time from the first launch to the last: a launch only puts work in a queue": (
            images / (launched[-1] - launched[0])
        ),
        "the clock stops when the last step is launched; wait until it is finished": (
            images / (launched[-1] - done[warmup - 1])
        ),
        "the warm-up is `warmup` steps, not one": batch * (warmup + timed - 1) / (total - done[0]),
        "the warm-up is counted, both its images and its time": batch * (warmup + timed) / total,
        "the images of the warm-up are counted, but not its time": batch * (warmup + timed) / elapsed,
        "the time of the warm-up is counted, but not its images": images / total,
        "when this step was launched, the GPU was still busy with the warm-up: start when that is finished": (
            images / (total - launched[warmup])
        ),
        "the clock starts when the last warm-up step is launched; wait until it is finished": (
            images / (total - launched[warmup - 1])
        ),
        "the images of the first step after the warm-up are counted, but not its time": (
            images / (total - done[warmup])
        ),
        "one step too many is left out, as if it belonged to the warm-up": (
            (images - batch) / (total - done[warmup])
        ),
        "the mean of the steps' own rates favours the fast ones: all images, divided by all the time": (
            rates[warmup:].mean()
        ),
        "the median hides the slow step, which happened": rates[warmup:].quantile(0.5),
        "a step mostly waits in the queue, while others run: do not add up times from launch to finish": (
            images / busy[warmup:].sum()
        ),
        "these are steps per second: a step has `batch` images": timed / elapsed,
        "these are seconds per image": elapsed / images,
    }
    mistakes = {text: float(value) for text, value in mistakes.items()}
    steps = list(zip(launched.tolist(), done.tolist(), strict=True))
    got = answer(steps, batch, warmup)
    yield (
        "divides the images after the warm-up by the time they took",
        compare(got, float(images / elapsed), mistakes),
    )

    late = [(time - 0.02, time) for _, time in steps]
    claim = "is the same where the GPU waits for each launch: the same finishes, the same rate"
    yield claim, compare(answer(late, batch, warmup), float(images / elapsed))
    want = batch / (steps[-1][1] - steps[-2][1])
    yield "times a single step, too", compare(answer(steps[-2:], batch, 1), want)


@check(
    "Go step by step: the FLOP of one image in training, of an epoch, of the whole run. How many FLOP does the "
    "GPU really do in a second? Only then think of minutes.",
    "Training takes 3 times `flops_per_image`. Multiply by images and epochs. The speed is the peak times the "
    "utilisation; work divided by speed gives seconds.",
)
def minutes(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`minutes(image_count, epochs, flops_per_image, flops_per_second, utilisation)` is the time of training."""
    images, epochs, giga, tera, percent = (
        int(torch.randint(*limits, (), generator=rng))
        for limits in ((10**6, 10**7), (120, 900), (5, 50), (50, 400), (26, 31))
    )
    used = percent / 100
    want = 3 * images * epochs * giga * 1e9 / (tera * 1e12 * used) / 60
    mistakes = {
        "this is the forward pass alone; the backward pass costs twice as much again": want / 3,
        "this is the backward pass alone; the forward pass comes first": want * 2 / 3,
        "the backward pass costs twice the forward pass, so both cost three": want * 4 / 3,
        "the GPU does not reach its peak: the utilisation is missing": want * used,
        "this is the forward pass alone, and the utilisation is missing": want * used / 3,
        "a GPU that is used less takes longer, not shorter: the utilisation slows it down": want * used**2,
        "this is the forward pass alone, and a GPU that is used less takes longer": want * used**2 / 3,
        "this is the forward pass alone, in seconds": want / 3 * 60,
        "the utilisation is the share that is used, not the share that is lost": want * used / (1 - used),
        "the utilisation is a share, not a percentage": want * 100,
        "these are seconds": want * 60,
        "a minute has 60 seconds: divide the seconds by 60": want * 3600,
        "`flops_per_image` counts products and sums already: twice as much is too much": want * 2,
        "keep the fraction: do not round": round(want),
        "keep the fraction: do not cut it off": int(want),
        "these are hours": want / 60,
        "these are days": want / 60 / 24,
        "the number of epochs is missing": want / epochs,
        "this is the time for one image": want / epochs / images,
        "work divided by speed gives time; this is the other way round": 1 / want,
    }
    got = answer(images, epochs, giga * 1e9, tera * 1e12, used)
    yield "divides the work of training by the speed of the GPU", compare(got, want, mistakes, tolerance=1e-9)
    verdict = compare(
        answer(1_000, 2, 1e9, 1e12, 0.5), 0.2, {"keep the fraction of the minute": 0}, tolerance=1e-9
    )
    yield "gives 0.2 minutes for the example", verdict
    got = answer(1_281_167, 800, 34_710_552_576, 65e12, 0.23)
    want = 3 * 1_281_167 * 800 * 34_710_552_576 / (65e12 * 0.23) / 60
    yield f"gives {want / 60 / 24:.0f} days for SimMIM's ViT-B on one T4", compare(got, want, tolerance=1e-9)


@check(
    "Write down for image 0 which rows and which columns it needs: `top, top + 1, ...` for `size` numbers. With a "
    "loop you are nearly done: cut each image, then `torch.stack`. Which shapes must the tables of all rows and "
    "all columns have so that no loop is needed?",
    "A column of `tops` plus a row of `torch.arange(size)` is the table of rows, of shape (batch, size); so for "
    "the columns. Then index images, colours, rows and columns with four tensors that broadcast: of shapes "
    "(batch, 1, 1, 1), (1, 3, 1, 1), (batch, 1, size, 1) and (batch, 1, 1, size). A colon for the colours would "
    "move them to the end.",
)
def crop_batch(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`crop_batch(images, tops, lefts, size)` cuts a square from each image, at an offset of its own."""
    images, size = torch.rand(4, 3, 17, 21, generator=rng), 6
    tops, lefts = (1 + torch.randperm(9, generator=rng)[:8]).split(4)  # away from the borders, none twice
    got, want = answer(images, tops, lefts, size), _crops(images, tops, lefts, size)
    problem = compare(got, want, _wrong_crops(images, tops, lefts, size))
    yield "cuts a square from each image at its own offset", problem
    if form(got, want.shape, want.dtype):
        return

    scenes = draw_scenes(2, 64, generator=rng).pixels[:, :, 16:] / 255  # 48 x 64 pixels
    tops, lefts = 1 + torch.randperm(15, generator=rng)[:4].view(2, 2)
    want = _crops(scenes, tops, lefts, 32)
    wrong = {text: crops[0] for text, crops in _wrong_crops(scenes, tops, lefts, 32).items()}
    yield "cuts pictures", compare(answer(scenes, tops, lefts, 32)[0], want[0], wrong, picture=True)

    tops, lefts = torch.tensor([0, 11, 0, 11]), torch.tensor([0, 0, 15, 15])
    cut_off = _crops(images, tops.clamp(max=10), lefts.clamp(max=14), size)
    mistakes = {"the last possible offsets, height - size and width - size, are left out": cut_off}
    verdict = compare(answer(images, tops, lefts, size), _crops(images, tops, lefts, size), mistakes)
    yield "reaches into all four corners", verdict
    one = torch.zeros(1, dtype=torch.long)
    yield "takes a single image", compare(answer(images[:1], one, one, 17), images[:1, :, :, :17])


def _crops(images: Tensor, tops: Tensor, lefts: Tensor, size: int) -> Tensor:
    offsets = zip(images, tops.tolist(), lefts.tolist(), strict=True)
    return torch.stack([image[:, top : top + size, left : left + size] for image, top, left in offsets])


def _wrong_crops(images: Tensor, tops: Tensor, lefts: Tensor, size: int) -> dict[str, Tensor]:
    """What known mistakes make of images; the squares must not touch the border."""
    want = _crops(images, tops, lefts, size)
    rows, cols = (start[:, None] + torch.arange(size) for start in (tops, lefts))
    everywhere = images[:, :, rows[:, :, None], cols[:, None, :]]  # (image, colour, offset, row, column)
    return {
        "all images are cut at the offset of the first one": everywhere[:, :, 0],
        "all images are cut at the offset of the last one": everywhere[:, :, -1],
        "tops and lefts are swapped": _crops(images, lefts, tops, size),
        "`tops` says where the columns begin, too: that is for `lefts`": _crops(images, tops, tops, size),
        "all colours are the first one": want[:, :1].expand_as(want),
        "the images are joined along the colours: `torch.stack` makes a new axis, `torch.cat` does not": (
            want.flatten(0, 1)
        ),
        "every image is cut at the offsets of all: index the images, too": everywhere,
        "all squares are cut from the first image": everywhere[0].movedim(1, 0),
        "the square starts one pixel too late": _crops(images, tops + 1, lefts + 1, size),
        "the square starts one pixel too early": _crops(images, tops - 1, lefts - 1, size),
        "the square is one pixel too large: the end is not included": _crops(images, tops, lefts, size + 1),
        "the square is one pixel too small": _crops(images, tops, lefts, size - 1),
        "rows and columns are swapped inside the square": want.mT,
        "left and right are swapped: this is a flip": want.flip(3),
        "top and bottom are swapped: this is a flip": want.flip(2),
        "the colours come last: a colon between two index tensors moves its axis to the end": want.movedim(1, 3),
        "`reshape` moves no axis, it only cuts the numbers anew: `permute` brings the colours back": (
            want.movedim(1, 3).reshape(want.shape)
        ),
        "these are diagonals, of all images at the offsets of all: give rows and columns axes of their own": (
            everywhere.diagonal(dim1=3, dim2=4)
        ),
        "these are diagonals: rows and columns need axes of their own, to be paired each with each": (
            want.diagonal(dim1=2, dim2=3)
        ),
        "these are diagonals, and the colours come last: give rows and columns axes of their own": (
            want.diagonal(dim1=2, dim2=3).mT
        ),
        "the offset is ignored: this is the upper left corner": images[:, :, :size, :size],
        "the square is cut from the middle; the offset is ignored": _crops(
            images, 0 * tops + (images.shape[2] - size) // 2, 0 * lefts + (images.shape[3] - size) // 2, size
        ),
    }
