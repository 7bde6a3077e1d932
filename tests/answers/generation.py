"""Answers to the exercises on generation (lesson 09)."""

import math
from itertools import combinations, pairwise

import numpy as np
import torch
import torch.nn.functional as F
from einops import einsum, rearrange, reduce
from scipy.spatial import cKDTree
from torch.distributions import Categorical

from answers import right, wrong

# nearest_codes


@right("nearest_codes")
def by_broadcasting(patches, codebook):
    return (patches[:, None] - codebook[None]).pow(2).sum(-1).argmin(-1)


@right("nearest_codes")
def multiplied_out(patches, codebook):
    squares = codebook.double().square().sum(1)
    return torch.argmax(patches.double() @ codebook.double().T - squares / 2, dim=1)


@right("nearest_codes")
@torch.compile
def sorted_distances(patches, codebook):
    return torch.cdist(patches, codebook, compute_mode="donot_use_mm_for_euclid_dist").sort(dim=1).indices[:, 0]


@right("nearest_codes")
def one_patch_after_another(patches, codebook):
    entries = codebook.tolist()
    return torch.tensor(
        [min(range(len(entries)), key=lambda k: math.dist(p, entries[k])) for p in patches.tolist()]
    )


@right("nearest_codes")
def in_a_tree(patches, codebook):
    return torch.from_numpy(cKDTree(codebook.numpy()).query(patches.numpy())[1])


def nearest_by(far):
    """The code with the smallest far(differences)."""
    return lambda patches, codebook: far(patches.unsqueeze(1) - codebook).argmin(dim=1)


TASK = "nearest_codes"
wrong(TASK, "these are the farthest codes")(lambda p, c: torch.cdist(p, c).argmax(1))
wrong(TASK, "not of absolute ones")(lambda p, c: torch.cdist(p, c, p=1).argmin(1))
wrong(TASK, "the largest difference decides here")(lambda p, c: torch.cdist(p, c, p=math.inf).argmin(1))
wrong(TASK, "differences of opposite sign cancel")(nearest_by(lambda d: d.sum(-1) ** 2))
wrong(TASK, "the signs of the differences count: square")(nearest_by(lambda d: d.mean(-1)))
wrong(TASK, "of codebook minus patches")(nearest_by(lambda d: -d.mean(-1)))
wrong(TASK, "the squares are added over the codes")(lambda p, c: (p[:, None] - c[None]).pow(2).sum(1).argmin(-1))
wrong(TASK, "only the first value is compared")(nearest_by(lambda d: d[..., 0] ** 2))
wrong(TASK, "so a light code wins")(lambda p, c: torch.einsum("pv,cv->pc", p, c).argmax(1))
wrong(TASK, "the direction is compared (cosine)")(lambda p, c: (F.normalize(p) @ F.normalize(c).T).argmax(1))
wrong(TASK, "the lengths are compared")(
    lambda p, c: (torch.linalg.norm(p, dim=1, keepdim=True) - torch.linalg.norm(c, dim=1)).abs().argmin(1)
)
wrong(TASK, "it is the other way round")(lambda p, c: torch.cdist(p, c).argmin(0))
wrong(TASK, "all patches get the code of the first one")(
    lambda p, c: torch.cdist(p, c).argmin(1)[0].repeat(len(p))
)
wrong(TASK, "these are the smallest distances")(lambda p, c: torch.cdist(p, c).min(1).values)
wrong(TASK, "these are the smallest squared distances")(lambda p, c: ((p[:, None] - c) ** 2).sum(2).min(1)[0])
wrong(TASK, "these are all distances")(lambda p, c: torch.cdist(p, c))
wrong(TASK, "these are all codes in their order")(lambda p, c: torch.cdist(p, c).argsort(dim=1))
wrong(TASK, "these are the patches of the codebook")(lambda p, c: c[torch.cdist(p, c).argmin(1)])
wrong(TASK, "counted from 0, not from 1")(lambda p, c: 1 + torch.cdist(p, c).argmin(1))
wrong(TASK, "codes are whole numbers")(lambda p, c: torch.cdist(p, c).argmin(1).double())
wrong(TASK, "one axis too many")(lambda p, c: torch.cdist(p, c).argmin(1, keepdim=True))
wrong(TASK, "the second nearest patch")(lambda p, c: torch.cdist(p, c).topk(2, largest=False).indices[:, 1])
wrong(TASK, "marked by a 1 among zeros")(lambda p, c: F.one_hot(torch.cdist(p, c).argmin(1), c.shape[0]))
wrong(TASK, "expected the shape (1,), got ()")(lambda p, c: torch.cdist(p, c).argmin(1).squeeze())
wrong(TASK, "the product counts twice")(lambda p, c: (c.square().sum(1) - p @ c.T).argmin(1))
wrong(TASK, "8 bits are too few")(lambda p, c: torch.cdist(p, c).argmin(1).byte())
wrong(TASK, "expected")(lambda p, c: torch.cdist(p.round(decimals=1), c.round(decimals=1), p=3).argmin(1))


def search_from(best, distance):
    """The answer that looks for a smaller distance than `best`, and then for a smaller one than that."""

    def answer(patches, codebook):
        codes = torch.zeros(len(patches), dtype=torch.int64)
        for k, patch in enumerate(patches):
            least = best
            for code, other in enumerate(codebook):
                if (far := distance(patch - other)) < least:
                    least, codes[k] = far, code
        return codes

    return answer


wrong(TASK, "begins at infinity, not at 1")(search_from(1.0, torch.norm))
wrong(TASK, "begin a search at infinity, and take no `exp`")(search_from(10.0, lambda d: d.square().sum()))
wrong(TASK, "begin a search at infinity, and take no `exp`")(
    lambda p, c: (-torch.cdist(p, c).double().square()).exp().argmax(1)
)


@wrong(TASK, "leaves its inputs as they are")
def subtracted_in_place(patches, codebook):
    codes = torch.cdist(patches, codebook).argmin(1)
    patches -= codebook[codes]
    return codes


# tokens_left


@right("tokens_left")
def floored(hidden, step, steps):
    return int(hidden * math.cos(math.pi * step / (2 * steps)))


@right("tokens_left")
def by_the_sine(hidden, step, steps):
    return math.floor(hidden * math.sin(math.pi / 2 * (steps - step) / steps))


@right("tokens_left")
def with_numpy(hidden, step, steps):
    return int(np.floor(hidden * np.cos(np.pi / 2 * (step / steps))))


@right("tokens_left")
@torch.compile
def with_torch(hidden, step, steps):
    share = torch.cos(torch.tensor(math.pi / 2 * step / steps, dtype=torch.float64))
    return 0 if step == steps else (hidden * share).floor().long().item()


class Left:
    def __call__(self, hidden, step, steps):
        filled = math.ceil(hidden * (1 - math.cos(math.pi / 2 * step / steps)) - 1e-9)
        return hidden - filled


right("tokens_left")(Left())


def share_of(share, whole=math.floor):
    return lambda hidden, step, steps: whole(hidden * share(step / steps))


def cosine(t):
    return math.cos(math.pi / 2 * t)


