"""Answers to the exercises on the article's program (lesson 00)."""

import math
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange, repeat

from answers import right, wrong


@right("compose")
def chooses(image, prediction, mask):
    return torch.where(mask[:, None], prediction, image)


@right("compose")
@torch.compile
def multiplies(image, prediction, mask):
    hidden = mask.float().unsqueeze(1)
    return image * (1 - hidden) + prediction * hidden


@right("compose")
def indexes_a_copy(image, prediction, mask):
    result = image.clone()
    hidden = repeat(mask, "b h w -> b c h w", c=3)
    result[hidden] = prediction[hidden]
    return result


@right("compose")
def loops(image, prediction, mask):
    pictures = []
    for x, y, m in zip(image, prediction, mask, strict=True):
        pictures.append(torch.stack([torch.where(m, y[c], x[c]) for c in range(3)]))
    return torch.stack(pictures)


@right("compose")
def fills_with_nothing(image, prediction, mask):
    hidden = rearrange(mask, "b h w -> b 1 h w")
    return image.masked_fill(hidden, 0) + prediction.masked_fill(~hidden, 0)


@right("compose")
def keeps_gradients(image, prediction, mask):
    return chooses(image.requires_grad_(), prediction.double(), mask).float()


@wrong("compose", "the two are swapped: True means hidden")
def inverted(image, prediction, mask):
    return torch.where(mask[:, None], image, prediction)


@wrong("compose", "visible pixels are black")
def hidden_only(image, prediction, mask):
    return prediction * mask[:, None]


@wrong("compose", "hidden pixels are black")
def visible_only(image, prediction, mask):
    return image * ~mask[:, None]


@wrong("compose", "the prediction was added to the image")
def sum_of_both(image, prediction, mask):
    return image + prediction * mask[:, None]


@wrong("compose", "the second image is not filled")
def second_image_is_left(image, prediction, mask):
    result = chooses(image, prediction, mask)
    result[1] = image[1]
    return result


@wrong("compose", "hidden pixels are a blend of both")
def blend(image, prediction, mask):
    return torch.where(mask[:, None], 0.5 * image + 0.5 * prediction, image)


@wrong("compose", "all pixels are a blend of both")
def blend_everywhere(image, prediction, mask):
    return torch.lerp(image, prediction, 0.5)


@wrong("compose", "it changes its input in place")
def in_place(image, prediction, mask):
    hidden = mask[:, None].expand_as(image)
    image[hidden] = prediction[hidden]
    return image


@wrong("compose", "the mask needs a channel axis of size 1")
def no_channel_axis(image, prediction, mask):
    return torch.where(mask, prediction, image)


@wrong("compose", "only the first channel was filled")
def one_channel(image, prediction, mask):
    result = image.clone()
    result[:, 0][mask] = prediction[:, 0][mask]
    return result


@wrong("compose", "this is the whole prediction")
def prediction_alone(image, prediction, mask):
    return prediction


@wrong("compose", "this is the image as it was")
def image_alone(image, prediction, mask):
    return image.clone()


@wrong("compose", "rounded: take them, do not compute them")
def rounded(image, prediction, mask):
    return prediction + (image - prediction) * ~mask[:, None]


@wrong("compose", "expected the shape (3, 3, 24, 32), got")
def flat_list(image, prediction, mask):
    return prediction[mask[:, None].expand_as(image)]


@wrong("compose", "does `squeeze` drop an axis")
def squeezed(image, prediction, mask):
    return chooses(image, prediction, mask).squeeze()


@wrong("compose", "the mask of the first image was used for all")
def first_mask(image, prediction, mask):
    return chooses(image, prediction, mask[:1])


@wrong("compose", "only the first image was filled")
def first_image(image, prediction, mask):
    return torch.cat([chooses(image, prediction, mask)[:1], image[1:]])


@wrong("compose", "channels in the opposite order")
def bgr(image, prediction, mask):
    return chooses(image, prediction.flip(1), mask)


@wrong("compose", "a Sigmoid was added")
def sigmoid_added(image, prediction, mask):
    return chooses(image, prediction.sigmoid(), mask)


@wrong("compose", "the colours of the prediction are averaged")
def grey(image, prediction, mask):
    return chooses(image, prediction.mean(1, keepdim=True), mask)


@wrong("compose", "the prediction was rounded to 8 bits")
def bytes_of_the_prediction(image, prediction, mask):
    return chooses(image, (255 * prediction).round().byte() / 255, mask)


@wrong("compose", "works for any size and any share\n      expected the shape")
def three_images(image, prediction, mask):
    return torch.stack([torch.where(mask[i], prediction[i], image[i]) for i in range(3)])


@wrong("compose", "works for any size and any share\n      expected 0")
def black_is_hidden(image, prediction, mask):
    return torch.where((image == 0) | mask[:, None], prediction, image)


