"""Checks of the exercises on the article's program (lesson 00)."""

import math
from collections.abc import Iterator, Set
from functools import cache

import torch
from torch import Generator, Tensor

from simmim_lab import masking
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
    yield "works for any size and any share", compare(answer(image, prediction, mask), want, tolerance=1e-6)


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
    }
    problem = explain(answer, lambda p, r: p / r, cases, mistakes, tolerance=1e-6)
    yield "is the mean over the hidden values", problem
    if problem:
        return

    yield "changes nothing where everything is hidden", compare(answer(0.25, 1.0), 0.25, tolerance=1e-6)
    none, small = answer(0.0, 0.5), answer(3e-7, 0.5)
    yield "is 0 where the printed loss is 0", compare(none, 0.0, tolerance=1e-6)
    text = "is it rounded? " * (small == round(6e-7, 6)) + f"expected 6e-07, got {small:.6g}"
    yield "keeps the digits of a small loss", first((not math.isclose(small, 6e-7, rel_tol=1e-5), text))


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
        "a constant was added to the error: a perfect fill gets infinity": (
            lambda e, h: -10 * math.log10(mse(e, h) + 1e-10)
        ),
        "the result is rounded: keep its digits": lambda e, h: round(psnr(e, h)),
        "the digits behind the point are cut off: keep them": lambda e, h: int(psnr(e, h)),
    }
    expected = {text: scores(measure) for text, measure in mistakes.items()} | {
        "the filled values are cut off at 0 and 1: score them as they are": {
            name: psnr((filled.clamp(0, 1) - images).double(), hidden)
            for name, (images, filled, hidden) in cases.items()
        },
        "the peak is 1, not the largest value of the images": {
            name: score + 20 * math.log10(cases[name][0].max()) for name, score in scores(psnr).items()
        },
    }
    problem = compare({name: answer(*case) for name, case in cases.items()}, scores(psnr), expected)
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
    yield "gives infinity for a perfect fill", compare(answer(images, perfect, hidden), math.inf)


SUSPECTS = "ABCDEFGHIJKL"
HARMLESS = {
    "A": "the program keeps to its own meaning of the mask throughout; the paper's is the opposite, no more",
    "B": "few values of a photograph are exactly 0, so it rarely matters; set 02 looks for the exceptions",
    "E": "the targets lie between 0 and 1 here, and a Sigmoid reaches all of them",
    "F": "0.001 is a fine learning rate to start with; the printed loss falls",
    "H": "the photograph is its own answer, so nobody needs a label",
}
REAL = {
    "G": "one that stops the program",
    "I": "one about how hard the question is in training",
    "J": "one about which values an average is taken over",
    "D": "one about what the network can see",
    "K": "one about the difference between training and use",
    "C": "one about what the saved picture shows",
    "L": "one about what the program is said to do",
}


@check(
    "Ask of each accusation: what goes wrong because of it, and where did the lesson show that? If the program "
    "runs, and does what the article says all the same, the accusation is harmless.",
    "Seven are real. One stops the program; two are about the training question and the average; two about the "
    "half picture: what the network has met, and what it can see; two about what comes out and what it is called.",
)
def real_bugs(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`real_bugs()` is the set of the letters of the real bugs."""
    got = answer()
    problem = None if isinstance(got, Set) else f'expected a set such as {{"A", "B"}}, got {describe(got)}'
    if not problem and not got <= set(SUSPECTS):
        problem = f"the letters go from A to L, as capital strings; {describe(got)} holds something else"
    yield "returns a set of letters", problem
    if problem:
        return
    accused = [letter for letter in HARMLESS if letter in got]
    yield (
        "accuses nothing harmless",
        f"{accused[0]} is harmless: {HARMLESS[accused[0]]}" if accused else None,
    )
    missed = [kind for letter, kind in REAL.items() if letter not in got]
    yield "finds every real bug", f"a real bug is missing, {missed[0]}" if missed else None


GUESSES: dict[str, Guess] = {}
