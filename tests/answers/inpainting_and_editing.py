"""Answers to the exercises on inpainting and editing (lesson 08)."""

import math
from itertools import pairwise, product

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from scipy.ndimage import distance_transform_edt

from answers import right, wrong

# window_starts


@right("window_starts")
def step_by_step(length, size, stride):
    starts = [0]
    while starts[-1] + size < length:
        starts.append(min(starts[-1] + stride, length - size))
    return starts


@right("window_starts")
def whole_ones_first(length, size, stride):
    if length <= size:
        return [0]
    starts = list(range(0, length - size + 1, stride))
    return starts if starts[-1] == length - size else [*starts, length - size]


@right("window_starts")
def as_a_set(length, size, stride):
    last = max(length - size, 0)
    return sorted({*range(0, last, stride), last})


@right("window_starts")
def counted(length, size, stride):
    more = max(0, math.ceil((length - size) / stride))
    return (*(min(k * stride, length - size) for k in range(more)), max(0, length - size))


class Starts:
    def __call__(self, length, size, stride):
        return torch.arange(0, max(length - size, 0) + stride, stride).clamp(max=max(length - size, 0)).tolist()


right("window_starts")(Starts())


def whole(length, size, stride):
    return list(range(0, length - size + 1, stride))


@wrong("window_starts", "a side as long as a window has a window, too")
def none_for_its_own_length(length, size, stride):
    return [] if length == size else step_by_step(length, size, stride)


@wrong("window_starts", "the last pixels are in no window")
def without_the_last(length, size, stride):
    return whole(length, size, stride) or [0]


@wrong("window_starts", "windows reach beyond the end: a whole window must lie on the side")
def up_to_the_end(length, size, stride):
    return list(range(0, length, stride))


@wrong("window_starts", "the windows do not overlap")
def by_size(length, size, stride):
    return whole(length, size, size)


@wrong("window_starts", "only the last window overlaps")
def by_size_with_the_last(length, size, stride):
    last = max(0, length - size)
    return [*range(0, last, size), last]


@wrong("window_starts", "the last window, which ends at the end of the side, is missing")
def end_left_out(length, size, stride):
    return list(range(0, length - size, stride))


@wrong("window_starts", "the last window reaches beyond the end")
def beyond(length, size, stride):
    return list(range(0, length - size + stride, stride))


@wrong("window_starts", "the last start is there twice")
def always_one_more(length, size, stride):
    return [*range(0, length - size + 1, stride), length - size]


@wrong("window_starts", "these are the ends of the windows")
def ends(length, size, stride):
    return [start + size for start in step_by_step(length, size, stride)]