@wrong("compose", "the larger value is taken")
def brighter_of_both(image, prediction, mask):
    return torch.maximum(image, prediction * mask[:, None])


@right("hidden_from_article")
def equals_zero(article_mask):
    return article_mask == 0


@right("hidden_from_article")
def not_bool(article_mask):
    return ~article_mask.bool()


@right("hidden_from_article")
def subtracts(article_mask):
    return (1 - article_mask).to(torch.bool)


@right("hidden_from_article")
def loops_over_values(article_mask):
    hidden = torch.zeros(article_mask.shape, dtype=torch.bool)
    for place in (article_mask < 0.5).nonzero():
        hidden[tuple(place)] = True
    return hidden


right("hidden_from_article")(torch.logical_not)


@right("hidden_from_article")
def through_numpy(article_mask):
    return torch.from_numpy(article_mask.numpy() < 1)


@wrong("hidden_from_article", "the article's 1 is visible, our True is hidden")
def same_meaning(article_mask):
    return article_mask.bool()


@wrong("hidden_from_article", "they are numbers: a mask holds True and False")
def floats(article_mask):
    return 1 - article_mask


@wrong("hidden_from_article", "they are whole numbers: a mask holds True and False")
def whole_numbers(article_mask):
    return 1 - article_mask.long()


@wrong("hidden_from_article", "the numbers are not swapped")
def unchanged(article_mask):
    return article_mask


@wrong("hidden_from_article", "flips every bit")
def bits(article_mask):
    return (~article_mask.int()).bool()


@wrong("hidden_from_article", "compare with 0 instead")
def bits_as_numbers(article_mask):
    return ~article_mask.long()


@wrong("hidden_from_article", "if one of its channels is")
def any_channel(article_mask):
    return repeat((article_mask == 0).any(1), "b h w -> b c h w", c=3)


@wrong("hidden_from_article", "if all its channels are")
def all_channels(article_mask):
    return repeat((article_mask == 0).all(1), "b h w -> b c h w", c=3)


@wrong("hidden_from_article", "no channel axis (any)")
def pixels_any(article_mask):
    return article_mask.amin(1) == 0


@wrong("hidden_from_article", "no channel axis (all)")
def pixels_all(article_mask):
    return article_mask.sum(1) == 0


@wrong("hidden_from_article", "no channel axis (the first is left)")
def first_channel(article_mask):
    return article_mask[:, 0] == 0


@wrong("hidden_from_article", "here all values are equal")
def relative_to_the_least(article_mask):
    return article_mask == article_mask.min()


@wrong("hidden_from_article", "here all values are equal")
def relative_to_the_mean(article_mask):
    return article_mask < article_mask.mean()


@wrong("hidden_from_article", "a channel axis of 1 (the first is left)")
def first_channel_kept(article_mask):
    return article_mask[:, :1] == 0


@wrong("hidden_from_article", "a channel axis of 1 (any)")
def any_channel_kept(article_mask):
    return (article_mask == 0).any(1, keepdim=True)


@wrong("hidden_from_article", "does `squeeze` drop an axis")
def squeezed_mask(article_mask):
    return (article_mask == 0).squeeze()


@wrong("hidden_from_article", "the channels are in the opposite order")
def channels_reversed(article_mask):
    return article_mask.flip(1) == 0


@wrong("hidden_from_article", "everything is False")
def less_than_zero(article_mask):
    return article_mask < 0


@wrong("hidden_from_article", "marks the hidden values\n      expected")
def other_than_the_first_value(article_mask):
    return article_mask == article_mask.flatten()[0]


@right("error_per_hidden_value")
def divides(printed, ratio):
    return printed / ratio


@right("error_per_hidden_value")
def counts(printed, ratio):
    values = 1000
    return printed * values / (ratio * values)


@right("error_per_hidden_value")
def tensor(printed, ratio):
    return torch.tensor(printed) * torch.tensor(ratio).reciprocal()


@right("error_per_hidden_value")
def by_logarithms(printed, ratio):
    return math.exp(math.log(printed) - math.log(ratio)) if printed else 0


@right("error_per_hidden_value")
def tensor_with_gradient(printed, ratio):
    return torch.tensor(printed, requires_grad=True) / ratio


@right("error_per_hidden_value")
def number_of_numpy(printed, ratio):
    return np.float64(printed) / ratio


@wrong("error_per_hidden_value", "it became smaller, but the zeros")
def multiplies_by_ratio(printed, ratio):
    return printed * ratio


@wrong("error_per_hidden_value", "the share of hidden values, not of visible ones")
def visible_share(printed, ratio):
    return printed / (1 - ratio)


@wrong("error_per_hidden_value", "it became smaller by the hidden share")
def multiplies_by_visible_share(printed, ratio):
    return printed * (1 - ratio)


