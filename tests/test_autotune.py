"""Faster ways to take a step: used where they are right and fast, and never trusted.

No GPU is needed: a recorder of operations stands in for a CUDA graph. Like one it knows nothing of Python, repeats
operations on the same memory, and stops when the host asks the device for a number.
"""

import copy
import logging
import time
import warnings
from contextlib import contextmanager, nullcontext
from functools import partial

import pytest
import torch
from tiny_model import tiny, weights
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from simmim_lab import autotune, loop, simmim, training
from simmim_lab.autotune import ATTENTION, distance, fastest, fuse_attention, plain_attention
from simmim_lab.encoders import Attention, attend
from simmim_lab.hardware import Execution
from simmim_lab.loop import train_step
from simmim_lab.masking import random_mask
from simmim_lab.shapes import check_images
from simmim_lab.simmim import SimMIM
from simmim_lab.training import Recipe, pretrain

RECIPE = Recipe(steps=12, batch_size=16, drop_path=0.3, ema=0.9, save_every=1e-6)


# What `fastest` chooses from.
def plain():
    return [torch.ones(3)]


def slower():
    return [torch.ones(3)]


def faster():
    return [torch.ones(3) * 1.01]


def wrong():
    return [torch.ones(3) * 1.1]


def no_numbers():
    return [torch.full((3,), torch.nan)]


def broken():
    raise torch.OutOfMemoryError("CUDA out of memory.\nMore text.")


@pytest.fixture
def clock(monkeypatch):
    """Ways take the seconds that this says, whatever they do."""
    costs = {plain: 1.0, slower: 0.98, faster: 0.5, wrong: 0.1, no_numbers: 0.1, broken: 0.1}
    monkeypatch.setattr(autotune, "seconds", lambda call: costs[call.args[0]])
    return costs


def choose(*ways):
    return fastest(plain, {way.__name__: lambda way=way: way for way in ways}, lambda way: way())


def test_the_fastest_way_that_is_right_is_taken_without_a_word(clock, caplog):
    caplog.set_level(logging.INFO, "simmim_lab.autotune")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose(wrong, broken, slower, faster, no_numbers) is faster
    told = caplog.messages
    assert "faster: 2.00 times as fast as without" in told and "slower: 1.02 times as fast as without" in told
    assert "wrong: ArithmeticError: its numbers are 10.0% off" in told


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        (slower, "1.02 times as fast as without"),
        (wrong, "ArithmeticError: its numbers are 10.0% off"),
        (no_numbers, "ArithmeticError: its numbers are nan% off"),
        (broken, "OutOfMemoryError: CUDA out of memory."),
    ],
)
def test_what_does_not_prove_itself_is_named_and_left_out(clock, way, reason):
    with pytest.warns(UserWarning) as caught:
        assert choose(way) is plain
    assert [str(warning.message) for warning in caught] == [f"trains without {way.__name__} ({reason})"]


def test_the_plain_way_need_not_be_quite_the_same_each_time(clock, monkeypatch):
    drawn = iter([torch.ones(3), torch.ones(3) * 1.05])
    monkeypatch.setitem(clock, wrong, 0.5)  # 10 % off: as far as 2 % and twice 5 %

    def try_out(way):
        return [next(drawn)] if way is plain else way()

    assert fastest(plain, {"another": lambda: wrong}, try_out) is wrong


def test_the_plain_way_is_timed_twice(monkeypatch):
    costs = {plain: iter([1.0, 0.5]), faster: iter([0.49])}  # slow only because it came first
    monkeypatch.setattr(autotune, "seconds", lambda call: next(costs[call.args[0]]))
    with pytest.warns(UserWarning, match=r"faster \(1\.02 times as fast as without\)"):
        assert choose(faster) is plain


def test_a_way_is_taken_even_if_the_plain_one_does_not_fit_beside_it(monkeypatch):
    costs = {plain: iter([1.0]), faster: iter([0.5])}

    def seconds(call):
        for cost in costs[call.args[0]]:
            return cost
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(autotune, "seconds", seconds)
    assert choose(faster) is faster


