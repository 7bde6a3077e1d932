"""The comparison of two runs: rounding and timing pass, and a real change does not."""

import contextlib
import io
import os
import subprocess
import sys

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_notebook, new_output

from simmim_lab.teaching.comparison import Comparison, compare, text_differences

numbers = st.floats(1e-3, 1e6).flatmap(lambda value: st.sampled_from([value, -value]))


@pytest.mark.parametrize(
    ("stored", "printed"),
    [
        ("0.001% of them", "0.000% of them"),
        ("67% of them", "68% of them"),
        ("16.41 dB", "16.43 dB"),
        ("-0.00", "0.00"),
        ("loss 1,234.5", "loss 1,234.9"),
        ("1.00e-05", "9.98e-06"),
        ("nan inf -inf", "nan inf -inf"),
        ("3 s", "11 s"),
        ("97 ms a step and 1.2 GB", "1.03 s a step and 890 MB"),
        ("1 min 20 s", "58.3 s"),
        ("10.5 to 12.5 seconds", "7.25 to 8.75 seconds"),
        ("1,200 images/s", "88.5 images/s"),
        ("65 TFLOP per second", "3.2 GFLOP per second"),
        ("a   9.98\nb  10.00\n", "a   9.99\nb   9.99\n"),
        ("tensor([0., 1.])", "tensor([0.0001, 0.9999])"),
        ("tensor([[ 1.00, -0.00],\n        [ 2.00,  3.00]])", "tensor([[1.00, 0.00],\n        [2.00, 3.00]])"),
        ("[0.1 0.2\n 0.3]", "[0.1 0.2 0.3]"),
    ],
)
def test_what_a_machine_decides_passes(stored, printed):
    assert text_differences(stored, printed) == text_differences(printed, stored) == []


@pytest.mark.parametrize(
    ("stored", "printed"),
    [
        ("40 of 64 patches", "39 of 64 patches"),
        ("12,480 parameters", "12,481 parameters"),
        ("(64, 3, 32, 32)", "(64, 3, 32, 33)"),
        ("-1", "1"),
        ("36% of the loss", "10% of the loss"),
        ("50%", "50"),
        ("16.41 dB", "17.10 dB"),
        ("+0.71", "-0.71"),
        ("1.00e-05", "1.00e-04"),
        ("nan", "0.0"),
        ("nan", "inf"),
        ("inf", "-inf"),
        ("tensor([0., 1.])", "tensor([1., 1.])"),
        ("9.4 MB in 5 parts", "9.4 MB in 6 parts"),
        ("5 steps", "6 steps"),
        ("vit_b16", "vit_b32"),
        ("version 2.14.1", "version 2.15.1"),
        ("2026-11-24", "2026-11-25"),
        ("True", "False"),
        ("one two", "one"),
        ("one\ntwo", "one two"),
        ("[1.0, 2.0]", "[1.0, 2.0, 3.0]"),
    ],
)
def test_a_change_is_found(stored, printed):
    assert text_differences(stored, printed) and text_differences(printed, stored)


def table(values: list[float], form: str, factor: float) -> str:
    return "\n".join(f"row {row}  {factor * value:{form}}" for row, value in enumerate(values))


@settings(deadline=None, max_examples=50)
@given(st.lists(numbers, min_size=1), st.sampled_from([".2f", ",.3f", "8.4f", "+.1e", ".3%", "#.4g"]))
def test_rounding_passes_in_any_format(values, form):
    assert text_differences(table(values, form, 1), table(values, form, 1 + 1e-5)) == []


@settings(deadline=None, max_examples=50)
@given(st.lists(numbers, min_size=1), st.sampled_from([".3e", "+.4e", "#.4g"]), st.sampled_from([1.05, 0.5, -1]))
def test_a_change_is_found_in_every_line(values, form, factor):
    found = text_differences(table(values, form, 1), table(values, form, factor))
    assert len(found) == len(values)


