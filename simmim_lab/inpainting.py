"""Filling holes of any shape in pictures of any size (lesson 08).

`inpaint` lays windows of the size that a model was trained on over the holes, and helps the model in four ways:

    shift    one hidden pixel costs its whole patch, so each window moves by less than a patch, to where it hides
             the fewest patches
    meet     beside a hole the error of the model is known: it is spread into the hole and taken off there, so that
             the fill meets what is visible
    blend    where windows overlap, their fills are averaged, and the middle of a window counts more than its edge
    descend  a hole wider than half a window is filled in a smaller copy of the picture first. Only a band along
             its border is then filled anew, with the smaller fill behind it as if it were visible
"""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int64
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from tqdm.auto import tqdm

from simmim_lab.common import check_number
from simmim_lab.masking import check_mask, to_pixels
from simmim_lab.shapes import Grid, Images, check_images
from simmim_lab.simmim import SimMIM

Image = Float[Tensor, "3 height width"]
Holes = Bool[Tensor, "height width"]

AT_ONCE = 64  # windows that go through the model together
STEPS = 128  # by which a known error is spread


@torch.no_grad()
def inpaint(
    model: SimMIM,
    images: Images,
    hidden: Bool[Tensor, "batch height width"],
    *,
    stride: int | None = None,
    progress: bool = False,
) -> Images:
    """The images with hidden pixels filled in by the model; visible pixels stay as they are, to the bit.

    Images have any size. True in `hidden` hides a pixel (`masking.to_pixels` turns a mask of patches into one of
    pixels). A window starts about every `stride` pixels, by default every half window, or more often if patches
    are large: smaller is smoother and slower. Only windows that touch a hole are computed. `progress` draws a bar
    if it takes more than two seconds.
    Raises TypeError or ValueError for other shapes or dtypes, and for an image of which nothing is visible.
    """
    check_images(images, values=False)  # what is hidden may be anything
    check_mask(hidden, len(images), images.shape[-2:])
    if not hidden.any():
        return images
    if hidden.flatten(1).all(1).any():
        raise ValueError("one of the images is wholly hidden, with nothing to go by: leave some pixels visible")
    widest = min(model.image_size) - 2 * (model.patch - 1)  # windows move, and must not leave a gap
    stride = min(min(model.image_size) // 2, widest) if stride is None else stride
    check_number("stride", stride, 1, widest, integer=True)
    known = images.masked_fill(hidden[:, None], 0).float()
    with tqdm(unit=" windows", total=0, delay=2, disable=not progress) as bar:
        filled = [_fill(model, image, hole, stride, bar) for image, hole in zip(known, hidden, strict=True)]
    return torch.where(hidden[:, None], torch.stack(filled).to(images), images)


def _fill(model: SimMIM, image: Image, hidden: Holes, stride: int, bar: tqdm) -> Image:
    """One image of any size, filled at the scales that its holes need; here hidden pixels hold zeros."""
    window, size = model.image_size, hidden.shape
    if not hidden.any():
        return image
    scale = max(side / length for side, length in zip(window, size, strict=True))
    depth = torch.from_numpy(distance_transform_edt(hidden.cpu().numpy())).to(hidden.device)
    deep = depth > min(window) / 4
    if scale > 1 or (scale < 1 and deep.any()):
        other = [round(length * max(scale, 1 / 2)) for length in size]
        filled = _fill(model, *_resized(image, hidden, other), stride, bar)
        filled = F.interpolate(filled[None], size, mode="bilinear", antialias=True)[0]
        image = torch.where(hidden, filled, image)
        hidden = hidden & ~deep
    return image if scale > 1 else _fill_windows(model, image, hidden, stride, bar)


def _resized(image: Image, hidden: Holes, size: Grid) -> tuple[Image, Holes]:
    """A smaller or larger copy: means of visible pixels only. Hidden is what no visible pixel has a part in."""
    both = torch.cat([image, (~hidden)[None]])[None]  # the image is 0 where hidden
    colour, visible = F.interpolate(both, size, mode="bilinear", antialias=True)[0].split([3, 1])
    return (colour / visible.clamp(min=1e-6)).clamp(0, 1), visible[0] < 1e-3


def _fill_windows(model: SimMIM, image: Image, hidden: Holes, stride: int, bar: tqdm) -> Image:
    """The image with its holes filled from overlapping windows, none of which is larger than it."""
    (height, width), edge = model.image_size, model.patch - 1
    framed = F.pad(image[None], [edge] * 4, mode="replicate")[0]  # a window may hang over the border
    holes = F.pad(hidden[None, None].to(image), [edge] * 4, mode="replicate")[0, 0]
    rows, cols = holes.shape
    inside = torch.arange(height)[:, None] * cols + torch.arange(width)
    places = corners(holes, model, stride)
    middle = [torch.hann_window(side + 2)[1:-1].to(image) for side in (height, width)]  # never 0
    middle = middle[0][:, None] * middle[1]

    total, weights = image.new_zeros(3, rows * cols), image.new_zeros(rows * cols)
    bar.total += len(places)
    for some in places.split(AT_ONCE):
        place = (some[:, None] + inside.flatten()).to(image.device)
        seen = rearrange(framed.flatten(1)[:, place], "c n (h w) -> n c h w", h=height)
        hole = rearrange(holes.flatten()[place], "n (h w) -> n h w", h=height) > 0
        weight = middle * hole
        predicted = _predict(model, seen, hole) * weight[:, None]
        total.index_add_(1, place.flatten(), rearrange(predicted, "n c h w -> c (n h w)"))
        weights.index_add_(0, place.flatten(), weight.flatten())
        bar.update(len(some))
    mean = (total / weights.clamp(min=1e-9)).view(3, rows, cols)[:, edge : rows - edge, edge : cols - edge]
    return torch.where(hidden, mean.clamp(0, 1), image)


def corners(holes: Float[Tensor, "rows cols"], model: SimMIM, stride: int) -> Int64[Tensor, " windows"]:
    """Where the windows that touch a hole start, in flat indices: each where it hides the fewest patches."""
    patch = model.patch
    hidden = F.max_pool2d(holes[None], patch, stride=1)[0].cpu()  # is a hole in the patch that starts here?
    for axis, side in enumerate(model.image_size):
        hidden = hidden.unfold(axis, side - patch + 1, 1)[..., ::patch].sum(-1)  # of all patches in a window
    ys, xs = (_starts(length, stride, patch) for length in hidden.shape)
    choices = hidden[ys[:, None, :, None], xs[None, :, None, :]].flatten(2)
    best = choices.argmin(2)
    y, x = ys.gather(1, best // patch), xs.gather(1, best.T % patch).T
    return (y * holes.shape[1] + x)[choices.amin(2) > 0].unique()


def _starts(count: int, stride: int, patch: int) -> Int64[Tensor, "windows shifts"]:
    """Along a side, on which a window can start at `count` pixels: about every `stride`, and the shifts of each.

    Shifts lead outwards, so that the first window reaches the first pixel, and the last window the last one.
    """
    first, last = patch - 1, count - patch
    windows = max(2, math.ceil((last - first) / stride) + 1)
    starts = torch.linspace(first, last, windows).round().long()
    outwards = torch.where(torch.arange(windows) < windows / 2, -1, 1)
    return starts[:, None] + outwards[:, None] * torch.arange(patch)


def _predict(model: SimMIM, seen: Images, hole: Bool[Tensor, "batch height width"]) -> Images:
    """What the model draws in windows, less the error that it makes beside the holes.

    The error is known at visible pixels of hidden patches, and just beside them. Into the holes it is spread as
    heat is: each hidden pixel takes the mean of its neighbours, again and again. With enough steps this is Poisson
    blending (Pérez et al. 2003); far from what is known, the model is left as it is.
    """
    patches = F.max_pool2d(hole.to(seen), model.patch) > 0
    device = model.mean.device
    drawn = model.predict(seen.to(device), patches.to(device)).to(seen)
    inside = to_pixels(patches, model.patch)[:, None].to(seen)
    share = F.avg_pool2d(inside, 3, stride=1, padding=1)
    around = F.avg_pool2d(drawn * inside, 3, stride=1, padding=1) / share.clamp(min=1e-6)
    hole = hole[:, None]
    known = (share > 0) & ~hole
    error = torch.where(known, torch.where(inside > 0, drawn, around) - seen, 0)

    neighbours = error.new_tensor([[0, 1, 0], [1, 0, 1], [0, 1, 0]]).expand(3, 1, 3, 3)
    count = F.conv2d((known | hole).to(seen), neighbours[:1], padding=1).clamp(min=1)
    for _ in range(STEPS):
        error = torch.where(hole, F.conv2d(error, neighbours, padding=1, groups=3) / count, error)
    return drawn - error
