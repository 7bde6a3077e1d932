"""Answers to the exercises on decoders (lesson 03)."""

import math

import torch
import torch.nn.functional as F
from einops import einsum, rearrange, repeat
from torch import nn

from answers import right, wrong

# linear_head_size


@right("linear_head_size")
def formula(dim, stride):
    return (dim + 1) * 3 * stride**2


@right("linear_head_size")
def loop_over_outputs(dim, stride):
    total = 0
    for _ in range(3 * stride * stride):
        total += dim
        total += 1
    return total


@right("linear_head_size")
def count_a_layer(dim, stride):
    return sum(p.numel() for p in nn.Conv2d(dim, 3 * stride**2, kernel_size=1, device="meta").parameters())


@wrong("linear_head_size", "the bias is not counted")
def no_bias(dim, stride):
    return dim * 3 * stride**2


@wrong("linear_head_size", "not to each of the `dim` inputs")
def bias_of_inputs(dim, stride):
    return dim * 3 * stride**2 + dim


@wrong("linear_head_size", "a transposed convolution has a bias for each colour")
def transposed_layer(dim, stride):
    return sum(p.numel() for p in nn.ConvTranspose2d(dim, 3, stride, stride, device="meta").parameters())


@wrong("linear_head_size", "as many numbers as the map has outputs, not 1")
def one_bias(dim, stride):
    return dim * 3 * stride**2 + 1


@wrong("linear_head_size", "each pixel has three colours")
def no_colours(dim, stride):
    return dim * stride**2 + stride**2


@wrong("linear_head_size", "stride * stride pixels, not stride")
def stride_not_squared(dim, stride):
    return dim * 3 * stride + 3 * stride


@wrong("linear_head_size", "the kernel is 1 × 1")
def large_kernel(dim, stride):
    return sum(p.numel() for p in nn.Conv2d(dim, 3 * stride**2, stride, device="meta").parameters())


@wrong("linear_head_size", "how many numbers the head gives for a square")
def outputs_only(dim, stride):
    return 3 * stride**2


@wrong("linear_head_size", "one bias for each pixel: each colour of a pixel has its own")
def bias_of_pixels(dim, stride):
    return dim * 3 * stride**2 + stride**2


@wrong("linear_head_size", "each pixel has three colours, and the bias is missing")
def no_colours_no_bias(dim, stride):
    return dim * stride**2


@wrong("linear_head_size", "a square has stride * stride pixels, and the bias is missing")
def stride_not_squared_no_bias(dim, stride):
    return 3 * dim * stride


@right("linear_head_size")
class Head(nn.Sequential):
    """A layer that counts itself when it is made."""

    def __new__(cls, dim, stride):
        head = nn.Linear(dim, 3 * stride * stride, device="meta")
        return head.weight.numel() + head.bias.numel()


@wrong("linear_head_size", "`^` is no power in Python: write `stride ** 2`")
def caret(dim, stride):
    outputs = 3 * stride ^ 2
    return outputs * dim + outputs


@wrong("linear_head_size", "instead of `(stride ^ 2)`")
def caret_of_the_stride(dim, stride):
    outputs = 3 * (stride ^ 2)
    return outputs * dim + outputs


@wrong("linear_head_size", "takes all before it")
def caret_of_all(dim, stride):
    return (dim + 1) * 3 * stride ^ 2


@wrong("linear_head_size", "`(3 * stride) ** 2` multiplies by 9")
def colours_squared(dim, stride):
    outputs = (3 * stride) ** 2
    return outputs * dim + outputs


@wrong("linear_head_size", "not 2 * stride")
def stride_doubled(dim, stride):
    return 3 * 2 * stride * (dim + 1)


@wrong("linear_head_size", "dim and stride are swapped")
def dim_and_stride_swapped(dim, stride):
    return formula(stride, dim)


@wrong("linear_head_size", "each pair of them has a weight")
def added(dim, stride):
    return 3 * stride**2 + dim


@wrong("linear_head_size", "expected 9, got 10")
def one_too_many(dim, stride):
    return formula(dim, stride) + 1


# pixel_shuffle


@right("pixel_shuffle")
def loops(features, stride):
    batch, _, rows, cols = features.shape
    image = features.new_zeros(batch, 3, rows * stride, cols * stride)
    for c in range(3):
        for i in range(stride):
            for j in range(stride):
                image[:, c, i::stride, j::stride] = features[:, (c * stride + i) * stride + j]
    return image


@right("pixel_shuffle")
def with_einops(features, stride):
    return rearrange(features, "b (c i j) rows cols -> b c (rows i) (cols j)", i=stride, j=stride)


@right("pixel_shuffle")
@torch.compile
def with_permute(features, stride):
    batch, _, rows, cols = features.shape
    split = features.view(batch, 3, stride, stride, rows, cols)
    return split.permute(0, 1, 4, 2, 5, 3).reshape(batch, 3, rows * stride, cols * stride)


