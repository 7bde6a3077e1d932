"""Exporting: a trained SimMIM for programs that know nothing of the course (lesson 10).

    export_onnx(model, "simmim.onnx")                            # for onnxruntime, also in a browser
    torch.export.save(export_program(model), "simmim.pt2")       # for PyTorch, without the course's code
    save_for_hub(model, "my-simmim", name="my-simmim")           # a folder to share

The first two are `model.reconstruct` for its size of images: `images`, float in [0, 1], and `mask`, bool with
True = hidden, go in, and `reconstruction` comes out. Only the batch may have any size.
"""

import copy
import json
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from simmim_lab.common import replace_file
from simmim_lab.files import SCALE, pack, write_tensors
from simmim_lab.published import to_transformers
from simmim_lab.shapes import Images, Mask
from simmim_lab.simmim import IMAGENET_MEAN, IMAGENET_STD, SimMIM

OPSET = 18  # the version of ONNX's operators
WEIGHTED = {
    "MatMul": 1,
    "Conv": 0,
    "ConvTranspose": 0,
}  # operators, and which axis of their weights `pack` goes along


class Reconstruction(nn.Module):
    """A SimMIM that does one thing: fill in what is hidden."""

    def __init__(self, model: SimMIM):
        super().__init__()
        self.model = copy.deepcopy(model).cpu().eval()

    def forward(self, images: Images, mask: Mask) -> Images:
        return self.model.reconstruct(images, mask)


def export_program(model: SimMIM) -> torch.export.ExportedProgram:
    """The computation of `model.reconstruct` as a graph; `torch.export.save` writes it to a file.

    Raises ValueError for a model that predicts patches without their mean and contrast: it makes no picture.
    """
    images = torch.rand(2, 3, *model.image_size)
    mask = torch.rand(2, *model.grid(images)) < 0.6
    return any_batch(Reconstruction(model), images, mask)


def any_batch(module: nn.Module, *inputs: Tensor) -> torch.export.ExportedProgram:
    """The computation of `module` as a graph for inputs like these, of which there may be any number."""
    return torch.export.export(module, inputs, dynamic_shapes=({0: torch.export.Dim("batch")},) * len(inputs))


def export_onnx(model: SimMIM, path: str | Path, bits: int = 32) -> Path:
    """Write the computation of `model.reconstruct` as an ONNX file, and return its path.

    With `bits=8` the weights are kept as whole numbers with scales, see `files.pack`, which makes the file four
    times as small; the computation stays in 32 bits.
    Raises ImportError without the extra `export`, ValueError as `export_program` does, and OSError if the file
    cannot be written.
    """
    return write_onnx(export_program(model), path, ["images", "mask"], "reconstruction", bits)


def write_onnx(
    program: torch.export.ExportedProgram, path: str | Path, inputs: Sequence[str], output: str, bits: int = 32
) -> Path:
    """Write a graph as `export_onnx` does, whose inputs and output get these names; all have a batch in front."""
    try:
        import onnx
        import onnxscript  # noqa: F401, which torch's exporter needs
    except ImportError as error:
        raise ImportError(f"{error.name} is missing; install it with: pip install 'simmim-lab[export]'") from error
    if bits not in (8, 32):
        raise ValueError(f"weights can be kept in 8 or 32 bits, not in {bits!r}")
    program = program.run_decompositions({torch.ops.aten.scaled_dot_product_attention.default: _attention})
    names = {"input_names": list(inputs), "output_names": [output]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what will change in its insides
        exported = torch.onnx.export(program, dynamo=True, opset_version=OPSET, verbose=False, **names)
    graph = exported.model_proto
    for value in (*graph.graph.input, *graph.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    if bits == 8:
        _keep_in_8_bits(graph, program.state_dict.values())
    path = Path(path).expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda partial: onnx.save(graph, partial))
    return path


def _attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention in operators that ONNX has."""
    scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
    return (scores if bias is None else scores + bias).softmax(-1) @ value


def _keep_in_8_bits(model: Any, weights: Iterable[Tensor]) -> None:
    """Keep the weights of an ONNX model as whole numbers, which are cast and scaled before their use.

    DequantizeLinear would do both, but onnxruntime then rounds what the weights are multiplied with, too. What the
    exporter has computed beforehand is none of the weights, and stays as it is.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    axes = {node.input[1]: WEIGHTED[node.op_type] for node in graph.node if node.op_type in WEIGHTED}
    known = {_numbers(weight) for weight in weights}
    for tensor in [tensor for tensor in graph.initializer if tensor.name in axes]:
        name, axis, values = tensor.name, axes[tensor.name], torch.tensor(numpy_helper.to_array(tensor))
        if _numbers(values) not in known:
            continue
        packed = pack({name: values.movedim(axis, 0)})
        whole, scale = (packed[key].movedim(0, axis).contiguous().numpy() for key in (name, name + SCALE))
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(whole, f"{name}.whole"))
        graph.initializer.append(numpy_helper.from_array(scale, f"{name}.scale"))
        cast = helper.make_node("Cast", [f"{name}.whole"], [f"{name}.cast"], to=TensorProto.FLOAT)
        scaled = helper.make_node("Mul", [f"{name}.cast", f"{name}.scale"], [name])
        graph.node.insert(0, scaled)
        graph.node.insert(0, cast)


