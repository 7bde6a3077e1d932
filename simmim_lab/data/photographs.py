"""The embedded photographs: eleven that scikit-image and scikit-learn bring along, and the crops made of them."""

import math
from importlib.util import find_spec
from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from PIL import Image, ImageOps
from torch import Tensor

from simmim_lab.common import choose
from simmim_lab.data.imagesets import ImageSet, Source
from simmim_lab.data.pictures import to_tensor
from simmim_lab.shapes import Grid

LOWEST_PHOTO = 300  # rows
CROPS_PER_SCALE = 250
SIZES = {"train": 10, "val": 7, "test": 7}  # each size is 2 ** (1 / 3) times the one before
FLAT = 8  # standard deviation of the brightness, of 255

SKIMAGE, SKLEARN = "skimage/data", "sklearn/datasets/images"
DOCS = "https://scikit-image.org/docs/stable/api/skimage.data.html"
MOTORCYCLE = Source(
    "Motorcycle, a scene of the Middlebury stereo benchmark of 2014",
    "N. Nesic, P. Westling, X. Wang, Y. Kitajima, G. Krathwohl and D. Scharstein",
    "use and publication permitted, with the request to cite Scharstein et al., GCPR 2014",
    "https://vision.middlebury.edu/stereo/data/scenes2014/",
)
# Files inside installed packages. What is said of them is from the docstrings of skimage.data and from
# sklearn/datasets/images/README.txt, for the motorcycle also from the site of the benchmark.
PHOTOS: dict[str, dict[str, Source]] = {
    "train": {
        f"{SKIMAGE}/astronaut.png": Source(
            "Astronaut Eileen Collins", "NASA", "public domain", "https://flic.kr/p/r9qvLn"
        ),
        f"{SKLEARN}/china.jpg": Source(
            "China", "danielbuechele", "CC BY 2.0", "https://www.flickr.com/photos/danielbuechele/6061409035/"
        ),
        f"{SKIMAGE}/motorcycle_left.png": MOTORCYCLE,
        f"{SKIMAGE}/motorcycle_right.png": MOTORCYCLE,
        f"{SKIMAGE}/rocket.jpg": Source(
            "DSCOVR on Falcon 9",
            "SpaceX",
            "public domain",
            "https://www.flickr.com/photos/spacexphotos/16511594820/",
        ),
        f"{SKIMAGE}/hubble_deep_field.jpg": Source(
            "Hubble eXtreme Deep Field",
            "NASA",
            "public domain",
            "http://hubblesite.org/newscenter/archive/releases/2012/37/image/a/",
        ),
        f"{SKIMAGE}/retina.jpg": Source(
            "Fundus photograph of a normal left eye",
            "Mikael Häggström",
            "CC0 1.0",
            "https://commons.wikimedia.org/wiki/File:Fundus_photograph_of_normal_left_eye.jpg",
        ),
        f"{SKIMAGE}/ihc.png": Source(
            "Colonic glands, stained",
            "Center for Microscopy And Molecular Imaging",
            "no known copyright restrictions",
            DOCS,
        ),
    },
    "val": {
        f"{SKLEARN}/flower.jpg": Source(
            "Flower", "vultilion", "CC BY 2.0", "https://www.flickr.com/photos/vultilion/6056698931/"
        ),
    },
    "test": {
        f"{SKIMAGE}/chelsea.png": Source("Chelsea the cat", "Stefan van der Walt", "CC0", DOCS),
        f"{SKIMAGE}/coffee.png": Source("Coffee cup at Pikolo Espresso Bar", "Rachel Michetti", "CC0", DOCS),
    },
}


def load_photos(split: str, size: int) -> ImageSet:
    """Crops of photographs: eight to train on, a flower to validate, the cat Chelsea and a coffee cup to test.

    A photograph is shrunk to several sizes at which it is at least one crop high, to be seen whole: up to 4 crops
    high where it is held out, since smaller crops would show textures and not things, and up to 8 where it trains,
    for variety. At each size crops are taken from a square lattice, at most 250 of them. Crops that are almost
    flat (standard deviation of the brightness below 8 of 255) are left out: an empty sky is too easy.
    Raises ValueError if `size` exceeds 300, the height of the lowest photograph.
    """
    if size > LOWEST_PHOTO:
        raise ValueError(
            f"the lowest of the photos has {LOWEST_PHOTO} rows: size must not exceed it, but is {size}"
        )
    photos = PHOTOS[split]
    crops = [_crops(_packaged(file), size, SIZES[split]) for file in photos]
    labels = torch.arange(len(crops)).repeat_interleave(torch.tensor([len(some) for some in crops]))
    classes = tuple(Path(file).stem for file in photos)
    return ImageSet("photos", split, torch.cat(crops), labels, classes, tuple(photos.values()))


def photograph(name: str, size: Grid) -> Float[Tensor, "3 height width"]:
    """A whole photograph, such as "chelsea", in [0, 1]: its middle, resized to `size`, which is (height, width).

    Raises ValueError for an unknown name.
    """
    files = {Path(file).stem: file for photos in PHOTOS.values() for file in photos}
    photo, (height, width) = _packaged(choose(name, files, "photograph")), size
    return to_tensor(ImageOps.fit(photo, (width, height), Image.Resampling.BICUBIC)) / 255


def _packaged(file: str) -> Image.Image:
    package, inside = file.split("/", 1)
    folder = Path(find_spec(package).origin).parent  # importing the package would be slow
    return Image.open(folder / inside).convert("RGB")


def _crops(photo: Image.Image, size: int, sizes: int) -> UInt8[Tensor, "n 3 size size"]:
    crops = []
    for step in range(sizes):
        shrink = min(photo.size) / size / 2 ** (step / 3)
        if shrink < 1:
            continue
        width, height = (round(side / shrink) for side in photo.size)
        places = (height - size + 1) * (width - size + 1)
        stride = math.ceil(math.sqrt(places / CROPS_PER_SCALE))
        shrunk = to_tensor(photo.resize((width, height), Image.Resampling.BICUBIC))
        lattice = shrunk.unfold(1, size, stride).unfold(2, size, stride)
        lattice = rearrange(lattice, "c rows cols h w -> (rows cols) c h w")
        brightness = lattice.numpy().mean(1)
        crops.append(lattice[torch.from_numpy(brightness.std((1, 2)) >= FLAT)])
    return torch.cat(crops)
