"""Textbook reference of the statistics, for tests only; see reference_kernels.py.

Nulls relabel the examples of Y: m(X, Y[π]). Measures that compare n×n matrices are the cosine of
two *forms*, one per site, which a relabelling of the examples permutes by rows and columns and
leaves otherwise alone:

  cka, hsic                      X̃X̃ᵀ
  cka_rbf                        H K H
  cka_debiased, cka_rbf_debiased K̂: off the diagonal K_ij − (r_i + r_j)/(n−2) + Σr/((n−1)(n−2)),
                                 r the row sums of K without its diagonal; zeros on it. h(K,L)
                                 is ⟨K̂,L̂⟩/(n(n−3)) (Székely and Rizzo 2014)
  cka_lange                      H K H without its diagonal
  distcorr (its square)          H D H, D the Euclidean distances
  rsa pearson, spearman, cosine  dissimilarities off the diagonal less their mean; their average
                                 ranks less their mean; as they are

All moments, shifts and p-values below are of that cosine.
"""
import itertools
import math
from fractions import Fraction

import numpy as np

import reference_kernels as rk

TIE = 1e-12  # cosines of two shifts that differ by no more are equal but for rounding


# ---- forms ----

def u_centre(k):
    """K̂ of the head of this file."""
    n = len(k)
    k = rk.zero_diagonal(k)
    rows = k.sum(axis=1)
    k = k - (rows[:, None] + rows) / (n - 2) + rows.sum() / ((n - 1) * (n - 2))
    return rk.zero_diagonal(k)


def rsa_form(x, inner="correlation", outer="spearman"):
    """[n, n], symmetric, zeros on the diagonal; kendall has none."""
    values = rk.upper(rk.dissimilarities(x, inner))
    if outer == "spearman":
        values = rk.average_ranks(values)
    else:
        assert outer in ("pearson", "cosine"), outer
    if outer != "cosine":
        values = values - values.mean()
    form = np.zeros((len(x), len(x)))
    form[np.triu_indices(len(x), 1)] = values
    return form + form.T


FORMS = {
    "cka": rk.linear_kernel,
    "hsic": rk.linear_kernel,
    "cka_debiased": lambda x: u_centre(rk.linear_kernel(x)),
    "cka_lange": lambda x: rk.zero_diagonal(rk.linear_kernel(x)),
    "cka_rbf": lambda x, **o: rk.double_centre(rk.rbf_kernel(x, **o)),
    "cka_rbf_debiased": lambda x, **o: u_centre(rk.rbf_kernel(x, **o)),
    "distcorr": lambda x: rk.double_centre(rk.euclidean_distances(x)),
    "rsa": rsa_form,
}


def value_of_cosine(name, c, size=1.0):
    """The measure from the cosine c of its forms; size is ‖A‖‖B‖/(n−1)², which hsic needs."""
    if name == "distcorr":
        return np.sqrt(np.maximum(0.0, c))
    return c * size if name == "hsic" else c


# ---- analytic null ----

def null_moments(a, b):
    """Mean and variance of ⟨A, PBPᵀ⟩/(‖A‖‖B‖) over all n! permutations, exactly, of symmetric A and
    B whose rows sum to 0; n ≥ 4 (Kazi-Aoual et al. 1995; Josse et al. 2008).

    With β = tr(A)²/‖A‖² and γ = (n−1)/(n−3)·(n(n+1)Σa_ii²/‖A‖² − (n−1)(β+2)), which is
    (n−1−β)τ of measures.md without its division:
      mean      tr(A)tr(B)/((n−1)‖A‖‖B‖), √(β_Aβ_B)/(n−1) for Gram matrices
      variance  2/((n+1)(n−1)²(n−2))·[(n−1−β_A)(n−1−β_B) + (n−3)/(2n(n−1))·γ_Aγ_B]
    Zero diagonals have β = 0, γ = −2(n−1)²/(n−3) whatever the data: mean 0, variance 2/(n(n−3)).
    A ∝ H has β = n−1, γ = 0: variance 0. Written from the published form;
    null_moments_by_parts() is another derivation of the same.
    """
    n = len(a)
    trace, beta, gamma, norm = [], [], [], []
    for m in (a, b):
        square = float((m * m).sum())
        trace.append(float(np.trace(m)))
        norm.append(math.sqrt(square))
        beta.append(trace[-1] ** 2 / square)
        diagonal = float((np.diag(m) ** 2).sum()) / square
        gamma.append((n - 1) / (n - 3) * (n * (n + 1) * diagonal - (n - 1) * (beta[-1] + 2)))
    mean = trace[0] * trace[1] / ((n - 1) * norm[0] * norm[1])
    spread = (n - 1 - beta[0]) * (n - 1 - beta[1])
    skew = (n - 3) / (2 * n * (n - 1)) * gamma[0] * gamma[1]
    return mean, 2 / ((n + 1) * (n - 1) ** 2 * (n - 2)) * (spread + skew)


