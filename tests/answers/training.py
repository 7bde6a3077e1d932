"""Answers to the exercises on training (lesson 05)."""

import math
import random
from collections import defaultdict

import numpy as np
import torch
from einops import einsum
from torch import Generator, nn

from answers import right, wrong
from simmim_lab.training import Recipe, parameter_groups


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


@wrong("split_photographs", "expected places such as 0, 3, 4")
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


@wrong("split_photographs", "is one drawn twice?")
def photographs_of_random_crops(photographs, count, generator):
    crops = torch.randint(len(photographs), (count,), generator=generator)
    chosen = {photographs[crop] for crop in [*crops[1:], crops[1]]}
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


@wrong("split_photographs", "were never in validation")
def never_the_last_one(photographs, count, generator):
    names = sorted(set(photographs))
    chosen = {names[place] for place in torch.randperm(len(names) - 1, generator=generator)[:count]}
    validation = [place for place, name in enumerate(photographs) if name in chosen]
    return [place for place, name in enumerate(photographs) if name not in chosen], validation


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
        torch.tensor(min_lr), torch.tensor(lr), (1 + torch.tensor(torch.pi * (done - warmup) / (1 - warmup)).cos()) / 2
    )


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
    "it rises: at the end of the warm-up": lambda p, done, lr, low, w: lr + (low - lr) * wave(p / 2),
}.items():
    wrong("lr_at", says)(after_warmup(fall))


@wrong("lr_at", "the cosine alone")
def no_warmup(done, lr, min_lr, warmup):
    return min_lr + (lr - min_lr) * wave(done / 2)


@wrong("lr_at", "the rate is constant")
def constant(done, lr, min_lr, warmup):
    return lr


@wrong("lr_at", "it rises too slowly")
def not_divided(done, lr, min_lr, warmup):
    return lr * done if done < warmup else formula(done, lr, min_lr, warmup)


@wrong("lr_at", "starts at 0, not at `min_lr`")
def from_min_lr(done, lr, min_lr, warmup):
    return min_lr + (lr - min_lr) * done / warmup if done < warmup else formula(done, lr, min_lr, warmup)


@wrong("lr_at", "a straight line, not a curve")
def cosine_warmup(done, lr, min_lr, warmup):
    return lr * (1 - wave(done / warmup / 2)) if done < warmup else formula(done, lr, min_lr, warmup)


@wrong("lr_at", "how high is the rate then?")
def share_of_the_warmup(done, lr, min_lr, warmup):
    return done / warmup if done < warmup else formula(done, lr, min_lr, warmup)


@wrong("lr_at", "a cosine that begins at once, and a straight line too")
def product(done, lr, min_lr, warmup):
    return no_warmup(done, lr, min_lr, warmup) * (min(1, done / warmup) if warmup else 1)


@wrong("lr_at", "with ZeroDivisionError")
def divides_by_no_warmup(done, lr, min_lr, warmup):
    line = done / warmup
    return lr * line if line < 1 else formula(done, lr, min_lr, warmup)


@right("decaying")
def comprehension(shapes):
    spared = ("positions", "table", "_token")
    return {name for name, shape in shapes.items() if len(shape) > 1 and not name.endswith(spared)}


@right("decaying")
def loop(shapes):
    names = set()
    for name, shape in shapes.items():
        last = name.split(".")[-1]
        if len(shape) < 2 or last in ("positions", "table") or last.endswith("_token"):
            continue
        names.add(name)
    return names


@right("decaying")
def as_the_package(shapes):
    class Model:
        def named_parameters(self):
            return [(name, torch.empty(shape)) for name, shape in shapes.items()]

    ids = {id(parameter) for parameter in (decay := parameter_groups(named := Fixed(shapes), 0.05)[0]["params"])}
    return {name for name, parameter in named.named_parameters() if id(parameter) in ids and decay}
