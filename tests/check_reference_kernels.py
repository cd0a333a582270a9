"""Checks of the references of kernels, neighbours and statistics: golden values, invariances, exact
identities, enumeration of all permutations, and synthetic studies. Needs numpy alone.

    python3 tests/reference_kernels.py [-v] [Golden …]
"""
import itertools
import math
import unittest

import numpy as np

import reference_kernels as rk
import reference_neighbours as rn
import reference_statistics as rs

GOLDEN = [
    ("cka", {}, 0.605956410735775), ("cka_debiased", {}, 0.537942948972069),
    ("cka_lange", {}, 0.540366525155478), ("hsic", {}, 0.0177699238181027),
    ("cka_rbf", {}, 0.678628944493636), ("cka_rbf_debiased", {}, 0.548504529450367),
    ("cka_minibatch", {"batch": 10}, 0.603828744102998),
    ("rsa", {}, 0.514681814802234),
    ("rsa", {"inner": "euclidean", "outer": "pearson"}, 0.448345497285587),
    ("distcorr", {}, 0.853673032142767), ("rsm_diff", {}, 7.79549836851465),
    ("mag_diff", {}, 0.0675264963057821), ("unif_diff", {}, 0.527692017885947),
    ("conc_diff", {}, 0.104743629445604),
    ("nngs", {}, 0.42823215656033), ("nngs", {"k": 3}, 0.136666666666667),
    ("nngs", {"k": 0.2}, 0.28020202020202), ("jaccard", {}, 0.482413501531148),
    ("mutual_knn", {}, 0.636666666666667), ("rank_sim", {}, 0.265389345048471),
    ("second_cos", {}, 0.830157551786054), ("cknna", {}, 0.663166403646997),
    ("cycle_knn", {}, 1.0), ("lcs_knn", {}, 3.33333333333333), ("edit_knn", {}, 0.136666666666667),
]
RSA = [{"inner": i, "outer": o} for i in ("correlation", "euclidean", "cosine") for o in rk.OUTER]
# O orthogonal maps, S one scale, R a positive scale per row, T translation, P order of the examples
INVARIANT = [
    *((m, {}, "OSTP") for m in ("cka", "cka_debiased", "cka_lange", "cka_rbf", "cka_rbf_debiased",
                                "distcorr", "nngs")),
    *((m, {}, "OSRP") for m in ("jaccard", "mutual_knn", "cycle_knn", "lcs_knn", "edit_knn",
                                "rank_sim", "second_cos", "cknna")),
    ("hsic", {}, "OTP"), ("cka_rbf", {"sigma": 1.0}, "OTP"), ("cka_minibatch", {"batch": 8}, "OST"),
    *(("rsa", o, {"correlation": "SRP", "euclidean": "OSTP", "cosine": "OSRP"}[o["inner"]])
      for o in RSA),
    ("rsm_diff", {}, "OTP"), ("mag_diff", {}, "OP"), ("conc_diff", {}, "OSP"), ("unif_diff", {}, "OTP"),
]
# Everything that is an inner product of two n×n matrices
PRODUCTS = [(m, {}) for m in ("cka", "hsic", "cka_rbf", "distcorr", "cka_debiased", "cka_rbf_debiased",
                              "cka_lange")] + [("rsa", o) for o in RSA if o["outer"] != "kendall"]


def pair(n, d=3, e=4, seed=0, link=0.6):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    return x, link * x @ rng.standard_normal((d, e)) + rng.standard_normal((n, e))


def relabelled_cosines(a, b, perms):
    """⟨A, PBPᵀ⟩/(‖A‖‖B‖) for every row of perms, by brute force."""
    size = math.sqrt((a * a).sum() * (b * b).sum())
    return np.array([(a * b[np.ix_(p, p)]).sum() for p in perms]) / size


class Golden(unittest.TestCase):
    def test_generator(self):
        x, y = rk.golden_pair()
        self.assertEqual(float(x[0, 0]), 0.15515404846519232)
        self.assertEqual(float(y[29, 4]), -0.00705999624915421)

    def test_values(self):
        x, y = rk.golden_pair()
        for name, options, value in GOLDEN:
            with self.subTest(name=name, **options):
                self.assertAlmostEqual(rk.measure(name, x, y, **options) / value, 1.0, delta=2e-14)


