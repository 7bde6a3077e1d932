"""Checks of the exercises on the article's program (lesson 00)."""

import math
from collections.abc import Callable, Iterator, Set
from functools import cache
from operator import truediv
from typing import Any

import torch
from torch import Generator, Tensor

from simmim_lab import masking
from simmim_lab.checks import solutions
from simmim_lab.checks.core import (
    Answer,
    Verdict,
    check,
    compare,
    describe,
    distinct,
    explain,
    first,
    form,
)
from simmim_lab.checks.guessing import Guess
from simmim_lab.checks.running import handed_back
from simmim_lab.images import load


@cache
def photographs() -> Tensor:
    """Three crops of (24, 32), light enough that no value is 0."""
    return 0.5 + load("photos", "test").pixels[[5, 1130, 1500], :, 4:28] / 510


@check(
    "For each pixel choose one of two values; nothing has to be computed. Then write down the shapes: which axis "
    "of the images does the mask lack, and where does it belong?",
    "`mask[:, None]` has the shape (batch, 1, height, width), so it holds for all three channels. "
    "`torch.where(condition, a, b)` takes `a` where the condition is True and `b` elsewhere.",
    batched=(0, 1, 2),
)
def compose(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`compose(image, prediction, mask)` fills what is hidden with the prediction."""
    # As many images as channels: a mask without its channel axis broadcasts, and only its values are wrong.
    # The prediction has finer digits than the photographs, so what is computed with both is rounded.
    image, prediction = photographs(), torch.rand(3, 3, 24, 32, generator=rng) ** 2
    mask = masking.to_pixels(masking.random_mask(3, (6, 8), 0.3, generator=rng), 4)
    hidden = mask[:, None]
    got, want = answer(image, prediction, mask), torch.where(hidden, prediction, image)
    problem = form(got, image.shape, image.dtype)
    yield "returns images of the same shape", problem
    if problem:
        return

    mistakes = {
        "the two are swapped: True means hidden": torch.where(hidden, image, prediction),
        "visible pixels are black: only the hidden ones are filled": prediction * hidden,
        "hidden pixels are black: the prediction is missing": image * ~hidden,
        "the prediction was added to the image where it should replace it": image + prediction * hidden,
        "hidden pixels are a blend of both": torch.where(hidden, (image + prediction) / 2, image),
        "all pixels are a blend of both": (image + prediction) / 2,
        "this is the whole prediction: visible pixels must stay as they are": prediction,
        "this is the image as it was: hidden pixels must come from the prediction": image,
        "the mask of image 0 is used for red, that of image 1 for green, that of image 2 for blue: "
        "the mask needs a channel axis of size 1": torch.where(mask, prediction, image),
        "only the first channel was filled": torch.cat([want[:, :1], image[:, 1:]], dim=1),
        "only the first image was filled": torch.cat([want[:1], image[1:]]),
        "the mask of the first image was used for all": torch.where(hidden[:1], prediction, image),
        "the prediction has its channels in the opposite order: leave them RGB": torch.where(
            hidden, prediction.flip(1), image
        ),
        "a Sigmoid was added: the prediction holds values between 0 and 1 already": torch.where(
            hidden, prediction.sigmoid(), image
        ),
        "the colours of the prediction are averaged: each channel has its own": torch.where(
            hidden, prediction.mean(1, keepdim=True), image
        ),
        "the last image is not filled": torch.cat([want[:2], image[2:]]),
        "the result was rounded to 8 bits: visible values must stay as they are": (255 * want).round() / 255,
        "the second image is not filled": torch.cat([want[:1], image[1:2], want[2:]]),
        "the larger value is taken: the mask decides, not the brightness": image.maximum(prediction * hidden),
        "the prediction was rounded to 8 bits": torch.where(hidden, (255 * prediction).round() / 255, image),
    }
    problem = compare(got, want, mistakes, tolerance=1e-6, picture=True)
    yield "takes visible pixels from the image and hidden ones from the prediction", problem
    if problem:
        return

    changed = int((got != image)[(~hidden).expand_as(image)].sum())
    yield (
        "keeps visible pixels to the bit",
        first((changed > 0, f"{changed} visible values are close, but rounded: take them, do not compute them")),
    )
    batch, height, width = distinct(rng, 3, 4, 9)
    image, prediction = torch.rand(2, batch, 3, height, width, generator=rng).round(decimals=1)
    mask = torch.rand(batch, height, width, generator=rng) < torch.linspace(0, 1, batch)[:, None, None]
    want = torch.where(mask[:, None], prediction, image)  # one image has nothing hidden, one everything
    problem = compare(answer(image, prediction, mask), want, tolerance=1e-6)
    yield "works for any size and any share", problem
    if problem:
        return

    for claim, hidden in ("nothing", torch.zeros_like(mask)), ("everything", torch.ones_like(mask)):
        given = image, prediction, hidden
        want = prediction if hidden.all() else image
        problem = compare(answer(*given), want, tolerance=1e-6) or first(
            (
                handed_back(answer.function(*given), given) != [None],
                "it returns its argument itself, not a new image: take a copy of it, `.clone()`",
            )
        )
        yield f"returns a new image where {claim} is hidden", problem


@check(
    "What does 1 say in the article's mask, and what does True say in ours? The shape stays as it is.",
    "Ask of each value whether it is hidden: a comparison with `==` or `<` gives a tensor of True and False. "
    "No loop, and no sum over the channels, is needed.",
    batched=(0,),
)
def hidden_from_article(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`hidden_from_article(article_mask)` is True where the article's mask hides a value."""
    batch, height, width = distinct(rng, 3, 4, 8)
    article_mask = torch.randint(0, 2, (batch, 3, height, width), generator=rng).float()
    mistakes = {
        "the two are swapped: the article's 1 is visible, our True is hidden": lambda m: m == 1,
        "the values are right, but they are numbers: a mask holds True and False": lambda m: 1 - m,
        "the values are right, but they are whole numbers: a mask holds True and False": lambda m: 1 - m.long(),
        "the numbers are not swapped: 1 is visible, and our mask holds True and False": lambda m: m,
        "everything is True: was it `~` on whole numbers? It flips every bit, and ~1 is -2": lambda m: m >= 0,
        "`~` flips every bit of whole numbers, and ~1 is -2: compare with 0 instead": lambda m: ~m.int(),
        "everything is False": lambda m: m < 0,
        "a pixel counts as hidden if one of its channels is: each value has its own answer": (
            lambda m: (m == 0).any(1, keepdim=True).expand_as(m)
        ),
        "a pixel counts as hidden if all its channels are: each value has its own answer": (
            lambda m: (m == 0).all(1, keepdim=True).expand_as(m)
        ),
        "the channels are in the opposite order: leave them RGB": lambda m: m.flip(1) == 0,
    }
    for axis, keep in ("no channel axis", False), ("a channel axis of 1", True):
        mistakes |= {
            f"{axis} (any): the article hides each channel on its own": lambda m, k=keep: (m == 0).any(1, k),
            f"{axis} (all): the article hides each channel on its own": lambda m, k=keep: (m == 0).all(1, k),
            f"{axis} (the first is left): the article hides each channel on its own": (
                lambda m, k=keep: m[:, :1] == 0 if k else m[:, 0] == 0
            ),
        }
    problem = explain(answer, lambda m: m == 0, [(article_mask,), (1 - article_mask,)], mistakes)
    yield "marks the hidden values", problem
    if problem:
        return

    everywhere = torch.ones(2, 3, height, width)
    for claim, mask in (("nothing", everywhere), ("everything", 0 * everywhere)):
        yield (
            f"works where {claim} is hidden",
            compare(answer(mask), mask == 0, {"here all values are equal: compare with 0 or 1": mask == 1}),
        )


@check(
    "The printed loss is a sum divided by a count. What is the sum? What is the count, and what should it be?",
    "Take 100 values of which 20 are hidden (ratio 0.2) and a printed loss of 0.01. The sum of all errors is 1. "
    "All of it comes from the 20 hidden values.",
    solution=solutions.error_per_hidden_value,
)
def error_per_hidden_value(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`error_per_hidden_value(printed, ratio)` turns the article's loss into a mean over hidden values."""
    low, high, loss = torch.randint(200, (3,), generator=rng).tolist()
    cases = [
        (0.02 + loss / 2000, 0.15 + low / 1000),
        (2 + loss / 10, 0.65 + high / 1000),
        (0.05, 0.5),
        (0.06, 0.001),
    ]
    mistakes = {
        "it became smaller, but the zeros of the visible values have already lowered it": lambda p, r: p * r,
        "`ratio` is the share of hidden values, not of visible ones": lambda p, r: p / (1 - r),
        "it became smaller by the hidden share: it must become larger": lambda p, r: p * (1 - r),
        "that is the loss as printed: it is a mean over all values": lambda p, r: p,
        "twice the loss is right at the article's ratio of 0.5 alone": lambda p, r: 2 * p,
        "it grows by the hidden share: divide by the share": lambda p, r: p * (1 + r),
        "the share of the visible values is still in it: divide by `ratio` alone": lambda p, r: p * (1 - r) / r,
        "half the loss: the error on hidden values is larger than the mean over all": lambda p, r: p / 2,
        "`ratio` counts once: it is a share of values, not a length": lambda p, r: p / r**2,
        "`ratio` counts in full: it is a share of values, without a root": lambda p, r: p / math.sqrt(r),
        "the root is another measure: stay with the squared error": lambda p, r: math.sqrt(p / r),
        "that is the factor alone: what does it do to the loss?": lambda p, r: 1 / r,
        "divide the loss by the ratio, not the ratio by the loss": lambda p, r: r / p,
        "the share was subtracted: a mean over fewer values is a division": lambda p, r: p - r,
        "the channels do not count: `printed` and `ratio` are both about single values": lambda p, r: p / r / 3,
        "that is in percent: `ratio` is a share from 0 to 1": lambda p, r: 100 * p / r,
        "`ratio` is a share from 0 to 1, not in percent": lambda p, r: p / (r / 100),
        "`//` drops the digits: divide with `/`": lambda p, r: p // r,
        "an error may be larger than 1: do not cut it off": lambda p, r: min(1.0, p / r),
        "the ratio is cut off below 0.01: a share may be smaller": lambda p, r: p / max(r, 0.01),
        "a small number is added to `ratio`: divide by `ratio` alone": lambda p, r: p / (r + 1e-8),
    }
    problem = explain(answer, truediv, cases, mistakes | rounded(truediv), tolerance=1e-6)
    yield "is the mean over the hidden values", problem
    if problem:
        return

    yield "changes nothing where everything is hidden", compare(answer(0.25, 1.0), 0.25, tolerance=1e-6)
    yield "is 0 where the printed loss is 0", compare(answer(0.0, 0.5), 0.0, tolerance=1e-6)
    yield "keeps the digits of a small loss", digits_lost(answer(SMALL, 0.5), 2 * SMALL)


def rounded(right: Callable[..., float]) -> dict[str, Callable[..., float]]:
    """The mistakes of who rounds the right result."""
    return {
        f"the result is rounded to {digits} digits: keep its digits": lambda *args, digits=digits: round(
            right(*args), digits
        )
        for digits in (2, 3, 4)
    }


SMALL = 3.2174e-7


def digits_lost(got: Any, want: float) -> Verdict:
    """What is wrong with a small number; None if it has its first digits."""
    return compare(got, want, {"is it rounded?": round(want, 6)}, tolerance=1e-4 * want)


def visible_part(overall: float, hidden: float, ratio: float) -> float:
    return (overall - ratio * hidden) / (1 - ratio)


@check(
    "A mean over all values is a weighted mean of two means: of the hidden values and of the visible ones. What "
    "are the weights?",
    "Take 100 values of which 20 are hidden, a mean of 0.03 over all, and of 0.05 over the hidden ones. The sum "
    "over all is 3, that over the hidden ones is 1. What is left belongs to 80 values.",
)
def error_on_visible(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`error_on_visible(overall, hidden, ratio)` is the mean squared error over the visible values."""

    def case(visible: float, hidden: float, ratio: float) -> tuple[float, float, float]:
        return ratio * hidden + (1 - ratio) * visible, hidden, ratio

    low, high, loss = torch.randint(200, (3,), generator=rng).tolist()
    cases = [
        case(0.0213 + loss / 4000, 0.1 + high / 2000, 0.15 + low / 1000),  # no value of two digits
        case(0.3 + loss / 500, 2 + low / 50, 0.65 + high / 1000),
        case(1.1037, 0.05, 0.5),
    ]
    mistakes = {
        "that is the share of the visible values in the mean: divide it by `1 - ratio`": lambda o, h, r: o - r * h,
        "the hidden values have the weight `ratio`: without it they count too much": (
            lambda o, h, r: (o - h) / (1 - r)
        ),
        "this is a difference of two means: each needs its weight": lambda o, h, r: o - h,
        "the two means are swapped: `overall` is the mixture": lambda o, h, r: visible_part(h, o, r),
        "the two weights are swapped: `ratio` is the share of hidden values": lambda o, h, r: (
            (o - (1 - r) * h) / r
        ),
        "what is left belongs to the visible values: divide by their share": lambda o, h, r: (o - r * h) / r,
        "what is left is multiplied by the share of the visible values: divide by it": (
            lambda o, h, r: (o - r * h) * (1 - r)
        ),
        "the hidden values are still in it: take away their part": lambda o, h, r: o / (1 - r),
        "the part of the hidden values was added, not taken away": lambda o, h, r: (o + r * h) / (1 - r),
        "the sign is wrong: the part of the hidden values is taken away from the mean": (
            lambda o, h, r: (r * h - o) / (1 - r)
        ),
        "that is right where half is hidden, and only there": lambda o, h, r: 2 * o - h,
        "that is the mean over all values": lambda o, h, r: o,
        "that is the mean over the hidden values": lambda o, h, r: h,
        "that mixes the two means with their shares: one of them is the mixture already": (
            lambda o, h, r: r * h + (1 - r) * o
        ),
        "that mixes the two means, and one is the mixture already": lambda o, h, r: (1 - r) * h + r * o,
        "`/ 1 - ratio` divides by 1 alone: it takes brackets, `/ (1 - ratio)`": lambda o, h, r: o - r * h - r,
        "the mean over all values is not divided: divide the whole difference": (
            lambda o, h, r: o - r * h / (1 - r)
        ),
        "the part of the hidden values is not divided: divide the whole difference": (
            lambda o, h, r: o / (1 - r) - r * h
        ),
        "`hidden` must have the weight `ratio`: take `ratio * hidden` away, then divide all": (
            lambda o, h, r: o / (1 - r) - h
        ),
        "it is the difference that is divided by `1 - ratio`, not the mean multiplied": lambda o, h, r: (
            (1 - r) * o - r * h
        ),
        "`//` and `int` drop the digits: divide with `/` alone": lambda o, h, r: (o - r * h) // (1 - r),
        "the root is another measure: stay with the squared error": lambda *args: math.sqrt(visible_part(*args)),
        "`ratio` is a share from 0 to 1, not in percent": lambda o, h, r: visible_part(o, h, r / 100),
        "an error may be larger than 1: do not cut it off": lambda *args: min(1.0, visible_part(*args)),
    }
    # A difference of numbers of 32 bits is less exact than they are.
    problem = explain(answer, visible_part, cases, mistakes | rounded(visible_part), tolerance=1e-5)
    yield "is the mean over the visible values", problem
    if problem:
        return

    yield "is the mean over all values where nothing is hidden", compare(answer(0.25, 9.0, 0.0), 0.25)
    yield "is 0 for the article's program", compare(answer(0.006, 0.01, 0.6), 0.0, tolerance=1e-9)
    perfect = {"a mean of 0 is a number like any other: is it asked with `if`?": 0.02}
    yield "holds where the hidden values have no error", compare(answer(0.02, 0.0, 0.75), 0.08, perfect)
    yield "holds where nearly everything is hidden", compare(answer(*case(0.4, 0.1, 0.999)), 0.4)
    yield "keeps the digits of a small error", digits_lost(answer(*case(SMALL, 5e-7, 0.5)), SMALL)


def fills(rng: Generator) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
    """By name: images, what a program made of them, and the hidden values."""
    batches = {
        "a batch": [0.001, 0.02, 0.1],  # how large the errors of each image are
        "one image with large errors": [3.0],
        "a nearly perfect fill": [1e-4, 1e-4],
    }
    height, width = distinct(rng, 2, 5, 9)
    cases = {}
    for name, sizes in batches.items():
        images = 0.2 + 0.6 * torch.rand(len(sizes), 3, height, width, generator=rng)
        share = torch.tensor([0.8, 0.5, 0.3])[: len(sizes), None, None, None]  # one per image
        hidden = torch.rand(images.shape, generator=rng) < share
        error = torch.tensor(sizes)[:, None, None, None] * (0.5 + torch.rand(images.shape, generator=rng))
        lighter = torch.rand(images.shape, generator=rng) < 0.9  # the error of most values
        filled = images + torch.where(lighter, error, -error)
        cases[name] = images, filled * hidden, hidden  # black where visible, as the article's program returns it
    images, filled, hidden = cases["a batch"]
    right, black = (torch.rand(images.shape, generator=rng) < 0.3 for _ in range(2))
    cases["a fill that is right here and there"] = images, filled.where(~right, images) * hidden, hidden
    cases["a fill that is black here and there"] = images, filled * (hidden & ~black), hidden
    return cases


def mse(errors: Tensor, hidden: Tensor) -> float:
    return errors[hidden].square().mean().item()


def mse_of_each(errors: Tensor, hidden: Tensor) -> Tensor:
    return (errors.square() * hidden).sum((1, 2, 3)) / hidden.sum((1, 2, 3))


def psnr(errors: Tensor, hidden: Tensor) -> float:
    return -10 * math.log10(mse(errors, hidden))


@check(
    "Three steps: which values count, one mean over all of them, one logarithm at the end. In which of the steps "
    "does your answer look at single images?",
    "`(filled - images)[hidden]` is a flat list of the errors that count, of the whole batch. Take the mean of "
    "their squares. A tenth of it must give 10 dB more, and 1 gives 0 dB: that is -10 times its logarithm to base "
    "10. `torch.log10` turns 0 into minus infinity; `math.log10` stops.",
    solution=solutions.hidden_psnr,
)
def hidden_psnr(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`hidden_psnr(images, filled, hidden)` is the PSNR of the hidden values of a batch in dB."""
    cases = fills(rng)

    def scores(measure):
        return {
            name: measure((filled - images).double(), hidden) for name, (images, filled, hidden) in cases.items()
        }

    mistakes = {
        "the minus is missing: a smaller error must give more dB": lambda e, h: -psnr(e, h),
        "all values count here, visible ones too": lambda e, h: -10 * e.square().mean().log10(),
        "the visible values count here, not the hidden ones": lambda e, h: psnr(e, ~h),
        "divide by the number of hidden values, not of all values": (
            lambda e, h: -10 * (e * h).square().mean().log10()
        ),
        "divide by the number of hidden values, not of pixels": lambda e, h: psnr(e, h) - 10 * math.log10(3),
        "this is the sum of the squared errors: divide it by their number": (
            lambda e, h: -10 * e[h].square().sum().log10()
        ),
        "that is the mean of the dB of the images: take one mean over all hidden values, then the dB": (
            lambda e, h: -10 * mse_of_each(e, h).log10().mean()
        ),
        "the mean of each image, then the mean of these: an image with few hidden values counts too much": (
            lambda e, h: -10 * mse_of_each(e, h).mean().log10()
        ),
        "that is one PSNR per image: the batch has one": lambda e, h: -10 * mse_of_each(e, h).log10().float(),
        "that is the natural logarithm: dB use base 10": lambda e, h: -10 * math.log(mse(e, h)),
        "that is the logarithm to base 2: dB use base 10": lambda e, h: -10 * math.log2(mse(e, h)),
        "the factor is 10 for squared errors; 20 belongs to their root": lambda e, h: 2 * psnr(e, h),
        "the root was taken, so the factor 10 gives half of the dB": lambda e, h: psnr(e, h) / 2,
        "the factor 10 is missing: a bel is ten decibels": lambda e, h: psnr(e, h) / 10,
        "that is the squared error: turn it into dB": mse,
        "that is the mean absolute error: square the errors": lambda e, h: -10 * e[h].abs().mean().log10(),
        "that is the mean absolute error, with the factor of a root: square the errors": (
            lambda e, h: -20 * e[h].abs().mean().log10()
        ),
        "square each error first, then take the mean": lambda e, h: -20 * e[h].mean().abs().log10(),
        "the values lie between 0 and 1, so the peak is 1, not 255": lambda e, h: (
            psnr(e, h) + 20 * math.log10(255)
        ),
        "the mask of red was used for all channels: each value has its own": (
            lambda e, h: psnr(e, h[:, :1].expand_as(h))
        ),
        "a pixel was counted if one of its channels is hidden: each value has its own mask": (
            lambda e, h: psnr(e, h.any(1, keepdim=True).expand_as(h))
        ),
        "dB may be negative: the error may be larger than 1": lambda e, h: max(0.0, psnr(e, h)),
        "a hidden value without an error counts too: divide by the number of hidden values": (
            lambda e, h: psnr(e, h & (e != 0))
        ),
        "the result is rounded down: keep its digits": lambda e, h: int(psnr(e, h)),
        "the result is rounded: keep its digits": lambda e, h: round(psnr(e, h)),
        "the result is rounded to 1 digit: keep its digits": lambda e, h: round(psnr(e, h), 1),
        "the result is rounded to 2 digits: keep its digits": lambda e, h: round(psnr(e, h), 2),
        "that is the mean of the dB of the channels: take one mean over all, then the dB": lambda e, h: (
            -10 * ((e.square() * h).sum((0, 2, 3)) / h.sum((0, 2, 3))).log10().mean()
        ),
        "that is the mean of the dB of single values: take one mean over all, then the dB": lambda e, h: (
            -10 * e[h].square().log10().mean()
        ),
    }
    for digits in range(5, 11):
        mistakes[f"1e-{digits} was added to the error: a perfect fill gets infinity"] = (
            lambda e, h, digits=digits: -10 * math.log10(mse(e, h) + 10**-digits)
        )
    expected = {text: scores(measure) for text, measure in mistakes.items()} | {
        "the filled values are cut off at 0 and 1: score them as they are": {
            name: psnr((filled.clamp(0, 1) - images).double(), hidden)
            for name, (images, filled, hidden) in cases.items()
        },
        "the peak is 1, not the largest value of the images": {
            name: score + 20 * math.log10(cases[name][0].max()) for name, score in scores(psnr).items()
        },
        BLACK: {
            name: psnr((filled - images).double(), hidden & (filled != 0))
            for name, (images, filled, hidden) in cases.items()
        },
    }
    results = {name: answer(*case) for name, case in cases.items()}
    problem = compare(results, scores(psnr), expected, tolerance=1e-5)  # a rounded one would pass in more digits
    yield "is the PSNR of the hidden values", problem
    if problem:
        return

    images, filled, hidden = cases["a batch"]
    want = psnr((filled - images).double(), hidden)
    for wild in (math.nan, math.inf, -math.inf):
        got = answer(images, filled.masked_fill(~hidden, wild), hidden)
        counts = f"with {wild} at visible places it gives {got}: 0 times it is not 0, so choose the hidden values"
        told = first((not math.isfinite(got), counts))
        yield "does not look at visible places", told or compare(got, want)
    one = hidden & (hidden.flatten().cumsum(0).view_as(hidden) == 1)
    want = psnr((filled - images).double(), one)
    yield "works where a single value is hidden", compare(answer(images, filled, one), want)
    perfect = torch.where(hidden, images, 1 - images)
    limits = {f"no error is below 1e-{d}: is it added, or a limit? Let it be 0": 10.0 * d for d in range(5, 17)}
    yield "gives infinity for a perfect fill", compare(answer(images, perfect, hidden), math.inf, limits)


BLACK = "values that are filled with black are left out: `hidden` alone says what counts"


def levels(errors: Tensor, hidden: Tensor) -> Tensor:
    """The mean absolute error of the hidden values of each image, in levels of 1/255."""
    return 255 * (errors.abs() * hidden).sum((1, 2, 3)) / hidden.sum((1, 2, 3))


@check(
    "One number for each image: which axes go, and which one stays? The hidden values of an image are not as many "
    "as those of the next.",
    "`(filled - images).abs().masked_fill(~hidden, 0)` is 0 at visible places, even where they hold NaN. Sum it "
    "over all axes but the first, divide by the number of hidden values of each image, at least 1, and count in "
    "levels.",
    batched=(0, 1, 2),
)
def levels_off(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`levels_off(images, filled, hidden)` is the mean error of each image in levels of 1/255."""
    cases = [*fills(rng).values()]
    mistakes = {
        "all values count here, visible ones too": lambda e, h: 255 * e.abs().mean((1, 2, 3)),
        "the visible values count here, not the hidden ones": lambda e, h: levels(e, ~h),
        "divide by the number of hidden values of the image, not of all its values": (
            lambda e, h: 255 * (e.abs() * h).mean((1, 2, 3))
        ),
        "divide by the number of hidden values, not of pixels with one": (
            lambda e, h: 255 * (e.abs() * h).sum((1, 2, 3)) / h.any(1).sum((1, 2))
        ),
        "all images share one count of hidden values: each has its own": (
            lambda e, h: 255 * (e.abs() * h).sum((1, 2, 3)) * len(h) / h.sum()
        ),
        "divide by the number of hidden values of the image, not of the whole batch": (
            lambda e, h: 255 * (e.abs() * h).sum((1, 2, 3)) / h.sum()
        ),
        "this is the sum of the errors: divide it by their number": lambda e, h: (
            255 * (e.abs() * h).sum((1, 2, 3))
        ),
        "that is one number for the batch: each image has its own": lambda e, h: 255 * e[h].abs().mean(),
        "all images have the number of the whole batch: each has its own": (
            lambda e, h: (255 * e[h].abs().mean()).expand(len(e))
        ),
        "`squeeze` drops the axis of a batch of one": lambda e, h: levels(e, h).squeeze(),
        "that is one number for each channel: each image has one": (
            lambda e, h: 255 * (e.abs() * h).sum((2, 3)) / h.sum((2, 3))
        ),
        "the mean of the means of channels: one with few hidden values counts too much": (
            lambda e, h: 255 * ((e.abs() * h).sum((2, 3)) / h.sum((2, 3))).mean(1)
        ),
        "a hidden value without an error counts too: divide by the number of hidden values": (
            lambda e, h: levels(e, h & (e != 0))
        ),
        "1 is added to the number of hidden values: divide by the number, but at least by 1": (
            lambda e, h: 255 * (e.abs() * h).sum((1, 2, 3)) / (1 + h.sum((1, 2, 3)))
        ),
        "too dark and too light cancel: take the size of each error first": (
            lambda e, h: 255 * (e * h).sum((1, 2, 3)) / h.sum((1, 2, 3))
        ),
        "too dark and too light cancel: take the size of each error first, not of their mean": (
            lambda e, h: (255 * (e * h).sum((1, 2, 3)) / h.sum((1, 2, 3))).abs()
        ),
        "these are squared errors: here their size counts": lambda e, h: 255 * mse_of_each(e, h),
        "these are squared levels: here the size of the errors counts": lambda e, h: 255**2 * mse_of_each(e, h),
        "that is the largest error of each image: take the mean": lambda e, h: 255 * (e.abs() * h).amax((1, 2, 3)),
        "an error may be larger than 1: do not cut it off": lambda e, h: levels(e.abs().clamp(max=1), h),
        "that is in percent: count in levels of 1/255": lambda e, h: levels(e, h) / 2.55,
        "this is the root of the mean square: here the size of the errors is averaged": (
            lambda e, h: 255 * mse_of_each(e, h).sqrt()
        ),
        "this is the root of the mean square, not in levels": lambda e, h: mse_of_each(e, h).sqrt(),
        "the errors are on the scale from 0 to 1: a level is 1/255 of it": lambda e, h: levels(e, h) / 255,
        "from 0 to 1 there are 255 steps between 256 levels: the factor is 255": (
            lambda e, h: levels(e, h) * 256 / 255
        ),
        "a level is 1/255: multiply by 255, do not divide": lambda e, h: levels(e, h) / 255**2,
        "that is the PSNR of each image: levels are asked for": lambda e, h: -10 * mse_of_each(e, h).log10(),
        "the result is rounded: keep its digits": lambda e, h: levels(e, h).round(),
        "the result is rounded to 1 digit: keep its digits": lambda e, h: levels(e, h).round(decimals=1),
        "the result is rounded to 2 digits: keep its digits": lambda e, h: levels(e, h).round(decimals=2),
        "the three channels count already: divide by the number of hidden values alone": (
            lambda e, h: 3 * levels(e, h)
        ),
        "each error became a whole level first, which loses the rest": (
            lambda e, h: levels((255 * e).round() / 255, h)
        ),
        "the digits behind the point are cut off: keep them": lambda e, h: levels((255 * e).trunc() / 255, h),
        "a pixel was counted if one of its channels is hidden: each value has its own mask": (
            lambda e, h: levels(e, h.any(1, keepdim=True).expand_as(h))
        ),
        "the mask of red was used for all channels: each value has its own": (
            lambda e, h: levels(e, h[:, :1].expand_as(h))
        ),
    }

    def measured(measure):
        return lambda images, filled, hidden: measure((filled - images).double(), hidden).float()

    named = {text: measured(measure) for text, measure in mistakes.items()} | {
        "the filled values are cut off at 0 and 1: score them as they are": (
            lambda images, filled, hidden: levels((filled.clamp(0, 1) - images).double(), hidden).float()
        ),
        BLACK: lambda images, filled, hidden: levels((filled - images).double(), hidden & (filled != 0)).float(),
        "each value became a whole level first, which loses the rest": (
            lambda images, filled, hidden: levels(((255 * filled).round() - (255 * images).round()) / 255, hidden)
        ),
    }
    problem = explain(answer, measured(levels), cases, named)
    yield "is the mean error of the hidden values of each image, in levels", problem
    if problem:
        return

    images, filled, hidden = cases[0]
    want = levels(filled - images, hidden)
    lost = {"NaN was replaced after the sum: the score of the whole image is lost": 0 * want}
    for wild in (math.nan, math.inf, -math.inf):
        got = answer(images, filled.masked_fill(~hidden, wild), hidden)
        counts = f"with {wild} at visible places it is not finite: 0 times it is not 0, so fill or choose"
        told = first((not got.isfinite().all(), counts))
        yield "does not look at visible places", told or compare(got, want, lost)
    one = hidden & (hidden.flatten(1).cumsum(1).view_as(hidden) == 1)
    want = levels(filled - images, one)
    yield "works where a single value is hidden", compare(answer(images, filled, one), want)
    one[1] = False
    got, want = answer(images, filled, one), want * torch.tensor([1, 0, 1])
    nan = "NaN: a mean of nothing is 0 / 0, so divide by at least 1. Or is a `torch.empty` not filled?"
    yield "gives 0 to an image with nothing hidden", first((bool(got.isnan().any()), nan)) or compare(got, want)


SUPPORTED = {
    "B": "0.012 is a mean over all values, 60 % of which are hidden: 0.012 / 0.6 = 0.02",
    "D": "8 dB between them are a factor of 10 to the power of 0.8, which is 6.3",
    "F": "half of the values add 0 to the mean, so the mean over the others is twice as large",
    "H": "the last column has one mask, one set of photographs and one measure for all",
    "I": "10 to the power of -1.6 is 0.025, and its root is 0.16",
}
UNSUPPORTED = {
    "A": "one that compares losses of different masks",
    "C": "one that compares means over all values, though the hidden shares differ",
    "E": "one that says the opposite of the row of a method that learns nothing",
    "G": "one that says something of new photographs, where only training pictures were looked at",
    "J": "one that takes a harder question for a worse network",
}


@check(
    "Ask of each claim: over which values is the number a mean? Compared with what? On which pictures? How hard "
    "was the question?",
    "Five claims are not supported. One compares the losses of two masks; one compares means over all values; one "
    "denies the row that learns nothing; one changes the pictures; one blames the network for the question.",
)
def unsupported_claims(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`unsupported_claims()` is the set of the letters of the claims that the table does not support."""
    got = answer()
    problem = None if isinstance(got, Set) else f'expected a set such as {{"A", "B"}}, got {describe(got)}'
    if not problem and not got <= {*SUPPORTED, *UNSUPPORTED}:
        problem = f"the letters go from A to J, as capital strings; {describe(got)} holds something else"
    yield "returns a set of letters", problem
    if problem:
        return
    accused = [letter for letter in SUPPORTED if letter in got]
    yield (
        "leaves out what the table supports",
        f"{accused[0]} is supported: {SUPPORTED[accused[0]]}" if accused else None,
    )
    missed = [kind for letter, kind in UNSUPPORTED.items() if letter not in got]
    yield "finds every claim without support", f"a claim is missing, {missed[0]}" if missed else None


GUESSES: dict[str, Guess] = {
    "article runs": Guess(
        "no", "`num_epochs` and `train_loader` are used, and defined nowhere: a NameError.", choices=("yes", "no")
    ),
    "patches under the mask": Guess(40, "10 of 16 cells are hidden, and each has 2 × 2 patches."),
    "error of 0.005": Guess(0.01, "half of the values add 0, so all of the sum belongs to the other half."),
    "dB of 0.01": Guess(20, "a tenth of the error is 10 dB more, and 0.1 has 10 dB."),
    "network or nearest": Guess(
        "a copy of the nearest visible value",
        "the question is so easy that a copy answers it well, and the network has not learned to copy.",
        choices=("the network", "a copy of the nearest visible value"),
    ),
    "which half": Guess(
        "the upper half",
        "1 is visible in the article's code, and rows from 16 on are the lower half.",
        choices=("the upper half", "the lower half"),
    ),
    "loss under squares": Guess(
        "higher",
        "a square hides a whole region, which is harder to guess than one value among visible ones.",
        choices=("higher", "lower"),
    ),
}
