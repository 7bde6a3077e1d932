"""Answers to the exercises on the article's program (lesson 00)."""

import math

import torch
from einops import rearrange, repeat

from answers import right, wrong


@right("compose")
def chooses(image, prediction, mask):
    return torch.where(mask[:, None], prediction, image)


@right("compose")
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


@wrong("compose", "at [1, 0, ")
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


@wrong("hidden_from_article", "the channel axis is gone (any)")
def pixels_any(article_mask):
    return article_mask.amin(1) == 0


@wrong("hidden_from_article", "the channel axis is gone (all)")
def pixels_all(article_mask):
    return article_mask.sum(1) == 0


@wrong("hidden_from_article", "only the first channel is left")
def first_channel(article_mask):
    return article_mask[:, 0] == 0


@wrong("hidden_from_article", "here all values are equal")
def relative_to_the_least(article_mask):
    return article_mask == article_mask.min()


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


@right("hidden_psnr")
def indexes(images, filled, hidden):
    return -10 * torch.log10((filled - images)[hidden].square().mean())


@right("hidden_psnr")
def sums(images, filled, hidden):
    squares = ((images - filled) ** 2 * hidden).sum() / hidden.sum()
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


@wrong("hidden_psnr", "expected inf, got 100")
def small_constant(images, filled, hidden):
    return -10 * torch.log10((filled - images)[hidden].square().mean() + 1e-10)


@right("real_bugs")
def listed():
    return {"C", "D", "G", "I", "J", "K", "L"}


@right("real_bugs")
def from_a_word():
    return set("LKJIGDC")


@right("real_bugs")
def without_the_harmless():
    return set("ABCDEFGHIJKL") - {"A", "B", "E", "F", "H"}


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
