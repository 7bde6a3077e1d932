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
wrong("choose_precision", "the minor number is compared alone")(by(lambda c, claimed: c[1] >= 8))
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
wrong("choose_precision", "the minor number is compared alone")(by(lambda c, claimed: c[0] >= 8 and c[1] >= 8))
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
wrong("training_memory", "the average is missing")(sized(16, 12, 0))


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


@right("vit_flops")
def formula(image_size, patch, dim, depth):
    height, width = image_size
    n = (height // patch) * (width // patch)
    return depth * n * (24 * dim**2 + 4 * n * dim)


@right("vit_flops")
def product_by_product(image_size, patch, dim, depth):
    tokens = image_size[0] * image_size[1] // patch**2
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
    tokens = image_size[0] / patch * image_size[1] / patch
    flops = 0.0
    for _ in range(depth):
        flops += 2 * tokens * dim * (3 * dim + dim + 8 * dim)
        flops += 2 * 2 * tokens**2 * dim
    return flops


def counted(tokens=lambda h, w, p: h * w // p**2, square=24, mix=4, power=2, times=1, deep=True):
    """An answer that counts wrongly, in the ways that its arguments say."""

    def answer(image_size, patch, dim, depth):
        n = tokens(*image_size, patch)
        return times * (depth if deep else 1) * (square * n * dim**2 + mix * n**power * dim)

    return answer


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
        n = math.prod(side // patch for side in image_size)
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


@wrong("vit_flops", "`depth` counts once")
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


wrong(TASK, "the last step is left out")(rate(lambda t, f, n, b, w: b * (n - w - 1) / (f[-2] - f[w - 1])))
wrong(TASK, "one step too few is counted")(rate(lambda t, f, n, b, w: b * (n - w - 1) / (f[-1] - f[w - 1])))
wrong(TASK, "one step of the warm-up is counted")(
    rate(lambda t, f, n, b, w: b * (n - w + 1) / (f[-1] - f[max(w - 2, 0)]))
)
wrong(TASK, "it is rounded to a whole number")(rate(lambda t, f, n, b, w: round(b * (n - w) / (f[-1] - f[w - 1]))))
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
wrong("minutes", "this is the backward pass alone")(timed(lambda u, e, n: 2 / 3))
wrong("minutes", "so both cost three")(timed(lambda u, e, n: 4 / 3))
wrong("minutes", "the utilisation is missing")(timed(lambda u, e, n: u))
wrong("minutes", "a GPU that is used less takes longer")(timed(lambda u, e, n: u * u))
wrong("minutes", "not the share that is lost")(timed(lambda u, e, n: u / (1 - u)))
wrong("minutes", "not a percentage")(timed(lambda u, e, n: 100))
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
wrong("minutes", "do not divide it by 100")(timed(lambda u, e, n: 1 / 100))
wrong("minutes", "these are seconds, and the utilisation is missing")(timed(lambda u, e, n: 60 * u))
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