class Invariance(unittest.TestCase):
    def maps(self, rng, d):
        rotate, _ = np.linalg.qr(rng.standard_normal((d, d)))
        rows, shift = rng.uniform(0.5, 2, (24, 1)), rng.standard_normal(d)
        return {"O": lambda x: x @ rotate, "S": lambda x: 1.7 * x, "R": lambda x: rows * x,
                "T": lambda x: x + shift}

    def test_maps(self):
        x, y = pair(24, 6, 5)
        x, y = x + 0.2, y - 0.1
        for name, options, invariant in INVARIANT:
            value = rk.measure(name, x, y, **options)
            rng = np.random.default_rng(2)
            of_x, of_y, order = self.maps(rng, 6), self.maps(rng, 5), rng.permutation(24)
            moved = {m: rk.measure(name, of_x[m](x), of_y[m](y), **options) for m in "OSRT"}
            moved["P"] = rk.measure(name, x[order], y[order], **options)
            for letter, other in moved.items():
                with self.subTest(name=name, map=letter, **options):
                    if letter in invariant:
                        self.assertAlmostEqual(other, value, delta=1e-12)
                    else:
                        self.assertGreater(abs(other - value), 1e-6)

    def test_symmetry(self):
        x, y = pair(24, 6, 5)
        for name, options, _ in INVARIANT:
            k = {"k": 2} if name in rn.MEASURES else {}  # at k = 10 cycle_knn is 1 both ways
            change = rk.measure(name, x, y, **options, **k) - rk.measure(name, y, x, **options, **k)
            with self.subTest(name=name, **options):
                if name in ("cycle_knn", "cknna"):  # distinct i or j; 1ᵀAB1 of directed masks
                    self.assertGreater(abs(change), 1e-6)
                else:
                    self.assertAlmostEqual(change, 0.0, delta=1e-12)

    def test_self(self):
        """1 with itself, 0 for distances; not so hsic, lcs_knn (k), cknna (1e-6) and cycle_knn."""
        x, _ = pair(24, 6, 5)
        other = {"hsic", "lcs_knn", "cknna", "cycle_knn"}
        for name, options, _ in INVARIANT:
            if name not in other:
                with self.subTest(name=name, **options):
                    self.assertAlmostEqual(rk.measure(name, x, x, **options),
                                           0.0 if rk.is_distance(name) else 1.0, delta=1e-12)
        self.assertEqual(rk.measure("lcs_knn", x, x, k=7), 7)
        self.assertGreater(1 - rk.measure("cknna", x, x), 1e-7)
        lonely = np.array([[1, 0], [1, 0.1], [1, 0.2], [1, 3]])  # nobody's neighbour at k = 1
        self.assertEqual(rn.cycle_knn(lonely, lonely, k=1), 0.5)