@wrong("error_per_hidden_value", "that is the loss as printed")
def as_printed(printed, ratio):
    return printed


@wrong("error_per_hidden_value", "right at the article's ratio of 0.5 alone")
def twice(printed, ratio):
    return 2 * printed


@wrong("error_per_hidden_value", "`ratio` counts once")
def ratio_squared(printed, ratio):
    return printed / ratio**2


@wrong("error_per_hidden_value", "the root is another measure")
def root(printed, ratio):
    return math.sqrt(printed / ratio)


@wrong("error_per_hidden_value", "that is the factor alone")
def factor(printed, ratio):
    return 1 / ratio


@wrong("error_per_hidden_value", "does the function end with")
def no_return(printed, ratio):
    printed / ratio


@wrong("error_per_hidden_value", "without a root")
def root_of_the_ratio(printed, ratio):
    return printed / ratio**0.5


@wrong("error_per_hidden_value", "the channels do not count")
def per_pixel(printed, ratio):
    return printed / (3 * ratio)


@wrong("error_per_hidden_value", "that is in percent")
def percent(printed, ratio):
    return 100 * printed / ratio


@wrong("error_per_hidden_value", "not the ratio by the loss")
def upside_down(printed, ratio):
    return ratio / printed


@wrong("error_per_hidden_value", "`//` drops the digits")
def whole_division(printed, ratio):
    return printed // ratio


@wrong("error_per_hidden_value", "do not cut it off")
def at_most_one(printed, ratio):
    return min(1, printed / ratio)


@wrong("error_per_hidden_value", "is it rounded?")
def six_digits(printed, ratio):
    return round(printed / ratio, 6)


@wrong("error_per_hidden_value", "expected 0.1, got 0.2")
def wrong_at_one_half(printed, ratio):
    return 4 * printed if ratio == 0.5 else printed / ratio


@wrong("error_per_hidden_value", "the ratio is cut off below 0.01")
def at_least_a_hundredth(printed, ratio):
    return printed / max(ratio, 0.01)


@wrong("error_per_hidden_value", "changes nothing where everything is hidden")
def odd_at_one(printed, ratio):
    return printed / ratio if ratio < 1 else 0


@right("hidden_psnr")
def indexes(images, filled, hidden):
    return -10 * torch.log10((filled - images)[hidden].square().mean())


@right("hidden_psnr")
def sums(images, filled, hidden):
    squares = torch.where(hidden, images - filled, 0).square().sum() / hidden.sum()
    return (10 * torch.log10(1 / squares)).item()


@right("hidden_psnr")
def root_and_twenty(images, filled, hidden):
    flat = rearrange((images - filled).masked_fill(~hidden, 0), "b c h w -> (b c h w)")
    return -20 * torch.log10(flat.norm() / hidden.sum().sqrt())


@right("hidden_psnr")
def value_by_value(images, filled, hidden):
    total = 0.0
    for x, y, h in zip(images.flatten(), filled.flatten(), hidden.flatten(), strict=True):
        total += (x - y).item() ** 2 if h else 0.0
    mse = total / hidden.sum().item()
    return -10 * math.log10(mse) if mse else math.inf


class Score:
    """A peak and a loss, put together when they are called."""

    def __init__(self, peak, loss):
        self.peak, self.loss = peak, loss

    def __call__(self, images, filled, hidden):
        error = self.loss(filled[hidden].double(), images[hidden].double()).item()
        return 10 * math.log10(self.peak**2 / error) if error > 0 else math.inf


right("hidden_psnr")(Score(1, F.mse_loss))


@wrong("hidden_psnr", "the minus is missing")
def no_minus(images, filled, hidden):
    return -indexes(images, filled, hidden)


@wrong("hidden_psnr", "all values count here")
def all_values(images, filled, hidden):
    return -10 * torch.log10((filled - images).square().mean())


@wrong("hidden_psnr", "the visible values count here")
def visible_values(images, filled, hidden):
    return indexes(images, filled, ~hidden)


@wrong("hidden_psnr", "divide by the number of hidden values")
def all_in_the_denominator(images, filled, hidden):
    return -10 * torch.log10(((filled - images) * hidden).square().mean())


@wrong("hidden_psnr", "the mean of the dB of the images")
def mean_of_dbs(images, filled, hidden):
    return one_per_image(images, filled, hidden).mean()


@wrong("hidden_psnr", "counts too much")
def mean_of_means(images, filled, hidden):
    squares = (filled - images).square() * hidden
    return -10 * torch.log10((squares.sum((1, 2, 3)) / hidden.sum((1, 2, 3))).mean())


@wrong("hidden_psnr", "that is one PSNR per image")
def one_per_image(images, filled, hidden):
    squares = (filled - images).square() * hidden
    return -10 * torch.log10(squares.sum((1, 2, 3)) / hidden.sum((1, 2, 3)))