@wrong("window_starts", "these are the middles of the windows")
def middles(length, size, stride):
    return [start + size // 2 for start in step_by_step(length, size, stride)]


@wrong("window_starts", "this is how many windows there are")
def how_many(length, size, stride):
    return len(step_by_step(length, size, stride))


@wrong("window_starts", "these are the numbers of the windows")
def numbers(length, size, stride):
    return list(range(how_many(length, size, stride)))


@wrong("window_starts", "not at `length - stride`")
def last_stride(length, size, stride):
    last = max(length - stride, 0)
    return [*range(0, last, stride), last]


@wrong("window_starts", "`size` and `stride` are swapped")
def swapped(length, size, stride):
    return step_by_step(length, stride, size)


@wrong("window_starts", "a start must not be negative")
def negative(length, size, stride):
    return [*range(0, length - size, stride), length - size]


@wrong("window_starts", "a side shorter than a window has a window, too")
def nothing_for_short_sides(length, size, stride):
    return sorted({*whole(length, size, stride), length - size}) if length >= size else []


@wrong("window_starts", "the windows are spread evenly")
def spread(length, size, stride):
    count = math.ceil((length - size) / stride)
    return [round(k * (length - size) / count) for k in range(count + 1)] if count > 0 else [0]


@wrong("window_starts", "the added window stands in the place of the last usual one")
def last_moved(length, size, stride):
    starts = whole(length, size, stride) or [0]
    return [*starts[:-1], max(0, length - size)]


@wrong("window_starts", "the added window stands before the others")
def last_first(length, size, stride):
    starts = whole(length, size, stride) or [0]
    return starts if starts[-1] + size >= length else [length - size, *starts]


@wrong("window_starts", "a window starts at every pixel")
def every_pixel(length, size, stride):
    return list(range(max(1, length - size + 1)))


@wrong("window_starts", "the first window starts at 0")
def first_left_out(length, size, stride):
    return step_by_step(length, size, stride)[1:]


@wrong("window_starts", "the order must be ascending")
def from_the_end(length, size, stride):
    return step_by_step(length, size, stride)[::-1]


@wrong("window_starts", "has one window, at 0, on a side that is no longer")
def twice_at_the_end(length, size, stride):
    return step_by_step(length, size, stride) + [0] * (length == size)


@wrong("window_starts", "the last start is there more than once")
def moved_back(length, size, stride):
    return [min(start, max(0, length - size)) for start in range(0, length, stride)]


@wrong("window_starts", "places are counted from 0")
def from_1(length, size, stride):
    return [start + 1 for start in step_by_step(length, size, stride)]


@wrong("window_starts", "the last window ends one pixel too early")
def one_too_early(length, size, stride):
    starts = whole(length, size, stride) or [0]
    return starts if starts[-1] + size >= length else [*starts, length - size - 1]


@wrong("window_starts", "the end is left over where `size` divides `length`")
def no_rest_no_window(length, size, stride):
    starts = whole(length, size, stride) or [0]
    return starts if length % size == 0 or starts[-1] + size >= length else [*starts, length - size]


@wrong("window_starts", "a picture is cut at whole numbers")
def fractions(length, size, stride):
    return [float(start) for start in step_by_step(length, size, stride)]


@wrong("window_starts", "the windows are laid from the end")
def laid_from_the_end(length, size, stride):
    return sorted({0, *range(max(length - size, 0), -1, -stride)})


# blend


@right("blend")
def two_sums(windows, corners, weight, height, width):
    size = weight.shape[0]
    total = torch.zeros(3, height, width)
    weights = torch.zeros(height, width)
    for k, (top, left) in enumerate(corners):
        total[:, top : top + size, left : left + size] += windows[k] * weight
        weights[top : top + size, left : left + size] += weight
    return total / weights


@right("blend")
def padded(windows, corners, weight, height, width):
    size = len(weight)
    values = weights = 0
    for window, (top, left) in zip(windows, corners, strict=True):
        edges = left, width - size - left, top, height - size - top
        values = values + F.pad(window * weight, edges)
        weights = weights + F.pad(weight, edges)
    return values / weights


@right("blend")
@torch.compile
def running_mean(windows, corners, weight, height, width):
    mean, so_far = torch.zeros(3, height, width), torch.zeros(height, width)
    for window, (top, left) in zip(windows, corners, strict=True):
        rows = torch.arange(top, top + len(weight))[:, None]
        cols = torch.arange(left, left + len(weight))
        so_far = so_far.index_put((rows, cols), weight, accumulate=True)
        step = (window - mean[:, rows, cols]) * weight / so_far[rows, cols]
        mean = mean.index_add(
            2, cols.flatten(), torch.zeros(3, height, len(cols)).index_add(1, rows.flatten(), step)
        )
    return mean


@right("blend")
def in_double(windows, corners, weight, height, width):
    places = torch.arange(height * width).view(height, width)
    spots = torch.stack([places[t:, c:][: len(weight), : len(weight)].flatten() for t, c in corners]).flatten()
    weighted = rearrange(windows.double() * weight, "n c h w -> c (n h w)")
    total = torch.zeros(3, height * width).double().index_add(1, spots, weighted)
    weights = (
        torch.zeros(height * width).double().index_add(0, spots, weight.double().flatten().repeat(len(windows)))
    )
    return (total / weights).view(3, height, width)


def pasted(windows, corners, weight, height, width):
    """Each window in a picture of its own, and its weights."""
    size = len(weight)
    edges = [(left, width - size - left, top, height - size - top) for top, left in corners]
    values = torch.stack([F.pad(window, edge) for window, edge in zip(windows, edges, strict=True)])
    return values, torch.stack([F.pad(weight[None], edge) for edge in edges])


def from_pasted(of):
    return lambda *args: of(*pasted(*args))


wrong("blend", "the corners are sorted, but not the windows")(
    lambda windows, corners, *rest: two_sums(windows, sorted(corners), *rest)
)
wrong("blend", "all windows count the same")(from_pasted(lambda x, w: x.sum(0) / (w > 0).sum(0)))
wrong("blend", "this is the sum of values times weights")(from_pasted(lambda x, w: (x * w).sum(0)))
wrong("blend", "not by the number of all windows")(from_pasted(lambda x, w: (x * w).sum(0) / len(x)))
wrong("blend", "not in one window")(from_pasted(lambda x, w: (x * w).sum(0) / w[0].sum()))
wrong("blend", "this is the sum of the windows")(from_pasted(lambda x, w: x.sum(0)))
wrong("blend", "not by how many windows there are")(from_pasted(lambda x, w: (x * w).sum(0) / (w > 0).sum(0)))
wrong("blend", "but not multiplied by a weight before")(from_pasted(lambda x, w: x.sum(0) / w.sum(0)))
wrong("blend", "the weights count twice")(from_pasted(lambda x, w: (x * w * w).sum(0) / (w * w).sum(0)))
wrong("blend", "not by their largest sum")(from_pasted(lambda x, w: (x * w).sum(0) / w.sum(0).amax()))
wrong("blend", "this is the sum of the weights")(from_pasted(lambda x, w: w.sum(0).repeat(3, 1, 1)))
wrong("blend", "values are cut off at 0 and 1")(lambda *args: two_sums(*args).clamp(0, 1))
wrong("blend", "the window with the largest weight")(
    from_pasted(lambda x, w: x.gather(0, w.argmax(0, keepdim=True).repeat(1, 3, 1, 1))[0])
)
wrong("blend", "rows and columns of the weight are swapped")(lambda x, c, w, *of: two_sums(x, c, w.T, *of))
wrong("blend", "a corner is (top, left)")(lambda x, c, *of: two_sums(x, [(left, top) for top, left in c], *of))
wrong("blend", "left and right of the weight are swapped")(lambda x, c, w, *of: two_sums(x, c, w.flip(1), *of))
wrong("blend", "the order of the colours is reversed")(lambda x, *of: two_sums(x.flip(1), *of))
wrong("blend", "a number is added to the sum of the weights")(
    from_pasted(lambda x, w: (x * w).sum(0) / (w.sum(0) + 1e-3))
)
wrong("blend", "do not raise it")(from_pasted(lambda x, w: (x * w).sum(0) / w.sum(0).clamp(min=1)))


@wrong("blend", "a later window overwrites an earlier one")
def overwritten(windows, corners, weight, height, width):
    picture = torch.zeros(3, height, width)
    for window, (top, left) in zip(windows, corners, strict=True):
        picture[:, top : top + len(weight), left : left + len(weight)] = window
    return picture


@wrong("blend", "a later window's weights replace the earlier ones")
def weights_replaced(windows, corners, weight, height, width):
    total, weights = torch.zeros(3, height, width), torch.zeros(height, width)
    for window, (top, left) in zip(windows, corners, strict=True):
        total[:, top : top + len(weight), left : left + len(weight)] += window * weight
        weights[top : top + len(weight), left : left + len(weight)] = weight
    return total / weights


@wrong("blend", "everything is 0: are the windows added")
def added_out_of_place(windows, corners, weight, height, width):
    total, weights = torch.zeros(3, height, width), torch.zeros(height, width)
    for window, (top, left) in zip(windows, corners, strict=True):
        total[:, top : top + len(weight), left : left + len(weight)].add(window * weight)
        weights[top : top + len(weight), left : left + len(weight)] += weight
    return total / weights


@wrong("blend", "each new window is averaged with all before it")
def averaged_with_the_rest(windows, corners, weight, height, width):
    picture = torch.full((3, height, width), torch.nan)
    for window, (top, left) in zip(windows, corners, strict=True):
        part = picture[:, top : top + len(weight), left : left + len(weight)]
        part.copy_(torch.where(part.isnan(), window, (part + window) / 2))
    return picture


@wrong("blend", "a small number is added to the weights")
def with_epsilon(windows, corners, weight, height, width):
    values, weights = pasted(windows, corners, weight, height, width)
    return (values * weights).sum(0) / (weights.sum(0) + 1e-6)


@right("blend")
def with_numpy(windows, corners, weight, height, width):
    total, weights = np.zeros((3, height, width)), np.zeros((height, width))
    for window, (top, left) in zip(windows.numpy(), corners, strict=True):
        place = np.s_[..., top : top + len(weight), left : left + len(weight)]
        total[place] += window * weight.numpy()
        weights[place] += weight.numpy()
    return torch.from_numpy(total / weights)


@wrong("blend", "leaves its inputs as they are")
def in_place(windows, corners, weight, height, width):
    windows *= weight
    values, weights = pasted(windows, corners, weight, height, width)
    return values.sum(0) / weights.sum(0)


# halve


@right("halve")
def by_counts(image, hidden):
    visible = (~hidden).float()
    seen = torch.where(hidden, torch.zeros(()), image)
    total = seen[:, ::2, ::2] + seen[:, ::2, 1::2] + seen[:, 1::2, ::2] + seen[:, 1::2, 1::2]
    count = visible[::2, ::2] + visible[::2, 1::2] + visible[1::2, ::2] + visible[1::2, 1::2]
    return torch.where(count > 0, total / count.clamp(min=1), torch.tensor(0.5)), count == 0


@right("halve")
def pooled(image, hidden):
    count = F.avg_pool2d((~hidden).float()[None], 2)[0]
    means = F.avg_pool2d(image.masked_fill(hidden, 0), 2) / count
    return means.masked_fill(count == 0, 0.5), count == 0


@right("halve")
def with_einops(image, hidden):
    squares = "... (rows i) (cols j) -> ... rows cols"
    seen = reduce(image.masked_fill(hidden, 0).double(), squares, "sum", i=2, j=2)
    count = reduce((~hidden).double(), squares, "sum", i=2, j=2)
    return [(seen / count).nan_to_num(0.5), count < 1]


@right("halve")
@torch.compile
def unfolded(image, hidden):
    squares = image.masked_fill(hidden, torch.nan).unfold(1, 2, 2).unfold(2, 2, 2).flatten(3)
    return squares.nanmean(3).nan_to_num(0.5), hidden.unfold(0, 2, 2).unfold(1, 2, 2).flatten(2).all(2)


@right("halve")
def square_by_square(image, hidden):
    rows, cols = hidden.shape[0] // 2, hidden.shape[1] // 2
    small, mask = torch.full((3, rows, cols), 0.5), torch.ones(rows, cols, dtype=torch.bool)
    for row, col in product(range(rows), range(cols)):
        places = [(2 * row + i, 2 * col + j) for i in (0, 1) for j in (0, 1)]
        seen = [image[:, r, c] for r, c in places if not hidden[r, c]]
        if seen:
            small[:, row, col], mask[row, col] = sum(seen) / len(seen), False
    return small, mask


def squares(tensor):
    return rearrange(tensor, "... (rows i) (cols j) -> ... rows cols (i j)", i=2, j=2)


def halved(change):
    """The answer change(squares of the picture, squares of the mask, small picture, small mask)."""
    return lambda image, hidden: change(squares(image), squares(hidden), *by_counts(image, hidden))


wrong("halve", "what is hidden counts in the mean")(
    halved(lambda x, h, mean, mask: (x.mean(-1).masked_fill(mask, 0.5), mask))
)
wrong("halve", "and grey is missing")(halved(lambda x, h, mean, mask: (x.mean(-1), mask)))
wrong("halve", "what is hidden counts as black: divide by the number")(
    halved(lambda x, h, mean, mask: (x.masked_fill(h, 0).mean(-1).masked_fill(mask, 0.5), mask))
)
wrong("halve", "what is hidden counts as grey")(
    halved(lambda x, h, mean, mask: (x.masked_fill(h, 0.5).mean(-1), mask))
)
wrong("halve", "not where one is")(halved(lambda x, h, mean, mask: (mean, h.any(-1))))
wrong("halve", "grey and True stand where one is")(
    halved(lambda x, h, mean, mask: (mean.masked_fill(h.any(-1), 0.5), h.any(-1)))
)
wrong("halve", "not where half are")(halved(lambda x, h, mean, mask: (mean, h.float().mean(-1) >= 0.5)))
wrong("halve", "not where most are")(halved(lambda x, h, mean, mask: (mean, h.float().mean(-1) > 0.5)))
wrong("halve", "True and False of `hidden` are swapped")(lambda image, hidden: by_counts(image, ~hidden))
wrong("halve", "True and False of the mask are swapped")(halved(lambda x, h, mean, mask: (mean, ~mask)))
wrong("halve", "grey, 0.5, not black")(halved(lambda x, h, mean, mask: (mean.masked_fill(mask, 0), mask)))
wrong("halve", "grey, 0.5, not white")(halved(lambda x, h, mean, mask: (mean.masked_fill(mask, 1), mask)))
wrong("halve", "the sum of the visible pixels")(
    halved(lambda x, h, mean, mask: (x.masked_fill(h, 0).sum(-1).masked_fill(mask, 0.5), mask))
)
wrong("halve", "the mask must hold True and False")(halved(lambda x, h, mean, mask: (mean, mask.float())))
wrong("halve", "the mask has an axis of colours")(halved(lambda x, h, mean, mask: (mean, mask.unsqueeze(0))))
wrong("halve", "first the mask, then the picture")(halved(lambda x, h, mean, mask: (mask, mean)))
wrong("halve", "the mask is missing")(halved(lambda x, h, mean, mask: mean))
wrong("halve", "rows and columns are swapped")(lambda image, hidden: by_counts(image.transpose(1, 2), hidden.T))
wrong("halve", "this is the median of the visible pixels")(
    halved(
        lambda x, h, mean, mask: (x.masked_fill(h, torch.nan).nanmedian(-1).values.masked_fill(mask, 0.5), mask)
    )
)
wrong("halve", "the mean of rows, then of these")(
    halved(
        lambda x, h, mean, mask: (
            rearrange(x.masked_fill(h, torch.nan), "... (i j) -> ... i j", i=2)
            .nanmean(-1)
            .nanmean(-1)
            .masked_fill(mask, 0.5),
            mask,
        )
    )
)
wrong("halve", "the mean of columns, then of these")(
    halved(
        lambda x, h, mean, mask: (
            rearrange(x.masked_fill(h, torch.nan), "... (i j) -> ... i j", i=2)
            .nanmean(-2)
            .nanmean(-1)
            .masked_fill(mask, 0.5),
            mask,
        )
    )
)
wrong("halve", "values are cut off at 0 and 1")(halved(lambda x, h, mean, mask: (mean.clamp(0, 1), mask)))
wrong("halve", "a number is added to that of the visible pixels, or taken off")(
    halved(
        lambda x, h, mean, mask: ((x.masked_fill(h, 0).sum(-1) / ((~h).sum(-1) + 1)).masked_fill(mask, 0.5), mask)
    )
)
wrong("halve", "a black square is visible, too")(
    halved(lambda x, h, mean, mask: (mean.masked_fill((mean == 0).all(0), 0.5), mask | (mean == 0).all(0)))
)
wrong("halve", "here they come from four quarters")(
    lambda image, hidden: by_counts(
        *(rearrange(x, "... (i rows) (j cols) -> ... (rows i) (cols j)", i=2, j=2) for x in (image, hidden))
    )
)


@wrong("halve", "`reshape` takes four pixels of one row")
def fours_in_a_row(image, hidden):
    height, width = hidden.shape
    mask = hidden.reshape(height // 2, width // 2, 4)
    means = image.masked_fill(hidden, torch.nan).reshape(3, height // 2, width // 2, 4).nanmean(-1)
    return means.nan_to_num(0.5), mask.all(-1)


@wrong("halve", "NaN times 0 is NaN")
def multiplied(image, hidden):
    seen, count = squares(image * ~hidden).sum(-1), (~squares(hidden)).sum(-1)
    return torch.where(count > 0, seen / count.clamp(min=1), torch.tensor(0.5)), count == 0


@wrong("halve", "the picture is that of the upper left pixels alone")
def every_second_pixel(image, hidden):
    mask = squares(hidden).all(-1)
    return image[:, ::2, ::2].masked_fill(mask, 0.5), mask


wrong("halve", "a visible value of 0 is taken for hidden")(
    halved(
        lambda x, h, mean, mask: (
            torch.where(mask, 0.5, (x * ~h).sum(-1) / (x * ~h).count_nonzero(-1).clamp(min=1)),
            mask,
        )
    )
)


@wrong("halve", "averages the visible pixels of each square value 1 of 2")
def resized(image, hidden):
    small = F.interpolate(image[None], scale_factor=0.5, mode="bicubic")[0]
    mask = squares(hidden).all(-1)
    return small.masked_fill(mask, 0.5), mask


# psnr_of_hole


@right("psnr_of_hole")
def added(whole, share):
    return whole + 10 * math.log10(share)


@right("psnr_of_hole")
def by_the_error(whole, share):
    if whole == math.inf:
        return whole
    error = 10 ** (-whole / 10)
    return -10 * math.log10(error / share)


@right("psnr_of_hole")
def flattery_taken_away(whole, share):
    flattery = -10 * np.log10(share)
    return float(whole - flattery)


@right("psnr_of_hole")
def with_a_tensor(whole, share):
    return torch.tensor(whole, dtype=torch.float64) + 10 * torch.tensor(share, dtype=torch.float64).log10()


@right("psnr_of_hole")
def natural_logarithms(whole, share):
    return whole + 10 * math.log(share) / math.log(10)


TASK = "psnr_of_hole"
wrong(TASK, "the factor 10 is missing, and that is the natural")(lambda p, s: p + math.log(s))
wrong(TASK, "the hole is worse than the picture")(lambda p, s: p + 10 * math.log10(1 / s))
wrong(TASK, "20 belongs to their root")(lambda p, s: p + 20 * math.log10(s))
wrong(TASK, "a bel is ten decibels")(lambda p, s: p + math.log10(s))
wrong(TASK, "that is the natural logarithm")(lambda p, s: p + 10 * math.log(s))
wrong(TASK, "that is the logarithm to base 2")(lambda p, s: p + 10 * math.log2(s))
wrong(TASK, "not of visible ones")(lambda p, s: p + 10 * math.log10(max(1e-9, 1 - s)))
wrong(TASK, "a sum in dB, not a product")(lambda p, s: p * s)
wrong(TASK, "a sum in dB, not a quotient")(lambda p, s: p / s)
wrong(TASK, "the share itself is added")(lambda p, s: p + s)
wrong(TASK, "that is the PSNR of the picture")(lambda p, s: p)
wrong(TASK, "that is the difference alone")(lambda p, s: 10 * math.log10(s))
wrong(TASK, "that is the error of the hole")(lambda p, s: 10 ** (-p / 10) / s)
wrong(TASK, "not in percent")(lambda p, s: p + 10 * math.log10(s / 100))
wrong(TASK, "the root of the share is taken")(lambda p, s: p + 10 * math.log10(s**0.5))
wrong(TASK, "the result is rounded to two digits")(lambda p, s: round(p + 10 * math.log10(s), 2))
wrong(TASK, "the result is rounded: keep its digits")(lambda p, s: round(p + 10 * math.log10(s)))
wrong(TASK, "do not cut it off")(lambda p, s: max(0, p + 10 * math.log10(s)))
wrong(TASK, "do not take its absolute value")(lambda p, s: abs(p + 10 * math.log10(s)))
wrong(TASK, "always the same number of dB")(lambda p, s: p - 10)
wrong(TASK, "how much the picture is flattered")(lambda p, s: -10 * math.log10(s))
wrong(TASK, "cut nothing off, and add no small number")(lambda p, s: -10 * math.log10(10 ** (-p / 10) / s + 1e-12))
wrong(TASK, "a small number is added to the error")(lambda p, s: -10 * math.log10(10 ** (-p / 10) / s + 1e-8))
wrong(TASK, "the minus before the logarithm is missing")(lambda p, s: -p - 10 * math.log10(s))
wrong(TASK, "with 20 it is the root")(lambda p, s: p / 2 + 10 * math.log10(s))


@wrong(TASK, "cut nothing off, and add no small number")
def at_most_100(whole, share):
    return min(100.0, whole) + (10 * math.log10(share) if whole < 100 else 0)


@wrong(TASK, "takes away what the visible pixels add expected")
def share_of_the_signal(whole, share):
    return whole * (1 + math.log10(share))


# mask_from_picture


@right("mask_from_picture")
def three_colours_and_alpha(rgba, threshold):
    red, green, blue, alpha = rgba
    return (red >= threshold) & (green >= threshold) & (blue >= threshold) & (alpha >= 128)


@right("mask_from_picture")
def darkest_colour(rgba, threshold):
    colours, alpha = rgba.split([3, 1])
    return (colours.amin(0) >= threshold).logical_and(alpha[0] > 127)


@right("mask_from_picture")
def from_0_to_1(rgba, threshold):
    values = rgba.float() / 255
    return (values[:3] >= threshold / 255).sum(0).eq(3) * (values[3] >= 128 / 255)


@right("mask_from_picture")
@torch.compile
def no_mistake_allowed(rgba, threshold):
    limits = torch.tensor([threshold, threshold, threshold, 128]).view(4, 1, 1)
    return ~(rgba < limits).any(0)


@right("mask_from_picture")
def through_numpy(rgba, threshold):
    picture = rgba.numpy().transpose(1, 2, 0)
    return torch.from_numpy(np.all(picture[..., :3] >= threshold, axis=-1) & (picture[..., 3] >= 128))


def painted(of):
    """The answer of(colours, alpha, threshold), of whole numbers that do not overflow."""
    return lambda rgba, threshold: of(rgba[:3].long(), rgba[3].long(), threshold)


def is_white(c, t):
    return c.amin(0) >= t


TASK = "mask_from_picture"
wrong(TASK, "are both sides of `&` in parentheses")(lambda rgba, t: (rgba[:3] >= t).all(0) & rgba[3] >= 128)
wrong(TASK, "does `.all` have its axis?")(lambda rgba, t: (rgba[:3] >= t).all() & (rgba[3] >= 128))
wrong(TASK, "the opacity has no say here")(painted(lambda c, a, t: is_white(c, t)))
wrong(TASK, "True and False are swapped")(painted(lambda c, a, t: ~is_white(c, t) | (a < 128)))
wrong(TASK, "a dark colour is enough here")(painted(lambda c, a, t: (c.amin(0) < t) & (a >= 128)))
wrong(TASK, "dark pixels are hidden here")(painted(lambda c, a, t: (c.amax(0) < t) & (a >= 128)))
wrong(TASK, "transparent pixels are hidden here")(painted(lambda c, a, t: is_white(c, t) & (a < 128)))
wrong(TASK, "here one of the two is enough")(painted(lambda c, a, t: is_white(c, t) | (a >= 128)))
wrong(TASK, "one colour that reaches the threshold is enough")(
    painted(lambda c, a, t: (c.amax(0) >= t) & (a >= 128))
)
wrong(TASK, "red alone decides")(painted(lambda c, a, t: (c[0] >= t) & (a >= 128)))
wrong(TASK, "the mean of the colours is compared")(painted(lambda c, a, t: (c.double().mean(0) >= t) & (a >= 128)))
wrong(TASK, "8 bits cannot hold the sum")(lambda rgba, t: (rgba[0] + rgba[1] + rgba[2] >= t) & (rgba[3] >= 128))
wrong(TASK, "8 bits cannot hold the sum of three colours; and each")(
    lambda rgba, t: ((rgba[0] + rgba[1] + rgba[2]) / 3 >= t) & (rgba[3] >= 128)
)
wrong(TASK, "white begins there, not at 240")(lambda rgba, t: (rgba[:3] >= 240).all(0) & (rgba[3] >= 128))
wrong(TASK, "blue has no say here")(lambda rgba, t: (rgba[:2] >= t).all(0) & (rgba[3] >= 128))
wrong(TASK, "hides what is white and opaque expected")(
    lambda rgba, t: (rgba[:3] >= t).all(0) & (rgba[3] / 255 > 0.51)
)
wrong(TASK, "the threshold itself is white")(painted(lambda c, a, t: (c.amin(0) > t) & (a >= 128)))
wrong(TASK, "128 is opaque, too")(painted(lambda c, a, t: is_white(c, t) & (a > 128)))
wrong(TASK, "the threshold and 128 belong to it")(painted(lambda c, a, t: (c.amin(0) > t) & (a > 128)))
wrong(TASK, "not all that is seen a little")(painted(lambda c, a, t: is_white(c, t) & (a != 0)))
wrong(TASK, "not at 255 alone")(painted(lambda c, a, t: is_white(c, t) & (a == 255)))
wrong(TASK, "`threshold` is for the colours")(lambda rgba, t: (rgba >= t).all(0))
wrong(TASK, "`threshold` is not used")(painted(lambda c, a, t: is_white(c, 255) & (a >= 128)))
wrong(TASK, "not for each colour")(painted(lambda c, a, t: (c >= t) & (a >= 128)))
wrong(TASK, "not numbers")(painted(lambda c, a, t: (is_white(c, t) & (a >= 128)) * 1.0))
wrong(TASK, "not whole numbers")(painted(lambda c, a, t: (is_white(c, t) & (a >= 128)) * 1))
wrong(TASK, "do not divide the threshold")(painted(lambda c, a, t: is_white(c, t / 255) & (a >= 128)))
wrong(TASK, "divided by 255, but not the threshold")(lambda rgba, t: (rgba / 255 >= t).all(0) & (rgba[3] >= 128))
wrong(TASK, "the mask has an axis too many")(
    lambda rgba, t: ((rgba[:3] >= t).all(0, keepdim=True)) & (rgba[3:] >= 128)
)
wrong(TASK, "the opacity comes last")(lambda rgba, t: (rgba[1:] >= t).all(0) & (rgba[0] >= 128))


@wrong(TASK, "the four channels are the first axis")
def channels_last(rgba, threshold):
    return (rgba[..., :3] >= threshold).all(-1) & (rgba[..., 3] >= 128)


@wrong(TASK, "hides what is white and opaque expected the shape")
def channels_last_without_opacity(rgba, threshold):
    return (rgba[..., :3] >= threshold).all(-1)


wrong(TASK, "two colours that reach the threshold are enough")(
    painted(lambda c, a, t: (c.sort(0).values[1] >= t) & (a >= 128))
)
wrong(TASK, "8 bits cannot hold 255 + 1")(lambda rgba, t: (rgba[:3] + 1 > t).all(0) & (rgba[3] >= 128))
wrong(TASK, "8 bits hold nothing below 0")(lambda rgba, t: (rgba[:3] - t >= 0).all(0) & (rgba[3] >= 128))


@wrong(TASK, "the brightness is compared")
def luma(rgba, threshold):
    red, green, blue, alpha = rgba.float()
    return (0.299 * red + 0.587 * green + 0.114 * blue >= threshold) & (alpha >= 128)


# windows_needed


@right("windows_needed")
def two_loops(hidden, tops, lefts, size):
    needed = []
    for top in tops:
        for left in lefts:
            window = hidden[top : top + size, left : left + size]
            if window.any() and (~window).any():
                needed.append((top, left))
    return needed


@right("windows_needed")
def by_the_count(hidden, tops, lefts, size):
    def count(top, left):
        return int(hidden[top : top + size, left : left + size].sum())

    return [corner for corner in product(tops, lefts) if 0 < count(*corner) < size**2]


@right("windows_needed")
def summed_area(hidden, tops, lefts, size):
    area = F.pad(hidden.long().cumsum(0).cumsum(1), (1, 0, 1, 0))
    low, left = torch.tensor(tops)[:, None], torch.tensor(lefts)
    counts = area[low + size, left + size] - area[low, left + size] - area[low + size, left] + area[low, left]
    found = ((counts > 0) & (counts < size * size)).nonzero()
    return [(tops[row], lefts[col]) for row, col in found.tolist()]


@right("windows_needed")
@torch.compile
def by_the_mean(hidden, tops, lefts, size):
    shares = F.avg_pool2d(hidden.double()[None], size, stride=1)[0]
    return [[t, c] for t in tops for c in lefts if 1e-9 < shares[t, c].item() < 1 - 1e-9]


@right("windows_needed")
def as_sets(hidden, tops, lefts, size):
    rows = hidden.tolist()
    kinds = {
        (top, left): {value for row in rows[top : top + size] for value in row[left : left + size]}
        for top in tops
        for left in lefts
    }
    return [corner for corner, values in kinds.items() if len(values) == 2]


def listed(keep, change=lambda found: found):
    """The answer change(corners of the windows that are kept)."""
    return lambda hidden, tops, lefts, size: change(
        [(t, c) for t, c in product(tops, lefts) if keep(hidden[t : t + size, c : c + size])]
    )


def mixed(part):
    return part.any() and not part.all()


TASK = "windows_needed"
wrong(TASK, "a window that shows nothing is listed")(listed(lambda part: part.sum() > 0))
wrong(TASK, "a window with nothing hidden is listed")(listed(lambda part: (~part).any()))
wrong(TASK, "all windows are listed")(listed(lambda part: True))
wrong(TASK, "the windows that need nothing are listed")(listed(lambda part: not mixed(part)))
wrong(TASK, "the windows with nothing hidden are listed")(listed(lambda part: part.sum() == 0))
wrong(TASK, "the windows that are hidden altogether")(listed(lambda part: part.all()))
wrong(TASK, "column by column")(
    lambda hidden, tops, lefts, size: [
        (t, c) for c in lefts for t in tops if mixed(hidden[t : t + size, c : c + size])
    ]
)
wrong(TASK, "the pairs are (left, top); they")(listed(mixed, lambda found: [(c, t) for t, c in found]))
wrong(TASK, "and in the order of columns")(
    lambda hidden, tops, lefts, size: [
        (c, t) for c in lefts for t in tops if mixed(hidden[t : t + size, c : c + size])
    ]
)
wrong(TASK, "this is how many windows there are")(listed(mixed, len))
wrong(TASK, "the order is reversed")(listed(mixed, lambda found: found[::-1]))
wrong(TASK, "not its first pixel alone")(listed(lambda part: part[0, 0]))
wrong(TASK, "not its middle alone")(listed(lambda part: part[len(part) // 2, len(part) // 2]))
wrong(TASK, "it need not be half the window")(listed(lambda part: 0.5 < part.double().mean() < 1))
wrong(TASK, "the windows are one pixel too large")(
    lambda hidden, tops, lefts, size: two_loops(hidden, tops, lefts, size + 1)
)
wrong(TASK, "the windows are one pixel too small")(
    lambda hidden, tops, lefts, size: two_loops(hidden, tops, lefts, size - 1)
)
wrong(TASK, "these are the numbers of the windows")(
    lambda hidden, tops, lefts, size: [
        k for k, (t, c) in enumerate(product(tops, lefts)) if mixed(hidden[t : t + size, c : c + size])
    ]
)
wrong(TASK, "these are places in `tops` and `lefts`")(
    lambda hidden, tops, lefts, size: [
        (i, j)
        for (i, t), (j, c) in product(enumerate(tops), enumerate(lefts))
        if mixed(hidden[t : t + size, c : c + size])
    ]
)
wrong(TASK, "(top, left) is enough")(
    lambda hidden, tops, lefts, size: [(t, c, t + size, c + size) for t, c in two_loops(hidden, tops, lefts, size)]
)
wrong(TASK, "marked with True and False")(
    lambda hidden, tops, lefts, size: [
        bool(mixed(hidden[t : t + size, c : c + size])) for t, c in product(tops, lefts)
    ]
)
wrong(TASK, "walked through side by side")(
    lambda hidden, tops, lefts, size: [
        (t, c) for t, c in zip(tops, lefts, strict=False) if mixed(hidden[t : t + size, c : c + size])
    ]
)


@wrong(TASK, "lists the windows that hold a hidden pixel and a visible one expected")
def every_second(hidden, tops, lefts, size):
    return two_loops(hidden, tops, lefts, size)[::2]


@wrong(TASK, "it need not be at the border")
def border_alone(hidden, tops, lefts, size):
    """Takes a window for hidden altogether if its border is."""

    def shows_nothing(part):
        return part[[0, -1]].all() and part[:, [0, -1]].all()

    parts = {(t, c): hidden[t : t + size, c : c + size] for t, c in product(tops, lefts)}
    return [corner for corner, part in parts.items() if part.any() and not shows_nothing(part)]


wrong(TASK, "one pixel of 2304 is enough")(listed(lambda part: 0 < round(part.double().mean().item(), 3) < 1))
wrong(TASK, "8 bits cannot hold the number of hidden pixels")(
    listed(lambda part: part.sum(dtype=torch.uint8) > 0 and not part.all())
)
wrong(TASK, "one pixel of 2304 is enough")(listed(lambda part: 0.01 < part.float().mean() < 0.99))
wrong(TASK, "one visible pixel is enough")(listed(lambda part: 0 < part.double().mean() <= 0.5))
wrong(TASK, "a single hidden pixel is enough, and here")(listed(lambda part: 1 < part.sum() < part.numel()))
wrong(TASK, "a single visible pixel is enough, and here")(listed(lambda part: 0 < part.sum() < part.numel() - 1))
wrong(TASK, "a window has size * size pixels, not size")(listed(lambda part: 0 < part.sum() < len(part)))
wrong(TASK, "the order is not that of reading")(listed(mixed, lambda found: found[1:] + found[:1]))


@wrong(TASK, "a window that shows nothing ends its row")
def breaks_where_all_is_hidden(hidden, tops, lefts, size):
    needed = []
    for top in tops:
        for left in lefts:
            window = hidden[top : top + size, left : left + size]
            if window.all():
                break
            if window.any():
                needed.append((top, left))
    return needed


@wrong(TASK, "does the loop return too early?")
def returns_after_a_row(hidden, tops, lefts, size):
    needed = []
    for top in tops:
        for left in lefts:
            if mixed(hidden[top : top + size, left : left + size]):
                needed.append((top, left))
        return needed
    return needed


@wrong(TASK, "the second bracket cuts rows again")
def two_brackets(hidden, tops, lefts, size):
    return [(top, left) for top in tops for left in lefts if mixed(hidden[top : top + size][left : left + size])]


@wrong(TASK, "works for one window, and for windows of one pixel")
def breaks_for_one_window(hidden, tops, lefts, size):
    return two_loops(hidden, tops, lefts, size) if len(tops) > 1 else []


# loss_on_known


@right("loss_on_known")
def picked(prediction, images, drawn, damaged):
    known = (drawn & ~damaged).unsqueeze(1).expand_as(images)
    errors = torch.abs(prediction[known] - images[known])
    return errors.mean() if len(errors) else prediction.sum() * 0


@right("loss_on_known")
def filled_with_0(prediction, images, drawn, damaged):
    unknown = ~drawn | damaged
    errors = (images - prediction).masked_fill(unknown[:, None], 0).abs().sum()
    return errors / max(1, 3 * int((~unknown).sum()))


@right("loss_on_known")
@torch.compile
def where(prediction, images, drawn, damaged):
    known = torch.where(damaged, torch.zeros_like(drawn), drawn)
    errors = torch.where(known[:, None], (prediction - images).abs(), 0.0)
    return errors.sum() / (3 * known.sum()).clamp(min=1)


@right("loss_on_known")
def with_torchs_own(prediction, images, drawn, damaged):
    rows = (drawn > damaged).flatten()
    ours, theirs = (rearrange(x, "b c h w -> (b h w) c")[rows] for x in (prediction.double(), images.double()))
    return F.l1_loss(ours, theirs, reduction="sum") / (ours.numel() or 1)


@right("loss_on_known")
def image_by_image(prediction, images, drawn, damaged):
    total, count = torch.zeros(()), 0
    for ours, theirs, holes, damage in zip(prediction, images, drawn, damaged, strict=True):
        known = holes.logical_and(damage.logical_not())
        total = total + (ours[:, known] - theirs[:, known]).abs().sum()
        count += 3 * known.sum().item()
    return total / count if count else total


@right("loss_on_known")
def without_nan(prediction, images, drawn, damaged):
    counts = known(drawn, damaged)[:, None].expand_as(images)
    return ((prediction - images.nan_to_num()).abs() * counts).sum() / counts.sum().clamp(min=1)


def errors_where(pick, of=lambda errors: errors.abs().mean()):
    """The answer of(the errors of the values that pick(drawn, damaged) picks)."""

    def answer(prediction, images, drawn, damaged):
        return of((prediction - images)[pick(drawn, damaged)[:, None].expand_as(images)])

    return answer


def known(drawn, damaged):
    return drawn & ~damaged


TASK = "loss_on_known"
wrong(TASK, "a number is added to the divisor, or taken off")(
    errors_where(known, lambda errors: errors.abs().sum() / max(1, len(errors) - 1))
)
wrong(TASK, "there, too, a tensor is asked for")(
    lambda p, x, m, d: picked(p, x, m, d) if known(m, d).any() else 0.0
)
wrong(TASK, "the gradient of argument 1 is not that of these values")(
    lambda p, x, m, d: (picked(p, x, m, d) + picked(p.detach(), x, m, d)) / 2
)
wrong(TASK, "damaged pixels have no target")(errors_where(lambda m, d: m))
wrong(TASK, "that is the loss at the damage, where")(errors_where(lambda m, d: d))
wrong(TASK, "that is the loss at drawn holes in the damage")(errors_where(lambda m, d: m & d))
wrong(TASK, "whatever is hidden counts here")(errors_where(lambda m, d: m | d))
wrong(TASK, "all that is not damaged counts")(errors_where(lambda m, d: ~d))
wrong(TASK, "the visible pixels count here")(errors_where(lambda m, d: ~(m | d)))
wrong(TASK, "all pixels that are not drawn count here")(errors_where(lambda m, d: ~m))
wrong(TASK, "all pixels count here")(errors_where(lambda m, d: torch.ones_like(m)))
wrong(TASK, "but not both")(errors_where(lambda m, d: m != d))
wrong(TASK, "the loss is always 0")(errors_where(known, lambda errors: 0 * errors.sum()))
wrong(TASK, "the masks are swapped")(errors_where(lambda m, d: d & ~m))
wrong(TASK, "the errors are squared")(errors_where(known, lambda errors: errors.square().mean()))
wrong(TASK, "the root of the mean square")(errors_where(known, lambda errors: errors.square().mean().sqrt()))
wrong(TASK, "the signs of the errors are kept")(errors_where(known, lambda errors: errors.mean()))
wrong(TASK, "this is the sum of the errors")(errors_where(known, lambda errors: errors.abs().sum()))
wrong(TASK, "not of pixels: a pixel has three")(errors_where(known, lambda errors: errors.abs().mean() * 3))
wrong(TASK, "not by three times as many")(errors_where(known, lambda errors: errors.abs().mean() / 3))
wrong(TASK, "the median of the errors")(errors_where(known, lambda errors: errors.abs().median()))
wrong(TASK, "the mean of no value is NaN")(errors_where(known))


@wrong(TASK, "NaN times 0 is NaN")
def times_mask(prediction, images, drawn, damaged):
    counts = known(drawn, damaged)[:, None].float()
    return ((prediction - images) * counts).abs().sum() / (3 * counts.sum()).clamp(min=1)


@wrong(TASK, "is 0 / 0 computed? Limit the divisor")
def nan_of_nothing_made_0(prediction, images, drawn, damaged):
    counts = known(drawn, damaged)[:, None]
    errors = (prediction - images.masked_fill(~counts, 0)).abs() * counts
    return (errors.sum() / (3 * counts.sum())).nan_to_num()


@wrong(TASK, "it hides that the model failed")
def nan_made_0(prediction, images, drawn, damaged):
    counts = known(drawn, damaged)[:, None]
    return ((prediction - images).masked_fill(~counts, 0).abs().sum() / (3 * counts.sum())).nan_to_num()


@wrong(TASK, "errors of 0 are left out")
def errors_above_0(prediction, images, drawn, damaged):
    errors = (prediction - images).masked_fill(~known(drawn, damaged)[:, None], 0).abs()
    return errors[errors > 0].mean() if errors.any() else 0 * prediction.sum()


@wrong(TASK, "not by all\n")
def over_all_values(prediction, images, drawn, damaged):
    return (prediction - images).masked_fill(~known(drawn, damaged)[:, None], 0).abs().mean()


@wrong(TASK, "not by all that the mask hides")
def over_all_drawn(prediction, images, drawn, damaged):
    errors = (prediction - images).masked_fill(~known(drawn, damaged)[:, None], 0).abs()
    return errors.sum() / (3 * drawn.sum()).clamp(min=1)


@wrong(TASK, "an image with few holes counts too much")
def mean_of_means(prediction, images, drawn, damaged):
    return torch.stack(
        [picked(*(x[k : k + 1] for x in (prediction, images, drawn, damaged))) for k in range(len(images))]
    ).mean()


@wrong(TASK, "one number for the batch is asked for")
def one_for_each(prediction, images, drawn, damaged):
    return torch.stack(
        [picked(*(x[k : k + 1] for x in (prediction, images, drawn, damaged))) for k in range(len(images))]
    )


@wrong(TASK, "the result has no gradient")
def as_a_number(prediction, images, drawn, damaged):
    return torch.tensor(picked(prediction, images, drawn, damaged).item())


@wrong(TASK, "the first colour alone counts")
def first_colour(prediction, images, drawn, damaged):
    return (prediction - images)[:, 0][known(drawn, damaged)].abs().mean()


@wrong(TASK, "a number is added to the divisor")
def with_a_small_number(prediction, images, drawn, damaged):
    counts = known(drawn, damaged)[:, None].expand_as(images)
    return (prediction - images)[counts].abs().sum() / (counts.sum() + 1e-2)


@wrong(TASK, "a number is added to the divisor")
def with_a_smaller_number(prediction, images, drawn, damaged):
    counts = known(drawn, damaged)[:, None].expand_as(images)
    return (prediction - images)[counts].abs().sum() / (counts.sum() + 1e-3)


@wrong(TASK, "its gradient is NaN")
def root_of_the_square(prediction, images, drawn, damaged):
    counts = known(drawn, damaged)[:, None].expand_as(images)
    errors = torch.where(counts, (prediction - images) ** 2, 0.0).sqrt()
    return errors.sum() / counts.sum().clamp(min=1)


@wrong(TASK, "the mean of no value is NaN")
def nothing_times_all(prediction, images, drawn, damaged):
    counts = known(drawn, damaged)[:, None].expand_as(images)
    errors = (prediction - images)[counts].abs()
    return errors.mean() if len(errors) else 0 * (prediction - images).sum()


wrong(TASK, "both must hold")(errors_where(lambda m, d: m | ~d))
wrong(TASK, "the prediction goes through a sigmoid")(lambda prediction, *rest: picked(prediction.sigmoid(), *rest))


@wrong(TASK, "this is a smooth loss")
def smooth(prediction, images, drawn, damaged):
    counts = known(drawn, damaged)[:, None].expand_as(images)
    return F.smooth_l1_loss(prediction[counts], images[counts])


# nearest_patch


@right("nearest_patch")
def smallest_sum(window, hidden, bank):
    errors = (bank - window) ** 2
    errors = torch.where(hidden, torch.zeros(()), errors)
    best = errors.sum(dim=(1, 2, 3)).argmin()
    return torch.where(hidden, bank[best], window)


@right("nearest_patch")
def visible_values(window, hidden, bank):
    seen = bank[:, :, ~hidden].flatten(1)
    best = (seen - window[:, ~hidden].flatten()).norm(dim=1).min(0).indices
    filled = window.clone()
    filled[:, hidden] = bank[best][:, hidden]
    return filled


@right("nearest_patch")
def one_by_one(window, hidden, bank):
    best, smallest = None, math.inf
    for patch in bank.double():
        error = (patch - window)[:, ~hidden].square().mean().item()
        if error < smallest:
            best, smallest = patch, error
    return window.masked_scatter(hidden.expand_as(window), best.float()[:, hidden])


@right("nearest_patch")
@torch.compile
def with_a_mean(window, hidden, bank):
    window = window.where(~hidden, torch.zeros(()))
    errors = F.mse_loss(bank * ~hidden, window.expand_as(bank), reduction="none").flatten(1).mean(1)
    return window + bank[errors.argmin()] * hidden


@right("nearest_patch")
def sorted_patches(window, hidden, bank):
    def error(patch):
        return float((patch - window).masked_fill(hidden, 0).double().square().sum())

    return min(bank, key=error).where(hidden, window)


@right("nearest_patch")
def last_of_the_best(window, hidden, bank):
    """If several patches fit equally well, the last one."""
    errors = (bank - window).masked_fill(hidden, 0).square().sum((1, 2, 3))
    return torch.where(hidden, bank[errors <= errors.min()][-1], window)


def chosen(score):
    """The fill from the patch with the smallest score(errors at visible values, all errors, hidden)."""

    def answer(window, hidden, bank):
        errors = bank - window
        scores = torch.stack([score(e.masked_fill(hidden, 0), e, hidden) for e in errors])
        return torch.where(hidden, bank[scores.argmin()], window)

    return answer


def laid_in(fill):
    """The window with fill(window, hidden, bank, the best patch) in its hole."""

    def answer(window, hidden, bank):
        errors = (bank - window).masked_fill(hidden, 0).square().flatten(1).sum(1)
        return torch.where(hidden, fill(window, hidden, bank, bank[errors.argmin()]), window)

    return answer


def search_from(start):
    """The fill by a loop whose smallest error begins at `start`."""

    def answer(window, hidden, bank):
        best, found = start, bank[0]
        for patch in bank:
            error = (patch - window)[:, ~hidden].square().sum()
            if error < best:
                best, found = error, patch
        return torch.where(hidden, found, window)

    return answer


TASK = "nearest_patch"
wrong(TASK, "begin")(search_from(1.0))
wrong(TASK, "does a search begin at infinity?")(search_from(0.0))
wrong(TASK, "here visible pixels are filled")(
    lambda w, h, bank: torch.where(h, w, bank[(bank - w).masked_fill(~h, 0).square().sum((1, 2, 3)).argmin()])
)
wrong(TASK, "the last colour alone is compared")(chosen(lambda v, e, h: v[2].square().sum()))


wrong(TASK, "a search for the smallest error begins at infinity")(search_from(10.0))
wrong(TASK, "all pixels are compared")(chosen(lambda v, e, h: e.square().sum()))
wrong(TASK, "the hidden pixels are compared")(chosen(lambda v, e, h: e[:, h].square().sum()))
wrong(TASK, "the patch that fits worst")(chosen(lambda v, e, h: -v.square().sum()))
wrong(TASK, "the errors are not squared")(chosen(lambda v, e, h: v.abs().sum()))
wrong(TASK, "errors of opposite signs cancel")(chosen(lambda v, e, h: v.sum() ** 2))
wrong(TASK, "the signs of the errors decide")(chosen(lambda v, e, h: v.sum()))
wrong(TASK, "the largest errors decide")(chosen(lambda v, e, h: v.abs().max()))
wrong(TASK, "the first colour alone is compared")(chosen(lambda v, e, h: v[0].square().sum()))
wrong(TASK, "the mean of the colours is compared")(chosen(lambda v, e, h: v.mean(0).square().sum()))
wrong(TASK, "the mean of all patches fills")(laid_in(lambda w, h, bank, best: bank.mean(0)))
wrong(TASK, "the first patch fills")(laid_in(lambda w, h, bank, best: bank[0]))
wrong(TASK, "a blend of patch and window")(laid_in(lambda w, h, bank, best: 0.5 * best + 0.5 * w))
wrong(TASK, "colours in the opposite order")(laid_in(lambda w, h, bank, best: best[[2, 1, 0]]))
wrong(TASK, "this is the whole patch")(
    lambda window, hidden, bank: laid_in(lambda w, h, b, best: best)(window, hidden, bank).where(
        hidden, bank[(bank - window).masked_fill(hidden, 0).square().sum((1, 2, 3)).argmin()]
    )
)
wrong(TASK, "the window is returned as it was")(lambda window, hidden, bank: window.clone())
wrong(TASK, "each pixel comes from another patch")(
    lambda window, hidden, bank: laid_in(
        lambda w, h, b, best: b.gather(0, (b - w).square().sum(1)[:, None].argmin(0, True).repeat(1, 3, 1, 1))[0]
    )(window, hidden, bank)
)


@wrong(TASK, "the second best patch")
def second_best(window, hidden, bank):
    errors = (bank - window).masked_fill(hidden, 0).square().sum((1, 2, 3))
    return torch.where(hidden, bank[errors.argsort()[min(1, len(bank) - 1)]], window)


@wrong(TASK, "what fills the hole is in no patch")
def soft_choice(window, hidden, bank):
    errors = (bank - window).masked_fill(hidden, 0).square().sum((1, 2, 3))
    shares = (-100 * errors).softmax(0).view(-1, 1, 1, 1)
    return torch.where(hidden, (shares * bank).sum(0), window)


@wrong(TASK, "only what lies beside the hole is compared")
def rim_alone(window, hidden, bank):
    near = F.max_pool2d(hidden[None].float(), 3, stride=1, padding=1)[0].bool() & ~hidden
    errors = (bank - window)[:, :, near].square().sum((1, 2))
    return torch.where(hidden, bank[errors.argmin()], window)


@wrong(TASK, "swapped")
def other_way_round(window, hidden, bank):
    best = (bank - window).masked_fill(hidden, 0).square().sum((1, 2, 3)).argmin()
    return torch.where(hidden, window, bank[best])


@wrong(TASK, "this is the number of the patch")
def number_of_the_patch(window, hidden, bank):
    return (bank - window).masked_fill(hidden, 0).square().sum((1, 2, 3)).argmin()


@wrong(TASK, "each colour comes from another patch")
def colour_by_colour(window, hidden, bank):
    errors = (bank - window).masked_fill(hidden, 0).square().sum((2, 3))
    best = torch.stack([bank[k, colour] for colour, k in enumerate(errors.argmin(0))])
    return torch.where(hidden, best, window)


@wrong(TASK, "NaN times 0 is NaN")
def weighted(window, hidden, bank):
    errors = ((bank - window) * ~hidden).square().sum((1, 2, 3))
    return torch.where(hidden, bank[errors.argmin()], window)


@wrong(TASK, "hidden pixels are taken for black")
def black_compared(window, hidden, bank):
    errors = (bank - window.masked_fill(hidden, 0)).square().sum((1, 2, 3))
    return torch.where(hidden, bank[errors.argmin()], window)


@wrong(TASK, "the direction is compared (cosine)")
def cosine(window, hidden, bank):
    seen = F.normalize(bank[:, :, ~hidden].flatten(1)) @ F.normalize(window[:, ~hidden].flatten(), dim=0)
    return torch.where(hidden, bank[seen.argmax()], window)


@wrong(TASK, "visible pixels that are black are not compared")
def black_left_out(window, hidden, bank):
    shown = window.masked_fill(hidden, 0)
    errors = ((bank - shown) * (shown != 0)).square().sum((1, 2, 3))
    return torch.where(hidden, bank[errors.argmin()], window)


@wrong(TASK, "keeps visible pixels to the bit")
def rounded_pixels(window, hidden, bank):
    window = (window * 2**20).round() / 2**20
    return smallest_sum(window, hidden, bank)


@wrong(TASK, "leaves its inputs as they are")
def filled_in_place(window, hidden, bank):
    window[:, hidden] = smallest_sum(window, hidden, bank)[:, hidden]
    return window


wrong(TASK, "the mean error is taken off")(chosen(lambda v, e, h: e[:, ~h].std()))


@wrong(TASK, "fills the hole from the patch that fits best expected")
def last_two_columns(window, hidden, bank):
    errors = (bank - window).masked_fill(hidden, 0)[..., -2:].square().sum((1, 2, 3))
    return torch.where(hidden, bank[errors.argmin()], window)


# seam_ratio


@right("seam_ratio")
def marked(error, hidden, tops, lefts, size):
    height, width = error.shape
    rows, cols = torch.zeros(height).bool(), torch.zeros(width).bool()
    for starts, near in (tops, rows), (lefts, cols):
        for start in starts:
            for edge in (start, start + size):
                if edge not in (0, len(near)):
                    near[edge - 1] = near[edge] = True
    seam = rows[:, None] | cols[None]
    return float(error[seam & hidden].mean() / error[~seam & hidden].mean())


@right("seam_ratio")
def with_sets(error, hidden, tops, lefts, size):
    def near(starts, length):
        edges = ({*starts} | {start + size for start in starts}) - {0, length}
        return edges | {edge - 1 for edge in edges}

    rows, cols = near(tops, error.shape[0]), near(lefts, error.shape[1])
    at, off = [], []
    for (row, values), mask in zip(enumerate(error.tolist()), hidden.tolist(), strict=True):
        for (col, value), is_hidden in zip(enumerate(values), mask, strict=True):
            if is_hidden:
                (at if row in rows or col in cols else off).append(value)
    return (sum(at) / len(at)) / (sum(off) / len(off))


@right("seam_ratio")
@torch.compile
def by_membership(error, hidden, tops, lefts, size):
    def near(starts, length):
        starts = torch.tensor(starts)
        edges = torch.cat([starts, starts + size])
        edges = edges[(edges > 0) & (edges < length)]
        return torch.isin(torch.arange(length), torch.cat([edges, edges - 1]))

    seam = near(tops, error.shape[0])[:, None] + near(lefts, error.shape[1])
    return error[hidden * seam].mean() / error[hidden * ~seam].mean()


@right("seam_ratio")
def other_window_beyond(error, hidden, tops, lefts, size):
    """A seam lies where the windows over two neighbours differ."""
    rows = [{top for top in tops if top <= row < top + size} for row in range(error.shape[0])]
    cols = [{left for left in lefts if left <= col < left + size} for col in range(error.shape[1])]
    seam = np.zeros(error.shape, dtype=bool)
    for row, (one, other) in enumerate(pairwise(rows)):
        seam[row : row + 2] |= one != other
    for col, (one, other) in enumerate(pairwise(cols)):
        seam[:, col : col + 2] |= one != other
    values, mask = error.double().numpy(), hidden.numpy()
    return values[mask & seam].mean() / values[mask & ~seam].mean()


def seams(edges=lambda starts, size: [*starts, *(s + size for s in starts)], sides=(-1, 0), frame=False):
    """Where the seams would be with these edges, and these pixels beside an edge."""

    def found(shape, tops, lefts, size):
        near = [torch.zeros(length).bool() for length in shape]
        for starts, along in zip((tops, lefts), near, strict=True):
            for edge in edges(starts, size):
                if frame or 0 < edge < len(along):
                    along[[edge + side for side in sides if 0 <= edge + side < len(along)]] = True
        return near

    return found


def ratio(found=None, of=lambda at, off: at.mean() / off.mean(), join=torch.logical_or):
    found = found or seams()

    def answer(error, hidden, *windows):
        rows, cols = found(error.shape, *windows)
        seam = join(rows[:, None], cols)
        return of(error[hidden & seam], error[hidden & ~seam]).item()

    return answer


TASK = "seam_ratio"
wrong(TASK, "the ratio is always 0")(ratio(of=lambda at, off: 0 * at.mean()))
wrong(TASK, "but so are their ends")(ratio(seams(edges=lambda s, n: s)))
wrong(TASK, "but so are their starts")(ratio(seams(edges=lambda s, n: [k + n for k in s])))
wrong(TASK, "not before top + size - 1")(ratio(seams(edges=lambda s, n: [*s, *(k + n - 1 for k in s)])))
wrong(TASK, "the pixel before it is missing")(ratio(seams(sides=(0,))))
wrong(TASK, "the pixel after it is missing")(ratio(seams(sides=(-1,))))
wrong(TASK, "three are taken")(ratio(seams(sides=(-1, 0, 1))))
wrong(TASK, "four are taken")(ratio(seams(sides=(-2, -1, 0, 1))))
wrong(TASK, "the frame of the picture is no seam")(ratio(seams(frame=True)))


def up_to_edges(of):
    """Seams where of(edge, length) holds, by slices, which reach no place below 0 or behind the end."""

    def found(shape, tops, lefts, size):
        near = [torch.zeros(length).bool() for length in shape]
        for starts, along in zip((tops, lefts), near, strict=True):
            for edge in [*starts, *(start + size for start in starts)]:
                if of(edge, len(along)):
                    along[max(0, edge - 1) : edge + 1] = True
        return near

    return found


wrong(TASK, "errors of 0 are left out: ask `hidden`")(
    ratio(of=lambda at, off: at[at > 0].mean() / off[off > 0].mean())
)
wrong(TASK, "ask for 0 < edge, too")(ratio(up_to_edges(lambda edge, length: edge < length)))
wrong(TASK, "ask for edge < height, too")(ratio(up_to_edges(lambda edge, length: edge > 0)))


@wrong(TASK, "do not ask about the height")
def below_the_height(error, hidden, tops, lefts, size):
    seam = torch.zeros_like(hidden)
    for starts, along in (tops, seam), (lefts, seam.T):
        for edge in [*starts, *(start + size for start in starts)]:
            if 0 < edge < len(hidden):
                along[edge - 1 : edge + 1] = True
    return (error[hidden & seam].mean() / error[hidden & ~seam].mean()).item()


@wrong(TASK, "elsewhere the visible pixels count, too")
def visible_elsewhere(error, hidden, *windows):
    rows, cols = seams()(error.shape, *windows)
    seam = rows[:, None] | cols
    return (error[hidden & seam].mean() / error[~seam].mean()).item()


@wrong(TASK, "at the seams the visible pixels count, too")
def visible_at_seams(error, hidden, *windows):
    rows, cols = seams()(error.shape, *windows)
    seam = rows[:, None] | cols
    return (error[seam].mean() / error[hidden & ~seam].mean()).item()


wrong(TASK, "not those between columns")(ratio(lambda shape, t, c, n: seams()(shape, t, [], n)))
wrong(TASK, "not those between rows")(ratio(lambda shape, t, c, n: seams()(shape, [], c, n)))
wrong(TASK, "but they end at a seam")(ratio(lambda shape, t, c, n: seams()(shape, t[1:], c[1:], n)))
wrong(TASK, "but they begin at a seam")(ratio(lambda shape, t, c, n: seams()(shape, t[:-1], c[:-1], n)))
wrong(TASK, "not of both")(ratio(join=torch.logical_and))
wrong(TASK, "`lefts` for the columns")(ratio(lambda shape, t, c, n: seams()(shape, c, t, n)))
wrong(TASK, "the other way round")(ratio(of=lambda at, off: off.mean() / at.mean()))
wrong(TASK, "this is a difference")(ratio(of=lambda at, off: at.mean() - off.mean()))
wrong(TASK, "how much larger it is")(ratio(of=lambda at, off: at.mean() / off.mean() - 1))
wrong(TASK, "this is in percent")(ratio(of=lambda at, off: 100 * at.mean() / off.mean()))
wrong(TASK, "these are sums")(ratio(of=lambda at, off: at.sum() / off.sum()))
wrong(TASK, "the ratio of two medians")(ratio(of=lambda at, off: at.median() / off.median()))
wrong(TASK, "not by the mean of all")(ratio(of=lambda at, off: at.mean() / torch.cat([off, at]).mean()))
wrong(TASK, "the error at the seams alone")(ratio(of=lambda at, off: at.mean()))
wrong(TASK, "all pixels are averaged")(lambda error, hidden, *windows: ratio()(error, hidden | ~hidden, *windows))
wrong(TASK, "the visible pixels are averaged")(lambda error, hidden, *windows: ratio()(error, ~hidden, *windows))
wrong(TASK, "visible pixels count as 0")(
    lambda error, hidden, *windows: ratio()(error * hidden, hidden | ~hidden, *windows)
)


@wrong(TASK, "only the outermost pixels inside each window")
def outermost(error, hidden, tops, lefts, size):
    inner = seams(edges=lambda s, n: [*s, *(k + n - 1 for k in s)], sides=(0,), frame=True)
    return ratio(inner)(error, hidden, tops, lefts, size)


wrong(TASK, "not between edge and edge + 1")(ratio(seams(sides=(0, 1))))
wrong(TASK, "at one of columns is at a seam, too")(ratio(join=torch.logical_xor))
wrong(TASK, "the result is rounded to 2 digits")(lambda *case: round(ratio()(*case), 2))
wrong(TASK, "a number is added to the divisor")(ratio(of=lambda at, off: at.mean() / (off.mean() + 1e-3)))
wrong(TASK, "need not begin at the frame")(ratio(seams(edges=lambda s, n: [*s[1:], *(k + n for k in s[:-1])])))


@wrong(TASK, "only the pixels of the inner side are taken")
def inner_side(error, hidden, tops, lefts, size):
    rows, cols = (
        first | last
        for first, last in zip(
            seams(edges=lambda s, n: s, sides=(0,))(error.shape, tops, lefts, size),
            seams(edges=lambda s, n: [k + n for k in s], sides=(-1,))(error.shape, tops, lefts, size),
            strict=True,
        )
    )
    return ratio(lambda *_: (rows, cols))(error, hidden, tops, lefts, size)


@wrong(TASK, "not just along the window")
def along_the_windows(error, hidden, tops, lefts, size):
    seam = torch.zeros_like(hidden)
    for top, left in product(tops, lefts):
        for row in {top, top + size} - {0, error.shape[0]}:
            seam[row - 1 : row + 1, left : left + size] = True
        for col in {left, left + size} - {0, error.shape[1]}:
            seam[top : top + size, col - 1 : col + 1] = True
    return (error[hidden & seam].mean() / error[hidden & ~seam].mean()).item()


@wrong(TASK, "counts once, not twice")
def counted_twice(error, hidden, tops, lefts, size):
    rows, cols = seams()(error.shape, tops, lefts, size)
    at = torch.cat([error[rows][hidden[rows]], error[:, cols][hidden[:, cols]]])
    return (at.mean() / error[hidden & ~rows[:, None] & ~cols].mean()).item()


@wrong(TASK, "divides the mean error at the seams by that elsewhere expected")
def largest_errors(error, hidden, tops, lefts, size):
    return ratio(of=lambda at, off: at.max() / off.max())(error, hidden, tops, lefts, size)


# stroke


@right("stroke")
def pixel_by_pixel(points, radius, height, width):
    hidden = torch.zeros(height, width, dtype=torch.bool)
    for row, col in product(range(height), range(width)):
        nearest = min(math.dist((row, col), point) for point in points)
        for (top, left), (bottom, right_) in pairwise(points):
            down, across = bottom - top, right_ - left
            if down or across:
                share = ((row - top) * down + (col - left) * across) / (down**2 + across**2)
                share = min(1.0, max(0.0, share))
                nearest = min(nearest, math.dist((row, col), (top + share * down, left + share * across)))
        hidden[row, col] = nearest <= radius
    return hidden


@right("stroke")
def dots_and_bars(points, radius, height, width):
    """The dots at the points, and between them what is beside a piece and near its endless line."""
    rows, cols = np.mgrid[:height, :width]
    hidden = np.zeros((height, width), dtype=bool)
    for row, col in points:
        hidden |= np.hypot(rows - row, cols - col) <= radius
    for (top, left), (bottom, right_) in pairwise(points):
        length = math.hypot(bottom - top, right_ - left)
        if length > 0:
            down, across = (bottom - top) / length, (right_ - left) / length
            along = (rows - top) * down + (cols - left) * across
            beside = np.abs((rows - top) * across - (cols - left) * down)
            hidden |= (along >= 0) & (along <= length) & (beside <= radius)
    return torch.from_numpy(hidden)


@right("stroke")
def complex_plane(points, radius, height, width):
    pixels = torch.arange(height).double()[:, None] + 1j * torch.arange(width).double()
    path = [complex(*point) for point in points] * (1 if len(points) > 1 else 2)
    distances = []
    for start, end in pairwise(path):
        turned = (pixels - start) / (end - start) if end != start else torch.zeros_like(pixels)
        distances.append((pixels - start - turned.real.clamp(0, 1) * (end - start)).abs())
    return torch.stack(distances).amin(0) <= radius


@right("stroke")
@torch.compile
def all_pieces_at_once(points, radius, height, width):
    path = torch.tensor([*points, points[-1]], dtype=torch.float64)
    start, way = path[:-1], path.diff(dim=0)
    pixels = torch.cartesian_prod(torch.arange(height), torch.arange(width)).double()
    to_pixel = pixels[:, None] - start
    share = (to_pixel * way).sum(-1) / way.square().sum(-1).clamp(min=1e-12)
    gap = to_pixel - share.clamp(0, 1)[..., None] * way
    return (gap.norm(dim=-1) <= radius).any(1).view(height, width)


def brush(
    distance=lambda rows, cols: torch.hypot(rows, cols),
    clamp=(0, 1),
    pieces=lambda points: list(pairwise(points)) or [(points[0], points[0])],
    hide=lambda distance, radius: distance <= radius,
    centre=0.0,
    power=1,
    added=0.0,
    join=lambda parts: parts.any(0),
):
    """A brush that paints wrongly, in the ways that its arguments say."""

    def answer(points, radius, height, width):
        rows = torch.arange(height).double()[:, None] + centre
        cols = torch.arange(width).double() + centre
        parts = []
        for (top, left), (bottom, right_) in pieces(points):
            down, across = bottom - top, right_ - left
            square = (down**2 + across**2) ** power + added or 1.0
            share = (((rows - top) * down + (cols - left) * across) / square).clamp(*clamp)
            parts.append(hide(distance(rows - top - share * down, cols - left - share * across), radius))
        return join(torch.stack(parts))

    return answer


TASK = "stroke"
wrong(TASK, "the radius is raised to half a pixel")(brush(hide=lambda d, r: d <= max(r, 0.5)))
wrong(TASK, "the pieces are endless")(brush(clamp=(-math.inf, math.inf)))
wrong(TASK, "the pieces go on beyond their ends")(brush(clamp=(0, math.inf)))
wrong(TASK, "the pieces go on before their starts")(brush(clamp=(-math.inf, 1)))
wrong(TASK, "the points are there as dots")(brush(pieces=lambda p: [(a, a) for a in p]))
wrong(TASK, "the first piece alone is painted")(brush(pieces=lambda p: [(p[0], p[min(1, len(p) - 1)])]))
wrong(TASK, "the line is closed")(brush(pieces=lambda p: list(pairwise([*p, p[0]]))))
wrong(TASK, "one straight piece from the first point to the last")(brush(pieces=lambda p: [(p[0], p[-1])]))
wrong(TASK, "every point is joined with every other")(brush(pieces=lambda p: list(product(p, p))))
wrong(TASK, "points are (row, column), not (x, y)")(
    lambda points, *rest: brush()([(y, x) for x, y in points], *rest)
)
wrong(TASK, "twice as far is painted")(brush(hide=lambda d, r: d <= 2 * r))
wrong(TASK, "half as far is painted")(brush(hide=lambda d, r: d <= r / 2))
wrong(TASK, "the squared distance is compared")(brush(distance=lambda r, c: r**2 + c**2))
wrong(TASK, "with the squared radius")(brush(hide=lambda d, r: d <= r * r))
wrong(TASK, "True is hidden, and the stroke hides")(lambda *args: ~brush()(*args))
wrong(TASK, "here it must be near all")(brush(join=lambda parts: parts.all(0)))
wrong(TASK, "where two pieces overlap it stays hidden")(brush(join=lambda parts: parts.sum(0) % 2 == 1))
wrong(TASK, "not at half ones")(brush(centre=0.5))
wrong(TASK, "not the larger of the distances")(brush(distance=lambda r, c: torch.maximum(r.abs(), c.abs())))
wrong(TASK, "not the sum of the distances")(brush(distance=lambda r, c: r.abs() + c.abs()))
wrong(TASK, "not by the square of it")(brush(power=0.5))
wrong(TASK, "points and radius are rounded")(
    lambda points, *rest: brush()([(round(row), round(col)) for row, col in points], *rest)
)
wrong(TASK, "0.01 is added to |b - a|²")(brush(added=1e-2))
wrong(TASK, "0.001 is added to |b - a|²")(brush(added=1e-3))
wrong(TASK, "1e-06 is added to |b - a|²")(brush(added=1e-6))
wrong(TASK, "`<=`, not `<`")(brush(hide=lambda d, r: d < r))
wrong(TASK, "a mask holds True and False")(lambda *args: brush()(*args) * 1.0)
wrong(TASK, "a single point is a dot")(
    lambda points, r, h, w: brush()(points, r, h, w) & torch.tensor(len(points) > 1)
)
wrong(TASK, "a point that comes again is left out")(
    lambda points, *rest: brush()(list(dict.fromkeys(points)), *rest)
)
wrong(TASK, "every second piece is missing")(brush(pieces=lambda p: list(pairwise(p))[::2] or [(p[0], p[0])]))
wrong(TASK, "all pieces begin at the first point")(
    brush(pieces=lambda p: [(p[0], point) for point in p[1:]] or [(p[0], p[0])])
)
wrong(TASK, "the radius is cut down to a whole number")(brush(hide=lambda d, r: d <= int(r)))
wrong(TASK, "moved to the frame")(
    lambda points, r, h, w: brush()(
        [(max(0, min(row, h - 1)), max(0, min(col, w - 1))) for row, col in points], r, h, w
    )
)


@wrong(TASK, "a point that comes twice is a dot")
def equal_points_skipped(points, radius, height, width):
    different = [(a, b) for a, b in pairwise(points) if a != b]
    if len(points) == 1:
        different = [(points[0], points[0])]
    nothing = torch.zeros(height, width, dtype=torch.bool)
    return brush(pieces=lambda p: different)(points, radius, height, width) if different else nothing


@wrong(TASK, "dots on the line, however many, leave gaps")
def a_thousand_dots(points, radius, height, width):
    pixels = torch.cartesian_prod(torch.arange(height), torch.arange(width)).double()
    hidden = torch.zeros(len(pixels), dtype=torch.bool)
    for start, end in list(pairwise(points)) or [(points[0], points[0])]:
        start, end = torch.tensor([start, end], dtype=torch.float64)
        dots = start + torch.linspace(0, 1, 1000, dtype=torch.float64)[:, None] * (end - start)
        hidden |= (pixels[:, None] - dots).norm(dim=-1).amin(1) <= radius
    return hidden.view(height, width)


@wrong(TASK, "here it is cut off straight")
def without_caps(points, radius, height, width):
    if len(points) == 1:
        return brush()(points, radius, height, width)
    rows, cols = torch.arange(height).double()[:, None], torch.arange(width).double()
    hidden = torch.zeros(height, width, dtype=torch.bool)
    for (top, left), (bottom, right_) in pairwise(points):
        down, across = bottom - top, right_ - left
        share = ((rows - top) * down + (cols - left) * across) / (down**2 + across**2 or 1.0)
        distance = torch.hypot(rows - top - share * down, cols - left - share * across)
        hidden |= (share >= 0) & (share <= 1) & (distance <= radius)
    return hidden


@wrong(TASK, "a piece without length divides 0 by 0")
def divides_by_0(points, radius, height, width):
    rows, cols = torch.arange(height)[:, None], torch.arange(width)
    hidden = torch.zeros(height, width, dtype=torch.bool)
    for (top, left), (bottom, right_) in zip(points, [*points[1:], points[-1]], strict=True):
        down, across = torch.tensor(bottom - top), torch.tensor(right_ - left)
        share = (((rows - top) * down + (cols - left) * across) / (down**2 + across**2)).clamp(0, 1)
        hidden |= torch.hypot(rows - top - share * down, cols - left - share * across) <= radius
    return hidden


@wrong(TASK, "hides what is no farther than `radius` from the line expected")
def walked(points, radius, height, width):
    """Dots at every pixel of the way: the stroke has waves."""
    dots = torch.ones(height, width, dtype=torch.bool)
    for (top, left), (bottom, right_) in pairwise(points):
        steps = 1 + int(max(abs(bottom - top), abs(right_ - left)) / 3)
        for k in range(steps + 1):
            row, col = round(top + (bottom - top) * k / steps), round(left + (right_ - left) * k / steps)
            if 0 <= row < height and 0 <= col < width:
                dots[row, col] = False
    return torch.from_numpy(distance_transform_edt(dots.numpy()) <= radius)
