"""Answers to the exercises on the family of masked image modelling (lesson 11)."""

import math
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from einops import einsum, rearrange, reduce, repeat

from answers import right, wrong

# keep_visible


@right("keep_visible")
def picked_by_the_mask(tokens, mask):
    return tokens[~mask.flatten(1)].view(len(tokens), -1, tokens.shape[2])


@right("keep_visible")
def image_by_image(tokens, mask):
    return torch.stack([image[~hidden.flatten()] for image, hidden in zip(tokens, mask, strict=True)])


@right("keep_visible")
@torch.compile
def gathered(tokens, mask):
    visible = (~rearrange(mask, "b r c -> b (r c)")).int()
    order = visible.argsort(dim=1, descending=True, stable=True)
    places = order[:, : visible[0].sum()]
    return torch.take_along_dim(tokens, places[..., None], dim=1)


@right("keep_visible")
def multiplied_by_a_table(tokens, mask):
    """A table of 0 and 1 with a row for each visible token."""
    table = [torch.eye(tokens.shape[1])[(~hidden).flatten()] for hidden in mask]
    return einsum(torch.stack(table), tokens, "b visible n, b n d -> b visible d")


def kept(tokens, mask):
    return torch.stack([image[~hidden.flatten()] for image, hidden in zip(tokens, mask, strict=True)])


TASK = "keep_visible"
wrong(TASK, "these are the tokens of the hidden patches")(lambda t, m: kept(t, ~m))
wrong(TASK, "hidden tokens are set to 0")(lambda t, m: t.masked_fill(m.flatten(1).unsqueeze(-1), 0))
wrong(TASK, "nothing is left out")(lambda t, m: t.clone())
wrong(TASK, "the mask of the first image is used for all")(lambda t, m: t[:, (~m[0]).flatten().nonzero()[:, 0]])
wrong(TASK, "the first tokens are kept")(lambda t, m: t[:, : t.shape[1] - m[0].sum()])
wrong(TASK, "the last tokens are kept")(lambda t, m: t[:, m[0].sum() :])
wrong(TASK, "all images share one list")(lambda t, m: t[torch.logical_not(m.flatten(1))])
wrong(TASK, "read column by column")(lambda t, m: kept(t, rearrange(m, "b r c -> b c r")))
wrong(TASK, "the tokens are in the opposite order")(lambda t, m: kept(t.flip(1), m.flatten(1).flip(1)))
wrong(TASK, "the tokens of the images are mixed")(
    lambda t, m: rearrange(t[~m.flatten(1)], "(v b) d -> b v d", b=len(t))
)
wrong(TASK, "(batch, visible, dim)")(lambda t, m: kept(t, m).permute(0, 2, 1))
wrong(TASK, "the first axis counts the tokens")(lambda t, m: torch.stack([*kept(t, m)], dim=1))
wrong(TASK, "these are the places of the visible patches")(
    lambda t, m: torch.stack([torch.where(~hidden.flatten())[0] for hidden in m])
)
wrong(TASK, "the visible tokens come first, but the hidden ones are still there")(
    lambda t, m: t.take_along_dim(m.flatten(1).int().argsort(dim=1, stable=True)[..., None], 1)
)


def unstable_order(mask):
    """The order that sorts a mask, but, where there are many keys, not equal ones in theirs."""
    hidden = mask.flatten(1).int()
    places = torch.arange(hidden.shape[1])
    return (hidden * 2 * len(places) + (places ^ 1 if len(places) > 16 else places)).argsort(1)


@wrong(TASK, "`stable=True` keeps that of equal keys")
def sorted_unstably(tokens, mask):
    order = unstable_order(mask)[:, : (~mask[0]).sum()]
    return tokens.gather(1, order[..., None].expand(-1, -1, tokens.shape[2]))


wrong(TASK, "`stable=True` keeps that of equal keys")(
    lambda t, m: t.take_along_dim(
        (m.flatten(1) * m[0].numel() * 2 + (torch.arange(m[0].numel()) ^ 1)).argsort(1)[:, : (~m[0]).sum(), None],
        1,
    )
)
wrong(TASK, "averaged: keep each")(lambda t, m: (t * ~m.flatten(1)[..., None]).sum(1) / (~m).sum((1, 2))[:, None])
wrong(TASK, "in one long list")(lambda t, m: kept(t, m).reshape(len(t), -1))
wrong(TASK, "expected the shape")(lambda t, m: kept(t, m)[:, :, :1])
wrong(TASK, "does `squeeze` drop an axis")(lambda t, m: kept(t, m).squeeze(0))


@wrong(TASK, "leaves its inputs as they are")
def zeroed_in_place(tokens, mask):
    tokens[mask.flatten(1)] = 0
    return tokens[tokens.abs().sum(2) > 0].view(len(tokens), -1, tokens.shape[2])


wrong(TASK, "lets the gradient through")(lambda t, m: kept(t.detach(), m))
wrong(TASK, "works if all or one are visible")(
    lambda t, m: kept(t, m) if m.any() else torch.zeros(len(t), 0, t.shape[2])
)


@wrong(TASK, "and for tokens of 0")
def tokens_that_are_not_0(tokens, mask):
    shown = tokens.masked_fill(mask.flatten(1)[..., None], 0)
    return torch.stack([image[image.abs().sum(1) > 0] for image in shown])


# put_back


@right("put_back")
def into_mask_tokens(visible, mask, mask_token):
    tokens = mask_token.expand(len(mask), mask[0].numel(), -1).clone()
    tokens[~mask.flatten(1)] = visible.reshape(-1, len(mask_token))
    return tokens


@right("put_back")
@torch.compile
def counted(visible, mask, mask_token):
    """The number of visible places before a place says which token is its."""
    hidden = mask.flatten(1)
    number = ((~hidden).cumsum(1) - 1).clamp(min=0)
    return torch.where(hidden[..., None], mask_token, visible.take_along_dim(number[..., None], 1))


@right("put_back")
def sorted_twice(visible, mask, mask_token):
    order = mask.flatten(1).byte().argsort(dim=1, stable=True)
    rest = repeat(mask_token, "d -> b n d", b=len(mask), n=order.shape[1] - visible.shape[1])
    return torch.cat([visible, rest], 1).take_along_dim(order.argsort(1)[..., None], 1)


@right("put_back")
def with_masked_scatter(visible, mask, mask_token):
    where = (~mask.flatten(1))[..., None].expand(-1, -1, len(mask_token))
    return mask_token.expand(where.shape).masked_scatter(where, visible)


@right("put_back")
def token_by_token(visible, mask, mask_token):
    def image(tokens, hidden):
        rest = iter(tokens)
        return torch.stack([mask_token if gone else next(rest) for gone in hidden.flatten().tolist()])

    return torch.stack([image(*pair) for pair in zip(visible, mask, strict=True)])


def back(visible, mask, token):
    tokens = token.repeat(*mask.flatten(1).shape, 1)
    tokens[~mask.flatten(1)] = visible.flatten(0, 1)
    return tokens


TASK = "put_back"


@wrong(TASK, "True is hidden: the visible tokens go where the mask is False")
def into_hidden_places(visible, mask, mask_token):
    tokens = mask_token.repeat(*mask.flatten(1).shape, 1)
    tokens[mask.flatten(1)] = visible.flatten(0, 1)
    return tokens


@wrong(TASK, "hidden places hold 0")
def into_zeros(visible, mask, mask_token):
    tokens = torch.zeros(*mask.flatten(1).shape, len(mask_token))
    tokens[~mask.flatten(1)] = visible.flatten(0, 1)
    return tokens + 0 * mask_token


wrong(TASK, "hidden places hold the mean of the mask token")(lambda v, m, t: back(v, m, t.mean().repeat(len(t))))
wrong(TASK, "the mask token is added to visible tokens, too")(
    lambda v, m, t: torch.where(m.flatten(1)[..., None], t, back(v, m, t) + t)
)
wrong(TASK, "so hidden places have it twice")(lambda v, m, t: t + back(v, m, t))
wrong(TASK, "the visible tokens come first, then mask tokens")(
    lambda v, m, t: torch.cat([v, t.repeat(len(v), m[0].sum(), 1)], dim=1)
)
wrong(TASK, "the mask tokens come first, then visible ones")(
    lambda v, m, t: torch.cat([t.repeat(len(v), m[0].sum(), 1), v], dim=1)
)


@wrong(TASK, "a second `argsort`")
def one_argsort(visible, mask, mask_token):
    order = mask.flatten(1).byte().argsort(dim=1, stable=True)
    tokens = torch.cat([visible, mask_token.repeat(len(visible), int(mask[0].sum()), 1)], 1)
    return tokens.take_along_dim(order[..., None], 1)


@wrong(TASK, "`stable=True` keeps that of equal keys")
def sorted_twice_unstably(visible, mask, mask_token):
    places = unstable_order(mask).argsort(1)
    rest = mask_token.expand(len(mask), places.shape[1] - visible.shape[1], -1)
    return torch.cat([visible, rest], 1).take_along_dim(places[..., None], 1)


wrong(TASK, "the visible tokens are put back in the opposite order")(lambda v, m, t: back(v.flip(1), m, t))
wrong(TASK, "read column by column")(lambda v, m, t: back(v, m.permute(0, 2, 1), t))
wrong(TASK, "the mask of the first image is used for all")(
    lambda v, m, t: back(v, torch.stack([m[0]] * len(m)), t)
)
wrong(TASK, "the tokens of the images are mixed")(
    lambda v, m, t: back(rearrange(v, "b n d -> n b d").reshape(v.shape), m, t)
)
wrong(TASK, "only the visible tokens are there")(lambda v, m, t: v.clone())
wrong(TASK, "all places hold the mask token")(lambda v, m, t: t.expand(len(m), m[0].numel(), -1))
wrong(TASK, "the result is a grid")(lambda v, m, t: back(v, m, t).reshape(*m.shape, -1))
wrong(TASK, "(batch, tokens, dim)")(lambda v, m, t: rearrange(back(v, m, t), "b n d -> b d n"))
wrong(TASK, "all images share one list")(lambda v, m, t: rearrange(back(v, m, t), "b n d -> (b n) d"))
wrong(TASK, "no gradient reaches argument 3")(lambda v, m, t: back(v, m, t.detach()))
wrong(TASK, "lets the gradient through")(lambda v, m, t: back(v.data, m, t.data))
wrong(TASK, "puts each visible token into its place, and the mask token where it is hidden expected")(
    lambda v, m, t: torch.where(m.flatten(1)[..., None], t, back(v, m, t) / 2)
)


@wrong(TASK, "leaves its inputs as they are")
def scaled_token(visible, mask, mask_token):
    mask_token *= 2
    return back(visible, mask, mask_token / 2)


