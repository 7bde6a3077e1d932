"""Answers to the tasks of the lesson and the exercises on training (lesson 05)."""

import itertools
import math
import random
import re
from collections import defaultdict, namedtuple

import numpy as np
import torch
from einops import einsum
from torch import Generator, nn

from answers import right, wrong
from simmim_lab import loop
from simmim_lab.training import Recipe


def drawn(photographs, count, generator):
    """The photographs for validation."""
    names = sorted(set(photographs))
    return {names[place] for place in torch.randperm(len(names), generator=generator)[:count]}


@right("split_photographs")
def by_names(photographs, count, generator):
    chosen = drawn(photographs, count, generator)
    validation = [place for place, name in enumerate(photographs) if name in chosen]
    return [place for place in range(len(photographs)) if place not in validation], validation


@right("split_photographs")
def with_tensors(photographs, count, generator):
    names, which = torch.tensor(photographs).unique(return_inverse=True)
    held_out = torch.isin(which, torch.randperm(len(names), generator=generator)[:count])
    return (~held_out).nonzero().flatten(), held_out.nonzero().flatten()


@right("split_photographs")
def in_groups(photographs, count, generator):
    places = defaultdict(list)
    for place, name in enumerate(photographs):
        places[name].append(place)
    groups = list(places.values())
    order = torch.rand(len(groups), generator=generator).argsort().tolist()
    sides = order[count:], order[:count]
    return [[place for group in side for place in groups[group]] for side in sides]


@wrong("split_photographs", "deal out photographs, not crops")
def deals_out_crops(photographs, count, generator):
    order = torch.randperm(len(photographs), generator=generator).tolist()
    return order[count:], order[:count]


@wrong("split_photographs", "deal out photographs, not crops")
def share_of_the_crops(photographs, count, generator):
    order = torch.randperm(len(photographs), generator=generator).tolist()
    share = count * len(order) // len(set(photographs))
    return order[share:], order[:share]


@wrong("split_photographs", "take those of validation out")
def validation_in_training(photographs, count, generator):
    return list(range(len(photographs))), by_names(photographs, count, generator)[1]


@wrong("split_photographs", "the two sides are swapped")
def swapped_sides(photographs, count, generator):
    return by_names(photographs, count, generator)[::-1]


@wrong("split_photographs", "return the places of crops in the list")
def photographs_themselves(photographs, count, generator):
    return [[photographs[place] for place in side] for side in by_names(photographs, count, generator)]


@wrong("split_photographs", "return the places of crops in the list")
def sets_of_photographs(photographs, count, generator):
    chosen = drawn(photographs, count, generator)
    return list(set(photographs) - chosen), list(chosen)


@wrong("split_photographs", "expected places, whole numbers such as 0, 3 and 4")
def flags(photographs, count, generator):
    chosen = drawn(photographs, count, generator)
    return [name not in chosen for name in photographs], [name in chosen for name in photographs]


@wrong("split_photographs", "expected two lists, (training, validation)")
def validation_alone(photographs, count, generator):
    return by_names(photographs, count, generator)[1]


@wrong("split_photographs", "not from 1")
def from_one(photographs, count, generator):
    return [[place + 1 for place in side] for side in by_names(photographs, count, generator)]


@wrong("split_photographs", "photographs need not be called 0, 1, 2, ...")
def numbers_as_names(photographs, count, generator):
    chosen = torch.randperm(len(set(photographs)), generator=generator)[:count].tolist()
    validation = [place for place, name in enumerate(photographs) if name in chosen]
    return [place for place, name in enumerate(photographs) if name not in chosen], validation


@wrong("split_photographs", "crops lie on neither side")
def first_crop_of_each(photographs, count, generator):
    chosen = drawn(photographs, count, generator)
    names = sorted(set(photographs))
    sides = [name for name in names if name not in chosen], [name for name in names if name in chosen]
    return [[photographs.index(name) for name in side] for side in sides]


@wrong("split_photographs", "only the first crop of each of its photographs")
def first_crop_of_the_drawn(photographs, count, generator):
    validation = [photographs.index(name) for name in drawn(photographs, count, generator)]
    return [place for place in range(len(photographs)) if place not in validation], validation


@wrong("split_photographs", "`count` counts photographs, not crops")
def until_enough_crops(photographs, count, generator):
    validation = []
    for name in shuffled(sorted(set(photographs)), generator):
        if len(validation) < count:
            validation += [place for place, other in enumerate(photographs) if other == name]
    return [place for place in range(len(photographs)) if place not in validation], validation


@wrong("split_photographs", "a set is no list")
def sides_as_sets(photographs, count, generator):
    training, validation = by_names(photographs, count, generator)
    return set(training), set(validation)


@wrong("split_photographs", "is one drawn twice?")
def photographs_of_random_crops(photographs, count, generator):
    crops = torch.randint(len(photographs), (count,), generator=generator)
    chosen = {photographs[crop] for crop in crops}
    validation = [place for place, name in enumerate(photographs) if name in chosen]
    return [place for place, name in enumerate(photographs) if name not in chosen], validation


@wrong("split_photographs", "a set of tensors, where none is found?")
def set_of_tensors(photographs, count, generator):
    names = torch.tensor(photographs).unique()
    chosen = set(names[torch.randperm(len(names), generator=generator)[:count]])
    validation = [place for place, name in enumerate(photographs) if name in chosen]
    return [place for place, name in enumerate(photographs) if name not in chosen], validation


@wrong("split_photographs", "draw among photographs, in which each stands once")
def photographs_of_shuffled_crops(photographs, count, generator):
    order = torch.randperm(len(photographs), generator=generator).tolist()
    chosen = list(dict.fromkeys(photographs[crop] for crop in order))[:count]
    validation = [place for place, name in enumerate(photographs) if name in chosen]
    return [place for place, name in enumerate(photographs) if name not in chosen], validation


@wrong("split_photographs", "pass `generator` on")
def no_generator(photographs, count, generator):
    return by_names(photographs, count, None)


@wrong("split_photographs", "is it drawn at random, from `generator`?")
def the_last_ones(photographs, count, generator):
    chosen = sorted(set(photographs))[-count:]
    validation = [place for place, name in enumerate(photographs) if name in chosen]
    return [place for place, name in enumerate(photographs) if name not in chosen], validation


@wrong("split_photographs", "one was never there")
def never_the_last_one(photographs, count, generator):
    names = sorted(set(photographs))
    chosen = {names[place] for place in torch.randperm(len(names) - 1, generator=generator)[:count]}
    validation = [place for place, name in enumerate(photographs) if name in chosen]
    return [place for place, name in enumerate(photographs) if name not in chosen], validation


def split_by(choose):
    """The answer that holds out the photographs `choose(names, count, generator)`."""

    def answer(photographs, count, generator):
        chosen = choose(sorted(set(photographs)), count, generator)
        validation = [place for place, name in enumerate(photographs) if name in chosen]
        return [place for place, name in enumerate(photographs) if name not in chosen], validation

    return answer


def shuffled(names, generator):
    return [names[place] for place in torch.randperm(len(names), generator=generator).tolist()]


class Dealer:
    """Holds out the end of a random order."""

    def __call__(self, photographs, count, generator):
        return split_by(self.choose)(photographs, count, generator)

    def choose(self, names, count, generator):
        return shuffled(names, generator)[-count:]


def reseeded(names, count, generator):
    """Draws the seed of another generator."""
    seed = torch.randint(10**9, (1,), generator=generator).item()
    return random.Random(seed).sample(names, count)


def window(names, count, generator):
    start = torch.randint(len(names), (1,), generator=generator).item()
    return [*names, *names][start : start + count]


right("split_photographs")(Dealer())
right("split_photographs")(split_by(reseeded))
for says, choose in {
    "always one too few": lambda names, count, generator: shuffled(names, generator)[: count - 1],
    "always the same two": lambda names, count, generator: random.Random(generator.initial_seed()).sample(
        names, count
    ),
    "draw from `generator` itself, not from a copy": lambda names, count, generator: shuffled(
        names, generator.clone_state()
    )[:count],
    "splits there were too few: is one drawn twice?": lambda names, count, generator: [
        name or None for name in shuffled(names, generator)[:count]
    ],
    "all six pairs should come equally often": window,
    "photographs in validation one was never there": lambda names, count, generator: shuffled(
        names[1:], generator
    )[:count],
    "gives the same result in another process": lambda names, count, generator: sorted(
        names, key=lambda name: hash(f"{name} {torch.randint(9999, (1,), generator=generator)}")
    )[:count],
}.items():
    wrong("split_photographs", says)(split_by(choose))


@wrong("split_photographs", "places come twice")
def one_crop_twice(photographs, count, generator):
    training, validation = by_names(photographs, count, generator)
    return training + training[:1], validation


@wrong("split_photographs", "(list) is left for training")
def at_least_one_for_training(photographs, count, generator):
    return by_names(photographs, min(count, len(set(photographs)) - 1), generator)


class KeepsItsLists:
    """Its lists outlive a call, as those outside a function do, until the seed is another."""

    seed = None

    def __call__(self, photographs, count, generator):
        if self.seed != generator.initial_seed():
            self.seed, self.sides = generator.initial_seed(), ([], [])
        for side, places in zip(self.sides, by_names(photographs, count, generator), strict=True):
            side.extend(places)
        return self.sides


wrong("split_photographs", "does it keep something from one call to the next?")(KeepsItsLists())


@right("lr_at")
def formula(done, lr, min_lr, warmup):
    if done < warmup:
        return lr * done / warmup
    rest = (done - warmup) / (1 - warmup)
    return min_lr + 0.5 * (lr - min_lr) * (1 + math.cos(math.pi * rest))


