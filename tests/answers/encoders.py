"""Answers to the exercises on encoders (lesson 02)."""

import math

import torch
import torch.nn.functional as F
from einops import rearrange, repeat

from answers import right, wrong

# receptive_field


@right("receptive_field")
def forwards(layers):
    field, jump = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * jump
        jump *= stride
    return field


@right("receptive_field")
def backwards(layers):
    field = 1
    for kernel, stride in reversed(layers):
        field = (field - 1) * stride + kernel
    return field


@right("receptive_field")
def as_sets(layers):
    seen = {0}
    for kernel, stride in layers[::-1]:
        seen = {i * stride + step for i in seen for step in range(kernel)}
    return max(seen) - min(seen) + 1


@right("receptive_field")
def with_products(layers):
    return 1 + sum((k - 1) * math.prod(s for _, s in layers[:i]) for i, (k, _) in enumerate(layers))


@wrong("receptive_field", "no stride is counted")
def strides_forgotten(layers):
    return 1 + sum(kernel - 1 for kernel, _ in layers)


@wrong("receptive_field", "the kernels are added up")
def kernels_added(layers):
    return sum(kernel for kernel, _ in layers)


@wrong("receptive_field", "the kernels are multiplied")
def kernels_multiplied(layers):
    return math.prod(kernel for kernel, _ in layers)


@wrong("receptive_field", "a layer adds `kernel` steps")
def whole_kernel(layers):
    field, jump = 1, 1
    for kernel, stride in layers:
        field += kernel * jump
        jump *= stride
    return field


@wrong("receptive_field", "the field starts at 0")
def from_zero(layers):
    return forwards(layers) - 1


@wrong("receptive_field", "a stride counts too early")
def stride_first(layers):
    field, jump = 1, 1
    for kernel, stride in layers:
        jump *= stride
        field += (kernel - 1) * jump
    return field


@wrong("receptive_field", "one layer too late")
def stride_late(layers):
    field, jump, before = 1, 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * jump
        jump *= before
        before = stride
    return field


@wrong("receptive_field", "replaces the jump")
def stride_replaces(layers):
    field, jump = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * jump
        jump = stride
    return field


@wrong("receptive_field", "the strides are added up")
def strides_added(layers):
    field, jump = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * jump
        jump += stride
    return field


@wrong("receptive_field", "this is the jump")
def the_jump(layers):
    return math.prod(stride for _, stride in layers)


@wrong("receptive_field", "wrong order")
def reversed_layers(layers):
    return forwards(layers[::-1])


@wrong("receptive_field", "must go from the last layer to the first")
def backward_formula_forwards(layers):
    return backwards(layers[::-1])


@wrong("receptive_field", "this is the area")
def area(layers):
    return forwards(layers) ** 2


@wrong("receptive_field", "return the field alone")
def field_and_jump(layers):
    return forwards(layers), math.prod(stride for _, stride in layers)


@right("receptive_field")
def by_the_gradient(layers):
    pixels = torch.zeros(1, 1, 1000, requires_grad=True)
    outputs = pixels
    for kernel, stride in layers:
        outputs = F.conv1d(outputs, torch.ones(1, 1, kernel), stride=stride)
    outputs[0, 0, 0].backward()
    return int(pixels.grad.count_nonzero())


@right("receptive_field")
class Windows:
    """Called, it follows the first and the last pixel of the window."""

    def __new__(cls, layers):
        return cls.end(layers[::-1], 0, 0)

    @staticmethod
    def end(layers, first, last):
        if not layers:
            return last - first + 1
        (kernel, stride), *rest = layers
        return Windows.end(rest, first * stride, last * stride + kernel - 1)


@wrong("receptive_field", "this is one pixel too many")
def from_two(layers):
    return forwards(layers) + 1


