"""Work, memory and time of a training: the formulas against counters, real optimisers and models done by hand."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from simmim_lab.budget import (
    GPUS,
    Piece,
    activation_bytes,
    matmul_rate,
    memory_rate,
    seconds_per_epoch,
    state_bytes,
    time_shares,
    trace,
    training_flops,
    vit_flops,
    vit_parameters,
)
from simmim_lab.encoders import ViTEncoder
from simmim_lab.simmim import SimMIM


@pytest.mark.parametrize(
    ("image_size", "patch", "dim", "depth", "heads"), [(32, 4, 64, 4, 2), ((16, 32), 2, 96, 3, 4)]
)
def test_the_work_of_a_vit_agrees_with_pytorchs_counter(image_size, patch, dim, depth, heads):
    encoder = ViTEncoder(image_size, patch, dim, depth, heads)
    images = torch.rand(2, 3, *encoder.image_size)
    by_hand = len(images) * vit_flops(image_size, patch, dim, depth)

    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        features = encoder(images)
        forward = sum(sum(counter.get_flop_counts()[f"ViTEncoder.blocks.{k}"].values()) for k in range(depth))
        features.sum().backward()
    assert forward == pytest.approx(by_hand, rel=0.001)
    assert counter.get_total_flops() == pytest.approx(training_flops(by_hand), rel=0.03)


@pytest.mark.parametrize(
    ("patch", "dim", "depth", "giga_per_image", "peta_per_epoch"),
    [
        (4, 64, 4, 0.09, 0.005),
        (4, 192, 9, 1.62, 0.081),
        (4, 192, 12, 2.16, 0.108),
        (4, 256, 8, 2.53, 0.126),
        (4, 384, 12, 8.4, 0.42),
        (2, 192, 12, 9.97, 0.50),
    ],
)
def test_the_budget_of_models_for_32_pixels(patch, dim, depth, giga_per_image, peta_per_epoch):
    work = training_flops(vit_flops(32, patch, dim, depth))
    assert work / 1e9 == pytest.approx(giga_per_image, rel=0.03)
    assert work * 50_000 / 1e15 == pytest.approx(peta_per_epoch, rel=0.03, abs=0.001)


def test_the_parameters_of_the_blocks_are_nearly_all():
    model = SimMIM.preset("vit_tiny")
    assert vit_parameters(192, 12) == sum(p.numel() for p in model.encoder.blocks.parameters())
    assert vit_parameters(192, 12) == pytest.approx(sum(p.numel() for p in model.parameters()), rel=0.01)


def test_a_size_that_patches_do_not_tile_is_refused():
    with pytest.raises(ValueError, match="patches of 5 pixels do not tile an image of 32 x 32 pixels"):
        vit_flops(32, 5, 64, 4)


def test_the_time_of_an_epoch():
    gpu = GPUS["T4"]
    assert seconds_per_epoch(1e9, 65_000, gpu, 1) == pytest.approx(3)
    assert seconds_per_epoch(1e9, 65_000, gpu, 0.25) == pytest.approx(12)
    for share in (0, 1.5, float("nan")):
        with pytest.raises(ValueError, match="above 0 and at most 1"):
            seconds_per_epoch(1e9, 65_000, gpu, share)


def test_the_gpus_name_their_data_sheets_and_a_precision():
    assert all(gpu.source.startswith("https://") and "nvidia.com/" in gpu.source for gpu in GPUS.values())
    assert {name: gpu.precision for name, gpu in GPUS.items() if gpu.precision != "bf16"} == {"T4": "fp16"}


@pytest.mark.parametrize("ema", [False, True])
def test_the_state_of_a_real_training(ema):
    model = SimMIM.preset("vit_nano")
    optimizer = torch.optim.AdamW(model.parameters())
    loss, _ = model(torch.rand(1, 3, 32, 32), torch.ones(1, 8, 8, dtype=torch.bool))
    loss.backward()
    optimizer.step()
    parameters = list(model.parameters())
    moments = [state[name] for state in optimizer.state.values() for name in ("exp_avg", "exp_avg_sq")]
    averages = list(copy.deepcopy(model).parameters()) if ema else []
    kept = [*parameters, *(p.grad for p in parameters), *moments, *averages]
    assert state_bytes(sum(p.numel() for p in parameters), ema=ema) == sum(tensor.nbytes for tensor in kept)


class Net(nn.Module):
    """Two linear layers with GELU between; the loss is the mean."""

    def __init__(self):
        super().__init__()
        self.first, self.gelu, self.second = nn.Linear(5, 7), nn.GELU(), nn.Linear(7, 3)
        self.layers = nn.Sequential(self.first, self.gelu, self.second)

    def forward(self, x):
        output = self.layers(x)
        return output.mean(), output


@pytest.mark.parametrize("batch", [1, 4, 64])
def test_what_a_forward_pass_keeps(batch):
    x = torch.rand(batch, 5)
    before_and_after_gelu = 2 * 4 * batch * 7  # the input of each layer, but for the batch itself
    assert activation_bytes(Net(), x) == before_and_after_gelu
    with torch.no_grad():
        assert activation_bytes(Net(), x) == 0


def test_views_count_once_and_checkpointing_keeps_the_input_only():
    class Twice(Net):
        def forward(self, x):
            hidden = self.first(x)
            return ((hidden.view(-1) ** 2).sum() + (hidden**2).sum()), hidden

    class Thrifty(Net):
        def forward(self, x):
            output = checkpoint(self.layers, x * 2, use_reentrant=False)
            return output.mean(), output

    x = torch.rand(4, 5)
    assert activation_bytes(Twice(), x) == 4 * 4 * 7
    assert activation_bytes(Thrifty(), x) == x.nbytes


def test_activations_grow_with_the_batch_and_shrink_in_16_bits():
    model = SimMIM.preset("vit_nano")

    def measure(batch):
        return activation_bytes(model, torch.rand(batch, 3, 32, 32), torch.ones(batch, 8, 8, dtype=torch.bool))

    two, three, six = measure(2), measure(3), measure(6)
    assert six - three == 3 * (three - two) > 0
    with torch.autocast("cpu", torch.bfloat16):
        assert 0.4 < (measure(3) - measure(2)) / (three - two) < 0.8


def test_the_rate_of_matrix_products():
    small, large = (matmul_rate("cpu", torch.float32, size=size, seconds=0.1) for size in (8, 256))
    assert 1e6 < small < large < 1e14
    assert matmul_rate("cpu", torch.bfloat16, size=64, seconds=0) > 0


def test_the_rate_of_memory():
    assert 1e8 < memory_rate("cpu", size=2**20, trials=2) < 1e13


def test_a_trace_knows_the_work_of_a_step_and_its_shares_add_up():
    model = SimMIM.preset("vit_nano")
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    images, mask = torch.rand(8, 3, 32, 32), torch.ones(8, 8, 8, dtype=torch.bool)

    def step():
        optimizer.zero_grad()
        model(images, mask)[0].backward()
        optimizer.step()

    pieces = trace(step, "cpu")
    assert min(piece.begin for piece in pieces) == 0
    assert all(piece.begin <= piece.end for piece in pieces)
    ends = {kind: max(piece.end for piece in pieces if piece.kind == kind) for kind in ("optimizer", "GELU")}
    assert ends["optimizer"] > ends["GELU"]
    shares = time_shares(pieces)
    assert sum(shares.values()) == pytest.approx(1)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert shares["matrix products"] > shares["GELU"] > 0
    assert {"attention", "norms and softmax", "waiting"} < set(shares)


def test_shares_of_pieces_by_hand():
    pieces = [Piece("GELU", 0, 1), Piece("copies", 2, 4), Piece("GELU", 4, 8)]
    assert time_shares(pieces) == {"GELU": 5 / 8, "copies": 2 / 8, "waiting": 1 / 8}