def test_a_way_that_cannot_be_made_is_left_out(clock):
    def compiler():
        raise RuntimeError("Failed to find C compiler")

    with pytest.warns(UserWarning, match=r"trains without it \(RuntimeError: Failed to find C compiler\)"):
        assert fastest(plain, {"it": compiler}, lambda way: way()) is plain


def test_where_the_plain_way_cannot_be_tried_it_is_kept(clock):
    with pytest.warns(UserWarning, match="without faster, with nothing to compare: OutOfMemoryError: CUDA out of"):
        assert fastest(broken, {"faster": lambda: faster}, lambda way: way()) is broken


def test_numbers_are_compared_as_a_share_of_their_size():
    assert distance(torch.tensor([3.0, 4.5]), torch.tensor([3.0, 4.0])) == pytest.approx(0.1)
    assert (
        distance(torch.tensor([torch.inf, 1.0]), torch.tensor([torch.inf, 1.0])) == 0
    )  # a scaler finds its scale
    assert not distance(torch.tensor([1.0, 1.0]), torch.tensor([torch.nan, 1.0])) <= 1
    assert distance(torch.tensor([torch.nan, 1.0]), torch.tensor([torch.nan, 1.0])) == 0  # nor has it here
    assert not distance(torch.tensor([torch.nan, 1.0]), torch.tensor([1.0, torch.nan])) <= 1
    assert distance(torch.zeros(3), torch.zeros(3)) == 0


def test_the_clock_sees_which_call_is_slower(monkeypatch):
    monkeypatch.setattr(autotune, "TURN", 0.01)
    assert autotune.seconds(lambda: time.sleep(0.01)) > 5 * autotune.seconds(lambda: None)


def test_what_takes_long_is_called_twice(monkeypatch):
    calls = []
    monkeypatch.setattr(autotune, "TURN", 0.001)
    autotune.seconds(lambda: calls.append(time.sleep(0.01)))
    assert len(calls) == 2


@pytest.mark.parametrize("name", ATTENTION)
@pytest.mark.parametrize("windows", [(), (5,)], ids=["vit", "swin"])
def test_all_ways_to_attend_agree_forward_and_backward(name, windows, monkeypatch):
    from torch.nn.attention import flex_attention

    monkeypatch.setattr(flex_attention, "_validate_device", lambda *args: None, raising=False)  # has no CPU kernel
    generator = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, 2, *windows, 3, 11, 8, generator=generator)
    bias = torch.randn(*windows, 3, 11, 11, generator=generator)
    bias = bias.transpose(-3, -2).contiguous().transpose(-3, -2)  # as it comes: heads do not lie together
    if windows:
        bias[1:, :, :6, 6:] = -torch.inf  # strangers

    def outcome(way):
        leaves = [tensor.clone().requires_grad_() for tensor in (query, key, value, bias)]
        output = way(*leaves)
        return [output, *torch.autograd.grad(output.square().sum(), leaves)]

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "flex_attention called without torch.compile")
        found = outcome(ATTENTION[name])
    torch.testing.assert_close(found, outcome(attend), rtol=1e-4, atol=1e-5)


def test_a_bias_that_all_images_share_comes_to_the_kernel_as_one(monkeypatch):
    """With 14 x 14 tokens it would be padded, and so written into memory, for each image."""
    kernel, seen = torch.nn.functional.scaled_dot_product_attention, []

    def note(query, key, value, attn_mask):
        seen.append(attn_mask)
        return kernel(query, key, value, attn_mask)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", note)
    autotune.in_fused_kernel(*torch.rand(3, 5, 2, 196, 8), torch.rand(196, 196, 2).permute(2, 0, 1))
    assert seen[0].shape == (1, 2, 196, 196) and seen[0].is_contiguous()


