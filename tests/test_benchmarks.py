"""The benchmarks run, write what they measured, and compare what is comparable."""

import importlib.util
import json
from collections import Counter
from pathlib import Path

import better_masks
import cifar10_race
import data_pipeline
import decoder_race
import encoder_race
import gan_race
import generation
import in_context
import inpainting
import judge
import label_fractions
import loss_and_features
import mae
import pretrain_step
import pretrained
import pretraining_pays
import pytest
import sparse_convolution
import speed
import torch
import training_masks
import video
from einops import rearrange

from simmim_lab.finetuning import FinetuneRecipe, some_labels
from simmim_lab.images import load
from simmim_lab.masking import random_mask, to_pixels

ROOT = Path(__file__).parents[1]


def test_the_data_pipelines_are_compared(tmp_path):
    data_pipeline.main(["--quick", "--out", str(tmp_path / "data.json")])
    results = json.loads((tmp_path / "data.json").read_text())
    for row in results["epoch"], results["masks"]:
        assert row["ours"] > 0 and row["one_by_one"] > 0 and row["ratio"] > 0
    assert results["kernels"]["half mask"] < results["kernels"]["mixture mask"] < 110


@pytest.mark.verify
def test_where_time_goes_is_measured_and_other_machines_are_kept(tmp_path):
    (tmp_path / "speed.json").write_text('{"another machine": {}}')
    speed.main(["--quick", "--out", str(tmp_path / "speed.json")])
    results = json.loads((tmp_path / "speed.json").read_text())
    other, [measured] = results.pop("another machine"), results.values()
    assert other == {}
    assert list(measured["images_per_second"]) == [
        "one by one",
        "in batches",
        "no waiting",
        "attention",
        "fused AdamW",
    ]
    assert all(rate > 0 for rate in measured["images_per_second"].values())
    assert sum(measured["time_shares"].values()) == pytest.approx(1)
    assert measured["memory"]["state"] == 16 * measured["memory"]["parameters"]
    assert measured["roofline"]["flops"]["1024"] > measured["roofline"]["flops"]["16"] > 0


def test_the_shipped_model_is_scored_beside_simple_fills(tmp_path):
    pretrained.main(["--quick", "--out", str(tmp_path / "pretrained.json")])
    results = json.loads((tmp_path / "pretrained.json").read_text())
    assert results["masks"].keys() == pretrained.MASKS.keys()
    for scores in results["masks"].values():
        assert scores["simmim"]["psnr"] > scores["biharmonic"]["psnr"]


@pytest.mark.verify
def test_fills_of_holes_are_scored_and_go_on_where_they_were_cut(tmp_path):
    out = tmp_path / "inpainting.json"
    inpainting.main(["--quick", "--out", str(out)])
    results = json.loads(out.read_text())
    assert {row["hole"] for row in results["rows"]} == inpainting.HOLES.keys() | inpainting.SMALL.keys()
    assert all({"model", "biharmonic", "patches"} <= row["scores"].keys() for row in results["rows"])
    assert 0.8 < results["seams"]["model"] < 1.25 and results["large"]["seconds"] > 0
    first = results["rows"].pop(0)
    out.write_text(json.dumps(results))
    inpainting.main(["--quick", "--out", str(out)])
    *same, again = json.loads(out.read_text())["rows"]
    assert same == results["rows"] and again["scores"]["model"]["psnr"] == first["scores"]["model"]["psnr"]


@pytest.mark.verify
def test_what_the_generator_makes_is_read_and_compared(tmp_path):
    out = tmp_path / "generation.json"
    generation.main(["--quick", "--out", str(out)])
    results = json.loads(out.read_text())
    assert results["ceiling"]["real"]["all"] == 1 and results["ours"]["all"] > 0.5
    assert all(row["diversity"] > 0 for row in results["completions"])
    assert results["nearest"]["generated"]["smallest"] > 0
    grid = results.pop("grid")
    out.write_text(json.dumps(results))
    generation.main(["--quick", "--out", str(out)])
    assert json.loads(out.read_text())["grid"] == grid