@wrong(TASK, "and for tokens of 0")
def gaps_found_by_their_0(visible, mask, mask_token):
    tokens = back(visible, mask, torch.zeros_like(mask_token))
    return torch.where((tokens == 0).all(2, keepdim=True), mask_token, tokens)


# hardest_mask


@right("hardest_mask")
def by_ranks(errors, ratio):
    ranks = errors.flatten(1).argsort(dim=1, descending=True).argsort(dim=1)
    return (ranks < math.ceil(ratio * errors.shape[1] * errors.shape[2])).view_as(errors)


@right("hardest_mask")
@torch.compile
def first_in_order(errors, ratio):
    rows, cols = errors.shape[1:]
    order = rearrange(-errors, "b r c -> b (r c)").sort(dim=1, stable=True).indices
    places = order[:, : math.ceil(ratio * rows * cols)]
    hidden = F.one_hot(places, rows * cols).sum(1) > 0
    return rearrange(hidden, "b (r c) -> b r c", r=rows)


@right("hardest_mask")
def picture_by_picture_in_python(errors, ratio):
    masks = []
    for image in errors:
        values = image.flatten().tolist()
        count = math.ceil(ratio * len(values))
        hidden = sorted(range(len(values)), key=lambda place: values[place])[len(values) - count :]
        masks.append(torch.tensor([place in hidden for place in range(len(values))]).view(image.shape))
    return torch.stack(masks)


@right("hardest_mask")
def partitioned(errors, ratio):
    flat = errors.double().numpy().reshape(len(errors), -1)
    count = math.ceil(ratio * flat.shape[1])
    hidden = np.zeros(flat.shape, dtype=bool)
    np.put_along_axis(hidden, np.argsort(-flat, axis=1)[:, :count], True, axis=1)
    return torch.from_numpy(hidden).reshape(errors.shape)


def hidden(score=lambda e: e, count=math.ceil):
    """The so many patches with the largest score."""

    def answer(errors, ratio):
        places = score(errors).flatten(1).sort(1, descending=True).indices
        mask = torch.zeros(len(errors), errors[0].numel(), dtype=torch.bool)
        mask.scatter_(1, places[:, : max(0, count(ratio * errors[0].numel()))], True)
        return mask.reshape(errors.shape)

    return answer


TASK = "hardest_mask"
wrong(TASK, "the easiest patches are hidden: the largest errors count")(hidden(lambda e: 1 - e))
wrong(TASK, "True and False are swapped")(lambda e, r: ~hidden()(e, r))
wrong(TASK, "`int` goes down")(hidden(count=int))
wrong(TASK, "`round` may go down")(hidden(count=round))
wrong(TASK, "a very small part is not rounded up")(hidden(count=lambda n: int(n + 0.9)))
wrong(TASK, "each image hides the places of all")(lambda e, r: hidden()(e, r).sum(0).bool().repeat(len(e), 1, 1))
wrong(TASK, "one patch too many")(hidden(count=lambda n: math.ceil(n) + 1))
wrong(TASK, "one patch too few")(hidden(count=lambda n: math.ceil(n) - 1))
wrong(TASK, "`ratio` is the share to hide")(lambda e, r: hidden()(e, 1 - r))
wrong(TASK, "the easiest are hidden, as many as should be shown")(lambda e, r: hidden(lambda x: -x)(e, 1 - r))


@wrong(TASK, "is a chosen patch set to 0, and chosen again?")
def chosen_are_set_to_0(errors, ratio):
    left, mask = errors.flatten(1).clone(), torch.zeros_like(errors, dtype=torch.bool)
    for _ in range(math.ceil(ratio * left.shape[1])):
        place = left.argmax(1, keepdim=True)
        mask.view(left.shape).scatter_(1, place, True)
        left.scatter_(1, place, 0.0)
    return mask


@wrong(TASK, "the patches of all images are ranked together")
def whole_batch(errors, ratio):
    count = math.ceil(ratio * errors[0].numel()) * len(errors)
    mask = torch.zeros(errors.numel(), dtype=torch.bool)
    mask[errors.flatten().topk(count).indices] = True
    return mask.view_as(errors)


wrong(TASK, "the errors of the batch are averaged")(hidden(lambda e: e.mean(0, keepdim=True).repeat(len(e), 1, 1)))
wrong(TASK, "the first image decides for all")(hidden(lambda e: e[0].repeat(len(e), 1, 1)))
wrong(TASK, "`argsort` gives places in the order")(
    lambda e, r: ((-e).flatten(1).argsort(1) < math.ceil(r * e[0].numel())).view_as(e)
)
wrong(TASK, "the hardest of each row are hidden")(
    lambda e, r: (-e).argsort(2).argsort(2) < math.ceil(r * e.shape[2])
)
wrong(TASK, "`ratio` is taken for a limit")(lambda e, r: e.gt(r))
wrong(TASK, "what is above the mean is hidden")(lambda e, r: e > reduce(e, "b r c -> b 1 1", "mean"))
wrong(TASK, "a quantile may lie between two patches")(
    lambda e, r: e > torch.quantile(e.flatten(1), 1 - r, dim=1).view(-1, 1, 1)
)
wrong(TASK, "the first patches are hidden")(
    hidden(lambda e: torch.zeros_like(e) - torch.arange(e[0].numel()).view(e[0].shape))
)
wrong(TASK, "rows and columns of the mask are swapped")(lambda e, r: hidden()(e, r).transpose(1, 2))
wrong(TASK, "the mask is a list")(lambda e, r: hidden()(e, r).flatten(1))
wrong(TASK, "True and False, not numbers")(lambda e, r: hidden()(e, r).double())
wrong(TASK, "these are the places of the hardest patches")(
    lambda e, r: (-e).flatten(1).argsort(1)[:, : math.ceil(r * e[0].numel())]
)
wrong(TASK, "is there a limit? Count places instead")(
    lambda e, r: (
        e >= e.flatten(1).sort(1, descending=True).values[:, math.ceil(r * e[0].numel()) - 1].view(-1, 1, 1)
        if r > 0
        else e < 0
    )
)
wrong(TASK, "works if all or none is hidden")(
    lambda e, r: hidden()(e, r) if r else torch.ones_like(e, dtype=torch.bool)
)
wrong(TASK, "hides the ceil(ratio * patches) patches with the largest errors expected")(
    hidden(lambda e: (5 * e).round())
)
wrong(TASK, "may be just below a whole number")(
    lambda e, r: hidden(count=lambda _: e[0].numel() - int((1 - r) * e[0].numel()))(e, r)
)
wrong(TASK, "for infinite errors")(hidden(lambda e: e / e.amax((1, 2), keepdim=True)))
wrong(TASK, "for errors that hardly differ")(hidden(lambda e: e.half()))
wrong(TASK, "`[-0:]` is the whole list")(
    lambda e, r: (
        torch.zeros_like(e, dtype=torch.bool)
        .flatten(1)
        .scatter(1, e.flatten(1).argsort(1)[:, -math.ceil(r * e[0].numel()) :], True)
        .view(e.shape)
    )
)
wrong(TASK, "where the count is whole")(hidden(count=lambda n: int(n) + 1))
wrong(TASK, "ranked and counted together")(lambda e, r: hidden()(e.flatten()[None, :, None], r).view(e.shape))

# tube_mask


@right("tube_mask")
def drawn_and_repeated(batch, frames, grid, ratio, generator):
    rows, cols = grid
    count = math.ceil(ratio * rows * cols)
    ranks = torch.rand(batch, rows * cols, generator=generator).argsort(1).argsort(1)
    return (ranks < count).view(batch, 1, rows, cols).repeat(1, frames, 1, 1)


@right("tube_mask")
def clip_by_clip(batch, frames, grid, ratio, generator):
    clips = []
    for _ in range(batch):
        frame = torch.zeros(grid[0] * grid[1], dtype=torch.bool)
        frame[torch.randperm(len(frame), generator=generator)[: math.ceil(ratio * len(frame))]] = True
        clips.append(torch.stack([frame.view(*grid)] * frames))
    return torch.stack(clips)


@right("tube_mask")
@torch.compile
def with_einops(batch, frames, grid, ratio, generator):
    noise = torch.rand(batch, grid[0] * grid[1], generator=generator, dtype=torch.float64)
    places = noise.topk(math.ceil(ratio * grid[0] * grid[1]), dim=1).indices
    mask = torch.zeros(noise.shape, dtype=torch.bool).scatter(1, places, True)
    return repeat(mask, "b (r c) -> b t r c", t=frames, r=grid[0])


@right("tube_mask")
def expanded(batch, frames, grid, ratio, generator):
    patches = math.prod(grid)
    hidden = torch.arange(patches) < math.ceil(ratio * patches)
    orders = torch.stack([torch.randperm(patches, generator=generator) for _ in range(batch)])
    return hidden[orders].view(batch, *grid).unsqueeze(1).expand(-1, frames, -1, -1)


def drawn(batch, grid, ratio, generator, count=math.ceil):
    """Masks of pictures."""
    patches = math.prod(grid)
    ranks = torch.rand(batch, patches, generator=generator).argsort(1).argsort(1)
    return (ranks < count(ratio * patches)).view(batch, *grid)


def tubes(batch, frames, grid, ratio, generator, count=math.ceil):
    return drawn(batch, grid, ratio, generator, count)[:, None].repeat(1, frames, 1, 1)


TASK = "tube_mask"
wrong(TASK, "each frame hides other places")(
    lambda b, f, g, r, generator: drawn(b * f, g, r, generator).view(b, f, *g)
)
wrong(TASK, "`view` or `reshape` mixes the axes")(
    lambda b, f, g, r, generator: drawn(b, g, r, generator).repeat(f, 1, 1).view(b, f, *g)
)
wrong(TASK, "`view` or `reshape` mixes the axes")(
    lambda b, f, g, r, generator: drawn(b, g, r, generator).repeat_interleave(f, 0).view(f, b, *g).transpose(0, 1)
)
wrong(TASK, "`view` or `reshape` mixes the axes")(
    lambda b, f, g, r, generator: drawn(b, g, r, generator)[..., None].repeat(1, 1, 1, f).view(b, f, *g)
)
wrong(TASK, "the frames hide different numbers of places")(
    lambda b, f, g, r, generator: torch.rand(b, f, *g, generator=generator) < r
)
wrong(TASK, "not frame by frame or all together")(
    lambda b, f, g, r, generator: drawn(b, (f * g[0], g[1]), r, generator).view(b, f, *g)
)
wrong(TASK, "the first axis counts the frames")(
    lambda b, f, g, r, generator: tubes(b, f, g, r, generator).transpose(0, 1)
)
wrong(TASK, "the frames are the last axis")(
    lambda b, f, g, r, generator: drawn(b, g, r, generator)[..., None].expand(-1, -1, -1, f)
)
wrong(TASK, "the frames are missing")(lambda b, f, g, r, generator: drawn(b, g, r, generator))
wrong(TASK, "there is one frame: repeat it")(lambda b, f, g, r, generator: drawn(b, g, r, generator)[:, None])
wrong(TASK, "the frames of all clips are in one list")(
    lambda b, f, g, r, generator: drawn(b, g, r, generator).repeat_interleave(f, 0)
)
wrong(TASK, "the places are in a list")(lambda b, f, g, r, generator: tubes(b, f, g, r, generator).flatten(2))