class Kernels(unittest.TestCase):
    def test_median(self):
        line = np.array([[0.0], [1.0], [3.0], [7.0]])  # distances 1 2 3 4 6 7
        self.assertEqual(rk.median_distance(line), 3.5)
        self.assertEqual(rk.median_distance(line, "include"), 2.5)  # 0⁴ 1² 2² 3² …: 8th, 9th
        self.assertEqual(rk.median_distance(line[:3]), 2.0)
        self.assertTrue(math.isnan(rk.cka_rbf(np.repeat(line[:3], [6, 1, 1], 0), pair(8)[1])))

    def test_unbiased_hsic_of_quadruples(self):
        """The definition: mean of K_ij(L_ij + L_qr − 2L_iq) over ordered quadruples of examples."""
        x, y = pair(7)
        k, l = rk.rbf_kernel(x), rk.linear_kernel(y) + 3
        terms = [k[i, j] * (l[i, j] + l[q, r] - 2 * l[i, q])
                 for i, j, q, r in itertools.permutations(range(7), 4)]
        self.assertAlmostEqual(rk.hsic_unbiased(k, l), math.fsum(terms) / len(terms), delta=1e-13)
        self.assertAlmostEqual(rk.hsic_unbiased(k, l),
                               (rs.u_centre(k) * rs.u_centre(l)).sum() / (7 * 4), delta=1e-13)

    def test_feature_side(self):
        """cka_debiased and cka_minibatch from XᵀY and row norms, without any n×n matrix."""
        x, y = pair(32)

        def h(x, y):
            n, x, y = len(x), rk.centre(x), rk.centre(y)
            a, b = (x * x).sum(1), (y * y).sum(1)
            both = a.sum() * b.sum() / ((n - 1) * (n - 2))
            return ((x.T @ y) ** 2).sum() - a @ b + both - 2 * (a @ b) / (n - 2)

        value = h(x, y) / math.sqrt(h(x, x) * h(y, y))
        self.assertAlmostEqual(rk.cka_debiased(x, y), value, delta=1e-12)
        sums = [math.fsum(h(p[b:b + 10], q[b:b + 10]) for b in (0, 10, 20))
                for p, q in ((x, y), (x, x), (y, y))]
        self.assertAlmostEqual(rk.cka_minibatch(x, y, 10), sums[0] / math.sqrt(sums[1] * sums[2]),
                               delta=1e-12)

    def test_independent_data(self):
        """Near 1 for cka when n ≪ d, near 0 for the debiased (its null has sd √(2/(n(n−3))))."""
        x, y = pair(40, 800, 800, link=0.0)
        self.assertGreater(rk.cka(x, y), 0.9)
        self.assertLess(abs(rk.cka_debiased(x, y)), 5 * math.sqrt(2 / (40 * 37)))

    def test_undefined(self):
        x, y = pair(12)
        for name in ("cka", "cka_debiased", "cka_rbf", "cka_rbf_debiased", "distcorr"):
            self.assertTrue(math.isnan(rk.measure(name, np.ones((12, 3)), y)), name)
        self.assertTrue(math.isnan(rk.cka_debiased(np.eye(12), y)))  # all equally far: self-term 0
        self.assertTrue(math.isnan(rk.cka_minibatch(x, y)))

    def test_distance_correlation_of_sums(self):
        """dCov² = S₁ + S₂ − 2S₃ (Székely et al. 2007, remark 3)."""
        x, y = pair(15)

        def dcov(p, q):
            a, b = rk.euclidean_distances(p), rk.euclidean_distances(q)
            return (a * b).mean() + a.mean() * b.mean() - 2 * (a.mean(1) * b.mean(1)).mean()

        square = dcov(x, y) / math.sqrt(dcov(x, x) * dcov(y, y))
        self.assertAlmostEqual(rk.distcorr(x, y), math.sqrt(square), delta=1e-13)
        self.assertAlmostEqual((rk.euclidean_distances(x) ** 2).sum(),
                               2 * 15 * (rk.centre(x) ** 2).sum(), delta=1e-9)

    def test_ranks_and_kendall(self):
        v = np.array([2.0, 7.0, 2.0, -1.0, 7.0, 7.0])
        self.assertEqual(rk.average_ranks(v).tolist(), [2.5, 5, 2.5, 1, 5, 5])
        u = np.array([1.0, 2.0, 2.0, 3.0])
        w = np.array([1.0, 3.0, 2.0, 2.0])  # 3 concordant, 1 discordant, 5 pairs untied in each
        self.assertAlmostEqual(rk.kendall(u, w), 2 / 5, delta=1e-15)
        self.assertAlmostEqual(rk.kendall(u, u), 1.0, delta=1e-15)
        self.assertTrue(math.isnan(rk.kendall(u, np.ones(4))))

    def test_dissimilarities(self):
        x = np.array([[0.1, 0.1, 0.1], [1.0, 2.0, 4.0], [2.0, 3.0, 5.0], [0.0, 0.0, 0.0]])
        far = rk.dissimilarities(x)
        self.assertEqual(far[0].tolist(), [1, 1, 1, 1])  # no variance but that of rounding
        self.assertAlmostEqual(far[1, 2], 0.0, delta=1e-15)
        self.assertEqual(rk.dissimilarities(x, "cosine")[3].tolist(), [1, 1, 1, 1])

    def test_single_rows(self):
        x = np.array([[3.0, 4.0], [3.0, 4.0], [0.0, 0.0]])
        self.assertEqual(rk.mag_diff(x, 0 * x), 5 * 2 / 3)
        self.assertAlmostEqual(rk.concentricity(x), 2 / 3, delta=1e-15)
        self.assertAlmostEqual(rk.uniformity(x), math.log((5 + 4 * math.exp(-50)) / 9), delta=1e-15)