def test_the_judge_is_tested_on_both_sizes_and_not_shipped_unasked(tmp_path, monkeypatch):
    monkeypatch.setattr(judge, "WEIGHTS", tmp_path / "judge")
    judge.main(["--quick", "--out", str(tmp_path / "judge.json")])
    results = json.loads((tmp_path / "judge.json").read_text())
    for name in ("accuracy", "accuracy_8_bits"):
        assert list(results[name]) == ["16", "32"]
        assert all(0 <= share <= 1 for shares in results[name].values() for share in shares.values())
    assert not (tmp_path / "judge").exists()


def test_ways_to_make_pictures_are_compared_once(tmp_path):
    out = tmp_path / "race.json"
    gan_race.main(["--quick", "--out", str(out)])
    results = json.loads(out.read_text())
    runs = {run["method"]: run for run in results["runs"]}
    assert runs.keys() == gan_race.METHODS.keys()
    for run in runs.values():
        last = run["marks"][-1]
        assert last["mark"] == 0.4 <= last["seconds"] and last["steps"] > 0 and run["weights"]["used"] > 0
    answer, sampled = (runs[method]["marks"][-1] for method in ("regression", "masked sampler"))
    assert answer["diversity"] == answer["completion_diversity"] == 0 < sampled["completion_diversity"]
    assert results["references"]["real"]["kid"] < answer["kid"]
    out.write_text(json.dumps(results | {"runs": results["runs"][1:]}))
    gan_race.main(["--quick", "--out", str(out)])
    *same, again = json.loads(out.read_text())["runs"]
    assert same == results["runs"][1:] and again["method"] == "GAN"


