"""What a training must not need on machines that have less: Apple's GPUs know no float64."""

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from simmim_lab.finetuning import Classifier, FinetuneRecipe, finetune
from simmim_lab.generation import GeneratorRecipe, MaskGIT, generate, train_generator
from simmim_lab.simmim import SimMIM
from simmim_lab.tokens import Tokenizer
from simmim_lab.training import Recipe, pretrain

SHORT = {"steps": 2, "batch_size": 4, "ema": 0.9}
DOUBLE = (torch.float64, torch.complex128)


class NoDouble(TorchDispatchMode):
    """In place of a GPU that refuses tensors of float64. Numbers of Python, without axes, may have 64 bits."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            assert not (isinstance(tensor, Tensor) and tensor.ndim and tensor.dtype in DOUBLE), operation
        return result


def pretrained(images):
    recipe = Recipe(**SHORT, mask="mixture", mask_size=(4, 8), drop_path=0.1)
    pretrain(SimMIM.preset("vit_nano", images.size), images, recipe, val=images, progress=False)


def finetuned(images):
    classes = ("light", "dark")
    model = Classifier(SimMIM.preset("vit_nano", images.size).encoder, classes)
    labelled = type(images)(
        "two", "train", images.pixels, (images.pixels.float().mean((1, 2, 3)) < 128).long(), classes
    )
    finetune(model, labelled, FinetuneRecipe(**SHORT), val=labelled, progress=False)


def generated(images):
    model = MaskGIT.small(Tokenizer.fit(images.take(20), codes=16), images.size[0], {})
    train_generator(model, images, GeneratorRecipe(**SHORT), progress=False)
    generate(model, model.nothing_said(2), steps=2, generator=torch.Generator())


@pytest.mark.parametrize("training", [pretrained, finetuned, generated])
def test_no_training_needs_float64(training, images):
    with NoDouble():
        training(images)
    with pytest.raises(AssertionError), NoDouble():
        images.pixels.double()