@pytest.mark.parametrize("name", ["vit_nano", "swin_nano"])
@pytest.mark.parametrize("compile", [False, True], ids=["eager", "compiled"])
def test_attention_is_fused_where_a_bias_learns_and_only_there(name, compile, monkeypatch):
    tried, used = [], []

    def way(query, key, value, bias):
        used.append(bias.requires_grad)
        return attend(query, key, value, bias)

    def proven(plain, ways, try_out):
        tried.append(list(ways))
        for numbers, expected in zip(try_out(ways["fused attention"]()), try_out(plain), strict=True):
            torch.testing.assert_close(numbers, expected)
        return way

    monkeypatch.setattr(torch, "compile", lambda function, dynamic: function)
    monkeypatch.setattr(autotune, "fastest", proven)
    model = SimMIM.preset(name)
    batch = torch.rand(4, 3, 32, 32), random_mask(4, model.encoder.grid, 0.6)
    before, _ = model(*batch)
    fuse_attention(model, batch, compile=compile)
    assert tried == [list(ATTENTION) if compile else ["fused attention"]] * (1 if name == "vit_nano" else 2)
    count = sum(isinstance(module, Attention) for module in model.modules())

    after, _ = copy.deepcopy(model)(*batch)
    assert used == [True] * count and torch.equal(before, after)
    with torch.no_grad():
        torch.testing.assert_close(model(*batch)[0], before)
    plain_attention(model)
    model(*batch)
    assert len(used) == count


