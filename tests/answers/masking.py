"""Answers to the tasks on masking (lesson 01)."""

import math
from functools import partial
from math import inf

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange, reduce, repeat
from scipy.ndimage import distance_transform_cdt, distance_transform_edt

from answers import right, wrong


@right("random_mask")
def scatter(batch, grid, ratio, generator):
    rows, cols = grid
    count = math.ceil(ratio * (rows * cols))
    order = torch.rand(batch, rows * cols, generator=generator).argsort(dim=1)
    mask = torch.zeros(batch, rows * cols, dtype=torch.bool).scatter_(1, order[:, :count], True)
    return mask.view(batch, rows, cols)


@right("random_mask")
def ranks(batch, grid, ratio, generator):
    rows, cols = grid
    rank = torch.rand(batch, rows * cols, generator=generator).argsort(1).argsort(1)
    return (rank < math.ceil(ratio * rows * cols)).reshape(batch, rows, cols)


@right("random_mask")
def loop(batch, grid, ratio, generator):
    rows, cols = grid
    masks = torch.zeros(batch, rows * cols).bool()
    for mask in masks:
        mask[torch.randperm(rows * cols, generator=generator)[: math.ceil(ratio * rows * cols)]] = True
    return masks.unflatten(1, grid)


@right("random_mask")
def smallest_numbers(batch, grid, ratio, generator):
    patches = grid[0] * grid[1]
    count = math.ceil(ratio * patches)
    chosen = torch.rand(batch, patches, generator=generator, dtype=torch.double).topk(count, largest=False).indices
    return F.one_hot(chosen, patches).sum(1).bool().view(batch, *grid)


class Shuffler:
    """Shuffles a row of True and False for each image."""

    def __call__(self, batch, grid, ratio, generator):
        patches = math.prod(grid)
        row = torch.arange(patches) < math.ceil(ratio * patches)
        return torch.stack([row[torch.randperm(patches, generator=generator)] for _ in range(batch)]).view(
            -1, *grid
        )


right("random_mask")(Shuffler())


@wrong("random_mask", "is it a coin for each patch?")
def coin(batch, grid, ratio, generator):
    return torch.rand(batch, *grid, generator=generator) < ratio


@wrong("random_mask", "True and False are swapped")
def inverted(batch, grid, ratio, generator):
    return ~scatter(batch, grid, ratio, generator)


@wrong("random_mask", "`int` goes down, `ceil` never does")
def rounds_down(batch, grid, ratio, generator):
    rows, cols = grid
    rank = torch.rand(batch, rows * cols, generator=generator).argsort(1).argsort(1)
    return (rank < int(ratio * rows * cols)).view(batch, rows, cols)


@wrong("random_mask", "`round` may go down")
def rounds_to_the_nearest(batch, grid, ratio, generator):
    rows, cols = grid
    rank = torch.rand(batch, rows * cols, generator=generator).argsort(1).argsort(1)
    return (rank < round(ratio * rows * cols)).view(batch, rows, cols)


@wrong("random_mask", "all images of the batch have the same mask")
def one_for_all(batch, grid, ratio, generator):
    return scatter(1, grid, ratio, generator).repeat(batch, 1, 1)


@wrong("random_mask", "pass `generator` on")
def no_generator(batch, grid, ratio, generator):
    return scatter(batch, grid, ratio, None)


@wrong("random_mask", "generators of 30 seeds gave one mask")
def own_seed(batch, grid, ratio, generator):
    return scatter(batch, grid, ratio, torch.Generator().manual_seed(0))


@wrong("random_mask", "not from a copy or its seed ✓ draws each image on its own")
def seeds_the_generator(batch, grid, ratio, generator):
    return scatter(batch, grid, ratio, generator.manual_seed(0))


@wrong("random_mask", "expected True and False, got real numbers")
def floats(batch, grid, ratio, generator):
    return scatter(batch, grid, ratio, generator).float()


@wrong("random_mask", "returns True and False of shape (batch, rows, cols)\n      expected the shape (")
def flat(batch, grid, ratio, generator):
    return scatter(batch, grid, ratio, generator).flatten(1)


@wrong("random_mask", "each should be hidden in about 50%")
def contiguous(batch, grid, ratio, generator):
    rows, cols = grid
    count = math.ceil(ratio * rows * cols)
    start = torch.randint(rows * cols - count + 1, (batch, 1), generator=generator)
    place = torch.arange(rows * cols)
    return ((place >= start) & (place < start + count)).view(batch, rows, cols)


@wrong("random_mask", "`ratio` is the share to hide, not to show")
def share_to_show(batch, grid, ratio, generator):
    return scatter(batch, grid, 1 - ratio, generator)


@wrong("random_mask", "round up the whole count once, not each row")
def rounds_each_row(batch, grid, ratio, generator):
    rows, cols = grid
    rank = torch.rand(batch, rows * cols, generator=generator).argsort(1).argsort(1)
    return (rank < rows * math.ceil(ratio * cols)).view(batch, rows, cols)


@wrong("random_mask", "one too many is hidden where the count is whole")
def one_more_than_int(batch, grid, ratio, generator):
    rows, cols = grid
    rank = torch.rand(batch, rows * cols, generator=generator).argsort(1).argsort(1)
    return (rank < int(ratio * rows * cols) + 1).view(batch, rows, cols)


@wrong("random_mask", "may be just below a whole number")
def counts_the_visible_ones(batch, grid, ratio, generator):
    rows, cols = grid
    rank = torch.rand(batch, rows * cols, generator=generator).argsort(1).argsort(1)
    return (rank >= int((1 - ratio) * rows * cols)).view(batch, rows, cols)


@wrong("random_mask", "an image alone has always the same mask")
def order_along_the_images(batch, grid, ratio, generator):
    rows, cols = grid
    rank = torch.rand(batch, rows * cols, generator=generator).argsort(0).argsort(1)
    return (rank < math.ceil(ratio * rows * cols)).view(batch, rows, cols)


@wrong("random_mask", "each patch equally often: is it a wrong axis?")
def ranks_along_the_images(batch, grid, ratio, generator):
    rank = torch.rand(batch, math.prod(grid), generator=generator).argsort(0)
    return (rank < math.ceil(ratio * math.prod(grid))).view(batch, *grid)


@wrong("random_mask", "the ranks begin at 0")
def up_to_the_count(batch, grid, ratio, generator):
    rank = torch.rand(batch, math.prod(grid), generator=generator).argsort(1)
    return (rank <= math.ceil(ratio * math.prod(grid))).view(batch, *grid)


@wrong("random_mask", "are random numbers compared with it, not ranks?")
def no_ranks(batch, grid, ratio, generator):
    return torch.rand(batch, *grid, generator=generator) < math.ceil(ratio * math.prod(grid))


@wrong("random_mask", "is each drawn into all of them")
def all_rows_of_all_orders(batch, grid, ratio, generator):
    order = torch.rand(batch, math.prod(grid), generator=generator).argsort(1)
    masks = torch.zeros(batch, math.prod(grid), dtype=torch.bool)
    masks[:, order[:, : math.ceil(ratio * math.prod(grid))]] = True
    return masks.view(batch, *grid)


@wrong("random_mask", "are the patches of all images shuffled together?")
def shuffled_together(batch, grid, ratio, generator):
    rows, cols = grid
    rank = torch.randperm(batch * rows * cols, generator=generator).argsort()
    return (rank < batch * math.ceil(ratio * rows * cols)).view(batch, rows, cols)


@wrong("random_mask", "is one drawn twice?")
def drawn_twice(batch, grid, ratio, generator):
    rows, cols = grid
    mask = torch.zeros(batch, rows * cols).bool()
    for image in mask:
        image[torch.randint(rows * cols, (math.ceil(ratio * rows * cols),), generator=generator)] = True
    return mask.view(batch, rows, cols)


@wrong("random_mask", "a count of 20.004 is rounded down")
def nearly_rounded_up(batch, grid, ratio, generator):
    count = int(ratio * math.prod(grid) + 0.99)
    rank = torch.rand(batch, math.prod(grid), generator=generator).argsort(1)
    return (rank < count).view(batch, *grid)


@wrong("random_mask", "all is hidden where the count is 0")
def up_to_the_number_at_the_last_place(batch, grid, ratio, generator):
    numbers = torch.rand(batch, math.prod(grid), generator=generator)
    limits = numbers.sort(1).values[:, math.ceil(ratio * math.prod(grid)) - 1]
    return (numbers <= limits[:, None]).view(batch, *grid)


@wrong("random_mask", "one is hidden where the ratio is 0")
def one_at_least(batch, grid, ratio, generator):
    return scatter(batch, grid, max(ratio, 1 / math.prod(grid)), generator)


@wrong("random_mask", "draw from `generator` itself, not from a copy or its seed")
def copied_seed(batch, grid, ratio, generator):
    return scatter(batch, grid, ratio, torch.Generator().manual_seed(generator.initial_seed()))


@wrong("random_mask", "draw from `generator` itself, not from a copy or its seed")
def copied_state(batch, grid, ratio, generator):
    return scatter(batch, grid, ratio, torch.Generator().set_state(generator.get_state()))


@wrong("random_mask", "leaves global chance alone")
def global_chance(batch, grid, ratio, generator):
    torch.manual_seed(torch.randint(2**31, (), generator=generator).item())
    return scatter(batch, grid, ratio, None)


