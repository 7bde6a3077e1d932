"""The promise of the demo: after a short training on some photographs, better than no learning on others."""

import torch

from simmim_lab import evaluation, images, masking, training
from simmim_lab.simmim import SimMIM


def test_half_a_minute_of_training_beats_the_smoothest_surface_on_other_photographs():
    train, test = images.load("photos", "train"), images.load("photos", "test")
    torch.manual_seed(0)
    model = SimMIM.preset("vit_nano")
    recipe = training.Recipe.preset("vit_nano", steps=350, batch_size=32, mask_size=8, mask_ratio=0.6)
    training.pretrain(model, train, recipe, progress=False)

    pictures = test.take(300)
    mask = training.draw_mask(model, pictures, recipe, torch.Generator().manual_seed(0))
    hidden = masking.to_pixels(mask, model.patch)
    ours = evaluation.psnr(pictures, model.reconstruct(pictures, mask), hidden)
    assert ours > evaluation.psnr(pictures, evaluation.biharmonic(pictures, hidden), hidden)