class Recorder(TorchDispatchMode):
    """What happens within it, in order, to be done again on the same memory."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("the host waits for the device")
        output = function(*args, **(kwargs or {}))
        self.calls.append((function, args, kwargs or {}, output))
        return output

    def replay(self):
        for function, args, kwargs, output in self.calls:
            there = {tensors.untyped_storage().data_ptr() for tensors in only_tensors((args, kwargs))}
            again = function(*args, **kwargs)
            for place, value in zip(only_tensors(output), only_tensors(again), strict=True):
                if place.untyped_storage().data_ptr() not in there:  # neither a view nor written in place
                    place.copy_(value)


def only_tensors(tree):
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


class Stream:
    def wait_stream(self, other):
        pass


@pytest.fixture
def graphs(monkeypatch):
    """CUDA graphs on a CPU; they are right, and win. All graphs that were made, which count their replays."""
    made = []

    class Graph(Recorder):
        def __init__(self):
            super().__init__()
            self.replays = 0
            made.append(self)

        def replay(self):
            self.replays += 1
            with torch.no_grad():
                super().replay()

    @contextmanager
    def record(graph, **options):
        with graph:
            yield

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", record)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    watch = Recorder()

    def watched(mode):
        warnings.warn("Synchronization debug mode is a prototype feature", stacklevel=2)  # as PyTorch does
        watch.__enter__() if mode == "error" else watch.__exit__(None, None, None)

    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", watched)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (50, 100))
    monkeypatch.setattr(simmim, "check_images", partial(check_images, values=False))  # as on a GPU
    monkeypatch.setattr(autotune, "applies", lambda device: True)
    monkeypatch.setattr(training, "on_side_stream", lambda draw, *_: draw, raising=False)
    monkeypatch.setattr(autotune, "fuse_attention", lambda model, batch, compile: None)
    monkeypatch.setattr(autotune, "seconds", lambda call: 1.0 if isinstance(call.args[0], partial) else 0.5)
    return made


@pytest.fixture(scope="module")
def expected(images):
    model = tiny()
    return model, pretrain(model, images, RECIPE, progress=False)


def assert_trained_alike(found, expected):
    (model, history), (same, told) = found, expected
    torch.testing.assert_close(history.loss, told.loss, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(history.grad_norm, told.grad_norm, rtol=1e-3, atol=1e-4)
    assert history.lr == told.lr
    for name, tensor in weights(model).items():  # their lr has 32 bits; biases of keys have no gradient but noise
        torch.testing.assert_close(tensor, weights(same)[name], rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("how", [Execution(), Execution(accumulation_steps=2)], ids=["whole", "parts"])
def test_a_recorded_step_trains_as_the_plain_one_does(images, expected, graphs, how):
    model = tiny()
    with warnings.catch_warnings(action="error"):
        history = pretrain(model, images, RECIPE, how, progress=False)
    assert_trained_alike((model, history), expected)
    [graph] = graphs
    assert graph.replays == loop.TRIED + RECIPE.steps  # all of them


def test_a_run_goes_on_with_a_graph_and_without(images, expected, graphs, tmp_path, monkeypatch):
    def unplug(step, model, history):
        if step == 6:
            raise OSError("no power")

    with pytest.raises(OSError, match="no power"):
        pretrain(tiny(), images, RECIPE, run_dir=tmp_path / "graph", callbacks=[unplug], progress=False)
    monkeypatch.setattr(autotune, "applies", lambda device: False)
    with pytest.raises(OSError, match="no power"):
        pretrain(tiny(), images, RECIPE, run_dir=tmp_path / "plain", callbacks=[unplug], progress=False)
    for folder, graph in (("graph", False), ("plain", True)):
        monkeypatch.setattr(autotune, "applies", lambda device, graph=graph: graph)
        model = tiny()
        history = pretrain(model, images, RECIPE, run_dir=tmp_path / folder, progress=False)
        assert_trained_alike((model, history), expected)
    assert len(graphs) == 2


def test_a_step_in_float16_is_recorded_with_its_scaler(images, expected, graphs, monkeypatch):
    monkeypatch.setattr(loop, "precision", lambda device: torch.float16)
    model = tiny()
    history = pretrain(model, images, RECIPE, progress=False)
    assert_trained_alike((model, history), expected)
    assert graphs[0].replays == loop.TRIED + RECIPE.steps
    assert any(function is torch.ops.aten._amp_update_scale_.default for function, *_ in graphs[0].calls)


@pytest.mark.parametrize("trial", ["no gain", "no memory"])
def test_trials_leave_no_trace(images, expected, graphs, trial, monkeypatch):
    def seconds(call):
        if trial == "no memory":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 1.0

    monkeypatch.setattr(autotune, "seconds", seconds)
    model = tiny()
    with pytest.warns(
        UserWarning, match=r"a CUDA graph( \(1\.00 times as fast as without\)|, .* CUDA out of memory)$"
    ):
        history = pretrain(model, images, RECIPE, progress=False)
    assert history.loss == expected[1].loss
    for name, tensor in weights(model).items():
        assert torch.equal(tensor, weights(expected[0])[name])


@pytest.mark.parametrize("error", [RuntimeError("capture failed"), torch.OutOfMemoryError("CUDA out of memory")])
def test_a_graph_that_fails_is_left_out(images, expected, graphs, error, monkeypatch):
    def record(graph, **options):
        raise error

    monkeypatch.setattr(torch.cuda, "graph", record)
    with pytest.warns(UserWarning, match=rf"without a CUDA graph \({type(error).__name__}: {error}\)"):
        history = pretrain(tiny(), images, RECIPE, progress=False)
    assert history.loss == expected[1].loss


def test_a_graph_that_fails_half_way_leaves_the_scaler_as_it_was(images, expected, graphs, monkeypatch):
    monkeypatch.setattr(loop, "precision", lambda device: torch.float16)
    step, failed = torch.optim.AdamW.step, []

    def fail_once(optimizer, *args):
        if graphs and not failed:
            failed.append(True)
            raise RuntimeError("not permitted when stream is capturing")
        return step(optimizer, *args)

    monkeypatch.setattr(torch.optim.AdamW, "step", fail_once)
    model = tiny()
    with pytest.warns(UserWarning, match=r"without a CUDA graph \(RuntimeError: not permitted"):
        history = pretrain(model, images, RECIPE, progress=False)
    assert_trained_alike((model, history), expected)


def test_a_recording_that_fails_leaves_its_stream(graphs, monkeypatch):
    """PyTorch's own context stays on it, where nothing waits for what other streams draw."""
    main = Stream()
    current = [main]

    @contextmanager
    def on(stream):
        before, current[0] = current[0], stream
        try:
            yield
        finally:
            current[0] = before

    @contextmanager
    def record(graph, stream, **options):
        current[0] = stream
        yield
        raise RuntimeError("capture failed")

    monkeypatch.setattr(torch.cuda, "stream", on)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: current[0])
    monkeypatch.setattr(torch.cuda, "graph", record)
    with pytest.raises(RuntimeError, match="capture failed"):
        autotune.captured(torch.neg, (torch.ones(1),))
    assert current == [main]