def lesson(*outputs: list, tags: tuple[str, ...] = ()) -> nbformat.NotebookNode:
    cells = [new_code_cell("", outputs=list(shown), metadata={"tags": list(tags)}) for shown in outputs]
    for number, cell in enumerate(cells):
        cell["id"] = f"00-{number:03}"
    return new_notebook(cells=cells)


def printed(text: str, name: str = "stdout"):
    return new_output("stream", text=text, name=name)


def picture(alt: str, kind: str = "image/png", data: str = "AAAA"):
    return new_output("display_data", data={kind: data, "text/plain": "Figure"}, metadata={kind: {"alt": alt}})


@pytest.mark.parametrize(
    ("stored", "ran", "told"),
    [
        ([printed("a\n")], [printed("a"), printed("\n")], None),
        ([picture("A cat", data="AAAA")], [picture("A cat", data="BBBB")], None),
        ([picture("A cat")], [picture("A dog")], "'A cat', printed 'A dog'"),
        ([picture("A cat")], [], "printed nothing"),
        ([picture("A cat")], [picture("A cat", kind="image/svg+xml")], "image/svg+xml"),
        ([], [printed("careful", name="stderr")], "printed stderr"),
        ([printed("a")], [new_output("error", ename="E", evalue="no", traceback=[])], "printed error"),
        ([printed("a")], [printed("a\nb")], "1 lines are stored, but 2 were printed"),
    ],
)
def test_the_outputs_of_a_cell_are_compared(stored, ran, told):
    found = compare(lesson([printed("first")], stored), lesson([printed("first")], ran))
    assert found.compared == 2 and len(found.differences) == bool(told)
    assert not told or ("code cell 2 (00-001)" in found.differences[0] and told in found.differences[0])


def test_a_tag_exempts_a_cell():
    stored, ran = (lesson([printed(text)], tags=("nbval-ignore-output",)) for text in "ab")
    assert compare(stored, ran) == Comparison([], compared=0, exempt=1)


# What a lesson does: draw masks, train, and print figures of several kinds.
TRAINING = """\
import torch
from simmim_lab import images, masking
from simmim_lab.simmim import SimMIM

torch.manual_seed(0)
dtype = torch.float32
model = SimMIM.preset("vit_nano").to(dtype)
model.loss = "mse"
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
pictures = images.load("photos").take(16).to(dtype)
for step in range(10):
    mask = masking.random_mask(16, (8, 8), 0.6, generator=torch.Generator().manual_seed(step))
    loss, prediction = model(pictures, mask)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 5 == 4:
        print(f"step {step + 1}: loss {loss.item():.4f}")
print(prediction[0, 0, :2, :8].detach())
print(f"{(prediction > 0.5).double().mean().item():.1%} of {prediction.numel():,} numbers are above 0.5")"""


def run(old: str = "", new: str = "") -> str:
    """What the training prints after a change of its text."""
    assert old in TRAINING
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(TRAINING.replace(old, new), {})
    return said.getvalue()


@pytest.fixture(scope="module")
def stored() -> str:
    return run()


@pytest.mark.parametrize(
    "environment",
    [
        {"OMP_NUM_THREADS": "2"},
        {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "ONEDNN_MAX_CPU_ISA": "SSE41"},
    ],
    ids=["threads", "processor"],
)
def test_a_training_on_another_machine_prints_the_same(stored, environment):
    environment = {**os.environ, **environment}
    command = [sys.executable, "-c", TRAINING]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert text_differences(stored, ran) == []


def test_a_training_with_more_digits_prints_the_same(stored):
    assert text_differences(stored, run("float32", "float64")) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"mse"', '"l1"'),
        ("(8, 8), 0.6", "(8, 8), 0.6, cell=2"),
        ("(8, 8), 0.6", "(8, 8), 0.5"),
        ("torch.manual_seed(0)", "torch.manual_seed(1)"),
    ],
    ids=["loss", "mask", "ratio", "weights"],
)
def test_a_training_with_a_real_change_is_found(stored, old, new):
    assert text_differences(stored, run(old, new))
