"""Fine-tuning: classifiers learn, lower layers more slowly, a frozen encoder not at all."""

import math
from functools import partial

import pytest
import torch

from simmim_lab.backbones import TimmEncoder
from simmim_lab.encoders import ConvEncoder, ViTEncoder
from simmim_lab.finetuning import (
    Classifier,
    FinetuneRecipe,
    accuracy,
    augmented,
    finetune,
    freeze,
    layer_groups,
)
from simmim_lab.images import ImageSet

CLASSES = ("red", "green", "blue")
PLAIN = {"batch_size": 32, "magnitude": 0.0, "mixup": 0.0, "lr": 3e-3, "ema": 0.9}


@pytest.fixture(scope="module")
def colours() -> ImageSet:
    """Noise in which one colour is a little stronger."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(300) % 3
    pixels = torch.randint(0, 200, (300, 3, 16, 16), generator=generator)
    pixels[torch.arange(300), labels] += 40
    return ImageSet("colours", "train", pixels.byte(), labels, CLASSES)


def classifier(pool: str = "mean") -> Classifier:
    torch.manual_seed(0)
    return Classifier(ViTEncoder(16, 4, 32, depth=2, heads=2), CLASSES, pool=pool)


def test_a_classifier_learns_and_comes_back_from_its_folder(colours, tmp_path):
    model = classifier()
    assert accuracy(model, colours) < 0.6
    recipe = FinetuneRecipe(steps=60, val_every=30, **PLAIN)
    history = finetune(model, colours, recipe, val=colours, run_dir=tmp_path, progress=False)
    assert accuracy(model, colours) > 0.9
    assert len(history.val_loss) == 2 and history.val_loss[-1] < 1.0
    assert accuracy(Classifier.load(tmp_path), colours) == accuracy(model, colours)


def test_a_finetuning_goes_on_where_it_was(colours, tmp_path):
    def unplug(step, model, history):
        if step == 10:
            raise OSError("no power")

    recipe = FinetuneRecipe(steps=30, batch_size=16, save_every=1e-6)
    once, twice = classifier(), classifier()
    finetune(once, colours, recipe, progress=False)
    with pytest.raises(OSError, match="no power"):
        finetune(classifier(), colours, recipe, run_dir=tmp_path, callbacks=[unplug], progress=False)
    finetune(twice, colours, recipe, run_dir=tmp_path, progress=False)
    for name, tensor in once.state_dict().items():
        assert torch.equal(tensor, twice.state_dict()[name]), name


@pytest.mark.parametrize("pool", ["mean", "attention"])
def test_a_probe_trains_the_head_and_leaves_the_encoder_alone(colours, tmp_path, pool):
    model = freeze(classifier(pool))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    finetune(model, colours, FinetuneRecipe.probe(steps=80, batch_size=64, lr=1e-2), progress=False)
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert {"head.weight", "norm.weight"} <= changed and not any(name.startswith("encoder") for name in changed)
    assert accuracy(model, colours) > 0.8
    model.save(tmp_path)
    assert accuracy(Classifier.load(tmp_path), colours) == accuracy(model, colours)


def test_lower_layers_learn_more_slowly():
    model = classifier()
    groups = layer_groups(model, 0.05, layer_decay=0.5)
    scales = {id(p): group["lr_scale"] for group in groups for p in group["params"]}
    expected = {
        "encoder.patch_embed.weight": 0.125,
        "encoder.positions": 0.125,
        "encoder.blocks.0.mlp.0.weight": 0.25,
        "encoder.blocks.1.norm1.bias": 0.5,
        "encoder.relative.table": 1.0,
        "encoder.norm.weight": 1.0,
        "head.weight": 1.0,
    }
    parameters = dict(model.named_parameters())
    assert {name: scales[id(parameters[name])] for name in expected} == expected
    trained = {id(p) for p in parameters.values() if p.requires_grad}
    assert set(scales) == trained and id(parameters["encoder.mask_token"]) not in trained
    decays = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
    assert id(parameters["head.weight"]) in decays and id(parameters["encoder.relative.table"]) not in decays


ENCODERS = {
    "conv": ConvEncoder,
    "vit": partial(ViTEncoder, dim=32, depth=2, heads=2),
    "swin": partial(TimmEncoder, "swin_tiny_patch4_window7_224", 32, window_size=4),
    "convnext": partial(TimmEncoder, "convnext_atto", 32),
    "timm's vit": partial(TimmEncoder, "vit_tiny_patch16_224", 32),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_is_finetuned_with_the_default_recipe(name):
    pytest.importorskip("timm")
    pixels = torch.randint(256, (8, 3, 32, 32), generator=torch.Generator().manual_seed(0)).byte()
    images = ImageSet("noise", "train", pixels, torch.arange(8) % 2, ("a", "b"))
    model = Classifier(ENCODERS[name](), images.classes)
    history = finetune(model, images, FinetuneRecipe(steps=2, batch_size=4), val=images, progress=False)
    assert all(math.isfinite(loss) for loss in history.loss + history.val_loss)

    scales = {
        parameter: group["lr_scale"]
        for group in layer_groups(model, 0.05, layer_decay=0.5)
        for parameter in group["params"]
    }
    in_order = [scales[parameter] for parameter in model.encoder.parameters() if parameter.requires_grad]
    assert max(scales.values()) == 1 and in_order[0] == min(scales.values()) < 1
    if name != "vit":  # its relative biases belong to all blocks
        assert in_order == sorted(in_order)


def test_layer_decay_reaches_the_optimizer(colours):
    model = classifier()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    recipe = FinetuneRecipe(steps=1, layer_decay=1e-4, warmup=0.0, weight_decay=0.0, **{**PLAIN, "ema": 0.0})
    finetune(model, colours, recipe, progress=False)
    moved = {name: (tensor - before[name]).abs().max().item() for name, tensor in model.state_dict().items()}
    assert moved["head.weight"] > 100 * moved["encoder.blocks.1.mlp.0.weight"] > 0
    assert moved["encoder.blocks.1.mlp.0.weight"] > 100 * moved["encoder.blocks.0.mlp.0.weight"]


def test_labels_are_smoothed_and_add_up_to_1():
    images, labels = torch.rand(64, 3, 16, 16), torch.arange(64) % 3
    recipe = FinetuneRecipe(steps=1, smoothing=0.3, mixup=0.0, magnitude=0.0, shift=0)
    pictures, shares = augmented(images, labels, recipe, torch.Generator().manual_seed(0), classes=3)
    assert torch.equal(pictures, images)
    torch.testing.assert_close(shares[0], torch.tensor([0.8, 0.1, 0.1]))
    recipe = FinetuneRecipe(steps=1)
    pictures, shares = augmented(images, labels, recipe, torch.Generator().manual_seed(0), classes=3)
    torch.testing.assert_close(shares.sum(1), torch.ones(64))
    assert (shares < 0.89).all(1).any() and not torch.equal(pictures, images)


def test_what_does_not_fit_together_is_refused(colours):
    with pytest.raises(ValueError, match=r"tells \('cat', 'dog'\) apart, but the images have \('red'"):
        finetune(Classifier(ConvEncoder(), ["cat", "dog"]), colours, FinetuneRecipe(steps=1))
    for classes in ((), ["cat"]):
        with pytest.raises(ValueError, match="at least two classes"):
            Classifier(ConvEncoder(), classes)
    with pytest.raises(ValueError, match='pool must be "mean" or "attention", but is \'max\''):
        Classifier(ConvEncoder(), CLASSES, pool="max")
