"""Answers to the exercises on decoders (lesson 03)."""

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


@wrong("linear_head_size", "the bias of a transposed convolution, one per colour")
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


@wrong("linear_head_size", "how many numbers the head gives for one square")
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


@wrong("pixel_shuffle", "at [1, ")
def first_image_for_all(features, stride):
    return with_einops(features[:1].expand_as(features), stride)


@wrong("pixel_shuffle", "expected the shape (1, 3, 2, 2)")
def one_colour(features, stride):
    return with_einops(features, stride)[:, :1]


@wrong("pixel_shuffle", "expected the shape (3, 3, 6, 12)")
def only_the_first_image(features, stride):
    return with_einops(features[:1], stride)


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


@wrong("overlaps", "the length is wrong")
def cut_off(size, kernel, stride):
    return add_one(size, kernel, stride)[: size * stride]


@wrong("overlaps", "the length is wrong")
def too_long(size, kernel, stride):
    return add_one(size, kernel, stride) + [0] * stride


@wrong("overlaps", "the last input starts at (size - 1) * stride and writes `kernel` values")
def a_little_too_long(size, kernel, stride):
    counts = [0] * (size * stride + kernel - 1)
    for i in range(size):
        for k in range(kernel):
            counts[i * stride + k] += 1
    return counts


@wrong("overlaps", "the last input starts at (size - 1) * stride and writes `kernel` values")
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


@wrong("overlaps", "expected a list, got a tensor: end with `.tolist()`")
def tensor_of_counts(size, kernel, stride):
    return torch.tensor(add_one(size, kernel, stride))


@wrong("overlaps", "IndexError: list index out of range")
def index_error(size, kernel, stride):
    counts = [0] * (size * stride)
    for i in range(size):
        for k in range(kernel):
            counts[i * stride + k] += 1
    return counts


# transposed_convolution


@right("transposed_convolution")
def stamp(features, weight, stride):
    batch, _, rows, cols = features.shape
    _, colours, kernel, _ = weight.shape
    image = torch.zeros(batch, colours, (rows - 1) * stride + kernel, (cols - 1) * stride + kernel)
    for row in range(rows):
        for col in range(cols):
            y, x = row * stride, col * stride
            square = torch.einsum("bd,dcij->bcij", features[:, :, row, col], weight)
            image[:, :, y : y + kernel, x : x + kernel] += square
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
    batch, dim, rows, cols = features.shape
    _, colours, kernel, _ = weight.shape
    image = torch.zeros(batch, colours, (rows - 1) * stride + kernel, (cols - 1) * stride + kernel)
    for b in range(batch):
        for d in range(dim):
            for c in range(colours):
                for row in range(rows):
                    for col in range(cols):
                        for i in range(kernel):
                            for j in range(kernel):
                                written = features[b, d, row, col] * weight[d, c, i, j]
                                image[b, c, row * stride + i, col * stride + j] += written
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
    batch, _, rows, cols = features.shape
    _, colours, kernel, _ = weight.shape
    image = torch.zeros(batch, colours, (rows - 1) * stride + kernel, (cols - 1) * stride + kernel)
    for row in range(rows):
        for col in range(cols):
            y, x = row * stride, col * stride
            square = torch.einsum("bd,dcij->bcij", features[:, :, row, col], weight)
            image[:, :, y : y + kernel, x : x + kernel] = square
    return image


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


@wrong("repaired_output", "at [1, ")
def first_picture_for_all(values, mean, std):
    return values, linear_output(values, mean, std)[1][:1].expand_as(values)


@wrong("repaired_output", "expected two tensors")
def only_the_picture(values, mean, std):
    return linear_output(values, mean, std)[1]


@wrong("repaired_output", "RuntimeError: The size of tensor a (32) must match")
def along_the_width(values, mean, std):
    return values, (values * std + mean).clamp(0, 1)