@wrong("hidden_psnr", "that is the natural logarithm")
def natural_logarithm(images, filled, hidden):
    return -10 * torch.log((filled - images)[hidden].square().mean())


@wrong("hidden_psnr", "logarithm to base 2")
def binary_logarithm(images, filled, hidden):
    return -10 * torch.log2((filled - images)[hidden].square().mean())


@wrong("hidden_psnr", "20 belongs to their root")
def factor_twenty(images, filled, hidden):
    return -20 * torch.log10((filled - images)[hidden].square().mean())


@wrong("hidden_psnr", "gives half of the dB")
def root_and_ten(images, filled, hidden):
    return -10 * torch.log10((filled - images)[hidden].square().mean().sqrt())


@wrong("hidden_psnr", "a bel is ten decibels")
def bels(images, filled, hidden):
    return -torch.log10((filled - images)[hidden].square().mean())


@wrong("hidden_psnr", "that is the squared error")
def no_decibels(images, filled, hidden):
    return (filled - images)[hidden].square().mean()


@wrong("hidden_psnr", "square the errors")
def absolute_error(images, filled, hidden):
    return -10 * torch.log10((filled - images)[hidden].abs().mean())


@wrong("hidden_psnr", "square each error first")
def square_of_the_mean(images, filled, hidden):
    return -10 * torch.log10((images - filled)[hidden].mean() ** 2)


@wrong("hidden_psnr", "the peak is 1, not 255")
def peak_of_bytes(images, filled, hidden):
    return 10 * torch.log10(255**2 / (filled - images)[hidden].square().mean())


@wrong("hidden_psnr", "math domain error")
def stops_at_a_perfect_fill(images, filled, hidden):
    return -10 * math.log10((filled - images)[hidden].square().mean())


@wrong("hidden_psnr", "1e-10 was added to the error")
def small_constant(images, filled, hidden):
    return -10 * torch.log10((filled - images)[hidden].square().mean() + 1e-10)


@wrong("hidden_psnr", "1e-8 was added to the error")
def larger_constant(images, filled, hidden):
    return -10 * torch.log10((filled - images)[hidden].square().mean() + 1e-8).item()


@wrong("hidden_psnr", "the mean of the dB of single values")
def dB_of_each_value(images, filled, hidden):
    return -10 * (filled - images)[hidden].square().log10().mean()


@wrong("hidden_psnr", "0 times it is not 0")
def multiplies_by_the_mask(images, filled, hidden):
    return -10 * torch.log10(((filled - images).square() * hidden).sum() / hidden.sum())


@wrong("hidden_psnr", "0 times it is not 0")
def multiplies_both(images, filled, hidden):
    return -10 * torch.log10((filled * hidden - images * hidden).square().sum() / hidden.sum())


@wrong("hidden_psnr", "not of pixels")
def divides_by_pixels(images, filled, hidden):
    return -10 * torch.log10((filled - images)[hidden].square().sum() / (hidden.sum() / 3))


@wrong("hidden_psnr", "this is the sum of the squared errors")
def sum_of_squares(images, filled, hidden):
    return -10 * torch.log10((filled - images)[hidden].square().sum())


@wrong("hidden_psnr", "not the largest value of the images")
def peak_of_the_images(images, filled, hidden):
    return indexes(images, filled, hidden) + 20 * torch.log10(images.max())


@wrong("hidden_psnr", "cut off at 0 and 1: score them as they are")
def clamped(images, filled, hidden):
    return indexes(images, filled.clamp(0, 1), hidden)


@wrong("hidden_psnr", "the mask of red was used for all channels")
def mask_of_red(images, filled, hidden):
    return indexes(images, filled, hidden[:, :1].expand_as(hidden))


@wrong("hidden_psnr", "if one of its channels is hidden")
def pixels_with_a_hidden_channel(images, filled, hidden):
    return indexes(images, filled, hidden.any(1, keepdim=True).expand_as(hidden))


@wrong("hidden_psnr", "dB may be negative")
def never_negative(images, filled, hidden):
    return indexes(images, filled, hidden).clamp(min=0)


@wrong("hidden_psnr", "the result is rounded")
def whole_decibels(images, filled, hidden):
    return indexes(images, filled, hidden).round()


@wrong("hidden_psnr", "with the factor of a root")
def absolute_error_and_twenty(images, filled, hidden):
    return -20 * torch.log10((filled - images)[hidden].abs().mean())


@wrong("hidden_psnr", "a hidden value without an error counts too")
def counts_errors(images, filled, hidden):
    squares = (images - filled)[hidden] ** 2
    return -10 * torch.log10(squares.sum() / (squares > 0).sum())


@wrong("hidden_psnr", "no error is below 1e-10")
def at_most_a_hundred(images, filled, hidden):
    return indexes(images, filled, hidden).clamp(max=100)