def test_without_images_the_shipped_model_is_not_scored(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        pretrained.main(["--data", str(tmp_path), "--out", str(tmp_path / "pretrained.json")])
    assert end.value.code == 0 and capsys.readouterr().err.startswith("Skipped, there are no images to score on:")
    assert not list(tmp_path.iterdir())


@pytest.mark.verify
def test_the_race_is_run_once_and_goes_on_where_it_was_cut(tmp_path):
    out = tmp_path / "race.json"
    words = ["--quick", "--labels", "10", "--out", str(out), "--ways", *cifar10_race.WAYS]
    cifar10_race.main(words)
    rows = json.loads(out.read_text())["rows"]
    assert [row["way"] for row in rows] == ["simmim", "scratch", "linear", "attention"]
    assert all(0 <= row["accuracy"] <= 1 and row["steps"] > 0 for row in rows)
    assert rows[0]["pretrain_s"] > rows[0]["finetune_s"] > 0
    out.write_text(json.dumps({"rows": rows[1:3]}))
    cifar10_race.main(words)
    again = json.loads(out.read_text())["rows"]
    assert again[:2] == rows[1:3] and {row["way"] for row in again} == {row["way"] for row in rows}


def test_the_race_reads_cifar10_and_takes_the_same_share_of_each_class():
    folder = ROOT.parent / "shared" / "data" / "cifar10_5bit"
    if not folder.exists():
        pytest.skip("5-bit CIFAR-10 is not beside the project")
    train, test = cifar10_race.data(str(folder))
    assert len(train) == 50_000 and len(test) == 10_000 and train.size == (32, 32)
    few = some_labels(train, 0.01, seed=0)
    assert few.labels.bincount().tolist() == [50] * 10
    nearest = torch.cdist(few.pixels[:20].flatten(1).float(), train.pixels.flatten(1).float()).argmin(1)
    assert torch.equal(train.labels[nearest], few.labels[:20])  # images and labels stayed together


def test_what_pretraining_pays_is_measured_once(tmp_path, capsys):
    out = tmp_path / "pays.json"
    pretraining_pays.main(["--quick", "--out", str(out)])
    results = json.loads(out.read_text())
    assert [row["asked"] for row in results["probes"]] == ["subject", "colour"] and results["finetuning"] == []
    assert all(0 < row[view] <= 1 for row in results["probes"] for view in ("trained", "random", "pixels"))
    assert "CIFAR-10 is left out" in capsys.readouterr().out
    before = out.read_bytes()
    pretraining_pays.main(["--quick", "--out", str(out)])
    assert out.read_bytes() == before


def test_a_fine_tuning_is_tested_at_its_marks(monkeypatch):
    recipe = FinetuneRecipe(steps=50, batch_size=4, mixup=0.0)
    monkeypatch.setattr(pretraining_pays, "WAYS", {"small": ("vit_nano", recipe)})
    monkeypatch.setattr(pretraining_pays, "MARKS", 2)
    monkeypatch.setattr(pretraining_pays, "TESTS", 20)
    [row] = pretraining_pays.learn("small", 0, load("scenes"), load("scenes", "test"))
    assert row["images"] == [100, 200] and 0 < row["seconds"][0] < row["seconds"][1]
    assert len(row["accuracy"]) == 2 and all(0 <= share <= 1 for share in row["accuracy"])


def test_all_ways_to_use_few_labels_are_measured_once(tmp_path, capsys):
    out = tmp_path / "fractions.json"
    label_fractions.main(["--quick", "--out", str(out)])
    rows = json.loads(out.read_text())["rows"]
    measured = Counter((row["network"], row["way"]) for row in rows)
    frozen = {(network, way): 4 for network, ways in label_fractions.FROZEN.items() for way in ways}
    finetuned = {(network, "finetuned"): 2 for network in label_fractions.RECIPES}
    assert measured == frozen | finetuned  # 10 and 100 % of the labels; of subject and colour, or subject alone
    assert {(row["share"], row["labels"]) for row in rows} == {(0.1, 6), (1.0, 60)}
    assert all(0 <= row["accuracy"] <= 1 and row["seconds"] > 0 for row in rows)
    assert "scenes, colour" in capsys.readouterr().out
    before = out.read_bytes()
    label_fractions.main(["--quick", "--out", str(out)])
    assert out.read_bytes() == before


def test_networks_are_trained_and_scored_under_every_kind_of_hole(tmp_path):
    out = tmp_path / "masks.json"
    training_masks.main(["--quick", "--out", str(out)])
    results = json.loads(out.read_text())
    assert [run["trained"] for run in results["runs"]] == list(training_masks.TRAININGS)
    for scores in (*results["fills"].values(), *(run["holes"] for run in results["runs"])):
        assert scores.keys() == training_masks.HOLES.keys()


def test_answers_by_example_are_scored_once_beside_fills_that_know_the_task(tmp_path):
    out = tmp_path / "context.json"
    in_context.main(["--quick", "--out", str(out)])
    results = json.loads(out.read_text())
    assert [run["way"] for run in results["runs"] + results["ways"]] == [in_context.OWN, *in_context.WAYS]
    for run in results["runs"] + results["ways"]:
        assert run["psnr"].keys() == results["fills"].keys() and 0 <= run["read"] <= 1 and run["steps"] > 0
    assert out.with_suffix(".png").exists()
    before = out.read_bytes()
    in_context.main(["--quick", "--out", str(out)])
    assert out.read_bytes() == before


def test_a_video_network_is_trained_with_each_mask_and_scored_under_all(tmp_path, monkeypatch):
    out = tmp_path / "video.json"
    monkeypatch.setattr(video, "WEIGHTS", tmp_path / "weights")
    video.main(["--quick", "--out", str(out)])
    results = json.loads(out.read_text())
    assert [(run["trained"], run["seed"]) for run in results["runs"]] == video.TRAININGS
    for scores in (*(run["network"] for run in results["runs"]), *results["fills"].values()):
        assert scores.keys() == video.MASKS.keys()
    tubes = results["fills"]["4"]["tubes"]
    assert tubes["nearest frame"] == tubes["landscape"] and not (tmp_path / "weights").exists()
    monkeypatch.setattr(video, "trained", None)
    video.main(["--quick", "--out", str(out)])


def test_few_labels_have_all_classes_alike():
    labels = torch.tensor([2, 2, 0, 2, 1, 0, 0])
    assert label_fractions.in_turns(labels).tolist() == [0, 2, 4, 1, 5, 3, 6]


def test_an_attentive_probe_finds_the_token_that_counts():
    generator, images = torch.Generator().manual_seed(0), torch.arange(600)
    tokens, labels = torch.randn(600, 9, 16, generator=generator), images % 2
    place = torch.randint(9, (600,), generator=generator)
    tokens[images, place, 0] = 10.0
    tokens[images, place, 1] = 12.0 * labels - 6
    torch.manual_seed(0)
    probe = label_fractions.AttentiveProbe.fit(tokens[:300], labels[:300], steps=100)
    assert probe.score(tokens[300:], labels[300:]) > 0.9


@pytest.mark.verify
def test_the_grading_of_a_class_is_timed(isolation, tmp_path):
    pytest.importorskip("nbgrader", reason="needs nbgrader: pip install 'simmim-lab[teaching]'")
    import grading

    grading.main(["--students", "2", "--out", str(tmp_path / "grading.json")])
    results = json.loads((tmp_path / "grading.json").read_text())
    assert results["class"]["students"] == 2 and results["class"]["grade_seconds"] > 0
    memory = {name: step["memory_mb"] for name, step in results["steps"].items()}
    assert all(figures["command"] > 20 for figures in memory.values()), "Python with its libraries takes more"
    assert memory["grade"]["worker"] > 200 and "worker" not in memory["feedback"]


@pytest.mark.verify
def test_nbgrader_as_it_comes_is_tried_in_a_box(isolation, tmp_path):
    pytest.importorskip("nbgrader", reason="needs nbgrader: pip install 'simmim-lab[teaching]'")
    import graders

    forges = next(
        each for each in graders.SUBMISSIONS if each.does.startswith("the hidden test itself is replaced")
    )
    outcome = graders.nbgrader(tmp_path / "world", forges)
    assert "forged" in graders.judged(outcome, forges, {})
    assert outcome.faults(graders.HONEST).keys() == {"leaks", "active content"}, (
        "the honest student has all points"
    )


@pytest.mark.verify
def test_the_decoders_race_for_equal_seconds_on_the_same_images(tmp_path):
    decoder_race.main(["--quick", "--out", str(tmp_path / "decoders.json")])
    results = json.loads((tmp_path / "decoders.json").read_text())
    assert [run["decoder"] for run in results["runs"]] == list(decoder_race.DECODERS)
    assert all(run["steps"] > 0 and run["psnr"] > 0 for run in results["runs"])


@pytest.mark.verify
def test_the_encoders_race_for_equal_seconds_on_the_same_images(tmp_path):
    encoder_race.main(["--quick", "--out", str(tmp_path / "encoders.json")])
    results = json.loads((tmp_path / "encoders.json").read_text())
    assert [run["preset"] for run in results["runs"]] == list(encoder_race.PRESETS)
    for scores in (*results["fills"].values(), *results["runs"]):
        assert scores["psnr"] > 5 and 0 < scores["ssim"] < 1
    steps = {run["preset"]: run["steps"] for run in results["runs"]}
    assert steps["article_cnn"] > steps["swin_nano"] > 0  # a small network takes more steps in the same time


@pytest.mark.verify
def test_a_run_is_worth_something_at_each_mark_and_is_not_run_again(tmp_path, monkeypatch):
    out = tmp_path / "loss.json"
    loss_and_features.main(["--quick", "--out", str(out)])
    runs = json.loads(out.read_text())["runs"]
    assert [(run["mask"], run["seed"]) for run in runs] == [(mask, 0) for mask in loss_and_features.MASKS]
    for run in runs:
        assert [mark["step"] for mark in run["marks"]] == [0, 2]
        assert all(mark["psnr"].keys() == loss_and_features.MASKS.keys() for mark in run["marks"])
        assert all(0 <= right <= 1 for mark in run["marks"] for right in mark["probes"].values())
    monkeypatch.setattr(loss_and_features, "run", None)
    loss_and_features.main(["--quick", "--out", str(out)])


@pytest.mark.skipif(not importlib.util.find_spec("keras"), reason="needs Keras: pip install 'simmim-lab[keras]'")
def test_keras_is_compared_with_pytorch_and_other_backends_are_kept(tmp_path):
    import keras_backends

    out, other = tmp_path / "keras.json", {"backend": "another", "prediction": 0.0, "loss": 0.0, "step": 0.0}
    out.write_text(json.dumps({"rows": [other]}))
    for _ in range(2):
        keras_backends.main(["--out", str(out)])
    kept, row = json.loads(out.read_text())["rows"]
    assert kept == other and all(0 <= row[key] < 1e-5 for key in ("prediction", "loss", "step"))


@pytest.fixture
def few_images(monkeypatch):
    """What a network is worth is asked of few images."""
    for name, count in {"FILLED": 16, "LABELS": 40, "TESTS": 40}.items():
        monkeypatch.setattr(mae, name, count)


@pytest.mark.verify
def test_mae_and_simmim_are_timed_and_scored_alike(tmp_path, monkeypatch, few_images):
    out = tmp_path / "mae.json"
    mae.main(["--quick", "--out", str(out)])
    results = json.loads(out.read_text())
    assert [row["ratio"] for row in results["steps"]] == list(mae.RATIOS)
    assert results["steps"][-1]["MAE"] < results["steps"][0]["SimMIM"]
    assert [run["method"] for run in results["runs"]] == ["SimMIM", "MAE"]
    for run in results["runs"]:
        assert run["steps"] > 0 and run["psnr"].keys() == results["fills"]["biharmonic"].keys() == mae.MASKS.keys()
        assert all(0 <= right <= 1 for right in run["probes"].values())
    assert [draw["seed"] for draw in results["references"]] == [0]
    monkeypatch.setattr(mae, "run", None)
    mae.main(["--quick", "--out", str(out)])  # what is there is not run again


def test_in_theory_mae_saves_what_its_decoder_does_not_cost():
    nothing_hidden, nothing_visible = mae.theory(64), mae.theory(0)
    assert nothing_visible == pytest.approx(1 / (1 / nothing_hidden - 1))  # the decoder alone
    assert nothing_hidden < 1 < mae.theory(32) < 2 < mae.theory(16) < 4


def test_all_ways_to_hide_are_trained_for_equal_seconds(tmp_path, monkeypatch, few_images):
    out = tmp_path / "masks.json"
    better_masks.main(["--quick", "--out", str(out)])
    runs = json.loads(out.read_text())["runs"]
    steps = {run["way"]: run["steps"] for run in runs}
    assert steps.keys() == better_masks.WAYS.keys() and steps["random"] > steps["all hard"] > 0
    monkeypatch.setattr(better_masks, "run", None)
    better_masks.main(["--quick", "--out", str(out)])


def test_a_cnn_that_hides_again_keeps_its_holes(tmp_path, monkeypatch, few_images):
    out = tmp_path / "sparse.json"
    sparse_convolution.main(["--quick", "--out", str(out)])
    results = json.loads(out.read_text())
    assert [run["way"] for run in results["runs"]] == list(sparse_convolution.WAYS)
    dense, again = (results["statistics"][way][0]["deviation"] for way in sparse_convolution.WAYS)
    assert dense < 0.8 and again == pytest.approx(1, abs=0.1)
    monkeypatch.setattr(sparse_convolution, "run", None)
    sparse_convolution.main(["--quick", "--out", str(out)])


@torch.no_grad()
def test_what_is_hidden_reaches_no_visible_feature_of_a_cnn_that_hides_again():
    images, mask = torch.rand(3, 3, 32, 32), random_mask(3, (8, 8), 0.6, 2)
    encoder = sparse_convolution.Convolutions(again=True).eval()
    noisy = torch.where(to_pixels(mask, 4)[:, None], torch.rand_like(images), images)
    assert torch.equal(encoder(images, mask), encoder(noisy, mask))
    nothing = torch.zeros_like(mask)
    torch.testing.assert_close(encoder(images, nothing), encoder(images))
    norm = sparse_convolution.VisibleBatchNorm(3)
    normed = norm(images, to_pixels(mask, 4)).movedim(1, -1)
    visible = ~to_pixels(mask, 4)
    assert (normed[~visible] == 0).all() and normed[visible].mean(0).abs().max() < 1e-5
    torch.testing.assert_close(normed[visible].std(0, correction=0), torch.ones(3), atol=1e-3, rtol=0)


def test_the_steps_of_all_models_that_are_installed_are_timed(tmp_path, capsys):
    pretrain_step.main(["--quick", "--out", str(tmp_path / "results" / "step.json")])
    results = json.loads((tmp_path / "results" / "step.json").read_text())
    [row] = results["steps"]
    peers = [peer for peer in ("transformers", "timm", "lightly") if importlib.util.find_spec(peer)]
    assert row["errors"] == {} and (row["fastest_peer"] in peers or not peers)
    for name in (*peers, "equal", "preset"):
        assert row[name] > 0 and 0 < row[f"{name}_share"] < 1
        assert not peers or row[f"{name}_ratio"] > 0
    assert all(results["packages"][peer] for peer in peers) and results["load"] >= 0
    assert results["torch"] == torch.__version__ and results["cpu"]
    assert row["model"] == "vit_nano" and f"{row['equal']:.1f}" in capsys.readouterr().out
    assert 0 < results["data"]["share"] < 1


@pytest.fixture(autouse=True)
def threads():
    """A benchmark sets the number of threads, which belongs to all tests."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_a_missing_peer_is_named_and_one_that_fails_stops_no_other(tmp_path, capsys, monkeypatch):
    def fails(sizes):
        raise MemoryError("no room\nfor details")

    monkeypatch.setattr(pretrain_step, "installed", lambda peer: peer == "timm")
    monkeypatch.setattr(pretrain_step, "TimmSimMIM", fails)
    pretrain_step.main(["--quick", "--out", str(tmp_path / "step.json")])
    results, printed = json.loads((tmp_path / "step.json").read_text()), capsys.readouterr().out
    assert results["missing"] == ["transformers", "lightly"] and "pip install lightly" in printed
    [row] = results["steps"]
    assert row["timm"] is None and row["errors"] == {"timm": "MemoryError: no room"}
    assert "timm: MemoryError: no room" in printed and row["equal"] > 0 and row["fastest_peer"] is None


def test_a_peer_has_as_many_weights_as_the_course():
    pytest.importorskip("transformers")
    sizes, _ = pretrain_step.MODELS["vit_nano"]
    models = pretrain_step.hugging_face(sizes), pretrain_step.course(sizes, positions="absolute", cls_token=True)
    theirs, ours = (sum(parameter.numel() for parameter in model.parameters()) for model in models)
    assert theirs - ours == models[1].encoder.dim  # the class token has a position of its own there


@pytest.mark.parametrize("peer", ["timm", "lightly"])
def test_a_peer_with_the_weights_of_the_course_has_its_loss(peer):
    """So it is the same network, on the same images under the same masks. test_parity.py has transformers."""
    pytest.importorskip(peer)
    torch.manual_seed(0)
    sizes, _ = pretrain_step.MODELS["vit_nano"]
    contestants = pretrain_step.contestants(sizes, *pretrain_step.example(sizes, 3, "cpu"))
    (build, *theirs), (build_ours, *ours) = contestants[peer], contestants["equal"]
    model, course = build(sizes), build_ours(sizes)
    with torch.no_grad():
        for parameter in course.parameters():  # nothing may stay 0 or 1: a missing bias or norm would not show
            parameter += 0.1 * torch.randn_like(parameter)
    copy_weights(course, model, peer)
    torch.testing.assert_close(model(*theirs)[0], course(*ours)[0], rtol=0, atol=1e-5)


@torch.no_grad()
def copy_weights(course, model, peer):
    """They are in nearly the same order. The peer's positions begin with one for the class token: zero here."""
    mask_token, cls_token, positions, *weights = course.parameters()
    if peer == "timm":
        weights = [mask_token, cls_token, positions, *weights]
    else:  # lightly has positions behind the patch embedding, and patches of (row, column, colour)
        *weights, weight, bias = weights
        head = (rearrange(x, "(c p q) ... -> (p q c) ...", p=model.patch, q=model.patch) for x in (weight, bias))
        weights = [mask_token, cls_token, *weights[:2], positions, *weights[2:], *head]
    for ours, theirs in zip(weights, model.parameters(), strict=True):
        class_position = torch.zeros(theirs.numel() - ours.numel())
        theirs.copy_(torch.cat([class_position, ours.flatten()]).view_as(theirs))
