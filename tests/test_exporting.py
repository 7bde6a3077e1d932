"""Exported models give what the model gives, in onnxruntime and without the course; folders can be shared."""

import json
import sys

import pytest
import torch
from PIL import Image
from tiny_model import tiny

from simmim_lab.decoders import LinearDecoder
from simmim_lab.exporting import export_onnx, export_program, save_for_hub
from simmim_lab.masking import random_mask
from simmim_lab.published import load_published
from simmim_lab.simmim import SimMIM
from simmim_lab.swin import SwinEncoder

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'simmim-lab[export]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install 'simmim-lab[export]'")
pytest.importorskip("onnxscript", reason="needs onnxscript: pip install 'simmim-lab[export]'")

# What browsers have too: nothing outside of ONNX's own set, and nothing rare.
PLAIN = {
    *("Add", "Cast", "Clip", "Concat", "Conv", "ConvTranspose", "DepthToSpace", "Div", "Erf", "Expand", "Gather"),
    *("Gemm", "LayerNormalization", "MatMul", "MaxPool", "Mul", "Relu", "Reshape", "Shape", "Slice", "Softmax"),
    *("Split", "Squeeze", "Sub", "Transpose", "Unsqueeze", "Where"),
}


def swin() -> SimMIM:
    torch.manual_seed(0)
    encoder = SwinEncoder(16, 2, 8, depths=(2, 1), heads=(1, 2), window=4)
    return SimMIM(encoder, LinearDecoder(encoder.dim, encoder.stride), loss="l1")


MODELS = {"vit": tiny, "swin": swin, "cnn": lambda: SimMIM.preset("article_cnn")}


def inputs(model: SimMIM, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.rand(count, 3, *model.image_size, generator=torch.Generator().manual_seed(count))
    return images, random_mask(count, model.grid(images), 0.6)


def assert_same_as_onnx(model: SimMIM, path, atol: float) -> None:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == ["images", "mask"]
    assert {value.shape[0] for value in (*session.get_inputs(), *session.get_outputs())} == {"batch"}
    model.eval()
    for count in (1, 3):
        images, mask = inputs(model, count)
        [found] = session.run(["reconstruction"], {"images": images.numpy(), "mask": mask.numpy()})
        torch.testing.assert_close(torch.tensor(found), model.reconstruct(images, mask), rtol=0, atol=atol)


@pytest.mark.parametrize("name", MODELS)
def test_an_onnx_file_fills_as_the_model_does_for_any_batch(name, tmp_path):
    model = MODELS[name]().train()
    path = export_onnx(model, tmp_path / "new" / "model.onnx")
    assert model.training and path == tmp_path / "new" / "model.onnx" and [*path.parent.iterdir()] == [path]
    assert_same_as_onnx(model, path, atol=1e-5)
    graph = onnx.load(path)
    onnx.checker.check_model(graph)
    assert {node.op_type for node in graph.graph.node} <= PLAIN
    assert all(not node.domain for node in graph.graph.node) and graph.opset_import[0].version >= 17


def test_in_8_bits_it_fills_as_the_model_does_that_was_saved_in_8_bits(tmp_path):
    model = MODELS["cnn"]()
    path = export_onnx(model, tmp_path / "model.onnx", bits=8)
    whole = {
        tensor.name for tensor in onnx.load(path).graph.initializer if tensor.data_type == onnx.TensorProto.INT8
    }
    assert len(whole) == 4  # of two convolutions and two transposed ones
    model.save(tmp_path, bits=8)
    assert_same_as_onnx(SimMIM.load(tmp_path), path, atol=1e-5)


@pytest.mark.verify
@pytest.mark.parametrize("bits", [8, 32])
def test_the_shipped_model_fills_the_same_in_onnxruntime(bits, tmp_path):
    model = SimMIM.pretrained("cifar10")
    path = export_onnx(model, tmp_path / "model.onnx", bits)
    assert path.stat().st_size < (6e6 if bits == 8 else 23e6)
    assert_same_as_onnx(model, path, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_a_program_of_torch_export_fills_the_same_after_a_file(name, tmp_path):
    model = MODELS[name]().eval()
    torch.export.save(export_program(model), tmp_path / "model.pt2")
    program = torch.export.load(tmp_path / "model.pt2").module()
    for count in (1, 3):
        images, mask = inputs(model, count)
        torch.testing.assert_close(program(images, mask), model.reconstruct(images, mask))


def test_a_model_without_pictures_and_other_bits_are_refused(tmp_path):
    model = tiny()
    with pytest.raises(ValueError, match="8 or 32 bits, not in 4"):
        export_onnx(model, tmp_path / "model.onnx", bits=4)
    model.normalize_patch = 4
    with pytest.raises(ValueError, match="make no picture"):
        export_program(model)
    assert not [*tmp_path.iterdir()]


def test_without_onnx_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'simmim-lab\[export\]'"):
        export_onnx(tiny(), tmp_path / "model.onnx")


# Folders to share


def card(folder) -> tuple[dict, str]:
    yaml = pytest.importorskip("yaml")
    _, header, text = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(header), text


def test_a_folder_for_the_hub_holds_the_model_and_says_how_to_load_and_upload_it(tmp_path):
    model = tiny().eval()
    folder = save_for_hub(model, tmp_path / "mine", name="my-simmim")
    assert {path.name for path in folder.iterdir()} == {"model.safetensors", "model.json", "README.md"}
    images, mask = inputs(model, 2)
    loaded = SimMIM.load(folder).eval()
    assert torch.equal(loaded.reconstruct(images, mask), model.reconstruct(images, mask))
    header, text = card(folder)
    assert header["license"] and header["library_name"] == "simmim-lab" and "simmim" in header["tags"]
    assert (
        "# my-simmim" in text
        and 'load_published("OWNER/my-simmim")' in text
        and "hf upload OWNER/my-simmim" in text
    )
    assert "16 x 16 pixels" in text and "ViTEncoder" in text and "{" not in text


def test_a_folder_for_transformers_is_read_by_it(tmp_path):
    transformers = pytest.importorskip("transformers", reason="needs transformers: pip install 'simmim-lab[hub]'")
    model = swin().eval()
    folder = save_for_hub(model, tmp_path / "mine", name="my-simmim", transformers=True)
    theirs = transformers.AutoModelForMaskedImageModeling.from_pretrained(folder).eval()
    images, mask = inputs(model, 2)
    images = (images * 255).round() / 255
    pictures = [Image.fromarray((image * 255).byte().permute(1, 2, 0).numpy()) for image in images]
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    output = theirs(**processor(pictures, return_tensors="pt"), bool_masked_pos=mask.flatten(1))
    loss, prediction = model(images, mask)
    torch.testing.assert_close(output.reconstruction, prediction, rtol=0, atol=1e-5)
    torch.testing.assert_close(output.loss, loss, rtol=0, atol=1e-5)
    assert load_published(folder).config == model.config
    header, text = card(folder)
    assert header["library_name"] == "transformers" and "AutoModelForMaskedImageModeling" in text
    assert json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"] == "swin"


def test_a_model_that_transformers_does_not_have_leaves_no_folder(tmp_path):
    with pytest.raises(ValueError, match="transformers' ViT has absolute positions"):
        save_for_hub(tiny(), tmp_path / "mine", name="x", transformers=True)
    assert not (tmp_path / "mine").exists()