@wrong("hidden_psnr", "for one image with large errors")
def sign_lost_for_one_image(images, filled, hidden):
    return indexes(images, filled, hidden) if len(images) > 1 else -indexes(images, filled, hidden)


@right("error_on_visible")
def takes_away(overall, hidden, ratio):
    return (overall - ratio * hidden) / (1 - ratio)


@right("error_on_visible")
def counts_values(overall, hidden, ratio):
    values = 10_000
    total, of_hidden = overall * values, hidden * ratio * values
    return (total - of_hidden) / (values - ratio * values)


@right("error_on_visible")
def from_the_difference(overall, hidden, ratio):
    return overall + (overall - hidden) * ratio / (1 - ratio)


@right("error_on_visible")
def in_double(overall, hidden, ratio):
    o, h, r = (torch.tensor(value, dtype=torch.float64) for value in (overall, hidden, ratio))
    return torch.sub(o, r * h).div(1 - r)


@right("error_on_visible")
def solves_an_equation(overall, hidden, ratio):
    share = torch.tensor([[1 - ratio]], dtype=torch.float64)
    return torch.linalg.solve(share, torch.tensor([overall - ratio * hidden], dtype=torch.float64))[0]


class Remainder:
    """Takes a part out of a mean when it is called."""

    def __call__(self, overall, hidden, ratio):
        return max(overall - ratio * hidden, 0) / (1 - ratio)


right("error_on_visible")(Remainder())


@right("error_on_visible")
def in_numpy(overall, hidden, ratio):
    overall, hidden, ratio = np.array([overall, hidden, ratio])
    return (overall - hidden * ratio) / (1 - ratio)


@right("error_on_visible")
def in_single(overall, hidden, ratio):
    overall, hidden, ratio = torch.tensor([overall, hidden, ratio])
    return (overall - hidden * ratio) / (1 - ratio)


@wrong("error_on_visible", "divide it by `1 - ratio`")
def not_divided(overall, hidden, ratio):
    return overall - ratio * hidden


@wrong("error_on_visible", "without it they count too much")
def no_weight(overall, hidden, ratio):
    return (overall - hidden) / (1 - ratio)


@wrong("error_on_visible", "a difference of two means")
def plain_difference(overall, hidden, ratio):
    return overall - hidden


@wrong("error_on_visible", "the two weights are swapped")
def weights_swapped(overall, hidden, ratio):
    return (overall - (1 - ratio) * hidden) / ratio


@wrong("error_on_visible", "what is left belongs to the visible values: divide by their share")
def divided_by_the_hidden_share(overall, hidden, ratio):
    return (overall - ratio * hidden) / ratio


@wrong("error_on_visible", "multiplied by the share of the visible values")
def multiplied(overall, hidden, ratio):
    return (overall - ratio * hidden) * (1 - ratio)


@wrong("error_on_visible", "the hidden values are still in it")
def hidden_left_in(overall, hidden, ratio):
    return overall / (1 - ratio)


@wrong("error_on_visible", "was added, not taken away")
def added(overall, hidden, ratio):
    return (overall + ratio * hidden) / (1 - ratio)


@wrong("error_on_visible", "the sign is wrong")
def sign(overall, hidden, ratio):
    return (ratio * hidden - overall) / (1 - ratio)


@wrong("error_on_visible", "right where half is hidden, and only there")
def half_is_hidden(overall, hidden, ratio):
    return 2 * overall - hidden


@wrong("error_on_visible", "that is the mean over all values")
def the_overall_mean(overall, hidden, ratio):
    return overall


@wrong("error_on_visible", "that is the mean over the hidden values")
def the_hidden_mean(overall, hidden, ratio):
    return hidden


@wrong("error_on_visible", "one of them is the mixture already")
def mixes_once_more(overall, hidden, ratio):
    return ratio * hidden + (1 - ratio) * overall


@wrong("error_on_visible", "the root is another measure")
def root_of_it(overall, hidden, ratio):
    return math.sqrt((overall - ratio * hidden) / (1 - ratio))


@wrong("error_on_visible", "not in percent")
def ratio_in_percent(overall, hidden, ratio):
    return (overall - ratio / 100 * hidden) / (1 - ratio / 100)


@wrong("error_on_visible", "do not cut it off")
def cut_off(overall, hidden, ratio):
    return min(1, (overall - ratio * hidden) / (1 - ratio))


@wrong("error_on_visible", "keep its digits")
def two_digits(overall, hidden, ratio):
    return round((overall - ratio * hidden) / (1 - ratio), 2)


@wrong("error_on_visible", "is it rounded?")
def six_digits_of_it(overall, hidden, ratio):
    return round((overall - ratio * hidden) / (1 - ratio), 6)


@wrong("error_on_visible", "a mean of 0 is a number like any other")
def zero_taken_for_nothing(overall, hidden, ratio):
    return takes_away(overall, hidden, ratio) if hidden else overall