@right("lr_at")
def as_recipe(done, lr, min_lr, warmup):
    return Recipe(steps=1, lr=lr, min_lr=min_lr, warmup=warmup).lr_at(done)


@right("lr_at")
def squared_cosine(done, lr, min_lr, warmup):
    line = done / warmup if warmup else math.inf
    share = math.cos(math.pi / 2 * (done - warmup) / (1 - warmup)) ** 2
    return lr * line if line < 1 else share * lr + (1 - share) * min_lr


@right("lr_at")
def in_torch(done, lr, min_lr, warmup):
    if done < warmup:
        return torch.tensor(done / warmup * lr)
    return torch.lerp(
        torch.tensor(min_lr),
        torch.tensor(lr),
        (1 + torch.tensor(torch.pi * (done - warmup) / (1 - warmup)).cos()) / 2,
    )


@right("lr_at")
def on_the_unit_circle(done, lr, min_lr, warmup):
    turned = np.exp(1j * np.pi * (done - warmup) / (1 - warmup)).real if done >= warmup else None
    return np.float64(lr * done / warmup if turned is None else lr / 2 * (1 + turned) + min_lr / 2 * (1 - turned))


def after_warmup(fall):
    """The answer with a right warm-up and then `fall(share of the rest, done, lr, min_lr, warmup)`."""

    def answer(done, lr, min_lr, warmup):
        if done < warmup:
            return lr * done / warmup
        return fall((done - warmup) / (1 - warmup), done, lr, min_lr, warmup)

    return answer


def wave(turns):
    """A cosine from 1 to 0 over half a turn."""
    return (1 + math.cos(2 * math.pi * turns)) / 2


for says, fall in {
    "the cosine starts at 0": lambda p, done, lr, low, w: low + (lr - low) * wave(done / 2),
    "stretch it over the rest": lambda p, done, lr, low, w: low + (lr - low) * wave((done - w) / 2),
    "a quarter of a turn": lambda p, done, lr, low, w: low + (lr - low) * math.cos(math.pi * p / 2),
    "a whole turn comes up again": lambda p, done, lr, low, w: low + (lr - low) * wave(p),
    "it falls in a straight line\n": lambda p, done, lr, low, w: lr + (low - lr) * p,
    "it falls in a straight line, and to 0": lambda p, done, lr, low, w: lr * (1 - p),
    "it falls exponentially": lambda p, done, lr, low, w: lr * (low / lr) ** p,
    "it stays at `lr`": lambda p, done, lr, low, w: lr,
    "the warm-up goes on": lambda p, done, lr, low, w: lr * done / w if w else lr,
    "this takes degrees": lambda p, done, lr, low, w: low + (lr - low) * (1 + math.cos(180 * p)) / 2,
    "pi is missing": lambda p, done, lr, low, w: low + (lr - low) * (1 + math.cos(p)) / 2,
    "it falls to 0: it must end at `min_lr`": lambda p, done, lr, low, w: lr * wave(p / 2),
    "is cut off at `min_lr`": lambda p, done, lr, low, w: max(low, lr * wave(p / 2)),
    "`min_lr` is added on top": lambda p, done, lr, low, w: low + lr * wave(p / 2),
    "it starts too high": lambda p, done, lr, low, w: low + 2 * (lr - low) * wave(p / 2),
    "it falls too low": lambda p, done, lr, low, w: low + (lr - low) * math.cos(math.pi * p),
    "brackets are missing": lambda p, done, lr, low, w: low + (lr - low) * wave((done - w / 1 - w) / 2),
    "the share of the rest stands inside the cosine": lambda p, done, lr, low, w: (
        low + (lr - low) * (1 + math.cos(math.pi) * p) / 2
    ),
    "it ends at 0: `min_lr` is subtracted": lambda p, done, lr, low, w: (lr - low) * wave(p / 2),
    "the rates are added": lambda p, done, lr, low, w: low + (lr + low) * wave(p / 2),
    "the rates are added, and it ends at 0": lambda p, done, lr, low, w: 0.5 * (lr + low) * 2 * wave(p / 2),
    "brackets are missing around `1 + cos`": lambda p, done, lr, low, w: (
        low + 0.5 * (lr - low) * 1 + math.cos(math.pi * p)
    ),
    "the cosine is halved, but not moved up": lambda p, done, lr, low, w: (
        low + (lr - low) * math.cos(math.pi * p) / 2
    ),
    "only the cosine is halved": lambda p, done, lr, low, w: low + (lr - low) * (1 + math.cos(math.pi * p) / 2),
    "`warmup` is not subtracted": lambda p, done, lr, low, w: low + (lr - low) * wave(done / (1 - w) / 2),
    "brackets are missing around `done - warmup`": lambda p, done, lr, low, w: (
        low + (lr - low) * (1 + math.cos(math.pi * done - w / (1 - w))) / 2
    ),
    "brackets are missing around `1 - warmup`": lambda p, done, lr, low, w: (
        low + (lr - low) * (1 + math.cos(math.pi * (done - w) / 1 - w)) / 2
    ),
    "the cosine is squared": lambda p, done, lr, low, w: low + (lr - low) * wave(p / 2) ** 2,
    "this is the sine": lambda p, done, lr, low, w: low + (lr - low) * (1 + math.sin(math.pi * p)) / 2,
    "it rises: at the end of the warm-up": lambda p, done, lr, low, w: lr + (low - lr) * wave(p / 2),
}.items():
    wrong("lr_at", says)(after_warmup(fall))


@wrong("lr_at", "it is rounded to 4 digits")
def rate_of_four_digits(done, lr, min_lr, warmup):
    return round(formula(done, lr, min_lr, warmup), 4)


@wrong("lr_at", "the cosine alone")
def no_warmup(done, lr, min_lr, warmup):
    return min_lr + (lr - min_lr) * wave(done / 2)


@wrong("lr_at", "the curve of the rest goes on to the left of it")
def curve_of_the_rest_alone(done, lr, min_lr, warmup):
    return min_lr + (lr - min_lr) * wave((done - warmup) / (1 - warmup) / 2)


@wrong("lr_at", "the rate is constant")
def constant(done, lr, min_lr, warmup):
    return lr


@wrong("lr_at", "it rises too slowly")
def not_divided(done, lr, min_lr, warmup):
    return lr * done if done < warmup else formula(done, lr, min_lr, warmup)


@wrong("lr_at", "starts at 0, not at `min_lr`")
def from_min_lr(done, lr, min_lr, warmup):
    return min_lr + (lr - min_lr) * done / warmup if done < warmup else formula(done, lr, min_lr, warmup)


for says, line in {
    "it is not cut off at `min_lr`": lambda share, lr, min_lr: max(min_lr, lr * share),
    "not to the difference of the rates": lambda share, lr, min_lr: (lr - min_lr) * share,
    "a straight line, not a square": lambda share, lr, min_lr: lr * share**2,
    "it falls: the warm-up rises": lambda share, lr, min_lr: lr * (1 - share),
    "`lr` and `min_lr` are swapped": lambda share, lr, min_lr: min_lr * share,
}.items():

    @wrong("lr_at", says)
    def another_warmup(done, lr, min_lr, warmup, line=line):
        return line(done / warmup, lr, min_lr) if done < warmup else formula(done, lr, min_lr, warmup)


@wrong("lr_at", "without a warm-up the rate begins at `lr`")
def tiny_warmup(done, lr, min_lr, warmup):
    warmup = max(warmup, 1e-8)
    return formula(done, lr, min_lr, warmup)


@wrong("lr_at", "without a warm-up the rate begins at `lr`")
def zero_at_the_start(done, lr, min_lr, warmup):
    return formula(done, lr, min_lr, warmup) if done else 0.0


@wrong("lr_at", "a straight line, not a curve")
def cosine_warmup(done, lr, min_lr, warmup):
    return lr * (1 - wave(done / warmup / 2)) if done < warmup else formula(done, lr, min_lr, warmup)


@wrong("lr_at", "how high is the rate then?")
def share_of_the_warmup(done, lr, min_lr, warmup):
    return done / warmup if done < warmup else formula(done, lr, min_lr, warmup)


@wrong("lr_at", "the cosine begins at once")
def product(done, lr, min_lr, warmup):
    return no_warmup(done, lr, min_lr, warmup) * (min(1, done / warmup) if warmup else 1)


@wrong("lr_at", "with ZeroDivisionError")
def divides_by_no_warmup(done, lr, min_lr, warmup):
    line = done / warmup
    return lr * line if line < 1 else formula(done, lr, min_lr, warmup)


def rates_after(rise, fall=lambda i, lr, n, w, c: lr * (n - i) / c, level=lambda i, lr, n, w, c: lr):
    """The answer that rises, stays level and falls by these functions of all its arguments."""

    def answer(images, lr, total, warmup, cooldown):
        left = total - images
        piece = rise if images < warmup else fall if left < cooldown else level
        return piece(images, lr, total, warmup, cooldown)

    return answer


@right("lr_after")
def three_cases(images, lr, total, warmup, cooldown):
    if images < warmup:
        return lr * images / warmup
    if images > total - cooldown:
        return lr * (total - images) / cooldown
    return lr


@right("lr_after")
def interpolated(images, lr, total, warmup, cooldown):
    places = [0, warmup, total - cooldown, total]
    heights = [0 if warmup else lr, lr, lr, 0 if cooldown else lr]
    if images == 0 and warmup:
        return 0
    return np.interp(images, places, heights) if images < total else heights[-1]


@right("lr_after")
def smallest_of_three(images, lr, total, warmup, cooldown):
    up = torch.tensor(images / warmup if warmup else 1.0, dtype=torch.float64)
    down = torch.tensor((total - images) / cooldown if cooldown else 1.0, dtype=torch.float64)
    return lr * torch.stack([up, down]).clamp(max=1).min()