@wrong("random_mask", "the masks of two images depend on each other")
def each_order_twice(batch, grid, ratio, generator):
    return scatter((batch + 1) // 2, grid, ratio, generator).repeat_interleave(2, dim=0)[:batch]


@wrong("random_mask", "the masks of two images depend on each other")
def second_half_like_the_first(batch, grid, ratio, generator):
    return scatter((batch + 1) // 2, grid, ratio, generator).repeat(2, 1, 1)[:batch]


@wrong("random_mask", "of the 20 masks that hide 3 of 6 patches")
def shifted(batch, grid, ratio, generator):
    order = scatter(1, grid, ratio, generator).flatten()
    shifts = torch.randint(len(order), (batch,), generator=generator).tolist()
    return torch.stack([order.roll(shift) for shift in shifts]).view(batch, *grid)


@wrong("random_mask", "of 30 seeds two gave the same mask")
def few_seeds(batch, grid, ratio, generator):
    seed = torch.randint(20, (), generator=generator).item()
    return scatter(batch, grid, ratio, torch.Generator().manual_seed(seed))


@right("to_pixels")
def interleave_twice(mask, patch):
    return mask.repeat_interleave(patch, dim=1).repeat_interleave(patch, dim=2)


@right("to_pixels")
def einops_repeat(mask, patch):
    return repeat(mask, "b r c -> b (r p) (c q)", p=patch, q=patch)


@right("to_pixels")
def square_by_square(mask, patch):
    batch, rows, cols = mask.shape
    pixels = torch.zeros(batch, rows * patch, cols * patch, dtype=torch.bool)
    for image, row, col in mask.nonzero().tolist():
        pixels[image, row * patch : (row + 1) * patch, col * patch : (col + 1) * patch] = True
    return pixels


@right("to_pixels")
def by_index(mask, patch):
    row, col = (torch.arange(size * patch) // patch for size in mask.shape[1:])
    return mask[:, row[:, None], col]


@right("to_pixels")
@torch.compile
def interpolated(mask, patch):
    return F.interpolate(mask[:, None].float(), scale_factor=patch)[:, 0].bool()


@right("to_pixels")
def kronecker(mask, patch):
    return torch.stack([torch.kron(image.double(), torch.ones(patch, patch)) for image in mask]) > 0


@wrong("to_pixels", "side by side, like tiles")
def tiles(mask, patch):
    return mask.repeat(1, patch, patch)


@wrong("to_pixels", "lie below each other: repeat each row instead")
def tiled_rows(mask, patch):
    return repeat(mask, "b r c -> b (p r) (c q)", p=patch, q=patch)


@wrong("to_pixels", "lie beside each other: repeat each column instead")
def tiled_columns(mask, patch):
    return repeat(mask, "b r c -> b (r p) (q c)", p=patch, q=patch)


@wrong("to_pixels", "grows downwards but not to the right")
def rows_only(mask, patch):
    return mask.repeat_interleave(patch, dim=1)


@wrong("to_pixels", "grows to the right but not downwards")
def cols_only(mask, patch):
    return mask.repeat_interleave(patch, dim=-1)


@wrong("to_pixels", "axis 0 counts the images")
def batch_grows(mask, patch):
    return mask.repeat_interleave(patch, 0).repeat_interleave(patch, 1)


@wrong("to_pixels", "`view` alone makes no square")
def in_line(mask, patch):
    batch, rows, cols = mask.shape
    return repeat(mask, "b r c -> b (r c q)", q=patch**2).view(batch, rows * patch, cols * patch)


@wrong("to_pixels", "there is an axis too many")
def channel_axis(mask, patch):
    return einops_repeat(mask, patch)[:, None]


@wrong("to_pixels", "there is an axis for the colours")
def three_channels(mask, patch):
    return repeat(mask, "b r c -> b 3 (r p) (c q)", p=patch, q=patch)


@wrong("to_pixels", "True and False are swapped")
def visible(mask, patch):
    return ~einops_repeat(mask, patch)


@wrong("to_pixels", "rows and columns are swapped")
def turned(mask, patch):
    return repeat(mask, "b r c -> b (c p) (r q)", p=patch, q=patch)


@wrong("to_pixels", "without `dim`, `repeat_interleave` flattens")
def flattened(mask, patch):
    return mask.repeat_interleave(patch).repeat_interleave(patch)


@wrong("to_pixels", "`repeat_interleave` without `dim` flattens")
def flattened_once(mask, patch):
    return mask.repeat_interleave(patch)


@wrong("to_pixels", "the values are right, but they are numbers")
def pixels_as_floats(mask, patch):
    return F.interpolate(mask[:, None].float(), scale_factor=patch)[:, 0]


@wrong("to_pixels", "`patch` is not used: each square has 2 x 2 pixels")
def always_two(mask, patch):
    return einops_repeat(mask, 2)


@wrong("to_pixels", "`patch` is not used: each square has 16 x 16 pixels")
def always_sixteen(mask, patch):
    return einops_repeat(mask, 16)


@wrong("to_pixels", "makes each entry a square of `patch` x `patch` pixels\n      expected the shape (2, 32, 48)")
def at_most_eight(mask, patch):
    return einops_repeat(mask, min(patch, 8))


@wrong("to_pixels", "the side of a square is `patch`, not patch * patch")
def squared(mask, patch):
    return interleave_twice(mask, patch**2)


@wrong("to_pixels", "one pixel too large")
def one_more(mask, patch):
    return interleave_twice(mask, patch + 1)


@wrong("to_pixels", "axis 0 counts the images, and stays as it is")
def all_axes(mask, patch):
    return interleave_twice(mask, patch).repeat_interleave(patch, 0)


@wrong("to_pixels", "they are whole numbers")
def pixels_as_bytes(mask, patch):
    return interleave_twice(mask, patch).byte()


@wrong("to_pixels", "only the first pixel of each square is hidden")
def corners(mask, patch):
    batch, rows, cols = mask.shape
    pixels = torch.zeros(batch, rows * patch, cols * patch).bool()
    pixels[:, ::patch, ::patch] = mask
    return pixels


@wrong("to_pixels", "works on a batch of one")
def squeezed_pixels(mask, patch):
    return interleave_twice(mask, patch).squeeze(0)


@wrong("to_pixels", "makes each entry a square of `patch` x `patch` pixels\n      expected")
def smooth(mask, patch):
    return F.interpolate(mask[:, None].float(), scale_factor=patch, mode="bilinear")[:, 0] > 0.5


def rearrange_patches(pattern, image, patch):
    return rearrange(image, pattern, p=patch, q=patch)


@right("patchify")
def einops_pattern(image, patch):
    return rearrange(image, "c (rows p) (cols q) -> (rows cols) (c p q)", p=patch, q=patch)


@right("patchify")
def loops(image, patch):
    _, height, width = image.shape
    tops, lefts = range(0, height, patch), range(0, width, patch)
    return torch.stack(
        [image[:, top : top + patch, left : left + patch].flatten() for top in tops for left in lefts]
    )


@right("patchify")
def view_permute(image, patch):
    channels, height, width = image.shape
    split = image.view(channels, height // patch, patch, width // patch, patch)
    return split.permute(1, 3, 0, 2, 4).reshape(-1, channels * patch**2)


@right("patchify")
def unfolded(image, patch):
    return F.unfold(image[None], patch, stride=patch)[0].T


@right("patchify")
def unfold_twice(image, patch):
    return image.unfold(1, patch, patch).unfold(2, patch, patch).permute(1, 2, 0, 3, 4).flatten(2).flatten(0, 1)


@right("patchify")
def convolved(image, patch):
    one_for_each = torch.eye(3 * patch**2).view(-1, 3, patch, patch)
    return F.conv2d(image[None], one_for_each, stride=patch)[0].flatten(1).T


right("patchify")(partial(rearrange_patches, "c (rows p) (cols q) -> (rows cols) (c p q)"))


@wrong("patchify", "`reshape` alone keeps the order of the memory")
def bare_view(image, patch):
    return image.view(-1, 3 * patch**2)


@wrong("patchify", "`reshape` alone keeps the order of the memory")
def split_without_permute(image, patch):
    channels, height, width = image.shape
    split = image.view(channels, height // patch, patch, width // patch, patch)
    return split.reshape(-1, channels * patch**2)


@wrong("patchify", "a row holds patches of one colour")
def unfolded_without_permute(image, patch):
    return image.unfold(1, patch, patch).unfold(2, patch, patch).reshape(-1, 3 * patch * patch)


@wrong("patchify", "count them by the width")
def as_if_square(image, patch):
    places = range(image.shape[1] // patch)
    return torch.stack(
        [image[:, i * patch :, j * patch :][:, :patch, :patch].flatten() for i in places for j in places]
    )


@wrong("patchify", "not at pixel i")
def cuts_at_numbers(image, patch):
    rows, cols = image.shape[1] // patch, image.shape[2] // patch
    result = torch.empty(rows * cols, 3 * patch**2)
    for i in range(rows):
        for j in range(cols):
            result[i * cols + j] = image[:, i : i + patch, j : j + patch].flatten()
    return result


@wrong("patchify", "these are `patch` x `patch` patches")
def as_many_patches(image, patch):
    return rearrange(image, "c (r p) (k q) -> (r k) (c p q)", r=patch, k=patch)


@wrong("patchify", "the last row of patches is missing")
def tops_end_too_early(image, patch):
    return loops(image[:, :-patch], patch)


@wrong("patchify", "the last column of patches is missing")
def lefts_end_too_early(image, patch):
    lefts = range(0, image.shape[2] - patch, patch)
    return torch.stack(
        [image[:, y : y + patch, x : x + patch].flatten() for y in range(0, image.shape[1], patch) for x in lefts]
    )


@wrong("patchify", "as in MAE")
def mae_order(image, patch):
    return rearrange(image, "c (rows p) (cols q) -> (rows cols) (p q c)", p=patch, q=patch)


@wrong("patchify", "go from left to right first")
def column_major(image, patch):
    return rearrange(image, "c (rows p) (cols q) -> (cols rows) (c p q)", p=patch, q=patch)


@wrong("patchify", "swapped inside each patch")
def transposed_inside(image, patch):
    return rearrange(image, "c (rows p) (cols q) -> (rows cols) (c q p)", p=patch, q=patch)


@wrong("patchify", "of the patches and inside them")
def width_first(image, patch):
    return einops_pattern(image.transpose(1, 2), patch)


@wrong("patchify", "read as (3, width, height)")
def swapped_names(image, patch):
    channels, width, height = image.shape
    split = image.reshape(channels, height // patch, patch, width // patch, patch)
    return split.permute(1, 3, 0, 2, 4).reshape(-1, channels * patch**2)


@wrong("patchify", "split the height into (rows, patch)")
def wrong_split(image, patch):
    channels, height, width = image.shape
    split = image.view(channels, height // patch, width // patch, patch, patch)
    return split.permute(1, 2, 0, 3, 4).reshape(-1, channels * patch**2)


@wrong("patchify", "each colour of a patch has a row of its own")
def colours_apart(image, patch):
    return rearrange(image, "c (rows p) (cols q) -> (c rows cols) (p q)", p=patch, q=patch)


@wrong("patchify", "pixels far apart share a patch")
def strided(image, patch):
    return rearrange(image, "c (p rows) (q cols) -> (rows cols) (c p q)", p=patch, q=patch)


@wrong("patchify", "the last row and the last column of patches are missing")
def short_ranges(image, patch):
    _, height, width = image.shape
    tops, lefts = range(0, height - patch, patch), range(0, width - patch, patch)
    cuts = [image[:, top : top + patch, left : left + patch].flatten() for top in tops for left in lefts]
    return torch.stack(cuts) if cuts else image[:0]


@wrong("patchify", "join rows and cols into one")
def three_axes(image, patch):
    return rearrange(image, "c (rows p) (cols q) -> rows cols (c p q)", p=patch, q=patch)


@wrong("patchify", "the matrix is transposed")
def unfold_as_it_comes(image, patch):
    return F.unfold(image[None], patch, stride=patch)[0]


@wrong("patchify", "expected the shape")
def with_batch_axis(image, patch):
    return einops_pattern(image, patch)[None]


@wrong("patchify", "colour by colour, row by row\n      expected the shape (")
def cuts_off(image, patch):
    width = image.shape[2]
    return einops_pattern(image, patch)[: (width // patch) * (width // patch - 1)]


@wrong("patchify", "the colours are in the opposite order")
def bgr(image, patch):
    return einops_pattern(image.flip(0), patch)


@wrong("patchify", "the colours are averaged")
def grey(image, patch):
    return einops_pattern(image.mean(0, keepdim=True), patch)


@wrong("patchify", "cut off at 0 and 1")
def clamped(image, patch):
    return einops_pattern(image.clamp(0, 1), patch)


@wrong("patchify", "the result has no gradient")
def through_numpy(image, patch):
    return torch.from_numpy(einops_pattern(image.detach().numpy(), patch))


@wrong("patchify", "the result has no gradient")
def through_a_list(image, patch):
    return torch.tensor(einops_pattern(image, patch).tolist())


@wrong("patchify", "a single row, a single column and a single patch")
def squeezed(image, patch):
    return einops_pattern(image, patch).squeeze()


@wrong("patchify", "colour by colour, row by row\n      expected")
def half_precision(image, patch):
    return einops_pattern(image.half().float(), patch)


def images_of(mask):
    """Of each image: the coordinates of its hidden pixels, and of its visible ones."""
    return [(hidden.nonzero().float(), (~hidden).nonzero().float()) for hidden in mask]


def guarded(measure):
    """The answer that gives 0, infinity or `measure(hidden pixels, visible pixels)`."""

    def answer(mask):
        return torch.tensor(
            [0.0 if len(h) == 0 else inf if len(v) == 0 else float(measure(h, v)) for h, v in images_of(mask)]
        )

    return answer


@right("avg_dist")
def table_of_pairs(mask):
    result = torch.zeros(len(mask))
    for image, (hidden, shown) in enumerate(images_of(mask)):
        if len(shown) == 0:
            result[image] = inf
        elif len(hidden) > 0:
            result[image] = torch.cdist(hidden, shown).min(dim=1).values.mean()
    return result


@right("avg_dist")
def distance_transform(mask):
    means = []
    for hidden in mask.numpy():
        if hidden.all():
            means.append(inf)
        else:
            means.append(distance_transform_edt(hidden).sum() / max(hidden.sum(), 1))
    return torch.tensor(means)


@right("avg_dist")
def whole_batch_at_once(mask):
    _, height, width = mask.shape
    place = torch.cartesian_prod(torch.arange(height), torch.arange(width)).float()
    hidden = mask.flatten(1)
    distance = torch.cdist(place, place).masked_fill(hidden[:, None], inf).amin(2)
    return distance.where(hidden, 0.0).sum(1) / hidden.sum(1).clamp(min=1)


@right("avg_dist")
def pixel_by_pixel(mask):
    result = []
    for hidden, shown in images_of(mask):
        shown = shown.tolist()
        nearest = [min((math.dist(pixel, other) for other in shown), default=inf) for pixel in hidden.tolist()]
        result.append(sum(nearest) / len(nearest) if nearest else 0.0)
    return torch.tensor(result)


wrong("avg_dist", "this is the city-block distance")(guarded(lambda h, v: torch.cdist(h, v, p=1).amin(1).mean()))
wrong("avg_dist", "this is the chessboard distance")(guarded(lambda h, v: torch.cdist(h, v, p=inf).amin(1).mean()))
wrong("avg_dist", "the root is missing")(guarded(lambda h, v: torch.cdist(h, v).amin(1).square().mean()))
wrong("avg_dist", "the wrong axis, or hidden and visible swapped?")(
    guarded(lambda h, v: torch.cdist(v, h).amin(1).mean())
)
wrong("avg_dist", "the mean is over visible pixels")(guarded(lambda h, v: torch.cdist(h, v).amin(0).mean()))
wrong("avg_dist", "the farthest visible pixel is taken")(guarded(lambda h, v: torch.cdist(h, v).amax(1).mean()))
wrong("avg_dist", "only the nearest one counts")(guarded(lambda h, v: torch.cdist(h, v).mean()))
wrong("avg_dist", "this is the largest distance")(guarded(lambda h, v: torch.cdist(h, v).amin(1).amax()))
wrong("avg_dist", "this is a sum")(guarded(lambda h, v: torch.cdist(h, v).amin(1).sum()))


wrong("avg_dist", "this is the smallest distance")(guarded(lambda h, v: torch.cdist(h, v).amin()))
wrong("avg_dist", "this is the median")(guarded(lambda h, v: torch.cdist(h, v).amin(1).median()))
wrong("avg_dist", "the root of the mean square")(
    guarded(lambda h, v: torch.cdist(h, v).amin(1).square().mean().sqrt())
)
wrong("avg_dist", "do not count the pixels in between")(guarded(lambda h, v: torch.cdist(h, v).amin(1).mean() - 1))
wrong("avg_dist", "cut to whole numbers")(guarded(lambda h, v: torch.cdist(h, v).amin(1).floor().mean()))


@wrong("avg_dist", "works on a batch of one")
def squeezed_distances(mask):
    return table_of_pairs(mask).squeeze()


@wrong("avg_dist", "the mean over all hidden pixels of the batch")
def mean_of_all_hidden(mask):
    distances = torch.tensor([distance_transform_edt(hidden).sum() for hidden in mask.numpy()])
    return distances.sum().float() / mask.sum()


@wrong("avg_dist", "1e+09 is a number, but no clue is near")
def large_instead_of_infinite(mask):
    return table_of_pairs(mask).nan_to_num(posinf=1e9)


@wrong("avg_dist", "no distance is too long")
def infinite_where_nothing_is_hidden(mask):
    return torch.where(mask.flatten(1).any(1), table_of_pairs(mask), inf)


@wrong("avg_dist", "the means are cut to whole numbers")
def whole_numbers(mask):
    return table_of_pairs(mask).long()


@wrong("avg_dist", "the mean is over all pixels")
def over_all_pixels(mask):
    return torch.tensor([distance_transform_edt(hidden).mean() for hidden in mask.numpy()])


@wrong("avg_dist", "one image at a time")
def batch_as_a_solid(mask):
    distances = torch.from_numpy(distance_transform_edt(mask.numpy())).float()
    return distances.sum((1, 2)) / mask.sum((1, 2)).clamp(min=1)


class Measure:
    """Measures in 64 bits."""

    def __call__(self, mask):
        return torch.cat([whole_batch_at_once(image[None]).double() for image in mask])


right("avg_dist")(Measure())


@wrong("avg_dist", "this is one number for the whole batch")
def one_number(mask):
    return table_of_pairs(mask).mean()


@wrong("avg_dist", "all images have the mean of the batch")
def mean_of_the_batch(mask):
    return table_of_pairs(mask).mean().expand(len(mask))


@wrong("avg_dist", "a sum of nothing is divided by 0")
def not_a_number(mask):
    distances = [inf if hidden.all() else distance_transform_edt(hidden).sum() for hidden in mask.numpy()]
    return torch.tensor(distances) / mask.sum((1, 2))


@wrong("avg_dist", "is a number, but no clue is near")
def scipy_alone(mask):
    return torch.tensor([distance_transform_edt(hidden).sum() / max(hidden.sum(), 1) for hidden in mask.numpy()])


@wrong("avg_dist", "it stopped in line")
def stops_without_visible_pixels(mask):
    means = [torch.cdist(h, v).amin(1).mean() if len(h) else torch.tensor(0.0) for h, v in images_of(mask)]
    return torch.stack(means)


@wrong("avg_dist", "0 would be the easiest mask")
def nothing_visible_is_zero(mask):
    return table_of_pairs(mask).nan_to_num(posinf=0)


@wrong("avg_dist", "is a number, but no clue is near")
def looks_at_the_whole_batch(mask):
    if mask.all():
        return torch.full((len(mask),), inf)
    return scipy_alone(mask)


@wrong("avg_dist", "is it returned too early")
def returns_inside_the_loop(mask):
    result = []
    for hidden, shown in images_of(mask):
        if len(hidden) == 0:
            return torch.tensor([0.0])
        result.append(torch.cdist(hidden, shown).amin(1).mean() if len(shown) else torch.tensor(inf))
    return torch.stack(result)


@wrong("avg_dist", "or is an image skipped?")
def skips_an_image(mask):
    return torch.stack([torch.cdist(h, v).amin(1).sum() / max(1, len(h)) for h, v in images_of(mask) if len(v)])


@wrong("avg_dist", "all get infinity if one image shows nothing")
def infinity_for_all(mask):
    return torch.full((len(mask),), inf) if mask.flatten(1).all(1).any() else table_of_pairs(mask)


@wrong("avg_dist", "all get 0 if one image hides nothing")
def zero_for_all(mask):
    return table_of_pairs(mask) if mask.flatten(1).any(1).all() else torch.zeros(len(mask))


@wrong("avg_dist", "expected a tensor, got")
def list_of_numbers(mask):
    return table_of_pairs(mask).tolist()


def hides_if(measure, damage, patch, split="(r p) (c q)"):
    """The patches for which `measure` of their pixels, (batch, rows, cols, pixels), is True."""
    rows, cols = damage.shape[1] // patch, damage.shape[2] // patch
    return measure(rearrange(damage, f"b {split} -> b r c (p q)", r=rows, c=cols, p=patch, q=patch))


@right("patches_to_hide")
def any_in_einops(damage, patch):
    return rearrange(damage, "b (r p) (c q) -> b r c (p q)", p=patch, q=patch).any(-1)


@right("patches_to_hide")
def largest_of_each(damage, patch):
    return reduce(damage.to(torch.uint8), "b (r p) (c q) -> b r c", "max", p=patch, q=patch) == 1


@right("patches_to_hide")
def pooled(damage, patch):
    return F.max_pool2d(damage.double(), patch).bool()


@right("patches_to_hide")
def patch_by_patch(damage, patch):
    batch, height, width = damage.shape
    mask = torch.zeros(batch, height // patch, width // patch, dtype=torch.bool)
    for image, row, col in damage.nonzero().tolist():
        mask[image, row // patch, col // patch] = True
    return mask


class Unfold:
    """Counts the damaged pixels of a patch."""

    def __call__(self, damage, patch):
        return damage.unfold(1, patch, patch).unfold(2, patch, patch).flatten(3).sum(3) > 0


right("patches_to_hide")(Unfold())


@wrong("patches_to_hide", "only wholly damaged patches are hidden")
def wholly_damaged(damage, patch):
    return hides_if(lambda m: m.all(-1), damage, patch)


@wrong("patches_to_hide", "a half is not needed")
def half_damaged(damage, patch):
    return hides_if(lambda m: m.double().mean(-1) >= 0.5, damage, patch)


@wrong("patches_to_hide", "more than a half is not needed")
def rounded_share(damage, patch):
    return hides_if(lambda m: m.double().mean(-1) > 0.5, damage, patch)


@wrong("patches_to_hide", "two are not needed")
def two_pixels(damage, patch):
    return hides_if(lambda m: m.sum(-1) > 1, damage, patch)


@wrong("patches_to_hide", "no share is too small")
def a_share_of_damage(damage, patch):
    return F.avg_pool2d(damage.float(), patch) > 0.01


@wrong("patches_to_hide", "256 damaged pixels are 0 in 8 bits")
def counts_in_bytes(damage, patch):
    counts = reduce(damage.int(), "b (r p) (c q) -> b r c", "sum", p=patch, q=patch)
    return counts.to(torch.uint8) > 0


@wrong("patches_to_hide", "two damaged pixels or more stay visible")
def exactly_one(damage, patch):
    return reduce(damage.int(), "b (r p) (c q) -> b r c", "sum", p=patch, q=patch) == 1


@wrong("patches_to_hide", "only the first pixel of each patch")
def every_first_pixel(damage, patch):
    return damage[:, ::patch, ::patch]


@wrong("patches_to_hide", "only the last pixel of each patch")
def every_last_pixel(damage, patch):
    return damage[:, patch - 1 :: patch, patch - 1 :: patch]


@wrong("patches_to_hide", "only the pixel in the middle")
def resized(damage, patch):
    return damage[:, patch // 2 :: patch, patch // 2 :: patch]


@wrong("patches_to_hide", "only the corners of each patch")
def corners_of_patches(damage, patch):
    ends = damage[:, ::patch] | damage[:, patch - 1 :: patch]
    return ends[:, :, ::patch] | ends[:, :, patch - 1 :: patch]


@wrong("patches_to_hide", "only the diagonal of each patch")
def diagonals(damage, patch):
    split = rearrange(damage, "b (r p) (c q) -> b r c p q", p=patch, q=patch)
    return split[..., torch.arange(patch), torch.arange(patch)].any(-1)


@wrong("patches_to_hide", "only the first row of each patch")
def first_rows(damage, patch):
    return F.max_pool1d(damage[:, ::patch].float(), patch) > 0


@wrong("patches_to_hide", "each of its rows is damaged")
def any_then_all(damage, patch):
    return rearrange(damage, "b (r p) (c q) -> b r c p q", p=patch, q=patch).any(-1).all(-1)


@wrong("patches_to_hide", "this mask is one of pixels")
def mask_of_pixels(damage, patch):
    return interleave_twice(any_in_einops(damage, patch), patch)


@wrong("patches_to_hide", "True and False are swapped")
def patches_to_show(damage, patch):
    return ~any_in_einops(damage, patch)


@wrong("patches_to_hide", "rows and columns are swapped")
def cols_then_rows(damage, patch):
    return rearrange(damage, "b (r p) (c q) -> b c r (p q)", p=patch, q=patch).any(-1)


@wrong("patches_to_hide", "pixels far apart share a patch")
def far_apart(damage, patch):
    return hides_if(lambda m: m.any(-1), damage, patch, "(p r) (q c)")


@wrong("patches_to_hide", "`view` alone keeps the order of the memory")
def viewed(damage, patch):
    batch, height, width = damage.shape
    return damage.reshape(batch, height // patch, width // patch, patch * patch).any(dim=3)


@wrong("patches_to_hide", "one answer for a whole row of patches")
def axis_too_far(damage, patch):
    return rearrange(damage, "b (r p) w -> b r (p w)", p=patch).any(-1)


@wrong("patches_to_hide", "one answer for each image")
def damaged_images(damage, patch):
    return damage.flatten(1).any(1)


@wrong("patches_to_hide", "the damage of all images is put together")
def together(damage, patch):
    return any_in_einops(damage.any(0, keepdim=True), patch).repeat(len(damage), 1, 1)


@wrong("patches_to_hide", "this is the number of damaged pixels")
def counted(damage, patch):
    return hides_if(lambda m: m.sum(-1), damage, patch)


@wrong("patches_to_hide", "this is the share of damaged pixels")
def pooled_average(damage, patch):
    return F.avg_pool2d(damage.float(), patch)


@wrong("patches_to_hide", "they are numbers")
def pooled_floats(damage, patch):
    return F.max_pool2d(damage.float(), patch)


@wrong("patches_to_hide", "the patches overlap")
def without_stride(damage, patch):
    return F.max_pool2d(damage.float(), patch, 1).bool()


@wrong("patches_to_hide", "not at pixel i")
def looks_at_numbers(damage, patch):
    mask = torch.zeros(len(damage), damage.shape[1] // patch, damage.shape[2] // patch, dtype=torch.bool)
    for b, i, j in torch.ones_like(mask).nonzero().tolist():
        mask[b, i, j] = damage[b, i : i + patch, j : j + patch].any()
    return mask


@wrong("patches_to_hide", "these are `patch` x `patch` patches")
def in_as_many_patches(damage, patch):
    return rearrange(damage, "b (r p) (k q) -> b r k (p q)", r=patch, k=patch).any(-1)


@wrong("patches_to_hide", "`patch` is not used: each patch has 4 x 4 pixels")
def patches_of_four(damage, patch):
    return F.max_pool2d(damage.float(), 4).bool()


@wrong("patches_to_hide", "works on a batch of one")
def squeezed_damage(damage, patch):
    return pooled(damage, patch).squeeze(0)


@wrong("patches_to_hide", "if one or more of its pixels are damaged\n      expected")
def third_damaged(damage, patch):
    return hides_if(lambda m: m.sum(-1) > 3, damage, patch)


@right("patch_shares")
def powers(patch, ratio):
    hidden, visible = ratio ** (patch**2), (1 - ratio) ** (patch**2)
    return hidden, 1 - hidden - visible, visible


@right("patch_shares")
def multiplied(patch, ratio):
    hidden = visible = 1.0
    for _ in range(patch * patch):
        hidden, visible = hidden * ratio, visible * (1 - ratio)
    return [hidden, 1 - (hidden + visible), visible]


@right("patch_shares")
def counted_by_binomials(patch, ratio):
    n = patch * patch
    shares = [math.comb(n, k) * ratio**k * (1 - ratio) ** (n - k) for k in range(n + 1)]
    return shares[n], sum(shares[1:n]), shares[0]


@right("patch_shares")
def tensors_of_coins(patch, ratio):
    hidden = torch.full((patch, patch), ratio, dtype=torch.float64, requires_grad=True)
    whole, empty = hidden.prod(), (1 - hidden).prod()
    return whole, 1 - whole - empty, empty


@right("patch_shares")
def by_numpy(patch, ratio):
    whole = np.power([ratio, 1 - ratio], patch**2)
    return whole[0], 1 - whole.sum(), whole[1]


@wrong("patch_shares", "is the square missing?")
def side_alone(patch, ratio):
    return ratio**patch, 1 - ratio**patch - (1 - ratio) ** patch, (1 - ratio) ** patch


@wrong("patch_shares", "the square is not the double")
def double_of_the_side(patch, ratio):
    return ratio ** (2 * patch), 1 - ratio ** (2 * patch) - (1 - ratio) ** (2 * patch), (1 - ratio) ** (2 * patch)


@wrong("patch_shares", "`^` is no power in Python")
def patch_xor_two(patch, ratio):
    n = patch ^ 2
    return ratio**n, 1 - ratio**n - (1 - ratio) ** n, (1 - ratio) ** n


@wrong("patch_shares", "the three colours of a pixel share a coin")
def with_colours(patch, ratio):
    n = 3 * patch * patch
    return ratio**n, 1 - ratio**n - (1 - ratio) ** n, (1 - ratio) ** n


@wrong("patch_shares", "one coin for a patch")
def coin_for_a_patch(patch, ratio):
    return ratio, 0.0, 1 - ratio


@wrong("patch_shares", "`ratio` is not used")
def fair_coin(patch, ratio):
    return powers(patch, 0.5)


@wrong("patch_shares", "one coin too few")
def one_coin_short(patch, ratio):
    n = patch**2 - 1
    return ratio**n, 1 - ratio**n - (1 - ratio) ** n, (1 - ratio) ** n


@wrong("patch_shares", "hidden and visible are swapped")
def opposite_order(patch, ratio):
    return powers(patch, ratio)[::-1]


@wrong("patch_shares", "the order is hidden, mixed, visible")
def mixed_last(patch, ratio):
    hidden, mixed, visible = powers(patch, ratio)
    return hidden, visible, mixed


@wrong("patch_shares", "the visible patches are counted as mixed")
def rest_of_hidden(patch, ratio):
    hidden, _, visible = powers(patch, ratio)
    return hidden, 1 - hidden, visible


@wrong("patch_shares", "not hidden whole is not yet visible whole")
def nothing_mixed(patch, ratio):
    return ratio ** (patch**2), 0.0, 1 - ratio ** (patch**2)


@wrong("patch_shares", "`mixed` is no product")
def product_of_both(patch, ratio):
    hidden, _, visible = powers(patch, ratio)
    return hidden, hidden * visible, visible


@wrong("patch_shares", "`1 - (hidden + visible)`")
def no_brackets(patch, ratio):
    hidden, _, visible = powers(patch, ratio)
    return hidden, 1 - hidden + visible, visible


@wrong("patch_shares", "what is left of 1, not `ratio * (1 - ratio)`")
def mixed_as_a_product(patch, ratio):
    hidden, _, visible = powers(patch, ratio)
    return hidden, ratio * (1 - ratio), visible


@wrong("patch_shares", "multiplied, not added")
def added_up(patch, ratio):
    n = patch**2
    return n * ratio, 1 - n * ratio - n * (1 - ratio), n * (1 - ratio)


@wrong("patch_shares", "these are percent")
def in_percent(patch, ratio):
    return tuple(100 * share for share in powers(patch, ratio))


@wrong("patch_shares", "`mixed` is missing")
def two_shares(patch, ratio):
    hidden, _, visible = powers(patch, ratio)
    return hidden, visible


@wrong("patch_shares", "this is one share")
def hidden_share_alone(patch, ratio):
    return ratio ** (patch * patch)


@wrong("patch_shares", "rounded to 3 digits")
def shares_with_three_digits(patch, ratio):
    return tuple(round(share, 3) for share in powers(patch, ratio))


@wrong("patch_shares", "one hidden pixel does not hide the patch")
def hidden_by_one(patch, ratio):
    visible = (1 - ratio) ** (patch * patch)
    return 1 - visible, 0.0, visible


@wrong("patch_shares", "keeps small shares")
def shares_with_seven_digits(patch, ratio):
    return tuple(round(share, 7) for share in powers(patch, ratio))


@wrong("patch_shares", "expected a tuple of 3 values")
def a_tensor_of_shares(patch, ratio):
    return torch.tensor(powers(patch, ratio))


@right("mae_to_images")
def one_pattern(patches, patch, grid):
    rows, _ = grid
    return rearrange(patches, "b (rows cols) (p q c) -> b c (rows p) (cols q)", rows=rows, p=patch, q=patch)


@right("mae_to_images")
def as_in_mae(patches, patch, grid):
    split = patches.reshape(shape=(patches.shape[0], *grid, patch, patch, 3))
    return torch.einsum("nhwpqc->nchpwq", split).reshape(len(patches), 3, grid[0] * patch, grid[1] * patch)


@right("mae_to_images")
def permuted(patches, patch, grid):
    (rows, cols), batch = grid, len(patches)
    split = patches.view(batch, rows, cols, patch, patch, 3).permute(0, 5, 1, 3, 2, 4)
    return split.reshape(batch, 3, rows * patch, cols * patch)


@right("mae_to_images")
def folded(patches, patch, grid):
    by_colour = patches.unflatten(2, (-1, 3)).transpose(2, 3).flatten(2)
    return F.fold(by_colour.transpose(1, 2), (grid[0] * patch, grid[1] * patch), patch, stride=patch)


@right("mae_to_images")
def shuffled(patches, patch, grid):
    by_colour = rearrange(patches.double(), "b (r c) (n rgb) -> b (rgb n) r c", r=grid[0], rgb=3)
    return F.pixel_shuffle(by_colour, patch)


@right("mae_to_images")
def row_by_row(patches, patch, grid):
    squares = patches.view(len(patches), *grid, patch, patch, 3)
    rows = [torch.cat([*row.unbind(1)], dim=2) for row in squares.unbind(1)]
    return torch.cat(rows, dim=1).movedim(-1, 1)


def from_patches(pattern, patches, patch, grid):
    order, into = pattern.split(" -> ")
    size = {"r": grid[0], "k": grid[1], "p": patch, "q": patch, "c": 3}
    return rearrange(patches, f"b {order} -> b {into}", **size)


for says, pattern in {
    "colour by colour, as in SimMIM": "(r k) (c p q) -> c (r p) (k q)",
    "the patches are read downwards": "(k r) (p q c) -> c (r p) (k q)",
    "swapped inside each patch": "(r k) (q p c) -> c (r p) (k q)",
    "the image lies on its side": "(r k) (p q c) -> c (k q) (r p)",
    "spread over the image": "(r k) (p q c) -> c (p r) (q k)",
    "the colours are the last axis": "(r k) (p q c) -> (r p) (k q) c",
    "each patch is still alone": "(r k) (p q c) -> c r p k q",
}.items():
    wrong("mae_to_images", says)(partial(from_patches, pattern))


@wrong("mae_to_images", "`reshape` alone keeps the order of the memory")
def reshaped(patches, patch, grid):
    return patches.reshape(len(patches), 3, grid[0] * patch, grid[1] * patch)


@wrong("mae_to_images", "only the colours are moved")
def reshaped_with_colours(patches, patch, grid):
    return patches.reshape(len(patches), grid[0] * patch, grid[1] * patch, 3).movedim(3, 1)


@wrong("mae_to_images", "only the colours are moved")
def permuted_only_the_colours(patches, patch, grid):
    (rows, cols), batch = grid, len(patches)
    split = patches.reshape(batch, rows, cols, patch, patch, 3).permute(0, 5, 1, 2, 3, 4)
    return split.reshape(batch, 3, rows * patch, cols * patch)


@wrong("mae_to_images", "`grid` is (rows, cols)")
def cols_first(patches, patch, grid):
    cols, rows = grid
    return one_pattern(patches, patch, (rows, cols))


@wrong("mae_to_images", "the colours are in the opposite order")
def as_opencv(patches, patch, grid):
    return one_pattern(patches, patch, grid)[:, [2, 1, 0]]


@wrong("mae_to_images", "the image is upside down")
def from_the_foot(patches, patch, grid):
    return one_pattern(patches, patch, grid).flip(-2)


@wrong("mae_to_images", "cut off at 0 and 1")
def fit_to_be_shown(patches, patch, grid):
    return one_pattern(patches, patch, grid).clip(0, 1)


@wrong("mae_to_images", "there is one image")
def the_first_image(patches, patch, grid):
    return one_pattern(patches[:1], patch, grid)[0]


@wrong("mae_to_images", "works on a batch of one")
def no_batch_of_one(patches, patch, grid):
    return one_pattern(patches, patch, grid).squeeze(0)


@wrong("mae_to_images", "the result has no gradient")
def by_way_of_numpy(patches, patch, grid):
    return torch.from_numpy(one_pattern(patches.detach().numpy(), patch, grid))


@wrong("mae_to_images", "with a patch of one pixel")
def two_at_least(patches, patch, grid):
    return one_pattern(patches, patch, grid) if patch > 1 else patches.view(len(patches), 3, *grid)


@wrong("mae_to_images", "puts every value in its place\n      expected")
def in_half_precision(patches, patch, grid):
    return one_pattern(patches.half().float(), patch, grid)


def by_rank(counts, grid, generator):
    """Hide so many patches of each image."""
    rank = torch.rand(len(counts), math.prod(grid), generator=generator).argsort(1).argsort(1)
    return (rank < torch.as_tensor(counts)[:, None]).view(-1, *grid)


@right("masks_of_ratios")
def ranks_and_counts(grid, ratios, generator):
    rows, cols = grid
    rank = torch.rand(len(ratios), rows * cols, generator=generator).argsort(1).argsort(1)
    return (rank < (ratios * rows * cols).ceil()[:, None]).view(len(ratios), rows, cols)


@right("masks_of_ratios")
def one_order_is_a_rank(grid, ratios, generator):
    rows, cols = grid
    rank = torch.rand(len(ratios), rows * cols, generator=generator).argsort(dim=1)
    return (rank < torch.ceil(ratios * rows * cols)[:, None]).reshape(-1, rows, cols)


@right("masks_of_ratios")
def image_by_image(grid, ratios, generator):
    masks = []
    for ratio in ratios.tolist():
        mask = torch.zeros(math.prod(grid), dtype=torch.bool)
        mask[torch.randperm(len(mask), generator=generator)[: math.ceil(ratio * len(mask))]] = True
        masks.append(mask.view(grid))
    return torch.stack(masks)


@right("masks_of_ratios")
def below_a_threshold(grid, ratios, generator):
    n = math.prod(grid)
    scores = torch.rand(len(ratios), n, generator=generator, dtype=torch.float64)
    limits = F.pad(scores.sort(1).values, (0, 1), value=2.0).gather(
        1, (ratios.double() * n).ceil().long()[:, None]
    )
    return (scores < limits).unflatten(1, grid)


@right("masks_of_ratios")
def scattered_row(grid, ratios, generator):
    n = math.prod(grid)
    first_ones = torch.arange(n) < torch.tensor([math.ceil(ratio * n) for ratio in ratios])[:, None]
    order = torch.rand(len(ratios), n, generator=generator).argsort(1)
    return torch.zeros(len(ratios), n).bool().scatter(1, order, first_ones).view(-1, *grid)


@wrong("masks_of_ratios", "is it a coin for each patch?")
def coin_of_each_ratio(grid, ratios, generator):
    return torch.rand(len(ratios), *grid, generator=generator) < ratios[:, None, None]


@wrong("masks_of_ratios", "is one drawn twice?")
def with_replacement(grid, ratios, generator):
    masks = torch.zeros(len(ratios), math.prod(grid)).bool()
    for mask, ratio in zip(masks, ratios.tolist(), strict=True):
        mask[torch.randint(len(mask), (math.ceil(ratio * len(mask)),), generator=generator)] = True
    return masks.view(-1, *grid)


for says, count in {
    "the shares to hide, not to show": lambda n, asked: (n - asked).ceil(),
    "True and False are swapped": lambda n, asked: n - asked.ceil(),
    "`int` and `floor` go down": lambda n, asked: asked.int(),
    "`round` may go down": lambda n, asked: asked.round(),
    "one too many is hidden where the count is whole": lambda n, asked: asked.floor() + 1,
    "the ranks begin at 0": lambda n, asked: asked.ceil() + 1,
    "one too few is hidden": lambda n, asked: asked.ceil() - 1,
    "all images have the first ratio": lambda n, asked: asked[:1].ceil().expand(len(asked)),
    "all images have the mean of the ratios": lambda n, asked: asked.mean().ceil().expand(len(asked)),
    "all images have the largest ratio": lambda n, asked: asked.amax().ceil().expand(len(asked)),
    "the ratios are sorted": lambda n, asked: asked.sort()[0].ceil(),
    "the ratios are in the opposite order": lambda n, asked: asked.flip(0).ceil(),
}.items():
    wrong("masks_of_ratios", says)(
        lambda grid, ratios, generator, count=count: by_rank(
            count(math.prod(grid), math.prod(grid) * ratios), grid, generator
        )
    )


@wrong("masks_of_ratios", "round up the whole count once, not each row")
def rounds_in_each_row(grid, ratios, generator):
    return by_rank(grid[0] * (ratios * grid[1]).ceil(), grid, generator)


@wrong("masks_of_ratios", "pass `generator` on")
def without_generator(grid, ratios, generator):
    return ranks_and_counts(grid, ratios, None)


@wrong("masks_of_ratios", "not from a copy or its seed")
def with_its_seed(grid, ratios, generator):
    return ranks_and_counts(grid, ratios, torch.Generator().manual_seed(generator.initial_seed()))


@wrong("masks_of_ratios", "a count of 20.004 is rounded down")
def nearly_rounded_up_counts(grid, ratios, generator):
    return by_rank((math.prod(grid) * ratios + 0.99).floor(), grid, generator)


@wrong("masks_of_ratios", "all is hidden where the count is 0")
def limits_at_the_last_place(grid, ratios, generator):
    scores = torch.rand(len(ratios), math.prod(grid), generator=generator)
    places = (ratios * math.prod(grid)).ceil().long() - 1
    limits = scores.sort(1).values[torch.arange(len(ratios)), places]
    return (scores <= limits[:, None]).view(-1, *grid)


@wrong("masks_of_ratios", "are random numbers compared with it, not ranks?")
def numbers_for_ranks(grid, ratios, generator):
    counts = (math.prod(grid) * ratios).ceil()
    return torch.rand(len(ratios), *grid, generator=generator) < counts[:, None, None]


@wrong("masks_of_ratios", "is each drawn into all of them")
def fills_all_images(grid, ratios, generator):
    masks = torch.zeros(len(ratios), math.prod(grid)).bool()
    for ratio in ratios:
        order = torch.randperm(math.prod(grid), generator=generator)
        masks[:, order[: math.ceil(ratio * math.prod(grid))]] = True
    return masks.view(-1, *grid)


@wrong("masks_of_ratios", "each patch equally often: is it a wrong axis?")
def ranks_among_images(grid, ratios, generator):
    rank = torch.rand(len(ratios), math.prod(grid), generator=generator).argsort(0)
    return (rank < (ratios * math.prod(grid)).ceil()[:, None]).view(-1, *grid)


@wrong("masks_of_ratios", "each patch equally often: is it a wrong axis?")
def ranks_of_ranks_among_images(grid, ratios, generator):
    rank = torch.rand(len(ratios), math.prod(grid), generator=generator).argsort(0).argsort(0)
    return (rank < (ratios * math.prod(grid)).ceil()[:, None]).view(-1, *grid)


@wrong("masks_of_ratios", "not from a copy or its seed ✓ draws each image on its own")
def with_a_seed(grid, ratios, generator):
    return ranks_and_counts(grid, ratios, torch.Generator().manual_seed(0))


@wrong("masks_of_ratios", "all images of the batch have the same mask")
def nested_masks(grid, ratios, generator):
    rank = torch.randperm(math.prod(grid), generator=generator)
    return (rank < (ratios * len(rank)).ceil()[:, None]).view(-1, *grid)


@wrong("masks_of_ratios", "each should be hidden in about 50%")
def first_patches(grid, ratios, generator):
    start = torch.rand(len(ratios), 1, generator=generator)
    n = math.prod(grid)
    count = (ratios * n).ceil()[:, None]
    place = torch.arange(n) - (start * (n - count + 1)).floor()
    return ((place >= 0) & (place < count)).view(-1, *grid)


@wrong("masks_of_ratios", "expected True and False, got real numbers")
def real_numbers(grid, ratios, generator):
    return ranks_and_counts(grid, ratios, generator).float()


@wrong("masks_of_ratios", "shape (batch, rows, cols)\n      expected the shape (")
def flat_masks(grid, ratios, generator):
    return ranks_and_counts(grid, ratios, generator).flatten(1)


def share_by_distance(measure, p=inf):
    """The answer that gives 0, or `measure(distances to each visible pixel, reach)` of each image."""

    def answer(mask, reach):
        shares = []
        for hidden, shown in images_of(mask):
            far = torch.full((len(hidden), 1), inf)
            distances = torch.cat([torch.cdist(hidden, shown, p=p), far], dim=1)
            shares.append(float(measure(distances, reach)) if len(hidden) else 0.0)
        return torch.tensor(shares)

    return answer


def sees_nothing(d, reach):
    return (d.amin(1) > reach).double()


@right("blind_share")
def by_pooling(mask, reach):
    seen = F.max_pool2d((~mask).float(), 2 * reach + 1, stride=1, padding=reach) > 0
    return (mask & ~seen).sum((1, 2)) / mask.sum((1, 2)).clamp(min=1)


@right("blind_share")
def by_convolution(mask, reach):
    window = torch.ones(1, 1, 2 * reach + 1, 2 * reach + 1)
    clues = F.conv2d((~mask)[:, None].float(), window, padding=reach)[:, 0]
    blind = mask & (clues < 0.5)
    return blind.flatten(1).sum(1).double() / mask.flatten(1).sum(1).clamp(min=1)


@right("blind_share")
def window_by_window(mask, reach):
    shares = []
    for image in mask:
        blind = [
            bool(image[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1].all())
            for y, x in image.nonzero().tolist()
        ]
        shares.append(sum(blind) / max(1, len(blind)))
    return torch.tensor(shares)


@right("blind_share")
def chessboard_transform(mask, reach):
    shares = []
    for hidden in mask.numpy():
        if hidden.all():
            shares.append(1.0)
        else:
            far = distance_transform_cdt(hidden, metric="chessboard") > reach
            shares.append(far.sum() / max(1, hidden.sum()))
    return torch.tensor(shares)


class Distances:
    """Measures all distances."""

    def __call__(self, mask, reach):
        return share_by_distance(lambda d, r: sees_nothing(d, r).mean())(mask, reach)


right("blind_share")(Distances())

for says, measure, p in [
    ("the straight line leaves out its corners", lambda d, r: sees_nothing(d, r).mean(), 2),
    ("rows + columns leaves out its corners", lambda d, r: sees_nothing(d, r).mean(), 1),
    ("the window is one pixel too small", lambda d, r: (d.amin(1) >= r).double().mean(), inf),
    ("the window is one pixel too large", lambda d, r: sees_nothing(d, r + 1).mean(), inf),
    ("`reach` goes to each side", lambda d, r: sees_nothing(d, r // 2).mean(), inf),
    ("not twice as far", lambda d, r: sees_nothing(d, 2 * r).mean(), inf),
    ("`reach` is not used", lambda d, r: sees_nothing(d, 1).mean(), inf),
    ("that see a visible one", lambda d, r: 1 - sees_nothing(d, r).mean(), inf),
    ("this is a count", lambda d, r: sees_nothing(d, r).sum(), inf),
    ("in percent", lambda d, r: 100 * sees_nothing(d, r).mean(), inf),
    (
        "this asks for all of them",
        lambda d, r: (d[:, :-1].amax(1) > r).double().mean() if d.shape[1] > 1 else 1,
        inf,
    ),
]:
    wrong("blind_share", says)(share_by_distance(measure, p))


@wrong("blind_share", "the share is of all pixels")
def of_all_pixels(mask, reach):
    return by_pooling(mask, reach) * mask.float().mean((1, 2))


@wrong("blind_share", "hidden and visible are swapped")
def swapped_hidden(mask, reach):
    return by_pooling(~mask, reach)


@wrong("blind_share", "outside of the image counts as visible")
def padded_with_visible(mask, reach):
    window = F.unfold(F.pad(mask.float(), (reach,) * 4)[:, None], 2 * reach + 1)
    blind = mask.flatten(1) & window.bool().all(1)
    return blind.sum(1) / mask.flatten(1).sum(1).clamp(min=1)


@wrong("blind_share", "this is one number for the whole batch")
def mean_share(mask, reach):
    return by_pooling(mask, reach).mean()


@wrong("blind_share", "the share of all hidden pixels of the batch")
def share_of_the_batch(mask, reach):
    seen = F.max_pool2d((~mask).float(), 2 * reach + 1, stride=1, padding=reach) > 0
    return (mask & ~seen).sum() / mask.sum().clamp(min=1)


@wrong("blind_share", "this is True where a pixel is blind")
def blind_pixels(mask, reach):
    return mask & (F.max_pool2d((~mask).float(), 2 * reach + 1, stride=1, padding=reach) == 0)


@wrong("blind_share", "NaN: 0 is divided by 0")
def without_clamp(mask, reach):
    seen = F.max_pool2d((~mask).float(), 2 * reach + 1, stride=1, padding=reach) > 0
    return (mask & ~seen).sum((1, 2)) / mask.sum((1, 2))


@wrong("blind_share", "is 1 where nothing is visible")
def all_see_in_a_large_window(mask, reach):
    found = by_pooling(mask, reach)
    return 0 * found if reach >= max(mask.shape[1:]) else found


@wrong("blind_share", "to the other end of the image")
def round_the_edge(mask, reach):
    visible = F.pad((~mask).float(), (reach,) * 4, mode="circular")
    blind = F.max_pool2d(visible, 2 * reach + 1, stride=1) == 0
    return blind.sum((1, 2)) / mask.sum((1, 2)).clamp(min=1)


@wrong("blind_share", "above or left of the image are empty")
def slices_from_below_0(mask, reach):
    shares = []
    for image in mask:
        windows = [
            image[y - reach : y + reach + 1, x - reach : x + reach + 1] for y, x in image.nonzero().tolist()
        ]
        shares.append(sum(bool(window.all()) for window in windows) / max(1, len(windows)))
    return torch.tensor(shares)


@wrong("blind_share", "is 1 where nothing is visible")
def nothing_to_see(mask, reach):
    return by_pooling(mask, reach) * (~mask).flatten(1).any(1)


@wrong("blind_share", "works on a batch of one")
def one_share(mask, reach):
    return by_pooling(mask, reach).squeeze()


@wrong("blind_share", "expected a tensor, got")
def list_of_shares(mask, reach):
    return by_pooling(mask, reach).tolist()


def blocks(hidden, covariance):
    """The parts hv and vv of the covariance."""
    return covariance[hidden][:, ~hidden], covariance[~hidden][:, ~hidden]


def write(values, hidden, guess):
    """`values` with the guess in the hidden places."""
    filled = values.clone()
    filled[hidden] = guess
    return filled


@right("lmmse_fill")
def solved(values, hidden, mean, covariance):
    hv, vv = blocks(hidden, covariance)
    deviation = (values - mean)[~hidden]
    return write(values, hidden, mean[hidden] + hv @ torch.linalg.solve(vv, deviation))


@right("lmmse_fill")
def inverted_block(values, hidden, mean, covariance):
    h, v = hidden.nonzero()[:, 0], (~hidden).nonzero()[:, 0]
    slopes = covariance[h[:, None], v] @ torch.linalg.inv(covariance[v[:, None], v])
    filled = mean.clone()
    filled[v] = values[v]
    filled[h] += slopes @ (values[v] - mean[v])
    return filled


@right("lmmse_fill")
def by_precision(values, hidden, mean, covariance):
    precision = torch.linalg.inv(covariance)
    hv, hh = precision[hidden][:, ~hidden], precision[hidden][:, hidden]
    return write(values, hidden, mean[hidden] - torch.linalg.inv(hh) @ hv @ (values[~hidden] - mean[~hidden]))


@right("lmmse_fill")
def one_clue_after_the_other(values, hidden, mean, covariance):
    guess, left = mean.clone(), covariance.clone()
    for i in (~hidden).nonzero().flatten():
        gain = left[:, i] / left[i, i]
        guess = guess + gain * (values[i] - guess[i])
        left = left - gain[:, None] * left[i]
    return torch.where(hidden, guess, values)


@right("lmmse_fill")
def value_by_value(values, hidden, mean, covariance):
    filled = values.clone()
    shown = ~hidden
    weights = torch.linalg.pinv(covariance[shown][:, shown]) @ (values - mean)[shown]
    for i in range(len(values)):
        if hidden[i]:
            filled[i] = mean[i] + (covariance[i, shown] * weights).sum()
    return filled


class Cholesky:
    """Solves in 64 bits, and keeps the gradients of all but the values."""

    def __call__(self, values, hidden, mean, covariance):
        mean, covariance = (given.double().requires_grad_() for given in (mean, covariance))
        hv, vv = blocks(hidden, covariance)
        weights = torch.cholesky_solve((values - mean)[~hidden][:, None], torch.linalg.cholesky(vv))
        return write(values.double(), hidden, mean[hidden] + (hv @ weights)[:, 0])


right("lmmse_fill")(Cholesky())


@wrong("lmmse_fill", "the whole covariance is inverted, then cut")
def inverse_of_the_whole(values, hidden, mean, covariance):
    hv, inverse = blocks(hidden, covariance)[0], torch.linalg.inv(covariance)
    return write(values, hidden, mean[hidden] + hv @ inverse[~hidden][:, ~hidden] @ (values - mean)[~hidden])


@wrong("lmmse_fill", "S_hh is inverted")
def wrong_block(values, hidden, mean, covariance):
    hv, hh = covariance[hidden][:, ~hidden], covariance[hidden][:, hidden]
    return write(values, hidden, mean[hidden] + hv @ hh.inverse() @ (values - mean)[~hidden])


@wrong("lmmse_fill", "S_vh stands in the place of S_hv")
def swapped_block(values, hidden, mean, covariance):
    vh, vv = covariance[~hidden][:, hidden], covariance[~hidden][:, ~hidden]
    return write(values, hidden, mean[hidden] + vh @ vv.inverse() @ (values - mean)[~hidden])


@wrong("lmmse_fill", "single entries of S are picked")
def entries_for_a_block(values, hidden, mean, covariance):
    weights = torch.linalg.solve(blocks(hidden, covariance)[1], (values - mean)[~hidden])
    return write(values, hidden, mean[hidden] + covariance[hidden, ~hidden] @ weights)


@wrong("lmmse_fill", "the mean is missing, at both places")
def without_mean(values, hidden, mean, covariance):
    hv, vv = blocks(hidden, covariance)
    return write(values, hidden, hv @ torch.linalg.solve(vv, values[~hidden]))


@wrong("lmmse_fill", "the mean of the visible values is not subtracted")
def mean_not_subtracted(values, hidden, mean, covariance):
    hv, vv = blocks(hidden, covariance)
    return write(values, hidden, mean[hidden] + hv @ torch.linalg.solve(vv, values[~hidden]))


@wrong("lmmse_fill", "the mean of the hidden values is not added")
def mean_not_added(values, hidden, mean, covariance):
    hv, vv = blocks(hidden, covariance)
    return write(values, hidden, hv @ torch.linalg.solve(vv, (values - mean)[~hidden]))


@wrong("lmmse_fill", "S_hv is missing")
def without_hv(values, hidden, mean, covariance):
    _, vv = blocks(hidden, covariance)
    return write(values, hidden, mean[hidden] + torch.linalg.solve(vv, (values - mean)[~hidden]))


@wrong("lmmse_fill", "the inverse of S_vv is missing")
def without_vv(values, hidden, mean, covariance):
    hv, _ = blocks(hidden, covariance)
    return write(values, hidden, mean[hidden] + hv @ (values - mean)[~hidden])


@wrong("lmmse_fill", "S_vv stands in the place of its inverse")
def vv_multiplied(values, hidden, mean, covariance):
    hv, vv = blocks(hidden, covariance)
    return write(values, hidden, mean[hidden] + hv @ vv @ (values - mean)[~hidden])


@wrong("lmmse_fill", "the visible values became the mean")
def written_into_the_mean(values, hidden, mean, covariance):
    return torch.where(hidden, solved(values, hidden, mean, covariance), mean)


@wrong("lmmse_fill", "take them, do not compute them")
def formula_for_all(values, hidden, mean, covariance):
    columns, vv = covariance[:, ~hidden], covariance[~hidden][:, ~hidden]
    return mean + columns @ torch.linalg.solve(vv, (values - mean)[~hidden])


@wrong("lmmse_fill", "only the diagonal of S_vv is used")
def diagonal_only(values, hidden, mean, covariance):
    hv, vv = blocks(hidden, covariance)
    return write(values, hidden, mean[hidden] + hv @ ((values - mean)[~hidden] / vv.diag()))


@wrong("lmmse_fill", "each entry of S_vv is inverted")
def inverted_entries(values, hidden, mean, covariance):
    hv, vv = blocks(hidden, covariance)
    return write(values, hidden, mean[hidden] + hv @ vv**-1 @ (values - mean)[~hidden])


@wrong("lmmse_fill", "the visible values lose their own average")
def own_average(values, hidden, mean, covariance):
    hv, vv = blocks(hidden, covariance)
    shown = values[~hidden]
    return write(values, hidden, mean[hidden] + hv @ torch.linalg.solve(vv, shown - shown.mean()))


@wrong("lmmse_fill", "the guess is the mean")
def mean_alone(values, hidden, mean, covariance):
    return torch.where(hidden, mean, values)


@wrong("lmmse_fill", "the values came back as they were")
def uses_all_values(values, hidden, mean, covariance):
    guess = mean + covariance @ torch.linalg.solve(covariance, values - mean)
    return torch.where(hidden, guess, values)


@wrong("lmmse_fill", "hidden and visible are swapped")
def swapped_mask(values, hidden, mean, covariance):
    return solved(values, ~hidden, mean, covariance)


@wrong("lmmse_fill", "only the hidden values came back")
def hidden_alone(values, hidden, mean, covariance):
    return solved(values, hidden, mean, covariance)[hidden]


@wrong("lmmse_fill", "the result is clipped")
def clipped(values, hidden, mean, covariance):
    return solved(values, hidden, mean, covariance).clamp(0, 1)


@wrong("lmmse_fill", "the guess is clipped")
def clipped_guess(values, hidden, mean, covariance):
    return torch.where(hidden, clipped(values, hidden, mean, covariance), values)


@wrong("lmmse_fill", "all visible ones come first")
def visible_first(values, hidden, mean, covariance):
    return torch.cat([values[~hidden], solved(values, hidden, mean, covariance)[hidden]])


@wrong("lmmse_fill", "all hidden ones come first")
def hidden_first(values, hidden, mean, covariance):
    return torch.cat([solved(values, hidden, mean, covariance)[hidden], values[~hidden]])


@wrong("lmmse_fill", "the visible values are lost")
def zeros_around(values, hidden, mean, covariance):
    return torch.where(hidden, solved(values, hidden, mean, covariance), 0)


@wrong("lmmse_fill", "they are the answer, so do not use them")
def a_little_of_the_answer(values, hidden, mean, covariance):
    return torch.where(hidden, 0.5 * solved(values, hidden, mean, covariance) + 0.5 * values, values)


@wrong("lmmse_fill", "it changes its input in place")
def in_place(values, hidden, mean, covariance):
    values[hidden] = solved(values, hidden, mean, covariance)[hidden]
    return values


@wrong("lmmse_fill", "choose the visible values")
def multiplies_by_the_mask(values, hidden, mean, covariance):
    shown = (~hidden).float()
    guess = solved(values * shown, hidden, mean, covariance)
    return guess * hidden + values * shown


@wrong("lmmse_fill", "fills any number of values")
def more_on_the_diagonal(values, hidden, mean, covariance):
    return solved(values, hidden, mean, covariance + 1e-5 * torch.eye(len(values)))


@wrong("lmmse_fill", "fills any number of values")
def never_negative(values, hidden, mean, covariance):
    return solved(values, hidden, mean, covariance).clamp(min=0)


@wrong("lmmse_fill", "fills any number of values")
def one_hidden_value_is_the_mean(values, hidden, mean, covariance):
    return solved(values, hidden, mean, covariance) if hidden.sum() > 1 else torch.where(hidden, mean, values)


@wrong("lmmse_fill", "the clues are subtracted")
def lost_sign(values, hidden, mean, covariance):
    return write(values, hidden, (2 * mean - solved(values, hidden, mean, covariance))[hidden])


@wrong("lmmse_fill", "expected a tensor, got")
def as_a_list(values, hidden, mean, covariance):
    return solved(values, hidden, mean, covariance).tolist()


@wrong("lmmse_fill", "gives the mean where nothing is visible")
def nothing_without_clues(values, hidden, mean, covariance):
    return values if hidden.all() else solved(values, hidden, mean, covariance)


@wrong("random_mask", "some images got no mask")
def mask_returned_in_the_loop(batch, grid, ratio, generator):
    masks = torch.zeros(batch, math.prod(grid), dtype=torch.bool)
    for mask in masks:
        mask[torch.randperm(len(mask), generator=generator)[: math.ceil(ratio * len(mask))]] = True
        return masks.view(batch, *grid)


@wrong("random_mask", "or is the count that of the whole batch?")
def count_of_the_batch(batch, grid, ratio, generator):
    rank = torch.rand(batch, math.prod(grid), generator=generator).argsort(1).argsort(1)
    return (rank < math.ceil(ratio * rank.numel())).view(batch, *grid)


@wrong("random_mask", "all patches are hidden")
def all_of_the_order(batch, grid, ratio, generator):
    masks = torch.zeros(batch, math.prod(grid), dtype=torch.bool)
    order = torch.rand(batch, math.prod(grid), generator=generator).argsort(1)
    return masks.scatter(1, order, True).view(batch, *grid)


@wrong("random_mask", "not rows * rows")
def square_of_the_rows(batch, grid, ratio, generator):
    rank = torch.rand(batch, math.prod(grid), generator=generator).argsort(1).argsort(1)
    return (rank < math.ceil(ratio * grid[0] ** 2)).view(batch, *grid)


@wrong("masks_of_ratios", "some images got no mask")
def new_masks_in_the_loop(grid, ratios, generator):
    for image, ratio in enumerate(ratios):
        masks = torch.zeros(len(ratios), math.prod(grid), dtype=torch.bool)
        order = torch.randperm(math.prod(grid), generator=generator)
        masks[image, order[: math.ceil(ratio * math.prod(grid))]] = True
    return masks.view(-1, *grid)


@wrong("lmmse_fill", "as by `filled[hidden][:] =`?")
def written_into_a_copy(values, hidden, mean, covariance):
    filled = values.clone()
    filled[hidden][:] = solved(values, hidden, mean, covariance)[hidden]
    return filled


@wrong("mae_to_images", "the colours are still the last axis when rows are joined")
def colours_left_behind(patches, patch, grid):
    rows, cols = grid
    values = patches.reshape(-1, rows, cols, patch, patch, 3).permute(0, 1, 3, 2, 4, 5)
    return values.reshape(-1, 3, rows * patch, cols * patch)


@wrong("patch_shares", "put the product in brackets")
def power_before_product(patch, ratio):
    hidden, visible = ratio**patch * patch, (1 - ratio) ** patch * patch
    return hidden, 1 - hidden - visible, visible


@wrong("patch_shares", "their product is taken away from 1")
def product_taken_away(patch, ratio):
    hidden, visible = ratio**patch**2, (1 - ratio) ** patch**2
    return hidden, 1 - hidden * visible, visible


@wrong("blind_share", "all are blind: one hidden pixel is not enough")
def any_for_all(mask, reach):
    hidden = F.max_pool2d(mask[:, None].float(), 2 * reach + 1, 1, reach)[:, 0] > 0
    return (hidden & mask).sum((1, 2)) / mask.sum((1, 2))


@wrong("avg_dist", "all but the first is 0, so is `return` inside the loop?")
def first_image_alone(mask):
    result = torch.zeros(len(mask))
    for image, hidden in enumerate(mask):
        result[image] = torch.cdist(hidden.nonzero().float(), (~hidden).nonzero().float()).amin(1).mean()
        return result