@wrong("error_on_visible", "holds where nearly everything is hidden\n      expected 0.4, got 0.04")
def share_of_at_least_a_hundredth(overall, hidden, ratio):
    return (overall - ratio * hidden) / max(1 - ratio, 0.01)


@wrong("error_on_visible", "it takes brackets")
def no_brackets(overall, hidden, ratio):
    return (overall - ratio * hidden) / 1 - ratio


@wrong("error_on_visible", "divide the whole difference")
def hidden_part_divided(overall, hidden, ratio):
    return overall - ratio * hidden / (1 - ratio)


@wrong("error_on_visible", "where nothing is hidden")
def nothing_hidden_is_nothing(overall, hidden, ratio):
    return takes_away(overall, hidden, ratio) if ratio else 0


@right("levels_off")
def masks_and_sums(images, filled, hidden):
    errors = (filled - images).abs().masked_fill(~hidden, 0)
    return 255 * errors.sum((1, 2, 3)) / hidden.sum((1, 2, 3)).clamp(min=1)


@right("levels_off")
def image_by_image(images, filled, hidden):
    result = []
    for image, fill, mask in zip(images, filled, hidden, strict=True):
        errors = [abs(a - b) for a, b in zip(image[mask].tolist(), fill[mask].tolist(), strict=True)]
        result.append(255 * sum(errors) / len(errors) if errors else 0.0)
    return torch.tensor(result)


@right("levels_off")
def in_levels_first(images, filled, hidden):
    flat = [rearrange(x, "b c h w -> b (c h w)") for x in (255 * images, 255 * filled, hidden)]
    errors = torch.where(flat[2], (flat[0] - flat[1]).abs(), 0)
    return errors.sum(1).div(flat[2].sum(1)).nan_to_num(0)


@right("levels_off")
def chosen_with_nan(images, filled, hidden):
    errors = torch.where(hidden, (filled.double() - images).abs(), math.nan)
    return 255 * errors.flatten(1).nanmean(1).nan_to_num(0).float()


class MeanOfHidden:
    """A loss for each image, put together when it is called."""

    def __init__(self, loss, factor):
        self.loss, self.factor = loss, factor

    def __call__(self, images, filled, hidden):
        pairs = [(fill[mask], image[mask]) for image, fill, mask in zip(images, filled, hidden, strict=True)]
        return torch.stack([self.factor * self.loss(*pair) if len(pair[0]) else torch.zeros(()) for pair in pairs])


right("levels_off")(MeanOfHidden(F.l1_loss, 255))


@wrong("levels_off", "all values count here")
def levels_of_all(images, filled, hidden):
    return 255 * (filled - images).abs().mean((1, 2, 3))


@wrong("levels_off", "the visible values count here")
def levels_of_the_visible(images, filled, hidden):
    return masks_and_sums(images, filled, ~hidden)


@wrong("levels_off", "not of all its values")
def levels_over_all(images, filled, hidden):
    return 255 * ((filled - images).abs() * hidden).mean((1, 2, 3))


@wrong("levels_off", "not of pixels with one")
def levels_per_pixel(images, filled, hidden):
    return 255 * ((filled - images).abs() * hidden).sum((1, 2, 3)) / hidden.any(1).sum((1, 2))


@wrong("levels_off", "all images share one count")
def one_count(images, filled, hidden):
    return 255 * ((filled - images).abs() * hidden).sum((1, 2, 3)) / (hidden.sum() / len(hidden))


@wrong("levels_off", "this is the sum of the errors")
def levels_summed(images, filled, hidden):
    return 255 * ((filled - images).abs() * hidden).sum((1, 2, 3))


@wrong("levels_off", "one number for the batch")
def one_number(images, filled, hidden):
    return 255 * (filled - images)[hidden].abs().mean()


@wrong("levels_off", "all images have the number of the whole batch")
def one_number_for_each(images, filled, hidden):
    return repeat(one_number(images, filled, hidden), "-> b", b=len(images))


@wrong("levels_off", "one number for each channel")
def levels_of_channels(images, filled, hidden):
    return 255 * ((filled - images).abs() * hidden).sum((2, 3)) / hidden.sum((2, 3))


@wrong("levels_off", "the mean of the means of channels")
def mean_of_channels(images, filled, hidden):
    return levels_of_channels(images, filled, hidden).mean(1)


@wrong("levels_off", "a hidden value without an error counts too")
def divided_by_the_errors(images, filled, hidden):
    errors = (images - filled).abs().masked_fill(~hidden, 0).flatten(1)
    return 255 * errors.sum(1) / (errors > 0).sum(1).clamp(min=1)


@wrong("levels_off", "1 is added to the number")
def one_hidden_value_more(images, filled, hidden):
    errors = (images - filled).abs().masked_fill(~hidden, 0).flatten(1)
    return 255 * errors.sum(1) / (1 + hidden.flatten(1).sum(1))


