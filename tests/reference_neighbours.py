"""Textbook reference of the neighbour family, for tests only; see reference_kernels.py.

N(i) is the list of the k nearest of example i, i itself excluded by its index, in the order
(distance, index). Everything is counted with Python sets and lists, one example at a time.
"""
import math
from fractions import Fraction

import numpy as np

from reference_kernels import (euclidean_distances, hsic_unbiased, inner_products,
                               row_cosines)


# ---- lists ----

def neighbour_count(k, n):
    """k itself, or floor(k·n) of a fraction: of the decimal that was written, so that 0.29 of 100
    is 29 although the double 0.29·100 lies below. Between 1 and n − 1."""
    if isinstance(k, float) and 0 < k < 1:
        k = math.floor(Fraction(repr(k)) * n)
    assert k == int(k) and 1 <= k < n, (k, n)
    return int(k)


def order_keys(x, metric):
    """[n, n] numbers that order neighbours, smallest first: distances, or negated similarities (1 − s
    would round different s to one number)."""
    if metric == "euclidean":
        return euclidean_distances(x)
    if metric == "cosine":
        return -row_cosines(x)
    assert metric == "inner", metric
    return -inner_products(x)


def neighbours(x, k=10, metric="euclidean"):
    """[n, k] indices, nearest first, by (distance, index)."""
    n, keys = len(x), order_keys(x, metric)
    k = neighbour_count(k, n)
    lists = []
    for i in range(n):
        order = np.argsort(keys[i], kind="stable")  # stable: equal distances stay in index order
        lists.append(order[order != i][:k])
    return np.array(lists)


def clamped(x, clamp):
    """Values beyond ±q clipped to it: q is the entry of index floor(clamp·n·d), from 0, of the sorted
    |x| of this site; clamp 1 leaves x alone (Huh et al. 2024, exact quantile)."""
    if clamp == 1:
        return x
    q = np.sort(np.abs(x).ravel())[int(clamp * x.size)]
    return np.clip(x, -q, q)


def pairs_of_lists(x, y, k, metric, clamp=1):
    """For each example: its list in x, its list in y."""
    return list(zip(neighbours(clamped(x, clamp), k, metric).tolist(),
                    neighbours(clamped(y, clamp), k, metric).tolist()))


def mean(values):
    values = list(values)
    return math.fsum(values) / len(values)


# ---- chance ----

def nngs_chance(k, n):
    """H = k/(2(n−1) − k): ratio of the expected sizes of intersection and union (Tavares 2024)."""
    return k / (2 * (n - 1) - k)


def overlap_law(k, n):
    """P(|N_x ∩ N_y| = m), m = 0…k, for independent sites: hypergeometric, as N_y(i) is then a random
    k-subset of the n − 1 others."""
    total = math.comb(n - 1, k)
    return [Fraction(math.comb(k, m) * math.comb(n - 1 - k, k - m), total) for m in range(k + 1)]


def jaccard_expectation(k, n):
    """Mean of |∩|/|∪| for independent sites, exactly; a little above nngs_chance()."""
    return float(sum(p * Fraction(m, 2 * k - m) for m, p in enumerate(overlap_law(k, n))))


def mutual_knn_chance(k, n):
    """k/(n−1), exactly."""
    return k / (n - 1)


# ---- measures ----

def nngs(x, y, k=10, normalise=False, metric="euclidean"):
    """Mean Jaccard index of neighbour sets (Tavares et al. 2024). k may be a list: a curve."""
    if isinstance(k, (list, tuple)):
        return [nngs(x, y, one, normalise, metric) for one in k]
    value = mean(len(set(a) & set(b)) / len(set(a) | set(b))
                 for a, b in pairs_of_lists(x, y, k, metric))
    if not normalise:
        return value
    h = nngs_chance(neighbour_count(k, len(x)), len(x))
    return (value - h) / (1 - h) if h < 1 else math.nan


def jaccard(x, y, k=10, metric="cosine"):
    """The same by cosine (Wang et al. 2020)."""
    return nngs(x, y, k, False, metric)


