"""The demo: train a small SimMIM on photographs, score it on others, and show what it fills in.

`simmim-lab demo` runs it. Its test is honest: other photographs, hidden pixels only, and next to the model the
best that can be done without learning (`biharmonic`) and with a linear model (`LMMSE`).
"""

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import torch

from simmim_lab import evaluation, images, masking, plots, training
from simmim_lab.checkpoints import CHECKPOINT
from simmim_lab.common import replace_file
from simmim_lab.data.photographs import photograph
from simmim_lab.hardware import best_device, machine
from simmim_lab.inpainting import inpaint
from simmim_lab.recipe import History
from simmim_lab.shapes import Hidden, Images, Mask
from simmim_lab.simmim import SimMIM

PRESET, SIZE = "vit_nano", 32
MASK_RATIO, MASK_SIZE = 0.6, 8  # the share that is hidden, in squares of so many pixels
TEST_IMAGES, TRAIN_IMAGES, SHOWN = 300, 10_000, 8  # to score on, to fit the LMMSE to, to draw
WHOLE, WHOLE_SIZE = ("chelsea", "coffee"), (96, 144)  # photographs that no model of the demo was trained on

METHODS = {
    "model": "SimMIM",
    "lmmse": "LMMSE, the best linear",
    "biharmonic": "biharmonic",
    "nearest": "nearest pixel",
    "visible_mean": "mean of the visible",
}