class Rates:
    """Clips the two lines at `lr`."""

    def __call__(self, images, lr, total, warmup, cooldown):
        return min(lr, self.line(images, lr, warmup), self.line(total - images, lr, cooldown))

    def line(self, images, lr, length):
        return lr * images / length if length else math.inf


right("lr_after")(Rates())


def up(i, lr, n, w, c):
    return lr * i / w


for says, rise in {
    "there is no warm-up": lambda i, lr, n, w, c: lr,
    "it rises over the whole run": lambda i, lr, n, w, c: lr * i / n,
    "by `lr` with each image": lambda i, lr, n, w, c: lr * i,
    "one image too many: after 0 images": lambda i, lr, n, w, c: lr * (i + 1) / w,
    "one image too few: after `warmup`": lambda i, lr, n, w, c: lr * (i - 1) / w,
    "0 in the whole warm-up: does": lambda i, lr, n, w, c: lr * (i // w),
    "it falls: the warm-up rises": lambda i, lr, n, w, c: lr - lr * i / w,
    "the warm-up is a straight line, not a curve": lambda i, lr, n, w, c: lr * (1 - wave(i / w / 2)),
    "not a square": lambda i, lr, n, w, c: lr * (i / w) ** 2,
    "how high is the rate then?": lambda i, lr, n, w, c: i / w,
}.items():
    wrong("lr_after", says)(rates_after(rise))

for says, fall in {
    "where is the cooldown?": lambda i, lr, n, w, c: lr,
    "the share that is over stands where": lambda i, lr, n, w, c: lr * (1 - (n - i) / c),
    "the share of the whole run that is left": lambda i, lr, n, w, c: lr * (n - i) / n,
    "it falls along a cosine: the cooldown": lambda i, lr, n, w, c: lr * wave((i - n + c) / c / 2),
    "it falls along a root": lambda i, lr, n, w, c: lr - lr * math.sqrt(1 - (n - i) / c),
    "it falls as a square": lambda i, lr, n, w, c: lr * ((n - i) / c) ** 2,
    "one image too few": lambda i, lr, n, w, c: lr * (n - i - 1) / c,
    "one image too many: after all images": lambda i, lr, n, w, c: lr * (n - i + 1) / c,
    "the whole cooldown: does `//` lose": lambda i, lr, n, w, c: lr * ((n - i) // c),
    "the share of the cooldown that is left: how high": lambda i, lr, n, w, c: (n - i) / c,
    "0 in the whole cooldown": lambda i, lr, n, w, c: 0.0,
    "the rate is negative": lambda i, lr, n, w, c: lr * (i - n) / c,
}.items():
    wrong("lr_after", says)(rates_after(up, fall))

for says, level in {
    "the warm-up goes on": lambda i, lr, n, w, c: lr * i / w,
    "it falls from the end of the warm-up on: it stays": lambda i, lr, n, w, c: lr * (n - i) / (n - w),
    "it falls along a cosine: it stays": lambda i, lr, n, w, c: lr * wave((i - w) / (n - w) / 2),
    "the rate rises above `lr`": lambda i, lr, n, w, c: lr * (n - i) / c if c else lr,
    "the share of the run that is left stands": lambda i, lr, n, w, c: lr * (1 - i / n),
}.items():
    wrong("lr_after", says)(rates_after(up, level=level))


@wrong("lr_after", "`warmup` and `cooldown` are swapped")
def swapped_ends(images, lr, total, warmup, cooldown):
    return three_cases(images, lr, total, cooldown, warmup)


@wrong("lr_after", "in the call lr_after(1, ")
def falls_without_a_cooldown(images, lr, total, warmup, cooldown):
    return 0.0 if images == total else three_cases(images, lr, total, warmup, cooldown)


@wrong("lr_after", "with ZeroDivisionError")
def divides_by_no_cooldown(images, lr, total, warmup, cooldown):
    if images < warmup:
        return lr * images / warmup
    return min(lr, lr * (total - images) / cooldown)


@wrong("lr_after", "works without a warm-up")
def nothing_before_the_first_image(images, lr, total, warmup, cooldown):
    return three_cases(images, lr, total, warmup, cooldown) if images else 0.0


LEVELS = ("positions", "pos_embed", "table", "_token")


@wrong("lr_after", "without a cooldown it is `lr` to the end")
def nothing_after_the_last_image(images, lr, total, warmup, cooldown):
    return 0.0 if images == total else three_cases(images, lr, total, warmup, cooldown)


@wrong("lr_after", "starts at `lr`, and without a cooldown it ends there")
def at_least_one_image(images, lr, total, warmup, cooldown):
    return lr * min(1, images / max(warmup, 1), (total - images) / max(cooldown, 1))


@wrong("lr_after", "not where it begins")
def cooldown_begins_there(images, lr, total, warmup, cooldown):
    if images < warmup or not 0 < cooldown < min(images, total):
        return three_cases(images, lr, total, warmup, 0)
    return lr * (total - images) / (total - cooldown)


@wrong("lr_after", "`cooldown` is no place")
def cooldown_begins_there_and_takes_as_long(images, lr, total, warmup, cooldown):
    if images < warmup or not 0 < cooldown < images:
        return three_cases(images, lr, total, warmup, 0)
    return lr * (total - images) / cooldown


@wrong("lr_after", "`warmup` stands in the place of `cooldown`")
def as_long_down_as_up(images, lr, total, warmup, cooldown):
    return three_cases(images, lr, total, warmup, warmup)


@wrong("lr_after", "divided by the whole run: divide by `cooldown`")
def falls_by_the_share_of_the_run(images, lr, total, warmup, cooldown):
    over = images - (total - cooldown)
    return lr * (1 - over / total) if over > 0 else three_cases(images, lr, total, warmup, cooldown)


@wrong("lr_after", "rounded to 4 digits")
def four_digits(images, lr, total, warmup, cooldown):
    return round(three_cases(images, lr, total, warmup, cooldown), 4)


@wrong("lr_after", "the cooldown begins right after the warm-up")
def falls_at_once(images, lr, total, warmup, cooldown):
    return three_cases(images, lr, total, warmup, 0) * max(0, 1 - max(0, images - warmup) / max(cooldown, 1))


@wrong("lr_after", "expected 0, got 1e-06")
def smallest_rate(images, lr, total, warmup, cooldown):
    return max(1e-6, three_cases(images, lr, total, warmup, cooldown))


@right("decaying")
def comprehension(shapes):
    return {name for name, shape in shapes.items() if len(shape) > 1 and not name.endswith(LEVELS)}


@right("decaying")
def name_by_name(shapes):
    names = set()
    for name, shape in shapes.items():
        if len(shape) < 2 or any(name.endswith(word) for word in LEVELS):
            continue
        names.add(name)
    return names


class Named:
    """A model that consists of its names and shapes."""

    def __init__(self, shapes):
        self.parameters = [(name, torch.nn.Parameter(torch.empty(shape))) for name, shape in shapes.items()]

    def named_parameters(self):
        return self.parameters


def spared_by_name(shapes):
    return {name for name in shapes if name.endswith(LEVELS)}


@right("decaying")
def as_the_package(shapes):
    model = Named(shapes)
    decay = {id(parameter) for parameter in loop.parameter_groups(model, 0.05)[0]["params"]}
    return {name for name, parameter in model.named_parameters() if id(parameter) in decay}


@right("decaying")
def by_subtraction(shapes):
    spared = {name for name, shape in shapes.items() if len(shape) <= 1}
    for ending in LEVELS:
        spared |= {name for name in shapes if name.removesuffix(ending) != name}
    return shapes.keys() - spared


@right("decaying")
def by_pattern(shapes):
    return frozenset(n for n, (*_, shape) in zip(shapes, shapes.items(), strict=True) if shape[1:]) - {
        name for name in shapes if re.search(r"(positions|pos_embed|table|_token)$", name)
    }


@wrong("decaying", "everything decays")
def everything(shapes):
    return set(shapes)


@wrong("decaying", "the two groups are swapped")
def swapped_groups(shapes):
    return set(shapes) - comprehension(shapes)


@wrong("decaying", "nothing decays")
def nothing_decays(shapes):
    return {name for name, shape in shapes.items() if shape == 2}


@wrong("decaying", "it has fewer than two dimensions, whatever its name says")
def without_biases(shapes):
    return {name for name in shapes if "bias" not in name}


@wrong("decaying", "it has fewer than two dimensions, whatever its name says")
def weights(shapes):
    return {name for name in shapes if name.endswith("weight")}


@wrong("decaying", "though it has two or more dimensions: see the end of its name")
def all_of_two_dimensions(shapes):
    return {name for name, shape in shapes.items() if len(shape) >= 2}


@wrong("decaying", "`encoder.backbone.pos_embed` of shape")
def without_pos_embed(shapes):
    spared = ("positions", "table", "_token")
    return {name for name, shape in shapes.items() if len(shape) >= 2 and not name.endswith(spared)}


@wrong("decaying", "though it has two or more dimensions: see the end of its name")
def tables_only_spared(shapes):
    return {name for name, shape in shapes.items() if len(shape) >= 2 and not name.endswith("table")}


@wrong("decaying", "the kernel of a convolution has more than two dimensions")
def exactly_two_dimensions(shapes):
    return {name for name in comprehension(shapes) if len(shapes[name]) == 2}


@wrong("decaying", "though it has two or more dimensions: see the end of its name")
def last_word_equal(shapes):
    spared = ("positions", "pos_embed", "table", "mask_token", "cls_token")
    return {n for n, shape in shapes.items() if len(shape) >= 2 and n.split(".")[-1] not in spared}


@wrong("decaying", "`encoder.register_token` of shape")
def two_known_tokens(shapes):
    spared = ("positions", "pos_embed", "table", "mask_token", "cls_token")
    return {name for name, shape in shapes.items() if len(shape) >= 2 and not name.endswith(spared)}


@wrong("decaying", "see the end of its name")
def ends_behind_a_dot(shapes):
    spared = (".positions", ".pos_embed", "table", "_token")
    return {name for name, shape in shapes.items() if len(shape) >= 2 and not name.endswith(spared)}


@wrong("decaying", "`encoder.frames.positions` of shape")
def four_dimensions_always(shapes):
    return comprehension(shapes) | {name for name, shape in shapes.items() if len(shape) > 3}


@wrong("decaying", "only shapes with more than two numbers decay")
def more_than_two(shapes):
    return {name for name in comprehension(shapes) if len(shapes[name]) > 2}


@wrong("decaying", "`decoder.project.down` of shape")
def matrices_called_weight(shapes):
    return {name for name in comprehension(shapes) if name.endswith("weight")}


@wrong("decaying", "does not *end* in one of the four words")
def token_without_its_line(shapes):
    spared = ("positions", "pos_embed", "table", "token")
    return {name for name, shape in shapes.items() if len(shape) >= 2 and not name.endswith(spared)}


@wrong("decaying", "does not *end* in one of the four words")
def anywhere_in_the_last_word(shapes):
    last = {name: name.split(".")[-1] for name in shapes}
    return {n for n in shapes if len(shapes[n]) >= 2 and not any(word in last[n] for word in LEVELS)}


@wrong("decaying", "does not *end* in one of the four words")
def anywhere_in_the_name(shapes):
    words = ("positions", "pos_embed", "table", "token")
    return {n for n, shape in shapes.items() if len(shape) >= 2 and not any(word in n for word in words)}


@wrong("decaying", "does not *end* in one of the four words")
def bias_anywhere(shapes):
    return {name for name in comprehension(shapes) if "bias" not in name}


@wrong("decaying", "`encoder.pair_bias` of shape")
def without_names_in_bias(shapes):
    return {name for name in comprehension(shapes) if not name.endswith("bias")}


@wrong("decaying", "`encoder.norm_map.weight` of shape")
def without_norms(shapes):
    return {name for name in comprehension(shapes) if "norm" not in name}


@wrong("decaying", "`encoder.gate.weight` of shape")
def more_than_one_row(shapes):
    return {name for name in comprehension(shapes) if sum(size > 1 for size in shapes[name]) > 1}


@wrong("decaying", "the kernel of a convolution has more than two dimensions")
def two_or_four(shapes):
    return {name for name in comprehension(shapes) if len(shapes[name]) in (2, 4)}


@wrong("decaying", "`encoder.colour_shift` of shape")
def many_numbers(shapes):
    return {name for name in shapes if math.prod(shapes[name]) > 700 and name not in spared_by_name(shapes)}


@wrong("decaying", "`decoder.positions` of shape")
def spared_in_the_encoder_alone(shapes):
    return comprehension(shapes) | {name for name, shape in shapes.items() if name[0] == "d" and len(shape) > 1}


@wrong("decaying", "it has fewer than two dimensions, whatever its name says")
def by_name_alone(shapes):
    return set(shapes) - spared_by_name(shapes)


@wrong("decaying", "work on a copy")
def takes_them_out(shapes):
    for name in set(shapes) - comprehension(shapes):
        del shapes[name]
    return set(shapes)


@wrong("decaying", "max() ")
def ends_of_nothing(shapes):
    longest = max(map(len, shapes.values()))
    return {name for name in comprehension(shapes) if len(shapes[name]) <= longest}


@wrong("decaying", "expected a set of names")
def as_a_list(shapes):
    return sorted(comprehension(shapes))


@wrong("decaying", "something that is no name")
def shapes_instead(shapes):
    return {shapes[name] for name in comprehension(shapes)}


@wrong("decaying", " should decay")
def attention_alone(shapes):
    return {name for name in comprehension(shapes) if "qkv" in name}


@right("layer_scales")
def by_number(names, blocks, decay):
    scales = {}
    for name in names:
        layer = blocks + 1
        if name.startswith("encoder.blocks."):
            layer = int(name.split(".")[2]) + 1
        elif name.startswith("encoder.") and not name.startswith("encoder.norm."):
            layer = 0
        scales[name] = decay ** (blocks + 1 - layer)
    return scales


@right("layer_scales")
def by_search(names, blocks, decay):
    found = {name: re.match(r"encoder\.(?:blocks\.(\d+)|norm)\.", name) for name in names}

    def steps(name):
        if not name.startswith("encoder."):
            return 0
        match = found[name]
        return blocks + 1 if match is None else blocks - int(match[1]) if match[1] else 0

    return {name: math.exp(math.log(decay) * steps(name)) for name in names}


@right("layer_scales")
def by_prefix(names, blocks, decay):
    powers = torch.full((blocks + 1,), decay, dtype=torch.float64).cumprod(0)  # decay, decay squared, ...
    scales = dict.fromkeys(names, 1.0)
    scales |= {name: powers[-1] for name in names if name.startswith("encoder.")}
    scales |= {name: 1.0 for name in names if name.startswith("encoder.norm.")}
    for k in range(blocks):
        scales |= {name: powers[blocks - k - 1] for name in names if name.startswith(f"encoder.blocks.{k}.")}
    return scales


class Scales:
    """Multiplies from the top down."""

    def __call__(self, names, blocks, decay):
        return {name: np.prod([decay] * (blocks + 1 - self.layer(name.split("."), blocks))) for name in names}

    def layer(self, words, blocks):
        match words:
            case ["encoder", "blocks", number, *_]:
                return 1 + int(number)
            case ["encoder", "norm", *_]:
                return blocks + 1
            case ["encoder", *_]:
                return 0
        return blocks + 1


right("layer_scales")(Scales())


def scaled(layer=lambda name, blocks, right: right, power=lambda steps, decay: decay**steps):
    """The answer with other layers, `layer(name, blocks, right layer)`, or another power."""

    def answer(names, blocks, decay):
        layers = {name: Scales().layer(name.split("."), blocks) for name in names}
        return {name: power(blocks + 1 - layer(name, blocks, layers[name]), decay) for name in names}

    return answer


def in_block(name):
    return name.startswith("encoder.blocks.")


for says, power in {
    "all learn equally fast": lambda steps, decay: 1,
    "that is a product: each layer": lambda steps, decay: decay * steps,
    "that falls in a straight line": lambda steps, decay: 1 - steps * (1 - decay),
    "it grows": lambda steps, decay: (1 / decay) ** steps,
    "one power too much": lambda steps, decay: decay ** (1 + steps),
    "one power too little": lambda steps, decay: decay ** max(steps - 1, 0),
    "and 1 / decay at the top": lambda steps, decay: decay ** (steps - 1),
    "`decay` is multiplied once": lambda steps, decay: min(1, decay ** min(1, steps)),
}.items():
    wrong("layer_scales", says)(scaled(power=power))

for says, layer in {
    "the layers are upside down": lambda name, blocks, right: blocks + 1 - right,
    "block 0 shares the layer of what lies below": lambda name, blocks, right: right - in_block(name),
    "the last block shares the layer": lambda name, blocks, right: right + in_block(name),
    "only the first digit": lambda name, blocks, right: int(name[15]) + 1 if in_block(name) else right,
    "only the last digit": lambda name, blocks, right: (right - 1) % 10 + 1 if in_block(name) else right,
    "the last number of a name is read": lambda name, blocks, right: (
        int([word for word in name.split(".") if word.isdigit()][-1]) + 1 if in_block(name) else right
    ),
    "`norm.` lies outside the encoder": lambda name, blocks, right: right * (name[:5] != "norm."),
    "all blocks are one layer": lambda name, blocks, right: blocks if in_block(name) else right,
    "the head is slowed": lambda name, blocks, right: right - (name[:7] != "encoder"),
    "everything outside the blocks is taken for the lowest": lambda name, blocks, right: (
        right if in_block(name) else 0
    ),
    "is taken for the lowest layer: it lies above": lambda name, blocks, right: (
        right * (name[:13] != "encoder.norm.")
    ),
    "is taken for a part of the last block": lambda name, blocks, right: right - (name[:13] == "encoder.norm."),
    "with `blocks` in it is taken for a block": lambda name, blocks, right: (
        int(name.split(".")[2]) + 1 if "blocks." in name else right
    ),
    "with `norm` in it is slowed": lambda name, blocks, right: 0 if name.startswith("head.norm") else right,
    "all outside the blocks learns": lambda name, blocks, right: right if in_block(name) else blocks + 1,
    "shares the layer of block 0": lambda name, blocks, right: max(right, 1),
    "is taken for the last one": lambda name, blocks, right: (
        blocks + 1 if "norm" in name and not in_block(name) else right
    ),
    "only the patch embedding": lambda name, blocks, right: (
        right if right or "patch_embed" in name else blocks + 1
    ),
}.items():
    wrong("layer_scales", says)(scaled(layer))


@wrong("layer_scales", "expected a dict of names and shares")
def shares_alone(names, blocks, decay):
    return list(by_number(names, blocks, decay).values())


@wrong("layer_scales", "all the names and no others; look at encoder.mask_token")
def blocks_alone(names, blocks, decay):
    return {name: share for name, share in by_number(names, blocks, decay).items() if name != "encoder.mask_token"}


@wrong("layer_scales", "it stopped in line")
def a_number_in_every_name(names, blocks, decay):
    return {name: decay ** (blocks - int(name.split(".")[2])) for name in names}


@wrong("layer_scales", "does not begin with `encoder.norm.`")
def norm_without_a_dot(names, blocks, decay):
    return by_prefix(names, blocks, decay) | {name: 1.0 for name in names if name.startswith("encoder.norm")}


@wrong("layer_scales", "does not begin with `encoder.blocks.`")
def blocks_without_a_dot(names, blocks, decay):
    found = {name: int(name.split(".")[2]) for name in names if name.startswith("encoder.blocks")}
    return by_prefix(names, blocks, decay) | {name: decay ** (blocks - number) for name, number in found.items()}


@wrong("layer_scales", "is the last norm, whatever follows")
def two_names_of_the_last_norm(names, blocks, decay):
    other = [name for name in names if name.startswith("encoder.norm.") and name[13:] not in ("weight", "bias")]
    return by_prefix(names, blocks, decay) | dict.fromkeys(other, decay ** (blocks + 1))


@wrong("layer_scales", "`encoder_to_decoder.` does not begin with `encoder.`")
def encoder_without_a_dot(names, blocks, decay):
    lowest = {name: decay ** (blocks + 1) for name in names if name.startswith("encoder_")}
    return by_prefix(names, blocks, decay) | lowest


@wrong("layer_scales", "`teacher.encoder.` does not begin with `encoder.`")
def blocks_anywhere(names, blocks, decay):
    found = {name: re.search(r"encoder\.blocks\.(\d+)\.", name) for name in names}
    shares = {name: decay ** (blocks - int(number[1])) for name, number in found.items() if number}
    return by_prefix(names, blocks, decay) | shares


@wrong("layer_scales", "is not that of a block")
def first_number_in_the_encoder(names, blocks, decay):
    found = {name: re.match(r"encoder\.\D*\.(\d+)\.", name) for name in names}
    shares = {name: decay ** (blocks - int(number[1])) for name, number in found.items() if number}
    return by_prefix(names, blocks, decay) | shares


@wrong("layer_scales", "works for one block and for many")
def numbers_of_two_digits(names, blocks, decay):
    found = {name: re.match(r"encoder\.blocks\.(\d\d?)", name) for name in names}
    shares = {name: decay ** (blocks - int(number[1])) for name, number in found.items() if number}
    return by_prefix(names, blocks, decay) | shares


@right("train_step")
def usual(model, optimizer, batch, *, lr, clip):
    loss, _ = model(*batch)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), max_norm=clip)
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    return loss.detach()


