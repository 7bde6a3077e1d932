"""Prefetching: a batch is drawn on a second CUDA stream, while the step before it still runs (lesson 06).

A GPU works off the operations of one stream one after the other; those of two streams may run side by side. The
operations that draw crops and masks are many and small, and leave most of a GPU idle.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice

import torch
from torch import Tensor

from simmim_lab import autotune
from simmim_lab.common import evaluating
from simmim_lab.hardware import autocast
from simmim_lab.images import ImageSet, ImageStream
from simmim_lab.loop import Batch, Run

Batches = Iterator[tuple[Batch, Tensor]]
Draw = Callable[[int, slice], Batches]  # see `loop.fit`

TRIED = 4  # batches that both ways draw, several times, at the start


def on_side_stream(draw: Draw, dataset: ImageSet | ImageStream, run: Run) -> Draw:
    """`draw` for this run, on a second CUDA stream where that proves itself (`autotune.fastest`).

    Images on the disk are drawn as they were: their threads are ahead as it is.
    """
    if not autotune.applies(dataset.draws_on):
        return draw

    def drawn(first: int, share: slice) -> Batches:
        ways = {"a second stream": lambda: partial(_beside, torch.cuda.Stream(), draw)}
        with evaluating(run.model):  # a trial changes nothing
            found = autotune.fastest(draw, ways, partial(_try_out, run, first, share))
        return found(first, share)

    return drawn


def _try_out(run: Run, first: int, share: slice, draw: Draw) -> list[Tensor]:
    """Losses of some batches, which take nearly as long as steps, and the sums of what was drawn."""
    learned = [parameter for parameter in run.model.parameters() if parameter.requires_grad]
    numbers = []
    for batch, _ in islice(draw(first, share), TRIED):
        for part in zip(*(tensor.chunk(run.execution.accumulation_steps) for tensor in batch), strict=True):
            with autocast(run.device):
                loss, _ = run.model(*part)
            torch.autograd.grad(loss, learned, allow_unused=True)
            numbers.append(loss.detach())
        numbers += [tensor.flatten(1).sum(1, dtype=torch.float32) for tensor in batch]
    return numbers


def _beside(side: torch.cuda.Stream, draw: Draw, first: int, share: slice) -> Batches:
    """The batches of `draw`, drawn on the stream `side`. Use each on this stream, before you ask for the next.

    Batch k is drawn while step k - 1 runs, but only after step k - 2, into whose batch's memory it may go. With
    `Tensor.record_stream` that memory would be free only when the host had seen the end of that step, and a host
    that is far ahead would need memory for many batches.
    """
    batches = draw(first, share)
    main = torch.cuda.current_stream()
    steps_before = main.record_event()
    batch = None  # kept until the next one is drawn, so that its memory is not given away while its step runs
    while True:
        with torch.cuda.stream(side):
            side.wait_event(steps_before)
            batch = next(batches, None)
        if batch is None:
            return
        steps_before = main.record_event()
        main.wait_stream(side)
        yield batch
