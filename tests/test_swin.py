"""Swin by hand: windows, their shift, and what a token sees. test_parity.py compares it with transformers'."""

import pytest
import torch
from einops import rearrange

from simmim_lab.drop_path import DropPath
from simmim_lab.encoders import Block
from simmim_lab.swin import SwinBlock, SwinEncoder, from_windows, strangers, to_windows


def places(rows, cols):
    """The tokens of a grid, each of which is (row, col)."""
    return torch.stack(torch.meshgrid(torch.arange(rows), torch.arange(cols), indexing="ij"), -1)[None]


def test_windows_hold_the_tokens_of_a_square_in_reading_order():
    [windows] = to_windows(places(4, 6), 2)
    assert windows[1].tolist() == [[0, 2], [0, 3], [1, 2], [1, 3]]
    assert windows[3].tolist() == [[2, 0], [2, 1], [3, 0], [3, 1]]


@pytest.mark.parametrize(("rows", "cols", "window"), [(4, 6, 2), (9, 3, 3), (5, 5, 5), (2, 3, 1)])
def test_windows_are_put_back_where_they_were(rows, cols, window):
    tokens = torch.rand(2, rows, cols, 3)
    windows = to_windows(tokens, window)
    assert windows.shape == (2, rows * cols // window**2, window**2, 3)
    assert torch.equal(from_windows(windows, (rows, cols)), tokens)


@pytest.mark.parametrize(
    ("grid", "window", "shift"), [((6, 9), 3, (1, 1)), ((8, 4), 4, (2, 0)), ((4, 4), 2, (0, 0))]
)
def test_strangers_are_tokens_that_lie_a_window_or_more_apart(grid, window, shift):
    rolled = places(*grid).roll((-shift[0], -shift[1]), dims=(1, 2))
    [place] = to_windows(rolled, window)
    distance = (place[:, :, None] - place[:, None, :]).abs().amax(-1)
    assert torch.equal(strangers(grid, window, shift), distance >= window)


def seen(block, grid, row, col):
    """Which tokens move the token at (row, col)."""
    tokens = torch.randn(1, *grid, block.norm1.normalized_shape[0], requires_grad=True)
    block(tokens)[0, row, col].square().sum().backward()
    return (tokens.grad != 0).any(-1)[0]


@pytest.mark.parametrize(
    ("shift", "rows", "cols"),
    [(0, slice(0, 4), slice(4, 8)), (2, slice(2, 6), slice(6, 8))],  # the shifted window is cut off at the edge
)
def test_a_token_sees_its_window_and_no_more(shift, rows, cols):
    torch.manual_seed(0)
    expected = torch.zeros(8, 8, dtype=torch.bool)
    expected[rows, cols] = True
    assert torch.equal(seen(SwinBlock(8, 2, (8, 8), 4, shift), (8, 8), 3, 7), expected)


def test_a_grid_that_is_one_window_is_not_shifted():
    torch.manual_seed(0)
    assert seen(SwinBlock(8, 2, (4, 4), 4, shift=2), (4, 4), 0, 0).all()


def test_one_window_makes_it_a_block_of_the_vit():
    torch.manual_seed(0)
    swin, vit = SwinBlock(8, 2, (4, 4), 4, shift=0), Block(8, 2, eps=1e-5)
    vit.load_state_dict(swin.state_dict(), strict=False)
    tokens = torch.randn(2, 4, 4, 8)
    expected = vit(rearrange(tokens, "b r c d -> b (r c) d"), swin.relative())
    torch.testing.assert_close(swin(tokens), rearrange(expected, "b (r c) d -> b r c d", r=4))


def test_an_image_that_skips_all_branches_passes_unchanged():
    torch.manual_seed(0)
    encoder, images = SwinEncoder(depths=(2,), heads=(1,)), torch.randn(3, 3, 32, 32)
    drop_path = DropPath(encoder, 0.5)
    drop_path.keep = torch.tensor([[0.0] * 4, [1.0] * 4, [1.0] * 4])
    features = encoder(images)
    drop_path.remove()
    torch.testing.assert_close(encoder(images)[1:], features[1:])
    encoder.stages = torch.nn.Sequential()
    torch.testing.assert_close(encoder(images)[0], features[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 34}, "cells of 4 pixels do not tile an image of 34 x 34 pixels"),
        ({"image_size": (32, 48), "window": 5}, "windows of 5 tokens do not tile a grid of 16 x 24 tokens"),
    ],
)
def test_sizes_that_do_not_tile_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SwinEncoder(**arguments)


def test_an_image_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"built for \(32, 32\) pixels, not \(16, 32\)"):
        SwinEncoder()(torch.rand(1, 3, 16, 32))