@right("train_step")
def as_the_package_steps(model, optimizer, batch, *, lr, clip):
    return loop.train_step(model, optimizer, batch, lr=lr, clip=clip)[0]


@right("train_step")
def clipped_by_hand(model, optimizer, batch, *, lr, clip):
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    loss = model(*batch)[0]
    gradients = torch.autograd.grad(loss, parameters)
    norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient * min(1.0, clip / norm.item())
    for group in optimizer.param_groups:
        group.update(lr=lr)
    optimizer.step()
    return loss.item()


class Step:
    """Forgets the gradients behind the step."""

    def __call__(self, model, optimizer, batch, *, lr, clip):
        values, hidden = batch
        loss, *_ = model(values, hidden)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(model.parameters()), clip, norm_type=2.0)
        for number in range(len(optimizer.param_groups)):
            optimizer.param_groups[number]["lr"] = lr
        optimizer.step()
        model.zero_grad()
        return np.float32(loss.item())


right("train_step")(Step())


def step_of(lines):
    """The answer that consists of these lines."""
    function: dict = {"nn": nn, "torch": torch}
    body = "".join(f"    {line}\n" for line in lines.split("; "))
    exec(f"def answer(model, optimizer, batch, *, lr, clip):\n{body}", function)
    return function["answer"]