def run(out: Path, *, seconds: float = 120, data: str = "photos", root: Path | None = None, seed: int = 0) -> None:
    """Train for `seconds` on the images `data`, and write pictures, scores and the model into `out`.

    A demo that was interrupted goes on where it was; a finished one starts anew. Training starts from
    `torch.manual_seed(seed)`, and the masks of the test come from `seed` too.
    Raises OSError if `out` cannot be written, before training.
    """
    print(
        f"Trains SimMIM ({PRESET}) for {seconds:g} s to fill in hidden parts of {data}, "
        "and tests it on images it has never seen."
    )
    _check_writable(out)
    checkpoint = out / "model" / CHECKPOINT
    if checkpoint.exists():
        print(f"{out} holds a demo that was interrupted: it goes on from there.")
    elif (out / "metrics.json").exists():
        print(f"{out} holds a finished demo: this one starts anew and replaces it.")

    recipe = training.Recipe.preset(PRESET, seconds=seconds, seed=seed, mask_ratio=MASK_RATIO, mask_size=MASK_SIZE)
    train, val, test = (images.load(data, split, SIZE, root=root) for split in images.SPLITS)
    torch.manual_seed(seed)
    model = SimMIM.preset(PRESET, SIZE).to(best_device())
    training.pick_threads(model, train, recipe)
    history = training.pretrain(model, train, recipe, val=val, run_dir=out / "model")
    model.cpu().eval()

    originals = test.take(min(TEST_IMAGES, len(test)))
    print(f"Scores the hidden pixels of {len(originals)} test images …")
    mask = training.draw_mask(model, originals, recipe, torch.Generator().manual_seed(seed))
    scores = _scores(model, originals, mask, evaluation.LMMSE.fit(train.take(min(TRAIN_IMAGES, len(train)))))
    _draw(out, model, originals, mask, history)
    draw_whole(out / "photographs.png", model, f"after {seconds:g} s here", seed)
    metrics = {
        "data": data,
        "model": PRESET,
        "seed": seed,
        "steps": history.steps,
        "seconds": history.seconds,
        "images_per_second": history.images_per_second,
        **scores,
        "test": {"images": len(originals), "mask_ratio": MASK_RATIO, "mask_size": MASK_SIZE},
        "machine": machine(best_device()),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    text = json.dumps(metrics, indent=2) + "\n"
    replace_file(out / "metrics.json", lambda path: path.write_text(text, encoding="utf-8"))
    checkpoint.unlink()  # from here on the demo is finished

    print(_table(scores), _findings(scores), sep="\n\n", end="\n\n")
    print(
        f"In {out}: photographs.png, reconstructions.png, loss.png, metrics.json and the trained model in model/"
    )


def _scores(model: SimMIM, originals: Images, mask: Mask, lmmse: evaluation.LMMSE) -> dict:
    """The scores of the model and the baselines, as `metrics.json` has them."""
    hidden = masking.to_pixels(mask, model.patch)
    fills = {"model": model.reconstruct(originals, mask)}
    fills |= {name: fill(originals, hidden) for name, fill in evaluation.BASELINES.items()}
    fills["lmmse"] = lmmse(originals, hidden)
    return {
        "psnr_hidden": {name: evaluation.psnr(originals, filled, hidden) for name, filled in fills.items()},
        "ssim_hidden": {name: evaluation.ssim(originals, filled, hidden) for name, filled in fills.items()},
        "contrast_hidden": neighbour_contrast(originals, fills["model"], hidden),
    }


def _draw(out: Path, model: SimMIM, originals: Images, mask: Mask, history: History) -> None:
    """Write `reconstructions.png`, of images spread over the test, and `loss.png`."""
    shown = min(SHOWN, len(originals))
    few = (2 * torch.arange(shown) + 1) * len(originals) // (2 * shown)
    hidden = masking.to_pixels(mask, model.patch)
    plots.save(
        plots.reconstructions(originals[few], hidden[few], model.predict(originals[few], mask[few])),
        out / "reconstructions.png",
        f"{shown} test images in four columns: original; with {MASK_RATIO:.0%} hidden in squares of {MASK_SIZE} "
        "pixels; reconstructed by SimMIM; and the reconstruction where it was hidden with the original elsewhere.",
    )
    plots.save(
        plots.loss_curve(history),
        out / "loss.png",
        f"The loss on hidden pixels over {history.steps} steps: the training loss goes from {history.loss[0]:.2f} "
        f"to {history.loss[-1]:.2f}, the validation loss ends at {history.val_loss[-1]:.2f}.",
    )


def draw_whole(path: Path, model: SimMIM, trained: str, seed: int) -> None:
    """Draw how `model`, `trained` so, and the model of the course fill holes in whole photographs."""
    photos = torch.stack([photograph(name, WHOLE_SIZE) for name in WHOLE])
    models = {f"SimMIM {trained}": model, "the shipped SimMIM": SimMIM.pretrained("cifar10").eval()}
    cell, generator = MASK_SIZE // model.patch, torch.Generator().manual_seed(seed)
    mask = masking.random_mask(len(photos), model.grid(photos), MASK_RATIO, cell, generator=generator)
    hidden = masking.to_pixels(mask, model.patch)
    filled = {title: inpaint(network, photos, hidden) for title, network in models.items()}
    columns = [photos, photos.masked_fill(hidden[:, None], 0.5), *filled.values()]
    titles = ["original", f"{MASK_RATIO:.0%} hidden", *filled]
    plots.save(
        plots.panels([column[row] for row in range(len(photos)) for column in columns], titles * len(photos), 4),
        path,
        f"A cat and a cup of coffee, in four columns: the photograph; with {MASK_RATIO:.0%} hidden in squares of "
        f"{MASK_SIZE} pixels; filled in by SimMIM {trained}; and filled in by the model that the course ships.",
    )


def neighbour_contrast(images: Images, filled: Images, hidden: Hidden) -> float:
    """How much neighbouring hidden pixels differ in `filled`, relative to `images`: 0 is flat, 1 as sharp.

    Root mean squares of the differences between pixels side by side that are both hidden.
    """
    both = (hidden[:, :, 1:] & hidden[:, :, :-1])[:, None].expand(-1, 3, -1, -1)
    real, ours = (x.diff(dim=-1)[both].square().mean().sqrt() for x in (images, filled))
    return (ours / real).item()


def _table(scores: dict) -> str:
    """The scores as aligned text, the best first."""
    psnr, ssim = scores["psnr_hidden"], scores["ssim_hidden"]
    rows = [f"{'on hidden pixels':24}{'PSNR (dB)':>9}{'SSIM':>8}"]
    for name in sorted(psnr, key=psnr.get, reverse=True):
        rows.append(f"{METHODS[name]:24}{psnr[name]:9.2f}{ssim[name]:8.3f}")
    return "\n".join(rows)


def _findings(scores: dict) -> str:
    """Two sentences about these scores, whatever they are."""
    psnr, ssim, contrast = scores["psnr_hidden"], scores["ssim_hidden"], scores["contrast_hidden"]
    rank = sorted(ssim.values(), reverse=True).index(ssim["model"]) + 1

    def against(name: str) -> str:
        gain = psnr["model"] - psnr[name]
        return f"{abs(gain):.2f} dB {'better' if gain > 0 else 'worse'} than"

    if contrast < 1:
        why = "blurry, because the squared error is least for the average of all that could be there"
    else:
        why = "rough, which more training would smooth"
    return (
        f"SimMIM fills hidden pixels {against('biharmonic')} the smoothest surface (biharmonic) and "
        f"{against('lmmse')} the best linear prediction (LMMSE); by SSIM it is number {rank} of {len(ssim)}.\n"
        f"Its fills are {why}: neighbouring pixels differ {contrast:.0%} as much as in the originals."
    )


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OSError(f"cannot write into {folder} ({error.strerror}): choose another --out") from error