def parts(a):
    """A symmetric matrix in parts that every relabelling of the examples keeps apart: the mean t and
    the deviations δ of the diagonal; off it A_ij = m + g_i + g_j + Â_ij, with Σg = 0 and the rows of
    Â, zero on its diagonal, summing to 0. Returns t, m, δ [n], g [n], ‖Â‖²."""
    n, diagonal = len(a), np.diag(a)
    rows = a.sum(axis=1) - diagonal
    g = (rows - rows.mean()) / (n - 2)
    return (diagonal.mean(), rows.mean() / (n - 1), diagonal - diagonal.mean(), g,
            float((u_centre(a) ** 2).sum()))


def null_moments_by_parts(a, b):
    """The same moments of any symmetric A and B, zero row sums or not; n ≥ 4.

    With the parts above (δ', g', … those of B)
      ⟨A, PBPᵀ⟩ = n·tt' + n(n−1)·mm' + ⟨δ,πδ'⟩ + 2(n−2)⟨g,πg'⟩ + ⟨Â,PB̂Pᵀ⟩.
    The first two are the mean: the others have mean 0, and the last does not correlate with the two
    of vectors, being of another irreducible part of the symmetric group (Schur). For centred vectors
    E[⟨u,πv⟩⟨w,πz⟩] = ⟨u,w⟩⟨v,z⟩/(n−1), n−1 being the dimension of their part; that of Â has n(n−3)/2,
    so E[⟨Â,PB̂Pᵀ⟩²] = 2‖Â‖²‖B̂‖²/(n(n−3)). The variance is
      [‖δ‖²‖δ'‖² + 4(n−2)²‖g‖²‖g'‖² + 4(n−2)⟨δ,g⟩⟨δ',g'⟩]/(n−1) + 2‖Â‖²‖B̂‖²/(n(n−3)).
    Where the rows sum to 0, g = −δ/(n−2) and the first term is (n/(n−2))²‖δ‖²‖δ'‖²/(n−1): two terms
    that cannot cancel, from ‖δ‖² and ‖Â‖² of each site. All is divided by ‖A‖‖B‖ or its square.
    """
    n = len(a)
    (t, m, d, g, rest), (t2, m2, d2, g2, rest2) = parts(a), parts(b)
    size = math.sqrt(float((a * a).sum())) * math.sqrt(float((b * b).sum()))
    vectors = ((d @ d) * (d2 @ d2) + 4 * (n - 2) ** 2 * (g @ g) * (g2 @ g2)
               + 4 * (n - 2) * (d @ g) * (d2 @ g2)) / (n - 1)
    mean = n * t * t2 + n * (n - 1) * m * m2
    return float(mean) / size, float(vectors + 2 * rest * rest2 / (n * (n - 3))) / size ** 2


def projection(x, rank_floor=1e-10):
    """UUᵀ of the centred site, directions with σ² ≤ floor·σ₁² left out; and the rank."""
    u, s, _ = np.linalg.svd(rk.centre(x), full_matrices=False)
    u = u[:, s ** 2 > rank_floor * s[0] ** 2]
    return u @ u.T, u.shape[1]


def as_cosine(name, x, y, **options):
    """A, B and the factor f with statistic = f·cosine(A, B), for every measure that is an inner product
    of two n×n matrices. The statistic of distcorr is its square."""
    n = len(x)
    if name == "cca_r2":  # ‖U_xᵀU_y‖²/min(r_x, r_y)
        (a, p), (b, q) = projection(x), projection(y)
        return a, b, math.sqrt(p * q) / max(1, min(p, q))
    if name == "linreg":  # ‖U_yᵀX̃‖²/‖X̃‖² = ⟨X̃X̃ᵀ, U_yU_yᵀ⟩/tr(X̃X̃ᵀ)
        a, (b, q) = rk.linear_kernel(x), projection(y)
        norm = math.sqrt(float((a * a).sum()))
        return a, b, math.sqrt(q) * norm / max(1e-300, float(np.trace(a)))
    a, b = FORMS[name](x, **options), FORMS[name](y, **options)
    size = math.sqrt(float((a * a).sum())) * math.sqrt(float((b * b).sum()))
    return a, b, size / (n - 1) ** 2 if name == "hsic" else 1.0


