"""Probing: how much a linear classifier finds in what a frozen encoder makes of images (lesson 06)."""

import torch
from jaxtyping import Float, Int64
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from simmim_lab.hardware import autocast
from simmim_lab.shapes import Images, check_images
from simmim_lab.simmim import SimMIM

Vectors = Float[Tensor, "images numbers"]

BATCH = 250  # images at a time
C = 0.1  # how freely a probe may fit its labels; scikit-learn's measure


@torch.no_grad()
def features(model: SimMIM, images: Images, cells: int = 4) -> Vectors:
    """What the encoder makes of whole images, averaged within each of `cells` x `cells` parts of the image."""
    check_images(images)
    device, training = model.mean.device, model.training
    model.eval()
    maps = []
    for batch in images.split(BATCH):
        with autocast(device):
            found = model.encoder((batch.to(device) - model.mean) / model.std)
        maps.append(adaptive_avg_pool2d(found.float().cpu(), cells))
    model.train(training)
    return torch.cat(maps).flatten(1)


def linear_probe(vectors: Vectors, labels: Int64[Tensor, " images"]) -> Pipeline:
    """Logistic regression on standardised numbers, fitted; `score(vectors, labels)` is its accuracy on others."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=1000))
    with threadpool_limits(1):  # on busy cores several threads would take thirty times as long
        return probe.fit(vectors, labels)
