"""Checks of the exercises on training (lesson 05)."""

from collections.abc import Iterator
from numbers import Integral

import torch
from torch import Generator, Tensor

from simmim_lab.checks.core import Answer, Verdict, check, compare, describe, first, form
from simmim_lab.training import Recipe


@check(
    "What is drawn at random: crops, or photographs? List the different photographs first. The numbers of the "
    "photographs are names, so their order and their gaps mean nothing.",
    "`sorted(set(photographs))` lists the photographs. `torch.randperm(..., generator=generator)` puts the places "
    "of this list in a random order; the first `count` of them are for validation. Then go through the crops with "
    "`enumerate`, and ask of each whether its photograph is among these.",
)
def split_photographs(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`split_photographs(photographs, count, generator)` keeps all crops of a photograph on one side."""
    names = 1000 + torch.randperm(9000, generator=rng)[:40]
    sizes = torch.randint(2, 6, (40,), generator=rng)
    sizes[20] = 60  # a draw of crops meets this photograph nearly every time
    crops = names.repeat_interleave(sizes)
    photographs = crops[torch.randperm(len(crops), generator=rng)].tolist()
    seed = int(torch.randint(10_000, (1,), generator=rng))

    def sides(seed):
        got = answer(photographs, 10, Generator().manual_seed(seed))
        got = got if isinstance(got, list | tuple) else [got]
        return [side.tolist() if isinstance(side, Tensor) and side.device.type == "cpu" else side for side in got]

    got = sides(seed)
    problem = _not_places(got, len(photographs))
    yield "returns two lists of places", problem
    if problem:
        return

    training, validation = ({photographs[place] for place in side} for side in got)
    both, often = training & validation, len(got[0]) + len(got[1]) - len({*got[0], *got[1]})
    missing = set(range(len(photographs))) - {*got[0], *got[1]}
    yield (
        "keeps all crops of a photograph on one side",
        first(
            (bool(set(got[0]) & set(got[1])), "some crops lie on both sides: take those of validation out"),
            (bool(both), f"{len(both)} photographs have crops on both sides: deal out photographs, not crops"),
        ),
    )
    nothing = (
        "nothing is in validation: photographs need not be called 0, 1, 2, ..., and no number is found in a set "
        "of tensors"
    )
    yield (
        "uses every crop once",
        first(
            (not got[1], nothing),
            (bool(missing), f"{len(missing)} of {len(photographs)} crops lie on neither side"),
            (often > 0, f"{often} places come twice"),
        ),
    )
    if both or not got[1]:
        return
    problem = first(
        ((len(training), len(validation)) == (10, 30), "the two sides are swapped: training comes first"),
        (len(validation) < 10, f"expected 10 photographs, got {len(validation)}: is one drawn twice?"),
        (len(validation) > 10, f"expected 10 photographs, got {len(validation)}"),
    )
    yield "gives `count` photographs to validation", problem
    again, other = sides(seed), sides(seed + 1)
    yield (
        "draws from `generator` alone",
        first(
            (again != got, "two generators of one seed gave two splits: pass `generator` on"),
            (other == got, "generators of two seeds gave one split: is it drawn at random, from `generator`?"),
        ),
    )
    if not problem:
        turns = [{photographs[place] for place in sides(seed + k)[1]} for k in range(80)]
        never = len(set(photographs).difference(*turns))
        large = sum(names[20].item() in turn for turn in turns)  # 20 of 80 are expected
        why = "draw among photographs, in which each stands once"
        yield (
            "gives all photographs the same chance",
            first(
                (never > 0, f"in 80 splits {never} of 40 photographs were never in validation"),
                (large > 50, f"the one with most crops was in validation in {large} of 80 splits: {why}"),
            ),
        )


def _not_places(sides: list, count: int) -> str | None:
    """What is wrong if these are not two lists of places, from 0 to count - 1."""
    if len(sides) != 2 or not all(isinstance(side, list) for side in sides):
        return (
            f"expected two lists, (training, validation), got {describe(sides[0] if len(sides) == 1 else sides)}"
        )
    places = [place for side in sides for place in side]
    odd = [place for place in places if isinstance(place, bool) or not isinstance(place, Integral)]
    if odd:
        return f"expected places, whole numbers such as 0, 3 and 4, got {describe(odd[0])}"
    return first(
        (any(place >= 1000 for place in places), "these are photographs: return the places of crops in the list"),
        (count in places, f"the places of {count} crops go from 0 to {count - 1}, not from 1"),
        (any(not 0 <= place < count for place in places), f"places go from 0 to {count - 1}"),
    )


@check(
    "Draw the curve on paper first, with `done` from left to right. Where does the warm-up end, and how high is "
    "the curve there? How high is it at the end? The cosine must begin where the warm-up ends.",
    "Two cases. Before `warmup` the rate is a share of `lr`: how much of the warm-up is over? After it compute "
    "the share of the *rest* that is over, from 0 to 1. Half a turn, from 0 to pi, makes the cosine fall from 1 "
    "to -1. Move and shrink it so that it falls from 1 to 0, then so that it falls from `lr` to `min_lr`.",
)
def lr_at(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`lr_at(done, lr, min_lr, warmup)` is the learning rate: a linear warm-up, then half a cosine."""
    low, high, w = (torch.rand(3, generator=rng) * torch.tensor([0.1, 0.4, 0.2])).tolist()
    low, high, w = round(0.1 + low, 3), round(0.4 + high, 3), round(0.1 + w, 3)

    def calls(done, rates, w=w):
        """The rates by the call that should give them, as a learner can repeat it."""
        texts = [f"lr_at({d:.4g}, {high}, {low}, {w})" for d in done.tolist()]
        return dict(zip(texts, rates, strict=True))

    def wanted(done, w=w):
        return calls(done, [Recipe(steps=1, lr=high, min_lr=low, warmup=w).lr_at(d) for d in done.tolist()], w)

    def given(done, w=w):
        return calls(done, [answer(d, high, low, w) for d in done.tolist()], w)

    pi, between = torch.pi, high - low
    done = w * torch.tensor([0.25, 0.75], dtype=torch.double)
    mistakes = {
        "the rate is constant: there is no warm-up": [high, high],
        "the cosine alone: there is no warm-up": (low + between * (1 + (pi * done).cos()) / 2).tolist(),
        "a cosine that begins at once, and a straight line too: in the warm-up there is the line alone": (
            (low + between * (1 + (pi * done).cos()) / 2) * done / w
        ).tolist(),
        "it rises too slowly: it must reach `lr` when the share `warmup` of the run is over": (
            high * done
        ).tolist(),
        "the warm-up starts at 0, not at `min_lr`": (low + between * done / w).tolist(),
        "the warm-up is a straight line, not a curve": (high * (1 - (pi * done / w).cos()) / 2).tolist(),
        "that is the share of the warm-up that is over: how high is the rate then?": (done / w).tolist(),
    }
    mistakes = {text: calls(done, rates) for text, rates in mistakes.items()}
    yield "rises in a straight line from 0", compare(given(done), wanted(done), mistakes, tolerance=1e-6)

    p = torch.tensor([0.2, 0.6, 0.95], dtype=torch.double)  # shares of the rest
    done = w + p * (1 - w)
    wave = (pi * p).cos()
    mistakes = {
        "the cosine starts at 0: it must start where the warm-up ends": low
        + between * (1 + (pi * done).cos()) / 2,
        "the cosine is not done at the end: stretch it over the rest, which is `1 - warmup` long": (
            low + between * (1 + (pi * (done - w)).cos()) / 2
        ),
        "a quarter of a turn falls from 1 to 0: the cosine of this schedule makes half a turn": (
            low + between * (pi * p / 2).cos()
        ),
        "a whole turn comes up again: the cosine of this schedule makes half a turn": (
            low + between * (1 + (2 * pi * p).cos()) / 2
        ),
        "it falls in a straight line": high - between * p,
        "it falls in a straight line, and to 0": high * (1 - p),
        "it falls exponentially": high * (low / high) ** p,
        "it stays at `lr` after the warm-up": torch.full_like(p, high),
        "the warm-up goes on: after it, the cosine begins": high * done / w,
        "this takes degrees: `cos` takes radians, and half a turn is pi": (
            low + between * (1 + (180 * p).cos()) / 2
        ),
        "pi is missing: half a turn is pi": low + between * (1 + p.cos()) / 2,
        "it falls to 0: it must end at `min_lr`": high * (1 + wave) / 2,
        "it falls to 0 and is cut off at `min_lr`: shrink the cosine so that it ends there": (
            (high * (1 + wave) / 2).clamp(min=low)
        ),
        "`min_lr` is added on top: the whole must begin at `lr`": low + high * (1 + wave) / 2,
        "it starts too high: 1 + cosine goes from 2 to 0, so halve it": low + between * (1 + wave),
        "it falls too low: the cosine goes from 1 to -1, so move it up and halve it": low + between * wave,
        "it rises: at the end of the warm-up the rate is highest": low + between * (1 - wave) / 2,
    }
    mistakes = {text: calls(done, rates.tolist()) for text, rates in mistakes.items()}
    yield "falls along a cosine after it", compare(given(done), wanted(done), mistakes, tolerance=1e-6)
    ends = torch.tensor([w, 1.0], dtype=torch.double)
    verdict = compare(given(ends), calls(ends, [high, low]), tolerance=1e-6)
    yield "is `lr` after the warm-up and `min_lr` at the end", verdict
    ends = torch.tensor([0.0, 0.3, 1.0])
    yield "works without a warm-up", compare(given(ends, 0.0), wanted(ends, 0.0), tolerance=1e-6)


SPARED = ("positions", "table", "_token")


@check(
    "Two questions for each parameter: how many numbers does its shape have? How does its name end? The word "
    "`weight` in a name helps with neither: norms have it as well.",
    "A name is in the set if its shape has two or more numbers **and** the name does not end in one of the three "
    'words. `name.endswith(("a", "b"))` takes a tuple of endings.',
)
def decaying(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`decaying(shapes)` is the set of the names of the parameters that decay."""
    dim, blocks = (int(torch.randint(2, 6, (1,), generator=rng)) for _ in range(2))
    dim = 16 * dim
    shapes = {
        "encoder.mask_token": (1, 1, dim),
        "encoder.cls_token": (1, 1, dim),
        "encoder.positions": (8, 8, dim),
        "encoder.relative.table": (225, 2),
        "encoder.relative_bias_table": (225, 4),
        "encoder.table_mixer": (dim, 64),
        "encoder.mixers.token": (64, 64),
        "decoder.project.down": (dim, 8),
        "encoder.patch_embed.weight": (dim, 3, 4, 4),
        "encoder.patch_embed.bias": (dim,),
        "encoder.token_mixer.weight": (64, 64),
        "encoder.positions.project.weight": (dim, 2),
        "encoder.bias_of_distance.weight": (2, dim),
        "logit_scale": (),
        "decoder.linear.weight": (48, dim, 1, 1),
        "decoder.linear.bias": (48,),
    }
    for k in range(blocks):
        shapes |= {f"encoder.blocks.{k}.norm.{word}": (dim,) for word in ("weight", "bias")}
        shapes |= {f"encoder.blocks.{k}.gamma": (dim,), f"encoder.blocks.{k}.qkv.weight": (3 * dim, dim)}
    got = answer(shapes)
    problem = None if isinstance(got, set) else f"expected a set of names, got {describe(got)}"
    if not problem and not got <= set(shapes):
        problem = f"the set holds something that is no name: {describe(next(iter(got - set(shapes))))}"
    yield "returns a set of the given names", problem
    if problem:
        return

    matrices = {name for name, shape in shapes.items() if len(shape) >= 2}
    levels = {name for name in matrices if name.endswith(SPARED)}
    tricky = {name for name in matrices - levels if any(word in name for word in (*SPARED, "token", "bias"))}
    convolutions = {name for name, shape in shapes.items() if len(shape) == 4}
    vectors = set(shapes) - matrices
    want = matrices - levels

    def wrong(names: set[str], why: str) -> Verdict:
        """Name one of these, with its shape, and say why it is on the wrong side."""
        name = min(names, default="")
        return f"`{name}` of shape {shapes[name]}{why}" if names else None

    problem = first(
        (got == set(shapes), "everything decays: who is spared?"),
        (got == set(shapes) - want, "the two groups are swapped: return what decays"),
        (not got, "nothing decays: what of the matrices?"),
        (
            convolutions <= got and all(len(shapes[name]) > 2 for name in got),
            "only shapes with more than two numbers decay: two are enough",
        ),
    )
    plain = want - convolutions - tricky
    why = " should decay: it is a matrix, and its name does not *end* in positions, table or _token"
    yield "lets matrices decay", problem or wrong(plain - got, why)
    if problem:
        return
    convolution = " should decay: the kernel of a convolution has more than two dimensions"
    yield "lets convolutions decay, too", wrong(convolutions - got, convolution)
    vector = " should be spared: it has fewer than two dimensions, whatever its name says"
    yield "spares biases, norms and factors", wrong(got & vectors, vector)
    level = " should be spared, though it has two or more dimensions: see the end of its name"
    yield "spares tokens, positions and tables", wrong(got & levels, level)
    yield "goes by the end of a name, not by a word inside", wrong(tricky - got, why)


@check(
    "All tensors together are one long vector, and *its* length decides. How many factors are there then? What "
    "happens to a vector that is short enough?",
    "Add up the squares of all numbers of all tensors, and take the root once. If the result is above `max_norm`, "
    "multiply every tensor by the same factor, which makes the length `max_norm`; else leave them as they are.",
)
def clip_gradients(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`clip_gradients(gradients, max_norm)` shortens the gradient to the length max_norm if it is longer."""
    rows = int(torch.randint(2, 5, (1,), generator=rng))
    limit = 2 + torch.rand((), generator=rng).item()
    sizes = [0.5 + torch.rand(shape, generator=rng) for shape in ((rows, 3), (4,), (1, 2, 2), ())]
    gradients = [size * torch.randn(size.shape, generator=rng).sign() for size in sizes]
    gradients[0] /= 10  # the first tensor is not the longest
    largest = max(g.abs().max() for g in gradients)
    gradients = [2 * limit / largest * g for g in gradients]  # some single values lie above the limit
    flat = torch.cat([g.flatten() for g in gradients])
    norms = torch.stack([g.norm() for g in gradients])

    def times(factor):
        return [factor * g for g in gradients]

    want = times(limit / flat.norm())
    mistakes = {
        "each tensor is shortened on its own: the direction changes; use one norm for all": [
            g * min(1.0, limit / norm.item()) for g, norm in zip(gradients, norms, strict=True)
        ],
        "each tensor gets the length `max_norm`: use one norm for all": [
            g * limit / norm for g, norm in zip(gradients, norms, strict=True)
        ],
        "single values are cut off: the direction changes; multiply all by one factor": [
            g.clamp(-limit, limit) for g in gradients
        ],
        "the root is missing: the norm is the root of the sum of squares": times(limit / flat.norm() ** 2),
        "the root of the factor was taken: it belongs to the sum of squares": times((limit / flat.norm()) ** 0.5),
        "the norms of the tensors are added: add their squares, then take the root": times(limit / norms.sum()),
        "the absolute values are added: the norm is the root of the sum of squares": times(
            limit / flat.abs().sum()
        ),
        "the longest tensor decides alone: all belong to one vector": times(limit / norms.max()),
        "the largest value decides alone: all belong to one vector": times(limit / flat.abs().max()),
        "the mean of the squares was taken: the norm adds them": times(limit / flat.square().mean().sqrt()),
        "the length is 1 now: it should be `max_norm`": times(1 / flat.norm()),
        "the factor is upside down: the gradient became longer": times(flat.norm() / limit),
        "only the first tensor decides: all belong to one vector": times(limit / norms[0]),
        "they came back as they were, though their norm is too large": gradients,
        "all tensors came back in one: return a list of the shapes that came": limit / flat.norm() * flat,
    }
    yield "shortens a long gradient to `max_norm`", compare(answer(gradients, limit), want, mistakes)
    short = [0.05 * g for g in gradients]
    mistakes = {"it became longer: a short gradient stays as it is": want}
    yield "leaves a short gradient as it is", compare(answer(short, limit), short, mistakes)
    zeros = times(0.0)
    yield "leaves zeros as they are", compare(answer(zeros, limit), zeros)


@check(
    "Write down the shapes: inputs (n, d), weight (d, d), prediction (n, d), errors (n, d). Which errors count? "
    "The gradient has the shape of the weight: which product of inputs and errors has it?",
    "`weight[i, j]` carries input i to prediction j. So its derivative adds up, over the pictures, input i times "
    "the error of value j where this is hidden: a product of matrices, one of them transposed. What factor comes "
    "from the square, and what from the mean? Then walk *against* the gradient.",
)
def sgd_step(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`sgd_step(weight, values, hidden, lr)` is the loss and the weight after one step of gradient descent."""
    weight, values = torch.randn(4, 4, generator=rng), torch.randn(6, 4, generator=rng)
    counts = torch.tensor([1, 1, 2, 3, 3, 3])[:, None]  # 13 of 24 are hidden
    hidden = torch.rand(6, 4, generator=rng).argsort(1).argsort(1) < counts
    lr = 0.3 + 0.4 * torch.rand((), generator=rng).item()
    inputs = values.masked_fill(hidden, 0)

    def loss_and_gradient(inputs, counted=hidden, weight=weight):
        errors = (inputs @ weight - values) * counted
        return errors.square().sum() / counted.sum(), 2 / counted.sum() * inputs.T @ errors

    got = answer(weight, values, hidden, lr)
    problem = None
    if not isinstance(got, list | tuple) or len(got) != 2:
        problem = f"expected two things, (loss, new weight), got {describe(got)}"
    elif isinstance(got[0], Tensor) and got[0].shape == weight.shape:
        problem = "the loss comes first, then the new weight"
    problem = problem or form(got[1], weight.shape, weight.dtype)
    yield "returns a loss and a new weight", problem
    if problem:
        return

    loss, gradient = loss_and_gradient(inputs)
    errors = inputs @ weight - values
    mixed_up = {
        "the errors of visible values are added, too: they must not count": (
            errors.square().sum() / 13,
            2 / 13 * inputs.T @ errors,
        ),
        "the hidden values are among the inputs: the answer is given away": loss_and_gradient(values),
        "all errors count: those of visible values must not": loss_and_gradient(inputs, hidden | True),
        "the errors of visible values count, those of hidden ones should": loss_and_gradient(inputs, ~hidden),
        "hidden and visible are swapped, everywhere": loss_and_gradient(values * hidden, ~hidden),
        "hidden and visible are swapped in the inputs": loss_and_gradient(values * hidden),
    }
    mistakes = {text: pair[0] for text, pair in mixed_up.items()} | {
        "that is a sum: divide by the number of hidden values": loss * 13,
        "that is divided by all values: divide by the number of hidden ones": loss * 13 / 24,
        "that is divided by the number of pictures: divide by the number of hidden values": loss * 13 / 6,
        "that is the mean of the absolute errors: square them": (errors * hidden).abs().sum() / 13,
        "a mean for each picture, then their mean: take one mean over all hidden values": (
            ((errors * hidden).square().sum(1) / counts[:, 0]).mean()
        ),
        "the weight is transposed: prediction = inputs @ weight": loss_and_gradient(inputs, weight=weight.T)[0],
        "that is half of the mean": loss / 2,
        "that is the root of the loss": loss.sqrt(),
        "that is the loss after the step": loss_and_gradient(inputs, weight=weight - lr * gradient)[0],
    }
    yield "gives the loss before the step", compare(got[0], loss, mistakes)

    steps = {text: pair[1] for text, pair in mixed_up.items()} | {
        "the sign is wrong: this step climbs the loss": -gradient,
        "the 2 of the square is missing": gradient / 2,
        "the mean is missing: divide by the number of hidden values": gradient * 13,
        "the mean and the 2 of the square are missing": gradient * 13 / 2,
        "it is divided by the number of all values, not of the hidden ones": gradient * 13 / 24,
        "it is divided by the number of pictures, not of hidden values": gradient * 13 / 6,
        "the hidden values are among the inputs of the gradient: they enter as 0": (
            2 / 13 * values.T @ (errors * hidden)
        ),
        "the gradient is transposed: which index belongs to the input?": gradient.T,
        "the size of the errors is missing: a larger one pulls harder": (
            2 / 13 * inputs.T @ (errors.sign() * hidden)
        ),
        "the prediction stands where the error should: subtract the truth": (
            2 / 13 * inputs.T @ ((errors + values) * hidden)
        ),
        "`lr` is missing": gradient / lr,
        "it is divided by `lr`": gradient / lr**2,
        "the weight did not move": 0 * gradient,
    }
    mistakes = {text: weight - lr * step for text, step in steps.items()} | {
        "that is the gradient: take a step with it": gradient,
        "the step stands in the place of the weight": -lr * gradient,
        "that is `lr` times the gradient: subtract it from the weight": lr * gradient,
    }
    yield "moves the weight against the gradient", compare(got[1], weight - lr * gradient, mistakes)


@check(
    "Where does `torch.randint` take its numbers from, if nobody says it? Give it a generator that is made anew "
    "at each call. What must the seed of this generator depend on?",
    "`torch.Generator().manual_seed(number)` makes a generator, and `generator=` passes it on. The number must "
    "differ for every pair of `seed` and `step`. So a sum will not do: 3 + 5 is 4 + 4. Think of how a day becomes "
    "a number such as 20261124.",
)
def mask_of_step(answer: Answer, rng: Generator) -> Iterator[tuple[str, Verdict]]:
    """`mask_of_step(shape, seed, step)` is the article's mask, drawn anew for each pair of seed and step."""
    shape = (8, 3, 15, int(torch.randint(16, 20, (1,), generator=rng)))
    seed, step = (int(torch.randint(*span, (1,), generator=rng)) for span in ((1, 9), (50, 100)))
    mask = answer(shape, seed, step)
    problem = form(mask, shape, torch.float32)
    problem = problem or first(
        (bool(((mask != 0) & (mask != 1)).any()), "expected only 0 and 1, got other numbers: toss coins"),
        (
            bool((mask == mask[:1, :1, :1, :1]).all()),
            "all values are the same: `randint` never draws its upper end",
        ),
    )
    yield "returns numbers 0 and 1 of the given shape", problem
    if problem:
        return

    def same(one, other, shape=shape):
        return compare(answer(shape, *one), answer(shape, *other)) is None

    problem = first(
        (not same((seed, step), (seed, step)), "two calls gave two masks: use a generator of your own")
    )
    yield "gives the same mask when it is called again", problem
    if problem:
        return
    share = mask.mean().item()
    yield (
        "throws a coin for each value",
        first(
            (torch.equal(mask[0], mask[1]), "all pictures have the same mask"),
            (torch.equal(mask[:, 0], mask[:, 1]), "all channels have the same mask; the article draws each anew"),
            (abs(share - 0.5) > 0.05, f"{share:.0%} are 1, expected about half"),
        ),
    )
    yield (
        "draws anew for every step",
        first((same((seed, step), (seed, step + 1)), "two steps have one mask: is `step` used?")),
    )
    yield (
        "draws anew for every seed",
        first(
            (
                same((seed, step), (seed + 1, step)),
                "two seeds have one mask: is `seed` used? (Of a large seed torch takes only the last 32 bits.)",
            )
        ),
    )
    pairs = [((1, 0), (0, factor)) for factor in (10, 31, 100, 1000, 1024, 9999)]  # factor * seed + step
    pairs += [((factor, 0), (0, 1)) for factor in range(2, 100)]  # seed + factor * step
    pairs += [
        ((seed, 123), (10 * seed + 1, 23)),
        ((seed + 1, step), (seed, step + 1)),
        ((seed, step), (step, seed)),
        ((seed, 0), (seed + 1, 0)),
    ]
    shared = [
        f"seed {a} at step {b} and seed {c} at step {d}"
        for (a, b), (c, d) in pairs
        if same((a, b), (c, d), (2, 3, 8, 8))
    ]
    yield "gives every pair of seed and step its own", f"{shared[0]} share a mask" if shared else None
