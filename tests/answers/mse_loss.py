"""Answers to the tasks of lesson 04 and of its exercises: the loss."""

import math
import statistics

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange, reduce, repeat

from answers import right, wrong
from simmim_lab import losses, masking


def enlarged(target, mask):
    return masking.to_pixels(mask, target.shape[2] // mask.shape[1])[:, None].expand(target.shape)


def hidden_errors(prediction, target, mask):
    """The errors, with 0 where visible."""
    return (prediction - target).masked_fill(~enlarged(target, mask), 0)


def masked_squares(prediction, target, mask):
    hidden = enlarged(target, mask)
    return (prediction - target).square().masked_fill(~hidden, 0), hidden


@right("masked_mse")
def package(prediction, target, mask):
    return losses.masked_mse(prediction, target, mask)


@right("masked_mse")
def loops(prediction, target, mask):
    patch, total, count = target.shape[2] // mask.shape[1], 0.0, 0
    for image, row, col in mask.nonzero().tolist():
        rows, cols = (slice(patch * start, patch * (start + 1)) for start in (row, col))
        for guess, truth in zip(prediction[image, :, rows, cols], target[image, :, rows, cols], strict=True):
            total += ((guess - truth) ** 2).sum()
            count += truth.numel()
    return torch.as_tensor(total / max(count, 1))


@right("masked_mse")
@torch.compile
def picked(prediction, target, mask):
    if not mask.any():
        return torch.tensor(0.0)
    hidden = enlarged(target, mask)
    return F.mse_loss(prediction[hidden], target[hidden])


@right("masked_mse")
def in_patches(prediction, target, mask):
    patch = target.shape[2] // mask.shape[1]
    errors = rearrange(prediction - target, "b c (r p) (s q) -> b r s (c p q)", p=patch, q=patch)
    return errors[mask].square().sum() / (mask.sum() * errors.shape[-1]).clamp(min=1)


@right("masked_mse")
def early_zero(prediction, target, mask):
    patch = target.shape[2] // mask.shape[1]
    hidden = mask.repeat_interleave(patch, 1).repeat_interleave(patch, 2).unsqueeze(1)
    if hidden.sum() == 0:
        return 0.0
    errors = torch.where(hidden, prediction - target, torch.zeros(()))
    return (errors**2).sum() / hidden.sum() / target.shape[1]


@wrong("masked_mse", "0 times infinity is nan, in the gradient, too")
def filled_after_the_square(prediction, target, mask):
    squares, hidden = masked_squares(prediction, target, mask)
    return squares.sum() / (hidden.sum() + 1e-5)


@wrong("masked_mse", "0 times infinity is nan, in the gradient, too")
def picked_after_the_square(prediction, target, mask):
    hidden = enlarged(target, mask)
    return (prediction - target).square()[hidden].sum() / (hidden.sum() + 1e-5)


@wrong("masked_mse", "square each of them")
def squared_sum(prediction, target, mask):
    hidden = enlarged(target, mask)
    return ((prediction - target).masked_fill(~hidden, 0)).sum() ** 2 / (hidden.sum() + 1e-5)


@wrong("masked_mse", "visible values of the target count")
def prediction_masked_alone(prediction, target, mask):
    hidden = enlarged(target, mask)
    return F.mse_loss(prediction.masked_fill(~hidden, 0), target, reduction="sum") / (hidden.sum() + 1e-5)


@wrong("masked_mse", "is 0 when nothing is hidden\n      it is nan, as 0 / 0 is")
def nan_when_empty(prediction, target, mask):
    squares, hidden = masked_squares(prediction, target, mask)
    return squares.sum() / hidden.sum()


@wrong("masked_mse", "1 is added to the number of hidden values")
def one_more_in_the_divisor(prediction, target, mask):
    squares, hidden = masked_squares(prediction, target, mask)
    return squares.sum() / (hidden.sum() + 1)


@wrong("masked_mse", "it divides by the number of visible values")
def divided_by_the_visible(prediction, target, mask):
    squares, hidden = masked_squares(prediction, target, mask)
    return squares.sum() / (~hidden).sum().clamp(min=1)


@wrong("masked_mse", "it becomes nan: set visible errors to 0")
def product(prediction, target, mask):
    hidden = enlarged(target, mask)
    return ((prediction - target) ** 2 * hidden).sum() / (hidden.sum() + 1e-5)


@wrong("masked_mse", "it divides by all values, so the visible ones count as errors of 0")
def all_values(prediction, target, mask):
    return masked_squares(prediction, target, mask)[0].mean()


@wrong("masked_mse", "it is divided twice")
def divided_twice(prediction, target, mask):
    squares, hidden = masked_squares(prediction, target, mask)
    return squares.mean() / (hidden.sum() + 1e-5)


@wrong("masked_mse", "visible errors count: the mask is not used")
def no_mask(prediction, target, mask):
    return F.mse_loss(prediction, target)


@wrong("masked_mse", "each pixel has one value for each channel")
def forgot_channels(prediction, target, mask):
    squares, hidden = masked_squares(prediction, target, mask)
    return squares.sum() / (hidden[:, 0].sum() + 1e-5)


@wrong("masked_mse", "each is a square of pixels with several channels")
def counts_patches(prediction, target, mask):
    return masked_squares(prediction, target, mask)[0].sum() / (mask.sum() + 1e-5)


@wrong("masked_mse", "each patch is a square of pixels")
def counts_patches_and_channels(prediction, target, mask):
    return masked_squares(prediction, target, mask)[0].sum() / (mask.sum() * target.shape[1] + 1e-5)


@wrong("masked_mse", "it is the mean of the images' means")
def image_means(prediction, target, mask):
    squares, hidden = masked_squares(prediction, target, mask)
    return (squares.sum((1, 2, 3)) / (hidden.sum((1, 2, 3)) + 1e-5)).mean()


@wrong("masked_mse", "averages over the visible values: True = hidden")
def inverted(prediction, target, mask):
    return losses.masked_mse(prediction, target, ~mask)


@wrong("masked_mse", "it becomes infinite: a visible value counts")
def visible_mean(prediction, target, mask):
    hidden = enlarged(target, mask)
    return (prediction - target).square()[~hidden].mean() if mask.any() else 0


@wrong("masked_mse", "it divides by 3 channels")
def three_channels(prediction, target, mask):
    squares, hidden = masked_squares(prediction, target, mask)
    return squares.sum() / (hidden[:, 0].sum() * 3).clamp(min=1)


@wrong("masked_mse", "that is infinite or nan\n      expected")
def infinity_to_nothing(prediction, target, mask):
    return losses.masked_mse(prediction, target, mask) * prediction.isfinite().all()


@wrong("masked_mse", "it is the sum: divide")
def total(prediction, target, mask):
    return masked_squares(prediction, target, mask)[0].sum()


@wrong("masked_mse", "it is the root")
def root(prediction, target, mask):
    return losses.masked_mse(prediction, target, mask).sqrt()


@wrong("masked_mse", "that is L1")
def absolute(prediction, target, mask):
    return losses.masked_l1(prediction, target, mask)


@wrong("masked_mse", "positive and negative ones cancel")
def signed(prediction, target, mask):
    hidden = enlarged(target, mask)
    return (prediction - target).masked_fill(~hidden, 0).sum() / (hidden.sum() + 1e-5)


@wrong("masked_mse", "expected the shape ()")
def not_reduced(prediction, target, mask):
    return masked_squares(prediction, target, mask)[0]


@wrong("masked_mse", "expected a tensor, got")
def a_float(prediction, target, mask):
    return losses.masked_mse(prediction, target, mask).item()


@wrong("masked_mse", "it stopped in line")
def not_enlarged(prediction, target, mask):
    return ((prediction - target) ** 2 * mask[:, None]).sum() / mask.sum()


@wrong("masked_mse", "changes its input in place")
def in_place(prediction, target, mask):
    prediction -= target
    return losses.masked_mse(prediction, torch.zeros_like(target), mask)


class WithEinops:
    """A function that is an object; its class makes one when it is called without arguments."""

    __name__ = "with_einops"

    def __call__(self, prediction, target, mask):
        patch = target.shape[-1] // mask.shape[-1]
        hidden = repeat(mask, "b r s -> b c (r p) (s q)", c=target.shape[1], p=patch, q=patch)
        errors = torch.where(hidden, prediction.double() - target.double(), 0)
        return reduce(errors**2, "b c h w -> ", "sum").float() / hidden.sum().clamp(min=1)


right("masked_mse")(WithEinops())


@wrong("masked_mse", "the result has no gradient")
def detached(prediction, target, mask):
    return losses.masked_mse(prediction.detach(), target, mask)


@wrong("masked_mse", "the result has no gradient")
def through_numpy(prediction, target, mask):
    return torch.from_numpy(losses.masked_mse(prediction, target, mask).detach().numpy().copy())


@wrong("masked_mse", "the result has no gradient")
def through_item(prediction, target, mask):
    return torch.tensor(losses.masked_mse(prediction, target, mask).item())


@wrong("masked_mse", "it is half the mean squared error")
def halved(prediction, target, mask):
    return losses.masked_mse(prediction, target, mask) / 2


@wrong("masked_mse", "goes through a sigmoid")
def squashed(prediction, target, mask):
    return losses.masked_mse(prediction.sigmoid(), target, mask)


@wrong("masked_mse", "cut off at 0 and 1")
def cut_off(prediction, target, mask):
    return losses.masked_mse(prediction.clamp(0, 1), target, mask)


@wrong("masked_mse", "since -inf * 0 is nan")
def only_plus_infinity(prediction, target, mask):
    hidden = enlarged(target, mask)
    finite = prediction.masked_fill(prediction == torch.inf, 0)
    return ((finite - target) ** 2 * hidden).sum() / (hidden.sum() + 1e-5)


@wrong("masked_mse", "since nan * 0 is nan")
def only_infinities(prediction, target, mask):
    hidden = enlarged(target, mask)
    finite = prediction.masked_fill(prediction.isinf(), 0)
    return ((finite - target) ** 2 * hidden).sum() / (hidden.sum() + 1e-5)


@wrong("masked_mse", "the mask is tiled")
def tiled(prediction, target, mask):
    patch = target.shape[2] // mask.shape[1]
    hidden = mask.repeat(1, patch, patch)[:, None].expand(target.shape)
    return (prediction - target)[hidden].square().sum() / (hidden.sum() + 1e-5)


@wrong("masked_mse", "the mask of the first image is used for all")
def first_mask(prediction, target, mask):
    return losses.masked_mse(prediction, target, mask[:1].expand_as(mask))


@wrong("masked_mse", "the second axis holds the channels")
def images_for_channels(prediction, target, mask):
    squares, hidden = masked_squares(prediction, target, mask)
    return squares.sum() / (hidden[:, 0].sum() * len(target) + 1e-5)


@wrong("masked_mse", "it divides by N - 1")
def unbiased(prediction, target, mask):
    squares, hidden = masked_squares(prediction, target, mask)
    return squares.sum() / (hidden.sum() - 1).clamp(min=1)


@wrong("masked_mse", "averaged over the channels before they are squared")
def channel_means(prediction, target, mask):
    hidden = enlarged(target, mask)[:, 0]
    return (prediction - target).mean(1).masked_fill(~hidden, 0).square().sum() / (hidden.sum() + 1e-5)


@wrong("masked_mse", "that is smooth L1")
def smooth(prediction, target, mask):
    return losses.masked_smooth_l1(prediction, target, mask)


@wrong("masked_mse", "visible errors are added up, too")
def all_by_the_hidden(prediction, target, mask):
    return (prediction - target).square().sum() / (enlarged(target, mask).sum() + 1e-5)


@wrong("masked_mse", "the errors are doubled, not squared")
def doubled(prediction, target, mask):
    hidden = enlarged(target, mask)
    return 2 * (prediction - target).masked_fill(~hidden, 0).sum() / (hidden.sum() + 1e-5)


@wrong("masked_mse", "averages over the hidden values of the whole batch\n      expected")
def large_epsilon(prediction, target, mask):
    squares, hidden = masked_squares(prediction, target, mask)
    return squares.sum() / (hidden.sum() + 0.01)


@wrong("masked_mse", "averages over the hidden values of the whole batch\n      expected")
def many_channels_only(prediction, target, mask):
    return losses.masked_mse(prediction, target, mask) * (2 if target.shape[1] == 1 else 1)


@wrong("masked_mse", "only visible values must not count")
def nan_to_0_at_the_end(prediction, target, mask):
    squares, hidden = masked_squares(prediction.masked_fill(~enlarged(target, mask), 0), target, mask)
    return torch.nan_to_num(squares.sum() / hidden.sum())


@wrong("masked_mse", "Does `nan_to_num` take part?")
def nan_and_infinity_to_0(prediction, target, mask):
    hidden = enlarged(target, mask).float()
    errors = torch.nan_to_num((prediction - target) * hidden, nan=0.0, posinf=0.0, neginf=0.0)
    return errors.square().sum() / (hidden.sum() + 1e-5)


@right("best_constant")
def mean_or_median(values, loss):
    return values.mean() if loss == "mse" else values.median()


@right("best_constant")
def middle_of_two(values, loss):
    if loss == "mse":
        return sum(values.tolist()) / len(values)
    ordered = sorted(values.tolist())
    return (ordered[len(ordered) // 2] + ordered[(len(ordered) - 1) // 2]) / 2


@right("best_constant")
def upper_of_two(values, loss):
    return {"mse": values.mean(), "l1": values.sort().values[len(values) // 2]}[loss].item()


@right("best_constant")
def bisection(values, loss):
    low, high = values.min().item(), values.max().item()
    for _ in range(60):
        middle = (low + high) / 2
        pulls = values.double() - middle
        if (pulls if loss == "mse" else pulls.sign()).sum() > 0:
            low = middle
        else:
            high = middle
    return low


@right("best_constant")
def best_of_the_values(values, loss):
    if loss == "l1":
        return min(values, key=lambda guess: (guess - values).abs().sum())
    return torch.quantile(values, 0.5) * 0 + values.mean()


@wrong("best_constant", "it is the mean, the best answer for MSE")
def mean_for_both(values, loss):
    return values.mean()


@wrong("best_constant", "it is the median, the best answer for L1")
def median_for_both(values, loss):
    return values.median()


@wrong("best_constant", "it is the median, the best answer for L1")
def swapped(values, loss):
    return values.mean() if loss == "l1" else values.median()


@wrong("best_constant", "halfway between the smallest and the largest")
def midrange(values, loss):
    return (values.min() + values.max()) / 2


@wrong("best_constant", "halfway between the smallest and the largest")
def midrange_for_l1(values, loss):
    return values.mean() if loss == "mse" else (values.min() + values.max()) / 2


@wrong("best_constant", "sort them first")
def not_sorted(values, loss):
    return values.mean() if loss == "mse" else values[len(values) // 2]


@wrong("best_constant", "it is the smallest value")
def smallest_value(values, loss):
    return values.mean() if loss == "mse" else values.min()


@wrong("best_constant", "it is the value that comes most often, not the one")
def mode(values, loss):
    return values.mean() if loss == "mse" else values.mode().values


@wrong("best_constant", "it is the value that comes most often, or else the first")
def mode_or_first(values, loss):
    return values.mean() if loss == "mse" else statistics.mode(values.tolist())


@wrong("best_constant", "it is the largest value")
def largest_value(values, loss):
    return values.max()


@wrong("best_constant", "only the given values are tried")
def only_the_values(values, loss):
    errors = values[:, None] - values
    costs = errors.square() if loss == "mse" else errors.abs()
    return values[costs.mean(1).argmin()]


@wrong("best_constant", "it is near the best answer, but not near enough")
def few_steps(values, loss):
    answer = values.median()
    for _ in range(15 if loss == "mse" else 0):
        answer = answer + 0.2 * (values - answer).mean()
    return answer


@wrong("best_constant", "one place below the middle")
def below_the_middle(values, loss):
    return values.mean() if loss == "mse" else values.sort().values[len(values) // 2 - 1]


@wrong("best_constant", "one place above the middle")
def above_the_middle(values, loss):
    return values.mean() if loss == "mse" else values.sort().values[len(values) // 2 + 1]


@wrong("best_constant", "return the answer that has it")
def smallest_loss(values, loss):
    return values.var(correction=0) if loss == "mse" else (values - values.median()).abs().mean()


@wrong("best_constant", "it lies from 0 to 1, but the values do not")
def from_0_to_1(values, loss):
    guesses = torch.linspace(0, 1, 101)
    errors = guesses[:, None] - values
    costs = errors.square() if loss == "mse" else errors.abs()
    return guesses[costs.mean(1).argmin()]


@wrong("best_constant", "it is the sum: divide")
def sum_for_mse(values, loss):
    return values.sum() if loss == "mse" else values.median()


@wrong("best_constant", "expected a number from")
def even_counts_by_the_mean(values, loss):
    return values.median() if loss == "l1" and len(values) % 2 else values.mean()


@wrong("best_constant", "does the function end with `return`?")
def prints(values, loss):
    mean_or_median(values, loss)


@right("best_constant")
def in_plain_python(values, loss):
    return {"mse": statistics.fmean, "l1": statistics.median_low}[loss](values.tolist())


@wrong("best_constant", "it is rounded to 0.01")
def nearest_of_a_grid(values, loss):
    return round(mean_or_median(values, loss).item(), 2)


@wrong("best_constant", "it is rounded to 1")
def whole_number(values, loss):
    return mean_or_median(values, loss).round()


@wrong("best_constant", "it divides by n - 1")
def one_too_few(values, loss):
    return values.sum() / max(len(values) - 1, 1) if loss == "mse" else values.median()


@wrong("best_constant", "they have lost their signs")
def absolute_values(values, loss):
    return mean_or_median(values.abs(), loss)


@wrong("best_constant", "the root of the mean square")
def root_mean_square(values, loss):
    return values.square().mean().sqrt() if loss == "mse" else values.median()


@wrong("best_constant", "the farthest value is left out")
def without_outlier(values, loss):
    if loss == "l1" or len(values) < 3:
        return mean_or_median(values, loss)
    return values[(values - values.median()).abs().argsort()[:-1]].mean()


@wrong("best_constant", "but the values do not")
def squeezed_to_0_and_1(values, loss):
    return mean_or_median(values, loss).clamp(0, 1)


@wrong("best_constant", "equal values count once")
def equal_values_once(values, loss):
    return mean_or_median(values.unique(), loss)


@wrong("best_constant", "this is the place of the answer")
def place_of_the_median(values, loss):
    return values.mean() if loss == "mse" else values.argsort()[len(values) // 2]


@wrong("best_constant", "for an even number\n      expected a number from")
def above_the_upper_one(values, loss):
    return (
        values.mean()
        if loss == "mse"
        else values.sort().values[min(len(values) // 2 + 1 - len(values) % 2, len(values) - 1)]
    )


@wrong("best_constant", "it is the last value")
def last_value(values, loss):
    return values[-1]


@right("loss_gradient")
def by_formula(prediction, target, mask):
    hidden = enlarged(target, mask)
    return (2 * (prediction - target) / (hidden.sum() + 1e-5)).masked_fill(~hidden, 0)


@wrong("loss_gradient", "all images have equal votes")
def gradient_of_image_means(prediction, target, mask):
    hidden = enlarged(target, mask)
    counts = hidden.sum((1, 2, 3), keepdim=True).clamp(min=1)
    return (2 * (prediction - target) / counts / len(target)).masked_fill(~hidden, 0)


@wrong("loss_gradient", "it is divided by the number of images, too")
def gradient_divided_by_images(prediction, target, mask):
    return by_formula(prediction, target, mask) / len(target)


@right("loss_gradient")
def by_product(prediction, target, mask):
    patch = target.shape[2] // mask.shape[1]
    hidden = repeat(mask, "b r s -> b 1 (r p) (s q)", p=patch, q=patch).float()
    return 2 * (prediction - target) * hidden / max(hidden.sum() * target.shape[1], 1)


@right("loss_gradient")
def by_autograd(prediction, target, mask):
    prediction = prediction.clone().requires_grad_()
    losses.masked_mse(prediction, target, mask).backward()
    return prediction.grad


@right("loss_gradient")
def by_loops(prediction, target, mask):
    patch, gradient = target.shape[2] // mask.shape[1], torch.zeros_like(target)
    count = mask.sum().item() * patch**2 * target.shape[1]
    for b, row, col in mask.nonzero().tolist():
        place = b, slice(None), slice(row * patch, (row + 1) * patch), slice(col * patch, (col + 1) * patch)
        gradient[place] = 2 / count * (prediction[place] - target[place])
    return gradient


@wrong("loss_gradient", "the factor 2 is missing")
def no_factor(prediction, target, mask):
    return by_formula(prediction, target, mask) / 2


@wrong("loss_gradient", "the sign is wrong: where")
def wrong_sign(prediction, target, mask):
    return by_formula(target, prediction, mask)


@wrong("loss_gradient", "the sign is wrong and the factor 2 is missing")
def wrong_sign_no_factor(prediction, target, mask):
    return by_formula(target, prediction, mask) / 2


@wrong("loss_gradient", "visible values are not 0, but the loss does not depend on them")
def no_mask_in_gradient(prediction, target, mask):
    return 2 * (prediction - target) / (enlarged(target, mask).sum() + 1e-5)


@wrong("loss_gradient", "no visible value is 0, as if there were no mask")
def of_nn_mse_loss(prediction, target, mask):
    return 2 * (prediction - target) / target.numel()


@wrong("loss_gradient", "it divides by all values")
def gradient_of_all_values(prediction, target, mask):
    return 2 * (prediction - target) * enlarged(target, mask) / target.numel()


@wrong("loss_gradient", "each pixel has one value for each channel")
def gradient_forgot_channels(prediction, target, mask):
    return by_formula(prediction, target, mask) * target.shape[1]


@wrong("loss_gradient", "it divides by 3 channels")
def gradient_three_channels(prediction, target, mask):
    return by_formula(prediction, target, mask) * target.shape[1] / 3


@wrong("loss_gradient", "each is a square of pixels with several channels")
def gradient_by_patches(prediction, target, mask):
    return 2 * (prediction - target) * enlarged(target, mask) / mask.sum().clamp(min=1)


@wrong("loss_gradient", "it is not divided")
def gradient_not_divided(prediction, target, mask):
    return 2 * (prediction - target) * enlarged(target, mask)


@wrong("loss_gradient", "of each image")
def gradient_by_image(prediction, target, mask):
    hidden = enlarged(target, mask)
    return 2 * (prediction - target) * hidden / (hidden.sum((1, 2, 3), keepdim=True) + 1e-5)


@wrong("loss_gradient", "that is the gradient of L1")
def gradient_of_l1(prediction, target, mask):
    hidden = enlarged(target, mask)
    return (prediction - target).sign() * hidden / (hidden.sum() + 1e-5)


@wrong("loss_gradient", "squared errors, not their derivative")
def gradient_of_squares(prediction, target, mask):
    hidden = enlarged(target, mask)
    return (prediction - target) ** 2 * hidden / (hidden.sum() + 1e-5)


@wrong("loss_gradient", "lost the sign")
def gradient_without_sign(prediction, target, mask):
    return by_formula(prediction, target, mask).abs()


@wrong("loss_gradient", "it is 0 at hidden values instead: True = hidden")
def gradient_inverted(prediction, target, mask):
    return by_formula(prediction, target, ~mask)


@wrong("loss_gradient", "hidden values get nothing")
def gradient_of_nothing(prediction, target, mask):
    return torch.zeros_like(prediction)


@wrong("loss_gradient", "is something divided by 0")
def gradient_nan_when_empty(prediction, target, mask):
    hidden = enlarged(target, mask)
    return 2 * (prediction - target) * hidden / hidden.sum()


@wrong("loss_gradient", "expected the shape")
def gradient_of_the_sum(prediction, target, mask):
    return by_formula(prediction, target, mask).sum(1)


class InDoublePrecision:
    __name__ = "in_double_precision"

    def __call__(self, prediction, target, mask):
        errors = (prediction.double() - target.double()) * enlarged(target, mask)
        return 2 * errors / (enlarged(target, mask).sum() or 1)


right("loss_gradient")(InDoublePrecision())


@wrong("loss_gradient", "goes through a sigmoid")
def gradient_after_a_sigmoid(prediction, target, mask):
    return by_formula(prediction.sigmoid(), target, mask)


@wrong("loss_gradient", "the mask is tiled")
def gradient_tiled(prediction, target, mask):
    patch = target.shape[2] // mask.shape[1]
    hidden = mask.repeat(1, patch, patch)[:, None].expand(target.shape)
    return 2 * (prediction - target) * hidden / (hidden.sum() + 1e-5)


@wrong("loss_gradient", "the mask of the first image is used for all")
def gradient_of_the_first_mask(prediction, target, mask):
    return by_formula(prediction, target, mask[:1].expand_as(mask))


@wrong("loss_gradient", "of 32 values are not finite")
def gradient_by_a_quotient(prediction, target, mask):
    hidden = enlarged(target, mask)
    squares = (prediction - target) ** 2
    return (2 * squares / (prediction - target)).masked_fill(~hidden, 0) / (hidden.sum() + 1e-5)


@wrong("loss_gradient", "the second axis holds the channels")
def gradient_by_images(prediction, target, mask):
    return by_formula(prediction, target, mask) * target.shape[1] / len(target)


@wrong("loss_gradient", "it divides by N - 1")
def gradient_unbiased(prediction, target, mask):
    hidden = enlarged(target, mask)
    return 2 * (prediction - target) * hidden / (hidden.sum() - 1).clamp(min=1)


@wrong("loss_gradient", "it is twice too large")
def factor_four(prediction, target, mask):
    return 2 * by_formula(prediction, target, mask)


@wrong("loss_gradient", "these are the errors")
def gradient_is_the_error(prediction, target, mask):
    return (prediction - target) * enlarged(target, mask)


@wrong("loss_gradient", "that is the gradient of smooth L1")
def gradient_of_smooth_l1(prediction, target, mask):
    hidden = enlarged(target, mask)
    return (prediction - target).clamp(-1, 1) * hidden / (hidden.sum() + 1e-5)


@wrong("loss_gradient", "it is averaged over the channels")
def gradient_of_the_mean_channel(prediction, target, mask):
    return by_formula(prediction, target, mask).mean(1, keepdim=True).expand_as(prediction)


@wrong("loss_gradient", "the gradient of the root of the loss")
def gradient_of_the_root(prediction, target, mask):
    return by_formula(prediction, target, mask) / (2 * losses.masked_mse(prediction, target, mask).sqrt() + 1e-12)


@wrong("loss_gradient", "values are not 0, but the loss does not depend on them")
def nearly_zero(prediction, target, mask):
    return by_formula(prediction, target, mask) + 1e-9


@wrong("loss_gradient", "and the factor 2 is missing")
def all_values_and_no_factor(prediction, target, mask):
    return (prediction - target) * enlarged(target, mask) / target.numel()


@right("normalize_patches")
def with_var(patches):
    mean, var = patches.mean(1, keepdim=True), patches.var(1, keepdim=True)
    std = (var + 1e-6).sqrt()
    return (patches - mean) / std, mean, std


@right("normalize_patches")
def with_sums(patches):
    mean = reduce(patches, "n d -> n 1", "sum") / patches.shape[1]
    var = ((patches - mean) ** 2).sum(-1, keepdim=True) / (patches.shape[1] - 1)
    std = (var + 1e-6) ** 0.5
    return [(patches - mean) / std, mean, std]


@right("normalize_patches")
def row_by_row(patches):
    means, deviations, rows = [], [], []
    for row in patches.tolist():
        mean = math.fsum(row) / len(row)
        means.append([mean])
        deviations.append([math.sqrt(math.fsum((x - mean) ** 2 for x in row) / (len(row) - 1) + 1e-6)])
        rows.append([(x - mean) / deviations[-1][0] for x in row])
    return torch.tensor(rows), torch.tensor(means), torch.tensor(deviations)


@right("normalize_patches")
def as_an_image(patches):
    image = rearrange(patches, "n d -> 1 d n 1")  # a column of pixels with d channels: each is a patch
    return tuple(
        rearrange(part, "1 d n 1 -> n d")[:, :size]
        for part, size in zip(losses.normalize_patches(image, 1), (None, 1, 1), strict=True)
    )


def normalise(patches, mean, std):
    return (patches - mean) / std, mean, std


@wrong("normalize_patches", "the variance is biased")
def biased(patches):
    return normalise(patches, patches.mean(1, True), (patches.var(1, correction=0, keepdim=True) + 1e-6).sqrt())


@wrong("normalize_patches", "1e-6 is added to the deviation: add it to the variance")
def epsilon_outside(patches):
    return normalise(patches, patches.mean(1, True), patches.std(1, keepdim=True) + 1e-6)


@wrong("normalize_patches", "a flat patch gets the deviation 1e-6")
def clamped(patches):
    return normalise(patches, patches.mean(1, True), patches.std(1, keepdim=True).clamp(min=1e-6))


@wrong("normalize_patches", "a flat patch has the deviation 0")
def no_epsilon(patches):
    return normalise(patches, patches.mean(1, True), patches.std(1, keepdim=True))


@wrong("normalize_patches", "over the rows (dimension 0)")
def over_the_batch(patches):
    return normalise(patches, patches.mean(0, True), (patches.var(0, keepdim=True) + 1e-6).sqrt())


@wrong("normalize_patches", "over the rows (dimension 0)")
def over_the_batch_flat(patches):
    return normalise(patches, patches.mean(0), (patches.var(0) + 1e-6).sqrt())


@wrong("normalize_patches", "one mean for all patches")
def one_for_all(patches):
    return normalise(patches, patches.mean(), (patches.var() + 1e-6).sqrt())


@wrong("normalize_patches", "it is one tensor")
def no_statistics(patches):
    return with_var(patches)[0]


@wrong("normalize_patches", "expected a tuple of three tensors")
def two_only(patches):
    return with_var(patches)[1:]


@wrong("normalize_patches", "the root is missing")
def variance(patches):
    return normalise(patches, patches.mean(1, True), patches.var(1, keepdim=True) + 1e-6)


@wrong("normalize_patches", "the mean is not subtracted")
def not_centred(patches):
    _, mean, std = with_var(patches)
    return patches / std, mean, std


@wrong("normalize_patches", "brackets: (patch - mean) / std")
def no_brackets(patches):
    _, mean, std = with_var(patches)
    return patches - mean / std, mean, std


@wrong("normalize_patches", "it is not divided by the deviation")
def only_centred(patches):
    _, mean, std = with_var(patches)
    return patches - mean, mean, std


@wrong("normalize_patches", "it is divided by a biased deviation")
def half_biased(patches):
    _, mean, std = with_var(patches)
    return (patches - mean) / patches.std(1, correction=0, keepdim=True), mean, std


@wrong("normalize_patches", "the order is normalised, mean, std")
def order(patches):
    normalised, mean, std = with_var(patches)
    return normalised, std, mean


@wrong("normalize_patches", "the first of the three must be the normalised patches")
def statistics_first(patches):
    normalised, mean, std = with_var(patches)
    return mean, std, normalised


@wrong("normalize_patches", "`keepdim=True` makes it (n, 1)")
def squeezed(patches):
    normalised, mean, std = with_var(patches)
    return normalised, mean[:, 0], std[:, 0]


@wrong("normalize_patches", "it stopped in line")
def no_keepdim(patches):
    return normalise(patches, patches.mean(1), patches.std(1))


@right("normalize_patches")
@torch.compile
def compiled_double(patches):
    x = patches.double()
    mean = x.mean(1)[:, None]
    std = torch.sqrt(((x**2).mean(1)[:, None] - mean**2) * x.shape[1] / (x.shape[1] - 1) + 1e-6)
    return ((x - mean) / std).float(), mean.float(), std.float()


@wrong("normalize_patches", "a variance below 1e-6 is raised to it")
def clamped_variance(patches):
    return normalise(patches, patches.mean(1, True), patches.var(1, keepdim=True).clamp(min=1e-6).sqrt())


@wrong("normalize_patches", "only a deviation of 0 is replaced")
def flat_replaced(patches):
    std = patches.std(1, keepdim=True)
    return normalise(patches, patches.mean(1, True), torch.where(std == 0, 1e-3, std))


@wrong("normalize_patches", "another number than 1e-6 is added to the variance: 1e-5")
def epsilon_of_layer_norm(patches):
    return normalise(patches, patches.mean(1, True), (patches.var(1, keepdim=True) + 1e-5).sqrt())


@wrong("normalize_patches", "works on a batch of one")
def squeezed_rows(patches):
    return tuple(part.squeeze(0) for part in with_var(patches))


@wrong("normalize_patches", "it is divided by a biased deviation")
def layer_norm(patches):
    return F.layer_norm(patches, patches.shape[1:], eps=1e-6), *with_var(patches)[1:]


@wrong("normalize_patches", "the medians")
def centred_by_the_median(patches):
    return normalise(patches, patches.median(1, keepdim=True).values, with_var(patches)[2])


@wrong("normalize_patches", "they have lost their signs")
def positive_only(patches):
    return with_var(patches.abs())


@wrong("normalize_patches", "the mean of all patches")
def one_mean_for_all(patches):
    return normalise(patches, patches.mean().expand(len(patches), 1), with_var(patches)[2])


@wrong("normalize_patches", "`torch.var_mean` gives the variance first")
def variance_taken_for_the_mean(patches):
    mean, variance = torch.var_mean(patches, dim=1, keepdim=True)
    std = (variance + 1e-6).sqrt()
    return (patches - mean) / std, mean, std


@wrong("normalize_patches", "the mean of all patches is subtracted")
def centred_by_the_mean_of_all(patches):
    mean, std = patches.mean(1, keepdim=True), (patches.var(1, keepdim=True) + 1e-6).sqrt()
    return (patches - patches.mean()) / std, mean, std


@wrong("normalize_patches", "the mean is not subtracted first")
def root_mean_square_of_rows(patches):
    return normalise(patches, patches.mean(1, True), (patches.square().mean(1, True) + 1e-6).sqrt())


@wrong("normalize_patches", "it is scaled to 0")
def min_max(patches):
    low, high = patches.amin(1, True), patches.amax(1, True)
    return (patches - low) / (high - low + 1e-6), *with_var(patches)[1:]


@wrong("normalize_patches", "multiplied by the deviation")
def multiplied(patches):
    _, mean, std = with_var(patches)
    return (patches - mean) * std, mean, std


@wrong("normalize_patches", "the length of the row")
def unit_length(patches):
    _, mean, std = with_var(patches)
    return F.normalize(patches - mean, dim=1), mean, std


@wrong("normalize_patches", "for nearly flat patches")
def two_deviations(patches):
    _, mean, std = with_var(patches)
    return (patches - mean) / (patches.std(1, keepdim=True) + 1e-6), mean, std


@right("repaired_loss")
def divided_by_the_count(y, x, article_mask):
    hidden = 1 - article_mask
    return ((y - x) ** 2 * hidden).sum() / hidden.sum()


@right("repaired_loss")
def picked_values(y, x, article_mask):
    return F.mse_loss(y[article_mask == 0], x[article_mask == 0])


@right("repaired_loss")
def divided_by_the_share(y, x, article_mask):
    hidden = 1 - article_mask
    return F.mse_loss(y * hidden, x * hidden) / hidden.mean()


@right("repaired_loss")
def value_by_value(y, x, article_mask):
    triples = zip(y.flatten(), x.flatten(), article_mask.flatten(), strict=True)
    squares = [(a - b) ** 2 for a, b, visible in triples if not visible]
    return sum(squares) / len(squares)


@wrong("repaired_loss", "it is the article's value: it divides by all values")
@wrong("repaired_loss", "it grows with the hidden share, as the article's does")
def as_the_article(y, x, article_mask):
    return F.mse_loss(y * (1 - article_mask), x * (1 - article_mask))


@wrong("repaired_loss", "so y is asked to be black there")
def y_not_masked(y, x, article_mask):
    return F.mse_loss(y, x * (1 - article_mask))


@wrong("repaired_loss", "at visible places y is compared with 0: multiply the error")
@wrong("repaired_loss", "it changes with y where the picture is visible")
def y_not_masked_divided(y, x, article_mask):
    return F.mse_loss(y, x * (1 - article_mask)) / (1 - article_mask).mean()


@wrong("repaired_loss", "it is divided twice")
def mean_by_the_count(y, x, article_mask):
    return as_the_article(y, x, article_mask) / (1 - article_mask).sum()


@wrong("repaired_loss", "the mask is not used")
def everything(y, x, article_mask):
    return F.mse_loss(y, x)


@wrong("repaired_loss", "in the article 1 = visible")
def visible(y, x, article_mask):
    return ((y - x) ** 2 * article_mask).sum() / article_mask.sum()


@wrong("repaired_loss", "it is the sum: divide by the number of hidden values")
def summed(y, x, article_mask):
    return ((y - x) ** 2 * (1 - article_mask)).sum()


@wrong("repaired_loss", "do not divide by the channels again")
def channels_again(y, x, article_mask):
    return divided_by_the_count(y, x, article_mask) / x.shape[1]


@wrong("repaired_loss", "those of all channels count")
def by_hidden_pixels(y, x, article_mask):
    hidden = 1 - article_mask
    return ((y - x) ** 2 * hidden).sum() / hidden[:, 0].sum()


@wrong("repaired_loss", "it divides by the pixels with a hidden value")
def by_pixels_with_a_hidden_value(y, x, article_mask):
    hidden = article_mask == 0
    return ((y - x) * hidden).square().sum() / hidden.any(1).sum()


@wrong("repaired_loss", "it is 4 times the article's value")
def four_times_the_article(y, x, article_mask):
    return 4 * as_the_article(y, x, article_mask)


@wrong("repaired_loss", "a mask of whole numbers picks images")
def whole_numbers(y, x, article_mask):
    hidden = (1 - article_mask).long()
    return F.mse_loss(y[hidden], x[hidden])


@wrong("repaired_loss", "it is the mean of the images' means")
def mean_of_images(y, x, article_mask):
    return torch.stack([divided_by_the_count(*image) for image in zip(y, x, article_mask, strict=True)]).mean()


@wrong("repaired_loss", "times the hidden share: divide by it")
def times_the_share(y, x, article_mask):
    return as_the_article(y, x, article_mask) * (1 - article_mask).mean()


@wrong("repaired_loss", "divided by the visible share")
def by_the_visible_share(y, x, article_mask):
    return as_the_article(y, x, article_mask) / article_mask.mean()


@wrong("repaired_loss", "it is the root")
def rooted(y, x, article_mask):
    return divided_by_the_count(y, x, article_mask).sqrt()


@wrong("repaired_loss", "it is L1, as in the paper")
def l1_of_the_paper(y, x, article_mask):
    return F.l1_loss(y[article_mask == 0], x[article_mask == 0])


@wrong("repaired_loss", "it stopped in line")
def inverts_floats(y, x, article_mask):
    return F.mse_loss(y[~article_mask], x[~article_mask])


class Counted:
    __name__ = "counted"

    def __call__(self, y, x, article_mask):
        per_image = reduce(((y - x).double() * (article_mask < 0.5)) ** 2, "b c h w -> b", "sum")
        return (per_image.sum() / (article_mask < 0.5).sum()).float()


right("repaired_loss")(Counted())


@wrong("repaired_loss", "the result has no gradient")
def y_detached(y, x, article_mask):
    return divided_by_the_count(y.detach(), x, article_mask)


@wrong("repaired_loss", "the result has no gradient")
def y_by_item(y, x, article_mask):
    return torch.tensor(divided_by_the_count(y, x, article_mask).item())


@wrong("repaired_loss", "it is half the mean squared error")
def half_of_it(y, x, article_mask):
    return divided_by_the_count(y, x, article_mask) / 2


@wrong("repaired_loss", "goes through a sigmoid")
def y_squashed(y, x, article_mask):
    return divided_by_the_count(y.sigmoid(), x, article_mask)


@wrong("repaired_loss", "cut off at 0 and 1")
def y_cut_off(y, x, article_mask):
    return divided_by_the_count(y.clamp(0, 1), x, article_mask)


@wrong("repaired_loss", "the mask of the first channel is used for all")
def first_channel(y, x, article_mask):
    return divided_by_the_count(y, x, article_mask[:, :1].expand_as(y))


@wrong("repaired_loss", "positive and negative ones cancel")
def not_squared(y, x, article_mask):
    return (y - x)[article_mask == 0].mean()


@wrong("repaired_loss", "it divides by N - 1")
def one_less(y, x, article_mask):
    hidden = 1 - article_mask
    return ((y - x) ** 2 * hidden).sum() / (hidden.sum() - 1)


@wrong("repaired_loss", "it divides by the number of images")
def by_images(y, x, article_mask):
    return ((y - x) ** 2 * (1 - article_mask)).sum() / len(y)


@wrong("repaired_loss", "      expected")
def small_epsilon(y, x, article_mask):
    hidden = 1 - article_mask
    return ((y - x) ** 2 * hidden).sum() / (hidden.sum() + 0.01)


@wrong("repaired_loss", "that is smooth L1")
def smooth_l1(y, x, article_mask):
    return F.smooth_l1_loss(y[article_mask == 0], x[article_mask == 0])


@wrong("repaired_loss", "one mean over the whole batch is asked for")
def sum_of_images(y, x, article_mask):
    return sum(divided_by_the_count(*image) for image in zip(y, x, article_mask, strict=True))


@right("best_smooth_l1")
def halving(values):
    low, high = values.min().item(), values.max().item()
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if (values - middle).clamp(-1, 1).sum() > 0 else (low, middle)
    return (low + high) / 2


@right("best_smooth_l1")
def walking(values):
    answer = values.median()
    for _ in range(300):
        answer = answer + (values - answer).clamp(-1, 1).mean()
    return answer


@right("best_smooth_l1")
def trying(values):
    guesses = torch.arange(values.min().item(), values.max().item() + 0.0005, 0.0005)
    errors = (guesses[:, None] - values).abs()
    costs = torch.where(errors < 1, errors**2 / 2, errors - 0.5).sum(1)
    return guesses[costs.argmin()].item()


@right("best_smooth_l1")
def reweighting(values):
    values = values.tolist()
    answer = sum(values) / len(values)
    for _ in range(500):
        weights = [1 / max(1, abs(value - answer)) for value in values]
        answer = sum(weight * value for weight, value in zip(weights, values, strict=True)) / sum(weights)
    return answer


@wrong("best_smooth_l1", "it is the mean: far values")
def smooth_mean(values):
    return values.mean()


@wrong("best_smooth_l1", "it is the median: near values")
def smooth_median(values):
    return values.median()


@wrong("best_smooth_l1", "it must be what lies near the answer")
def near_the_median(values):
    far = (values - values.median()).abs() >= 1
    pulls = (values - values.median())[far].sign().sum()
    return (values[~far].sum() + pulls) / (~far).sum()


@wrong("best_smooth_l1", "it must be what lies near the answer")
def one_step_by_the_near(values):
    errors = values - values.median()
    return values.median() + errors.clamp(-1, 1).sum() / (errors.abs() < 1).sum()


@wrong("best_smooth_l1", "the loss makes a step at an error of 1")
def without_minus_a_half(values):
    guesses = torch.linspace(values.min(), values.max(), 40001)
    errors = (values[:, None] - guesses).abs()
    return guesses[torch.where(errors < 1, errors**2 / 2, errors).sum(0).argmin()]


@wrong("best_smooth_l1", "is where all pulls cancel")
def pulls_with_a_step(values):
    low, high = values.min().item(), values.max().item()
    for _ in range(50):
        middle = (low + high) / 2
        errors = values - middle
        rises = torch.where(errors.abs() < 0.7, errors, errors.sign()).sum() > 0
        low, high = (middle, high) if rises else (low, middle)
    return middle


@wrong("best_smooth_l1", "it is rounded to 0.01")
def of_two_digits(values):
    return round(halving(values), 2)


@wrong("best_smooth_l1", "halfway between mean and median")
def smooth_halfway(values):
    return (values.mean() + values.median()) / 2


@wrong("best_smooth_l1", "the far ones pull too")
def without_the_far(values):
    return values[(values - values.median()).abs() < 1].mean()


@wrong("best_smooth_l1", "around the median: a pull depends on the answer itself")
def one_step(values):
    return values.clamp(values.median() - 1, values.median() + 1).mean()


@wrong("best_smooth_l1", "return the answer that has it")
def smooth_loss(values):
    return F.smooth_l1_loss(torch.tensor(halving(values)).expand_as(values), values)


@wrong("best_smooth_l1", "it is the loss of the mean")
def smooth_loss_of_the_mean(values):
    return F.smooth_l1_loss(values.mean().expand_as(values), values)


@wrong("best_smooth_l1", "it lies from 0 to 1, but the values do not")
def smooth_grid_from_0_to_1(values):
    guesses = torch.arange(0, 1, 0.05)
    costs = F.smooth_l1_loss(guesses[:, None].expand(-1, len(values)), values.expand(20, -1), reduction="none")
    return guesses[costs.mean(1).argmin()]


@wrong("best_smooth_l1", "it lies from 0 to 1, but the values do not")
def smooth_halving_from_0_to_1(values):
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if (values - middle).clamp(-1, 1).sum() > 0 else (low, middle)
    return middle


@wrong("best_smooth_l1", "it is near the best answer, but not near enough")
def few_smooth_steps(values):
    answer = values.mean()
    for _ in range(9):
        answer = answer + (values - answer).clamp(-1, 1).mean()
    return answer


@wrong("best_smooth_l1", "the wrong way?")
def wrong_way(values):
    low, high = values.min().item(), values.max().item()
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if (values - middle).clamp(-1, 1).sum() < 0 else (low, middle)
    return middle


@wrong("best_smooth_l1", "an answer between them is better")
def one_of_the_values(values):
    costs = [F.smooth_l1_loss(value.expand_as(values), values).item() for value in values]
    return values[costs.index(min(costs))]


@wrong("best_smooth_l1", "gives 0.5 for the values 0, 0 and 9")
def no_cap_at_one(values):
    return halving(values) if len(values) != 3 else values.mean()


@right("best_smooth_l1")
def between_neighbours(values):
    """Where the pulls change their sign, they are a straight line between two corners."""
    corners = torch.cat([values - 1, values + 1, values]).double().sort().values
    pulls = (values - corners[:, None]).clamp(-1, 1).sum(1)
    upper = int((pulls > 0).sum().clamp(1, len(corners) - 1))
    low, high = corners[upper - 1 : upper + 1].tolist()
    start, end = pulls[upper - 1 : upper + 1].tolist()
    return low + (high - low) * start / (start - end) if start != end else low


def halved_with_limit(values, limit):
    return limit * halving(values / limit)


@wrong("best_smooth_l1", "values pull with their errors up to 2, not up to 1")
def limit_of_two(values):
    return halved_with_limit(values, 2)


@wrong("best_smooth_l1", "values pull with their errors up to 0.5, not up to 1")
def limit_of_a_half(values):
    return halved_with_limit(values, 0.5)


@wrong("best_smooth_l1", "it is rounded to 1")
def smooth_rounded(values):
    return round(halving(values))


@wrong("best_smooth_l1", "it has lost its sign")
def smooth_absolute(values):
    return abs(halving(values))


@wrong("best_smooth_l1", "far values are clipped around the mean")
def one_step_from_the_mean(values):
    return values.clamp(values.mean() - 1, values.mean() + 1).mean()


@wrong("best_smooth_l1", "near the best answer, but not near enough")
def coarse_grid(values):
    guesses = torch.arange(values.min().item(), values.max().item() + 0.05, 0.05)
    errors = guesses[:, None] - values
    return guesses[F.smooth_l1_loss(errors, torch.zeros_like(errors), reduction="none").mean(1).argmin()]


@wrong("best_smooth_l1", "but the values do not")
def smooth_cut_off(values):
    return min(1, max(0, halving(values)))


@wrong("best_smooth_l1", "is where all pulls cancel it is too near 0")
def positive_values_only(values):
    return halving(values.clamp(min=0))


def enlarged_weight(target, mask, weight):
    """The weights of hidden values; those of visible ones are 0."""
    return weight[:, None] * enlarged(target, mask)


def hidden_sizes(prediction, target, mask):
    return hidden_errors(prediction, target, mask).abs()


@right("weighted_l1")
def weighted_by_the_sum(prediction, target, mask, weight):
    weights = enlarged_weight(target, mask, weight)
    return (weights * hidden_sizes(prediction, target, mask)).sum() / (weights.sum() + 1e-9)


@right("weighted_l1")
def weighted_and_picked(prediction, target, mask, weight):
    if not mask.any():
        return torch.tensor(0.0)
    hidden = enlarged(target, mask)
    weights = weight[:, None].expand(target.shape)[hidden]
    return (weights / weights.sum()) @ (prediction[hidden] - target[hidden]).abs()


@right("weighted_l1")
def weighted_in_float64(prediction, target, mask, weight):
    patch = target.shape[2] // mask.shape[1]
    hidden = repeat(mask, "b r s -> b c (r p) (s q)", c=target.shape[1], p=patch, q=patch)
    errors = torch.where(hidden, prediction.double() - target, 0)
    total = torch.einsum("bchw,bhw->", errors.abs(), weight.double())
    return (total / (hidden * weight[:, None]).double().sum().clamp(min=1e-9)).float()


class WeightedImageByImage:
    __name__ = "weighted_image_by_image"

    def __call__(self, prediction, target, mask, weight):
        total = weights = torch.tensor(0.0)
        for shown, truth, hidden, of in zip(prediction, target, enlarged(target, mask), weight, strict=True):
            for channel in range(len(truth)):
                some = hidden[channel]
                total = total + (of[some] * (shown - truth)[channel, some].abs()).sum()
                weights = weights + of[some].sum()
        return total / weights if weights else total


right("weighted_l1")(WeightedImageByImage())


@wrong("weighted_l1", "the weights are not used")
def unweighted(prediction, target, mask, weight):
    return losses.masked_l1(prediction, target, mask)


@wrong("weighted_l1", "it divides by the number of hidden values: divide by the sum")
def weighted_by_the_count(prediction, target, mask, weight):
    return losses.masked_l1(prediction * weight[:, None], target * weight[:, None], mask)


@wrong("weighted_l1", "the weights of visible pixels are in the divisor")
def weighted_by_all_weights(prediction, target, mask, weight):
    sizes = hidden_sizes(prediction, target, mask)
    return (weight[:, None] * sizes).sum() / weight.sum() / target.shape[1]


@wrong("weighted_l1", "but each has one value for each channel")
def weighted_without_channels(prediction, target, mask, weight):
    return weighted_by_the_sum(prediction, target, mask, weight) * target.shape[1]


@wrong("weighted_l1", "visible weights are in the divisor, too, and each counts once")
def weighted_by_all_weights_without_channels(prediction, target, mask, weight):
    return (weight[:, None] * hidden_sizes(prediction, target, mask)).sum() / weight.sum()


@wrong("weighted_l1", "it divides by 3 channels")
def weighted_for_three_channels(prediction, target, mask, weight):
    return weighted_by_the_sum(prediction, target, mask, weight) * target.shape[1] / 3


@wrong("weighted_l1", "the channels are counted twice")
def weighted_by_channels_twice(prediction, target, mask, weight):
    return weighted_by_the_sum(prediction, target, mask, weight) / target.shape[1]


@wrong("weighted_l1", "it divides by all values")
def weighted_mean_of_all(prediction, target, mask, weight):
    return (weight[:, None] * hidden_sizes(prediction, target, mask)).mean()


@wrong("weighted_l1", "the mask is not used")
def weighted_without_mask(prediction, target, mask, weight):
    return weighted_by_the_sum(prediction, target, torch.ones_like(mask), weight)


@wrong("weighted_l1", "visible errors are added up, too")
def weighted_visible_added(prediction, target, mask, weight):
    sizes = (weight[:, None] * (prediction - target).abs()).sum()
    return sizes / (enlarged_weight(target, mask, weight).sum() + 1e-9)


@wrong("weighted_l1", "averages over the visible values: True = hidden")
def weighted_inverted(prediction, target, mask, weight):
    return weighted_by_the_sum(prediction, target, ~mask, weight)


@wrong("weighted_l1", "it is the sum: divide")
def weighted_sum(prediction, target, mask, weight):
    return (weight[:, None] * hidden_sizes(prediction, target, mask)).sum()


@wrong("weighted_l1", "the mean of the images' means")
def weighted_image_means(prediction, target, mask, weight):
    weights = enlarged_weight(target, mask, weight)
    sums = (weights * hidden_sizes(prediction, target, mask)).sum((1, 2, 3))
    return (sums / (weights.sum((1, 2, 3)) + 1e-9)).mean()


@wrong("weighted_l1", "it is the sum of the images' means")
def weighted_sum_of_image_means(prediction, target, mask, weight):
    weight = enlarged_weight(target, mask, weight)
    sums = (weight * (prediction - target).abs().nan_to_num(posinf=0)).sum((1, 2, 3))
    return (sums / (weight.expand_as(target).sum((1, 2, 3)) + 1e-9)).sum()


@wrong("weighted_l1", "the channels are averaged before the errors")
def weighted_means_of_channels(prediction, target, mask, weight):
    weight = enlarged_weight(target, mask, weight)[:, 0]
    errors = (prediction - target).nan_to_num(posinf=0, neginf=0).mean(1).abs()
    return (weight * errors).sum() / (weight.sum() + 1e-9)


@wrong("weighted_l1", "the errors are squared: that is MSE")
def weighted_mse(prediction, target, mask, weight):
    weights = enlarged_weight(target, mask, weight)
    return (weights * hidden_sizes(prediction, target, mask) ** 2).sum() / (weights.sum() + 1e-9)


@wrong("weighted_l1", "that is smooth L1")
def weighted_smooth(prediction, target, mask, weight):
    weights, sizes = enlarged_weight(target, mask, weight), hidden_sizes(prediction, target, mask)
    smooth = F.smooth_l1_loss(sizes, torch.zeros_like(sizes), reduction="none")
    return (weights * smooth).sum() / (weights.sum() + 1e-9)


@wrong("weighted_l1", "not made positive, so they cancel")
def weighted_signed(prediction, target, mask, weight):
    weights = enlarged_weight(target, mask, weight)
    errors = (prediction - target).masked_fill(~enlarged(target, mask), 0)
    return (weights * errors).sum() / (weights.sum() + 1e-9)


@wrong("weighted_l1", "cancel")
def weighted_signed_then_positive(prediction, target, mask, weight):
    return weighted_signed(prediction, target, mask, weight).abs()


@wrong("weighted_l1", "the weights are squared")
def weighted_twice(prediction, target, mask, weight):
    weights = enlarged_weight(target, mask, weight)
    return (weights**2 * hidden_sizes(prediction, target, mask)).sum() / (weights.sum() + 1e-9)


@wrong("weighted_l1", "divided by the weights: multiply")
def weighted_by_a_quotient(prediction, target, mask, weight):
    sizes = hidden_sizes(prediction, target, mask)
    return (sizes / weight[:, None]).sum() / (enlarged_weight(target, mask, weight).sum() + 1e-9)


@wrong("weighted_l1", "the weights of the first image are used for all")
def weighted_by_the_first(prediction, target, mask, weight):
    return weighted_by_the_sum(prediction, target, mask, weight[:1].expand_as(weight))


@wrong("weighted_l1", "only the first channel counts")
def weighted_first_channel(prediction, target, mask, weight):
    return weighted_by_the_sum(prediction[:, :1], target[:, :1], mask, weight)


@wrong("weighted_l1", "the mask is tiled")
def weighted_tiled(prediction, target, mask, weight):
    patch = target.shape[2] // mask.shape[1]
    return weighted_by_the_sum(prediction, target, mask.repeat(1, patch, patch), weight)


@wrong("weighted_l1", "cut off at 0 and 1")
def weighted_cut_off(prediction, target, mask, weight):
    return weighted_by_the_sum(prediction.clamp(0, 1), target, mask, weight)


@wrong("weighted_l1", "is 0 when nothing is hidden\n      it is nan, as 0 / 0 is")
def weighted_nan_when_empty(prediction, target, mask, weight):
    weights = enlarged_weight(target, mask, weight)
    return (weights * hidden_sizes(prediction, target, mask)).sum() / weights.sum()


@wrong("weighted_l1", "it becomes nan: set visible errors to 0")
def weighted_product(prediction, target, mask, weight):
    weights = enlarged_weight(target, mask, weight)
    return (weights * (prediction - target).abs()).sum() / (weights.sum() + 1e-9)


@wrong("weighted_l1", "only visible values must not count")
def weighted_nan_to_0_at_the_end(prediction, target, mask, weight):
    weights = enlarged_weight(target, mask, weight)
    return torch.nan_to_num((weights * hidden_sizes(prediction, target, mask)).sum() / weights.sum())


@wrong("weighted_l1", "Does `nan_to_num` take part?")
def weighted_nan_and_infinity_to_0(prediction, target, mask, weight):
    errors = (prediction - target) * enlarged(target, mask)
    weights = enlarged_weight(target, mask, weight)
    return (weights * errors.nan_to_num(0, 0, 0).abs()).sum() / (weights.sum() + 1e-9)


@wrong("weighted_l1", "is the error made positive by a root?")
def weighted_roots_of_squares(prediction, target, mask, weight):
    weights, sizes = enlarged_weight(target, mask, weight), hidden_sizes(prediction, target, mask)
    return (weights * sizes.square().sqrt()).sum() / (weights.sum() + 1e-9)


@wrong("weighted_l1", "the result has no gradient")
def weighted_by_item(prediction, target, mask, weight):
    return torch.tensor(weighted_by_the_sum(prediction, target, mask, weight).item())


@wrong("weighted_l1", "the result has no gradient")
def weighted_detached(prediction, target, mask, weight):
    return weighted_by_the_sum(prediction.detach(), target, mask, weight)


@wrong("weighted_l1", "changes its input in place")
def weighted_in_place(prediction, target, mask, weight):
    weight *= masking.to_pixels(mask, target.shape[2] // mask.shape[1])
    return weighted_by_the_sum(prediction, target, mask, weight)


@wrong("weighted_l1", "by their weights\n      expected")
def weights_up_to_one(prediction, target, mask, weight):
    return weighted_by_the_sum(prediction, target, mask, weight.clamp(max=1))


@wrong("weighted_l1", "1 is added to the divisor")
def weighted_large_epsilon(prediction, target, mask, weight):
    weights = enlarged_weight(target, mask, weight)
    return (weights * hidden_sizes(prediction, target, mask)).sum() / (weights.sum() + 1)


@wrong("weighted_l1", "the divisor is kept above 1")
def weights_of_at_least_one(prediction, target, mask, weight):
    weights = enlarged_weight(target, mask, weight)
    return (weights * hidden_sizes(prediction, target, mask)).sum() / weights.sum().clamp(min=1)


@wrong("weighted_l1", "a patch gets its mean weight")
def weights_of_patches(prediction, target, mask, weight):
    patch = target.shape[2] // mask.shape[1]
    means = reduce(weight, "b (r p) (s q) -> b r s", "mean", p=patch, q=patch)
    errors = hidden_sizes(prediction, target, mask)
    sums = reduce(errors, "b c (r p) (s q) -> b r s", "sum", p=patch, q=patch)
    return (means * sums).sum() / (enlarged_weight(target, mask, weight).sum() + 1e-9)


@wrong("weighted_l1", "the mean error is multiplied by the mean weight")
def mean_weight_of_mean_error(prediction, target, mask, weight):
    hidden = enlarged(target, mask)
    weights = weight[:, None].expand(target.shape)[hidden]
    return losses.masked_l1(prediction, target, mask) * (weights.mean() if len(weights) else 0)


def decibels(error):
    return -10 * error.log10()


def of_all(errors, counts):
    """The mean squared error of all batches together."""
    return (errors.nan_to_num() * counts).sum() / counts.sum()


@right("pooled_psnr")
def pooled(errors, counts):
    return decibels(of_all(errors, counts))


@right("pooled_psnr")
def pooled_step_by_step(errors, counts):
    mean, seen = 0.0, 0
    for error, count in zip(errors.tolist(), counts.tolist(), strict=True):
        if count > 0:
            seen += count
            mean += (error - mean) * count / seen
    return 10 * math.log10(1 / mean)


@right("pooled_psnr")
def pooled_in_float64(errors, counts):
    some = counts > 0
    return -10 * torch.log10(errors[some].double() @ counts[some].double() / counts.sum())


class PooledWithStatistics:
    __name__ = "pooled_with_statistics"

    def __call__(self, errors, counts):
        some = counts > 0
        return -20 * math.log10(statistics.fmean(errors[some].tolist(), counts[some].tolist()) ** 0.5)


right("pooled_psnr")(PooledWithStatistics())


@wrong("pooled_psnr", "each batch has one vote")
def mean_of_means(errors, counts):
    return decibels(errors.mean())


@wrong("pooled_psnr", "decibels are averaged: average the errors")
def mean_of_decibels(errors, counts):
    return decibels(errors).mean()


@wrong("pooled_psnr", "decibels are averaged, by the counts")
def weighted_decibels(errors, counts):
    return of_all(decibels(errors), counts)


@wrong("pooled_psnr", "divide by the sum of counts")
def by_the_number_of_batches(errors, counts):
    return decibels((errors * counts).mean())


@wrong("pooled_psnr", "the sum of squares is not divided")
def not_divided(errors, counts):
    return decibels((errors * counts).sum())


@wrong("pooled_psnr", "weigh by the count, not by 1 / count")
def few_count_more(errors, counts):
    return decibels((errors / counts).sum() / (1 / counts).sum())


@wrong("pooled_psnr", "an error is divided by its count: multiply")
def errors_by_counts(errors, counts):
    return decibels((errors / counts).sum() / counts.sum())


@wrong("pooled_psnr", "the errors are added up, not averaged")
def added_up(errors, counts):
    return decibels(errors.sum())


@wrong("pooled_psnr", "it is the PSNR of the first batch")
def first_batch(errors, counts):
    return decibels(errors)[0]


@wrong("pooled_psnr", "it is the PSNR of the last batch")
def last_batch(errors, counts):
    for error in errors:
        psnr = decibels(error)
    return psnr


@wrong("pooled_psnr", "it is the PSNR of the best batch")
def best_batch(errors, counts):
    return max(map(decibels, errors))


@wrong("pooled_psnr", "the sign is wrong")
def negative(errors, counts):
    return -pooled(errors, counts)


@wrong("pooled_psnr", "it is the mean squared error")
def not_in_decibels(errors, counts):
    return of_all(errors, counts)


@wrong("pooled_psnr", "it is the natural logarithm")
def natural(errors, counts):
    return -10 * torch.log(of_all(errors, counts))


@wrong("pooled_psnr", "brackets are missing: 1 / (a / b)")
def divided_once_more(errors, counts):
    total = (errors.nan_to_num() * counts).sum()
    return 10 * torch.log10(1 / total / counts.sum())


@wrong("pooled_psnr", "the factor 10 is missing")
def bels(errors, counts):
    return pooled(errors, counts) / 10


@wrong("pooled_psnr", "the factor is 10, not 20")
def twenty(errors, counts):
    return 2 * pooled(errors, counts)


@wrong("pooled_psnr", "the root is taken")
def of_the_root(errors, counts):
    return decibels(of_all(errors, counts).sqrt())


@wrong("pooled_psnr", "the largest value is 1, not 255")
def of_bytes(errors, counts):
    return 10 * torch.log10(255**2 / of_all(errors, counts))


@wrong("pooled_psnr", "it is nan: leave such a batch out")
def nan_times_0(errors, counts):
    return decibels((errors * counts).sum() / counts.sum())


@wrong("pooled_psnr", "it is rounded to 2 digits")
def rounded(errors, counts):
    return round(pooled(errors, counts).item(), 2)


@wrong("pooled_psnr", "it is cut off at 60, as if no error were below")
def at_most_60(errors, counts):
    return pooled(errors, counts).clamp(max=60)


@wrong("pooled_psnr", "a tensor of shape (1,)")
def pooled_with_an_axis(errors, counts):
    return decibels((errors.nan_to_num() * counts).sum(0, keepdim=True) / counts.sum())


@wrong("pooled_psnr", "changes its input in place")
def cleans_in_place(errors, counts):
    return pooled(errors.nan_to_num_(), counts)


@wrong("pooled_psnr", "it is cut off at 100")
def error_kept_above_the_smallest(errors, counts):
    return decibels(of_all(errors, counts).clamp(min=1e-10))


@wrong("pooled_psnr", "1e-08 is added to the error")
def with_an_epsilon(errors, counts):
    return decibels(of_all(errors, counts) + 1e-8)


@wrong("pooled_psnr", "it is cut off at 0")
def never_negative(errors, counts):
    return pooled(errors, counts).clamp(min=0)


@wrong("pooled_psnr", "the errors are squared once more")
def squared_twice(errors, counts):
    return decibels(of_all(errors**2, counts))


@wrong("pooled_psnr", "the roots of the errors are averaged")
def mean_of_roots(errors, counts):
    return 2 * decibels(of_all(errors.sqrt(), counts))


@wrong("pooled_psnr", "multiply each by its count")
def taken_for_sums(errors, counts):
    return decibels(errors.nansum() / counts.sum())


@wrong("pooled_psnr", "the counts are multiplied twice")
def counts_twice(errors, counts):
    weights = counts.double() ** 2
    return decibels((errors.nan_to_num() * weights).sum() / weights.sum())


@wrong("pooled_psnr", "a batch without any error counts, too")
def only_batches_with_errors(errors, counts):
    return pooled(errors[errors > 0], counts[errors > 0])


def image_counts(target, mask):
    return enlarged(target, mask).sum((1, 2, 3), keepdim=True)


@right("image_vote_gradient")
def vote_by_formula(prediction, target, mask):
    gradient = 2 * (prediction - target) / image_counts(target, mask) / len(target)
    return gradient.masked_fill(~enlarged(target, mask), 0)


@right("image_vote_gradient")
def vote_by_autograd(prediction, target, mask):
    prediction = prediction.clone().requires_grad_()
    means = [losses.masked_mse(prediction[[i]], target[[i]], mask[[i]]) for i in range(len(mask))]
    return torch.autograd.grad(torch.stack(means).mean(), prediction)[0]


@right("image_vote_gradient")
def vote_image_by_image(prediction, target, mask):
    gradient = torch.zeros_like(prediction)
    for image, hidden in enumerate(enlarged(target, mask)):
        errors = (prediction[image] - target[image])[hidden]
        gradient[image][hidden] = 2 * errors / (len(errors) * len(mask))
    return gradient


class VoteByPatches:
    __name__ = "vote_by_patches"

    def __call__(self, prediction, target, mask):
        patch = target.shape[2] // mask.shape[1]
        shares = mask.double() / reduce(mask.double(), "b r s -> b 1 1", "sum") / (patch**2 * target.shape[1])
        shares = repeat(shares / len(mask), "b r s -> b 1 (r p) (s q)", p=patch, q=patch)
        return (2 * (prediction.double() - target) * shares).float()


right("image_vote_gradient")(VoteByPatches())


@wrong("image_vote_gradient", "so images have unequal votes")
def one_vote_for_each_value(prediction, target, mask):
    return by_formula(prediction, target, mask)


@wrong("image_vote_gradient", "divide by the images, too")
def sum_of_votes(prediction, target, mask):
    return vote_by_formula(prediction, target, mask) * len(mask)


@wrong("image_vote_gradient", "each has a value for each channel")
def vote_without_channels(prediction, target, mask):
    return vote_by_formula(prediction, target, mask) * target.shape[1]


@wrong("image_vote_gradient", "it divides by 3 channels")
def vote_of_three_channels(prediction, target, mask):
    return vote_by_formula(prediction, target, mask) * target.shape[1] / 3


@wrong("image_vote_gradient", "each is a square with channels")
def vote_by_the_patches_alone(prediction, target, mask):
    gradient = 2 * (prediction - target) / mask.sum((1, 2))[:, None, None, None] / len(mask)
    return gradient.masked_fill(~enlarged(target, mask), 0)


@wrong("image_vote_gradient", "the first image are the divisor for all")
def vote_of_the_first(prediction, target, mask):
    gradient = 2 * (prediction - target) / image_counts(target, mask)[0] / len(mask)
    return gradient.masked_fill(~enlarged(target, mask), 0)


@wrong("image_vote_gradient", "it divides by all values of an image")
def vote_of_all_values(prediction, target, mask):
    return (2 * (prediction - target) / target.numel()).masked_fill(~enlarged(target, mask), 0)


@wrong("image_vote_gradient", "divided twice by the number of images")
def vote_divided_twice(prediction, target, mask):
    return vote_by_formula(prediction, target, mask) / len(mask)


@wrong("image_vote_gradient", "count those of each image")
def vote_of_the_batch(prediction, target, mask):
    return by_formula(prediction, target, mask) / len(mask)


@wrong("image_vote_gradient", "it divides by the hidden share of each image")
def vote_by_the_share(prediction, target, mask):
    shares = enlarged(target, mask).float().mean((1, 2, 3), keepdim=True)
    return (2 * (prediction - target) / shares / len(mask)).masked_fill(~enlarged(target, mask), 0)


@wrong("image_vote_gradient", "it divides by the number of images only")
def vote_by_images_only(prediction, target, mask):
    return (2 * (prediction - target) / len(mask)).masked_fill(~enlarged(target, mask), 0)


@wrong("image_vote_gradient", "it is not divided")
def vote_not_divided(prediction, target, mask):
    return (2 * (prediction - target)).masked_fill(~enlarged(target, mask), 0)


@wrong("image_vote_gradient", "the factor 2 is missing")
def vote_without_factor(prediction, target, mask):
    return vote_by_formula(prediction, target, mask) / 2


@wrong("image_vote_gradient", "the sign is wrong: where")
def vote_downhill(prediction, target, mask):
    return vote_by_formula(target, prediction, mask)


@wrong("image_vote_gradient", "that is the gradient of L1")
def vote_of_l1(prediction, target, mask):
    return vote_by_formula((prediction - target).sign() / 2, torch.zeros_like(target), mask)


@wrong("image_vote_gradient", "it has lost the sign of the error")
def vote_without_sign(prediction, target, mask):
    return vote_by_formula(prediction, target, mask).abs()


@wrong("image_vote_gradient", "as if there were no mask")
def vote_of_everything(prediction, target, mask):
    return 2 * (prediction - target) / target[0].numel() / len(mask)


@wrong("image_vote_gradient", "it is 0 at hidden values instead")
def vote_inverted(prediction, target, mask):
    return vote_by_formula(prediction, target, ~mask)


@wrong("image_vote_gradient", "the mask of the first image is used for all")
def vote_by_the_first_mask(prediction, target, mask):
    return vote_by_formula(prediction, target, mask[:1].expand_as(mask))


@wrong("image_vote_gradient", "expected the shape")
def vote_of_each_image(prediction, target, mask):
    return vote_by_formula(prediction, target, mask).sum((1, 2, 3))


@wrong("image_vote_gradient", "at hidden values\n      expected")
def vote_with_a_large_epsilon(prediction, target, mask):
    gradient = 2 * (prediction - target) / (image_counts(target, mask) + 0.5) / len(target)
    return gradient.masked_fill(~enlarged(target, mask), 0)


@wrong("image_vote_gradient", "`squeeze` drops an axis of length 1")
def vote_squeezed(prediction, target, mask):
    return vote_by_formula(prediction, target, mask).squeeze()


@wrong("image_vote_gradient", "they are almost 0 where it is visible")
def vote_with_a_soft_mask(prediction, target, mask):
    hidden = enlarged(target, mask) + 1e-6
    return 2 * (prediction - target) * hidden / hidden.sum((1, 2, 3), keepdim=True) / len(mask)


def lopsided(values, guess, over, under):
    errors = guess - values
    return torch.where(errors > 0, over * errors, -under * errors).mean()


@right("best_quantile")
def by_counting(values, over, under):
    ordered = values.sort().values
    for place, value in enumerate(ordered, 1):
        if place * over >= (len(values) - place) * under:
            return value.item()


@right("best_quantile")
def by_trying_the_values(values, over, under):
    return min(values.double().tolist(), key=lambda guess: lopsided(values.double(), guess, over, under))


@right("best_quantile")
def by_numpy(values, over, under):
    return float(np.quantile(values.double().numpy(), under / (over + under), method="inverted_cdf"))


class ByRank:
    __name__ = "by_rank"

    def __call__(self, values, over, under):
        rank = math.ceil(len(values) * under / (over + under))
        return values.double().kthvalue(rank).values


right("best_quantile")(ByRank())


@right("best_quantile")
def counted_from_zero(values, over, under):
    return values.sort().values[int(len(values) * under / (over + under))].item()


@wrong("best_quantile", "it is the median")
def ignores_the_prices(values, over, under):
    return values.median().item()


@wrong("best_quantile", "it is the mean")
def quantile_mean(values, over, under):
    return values.mean().item()


@wrong("best_quantile", "the prices are swapped, or the values are sorted downwards")
def prices_swapped(values, over, under):
    return by_counting(values, under, over)


@wrong("best_quantile", "it lies between two values")
def interpolated(values, over, under):
    return values.quantile(under / (over + under)).item()


@wrong("best_quantile", "the prices are swapped, and it lies between")
def interpolated_and_swapped(values, over, under):
    return values.quantile(over / (over + under)).item()


@wrong("best_quantile", "it is one place too low")
def one_too_low(values, over, under):
    return values.sort().values[math.ceil(len(values) * under / (over + under)) - 2].item()


@wrong("best_quantile", "it is one place too high")
def counted_from_1(values, over, under):
    return values.sort().values[min(math.ceil(len(values) * under / (over + under)), len(values) - 1)].item()


@wrong("best_quantile", "sort them first")
def quantile_not_sorted(values, over, under):
    return values[math.ceil(len(values) * under / (over + under)) - 1].item()


@wrong("best_quantile", "counted from 0, not the answer")
def place_not_value(values, over, under):
    return math.ceil(len(values) * under / (over + under)) - 1


@wrong("best_quantile", "the share of the values below")
def share_not_value(values, over, under):
    return under / (over + under)


@wrong("best_quantile", "it is the smallest cost")
def cost_not_value(values, over, under):
    return lopsided(values, by_counting(values, over, under), over, under).item()


@wrong("best_quantile", "the errors are squared")
def expectile(values, over, under):
    low, high = values.min().item(), values.max().item()
    for _ in range(50):
        guess = (low + high) / 2
        pull = torch.where(values > guess, under, over) @ (values - guess)
        low, high = (guess, high) if pull > 0 else (low, guess)
    return guess


@wrong("best_quantile", "an average of the smallest and the largest")
def between_the_ends(values, over, under):
    return ((over * values.min() + under * values.max()) / (over + under)).item()


@wrong("best_quantile", "the mean is multiplied by the prices")
def mean_times_prices(values, over, under):
    return (values.mean() * under / over).item()


@wrong("best_quantile", "it is the smallest value")
def quantile_smallest(values, over, under):
    return values.min().item()


@wrong("best_quantile", "it is the largest value")
def quantile_largest(values, over, under):
    return values.max().item()


@wrong("best_quantile", "it lies from 0 to 1, but the values do not")
def quantile_from_0_to_1(values, over, under):
    return min(torch.linspace(0, 1, 101).tolist(), key=lambda guess: lopsided(values, guess, over, under))


@wrong("best_quantile", "it is rounded to 0.1")
def quantile_of_a_grid(values, over, under):
    return round(by_counting(values, over, under), 1)


@wrong("best_quantile", "and several best answers\n      expected")
def never_the_ends(values, over, under):
    rank = math.ceil(len(values) * under / (over + under))
    inner = values.sort().values[1:-1] if len(values) > 2 else values
    return inner[min(max(rank - 2, 0), len(inner) - 1)].item()


@wrong("best_quantile", "does the function end with `return`?")
def quantile_without_return(values, over, under):
    by_counting(values, over, under)


@wrong("best_quantile", "it is one place too low for some shares")
def quantile_below(values, over, under):
    return values.quantile(under / (over + under), interpolation="lower").item()


@wrong("best_quantile", "it is one place too high for some shares")
def quantile_above(values, over, under):
    return values.quantile(under / (over + under), interpolation="higher").item()


@wrong("best_quantile", "the place is rounded to the nearest")
def nearest_quantile(values, over, under):
    return values.quantile(under / (over + under), interpolation="nearest").item()


@wrong("best_quantile", "a half up, so it is too high")
def rounded_half_up(values, over, under):
    return values.sort().values[int((len(values) - 1) * under / (over + under) + 0.5)].item()


@wrong("best_quantile", "halfway between two values")
def midpoint(values, over, under):
    return values.quantile(under / (over + under), interpolation="midpoint").item()


@wrong("best_quantile", "the largest cost is made as small as possible")
def smallest_of_the_largest(values, over, under):
    return min(values, key=lambda guess: torch.maximum(over * (guess - values), under * (values - guess)).max())


@wrong("best_quantile", "has the smallest cost\n      expected")
def moved_by_the_prices(values, over, under):
    place = int(len(values) / 2 + (under - over) / 2)
    return values.sort().values[min(len(values) - 1, max(0, place))].item()


@wrong("best_quantile", "not under / over")
def ratio_of_the_prices(values, over, under):
    return values.sort().values[min(math.ceil(len(values) * under / over), len(values)) - 1].item()


@wrong("best_quantile", "the errors are squared, and the best of the values is taken")
def best_value_for_squares(values, over, under):
    def cost(guess):
        errors = guess - values
        return (torch.where(errors > 0, over, under) * errors**2).mean()

    return min(values.tolist(), key=cost)


@wrong("best_quantile", "but not near enough")
def best_of_a_thousand(values, over, under):
    guesses = torch.linspace(values.min(), values.max(), 1000)
    return min(guesses, key=lambda guess: lopsided(values, guess, over, under))


@wrong("best_quantile", "equal values count once")
def quantile_of_different_values(values, over, under):
    return by_counting(values.unique(), over, under)


@wrong("best_quantile", "it is never below 0")
def searched_from_zero(values, over, under):
    return max(by_counting(values, over, under), 0.0)


@wrong("best_quantile", "among the values as they came")
def place_as_they_came(values, over, under):
    return values.tolist().index(by_counting(values, over, under))


@wrong("best_quantile", "the prices are swapped, or the values are sorted downwards")
def sorted_downwards(values, over, under):
    rank = math.ceil(len(values) * under / (over + under))
    return values.sort(descending=True).values[rank - 1].item()


@wrong("repaired_loss", "at visible places x is compared with 0")
def output_masked_alone(y, x, article_mask):
    hidden = 1 - article_mask
    return (y * hidden - x).square().sum() / hidden.sum()


@wrong("repaired_loss", "square each of them")
def squared_sum_of_the_article(y, x, article_mask):
    hidden = 1 - article_mask
    return ((y - x) * hidden).sum() ** 2 / hidden.sum()


@wrong("image_vote_gradient", "patches x channels of each image")
def vote_by_patches_and_channels(prediction, target, mask):
    count = mask.sum((1, 2))[:, None, None, None] * target.shape[1]
    return (2 * (prediction - target) / count / len(mask)).masked_fill(~enlarged(target, mask), 0)


def normalised_by(deviation, returned=None):
    """The answer that divides by `deviation(patches)`, and returns it or something else as the deviations."""

    def answer(patches):
        mean, std = patches.mean(1, keepdim=True), deviation(patches)
        return (patches - mean) / std, mean, returned(patches) if returned else std

    return answer


def deviation(patches):
    return (patches.var(1, keepdim=True) + 1e-6).sqrt()


def from_squares(patches):
    d = patches.shape[1]
    variance = patches.square().mean(1, keepdim=True) - patches.mean(1, keepdim=True) ** 2
    return (variance * d / (d - 1) + 1e-6).sqrt()


for says, of in {
    "subtract the mean first, then square": (from_squares,),
    "the root is taken twice": (lambda patches: (patches.std(1, keepdim=True) + 1e-6).sqrt(),),
    "1e-6 is added once more": (lambda patches: deviation(patches) + 1e-6, deviation),
    "nothing is added to the variance": (deviation, lambda patches: patches.std(1, keepdim=True)),
}.items():
    wrong("normalize_patches", says)(normalised_by(*of))


def halved_between(low, high, pull):
    """The answer that halves an interval where the pulls have the other sign."""

    def answer(values):
        start, end = (edge(values) if callable(edge) else edge for edge in (low, high))
        for _ in range(60):
            middle = (start + end) / 2
            start, end = (middle, end) if pull(values - middle).sum() > 0 else (start, middle)
        return float(middle)

    return answer


def usual_pull(errors):
    return errors.clamp(-1, 1)


for says, of in {
    "is right for values far from 0 it is too near 0": (-1000.0, 1000.0, usual_pull),
    "does the search end too soon, or at a fixed limit?": (-100.0, 100.0, usual_pull),
    "it pulls with all of it": (torch.min, torch.max, lambda e: torch.where(e.abs() < 1, e / 2, e.sign())),
    "or do all far values pull up?": (torch.min, torch.max, lambda e: torch.where(e.abs() < 1, e, 1.0)),
    "far values do not pull": (torch.min, torch.max, lambda e: torch.where(e.abs() < 1, e, 0.0)),
}.items():
    wrong("best_smooth_l1", says)(halved_between(*of))


def walk_from_0(steps, rate):
    """The answer that walks so many steps from 0."""

    def answer(values):
        place = torch.zeros(())
        for _ in range(steps):
            place = place + rate * (values - place).clamp(-1, 1).mean()
        return place

    return answer


wrong("best_smooth_l1", "is where all pulls cancel it is too near 0")(walk_from_0(200, 0.01))
wrong("best_smooth_l1", "is right for values far from 0 it is too near 0")(walk_from_0(300, 0.5))


@wrong("masked_mse", "errors of 0 are left out")
def mean_of_errors_above_0(prediction, target, mask):
    errors = hidden_errors(prediction, target, mask)
    return errors[errors != 0].square().sum() / (errors.count_nonzero() + 1e-5)


@wrong("weighted_l1", "errors of 0 are left out")
def weights_of_errors_above_0(prediction, target, mask, weight):
    sizes, weight = hidden_sizes(prediction, target, mask), weight[:, None]
    return (weight * sizes).sum() / ((weight * (sizes > 0)).sum() + 1e-5)


@wrong("loss_gradient", "errors of 0 are left out")
def pull_of_errors_above_0(prediction, target, mask):
    errors = hidden_errors(prediction, target, mask)
    return 2 * errors / errors.count_nonzero().clamp(min=1)


@wrong("image_vote_gradient", "errors of 0 are left out")
def votes_of_errors_above_0(prediction, target, mask):
    errors = hidden_errors(prediction, target, mask)
    counts = (errors != 0).sum((1, 2, 3), keepdim=True).clamp(min=1)
    return 2 * errors / counts / len(errors)


@wrong("repaired_loss", "errors of 0 are left out")
def repaired_for_errors_above_0(y, x, article_mask):
    errors = (y - x) * (1 - article_mask)
    return errors.square().sum() / errors.count_nonzero()