def test_a_graph_that_leaves_no_memory_for_all_else_is_left_out(images, expected, graphs, monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (5, 100))
    with pytest.warns(UserWarning, match=r"without a CUDA graph \(MemoryError: it leaves 5% of the memory"):
        history = pretrain(tiny(), images, RECIPE, progress=False)
    assert history.loss == expected[1].loss


def test_where_weights_do_not_fit_twice_no_graph_is_tried(images, expected, graphs, monkeypatch):
    def full(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(autotune, "rewinding", full)
    with pytest.warns(UserWarning, match="without a CUDA graph: there is too little memory to try one"):
        history = pretrain(tiny(), images, RECIPE, progress=False)
    assert not graphs and history.loss == expected[1].loss


def test_too_little_memory_for_the_moments_changes_nothing():
    model = torch.nn.Linear(2, 2)
    optimizer, before = torch.optim.AdamW(model.parameters()), copy.deepcopy(model.state_dict())

    def step():
        with torch.no_grad():
            model.weight.add_(1)
        optimizer.state[model.bias]["step"] = torch.zeros(())
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        autotune.rewinding(model, optimizer, step)
    assert not optimizer.state
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


def test_a_step_that_waits_for_the_device_is_not_even_recorded(images, expected, graphs, monkeypatch):
    monkeypatch.setattr(simmim, "check_images", check_images)  # it looks at the values
    with pytest.warns(UserWarning, match=r"without a CUDA graph \(RuntimeError: the host waits for the device\)"):
        history = pretrain(tiny(), images, RECIPE, progress=False)
    assert not graphs and history.loss == expected[1].loss


@pytest.mark.parametrize("place", range(5), ids=["images", "masks", "drop path", "weight", "learning rate"])
def test_a_graph_that_keeps_to_old_inputs_is_found_out(images, expected, graphs, place, monkeypatch):
    captured = autotune.captured

    def stale(step, inputs):
        replay = captured(step, inputs)

        def old(*new):
            new = list(new)
            new[place] = inputs[place]
            return replay(*new)

        return old

    monkeypatch.setattr(autotune, "captured", stale)
    with pytest.warns(UserWarning, match=r"without a CUDA graph \(ArithmeticError: its numbers are .* off\)"):
        history = pretrain(tiny(), images, RECIPE, progress=False)
    assert history.loss == expected[1].loss


def test_no_product_of_a_step_is_in_float32_under_autocast(images, monkeypatch):
    """So TF32 has nothing left to do. Products in 16 bits stand in for the fused kernel of attention."""
    products = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            if function.__name__.split(".")[0] in ("mm", "addmm", "bmm", "convolution", "convolution_backward"):
                products.append((function.__name__, {tensor.dtype for tensor in only_tensors(args)}))
            return function(*args, **(kwargs or {}))

    def by_hand(query, key, value, bias):
        with torch.autocast("cpu", enabled=False):
            return (query @ key.transpose(-2, -1) + bias.to(query.dtype)).softmax(-1) @ value

    monkeypatch.setattr(loop, "autocast", lambda device: torch.autocast("cpu", torch.bfloat16))
    monkeypatch.setattr(Attention, "attend", staticmethod(by_hand))
    model = tiny()
    batch = images.take(8), random_mask(8, model.encoder.grid, 0.6)
    with Watch():
        train_step(model, torch.optim.AdamW(model.parameters(), fused=True), batch, lr=1e-3, clip=5.0)
    assert products and all(dtypes == {torch.bfloat16} for _, dtypes in products), products