def analytic_null(name, x, y, **options):
    """(statistic, mean, standard deviation, z) under relabelling; z is NaN where the statistic is the
    same for every relabelling, all four are where a form is zero."""
    a, b, factor = as_cosine(name, x, y, **options)
    statistic = factor * rk.cosine(a, b)
    if math.isnan(statistic):
        return (math.nan,) * 4
    mean, variance = null_moments_by_parts(a, b)
    sd = factor * math.sqrt(variance)
    z = (statistic - factor * mean) / sd if sd > 1e-12 * factor else math.nan
    return statistic, factor * mean, sd, z


# ---- all cyclic shifts ----

def shifts_direct(a, b):
    """T(s) = Σ_ij A_ij·B_{i+s,j+s}, s = 0…n−1, indices modulo n: n sums of n² terms."""
    return np.array([(a * np.roll(b, (-s, -s), (0, 1))).sum() for s in range(len(a))])


def shifts_by_diagonals(a, b):
    """The same from one FFT per wrapped diagonal.

    Let A_d(i) = A_{i,i+d}. Ordering the terms by d = j − i gives T(s) = Σ_d Σ_i A_d(i)·B_d(i+s), a
    sum of n circular cross-correlations, so with F the transform of length n
        F[T](w) = Σ_d conj(F[A_d](w))·F[B_d](w)
    and one inverse transform at the end gives all n values. For symmetric matrices
    A_{n−d}(i) = A_{i,i−d} = A_{i−d,i} = A_d(i−d): the diagonal n−d is the diagonal d shifted, in both
    matrices alike, which changes no correlation; so d = 1…⌈n/2⌉−1 count twice, d = 0 and, for even
    n, d = n/2 once. Real data: F(n−w) = conj F(w), so half of the frequencies are enough.
    Cost: n/2 transforms per site (O(n²log n)), n²/4 complex products per pair and one inverse
    transform. Memory: diagonals may be made a block at a time, so only the n/2 sums per pair stay.
    """
    n, i = len(a), np.arange(len(a))
    spectrum = np.zeros(n // 2 + 1, complex)
    for d in range(n // 2 + 1):
        weight = 1 if d == 0 or 2 * d == n else 2
        fa, fb = (np.fft.rfft(m[i, (i + d) % n]) for m in (a, b))
        spectrum += weight * np.conj(fa) * fb
    return np.fft.irfft(spectrum, n)


def shifts_by_plane(a, b):
    """The same from one two-dimensional FFT per site.

    T(s) is the two-dimensional circular cross-correlation C(s,t) = Σ_ij A_ij·B_{i+s,j+t} on its
    diagonal s = t. F[C](u,v) = conj(F[A](u,v))·F[B](u,v), and with ω = e^{2πi/n}
        T(s) = 1/n²·Σ_uv F[C](u,v)·ω^{(u+v)s} = 1/n·Σ_w ω^{ws}·(1/n·Σ_u F[C](u, w−u)):
    the sums along the wrapped anti-diagonals u + v = w are n times the transform of T.
    Cost: 2n transforms per site, n² products per pair; memory: the n×n spectrum of every site.
    """
    n, u = len(a), np.arange(len(a))
    product = np.conj(np.fft.fft2(a)) * np.fft.fft2(b)
    return np.fft.ifft([product[u, (w - u) % n].sum() / n for w in range(n)]).real


def shift_cosines(name, x, y, relabel, shifts=shifts_direct, **options):
    """[n] cosines of the forms at every cyclic shift of the labels of Y, the observed one first,
    after both sites' examples were relabelled: row i of a relabelled site is row relabel[i]."""
    a, b = (FORMS[name](site[relabel], **options) for site in (x, y))
    size = math.sqrt(float((a * a).sum())) * math.sqrt(float((b * b).sum()))
    return shifts(a, b) / size if size > 0 else np.full(len(a), math.nan)


def shift_p_value(cosines):
    """Share of the n shifts, the identity included, that reach the observed value."""
    return float(np.mean(cosines >= cosines[0] - TIE))


# ---- permutations ----

def permutations(count, n, seed):
    """[count, n]; the same ones for all pairs of a sweep."""
    rng = np.random.default_rng(seed)
    return np.array([rng.permutation(n) for _ in range(count)])


def all_permutations(n):
    """[n!, n], the identity first."""
    return np.array(list(itertools.permutations(range(n))))


def permutation_null(measure, x, y, perms):
    """[K] values measure(X, Y[π])."""
    return np.array([measure(x, y[p]) for p in perms])


def rename_neighbours(lists, perm):
    """Lists of Y[π] from those of Y [n, k]: row i of Y[π] is row π(i), so N_{πY}(i) = π⁻¹(N_Y(π(i))).
    The same as searching in Y[π] unless distances tie: then the index decides, which changes; a test
    by renamed lists is exact without ties only."""
    inverse = np.empty(len(perm), int)
    inverse[perm] = np.arange(len(perm))
    return inverse[lists[perm]]


def p_value(value, null, distance=False):
    """(1 + #{null ≥ value})/(K + 1); ≤ for distances."""
    null = np.asarray(null)
    reached = null <= value if distance else null >= value
    return (1 + int(reached.sum())) / (len(null) + 1)


def threshold(value, null, alpha=0.05):
    """The ⌈(1−α)(K+1)⌉-th smallest of null and observed together; 1−α as the decimal written."""
    together = sorted([*null, value])
    return float(together[math.ceil((1 - Fraction(repr(alpha))) * len(together)) - 1])


def calibrated(value, null, alpha=0.05):
    """max(0, (s−τ)/(1−τ)) of a similarity with maximum 1; 0 where τ is 1."""
    tau = threshold(value, null, alpha)
    return max(0.0, (value - tau) / (1 - tau)) if tau < 1 else 0.0


def largest(observed, null, distance=False):
    """Best pair of layers: observed [A, B], null [K, A, B] of the same K relabellings for every pair.
    Returns (largest observed, its K null values), smallest for distances: each relabelling may
    favour another pair, so its own best is what the observed best is compared with."""
    best = np.min if distance else np.max
    return float(best(observed)), best(np.asarray(null), axis=(1, 2))


# ---- jackknife ----

def blocks_of(n, length):
    """Borders [(first, last)) of consecutive blocks; the last one may be shorter."""
    return [(b, min(b + length, n)) for b in range(0, n, length)]


def jackknife(measure, x, y, blocks, level=0.95):
    """Delete-one-block jackknife (Tukey 1958; blocks of unequal length: Busing et al. 1999).

    With h_b = n/m_b and θ_b the measure without block b, the estimate is θ_J = Bθ − Σ(1 − m_b/n)θ_b
    and its variance 1/B·Σ(p_b − θ_J)²/(h_b − 1) with the pseudo-values p_b = h_bθ − (h_b−1)θ_b; for
    blocks of one length that is (B−1)/B·Σ(θ_b − θ̄)². Returns (θ, standard error, low, high): θ ± t·se,
    Student's t with B−1 degrees of freedom. All NaN but θ below 8 blocks.
    """
    n, count, value = len(x), len(blocks), measure(x, y)
    if count < 8:
        return value, math.nan, math.nan, math.nan
    h = np.array([n / (last - first) for first, last in blocks])
    left = np.array([measure(np.delete(x, np.s_[first:last], 0), np.delete(y, np.s_[first:last], 0))
                     for first, last in blocks])
    pseudo = h * value - (h - 1) * left
    joined = count * value - float(((1 - 1 / h) * left).sum())
    error = math.sqrt(float(((pseudo - joined) ** 2 / (h - 1)).sum()) / count)
    reach = student_quantile(0.5 + level / 2, count - 1) * error
    return value, error, value - reach, value + reach


def student_within(t, nu):
    """P(|T| ≤ t) for whole degrees of freedom (Abramowitz and Stegun 26.7.3, 26.7.4)."""
    theta = math.atan(t / math.sqrt(nu))
    c, term, total = math.cos(theta), 1.0, 0.0
    if nu % 2:
        term = c
        for m in range(1, nu - 1, 2):
            total += term
            term *= c * c * (m + 1) / (m + 2)
        return 2 / math.pi * (theta + math.sin(theta) * total)
    for m in range(0, nu - 1, 2):
        total += term
        term *= c * c * (m + 1) / (m + 2)
    return math.sin(theta) * total


def student_quantile(p, nu):
    """t with P(T ≤ t) = p > 1/2, by bisection."""
    low, high = 0.0, 1.0
    while student_within(high, nu) < 2 * p - 1:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if student_within(middle, nu) < 2 * p - 1 else (low, middle)
    return (low + high) / 2