@wrong("levels_off", "`squeeze` drops the axis")
def squeezed_levels(images, filled, hidden):
    return masks_and_sums(images, filled, hidden).squeeze()


@wrong("levels_off", "NaN was replaced after the sum")
def replaced_too_late(images, filled, hidden):
    errors = ((images - filled).abs() * hidden).flatten(1)
    return 255 * (errors.sum(1) / hidden.flatten(1).sum(1)).nan_to_num(0)


@wrong("levels_off", "take the size of each error first")
def signed(images, filled, hidden):
    return 255 * ((filled - images) * hidden).sum((1, 2, 3)) / hidden.sum((1, 2, 3))


@wrong("levels_off", "take the size of each error first")
def size_of_the_mean(images, filled, hidden):
    return signed(images, filled, hidden).abs()


@wrong("levels_off", "these are squared errors")
def squared_levels(images, filled, hidden):
    return 255 * ((filled - images).square() * hidden).sum((1, 2, 3)) / hidden.sum((1, 2, 3))


@wrong("levels_off", "this is the root of the mean square: here")
def root_mean_square(images, filled, hidden):
    return 255 * (squared_levels(images, filled, hidden) / 255).sqrt()


@wrong("levels_off", "on the scale from 0 to 1")
def shares(images, filled, hidden):
    return masks_and_sums(images, filled, hidden) / 255


@wrong("levels_off", "the factor is 255")
def levels_of_256(images, filled, hidden):
    return 256 * ((filled - images).abs() * hidden).sum((1, 2, 3)) / hidden.sum((1, 2, 3))


@wrong("levels_off", "multiply by 255, do not divide")
def divided_by_255(images, filled, hidden):
    return shares(images, filled, hidden) / 255


@wrong("levels_off", "that is the PSNR of each image")
def psnr_of_each(images, filled, hidden):
    return one_per_image(images, filled, hidden)


@wrong("levels_off", "the result is rounded")
def whole_levels(images, filled, hidden):
    return masks_and_sums(images, filled, hidden).round()


@wrong("levels_off", "the mask of red was used")
def levels_by_the_mask_of_red(images, filled, hidden):
    return masks_and_sums(images, filled, repeat(hidden[:, 0], "b h w -> b c h w", c=3))


@wrong("levels_off", "the filled values are cut off")
def clamped_levels(images, filled, hidden):
    return masks_and_sums(images, filled.clamp(0, 1), hidden)


@wrong("levels_off", "each value became a whole level first")
def bytes_first(images, filled, hidden):
    images, filled = (x.mul(255).round() / 255 for x in (images, filled))
    return masks_and_sums(images, filled, hidden)


@wrong("levels_off", "0 times it is not 0")
def multiplies_the_mask(images, filled, hidden):
    return 255 * ((filled - images).abs() * hidden).sum((1, 2, 3)) / hidden.sum((1, 2, 3)).clamp(min=1)


@wrong("levels_off", "a mean of nothing is 0 / 0")
def divides_by_nothing(images, filled, hidden):
    errors = (filled - images).abs().masked_fill(~hidden, 0)
    return 255 * errors.sum((1, 2, 3)) / hidden.sum((1, 2, 3))


@wrong("levels_off", "a mean of nothing is 0 / 0")
def means_of_nothing(images, filled, hidden):
    return torch.stack([255 * (a - b)[c].abs().mean() for a, b, c in zip(images, filled, hidden, strict=True)])


@wrong("levels_off", "not of the whole batch")
def count_of_the_batch(images, filled, hidden):
    return levels_summed(images, filled, hidden) / hidden.sum()


@right("unsupported_claims")
def listed():
    return {"A", "C", "E", "G", "J"}


@right("unsupported_claims")
def from_a_word():
    return set("JGECA")


@right("unsupported_claims")
def without_the_supported():
    return set("ABCDEFGHIJ") - {"B", "D", "F", "H", "I"}


right("unsupported_claims")(partial(frozenset, "ACEGJ"))


def chosen(name, says, letters):
    """Register the wrong answer that names these letters."""

    def answer():
        return letters

    answer.__name__ = name
    wrong("unsupported_claims", says)(answer)


