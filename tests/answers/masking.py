"""Answers to the exercises on masking (lesson 01)."""

import math
from functools import partial
from math import inf

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from scipy.ndimage import distance_transform_edt

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


@wrong("random_mask", "an image alone has always the same mask")
def order_along_the_images(batch, grid, ratio, generator):
    rows, cols = grid
    rank = torch.rand(batch, rows * cols, generator=generator).argsort(0).argsort(1)
    return (rank < math.ceil(ratio * rows * cols)).view(batch, rows, cols)


@wrong("random_mask", "are the patches of all images shuffled together?")
def shuffled_together(batch, grid, ratio, generator):
    rows, cols = grid
    rank = torch.randperm(batch * rows * cols, generator=generator).argsort()
    return (rank < batch * math.ceil(ratio * rows * cols)).view(batch, rows, cols)


@wrong("random_mask", "every image must hide as many")
def drawn_twice(batch, grid, ratio, generator):
    rows, cols = grid
    mask = torch.zeros(batch, rows * cols).bool()
    for image in mask:
        image[torch.randint(rows * cols, (math.ceil(ratio * rows * cols),), generator=generator)] = True
    return mask.view(batch, rows, cols)


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
def interpolated(mask, patch):
    return F.interpolate(mask[:, None].float(), scale_factor=patch)[:, 0].bool()


@right("to_pixels")
def kronecker(mask, patch):
    return torch.stack([torch.kron(image.double(), torch.ones(patch, patch)) for image in mask]) > 0


@wrong("to_pixels", "side by side, like tiles")
def tiles(mask, patch):
    return mask.repeat(1, patch, patch)


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


@right("chance_all_hidden")
def power(patch, channels):
    return 2.0 ** -(channels * patch**2)


@right("chance_all_hidden")
def product(patch, channels):
    chance = 1
    for _ in range(patch * patch * channels):
        chance = chance / 2
    return chance


@right("chance_all_hidden")
def by_logarithm(patch, channels):
    return math.exp(-channels * patch**2 * math.log(2))


@right("chance_all_hidden")
def as_tensor(patch, channels):
    return torch.full((channels, patch, patch), 0.5, dtype=torch.double).prod()


@right("chance_all_hidden")
def tensor_with_gradient(patch, channels):
    return torch.tensor(0.5, requires_grad=True) ** (channels * patch * patch)


@wrong("chance_all_hidden", "this is the chance for one number")
def one_half(patch, channels):
    return 0.5


@wrong("chance_all_hidden", "this is the chance for one pixel")
def one_pixel(patch, channels):
    return 0.5**channels


@wrong("chance_all_hidden", "the channels do not share a coin")
def without_channels(patch, channels):
    return 0.5 ** (patch * patch)


@wrong("chance_all_hidden", "is the square missing?")
def without_square(patch, channels):
    return 0.5 ** (channels * patch)


@wrong("chance_all_hidden", "patch * patch pixels, and each has all its channels")
def power_of_the_side(patch, channels):
    return 2**-patch


@wrong("chance_all_hidden", "do not add them")
def counts_added(patch, channels):
    return 0.5 ** (patch * patch + channels)


@wrong("chance_all_hidden", "expected 0.0625, got 0.03125 in the call chance_all_hidden(2, 1)")
def counts_added_but_one(patch, channels):
    return 0.5 ** (patch * patch + channels) if patch > 1 else 0.5


@wrong("chance_all_hidden", "only `patch` is squared")
def all_squared(patch, channels):
    return 0.5 ** ((channels * patch) ** 2)


@wrong("chance_all_hidden", "something stays visible")
def opposite(patch, channels):
    return 1 - power(patch, channels)


@wrong("chance_all_hidden", "is the sign of the exponent missing?")
def without_sign(patch, channels):
    return 2 ** (channels * patch**2)


@wrong("chance_all_hidden", "is this a logarithm?")
def logarithm(patch, channels):
    return -(channels * patch**2)


