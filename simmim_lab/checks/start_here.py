"""Checks of the exercises on the article's program (lesson 00)."""

import math
from collections.abc import Iterator

import torch
from torch import Generator

from simmim_lab import evaluation, masking
from simmim_lab.checks.core import Answer, Verdict, check, compare, describe, first, form
from simmim_lab.images import load


@check(
    "For each pixel choose one of two values; nothing has to be computed. Then write down the shapes: which axis "
    "of the images does the mask lack, and where does it belong?",
    "`mask[:, None]` has the shape (batch, 1, height, width), so it holds for all three channels. "
    "`torch.where(condition, a, b)` takes `a` where the condition is True and `b` elsewhere.",
)
def compose(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`compose(image, prediction, mask)` fills what is hidden with the prediction."""
    # As many images as channels: a mask without its channel axis broadcasts, and only its values are wrong.
    photographs = load("photos", "test").pixels[[5, 1130, 1500], :, 4:28] / 255
    image, prediction = 0.5 + 0.5 * photographs, 0.5 * torch.rand(3, 3, 24, 32, generator=rng)  # light, dark
    mask = masking.to_pixels(masking.random_mask(3, (6, 8), 0.3, generator=rng), 4)
    hidden = mask[:, None]
    got = answer(image, prediction, mask)
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
        "the mask of image 0 was used for red, that of image 1 for green, that of image 2 for blue: "
        "the mask needs a channel axis of size 1": torch.where(mask, prediction, image),
        "only the first channel was filled": torch.cat(
            [torch.where(hidden, prediction, image)[:, :1], image[:, 1:]], dim=1
        ),
    }
    want = torch.where(hidden, prediction, image)
    problem = compare(got, want, mistakes, picture=True)
    yield "takes visible pixels from the image and hidden ones from the prediction", problem
    if problem:
        return

    changed = int((got != image)[(~hidden).expand_as(image)].sum())
    yield (
        "keeps visible pixels to the bit",
        first((changed > 0, f"{changed} visible values are close, but rounded: take them, do not compute them")),
    )


@check(
    "What does 1 say in the article's mask, and what does True say in ours? The shape stays as it is.",
    "Ask of each value whether it is hidden: a comparison with `==` or `<` gives a tensor of True and False. "
    "No loop, and no sum over the channels, is needed.",
)
def hidden_from_article(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`hidden_from_article(article_mask)` is True where the article's mask hides a value."""
    article_mask = torch.randint(0, 2, (2, 3, 5, 7), generator=rng).float()
    hidden = article_mask == 0
    mistakes = {
        "the two are swapped: the article's 1 is visible, our True is hidden": ~hidden,
        "the values are right, but they are numbers: a mask holds True and False": hidden.float(),
        "the values are right, but they are whole numbers: a mask holds True and False": hidden.long(),
        "the numbers are not swapped: 1 is visible, and our mask holds True and False": article_mask,
        "everything is True: on whole numbers ~ flips every bit, and ~1 is -2": torch.ones_like(hidden),
        "a pixel counts as hidden if one of its channels is: each value has its own answer": (
            hidden.any(1, keepdim=True).expand_as(hidden)
        ),
        "a pixel counts as hidden if all its channels are: each value has its own answer": (
            hidden.all(1, keepdim=True).expand_as(hidden)
        ),
        "the channel axis is gone (any): the article hides each channel on its own": hidden.any(1),
        "the channel axis is gone (all): the article hides each channel on its own": hidden.all(1),
        "only the first channel is left: the article hides each channel on its own": hidden[:, 0],
    }
    problem = compare(answer(article_mask), hidden, mistakes)
    yield "marks the hidden values", problem
    if problem:
        return

    everywhere = torch.ones(1, 3, 4, 6)
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
    values = 4 * 3 * 6 * 8
    count = int(torch.randint(values // 5, 2 * values // 5, (1,), generator=rng))
    hidden = torch.randperm(values, generator=rng) < count
    x = torch.rand(values, generator=rng, dtype=torch.double)
    y = x + 0.1 * torch.randn(values, generator=rng, dtype=torch.double)
    printed, ratio = ((y * hidden - x * hidden) ** 2).mean().item(), count / values
    want = ((y - x)[hidden] ** 2).mean().item()
    yield (
        f"is right for a batch of which {ratio:.0%} is hidden",
        compare(
            answer(printed, ratio),
            want,
            {
                "it became smaller, but the zeros of the visible values have already lowered it": printed * ratio,
                "`ratio` is the share of hidden values, not of visible ones": printed / (1 - ratio),
                "it became smaller by the hidden share: it must become larger": printed * (1 - ratio),
                "that is the loss as printed: it is a mean over all values": printed,
                "twice the loss is right at the article's ratio of 0.5 alone": 2 * printed,
                "`ratio` counts once: it is a share of values, not a length": printed / ratio**2,
                "the root is another measure: stay with the squared error": math.sqrt(want),
                "that is the factor alone: what does it do to the loss?": 1 / ratio,
            },
            tolerance=1e-6,
        ),
    )
    yield (
        "changes nothing where everything is hidden",
        compare(answer(0.25, 1.0), 0.25, tolerance=1e-6),
    )


@check(
    "Three steps: which values count, one mean over all of them, one logarithm at the end. In which of the steps "
    "does your answer look at single images?",
    "`(filled - images)[hidden]` is a flat list of the errors that count, of the whole batch. Take the mean of "
    "their squares. A tenth of it must give 10 dB more, and 1 gives 0 dB: that is -10 times its logarithm to base "
    "10. `torch.log10` turns 0 into minus infinity; `math.log10` stops.",
)
def hidden_psnr(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`hidden_psnr(images, filled, hidden)` is the PSNR of the hidden values of a batch in dB."""
    images = 0.2 + 0.6 * torch.rand(3, 3, 8, 10, generator=rng)
    share, size = torch.tensor([[0.8, 0.5, 0.3], [0.001, 0.02, 0.1]])[:, :, None, None, None]  # one per image
    hidden = torch.rand(images.shape, generator=rng) < share
    lighter = torch.rand(images.shape, generator=rng) < 0.9  # the error of most values
    filled = images + torch.where(lighter, size, -size)
    filled = filled * hidden  # black where the image is visible, as the article's program returns it
    errors = (filled - images).double()
    squares = errors**2
    mse = squares[hidden].mean().item()
    each = torch.stack([square[mask].mean() for square, mask in zip(squares, hidden, strict=True)])
    got = answer(images, filled, hidden)
    yield (
        "is the PSNR of the hidden values",
        compare(
            got,
            evaluation.psnr(images, filled, hidden),
            {
                "the minus is missing: a smaller error must give more dB": 10 * math.log10(mse),
                "all values count here, visible ones too": -10 * math.log10(squares.mean()),
                "the visible values count here, not the hidden ones": -10 * math.log10(squares[~hidden].mean()),
                "divide by the number of hidden values, not of all values": -10
                * math.log10((squares * hidden).mean()),
                "that is the mean of the dB of the images: take one mean over all hidden values, then the dB": (
                    -10 * each.log10()
                )
                .mean()
                .item(),
                "the mean of each image, then the mean of these: an image with few hidden values "
                "counts too much": -10 * math.log10(each.mean()),
                "that is one PSNR per image: the batch has one": -10 * each.log10().float(),
                "that is the natural logarithm: dB use base 10": -10 * math.log(mse),
                "that is the logarithm to base 2: dB use base 10": -10 * math.log2(mse),
                "the factor is 10 for squared errors; 20 belongs to their root": -20 * math.log10(mse),
                "the root was taken, so the factor 10 gives half of the dB": -5 * math.log10(mse),
                "the factor 10 is missing: a bel is ten decibels": -math.log10(mse),
                "that is the squared error: turn it into dB": mse,
                "that is the mean absolute error: square the errors": -10
                * math.log10(errors[hidden].abs().mean()),
                "square each error first, then take the mean": -20 * math.log10(abs(errors[hidden].mean())),
                "the values lie between 0 and 1, so the peak is 1, not 255": -10 * math.log10(mse / 255**2),
            },
        ),
    )
    edge = torch.full((1, 3, 2, 4), 0.5)
    yield "gives infinity for a perfect fill", compare(answer(edge, edge, edge > 0), math.inf)


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
    problem = None if isinstance(got, set) else f'expected a set such as {{"A", "B"}}, got {describe(got)}'
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