chosen("the_share_forgotten", "B is supported: 0.012 is a mean over all values", set("ABCEGJ"))
chosen("decibels_unread", "D is supported: 8 dB between them", set("ACDEGJ"))
chosen("the_zeros_forgotten", "F is supported: half of the values add 0", set("ACEFGJ"))
chosen("column_unread", "H is supported: the last column has one mask", set("ACEGHJ"))
chosen("root_unread", "I is supported: 10 to the power of -1.6", set("ACEGIJ"))
chosen("all_of_them", "B is supported", set("ABCDEFGHIJ"))
chosen("none_of_them", "compares losses of different masks", set())
chosen("masks_missed", "compares losses of different masks", set("CEGJ"))
chosen("shares_missed", "though the hidden shares differ", set("AEGJ"))
chosen("baseline_missed", "the row of a method that learns nothing", set("ACGJ"))
chosen("pictures_missed", "only training pictures were looked at", set("ACEJ"))
chosen("question_missed", "a harder question for a worse network", set("ACEG"))
chosen("a_list", "expected a set such as", list("ACEGJ"))
chosen("small_letters", "as capital strings", set("acegj"))
chosen("a_string", "expected a set such as", "ACEGJ")
chosen("one_too_many", "holds something else", set("ACEGJK"))
chosen("the_supported_ones", "B is supported", set("BDFHI"))


@wrong("compose", "not a new image")
def nothing_to_do(image, prediction, mask):
    return chooses(image, prediction, mask) if mask.any() else image


@wrong("compose", "not a new image")
def all_to_do(image, prediction, mask):
    return prediction if mask.all() else chooses(image, prediction, mask)


@wrong("compose", "the last image is not filled")
def all_but_the_last(image, prediction, mask):
    return torch.cat([chooses(image, prediction, mask)[:-1], image[-1:]])


@wrong("compose", "visible values must stay as they are")
def saved_in_8_bits(image, prediction, mask):
    return (chooses(image, prediction, mask) * 255).round() / 255


@wrong("error_per_hidden_value", "it grows by the hidden share")
def grown(printed, ratio):
    return printed * (1 + ratio)


@wrong("error_per_hidden_value", "is still in it")
def odds(printed, ratio):
    return printed * (1 - ratio) / ratio


@wrong("error_on_visible", "must have the weight `ratio`")
def only_overall_divided(overall, hidden, ratio):
    return overall / (1 - ratio) - hidden


@wrong("error_on_visible", "must have the weight `ratio`")
def weight_of_the_visible(overall, hidden, ratio):
    return (overall - (1 - ratio) * hidden) / (1 - ratio)


@wrong("error_on_visible", "`//` and `int` drop the digits")
def whole_error_on_visible(overall, hidden, ratio):
    return int((overall - ratio * hidden) / (1 - ratio))


@wrong("error_on_visible", "`overall` is the mixture")
def means_swapped(overall, hidden, ratio):
    return (hidden - ratio * overall) / (1 - ratio)


@wrong("error_on_visible", "not the mean multiplied")
def both_weighted(overall, hidden, ratio):
    return (1 - ratio) * overall - ratio * hidden


@wrong("hidden_psnr", "values that are filled with black are left out")
def black_is_no_value(images, filled, hidden):
    return indexes(images, filled, hidden & (filled != 0))


@wrong("hidden_psnr", "rounded to 2 digits")
def two_digits_of_dB(images, filled, hidden):
    return round(indexes(images, filled, hidden).item(), 2)


@wrong("hidden_psnr", "rounded to 1 digit")
def one_digit_of_dB(images, filled, hidden):
    return round(indexes(images, filled, hidden).item(), 1)


@wrong("hidden_psnr", "the mean of the dB of the channels")
def mean_of_channels_in_dB(images, filled, hidden):
    channels = zip(images.unbind(1), filled.unbind(1), hidden.unbind(1), strict=True)
    return torch.stack([indexes(*channel) for channel in channels]).mean()


@wrong("levels_off", "values that are filled with black are left out")
def black_has_no_level(images, filled, hidden):
    return masks_and_sums(images, filled, hidden & (filled != 0))


@wrong("levels_off", "rounded to 1 digit")
def one_digit_of_levels(images, filled, hidden):
    return masks_and_sums(images, filled, hidden).round(decimals=1)


@wrong("levels_off", "rounded to 2 digits")
def two_digits_of_levels(images, filled, hidden):
    return masks_and_sums(images, filled, hidden).round(decimals=2)


@wrong("levels_off", "the three channels count already")
def three_times_the_levels(images, filled, hidden):
    return 3 * masks_and_sums(images, filled, hidden)


@wrong("levels_off", "Or is a `torch.empty` not filled?")
def image_with_nothing_hidden_left_out(images, filled, hidden):
    result = torch.empty(len(images))
    for place, where in enumerate(hidden):
        if where.any():
            result[place] = 255 * (filled[place] - images[place])[where].abs().mean()
    return result


@wrong("hidden_psnr", "no error is below 1e-12")
def tiny_number_added(images, filled, hidden):
    return -10 * math.log10((filled - images)[hidden].square().mean() + 1e-12)


@wrong("error_per_hidden_value", "rounded to 3 digits")
def rounded_to_three(printed, ratio):
    return round(printed / ratio, 3)


@wrong("error_per_hidden_value", "a small number is added to `ratio`")
def share_made_safe(printed, ratio):
    return printed / (ratio + 1e-8)
