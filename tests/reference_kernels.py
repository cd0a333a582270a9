"""Textbook reference of the kernel and distance family, for tests only.

Every measure is written out from its definition with explicit n×n matrices in float64; clarity
comes before speed, and nothing is shared with the library under test. The neighbour family is in
reference_neighbours.py, the statistics are in reference_statistics.py; `measure()` below knows all.

x is [n, d], y is [n, e]; row i of both is the same example. An undefined value is NaN.
Run as a program, it checks itself and the other two: see check_reference_kernels.py.
"""
import math

import numpy as np

EDGE = 1e-12  # a cosine may pass its edge by rounding; by more than this it is wrong


# ---- the golden pair ----

def golden_pair():
    """x [30, 6] and y [30, 5] of the stream s ← (s·1103515245 + 12345) mod 2³¹, seed 12345."""
    state = 12345

    def uniform():
        nonlocal state
        state = (state * 1103515245 + 12345) % 2**31
        return state / 2**31

    x = np.array([[uniform() - 0.5 for _ in range(6)] for _ in range(30)])
    y = np.array([[0.7 * x[i, j] + 0.5 * (uniform() - 0.5) for j in range(5)] for i in range(30)])
    return x, y


# ---- tools ----

def centre(x):
    """x minus its column means; a constant column becomes exactly 0."""
    c = x - x.mean(axis=0)
    c[:, (x == x[0]).all(axis=0)] = 0.0
    return c


def double_centre(k):
    """H K H with H = I − 11ᵀ/n."""
    return k - k.mean(axis=0) - k.mean(axis=1)[:, None] + k.mean()


def zero_diagonal(k):
    """k without its diagonal."""
    k = k.copy()
    np.fill_diagonal(k, 0.0)
    return k


def upper(k):
    """The n(n−1)/2 entries above the diagonal, row by row."""
    return k[np.triu_indices(len(k), 1)]


def euclidean_distances(x):
    """[n, n], from differences: equal rows have distance 0, and equal pairs tie exactly."""
    return np.array([np.sqrt(((x - row) ** 2).sum(axis=1)) for row in x])


def inner_products(x):
    """[n, n] of rows, each summed in one order: equal rows tie exactly, which GEMM does not promise."""
    return np.array([(x * row).sum(axis=1) for row in x])


def row_cosines(x):
    """[n, n] cosines of rows; a row of zeros has cosine 0 with every row, itself included."""
    norm = np.sqrt((x * x).sum(axis=1))
    return inner_products(x / np.where(norm > 0, norm, 1.0)[:, None])


def clip_cosine(c):
    """c, at most 1 in size; NaN when it is further out than rounding explains."""
    return math.nan if not abs(c) <= 1 + EDGE else min(1.0, max(-1.0, c))


def cosine(a, b):
    """⟨a, b⟩/(‖a‖‖b‖) of two arrays of one shape; NaN when one of them is zero."""
    aa, bb = float((a * a).sum()), float((b * b).sum())
    if not (aa > 0 and bb > 0):
        return math.nan
    return clip_cosine(float((a * b).sum()) / (math.sqrt(aa) * math.sqrt(bb)))


def ratio(kl, kk, ll):
    """kl/√(kk·ll), undefined unless both self-terms are positive."""
    return kl / (math.sqrt(kk) * math.sqrt(ll)) if kk > 0 and ll > 0 else math.nan


# ---- kernels and HSIC ----

def linear_kernel(x):
    """K = X̃X̃ᵀ."""
    c = centre(x)
    return c @ c.T