class Neighbours(unittest.TestCase):
    def test_order(self):
        square = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [0, 0]], float)
        self.assertEqual(rn.neighbours(square, 3).tolist(),
                         [[4, 1, 2], [0, 3, 4], [0, 3, 4], [1, 2, 0], [0, 1, 2]])
        zero = np.array([[0, 0], [1, 0], [-1, 0], [1, 0]], float)
        self.assertEqual(rn.neighbours(zero, 3, "cosine").tolist(),
                         [[1, 2, 3], [3, 0, 2], [0, 1, 3], [1, 0, 2]])
        x = np.random.default_rng(1).integers(0, 2, (80, 3)).astype(float)  # full of ties
        keys = rk.euclidean_distances(x)
        for i, near in enumerate(rn.neighbours(x, 79)):
            others = sorted(set(range(80)) - {i}, key=lambda j: (keys[i, j], j))
            self.assertEqual(near.tolist(), others)

    def test_k(self):
        self.assertEqual([rn.neighbour_count(k, 100) for k in (7, 0.07, 0.29, 0.5, 0.999)],
                         [7, 7, 29, 50, 99])
        x, y = pair(20)
        self.assertEqual(rn.nngs(x, y, k=[3, 0.5]), [rn.nngs(x, y, 3), rn.nngs(x, y, 10)])
        self.assertEqual(rn.nngs(x, y, k=19), 1.0)
        self.assertTrue(math.isnan(rn.nngs(x, y, k=19, normalise=True)))

    def test_lists(self):
        self.assertEqual(rn.lcs_length([1, 2, 3, 4], [2, 4, 1, 3]), 2)
        self.assertEqual(rn.levenshtein([1, 2, 3, 4], [2, 3, 4, 5]), 2)
        self.assertEqual(rn.levenshtein([1, 2], [3, 4]), 2)

    def test_clamp(self):
        x = np.arange(-10.0, 10.0).reshape(5, 4)  # sorted |x| 0 1 1 2 2 … 9 9 10
        self.assertEqual(np.abs(rn.clamped(x, 0.55)).max(), 6)  # the entry of index 11
        self.assertIs(rn.clamped(x, 1), x)

    def test_chance(self):
        """All relabellings of six examples give the hypergeometric means exactly."""
        x, y = pair(6)
        a, b = rn.neighbours(x, 2), rn.neighbours(y, 2)
        shared = [len(set(p) & set(q)) for perm in rs.all_permutations(6)
                  for p, q in zip(a.tolist(), rs.rename_neighbours(b, perm).tolist())]
        self.assertAlmostEqual(np.mean(shared) / 2, rn.mutual_knn_chance(2, 6), delta=1e-14)
        self.assertAlmostEqual(np.mean([m / (4 - m) for m in shared]), rn.jaccard_expectation(2, 6),
                               delta=1e-14)
        self.assertGreater(rn.jaccard_expectation(10, 30), rn.nngs_chance(10, 30))

    def test_renaming(self):
        x, y = pair(20)
        for perm in rs.permutations(5, 20, seed=1):
            self.assertTrue(np.array_equal(rs.rename_neighbours(rn.neighbours(y, 4), perm),
                                           rn.neighbours(y[perm], 4)))


