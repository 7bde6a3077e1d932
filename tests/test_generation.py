"""Tokens and a masked sampler: what is known stays, what is drawn follows its chances, and a run goes on."""

import math
from itertools import pairwise

import pytest
import torch

from simmim_lab import generation
from simmim_lab.data.scenes import draw_scenes
from simmim_lab.encoders import ViTEncoder
from simmim_lab.generation import (
    WORDS,
    GeneratorRecipe,
    MaskGIT,
    captioned_scenes,
    complete,
    expected,
    generate,
    guided,
    leave_out,
    read_caption,
    sample,
    tokens_left,
    train_generator,
    variable_mask,
)
from simmim_lab.images import ImageSet
from simmim_lab.judging import Judge, caption_match, diversity
from simmim_lab.simmim import SimMIM
from simmim_lab.tokens import Tokenizer

CLASSES = "night", "night heron"


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(n: int = 6, height: int = 8, width: int = 12) -> torch.Tensor:
    return torch.rand(n, 3, height, width, generator=seeded(1))


def tiny(codes: int = 8, vocabulary: dict = WORDS) -> MaskGIT:
    """A small network with random weights: 4 x 6 tokens."""
    torch.manual_seed(0)
    encoder = ViTEncoder((8, 12), 2, 16, 2, 2, positions="absolute")
    return MaskGIT(encoder, Tokenizer.fit(pictures(), codes=codes), vocabulary).eval()


@pytest.fixture
def model() -> MaskGIT:
    return tiny()


# Tokens


def test_each_patch_gets_the_nearest_code():
    tokenizer = Tokenizer.fit(pictures(), codes=8)
    codes = tokenizer.encode(pictures())
    assert codes.shape == (6, 4, 6)
    patch = pictures()[5, :, 2:4, 10:12].flatten()  # the second row of patches, the last column
    assert codes[5, 1, 5] == (tokenizer.codebook - patch).square().sum(1).argmin()
    assert torch.equal(tokenizer.encode(tokenizer.decode(codes)), codes)


def test_a_codebook_keeps_most_of_what_a_picture_shows():
    scenes = draw_scenes(60, 16, generator=seeded()).pixels / 255
    seen, new = scenes[:40], scenes[40:]
    errors = [
        (tokenizer.decode(tokenizer.encode(new)) - new).square().mean()
        for tokenizer in (Tokenizer.fit(seen, codes=codes) for codes in (1, 8, 64))
    ]
    assert errors[0] > 4 * errors[1] > 8 * errors[2]


def test_a_codebook_depends_on_its_seed_alone():
    assert torch.equal(Tokenizer.fit(pictures(), codes=8).codebook, Tokenizer.fit(pictures(), codes=8).codebook)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"patch": 5}, "patches of 5 pixels do not tile"),
        ({"codes": 10_000}, "codes must be a whole number at least 1 and at most 144"),
        ({"patch": 0}, "patch must be"),
    ],
)
def test_a_codebook_that_cannot_be_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        Tokenizer.fit(pictures(), **arguments)


# The model


def test_what_is_hidden_is_not_seen_and_what_is_visible_is(model):
    codes, words = model.tokenizer.encode(pictures(2)), model.nothing_said(2)
    mask = variable_mask(2, model.grid, seeded())
    before = model.logits(codes, mask, words)
    assert before.shape == (2, 4, 6, 8)
    torch.testing.assert_close(model.logits(torch.where(mask, (codes + 1) % 8, codes), mask, words), before)
    assert not torch.allclose(model.logits(torch.where(mask, codes, (codes + 1) % 8), mask, words), before)


def test_words_change_the_scores(model):
    codes, mask = torch.zeros(1, 4, 6).long(), torch.ones(1, 4, 6).bool()
    scores = [model.logits(codes, mask, model.words_of([said])) for said in ("", "boat", "boat at night")]
    assert not torch.allclose(scores[0], scores[1]) and not torch.allclose(scores[1], scores[2])


def test_the_loss_is_the_cross_entropy_of_hidden_codes(model):
    images, words = pictures(3), model.nothing_said(3)
    mask = variable_mask(3, model.grid, seeded())
    loss, scores = model(images, mask, words)
    codes = model.tokenizer.encode(images)
    log = model.logits(codes, mask, words).log_softmax(-1)
    surprise = [-log[i, r, c, codes[i, r, c]] for i, r, c in mask.nonzero().tolist()]
    torch.testing.assert_close(loss, torch.stack(surprise).mean())
    assert scores.shape == (mask.sum(), 8)