@wrong("receptive_field", "an even kernel is taken for one longer")
def symmetric(layers):
    field, jump = 1, 1
    for kernel, stride in layers:
        field += 2 * (kernel // 2) * jump
        jump *= stride
    return field


@wrong("receptive_field", "kernel and stride are swapped")
def strides_for_kernels(layers):
    return forwards([(stride, kernel) for kernel, stride in layers])


@wrong("receptive_field", "the kernels are multiplied")
def jump_of_kernels(layers):
    field, jump = 1, 1
    for kernel, _ in layers:
        field += (kernel - 1) * jump
        jump *= kernel
    return field


@wrong("receptive_field", "the first layer is not counted")
def without_the_first(layers):
    return forwards(layers[1:])


@wrong("receptive_field", "the last layer is not counted")
def without_the_last(layers):
    return forwards(layers[:-1])


@wrong("receptive_field", "how far it sees to one side")
def radius(layers):
    return forwards(layers) // 2


@wrong("receptive_field", "changes its input in place")
def taken_apart(layers):
    field = 1
    while layers:
        kernel, stride = layers.pop()
        field = (field - 1) * stride + kernel
    return field


@wrong("receptive_field", "expected")
def four_layers_only(layers):
    return forwards(layers[:4])


# blind_rows


@right("blind_rows")
def cell_by_cell(height, field, stride):
    below = (field - stride) // 2
    blind = 0
    for cell in range(height // stride):
        lowest = stride * cell + stride - 1 + below
        if lowest < height // 2:
            blind += stride
    return blind


@right("blind_rows")
def by_formula(height, field, stride):
    return max(0, (height // 2 - (field - stride) // 2) // stride) * stride


@right("blind_rows")
def row_by_row(height, field, stride):
    seen = [row // stride * stride + stride + (field - stride) // 2 for row in range(height)]
    return sum(end <= height // 2 for end in seen)


@wrong("blind_rows", "that is negative")
def negative(height, field, stride):
    return (height // 2 - (field - stride) // 2) // stride * stride


@wrong("blind_rows", "all hidden rows are counted")
def all_hidden(height, field, stride):
    return height // 2


@wrong("blind_rows", "rows are counted one by one")
def single_rows(height, field, stride):
    return max(0, height // 2 - (field - stride) // 2)


@wrong("blind_rows", "cells are counted, not rows")
def cells(height, field, stride):
    return by_formula(height, field, stride) // stride


@wrong("blind_rows", "the hidden rows that do see something")
def seeing(height, field, stride):
    return height // 2 - by_formula(height, field, stride)


@wrong("blind_rows", "only the last cell is taken as seeing")
def one_cell(height, field, stride):
    return height // 2 - stride


@wrong("blind_rows", "is it one off?")
def off_by_one(height, field, stride):
    lows = [stride * cell + stride + (field - stride) // 2 for cell in range(height // stride)]
    return stride * sum(low < height // 2 for low in lows)


@wrong("blind_rows", "of which only some rows fit")
def rounded_up(height, field, stride):
    return max(0, math.ceil((height // 2 - (field - stride) // 2) / stride)) * stride


@wrong("blind_rows", "only the others below")
def not_halved(height, field, stride):
    return max(0, (height // 2 - (field - stride)) // stride) * stride


@wrong("blind_rows", "the cell lies inside it")
def field_below(height, field, stride):
    return max(0, (height // 2 - field) // stride) * stride


@wrong("blind_rows", "half of the field is counted from the last row")
def half_field(height, field, stride):
    return max(0, (height // 2 - field // 2) // stride) * stride


@wrong("blind_rows", "the whole image is taken as hidden")
def whole_image(height, field, stride):
    return (height - (field - stride) // 2) // stride * stride


@right("blind_rows")
def by_pooling_the_mask(height, field, stride):
    more = (field - stride) // 2
    visible = torch.cat([torch.zeros(height // 2), torch.ones(height // 2), torch.zeros(0)])
    seen = F.max_pool1d(F.pad(visible, (more, more))[None], field, stride).flatten()
    return int((seen == 0).sum() * stride)


@right("blind_rows")
def with_sets(height, field, stride):
    hidden, blind = set(range(height // 2)), 0
    for top in range(0, height, stride):
        middle = top + (stride - 1) / 2
        seen = {row for row in range(height) if abs(row - middle) <= (field - 1) / 2}
        blind += stride if seen <= hidden else 0
    return blind


@wrong("blind_rows", "a cell counts as blind when it sees the first visible row")
def one_row_too_late(height, field, stride):
    lows = [stride * cell + stride + (field - stride) // 2 for cell in range(height // stride)]
    return stride * sum(low <= height // 2 + 1 for low in lows)


@wrong("blind_rows", "as if the cell were a single row")
def around_one_row(height, field, stride):
    return max(0, (height // 2 - (field - 1) // 2) // stride * stride)


@wrong("blind_rows", "expected")
def some_field_needed(height, field, stride):
    return by_formula(height, field, stride) if field > stride else 0


@wrong("blind_rows", "expected")
def even_strides_only(height, field, stride):
    return by_formula(height, field // 2 * 2, stride // 2 * 2 or 2)


# insert_mask_token


@right("insert_mask_token")
def with_where(embedded, mask, token, positions):
    return torch.where(mask.flatten(1)[..., None], token, embedded) + positions


@right("insert_mask_token")
def as_official(embedded, mask, token, positions):
    weight = rearrange(mask, "b rows cols -> b (rows cols) 1").type_as(embedded)
    return embedded * (1 - weight) + token * weight + positions


@right("insert_mask_token")
def token_by_token(embedded, mask, token, positions):
    tokens = embedded.clone()
    for image, hidden in enumerate(mask.flatten(1)):
        for place in range(len(hidden)):
            if hidden[place]:
                tokens[image, place] = token
    return tokens + positions


@right("insert_mask_token")
def by_index(embedded, mask, token, positions):
    tokens = embedded + positions
    hidden = mask.reshape(len(mask), -1)
    tokens[hidden] = (token + repeat(positions, "n d -> b n d", b=len(mask)))[hidden]
    return tokens


@wrong("insert_mask_token", "first the token, then positions")
def token_last(embedded, mask, token, positions):
    return torch.where(mask.flatten(1)[..., None], token, embedded + positions)


@wrong("insert_mask_token", "first the token, then positions")
def positions_where_visible(embedded, mask, token, positions):
    hidden = mask.flatten(1)[..., None]
    return torch.where(hidden, token, embedded) + positions * ~hidden


@wrong("insert_mask_token", "the mask is inverted")
def inverted(embedded, mask, token, positions):
    return with_where(embedded, ~mask, token, positions)


@wrong("insert_mask_token", "so they stay")
def added(embedded, mask, token, positions):
    return embedded + mask.flatten(1)[..., None] * token + positions


@wrong("insert_mask_token", "set to zero")
def zeros(embedded, mask, token, positions):
    return embedded.masked_fill(mask.flatten(1)[..., None], 0) + positions


@wrong("insert_mask_token", "to the visible tokens too")
def token_for_all(embedded, mask, token, positions):
    return embedded * ~mask.flatten(1)[..., None] + token + positions


@wrong("insert_mask_token", "no positions are added")
def no_positions(embedded, mask, token, positions):
    return torch.where(mask.flatten(1)[..., None], token, embedded)


@wrong("insert_mask_token", "to hidden tokens only")
def positions_where_hidden(embedded, mask, token, positions):
    return torch.where(mask.flatten(1)[..., None], token + positions, embedded)


@wrong("insert_mask_token", "added twice to visible")
def positions_twice(embedded, mask, token, positions):
    return with_where(embedded + positions, mask, token, positions)


@wrong("insert_mask_token", "the mask of the first image is used for all")
def first_mask(embedded, mask, token, positions):
    return torch.where(mask[0].flatten()[:, None], token, embedded) + positions


@wrong("insert_mask_token", "column by column")
def transposed_mask(embedded, mask, token, positions):
    return with_where(embedded, mask.mT, token, positions)


@wrong("insert_mask_token", "no embedding is replaced")
def nothing_hidden(embedded, mask, token, positions):
    return embedded + positions


@wrong("insert_mask_token", "changes its input in place")
def in_place(embedded, mask, token, positions):
    embedded[mask.flatten(1)] = token
    return embedded + positions


@wrong("insert_mask_token", "the tokens have one axis for both")
def on_the_grid(embedded, mask, token, positions):
    return with_where(embedded, mask, token, positions).unflatten(1, mask.shape[1:])


@wrong("insert_mask_token", "other embeddings in hidden places changed the result")
def half_hidden(embedded, mask, token, positions):
    hidden = mask.flatten(1)[..., None]
    return torch.where(hidden, (embedded + token) / 2, embedded) + positions


@right("insert_mask_token")
class Tokens:
    """A class that is called like a function; it computes in 64 bits."""

    def __new__(cls, embedded, mask, token, positions):
        tokens = embedded.double()
        tokens = tokens.lerp(token.double().expand_as(tokens), mask.flatten(1)[..., None].double())
        return (tokens + positions).float()


@wrong("insert_mask_token", "works on a batch of one")
def squeezed(embedded, mask, token, positions):
    return with_where(embedded, mask, token, positions).squeeze(0)


@wrong("insert_mask_token", "no gradient reaches argument 3")
def token_without_gradient(embedded, mask, token, positions):
    return with_where(embedded, mask, token.detach(), positions)


@wrong("insert_mask_token", "no gradient reaches argument 4")
def positions_without_gradient(embedded, mask, token, positions):
    return with_where(embedded, mask, token, positions.data)


@wrong("insert_mask_token", "the result has no gradient")
def by_numpy(embedded, mask, token, positions):
    return torch.from_numpy(with_where(embedded, mask, token, positions).detach().numpy())


@wrong("insert_mask_token", "positions are read column by column")
def positions_upright(embedded, mask, token, positions):
    upright = rearrange(positions, "(cols rows) d -> (rows cols) d", rows=mask.shape[1])
    return with_where(embedded, mask, token, upright)


@wrong("insert_mask_token", "the same call gave another result")
def random_token(embedded, mask, token, positions):
    return with_where(embedded, mask, torch.rand_like(token), positions)


@wrong("insert_mask_token", "every embedding is replaced")
def all_hidden_tokens(embedded, mask, token, positions):
    return (token + positions).expand_as(embedded)


@wrong("insert_mask_token", "positions are subtracted")
def minus_positions(embedded, mask, token, positions):
    return with_where(embedded, mask, token, -positions)


@wrong("insert_mask_token", "right when nothing is hidden")
def some_hidden_needed(embedded, mask, token, positions):
    return with_where(embedded, mask if mask.any() else ~mask, token, positions)


# attention


@right("attention")
def with_softmax(queries, keys, values, bias):
    scores = queries @ keys.mT / queries.shape[-1] ** 0.5 + bias
    return scores.softmax(dim=-1) @ values


@right("attention")
def fused(queries, keys, values, bias):
    return F.scaled_dot_product_attention(queries[None], keys[None], values[None], bias[None])[0]


@right("attention")
@torch.compile
def with_einsum(queries, keys, values, bias):
    scores = torch.einsum("h q d, h k d -> h q k", queries / math.sqrt(queries.size(2)), keys) + bias
    weights = (scores - scores.amax(2, keepdim=True)).exp()
    return torch.einsum("h q k, h k d -> h q d", weights / weights.sum(2, keepdim=True), values)


@right("attention")
def with_loops(queries, keys, values, bias):
    outputs = torch.empty_like(values)
    for head in range(len(queries)):
        for i, query in enumerate(queries[head]):
            scores = torch.stack([query @ key for key in keys[head]]) / len(query) ** 0.5 + bias[head, i]
            outputs[head, i] = sum(w * v for w, v in zip(scores.softmax(0), values[head], strict=True))
    return outputs


@wrong("attention", "not divided by the root of dim")
def no_scale(queries, keys, values, bias):
    return (queries @ keys.mT + bias).softmax(-1) @ values


@wrong("attention", "divided by dim instead of its root")
def scaled_by_dim(queries, keys, values, bias):
    return (queries @ keys.mT / queries.shape[-1] + bias).softmax(-1) @ values


@wrong("attention", "multiplied by the root of dim")
def scaled_up(queries, keys, values, bias):
    return (queries @ keys.mT * queries.shape[-1] ** 0.5 + bias).softmax(-1) @ values


@wrong("attention", "of the number of tokens, not of dim")
def scaled_by_tokens(queries, keys, values, bias):
    return (queries @ keys.mT / queries.shape[1] ** 0.5 + bias).softmax(-1) @ values


@wrong("attention", "of the number of heads, not of dim")
def scaled_by_heads(queries, keys, values, bias):
    return (queries @ keys.mT / len(queries) ** 0.5 + bias).softmax(-1) @ values


@wrong("attention", "divided by the norm of the query")
def scaled_by_norm(queries, keys, values, bias):
    return (queries @ keys.mT / queries.norm(dim=-1, keepdim=True).clamp(min=1e-8) + bias).softmax(-1) @ values


@wrong("attention", "is something divided by 0")
def scaled_by_bare_norm(queries, keys, values, bias):
    return (queries @ keys.mT / queries.norm(dim=-1, keepdim=True) + bias).softmax(-1) @ values


@wrong("attention", "the bias is divided too")
def bias_scaled(queries, keys, values, bias):
    return ((queries @ keys.mT + bias) / queries.shape[-1] ** 0.5).softmax(-1) @ values


@wrong("attention", "softmax runs over the queries")
def over_queries(queries, keys, values, bias):
    return (queries @ keys.mT / queries.shape[-1] ** 0.5 + bias).softmax(1) @ values


@wrong("attention", "softmax runs over the heads")
def over_heads(queries, keys, values, bias):
    return (queries @ keys.mT / queries.shape[-1] ** 0.5 + bias).softmax(0) @ values


@wrong("attention", "the bias is added after softmax")
def bias_late(queries, keys, values, bias):
    return ((queries @ keys.mT / queries.shape[-1] ** 0.5).softmax(-1) + bias) @ values


@wrong("attention", "the bias is missing")
def no_bias(queries, keys, values, bias):
    return with_softmax(queries, keys, values, 0)


@wrong("attention", "the bias is subtracted")
def minus_bias(queries, keys, values, bias):
    return with_softmax(queries, keys, values, -bias)


@wrong("attention", "the bias of the first head")
def first_bias(queries, keys, values, bias):
    return with_softmax(queries, keys, values, bias[0])


@wrong("attention", "the bias is transposed")
def bias_transposed(queries, keys, values, bias):
    return with_softmax(queries, keys, values, bias.mT)


@wrong("attention", "there is no softmax")
def no_softmax(queries, keys, values, bias):
    return (queries @ keys.mT / queries.shape[-1] ** 0.5 + bias) @ values


@wrong("attention", "keys and values are swapped")
def keys_for_values(queries, keys, values, bias):
    return with_softmax(queries, values, keys, bias)


@wrong("attention", "queries and keys are swapped")
def keys_ask(queries, keys, values, bias):
    return with_softmax(keys, queries, values, bias)


@wrong("attention", "the weights are transposed")
def weights_transposed(queries, keys, values, bias):
    return (queries @ keys.mT / queries.shape[-1] ** 0.5 + bias).softmax(-1).mT @ values


@wrong("attention", "too large for a float")
def bare_exp(queries, keys, values, bias):
    weights = (queries @ keys.mT / queries.shape[-1] ** 0.5 + bias).exp()
    return weights / weights.sum(-1, keepdim=True) @ values


@wrong("attention", "divide by their sum")
def not_normalised(queries, keys, values, bias):
    return (queries @ keys.mT / queries.shape[-1] ** 0.5 + bias).exp() @ values


@wrong("attention", "these are the weights: the values are missing")
def only_weights(queries, keys, values, bias):
    return (queries @ keys.mT / queries.shape[-1] ** 0.5 + bias).softmax(-1)


class Attention:
    """An object that is called like a function; it computes in 64 bits."""

    __name__ = "Attention"

    def __call__(self, queries, keys, values, bias):
        queries, keys, values = queries.double(), keys.double(), values.double()
        scores = torch.baddbmm(bias.double(), queries, keys.mT, alpha=queries.size(-1) ** -0.5)
        return (torch.softmax(scores, 2) @ values).to(bias.dtype)


right("attention")(Attention())


@right("attention")
def by_logarithms(queries, keys, values, bias):
    scores = torch.einsum("hqd,hkd->hqk", queries, keys) / math.sqrt(queries.shape[2]) + bias
    return torch.exp(scores - scores.logsumexp(2, keepdim=True)) @ values


@wrong("attention", "`exp` of 100 is too large")
def clamped_from_above(queries, keys, values, bias):
    weights = (queries @ keys.mT / queries.shape[-1] ** 0.5 + bias).clamp(max=80).exp()
    return weights / weights.sum(-1, keepdim=True) @ values


@wrong("attention", "is right for very large and very negative scores")
def clamped(queries, keys, values, bias):
    return (queries @ keys.mT / queries.shape[-1] ** 0.5 + bias).clamp(-50, 50).softmax(-1) @ values


@wrong("attention", "divided by half of dim")
def scaled_by_half(queries, keys, values, bias):
    return (queries @ keys.mT / (queries.shape[-1] / 2) + bias).softmax(-1) @ values


@wrong("attention", "divided by their norms")
def cosines(queries, keys, values, bias):
    queries, keys = F.normalize(queries, dim=-1), F.normalize(keys, dim=-1)
    return (queries @ keys.mT + bias).softmax(-1) @ values


@wrong("attention", "softmax runs over all pairs of a head")
def over_all_pairs(queries, keys, values, bias):
    scores = queries @ keys.mT / queries.shape[-1] ** 0.5 + bias
    return scores.flatten(1).softmax(1).view_as(scores) @ values


@wrong("attention", "a sigmoid is taken instead of softmax")
def with_sigmoid(queries, keys, values, bias):
    return (queries @ keys.mT / queries.shape[-1] ** 0.5 + bias).sigmoid() @ values


@wrong("attention", "later keys are not seen")
def causal(queries, keys, values, bias):
    scores = queries @ keys.mT / queries.shape[-1] ** 0.5 + bias
    return (scores + torch.full_like(bias, -torch.inf).triu(1)).softmax(-1) @ values


@wrong("attention", "the heads are averaged")
def mean_of_heads(queries, keys, values, bias):
    return with_softmax(queries, keys, values, bias).mean(0, keepdim=True).expand_as(values)


@wrong("attention", "RuntimeError")
def all_axes_reversed(queries, keys, values, bias):
    return (queries @ keys.permute(2, 1, 0) / queries.shape[-1] ** 0.5 + bias).softmax(-1) @ values


@wrong("attention", "takes a single head")
def squeezed_heads(queries, keys, values, bias):
    return with_softmax(queries, keys, values, bias).squeeze()


@wrong("attention", "the result has no gradient")
def without_gradient(queries, keys, values, bias):
    with torch.no_grad():
        return with_softmax(queries, keys, values, bias)


@wrong("attention", "no gradient reaches argument 4")
def bias_without_gradient(queries, keys, values, bias):
    return with_softmax(queries, keys, values, bias.data)


@wrong("attention", "changes its input in place")
def bias_in_place(queries, keys, values, bias):
    bias += queries @ keys.mT / queries.shape[-1] ** 0.5
    return bias.softmax(-1) @ values


# relative_index


@right("relative_index")
def with_offsets(rows, cols):
    row, col = torch.arange(rows).repeat_interleave(cols), torch.arange(cols).repeat(rows)
    down, to_the_right = row[:, None] - row[None, :], col[:, None] - col[None, :]
    return (down + rows - 1) * (2 * cols - 1) + to_the_right + cols - 1


@right("relative_index")
def pair_by_pair(rows, cols):
    index = []
    for query in range(rows * cols):
        for key in range(rows * cols):
            down, to_the_right = query // cols - key // cols, query % cols - key % cols
            index.append((down + rows - 1) * (2 * cols - 1) + to_the_right + cols - 1)
    return torch.tensor(index).view(rows * cols, rows * cols)


@right("relative_index")
def looked_up(rows, cols):
    numbers = torch.arange((2 * rows - 1) * (2 * cols - 1)).view(2 * rows - 1, 2 * cols - 1)
    place = torch.cartesian_prod(torch.arange(rows), torch.arange(cols))
    down, to_the_right = (place[:, None] - place).unbind(-1)
    return numbers[down + rows - 1, to_the_right + cols - 1]


def offsets(rows, cols):
    """Offsets of rows and of columns for all pairs, query minus key."""
    token = torch.arange(rows * cols)
    row, col = token // cols, token % cols
    return row[:, None] - row, col[:, None] - col


@wrong("relative_index", "the signs are turned: an offset is query minus key")
def key_minus_query(rows, cols):
    return with_offsets(rows, cols).mT


@wrong("relative_index", "it would count from the end of the table")
def not_shifted(rows, cols):
    down, to_the_right = offsets(rows, cols)
    return down * (2 * cols - 1) + to_the_right


@wrong("relative_index", "the offsets are not shifted")
def not_shifted_named(rows, cols):
    return not_shifted(rows, cols)


@wrong("relative_index", "the offsets of rows are not shifted")
def rows_not_shifted(rows, cols):
    down, to_the_right = offsets(rows, cols)
    return down * (2 * cols - 1) + to_the_right + cols - 1


@wrong("relative_index", "the offsets of columns are not shifted")
def cols_not_shifted(rows, cols):
    down, to_the_right = offsets(rows, cols)
    return (down + rows - 1) * (2 * cols - 1) + to_the_right


@wrong("relative_index", "the factor is 2 rows - 1")
def factor_rows(rows, cols):
    down, to_the_right = offsets(rows, cols)
    return (down + rows - 1) * (2 * rows - 1) + to_the_right + cols - 1


@wrong("relative_index", "as in a difference of token numbers")
def difference_of_tokens(rows, cols):
    token = torch.arange(rows * cols)
    return token[:, None] - token + rows * cols - 1


@wrong("relative_index", "a row counts as cols")
def factor_cols(rows, cols):
    down, to_the_right = offsets(rows, cols)
    return (down + rows - 1) * cols + to_the_right + cols - 1


@wrong("relative_index", "the factor is 2 cols")
def factor_two_cols(rows, cols):
    down, to_the_right = offsets(rows, cols)
    return (down + rows - 1) * 2 * cols + to_the_right + cols - 1


@wrong("relative_index", "there is no factor")
def no_factor(rows, cols):
    down, to_the_right = offsets(rows, cols)
    return down + rows - 1 + to_the_right + cols - 1


@wrong("relative_index", "one too many")
def shifted_too_far(rows, cols):
    down, to_the_right = offsets(rows, cols)
    return (down + rows) * (2 * cols - 1) + to_the_right + cols


@wrong("relative_index", "rows and columns are swapped")
def columns_first(rows, cols):
    down, to_the_right = offsets(rows, cols)
    return (to_the_right + cols - 1) * (2 * rows - 1) + down + rows - 1


@wrong("relative_index", "the tokens are numbered column by column")
def column_by_column(rows, cols):
    row, col = torch.arange(rows).repeat(cols), torch.arange(cols).repeat_interleave(rows)
    down, to_the_right = row[:, None] - row, col[:, None] - col
    return (down + rows - 1) * (2 * cols - 1) + to_the_right + cols - 1


@wrong("relative_index", "the sign of an offset is lost")
def absolute(rows, cols):
    down, to_the_right = offsets(rows, cols)
    return down.abs() * (2 * cols - 1) + to_the_right.abs()


@wrong("relative_index", "expected whole numbers, got real numbers")
def real_numbers(rows, cols):
    return with_offsets(rows, cols).float()


@wrong("relative_index", "pairs with the same offset have different numbers")
def one_for_each_pair(rows, cols):
    return torch.arange((rows * cols) ** 2).view(rows * cols, rows * cols)


@wrong("relative_index", "left and right share a bias")
def distances(rows, cols):
    down, to_the_right = offsets(rows, cols)
    return down.abs() * cols + to_the_right.abs()


@wrong("relative_index", "different offsets share a number")
def columns_only(rows, cols):
    return offsets(rows, cols)[1] + cols - 1


@right("relative_index")
def with_tables(rows, cols):
    down = torch.arange(rows).flip(0).repeat_interleave(cols)
    numbers = torch.zeros(rows * cols, rows * cols, dtype=torch.int32)
    for query in range(rows * cols):
        row, col = divmod(query, cols)
        right_of = torch.arange(cols).flip(0).repeat(rows)
        numbers[query] = (row + down) * (2 * cols - 1) + col + right_of
    return numbers


@right("relative_index")
def as_the_official_code(rows, cols):
    coords = torch.stack(torch.meshgrid(torch.arange(rows), torch.arange(cols), indexing="ij")).flatten(1)
    relative = (coords[:, :, None] - coords[:, None, :]).permute(1, 2, 0).contiguous()
    relative += torch.tensor([rows - 1, cols - 1])
    relative[:, :, 0] *= 2 * cols - 1
    return relative.sum(-1)


@wrong("relative_index", "the sign of columns is turned")
def key_minus_query_in_cols(rows, cols):
    down, to_the_right = offsets(rows, cols)
    return (down + rows - 1) * (2 * cols - 1) - to_the_right + cols - 1


@wrong("relative_index", "the factor is 2 cols + 1")
def factor_too_large(rows, cols):
    down, to_the_right = offsets(rows, cols)
    return (down + rows - 1) * (2 * cols + 1) + to_the_right + cols - 1


@wrong("relative_index", "the numbers start at 1")
def from_one(rows, cols):
    return with_offsets(rows, cols) + 1


# taken_for_hidden


@right("taken_for_hidden")
def with_einops(images, mask):
    rows, cols = mask.shape[1:]
    patches = rearrange(images, "b c (rows p) (cols q) -> b rows cols (c p q)", rows=rows, cols=cols)
    return (patches == 0).all(dim=-1) & ~mask


@right("taken_for_hidden")
def by_pooling(images, mask):
    size = images.shape[-1] // mask.shape[-1]
    brightest = F.max_pool2d(images, size).amax(1)
    return (brightest == 0).logical_and(mask.logical_not())


@right("taken_for_hidden")
def by_hiding(images, mask):
    found = torch.zeros_like(mask)
    size = images.shape[-1] // mask.shape[-1]
    for n, row, col in (~mask).nonzero().tolist():
        found[n, row, col] = not images[n, :, row * size : (row + 1) * size, col * size : (col + 1) * size].any()
    return found


def zeros_of(images, mask):
    """Bool (batch, rows, cols, channels, pixels): the values that are 0."""
    rows, cols = mask.shape[1:]
    return rearrange(images == 0, "b c (rows p) (cols q) -> b rows cols c (p q)", rows=rows, cols=cols)


@wrong("taken_for_hidden", "hidden patches are among them")
def all_zeros_of_the_input(images, mask):
    size = images.shape[-1] // mask.shape[-1]
    hidden = repeat(mask, "b rows cols -> b 1 (rows p) (cols q)", p=size, q=size)
    return zeros_of(images * ~hidden, mask).flatten(3).all(-1)


@wrong("taken_for_hidden", "black patches that are hidden")
def all_black(images, mask):
    return zeros_of(images, mask).flatten(3).all(-1)


@wrong("taken_for_hidden", "the mask is inverted")
def hidden_black(images, mask):
    return zeros_of(images, mask).flatten(3).all(-1) & mask


@wrong("taken_for_hidden", "one black pixel is enough")
def any_pixel(images, mask):
    return zeros_of(images, mask).all(3).any(-1) & ~mask


@wrong("taken_for_hidden", "one value of 0 is enough")
def any_value(images, mask):
    return zeros_of(images, mask).flatten(3).any(-1) & ~mask


@wrong("taken_for_hidden", "one empty channel is enough")
def any_channel(images, mask):
    return zeros_of(images, mask).all(-1).any(-1) & ~mask


@wrong("taken_for_hidden", "only the red channel")
def red_only(images, mask):
    return with_einops(images[:, :1], mask)


@wrong("taken_for_hidden", "only the green channel is looked at")
def green_only(images, mask):
    return with_einops(images[:, 1:2], mask)


@wrong("taken_for_hidden", "only the blue channel is looked at")
def blue_only(images, mask):
    return with_einops(images[:, 2:], mask)


@wrong("taken_for_hidden", "one pixel stands for its patch")
def first_pixel(images, mask):
    return (F.interpolate(images, mask.shape[1:]) == 0).all(1) & ~mask


@wrong("taken_for_hidden", "must match the size")
def tiles_of_four(images, mask):
    return (F.max_pool2d(images, 4).amax(1) == 0) & ~mask


@wrong("taken_for_hidden", "you look at squares of 4 x 4 pixels, but it is height / rows")
def steps_of_four(images, mask):
    found = torch.zeros_like(mask)
    for n, row, col in (~mask).nonzero().tolist():
        found[n, row, col] = not images[n, :, row * 4 : (row + 1) * 4, col * 4 : (col + 1) * 4].any()
    return found


@wrong("taken_for_hidden", "a 0 in some channel")
def product_of_channels(images, mask):
    return zeros_of(images.prod(1, keepdim=True), mask).flatten(3).all(-1) & ~mask


@wrong("taken_for_hidden", "a nearly black patch")
def dark(images, mask):
    return with_einops((images * 100).floor() / 100, mask)


@wrong("taken_for_hidden", "all visible patches are found")
def visible(images, mask):
    return ~mask


def multiplied(images, mask):
    """Which patches are 0 after the article's line with our mask, which is 0 where visible."""
    size = images.shape[-1] // mask.shape[-1]
    hidden = repeat(mask, "b rows cols -> b 1 (rows p) (cols q)", p=size, q=size)
    return zeros_of(images * hidden, mask).flatten(3).all(-1)


@wrong("taken_for_hidden", "did you multiply by our mask?")
def times_our_mask(images, mask):
    return multiplied(images, mask) & ~mask


@wrong("taken_for_hidden", "did you multiply by our mask?")
def times_our_mask_with_hidden(images, mask):
    return multiplied(images, mask)


@wrong("taken_for_hidden", "the hidden patches are found")
def hidden(images, mask):
    return mask


@wrong("taken_for_hidden", "there is a value for each pixel")
def for_pixels(images, mask):
    size = images.shape[-1] // mask.shape[-1]
    return repeat(with_einops(images, mask), "b rows cols -> b (rows p) (cols q)", p=size, q=size)


@right("taken_for_hidden")
def by_strides(images, mask):
    size = images.shape[2] // mask.shape[1]
    squares = images.unfold(2, size, size).unfold(3, size, size)
    return squares.abs().sum((1, 4, 5)).eq(0) & ~mask


@right("taken_for_hidden")
def by_multiplying(images, mask):
    size = images.shape[2] // mask.shape[1]
    differs = (images != 0).any(1).double()
    return (F.avg_pool2d(differs, size) == 0) > mask


@wrong("taken_for_hidden", "a patch with a single value above 0")
def nearly_zero_sum(images, mask):
    size = images.shape[2] // mask.shape[1]
    return (F.avg_pool2d(images, size).sum(1) * size**2 < 0.01) & ~mask


@wrong("taken_for_hidden", "patches of one colour are among them")
def without_contrast(images, mask):
    rows, cols = mask.shape[1:]
    patches = rearrange(images, "b c (r p) (k q) -> b r k (c p q)", r=rows, k=cols)
    return (patches.amax(-1) == patches.amin(-1)) & ~mask


@wrong("taken_for_hidden", "the visible patches that are not black")
def not_black(images, mask):
    return ~with_einops(images, mask) & ~mask


@wrong("taken_for_hidden", "works on a batch of one")
def squeezed_batch(images, mask):
    return with_einops(images, mask).squeeze(0)


@wrong("taken_for_hidden", "expected True and False, got whole numbers")
def zeros_and_ones(images, mask):
    return with_einops(images, mask).int()


@wrong("taken_for_hidden", "changes its input in place")
def painted(images, mask):
    size = images.shape[2] // mask.shape[1]
    images *= repeat(~mask, "b rows cols -> b 1 (rows p) (cols q)", p=size, q=size)
    return with_einops(images, mask)