class Analytic(unittest.TestCase):
    def test_all_permutations(self):
        """Both derivations against all 5040 relabellings, with one huge example too."""
        for huge in (1, 30):
            x, y = pair(7)
            x[2] *= huge
            for name, options in [*PRODUCTS, ("cca_r2", {}), ("linreg", {})]:
                a, b, factor = rs.as_cosine(name, x, y, **options)
                values = factor * relabelled_cosines(a, b, rs.all_permutations(7))
                statistic, mean, sd, z = rs.analytic_null(name, x, y, **options)
                with self.subTest(name=name, huge=huge, **options):
                    self.assertAlmostEqual(statistic / values[0], 1.0, delta=1e-12)
                    self.assertAlmostEqual(mean / factor, values.mean() / factor, delta=1e-13)
                    self.assertAlmostEqual(sd / values.std(), 1.0, delta=1e-10)
                    self.assertAlmostEqual(z, (values[0] - values.mean()) / values.std(), delta=1e-10)
                    if name not in ("cka_lange", "rsa"):
                        np.testing.assert_allclose(
                            rs.null_moments(a, b), rs.null_moments_by_parts(a, b), 1e-9, 1e-14)

    def test_many_permutations(self):
        """10⁵ relabellings of twelve examples: mean and variance within 4 of their own errors."""
        x, y = pair(12, seed=4)
        perms = rs.permutations(100000, 12, seed=5)
        for name in ("cka", "cka_rbf", "distcorr", "cka_debiased"):
            a, b, _ = rs.as_cosine(name, x, y)
            moved = b[perms[:, :, None], perms[:, None, :]].reshape(len(perms), -1)
            values = moved @ a.ravel() / math.sqrt((a * a).sum() * (b * b).sum())
            mean, variance = rs.null_moments(a, b)
            squares = (values - mean) ** 2
            root = math.sqrt(len(perms))
            with self.subTest(name=name):
                self.assertLess(abs(values.mean() - mean), 4 * values.std() / root)
                self.assertLess(abs(squares.mean() - variance), 4 * squares.std() / root)

    def test_statistic_is_the_measure(self):
        x, y = pair(11)
        for name, options in PRODUCTS:
            value = rk.measure(name, x, y, **options) ** (2 if name == "distcorr" else 1)
            self.assertAlmostEqual(rs.analytic_null(name, x, y, **options)[0], value, delta=1e-13)
        x, y = rk.golden_pair()
        for name, value in (("cca_r2", 0.651670044181725), ("linreg", 0.56074140320628)):
            self.assertAlmostEqual(rs.analytic_null(name, x, y)[0], value, delta=1e-14)

    def test_debiased_whatever_the_data(self):
        for n, heavy in ((6, 1), (9, 50)):
            x, y = pair(n)
            x[0] *= heavy
            _, mean, sd, _ = rs.analytic_null("cka_debiased", x, y)
            self.assertAlmostEqual(mean, 0.0, delta=1e-15)
            self.assertAlmostEqual(sd, math.sqrt(2 / (n * (n - 3))), delta=1e-13)

    def test_nothing_to_permute(self):
        self.assertTrue(math.isnan(rs.analytic_null("cka", np.eye(8), pair(8)[1])[3]))
        self.assertTrue(math.isnan(rs.analytic_null("linreg", np.ones((8, 2)), pair(8)[1])[0]))


class Shifts(unittest.TestCase):
    def test_fourier(self):
        """Both Fourier forms give the direct sums; each is the measure of shifted examples."""
        for n in (9, 10):
            x, y = pair(n)
            relabel = np.random.default_rng(n).permutation(n)
            for name, options in PRODUCTS:
                direct = rs.shift_cosines(name, x, y, relabel, **options)
                a, b = rs.FORMS[name](x, **options), rs.FORMS[name](y, **options)
                size = math.sqrt((a * a).sum() * (b * b).sum()) / (n - 1) ** 2
                values = rs.value_of_cosine(name, direct, size)
                moved = [rk.measure(name, x[relabel], np.roll(y[relabel], -s, 0), **options)
                         for s in range(n)]
                with self.subTest(name=name, n=n, **options):
                    for fourier in (rs.shifts_by_diagonals, rs.shifts_by_plane):
                        fast = rs.shift_cosines(name, x, y, relabel, fourier, **options)
                        np.testing.assert_allclose(fast, direct, atol=3e-15)
                    np.testing.assert_allclose(values, moved, rtol=1e-12, atol=1e-13)

    def test_group(self):
        """Any of the n shifts may be the observed one: p ≤ m/n in exactly m of these n cases."""
        x, y = pair(8, link=0.0)
        cosines = rs.shift_cosines("cka", x, y, np.arange(8))
        p = sorted(rs.shift_p_value(np.roll(cosines, -s)) for s in range(8))
        np.testing.assert_allclose(p, np.arange(1, 9) / 8)

    def test_uniform(self):
        rng = np.random.default_rng(8)
        p = []
        for seed in range(400):
            x, y = pair(20, 3, 3, seed, link=0.0)
            p.append(rs.shift_p_value(rs.shift_cosines("cka", x, y, rng.permutation(20),
                                                       rs.shifts_by_diagonals)))
        self.assertLess(abs(np.mean(np.array(p) <= 0.05) - 0.05), 3 * math.sqrt(0.05 * 0.95 / 400))
        self.assertLess(abs(np.mean(p) - 0.525), 4 * 0.29 / 20)

    def test_ties(self):
        """Labels of period 5: each fifth shift ties with the observed one, by Fourier sums too."""
        x = np.tile(pair(5)[0], (12, 1))
        for shifts in (rs.shifts_direct, rs.shifts_by_diagonals, rs.shifts_by_plane):
            cosines = rs.shift_cosines("cka_rbf", x, x, np.arange(60), shifts)
            self.assertEqual(rs.shift_p_value(cosines), 12 / 60)