def test_a_saved_model_comes_back(model, tmp_path):
    model.save(tmp_path)
    again = MaskGIT.load(tmp_path)
    words = model.words_of(["a red boat"] * 2)
    assert again.vocabulary == model.vocabulary
    assert torch.equal(generate(again, words, generator=seeded()), generate(model, words, generator=seeded()))


def test_a_model_of_another_kind_is_named_as_such(model, tmp_path):
    model.save(tmp_path)
    with pytest.raises(ValueError, match=r"model\.json does not describe a model of the kind wanted here"):
        SimMIM.load(tmp_path)


def test_encoder_and_tokenizer_must_agree():
    with pytest.raises(ValueError, match="one size, not 4 and 2"):
        MaskGIT(ViTEncoder(16, 4, 16, 1, 2), Tokenizer(), WORDS)


# Captions


def test_every_caption_of_scenes_is_read():
    scenes = draw_scenes(200, 8, generator=seeded())
    for caption, said in zip(scenes.captions, scenes.attributes, strict=True):
        places = read_caption(caption, WORDS)
        assert {kind: WORDS[kind][i] for kind, i in zip(WORDS, places, strict=True)} == said, caption


@pytest.mark.parametrize(
    ("caption", "places"),
    [
        ("", [6, 6, 3, 3]),
        ("Boat", [2, 6, 3, 3]),
        ("the snow, at NIGHT", [6, 6, 2, 2]),
        ("a lighthouse", [3, 6, 3, 3]),  # not a house
        ("red red house", [0, 0, 3, 3]),
    ],
)
def test_parts_of_a_caption_leave_the_rest_unsaid(caption, places):
    assert read_caption(caption, WORDS) == places


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("a red hose", "unknown word 'hose' in 'a red hose'; did you mean 'house'"),
        ("a purple tree", "unknown word 'purple'"),
        ("a red house and a blue boat", "names house and boat: take one subject"),
        ("red, blue", "names red and blue: take one color"),
        ("猫", "unknown word '猫'"),
    ],
)
def test_what_a_caption_cannot_say_is_named(caption, words):
    with pytest.raises(ValueError, match=words):
        read_caption(caption, WORDS)


def test_names_of_classes_may_have_several_words():
    assert [read_caption(name, {"class": CLASSES}) for name in CLASSES] == [[0], [1]]
    with pytest.raises(TypeError, match="a caption must be a text, but is None"):
        read_caption(None, WORDS)
    with pytest.raises(ValueError, match="this model knows no words"):
        read_caption("boat", {})


# Sampling


def test_known_tokens_stay_and_hidden_ones_follow_the_schedule(model):
    codes = model.tokenizer.encode(pictures(3))
    mask = torch.zeros(3, 4, 6, dtype=torch.bool)
    mask[0], mask[1, :2] = True, True  # all, half and nothing of a picture
    before, hidden = mask, [24, 12, 0]
    drawn = list(sample(model, model.nothing_said(3), steps=5, codes=codes, mask=mask, generator=seeded()))
    for step, (now, still) in enumerate(drawn, 1):
        assert torch.equal(now[~mask], codes[~mask])
        assert not (still & ~before).any(), "what is filled stays filled"
        assert still.flatten(1).sum(1).tolist() == [tokens_left(n, step, 5) for n in hidden]
        before = still
    finished = [(a[~b], later[~b]) for (a, b), (later, _) in pairwise(drawn)]
    assert all(torch.equal(first, later) for first, later in finished)
    assert not drawn[-1][1].any()


@pytest.mark.parametrize("hidden", [1, 7, 256])
@pytest.mark.parametrize("steps", [1, 4, 16, 256])
def test_the_schedule_falls_to_nothing(hidden, steps):
    left = [tokens_left(hidden, step, steps) for step in range(1, steps + 1)]
    assert left == sorted(left, reverse=True) and left[-1] == 0 and left[0] <= hidden


