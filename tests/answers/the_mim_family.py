"""Answers to the exercises on the family of masked image modelling (lesson 11)."""

import math

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
    shown = tokens.masked_fill(mask.flatten(1)[..., None], 0)  # 0 times NaN would be NaN
    return einsum(torch.stack(table), shown, "b visible n, b n d -> b visible d")


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
wrong(TASK, "one patch too many")(hidden(count=lambda n: math.ceil(n) + 1))
wrong(TASK, "one patch too few")(hidden(count=lambda n: math.ceil(n) - 1))
wrong(TASK, "`ratio` is the share to hide")(lambda e, r: hidden()(e, 1 - r))
wrong(TASK, "the easiest are hidden, as many as should be shown")(lambda e, r: hidden(lambda x: -x)(e, 1 - r))


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
wrong(TASK, "are all frames drawn together?")(
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