class Permutations(unittest.TestCase):
    def test_p_value(self):
        null = [0.1, 0.5, 0.5, 0.9]
        self.assertEqual(rs.p_value(0.5, null), 4 / 5)
        self.assertEqual(rs.p_value(0.5, null, distance=True), 4 / 5)
        self.assertEqual(rs.p_value(1.0, null), 1 / 5)
        self.assertEqual(rs.p_value(0.95, null, distance=True), 1.0)

    def test_calibration(self):
        null = np.arange(19) / 20  # 0 … 0.90
        self.assertEqual(rs.threshold(0.95, null), 0.9)  # the 19th of 20
        self.assertAlmostEqual(rs.calibrated(0.95, null), 0.5, delta=1e-12)
        self.assertEqual(rs.calibrated(0.85, null), 0.0)
        self.assertEqual(rs.calibrated(1.0, [1.0] * 19), 0.0)
        rng = np.random.default_rng(3)
        for _ in range(200):  # positive exactly where p ≤ α, there being no ties
            value, null = rng.random(), rng.random(59)
            self.assertEqual(rs.calibrated(value, null) > 0, rs.p_value(value, null) <= 0.05)

    def test_null_is_exact(self):
        """A test of 19 relabellings rejects one in twenty at .05, and so does the largest of 2×2 pairs
        of layers, where the smallest p of the four would reject more often."""
        rng, single, joint, naive = np.random.default_rng(4), 0, 0, 0
        for _ in range(500):
            a, b = ([rng.standard_normal((12, 3)) for _ in range(2)] for _ in range(2))
            perms = [np.arange(12), *(rng.permutation(12) for _ in range(19))]
            values = np.array([[relabelled_cosines(rk.linear_kernel(x), rk.linear_kernel(y), perms)
                                for y in b] for x in a]).transpose(2, 0, 1)
            best, null = rs.largest(values[0], values[1:])
            p = [rs.p_value(values[0, i, j], values[1:, i, j]) for i in (0, 1) for j in (0, 1)]
            single += p[0] <= 0.05
            joint += rs.p_value(best, null) <= 0.05
            naive += min(p) <= 0.05
        self.assertLess(abs(single - 25), 3 * math.sqrt(500 * 0.05 * 0.95))
        self.assertLess(abs(joint - 25), 3 * math.sqrt(500 * 0.05 * 0.95))
        self.assertGreater(naive, 45)

    def test_measures(self):
        x, y = pair(20, link=2.0)
        perms = rs.permutations(39, 20, seed=2)
        for name in ("nngs", "mutual_knn", "cka_rbf"):
            null = rs.permutation_null(lambda p, q: rk.measure(name, p, q), x, y, perms)
            self.assertEqual(rs.p_value(rk.measure(name, x, y), null), 1 / 40, name)


