"""Answers to the exercises on training with a GPU (lesson 06)."""

import math
import statistics
from itertools import pairwise

import torch

from answers import right, wrong


@right("choose_precision")
def pairs(capability, bf16_claimed):
    if capability is None:
        return "fp32"
    return "bf16" if capability >= (8, 0) else "fp16"


@right("choose_precision")
def major_alone(capability, bf16_claimed):
    if not capability:
        return "fp32"
    major, _ = capability
    return ("fp16", "bf16")[major > 7]


@right("choose_precision")
def one_number(capability, bf16_claimed):
    if capability is not None and 10 * capability[0] + capability[1] >= 80:
        return "bf16"
    return "fp32" if capability is None else "fp16"


@right("choose_precision")
def old_ones_first(capability, bf16_claimed):
    if capability is None:
        return "fp32"
    if capability < (8, 0):
        return "fp16"
    return "bf16"


def by(rule):
    """The answer that says bf16 where rule(capability, claim) holds, else fp16, and fp32 on a CPU."""

    def answer(capability, bf16_claimed):
        return "fp32" if capability is None else "bf16" if rule(capability, bf16_claimed) else "fp16"

    return answer


wrong("choose_precision", "the claim is trusted, but it counts emulation, too")(by(lambda c, claimed: claimed))
wrong("choose_precision", "it counts emulation, too")(by(lambda c, claimed: c >= (8, 0) or claimed))
wrong("choose_precision", "the claim has a say here")(by(lambda c, claimed: c >= (8, 0) and claimed))
wrong("choose_precision", "8.0 itself is enough")(by(lambda c, claimed: c > (8, 0)))
wrong("choose_precision", "all of 8.x is left out")(by(lambda c, claimed: c[0] > 8))
wrong("choose_precision", "`>=`, not `==`")(by(lambda c, claimed: c[0] == 8))
wrong("choose_precision", "not the only one")(by(lambda c, claimed: c == (8, 0)))
wrong("choose_precision", "the minor number must be 8 or more here")(by(lambda c, claimed: c[1] >= 8))
wrong("choose_precision", "the minor number has a say of its own")(by(lambda c, claimed: c[0] >= 8 and c[1] > 0))
wrong("choose_precision", "from 10.0 on it is fp16 again")(by(lambda c, claimed: f"{c[0]}.{c[1]}" >= "8.0"))
wrong("choose_precision", "the limit is 8.0, not 7.0")(by(lambda c, claimed: c >= (7, 0)))
wrong("choose_precision", "do not round it")(
    by(lambda c, claimed: round(c[0] + c[1] / 10 + 0.01) >= 8 > c[0] or c[0] > 7)
)
wrong(
    "choose_precision",
    "says fp16 for older GPUs, such as a T4, whatever they claim\n      you say bf16 for all of these",
)(by(lambda c, claimed: True))
wrong("choose_precision", "says bf16 from capability 8.0 on\n      you say fp16 for all of these")(
    by(lambda c, claimed: False)
)


@wrong(
    "choose_precision",
    "says fp16 for older GPUs, such as a T4, whatever they claim\n      you say fp32 for all of these",
)
def fp32_for_old(capability, bf16_claimed):
    return "bf16" if capability is not None and capability >= (8, 0) else "fp32"


@wrong("choose_precision", "says fp32 without a GPU\n      you say fp16 for all of these")
def fp16_for_cpu(capability, bf16_claimed):
    return "bf16" if capability is not None and capability >= (8, 0) else "fp16"


@wrong("choose_precision", "says fp32 without a GPU\n      you say bf16 for all of these")
def bf16_for_cpu(capability, bf16_claimed):
    return "fp16" if capability is not None and capability < (8, 0) else "bf16"


@wrong("choose_precision", "says bf16 from capability 8.0 on\n      you say fp32 for all of these")
def always_fp32(capability, bf16_claimed):
    return "fp32"


wrong("choose_precision", "all of 8.x is left out")(by(lambda c, claimed: c >= (9, 0)))
wrong("choose_precision", "from 10.0 on it is fp16 again")(by(lambda c, claimed: c[0] in (8, 9)))
wrong("choose_precision", "the two numbers are added here")(by(lambda c, claimed: c[0] + c[1] >= 8))
wrong("choose_precision", "the minor number must be 8 or more here")(
    by(lambda c, claimed: c[0] >= 8 and c[1] >= 8)
)
wrong("choose_precision", "only GPUs that existed")(
    by(lambda c, claimed: c in [(8, 0), (8, 6), (8, 7), (8, 9), (9, 0), (10, 0), (12, 0)])
)
wrong("choose_precision", "expected 'bf16', got 'fp16'")(by(lambda c, claimed: c[0] >= 8 and c != (14, 7)))


@wrong("choose_precision", "it stopped in line")
def without_none(capability, bf16_claimed):
    return "bf16" if capability >= (8, 0) else "fp16"


@wrong("choose_precision", "expected 'bf16', got 'bfloat16'")
def long_name(capability, bf16_claimed):
    return pairs(capability, bf16_claimed).replace("bf16", "bfloat16")


@right("training_memory")
def added(parameters, optimizer, ema):
    numbers = 4 if optimizer == "adamw" else 3
    return 4 * parameters * (numbers + ema)


@right("training_memory")
def line_by_line(parameters, optimizer, ema):
    total = 4 * parameters
    total += 4 * parameters
    total += {"adamw": 8, "sgd": 4}[optimizer] * parameters
    if ema:
        total += 4 * parameters
    return total


@right("training_memory")
def from_bits(parameters, optimizer, ema):
    bits = 32 * parameters * (2 + len(["mean", "squares"][: 1 + (optimizer != "sgd")]))
    return bits / 8 + (32 / 8 * parameters if ema else 0)


@right("training_memory")
def with_tensors(parameters, optimizer, ema):
    one = torch.zeros(()).element_size() * torch.tensor(parameters)
    return sum([one, one, one] + [one] * (optimizer == "adamw") + [one] * ema)


def sized(adamw, sgd, average):
    """The answer with so many bytes for each parameter."""

    def answer(parameters, optimizer, ema):
        return parameters * ((adamw if optimizer == "adamw" else sgd) + average * ema)

    return answer


wrong("training_memory", "these are the weights alone")(sized(4, 4, 4))
wrong("training_memory", "the optimizer's numbers are missing")(sized(8, 8, 4))
wrong("training_memory", "one number for each parameter is missing")(sized(12, 8, 4))
wrong("training_memory", "two numbers for each parameter, not three")(sized(20, 12, 4))
wrong("training_memory", "both optimizers get as much as SGD")(sized(12, 12, 4))
wrong("training_memory", "both optimizers get as much as AdamW")(sized(16, 16, 4))
wrong("training_memory", "the optimizers are swapped")(sized(12, 16, 4))
wrong("training_memory", "with bf16 autocast, too")(sized(8, 6, 2))
wrong("training_memory", "how many numbers there are")(sized(4, 3, 1))
wrong("training_memory", "these are bits")(sized(128, 96, 32))
wrong("training_memory", "4 bytes, not 8")(sized(32, 24, 8))
wrong("training_memory", "the copies that autocast makes")(sized(18, 14, 4))
wrong("training_memory", "give bytes, not MB")(sized(16e-6, 12e-6, 4e-6))
wrong("training_memory", "give bytes, not MiB")(sized(16 / 2**20, 12 / 2**20, 4 / 2**20))
wrong("training_memory", "give bytes, not GB")(sized(16e-9, 12e-9, 4e-9))
wrong("training_memory", "give bytes, not GiB")(sized(16 / 2**30, 12 / 2**30, 4 / 2**30))
wrong("training_memory", "the average's 4 bytes for each parameter are missing")(sized(16, 12, 0))
wrong("training_memory", "the average's numbers have 4 bytes each, too")(sized(16, 12, 1))


