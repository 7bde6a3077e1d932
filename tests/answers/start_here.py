"""Answers to the exercises on the article's program (lesson 00)."""

import math
from functools import partial

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


@wrong("hidden_psnr", "a constant was added to the error")
def small_constant(images, filled, hidden):
    return -10 * torch.log10((filled - images)[hidden].square().mean() + 1e-10)


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


@wrong("hidden_psnr", "gives infinity for a perfect fill\n      expected inf, got 100")
def at_most_a_hundred(images, filled, hidden):
    return indexes(images, filled, hidden).clamp(max=100)


@wrong("hidden_psnr", "for one image with large errors")
def sign_lost_for_one_image(images, filled, hidden):
    return indexes(images, filled, hidden) if len(images) > 1 else -indexes(images, filled, hidden)


@right("real_bugs")
def listed():
    return {"C", "D", "G", "I", "J", "K", "L"}


@right("real_bugs")
def from_a_word():
    return set("LKJIGDC")


@right("real_bugs")
def without_the_harmless():
    return set("ABCDEFGHIJKL") - {"A", "B", "E", "F", "H"}


right("real_bugs")(partial(frozenset, "CDGIJKL"))


def chosen(name, says, letters):
    """Register the wrong answer that accuses these letters."""

    def answer():
        return letters

    answer.__name__ = name
    wrong("real_bugs", says)(answer)


chosen("the_paper_is_right", "A is harmless: the program keeps to its own meaning", set("ACDGIJKL"))
chosen("zero_is_black", "B is harmless: few values", set("BCDGIJKL"))
chosen("sigmoid", "E is harmless: the targets lie between 0 and 1", set("CDEGIJKL"))
chosen("learning_rate", "F is harmless: 0.001", set("CDFGIJKL"))
chosen("labels", "H is harmless: the photograph is its own answer", set("CDGHIJKL"))
chosen("all_of_them", "A is harmless", set("ABCDEFGHIJKL"))
chosen("none_of_them", "one that stops the program", set())
chosen("picture_missed", "what the saved picture shows", set("DGIJKL"))
chosen("reach_missed", "what the network can see", set("CGIJKL"))
chosen("name_missed", "one that stops the program", set("CDIJKL"))
chosen("mask_missed", "how hard the question is in training", set("CDGJKL"))
chosen("average_missed", "which values an average is taken over", set("CDGIKL"))
chosen("test_mask_missed", "the difference between training and use", set("CDGIJL"))
chosen("claim_missed", "what the program is said to do", set("CDGIJK"))
chosen("a_list", "expected a set such as", list("CDGIJKL"))
chosen("small_letters", "as capital strings", set("cdgijkl"))
chosen("a_string", "expected a set such as", "CDGIJKL")
chosen("one_too_many", "holds something else", set("CDGIJKLM"))
chosen("the_harmless_ones", "A is harmless", set("ABEFH"))