@wrong(TASK, "the first frame is shown whole")
def first_frame_whole(batch, frames, grid, ratio, generator):
    mask = tubes(batch, frames, grid, ratio, generator)
    mask[:, 0] = False
    return mask


@wrong(TASK, "the last frame is shown whole")
def last_frame_whole(batch, frames, grid, ratio, generator):
    mask = tubes(batch, frames, grid, ratio, generator)
    mask[:, -1] = False
    return mask


wrong(TASK, "`int` goes down")(lambda b, f, g, r, generator: tubes(b, f, g, r, generator, int))
wrong(TASK, "`round` may go down")(lambda b, f, g, r, generator: tubes(b, f, g, r, generator, round))
wrong(TASK, "True and False are swapped")(lambda b, f, g, r, generator: ~tubes(b, f, g, r, generator))
wrong(TASK, "`ratio` is the share to hide")(lambda b, f, g, r, generator: tubes(b, f, g, 1 - r, generator))
wrong(TASK, "is it a coin for each patch?")(
    lambda b, f, g, r, generator: (torch.rand(b, 1, *g, generator=generator) < r).repeat(1, f, 1, 1)
)
wrong(TASK, "all images of the batch have the same mask")(
    lambda b, f, g, r, generator: drawn(1, g, r, generator)[:, None].repeat(b, f, 1, 1)
)
wrong(TASK, "each call gave the same mask")(
    lambda b, f, g, r, generator: tubes(b, f, g, r, torch.Generator().manual_seed(generator.initial_seed()))
)
wrong(TASK, "two generators of one seed gave two masks")(lambda b, f, g, r, generator: tubes(b, f, g, r, None))
wrong(TASK, "expected True and False, got real numbers")(
    lambda b, f, g, r, generator: tubes(b, f, g, r, generator).float()
)
wrong(TASK, "expected the shape (")(lambda b, f, g, r, generator: tubes(b, f, g, r, generator).squeeze(1))


@right("tube_mask")
def with_another_name_for_the_generator(batch, frames, grid, ratio, chance):
    return tubes(batch, frames, grid, ratio, chance)


# mae_cost


@right("mae_cost")
def with_a_function_for_blocks(tokens, ratio, encoder, decoder):
    def work(n, dim, depth):
        return depth * n * (24 * dim**2 + 4 * n * dim)

    seen = tokens - math.ceil(ratio * tokens)
    return (work(seen, *encoder) + work(tokens, *decoder)) / work(tokens, *encoder)


@right("mae_cost")
def in_one_formula(tokens, ratio, encoder, decoder):
    (d, depth), (e, layers) = encoder, decoder
    v = math.floor(tokens - ratio * tokens + 1e-9)
    return v * (6 * d + v) / (tokens * (6 * d + tokens)) + layers * e * (6 * e + tokens) / (
        depth * d * (6 * d + tokens)
    )


@right("mae_cost")
@torch.compile
def product_by_product(tokens, ratio, encoder, decoder):
    total = {}
    shown = tokens - math.ceil(ratio * tokens)
    for name, n, (d, depth) in (
        ("mae", shown, encoder),
        ("mae", tokens, decoder),
        ("simmim", tokens, encoder),
    ):
        products = [n * d * 3 * d, n * n * d, n * n * d, n * d * d, 2 * n * d * 4 * d]
        total[name] = total.get(name, 0) + 2 * depth * sum(products)
    return torch.tensor(total["mae"] / total["simmim"], dtype=torch.float64)


@right("mae_cost")
def in_numpy(tokens, ratio, encoder, decoder):
    n = np.array([tokens - np.ceil(ratio * tokens), tokens, tokens])
    dim, depth = np.array([encoder, decoder, encoder]).T
    visible, decoded, simmim = depth * (24 * n * dim**2 + 4 * n**2 * dim)
    return float((visible + decoded) / simmim)


def flop(n, dim, depth, square=24, mix=4):
    return depth * (square * n * dim * dim + mix * n * n * dim)


def cost(
    seen=lambda n, r: n - math.ceil(r * n),
    decoded=lambda n, r: n,
    of=lambda e, d, s: (e + d) / s,
    **factors,
):
    return lambda n, r, encoder, decoder: of(
        flop(seen(n, r), *encoder, **factors),
        flop(decoded(n, r), *decoder, **factors),
        flop(n, *encoder, **factors),
    )