@wrong("training_memory", "the average's 4 bytes for each parameter are missing")
def one_byte_for_true(parameters, optimizer, ema):
    return added(parameters, optimizer, False) + ema


wrong("training_memory", "2 bytes for each parameter are missing")(sized(14, 10, 4))
wrong("training_memory", "give bytes, not KiB")(sized(16 / 2**10, 12 / 2**10, 4 / 2**10))
wrong("training_memory", "give bytes, not kB")(sized(16e-3, 12e-3, 4e-3))


@right("training_memory")
def in_32_bits(parameters, optimizer, ema):
    numbers = {("adamw", False): 4, ("adamw", True): 5, ("sgd", False): 3, ("sgd", True): 4}[optimizer, bool(ema)]
    return torch.tensor(4.0 * parameters) * numbers


@wrong("training_memory", "SGD has no average")
def average_of_adamw_alone(parameters, optimizer, ema):
    return added(parameters, optimizer, ema and optimizer == "adamw")


wrong("training_memory", "one number for each parameter, not two")(sized(16, 12, 8))
wrong("training_memory", "the average has 4 bytes for each parameter, not 2")(sized(16, 12, 2))


@wrong("training_memory", "both optimizers get as much as SGD")
def misspelled(parameters, optimizer, ema):
    return parameters * 4 * ({"adam": 4}.get(optimizer, 3) + ema)


@wrong("training_memory", "holds for one parameter and for 70 billion")
def overflow(parameters, optimizer, ema):
    return (
        int(torch.tensor(added(parameters, optimizer, ema), dtype=torch.int64).int())
        if parameters > 10**9
        else added(parameters, optimizer, ema)
    )


wrong("training_memory", "weights and gradients are missing")(sized(8, 4, 4))
wrong("training_memory", "SGD with momentum keeps a number for each parameter, too")(sized(16, 8, 4))


@wrong("training_memory", "one number too many for each parameter; `ema` is False")
def always_an_average(parameters, optimizer, ema):
    return added(parameters, optimizer, True)


@wrong("training_memory", "the averaged weights are not trained")
def average_trained(parameters, optimizer, ema):
    return added(parameters, optimizer, False) * (1 + ema)