TASK = "tokens_left"
wrong(TASK, "that is how many are filled")(lambda h, k, n: h - floored(h, k, n))
wrong(TASK, "how many this step fills")(lambda h, k, n: floored(h, k - 1, n) - floored(h, k, n))
wrong(TASK, "the sine grows")(share_of(lambda t: math.sin(math.pi / 2 * t)))
wrong(TASK, "the sine fills many tokens first")(share_of(lambda t: 1 - math.sin(t * math.pi / 2)))
wrong(TASK, "1 minus the cosine")(share_of(lambda t: 1 - cosine(t)))
wrong(TASK, "it falls like a line here")(lambda h, k, n: h * (n - k) // n)
wrong(TASK, "half a turn is too much")(share_of(lambda t: math.cos(math.pi * t)))
wrong(TASK, "from the middle on the cosine is negative")(share_of(lambda t: math.cos(math.pi * t), int))
wrong(TASK, "the cosine is squared")(share_of(lambda t: 0.5 + 0.5 * math.cos(math.pi * t)))
wrong(TASK, "radians, not degrees")(share_of(lambda t: math.cos(math.radians(math.pi / 2 * t))))
wrong(TASK, "takes radians: a quarter turn is pi / 2, not 90")(share_of(lambda t: math.cos(90 * t)))
wrong(TASK, "in which a quarter turn is pi / 2, not 90")(lambda h, k, n: int(h * math.cos(90 * k / n)))
wrong(TASK, "the factor pi / 2 is missing")(share_of(math.cos))
wrong(TASK, "it is rounded up")(lambda h, k, n: math.ceil(h * cosine(k / n)) if k < n else 0)
wrong(TASK, "it is rounded to the nearest")(share_of(cosine, round))
wrong(TASK, "it must be a whole number")(share_of(cosine, abs))
wrong(TASK, "the share alone is returned")(lambda h, k, n: cosine(k / n))
wrong(TASK, "that is the number before this step")(lambda h, k, n: floored(h, k - 1, n))
wrong(TASK, "that is the number after the next step")(lambda h, k, n: floored(h, min(n, k + 1), n))
wrong(TASK, "`steps` is one too small")(lambda h, k, n: math.floor(h * cosine(k / max(1, n - 1))))
wrong(TASK, "`steps` is one too large")(lambda h, k, n: math.floor(h * cosine(k / (n + 1))))
wrong(TASK, "after the last step nothing is hidden")(lambda h, k, n: max(1, floored(h, k, n)))
wrong(TASK, "a rounding below 0 for some `steps`")(lambda h, k, n: math.floor(h * math.cos(math.pi / 2 * k / n)))
wrong(TASK, "the cosine is a rounding below 0, and")(
    lambda h, k, n: math.floor(h * np.cos(np.float32(np.pi / 2))) if k == n else floored(h, k, n)
)


@wrong(TASK, "each step takes its share of what was left before")
def shares_of_shares(hidden, step, steps):
    for k in range(step):
        hidden = math.floor(hidden * cosine((k + 1) / steps))
    return hidden


wrong(TASK, "the share is rounded before")(lambda h, k, n: math.floor(h * round(cosine(k / n), 1)))
wrong(TASK, "rounded to two digits")(lambda h, k, n: math.floor(h * round(cosine(k / n), 2)))
wrong(TASK, "before the last step none may be left, too")(lambda h, k, n: max(int(k < n), floored(h, k, n)))
wrong(TASK, "the share falls like 1 - t²")(lambda h, k, n: h - math.ceil(h * (k / n) ** 2))
wrong(TASK, "not pi / 4")(lambda h, k, n: math.floor(h * math.cos(math.pi / 4 * (k / n))) if k < n else 0)
wrong(TASK, "tokens are counted: 14, not 14.0")(lambda h, k, n: h * cosine(k / n) // 1 if k < n else 0.0)
wrong(TASK, "rounded before it is rounded down")(lambda h, k, n: math.floor(round(h * cosine(k / n), 2)))
wrong(TASK, "is the share cos(pi / 2 * step / steps), rounded down expected")(share_of(lambda t: 1 - t**3))

# unmask


@right("unmask")
def ranks(codes, mask, drawn, confidence, left):
    doubt = confidence.masked_fill(~mask, torch.inf).argsort(1).argsort(1)
    return torch.where(mask, drawn, codes), doubt < left


@right("unmask")
def smallest_ones(codes, mask, drawn, confidence, left):
    ranked = torch.where(mask, confidence.double(), float("inf"))
    places = ranked.topk(left, dim=1, largest=False).indices
    hidden = torch.zeros_like(codes).scatter_(1, places, 1).bool()
    return [codes.masked_scatter(mask & ~hidden, drawn[mask & ~hidden]), hidden]


@right("unmask")
def picture_by_picture(codes, mask, drawn, confidence, left):
    codes, after = codes.clone(), torch.zeros_like(mask)
    for picture in range(len(codes)):
        places = mask[picture].nonzero().flatten().tolist()
        places.sort(key=lambda place: confidence[picture, place].item())
        after[picture, places[:left]] = True
        for place in places[left:]:
            codes[picture, place] = drawn[picture, place]
    return codes, after


@right("unmask")
@torch.compile
def counted(codes, mask, drawn, confidence, left):
    one, other = confidence[:, :, None], confidence[:, None]
    before = torch.ones(mask.shape[1], mask.shape[1]).tril(-1).bool()
    less = ((other < one) | ((other == one) & before)) & mask[:, None]
    return torch.where(mask, drawn, codes), mask & (less.sum(2) < left)


@right("unmask")
def sorted_in_numpy(codes, mask, drawn, confidence, left):
    known = ~mask.numpy()
    order = np.lexsort((confidence.numpy(), known))
    hidden = np.zeros_like(known)
    np.put_along_axis(hidden, order[:, :left], True, 1)
    return torch.from_numpy(np.where(known, codes, np.where(hidden, -1, drawn))), torch.from_numpy(hidden)


def least(confidence, left):
    return confidence.argsort(1).argsort(1) < left


def last(mask, confidence):
    return confidence.masked_fill(~mask, math.inf)


def filled(codes, drawn, mask, hidden):
    return torch.where(mask & ~hidden, drawn, codes), hidden


def stepped(stay=lambda m, c, n: least(last(m, c), n), of=filled):
    """A step with another choice of what stays hidden, or of what is made of it."""
    return lambda codes, mask, drawn, confidence, left: of(codes, drawn, mask, stay(mask, confidence, left))


def among_the_hidden(mask, confidence, left):
    hidden, counts = torch.zeros_like(mask), torch.as_tensor(left).expand(len(mask), 1)
    for k, row in enumerate(confidence):
        hidden[k, row[mask[k]].argsort()[: int(counts[k])]] = True
    return hidden


# What is wrong in a step, whether its codes are given or drawn.
STEPS = {
    "the most confident ones stay hidden": dict(stay=lambda m, c, n: least(last(m, -c), n)),
    "known tokens of low confidence are hidden again": dict(stay=lambda m, c, n: least(c, n)),
    "so too few are hidden": dict(stay=lambda m, c, n: least(c, n) * m),
    "known tokens come first in the order": dict(
        stay=lambda m, c, n: least(torch.where(m, c, torch.tensor(-math.inf)), n)
    ),
    "hidden tokens get infinity": dict(stay=lambda m, c, n: least(torch.where(m, torch.inf, c), n)),
    "even with `& mask`": dict(stay=lambda m, c, n: m & (last(m, c).argsort(1) < n)),
    "each picture hides the places of all": dict(
        stay=lambda m, c, n: least(last(m, c), n).sum(0).bool().repeat(len(m), 1)
    ),
    "`left` tokens are filled": dict(stay=lambda m, c, n: m & (last(m, -c).argsort(1).argsort(1) >= n)),
    "one token too many stays hidden": dict(stay=lambda m, c, n: last(m, c).argsort(1).argsort(1) <= n),
    "one token too few stays hidden": dict(stay=lambda m, c, n: last(m, c).argsort(1).argsort(1) < n - 1),
    "`argsort` gives places in the order, not ranks": dict(stay=lambda m, c, n: last(m, c).argsort(1) < n),
    "the ranks go along the wrong axis": dict(stay=lambda m, c, n: last(m, c).argsort(0).argsort(0) < n),
    "the ranks go over the pictures": dict(stay=lambda m, c, n: m & (last(m, c).argsort(0).argsort(0) < n)),
    "the ranks of the first picture are used for all": dict(
        stay=lambda m, c, n: (last(m, c)[0].argsort().argsort() < n) | torch.zeros_like(m)
    ),
    "the first hidden tokens stay hidden": dict(stay=lambda m, c, n: m & (m.cumsum(1) <= n)),
    "used as places in the picture": dict(stay=lambda m, c, n: among_the_hidden(m, c, n)),
    "nothing stays hidden": dict(of=lambda c, d, m, h: (torch.where(m, d, c), torch.zeros_like(m))),
    "known tokens take what is drawn": dict(of=lambda c, d, m, h: (torch.where(h, c, d), h)),
    "hidden ones keep their codes": dict(of=lambda c, d, m, h: (torch.where(~m, d, c), h)),
    "added to the old ones": dict(of=lambda c, d, m, h: (c + m * d, h)),
    "what is filled must take the drawn codes": dict(of=lambda c, d, m, h: (c.clone(), h)),
    "the mask is as it was before": dict(of=lambda c, d, m, h: (torch.where(m, d, c), m.clone())),
    "not where it is known": dict(of=lambda c, d, m, h: (torch.where(m, d, c), ~h)),
    "not where it was filled": dict(of=lambda c, d, m, h: (torch.where(m, d, c), m ^ h)),
    "True and False, not numbers": dict(of=lambda c, d, m, h: (torch.where(m, d, c), h.double())),
    "True and False, not whole numbers": dict(of=lambda c, d, m, h: (torch.where(m, d, c), h.int())),
    "the mask is missing": dict(of=lambda c, d, m, h: torch.where(m, d, c)),
    "the other way round": dict(of=lambda c, d, m, h: filled(c, d, m, h)[::-1]),
}

TASK = "unmask"
for says, options in STEPS.items():
    wrong(TASK, says)(stepped(**options))


@wrong(TASK, "they must come last")
def most_confident_columns(codes, mask, drawn, confidence, left):
    order = last(mask, confidence).argsort(1, descending=True)[:, :left]
    return torch.where(mask, drawn, codes), torch.zeros_like(mask).scatter(1, order, True)


wrong(TASK, "0, which hidden ones may exceed")(stepped(lambda m, c, n: least(c * m, n)))
wrong(TASK, "0, and then count among the least confident")(stepped(lambda m, c, n: least(c * m, n) & m))
wrong(TASK, "confidence 1, which hidden ones may exceed")(
    stepped(lambda m, c, n: least(torch.where(m, c, 1.0), n))
)
wrong(TASK, "the sign of the confidence is lost")(stepped(lambda m, c, n: least(last(m, c**2), n)))
wrong(TASK, "a large number is added to known tokens")(stepped(lambda m, c, n: least(c + 1e9 * (~m), n)))
wrong(TASK, "of them stay hidden instead of")(
    stepped(lambda m, c, n: m & (((c[:, None] < c[:, :, None]) & m[:, None]).sum(2) < n))
)
wrong(TASK, "as many tokens filled, not as many hidden")(
    stepped(lambda m, c, n: m & (last(m, -c).argsort(1).argsort(1) >= m.sum(1).min() - n))
)
for high in (10, 100, 10_000):
    wrong(TASK, "known tokens get a number that hidden ones may exceed")(
        stepped(lambda m, c, n, high=high: least(torch.where(m, c, float(high)), n))
    )
wrong(TASK, "known tokens are hidden where hidden ones are as confident")(
    stepped(lambda m, c, n: least(torch.where(m, c, c.max()), n))
)
wrong(TASK, "of them stay hidden instead of")(
    stepped(lambda m, c, n: m & (last(m, c) <= last(m, c).sort(1).values[:, n - 1 : n]) if n else m & ~m)
)
wrong(TASK, "of them stay hidden instead of")(
    stepped(
        lambda m, c, n: m & (last(m, c) < F.pad(last(m, c), (0, 1), value=math.inf).sort(1).values[:, n, None])
    )
)


@wrong(TASK, "the tokens of all pictures are ranked together")
def whole_batch(codes, mask, drawn, confidence, left):
    ranks = last(mask, confidence).flatten().argsort().argsort().view(mask.shape)
    return torch.where(mask, drawn, codes), ranks < left * len(mask)


@wrong(TASK, "a hidden token of confidence 0 is taken for a known one")
def known_by_their_0(codes, mask, drawn, confidence, left):
    masked = confidence.masked_fill(~mask, 0)
    return torch.where(mask, drawn, codes), least(masked.masked_fill(masked == 0, math.inf), left)


@wrong(TASK, "`[-0:]` is everything")
def last_columns(codes, mask, drawn, confidence, left):
    order = last(mask, confidence).argsort(1, descending=True)[:, -left:]
    return torch.where(mask, drawn, codes), torch.zeros_like(mask).scatter(1, order, True)


@wrong(TASK, "leaves its inputs as they are")
def in_place(codes, mask, drawn, confidence, left):
    codes[mask] = drawn[mask]
    return codes, least(last(mask, confidence), left)


wrong(TASK, "fills the most confident hidden tokens, and no known one value")(
    stepped(lambda m, c, n: m & (c < c.mean(1, keepdim=True)))
)

# hinge_losses


@right("hinge_losses")
def clamped(real_scores, fake_scores):
    real, fake = torch.clamp(1 - real_scores, min=0), torch.clamp(1 + fake_scores, min=0)
    return real.mean() + fake.mean(), -fake_scores.mean()


@right("hinge_losses")
def least_of_two(real_scores, fake_scores):
    zero = torch.zeros(())
    discriminator = -torch.minimum(zero, real_scores - 1).mean() - torch.minimum(zero, -fake_scores - 1).mean()
    return [discriminator, torch.mean(-fake_scores)]


@right("hinge_losses")
@torch.compile
def compiled(real_scores, fake_scores):
    losses = F.relu(1 - real_scores).mean() + F.relu(1 + fake_scores).mean()
    return losses, fake_scores.neg().mean()


@right("hinge_losses")
def with_torchs_own(real_scores, fake_scores):
    real = F.hinge_embedding_loss(real_scores, -torch.ones_like(real_scores), margin=1.0)
    fake = F.hinge_embedding_loss(-fake_scores, -torch.ones_like(fake_scores), margin=1.0)
    return real + fake, 0 - fake_scores.sum() / len(fake_scores)


@right("hinge_losses")
def score_by_score(real_scores, fake_scores):
    missed = [1 - score for score in real_scores if score < 1]
    caught = [score + 1 for score in fake_scores.double() if score > -1]
    zero = 0 * (real_scores.sum() + fake_scores.sum())
    discriminator = (sum(missed) + zero) / len(real_scores) + (sum(caught) + zero) / len(fake_scores)
    return discriminator, -fake_scores.mean()


def losses(discriminator=lambda r, f: clamped(r, f)[0], generator=lambda r, f: -f.mean()):
    return lambda real, fake: (discriminator(real, fake), generator(real, fake))


def both(missed):
    """The discriminator's loss from what each score should exceed."""
    return losses(lambda r, f: missed(r).mean() + missed(-f).mean())


TASK = "hinge_losses"
wrong(TASK, "the hinge is missing")(losses(lambda r, f: (1 - r).mean() + (1 + f).mean()))
wrong(TASK, "the margin is missing")(both(lambda s: F.relu(-s)))
wrong(TASK, "real and fake are swapped")(losses(lambda r, f: F.relu(1 + r).mean() + F.relu(1 - f).mean()))
wrong(TASK, "both scores are pushed up")(losses(lambda r, f: F.relu(1 - r).mean() + F.relu(1 - f).mean()))
wrong(TASK, "both scores are pushed down")(losses(lambda r, f: F.relu(1 + r).mean() + F.relu(1 + f).mean()))
wrong(TASK, "real scores alone count")(losses(lambda r, f: F.relu(1 - r).mean() + 0 * f.mean()))
wrong(TASK, "fake scores alone count")(losses(lambda r, f: F.relu(1 + f).mean() + 0 * r.mean()))
wrong(TASK, "the two means are averaged")(losses(lambda r, f: 0.5 * clamped(r, f)[0]))
wrong(TASK, "the mean is taken over real and fake scores together")(
    losses(lambda r, f: F.relu(torch.cat([1 - r, 1 + f])).mean())
)
wrong(TASK, "these are sums: take the means")(losses(lambda r, f: F.relu(1 - r).sum() + F.relu(1 + f).sum()))
wrong(TASK, "these are sums, both of them")(
    lambda r, f: (F.relu(1 - r).sum() + F.relu(1 + f).sum(), -torch.sum(f))
)
wrong(TASK, "over the scores that miss something")(
    losses(lambda r, f: F.relu(1 - r).sum() / (r < 1).sum() + F.relu(1 + f).sum() / (f > -1).sum())
)
wrong(TASK, "all sums are divided by the number of real scores")(
    lambda r, f: tuple(loss / len(r) for loss in (F.relu(1 - r).sum() + F.relu(1 + f).sum(), -f.sum()))
)
wrong(TASK, "not at most 1")(losses(lambda r, f: F.relu(1 - r).mean() + F.relu(f - 1).mean()))
wrong(TASK, "not at least -1")(losses(lambda r, f: F.relu(1 - r).mean() + F.relu(-1 - f).mean()))
wrong(TASK, "all scores go through a sigmoid first")(lambda r, f: clamped(r.sigmoid(), f.sigmoid()))
wrong(TASK, "the hinge acts on the mean score")(
    losses(lambda r, f: F.relu((1 - r).mean()) + F.relu((1 + f).mean()))
)
wrong(TASK, "the real scores alone have a hinge")(losses(lambda r, f: F.relu(1 - r).mean() + 1 + f.mean()))
wrong(TASK, "the fake scores alone have a hinge")(losses(lambda r, f: 1 - r.mean() + F.relu(1 + f).mean()))
wrong(TASK, "the margin is 1, not 2")(both(lambda s: F.relu(2 - s)))
wrong(TASK, "the margin is 1, not 0.5")(both(lambda s: F.relu(0.5 - s)))
wrong(TASK, "the hinge of the real scores acts on their mean")(
    losses(lambda r, f: F.relu(1 - r.mean()) + F.relu(1 + f).mean())
)
wrong(TASK, "what a score misses is squared")(both(lambda s: F.relu(1 - s) ** 2))
wrong(TASK, "least squares")(both(lambda s: (s - 1) ** 2))
wrong(TASK, "these are absolute distances")(both(lambda s: (s - 1).abs()))
wrong(TASK, "that is the cross-entropy")(
    losses(
        lambda r, f: (
            F.binary_cross_entropy_with_logits(r, torch.ones_like(r))
            + F.binary_cross_entropy_with_logits(f, torch.zeros_like(f))
        )
    )
)
wrong(TASK, "the scores go through a sigmoid first")(losses(lambda r, f: clamped(r.sigmoid(), f.sigmoid())[0]))
wrong(TASK, "the loss of a Wasserstein GAN")(losses(lambda r, f: f.mean() - r.mean()))
wrong(TASK, "the sign is wrong")(losses(lambda r, f: -clamped(r, f)[0]))
wrong(TASK, "not `min(0, ...)`")(losses(lambda r, f: (1 - r).clamp(max=0).mean() + (1 + f).clamp(max=0).mean()))
wrong(TASK, "cut off at 1")(both(lambda s: (1 - s).clamp(0, 1)))
wrong(TASK, "a minus is missing")(losses(generator=lambda r, f: f.mean()))
wrong(TASK, "as high as can be")(losses(generator=lambda r, f: F.relu(1 - f).mean()))
wrong(TASK, "1 is added here")(losses(generator=lambda r, f: (1 - f).mean()))
wrong(TASK, "not that of the discriminator with a minus")(losses(generator=lambda r, f: -clamped(r, f)[0]))
wrong(TASK, "not the discriminator's on fake pictures")(losses(generator=lambda r, f: -F.relu(1 + f).mean()))
wrong(TASK, "the generator's loss is the cross-entropy")(losses(generator=lambda r, f: -F.logsigmoid(f).mean()))
wrong(TASK, "no say in the scores of real pictures: leave")(losses(generator=lambda r, f: r.mean() - f.mean()))
wrong(TASK, "the generator's loss is a sum")(losses(generator=lambda r, f: -f.sum()))
wrong(TASK, "first the discriminator, then the generator")(lambda r, f: clamped(r, f)[::-1])
wrong(TASK, "two losses are asked for")(lambda r, f: clamped(r, f)[0] - f.mean())
wrong(TASK, "the generator's loss is missing")(lambda r, f: clamped(r, f)[0])
wrong(TASK, "a loss is one number")(losses(generator=lambda r, f: -f))
wrong(TASK, "or `float` of a tensor")(losses(generator=lambda r, f: -torch.tensor(f.tolist()).mean()))
wrong(TASK, "the second loss has no gradient")(losses(generator=lambda r, f: -f.mean().item()))
wrong(TASK, "no gradient reaches argument 2")(losses(lambda r, f: clamped(r, f.detach())[0]))
wrong(TASK, "the result has no gradient")(losses(lambda r, f: torch.tensor(clamped(r, f)[0].item())))
wrong(TASK, "is the loss of the discriminator and that of the generator value 1 of 2: expected")(
    both(lambda s: F.huber_loss(F.relu(1 - s), torch.zeros_like(s), reduction="none"))
)

# temper


@right("temper")
def softmax_or_share(logits, temperature):
    if not temperature:
        largest = logits.eq(logits.max(dim=2, keepdim=True).values).float()
        return F.normalize(largest, p=1, dim=2)
    return F.softmax(logits / temperature, dim=2)


@right("temper")
def very_cold(logits, temperature):
    """Cold enough for scores in 32 bits, which are divided in 64."""
    return (logits.double() / max(temperature, 1e-12)).softmax(2)


@right("temper")
@torch.compile
def powers(logits, temperature):
    ratios = (logits - logits.amax(2, keepdim=True)).exp()
    powers = (ratios == 1).float() if temperature == 0 else ratios.double() ** (1 / temperature)
    return powers / powers.sum(2, keepdim=True)


@right("temper")
def with_a_distribution(logits, temperature):
    if temperature > 0:
        return Categorical(logits=logits.log_softmax(2) / temperature).probs
    largest = (logits >= logits.amax(2, keepdim=True)).double()
    return Categorical(probs=largest).probs


@right("temper")
def token_by_token(logits, temperature):
    rows = rearrange(logits, "batch tokens codes -> (batch tokens) codes").tolist()
    chances = []
    for row in rows:
        top = max(row)
        weights = [
            float(score == top) if temperature == 0 else math.exp((score - top) / temperature) for score in row
        ]
        chances.append([weight / sum(weights) for weight in weights])
    return torch.tensor(chances).view(logits.shape)


def tempered(of):
    """of(scores, temperature), but right at 0."""
    return lambda logits, temperature: of(logits, temperature) if temperature else softmax_or_share(logits, 0)


TASK = "temper"
wrong(TASK, "the scores are multiplied by the temperature")(tempered(lambda x, t: F.softmax(x * t, 2)))
wrong(TASK, "the temperature is not used")(tempered(lambda x, t: x.softmax(2)))
wrong(TASK, "the temperature divides the scores, not the probabilities")(tempered(lambda x, t: x.softmax(2) / t))
wrong(TASK, "the powers of the probabilities")(tempered(lambda x, t: x.softmax(2).pow(1 / t)))
wrong(TASK, "the softmax is taken twice")(tempered(lambda x, t: (x.softmax(2) / t).softmax(2)))
wrong(TASK, "these are scores: the softmax is missing")(tempered(lambda x, t: x / t))
wrong(TASK, "these are logarithms of probabilities")(tempered(lambda x, t: F.log_softmax(x / t, 2)))
wrong(TASK, "divide by their sum")(tempered(lambda x, t: torch.exp(x / t)))
wrong(TASK, "not by the largest")(tempered(lambda x, t: (x / t).exp() / (x / t).exp().amax(2, keepdim=True)))
wrong(TASK, "the softmax goes over the tokens")(tempered(lambda x, t: (x / t).softmax(dim=1)))
wrong(TASK, "the softmax goes over the pictures")(tempered(lambda x, t: (x / t).softmax(dim=0)))
wrong(TASK, "the probabilities of a whole picture")(
    tempered(lambda x, t: (x / t).exp() / (x / t).exp().sum((1, 2), keepdim=True))
)
wrong(TASK, "all probabilities together")(tempered(lambda x, t: (x / t).exp() / (x / t).exp().sum()))
wrong(TASK, "the square of the temperature")(tempered(lambda x, t: (x / t / t).softmax(2)))
wrong(TASK, "the root of the temperature")(tempered(lambda x, t: (x / math.sqrt(t)).softmax(2)))
wrong(TASK, "1 plus the temperature")(tempered(lambda x, t: (x / (t + 1)).softmax(2)))
wrong(TASK, "the sign is wrong")(tempered(lambda x, t: F.softmin(x / t, 2)))
wrong(TASK, "negative scores are cut off")(tempered(lambda x, t: (F.relu(x) / t).softmax(2)))
wrong(TASK, "the sigmoid is taken")(tempered(lambda x, t: torch.sigmoid(x / t)))
wrong(TASK, "these are powers of 2")(tempered(lambda x, t: 2 ** (x / t) / (2 ** (x / t)).sum(2, keepdim=True)))
wrong(TASK, "all is given to the likeliest code")(lambda x, t: softmax_or_share(x, 0))
wrong(TASK, "these are the likeliest codes")(lambda x, t: x.argmax(2))
wrong(TASK, "these are the largest probabilities")(tempered(lambda x, t: (x / t).softmax(2).max(2).values))
wrong(TASK, "tokens and codes are swapped")(tempered(lambda x, t: (x / t).softmax(2).transpose(1, 2)))
wrong(TASK, "a number divided by 0, or nearly 0, is infinite")(lambda x, t: (x / torch.tensor(t)).softmax(2))
wrong(TASK, "0 is not 1")(lambda x, t: (x / (t or 1)).softmax(2))
wrong(TASK, "the first has all: they share")(
    lambda x, t: (x / t).softmax(2) if t else F.one_hot(x.argmax(2), x.shape[2]).float()
)
wrong(TASK, "have 1 each: they share")(
    lambda x, t: (x / t).softmax(2) if t else (x == x.max(2, keepdim=True).values).float()
)
wrong(TASK, "at 0 only the largest counts")(
    lambda x, t: (x / t).softmax(2) if t else torch.ones_like(x).softmax(2)
)
wrong(TASK, "gives all to the largest at temperature 0 expected")(lambda x, t: (x / max(t, 0.3)).softmax(2))
wrong(TASK, "`exp` of a large number is infinite")(
    tempered(lambda x, t: (x / t).exp() / (x / t).exp().sum(2, keepdim=True))
)
wrong(TASK, "a code whose score is -infinity")(
    tempered(
        lambda x, t: (
            (x - x.amin(2, keepdim=True) - (x.amax(2, keepdim=True) - x.amin(2, keepdim=True))) / t
        ).softmax(2)
    )
)


wrong(TASK, "nearly equal scores share")(lambda x, t: F.softmax((x - x.amax(2, keepdim=True)) / (t + 1e-7), 2))
wrong(TASK, "nearly equal scores share")(
    lambda x, t: (x / t).softmax(2) if t else F.normalize(torch.isclose(x, x.amax(2, True)).float(), p=1, dim=2)
)
wrong(TASK, "a temperature near 0 is taken for 0")(lambda x, t: softmax_or_share(x, t if t >= 1e-3 else 0))
wrong(TASK, "nearly equal scores share")(
    lambda x, t: (
        (x / t).softmax(2) if t else F.normalize(torch.isclose(x, x.amax(2, True), atol=1e-3).float(), p=1, dim=2)
    )
)
wrong(TASK, "or nearly 0, is infinite")(lambda x, t: F.softmax(x / max(t, 1e-9), 2))
wrong(TASK, "a temperature near 0 is taken for 0")(lambda x, t: softmax_or_share(x, t if t >= 0.01 else 0))
wrong(TASK, "of a very negative one 0")(
    tempered(lambda x, t: ((x - x.max()) / t).exp() / ((x - x.max()) / t).exp().sum(2, keepdim=True))
)
wrong(TASK, "is impossible at every temperature")(tempered(lambda x, t: (x.clamp(min=-1e5) / t).softmax(2)))
wrong(TASK, "divided by twice the temperature")(tempered(lambda x, t: (x / t / 2).softmax(2)))
wrong(TASK, "the sigmoids are divided by their sum")(
    tempered(lambda x, t: F.normalize((x / t).sigmoid(), p=1, dim=2))
)


@wrong(TASK, "leaves its inputs as they are")
def divided_in_place(logits, temperature):
    if temperature:
        logits /= temperature
    return softmax_or_share(logits, 1 if temperature else 0)


# diversity


@right("diversity")
def with_combinations(pictures):
    pairs = list(combinations(range(pictures.shape[1]), 2))
    values = [(pictures[:, a] - pictures[:, b]).square().mean((1, 2, 3)).sqrt().mean() for a, b in pairs]
    return float(sum(values) / len(values))


@right("diversity")
@torch.compile
def all_with_all(pictures):
    n = pictures.shape[1]
    errors = (pictures[:, :, None] - pictures[:, None]).pow(2).mean((3, 4, 5)).sqrt()
    return errors.sum() / (len(pictures) * n * (n - 1))


@right("diversity")
def condensed(pictures):
    flat = pictures.double().flatten(2)
    return torch.stack([F.pdist(one).mean() for one in flat]).mean().item() / flat.shape[2] ** 0.5


@right("diversity")
def by_products(pictures):
    flat = rearrange(pictures, "inputs samples ... -> inputs samples (...)").double()
    products = einsum(flat, flat, "inputs a values, inputs b values -> inputs a b") / flat.shape[2]
    squares = products.diagonal(dim1=1, dim2=2)
    apart = (squares[:, :, None] + squares[:, None] - 2 * products).clamp(min=0).sqrt()
    upper = torch.ones_like(apart[0]).triu(1).bool()
    return apart[:, upper].mean().item()


@right("diversity")
def rolled(pictures):
    """Each with the one that follows after 1, 2, ... places, in a ring: every pair comes twice."""
    turns = [pictures - pictures.roll(shift, 1) for shift in range(1, pictures.shape[1])]
    return np.mean([reduce(turn**2, "i s c h w -> i s", "mean").sqrt().mean().item() for turn in turns])


def apart(pictures):
    one, other = zip(*combinations(range(pictures.shape[1]), 2), strict=True)
    return pictures[:, list(one)] - pictures[:, list(other)]


def rmse(differences):
    return reduce(differences**2, "i pairs c h w -> i pairs", "mean").sqrt()


TASK = "diversity"
wrong(TASK, "that is the mean squared error")(lambda x: apart(x).square().mean())
wrong(TASK, "one root at the end")(lambda x: apart(x).square().mean().sqrt())
wrong(TASK, "one root for each input")(lambda x: (rmse(apart(x)) ** 2).mean(1).sqrt().mean())
wrong(TASK, "the root is taken for each colour")(lambda x: apart(x).square().mean((3, 4)).sqrt().mean())
wrong(TASK, "the root is taken for each pixel")(lambda x: apart(x).square().mean(2).sqrt().mean())
wrong(TASK, "these are absolute differences")(lambda x: apart(x).abs().mean())
wrong(TASK, "not divided by the number of values")(lambda x: apart(x).flatten(2).norm(dim=2).mean())
wrong(TASK, "a pixel has three values")(lambda x: 3**0.5 * rmse(apart(x)).mean())
wrong(TASK, "differences of opposite sign cancel")(lambda x: apart(x).flatten(2).mean(2).abs().mean())
wrong(TASK, "a picture is paired with itself")(
    lambda x: (x[:, None] - x[:, :, None]).square().flatten(3).mean(3).sqrt().mean()
)
wrong(TASK, "every pair is counted twice")(lambda x: 2 * with_combinations(x))
wrong(TASK, "not by that of the completions")(lambda x: (rmse(apart(x)).sum(1) / x.shape[1]).mean())
wrong(TASK, "not by n²")(lambda x: (rmse(apart(x)).sum(1) / x.shape[1] ** 2).mean())
wrong(TASK, "these are sums over the pairs")(lambda x: rmse(apart(x)).sum(1).mean())
wrong(TASK, "these are sums over pairs and inputs")(lambda x: rmse(apart(x)).sum())
wrong(TASK, "the inputs are added up")(lambda x: rmse(apart(x)).mean(1).sum())
wrong(TASK, "one number for each input")(lambda x: rmse(apart(x)).mean(1))
wrong(TASK, "one number for each pair")(lambda x: rmse(apart(x)))
wrong(TASK, "only neighbours are compared")(lambda x: rmse(x[:, 1:] - x[:, :-1]).mean())
wrong(TASK, "all are compared with the first one")(lambda x: rmse(x[:, 1:] - x[:, :1]).mean())
wrong(TASK, "each is compared with the mean picture")(lambda x: rmse(x - x.mean(1, keepdim=True)).mean())
wrong(TASK, "the standard deviation of each value: compare")(lambda x: x.std(dim=1).mean())
wrong(TASK, "pictures of different inputs are compared")(
    lambda x: with_combinations(x.swapaxes(0, 1)) if len(x) > 1 else 0.0
)
wrong(TASK, "all pictures are compared")(lambda x: with_combinations(x.reshape(1, -1, *x.shape[2:])))
wrong(TASK, "that is the largest RMSE")(lambda x: rmse(apart(x)).max(1).values.mean())
wrong(TASK, "the first input alone counts")(lambda x: rmse(apart(x))[0].mean())
wrong(TASK, "the colours are averaged first")(lambda x: with_combinations(x.mean(2, keepdim=True)))
wrong(TASK, "multiplied by 255")(lambda x: with_combinations(x) * 255)
wrong(TASK, "twice the number of values")(lambda x: (apart(x).square().mean((2, 3, 4)) / 2).sqrt().mean())
wrong(TASK, "pairs side by side alone")(
    lambda x: torch.stack([rmse(x[:, k : k + 1] - x[:, k - 1 : k]) for k in range(1, x.shape[1], 2)]).mean()
)
wrong(TASK, "is a mean taken of nothing")(
    lambda x: torch.stack([rmse(x[:, k + 1 :] - x[:, k : k + 1]).mean() for k in range(x.shape[1])]).mean()
)
wrong(TASK, "are copies left out, so that nothing is averaged")(
    lambda x: torch.stack(
        [d[d > 0].mean() for d in (x[:, :, None] - x[:, None]).square().mean((3, 4, 5)).sqrt()]
    ).mean()
)
wrong(TASK, "did rounding make a square negative?")(
    lambda x: torch.tensor(math.nan) if with_combinations(x) == 0 else with_combinations(x)
)
wrong(TASK, "is added under the root")(lambda x: (apart(x).square().mean((2, 3, 4)) + 1e-6).sqrt().mean())
wrong(TASK, "1e-08 is added under the root")(lambda x: (apart(x).square().mean((2, 3, 4)) + 1e-8).sqrt().mean())
wrong(TASK, "pairs of equal pictures are left out")(
    lambda x: rmse(apart(x))[rmse(apart(x)) > 0].mean().nan_to_num()
)
wrong(TASK, "the values are cut off at 0 and 1")(lambda x: with_combinations(x.clamp(0, 1)))
wrong(TASK, "paired with itself once")(lambda x: rmse(torch.cat([apart(x), torch.zeros_like(x)], 1)).mean())
wrong(TASK, "counted once, but divided by n (n - 1)")(
    lambda x: (rmse(apart(x)).sum(1) / (x.shape[1] * (x.shape[1] - 1))).mean()
)
wrong(TASK, "divides the squares, before the root")(
    lambda x: apart(x).flatten(2).norm(dim=2).mean() / x[0, 0].numel()
)
wrong(TASK, "the last input alone counts")(lambda x: with_combinations(x[-1:]))
wrong(TASK, "is the mean RMSE of the pairs of completions expected")(
    lambda x: rmse(apart(x)).median(1).values.mean()
)


# unmask_counts


@right("unmask_counts")
def step_by_step(hidden, steps):
    left, counts = hidden, []
    for k in range(1, steps + 1):
        after = min(left - 1, math.floor(hidden * math.cos(math.pi / 2 * (k / steps))))
        counts.append(left - after)
        left = after
    return counts


@right("unmask_counts")
def running_minimum(hidden, steps):
    """Before the goals are made to fall, add to each its number: then they must only not rise."""
    k = np.arange(steps + 1)
    goals = np.floor(hidden * np.cos(np.pi / 2 * (k / steps))).astype(int)
    left = np.minimum.accumulate(goals + k) - k
    return (-np.diff(left)).tolist()


@right("unmask_counts")
@torch.compile
def with_tensors(hidden, steps):
    k = torch.arange(steps + 1)
    goals = (hidden * torch.cos(math.pi / 2 * (k.double() / steps))).floor().long()
    return tuple((1 - (goals + k).cummin(0).values.diff()).tolist())


@right("unmask_counts")
def recursive(hidden, steps):
    def rest(left, step):
        if step == steps:
            return [left]
        count = max(1, left - int(hidden * math.cos(math.pi / 2 * step / steps)))
        return [count, *rest(left - count, step + 1)]

    return rest(hidden, 1)


def goals(hidden, steps, share=cosine, whole=math.floor):
    return [hidden] + [whole(hidden * share(k / steps)) for k in range(1, steps)] + [0]


def falls(left):
    return [before - after for before, after in pairwise(left)]


def ruled(goal):
    """The counts if goal(hidden, step, steps) should be left after a step."""

    def answer(hidden, steps):
        counts, left = [], hidden
        for k in range(1, steps + 1):
            counts.append(max(1, left - goal(hidden, k, steps)))
            left -= counts[-1]
        return counts

    return answer


TASK = "unmask_counts"
wrong(TASK, "these are the numbers that are left: return")(
    lambda h, n: [h - sum(step_by_step(h, n)[: k + 1]) for k in range(n)]
)
wrong(TASK, "these are the numbers that are left, with the first")(
    lambda h, n: [h - sum(step_by_step(h, n)[:k]) for k in range(n + 1)]
)
wrong(TASK, "filled so far")(lambda h, n: np.cumsum(step_by_step(h, n)).tolist())
wrong(TASK, "the order is reversed")(lambda h, n: list(reversed(step_by_step(h, n))))
wrong(TASK, "the sine fills many tokens first")(
    lambda h, n: falls(goals(h, n, share=lambda t: 1 - math.sin(math.pi / 2 * t)))
)
wrong(TASK, "every step fills as many: the cosine is missing")(
    lambda h, n: falls([h * (n - k) // n for k in range(n + 1)])
)
wrong(TASK, "and the last the rest")(lambda h, n: [h // n] * (n - 1) + [h // n + h % n])
wrong(TASK, "1 - t²")(lambda h, n: falls(goals(h, n, share=lambda t: 1 - t**2)))
wrong(TASK, "the cosine is squared")(lambda h, n: falls(goals(h, n, share=lambda t: cosine(t) ** 2)))
wrong(TASK, "what is left is rounded up")(lambda h, n: falls(goals(h, n, whole=math.ceil)))
wrong(TASK, "what is left is rounded to the nearest")(lambda h, n: falls(goals(h, n, whole=round)))
wrong(TASK, "each step takes its share of what was left before")(
    lambda h, n: falls([*(shares_of_shares(h, k, n) for k in range(n)), 0])
)
wrong(TASK, "the first number is missing")(lambda h, n: step_by_step(h, n)[1:])
wrong(TASK, "the last number is missing")(lambda h, n: step_by_step(h, n)[:-1])
wrong(TASK, "one step late, and begin with 0")(lambda h, n: [0, *falls(goals(h, n))[:-1]])
wrong(TASK, "the counts are shares")(lambda h, n: [cosine(k / n) - cosine((k + 1) / n) for k in range(n)])
wrong(TASK, "tokens are whole")(lambda h, n: falls([h * cosine(k / n) for k in range(n)] + [0]))
wrong(TASK, "one number is returned")(lambda h, n: sum(step_by_step(h, n)))
wrong(TASK, "all is filled in the last step")(lambda h, n: [0] * (n - 1) + [h])
wrong(TASK, "one in each step, and the rest in the last one")(lambda h, n: [1] * (n - 1) + [h - (n - 1)])
wrong(TASK, "one token is never filled")(lambda h, n: [*step_by_step(h, n)[:-1], step_by_step(h, n)[-1] - 1])
wrong(TASK, "some steps fill nothing")(lambda h, n: falls(goals(h, n)))
wrong(TASK, "add up to more than `hidden`: later")(lambda h, n: [max(1, count) for count in falls(goals(h, n))])
wrong(TASK, "are left out: there must be `steps` numbers")(lambda h, n: [c for c in falls(goals(h, n)) if c > 0])
wrong(TASK, "sorted, the steps may fill more or less")(lambda h, n: sorted(step_by_step(h, n)))
wrong(TASK, "one token for each step first")(lambda h, n: [1 + count for count in falls(goals(h - n, n))])


wrong(TASK, "tokens are counted: 2, not 2.0")(lambda h, n: [float(count) for count in step_by_step(h, n)])
wrong(TASK, "rounded before it is rounded down")(ruled(lambda h, k, n: math.floor(round(h * cosine(k / n), 2))))


@wrong(TASK, "the steps that fill most make up")
def made_up_by_the_largest(hidden, steps):
    counts = [max(1, count) for count in falls(goals(hidden, steps))]
    while sum(counts) > hidden:
        counts[counts.index(max(counts))] -= 1
    return counts


wrong(TASK, "and one is left at the end")(ruled(lambda h, k, n: math.ceil(h * cosine(k / n))))
wrong(TASK, "that before the step")(ruled(lambda h, k, n: math.floor(h * cosine((k - 1) / n))))
wrong(TASK, "that after the next step")(ruled(lambda h, k, n: math.floor(h * cosine(min(k + 1, n) / n))))
wrong(TASK, "divided by one number too small")(ruled(lambda h, k, n: math.floor(h * cosine(k / max(n - 1, 1)))))
wrong(TASK, "takes radians: a quarter turn is pi / 2, not 90")(
    ruled(lambda h, k, n: math.floor(h * math.cos(90 * k / n)))
)
wrong(TASK, "in which a quarter turn is pi / 2, not 90")(ruled(lambda h, k, n: int(h * math.cos(90 * k / n))))
wrong(TASK, "in the middle everything would be filled")(
    ruled(lambda h, k, n: math.floor(h * math.cos(math.pi * (k / n))))
)
wrong(TASK, "from the middle on the cosine is negative")(ruled(lambda h, k, n: int(h * math.cos(math.pi * k / n))))
wrong(TASK, "and the first ones one more")(lambda h, n: [h // n + 1] * (h % n) + [h // n] * (n - h % n))


@wrong(TASK, "a rounding below 0 for some `steps`")
def without_brackets(hidden, steps):
    counts, left = [], hidden
    for k in range(1, steps + 1):
        counts.append(max(1, left - math.floor(hidden * math.cos(math.pi / 2 * k / steps))))
        left -= counts[-1]
    return counts


@wrong(TASK, "the last step alone makes up")
def made_up_at_the_end(hidden, steps):
    counts = [max(1, count) for count in falls(goals(hidden, steps))]
    counts[-1] += hidden - sum(counts)
    return counts


@wrong(TASK, "fills at least one token in each step, and all in the end value")
def taken_from_the_end(hidden, steps):
    counts = [max(1, count) for count in falls(goals(hidden, steps))]
    for k in reversed(range(steps)):
        less = min(counts[k] - 1, sum(counts) - hidden)
        counts[k] -= less
    return counts


# guide_words


@right("guide_words")
def one_word_after_another(none, alone, strength):
    scores = none.clone()
    for k, times in enumerate(strength):
        scores += times * (alone[k] - none)
    return F.softmax(scores, dim=2)


@right("guide_words")
@torch.compile
def weighted_sum(none, alone, strength):
    weights = torch.tensor(strength)
    return (einsum(weights, alone, "w, w b t c -> b t c") + (1 - weights.sum()) * none).softmax(-1)


@right("guide_words")
def by_logarithms(none, alone, strength):
    """Ratios of probabilities, multiplied."""
    base, words = none.double().log_softmax(2), alone.double().log_softmax(3)
    return (base + torch.tensordot(torch.tensor(strength).double(), words - base, 1)).softmax(2)


@right("guide_words")
def as_a_layer(none, alone, strength):
    changes = rearrange(alone - none, "words batch tokens codes -> batch tokens codes words")
    scores = none + F.linear(changes, torch.tensor([strength])).squeeze(-1)
    return scores.sub(scores.logsumexp(-1, keepdim=True)).exp()


def guided(scores, chances=lambda x: x.softmax(2)):
    return lambda none, alone, strength: chances(scores(none, alone, torch.tensor(strength)[:, None, None, None]))


def changed(n, a, w):
    return n + (w * (a - n)).sum(0)


TASK = "guide_words"
wrong(TASK, "`none` is not subtracted")(guided(lambda n, a, w: n + (a * w).sum(0)))
wrong(TASK, "only what the words change is there")(guided(lambda n, a, w: (w * (a - n)).sum(0)))
wrong(TASK, "and `none` has no say")(guided(lambda n, a, w: (a * w).sum(0)))
wrong(TASK, "the sign is wrong")(guided(lambda n, a, w: n + (w * (n - a)).sum(0)))
wrong(TASK, "the strength is 1 too large")(guided(lambda n, a, w: n + ((1 + w) * a - (1 + w) * n).sum(0)))
wrong(TASK, "the strength is 1 too small")(guided(lambda n, a, w: changed(n, a, w - 1)))
wrong(TASK, "the changes are averaged over the words")(guided(lambda n, a, w: n + (w * (a - n)).mean(0)))
wrong(TASK, "divided by their sum: use them")(guided(lambda n, a, w: changed(n, a, w / w.sum())))
wrong(TASK, "the strengths go through a softmax")(guided(lambda n, a, w: changed(n, a, w.softmax(0))))
wrong(TASK, "the words are averaged and share a strength")(guided(lambda n, a, w: n + w.sum() * (a.mean(0) - n)))
wrong(TASK, "all words have the first strength")(guided(lambda n, a, w: changed(n, a, w[0])))
wrong(TASK, "the strengths are in the opposite order")(guided(lambda n, a, w: changed(n, a, w.flip(0))))
wrong(TASK, "the strengths are not used")(guided(lambda n, a, w: n + (a - n).sum(0)))
wrong(TASK, "the strengths are squared")(guided(lambda n, a, w: changed(n, a, w * w)))
wrong(TASK, "the first word alone counts")(guided(lambda n, a, w: changed(n, a[:1], w[:1])))
wrong(TASK, "the last word alone counts")(guided(lambda n, a, w: changed(n, a[-1:], w[-1:])))
wrong(TASK, "the word that changes most wins")(guided(lambda n, a, w: n + (w * (a - n)).max(0).values))
wrong(TASK, "all words have their sum")(guided(lambda n, a, w: n + w.sum() * (a - n).sum(0)))
wrong(TASK, "all words have the last strength")(guided(lambda n, a, w: changed(n, a, w[-1])))
wrong(TASK, "the strengths lose their fractions")(guided(lambda n, a, w: changed(n, a, w.int())))
wrong(TASK, "the strengths are rounded")(guided(lambda n, a, w: changed(n, a, torch.round(w))))
wrong(TASK, "the scores start from the first word")(guided(lambda n, a, w: a[0] - n + changed(n, a, w)))
wrong(TASK, "the strengths are cut off at 1")(guided(lambda n, a, w: changed(n, a, w.clamp(-1, 1))))
wrong(TASK, "there once for each word")(guided(lambda n, a, w: len(a) * n + (w * (a - n)).sum(0)))
wrong(TASK, "the scores of the words are there beside")(guided(lambda n, a, w: a.sum(0) + (w * (a - n)).sum(0)))
wrong(TASK, "of each word alone are averaged")(
    guided(lambda n, a, w: n + w * (a - n), lambda x: x.softmax(3).mean(0))
)
wrong(TASK, "these are scores: the softmax is missing")(guided(changed, lambda x: x))
wrong(TASK, "these are logarithms of probabilities")(guided(changed, lambda x: x.log_softmax(2)))
wrong(TASK, "the softmax goes over the tokens")(guided(changed, lambda x: x.softmax(1)))
wrong(TASK, "the softmax goes over the pictures")(guided(changed, lambda x: x.softmax(0)))
wrong(TASK, "the sigmoid is taken")(guided(changed, lambda x: x.sigmoid()))
wrong(TASK, "the softmax is taken twice")(guided(changed, lambda x: x.softmax(2).softmax(2)))
wrong(TASK, "probabilities are combined, not scores")(
    guided(lambda n, a, w: changed(n.softmax(2), a.softmax(3), w), lambda x: x)
)
wrong(TASK, "probabilities are combined and divided by their sum")(
    guided(lambda n, a, w: changed(n.softmax(2), a.softmax(3), w).relu(), lambda x: x / x.sum(2, keepdim=True))
)
wrong(TASK, "and the softmax is taken of them")(guided(lambda n, a, w: changed(n.softmax(2), a.softmax(3), w)))
wrong(TASK, "these are the likeliest codes")(guided(changed, lambda x: x.argmax(2)))
wrong(TASK, "do not cut it off")(guided(lambda n, a, w: changed(n, a, w.clamp(min=0))))
wrong(TASK, "do not take its absolute value")(guided(lambda n, a, w: changed(n, a, w.abs())))
wrong(TASK, "`exp` of a large number is infinite")(
    guided(changed, lambda x: x.exp() / x.exp().sum(2, keepdim=True))
)


@wrong(TASK, "each word starts from what the ones before made")
def in_turn(none, alone, strength):
    for word, times in zip(alone, strength, strict=True):
        none = none + times * (word - none)
    return none.softmax(2)


@wrong(TASK, "leaves its inputs as they are")
def none_changed(none, alone, strength):
    change = (torch.tensor(strength).view(-1, 1, 1, 1) * (alone - none)).sum(0)
    none += change
    return none.softmax(2)


wrong(TASK, "adds what each word changes, so many times as its strength says expected")(
    guided(lambda n, a, w: changed(n, a, w).clamp(-1, 1))
)

# unbiased_kid


def kernel(x, y):
    return (x @ y.T / x.shape[1] + 1) ** 3


@right("unbiased_kid")
def with_masks(real, fake):
    def others(x):
        return kernel(x, x)[~torch.eye(len(x), dtype=torch.bool)].mean()

    return (others(real) + others(fake) - 2 * kernel(real, fake).mean()).item()


@right("unbiased_kid")
def pair_by_pair(real, fake):
    def like(x, y):
        return (sum(a * b for a, b in zip(x, y, strict=True)) / len(x) + 1) ** 3

    def within(rows):
        pairs = [like(x, y) for x, y in combinations(rows, 2)]
        return sum(pairs) / len(pairs)

    real, fake = real.tolist(), fake.tolist()
    between = sum(like(x, y) for x in real for y in fake) / len(real) / len(fake)
    return within(real) + within(fake) - 2 * between


@right("unbiased_kid")
@torch.compile
def all_at_once(real, fake):
    """One table of all, with weights."""
    n, m = len(real), len(fake)
    both = torch.cat([real, fake]).double()
    table = kernel(both, both).fill_diagonal_(0)
    weights = torch.cat([torch.full((n,), 1 / n), torch.full((m,), -1 / m)]).double()
    scale = torch.ones_like(table)
    scale[:n, :n], scale[n:, n:] = n / (n - 1), m / (m - 1)
    return weights @ (table * scale) @ weights


@right("unbiased_kid")
def in_numpy(real, fake):
    real, fake = real.double().numpy(), fake.double().numpy()
    tables = [np.power(x @ y.T / x.shape[1] + 1, 3) for x, y in ((real, real), (fake, fake), (real, fake))]
    means = [np.sum(np.triu(k, 1)) / (len(k) * (len(k) - 1) / 2) for k in tables[:2]]
    return float(sum(means) - 2 * tables[2].mean())


def off_diagonal(table):
    return (table.sum() - table.diagonal().sum()) / (len(table) ** 2 - len(table))


def distance(within=off_diagonal, like=kernel, of=lambda r, f, c: r + f - 2 * c.mean()):
    return lambda real, fake: of(within(like(real, real)), within(like(fake, fake)), like(real, fake)).item()


TASK = "unbiased_kid"
wrong(TASK, "leave the diagonals out, else KID is biased")(distance(lambda k: k.mean()))
wrong(TASK, "but still counted")(distance(lambda k: (k - k.diagonal().diag()).mean()))
wrong(TASK, "is divided by n: by their number")(distance(lambda k: (k.sum() - k.trace()) / len(k)))
wrong(TASK, "is divided by n - 1: by their number")(distance(lambda k: (k.sum() - k.trace()) / (len(k) - 1)))
wrong(TASK, "and the sum is divided by n (n - 1)")(distance(lambda k: k.sum() / len(k) / (len(k) - 1)))
wrong(TASK, "each pair counts once in the sum")(distance(lambda k: k.triu(1).sum() / (len(k) * (len(k) - 1))))
wrong(TASK, "each pair counts twice in the sum")(
    distance(lambda k: (k.sum() - k.trace()) / (len(k) * (len(k) - 1) / 2))
)
wrong(TASK, "the tables are added up")(distance(lambda k: k.sum() - k.trace()))
wrong(TASK, "these are the diagonals")(distance(lambda k: k.diagonal().mean()))
wrong(TASK, "between the sets no picture meets itself")(
    distance(of=lambda r, f, c: r + f - 2 * (c.sum() - c.diagonal().sum()) / (c.numel() - min(c.shape)))
)
wrong(TASK, "is subtracted once: twice")(distance(of=lambda r, f, c: r + f - c.mean()))
wrong(TASK, "is added: subtract it")(distance(of=lambda r, f, c: r + f + 2 * c.mean()))
wrong(TASK, "the sign is wrong")(distance(of=lambda r, f, c: 2 * c.mean() - (r + f)))
wrong(TASK, "that is half of it")(distance(of=lambda r, f, c: (r + f) / 2 - c.mean()))
wrong(TASK, "the root is taken")(distance(of=lambda r, f, c: (r + f - 2 * c.mean()).abs() ** 0.5))
wrong(TASK, "what is within the fake set is missing")(distance(of=lambda r, f, c: r - 2 * c.mean()))
wrong(TASK, "the mean between the sets alone")(distance(of=lambda r, f, c: c.mean()))
wrong(TASK, "in thousandths")(distance(of=lambda r, f, c: 1000 * (r + f - 2 * c.mean())))
wrong(TASK, "the product is not divided by d")(distance(like=lambda x, y: (x @ y.T + 1) ** 3))
wrong(TASK, "the root of d")(distance(like=lambda x, y: (x @ y.T / math.sqrt(x.shape[1]) + 1) ** 3))
wrong(TASK, "divided by the number of pictures")(distance(like=lambda x, y: (x @ y.T / x.shape[0] + 1) ** 3))
wrong(TASK, "the 1 is missing")(distance(like=lambda x, y: (x @ y.T / x.shape[1]) ** 3))
wrong(TASK, "where it cancels")(distance(like=lambda x, y: (x @ y.T / x.shape[1]) ** 3 + 1.0))
wrong(TASK, "the kernel is squared")(distance(like=lambda x, y: (x @ y.T / x.shape[1] + 1).square()))
wrong(TASK, "the third power is missing")(distance(like=lambda x, y: x @ y.T / x.shape[1] + 1))
wrong(TASK, "not the third power")(distance(like=lambda x, y: 3 * (x @ y.T / x.shape[1] + 1)))
wrong(TASK, "the features are cut to length 1")(
    distance(like=lambda x, y: kernel(F.normalize(x, dim=1), F.normalize(y, dim=1)))
)
wrong(TASK, "the mean features alone are compared")(lambda r, f: ((r.mean(0) - f.mean(0)) ** 2).sum().item())
wrong(TASK, "the features are standardised first")(
    lambda r, f: distance()(*((x - r.mean(0)) / r.std(0) for x in (r, f)))
)
wrong(TASK, "but that of the real set is there")(
    lambda r, f: (kernel(r, r).mean() + off_diagonal(kernel(f, f)) - 2 * kernel(r, f).mean()).item()
)
wrong(TASK, "each picture meets itself once")(
    distance(lambda k: k[tuple(torch.triu_indices(len(k), len(k)))].mean())
)
wrong(TASK, "not by (n - 1)²")(distance(lambda k: (k.sum() - k.trace()) / (len(k) - 1) ** 2))
wrong(TASK, "add the 1 after the division by d, not before")(
    distance(like=lambda x, y: ((x @ y.T + 1) / x.shape[1]) ** 3)
)
wrong(TASK, "the cosine takes the place")(
    distance(like=lambda x, y: (torch.cosine_similarity(x[:, None], y, dim=2) + 1) ** 3)
)
wrong(TASK, "take the third power last")(distance(like=lambda x, y: (x @ y.T) ** 3 / x.shape[1] + 1))
wrong(TASK, "each set has its own n")(
    lambda r, f: (
        sum((k.sum() - k.trace()) / (len(r) * (len(r) - 1)) for k in (kernel(r, r), kernel(f, f)))
        - 2 * kernel(r, f).mean()
    )
)
wrong(TASK, "and each other pair once: leave it out")(distance(lambda k: k.tril().sum() / math.comb(len(k), 2)))
wrong(TASK, "the larger set is cut")(lambda r, f: with_masks(r[: min(len(r), len(f))], f[: min(len(r), len(f))]))
wrong(TASK, "pairs whose kernel is 0 are left out")(
    distance(lambda k: (lambda others: others[others != 0].mean())(k.clone().fill_diagonal_(0)))
)
wrong(TASK, "do not cut it off")(lambda r, f: max(0.0, with_masks(r, f)))
wrong(TASK, "do not take its absolute value")(lambda r, f: abs(with_masks(r, f)))
wrong(TASK, "is the mean kernel within both sets, less twice that between them expected")(
    distance(like=lambda x, y: torch.exp(-(torch.cdist(x, y) ** 2) / 2))
)


# decode_step


@right("decode_step")
def drawn_from_rows(chances, codes, mask, left, generator):
    rows = rearrange(chances, "batch tokens codes -> (batch tokens) codes")
    drawn = torch.multinomial(rows, 1, generator=generator).reshape(codes.shape)
    sure = chances.gather(-1, drawn.unsqueeze(-1)).squeeze(-1)
    sure = torch.where(mask, sure, torch.inf)
    return torch.where(mask, drawn, codes), sure.argsort(1).argsort(1) < left[:, None]


@right("decode_step")
def gumbel(chances, codes, mask, left, generator):
    noise = torch.empty_like(chances).exponential_(generator=generator).log().neg()
    logits = chances.log()
    drawn = (logits + noise).argmax(2)
    sure = (logits * F.one_hot(drawn, chances.shape[2])).nan_to_num().sum(2)  # log-probabilities, at most 0
    hidden = sure.masked_fill(~mask, 1.0).argsort(1).argsort(1) < left.unsqueeze(1)
    return codes.where(~mask | hidden, drawn), hidden


@right("decode_step")
@torch.compile
def first_above(chances, codes, mask, left, generator):
    """The first code up to which the chances exceed a random number."""
    heights = chances.double().cumsum(2)
    random = torch.rand(codes.shape, generator=generator, dtype=torch.float64) * heights[..., -1]
    drawn = (heights <= random[..., None]).sum(2)
    sure = torch.take_along_dim(chances, drawn[..., None], 2)[..., 0]
    before = torch.ones(codes.shape[1:] * 2).tril(-1).bool()
    less = (sure[:, None] < sure[:, :, None]) | ((sure[:, None] == sure[:, :, None]) & before)
    return torch.where(mask, drawn, codes), mask & ((less & mask[:, None]).sum(2) < left[:, None])


@right("decode_step")
def hidden_tokens_alone(chances, codes, mask, left, generator):
    codes, after = codes.clone(), mask.clone()
    for k in range(len(codes)):
        places = mask[k].nonzero()[:, 0]
        if len(places) == 0:
            continue
        drawn = torch.multinomial(chances[k, places], 1, generator=generator)
        sure = chances[k, places].gather(1, drawn)[:, 0]
        taken = sure.argsort(descending=True)[: len(places) - int(left[k])]
        codes[k, places[taken]] = drawn[taken, 0]
        after[k, places[taken]] = False
    return codes, after


def decoded(stay=lambda m, c, n: least(last(m, c), n), of=filled, sharpen=lambda p: p, sure=None):
    """A step with another choice of what stays hidden, of what is made of it, of the chances or the confidence."""

    def answer(chances, codes, mask, left, generator):
        sharp = sharpen(chances)
        drawn = torch.multinomial(sharp.flatten(0, 1), 1, generator=generator).view(codes.shape)
        confidence = sure(chances, drawn) if sure else chances.gather(2, drawn[..., None])[..., 0]
        return of(codes, drawn, mask, stay(mask, confidence, left[:, None]))

    return answer


TASK = "decode_step"
for says, options in STEPS.items():
    wrong(TASK, says)(decoded(**options))
wrong(TASK, "the number of the first picture")(decoded(lambda m, c, n: least(last(m, c), n[0])))
wrong(TASK, "the largest number is used for all")(decoded(lambda m, c, n: least(last(m, c), n.max())))
wrong(TASK, "the chance of the code that was drawn, no number of all chances")(
    decoded(sure=lambda p, d: p.amax(2))
)
wrong(TASK, "the chance of the code that was drawn, no number of all chances")(
    decoded(sure=lambda p, d: (p * p.clamp(min=1e-9).log()).sum(2))
)
for sure in (
    lambda p, d: p.softmax(2).gather(2, d[..., None])[..., 0],
    lambda p, d: p.log_softmax(2).gather(2, d[..., None])[..., 0],
):
    wrong(TASK, "Does a `softmax` or a quotient change the chances?")(decoded(sure=sure))
wrong(TASK, "the first hidden tokens stay hidden, though others are less confident")(
    decoded(sure=lambda p, d: p.gather(2, d[..., None])[..., 0] / p.amax(2))
)
wrong(TASK, "the order is descending")(
    decoded(lambda m, c, n: least(last(m, c).argsort(1, descending=True).argsort(1), n))
)
wrong(TASK, "the likeliest code is taken each time")(
    decoded(sharpen=lambda p: (p == p.amax(2, keepdim=True)).float())
)
wrong(TASK, "all codes that are possible come equally often")(decoded(sharpen=lambda p: (p > 0).float()))
wrong(TASK, "the chances are squared")(decoded(sharpen=lambda p: p**2))
wrong(TASK, "the roots of the chances")(decoded(sharpen=lambda p: p.sqrt()))
wrong(TASK, "which tokens stay hidden depends on chance here")(
    decoded(sure=lambda p, d: torch.rand(d.shape, generator=torch.Generator().manual_seed(int(d.sum()))))
)


@wrong(TASK, "the likeliest code is taken each time")
def likeliest_code(chances, codes, mask, left, generator):
    confidence, drawn = chances.max(2)
    return torch.where(mask, drawn, codes), least(last(mask, confidence), left[:, None])


@wrong(TASK, "the tokens of all pictures are ranked together")
def ranked_together(chances, codes, mask, left, generator):
    return decoded(lambda m, c, n: last(m, c).flatten().argsort().argsort().view_as(m) < n.sum())(
        chances, codes, mask, left, generator
    )


@wrong(TASK, "two calls draw the same")
def copied_generator(chances, codes, mask, left, generator):
    return drawn_from_rows(chances, codes, mask, left, torch.Generator().manual_seed(generator.initial_seed()))


@wrong(TASK, "and do not seed it")
def seeded(chances, codes, mask, left, generator):
    return drawn_from_rows(chances, codes, mask, left, generator.manual_seed(0))


@wrong(TASK, "the confidence is the chance of the old code")
def chance_of_the_old_code(chances, codes, mask, left, generator):
    drawn = torch.multinomial(chances.flatten(0, 1), 1, generator=generator).view(codes.shape)
    confidence = chances.gather(2, codes[..., None])[..., 0]
    return torch.where(mask, drawn, codes), least(last(mask, confidence), left[:, None])


@wrong(TASK, "in the row of this token")
def in_other_rows(chances, codes, mask, left, generator):
    drawn = torch.multinomial(chances.flatten(0, 1), 1, generator=generator).view(codes.shape[::-1]).T
    confidence = chances.gather(2, drawn[..., None])[..., 0]
    return torch.where(mask, drawn, codes), least(last(mask, confidence), left[:, None])


@wrong(TASK, "leaves global chance alone")
def global_chance(chances, codes, mask, left, generator):
    drawn = torch.multinomial(chances.flatten(0, 1), 1).view(codes.shape)
    return torch.where(mask, drawn, codes), least(
        last(mask, chances.gather(2, drawn[..., None])[..., 0]), left[:, None]
    )


@wrong(TASK, "all pictures draw the same codes")
def one_draw_for_all(chances, codes, mask, left, generator):
    random = torch.rand(1, codes.shape[1], 1, generator=generator)
    return from_heights(random, chances, codes, mask, left)


@wrong(TASK, "the codes of two tokens of a picture depend on each other")
def one_number_for_a_picture(chances, codes, mask, left, generator):
    random = torch.rand(len(codes), 1, 1, generator=generator)
    return from_heights(random, chances, codes, mask, left)


def from_heights(random, chances, codes, mask, left):
    drawn = (chances.cumsum(2) <= random).sum(2).clamp(max=chances.shape[2] - 1)
    return torch.where(mask, drawn, codes), least(
        last(mask, chances.gather(2, drawn[..., None])[..., 0]), left[:, None]
    )


@wrong(TASK, "a token took a code whose chance is 0")
def softmax_of_chances(chances, codes, mask, left, generator):
    return drawn_from_rows(chances.softmax(2), codes, mask, left, generator)


@wrong(TASK, "its confidence is the chance of the code that it takes, so draw once")
def drawn_twice(chances, codes, mask, left, generator):
    drawn = torch.multinomial(chances.flatten(0, 1), 1, generator=generator).view(codes.shape)
    return torch.where(mask, drawn, codes), drawn_from_rows(chances, codes, mask, left, generator)[1]


@wrong(TASK, "all tokens are equally confident here")
def below_a_limit(chances, codes, mask, left, generator):
    drawn = torch.multinomial(chances.flatten(0, 1), 1, generator=generator).view(codes.shape)
    sure = last(mask, chances.gather(2, drawn[..., None])[..., 0])
    order = F.pad(sure.sort(1).values, (1, 0), value=-1.0)
    return torch.where(mask, drawn, codes), mask & (sure <= order.gather(1, left[:, None]))


wrong(TASK, "which tokens stay hidden depends on chance here")(
    decoded(
        sure=lambda p, d: (
            p.gather(2, d[..., None])[..., 0].log() + torch.from_numpy(np.random.gumbel(size=d.shape))
        )
    )
)
wrong(TASK, "the confidence 1, which a hidden one may have")(
    decoded(lambda m, c, n: least(torch.where(m, c, 1.0), n))
)