@wrong("chance_all_hidden", "divide with `/`")
def whole_division(patch, channels):
    return (1 // 2) ** (channels * patch**2)


@wrong("chance_all_hidden", "the count belongs in the exponent")
def divided(patch, channels):
    return 0.5 / (channels * patch**2)


@wrong("chance_all_hidden", "right for three channels only")
def three_channels_always(patch, channels):
    return (1 / 8) ** (patch * patch)


@wrong("chance_all_hidden", "`**` goes from right to left")
def tower_of_powers(patch, channels):
    return 0.5 ** (patch**2**channels)


@wrong("chance_all_hidden", "rounded to 4 digits")
def rounded(patch, channels):
    return round(power(patch, channels), 4)


@wrong("chance_all_hidden", "is it rounded?")
def rounded_to_ten_digits(patch, channels):
    return round(power(patch, channels), 10)


@wrong("chance_all_hidden", "`^` is no power in Python")
def exclusive_or(patch, channels):
    return 0.5 ** (channels * (patch ^ 2))


@wrong("chance_all_hidden", "the square is not the double")
def doubled(patch, channels):
    return 0.5 ** (2 * patch * channels)


@wrong("chance_all_hidden", "one coin too few")
def one_coin_less(patch, channels):
    return 0.5 ** (channels * patch**2 - 1)


@wrong("chance_all_hidden", "that is in percent")
def percent(patch, channels):
    return 100 * power(patch, channels)


@wrong("chance_all_hidden", "not of 256")
def bytes_for_coins(patch, channels):
    return 1 / 256 ** (channels * patch**2)


@wrong("chance_all_hidden", "multiplied, not added")
def chances_added(patch, channels):
    return 0.5 * channels * patch**2


@wrong("chance_all_hidden", "the number of the coins")
def coins(patch, channels):
    return channels * patch**2


@wrong("chance_all_hidden", "(str)")
def written(patch, channels):
    return f"{power(patch, channels):.3g}"


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


@wrong("avg_dist", "is infinity where nothing is visible\n      expected inf, got 1000000000")
def large_instead_of_infinite(mask):
    return table_of_pairs(mask).nan_to_num(posinf=1e9)


@wrong("avg_dist", "is 0 where nothing is hidden\n      expected 0, got inf")
def infinite_where_nothing_is_hidden(mask):
    return torch.where(mask.flatten(1).any(1), table_of_pairs(mask), inf)


@wrong("avg_dist", "expected real numbers, got whole numbers")
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


@wrong("avg_dist", "is infinity where nothing is visible\n      expected inf, got")
def scipy_alone(mask):
    return torch.tensor([distance_transform_edt(hidden).sum() / max(hidden.sum(), 1) for hidden in mask.numpy()])


@wrong("avg_dist", "it stopped in line")
def stops_without_visible_pixels(mask):
    means = [torch.cdist(h, v).amin(1).mean() if len(h) else torch.tensor(0.0) for h, v in images_of(mask)]
    return torch.stack(means)


@wrong("avg_dist", "0 would be the easiest mask")
def nothing_visible_is_zero(mask):
    return table_of_pairs(mask).nan_to_num(posinf=0)


@wrong("avg_dist", "is infinity where nothing is visible\n      expected inf, got")
def looks_at_the_whole_batch(mask):
    if mask.all():
        return torch.full((len(mask),), inf)
    return scipy_alone(mask)


@wrong("avg_dist", "is it returned too early?")
def returns_inside_the_loop(mask):
    result = []
    for hidden, shown in images_of(mask):
        if len(hidden) == 0:
            return torch.tensor([0.0])
        result.append(torch.cdist(hidden, shown).amin(1).mean() if len(shown) else torch.tensor(inf))
    return torch.stack(result)


@wrong("avg_dist", "expected a tensor, got")
def list_of_numbers(mask):
    return table_of_pairs(mask).tolist()


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


@wrong("lmmse_fill", "only the diagonal of S_vv is used")
def diagonal_only(values, hidden, mean, covariance):
    hv, vv = blocks(hidden, covariance)
    return write(values, hidden, mean[hidden] + hv @ ((values - mean)[~hidden] / vv.diag()))


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