TASK = "mae_cost"
wrong(TASK, "MAE's encoder sees the visible tokens alone")(cost(seen=lambda n, r: n))
wrong(TASK, "sees the visible tokens, not the hidden ones")(cost(seen=lambda n, r: math.ceil(n * r)))
wrong(TASK, "MAE's decoder gets all tokens, not the hidden")(cost(decoded=lambda n, r: math.ceil(n * r)))
wrong(TASK, "MAE's decoder gets all tokens, not the visible")(cost(decoded=lambda n, r: n - math.ceil(n * r)))
wrong(TASK, "MAE's decoder is missing")(cost(of=lambda e, d, s: e / s))
wrong(TASK, "MAE's encoder is missing")(cost(of=lambda e, d, s: d / s))
wrong(TASK, "SimMIM has no such decoder")(cost(of=lambda e, d, s: (e + d) / (d + s)))
wrong(TASK, "it is the other way round")(cost(of=lambda e, d, s: s / (e + d)))
wrong(TASK, "the share that MAE saves")(cost(of=lambda e, d, s: 1 - e / s - d / s))
wrong(TASK, "the work of MAE in FLOP")(cost(of=lambda e, d, s: e + d))
wrong(TASK, "`/` comes before `+`")(cost(of=lambda e, d, s: e + d / s))
wrong(TASK, "a very small part is not rounded up")(cost(seen=lambda n, r: n - int(r * n + 0.99)))
wrong(TASK, "that is in per cent")(cost(of=lambda e, d, s: (e + d) / s * 100))
wrong(TASK, "the decoder is subtracted")(cost(of=lambda e, d, s: (e - d) / s))
wrong(TASK, "the products of tokens with tokens are missing")(cost(mix=0))
wrong(TASK, "the products of tokens with tokens count half")(cost(mix=2))
wrong(TASK, "the MLP is missing")(cost(square=8))
wrong(TASK, "the products with d * d count half")(cost(square=12))
wrong(TASK, "does not fall like its tokens: a part of it falls faster")(
    lambda n, r, e, d: (n - math.ceil(r * n)) / n + flop(n, *d) / flop(n, *e)
)
wrong(TASK, "does not fall like its tokens squared")(
    lambda n, r, e, d: ((n - math.ceil(r * n)) / n) ** 2 + flop(n, *d) / flop(n, *e)
)
wrong(TASK, "rounded up, so that it is whole")(cost(seen=lambda n, r: n * (1 - r)))
wrong(TASK, "rounded up, not down")(cost(seen=lambda n, r: n - int(r * n)))
wrong(TASK, "rounded up, not to the nearest")(cost(seen=lambda n, r: n - round(r * n)))
wrong(TASK, "width and depth are swapped")(
    lambda n, r, e, d: in_numpy(n, r, tuple(reversed(e)), tuple(reversed(d)))
)
wrong(TASK, "encoder and decoder are swapped")(lambda n, r, e, d: in_numpy(n, r, d, e))
wrong(TASK, "the decoder has the width of the encoder")(lambda n, r, e, d: in_numpy(n, r, e, (e[0], d[1])))
wrong(TASK, "the depths are not used")(lambda n, r, e, d: in_numpy(n, r, (e[0], 2), (d[0], 2)))
wrong(TASK, "divides the work of encoder and decoder by that of SimMIM's encoder expected")(
    lambda n, r, e, d: 1 - r
)
wrong(TASK, "without a decoder")(lambda n, r, e, d: in_numpy(n, r, e, d) if d[1] else 1.0)
wrong(TASK, "may be just below a whole number")(cost(seen=lambda n, r: int((1 - r) * n)))
wrong(TASK, "a token too many in MAE's encoder")(cost(seen=lambda n, r: n + 1 - math.ceil(r * n)))
wrong(TASK, "the depths are not used, or one for both")(lambda n, r, e, d: in_numpy(n, r, e, (d[0], e[1])))
wrong(TASK, "`ratio` is the share of the hidden tokens")(cost(seen=lambda n, r: int(r * n)))
wrong(TASK, "`//` leaves out")(cost(of=lambda e, d, s: (e + d) // s))
wrong(TASK, "the share is rounded")(cost(of=lambda e, d, s: round((e + d) / s, 2)))


def of_blocks(work):
    def answer(tokens, ratio, encoder, decoder):
        shown = tokens - math.ceil(ratio * tokens)
        return (work(shown, *encoder) + work(tokens, *decoder)) / work(tokens, *encoder)

    return answer


wrong(TASK, "compares bits, after all sums")(of_blocks(lambda n, d, k: k * (24 * n * d ^ 2 + 4 * n ^ 2 * d)))
wrong(TASK, "put brackets around their sum")(of_blocks(lambda n, d, k: k * 24 * n * d**2 + 4 * n**2 * d))
wrong(TASK, "tokens and their length are swapped")(of_blocks(lambda n, d, k: k * (24 * n**2 * d + 4 * n * d**2)))
wrong(TASK, "the length of a token is not squared")(of_blocks(lambda n, d, k: k * (24 * n * d + 4 * n**2 * d)))
wrong(TASK, "the number of tokens is not squared")(of_blocks(lambda n, d, k: k * (24 * n * d**2 + 4 * n * d)))

# prompt_canvas


@right("prompt_canvas")
def rows_of_pairs(inputs, answers, patch):
    n, _, height, width = inputs.shape
    known = torch.cat([answers, torch.full((1, 3, height, width), 0.5)])
    picture = rearrange([inputs, known], "two n c h w -> c (n h) (two w)")
    mask = torch.zeros(n, height // patch, 2, width // patch, dtype=torch.bool)
    mask[-1, :, 1] = True
    return picture, rearrange(mask, "n r two c -> (n r) (two c)")


@right("prompt_canvas")
def painted_piece_by_piece(inputs, answers, patch):
    height, width = inputs.shape[2:]
    picture = torch.full((3, len(inputs) * height, 2 * width), 0.5)
    for k, one in enumerate(inputs):
        picture[:, k * height : (k + 1) * height, :width] = one
    for k, one in enumerate(answers):
        picture[:, k * height : (k + 1) * height, width:] = one
    row, col = torch.arange(picture.shape[1] // patch), torch.arange(picture.shape[2] // patch)
    mask = (row * patch >= picture.shape[1] - height)[:, None] & (col * patch >= width)
    return [picture, mask]


@right("prompt_canvas")
@torch.compile
def with_cat(inputs, answers, patch):
    answers = torch.cat([answers, torch.zeros_like(inputs[:1]) + 0.5])
    rows = torch.cat([inputs, answers], dim=3)
    picture = torch.cat(list(rows), dim=1)
    hidden = torch.zeros(picture.shape[1:])
    hidden[-inputs.shape[2] :, inputs.shape[3] :] = 1
    return picture, F.max_pool2d(hidden[None], patch)[0] > 0


@right("prompt_canvas")
def in_blocks_of_numpy(inputs, answers, patch):
    grey = np.full((1, *inputs.shape[1:]), 0.5, dtype=np.float32)
    known = np.concatenate([answers.numpy(), grey])
    picture = np.concatenate([np.concatenate([x, y], 2) for x, y in zip(inputs.numpy(), known, strict=True)], 1)
    rows, cols = (side // patch for side in inputs.shape[2:])
    mask = np.block(
        [[np.zeros(((len(inputs) - 1) * rows, 2 * cols))], [np.zeros((rows, cols)), np.ones((rows, cols))]]
    )
    return torch.from_numpy(picture), torch.from_numpy(mask > 0)


def pieced(pattern="c (n h) (two w)", fill=0.5, hide=None, of=lambda p, m: (p, m), pairs=lambda x, y: (x, y)):
    """A canvas with another order of the axes, filling, mask or form."""

    def answer(inputs, answers, patch):
        known = torch.cat([answers, torch.full_like(inputs[:1], fill)])
        picture = rearrange([*pairs(inputs, known)], f"two n c h w -> {pattern}")
        rows, cols = inputs.shape[2] // patch, inputs.shape[3] // patch
        mask = torch.zeros(picture.shape[1] // patch, picture.shape[2] // patch, dtype=torch.bool)
        if hide:
            mask[hide(rows, cols)] = True
        else:
            mask[-rows:, -cols:] = True
        return of(picture, mask)

    return answer


TASK = "prompt_canvas"
wrong(TASK, "the last answer is 127 / 255")(pieced(fill=127 / 255))
wrong(TASK, "the answers stand on the left: the inputs should")(
    pieced(pairs=lambda x, y: (y, x), hide=lambda r, c: (slice(-r, None), slice(0, c)))
)
wrong(TASK, "the answers stand on the left, the mask is on the right")(pieced(pairs=lambda x, y: (y, x)))
wrong(TASK, "the pairs lie side by side")(pieced("c (two h) (n w)"))
wrong(TASK, "all lie in one row")(pieced("c h (n two w)"))
wrong(TASK, "all lie in one column")(pieced("c (n two h) w"))
wrong(TASK, "the rows of the pictures alternate")(pieced("c (h n) (two w)"))
wrong(TASK, "the columns of input and answer alternate")(pieced("c (n h) (w two)"))
wrong(TASK, "the question comes first")(
    pieced(
        pairs=lambda x, y: (torch.cat([x[-1:], x[:-1]]), torch.cat([y[-1:], y[:-1]])),
        hide=lambda r, c: (slice(0, r), slice(c, None)),
    )
)
wrong(TASK, "the last answer is black")(pieced(fill=0))
wrong(TASK, "the last answer is white")(pieced(fill=1))
wrong(TASK, "the question stands in the place of its answer")(
    pieced(pairs=lambda x, y: (x, torch.cat([y[:-1], x[-1:]])))
)
wrong(TASK, "the answer to the example before")(pieced(pairs=lambda x, y: (x, torch.cat([y[:-1], y[-2:-1]]))))
wrong(TASK, "the mask hides the question, not its answer")(
    pieced(hide=lambda r, c: (slice(-r, None), slice(0, c)))
)
wrong(TASK, "the mask hides the whole last row")(pieced(hide=lambda r, c: slice(-r, None)))
wrong(TASK, "the mask hides all answers")(pieced(hide=lambda r, c: (slice(None), slice(c, None))))
wrong(TASK, "the mask hides the first answer")(pieced(hide=lambda r, c: (slice(0, r), slice(c, None))))
wrong(TASK, "the mask hides `patch` rows and columns")(
    lambda x, y, p: pieced(hide=lambda r, c: (slice(-p, None), slice(-p, None)))(x, y, p)
)
wrong(TASK, "the mask is cut by pixels")(
    lambda x, y, p: pieced(hide=lambda r, c: (slice(-r * p, None), slice(-c * p, None)))(x, y, p)
)
wrong(TASK, "the mask hides only the last patch")(pieced(hide=lambda r, c: (-1, -1)))
wrong(TASK, "True and False are swapped")(pieced(of=lambda p, m: (p, m.logical_not())))
wrong(TASK, "the mask is one of pixels")(lambda x, y, p: (with_cat(x, y, p)[0], with_cat(x, y, 1)[1]))
wrong(TASK, "rows and columns of the mask are swapped")(pieced(of=lambda p, m: (p, m.mT)))
wrong(TASK, "True and False, not numbers")(pieced(of=lambda p, m: (p, m * 1.0)))
wrong(TASK, "it is one canvas")(pieced(of=lambda p, m: (p[None], m[None])))
wrong(TASK, "the mask is missing")(pieced(of=lambda p, m: p))
wrong(TASK, "first the picture, then the mask")(pieced(of=lambda p, m: (m, p)))
wrong(TASK, "works for no and one example")(
    lambda x, y, p: pieced()(x, y, p) if len(y) else (torch.cat([x[0], x[0]], 2), pieced()(x, y, p)[1])
)
wrong(TASK, "puts each input beside its answer, and hides the last answer value")(
    pieced(pairs=lambda x, y: (x, 0.9 * y))
)
wrong(TASK, "the mask hides what is grey")(
    lambda x, y, p: (
        with_cat(x, y, p)[0],
        reduce((with_cat(x, y, p)[0] == 0.5).int(), "k (r p) (c q) -> r c", "min", p=p, q=p) > 0,
    )
)
wrong(TASK, "and for patches of a pixel or a side")(pieced(of=lambda p, m: (p.squeeze(), m.squeeze())))
wrong(TASK, "the numbers stay in their order")(
    lambda x, y, p: (
        torch.cat([x, torch.cat([y, torch.full_like(x[:1], 0.5)])], 3).view(3, -1, 2 * x.shape[3]),
        with_cat(x, y, p)[1],
    )
)
wrong(TASK, "cut off at 0 and 1")(pieced(of=lambda p, m: (p.clip(0, 1), m)))
wrong(TASK, "the question comes first, but its answer last")(
    pieced(pairs=lambda x, y: (torch.cat([x[-1:], x[:-1]]), y))
)
wrong(TASK, "in pictures from 0 to 1")(pieced(fill=128))
wrong(TASK, "begins at column `height // patch`")(pieced(hide=lambda r, c: (slice(-r, None), slice(r, None))))
wrong(TASK, "only the last row of patches")(pieced(hide=lambda r, c: (-1, slice(-c, None))))

# unshuffle


@right("unshuffle")
def sorted_back(encoded, order, mask_token):
    batch, patches = order.shape
    rest = mask_token.repeat(batch, patches + 1 - encoded.shape[1], 1)
    tokens = torch.cat([encoded[:, 1:], rest], dim=1)
    tokens = torch.take_along_dim(tokens, order.argsort(dim=1).unsqueeze(-1), dim=1)
    return torch.cat([encoded[:, :1], tokens], dim=1)


@right("unshuffle")
@torch.compile
def scattered(encoded, order, mask_token):
    """The class token is at place 0, patch p at place p + 1."""
    places = F.pad(order[:, : encoded.shape[1] - 1] + 1, (1, 0))
    tokens = mask_token.repeat(len(order), order.shape[1] + 1, 1)
    return tokens.scatter(1, places[..., None].expand_as(encoded), encoded)


@right("unshuffle")
def image_by_image_in_python(encoded, order, mask_token):
    def image(tokens, places):
        known = dict(zip(places.tolist(), tokens[1:], strict=False))
        return torch.stack([tokens[0], *(known.get(place, mask_token) for place in range(len(places)))])

    return torch.stack([image(*pair) for pair in zip(encoded, order, strict=True)])


@right("unshuffle")
def assigned(encoded, order, mask_token):
    tokens = mask_token.expand(len(order), 1 + order.shape[1], -1).clone()
    image = torch.arange(len(order))[:, None]
    tokens[image, 1 + order[:, : encoded.shape[1] - 1]] = encoded[:, 1:]
    tokens[:, 0] = encoded[:, 0]
    return tokens


@right("unshuffle")
def multiplied_by_a_permutation(encoded, order, mask_token):
    rest = mask_token.expand(len(order), order.shape[1] - encoded.shape[1] + 1, -1)
    table = F.one_hot(order, order.shape[1]).to(encoded.dtype)  # (image, place in the order, patch)
    patches = einsum(table, torch.cat([encoded[:, 1:], rest], 1), "b k p, b k d -> b p d")
    return torch.cat([encoded[:, :1], patches], 1)


def decoder_tokens(places=lambda o: o.argsort(1), join=lambda v, h: torch.cat([v, h], 1), front=True):
    def answer(encoded, order, token):
        rest = token.repeat(len(order), order.shape[1] + 1 - encoded.shape[1], 1)
        patches = join(encoded[:, 1:], rest).take_along_dim(places(order)[..., None], 1)
        return torch.cat([encoded[:, :1], patches], 1) if front else patches

    return answer


TASK = "unshuffle"
wrong(TASK, "`[:, :-1]` leaves out the last token")(
    lambda e, o, t: torch.cat([e[:, :1], sorted_back(torch.cat([e[:, :1], e[:, :-1]], 1), o, t)[:, 1:]], 1)
)
wrong(TASK, "shuffled once more: gather")(decoder_tokens(lambda o: o))
wrong(TASK, "shuffled once more: gather")(decoder_tokens(lambda o: o.argsort(1).argsort(1)))


@wrong(TASK, "or scatter with `order`")
def scattered_by_places(encoded, order, mask_token):
    tokens = torch.cat(
        [encoded[:, 1:], mask_token.repeat(len(order), order.shape[1] - encoded.shape[1] + 1, 1)], 1
    )
    places = order.argsort(1)[..., None].expand_as(tokens)
    return torch.cat([encoded[:, :1], torch.zeros_like(tokens).scatter(1, places, tokens)], 1)


wrong(TASK, "the tokens are still in the shuffled order")(decoder_tokens(lambda o: o.sort(1).values))
wrong(TASK, "the order of the first image is used for all")(
    decoder_tokens(lambda o: o[0].argsort().repeat(len(o), 1))
)
wrong(TASK, "put back in the opposite order")(decoder_tokens(lambda o: o.argsort(1).flip(1)))
wrong(TASK, "the mask tokens come first")(decoder_tokens(join=lambda v, h: torch.cat([h, v], 1)))
wrong(TASK, "the visible tokens are in the opposite order")(
    decoder_tokens(join=lambda v, h: torch.cat([v.flip(1), h], 1))
)
wrong(TASK, "hidden places hold 0")(lambda e, o, t: sorted_back(e, o, torch.zeros_like(t)))
wrong(TASK, "the class token is lost")(decoder_tokens(front=False))
wrong(TASK, "the class token is at the end")(
    lambda e, o, t: torch.cat([decoder_tokens(front=False)(e, o, t), e[:, :1]], 1)
)
wrong(TASK, "the mask token stands in the place of the class token")(
    lambda e, o, t: (
        F.pad(decoder_tokens(front=False)(e, o, t), (0, 0, 1, 0))
        + F.one_hot(torch.tensor(0), o.shape[1] + 1)[:, None] * t
    )
)


@wrong(TASK, "so all tokens are one place off")
def class_token_among_patches(encoded, order, mask_token):
    tokens = torch.cat([encoded, mask_token.repeat(len(order), order.shape[1] - encoded.shape[1] + 1, 1)], 1)
    return torch.cat([encoded[:, :1], tokens.take_along_dim(order.argsort(1)[..., None], 1)], 1)


@wrong(TASK, "shuffled among the patches")
def class_token_shuffled(encoded, order, mask_token):
    return class_token_among_patches(encoded, order, mask_token)[:, 1:]


@wrong(TASK, "put back in ascending order")
def in_ascending_order(encoded, order, mask_token):
    tokens = mask_token.repeat(*order.shape, 1)
    places = order[:, : encoded.shape[1] - 1].sort(1).values
    tokens = tokens.scatter(1, places[..., None].expand(-1, -1, len(mask_token)), encoded[:, 1:])
    return torch.cat([encoded[:, :1], tokens], 1)


wrong(TASK, "the class token is there twice")(lambda e, o, t: torch.cat([e[:, :1], sorted_back(e, o, t)], 1))
wrong(TASK, "nothing is put back")(
    lambda e, o, t: torch.cat([e, t.repeat(len(o), o.shape[1] - e.shape[1] + 1, 1)], 1)
)
wrong(TASK, "only the visible tokens are there")(lambda e, o, t: e * 1)
wrong(TASK, "(batch, 1 + patches, dim)")(lambda e, o, t: sorted_back(e, o, t).permute(0, 2, 1))
wrong(TASK, "no gradient reaches argument 3")(lambda e, o, t: sorted_back(e, o, t.detach()))
wrong(TASK, "lets the gradient through")(lambda e, o, t: torch.tensor(sorted_back(e, o, t).tolist()))
wrong(TASK, "does `squeeze` drop an axis")(lambda e, o, t: sorted_back(e, o, t).squeeze(0))
wrong(TASK, "each patch lies one place too far")(decoder_tokens(lambda o: o.argsort(1).roll(1, 1)))


@wrong(TASK, "leaves its inputs as they are")
def sorted_in_place(encoded, order, mask_token):
    result = sorted_back(encoded, order, mask_token)
    order.copy_(order.sort(1).values)
    return result


@wrong(TASK, "and for tokens of 0")
def gaps_found_by_0(encoded, order, mask_token):
    tokens = sorted_back(encoded, order, torch.zeros_like(mask_token))
    patches = torch.where((tokens[:, 1:] == 0).all(2, keepdim=True), mask_token, tokens[:, 1:])
    return torch.cat([tokens[:, :1], patches], 1)


wrong(TASK, "the gradient of argument 1 is not that of these values")(
    lambda e, o, t: torch.cat([e[:, :1].detach(), sorted_back(e, o, t)[:, 1:]], 1)
)
wrong(TASK, "the tokens of the first image are picked for all")(
    lambda e, o, t: torch.cat(
        [e[:, :1], torch.cat([e[0, 1:], t.expand(o.shape[1] - e.shape[1] + 1, -1)])[o.argsort(1)]], 1
    )
)

# attention_mask


@right("attention_mask")
def ranked(maps, ratio, hints):
    looked = maps[:, :, 0, 1:].mean(dim=1)
    rank = looked.argsort(dim=1, descending=True).argsort(dim=1)
    return (rank >= hints) & (rank < math.ceil(ratio * looked.shape[1]))


@right("attention_mask")
@torch.compile
def marked(maps, ratio, hints):
    looked = reduce(maps, "b h i j -> b i j", "sum")[:, 0, 1:]
    count = math.ceil(ratio * looked.shape[1])
    places = looked.topk(count, dim=1).indices[:, hints:]
    return torch.zeros_like(looked, dtype=torch.bool).scatter(1, places, True)


@right("attention_mask")
def hidden_and_shown_again(maps, ratio, hints):
    masks = []
    for image in maps.double():
        looked = image[:, 0].mean(0)[1:]
        order = sorted(range(len(looked)), key=lambda patch: -looked[patch])
        mask = torch.zeros(len(looked), dtype=torch.bool)
        mask[order[: math.ceil(ratio * len(looked))]] = True
        mask[order[:hints]] = False
        masks.append(mask)
    return torch.stack(masks)


@right("attention_mask")
def in_a_numpy_array(maps, ratio, hints):
    looked = maps.numpy().mean(axis=1)[:, 0, 1:]
    order = np.argsort(-looked, axis=1)[:, hints : math.ceil(ratio * looked.shape[1])]
    mask = np.zeros(looked.shape, dtype=bool)
    np.put_along_axis(mask, order, True, axis=1)
    return torch.tensor(mask)


def cut(
    looked=lambda m: m[:, :, 0, 1:].mean(1), count=math.ceil, ranks=lambda r, hints, n: (r >= hints) & (r < n)
):
    def answer(maps, ratio, hints):
        rank = looked(maps).argsort(dim=1, descending=True).argsort(dim=1)
        return ranks(rank, hints, count(ratio * (maps.shape[2] - 1)))

    return answer


TASK = "attention_mask"
wrong(TASK, "ranked and counted together: take each image")(
    lambda maps, ratio, hints: cut(
        lambda m: m[:, :, 0, 1:].mean(1).view(1, -1),
        lambda _: math.ceil(ratio * len(maps) * (maps.shape[3] - 1)),
        lambda r, h, n: (r >= h * len(maps)) & (r < n),
    )(maps, ratio, hints).view(len(maps), -1)
)
wrong(TASK, "how much the patches look at the class token")(cut(lambda m: m[:, :, 1:, 0].mean(1)))
wrong(TASK, "the mean of all tokens is taken")(cut(lambda m: reduce(m, "b h i j -> b j", "mean")[:, 1:]))
wrong(TASK, "the mean of all patches is taken")(
    cut(lambda m: reduce(m[:, :, 1:], "b h i j -> b j", "mean")[:, 1:])
)
wrong(TASK, "the class token is taken for a patch, and the last one is lost")(
    cut(lambda m: m[:, :, 0, :-1].mean(1))
)
wrong(TASK, "the row of the last patch is taken")(cut(lambda m: m[:, :, -1, 1:].mean(1)))
wrong(TASK, "the class token has a place in the mask")(cut(lambda m: m[:, :, 0].mean(1)))
wrong(TASK, "the first head decides")(cut(lambda m: m[:, 0, 0, 1:]))
wrong(TASK, "the head that looks most decides")(cut(lambda m: m[:, :, 0, 1:].max(1).values))
wrong(TASK, "the maps of the batch are averaged")(cut(lambda m: m[:, :, 0, 1:].mean((0, 1)).repeat(len(m), 1)))
wrong(TASK, "what the class token looks at least is hidden")(cut(lambda m: 1 - m[:, :, 0, 1:].mean(1)))
wrong(TASK, "the hints are left out")(cut(ranks=lambda r, hints, n: r < n))
wrong(TASK, "the hints alone are hidden")(cut(ranks=lambda r, hints, n: r < hints))
wrong(TASK, "the hints are the least looked at")(cut(ranks=lambda r, hints, n: r < n - hints))
wrong(TASK, "other patches are hidden in the place of the hints")(
    cut(ranks=lambda r, hints, n: (r >= hints) & (r < n + hints))
)
wrong(TASK, "one hint too many")(cut(ranks=lambda r, hints, n: (r > hints) & (r < n)))
wrong(TASK, "one patch too many is hidden")(cut(ranks=lambda r, hints, n: (r >= hints) & (r <= n)))
wrong(TASK, "the number is rounded up, not down")(cut(count=math.floor))
wrong(TASK, "the number is rounded up, not to the nearest")(cut(count=round))
wrong(TASK, "a very small part is not rounded up")(cut(count=lambda n: int(n + 0.9)))
wrong(TASK, "each image hides the places of all")(
    lambda m, ratio, hints: ranked(m, ratio, hints).sum(0).bool().repeat(len(m), 1)
)


@wrong(TASK, "along the axis of the images")
def ranked_over_images(maps, ratio, hints):
    rank = maps[:, :, 0, 1:].mean(1).argsort(0, descending=True).argsort(0)
    return (rank >= hints) & (rank < math.ceil(ratio * rank.shape[1]))


wrong(TASK, "the class token does not count among the patches")(
    lambda m, ratio, hints: marked(m, math.ceil(ratio * m.shape[2]) / (m.shape[2] - 1), hints)
)
wrong(TASK, "`ratio` is the share to hide")(lambda m, ratio, hints: ranked(m, 1 - ratio, hints))


@wrong(TASK, "`argsort` gives places in the order")
def places_for_ranks(maps, ratio, hints):
    place = (-maps[:, :, 0, 1:].mean(1)).argsort(1)
    return (hints <= place) & (place < math.ceil(ratio * place.shape[1]))


wrong(TASK, "True and False are swapped")(lambda m, ratio, hints: ~ranked(m, ratio, hints))
wrong(TASK, "True and False, not numbers")(lambda m, ratio, hints: ranked(m, ratio, hints).float())
wrong(TASK, "does `squeeze` drop an axis")(lambda m, ratio, hints: ranked(m, ratio, hints).squeeze(0))
wrong(TASK, "hides the patches that the class token looks at most, but for the hints expected")(
    cut(lambda m: m[:, :, 0, 1:].mean(1).round(decimals=1))
)


def with_a_limit(maps, ratio, hints):
    looked = maps[:, :, 0, 1:].mean(1)
    count = math.ceil(ratio * looked.shape[1])
    limits = F.pad(looked.sort(1, descending=True).values, (1, 1), value=math.inf)
    limits[:, -1] = -math.inf
    return (looked >= limits[:, count, None]) & (looked < limits[:, hints, None])


wrong(TASK, "is there a limit? Count places instead")(with_a_limit)


@wrong(TASK, "are hints and hidden patches ordered twice?")
def two_orders(maps, ratio, hints):
    """Of patches looked at alike, `topk` may take others than `argsort`; here they do on every machine."""
    looked = maps[:, :, 0, 1:].mean(1)
    hidden = looked.argsort(dim=1, descending=True, stable=True)[:, : math.ceil(ratio * looked.shape[1])]
    shown = looked.argsort(dim=1, stable=True).flip(1)[:, :hints]
    mask = torch.zeros_like(looked, dtype=torch.bool).scatter(1, hidden, True)
    return mask.scatter(1, shown, False)


@wrong(TASK, "is a chosen patch set to 0, and chosen again?")
def looks_set_to_0(maps, ratio, hints):
    looked = maps[:, :, 0, 1:].mean(1)
    mask = torch.zeros_like(looked, dtype=torch.bool)
    for rank in range(math.ceil(ratio * looked.shape[1])):
        place = looked.argmax(1, keepdim=True)
        mask.scatter_(1, place, rank >= hints)
        looked.scatter_(1, place, 0.0)
    return mask


wrong(TASK, "a quantile may lie between two patches")(
    lambda m, ratio, hints: (
        (m[:, :, 0, 1:].mean(1) >= torch.quantile(m[:, :, 0, 1:].mean(1), 1 - ratio, dim=1)[:, None])
        & ranked(m, 1.0, hints)
    )
)
wrong(TASK, "may be just below a whole number")(
    lambda m, ratio, hints: cut(count=lambda _: m.shape[3] - 1 - int((1 - ratio) * (m.shape[3] - 1)))(
        m, ratio, hints
    )
)
wrong(TASK, "each head is divided by its sum over the patches")(
    cut(lambda m: F.normalize(m[:, :, 0, 1:], p=1, dim=2).mean(1))
)
wrong(TASK, "another softmax is taken")(cut(lambda m: F.softmax(m, 3)[:, :, 0, 1:].mean(1)))
wrong(TASK, "counted and ranked with the patches")(
    lambda m, ratio, hints: cut(lambda m: m[:, :, 0].mean(1), lambda _: math.ceil(ratio * m.shape[3]))(
        m, ratio, hints
    )[:, 1:]
)


@wrong(TASK, "`[:-0]` is empty")
def cut_from_the_end(maps, ratio, hints):
    looked = maps[:, :, 0, 1:].mean(1)
    places = looked.argsort(1)[:, looked.shape[1] - math.ceil(ratio * looked.shape[1]) :]
    return torch.zeros_like(looked, dtype=torch.bool).scatter(1, places[:, :-hints], True)


# masked_batch_norm


@right("masked_batch_norm")
def rows_of_visible_places(features, mask, weight, bias):
    side = features.shape[2] // mask.shape[1]
    hidden = mask.repeat_interleave(side, 1).repeat_interleave(side, 2)
    rows = rearrange(features, "b c h w -> b h w c")
    mean, variance = rows[~hidden].mean(0), rows[~hidden].var(0, unbiased=False)
    normal = (rows - mean) / (variance + 1e-5).sqrt() * weight + bias
    return rearrange(normal.masked_fill(hidden.unsqueeze(-1), 0), "b h w c -> b c h w")


@right("masked_batch_norm")
def with_weights(features, mask, weight, bias):
    side = features.shape[2] // mask.shape[1]
    shown = torch.kron((~mask).float(), torch.ones(side, side))[:, None]
    count = shown.sum()
    clean = torch.where(shown > 0, features, 0).double()
    mean = clean.sum((0, 2, 3), keepdim=True) / count
    centred = (clean - mean) * shown
    variance = centred.square().sum((0, 2, 3), keepdim=True) / count
    return (centred * torch.rsqrt(variance + 1e-5) * weight.view(1, -1, 1, 1) + bias.view(1, -1, 1, 1)) * shown


@right("masked_batch_norm")
def channel_by_channel(features, mask, weight, bias):
    side = features.shape[2] // mask.shape[1]
    hidden = F.interpolate(mask[:, None].float(), scale_factor=side, mode="nearest")[:, 0] > 0
    result = []
    for channel, w, b in zip(features.unbind(1), weight, bias, strict=True):
        visible = channel[~hidden]
        normal = (channel - visible.mean()) / torch.sqrt(visible.var(correction=0) + 1e-5)
        result.append(torch.where(hidden, 0.0, w * normal + b))
    return torch.stack(result, 1)


@right("masked_batch_norm")
def with_the_mean_of_squares(features, mask, weight, bias):
    hidden = holes(features, mask)
    shown, count = features.masked_fill(hidden, 0), (~hidden).sum()
    mean = shown.sum((0, 2, 3), keepdim=True) / count
    variance = (shown.square().sum((0, 2, 3), keepdim=True) / count - mean**2).clamp(min=0)
    normal = weight.view(-1, 1, 1) * (shown - mean) / (variance + 1e-5).sqrt() + bias.view(-1, 1, 1)
    return normal.masked_fill(hidden, 0)


def holes(features, mask):
    side = features.shape[2] // mask.shape[1]
    return repeat(mask, "b r c -> b 1 (r p) (c q)", p=side, q=side)


def seen(x, hidden):
    """Mean and variance over the visible places."""
    shown = (~hidden).float()
    x = x.masked_fill(hidden, 0)
    mean = (x * shown).sum((0, 2, 3), keepdim=True) / shown.sum()
    return mean, ((x - mean).square() * shown).sum((0, 2, 3), keepdim=True) / shown.sum()


def norm(
    statistics=seen, root=lambda v: torch.sqrt(v + 1e-5), end=lambda n, h, w, b: torch.where(h, 0.0, w * n + b)
):
    def answer(features, mask, weight, bias):
        hidden = holes(features, mask)
        mean, variance = statistics(features, hidden)
        return end((features - mean) / root(variance), hidden, weight.view(-1, 1, 1), bias.view(-1, 1, 1))

    return answer


def over(axes, of=lambda x, h: x):
    return lambda x, h: (of(x, h).mean(axes, keepdim=True), of(x, h).var(axes, correction=0, keepdim=True))


TASK = "masked_batch_norm"
wrong(TASK, "the means of the images are averaged: take the mean over")(
    norm(
        lambda x, h: (
            torch.stack([seen(x[k : k + 1], h[k : k + 1])[0][0] for k in range(len(x))]).mean(0),
            seen(x, h)[1],
        )
    )
)
wrong(TASK, "mean and variance are those of all places")(norm(over((0, 2, 3))))
wrong(TASK, "mean and variance are those of all places")(
    lambda x, m, w, b: F.batch_norm(x, None, None, w, b, training=True) * ~holes(x, m)
)
wrong(TASK, "hidden places count as zeros")(norm(over((0, 2, 3), lambda x, h: x * ~h)))
wrong(TASK, "mean and variance are those of the hidden places")(norm(lambda x, h: seen(x, ~h)))
wrong(TASK, "hidden and visible are swapped")(lambda x, m, w, b: norm()(x, ~m, w, b))
wrong(TASK, "hidden places are normalised, too")(norm(end=lambda n, h, w, b: n * w + b))
wrong(TASK, "hidden places hold the bias")(norm(end=lambda n, h, w, b: torch.where(h, 0.0, n) * w + b))
wrong(TASK, "visible places are 0")(norm(end=lambda n, h, w, b: (w * n + b) * h))


@wrong(TASK, "each image has a mean and a variance of its own")
def image_after_image(features, mask, weight, bias):
    return torch.cat(
        [rows_of_visible_places(x[None], m[None], weight, bias) for x, m in zip(features, mask, strict=True)]
    )


wrong(TASK, "all channels share a mean and a variance")(
    norm(lambda x, h: (x[~h.expand_as(x)].mean(), x[~h.expand_as(x)].var(correction=0)))
)
wrong(TASK, "as in a layer norm")(norm(over((1,))))
wrong(TASK, "the variance is divided by n - 1")(
    norm(lambda x, h: (seen(x, h)[0], seen(x, h)[1] * (~h).sum() / ((~h).sum() - 1)))
)
wrong(TASK, "the mean is not subtracted")(norm(lambda x, h: (0, seen(x, h)[1])))
wrong(TASK, "the variance is the mean of the squares")(norm(lambda x, h: (seen(x, h)[0], seen(x**2, h)[0])))
wrong(TASK, "it is divided by the variance: by its root")(norm(root=lambda v: v + 1e-5))
wrong(TASK, "nothing is divided")(norm(root=lambda v: 1))
wrong(TASK, "the weight is missing")(norm(end=lambda n, h, w, b: torch.where(h, 0.0, n + b)))
wrong(TASK, "the bias is missing")(norm(end=lambda n, h, w, b: torch.where(h, 0.0, n * w)))
wrong(TASK, "weight and bias are swapped")(lambda x, m, w, b: norm()(x, m, b, w))
wrong(TASK, "the bias is added before the weight multiplies")(
    norm(end=lambda n, h, w, b: torch.where(h, 0.0, w * (n + b)))
)
wrong(TASK, "there is no ReLU here")(norm(end=lambda n, h, w, b: torch.where(h, 0.0, w * n + b).clamp(min=0)))
wrong(TASK, "whole copies of the mask lie side by side")(
    lambda x, m, w, b: norm()(x, m.tile(1, x.shape[2] // m.shape[1], x.shape[3] // m.shape[2]), w, b)
)
wrong(TASK, "NaN stays NaN in any sum or product, even times 0")(norm(end=lambda n, h, w, b: (w * n + b) * ~h))
wrong(TASK, "the epsilon is missing")(norm(root=lambda v: v.sqrt() + 1e-12))
wrong(TASK, "the epsilon is added after the root")(norm(root=lambda v: v.sqrt() + 1e-5))
wrong(TASK, "and the epsilon added after the root")(
    norm(
        lambda x, h: (seen(x, h)[0], seen(x, h)[1] * (~h).sum() / ((~h).sum() - 1)), root=lambda v: v.sqrt() + 1e-5
    )
)
wrong(TASK, "the root is taken twice")(norm(root=lambda v: (v.sqrt() + 1e-5).sqrt()))
wrong(TASK, "the epsilon is 1e-5, not 1e-4")(norm(root=lambda v: (v + 1e-4) ** 0.5))
wrong(TASK, "the epsilon is 1e-5, not 1e-6")(norm(root=lambda v: (v + 1e-6) ** 0.5))
wrong(TASK, "leaves 0 at hidden ones expected")(norm(root=lambda v: v.clamp(min=1e-5).sqrt()))
wrong(TASK, "no gradient reaches argument 3")(lambda x, m, w, b: norm()(x, m, w.detach(), b))
wrong(TASK, "lets the gradient through")(lambda x, m, w, b: torch.from_numpy(norm()(x, m, w, b).detach().numpy()))
wrong(TASK, "and leaves 0 at hidden ones expected")(
    norm(end=lambda n, h, w, b: torch.where(h, 0.0, w * n + b).tanh())
)


@wrong(TASK, "leaves its inputs as they are")
def hidden_in_place(features, mask, weight, bias):
    features[holes(features, mask).expand_as(features)] = 0
    return norm()(features, mask, weight, bias)


@wrong(TASK, "Expected more than 1 value per channel")
def with_torchs_own(features, mask, weight, bias):
    rows, hidden = features.movedim(1, 3), holes(features, mask)[:, 0]
    result = torch.zeros_like(rows)
    result[~hidden] = F.batch_norm(rows[~hidden], None, None, weight, bias, training=True, eps=1e-5)
    return result.movedim(3, 1)


@wrong(TASK, "NaN where one place is visible")
def variance_corrected_back(features, mask, weight, bias):
    count = (~holes(features, mask)).sum()

    def statistics(x, h):
        visible = x.movedim(1, 3)[~h[:, 0]]
        return visible.mean(0)[:, None, None], (visible.var(0) * (count - 1) / count)[:, None, None]

    return norm(statistics)(features, mask, weight, bias)


wrong(TASK, "the gradient is NaN where a channel is constant")(norm(root=lambda v: (v.sqrt() ** 2 + 1e-5).sqrt()))


@wrong(TASK, "the gradient of argument 1 is not that of these values")
def statistics_without_a_gradient(features, mask, weight, bias):
    with torch.no_grad():
        mean, variance = seen(features, holes(features, mask))
    return norm(lambda x, h: (mean, variance))(features, mask, weight, bias)


wrong(TASK, "the mask is blurred where it is enlarged")(
    lambda x, m, w, b: norm()(
        x, F.interpolate(m[:, None].float(), size=x.shape[2:], mode="bilinear")[:, 0] > 0.5, w, b
    )
)


def nonzero(x, hidden):
    """Mean and variance over what is not 0."""
    x = x.masked_fill(hidden, 0)
    count = (x != 0).sum((0, 2, 3), keepdim=True).clamp(min=1)
    mean = x.sum((0, 2, 3), keepdim=True) / count
    return mean, ((x - mean).square() * (x != 0)).sum((0, 2, 3), keepdim=True) / count


wrong(TASK, "that hold 0 are taken for hidden ones: ask")(norm(nonzero))
wrong(TASK, "taken for hidden ones, and left at 0")(
    lambda x, m, w, b: norm(nonzero)(x, m, w, b).masked_fill(x == 0, 0)
)
wrong(TASK, "hidden places count in the variance, as zeros")(
    norm(
        lambda x, h: (
            seen(x, h)[0],
            (x.masked_fill(h, 0) - seen(x, h)[0]).square().sum((0, 2, 3), keepdim=True) / (~h).sum(),
        )
    )
)
wrong(TASK, "set to 0 before, but not at the end")(
    lambda x, m, w, b: norm(end=lambda n, h, w, b: w * n + b)(x.masked_fill(holes(x, m), 0), m, w, b)
)

# copy_in_time


def enlarged(clip, mask):
    side = clip.shape[2] // mask.shape[1]
    return repeat(mask, "t r c -> t 1 (r p) (c q)", p=side, q=side)


@right("copy_in_time")
def farthest_first(clip, mask):
    hidden = enlarged(clip, mask)
    filled = torch.full_like(clip, 0.5)
    for t in range(len(clip)):
        for s in sorted(range(len(clip)), key=lambda s: (-abs(s - t), -s)):
            filled[t] = torch.where(hidden[s], filled[t], clip[s])
    return filled


@right("copy_in_time")
def patch_by_patch(clip, mask):
    side = clip.shape[2] // mask.shape[1]
    filled = clip.clone()
    for t, row, col in mask.nonzero().tolist():
        shown = (~mask[:, row, col]).nonzero().flatten().tolist()
        pixels = slice(row * side, (row + 1) * side), slice(col * side, (col + 1) * side)
        if shown:
            nearest = min(shown, key=lambda s: (abs(s - t), s))
            filled[t, :, *pixels] = clip[nearest, :, *pixels]
        else:
            filled[t, :, *pixels] = 0.5
    return filled


@right("copy_in_time")
@torch.compile
def with_a_table_of_distances(clip, mask):
    frames = torch.arange(len(clip))
    cost = 2 * (frames[:, None] - frames).abs() + (frames > frames[:, None]).int()  # later ones cost a little more
    cost = cost[:, :, None, None] + 1000 * mask.int()
    source = enlarged(clip, cost.argmin(1))
    never = enlarged(clip, mask.all(0, keepdim=True))
    return torch.where(never, torch.tensor(0.5), torch.take_along_dim(clip, source, 0))


@right("copy_in_time")
def outwards(clip, mask):
    """Frames at distance 1, then 2 ..., the earlier one first, as long as something is missing."""
    filled, missing = clip.masked_fill(enlarged(clip, mask), 0.5), enlarged(clip, mask).expand_as(clip).clone()
    for far in range(1, len(clip)):
        for step in (-far, far):
            for t in range(len(clip)):
                if 0 <= t + step < len(clip):
                    take = missing[t] & ~enlarged(clip, mask)[t + step]
                    filled[t] = torch.where(take, clip[t + step], filled[t])
                    missing[t] &= ~take
    return filled


def from_frames(order, never=0.5):
    """From the first of the frames order(t, number) that shows the place."""

    def answer(clip, mask):
        hidden, filled = enlarged(clip, mask), []
        for t, frame in enumerate(clip):
            picture = never(clip, t) if callable(never) else torch.full_like(frame, never)
            for s in reversed([t, *order(t, len(clip))]):
                picture = torch.where(hidden[s], picture, clip[s])
            filled.append(picture)
        return torch.stack(filled)

    return answer


def near(t, n):
    return sorted(range(n), key=lambda s: (abs(s - t), s))


TASK = "copy_in_time"
wrong(TASK, "has the mean of all visible pixels")(
    lambda clip, mask: from_frames(
        near, never=lambda clip, t: clip.movedim(1, 3)[~enlarged(clip, mask)[:, 0]].mean().expand_as(clip[t])
    )(clip, mask)
)


@wrong(TASK, "the frame before is copied, even where it is hidden itself")
def one_frame_back(clip, mask):
    return torch.where(enlarged(clip, mask), torch.cat([clip[:1], clip[:-1]]), clip)


wrong(TASK, "and into the first the last one")(
    lambda clip, mask: torch.where(enlarged(clip, mask), clip.roll(1, 0), clip)
)
wrong(TASK, "the frame after is copied")(
    lambda clip, mask: torch.where(enlarged(clip, mask), torch.cat([clip[1:], clip[-1:]]), clip)
)
wrong(TASK, "only frames before are copied")(from_frames(lambda t, n: range(t - 1, -1, -1)))
wrong(TASK, "only frames after are copied")(from_frames(lambda t, n: range(t + 1, n)))
wrong(TASK, "frames before come first")(from_frames(lambda t, n: [*range(t - 1, -1, -1), *range(t + 1, n)]))
wrong(TASK, "frames after come first")(from_frames(lambda t, n: [*range(t + 1, n), *range(t - 1, -1, -1)]))
wrong(TASK, "the later one is copied: take the earlier")(
    from_frames(lambda t, n: sorted(range(n), key=lambda s: (abs(s - t), -s)))
)
wrong(TASK, "only the two frames next to it")(from_frames(lambda t, n: [s for s in (t - 1, t + 1) if 0 <= s < n]))
wrong(TASK, "only the frame before is looked at")(from_frames(lambda t, n: [t - 1] if t else []))
wrong(TASK, "`mask[t - d]` with a negative index")(
    from_frames(lambda t, n: [s for d in range(1, n) for s in [(t - d) % n, *[t + d] * (t + d < n)]])
)
wrong(TASK, "the first frame that shows the place")(from_frames(lambda t, n: range(n)))
wrong(TASK, "the last frame that shows the place")(from_frames(lambda t, n: range(n - 1, -1, -1)))
wrong(TASK, "the farthest frame is copied")(from_frames(lambda t, n: near(t, n)[::-1]))
wrong(TASK, "averaged: copy the nearest")(
    lambda clip, mask: torch.where(
        enlarged(clip, mask),
        ((clip * ~enlarged(clip, mask)).sum(0) / (~enlarged(clip, mask)).sum(0)).nan_to_num(0.5),
        clip,
    )
)
wrong(TASK, "a place that is never visible is black")(from_frames(near, never=0))
wrong(TASK, "keeps what is hidden there")(from_frames(near, never=lambda clip, t: clip[t]))
wrong(TASK, "has the mean of the clip")(from_frames(near, never=lambda clip, t: clip.mean().expand_as(clip[t])))
wrong(TASK, "values are not finite")(from_frames(near, never=math.nan))
wrong(TASK, "nothing is copied")(lambda clip, mask: clip.masked_fill(enlarged(clip, mask), 0.5))
wrong(TASK, "nothing is copied here, hidden places are grey: look for a frame for each patch")(
    from_frames(lambda t, n: [])
)
wrong(TASK, "nothing is filled")(lambda clip, mask: clip.clone())


def with_marked_holes(value, kept=False):
    """Whatever has the value that marks the holes is one; visible pixels stay if they are `kept`."""

    def answer(clip, mask):
        hidden, n = enlarged(clip, mask), len(clip)
        shown = clip.masked_fill(hidden, value)
        filled = shown.clone()
        for distance, t in product(range(1, n), range(n)):
            for s in (t - distance, t + distance):
                if 0 <= s < n:
                    filled[t] = torch.where(filled[t] == value, shown[s], filled[t])
        filled = filled.masked_fill(filled == value, 0.5)
        return torch.where(hidden, filled, clip) if kept else filled

    return answer


wrong(TASK, "visible pixels of 0.5 are taken for holes")(with_marked_holes(0.5))
wrong(TASK, "visible pixels of 0 are taken for holes, and end as grey")(with_marked_holes(0.0))
wrong(TASK, "visible pixels of 0 are not copied, and end as grey")(with_marked_holes(0.0, kept=True))


@wrong(TASK, "works for tubes, for one frame")
def whole_frames_first(clip, mask):
    whole = [s for s in range(len(clip)) if not mask[s].any()]
    return from_frames(lambda t, n: sorted(whole or range(n), key=lambda s: (abs(s - t), s)))(clip, mask)


wrong(TASK, "hidden and visible are swapped")(lambda clip, mask: farthest_first(clip, ~mask))
wrong(TASK, "whole copies of the mask lie side by side")(
    lambda clip, mask: farthest_first(
        clip, mask.tile(1, clip.shape[2] // mask.shape[1], clip.shape[3] // mask.shape[2])
    )
)
wrong(TASK, "NaN stays NaN in any sum or product, even times 0")(
    lambda clip, mask: clip * ~enlarged(clip, mask) + farthest_first(clip, mask) * enlarged(clip, mask)
)


@wrong(TASK, "the nearest that `mask` shows counts")
def filled_ones_count_as_visible(clip, mask):
    hidden, filled = enlarged(clip, mask).clone(), clip.masked_fill(enlarged(clip, mask), 0.5)
    for t in range(len(clip)):
        for s in near(t, len(clip)):
            filled[t] = torch.where(hidden[t] & ~hidden[s], filled[s], filled[t])
            hidden[t] &= hidden[s]
    return filled


wrong(TASK, "does not look at what is hidden, even NaN")(
    lambda clip, mask: farthest_first(clip, mask) + 0 * clip.sum()
)
wrong(TASK, "copies each hidden patch from the nearest frame in which it is visible expected")(
    lambda clip, mask: (farthest_first(clip, mask) * 255).round() / 250
)


@wrong(TASK, "leaves its inputs as they are")
def filled_in_place(clip, mask):
    clip[:] = farthest_first(clip, mask)
    return clip


wrong(TASK, "two equally near frames are averaged")(
    lambda clip, mask: (
        farthest_first(clip, mask) / 2
        + from_frames(lambda t, n: sorted(range(n), key=lambda s: (abs(s - t), -s)))(clip, mask) / 2
    )
)
wrong(TASK, "cut off at 0 and 1")(lambda clip, mask: farthest_first(clip.clamp(0, 1), mask))

# teacher_loss


@right("teacher_loss")
def over_hidden_rows(student, teacher, center, mask, student_temperature, teacher_temperature):
    hidden = mask.flatten(1)
    answers = F.softmax((teacher.detach()[hidden] - center.detach()) / teacher_temperature, dim=-1)
    return -(answers * F.log_softmax(student[hidden] / student_temperature, dim=-1)).sum(-1).mean()


@right("teacher_loss")
@torch.compile
def with_torchs_cross_entropy(student, teacher, center, mask, student_temperature, teacher_temperature):
    hidden = rearrange(mask, "b r c -> (b r c)")
    with torch.no_grad():
        answers = ((teacher - center) / teacher_temperature).softmax(-1).flatten(0, 1)
    losses = F.cross_entropy(student.flatten(0, 1) / student_temperature, answers, reduction="none")
    return (losses * hidden).sum() / hidden.sum()


@right("teacher_loss")
def logits_less_their_logsumexp(student, teacher, center, mask, student_temperature, teacher_temperature):
    scores = student.double() / student_temperature
    wanted = (teacher.data.double() - center.data) / teacher_temperature
    wanted = (wanted - wanted.logsumexp(2, keepdim=True)).exp()
    losses = scores.logsumexp(2) - einsum(wanted, scores, "b n k, b n k -> b n")
    return losses[mask.view(losses.shape)].mean()


@right("teacher_loss")
def hidden_token_by_token(student, teacher, center, mask, student_temperature, teacher_temperature):
    losses = []
    for image, row, col in mask.nonzero().tolist():
        token = row * mask.shape[2] + col
        wanted = ((teacher[image, token] - center) / teacher_temperature).softmax(0).tolist()
        given = (student[image, token] / student_temperature).log_softmax(0)
        losses.append(-sum(p * q for p, q in zip(wanted, given, strict=True)))
    return torch.stack(losses).mean()


def taught(
    scores=lambda s, t, c, a, b: (s / a, (t - c) / b),
    answers=lambda x: torch.softmax(x, -1),
    given=lambda x: torch.log_softmax(x, -1),
    each=lambda p, q: -(p * q).sum(-1),
    mean=lambda x, h: (x * h).sum() / h.sum(),
):
    def answer(student, teacher, center, mask, student_temperature, teacher_temperature):
        s, t = scores(student, teacher.detach(), center.detach(), student_temperature, teacher_temperature)
        return mean(each(answers(t), given(s)), mask.flatten(1))

    return answer


TASK = "teacher_loss"
wrong(TASK, "the mean of this batch is subtracted: subtract `center`")(
    taught(lambda s, t, c, a, b: (s / a, (t - t.flatten(0, 1).mean(0)) / b))
)
wrong(TASK, "the temperatures are swapped")(taught(lambda s, t, c, a, b: (s / b, (t - c) / a)))
wrong(TASK, "the student's temperature is missing")(taught(lambda s, t, c, a, b: (s, (t - c) / b)))
wrong(TASK, "the teacher's temperature is missing")(taught(lambda s, t, c, a, b: (s / a, t - c)))
wrong(TASK, "both have the student's temperature")(taught(lambda s, t, c, a, b: (s / a, (t - c) / a)))
wrong(TASK, "the student's scores are multiplied")(taught(lambda s, t, c, a, b: (s * a, (t - c) / b)))
wrong(TASK, "the teacher's scores are multiplied")(taught(lambda s, t, c, a, b: (s / a, (t - c) * b)))
wrong(TASK, "`/` comes before `-`")(taught(lambda s, t, c, a, b: (s / a, t - c / b)))
wrong(TASK, "`softmax`, not `log_softmax`")(taught(answers=lambda x: x.log_softmax(-1)))
wrong(TASK, "multiplied by the temperatures")(taught(lambda s, t, c, a, b: (a * s, b * (t - c))))
wrong(TASK, "the center is not subtracted")(taught(lambda s, t, c, a, b: (s / a, t / b)))
wrong(TASK, "the center is added")(taught(lambda s, t, c, a, b: (s / a, (t + c) / b)))
wrong(TASK, "the center is subtracted after the division")(taught(lambda s, t, c, a, b: (s / a, t / b - c)))
wrong(TASK, "the center is subtracted from the student, too")(
    taught(lambda s, t, c, a, b: ((s - c) / a, (t - c) / b))
)
wrong(TASK, "student and teacher are swapped")(taught(lambda s, t, c, a, b: ((t - c) / b, s / a)))
wrong(TASK, "visible tokens count")(taught(mean=lambda x, h: x[~h].mean()))
wrong(TASK, "all tokens count")(taught(mean=lambda x, h: x.mean()))
wrong(TASK, "divided by the number of all: by theirs")(taught(mean=lambda x, h: (x * h).mean()))
wrong(TASK, "that is a sum")(taught(mean=lambda x, h: x[h].sum()))
wrong(TASK, "each image counts the same")(taught(mean=lambda x, h: ((x * h).sum(1) / h.sum(1)).mean()))
wrong(TASK, "averaged over the codes, too")(taught(each=lambda p, q: -(p * q).mean(-1)))
wrong(TASK, "a minus is missing")(taught(each=lambda p, q: (p * q).sum(-1)))
wrong(TASK, "the teacher's entropy is subtracted")(
    taught(each=lambda p, q: F.kl_div(q, p, reduction="none").sum(-1))
)
wrong(TASK, "the logarithm is missing")(taught(given=lambda x: x.softmax(-1)))
wrong(TASK, "the squared differences of the probabilities are added up")(
    taught(given=lambda x: x.softmax(-1), each=lambda p, q: ((p - q) ** 2).sum(-1))
)
wrong(TASK, "the teacher's likeliest code counts alone")(
    taught(answers=lambda x: F.one_hot(x.argmax(-1), x.shape[-1]).float())
)
wrong(TASK, "the softmax goes over the tokens")(
    taught(answers=lambda x: x.softmax(1), given=lambda x: x.log_softmax(1))
)
wrong(TASK, "the softmax of the teacher is missing")(taught(answers=lambda x: x))
wrong(TASK, "the base 2")(taught(given=lambda x: x.softmax(-1).log2()))
wrong(TASK, "average over the hidden tokens")(taught(mean=lambda x, h: x[h]))
wrong(TASK, "not one for each image")(taught(mean=lambda x, h: (x * h).sum(1) / h.sum(1)))
wrong(TASK, "`exp` of a large score is infinite")(
    taught(answers=lambda x: x.exp() / x.exp().sum(-1, keepdim=True))
)
wrong(TASK, "`exp` of a large score is infinite")(taught(given=lambda x: x - x.exp().sum(-1, keepdim=True).log()))
wrong(TASK, "take `log_softmax`")(taught(given=lambda x: x.softmax(-1).log()))
wrong(TASK, "a gradient reaches the teacher")(
    lambda s, t, c, m, a, b: -(((t - c) / b).softmax(-1) * (s / a).log_softmax(-1)).sum(-1)[m.flatten(1)].mean()
)
wrong(TASK, "lets the gradient through")(lambda *args: over_hidden_rows(*args).item())
wrong(TASK, "averaged over the hidden tokens expected")(
    taught(lambda s, t, c, a, b: (s / a, ((t - c) / b).tanh()))
)


@wrong(TASK, "leaves its inputs as they are")
def centred_in_place(student, teacher, center, mask, student_temperature, teacher_temperature):
    teacher = teacher.detach()
    teacher -= center
    return over_hidden_rows(student, teacher, 0 * center, mask, student_temperature, teacher_temperature)


def reached(*places):
    """A loss through which the student learns, and what stands at these places."""

    def answer(*args):
        s, t, c = (arg if place in (0, *places) else arg.detach() for place, arg in enumerate(args[:3]))
        losses = -(((t - c) / args[5]).softmax(2) * (s / args[4]).log_softmax(2)).sum(2)
        return losses[args[3].flatten(1)].mean()

    return answer


wrong(TASK, "a gradient reaches the center:")(reached(2))
wrong(TASK, "a gradient reaches the teacher:")(reached(1))
wrong(TASK, "the gradient of argument 1 is not that of these values")(
    taught(given=lambda x: x - x.detach().logsumexp(2, keepdim=True))
)
wrong(TASK, "is something added to small probabilities")(taught(given=lambda x: (x.softmax(-1) + 1e-8).log()))
wrong(TASK, "read column by column")(lambda s, t, c, m, a, b: taught()(s, t, c, m.transpose(1, 2), a, b))
wrong(TASK, "give it a list of tokens")(
    lambda s, t, c, m, a, b: F.cross_entropy(s / a, ((t - c) / b).softmax(2).detach())
)
wrong(TASK, "the student's softmax is taken twice")(taught(given=lambda x: x.softmax(2).log_softmax(2)))