def test_the_same_seed_gives_the_same_pictures_and_another_others(model):
    words = model.words_of(["a boat"] * 4)
    first, again, other = (generate(model, words, steps=4, generator=seeded(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert len({picture.numpy().tobytes() for picture in first}) == 4


def test_many_pictures_are_made_in_parts(model, monkeypatch):
    monkeypatch.setattr(generation, "AT_ONCE", 2)
    assert generate(model, model.nothing_said(5), steps=2, generator=seeded()).shape == (5, 3, 8, 12)


def test_at_temperature_0_the_likeliest_code_is_taken(model):
    [(codes, _)] = sample(model, model.nothing_said(2), steps=1, temperature=0, generator=seeded())
    hidden = torch.ones(2, 4, 6, dtype=torch.bool)
    assert torch.equal(codes, model.logits(codes, hidden, model.nothing_said(2)).argmax(-1))


def test_codes_are_drawn_with_their_chances():
    model, n = tiny(codes=3), 4_000
    words, mask = model.nothing_said(1), torch.ones(1, 4, 6, dtype=torch.bool)
    scores = model.logits(torch.zeros(1, 4, 6).long(), mask, words)[0, 0, 0]
    for temperature in (1.0, 0.5):
        [(codes, _)] = sample(
            model, words.expand(n, -1), steps=1, temperature=temperature, guidance=0, generator=seeded()
        )
        shares = torch.bincount(codes[:, 0, 0], minlength=3) / n
        torch.testing.assert_close(shares, (scores / temperature).softmax(0), atol=0.05, rtol=0)


def test_the_mean_of_many_samples_is_what_a_regressor_says(model):
    image, mask = pictures(1), torch.zeros(1, 4, 6, dtype=torch.bool)
    mask[:, 1, 2] = True
    many = image.expand(3_000, -1, -1, -1), mask.expand(3_000, -1, -1)
    drawn = complete(model, *many, steps=1, generator=seeded())
    torch.testing.assert_close(drawn.mean(0), expected(model, image, mask)[0], atol=0.05, rtol=0)


def test_a_completion_keeps_visible_pixels_and_draws_different_ones(model):
    images = pictures(1).repeat(8, 1, 1, 1)
    mask = torch.zeros(8, 4, 6, dtype=torch.bool)
    mask[:, 2:] = True
    filled = complete(model, images, mask, steps=4, generator=seeded())
    assert torch.equal(filled[:, :, :4], images[:, :, :4])
    assert len({picture.numpy().tobytes() for picture in filled}) == 8
    assert torch.equal(complete(model, images, mask & False, steps=4, generator=seeded()), images)


def test_guidance_goes_away_from_what_needs_no_caption(model):
    with_caption, without = torch.tensor([2.0, 1.0]), torch.tensor([1.0, 3.0])
    assert guided(with_caption, without, 0).tolist() == [2, 1]
    assert guided(with_caption, without, 2).tolist() == [4, -3]
    words = model.words_of(["boat"])
    plain, strong = (generate(model, words, guidance=w, generator=seeded()) for w in (0, 50))
    assert not torch.equal(plain, strong)
    nothing = model.nothing_said(1)
    plain, same = (generate(model, nothing, guidance=w, generator=seeded()) for w in (0, 50))
    assert torch.equal(plain, same)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0}, "steps must be a whole number at least 1 and at most 24, but is 0"),
        ({"steps": 25}, "at most 24, but is 25"),
        ({"temperature": -0.1}, "temperature must be a number at least 0, but is -0.1"),
        ({"temperature": math.nan}, "temperature must be"),
        ({"guidance": -1}, "guidance must be"),
        ({"words": torch.zeros(2, 3).long()}, "one column for each of subject, color, place, time"),
        ({"words": torch.full((2, 4), 7)}, "from 0 to 6"),
        ({"mask": torch.ones(2, 6, 4, dtype=torch.bool)}, "mask"),
    ],
)
def test_impossible_options_are_refused(model, options, words):
    with pytest.raises(ValueError, match=words):
        list(sample(model, **{"words": model.nothing_said(2), "generator": seeded(), **options}))


# Training


def test_masks_have_all_ratios_and_captions_are_left_out_in_part():
    mask = variable_mask(4_000, (4, 4), seeded())
    hidden = mask.flatten(1).sum(1)
    assert hidden.min() >= 1 and hidden.max() == 16
    assert hidden.float().mean() / 16 == pytest.approx(2 / math.pi, abs=0.06)  # the mean of that cosine
    assert torch.equal(mask, variable_mask(4_000, (4, 4), seeded()))
    words = leave_out(torch.zeros(4_000, 4).long(), torch.ones(4_000, 4).long(), seeded()).sum(1)
    assert (words == 0).float().mean() == pytest.approx(0.6 + 0.2 / 5, abs=0.05)
    assert (words == 4).float().mean() == pytest.approx(0.2 + 0.2 / 5, abs=0.05)