def tiled(image_size, patch):
    """Rows and columns of patches."""
    sides = (image_size, image_size) if isinstance(image_size, int) else image_size
    if any(side % patch for side in sides):
        raise ValueError("patches do not tile this size")
    return [side // patch for side in sides]


@right("vit_flops")
def formula(image_size, patch, dim, depth):
    n = math.prod(tiled(image_size, patch))
    return depth * n * (24 * dim**2 + 4 * n * dim)


@right("vit_flops")
def product_by_product(image_size, patch, dim, depth):
    rows, cols = tiled(image_size, patch)
    tokens = rows * cols
    products = [
        (tokens, dim, 3 * dim),
        (tokens, dim, tokens),
        (tokens, tokens, dim),
        (tokens, dim, dim),
        (tokens, dim, 4 * dim),
        (tokens, 4 * dim, dim),
    ]
    return sum(2 * n * m * k for n, m, k in products) * depth


@right("vit_flops")
def block_by_block(image_size, patch, dim, depth):
    height, width = torch.as_tensor(image_size).expand(2).tolist()
    assert height % patch == 0 == width % patch
    tokens = height / patch * width / patch
    flops = 0.0
    for _ in range(depth):
        flops += 2 * tokens * dim * (3 * dim + dim + 8 * dim)
        flops += 2 * 2 * tokens**2 * dim
    return flops


def counted(tokens=lambda h, w, p: h * w // p**2, square=24, mix=4, power=2, times=1, deep=True):
    """An answer that counts wrongly, in the ways that its arguments say."""

    def answer(image_size, patch, dim, depth):
        tiled(image_size, patch)
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        n = tokens(height, width, patch)
        return times * (depth if deep else 1) * (square * n * dim**2 + mix * n**power * dim)

    return answer


wrong("vit_flops", "takes one side for a square image")(lambda size, *of: formula((size[0], size[1]), *of))


@wrong("vit_flops", "expected a ValueError for (30, 32) pixels and patches of 4")
def never_refused(image_size, patch, dim, depth):
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    n = (height // patch) * (width // patch)
    return depth * n * (24 * dim**2 + 4 * n * dim)


@wrong("vit_flops", "expected a ValueError for (32, 30) pixels and patches of 4")
def only_rows_looked_at(image_size, patch, dim, depth):
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    if height % patch:
        raise ValueError
    return never_refused((height, width), patch, dim, depth)


@wrong("vit_flops", "`raise` an error, do not `return` it")
def error_returned(image_size, patch, dim, depth):
    try:
        return formula(image_size, patch, dim, depth)
    except ValueError as error:
        return error


@wrong("vit_flops", "the patch embedding is counted")
def with_the_embedding(image_size, patch, dim, depth):
    n = math.prod(tiled(image_size, patch))
    return formula(image_size, patch, dim, depth) + 2 * n * 3 * patch**2 * dim


wrong("vit_flops", "a multiply-add is two FLOP")(counted(square=12, mix=2))
wrong("vit_flops", "N * N is missing")(counted(mix=0))
wrong("vit_flops", "the products with N * N count half")(counted(mix=2))
wrong("vit_flops", "N * N * d, not N * d")(counted(power=1))
wrong("vit_flops", "not the rows alone")(counted(lambda h, w, p: h // p))
wrong("vit_flops", "not the columns alone")(counted(lambda h, w, p: w // p))
wrong("vit_flops", "divide both sides by `patch`")(counted(lambda h, w, p: h * w // p))
wrong("vit_flops", "a token is a patch, not a pixel")(counted(lambda h, w, p: h * w))
wrong("vit_flops", "these are rows + columns tokens")(counted(lambda h, w, p: (h + w) // p))
wrong("vit_flops", "the picture is not square: rows * rows")(counted(lambda h, w, p: (h // p) ** 2))
wrong("vit_flops", "the picture is not square: columns * columns")(counted(lambda h, w, p: (w // p) ** 2))
wrong("vit_flops", "the patches alone are tokens here")(counted(lambda h, w, p: h * w // p**2 + 1))
wrong("vit_flops", "this is one block")(counted(deep=False))
wrong("vit_flops", "this is training")(counted(times=3))
wrong("vit_flops", "the MLP were not 4 * dim wide inside")(counted(square=12))
wrong("vit_flops", "as if query, key and value were one")(counted(square=20))
wrong("vit_flops", "as if the MLP had one layer")(counted(square=16))
wrong("vit_flops", "as if there were no projection")(counted(square=22))


@wrong("vit_flops", "the width of a layer counts twice")
def width_once(image_size, patch, dim, depth):
    n = image_size[0] * image_size[1] // patch**2
    return depth * (24 * n * dim + 4 * n**2 * dim)


class Products:
    __name__ = "products"

    def __call__(self, image_size, patch, dim, depth):
        n = math.prod(tiled(image_size, patch))
        sizes = torch.tensor(
            [[n, dim, 3 * dim], [n, dim, n], [n, n, dim], [n, dim, dim], [n, dim, 4 * dim], [n, 4 * dim, dim]]
        )
        return 2 * depth * sizes.double().prod(1).sum()


right("vit_flops")(Products())


wrong("vit_flops", "a multiply-add is two FLOP, not four")(counted(times=2))
wrong("vit_flops", "counts the products of all blocks\n      expected")(counted(mix=6))
wrong("vit_flops", "the MLP is missing")(counted(square=8))
wrong("vit_flops", "the MLP alone")(counted(square=16, mix=0))
wrong("vit_flops", "not the number of pixels in one")(counted(lambda h, w, p: p * p))
wrong("vit_flops", "these are GFLOP")(counted(times=1e-9))


@wrong("vit_flops", "`^` is no power in Python but compares bits: write `**`")
def bits(image_size, patch, dim, depth):
    n = image_size[0] * image_size[1] // patch**2
    return depth * (24 * n * (dim ^ 2) + 4 * (n ^ 2) * dim)


@wrong("vit_flops", "multiply by `depth` once")
def square_depth(image_size, patch, dim, depth):
    return formula(image_size, patch, dim, depth) * depth


@right("images_per_second")
def between_finishes(steps, batch, warmup):
    start, end = steps[warmup - 1][1], steps[-1][1]
    return batch * (len(steps) - warmup) / (end - start)


@right("images_per_second")
def step_by_step(steps, batch, warmup):
    images, seconds = 0, 0.0
    for (_, before), (_, after) in pairwise(steps[warmup - 1 :]):
        images += batch
        seconds += after - before
    return images / seconds


@right("images_per_second")
def as_a_tensor(steps, batch, warmup):
    _, finished = torch.tensor(steps, dtype=torch.float64).unbind(1)
    gaps = finished.diff()[warmup - 1 :]
    return batch / gaps.mean()


def rate(of):
    """The answer of(launched, finished, number of steps, batch, warmup)."""

    def answer(steps, batch, warmup):
        launched, finished = zip(*steps, strict=True)
        return of(launched, finished, len(steps), batch, warmup)

    return answer


def gaps(finished, warmup):
    return [after - before for before, after in pairwise(finished[warmup - 1 :])]


TASK = "images_per_second"
wrong(TASK, "this is the time between launches")(rate(lambda t, f, n, b, w: b * (n - w) / (t[-1] - t[w - 1])))
wrong(TASK, "this is the time until the last launch")(rate(lambda t, f, n, b, w: b * (n - w) / (t[-1] - t[w])))
wrong(TASK, "from first to last launch")(rate(lambda t, f, n, b, w: b * (n - w) / (t[-1] - t[0])))
wrong(TASK, "the clock stops when the last step is launched")(
    rate(lambda t, f, n, b, w: b * (n - w) / (t[-1] - f[w - 1]))
)
wrong(TASK, "the warm-up is `warmup` steps, not one")(rate(lambda t, f, n, b, w: b * (n - 1) / (f[-1] - f[0])))
wrong(TASK, "when the first warm-up step is finished")(rate(lambda t, f, n, b, w: b * (n - w) / (f[-1] - f[0])))
wrong(TASK, "this is negative")(rate(lambda t, f, n, b, w: b * (n - w) / (f[w - 1] - f[-1])))
wrong(TASK, "one step too many is counted")(rate(lambda t, f, n, b, w: b * (n - w + 1) / (f[-1] - f[w - 1])))
wrong(TASK, "both its images and its time")(rate(lambda t, f, n, b, w: b * n / (f[-1] - t[0])))
wrong(TASK, "but not its time\n")(rate(lambda t, f, n, b, w: b * n / (f[-1] - f[w - 1])))
wrong(TASK, "the time of the warm-up is counted")(rate(lambda t, f, n, b, w: b * (n - w) / (f[-1] - t[0])))
wrong(TASK, "the clock does not start at 0")(rate(lambda t, f, n, b, w: b * (n - w) / f[-1]))
wrong(TASK, "still busy with the warm-up")(rate(lambda t, f, n, b, w: b * (n - w) / (f[-1] - t[w])))
wrong(TASK, "wait until it is finished")(rate(lambda t, f, n, b, w: b * (n - w) / (f[-1] - t[w - 1])))
wrong(TASK, "the first step after the warm-up are counted")(
    rate(lambda t, f, n, b, w: b * (n - w) / (f[-1] - f[w]))
)
wrong(TASK, "one step too many is left out")(rate(lambda t, f, n, b, w: b * (n - w - 1) / (f[-1] - f[w])))
wrong(TASK, "favours the fast steps")(rate(lambda t, f, n, b, w: statistics.mean(b / gap for gap in gaps(f, w))))
wrong(TASK, "the median hides")(rate(lambda t, f, n, b, w: b / statistics.median(gaps(f, w))))
wrong(TASK, "do not add up times from launch to finish")(
    rate(lambda t, f, n, b, w: b * (n - w) / sum(end - start for start, end in zip(t[w:], f[w:], strict=True)))
)
wrong(TASK, "these are steps per second")(rate(lambda t, f, n, b, w: (n - w) / (f[-1] - f[w - 1])))
wrong(TASK, "these are seconds per image")(rate(lambda t, f, n, b, w: (f[-1] - f[w - 1]) / (n - w) / b))


@right("images_per_second")
def by_finishes_alone(steps, batch, warmup):
    finished = sorted(end for _, end in steps)[warmup - 1 :]
    return batch / statistics.fmean(after - before for before, after in pairwise(finished))


wrong(TASK, "the fastest and the slowest step are left out")(
    rate(lambda t, f, n, b, w: b / statistics.mean(sorted(gaps(f, w))[1:-1] or gaps(f, w)))
)
wrong(TASK, "it is rounded")(rate(lambda t, f, n, b, w: round(b * (n - w) / (f[-1] - f[w - 1]), 1)))
wrong(TASK, "it is rounded")(rate(lambda t, f, n, b, w: round(b * (n - w) / (f[-1] - f[w - 1]), 2)))
wrong(TASK, "the warm-up is counted, and the clock does not start at 0")(rate(lambda t, f, n, b, w: b * n / f[-1]))
wrong(TASK, "the last step is left out")(rate(lambda t, f, n, b, w: b * (n - w - 1) / (f[-2] - f[w - 1])))
wrong(TASK, "one step too few is counted")(rate(lambda t, f, n, b, w: b * (n - w - 1) / (f[-1] - f[w - 1])))
wrong(TASK, "one step of the warm-up is counted")(
    rate(lambda t, f, n, b, w: b * (n - w + 1) / (f[-1] - f[max(w - 2, 0)]))
)
wrong(TASK, "it is rounded")(rate(lambda t, f, n, b, w: round(b * (n - w) / (f[-1] - f[w - 1]))))
wrong(TASK, "first step after the warm-up")(rate(lambda t, f, n, b, w: b / (f[w] - f[w - 1])))
wrong(TASK, "the rate of the fastest step")(rate(lambda t, f, n, b, w: b / min(gaps(f, w))))
wrong(TASK, "these are images per minute")(rate(lambda t, f, n, b, w: 60 * b * (n - w) / (f[-1] - f[w - 1])))
wrong(TASK, "these are all seconds")(rate(lambda t, f, n, b, w: f[-1] - f[w - 1]))
wrong(TASK, "these are seconds per step")(rate(lambda t, f, n, b, w: (f[-1] - f[w - 1]) / (n - w)))
wrong(TASK, "do not add up the steps' own times")(
    rate(lambda t, f, n, b, w: b * (n - w) / sum(f[i] - max(t[i], f[i - 1]) for i in range(w, n)))
)
wrong(TASK, "not when the next step is launched")(
    rate(lambda t, f, n, b, w: b * (n - w) / (f[-1] - max(t[w], f[w - 1])))
)


@right("minutes")
def one_line(image_count, epochs, flops_per_image, flops_per_second, utilisation):
    return 3 * image_count * epochs * flops_per_image / (flops_per_second * utilisation) / 60


@right("minutes")
def forward_and_backward(image_count, epochs, flops_per_image, flops_per_second, utilisation):
    forward = flops_per_image
    backward = 2 * forward
    seconds_per_image = (forward + backward) / flops_per_second / utilisation
    return seconds_per_image * image_count * epochs / 60


@right("minutes")
def epoch_by_epoch(image_count, epochs, flops_per_image, flops_per_second, utilisation):
    rate = flops_per_second * utilisation / (3 * flops_per_image)  # images per second
    return sum(image_count / rate / 60 for _ in range(epochs))


def timed(factor=lambda u, epochs, images: 1.0, inverse=False):
    """The right answer times factor(utilisation, epochs, images), or 1 divided by it."""

    def answer(image_count, epochs, flops_per_image, flops_per_second, utilisation):
        time = one_line(image_count, epochs, flops_per_image, flops_per_second, utilisation)
        return 1 / time if inverse else time * factor(utilisation, epochs, image_count)

    return answer


@right("minutes")
def in_single_precision(*numbers):
    images, epochs, flops, speed, used = (torch.tensor(float(number)) for number in numbers)
    return images * epochs * (3 * flops / speed) / used / 60


wrong("minutes", "this is the forward pass alone")(timed(lambda u, e, n: 1 / 3))
wrong("minutes", "these are two passes")(timed(lambda u, e, n: 2 / 3))
wrong("minutes", "do not round to one or two")(lambda *of: round(in_single_precision(*of).item(), 1))
wrong("minutes", "keep all digits: do not round to")(lambda *of: round(in_single_precision(*of).item(), 2))
wrong("minutes", "so both cost three")(timed(lambda u, e, n: 4 / 3))
wrong("minutes", "the utilisation is missing")(timed(lambda u, e, n: u))
wrong("minutes", "a GPU that is used less takes longer")(timed(lambda u, e, n: u * u))
wrong("minutes", "not the share that is lost")(timed(lambda u, e, n: u / (1 - u)))
wrong("minutes", "do not divide it by 100")(timed(lambda u, e, n: 100))
wrong("minutes", "these are seconds")(timed(lambda u, e, n: 60))
wrong("minutes", "divide the seconds by 60")(timed(lambda u, e, n: 3600))
wrong("minutes", "twice as much is too much")(timed(lambda u, e, n: 2))
wrong("minutes", "these are hours")(timed(lambda u, e, n: 1 / 60))
wrong("minutes", "these are days")(timed(lambda u, e, n: 1 / 60 / 24))
wrong("minutes", "the number of epochs is missing")(timed(lambda u, e, n: 1 / e))
wrong("minutes", "this is the time for one image")(timed(lambda u, e, n: 1 / e / n))
wrong("minutes", "the other way round")(timed(inverse=True))
wrong("minutes", "the forward pass alone, and the utilisation is missing")(timed(lambda u, e, n: u / 3))
wrong("minutes", "the forward pass alone, and a GPU that is used less")(timed(lambda u, e, n: u * u / 3))
wrong("minutes", "this is the forward pass alone, in seconds")(timed(lambda u, e, n: 20))


wrong("minutes", "the number of images is missing")(timed(lambda u, e, n: 1 / n))
wrong("minutes", "epochs times images, not epochs plus images")(timed(lambda u, e, n: (n + e) / (n * e)))
wrong("minutes", "do not multiply it by 100")(timed(lambda u, e, n: 1 / 100))
wrong("minutes", "these are seconds, and the utilisation is missing")(timed(lambda u, e, n: 60 * u))
wrong("minutes", "full use\n      expected")(timed(lambda u, e, n: 60 if u == 1 else 1))
wrong("minutes", "GPU\n      these are seconds\n")(timed(lambda u, e, n: 60))
wrong("minutes", "is right for one image, one epoch and full use")(timed(lambda u, e, n: 1 + (u == 1)))


@wrong("minutes", "this is the speed in images, not the time")
def images_each_second(image_count, epochs, flops_per_image, flops_per_second, utilisation):
    return flops_per_second * utilisation / (3 * flops_per_image)


@wrong("minutes", "do not round it up")
def rounded_up(*numbers):
    return math.ceil(one_line(*numbers))


@wrong("minutes", "keep the fraction")
def rounded(*numbers):
    return round(one_line(*numbers))


@wrong("minutes", "keep the fraction")
def cut_off(*numbers):
    return one_line(*numbers) // 1


@right("crop_batch")
def indexed(images, tops, lefts, size):
    steps = torch.arange(size)
    image = torch.arange(len(images)).view(-1, 1, 1, 1)
    colour = torch.arange(3).view(3, 1, 1)
    return images[
        image, colour, (tops[:, None] + steps)[:, None, :, None], (lefts[:, None] + steps)[:, None, None]
    ]


@right("crop_batch")
@torch.compile
def colours_moved_back(images, tops, lefts, size):
    rows, cols = (start[:, None] + torch.arange(size) for start in (tops, lefts))
    image = torch.arange(len(images))[:, None, None]
    return images[image, :, rows[:, :, None], cols[:, None, :]].permute(0, 3, 1, 2)


@right("crop_batch")
def loop(images, tops, lefts, size):
    squares = []
    for image, top, left in zip(images, tops, lefts, strict=True):
        squares.append(image[:, top : top + size, left : left + size])
    return torch.stack(squares)


@right("crop_batch")
def gathered(images, tops, lefts, size):
    batch, colours, _, width = images.shape
    steps = torch.arange(size)
    place = (tops[:, None, None] + steps[:, None]) * width + lefts[:, None, None] + steps
    place = place.view(batch, 1, -1).expand(-1, colours, -1)
    return images.flatten(2).gather(2, place).view(batch, colours, size, size)


@right("crop_batch")
def windows(images, tops, lefts, size):
    """A view of all possible squares, of which one is taken for each image."""
    return images.unfold(2, size, 1).unfold(3, size, 1)[torch.arange(len(images)), :, tops, lefts]


@right("crop_batch")
def filled(images, tops, lefts, size):
    squares = torch.zeros(len(images), 3, size, size)
    for i in range(len(images)):
        for row in range(size):
            for col in range(size):
                squares[i, :, row, col] = images[i, :, tops[i] + row, lefts[i] + col]
    return squares


@wrong("crop_batch", "all images are cut at the offset of the first one")
def one_offset(images, tops, lefts, size):
    top, left = tops[0], lefts[0]
    return images[:, :, top : top + size, left : left + size]


@wrong("crop_batch", "all images are cut at the offset of the last one")
def last_offset(images, tops, lefts, size):
    for top, left in zip(tops, lefts, strict=True):
        squares = images[:, :, top : top + size, left : left + size]
    return squares


@wrong("crop_batch", "the first of `tops` is used for all")
def first_top(images, tops, lefts, size):
    return loop(images, tops[:1].expand_as(tops), lefts, size)


@wrong("crop_batch", "the first of `lefts` is used for all")
def first_left(images, tops, lefts, size):
    return loop(images, tops, lefts[:1].expand_as(lefts), size)


@wrong("crop_batch", "`lefts` is cut off at the height")
def as_far_as_the_height(images, tops, lefts, size):
    return loop(images, tops, lefts.clamp(max=images.shape[2] - size), size)


@wrong("crop_batch", "`tops` is cut off at the width")
def as_far_as_the_width(images, tops, lefts, size):
    return loop(images, tops.clamp(max=images.shape[3] - size), lefts, size)


@wrong("crop_batch", "tops and lefts are swapped")
def swapped(images, tops, lefts, size):
    return loop(images, lefts, tops, size)


@wrong("crop_batch", "that is for `lefts`")
def tops_for_both(images, tops, lefts, size):
    return loop(images, tops, tops, size)


@wrong("crop_batch", "all colours are the first one")
def first_colour(images, tops, lefts, size):
    return loop(images, tops, lefts, size)[:, [0, 0, 0]]


@wrong("crop_batch", "`torch.stack` makes a new axis")
def joined(images, tops, lefts, size):
    return torch.cat(list(loop(images, tops, lefts, size)))


@wrong("crop_batch", "at the offsets of all: index the images, too")
def every_pair(images, tops, lefts, size):
    rows, cols = (start[:, None] + torch.arange(size) for start in (tops, lefts))
    return images[:, :, rows[:, :, None], cols[:, None, :]]


@wrong("crop_batch", "all squares are cut from the first image")
def first_image(images, tops, lefts, size):
    return loop(images[:1].expand_as(images), tops, lefts, size)


@wrong("crop_batch", "one pixel too late")
def too_late(images, tops, lefts, size):
    return loop(images, tops + 1, lefts + 1, size)


@wrong("crop_batch", "one pixel too early")
def too_early(images, tops, lefts, size):
    return loop(images, tops - 1, lefts - 1, size)


@wrong("crop_batch", "the end is not included")
def too_large(images, tops, lefts, size):
    return loop(images, tops, lefts, size + 1)


@wrong("crop_batch", "one pixel too small")
def too_small(images, tops, lefts, size):
    return loop(images, tops, lefts, size - 1)


@wrong("crop_batch", "rows and columns are swapped inside the square")
def transposed(images, tops, lefts, size):
    rows, cols = (start[:, None] + torch.arange(size) for start in (tops, lefts))
    image = torch.arange(len(images))[:, None, None]
    return images[image, :, rows[:, None, :], cols[:, :, None]].permute(0, 3, 1, 2)


@wrong("crop_batch", "left and right are swapped")
def flipped(images, tops, lefts, size):
    return loop(images, tops, lefts, size).flip(3)


@wrong("crop_batch", "top and bottom are swapped")
def upside_down(images, tops, lefts, size):
    return loop(images, tops, lefts, size).flip(2)


@wrong("crop_batch", "the colours come last: a colon between two index tensors")
def colours_last(images, tops, lefts, size):
    rows, cols = (start[:, None] + torch.arange(size) for start in (tops, lefts))
    return images[torch.arange(len(images))[:, None, None], :, rows[:, :, None], cols[:, None, :]]


@wrong("crop_batch", "these are diagonals, and the colours come last")
def diagonals(images, tops, lefts, size):
    rows, cols = (start[:, None] + torch.arange(size) for start in (tops, lefts))
    return images[torch.arange(len(images))[:, None], :, rows, cols]


@wrong("crop_batch", "these are diagonals: rows and columns need axes of their own")
def diagonals_in_order(images, tops, lefts, size):
    return diagonals(images, tops, lefts, size).mT


@wrong("crop_batch", "this is the upper left corner")
def corner(images, tops, lefts, size):
    return images[:, :, :size, :size]


@wrong("crop_batch", "cut from the middle")
def middle(images, tops, lefts, size):
    top, left = (images.shape[2] - size) // 2, (images.shape[3] - size) // 2
    return images[:, :, top : top + size, left : left + size]


@wrong("crop_batch", "the last possible offsets, height - size and width - size, are left out")
def clamped(images, tops, lefts, size):
    _, _, height, width = images.shape
    return loop(images, tops.clamp(max=height - size - 1), lefts.clamp(max=width - size - 1), size)


@wrong("crop_batch", "the axes of images and colours are swapped")
def colours_first(images, tops, lefts, size):
    return loop(images, tops, lefts, size).movedim(1, 0)


@wrong("crop_batch", "`permute` brings the colours back")
def reshaped(images, tops, lefts, size):
    return colours_last(images, tops, lefts, size).reshape(len(images), 3, size, size)


@wrong("crop_batch", "of all images at the offsets of all")
def diagonals_of_all(images, tops, lefts, size):
    rows, cols = (start[:, None] + torch.arange(size) for start in (tops, lefts))
    return images[:, :, rows, cols]


@wrong("crop_batch", "`lefts` says where the rows begin, too")
def lefts_for_both(images, tops, lefts, size):
    return loop(images, lefts, lefts, size)


@wrong("crop_batch", "`lefts` is ignored")
def rows_only(images, tops, lefts, size):
    return loop(images, tops, 0 * lefts, size)


@wrong("crop_batch", "the rows start one pixel too late")
def rows_too_late(images, tops, lefts, size):
    return loop(images, tops + 1, lefts, size)


@wrong("crop_batch", "the order of the colours is reversed")
def bgr(images, tops, lefts, size):
    return loop(images, tops, lefts, size).flip(1)


@wrong("crop_batch", "all colours are their mean")
def grey(images, tops, lefts, size):
    return loop(images, tops, lefts, size).mean(1, keepdim=True).expand(-1, 3, -1, -1)


@wrong("crop_batch", "values are cut off at 0 and 1")
def clamped_values(images, tops, lefts, size):
    return loop(images, tops, lefts, size).clamp(0, 1)


@wrong("crop_batch", "the whole image is made smaller")
def resized(images, tops, lefts, size):
    return torch.nn.functional.interpolate(images, (size, size))


@wrong("crop_batch", "works on a batch of one")
def squeezed(images, tops, lefts, size):
    squares = loop(images, tops, lefts, size)
    return squares.squeeze(0)


@wrong("crop_batch", "the first possible offset, 0, is left out")
def never_at_0(images, tops, lefts, size):
    return loop(images, tops.clamp(min=1), lefts.clamp(min=1), size)


@wrong("crop_batch", "takes whole images, and single pixels")
def squeezed_pixels(images, tops, lefts, size):
    squares = loop(images, tops, lefts, size)
    return squares.squeeze((2, 3))


@wrong("crop_batch", "changes its input in place")
def marked(images, tops, lefts, size):
    tops.clamp_(max=0)
    return loop(images, tops, lefts, size)


@right("accumulated_gradient")
def mean_of_means(gradient, batch, parts):
    return torch.stack([gradient(part) for part in batch.chunk(parts)]).mean(0)


@right("accumulated_gradient")
def added_in_a_loop(gradient, batch, parts):
    total, each = 0.0, len(batch) // parts
    for start in range(0, len(batch), each):
        total = total + gradient(batch[start : start + each]) / parts
    return total


@right("accumulated_gradient")
def strided(gradient, batch, parts):
    """Other parts, each of the same size."""
    return sum(gradient(batch[first::parts]) for first in range(parts)) / parts


@right("accumulated_gradient")
def one_after_the_other(gradient, batch, parts):
    return sum(gradient(image[None]) for image in batch) / len(batch)


class Accumulator:
    def __call__(self, gradient, batch, parts):
        shaped = batch.view(parts, -1, *batch.shape[1:])
        return torch.stack([gradient(part).double() for part in shaped]).mean(0)


right("accumulated_gradient")(Accumulator())


def parted(of):
    """The answer of(gradients of the parts, number of images, parts)."""
    return lambda gradient, batch, parts: of(
        torch.stack([gradient(part) for part in batch.chunk(parts)]), len(batch), parts
    )


TASK = "accumulated_gradient"
wrong(TASK, "each is that of a mean: divide the sum")(parted(lambda g, n, p: g.sum(0)))
wrong(TASK, "this is the last part alone")(parted(lambda g, n, p: g[-1]))
wrong(TASK, "this is the first part alone")(parted(lambda g, n, p: g[0]))
wrong(TASK, "does the loop return too early?")(parted(lambda g, n, p: g[0] / p))
wrong(TASK, "a gradient may have no axis")(parted(lambda g, n, p: torch.zeros(1) + g.mean(0)))
wrong(TASK, "each part replaces the one before")(parted(lambda g, n, p: g[-1] / p))
wrong(TASK, "the last part is left out")(parted(lambda g, n, p: g[:-1].sum(0) / p))
wrong(TASK, "divided by the number of images; each")(parted(lambda g, n, p: g.sum(0) / n))
wrong(TASK, "divided by the images in a part")(parted(lambda g, n, p: g.sum(0) / (n // p)))
wrong(TASK, "it is divided by `parts` twice")(parted(lambda g, n, p: g.mean(0) / p))
wrong(TASK, "it is multiplied by the images in a part")(parted(lambda g, n, p: g.mean(0) * (n // p)))
wrong(TASK, "these are the gradients of all parts")(parted(lambda g, n, p: g))
wrong(TASK, "one number is returned")(parted(lambda g, n, p: g.mean()))
wrong(TASK, "the sign is turned")(parted(lambda g, n, p: -g.mean(0)))
wrong(TASK, "`squeeze` drops an axis of length 1")(parted(lambda g, n, p: g.mean(0).squeeze()))
wrong(TASK, "which need not be that of an image")(
    lambda g, x, n: sum((g(part) / n for part in x.chunk(n)), torch.zeros(x.shape[1:]))
)
wrong(TASK, "the median of the parts")(parted(lambda g, n, p: g.median(0).values))
wrong(TASK, "is the gradient of the mean loss over the whole batch\n      expected")(
    parted(lambda g, n, p: g.mean(0).abs())
)


@wrong(TASK, "`split(parts)` cuts parts of `parts` images")
def parts_of_so_many(gradient, batch, parts):
    return sum(gradient(part) for part in batch.split(parts)) / parts


@wrong(TASK, "only one image of each part")
def first_of_each(gradient, batch, parts):
    return sum(gradient(part[:1]) for part in batch.chunk(parts)) / parts


@wrong(TASK, "MemoryError: out of memory")
def at_once(gradient, batch, parts):
    return gradient(batch)


@wrong(TASK, "MemoryError: out of memory")
def mean_of_parts_of_so_many(gradient, batch, parts):
    return torch.stack([gradient(part) for part in batch.split(parts)]).mean(0)


@wrong(TASK, "halved with each part, from the second on")
def mean_with_the_parts_before(gradient, batch, parts):
    first, *others = batch.chunk(parts)
    mean = gradient(first)
    for part in others:
        mean = (mean + gradient(part)) / 2
    return mean


@wrong(TASK, "halved with each part, from 0 on")
def mean_with_what_is_there(gradient, batch, parts):
    mean = 0
    for part in batch.chunk(parts):
        mean = (mean + gradient(part)) / 2
    return mean


@wrong(TASK, "changes its input in place")
def scaled_in_place(gradient, batch, parts):
    batch /= parts
    return sum(gradient(part) for part in batch.chunk(parts))


@wrong(TASK, "is right for one part, and for parts of one image")
def at_least_two(gradient, batch, parts):
    return mean_of_means(gradient, batch, parts) if parts > 1 else torch.zeros_like(batch[0])


def swin(square=24, mix=4, look=lambda n, w: w * w, wider=2, fewer=4, stages=slice(None), skipped=0, deep=True):
    """An answer that counts, rightly or wrongly, in the ways that its arguments say."""

    def answer(image_size, patch, dim, depths, window):
        height, width = image_size
        work = []
        for stage, depth in enumerate(depths, skipped):
            n, d = height * width // patch**2 / fewer**stage, dim * wider**stage
            work.append((depth if deep else 1) * n * (square * d * d + mix * look(n, window) * d))
        return sum(work[stages])

    return answer


right("swin_flops")(swin())


@right("swin_flops")
def stage_by_stage(image_size, patch, dim, depths, window):
    flops, tokens = 0, (image_size[0] // patch) * (image_size[1] // patch)
    for depth in depths:
        flops += depth * tokens * (24 * dim**2 + 4 * window**2 * dim)
        tokens, dim = tokens // 4, 2 * dim
    return flops


@right("swin_flops")
def window_by_window(image_size, patch, dim, depths, window):
    rows, cols = (side // patch for side in image_size)
    flops = 0
    for depth in depths:
        windows, inside = (rows // window) * (cols // window), window * window
        one = 2 * inside * dim * dim * (3 + 1 + 8) + 2 * 2 * inside * inside * dim
        flops += depth * windows * one
        rows, cols, dim = rows // 2, cols // 2, dim * 2
    return flops


@right("swin_flops")
def again_and_again(image_size, patch, dim, depths, window):
    if not depths:
        return torch.tensor(0.0, dtype=torch.float64)
    n = torch.tensor(image_size, dtype=torch.float64).prod() / patch**2
    first = depths[0] * n * dim * (24 * dim + 4 * window * window)
    return first + again_and_again(image_size, 2 * patch, 2 * dim, depths[1:], window)


class Recursive:
    def __call__(self, image_size, patch, dim, depths, window):
        return stage_by_stage(image_size, patch, dim, tuple(depths), window) / 1.0


right("swin_flops")(Recursive())

TASK = "swin_flops"
wrong(TASK, "this is a ViT's attention")(swin(look=lambda n, w: n))
wrong(TASK, "holds window * window tokens")(swin(look=lambda n, w: w))
wrong(TASK, "the attention is missing")(swin(mix=0))
wrong(TASK, "is a product missing")(swin(mix=2))
wrong(TASK, "the linear layers are missing")(swin(square=0))
wrong(TASK, "the MLP is missing")(swin(square=8))
wrong(TASK, "a multiply-add is two FLOP, one product")(swin(12, 2))
wrong(TASK, "a multiply-add is two FLOP, not four")(swin(48, 8))
wrong(TASK, "this is training")(swin(72, 12))
wrong(TASK, "`dim` doubles from stage to stage\n")(swin(wider=1))
wrong(TASK, "it does not grow fourfold")(swin(wider=4))
wrong(TASK, "N is a quarter in the next stage, not half")(swin(fewer=2))
wrong(TASK, "2 x 2 tokens become one: N is a quarter in the next stage\n")(swin(fewer=1))
wrong(TASK, "is the first stage merged already")(swin(skipped=1))
wrong(TASK, "these are only the blocks of the last stage")(swin(stages=slice(-1, None)))
wrong(TASK, "only the blocks of the first stage")(swin(stages=slice(1)))
wrong(TASK, "the last stage is missing")(swin(stages=slice(-1)))
wrong(TASK, "the first stage is missing")(swin(stages=slice(1, None)))
wrong(TASK, "as many blocks as `depths` says")(swin(deep=False))
wrong(TASK, "these are GFLOP")(swin(24e-9, 4e-9))
wrong(TASK, "`^` is no power in Python")(swin(look=lambda n, w: w ^ 2))
wrong(TASK, "counts the products of all stages\n      expected")(swin(mix=6))
wrong(TASK, "as if query, key and value were one")(swin(square=20))
wrong(TASK, "the products with d * d count half")(swin(square=12, mix=4))
wrong(TASK, "as if there were no projection")(swin(square=22))
wrong(TASK, "as if the MLP had one layer")(swin(square=16))
wrong(TASK, "as if the MLP were not 4 * dim wide")(swin(square=12))
wrong(TASK, "all stages count like the first")(swin(wider=1, fewer=1))


@wrong(TASK, "is the first stage merged already")
def merged_first(image_size, patch, dim, depths, window):
    flops, tokens = 0, (image_size[0] // patch) * (image_size[1] // patch)
    for depth in depths:
        tokens, dim = tokens // 4, 2 * dim
        flops += depth * tokens * (24 * dim**2 + 4 * window**2 * dim)
    return flops


@wrong(TASK, "the merging is counted")
def with_the_merging(image_size, patch, dim, depths, window):
    flops = stage_by_stage(image_size, patch, dim, depths, window)
    tokens = image_size[0] * image_size[1] // patch**2
    for _ in depths[1:]:
        flops += 2 * (tokens // 4) * (4 * dim) * (2 * dim)
        tokens, dim = tokens // 4, 2 * dim
    return flops


@wrong(TASK, "a token is a patch, not a pixel")
def pixels(image_size, patch, dim, depths, window):
    return stage_by_stage(image_size, 1, dim, depths, window)


@wrong(TASK, "rows * rows")
def as_high_as_wide(image_size, patch, dim, depths, window):
    return stage_by_stage((image_size[0], image_size[0]), patch, dim, depths, window)


def held(alone, shared):
    """The answer with alone(p, b, n) bytes without sharding, and shared(p, b, n) with it."""
    return lambda p, b, n, shard: (shared if shard else alone)(p, b, n)


def all_of_it(p, b, n):
    return 16 * p


def a_share_and_a_block(p, b, n):
    return 16 * p / n + 8 * b


right("bytes_per_gpu")(held(all_of_it, a_share_and_a_block))


@right("bytes_per_gpu")
def number_by_number(parameters, largest_block, gpus, shard):
    weights = gradients = means = squares = 4 * parameters
    if not shard:
        return weights + gradients + means + squares
    return (weights + gradients + means + squares) / gpus + 2 * 4 * largest_block


@right("bytes_per_gpu")
def in_one_line(parameters, largest_block, gpus, shard):
    return 4 * (4 * parameters / (gpus if shard else 1) + 2 * largest_block * shard)


@right("bytes_per_gpu")
def as_doubles(parameters, largest_block, gpus, shard):
    p, b = torch.tensor([parameters, largest_block], dtype=torch.float64)
    return 16 * p / gpus + 8 * b if shard else 16 * p


class Keeper:
    number = 4

    def __call__(self, parameters, largest_block, gpus, shard):
        share = parameters / gpus if shard else parameters
        together = largest_block if shard else 0
        return self.number * (4 * share + 2 * together)


right("bytes_per_gpu")(Keeper())


@right("bytes_per_gpu")
def in_float32(parameters, largest_block, gpus, shard):
    return torch.tensor(a_share_and_a_block(parameters, largest_block, gpus) if shard else 16.0 * parameters)


TASK = "bytes_per_gpu"
wrong(TASK, "`shard` changes nothing here")(held(all_of_it, all_of_it))
wrong(TASK, "the largest block is missing")(held(all_of_it, lambda p, b, n: 16 * p / n))
wrong(TASK, "of the largest block its gradients")(held(all_of_it, lambda p, b, n: 16 * p / n + 4 * b))
wrong(TASK, "of the block have 4 bytes each, too")(held(all_of_it, lambda p, b, n: 16 * p / n + 2 * b))
wrong(TASK, "AdamW's means stay sharded")(held(all_of_it, lambda p, b, n: 16 * (p - b) / n + 16 * b))
wrong(TASK, "without sharding this is all GPUs")(held(lambda p, b, n: 16 * p * n, a_share_and_a_block))
wrong(TASK, "not AdamW's means")(held(all_of_it, lambda p, b, n: 16 * p / n + 16 * b))
wrong(TASK, "is whole on every GPU: do not divide it")(held(all_of_it, lambda p, b, n: (16 * p + 8 * b) / n))
wrong(TASK, "`shard` divides weights and gradients, too")(held(all_of_it, lambda p, b, n: 8 * p + 8 * p / n))
wrong(TASK, "not AdamW's means alone; the block is right")(
    held(all_of_it, lambda p, b, n: 8 * p + 8 * p / n + 8 * b)
)
wrong(TASK, "all four numbers")(held(all_of_it, lambda p, b, n: 12 * p + 4 * p / n + 8 * b))
wrong(TASK, "do not subtract it")(held(all_of_it, lambda p, b, n: 16 * (p - b) / n + 8 * b))
wrong(TASK, "this is all GPUs together")(held(all_of_it, lambda p, b, n: 16 * p + 8 * b * n))
wrong(TASK, "one after the other")(held(all_of_it, lambda p, b, n: 16 * p / n + 8 * p))
wrong(TASK, "`/`, not `//`")(held(all_of_it, lambda p, b, n: 16 * (p // n) + 8 * b))
wrong(TASK, "the bytes are cut off")(held(all_of_it, lambda p, b, n: int(a_share_and_a_block(p, b, n))))
wrong(TASK, "the bytes are rounded")(held(all_of_it, lambda p, b, n: round(a_share_and_a_block(p, b, n))))
wrong(TASK, "comes on top: do not take it off")(held(all_of_it, lambda p, b, n: 16 * p / n + 8 * b * (n - 1) / n))
wrong(TASK, "with `shard` AdamW's two means")(held(all_of_it, lambda p, b, n: 8 * p / n + 8 * b))
wrong(TASK, "the block comes on top with one GPU, too")(
    held(all_of_it, lambda p, b, n: min(16 * p, a_share_and_a_block(p, b, n)))
)
wrong(TASK, "without sharding nothing is divided: every")(held(lambda p, b, n: 16 * p / n, a_share_and_a_block))
wrong(TASK, "nothing is divided, and no block")(held(a_share_and_a_block, a_share_and_a_block))
wrong(TASK, "its weights are there")(held(lambda p, b, n: 16 * p + 8 * b, a_share_and_a_block))
wrong(TASK, "it is the other way round")(held(a_share_and_a_block, all_of_it))
wrong(TASK, "the gradient and AdamW's two means are missing")(
    held(lambda p, b, n: 4 * p, lambda p, b, n: 4 * p / n + 4 * b)
)
wrong(TASK, "of what a GPU keeps: subtract nothing")(
    held(lambda p, b, n: 16 * p, lambda p, b, n: 16 * p / n + 8 * max(0, b - p / n))
)
wrong(TASK, "not the other three numbers alone")(
    held(lambda p, b, n: 16 * p, lambda p, b, n: 4 * (p + 3 * p / n) + 8 * b)
)
wrong(TASK, "the weights, too; and the largest block is missing")(
    held(lambda p, b, n: 16 * p, lambda p, b, n: 4 * (p + 3 * p / n))
)
wrong(TASK, "the share is rounded up")(held(lambda p, b, n: 16 * p, lambda p, b, n: 16 * math.ceil(p / n) + 8 * b))
wrong(TASK, "AdamW's two means are missing")(held(lambda p, b, n: 8 * p, lambda p, b, n: 8 * p / n + 8 * b))
wrong(TASK, "two means for each parameter, not one")(
    held(lambda p, b, n: 12 * p, lambda p, b, n: 12 * p / n + 8 * b)
)
for factor, says in (
    (1 / 4, "these are numbers"),
    (8, "these are bits"),
    (1 / 2, "not 2"),
    (2, "not 8"),
    (1e-9, "give bytes, not GB"),
    (2**-30, "give bytes, not GiB"),
    (1e-6, "give bytes, not MB"),
):
    wrong(TASK, says)(lambda *of, factor=factor: factor * number_by_number(*of))
wrong(TASK, "counts what each GPU keeps\n      expected")(held(lambda p, b, n: 18 * p, a_share_and_a_block))


@right("whole_gradient")
def weighted(gradients, hidden):
    total = torch.zeros_like(gradients[0])
    for gradient, count in zip(gradients, hidden, strict=True):
        if count:
            total += gradient * count
    return total / max(1, sum(hidden))


@right("whole_gradient")
def with_shares(gradients, hidden):
    busy = [(gradient, count) for gradient, count in zip(gradients, hidden, strict=True) if count > 0]
    if not busy:
        return gradients[0].new_zeros(gradients[0].shape)
    return sum(gradient * (count / sum(hidden)) for gradient, count in busy)


@right("whole_gradient")
def stacked(gradients, hidden):
    counts = torch.tensor(hidden, dtype=torch.float64)
    sums = torch.stack(gradients).nan_to_num().double()
    return torch.einsum("g...,g->...", sums, counts) / counts.sum().clamp(min=1)


@right("whole_gradient")
def repeated(gradients, hidden):
    """Each gradient as often as its GPU hides pixels; that many numbers only in theory."""
    kept = [g for g, count in zip(gradients, hidden, strict=True) if count]
    counts = [count for count in hidden if count]
    if not kept:
        return torch.zeros(gradients[0].shape)
    shares = torch.tensor(counts).double() / sum(counts)
    return torch.tensordot(shares, torch.stack(kept).double(), dims=1)


class Averager:
    def __call__(self, gradients, hidden):
        return weighted(tuple(gradients), tuple(hidden)).clone()


right("whole_gradient")(Averager())


def gathered_by(of):
    """The answer of(gradients, counts), both stacked along the GPUs."""
    return lambda gradients, hidden: of(
        torch.stack(gradients), torch.tensor(hidden).view(-1, *[1] * gradients[0].ndim)
    )


TASK = "whole_gradient"
wrong(TASK, "weigh each gradient with its number")(gathered_by(lambda g, h: g.mean(0)))
wrong(TASK, "the gradients are added; each is")(gathered_by(lambda g, h: g.sum(0)))
wrong(TASK, "this is the gradient of the sum of errors")(gathered_by(lambda g, h: (g * h).sum(0)))
wrong(TASK, "it is divided by the number of GPUs; divide")(gathered_by(lambda g, h: (g * h).mean(0)))
wrong(TASK, "number of GPUs, and by the number of hidden")(gathered_by(lambda g, h: (g * h).mean(0) / h.sum()))
wrong(TASK, "weighted with 1 / hidden")(gathered_by(lambda g, h: (g / h).sum(0) / (1 / h).sum()))
wrong(TASK, "divided by its number")(gathered_by(lambda g, h: (g / h).sum(0)))
wrong(TASK, "multiply each by its number first")(gathered_by(lambda g, h: g.sum(0) / h.sum()))
wrong(TASK, "this is the GPU that hides most")(gathered_by(lambda g, h: g[h.flatten().argmax()]))
wrong(TASK, "this is the first GPU alone")(lambda gradients, hidden: gradients[0])
wrong(TASK, "this is the last GPU alone")(lambda gradients, hidden: gradients[-1])
wrong(TASK, "not their squares")(gathered_by(lambda g, h: (g * h**2).sum(0) / (h**2).sum()))
wrong(TASK, "not their square roots")(gathered_by(lambda g, h: (g * h**0.5).sum(0) / (h**0.5).sum()))
wrong(TASK, "it is divided by the largest number")(gathered_by(lambda g, h: (g * h).sum(0) / h.max()))
wrong(TASK, "a gradient may have one axis, or four")(
    lambda gradients, hidden: (
        (torch.stack(gradients).nan_to_num() * torch.tensor(hidden).view(-1, 1, 1)).sum(0) / max(1, sum(hidden))
    )
)


@wrong(TASK, "but not its 0 in `hidden`")
def numbers_shifted(gradients, hidden):
    kept = [gradient for gradient in gradients if not gradient.isnan().any()]
    total = torch.zeros_like(gradients[0])
    for gradient, count in zip(kept, hidden, strict=False):
        total = total + gradient * count
    return total / max(1, sum(hidden))


wrong(TASK, "joined, not averaged")(lambda gradients, hidden: torch.cat(gradients))
wrong(TASK, "one number is returned")(lambda gradients, hidden: stacked(gradients, hidden).mean())
wrong(TASK, "NaN times 0 is NaN")(
    lambda gradients, hidden: sum(map(torch.mul, gradients, map(torch.tensor, hidden))) / max(1, sum(hidden))
)


@wrong(TASK, "is 0 where nothing is hidden at all")
def divided_by_nothing(gradients, hidden):
    sums = [g * count for g, count in zip(gradients, hidden, strict=True) if count]
    return sum(sums, torch.zeros_like(gradients[0])) / sum(hidden)


@wrong(TASK, "the GPUs behind one that hides nothing are left out")
def up_to_the_first_idle(gradients, hidden):
    busy = hidden.index(0) if 0 in hidden else len(hidden)
    return weighted(gradients[:busy], hidden[:busy]) if busy else torch.zeros_like(gradients[0])


@wrong(TASK, "all of it is 0, whatever the others say")
def nothing_if_one_is_idle(gradients, hidden):
    return torch.zeros_like(gradients[0]) if 0 in hidden else weighted(gradients, hidden)


@wrong(TASK, "is NaN replaced by 0 at the end?")
def cleaned_at_the_end(gradients, hidden):
    sums = sum(g * count for g, count in zip(gradients, hidden, strict=True))
    return (sums / max(1, sum(hidden))).nan_to_num()


@wrong(TASK, "counts as if it hid one pixel")
def at_least_one(gradients, hidden):
    sums = sum(g.nan_to_num() * count for g, count in zip(gradients, hidden, strict=True))
    return sums / sum(max(1, count) for count in hidden)


@wrong(TASK, "changes its input in place")
def weighted_in_place(gradients, hidden):
    for gradient, count in zip(gradients, hidden, strict=True):
        gradient *= count
    return sum(gradients) / sum(hidden)