def mutual_knn(x, y, k=10, metric="cosine", clamp=1):
    """Mean share of common neighbours (Huh et al. 2024)."""
    return mean(len(set(a) & set(b)) / len(a) for a, b in pairs_of_lists(x, y, k, metric, clamp))


def cycle_knn(x, y, k=10, metric="cosine", clamp=1):
    """Share of examples i that are among the neighbours in x of their neighbours in y."""
    lists = pairs_of_lists(x, y, k, metric, clamp)
    return mean(float(any(i in lists[j][0] for j in b)) for i, (_, b) in enumerate(lists))


def lcs_length(a, b):
    """Length of the longest common subsequence."""
    row = [0] * (len(b) + 1)
    for p in a:
        above = row
        row = [0]
        for m, q in enumerate(b):
            row.append(above[m] + 1 if p == q else max(row[m], above[m + 1]))
    return row[-1]


def levenshtein(a, b):
    """Fewest insertions, deletions and substitutions that turn a into b."""
    row = list(range(len(b) + 1))
    for step, p in enumerate(a, 1):
        above = row
        row = [step]
        for m, q in enumerate(b):
            row.append(min(above[m] + (p != q), above[m + 1] + 1, row[m] + 1))
    return row[-1]


def lcs_knn(x, y, k=10, metric="cosine", clamp=1):
    """Mean longest common subsequence of the ordered lists, in neighbours."""
    return mean(lcs_length(a, b) for a, b in pairs_of_lists(x, y, k, metric, clamp))


def edit_knn(x, y, k=10, metric="cosine", clamp=1):
    """1 − mean Levenshtein distance of the ordered lists / k."""
    return 1 - mean(levenshtein(a, b) / len(a) for a, b in pairs_of_lists(x, y, k, metric, clamp))


def cknna(x, y, k=10, clamp=1):
    """Unbiased HSIC of the kernels masked by common neighbours over the square root of the
    self-terms + 1e-6 (Huh et al. 2024): unit rows, inner products, directed masks. k ≥ 2."""
    n = len(x)
    sims, masks = [], []
    for site in (x, y):
        sims.append(row_cosines(clamped(site, clamp)))
        mask = np.zeros((n, n))
        for i, near in enumerate(neighbours(clamped(site, clamp), k, "cosine")):
            mask[i, near] = 1.0
        masks.append(mask)

    def h(a, b):
        common = masks[a] * masks[b]
        return hsic_unbiased(common * sims[a], common * sims[b])

    square = h(0, 0) * h(1, 1)
    return h(0, 1) / (math.sqrt(square) + 1e-6) if square >= 0 else math.nan


def rank_sim(x, y, k=10, metric="cosine"):
    """Mean of Σ_{j∈S} 2/((1 + |r − r'|)(r + r')) / Σ_{m≤|S|} 1/m, S = N_x ∩ N_y, ranks from 1; 0 for
    an empty S (Wang et al. 2020)."""
    def one(a, b):
        common = set(a) & set(b)
        ranks = [(a.index(j) + 1, b.index(j) + 1) for j in common]
        weight = math.fsum(2 / ((1 + abs(r - s)) * (r + s)) for r, s in ranks)
        return weight / math.fsum(1 / m for m in range(1, len(common) + 1)) if common else 0.0

    return mean(one(a, b) for a, b in pairs_of_lists(x, y, k, metric))


def second_cos(x, y, k=10):
    """Mean cosine of the vectors of cosine distances from i to N_x(i) ∪ N_y(i) in x and in y
    (Hamilton et al. 2016). A vector of zeros has cosine 0."""
    far = [1 - row_cosines(site) for site in (x, y)]

    def one(i, union):
        u, v = far[0][i, union], far[1][i, union]
        size = float(np.sqrt((u * u).sum()) * np.sqrt((v * v).sum()))
        return float((u * v).sum()) / size if size > 0 else 0.0

    return mean(one(i, sorted(set(a) | set(b)))
                for i, (a, b) in enumerate(pairs_of_lists(x, y, k, "cosine")))


MEASURES = {f.__name__: f for f in (nngs, jaccard, mutual_knn, cycle_knn, lcs_knn, edit_knn, cknna,
                                    rank_sim, second_cos)}