def colours() -> ImageSet:
    """Pictures of one colour, named after it."""
    pixels = torch.zeros(40, 3, 8, 12, dtype=torch.uint8)
    labels = torch.arange(40) % 2
    pixels[labels == 0, 0], pixels[labels == 1, 2] = 200, 200
    return ImageSet("colours", "train", pixels, labels, ("red", "blue"))


def painter() -> MaskGIT:
    torch.manual_seed(0)
    encoder = ViTEncoder((8, 12), 2, 16, 2, 2, positions="absolute")
    tokenizer = Tokenizer.fit(colours().take(40), codes=2)
    return MaskGIT(encoder, tokenizer, {"color": ("red", "blue")})


def test_it_learns_what_captions_mean():
    model = painter()
    history = train_generator(model, colours(), GeneratorRecipe(steps=80), val=colours(), progress=False)
    assert history.loss[0] > 0.5 > 5 * history.val_loss[-1]
    drawn = generate(model, model.words_of(["red", "blue"] * 4), generator=seeded())
    assert (drawn[::2, 0] > drawn[::2, 2]).all() and (drawn[1::2, 0] < drawn[1::2, 2]).all()
    anything = generate(model, model.nothing_said(32), generator=seeded())[:, 0].mean((1, 2)) > 0.4
    assert 4 <= anything.sum() <= 28, "both colours come where nothing is said"


def test_a_training_goes_on_where_it_was(tmp_path):
    def unplug(step, model, history):
        if step == 4:
            raise OSError("no power")

    recipe = GeneratorRecipe(steps=12, batch_size=4, save_every=1e-6)
    once, twice = painter(), painter()
    train_generator(once, colours(), recipe, progress=False)
    with pytest.raises(OSError, match="no power"):
        train_generator(painter(), colours(), recipe, run_dir=tmp_path, callbacks=[unplug], progress=False)
    train_generator(twice, colours(), recipe, run_dir=tmp_path, progress=False)
    for name, tensor in once.state_dict().items():
        assert torch.equal(tensor, twice.state_dict()[name]), name


def test_classes_that_the_model_has_no_words_for_are_refused():
    with pytest.raises(ValueError, match="unknown word 'blue'"):
        model = MaskGIT(painter().encoder, painter().tokenizer, {"color": ("red",)})
        train_generator(model, colours(), GeneratorRecipe(steps=1), progress=False)


def test_without_words_it_learns_from_the_pictures_alone():
    model = MaskGIT(painter().encoder, painter().tokenizer, {})
    assert train_generator(model, colours(), GeneratorRecipe(steps=2), progress=False).steps == 2
    assert generate(model, model.nothing_said(3), steps=2, generator=seeded()).shape == (3, 3, 8, 12)


def test_scenes_with_captions_differ_from_split_to_split(monkeypatch):
    monkeypatch.setattr(generation, "CAPTIONED", {"train": 40, "val": 20, "test": 20})
    train, val = captioned_scenes("train", 16), captioned_scenes("val", 16)
    assert train.classes[train.labels[3]] in train.classes and len(train) == 40
    assert not any((picture == train.pixels).flatten(1).all(1).any() for picture in val.pixels)
    with pytest.raises(ValueError, match="did you mean 'train'"):
        captioned_scenes("training")


# The shipped weights


def test_the_shipped_generator_draws_what_captions_say():
    model, scenes = MaskGIT.pretrained("scenes").eval(), captioned_scenes("test")
    words = model.words_of([scenes.classes[label] for label in scenes.labels[:40]])
    drawn = generate(model, words, generator=seeded())
    assert caption_match(Judge.pretrained().read(drawn), words)["all"] > 0.8


def test_the_shipped_generator_gives_different_answers_to_one_half():
    model = MaskGIT.pretrained("scenes").eval()
    scene = captioned_scenes("test").take(1).expand(8, -1, -1, -1)
    mask = torch.zeros(8, *model.grid, dtype=torch.bool)
    mask[:, :, 8:] = True
    answers = complete(model, scene, mask, generator=seeded())
    assert torch.equal(answers[..., :16], scene[..., :16])
    assert diversity(answers) > 0.03