@right("pixel_shuffle")
def every_pixel(features, stride):
    batch, _, rows, cols = features.shape
    image = torch.empty(batch, 3, rows * stride, cols * stride)
    for y in range(rows * stride):
        for x in range(cols * stride):
            channels = features[:, :, y // stride, x // stride]
            image[:, :, y, x] = channels[:, y % stride * stride + x % stride :: stride**2]
    return image


@right("pixel_shuffle")
def with_fold(features, stride):
    rows, cols = features.shape[2:]
    return F.fold(features.flatten(2), (rows * stride, cols * stride), stride, stride=stride)


@wrong("pixel_shuffle", "in MAE's order (row, column, colour)")
def mae_order(features, stride):
    return rearrange(features, "b (i j c) rows cols -> b c (rows i) (cols j)", i=stride, j=stride)


@wrong("pixel_shuffle", "each square is mirrored")
def mirrored_squares(features, stride):
    return rearrange(features, "b (c j i) rows cols -> b c (rows i) (cols j)", i=stride, j=stride)


@wrong("pixel_shuffle", "torn apart: they must be neighbours")
def torn_apart(features, stride):
    batch, _, rows, cols = features.shape
    split = features.view(batch, 3, stride, stride, rows, cols)
    return split.permute(0, 1, 2, 4, 3, 5).reshape(batch, 3, rows * stride, cols * stride)


@wrong("pixel_shuffle", "a bare view or reshape moves no number")
def bare_view(features, stride):
    batch, _, rows, cols = features.shape
    return features.view(batch, 3, rows * stride, cols * stride)


@wrong("pixel_shuffle", "rows and columns of the map are swapped")
def map_swapped(features, stride):
    return with_einops(features.mT, stride)


@wrong("pixel_shuffle", "the picture is mirrored: height and width are swapped")
def height_and_width_swapped(features, stride):
    return with_einops(features, stride).mT


@wrong("pixel_shuffle", "colours come before rows and columns")
def colours_last(features, stride):
    return with_einops(features, stride).permute(0, 2, 3, 1)


@wrong("pixel_shuffle", "`rows` comes right before the row in the square")
def grid_before_square(features, stride):
    batch, _, rows, cols = features.shape
    split = features.view(batch, 3, stride, stride, rows, cols)
    return split.permute(0, 1, 4, 5, 2, 3).reshape(batch, 3, rows * stride, cols * stride)


@wrong("pixel_shuffle", "colour c starts at channel c * stride * stride")
def colours_overlap(features, stride):
    batch, _, rows, cols = features.shape
    image = features.new_zeros(batch, 3, rows * stride, cols * stride)
    for c in range(3):
        for i in range(stride):
            for j in range(stride):
                image[:, c, i::stride, j::stride] = features[:, c + i * stride + j]
    return image


@wrong("pixel_shuffle", "there are `cols` columns, not `rows`")
def square_map(features, stride):
    batch, _, rows, cols = features.shape
    image = features.new_zeros(batch, 3, rows * stride, cols * stride)
    for row in range(rows):
        for col in range(rows):
            square = features[:, :, row, col].reshape(batch, 3, stride, stride)
            y, x = row * stride, col * stride
            image[:, :, y : y + stride, x : x + stride] = square
    return image


@wrong("pixel_shuffle", "the first image is drawn for all")
def first_image_for_all(features, stride):
    return with_einops(features[:1].expand_as(features), stride)


@wrong("pixel_shuffle", "only the red channels are drawn")
def one_colour(features, stride):
    return with_einops(features, stride)[:, :1]


@wrong("pixel_shuffle", "only the first image is drawn")
def only_the_first_image(features, stride):
    return with_einops(features[:1], stride)


@right("pixel_shuffle")
class Shuffle:
    """A class that is called like a function; it computes in 64 bits."""

    def __new__(cls, features, stride):
        whole = features.double().unflatten(1, (3, stride, stride))
        return whole.permute(0, 1, 4, 2, 5, 3).flatten(4).flatten(2, 3).float()


@wrong("pixel_shuffle", "BGR instead of RGB")
def colours_reversed(features, stride):
    return with_einops(features, stride).flip(1)


@wrong("pixel_shuffle", "works for any batch, map and stride, also of 1")
def cut_to_colours(features, stride):
    return with_einops(features, stride).clamp(-2, 20)


@wrong("pixel_shuffle", "works on a batch of one")
def squeezed(features, stride):
    image = with_einops(features, stride)
    return image.squeeze(0) if features.shape[-1] == 8 else image


@wrong("pixel_shuffle", "the result has no gradient")
def by_numpy(features, stride):
    image = torch.zeros(loops(features, stride).shape)
    image.copy_(torch.from_numpy(with_einops(features, stride).detach().numpy()))
    return image


@wrong("pixel_shuffle", "expected real numbers, got whole numbers")
def bytes_of_colours(features, stride):
    return (with_einops(features, stride) * 255).to(torch.uint8)


@wrong("pixel_shuffle", "each square has one colour")
def means_of_squares(features, stride):
    means = rearrange(features, "b (c n) rows cols -> b c n rows cols", c=3).mean(2)
    return means.repeat_interleave(stride, 2).repeat_interleave(stride, 3)


@wrong("pixel_shuffle", "lets the whole gradient through")
def only_red_learns(features, stride):
    image = F.pixel_shuffle(features, stride)
    return torch.cat([image[:, :1], image[:, 1:].detach()], 1)


@wrong("pixel_shuffle", "(column, row, colour)")
def columns_first(features, stride):
    return rearrange(features, "b (j i c) h w -> b c (h i) (w j)", i=stride, j=stride)


# linear_head


@right("linear_head")
def with_conv2d(features, weight, bias, stride):
    return F.pixel_shuffle(F.conv2d(features, weight[:, :, None, None], bias), stride)


@right("linear_head")
def with_linear(features, weight, bias, stride):
    channels = F.linear(features.permute(0, 2, 3, 1), weight, bias)
    return F.pixel_shuffle(channels.permute(0, 3, 1, 2), stride)


@right("linear_head")
def with_named_axes(features, weight, bias, stride):
    channels = einsum(features, weight, "b d rows cols, n d -> b n rows cols") + bias.view(-1, 1, 1)
    return with_einops(channels, stride)


@right("linear_head")
def loop_over_places(features, weight, bias, stride):
    batch, _, rows, cols = features.shape
    image = torch.zeros(batch, 3, rows * stride, cols * stride)
    for row in range(rows):
        for col in range(cols):
            square = features[:, :, row, col] @ weight.T + bias
            place = (slice(n * stride, (n + 1) * stride) for n in (row, col))
            image[:, :, *place] = square.view(batch, 3, stride, stride)
    return image


@wrong("linear_head", "the bias is forgotten")
def head_without_bias(features, weight, bias, stride):
    return with_conv2d(features, weight, None, stride)


@wrong("linear_head", "the weight is the wrong way round")
def transposed_weight(features, weight, bias, stride):
    channels = features.permute(0, 2, 3, 1) @ weight + bias
    return F.pixel_shuffle(channels.permute(0, 3, 1, 2), stride)


@wrong("linear_head", "before the matrix: `reshape` moves no axis")
def reshape_before(features, weight, bias, stride):
    batch, dim, rows, cols = features.shape
    channels = features.reshape(batch, rows * cols, dim) @ weight.T + bias
    return F.pixel_shuffle(channels.mT.reshape(batch, -1, rows, cols), stride)


@wrong("linear_head", "after the matrix: `reshape` moves no axis")
def reshape_after(features, weight, bias, stride):
    batch, _, rows, cols = features.shape
    channels = features.flatten(2).mT @ weight.T + bias
    return F.pixel_shuffle(channels.reshape(batch, -1, rows, cols), stride)


@wrong("linear_head", "before and after the matrix: `reshape` moves no axis")
def reshape_twice(features, weight, bias, stride):
    batch, dim, rows, cols = features.shape
    channels = features.reshape(batch, rows * cols, dim) @ weight.T + bias
    return F.pixel_shuffle(channels.reshape(batch, -1, rows, cols), stride)


@wrong("linear_head", "the pixel shuffle is missing")
def no_shuffle(features, weight, bias, stride):
    return F.conv2d(features, weight[:, :, None, None], bias)


@wrong("linear_head", "in MAE's order (row, column, colour)")
def head_in_mae_order(features, weight, bias, stride):
    return mae_order(no_shuffle(features, weight, bias, stride), stride)


@wrong("linear_head", "a bare view or reshape moves no number")
def view_for_a_shuffle(features, weight, bias, stride):
    return bare_view(no_shuffle(features, weight, bias, stride), stride)


@wrong("linear_head", "RuntimeError")
def channels_in_front(features, weight, bias, stride):
    return F.pixel_shuffle(features @ weight.T + bias, stride)


@right("linear_head")
class HeadOfTheLesson:
    """A class that is called like a function; it is a layer with these weights."""

    def __new__(cls, features, weight, bias, stride):
        layer = nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
        parameters = {"weight": weight.double(), "bias": bias.double()}
        places = rearrange(features.double(), "b d rows cols -> b rows cols d")
        channels = torch.func.functional_call(layer, parameters, (places,))
        return rearrange(channels, "b y x (c i j) -> b c (y i) (x j)", i=stride, j=stride).to(features.dtype)


@wrong("linear_head", "the bias is subtracted")
def minus_bias(features, weight, bias, stride):
    return with_conv2d(features, weight, -bias, stride)


@wrong("linear_head", "the first bias is used for all outputs")
def first_bias_for_all(features, weight, bias, stride):
    return with_conv2d(features, weight, None, stride) + bias[0]


@wrong("linear_head", "a Sigmoid is added")
def with_sigmoid(features, weight, bias, stride):
    return with_conv2d(features, weight, bias, stride).sigmoid()


@wrong("linear_head", "cut off at 0 and 1")
def clamped_head(features, weight, bias, stride):
    return with_conv2d(features, weight, bias, stride).clamp(0, 1)


@wrong("linear_head", "one bias for each colour")
def bias_of_colours(features, weight, bias, stride):
    return with_conv2d(features, weight, None, stride) + bias[:3].view(3, 1, 1)


@wrong("linear_head", "the features are averaged")
def mean_over_features(features, weight, bias, stride):
    return with_conv2d(features, weight / weight.shape[1], bias, stride)


@wrong("linear_head", "BGR instead of RGB")
def head_in_bgr(features, weight, bias, stride):
    return with_conv2d(features, weight, bias, stride).flip(1)


@wrong("linear_head", "no gradient reaches argument 3")
def bias_without_gradient(features, weight, bias, stride):
    return with_conv2d(features, weight, bias.detach(), stride)


@wrong("linear_head", "no gradient reaches argument 1")
def features_without_gradient(features, weight, bias, stride):
    return with_conv2d(features.data, weight, bias, stride)


@wrong("linear_head", "works on a batch of one")
def first_of_one(features, weight, bias, stride):
    image = with_conv2d(features, weight, bias, stride)
    return image[0] if len(image) == 1 else image


@wrong("linear_head", "lets the whole gradient through")
def weight_learns_from_one_image(features, weight, bias, stride):
    first = with_conv2d(features[:1], weight, bias, stride)
    return torch.cat([first, with_conv2d(features[1:], weight.detach(), bias, stride)])


@wrong("linear_head", "the bias is added twice")
def biased_twice(features, weight, bias, stride):
    return with_conv2d(features, weight, 2 * bias, stride)


# overlaps


@right("overlaps")
def add_one(size, kernel, stride):
    counts = [0] * ((size - 1) * stride + kernel)
    for i in range(size):
        for k in range(kernel):
            counts[i * stride + k] += 1
    return counts


@right("overlaps")
def ask_each_pixel(size, kernel, stride):
    length = (size - 1) * stride + kernel
    return [sum(0 <= y - i * stride < kernel for i in range(size)) for y in range(length)]


@right("overlaps")
def with_a_layer_of_ones(size, kernel, stride):
    return F.conv_transpose1d(torch.ones(1, 1, size), torch.ones(1, 1, kernel), stride=stride).flatten().tolist()


@right("overlaps")
def from_first_to_last(size, kernel, stride):
    length = (size - 1) * stride + kernel
    first = [max(0, -((kernel - 1 - y) // stride)) for y in range(length)]
    last = [min(size - 1, y // stride) for y in range(length)]
    return [b - a + 1 for a, b in zip(first, last, strict=True)]


@wrong("overlaps", "kernel // stride is only an average")
def the_average(size, kernel, stride):
    return [kernel // stride] * ((size - 1) * stride + kernel)


@wrong("overlaps", "add 1, do not set it to 1")
def set_to_one(size, kernel, stride):
    return [min(count, 1) for count in add_one(size, kernel, stride)]


@wrong("overlaps", "at the two ends fewer inputs reach a pixel")
def no_ends(size, kernel, stride):
    length = (size - 1) * stride + kernel
    return [len(range(y % stride, kernel, stride)) for y in range(length)]


@wrong("overlaps", "wrong length: input size - 1")
def cut_off(size, kernel, stride):
    return add_one(size, kernel, stride)[: size * stride]


@wrong("overlaps", "wrong length: input size - 1")
def too_long(size, kernel, stride):
    return add_one(size, kernel, stride) + [0] * stride


@wrong("overlaps", "at (size - 1) * stride, writes `kernel` values too")
def a_little_too_long(size, kernel, stride):
    counts = [0] * (size * stride + kernel - 1)
    for i in range(size):
        for k in range(kernel):
            counts[i * stride + k] += 1
    return counts


@wrong("overlaps", "at (size - 1) * stride, writes `kernel` values too")
def one_too_short(size, kernel, stride):
    length = (size - 1) * stride + kernel - 1
    return [sum(0 <= y - i * stride < kernel for i in range(size)) for y in range(length)]


@wrong("overlaps", "each input must start `stride` further on")
def no_stride_in_the_index(size, kernel, stride):
    counts = [0] * ((size - 1) * stride + kernel)
    for i in range(size):
        for k in range(kernel):
            counts[i + k] += 1
    return counts


@wrong("overlaps", "each input writes `kernel` values, not `stride`")
def writes_stride_values(size, kernel, stride):
    counts = [0] * ((size - 1) * stride + kernel)
    for i in range(size):
        for k in range(stride):
            counts[i * stride + k] += 1
    return counts


@wrong("overlaps", "yours write one less")
def one_less(size, kernel, stride):
    counts = [0] * ((size - 1) * stride + kernel)
    for i in range(size):
        for k in range(kernel - 1):
            counts[i * stride + k] += 1
    return counts


@wrong("overlaps", "yours write one more")
def one_more(size, kernel, stride):
    return add_one(size, kernel + 1, stride)


@wrong("overlaps", "kernel and stride are swapped")
def swapped(size, kernel, stride):
    return add_one(size, stride, kernel)


@wrong("overlaps", "the stride is ignored")
def without_stride(size, kernel, stride):
    return add_one(size, kernel, 1)


@wrong("overlaps", "a tensor has `.tolist()`")
def tensor_of_counts(size, kernel, stride):
    return torch.tensor(add_one(size, kernel, stride))


@wrong("overlaps", "IndexError: list index out of range")
def index_error(size, kernel, stride):
    counts = [0] * (size * stride)
    for i in range(size):
        for k in range(kernel):
            counts[i * stride + k] += 1
    return counts


@right("overlaps")
class Counter(dict):
    """A class that is called like a function; the inputs count where they write."""

    def __new__(cls, size, kernel, stride):
        written = [start + k for start in range(0, size * stride, stride) for k in range(kernel)]
        return tuple(written.count(pixel) for pixel in range((size - 1) * stride + kernel))


@wrong("overlaps", "the first input begins at pixel 0, not 1")
def from_one(size, kernel, stride):
    counts = [0] * (size * stride + kernel)
    for i in range(size):
        for k in range(kernel):
            counts[i * stride + k + 1] += 1
    return counts[: (size - 1) * stride + kernel]


@wrong("overlaps", "the last input is missing")
def one_input_less(size, kernel, stride):
    return add_one(size - 1, kernel, stride) + [0] * stride


@wrong("overlaps", "there is one input too many")
def one_input_more(size, kernel, stride):
    return add_one(size + 1, kernel, stride)


@wrong("overlaps", "kernel / stride is only an average")
def broken_average(size, kernel, stride):
    return [kernel / stride] * ((size - 1) * stride + kernel)


@wrong("overlaps", "its own counts too")
def others_only(size, kernel, stride):
    return [count - 1 for count in add_one(size, kernel, stride)]


@wrong("overlaps", "no input writes to a pixel in a gap")
def no_gaps(size, kernel, stride):
    return [max(1, count) for count in add_one(size, kernel, stride)]


@wrong("overlaps", "moves on by a single pixel")
def stride_above_one(size, kernel, stride):
    return add_one(size, kernel, max(2, stride))


@wrong("overlaps", "expected a list, got {")
def dictionary(size, kernel, stride):
    return dict(enumerate(add_one(size, kernel, stride)))


# transposed_convolution


@right("transposed_convolution")
def stamp(features, weight, stride, write=torch.add):
    batch, _, rows, cols = features.shape
    _, colours, kernel, _ = weight.shape
    image = torch.zeros(batch, colours, (rows - 1) * stride + kernel, (cols - 1) * stride + kernel)
    for row in range(rows):
        for col in range(cols):
            y, x = (slice(place * stride, place * stride + kernel) for place in (row, col))
            square = torch.einsum("bd,dcij->bcij", features[:, :, row, col], weight)
            image[:, :, y, x] = write(image[:, :, y, x], square)
    return image


@right("transposed_convolution")
def stamp_with_more_axes(features, weight, stride):
    batch, _, rows, cols = features.shape
    _, colours, kernel, _ = weight.shape
    image = torch.zeros(batch, colours, (rows - 1) * stride + kernel, (cols - 1) * stride + kernel)
    for row in range(rows):
        for col in range(cols):
            y, x = row * stride, col * stride
            weighted = features[:, :, row, col, None, None, None] * weight[None]
            image[:, :, y : y + kernel, x : x + kernel] += weighted.sum(1)
    return image


@right("transposed_convolution")
def loop_over_the_kernel(features, weight, stride):
    batch, _, rows, cols = features.shape
    _, colours, kernel, _ = weight.shape
    image = torch.zeros(batch, colours, (rows - 1) * stride + kernel, (cols - 1) * stride + kernel)
    for i in range(kernel):
        for j in range(kernel):
            contribution = einsum(features, weight[:, :, i, j], "b d rows cols, d c -> b c rows cols")
            ys, xs = torch.arange(rows) * stride + i, torch.arange(cols) * stride + j
            image[:, :, ys[:, None], xs] += contribution
    return image


@right("transposed_convolution")
def every_product(features, weight, stride):
    batch, _, rows, cols = features.shape
    _, colours, kernel, _ = weight.shape
    image = torch.zeros(batch, colours, (rows - 1) * stride + kernel, (cols - 1) * stride + kernel)
    for c in range(colours):
        for row in range(rows):
            for col in range(cols):
                for i in range(kernel):
                    for j in range(kernel):
                        written = features[:, :, row, col] @ weight[:, c, i, j]
                        image[:, c, row * stride + i, col * stride + j] += written
    return image


@right("transposed_convolution")
def spread_and_convolve(features, weight, stride):
    batch, dim, rows, cols = features.shape
    pad = weight.shape[-1] - 1
    spread = torch.zeros(batch, dim, (rows - 1) * stride + 1, (cols - 1) * stride + 1)
    spread[:, :, ::stride, ::stride] = features
    return F.conv2d(F.pad(spread, (pad, pad, pad, pad)), weight.transpose(0, 1).flip(2, 3))


@right("transposed_convolution")
def with_fold_too(features, weight, stride):
    _, _, rows, cols = features.shape
    kernel = weight.shape[-1]
    squares = einsum(features, weight, "b d rows cols, d c i j -> b c i j rows cols")
    height, width = ((n - 1) * stride + kernel for n in (rows, cols))
    return F.fold(rearrange(squares, "b c i j r q -> b (c i j) (r q)"), (height, width), kernel, stride=stride)


@wrong("transposed_convolution", "the last one replaces the others")
def replaces(features, weight, stride):
    return stamp(features, weight, stride, write=lambda old, square: square)


@wrong("transposed_convolution", "the kernel is flipped")
def flipped(features, weight, stride):
    return stamp(features, weight.flip(-2, -1), stride)


@wrong("transposed_convolution", "rows and columns of the kernel are swapped")
def kernel_transposed(features, weight, stride):
    return stamp(features, weight.mT, stride)


@wrong("transposed_convolution", "the first axis of `weight` is for the features")
def order_of_conv2d(features, weight, stride):
    return stamp(features, weight.transpose(0, 1), stride)


@wrong("transposed_convolution", "the picture is cut off")
def cropped(features, weight, stride):
    _, _, rows, cols = features.shape
    return stamp(features, weight, stride)[:, :, : rows * stride, : cols * stride]


@wrong("transposed_convolution", "the picture is too large")
def too_large(features, weight, stride):
    return F.pad(stamp(features, weight, stride), (0, stride, 0, stride))


@wrong("transposed_convolution", "the stride is ignored")
def stride_one(features, weight, stride):
    return stamp(features, weight, 1)


@wrong("transposed_convolution", "the squares must move on by `stride`")
def stride_one_in_the_right_size(features, weight, stride):
    image = torch.zeros_like(stamp(features, weight, stride))
    squares = stamp(features, weight, 1)
    image[:, :, : squares.shape[2], : squares.shape[3]] = squares
    return image


@wrong("transposed_convolution", "the weighted kernels are averaged: add them up")
def mean_of_the_kernels(features, weight, stride):
    return stamp(features, weight, stride) / len(weight)


@wrong("transposed_convolution", "only the first feature is used")
def first_feature_only(features, weight, stride):
    return stamp(features[:, :1], weight[:1], stride)


@wrong("transposed_convolution", "all images are drawn from the first one's features")
def first_features_for_all(features, weight, stride):
    return stamp(features[:1].expand_as(features), weight, stride)


@wrong("transposed_convolution", "the kernels lie side by side")
def side_by_side(features, weight, stride):
    return stamp(features, weight, weight.shape[-1])


@wrong("transposed_convolution", "the features are added up too early")
def summed_too_early(features, weight, stride):
    return stamp(features.sum(1, keepdim=True), weight.sum(0, keepdim=True), stride)


@wrong("transposed_convolution", "only the first one stays")
def first_stays(features, weight, stride):
    image = torch.full_like(stamp(features, weight, stride), torch.nan)
    kernel = weight.shape[-1]
    for row in range(features.shape[2]):
        for col in range(features.shape[3]):
            square = torch.einsum("bd,dcij->bcij", features[:, :, row, col], weight)
            place = image[:, :, row * stride : row * stride + kernel, col * stride : col * stride + kernel]
            place.copy_(torch.where(place.isnan(), square, place))
    return image.nan_to_num(0)


@wrong("transposed_convolution", "their mean is taken")
def mean_of_overlaps(features, weight, stride):
    written = stamp(torch.ones_like(features[:1, :1]), torch.ones_like(weight[:1, :1]), stride)
    return stamp(features, weight, stride) / written.clamp(min=1)


@wrong("transposed_convolution", "only the last place is drawn")
def set_to_zero_each_time(features, weight, stride):
    image = stamp(features, weight, stride)
    last = torch.zeros_like(features)
    last[:, :, -1, -1] = features[:, :, -1, -1]
    return stamp(last, weight, stride) + 0 * image


@wrong("transposed_convolution", "rows and columns of the features are swapped")
def features_transposed(features, weight, stride):
    return stamp(features.mT, weight, stride)


@wrong("transposed_convolution", "no gradient reaches argument 2")
def weight_without_gradient(features, weight, stride):
    return stamp(features, weight.detach(), stride)


@wrong("transposed_convolution", "works on a batch of one")
def squeezed_image(features, weight, stride):
    image = stamp(features, weight, stride)
    return image.squeeze(0) if features.shape[1] == weight.shape[1] > 1 else image


@wrong("transposed_convolution", "takes another number of features than of colours")
def as_many_colours(features, weight, stride):
    colours = features.shape[1]
    return stamp(features, weight, stride)[:, :colours].repeat(1, -(-colours // weight.shape[1]), 1, 1)[
        :, :colours
    ]


@wrong("transposed_convolution", "leaves gaps of 0")
def gaps_filled(features, weight, stride):
    return stamp(features, weight, min(stride, weight.shape[-1]))


@wrong("transposed_convolution", "lets the whole gradient through")
def stamps_forget(features, weight, stride):
    return stamp(features, weight, stride, write=lambda old, square: old.detach() + square)


@wrong("transposed_convolution", "takes another number of features than of colours")
def three_colours(features, weight, stride):
    image = F.conv_transpose2d(features, weight, stride=stride)
    return torch.cat([image[:, :3], 0 * image[:, 3:]], 1)


@wrong("transposed_convolution", "the rows of the kernel are in the opposite order")
def rows_upside_down(features, weight, stride):
    return F.conv_transpose2d(features, weight.flip(2), stride=stride)


@wrong("transposed_convolution", "the columns of the kernel are in the opposite order")
def columns_mirrored(features, weight, stride):
    return F.conv_transpose2d(features, weight.flip(3), stride=stride)


# repaired_output


@right("repaired_output")
def linear_output(values, mean, std):
    return values, (values * std.view(3, 1, 1) + mean.view(3, 1, 1)).clamp(0, 1)


@right("repaired_output")
def colour_by_colour(values, mean, std):
    picture = torch.empty_like(values)
    for c in range(3):
        picture[:, c] = (std[c] * values[:, c] + mean[c]).clamp(min=0, max=1)
    return values.clone(), picture


@right("repaired_output")
def with_repeat(values, mean, std):
    _, _, height, width = values.shape
    mean, std = (repeat(s, "c -> c h w", h=height, w=width) for s in (mean, std))
    return [values, torch.minimum(torch.maximum(mean + std * values, torch.tensor(0.0)), torch.tensor(1.0))]


@wrong("repaired_output", "a Sigmoid keeps the prediction between 0 and 1")
def sigmoid_kept(values, mean, std):
    return values.sigmoid(), linear_output(values, mean, std)[1]


@wrong("repaired_output", "the picture still goes through a Sigmoid")
def sigmoid_for_the_picture(values, mean, std):
    return values, values.sigmoid()


@wrong("repaired_output", "a tanh keeps the prediction between -1 and 1")
def tanh_instead(values, mean, std):
    return values.tanh(), linear_output(values.tanh(), mean, std)[1]


@wrong("repaired_output", "the prediction is cut off at 0 and 1")
def clamped_prediction(values, mean, std):
    return values.clamp(0, 1), linear_output(values, mean, std)[1]


@wrong("repaired_output", "the prediction is the picture")
def one_for_both(values, mean, std):
    picture = linear_output(values, mean, std)[1]
    return picture, picture


@wrong("repaired_output", "the prediction is no longer normalised")
def loss_in_colours(values, mean, std):
    colours = values * std.view(3, 1, 1) + mean.view(3, 1, 1)
    return colours, colours.clamp(0, 1)


@wrong("repaired_output", "the prediction is normalised once more")
def normalised_again(values, mean, std):
    return (values - mean.view(3, 1, 1)) / std.view(3, 1, 1), linear_output(values, mean, std)[1]


@wrong("repaired_output", "the normalisation is not undone before the colours are cut off")
def not_undone(values, mean, std):
    return values, values.clamp(0, 1)


@wrong("repaired_output", "the normalisation is not undone")
def picture_as_predicted(values, mean, std):
    return values, values


@wrong("repaired_output", "a Sigmoid before the normalisation is undone")
def sigmoid_first(values, mean, std):
    return values, linear_output(values.sigmoid(), mean, std)[1]


@wrong("repaired_output", "a Sigmoid instead of a cut")
def sigmoid_last(values, mean, std):
    return values, (values * std.view(3, 1, 1) + mean.view(3, 1, 1)).sigmoid()


@wrong("repaired_output", "cut off before the normalisation is undone, not after")
def clamped_first(values, mean, std):
    return values, linear_output(values.clamp(0, 1), mean, std)[1]


@wrong("repaired_output", "colours below 0 or above 1 are left")
def not_clamped(values, mean, std):
    return values, values * std.view(3, 1, 1) + mean.view(3, 1, 1)


@wrong("repaired_output", "instead of undoing it")
def wrong_way(values, mean, std):
    return values, ((values - mean.view(3, 1, 1)) / std.view(3, 1, 1)).clamp(0, 1)


@wrong("repaired_output", "mean and std have changed places")
def places_changed(values, mean, std):
    return values, linear_output(values, std, mean)[1]


@wrong("repaired_output", "the mean is added before the product")
def mean_too_early(values, mean, std):
    return values, ((values + mean.view(3, 1, 1)) * std.view(3, 1, 1)).clamp(0, 1)


@wrong("repaired_output", "the first picture is shown for all")
def first_picture_for_all(values, mean, std):
    return values, linear_output(values, mean, std)[1][:1].expand_as(values)


@wrong("repaired_output", "expected two tensors")
def only_the_picture(values, mean, std):
    return linear_output(values, mean, std)[1]


@wrong("repaired_output", "RuntimeError: The size of tensor a (32) must match")
def along_the_width(values, mean, std):
    return values, (values * std + mean).clamp(0, 1)


@right("repaired_output")
class Output(tuple):
    """A class that is called like a function: a tuple of both; the picture is not for training."""

    def __new__(cls, values, mean, std):
        with torch.no_grad():
            picture = torch.addcmul(mean[:, None, None].double(), values.double(), std[:, None, None].double())
        return super().__new__(cls, (values * 1, picture.clip(0, 1).float()))


@wrong("repaired_output", "the two are in the wrong order")
def picture_first(values, mean, std):
    prediction, picture = linear_output(values, mean, std)
    return picture, prediction


@wrong("repaired_output", "multiplied by 255")
def up_to_255(values, mean, std):
    return values, linear_output(values, mean, std)[1] * 255


@wrong("repaired_output", "the deviation is missing")
def mean_only(values, mean, std):
    return values, (values + mean.view(3, 1, 1)).clamp(0, 1)


@wrong("repaired_output", "the square of `std` is taken")
def variance(values, mean, std):
    return values, linear_output(values, mean, std**2)[1]


@wrong("repaired_output", "all channels get the same mean and deviation")
def mean_over_channels(values, mean, std):
    return values, (values * std.mean() + mean.mean()).clamp(0, 1)


@wrong("repaired_output", "BGR instead of RGB")
def bgr(values, mean, std):
    return values, linear_output(values, mean, std)[1].flip(1)


@wrong("repaired_output", "the channels are at the end")
def ready_for_matplotlib(values, mean, std):
    return values, linear_output(values, mean, std)[1].permute(0, 2, 3, 1)


@wrong("repaired_output", "colours above 1 are left")
def with_relu(values, mean, std):
    return values, (values * std.view(3, 1, 1) + mean.view(3, 1, 1)).relu()


@wrong("repaired_output", "the colours are stretched")
def stretched(values, mean, std):
    colours = values * std.view(3, 1, 1) + mean.view(3, 1, 1)
    return values, (colours - colours.min()) / (colours.max() - colours.min())


@wrong("repaired_output", "the result has no gradient")
def detached(values, mean, std):
    return values.detach(), linear_output(values, mean, std)[1]


@wrong("repaired_output", "values far outside")
def limited(values, mean, std):
    return values.clamp(-50, 50), linear_output(values, mean, std)[1]


@wrong("repaired_output", "works on a batch of one")
def squeezed_picture(values, mean, std):
    prediction, picture = linear_output(values, mean, std)
    return prediction, picture.squeeze(0)


@wrong("repaired_output", "changes its input in place")
def in_place(values, mean, std):
    return values, values.mul_(std.view(3, 1, 1)).add_(mean.view(3, 1, 1)).clamp(0, 1)


@right("repaired_output")
def picture_in_numpy(values, mean, std):
    picture = values.detach().numpy() * std.numpy()[:, None, None] + mean.numpy()[:, None, None]
    return values, torch.from_numpy(picture.clip(0, 1))


@wrong("repaired_output", "lets the whole gradient through")
def only_colours_inside_learn(values, mean, std):
    _, picture = linear_output(values, mean, std)
    return torch.where((picture > 0) & (picture < 1), values, values.detach()), picture


@wrong("repaired_output", "the Sigmoid is to blame")
def sigmoid_then_normalised(values, mean, std):
    colours = values.sigmoid()
    return (colours - mean.view(3, 1, 1)) / std.view(3, 1, 1), colours


@wrong("repaired_output", "the way back of another normalisation")
def from_minus_one_to_one(values, mean, std):
    return values, ((values + 1) / 2).clamp(0, 1)


@wrong("repaired_output", "each picture is stretched")
def each_picture_stretched(values, mean, std):
    colours = values * std.view(3, 1, 1) + mean.view(3, 1, 1)
    low, high = (end.view(-1, 1, 1, 1) for end in (colours.flatten(1).amin(1), colours.flatten(1).amax(1)))
    return values, (colours - low) / (high - low)


@wrong("repaired_output", "each channel is stretched")
def each_channel_stretched(values, mean, std):
    low, high = values.amin((2, 3), keepdim=True), values.amax((2, 3), keepdim=True)
    return values, (values - low) / (high - low)


# head_of_deconvolution


@right("head_of_deconvolution")
def one_rearrange(weight, bias):
    _, _, kernel, _ = weight.shape
    return rearrange(weight, "d c i j -> (c i j) d"), repeat(bias, "c -> (c i j)", i=kernel, j=kernel)


@right("head_of_deconvolution")
def flatten_and_transpose(weight, bias):
    return weight.flatten(1).T, bias[:, None].expand(-1, weight[0, 0].numel()).reshape(-1)


@right("head_of_deconvolution")
def row_for_row(weight, bias):
    _, colours, kernel, _ = weight.shape
    rows, biases = [], []
    for c in range(colours):
        for i in range(kernel):
            for j in range(kernel):
                rows.append(weight[:, c, i, j])
                biases.append(bias[c])
    return [torch.stack(rows), torch.stack(biases)]


@right("head_of_deconvolution")
class SquaresOfSingleFeatures:
    """What the deconvolution draws from one feature alone is a column of the head's weight."""

    def __new__(cls, weight, bias):
        alone = torch.eye(len(weight), dtype=torch.float64)[:, :, None, None]
        drawn = F.conv_transpose2d(alone, weight.double(), stride=weight.shape[-1]).flatten(1)
        nothing = F.conv_transpose2d(0 * alone[:1], weight.double(), bias.double(), stride=weight.shape[-1])
        return drawn.T.float(), nothing.flatten().float()


@wrong("head_of_deconvolution", "MAE's order")
def outputs_pixel_by_pixel(weight, bias):
    return rearrange(weight, "d c i j -> (i j c) d"), one_rearrange(weight, bias)[1]


@wrong("head_of_deconvolution", "rows and columns of the kernel are swapped")
def kernel_on_its_side(weight, bias):
    return one_rearrange(weight.mT, bias)


@wrong("head_of_deconvolution", "the weight has a row for each feature")
def a_row_for_each_feature(weight, bias):
    return weight.flatten(1), one_rearrange(weight, bias)[1]


@wrong("head_of_deconvolution", "still on three axes")
def three_axes(weight, bias):
    return weight.movedim(0, -1), one_rearrange(weight, bias)[1]


@wrong("head_of_deconvolution", "leave out the two axes of length 1")
def ready_for_conv2d(weight, bias):
    rows, biases = one_rearrange(weight, bias)
    return rows[:, :, None, None], biases


@wrong("head_of_deconvolution", "a bare view or reshape moves no number")
def reshape_only(weight, bias):
    return weight.reshape(-1, len(weight)), one_rearrange(weight, bias)[1]


@wrong("head_of_deconvolution", "a transposed convolution writes it as it is")
def flipped_as_in_the_definition(weight, bias):
    return one_rearrange(weight.flip(-1, -2), bias)


@wrong("head_of_deconvolution", "one bias for each colour: each output needs one")
def bias_as_it_is(weight, bias):
    return one_rearrange(weight, bias)[0], bias


@wrong("head_of_deconvolution", "the biases stand in turns")
def biases_in_turns(weight, bias):
    return one_rearrange(weight, bias)[0], bias.repeat(weight.shape[-1] ** 2)


@wrong("head_of_deconvolution", "not `kernel` times")
def bias_for_one_row(weight, bias):
    return one_rearrange(weight, bias)[0], bias.repeat_interleave(weight.shape[-1])


@wrong("head_of_deconvolution", "the bias is lost")
def biases_of_zero(weight, bias):
    rows, biases = one_rearrange(weight, bias)
    return rows, torch.zeros_like(biases)


@wrong("head_of_deconvolution", "the bias is shared out, but each pixel")
def bias_shared_out(weight, bias):
    rows, biases = one_rearrange(weight, bias)
    return rows, biases / weight.shape[-1] ** 2


@wrong("head_of_deconvolution", "one colour's bias is used for all")
def first_bias_for_every_output(weight, bias):
    rows, biases = one_rearrange(weight, bias)
    return rows, torch.full_like(biases, bias[0].item())


@wrong("head_of_deconvolution", "the colours are in the opposite order")
def blue_first(weight, bias):
    return one_rearrange(weight.flip(1), bias.flip(0))


@wrong("head_of_deconvolution", "expected two tensors")
def without_a_bias(weight, bias):
    return one_rearrange(weight, bias)[0]


@wrong("head_of_deconvolution", "changes its input in place")
def bias_changed_in_place(weight, bias):
    rows, biases = one_rearrange(weight, bias)
    bias.zero_()
    return rows, biases


@wrong("head_of_deconvolution", "not always 4 times")
def bias_for_kernels_of_two(weight, bias):
    return one_rearrange(weight, bias)[0], bias.repeat_interleave(4)


@wrong("head_of_deconvolution", "it stopped in line")
def three_colours_in_the_weight(weight, bias):
    kernel = weight.shape[-1]
    return weight.view(-1, 3 * kernel**2).T, one_rearrange(weight, bias)[1]


@wrong("head_of_deconvolution", "the columns of the kernel are in the opposite order")
def kernel_mirrored(weight, bias):
    return one_rearrange(weight.flip(-1), bias)


@wrong("head_of_deconvolution", "the two are in the wrong order")
def bias_first(weight, bias):
    return one_rearrange(weight, bias)[::-1]


@wrong("head_of_deconvolution", "all axes are reversed")
def axes_reversed(weight, bias):
    kernel = weight.shape[-1]
    return weight.permute(3, 2, 1, 0).reshape(-1, len(weight)), bias.repeat_interleave(kernel**2)


@wrong("head_of_deconvolution", "read as that of the colours, as in `Conv2d`")
def as_of_conv2d(weight, bias):
    return rearrange(weight, "c d i j -> (c i j) d"), bias.repeat_interleave(weight.shape[-1] ** 2)


# space_to_depth


@right("space_to_depth")
def gather_with_einops(images, stride):
    return rearrange(images, "b c (rows i) (cols j) -> b (i j c) rows cols", i=stride, j=stride)


@right("space_to_depth")
def gather_with_permute(images, stride):
    batch, colours, height, width = images.shape
    rows, cols = height // stride, width // stride
    split = images.reshape(batch, colours, rows, stride, cols, stride)
    return split.permute(0, 3, 5, 1, 2, 4).reshape(batch, stride * stride * colours, rows, cols)


@right("space_to_depth")
def gather_with_slices(images, stride):
    shifted = [images[:, :, i::stride, j::stride] for i in range(stride) for j in range(stride)]
    return torch.cat(shifted, dim=1)


@right("space_to_depth")
def gather_with_loops(images, stride):
    batch, colours, height, width = images.shape
    gathered = torch.zeros(batch, colours * stride**2, height // stride, width // stride)
    for i in range(stride):
        for j in range(stride):
            for c in range(colours):
                gathered[:, (i * stride + j) * colours + c] = images[:, c, i::stride, j::stride]
    return gathered


@right("space_to_depth")
class UnshuffleAndSort:
    """PyTorch's layer, and its channels sorted anew."""

    def __new__(cls, images, stride):
        channels = F.pixel_unshuffle(images.double(), stride)
        order = torch.arange(channels.shape[1]).view(-1, stride**2).T.flatten()
        return channels[:, order]


@wrong("space_to_depth", "the channels go colour by colour")
def as_pytorch(images, stride):
    return F.pixel_unshuffle(images, stride)


@wrong("space_to_depth", "rows and columns inside each square are swapped")
def columns_before_rows(images, stride):
    return rearrange(images, "b c (rows i) (cols j) -> b (j i c) rows cols", i=stride, j=stride)


@wrong("space_to_depth", "the colours of a pixel must be neighbours")
def colours_between(images, stride):
    return rearrange(images, "b c (rows i) (cols j) -> b (i c j) rows cols", i=stride, j=stride)


@wrong("space_to_depth", "rows and columns of the map are swapped")
def map_on_its_side(images, stride):
    return rearrange(images, "b c (rows i) (cols j) -> b (i j c) cols rows", i=stride, j=stride)


@wrong("space_to_depth", "the channels are at the end")
def channels_at_the_end(images, stride):
    return rearrange(images, "b c (rows i) (cols j) -> b rows cols (i j c)", i=stride, j=stride)


@wrong("space_to_depth", "keep rows and cols apart")
def rows_of_patches(images, stride):
    return rearrange(images, "b c (rows i) (cols j) -> b (rows cols) (i j c)", i=stride, j=stride)


@wrong("space_to_depth", "squares are mixed: the row")
def far_pixels(images, stride):
    return rearrange(images, "b c (i rows) (j cols) -> b (i j c) rows cols", i=stride, j=stride)


@wrong("space_to_depth", "a bare view or reshape moves no number")
def view_only(images, stride):
    batch, colours, height, width = images.shape
    return images.reshape(batch, colours * stride**2, height // stride, width // stride)


@wrong("space_to_depth", "each square gives only its mean")
def mean_of_each_square(images, stride):
    return F.avg_pool2d(images, stride)


@wrong("space_to_depth", "only its upper left pixel")
def one_pixel_of_each_square(images, stride):
    return images[:, :, ::stride, ::stride]


@wrong("space_to_depth", "the first image is used for all")
def gather_the_first(images, stride):
    return gather_with_einops(images[:1].expand_as(images), stride)


@wrong("space_to_depth", "the colours are in the opposite order")
def gather_bgr(images, stride):
    return gather_with_einops(images.flip(1), stride)


@wrong("space_to_depth", "works for any colours, map and stride")
def three_colours_only(images, stride):
    return gather_with_einops(images, stride) if images.shape[1] > 1 else F.pixel_unshuffle(images, stride) + 1


@wrong("space_to_depth", "works on a batch of one")
def gathered_and_squeezed(images, stride):
    return gather_with_einops(images, stride).squeeze(0)


@wrong("space_to_depth", "the result has no gradient")
def gathered_by_numpy(images, stride):
    return torch.from_numpy(gather_with_einops(images.detach(), stride).numpy().copy())


@wrong("space_to_depth", "the stride is given: it is not always 2")
def stride_of_two(images, stride):
    return gather_with_einops(images, 2)


@wrong("space_to_depth", "`squeeze` drops an axis of length 1")
def single_places_squeezed(images, stride):
    return gather_with_einops(images, stride).squeeze()


@wrong("space_to_depth", "not how many squares there are")
def stride_counts_squares(images, stride):
    return rearrange(images, "b c (rows i) (cols j) -> b (i j c) rows cols", rows=stride, cols=stride)


@wrong("space_to_depth", "cut off at 0 and 1")
def gathered_colours_only(images, stride):
    return gather_with_einops(images, stride).clamp(0, 1)


@wrong("space_to_depth", "lets the whole gradient through")
def only_red_is_learned(images, stride):
    return gather_with_einops(torch.cat([images[:, :1], images[:, 1:].detach()], 1), stride)


@wrong("space_to_depth", "there may be more than three")
def red_green_blue(images, stride):
    return gather_with_einops(torch.cat([images[:, :3], 0 * images[:, 3:]], 1), stride)


@wrong("space_to_depth", "`permute` puts cols before rows")
def cols_before_rows(images, stride):
    batch, colours, height, width = images.shape
    split = images.reshape(batch, colours, height // stride, stride, width // stride, stride)
    return split.permute(0, 3, 5, 1, 4, 2).reshape(batch, -1, height // stride, width // stride)


# mae_head


@right("mae_head")
def tokens_to_pixels(tokens, weight, bias, grid, patch):
    rows, cols = grid
    pattern = "b (rows cols) (i j c) -> b c (rows i) (cols j)"
    return rearrange(tokens @ weight.T + bias, pattern, rows=rows, cols=cols, i=patch, j=patch)


@right("mae_head")
def unpatchify_as_in_the_paper(tokens, weight, bias, grid, patch):
    rows, cols = grid
    x = F.linear(tokens, weight, bias).reshape(-1, rows, cols, patch, patch, 3)
    return torch.einsum("bhwijc->bchiwj", x).reshape(-1, 3, rows * patch, cols * patch)


@right("mae_head")
def patch_after_patch(tokens, weight, bias, grid, patch):
    rows, cols = grid
    images = torch.zeros(len(tokens), 3, rows * patch, cols * patch)
    for place in range(rows * cols):
        row, col = divmod(place, cols)
        values = (tokens[:, place] @ weight.T + bias).view(-1, patch, patch, 3)
        y, x = row * patch, col * patch
        images[:, :, y : y + patch, x : x + patch] = values.permute(0, 3, 1, 2)
    return images


@right("mae_head")
def sorted_for_pixel_shuffle(tokens, weight, bias, grid, patch):
    order = torch.arange(3 * patch**2).view(-1, 3).T.flatten()
    features = tokens.mT.reshape(len(tokens), -1, *grid)
    return F.pixel_shuffle(F.conv2d(features, weight[order][:, :, None, None], bias[order]), patch)


@right("mae_head")
class HeadOfMAE(nn.Module):
    """A module that is built and called at once, in double precision."""

    def __new__(cls, tokens, weight, bias, grid, patch):
        outputs = torch.einsum("bnd,od->bno", tokens.double(), weight.double()) + bias.double()
        folded = rearrange(outputs, "b n (i j c) -> b (c i j) n", i=patch, j=patch)
        return F.fold(folded, tuple(n * patch for n in grid), patch, stride=patch)


@wrong("mae_head", "the bias is forgotten")
def mae_without_bias(tokens, weight, bias, grid, patch):
    return tokens_to_pixels(tokens, weight, 0 * bias, grid, patch)


@wrong("mae_head", "the bias is subtracted")
def mae_minus_bias(tokens, weight, bias, grid, patch):
    return tokens_to_pixels(tokens, weight, -bias, grid, patch)


@wrong("mae_head", "the weight is the wrong way round")
def mae_with_transposed_weight(tokens, weight, bias, grid, patch):
    square = weight.shape[0] == weight.shape[1]
    return tokens_to_pixels(tokens, weight.T if square else weight, bias, grid, patch)


@wrong("mae_head", "read colour by colour, as SimMIM's")
def order_of_simmim(tokens, weight, bias, grid, patch):
    outputs = rearrange(tokens @ weight.T + bias, "b (rows cols) o -> b o rows cols", rows=grid[0])
    return F.pixel_shuffle(outputs, patch)


@wrong("mae_head", "rows and columns inside each patch are swapped")
def patches_mirrored(tokens, weight, bias, grid, patch):
    images = tokens_to_pixels(tokens, weight, bias, grid, patch)
    return rearrange(images, "b c (rows i) (cols j) -> b c (rows j) (cols i)", i=patch, j=patch)


@wrong("mae_head", "the next one is the right neighbour")
def column_after_column(tokens, weight, bias, grid, patch):
    rows, cols = grid
    pattern = "b (cols rows) (i j c) -> b c (rows i) (cols j)"
    return rearrange(tokens @ weight.T + bias, pattern, rows=rows, cols=cols, i=patch, j=patch)


@wrong("mae_head", "the patches are torn apart")
def patches_torn_apart(tokens, weight, bias, grid, patch):
    rows, cols = grid
    pattern = "b (rows cols) (i j c) -> b c (i rows) (j cols)"
    return rearrange(tokens @ weight.T + bias, pattern, rows=rows, cols=cols, i=patch, j=patch)


@wrong("mae_head", "take both from `grid`, which is (rows, cols)")
def grid_the_other_way_round(tokens, weight, bias, grid, patch):
    return tokens_to_pixels(tokens, weight, bias, grid[::-1], patch)


@wrong("mae_head", "colours come before rows and columns")
def mae_colours_last(tokens, weight, bias, grid, patch):
    return tokens_to_pixels(tokens, weight, bias, grid, patch).permute(0, 2, 3, 1)


@wrong("mae_head", "they are not laid out yet")
def numbers_of_patches(tokens, weight, bias, grid, patch):
    return tokens @ weight.T + bias


@wrong("mae_head", "a bare view or reshape moves no number")
def mae_view(tokens, weight, bias, grid, patch):
    return (tokens @ weight.T + bias).reshape(-1, 3, grid[0] * patch, grid[1] * patch)


@wrong("mae_head", "a Sigmoid is added")
def mae_with_sigmoid(tokens, weight, bias, grid, patch):
    return tokens_to_pixels(tokens, weight, bias, grid, patch).sigmoid()


@wrong("mae_head", "BGR instead of RGB")
def mae_in_bgr(tokens, weight, bias, grid, patch):
    return tokens_to_pixels(tokens, weight, bias, grid, patch).flip(1)


@wrong("mae_head", "the first image is drawn for all")
def mae_first_image(tokens, weight, bias, grid, patch):
    return tokens_to_pixels(tokens[:1].expand_as(tokens), weight, bias, grid, patch)


@wrong("mae_head", "no gradient reaches argument 2")
def mae_frozen_weight(tokens, weight, bias, grid, patch):
    return tokens_to_pixels(tokens, weight.data, bias, grid, patch)


@wrong("mae_head", "works on a batch of one")
def mae_squeezed(tokens, weight, bias, grid, patch):
    return tokens_to_pixels(tokens, weight, bias, grid, patch).squeeze(0)


@wrong("mae_head", "one bias for each colour: each output has its own")
def mae_bias_of_colours(tokens, weight, bias, grid, patch):
    return tokens_to_pixels(tokens, weight, 0 * bias, grid, patch) + bias[:3].view(3, 1, 1)


@wrong("mae_head", "`rows` comes right before the row in the patch")
def mae_columns_in_front(tokens, weight, bias, grid, patch):
    rows, cols = grid
    x = F.linear(tokens, weight, bias).reshape(-1, rows, cols, patch, patch, 3)
    return torch.einsum("bhwijc->bchwij", x).reshape(-1, 3, rows * patch, cols * patch)


@wrong("mae_head", "the bias is added twice")
def mae_bias_twice(tokens, weight, bias, grid, patch):
    return tokens_to_pixels(tokens, weight, 2 * bias, grid, patch)


@wrong("mae_head", "lets the whole gradient through")
def bias_learns_from_one_token(tokens, weight, bias, grid, patch):
    biases = torch.stack([bias] + [bias.detach()] * (tokens.shape[1] - 1))
    pattern = "b (rows cols) (i j c) -> b c (rows i) (cols j)"
    return rearrange(tokens @ weight.T + biases, pattern, rows=grid[0], i=patch, j=patch)


@wrong("mae_head", "the rows of patches are torn apart")
def patch_rows_torn_apart(tokens, weight, bias, grid, patch):
    pattern = "b (rows cols) (i j c) -> b c (i rows) (cols j)"
    return rearrange(tokens @ weight.T + bias, pattern, rows=grid[0], i=patch, j=patch)


@wrong("mae_head", "the columns of patches are torn apart")
def patch_columns_torn_apart(tokens, weight, bias, grid, patch):
    pattern = "b (rows cols) (i j c) -> b c (rows i) (j cols)"
    return rearrange(tokens @ weight.T + bias, pattern, rows=grid[0], i=patch, j=patch)


@wrong("mae_head", "the colours are last when `reshape` joins the axes")
def colours_last_then_reshape(tokens, weight, bias, grid, patch):
    outputs = (tokens @ weight.T + bias).view(len(tokens), *grid, patch, patch, 3)
    return outputs.permute(0, 1, 3, 2, 4, 5).reshape(len(tokens), 3, grid[0] * patch, grid[1] * patch)


@wrong("mae_head", "it only cuts the numbers anew")
def mae_map_by_reshape(tokens, weight, bias, grid, patch):
    outputs = (tokens @ weight.T + bias).reshape(len(tokens), -1, *grid)
    return rearrange(outputs, "b (i j c) rows cols -> b c (rows i) (cols j)", i=patch, j=patch)


@wrong("space_to_depth", "the channels are last when `reshape` joins the axes")
def channels_last_then_reshape(images, stride):
    batch, colours, height, width = images.shape
    rows, cols = height // stride, width // stride
    split = images.reshape(batch, colours, rows, stride, cols, stride)
    return split.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, rows, cols)


@wrong("pixel_shuffle", "the channels are last when `reshape` makes the image")
def channels_last_then_image(features, stride):
    batch, _, rows, cols = features.shape
    return features.permute(0, 2, 3, 1).reshape(batch, 3, rows * stride, cols * stride)


@wrong("linear_head", "the channels are last when `reshape` makes the image")
def linear_then_reshape(features, weight, bias, stride):
    batch, _, rows, cols = features.shape
    outputs = features.permute(0, 2, 3, 1) @ weight.T + bias
    return outputs.reshape(batch, 3, rows * stride, cols * stride)


@wrong("linear_head", "not those of a new layer")
def new_layer(features, weight, bias, stride):
    layer = nn.Linear(*weight.T.shape)
    return F.pixel_shuffle(layer(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), stride)


@wrong("overlaps", "its last pixel is start + kernel - 1")
def end_of_the_kernel_included(size, kernel, stride):
    starts = range(0, size * stride, stride)
    return [sum(start <= pixel <= start + kernel for start in starts) for pixel in range(starts[-1] + kernel)]


@wrong("overlaps", "also the first one, at its start")
def start_of_the_kernel_left_out(size, kernel, stride):
    starts = range(0, size * stride, stride)
    return [sum(start < pixel < start + kernel for start in starts) for pixel in range(starts[-1] + kernel)]


@wrong("linear_head_size", "the bias has 3 * stride * stride numbers")
def bias_of_a_row(dim, stride):
    return dim * 3 * stride**2 + 3 * stride


@wrong("linear_head_size", "parameters are counted: 9, not 9.0")
def power_of_real_numbers(dim, stride):
    return (dim + 1) * 3 * math.pow(stride, 2)


@wrong("overlaps", "only the first input is counted: is `return` inside the loop?")
def returned_in_the_loop(size, kernel, stride):
    counts = [0] * ((size - 1) * stride + kernel)
    for place in range(size):
        for pixel in range(kernel):
            counts[place * stride + pixel] += 1
        return counts


@wrong("repaired_output", "are both one tensor, changed in place?")
def one_tensor_for_both(values, mean, std):
    prediction = values.clone()
    picture = prediction.mul_(std[:, None, None]).add_(mean[:, None, None]).clamp_(0, 1)
    return prediction, picture


@wrong("linear_head", "or a `torch.empty` not filled?")
def grid_taken_as_square(features, weight, bias, stride):
    batch, _, rows, cols = features.shape
    images = torch.empty(batch, 3, rows * stride, cols * stride)
    for row in range(rows):
        for col in range(rows):
            square = (features[:, :, row, min(col, cols - 1)] @ weight.T + bias).view(batch, 3, stride, stride)
            images[:, :, row * stride : (row + 1) * stride, col * stride : (col + 1) * stride] = square
    return images