def median_distance(x, diagonal="exclude"):
    """Median of the n(n−1)/2 distances of different rows; mean of the two middle distances when
    their number is even. With diagonal="include": of all n² entries of the matrix, as some public
    notebooks have it."""
    d = euclidean_distances(x)
    values = np.sort(upper(d) if diagonal == "exclude" else d.ravel())
    return float(values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2


def rbf_sigma(x, bandwidth=0.8, sigma=None, diagonal="exclude"):
    """σ of the kernel: as given, or bandwidth × median distance (Kornblith et al. 2019)."""
    return sigma if sigma is not None else bandwidth * median_distance(x, diagonal)


def rbf_kernel(x, bandwidth=0.8, sigma=None, diagonal="exclude"):
    """K_ij = exp(−‖x_i − x_j‖²/(2σ²)); all NaN when σ is 0 (most rows are equal)."""
    s = rbf_sigma(x, bandwidth, sigma, diagonal)
    if not s > 0:
        return np.full((len(x), len(x)), math.nan)
    return np.exp(-euclidean_distances(x) ** 2 / (2 * s * s))


def hsic_biased(k, l):
    """tr(KHLH)/(n−1)² (Gretton et al. 2005)."""
    return float((double_centre(k) * double_centre(l)).sum()) / (len(k) - 1) ** 2


def hsic_unbiased(k, l):
    """Song et al. 2012, eq. 5. With A, B the matrices without their diagonals (they need not be
    symmetric): [tr(AB) + ΣA·ΣB/((n−1)(n−2)) − 2/(n−2)·1ᵀAB1] / (n(n−3))."""
    n = len(k)
    a, b = zero_diagonal(k), zero_diagonal(l)
    through = float(a.sum(axis=0) @ b.sum(axis=1))
    both = float(a.sum()) * float(b.sum())
    return (float((a * b.T).sum()) + both / ((n - 1) * (n - 2)) - 2 / (n - 2) * through) / (
        n * (n - 3))


def biased_cka(k, l):
    """tr(KHLH)/√(tr(KHKH)·tr(LHLH))."""
    return cosine(double_centre(k), double_centre(l))


def unbiased_cka(k, l):
    """h(K,L)/√(h(K,K)·h(L,L)) with the unbiased HSIC; undefined when a self-term is ≤ 0. A
    self-term that rounding alone keeps from 0 counts as 0."""
    n = len(k)
    terms = [hsic_unbiased(k, l)]
    for m in (k, l):
        h = hsic_unbiased(m, m)
        size = float((zero_diagonal(m) ** 2).sum()) / (n * (n - 3))
        terms.append(h if h > EDGE * size else 0.0)
    return ratio(*terms)


# ---- measures made of kernels ----

def cka(x, y):
    """Linear CKA (Kornblith et al. 2019)."""
    return biased_cka(linear_kernel(x), linear_kernel(y))


def cka_debiased(x, y):
    """Linear CKA with the unbiased HSIC (Song et al. 2012)."""
    return unbiased_cka(linear_kernel(x), linear_kernel(y))


def cka_lange(x, y):
    """K and L double-centred, then their diagonals dropped; cosine (Lange et al. 2023)."""
    return cosine(zero_diagonal(linear_kernel(x)), zero_diagonal(linear_kernel(y)))


def hsic(x, y):
    """Linear HSIC."""
    return hsic_biased(linear_kernel(x), linear_kernel(y))


def cka_rbf(x, y, bandwidth=0.8, sigma=None, diagonal="exclude"):
    """CKA of RBF kernels (Kornblith et al. 2019)."""
    options = (bandwidth, sigma, diagonal)
    return biased_cka(rbf_kernel(x, *options), rbf_kernel(y, *options))


def cka_rbf_debiased(x, y, bandwidth=0.8, sigma=None, diagonal="exclude"):
    """The same kernels, unbiased HSIC."""
    options = (bandwidth, sigma, diagonal)
    return unbiased_cka(rbf_kernel(x, *options), rbf_kernel(y, *options))


def cka_minibatch(x, y, batch=256):
    """Unbiased linear HSIC averaged over batches of consecutive examples, numerator and self-terms
    apart (Nguyen et al. 2021); the remainder is dropped. Undefined when n < batch or batch < 4."""
    if batch < 4 or len(x) < batch:
        return math.nan
    terms = np.zeros(3)
    for b in range(0, len(x) - batch + 1, batch):
        k, l = linear_kernel(x[b:b + batch]), linear_kernel(y[b:b + batch])
        terms += [hsic_unbiased(k, l), hsic_unbiased(k, k), hsic_unbiased(l, l)]
    return ratio(*map(float, terms))


# ---- representational similarity analysis ----

def dissimilarities(x, inner="correlation"):
    """[n, n] dissimilarities of rows: 1 − Pearson correlation over the columns, Euclidean distance
    or 1 − cosine. A row without variance (correlation) or of zeros (cosine) counts as 0 similar."""
    if inner == "euclidean":
        return euclidean_distances(x)
    if inner == "cosine":
        return 1 - row_cosines(x)
    assert inner == "correlation", inner
    c = x - x.mean(axis=1)[:, None]
    c[(x == x[:, :1]).all(axis=1)] = 0.0
    return 1 - row_cosines(c)


def average_ranks(v):
    """1-based ranks; equal values share the mean of their ranks."""
    order = np.argsort(v, kind="stable")
    ranks = np.empty(len(v))
    first = 0
    while first < len(v):
        last = first
        while last + 1 < len(v) and v[order[last + 1]] == v[order[first]]:
            last += 1
        ranks[order[first:last + 1]] = (first + last) / 2 + 1
        first = last + 1
    return ranks


def pearson(u, v):
    """Correlation; NaN when u or v is constant."""
    if (u == u[0]).all() or (v == v[0]).all():
        return math.nan
    return cosine(u - u.mean(), v - v.mean())


def spearman(u, v):
    """Pearson correlation of average ranks."""
    return pearson(average_ranks(u), average_ranks(v))


def kendall(u, v):
    """τ_b = (concordant − discordant)/√((pairs not tied in u)·(pairs not tied in v)) (Kendall 1945);
    of all pairs of entries, one by one."""
    score = in_u = in_v = 0
    for i in range(len(u) - 1):
        a, b = np.sign(u[i + 1:] - u[i]), np.sign(v[i + 1:] - v[i])
        score += int((a * b).sum())
        in_u += int((a != 0).sum())
        in_v += int((b != 0).sum())
    return score / (math.sqrt(in_u) * math.sqrt(in_v)) if in_u and in_v else math.nan


OUTER = {"spearman": spearman, "pearson": pearson, "cosine": cosine, "kendall": kendall}


def rsa(x, y, inner="correlation", outer="spearman"):
    """Upper triangles of the two dissimilarity matrices compared (Kriegeskorte et al. 2008)."""
    return OUTER[outer](upper(dissimilarities(x, inner)), upper(dissimilarities(y, inner)))


# ---- measures made of distances and of single rows ----

def distcorr(x, y):
    """Distance correlation √(dCov²/√(dVar²·dVar²)) of the sample (Székely et al. 2007)."""
    a, b = (double_centre(euclidean_distances(m)) for m in (x, y))
    square = cosine(a, b)
    return math.sqrt(max(0.0, square)) if square >= -EDGE else math.nan


def rsm_diff(x, y):
    """Spectral norm of the difference of the Euclidean distance matrices: largest |eigenvalue|."""
    return float(np.abs(np.linalg.eigvalsh(euclidean_distances(x) - euclidean_distances(y))).max())


def mag_diff(x, y):
    """|‖mean x‖ − ‖mean y‖|, not centred (Wang et al. 2020, as in Klabunde et al. 2023)."""
    return abs(float(np.linalg.norm(x.mean(axis=0))) - float(np.linalg.norm(y.mean(axis=0))))


def concentricity(x):
    """Mean cosine of the rows with their mean, not centred; zero rows count 0. NaN: mean is 0."""
    mean = x.mean(axis=0)
    size, norm = np.linalg.norm(mean), np.sqrt((x * x).sum(axis=1))
    if not size > 0:
        return math.nan
    return float(np.mean((x @ mean) / (np.where(norm > 0, norm, 1.0) * size)))


def conc_diff(x, y):
    """Difference in concentricity (Wang et al. 2020)."""
    return abs(concentricity(x) - concentricity(y))


def uniformity(x):
    """log of the mean of exp(−2‖x_i − x_j‖²) over all n² pairs (Wang and Isola 2020)."""
    return float(np.log(np.mean(np.exp(-2 * euclidean_distances(x) ** 2))))


def unif_diff(x, y):
    """Difference in uniformity."""
    return abs(uniformity(x) - uniformity(y))


SIMILARITIES = {f.__name__: f for f in (cka, cka_debiased, cka_lange, hsic, cka_rbf,
                                        cka_rbf_debiased, cka_minibatch, rsa, distcorr)}
DISTANCES = {f.__name__: f for f in (rsm_diff, mag_diff, conc_diff, unif_diff)}


def measure(name, x, y, **options):
    """One measure of the kernel or the neighbour family by its name. Options as on the command line:
    bandwidth, sigma, diagonal; batch; inner, outer; k, metric, normalise, clamp."""
    import reference_neighbours
    known = {**SIMILARITIES, **DISTANCES, **reference_neighbours.MEASURES}
    return known[name](np.asarray(x, float), np.asarray(y, float), **options)


def is_distance(name):
    """Smaller = more similar."""
    return name in DISTANCES


if __name__ == "__main__":
    import check_reference_kernels
    check_reference_kernels.main()