class Jackknife(unittest.TestCase):
    def test_student(self):
        table = {1: 12.706205, 2: 4.302653, 7: 2.364624, 8: 2.306004, 30: 2.042272, 99: 1.984217}
        for nu, t in table.items():
            self.assertAlmostEqual(rs.student_quantile(0.975, nu), t, delta=1e-6)
        self.assertAlmostEqual(rs.student_quantile(0.95, 7), 1.894579, delta=1e-6)

    def test_mean(self):
        """Of a mean, with blocks of one row: the standard error of the mean."""
        x, _ = pair(9, 1)
        rows = rs.blocks_of(9, 1)
        value, error, low, high = rs.jackknife(lambda p, q: float(p.mean()), x, x, rows)
        self.assertAlmostEqual(error, x.std(ddof=1) / 3, delta=1e-13)
        self.assertAlmostEqual(high - low, 2 * 2.306004 * error, delta=1e-5)
        self.assertEqual(value, float(x.mean()))
        self.assertTrue(math.isnan(rs.jackknife(lambda p, q: 1.0, x, x, rs.blocks_of(9, 2))[1]))

    def test_equal_blocks(self):
        """The form for unequal blocks is the usual one where they are equal."""
        x, y = pair(64)
        blocks = rs.blocks_of(64, 8)
        left = np.array([rk.cka_debiased(np.delete(x, np.s_[i:j], 0), np.delete(y, np.s_[i:j], 0))
                         for i, j in blocks])
        usual = math.sqrt(7 / 8 * ((left - left.mean()) ** 2).sum())
        self.assertAlmostEqual(rs.jackknife(rk.cka_debiased, x, y, blocks)[1], usual, delta=1e-13)

    def test_coverage(self):
        """95 % intervals hold the value of the distribution, ‖Σ_xy‖²/(‖Σ_xx‖‖Σ_yy‖), about 95 times
        in 100, and the error is that of the estimates; equal blocks and a short last one."""
        rng = np.random.default_rng(3)
        scale, link = np.linspace(0.5, 2, 4), 0.3 * rng.standard_normal((4, 3))
        xx = np.diag(scale ** 2)
        truth = ((xx @ link) ** 2).sum() / (np.linalg.norm(xx)
                                            * np.linalg.norm(link.T @ xx @ link + np.eye(3)))
        for n in (120, 114):
            inside, values, errors = 0, [], []
            for _ in range(150):
                x = rng.standard_normal((n, 4)) * scale
                y = x @ link + rng.standard_normal((n, 3))
                value, error, low, high = rs.jackknife(rk.cka_debiased, x, y, rs.blocks_of(n, 12))
                inside += low <= truth <= high
                values.append(value)
                errors.append(error)
            with self.subTest(n=n):
                self.assertLessEqual(abs(inside / 150 - 0.95), 0.06)
                self.assertAlmostEqual(np.mean(errors) / np.std(values), 1.0, delta=0.2)


class Studies(unittest.TestCase):
    def test_noise(self):
        """NNGS of white noise (100 × 50, k = 19) with itself and more noise (Tavares 2024)."""
        rng = np.random.default_rng(5)
        for decibel, expected in ((-20, 0.11), (0, 0.27), (10, 0.60), (20, 0.84)):
            values = []
            for _ in range(8):
                x = rng.standard_normal((100, 50))
                y = x + 10 ** (-decibel / 20) * rng.standard_normal((100, 50))
                values.append(rn.nngs(x, y, k=19))
            self.assertAlmostEqual(np.mean(values), expected, delta=0.012, msg=str(decibel))

    def test_blobs(self):
        """Four blobs: noise inside them, which CKA does not see; the blobs moved, which neighbours at
        k = 5 do not see (Tavares 2024)."""
        rng = np.random.default_rng(0)
        inside = 0.1 * rng.standard_normal((400, 20))
        x = inside + np.repeat([0, 1, 2, 3], 100)[:, None]
        noisy = x + 0.5 * rng.standard_normal((400, 20))
        moved = inside + np.repeat([2, 1, 3, 0], 100)[:, None]
        for y, cka, near, far in ((noisy, 0.99, 0.03, 0.99), (moved, 0.16, 1.0, 0.63)):
            self.assertAlmostEqual(rk.cka(x, y), cka, delta=0.006)
            self.assertAlmostEqual(rn.nngs(x, y, k=5), near, delta=0.006)
            self.assertAlmostEqual(rn.nngs(x, y, k=300), far, delta=0.006)


def main():
    unittest.main(module=__name__)


if __name__ == "__main__":
    main()