def _numbers(weight: Tensor) -> bytes:
    """The numbers of a matrix in an order that survives its transposition."""
    return weight.detach().flatten().sort().values.numpy().tobytes()


def save_for_hub(model: SimMIM, folder: str | Path, name: str, *, transformers: bool = False) -> Path:
    """Write a folder that can be shared on the Hugging Face Hub, with a model card, and return its path.

    It holds what `load_published` reads; with `transformers` it holds what from_pretrained of transformers reads,
    with the normalisation for its image processor. Nothing is uploaded: the card says how.
    Raises ValueError, with `transformers`, for a model that transformers does not have (`to_transformers`).
    """
    folder = Path(folder).expanduser()
    files = {"README.md": _card(model, name, TRANSFORMERS if transformers else COURSE)}
    if transformers:
        config, weights = to_transformers(model)
        files |= {"config.json": _json(config), "preprocessor_config.json": _json(_preprocessor(model))}
        folder.mkdir(parents=True, exist_ok=True)
        write_tensors(folder / "model.safetensors", weights, {"format": "pt"})
    else:
        model.save(folder)
    for file, text in files.items():
        replace_file(folder / file, lambda path, text=text: path.write_text(text, encoding="utf-8"))
    return folder


COURSE = """\
from simmim_lab.published import load_published

model = load_published("OWNER/{name}").eval()
filled = model.reconstruct(images, mask)  # images in [0, 1]; mask on the grid of patches, True = hidden"""

TRANSFORMERS = """\
from transformers import AutoImageProcessor, AutoModelForMaskedImageModeling

processor = AutoImageProcessor.from_pretrained("OWNER/{name}")
model = AutoModelForMaskedImageModeling.from_pretrained("OWNER/{name}").eval()
inputs = processor(pictures, return_tensors="pt")
output = model(**inputs, bool_masked_pos=mask.flatten(1))  # mask on the grid of patches, True = hidden
# output.reconstruction is in normalised colours"""

CARD = """\
---
license: mit
library_name: {library}
pipeline_tag: image-feature-extraction
tags:
  - masked-image-modeling
  - simmim
---
# {name}

A SimMIM: an encoder ({encoder}, {millions:.1f} million parameters with its decoder) that has learned by filling in
hidden patches. Images have {height} x {width} pixels, and patches {patch} x {patch}. Colours are normalised with
ImageNet's mean {mean} and standard deviation {std}.

**To be written by you before you share it**: the data and their licence, how long and with which masks it was
trained, scores on images that it has not seen and a baseline beside them, and what it should not be used for. The
licence above is that of the course's code; choose the one of your weights.

## Load it

```python
{code}
```

## Upload it

```
pip install huggingface_hub
hf auth login
hf upload OWNER/{name} {folder}
```
"""


def _card(model: SimMIM, name: str, code: str) -> str:
    height, width = model.image_size
    return CARD.format(
        name=name,
        library="transformers" if code is TRANSFORMERS else "simmim-lab",
        encoder=type(model.encoder).__name__,
        millions=sum(weight.numel() for weight in model.parameters()) / 1e6,
        height=height,
        width=width,
        patch=model.patch,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        code=code.format(name=name),
        folder=name,
    )


def _preprocessor(model: SimMIM) -> dict[str, Any]:
    """What transformers' image processor has to do. Without it colours would be normalised with 0.5."""
    height, width = model.image_size
    return {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": height, "width": width},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": IMAGENET_MEAN,
        "image_std": IMAGENET_STD,
    }


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2) + "\n"
