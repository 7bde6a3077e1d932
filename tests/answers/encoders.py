"""Answers to the exercises on encoders (lesson 02)."""

import math

import torch
import torch.nn.functional as F
from einops import rearrange, repeat

from answers import right, wrong

# dilated_field


@right("dilated_field")
def forwards(layers):
    field, jump = 1, 1
    for kernel, stride, dilation in layers:
        field += (kernel - 1) * dilation * jump
        jump *= stride
    return field


@right("dilated_field")
def backwards(layers):
    field = 1
    for kernel, stride, dilation in reversed(layers):
        field = (field - 1) * stride + (kernel - 1) * dilation + 1
    return field


@right("dilated_field")
def as_sets(layers):
    seen = {0}
    for kernel, stride, dilation in layers[::-1]:
        seen = {i * stride + step * dilation for i in seen for step in range(kernel)}
    return max(seen) - min(seen) + 1


@right("dilated_field")
def with_products(layers):
    return 1 + sum((k - 1) * d * math.prod(s for _, s, _ in layers[:i]) for i, (k, _, d) in enumerate(layers))


@right("dilated_field")
class Ends:
    """Called, it follows the first and the last pixel."""

    def __new__(cls, layers):
        first = last = 0
        for kernel, stride, dilation in layers[::-1]:
            first, last = first * stride, last * stride + (kernel - 1) * dilation
        return last - first + 1


@wrong("dilated_field", "no dilation is counted")
def dilations_forgotten(layers):
    return forwards([(kernel, stride, 1) for kernel, stride, _ in layers])


@wrong("dilated_field", "no stride is counted")
def strides_forgotten(layers):
    return 1 + sum((kernel - 1) * dilation for kernel, _, dilation in layers)


@wrong("dilated_field", "not `kernel * dilation`")
def kernel_times_dilation(layers):
    field, jump = 1, 1
    for kernel, stride, dilation in layers:
        field += (kernel * dilation - 1) * jump
        jump *= stride
    return field


@wrong("dilated_field", "the dilation is added to the kernel")
def dilation_added(layers):
    return forwards([(kernel + dilation - 1, stride, 1) for kernel, stride, dilation in layers])


@wrong("dilated_field", "the inputs left out in a step")
def left_out(layers):
    return forwards([(kernel, stride, dilation + 1) for kernel, stride, dilation in layers])


@wrong("dilated_field", "the steps of later layers longer too")
def dilations_in_the_jump(layers):
    field, jump = 1, 1
    for kernel, stride, dilation in layers:
        field += (kernel - 1) * dilation * jump
        jump *= stride * dilation
    return field


@wrong("dilated_field", "instead of the stride for the jump")
def jump_of_dilations(layers):
    field, jump = 1, 1
    for kernel, _, dilation in layers:
        field += (kernel - 1) * dilation * jump
        jump *= dilation
    return field


@wrong("dilated_field", "stride and dilation are swapped")
def dilations_for_strides(layers):
    return forwards([(kernel, dilation, stride) for kernel, stride, dilation in layers])


@wrong("dilated_field", "kernel and stride are swapped")
def strides_for_kernels(layers):
    return forwards([(stride, kernel, dilation) for kernel, stride, dilation in layers])


@wrong("dilated_field", "a stride counts too early")
def stride_first(layers):
    field, jump = 1, 1
    for kernel, stride, dilation in layers:
        jump *= stride
        field += (kernel - 1) * dilation * jump
    return field


@wrong("dilated_field", "replaces the jump")
def stride_replaces(layers):
    field, jump = 1, 1
    for kernel, stride, dilation in layers:
        field += (kernel - 1) * dilation * jump
        jump = stride
    return field


@wrong("dilated_field", "a layer's own stride is its jump")
def own_strides(layers):
    return 1 + sum((kernel - 1) * dilation * stride for kernel, stride, dilation in layers)


@wrong("dilated_field", "is `return` inside the loop?")
def returns_in_the_loop(layers):
    for kernel, _, dilation in layers:
        return 1 + (kernel - 1) * dilation


@wrong("dilated_field", "5, not 5.0")
def real_field(layers):
    return float(forwards(layers))


@wrong("dilated_field", "the strides are added up")
def strides_added(layers):
    field, jump = 1, 1
    for kernel, stride, dilation in layers:
        field += (kernel - 1) * dilation * jump
        jump += stride
    return field


@wrong("dilated_field", "one step too many")
def whole_kernel(layers):
    return forwards([(kernel + 1, stride, dilation) for kernel, stride, dilation in layers])


@wrong("dilated_field", "not `field * stride`")
def field_times_stride(layers):
    field = 1
    for kernel, stride, dilation in reversed(layers):
        field = field * stride + (kernel - 1) * dilation
    return field


@wrong("dilated_field", "wrong order")
def reversed_layers(layers):
    return forwards(layers[::-1])


@wrong("dilated_field", "the field starts at 0")
def from_zero(layers):
    return forwards(layers) - 1


@wrong("dilated_field", "this is one pixel too many")
def from_two(layers):
    return forwards(layers) + 1


@wrong("dilated_field", "the first layer is not counted")
def without_the_first(layers):
    return forwards(layers[1:])


@wrong("dilated_field", "the last layer is not counted")
def without_the_last(layers):
    return forwards(layers[:-1])


@wrong("dilated_field", "not those in the gaps")
def only_the_seen(layers):
    seen = {0}
    for kernel, stride, dilation in layers[::-1]:
        seen = {i * stride + step * dilation for i in seen for step in range(kernel)}
    return len(seen)


@wrong("dilated_field", "how far it sees to one side")
def radius(layers):
    return forwards(layers) // 2


@wrong("dilated_field", "this is the area")
def area(layers):
    return forwards(layers) ** 2


@wrong("dilated_field", "this is the jump")
def the_jump(layers):
    return math.prod(stride for _, stride, _ in layers)


@wrong("dilated_field", "return the field alone")
def field_and_jump(layers):
    return forwards(layers), math.prod(stride for _, stride, _ in layers)


@wrong("dilated_field", "changes its input in place")
def taken_apart(layers):
    field = 1
    while layers:
        kernel, stride, dilation = layers.pop()
        field = (field - 1) * stride + (kernel - 1) * dilation + 1
    return field