RATES = "[group.update(lr=lr) for group in optimizer.param_groups]; "
FORWARD = "loss, _ = model(*batch); "
GRADIENT = f"optimizer.zero_grad(); {FORWARD}loss.backward(); "
CLIP = "nn.utils.clip_grad_norm_(model.parameters(), clip); "
STEP = "optimizer.step(); return loss.item()"
for says, lines in {
    "the given optimizer keeps its rates": GRADIENT + CLIP + STEP,
    'set "lr" in each of its groups': (
        "optimizer = torch.optim.SGD(model.parameters(), lr=lr); " + GRADIENT + CLIP + STEP
    ),
    "only the first group": "optimizer.param_groups[0]['lr'] = lr; " + GRADIENT + CLIP + STEP,
    "only the last group": "optimizer.param_groups[-1]['lr'] = lr; " + GRADIENT + CLIP + STEP,
    "only the first and the last group": (
        "groups = optimizer.param_groups; groups[0]['lr'] = groups[-1]['lr'] = lr; " + GRADIENT + CLIP + STEP
    ),
    "only the first two groups": (
        "groups = optimizer.param_groups; groups[0]['lr'] = groups[1]['lr'] = lr; " + GRADIENT + CLIP + STEP
    ),
    "too many values to unpack": (
        "decay, rest = optimizer.param_groups; decay['lr'] = rest['lr'] = lr; " + GRADIENT + CLIP + STEP
    ),
    "the rate is multiplied": RATES.replace("lr=lr", "lr=lr * group['lr']") + GRADIENT + CLIP + STEP,
    "still has the old rate": GRADIENT + CLIP + "optimizer.step(); " + RATES + "return loss.item()",
    "where is `optimizer.zero_grad()`?": RATES + FORWARD + "loss.backward(); " + CLIP + STEP,
    "the weights did not move: call `zero_grad`": RATES + FORWARD + CLIP + STEP,
    "call `zero_grad`, then `loss.backward()`": RATES + GRADIENT + CLIP + "optimizer.zero_grad(); " + STEP,
    "then `step`": RATES + GRADIENT + CLIP + "return loss.item()",
    "the step comes before `backward`": (
        RATES
        + FORWARD
        + "optimizer.step(); optimizer.zero_grad(); loss.backward(); "
        + CLIP
        + "return loss.item()"
    ),
    "the step takes the whole gradient": RATES + GRADIENT + STEP,
    "clip it behind `backward`": RATES + CLIP + GRADIENT + STEP,
    "and before `step`": RATES + GRADIENT + "optimizer.step(); " + CLIP + "return loss.item()",
    "single values are cut off": RATES + GRADIENT + CLIP.replace("_norm_", "_value_") + STEP,
    "each parameter is clipped on its own": (
        RATES + GRADIENT + "[nn.utils.clip_grad_norm_([p], clip) for p in model.parameters()]; " + STEP
    ),
    "each group is clipped on its own": (
        RATES
        + GRADIENT
        + "[nn.utils.clip_grad_norm_(group['params'], clip) for group in optimizer.param_groups]; "
        + STEP
    ),
    "the rate is only lowered": RATES.replace("lr=lr", "lr=min(lr, group['lr'])") + GRADIENT + CLIP + STEP,
    "the squared length is taken": (
        RATES
        + GRADIENT
        + "squares = sum(p.grad.square().sum() for p in model.parameters()); "
        + "[p.grad.mul_(min(1, clip / squares)) for p in model.parameters()]; "
        + STEP
    ),
    "a gradient shorter than `clip` is made longer": (
        RATES
        + GRADIENT
        + "norm = sum(p.grad.square().sum() for p in model.parameters()) ** 0.5; "
        + "[p.grad.mul_(clip / norm) for p in model.parameters()]; "
        + STEP
    ),
    "to the length 1": RATES + GRADIENT + CLIP.replace("clip)", "1.0)") + STEP,
    "`lr` stands in the place of `clip`": RATES + GRADIENT + CLIP.replace("clip)", "lr)") + STEP,
    "this step climbs the loss": RATES + GRADIENT.replace("loss.b", "(-loss).b") + CLIP + STEP,
    "the loss is multiplied by `lr`": RATES + GRADIENT.replace("loss.b", "(lr * loss).b") + CLIP + STEP,
    "moved by hand: leave it": (
        RATES + GRADIENT + CLIP + "[p.data.sub_(lr * p.grad) for p in model.parameters()]; return loss.item()"
    ),
    "moved by hand and by `optimizer.step()`": (
        RATES + GRADIENT + CLIP + "[p.data.sub_(lr * p.grad) for p in model.parameters()]; " + STEP
    ),
    "two steps are taken": RATES + GRADIENT + CLIP + "optimizer.step(); " + STEP,
    "it forgets its momentum": (
        RATES
        + GRADIENT
        + CLIP
        + "torch.optim.SGD(optimizer.param_groups, lr=lr, momentum=0.9).step(); return loss.item()"
    ),
    "that is the loss after the step": RATES
    + GRADIENT
    + CLIP
    + "optimizer.step(); return model(*batch)[0].item()",
    "the loss carries its graph": RATES + GRADIENT + CLIP + "optimizer.step(); return loss",
    "got None: does the function end with `return`?": RATES + GRADIENT + CLIP + "optimizer.step()",
    "missing 1 required positional argument": "loss, _ = model(batch); " + STEP,
    "has no attribute 'backward'": "loss = model(*batch); loss.backward(); " + STEP,
    "it changes its input in place": "batch[0].zero_(); " + RATES + GRADIENT + CLIP + STEP,
}.items():
    wrong("train_step", says)(step_of(lines))


counted = itertools.count(1)


@wrong("train_step", "does it keep something from one call to the next?")
def another_loss_at_every_eighth_call(model, optimizer, batch, *, lr, clip):
    """A check calls it seven times, and then once more, to see whether it does the same again."""
    return usual(model, optimizer, batch, lr=lr, clip=clip) + (next(counted) % 8 == 0)


@right("clip_gradients")
def one_factor(gradients, max_norm):
    norm = math.sqrt(sum(gradient.square().sum() for gradient in gradients))
    return [gradient * (max_norm / norm if norm > max_norm else 1) for gradient in gradients]


