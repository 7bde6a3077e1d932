"""The command that writes a model for other programs: `export`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from simmim_lab.commandline import user_path
from simmim_lab.commands.program import WEIGHTS, check_new, program, reconstructs

if TYPE_CHECKING:
    from simmim_lab.simmim import SimMIM

FORMATS = {
    "onnx": "a file for onnxruntime, also in a browser (.onnx)",
    "program": "a file for PyTorch without the course (.pt2)",
    "official": "a file for the official code (.pth)",
    "hub": "a folder to share, for the course",
    "transformers": "a folder to share, for transformers",
}
SUFFIXES = {"onnx": ".onnx", "program": ".pt2", "official": ".pth"}


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--weights", default="cifar10", metavar="RUN", help=f"{WEIGHTS} (default: %(default)s)")
    listed = "; ".join(f"{name}, {what}" for name, what in FORMATS.items())
    parser.add_argument("--format", required=True, choices=tuple(FORMATS), help=listed)
    parser.add_argument("--out", type=user_path, required=True, metavar="PATH", help="the file or folder to write")
    parser.add_argument("--overwrite", action="store_true", help="replace --out if it exists")
    parser.add_argument(
        "--bits", type=int, choices=(8, 32), default=32, help="of each weight, with --format onnx (default: 32)"
    )


@program.command("--weights cifar10 --format onnx --out model.onnx", _export_arguments)
def export(args: argparse.Namespace) -> None:
    """Write a model for other programs.

    Write a trained model so that a program that knows nothing of the course can run it, or a folder that can be
    shared, with a model card. Nothing is uploaded.
    """
    suffix = SUFFIXES.get(args.format, "")
    if args.out.suffix != suffix and suffix:
        raise ValueError(f"--out must end in {suffix} for --format {args.format}, but is {args.out}")
    if args.bits != 32 and args.format != "onnx":
        raise ValueError(f"--bits has no meaning with --format {args.format}: leave it out")
    check_new(args)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    _write(reconstructs(args.weights), args)
    print(f"Wrote {args.out}: {FORMATS[args.format]}.")


def _write(model: "SimMIM", args: argparse.Namespace) -> None:
    import torch

    from simmim_lab import exporting
    from simmim_lab.common import replace_file
    from simmim_lab.published import to_official

    if args.format == "onnx":
        exporting.export_onnx(model, args.out, args.bits)
    elif args.format == "program":
        program = exporting.export_program(model)
        replace_file(args.out, lambda path: _save(program, path))
    elif args.format == "official":
        checkpoint = {"model": to_official(model)}
        replace_file(args.out, lambda path: torch.save(checkpoint, path))
    else:
        transformers = args.format == "transformers"
        exporting.save_for_hub(model, args.out, args.out.resolve().name, transformers=transformers)


def _save(program, path: Path) -> None:
    """torch.export.save insists on the end of a name, which a partial file does not have."""
    import torch

    with path.open("wb") as file:
        torch.export.save(program, file)