@wrong("dilated_field", "expected")
def three_layers_only(layers):
    return forwards(layers[:3])


@wrong("dilated_field", "not a power of this layer's")
def powers_of_strides(layers):
    return 1 + sum((k - 1) * d * s**layer for layer, (k, s, d) in enumerate(layers))


@wrong("dilated_field", "all strides count for every layer")
def all_strides(layers):
    return 1 + math.prod(s for _, s, _ in layers) * sum((k - 1) * d for k, _, d in layers)


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


@wrong("blind_rows", "12, not 12.0")
def divided_with_one_stroke(height, field, stride):
    return max(0.0, (height / 2 - (field - stride) / 2) // stride * stride)


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


@wrong("blind_rows", "one cell too few is blind")
def cells_from_one(height, field, stride):
    ends = [stride * (cell + 1) + (field - stride) // 2 for cell in range(1, height // stride)]
    return stride * sum(end <= height // 2 for end in ends)


@wrong("blind_rows", "half of the field is taken, not of `field - stride`")
def half_a_field(height, field, stride):
    return height // 2 - field // 2


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


@wrong("insert_mask_token", "lets the whole gradient through")
def hidden_positions_without_gradient(embedded, mask, token, positions):
    return torch.where(mask.flatten(1)[..., None], token + positions.detach(), embedded + positions)


@wrong("insert_mask_token", "the first token has the second position")
def next_positions(embedded, mask, token, positions):
    return with_where(embedded, mask, token, torch.cat([positions[1:], positions[:1]]))


@wrong("insert_mask_token", "the first token has the last position")
def previous_positions(embedded, mask, token, positions):
    return with_where(embedded, mask, token, positions[[place - 1 for place in range(len(positions))]])


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


@wrong("attention", "divided by the norm of the query")
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


@wrong("attention", "lets the whole gradient through")
def some_values_without_gradient(queries, keys, values, bias):
    return with_softmax(queries, keys, torch.cat([values[:, :1].detach(), values[:, 1:]], 1), bias)


@wrong("attention", "divide the scores, before softmax")
def weights_scaled(queries, keys, values, bias):
    return (queries @ keys.mT + bias).softmax(-1) / queries.shape[-1] ** 0.5 @ values


@wrong("attention", "return the result alone")
def result_and_weights(queries, keys, values, bias):
    weights = only_weights(queries, keys, values, bias)
    return weights @ values, weights


@wrong("attention", "is something divided by 0")
def relu_for_exp(queries, keys, values, bias):
    weights = (queries @ keys.mT / queries.shape[-1] ** 0.5 + bias - 3).relu()
    return weights / weights.sum(-1, keepdim=True) @ values


# to_windows


@right("to_windows")
def cut_with_einops(tokens, window):
    grid = "b (rows y) (cols x) d -> b (rows cols) (y x) d"
    return rearrange(tokens, grid, y=window, x=window)


@right("to_windows")
def as_the_official_code_cuts(tokens, window):
    batch, rows, cols, dim = tokens.shape
    tokens = tokens.view(batch, rows // window, window, cols // window, window, dim)
    return tokens.permute(0, 1, 3, 2, 4, 5).reshape(batch, -1, window**2, dim)


@right("to_windows")
def window_by_window(tokens, window):
    found = []
    for top in range(0, tokens.shape[1], window):
        for left in range(0, tokens.shape[2], window):
            found.append(tokens[:, top : top + window, left : left + window].flatten(1, 2))
    return torch.stack(found, dim=1)


@right("to_windows")
def unfolded(tokens, window):
    found = tokens.unfold(1, window, window).unfold(2, window, window)
    return found.flatten(1, 2).flatten(3).mT


@right("to_windows")
class Windows:
    """Called, it splits the rows first and the columns then."""

    def __new__(cls, tokens, window):
        strips = torch.stack(tokens.split(window, dim=1), dim=1)
        windows = torch.stack(strips.split(window, dim=3), dim=2)
        return windows.flatten(1, 2).flatten(2, 3)


def cut(into, grid="b (rows y) (cols x) d"):
    return lambda tokens, window: rearrange(tokens, f"{grid} -> {into}", y=window, x=window)


@wrong("to_windows", "the windows are numbered column by column")
def windows_by_columns(tokens, window):
    return cut("b (cols rows) (y x) d")(tokens, window)


@wrong("to_windows", "the tokens of a window come column by column")
def tokens_by_columns(tokens, window):
    return cut("b (rows cols) (x y) d")(tokens, window)


@wrong("to_windows", "windows and the tokens in them")
def all_by_columns(tokens, window):
    return cut_with_einops(tokens.transpose(1, 2), window)


@wrong("to_windows", "tokens from all over the grid")
def one_of_every_so_many(tokens, window):
    return cut("b (rows cols) (y x) d", "b (y rows) (x cols) d")(tokens, window)


@wrong("to_windows", "not a piece of a row")
def only_reshaped(tokens, window):
    return tokens.reshape(len(tokens), -1, window**2, tokens.shape[-1])


@wrong("to_windows", "the axes of windows and of tokens are swapped")
def tokens_first(tokens, window):
    return cut_with_einops(tokens, window).transpose(1, 2)


@wrong("to_windows", "batch and windows have one axis")
def as_a_batch(tokens, window):
    return cut_with_einops(tokens, window).flatten(0, 1)


@wrong("to_windows", "a window is still a square")
def squares(tokens, window):
    return cut_with_einops(tokens, window).unflatten(2, (window, window))


@wrong("to_windows", "the windows are still a grid")
def grid_of_windows(tokens, window):
    return cut("b rows cols (y x) d")(tokens, window)


@wrong("to_windows", "the channels come before the tokens")
def channels_first(tokens, window):
    return cut_with_einops(tokens, window).mT


@wrong("to_windows", "tokens and channels have one axis")
def flat_windows(tokens, window):
    return cut_with_einops(tokens, window).flatten(2)


@wrong("to_windows", "the windows overlap")
def sliding(tokens, window):
    return tokens.unfold(1, window, 1).unfold(2, window, 1).flatten(1, 2).flatten(3).mT


@wrong("to_windows", "not at token i")
def cut_at_numbers(tokens, window):
    places = [(i, j) for i in range(tokens.shape[1] // window) for j in range(tokens.shape[2] // window)]
    return torch.stack([tokens[:, i : i + window, j : j + window].flatten(1, 2) for i, j in places], 1)


@wrong("to_windows", "these are `window` x `window` windows")
def as_many_windows(tokens, window):
    return rearrange(tokens, "b (rows y) (cols x) d -> b (rows cols) (y x) d", rows=window, cols=window)


@wrong("to_windows", "the first image is used for all")
def first_image(tokens, window):
    return torch.stack([cut_with_einops(tokens[:1], window)[0]] * len(tokens))


@wrong("to_windows", "`unfold` puts the channels before the tokens")
def unfolded_and_joined(tokens, window):
    windows = tokens.unfold(1, window, window).unfold(2, window, window)
    return windows.reshape(len(tokens), -1, window**2, tokens.shape[-1])


@wrong("to_windows", "`squeeze` drops axes")
def squeezed_windows(tokens, window):
    return rearrange(tokens, "b (r p) (c q) d -> b (r c) (p q) d", p=window, q=window).squeeze()


@wrong("to_windows", "works on a batch of one")
def windows_squeezed(tokens, window):
    return cut_with_einops(tokens, window).squeeze(0)


@wrong("to_windows", "the result has no gradient")
def windows_without_gradient(tokens, window):
    return cut_with_einops(tokens, window).detach()


@wrong("to_windows", "with the row of windows, not with the column")
def wrong_pair_permuted(tokens, window):
    batch, rows, cols, dim = tokens.shape
    cut = tokens.reshape(batch, rows // window, window, cols // window, window, dim)
    return cut.permute(0, 2, 1, 3, 4, 5).reshape(batch, -1, window**2, dim)


@wrong("to_windows", "lets the whole gradient through")
def first_token_without_gradient(tokens, window):
    rows = torch.cat([tokens[:, :1].detach(), tokens[:, 1:]], 1)
    return rearrange(rows, "b (r p) (c q) d -> b (r c) (p q) d", p=window, q=window)


# tokens_with_class


@right("tokens_with_class")
def class_by_cat(embedded, mask, mask_token, class_token, positions):
    patches = torch.where(mask.flatten(1)[..., None], mask_token, embedded)
    return torch.cat([class_token.expand(len(mask), 1, -1), patches], dim=1) + positions


@right("tokens_with_class")
def class_as_official(embedded, mask, mask_token, class_token, positions):
    weight = rearrange(mask, "b rows cols -> b (rows cols) 1").type_as(embedded)
    patches = embedded * (1 - weight) + mask_token * weight
    return torch.cat([repeat(class_token, "d -> b 1 d", b=len(mask)), patches], 1) + positions[None]


@right("tokens_with_class")
def class_row_by_row(embedded, mask, mask_token, class_token, positions):
    images = []
    for patches, hidden in zip(embedded, mask.flatten(1), strict=True):
        rows = [mask_token if is_hidden else patch for patch, is_hidden in zip(patches, hidden, strict=True)]
        images.append(torch.stack([class_token, *rows]) + positions)
    return torch.stack(images)


@right("tokens_with_class")
class Sequence:
    """A class that is called like a function; it pads the mask and computes in 64 bits."""

    def __new__(cls, embedded, mask, mask_token, class_token, positions):
        tokens = torch.cat([class_token.double().expand(len(mask), 1, -1), embedded.double()], 1)
        hidden = F.pad(mask.flatten(1), (1, 0))[..., None]
        return (torch.where(hidden, mask_token.double(), tokens) + positions).float()


@wrong("tokens_with_class", "the class token comes last, but")
def class_last(embedded, mask, mask_token, class_token, positions):
    patches = torch.where(mask.flatten(1)[..., None], mask_token, embedded)
    return torch.cat([patches, class_token.expand(len(mask), 1, -1)], 1) + positions


@wrong("tokens_with_class", "has no position")
def class_without_position(embedded, mask, mask_token, class_token, positions):
    patches = torch.where(mask.flatten(1)[..., None], mask_token, embedded) + positions[1:]
    return torch.cat([class_token.expand(len(mask), 1, -1), patches], 1)


@wrong("tokens_with_class", "it belongs to the class token")
def positions_from_the_first(embedded, mask, mask_token, class_token, positions):
    patches = torch.where(mask.flatten(1)[..., None], mask_token, embedded) + positions[:-1]
    return torch.cat([(class_token + positions[0]).expand(len(mask), 1, -1), patches], 1)


@wrong("tokens_with_class", "moved by one")
def last_position_for_the_class(embedded, mask, mask_token, class_token, positions):
    return class_by_cat(embedded, mask, mask_token, class_token, torch.cat([positions[1:], positions[:1]]))


@wrong("tokens_with_class", "no positions are added")
def class_and_no_positions(embedded, mask, mask_token, class_token, positions):
    return class_by_cat(embedded, mask, mask_token, class_token, torch.zeros_like(positions))


@wrong("tokens_with_class", "first the token, then positions")
def mask_token_last(embedded, mask, mask_token, class_token, positions):
    tokens = torch.cat([class_token.expand(len(mask), 1, -1), embedded], 1) + positions
    return torch.where(F.pad(mask.flatten(1), (1, 0))[..., None], mask_token, tokens)


@wrong("tokens_with_class", "one token off")
def mask_from_the_class_on(embedded, mask, mask_token, class_token, positions):
    tokens = torch.cat([class_token.expand(len(mask), 1, -1), embedded], 1)
    return torch.where(F.pad(mask.flatten(1), (0, 1))[..., None], mask_token, tokens) + positions


@wrong("tokens_with_class", "the class token and the mask token are swapped")
def tokens_swapped(embedded, mask, mask_token, class_token, positions):
    return class_by_cat(embedded, mask, class_token, mask_token, positions)


@wrong("tokens_with_class", "the mask is inverted")
def class_and_inverted(embedded, mask, mask_token, class_token, positions):
    return class_by_cat(embedded, ~mask, mask_token, class_token, positions)


@wrong("tokens_with_class", "nothing is hidden")
def class_and_nothing_hidden(embedded, mask, mask_token, class_token, positions):
    return torch.cat([class_token.expand(len(mask), 1, -1), embedded], 1) + positions


@wrong("tokens_with_class", "column by column")
def class_and_transposed(embedded, mask, mask_token, class_token, positions):
    return class_by_cat(embedded, mask.mT, mask_token, class_token, positions)


@wrong("tokens_with_class", "the mask of the first image is used for all")
def class_and_first_mask(embedded, mask, mask_token, class_token, positions):
    return class_by_cat(embedded, mask[[0] * len(mask)], mask_token, class_token, positions)


@wrong("tokens_with_class", "the class token is hidden, too")
def class_token_hidden(embedded, mask, mask_token, class_token, positions):
    tokens = torch.cat([class_token.expand(len(mask), 1, -1), embedded], 1)
    hidden = F.pad(mask.flatten(1), (1, 0), value=True)
    return torch.where(hidden[..., None], mask_token, tokens) + positions


@wrong("tokens_with_class", "so they stay")
def class_and_added(embedded, mask, mask_token, class_token, positions):
    patches = embedded + mask.flatten(1)[..., None] * mask_token
    return torch.cat([class_token.expand(len(mask), 1, -1), patches], 1) + positions


@wrong("tokens_with_class", "set to zero")
def class_and_zeros(embedded, mask, mask_token, class_token, positions):
    patches = embedded.masked_fill(mask.flatten(1)[..., None], 0)
    return torch.cat([class_token.expand(len(mask), 1, -1), patches], 1) + positions


@wrong("tokens_with_class", "the class token is missing")
def class_forgotten(embedded, mask, mask_token, class_token, positions):
    return torch.where(mask.flatten(1)[..., None], mask_token, embedded) + positions[1:]


@wrong("tokens_with_class", "no gradient reaches argument 4")
def class_without_gradient(embedded, mask, mask_token, class_token, positions):
    return class_by_cat(embedded, mask, mask_token, class_token.detach(), positions)


@wrong("tokens_with_class", "changes its input in place")
def class_in_place(embedded, mask, mask_token, class_token, positions):
    embedded[mask.flatten(1)] = mask_token
    return torch.cat([class_token.expand(len(mask), 1, -1), embedded], 1) + positions


@wrong("tokens_with_class", "lets the whole gradient through")
def class_position_without_gradient(embedded, mask, mask_token, class_token, positions):
    positions = torch.cat([positions[:1].detach(), positions[1:]])
    return class_by_cat(embedded, mask, mask_token, class_token, positions)


@wrong("tokens_with_class", "positions are added twice")
def class_positions_twice(embedded, mask, mask_token, class_token, positions):
    return class_by_cat(embedded, mask, mask_token, class_token, positions) + positions


@wrong("tokens_with_class", "positions are read column by column")
def upright_positions(embedded, mask, mask_token, class_token, positions):
    upright = rearrange(positions[1:], "(c r) d -> (r c) d", r=mask.shape[1])
    return class_by_cat(embedded, mask, mask_token, class_token, torch.cat([positions[:1], upright]))


# attend_visible


def scores(queries, keys):
    return queries @ keys.mT / queries.shape[-1] ** 0.5


@right("attend_visible")
def with_infinity(queries, keys, values, hidden):
    weights = scores(queries, keys).masked_fill(hidden[:, None], -torch.inf).softmax(-1)
    return weights.masked_fill(hidden.all(1)[:, None, None], 0) @ values


@right("attend_visible")
def fused_with_a_mask(queries, keys, values, hidden):
    blind = hidden.all(1, keepdim=True)
    found = F.scaled_dot_product_attention(queries, keys, values, attn_mask=(~hidden | blind)[:, None])
    return found.masked_fill(blind[..., None], 0)


@right("attend_visible")
def left_out_of_each_image(queries, keys, values, hidden):
    images = []
    for q, k, v, h in zip(queries, keys, values, hidden, strict=True):
        images.append(scores(q, k[~h]).softmax(-1) @ v[~h] if not h.all() else torch.zeros_like(v))
    return torch.stack(images)


@right("attend_visible")
def by_weights(queries, keys, values, hidden):
    found = scores(queries, keys)
    visible = (~hidden)[:, None].to(found)
    lowest = found.masked_fill(hidden[:, None], -1e30).amax(-1, keepdim=True)
    weights = (found - lowest).clamp(max=0).exp() * visible
    return weights / weights.sum(-1, keepdim=True).clamp(min=1e-30) @ values


@right("attend_visible")
class Visible:
    """A class that is called like a function; it computes in 64 bits."""

    def __new__(cls, queries, keys, values, hidden):
        q, k, v = queries.double(), keys.double(), values.double()
        found = torch.einsum("bqd,bkd->bqk", q, k) / math.sqrt(q.shape[2])
        found = torch.where(hidden[:, None], -torch.inf, found)
        return (torch.softmax(found, 2).nan_to_num(0) @ v).to(values.dtype)


@wrong("attend_visible", "hidden tokens are looked at too")
def all_tokens(queries, keys, values, hidden):
    return scores(queries, keys).softmax(-1) @ values


@wrong("attend_visible", "the mask is inverted")
def only_hidden(queries, keys, values, hidden):
    return with_infinity(queries, keys, values, ~hidden)


@wrong("attend_visible", "exp(0) is 1")
def score_zero(queries, keys, values, hidden):
    return scores(queries, keys).masked_fill(hidden[:, None], 0).softmax(-1) @ values


@wrong("attend_visible", "hidden tokens count as 0")
def weight_zero(queries, keys, values, hidden):
    return scores(queries, keys).softmax(-1).masked_fill(hidden[:, None], 0) @ values


@wrong("attend_visible", "hidden tokens count as 0")
def values_zero(queries, keys, values, hidden):
    return scores(queries, keys).softmax(-1) @ (values * ~hidden[..., None])


@wrong("attend_visible", "so they still have a weight")
def keys_zero(queries, keys, values, hidden):
    return scores(queries, keys * ~hidden[..., None]).softmax(-1) @ values


@wrong("attend_visible", "hidden queries are left out instead")
def queries_left_out(queries, keys, values, hidden):
    return all_tokens(queries, keys, values, hidden) * ~hidden[..., None]


@wrong("attend_visible", "hidden queries are left out too")
def both_left_out(queries, keys, values, hidden):
    return with_infinity(queries, keys, values, hidden) * ~hidden[..., None]


@wrong("attend_visible", "hidden tokens still see themselves")
def themselves(queries, keys, values, hidden):
    others = hidden[:, None] & ~torch.eye(hidden.shape[1], dtype=torch.bool)
    return scores(queries, keys).masked_fill(others, -torch.inf).softmax(-1) @ values


@wrong("attend_visible", "the mask of the first image is used for all")
def first_hidden(queries, keys, values, hidden):
    return with_infinity(queries, keys, values, hidden[[0] * len(hidden)])


@wrong("attend_visible", "not divided by the root of dim")
def visible_unscaled(queries, keys, values, hidden):
    found = (queries @ keys.mT).masked_fill(hidden[:, None], -torch.inf).softmax(-1)
    return found.nan_to_num(0) @ values


@wrong("attend_visible", "the sum of the weights is 0")
def never_blind(queries, keys, values, hidden):
    return scores(queries, keys).masked_fill(hidden[:, None], -torch.inf).softmax(-1) @ values


@wrong("attend_visible", "the sum of the weights is 0")
def divided_by_nothing(queries, keys, values, hidden):
    weights = scores(queries, keys).softmax(-1) * ~hidden[:, None]
    return weights / weights.sum(-1, keepdim=True) @ values


@wrong("attend_visible", "it looks at hidden tokens then")
def blind_sees_all(queries, keys, values, hidden):
    hidden = hidden & ~hidden.all(1, keepdim=True)
    return scores(queries, keys).masked_fill(hidden[:, None], -torch.inf).softmax(-1) @ values


@wrong("attend_visible", "where other scores are low: take -torch.inf")
def minus_hundred(queries, keys, values, hidden):
    found = scores(queries, keys).masked_fill(hidden[:, None], -100).softmax(-1)
    return found.masked_fill(hidden.all(1)[:, None, None], 0) @ values


@wrong("attend_visible", "where other scores are low: take -torch.inf")
def minus_a_billion(queries, keys, values, hidden):
    weights = scores(queries, keys).masked_fill(hidden[:, None], -1e9).softmax(-1)
    return weights.masked_fill(hidden.all(1)[:, None, None], 0) @ values


@wrong("attend_visible", "small beside large ones: take -torch.inf")
def a_billion_less(queries, keys, values, hidden):
    weights = (scores(queries, keys) - 1e9 * hidden[:, None]).softmax(-1)
    return weights.masked_fill(hidden.all(1)[:, None, None], 0) @ values


@wrong("attend_visible", "hide in the scores, before `softmax`")
def divided_afterwards(queries, keys, values, hidden):
    weights = scores(queries, keys).softmax(-1) * ~hidden[:, None]
    return weights / weights.sum(-1, keepdim=True).clamp(min=1e-12) @ values


@wrong("attend_visible", "the gradient is NaN")
def infinity_added(queries, keys, values, hidden):
    bias = torch.zeros(hidden.shape).masked_fill(hidden, -torch.inf)
    return (scores(queries, keys) + bias[:, None]).softmax(-1).nan_to_num(0) @ values


@wrong("attend_visible", "the gradient is NaN")
def replaced_at_the_end(queries, keys, values, hidden):
    weights = scores(queries, keys).masked_fill(hidden[:, None], -torch.inf).softmax(-1)
    return (weights @ values).nan_to_num(0)


@wrong("attend_visible", "keys and values are swapped")
def values_for_keys(queries, keys, values, hidden):
    return with_infinity(queries, values, keys, hidden)


@wrong("attend_visible", "softmax runs over the queries")
def visible_over_queries(queries, keys, values, hidden):
    return scores(queries, keys).masked_fill(hidden[:, None], -torch.inf).softmax(1).nan_to_num(0) @ values


@wrong("attend_visible", "no gradient reaches argument 2")
def keys_without_gradient(queries, keys, values, hidden):
    return with_infinity(queries, keys.detach(), values, hidden)


@wrong("attend_visible", "the plain mean of the visible values")
def plain_mean(queries, keys, values, hidden):
    visible = ~hidden[..., None]
    return ((values * visible).sum(1, keepdim=True) / visible.sum(1, keepdim=True).clamp(min=1)).expand_as(values)


@wrong("attend_visible", "lets the whole gradient through")
def values_with_half_a_gradient(queries, keys, values, hidden):
    return with_infinity(queries, keys, torch.cat([values[..., :1], values[..., 1:].detach()], -1), hidden)


@wrong("attend_visible", "hidden queries give NaN")
def mask_of_queries(queries, keys, values, hidden):
    return scores(queries, keys).masked_fill(hidden[..., None], -torch.inf).softmax(-1) @ values


@wrong("attend_visible", "hidden queries give NaN")
def mask_of_both(queries, keys, values, hidden):
    either = hidden[:, None] | hidden[..., None]
    return scores(queries, keys).masked_fill(either, -torch.inf).softmax(-1) @ values


@wrong("attend_visible", "all is NaN")
def infinity_times_mask(queries, keys, values, hidden):
    return (scores(queries, keys) - torch.inf * hidden[:, None].float()).softmax(-1) @ values


@wrong("attend_visible", "or is every score hidden?")
def hidden_by_any(queries, keys, values, hidden):
    return scores(queries, keys).masked_fill(hidden.any(), -torch.inf).softmax(-1) @ values


@wrong("attend_visible", "or is a `torch.empty` not filled?")
def image_without_visible_left_out(queries, keys, values, hidden):
    result = torch.empty_like(values)
    for image, where in enumerate(hidden):
        if not where.all():
            found = scores(queries[image], keys[image]).masked_fill(where, -torch.inf)
            result[image] = found.softmax(-1) @ values[image]
    return result


@wrong("attend_visible", "a tensor is changed in place after it was computed")
def weights_written_into(queries, keys, values, hidden):
    weights = scores(queries, keys).masked_fill(hidden[:, None], -torch.inf).softmax(-1)
    weights[hidden.all(1)] = 0
    return weights @ values


@wrong("attend_visible", "all is 0, though tokens are visible")
def infinity_times_mask_replaced(queries, keys, values, hidden):
    return infinity_times_mask(queries, keys, values, hidden).nan_to_num(0)


@wrong("attend_visible", "but they are hidden: 0 is asked for")
def lowest_number(queries, keys, values, hidden):
    lowest = torch.finfo(queries.dtype).min
    return scores(queries, keys).masked_fill(hidden[:, None], lowest).softmax(-1) @ values


@wrong("attend_visible", "divide the scores, before softmax")
def visible_weights_divided(queries, keys, values, hidden):
    weights = (queries @ keys.mT).masked_fill(hidden[:, None], -torch.inf).softmax(-1)
    return weights.nan_to_num(0) / queries.shape[-1] ** 0.5 @ values


@wrong("attend_visible", "of the number of tokens, not of dim")
def visible_scaled_by_tokens(queries, keys, values, hidden):
    found = (queries @ keys.mT / queries.shape[1] ** 0.5).masked_fill(hidden[:, None], -torch.inf)
    return found.softmax(-1).nan_to_num(0) @ values


@wrong("attend_visible", "all is 0, though tokens are visible")
def nothing_where_any_is_hidden(queries, keys, values, hidden):
    return with_infinity(queries, keys, values, hidden).masked_fill(hidden.any(1)[:, None, None], 0)


@wrong("attend_visible", "these are the weights: the values are missing")
def only_visible_weights(queries, keys, values, hidden):
    return scores(queries, keys).masked_fill(hidden[:, None], -torch.inf).softmax(-1).nan_to_num(0)


@wrong("attend_visible", "return the result alone")
def visible_and_weights(queries, keys, values, hidden):
    weights = only_visible_weights(queries, keys, values, hidden)
    return weights @ values, weights


# may_look


def four_parts(rows, cols, shift):
    below, beside = torch.arange(rows) >= rows - shift, torch.arange(cols) >= cols - shift
    return 2 * below[:, None] + beside


def pairs_of(parts, window):
    parts = rearrange(parts, "(r y) (c x) -> (r c) (y x)", y=window, x=window)
    return parts[:, :, None] == parts[:, None, :]


@right("may_look")
def with_parts(rows, cols, window, shift):
    return pairs_of(four_parts(rows, cols, shift), window)


@right("may_look")
def by_distance(rows, cols, window, shift):
    place = torch.stack(torch.meshgrid(torch.arange(rows), torch.arange(cols), indexing="ij"), -1)
    place = place.roll((-shift, -shift), (0, 1)).unfold(0, window, window).unfold(1, window, window)
    place = place.flatten(0, 1).flatten(2).mT
    return ((place[:, :, None] - place[:, None]).abs() < window).all(-1)


@right("may_look")
def as_the_official_code_compares(rows, cols, window, shift):
    parts = torch.zeros(rows, cols)
    parts[rows - shift :] += 1
    parts[:, cols - shift :] += 2
    windows = parts.view(rows // window, window, cols // window, window).transpose(1, 2).reshape(-1, window**2)
    return (windows[:, None] - windows[:, :, None]) == 0


@right("may_look")
class PairByPair:
    """Called, it asks of each pair whether both came round."""

    def __new__(cls, rows, cols, window, shift):
        answer = []
        for top in range(0, rows, window):
            for left in range(0, cols, window):
                places = [(top + y, left + x) for y in range(window) for x in range(window)]
                parts = [(row >= rows - shift, col >= cols - shift) for row, col in places]
                answer.append([[one == other for other in parts] for one in parts])
        return torch.tensor(answer)


@wrong("may_look", "the answer is inverted")
def must_not_look(rows, cols, window, shift):
    return ~with_parts(rows, cols, window, shift)


@wrong("may_look", "all may look at all")
def everybody(rows, cols, window, shift):
    return torch.ones(rows * cols // window**2, window**2, window**2, dtype=torch.bool)


@wrong("may_look", "only rows are compared")
def rows_compared(rows, cols, window, shift):
    return pairs_of(four_parts(rows, cols, shift) // 2, window)


@wrong("may_look", "only columns are compared")
def cols_compared(rows, cols, window, shift):
    return pairs_of(four_parts(rows, cols, shift) % 2, window)


@wrong("may_look", "came round in rows alone, and in columns alone")
def three_parts(rows, cols, window, shift):
    parts = torch.zeros(rows, cols)
    parts[rows - shift :] += 1
    parts[:, cols - shift :] += 1
    return pairs_of(parts, window)


@wrong("may_look", "all that came round are one part")
def two_parts(rows, cols, window, shift):
    return pairs_of(four_parts(rows, cols, shift) > 0, window)


@wrong("may_look", "before the roll")
def at_the_other_end(rows, cols, window, shift):
    return pairs_of(four_parts(rows, cols, shift).flip(0, 1), window)


@wrong("may_look", "`window - shift` rows")
def the_rest_of_the_window(rows, cols, window, shift):
    return with_parts(rows, cols, window, window - shift if shift else 0)


@wrong("may_look", "both must agree")
def in_one_direction(rows, cols, window, shift):
    below, right_ = (torch.arange(side) >= side - shift for side in (rows, cols))
    parts = torch.stack([below[:, None].expand(rows, cols), right_.expand(rows, cols)])
    parts = rearrange(parts, "way (r p) (c q) -> way (r c) (p q)", p=window, q=window)
    return (parts[..., None] == parts[:, :, None]).any(0)


@wrong("may_look", "not a piece of a row")
def parts_reshaped(rows, cols, window, shift):
    parts = four_parts(rows, cols, shift).reshape(-1, window**2)
    return parts[:, :, None] == parts[:, None]


@wrong("may_look", "rolled down and right")
def rolled_the_other_way(rows, cols, window, shift):
    below, right_ = (torch.arange(side) < shift for side in (rows, cols))
    return pairs_of((2 * below[:, None] + right_).roll((shift, shift), (0, 1)), window)


@wrong("may_look", "one row and one column too many")
def one_too_many(rows, cols, window, shift):
    return with_parts(rows, cols, window, shift + 1)


@wrong("may_look", "one row and one column too few")
def strictly_below(rows, cols, window, shift):
    return with_parts(rows, cols, window, max(0, shift - 1))


@wrong("may_look", "half of the window, whatever it is")
def always_half(rows, cols, window, shift):
    return with_parts(rows, cols, window, window // 2)


@wrong("may_look", "the windows are numbered column by column")
def looked_by_columns(rows, cols, window, shift):
    parts = rearrange(four_parts(rows, cols, shift), "(r y) (c x) -> (c r) (y x)", y=window, x=window)
    return parts[:, :, None] == parts[:, None]


@wrong("may_look", "the tokens of a window come column by column")
def tokens_looked_by_columns(rows, cols, window, shift):
    parts = rearrange(four_parts(rows, cols, shift), "(r y) (c x) -> (r c) (x y)", y=window, x=window)
    return parts[:, :, None] == parts[:, None]


@wrong("may_look", "True and False are asked for")
def to_be_added(rows, cols, window, shift):
    return torch.zeros(1).masked_fill(~with_parts(rows, cols, window, shift), -100)


@wrong("may_look", "no axis of their own")
def windows_in_a_row(rows, cols, window, shift):
    return with_parts(rows, cols, window, shift).flatten(0, 1)


@wrong("may_look", "expected")
def not_without_a_shift(rows, cols, window, shift):
    return with_parts(rows, cols, window, shift or 1)


@wrong("may_look", "every window is split")
def all_windows_split(rows, cols, window, shift):
    below, right = (torch.arange(side) % window >= window - shift for side in (rows, cols))
    part = rearrange(2 * below[:, None] + right, "(r p) (c q) -> (r c) (p q)", p=window, q=window)
    return part[:, :, None] == part[:, None]


# video_index


@right("video_index")
def with_offsets(frames, rows, cols):
    token = torch.arange(frames * rows * cols)
    frame, row, col = token // (rows * cols), token // cols % rows, token % cols
    later, down, to_the_right = (axis[:, None] - axis for axis in (frame, row, col))
    number = (later + frames - 1) * (2 * rows - 1) + down + rows - 1
    return number * (2 * cols - 1) + to_the_right + cols - 1


@right("video_index")
def pair_by_pair(frames, rows, cols):
    places = [(f, r, c) for f in range(frames) for r in range(rows) for c in range(cols)]
    high, wide = 2 * rows - 1, 2 * cols - 1
    index = [
        ((f - g + frames - 1) * high + r - s + rows - 1) * wide + c - d + cols - 1
        for f, r, c in places
        for g, s, d in places
    ]
    return torch.tensor(index).view(len(places), len(places))


@right("video_index")
def looked_up(frames, rows, cols):
    spans = [2 * size - 1 for size in (frames, rows, cols)]
    numbers = torch.arange(math.prod(spans)).view(spans)
    place = torch.cartesian_prod(*(torch.arange(size) for size in (frames, rows, cols)))
    later, down, to_the_right = (place[:, None] - place).unbind(-1)
    return numbers[later + frames - 1, down + rows - 1, to_the_right + cols - 1]


@right("video_index")
class Index:
    """Called, it adds the offsets of frames to the index of a picture, in 32 bits."""

    def __new__(cls, frames, rows, cols):
        picture = with_offsets(1, rows, cols)
        frame = torch.arange(frames)
        later = (frame[:, None] - frame + frames - 1) * (2 * rows - 1) * (2 * cols - 1)
        index = later[:, None, :, None] + picture[None, :, None, :]
        return index.reshape(frames * rows * cols, -1).int()


def offsets(frames, rows, cols):
    """Offsets of frames, rows and columns for all pairs, query minus key."""
    token = torch.arange(frames * rows * cols)
    places = token // (rows * cols), token // cols % rows, token % cols
    return [place[:, None] - place for place in places]


@wrong("video_index", "the signs are turned: an offset is query minus key")
def key_minus_query(frames, rows, cols):
    return with_offsets(frames, rows, cols).mT


@wrong("video_index", "the sign of frames is turned")
def frames_turned(frames, rows, cols):
    later, down, to_the_right = offsets(frames, rows, cols)
    number = (frames - 1 - later) * (2 * rows - 1) + down + rows - 1
    return number * (2 * cols - 1) + to_the_right + cols - 1


@wrong("video_index", "it would count from the end of the table")
def not_shifted(frames, rows, cols):
    later, down, to_the_right = offsets(frames, rows, cols)
    return (later * (2 * rows - 1) + down) * (2 * cols - 1) + to_the_right


@wrong("video_index", "the offsets of frames are not shifted")
def frames_not_shifted(frames, rows, cols):
    later, down, to_the_right = offsets(frames, rows, cols)
    return (later * (2 * rows - 1) + down + rows - 1) * (2 * cols - 1) + to_the_right + cols - 1


@wrong("video_index", "the factors are rows and cols")
def factors_of_tokens(frames, rows, cols):
    later, down, to_the_right = offsets(frames, rows, cols)
    return ((later + frames - 1) * rows + down + rows - 1) * cols + to_the_right + cols - 1


@wrong("video_index", "the factors are 2 rows and 2 cols")
def factors_too_large(frames, rows, cols):
    later, down, to_the_right = offsets(frames, rows, cols)
    return ((later + frames - 1) * 2 * rows + down + rows - 1) * 2 * cols + to_the_right + cols - 1


@wrong("video_index", "not 2 rows - 1")
def frame_of_a_row(frames, rows, cols):
    later, down, to_the_right = offsets(frames, rows, cols)
    return (later + frames - 1) * (2 * rows - 1) + (down + rows - 1) * (2 * cols - 1) + to_the_right + cols - 1


@wrong("video_index", "rows and columns have changed places")
def columns_first(frames, rows, cols):
    later, down, to_the_right = offsets(frames, rows, cols)
    return ((later + frames - 1) * (2 * cols - 1) + to_the_right + cols - 1) * (2 * rows - 1) + down + rows - 1


@wrong("video_index", "the factors of frames and rows are swapped")
def rows_before_frames(frames, rows, cols):
    later, down, to_the_right = offsets(frames, rows, cols)
    return ((down + rows - 1) * (2 * frames - 1) + later + frames - 1) * (2 * cols - 1) + to_the_right + cols - 1


@wrong("video_index", "there are no factors")
def no_factor(frames, rows, cols):
    return sum(offsets(frames, rows, cols)) + frames + rows + cols - 3


@wrong("video_index", "the frames are not counted")
def pictures_only(frames, rows, cols):
    return with_offsets(1, rows, cols).repeat(frames, frames)


@wrong("video_index", "and in each row by row\n      expected")
def in_bytes(frames, rows, cols):
    return with_offsets(frames, rows, cols).to(torch.uint8)


@wrong("video_index", "they begin anew: `% rows`")
def rows_counted_on(frames, rows, cols):
    token = torch.arange(frames * rows * cols)
    places = token // (rows * cols), token // cols, token % cols
    later, down, to_the_right = (place[:, None] - place for place in places)
    number = (later + frames - 1) * (2 * rows - 1) + down + rows - 1
    return number * (2 * cols - 1) + to_the_right + cols - 1


@wrong("video_index", "the numbers start at 1")
def from_one(frames, rows, cols):
    return with_offsets(frames, rows, cols) + 1


@wrong("video_index", "with the frame last")
def frame_last(frames, rows, cols):
    order = torch.arange(frames * rows * cols).view(frames, -1).T.flatten()
    return with_offsets(frames, rows, cols)[order][:, order]


@wrong("video_index", "the sign of an offset is lost")
def distances(frames, rows, cols):
    later, down, to_the_right = (offset.abs() for offset in offsets(frames, rows, cols))
    return (later * rows + down) * cols + to_the_right


@wrong("video_index", "expected whole numbers, got real numbers")
def real_numbers(frames, rows, cols):
    return with_offsets(frames, rows, cols).float()


@wrong("video_index", "pairs with the same offset have different numbers")
def one_for_each_pair(frames, rows, cols):
    tokens = frames * rows * cols
    return torch.arange(tokens**2).view(tokens, tokens)


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


@wrong("taken_for_hidden", "you look at 4 x 4 pixels, but it is height / rows")
def steps_of_four(images, mask):
    found = torch.zeros_like(mask)
    for n, row, col in (~mask).nonzero().tolist():
        found[n, row, col] = not images[n, :, row * 4 : (row + 1) * 4, col * 4 : (col + 1) * 4].any()
    return found


def by_slices(size, images, mask):
    """Which visible patches are black, if they have so many pixels on a side."""
    found = torch.zeros_like(mask)
    for n, row, col in (~mask).nonzero().tolist():
        square = images[n, :, row * size :, col * size :][:, :size, :size]
        found[n, row, col] = (square == 0).all()
    return found


@wrong("taken_for_hidden", "height / rows, not height / cols")
def height_by_cols(images, mask):
    return by_slices(images.shape[2] // mask.shape[2], images, mask)


@wrong("taken_for_hidden", "width / cols, not width / rows")
def width_by_rows(images, mask):
    return by_slices(images.shape[3] // mask.shape[1], images, mask)


@wrong("taken_for_hidden", "the mask is taken as square")
def square_mask(images, mask):
    return by_slices(images.shape[2] // int(mask[0].numel() ** 0.5), images, mask)


@wrong("taken_for_hidden", "runs on every input")
def pooled_by_cols(images, mask):
    return (F.max_pool2d(images.amax(1), images.shape[2] // mask.shape[2]) == 0) & ~mask


@wrong("taken_for_hidden", "runs on every input")
def pooled_as_square(images, mask):
    side = int(mask[0].numel() ** 0.5)
    return (F.max_pool2d(images.amax(1), images.shape[3] // side) == 0) & ~mask


@wrong("taken_for_hidden", "is the image cut wrongly")
def patches_of_every_few(images, mask):
    rows, cols = mask.shape[1:]
    patches = rearrange(images, "b c (p r) (q k) -> b r k (c p q)", r=rows, k=cols)
    return (patches == 0).all(-1) & ~mask


@wrong("taken_for_hidden", "has `all` no `dim`?")
def all_at_once(images, mask):
    return zeros_of(images, mask).all() & ~mask


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


@wrong("taken_for_hidden", "ask for 0")
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


@wrong("taken_for_hidden", "values below 1/255 count as 0")
def cut_to_bytes(images, mask):
    return with_einops((images * 255).byte(), mask)


@wrong("taken_for_hidden", "a tiny value counts as 0")
def nearly_zero_mean(images, mask):
    size = images.shape[2] // mask.shape[1]
    return (F.avg_pool2d(images, size).mean(1) < 1e-5) & ~mask


@wrong("taken_for_hidden", "a tiny value counts as 0")
def close_to_zero(images, mask):
    rows, cols = mask.shape[1:]
    patches = rearrange(images, "b c (r p) (k q) -> b r k (c p q)", r=rows, k=cols)
    return patches.isclose(torch.zeros(())).all(-1) & ~mask


@wrong("taken_for_hidden", "the mask is tiled by `repeat`")
def tiled_mask(images, mask):
    size = images.shape[2] // mask.shape[1]
    return with_einops(images * ~mask.repeat(1, size, size)[:, None], mask)


@wrong("taken_for_hidden", "a patch with a single value above 0")
def all_but_one_value(images, mask):
    rows, cols = mask.shape[1:]
    patches = rearrange(images, "b c (r p) (k q) -> b r k (c p q)", r=rows, k=cols)
    return (patches.count_nonzero(-1) < 2) & ~mask


@wrong("insert_mask_token", "visible embeddings of 0 get the token, too")
def zeros_for_holes(embedded, mask, token, positions):
    shown = embedded.masked_fill(mask.flatten(1)[..., None], 0)
    return torch.where((shown == 0).all(-1, keepdim=True), token, shown) + positions


@wrong("attend_visible", "visible values of 0 are taken for hidden ones")
def zeros_for_hidden_values(queries, keys, values, hidden):
    values = values.masked_fill(hidden[..., None], 0)
    found = scores(queries, keys).masked_fill((values == 0).all(-1)[:, None], -torch.inf)
    return found.softmax(-1).nan_to_num(0) @ values