@right("clip_gradients")
@torch.compile
def norm_of_norms(gradients, max_norm):
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    factor = (max_norm / (norm + 1e-6)).clamp(max=1)
    return tuple(factor * gradient for gradient in gradients)


@right("clip_gradients")
def as_torch(gradients, max_norm):
    parameters = [nn.Parameter(torch.zeros_like(gradient)) for gradient in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient.clone()
    nn.utils.clip_grad_norm_(parameters, max_norm)
    return [parameter.grad for parameter in parameters]


@right("clip_gradients")
def number_by_number(gradients, max_norm):
    norm = math.hypot(*(number for gradient in gradients for number in gradient.flatten().tolist()))
    return [gradient / max(1, norm / max_norm) for gradient in gradients]


@right("clip_gradients")
def in_double(gradients, max_norm):
    norm = np.linalg.norm(np.concatenate([gradient.double().numpy().ravel() for gradient in gradients]))
    return [(gradient.double() / max(1, norm / max_norm)).to(gradient) for gradient in gradients]


def flat(gradients):
    return torch.cat([gradient.flatten() for gradient in gradients])


for says, norm_of in {
    "the root is missing": lambda gradients: flat(gradients).square().sum(),
    "the norms of the tensors are added": lambda gradients: sum(g.norm() for g in gradients),
    "the absolute values are added": lambda gradients: flat(gradients).abs().sum(),
    "the longest tensor decides alone": lambda gradients: max(g.norm() for g in gradients),
    "the largest value decides alone": lambda gradients: flat(gradients).abs().max(),
    "the mean of the squares was taken": lambda gradients: flat(gradients).square().mean().sqrt(),
    "only the first tensor decides": lambda gradients: gradients[0].norm(),
}.items():

    @wrong("clip_gradients", says)
    def another_norm(gradients, max_norm, norm_of=norm_of):
        norm = norm_of(gradients)
        return [gradient * (max_norm / norm if norm > 0 else 1) for gradient in gradients]


for says, norm_of in {
    "the root is missing: the norm": lambda gradients: flat(gradients).square().sum(),
    "the norms of the tensors are added: add": lambda gradients: sum(g.norm() for g in gradients),
    "the longest tensor decides alone: all": lambda gradients: max(g.norm() for g in gradients),
    "only the last tensor decides": lambda gradients: gradients[-1].norm(),
    "the squared norms of the tensors were averaged": lambda gradients: (
        flat(gradients).norm() / math.sqrt(len(gradients))
    ),
    "the norms of the tensors are averaged": lambda gradients: sum(g.norm() for g in gradients) / len(gradients),
}.items():

    @wrong("clip_gradients", says)
    def another_norm_decides(gradients, max_norm, norm_of=norm_of):
        norm = norm_of(gradients)
        return [gradient * max_norm / norm if norm > max_norm else gradient for gradient in gradients]


for says, factor in {
    "the square of the norm is compared": lambda norm, limit: limit / norm if norm**2 > limit else 1,
    "the length is compared with 1": lambda norm, limit: limit / max(norm, 1),
    "it becomes `max_norm` long from half of it on": lambda norm, limit: limit / norm if norm > limit / 2 else 1,
    "it is shortened from half of `max_norm` on": lambda norm, limit: (
        limit / 2 / norm if limit / 2 < norm < limit else min(1, limit / (norm + 1e-9))
    ),
    "their norm is a little too large": lambda norm, limit: limit / norm if norm > 1.2 * limit else 1,
    "the length is half of `max_norm` now": lambda norm, limit: limit / norm / 2 if norm > limit else 1,
    "the length is twice `max_norm` now": lambda norm, limit: 2 * limit / norm if norm > limit else 1,
    "the factor is squared": lambda norm, limit: (limit / norm) ** 2 if norm > limit else 1,
    "the sign is wrong": lambda norm, limit: -limit / norm if norm > limit else 1,
    "is multiplied by `max_norm`": lambda norm, limit: limit,
}.items():

    @wrong("clip_gradients", says)
    def another_factor(gradients, max_norm, factor=factor):
        return [gradient * factor(flat(gradients).norm(), max_norm) for gradient in gradients]


@wrong("clip_gradients", "`max_norm` is subtracted")
def subtracts(gradients, max_norm):
    return [gradient - max_norm for gradient in gradients]


@wrong("clip_gradients", "the signs are lost")
def absolute_values(gradients, max_norm):
    return [gradient.abs() for gradient in one_factor(gradients, max_norm)]


@wrong("clip_gradients", "expected the shape (1, 2, 2), got (2, 2)")
def squeezes(gradients, max_norm):
    return [gradient.squeeze() for gradient in one_factor(gradients, max_norm)]


@wrong("clip_gradients", "works for a single tensor")
def several_tensors_only(gradients, max_norm):
    return one_factor(gradients, max_norm) if len(gradients) > 1 else gradients


@wrong("clip_gradients", "each tensor is shortened on its own")
def tensor_by_tensor(gradients, max_norm):
    return [one_factor([gradient], max_norm)[0] for gradient in gradients]


@wrong("clip_gradients", "each tensor gets the length `max_norm`")
def every_tensor_scaled(gradients, max_norm):
    return [max_norm * gradient / gradient.norm() for gradient in gradients]


@wrong("clip_gradients", "single values are cut off")
def clamps(gradients, max_norm):
    return [gradient.clamp(-max_norm, max_norm) for gradient in gradients]


@wrong("clip_gradients", "the root of the factor was taken")
def root_of_the_factor(gradients, max_norm):
    factor = (max_norm / flat(gradients).norm()).sqrt().clamp(max=1)
    return [factor * gradient for gradient in gradients]


@wrong("clip_gradients", "a short gradient stays as it is")
def always_scaled(gradients, max_norm):
    return [gradient * max_norm / (flat(gradients).norm() + 1e-6) for gradient in gradients]


@wrong("clip_gradients", "is something divided by 0")
def zero_by_zero(gradients, max_norm):
    norm = flat(gradients).norm()
    return [gradient / norm * min(norm, max_norm) for gradient in gradients]


@wrong("clip_gradients", "the length is 1 now")
def unit_length(gradients, max_norm):
    norm = flat(gradients).norm()
    return [gradient / norm if norm > max_norm else gradient for gradient in gradients]


@wrong("clip_gradients", "the factor is upside down")
def upside_down(gradients, max_norm):
    norm = flat(gradients).norm()
    return [gradient * norm / max_norm if norm > max_norm else gradient for gradient in gradients]


@wrong("clip_gradients", "they came back as they were")
def unchanged(gradients, max_norm):
    return gradients


@wrong("clip_gradients", "all tensors came back in one")
def in_one(gradients, max_norm):
    return flat(one_factor(gradients, max_norm))


@wrong("clip_gradients", "it changes its input in place")
def changes_in_place(gradients, max_norm):
    norm = flat(gradients).norm()
    for gradient in gradients:
        gradient.mul_((max_norm / norm).clamp(max=1))
    return gradients


@right("sgd_step")
def with_matrices(weight, values, hidden, lr):
    inputs = values * ~hidden
    errors = (inputs @ weight - values) * hidden
    gradient = 2 * inputs.T @ errors / hidden.sum()
    return errors.square().sum() / hidden.sum(), weight - lr * gradient


@right("sgd_step")
def with_einops(weight, values, hidden, lr):
    inputs = torch.where(hidden, 0.0, values)
    errors = (inputs @ weight - values).masked_fill(~hidden, 0)
    pull = einsum(inputs, errors, "n i, n j -> i j") * (2 / hidden.count_nonzero())
    return errors.pow(2).sum() / hidden.count_nonzero(), torch.add(weight, pull, alpha=-lr)


@right("sgd_step")
def value_by_value(weight, values, hidden, lr):
    loss, gradient = 0.0, torch.zeros_like(weight)
    for picture, hides in zip(values, hidden, strict=True):
        seen = picture.masked_fill(hides, 0)
        for j in hides.nonzero().flatten():
            error = seen @ weight[:, j] - picture[j]
            loss += error.item() ** 2 / hidden.sum().item()
            gradient[:, j] += 2 * error * seen / hidden.sum()
    return [loss, weight - lr * gradient]


@right("sgd_step")
def with_autograd(weight, values, hidden, lr):
    weight = weight.clone().requires_grad_()
    inputs = values.masked_fill(hidden, 0)
    loss = nn.functional.mse_loss((inputs @ weight)[hidden], values[hidden])
    loss.backward()
    return loss, weight - lr * weight.grad


class Regression:
    """A result that is a tuple with names, and a loss that carries its graph."""

    def __call__(self, weight, values, hidden, lr):
        weight = weight.double().requires_grad_()
        places = hidden.nonzero(as_tuple=True)
        inputs, truth = values.double().masked_fill(hidden, 0), values.double()
        loss = ((inputs @ weight)[places] - truth[places]).square().mean()
        (gradient,) = torch.autograd.grad(loss, weight, retain_graph=True)
        return Moved(loss, weight - lr * gradient)


Moved = namedtuple("Moved", ("loss", "weight"))
right("sgd_step")(Regression())


def step_with(inputs_of=lambda values, hidden: values * ~hidden, counted=lambda hidden: hidden, factor=1.0):
    """The answer with other inputs, other errors that count, or its gradient times a factor."""

    def answer(weight, values, hidden, lr):
        inputs, counts = inputs_of(values, hidden), counted(hidden)
        errors = (inputs @ weight - values) * counts
        times = factor(hidden) if callable(factor) else factor
        return errors.square().sum() / counts.sum(), weight - lr * times * 2 / counts.sum() * inputs.T @ errors

    return answer


wrong("sgd_step", "the sign is wrong")(step_with(factor=-1))
wrong("sgd_step", "the 2 of the square is missing")(step_with(factor=0.5))
wrong("sgd_step", "the mean is missing")(step_with(factor=lambda hidden: hidden.sum()))
wrong("sgd_step", "the mean and the 2")(step_with(factor=lambda hidden: hidden.sum() / 2))
wrong("sgd_step", "by the number of all values")(step_with(factor=lambda hidden: hidden.sum() / hidden.numel()))
wrong("sgd_step", "by the number of pictures, not")(step_with(factor=lambda hidden: hidden.sum() / len(hidden)))
wrong("sgd_step", "the weight did not move")(step_with(factor=0))
wrong("sgd_step", "a factor 2 is too much")(step_with(factor=2))
wrong("sgd_step", "by the number of visible values, not of hidden ones")(
    step_with(factor=lambda hidden: hidden.sum() / (~hidden).sum())
)
wrong("sgd_step", "the mean over the pictures: add them up")(step_with(factor=lambda hidden: 1 / len(hidden)))
wrong("sgd_step", "all errors count: those of visible values must not")(
    step_with(counted=lambda hidden: hidden | True)
)
wrong("sgd_step", "the errors of visible values count, those")(step_with(counted=lambda hidden: ~hidden))


@wrong("sgd_step", "the errors of visible values are added, too")
def all_errors_in_the_gradient(weight, values, hidden, lr):
    inputs = values * ~hidden
    errors, count = inputs @ weight - values, hidden.sum()
    return (errors * hidden).square().sum() / count, weight - lr * 2 * inputs.T @ errors / count


@wrong("sgd_step", "the errors of visible values are added, too")
def all_errors_by_the_hidden_ones(weight, values, hidden, lr):
    inputs = values * ~hidden
    errors, count = inputs @ weight - values, hidden.sum()
    return errors.square().sum() / count, weight - lr * 2 * inputs.T @ errors / count


@wrong("sgd_step", "that is divided by the number of pictures")
def by_pictures(weight, values, hidden, lr):
    loss, new = with_matrices(weight, values, hidden, lr)
    return loss * hidden.sum() / len(values), new


@wrong("sgd_step", "it is divided by the count of each picture")
def counts_of_pictures(weight, values, hidden, lr):
    inputs = values * ~hidden
    errors = (inputs @ weight - values) * hidden
    gradient = 2 * inputs.T @ (errors / hidden.sum(1, keepdim=True).clamp(min=1)) / len(values)
    return with_matrices(weight, values, hidden, lr)[0], weight - lr * gradient


@wrong("sgd_step", "the mean of the absolute errors")
def absolute_errors(weight, values, hidden, lr):
    errors = (values * ~hidden @ weight - values)[hidden]
    return errors.abs().mean(), with_matrices(weight, values, hidden, lr)[1]


@wrong("sgd_step", "the loss comes first")
def weight_first(weight, values, hidden, lr):
    return with_matrices(weight, values, hidden, lr)[::-1]


@wrong("sgd_step", "`lr` times the gradient: subtract it")
def scaled_gradient_alone(weight, values, hidden, lr):
    loss, new = with_matrices(weight, values, hidden, lr)
    return loss, weight - new


wrong("sgd_step", "the answer is given away")(step_with(lambda values, hidden: values))
wrong("sgd_step", "swapped in the inputs\n")(step_with(lambda values, hidden: values * hidden))
wrong("sgd_step", "swapped, everywhere")(step_with(lambda values, hidden: values * hidden, lambda hidden: ~hidden))


@wrong("sgd_step", "`lr` is missing")
def without_lr(weight, values, hidden, lr):
    return with_matrices(weight, values, hidden, 1.0)


@wrong("sgd_step", "it is divided by `lr`")
def divided_by_lr(weight, values, hidden, lr):
    return with_matrices(weight, values, hidden, 1 / lr)


@wrong("sgd_step", "that is the gradient: take a step")
def gradient_alone(weight, values, hidden, lr):
    loss, new = with_matrices(weight, values, hidden, 1.0)
    return loss, weight - new


@wrong("sgd_step", "the step stands in the place of the weight")
def step_alone(weight, values, hidden, lr):
    loss, new = with_matrices(weight, values, hidden, lr)
    return loss, new - weight


@wrong("sgd_step", "the gradient is transposed")
def transposed(weight, values, hidden, lr):
    inputs = values * ~hidden
    errors = (inputs @ weight - values) * hidden
    return errors.square().sum() / hidden.sum(), weight - lr * 2 * errors.T @ inputs / hidden.sum()


@wrong("sgd_step", "they enter as 0")
def true_inputs_in_the_gradient(weight, values, hidden, lr):
    errors = (values * ~hidden @ weight - values) * hidden
    return errors.square().sum() / hidden.sum(), weight - lr * 2 * values.T @ errors / hidden.sum()


@wrong("sgd_step", "the weight is transposed")
def as_nn_linear(weight, values, hidden, lr):
    loss, new = with_matrices(weight.T, values, hidden, lr)
    return loss, new.T


@wrong("sgd_step", "subtract the truth")
def without_truth(weight, values, hidden, lr):
    inputs = values * ~hidden
    loss, _ = with_matrices(weight, values, hidden, lr)
    return loss, weight - lr * 2 * inputs.T @ (inputs @ weight * hidden) / hidden.sum()


@wrong("sgd_step", "a larger one pulls harder")
def signs(weight, values, hidden, lr):
    inputs = values * ~hidden
    errors = (inputs @ weight - values) * hidden
    return errors.square().sum() / hidden.sum(), weight - lr * 2 * inputs.T @ errors.sign() / hidden.sum()


def step_by(pull):
    """The answer that moves against `pull(inputs, errors, gradient, weight)`."""

    def answer(weight, values, hidden, lr):
        loss, new = with_matrices(weight, values, hidden, 1.0)
        inputs = values * ~hidden
        errors = (inputs @ weight - values) * hidden
        return loss, weight - lr * pull(inputs, 2 / hidden.sum() * errors, weight - new, weight)

    return answer


for says, pull in {
    "the errors are squared": lambda inputs, errors, gradient, weight: (
        inputs.T @ errors.square() * (errors != 0).sum() / 2
    ),
    "the predictions stand in the place of the inputs": lambda inputs, errors, gradient, weight: (
        (inputs @ weight).T @ errors
    ),
    "the sign of the gradient is lost": lambda inputs, errors, gradient, weight: gradient.abs(),
    "the gradient is cut to the range": lambda inputs, errors, gradient, weight: gradient.clamp(-1, 1),
}.items():
    wrong("sgd_step", says)(step_by(pull))

for says, loss_of in {
    "the mean of the errors: square them": lambda errors: errors.mean(),
    "that is the square of the mean error": lambda errors: errors.mean() ** 2,
    "an error squared is not negative": lambda errors: -errors.square().mean(),
    "works for a black picture": lambda errors: errors[errors != 0].square().mean(),
    "works where a single value is hidden": lambda errors: errors.square().sum() / max(2, len(errors)),
}.items():

    @wrong("sgd_step", says)
    def another_loss(weight, values, hidden, lr, loss_of=loss_of):
        errors = (values * ~hidden @ weight - values)[hidden]
        return loss_of(errors), with_matrices(weight, values, hidden, lr)[1]


@wrong("sgd_step", "that is divided by the number of visible values")
def by_visible_values(weight, values, hidden, lr):
    loss, new = with_matrices(weight, values, hidden, lr)
    return loss * hidden.sum() / (~hidden).sum(), new


@wrong("sgd_step", "only the gradient is multiplied by `lr`")
def lr_times_all(weight, values, hidden, lr):
    loss, new = with_matrices(weight, values, hidden, 1.0)
    return loss, lr * new


@wrong("sgd_step", "the new weight is transposed")
def new_weight_transposed(weight, values, hidden, lr):
    loss, new = with_matrices(weight, values, hidden, lr)
    return loss, new.T


@wrong("sgd_step", "works for pictures of one value")
def squeezed_weight(weight, values, hidden, lr):
    loss, new = with_matrices(weight, values, hidden, lr)
    return loss, new.squeeze()


@wrong("sgd_step", "that is a sum")
def sum_of_squares(weight, values, hidden, lr):
    loss, new = with_matrices(weight, values, hidden, lr)
    return loss * hidden.sum(), new


@wrong("sgd_step", "divide by the number of hidden ones")
def mean_of_all(weight, values, hidden, lr):
    loss, new = with_matrices(weight, values, hidden, lr)
    return loss * hidden.float().mean(), new


@wrong("sgd_step", "take one mean over all hidden values")
def mean_of_means(weight, values, hidden, lr):
    squares = (values * ~hidden @ weight - values).square() * hidden
    return (squares.sum(1) / hidden.sum(1)).mean(), with_matrices(weight, values, hidden, lr)[1]


@wrong("sgd_step", "that is half of the mean")
def half_of_the_squares(weight, values, hidden, lr):
    loss, new = with_matrices(weight, values, hidden, lr)
    return loss / 2, (weight + new) / 2


@wrong("sgd_step", "that is the root of the loss")
def root_of_the_loss(weight, values, hidden, lr):
    loss, new = with_matrices(weight, values, hidden, lr)
    return loss.sqrt(), new


@wrong("sgd_step", "that is the loss after the step")
def loss_after(weight, values, hidden, lr):
    _, new = with_matrices(weight, values, hidden, lr)
    return with_matrices(new, values, hidden, lr)[0], new


@wrong("sgd_step", "expected two things, (loss, new weight)")
def weight_alone(weight, values, hidden, lr):
    return with_matrices(weight, values, hidden, lr)[1]


@wrong("sgd_step", "it changes its input in place")
def moves_in_place(weight, values, hidden, lr):
    loss, new = with_matrices(weight, values, hidden, lr)
    weight -= weight - new
    return loss, weight


@right("mask_of_step")
def two_numbers_in_one(shape, seed, step):
    generator = Generator().manual_seed(10_000 * seed + step)
    return torch.randint(0, 2, shape, generator=generator).float()


@right("mask_of_step")
def seed_sequence(shape, seed, step):
    [state] = np.random.SeedSequence((seed, step)).generate_state(1)
    return torch.rand(shape, generator=Generator().manual_seed(int(state))).round()


@right("mask_of_step")
def python_random(shape, seed, step):
    coins = random.Random(f"{seed} {step}")
    return torch.tensor([float(coins.random() < 0.5) for _ in range(math.prod(shape))]).view(shape)


@right("mask_of_step")
def uniform_numbers(shape, seed, step):
    coins = np.random.default_rng([seed, step]).random(shape, dtype=np.float32) < 0.5
    return torch.from_numpy(coins).float()


@right("mask_of_step")
def global_chance_restored(shape, seed, step):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed((step << 7) + seed)
        return torch.empty(shape).bernoulli_(0.5)


class Masks:
    """A seed for each step, and from there on the article's line."""

    def __call__(self, shape, seed, step):
        return torch.randint(2, shape, generator=Generator().manual_seed(100 * step + seed), dtype=torch.double)


right("mask_of_step")(Masks())


@right("mask_of_step")
def hash_of_two_numbers(shape, seed, step):
    return torch.randint(0, 2, shape, generator=Generator().manual_seed(hash((seed, step)) % 2**63)).float()


@wrong("mask_of_step", "two calls gave two masks")
def the_article(shape, seed, step):
    return torch.randint(0, 2, shape).float()


@wrong("mask_of_step", "two steps have one mask")
def seed_alone(shape, seed, step):
    return torch.randint(0, 2, shape, generator=Generator().manual_seed(seed)).float()


@wrong("mask_of_step", "two seeds have one mask: is `seed` used?")
def step_alone_as_seed(shape, seed, step):
    return torch.randint(0, 2, shape, generator=Generator().manual_seed(step)).float()


@wrong("mask_of_step", "32 bits")
def seed_above_32_bits(shape, seed, step):
    generator = Generator().manual_seed((seed << 32) + step)
    return torch.randint(0, 2, shape, generator=generator).float()


for number in (
    lambda seed, step: seed + step,
    lambda seed, step: seed * step,
    lambda seed, step: seed ^ step,
    lambda seed, step: 10 * seed + step,
    lambda seed, step: 1000 * seed + step,
    lambda seed, step: 9999 * seed + step,
    lambda seed, step: seed + 10 * step,
    lambda seed, step: seed + 99 * step,
    lambda seed, step: int(f"{seed}{step}"),
    lambda seed, step: int(f"{seed}{step:03}"),
    lambda seed, step: seed + step * step,
    lambda seed, step: seed * seed + step,
    lambda seed, step: abs(seed - step),
    lambda seed, step: 31 * seed + 17 * step,
    lambda seed, step: seed << 13 | step,
    lambda seed, step: 7919 * seed + step,
    lambda seed, step: (10_000 * seed + step) % 65_536,
    lambda seed, step: 10_000 * seed + step % 4096,
    lambda seed, step: 10_000 * seed + min(step, 999),
):

    @wrong("mask_of_step", "share a mask")
    def pairs_share_a_number(shape, seed, step, number=number):
        generator = Generator().manual_seed(number(seed, step))
        return torch.randint(0, 2, shape, generator=generator).float()


@wrong("mask_of_step", "expected real numbers, got whole numbers")
def whole_numbers(shape, seed, step):
    return two_numbers_in_one(shape, seed, step).long()


@wrong("mask_of_step", "expected only 0 and 1")
def not_rounded(shape, seed, step):
    return torch.rand(shape, generator=Generator().manual_seed(10_000 * seed + step))


@wrong("mask_of_step", "`randint` leaves out its upper end")
def only_zeros(shape, seed, step):
    return torch.randint(0, 1, shape, generator=Generator().manual_seed(10_000 * seed + step)).float()


@wrong("mask_of_step", "are 1, expected about half")
def hides_sixty_percent(shape, seed, step):
    generator = Generator().manual_seed(10_000 * seed + step)
    return (torch.rand(shape, generator=generator) > 0.6).float()


@wrong("mask_of_step", "all pictures have the same mask")
def one_for_the_batch(shape, seed, step):
    return two_numbers_in_one(shape[1:], seed, step).expand(shape)


@wrong("mask_of_step", "all channels have the same mask")
def one_for_all_channels(shape, seed, step):
    return two_numbers_in_one((shape[0], 1, *shape[2:]), seed, step).expand(shape)


def mask_by(draw):
    """The answer that makes a mask by `draw(shape, generator)`, with a seed for each pair."""
    return lambda shape, seed, step: draw(shape, Generator().manual_seed(10_000 * seed + step))


def blocks(shape, generator):
    coins = torch.randint(0, 2, (*shape[:2], *(size // 2 + 1 for size in shape[2:])), generator=generator)
    return coins.repeat_interleave(2, 2).repeat_interleave(2, 3)[..., : shape[2], : shape[3]].float()


def exactly_half(shape, generator):
    order = torch.randperm(math.prod(shape), generator=generator)
    return (order < len(order) // 2).float().view(shape)


def visible_corner(shape, generator):
    mask = torch.randint(0, 2, shape, generator=generator).float()
    mask[..., 0, 0] = 1
    return mask


def every_second_inverted(shape, generator):
    mask = torch.randint(0, 2, shape[1:], generator=generator).float()
    return torch.stack([mask if picture % 2 else 1 - mask for picture in range(shape[0])])


for says, draw in {
    "one coin is thrown for a whole row": lambda shape, generator: (
        torch.randint(0, 2, (*shape[:3], 1), generator=generator).float().expand(shape)
    ),
    "all rows of a picture have the same mask": lambda shape, generator: (
        torch.randint(0, 2, (*shape[:2], 1, shape[3]), generator=generator).float().expand(shape)
    ),
    "neighbours are equal in": blocks,
    "neighbours are equal in 0% of the places": every_second_inverted,
    "ones of 128: these are no coins": exactly_half,
    "some places are 1 more often than others": visible_corner,
    "% are 1, expected about half": lambda shape, generator: (
        torch.rand(shape, generator=generator) < 0.53
    ).float(),
    "expected the shape": lambda shape, generator: (
        torch.randint(0, 2, shape, generator=generator).float().squeeze()
    ),
    "got True and False": lambda shape, generator: torch.randint(0, 2, shape, generator=generator).bool(),
}.items():
    wrong("mask_of_step", says)(mask_by(draw))


@wrong("mask_of_step", "of pictures 1 and 0")
def a_seed_for_each_picture(shape, seed, step):
    pictures = [two_numbers_in_one(shape[1:], seed, step + picture) for picture in range(shape[0])]
    return torch.stack(pictures)


@wrong("mask_of_step", "is just what seed")
def opposite_in_odd_steps(shape, seed, step):
    mask = two_numbers_in_one(shape, seed, step // 2)
    return 1 - mask if step % 2 else mask


@wrong("mask_of_step", "leaves global chance alone")
def seeds_the_notebook(shape, seed, step):
    torch.manual_seed(10_000 * seed + step)
    return torch.randint(0, 2, shape).float()


@wrong("mask_of_step", "in another process")
def hash_of_a_text(shape, seed, step):
    return torch.randint(0, 2, shape, generator=Generator().manual_seed(hash(f"{seed} {step}"))).float()


@wrong("mask_of_step", "with TypeError")
def passes_the_generator_as_shape(shape, seed, step):
    return torch.randint(0, 2, Generator().manual_seed(10_000 * seed + step), shape).float()


@wrong("mask_of_step", "`int` and `ceil` round one way")
def fractions_cut_off(shape, seed, step):
    return torch.rand(shape, generator=Generator().manual_seed(10_000 * seed + step)).int().float()


@wrong("mask_of_step", "has one mask twice, of pictures 0 and 1")
def small_masks_for_all_pictures(shape, seed, step):
    mask = two_numbers_in_one(shape, seed, step)
    return mask if len(mask) > 2 else mask[:1].expand(shape)


@wrong("sgd_step", "visible predictions are compared with 0")
def visible_targets_of_zero(weight, values, hidden, lr):
    inputs = values * ~hidden
    errors, count = inputs @ weight - values * hidden, hidden.sum()
    return errors.square().sum() / count, weight - lr * 2 * inputs.T @ errors / count


@wrong("clip_gradients", "the root is taken of the sum of the norms")
def root_of_the_norms(gradients, max_norm):
    norm = sum(gradient.norm() for gradient in gradients).sqrt()
    return [gradient * (max_norm / norm if norm > max_norm else 1) for gradient in gradients]


@wrong("layer_scales", "ask for its blocks and norm first")
def encoder_first(names, blocks, decay):
    return {name: decay ** (blocks + 1) if name.startswith("encoder.") else 1.0 for name in names}


@wrong("layer_scales", "every norm is taken for the last one")
def any_norm_at_the_top(names, blocks, decay):
    return {name: 1.0 if "norm" in name else scale for name, scale in by_number(names, blocks, decay).items()}


@wrong("layer_scales", "is no layer of its own")
def norm_between_blocks_and_head(names, blocks, decay):
    scales = by_number(names, blocks, decay)
    return {name: decay * scale if name.startswith("encoder.") else scale for name, scale in scales.items()}
