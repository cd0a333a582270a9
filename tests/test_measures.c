/* Conformance of every measure of the registry: what it declares, and the textbook reference. */
#include "sweep_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sweep/plan/plan.h"

/* ---- maps of matrices, [n, d] → [n, d] ---- */

static double *times(const double *x, int n, int d, const double *map)
{
    double *out = ref_alloc((int64_t)n * d, sizeof *out);
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < d; j++) {
            long double sum = 0;
            for (int k = 0; k < d; k++) { sum += (long double)x[i * d + k] * map[k * d + j]; }
            out[i * d + j] = (double)sum;
        }
    }
    return out;
}

/* A random rotation: the left vectors of a random square. */
static double *rotated(const double *x, int n, int d, uint64_t seed)
{
    double *square = ref_alloc((int64_t)d * d, sizeof *square);
    ref_svd f;
    ref_random_matrix(seed, d, d, square);
    assert_true(ref_svd_make(square, d, d, &f));
    double *out = times(x, n, d, f.u);
    ref_svd_free(&f);
    free(square);
    return out;
}

/* An invertible map of condition 10. */
static double *bent(const double *x, int n, int d, uint64_t seed)
{
    double *square = ref_alloc((int64_t)d * d, sizeof *square);
    ref_svd f;
    ref_random_matrix(seed, d, d, square);
    assert_true(ref_svd_make(square, d, d, &f));
    for (int i = 0; i < d; i++) {
        for (int j = 0; j < d; j++) { f.vt[i * d + j] *= pow(10, -(double)i / d); }
    }
    double *half = times(x, n, d, f.u), *out = times(half, n, d, f.vt);
    free(half);
    ref_svd_free(&f);
    free(square);
    return out;
}

static double *mapped(const double *x, int n, int d, double scale, double shift)
{
    double *out = ref_alloc((int64_t)n * d, sizeof *out);
    for (int i = 0; i < n * d; i++) { out[i] = scale * x[i] + shift * (1 + i % d); }
    return out;
}

/* Columns by j → 5j + 3 mod d where that is a permutation; else reversed. */
static double *shuffled(const double *x, int n, int d)
{
    double *out = ref_alloc((int64_t)n * d, sizeof *out);
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < d; j++) {
            out[i * d + (d % 5 ? (5 * j + 3) % d : d - 1 - j)] = x[i * d + j];
        }
    }
    return out;
}

static double *reordered(const double *x, int n, int d)
{
    double *out = ref_alloc((int64_t)n * d, sizeof *out);
    for (int i = 0; i < n; i++) {
        memcpy(out + (11 * i + 3) % n * d, x + i * d, (size_t)d * sizeof *x);
    }
    return out;
}

/* ---- invariances ---- */

enum { X, Y, MAPS, X_MAP = MAPS, Y_MAP = X_MAP + 5, X_ROWS = Y_MAP + 5, Y_ROWS, X_AGAIN, ALL };

static const struct {
    unsigned prop;
    const char *name;
} map_list[5] = {
    {CSIM_INVARIANT_ROTATION, "rotation"},
    {CSIM_INVARIANT_SCALING, "scaling"},
    {CSIM_INVARIANT_TRANSLATION, "translation"},
    {CSIM_INVARIANT_LINEAR, "invertible linear map"},
    {CSIM_INVARIANT_PERMUTATION, "permutation of neurons"},
};

/* X and Y with a common part, their images under the five maps, and both in another order. */
static sweep_case family(int n, int d, int e)
{
    sweep_case c = {.pairs = "all"};
    double *x = ref_alloc((int64_t)n * d, sizeof *x), *y = ref_alloc((int64_t)n * e, sizeof *y);
    ref_random_matrix(21, n, d, x);
    ref_random_matrix(22, n, e, y);
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < e; j++) { y[i * e + j] += x[i * d + j % d] + 0.3 * (j % 3); }
    }
    case_add(&c, "s", x, n, d);
    case_add(&c, "s", y, n, e);
    for (int side = 0; side < 2; side++) {
        const double *z = side ? y : x;
        int w = side ? e : d;
        uint64_t seed = 30 + (uint64_t)side;
        case_add(&c, "s", rotated(z, n, w, seed), n, w);
        case_add(&c, "s", mapped(z, n, w, side ? 0.03 : 7, 0), n, w);
        case_add(&c, "s", mapped(z, n, w, 1, side ? -0.7 : 1.3), n, w);
        case_add(&c, "s", bent(z, n, w, seed + 10), n, w);
        case_add(&c, "s", shuffled(z, n, w), n, w);
    }
    case_add(&c, "s", reordered(x, n, d), n, d);
    case_add(&c, "s", reordered(y, n, e), n, e);
    case_add(&c, "s", mapped(x, n, d, 1, 0), n, d);
    assert_int_equal(c.count, ALL);
    return c;
}

/* gulp's default, λ = 0, happens to make it invariant under linear maps; with a ridge it is not. */
static bool may_hold_undeclared(const csim_measure *m, unsigned prop)
{
    return strcmp(m->name, "gulp") == 0 && prop == CSIM_INVARIANT_LINEAR;
}

static int check_maps(csim_results *r, const csim_measure *m, const sweep_case *c)
{
    int wrong = 0;
    double plain = case_value(r, m->name, X, Y), close = 1e-11 * fmax(1, fabs(plain));
    close = fmax(close, case_float_error(m->name, &c->site[X], &c->site[Y]));
    for (int k = 0; k < 5; k++) {
        double of_x = case_value(r, m->name, X_MAP + k, Y);
        double of_y = case_value(r, m->name, X, Y_MAP + k);
        if (m->props & map_list[k].prop) {
            case_near(&wrong, map_list[k].name, m->name, of_x, plain, close);
            case_near(&wrong, map_list[k].name, m->name, of_y, plain, close);
        } else if (!may_hold_undeclared(m, map_list[k].prop) && fabs(of_x - plain) < 1e-6 &&
                   fabs(of_y - plain) < 1e-6) {
            print_error("%s does not change under %s, but does not say so\n", m->name,
                        map_list[k].name);
            wrong++;
        }
    }
    double ordered = case_value(r, m->name, X_ROWS, Y_ROWS);
    if (!(m->props & CSIM_ORDERED)) {
        case_near(&wrong, "order of examples", m->name, ordered, plain, close);
    } else if (fabs(ordered - plain) < 1e-6) {
        print_error("%s does not depend on the order of examples, but says so\n", m->name);
        wrong++;
    }
    return wrong;
}

/* Identical sites: the best value there is, by the site itself and by a copy of it. */
static int check_self(csim_results *r, const csim_measure *m, const case_site *x)
{
    int wrong = 0;
    double self = case_value(r, m->name, X, X), copy = case_value(r, m->name, X, X_AGAIN);
    double most = -INFINITY, norm = 0;
    for (int i = 0; i < x->n * x->d; i++) { norm += x->x[i] * x->x[i]; }
    if (m->props & CSIM_UNIT_RANGE || m->needs & CSIM_NEEDS_PROJECTION) {
        double best = 1; /* eos divides by the width, which a site of N ≤ D does not fill */
        if (strcmp(m->name, "eos") == 0 && x->n < x->d) { best = (double)x->n / x->d; }
        case_near(&wrong, "itself", m->name, self, best, 1e-12);
        case_near(&wrong, "its copy", m->name, copy, best, 1e-12);
    } else if (m->props & CSIM_DISTANCE) {
        double reach = strcmp(m->name, "gulp") == 0 ? 1e-10 : 1e-7 * sqrt(norm);
        case_near(&wrong, "itself", m->name, self, 0, reach);
        case_near(&wrong, "its copy", m->name, copy, 0, reach);
    }
    for (int j = 0; j < ALL; j++) {
        double v = case_value(r, m->name, X, j);
        if (m->props & CSIM_DISTANCE) { v = -v; }
        if (!isnan(v) && v > most) { most = v; }
    }
    bool sized = !(m->props & CSIM_INVARIANT_SCALING); /* grows with the size of either side */
    double signed_self = m->props & CSIM_DISTANCE ? -self : self;
    if (!(sized && !(m->props & CSIM_DISTANCE)) && most > signed_self + 1e-6) {
        print_error("%s: %.17g of a site with itself is not the best: %.17g\n", m->name, self,
                    most);
        wrong++;
    }
    return wrong;
}

static bool in_range(csim_results *r, const csim_measure *m)
{
    for (int i = 0; i < ALL * ALL; i++) {
        double v = csim_results_values(r, 0)[i];
        if (isnan(v)) { continue; }
        if ((m->props & CSIM_UNIT_RANGE) && !(v >= 0 && v <= 1)) { return false; }
        if ((m->props & CSIM_DISTANCE) && v < 0) { return false; }
        if ((m->needs & CSIM_NEEDS_PROJECTION) && !(v >= -1 && v <= 1)) { return false; }
    }
    return true;
}

/* So few that no measure finds all it looks for in unlike sites. */
static const char *const *few_neighbours(const csim_measure *m)
{
    static const char *const four[] = {"--k=4", NULL};
    return m->needs & CSIM_NEEDS_NEIGHBOURS ? four : NULL;
}

/* Each measure alone: the routes are those of its own ingredients. */
static void invariances(int n, int d, int e)
{
    csim_context *ctx = harness_context();
    sweep_case c = family(n, d, e);
    int wrong = 0;
    for (int i = 0; i < csim_measure_count(); i++) {
        const csim_measure *m = csim_measure_get(i);
        if ((m->props & CSIM_EQUAL_WIDTHS) && d != e) { continue; }
        if (strcmp(m->name, "pwcca") == 0 && n < d + e) { continue; } /* not unique */
        c.measures = m->name;
        c.options = few_neighbours(m);
        csim_results *r = case_results(ctx, &c);
        wrong += check_maps(r, m, &c) + check_self(r, m, &c.site[X]) + !in_range(r, m);
        assert_int_equal(case_cell(r, m->name, X, Y), CSIM_CELL_DONE);
        csim_results_free(&r);
    }
    case_unmix(&c);
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

static void invariances_tall(void **state)
{
    (void)state;
    invariances(210, 8, 8);
}

static void invariances_gram_side(void **state)
{
    (void)state;
    invariances(61, 14, 11);
}

/* Canonical correlations are all 1 when the neurons span everything: what is left to change under a
 * map is checked in the other cases, so only the declared properties are looked at here. */
static void self_of_wide_sites(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    sweep_case c = family(20, 33, 27);
    int wrong = 0;
    for (int i = 0; i < csim_measure_count(); i++) {
        const csim_measure *m = csim_measure_get(i);
        if (m->props & CSIM_EQUAL_WIDTHS) { continue; }
        c.measures = m->name;
        csim_results *r = case_results(ctx, &c);
        wrong += check_self(r, m, &c.site[X]) + !in_range(r, m);
        csim_results_free(&r);
    }
    case_unmix(&c);
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

/* m(X, Y) = m(Y, X) when it is declared, in sweeps that put the sites in either order. */
static void symmetry(void **state)
{
    (void)state;
    enum { N = 150, D = 9, E = 9 };
    double x[N * D], y[N * E];
    csim_context *ctx = harness_context();
    int wrong = 0;
    ref_random_matrix(41, N, D, x);
    ref_random_matrix(42, N, E, y);
    for (int i = 0; i < N * E; i++) { y[i] = y[i] * (1 + i % 4) + x[i]; }
    sweep_case xy = case_pair(x, y, N, D, E), yx = case_pair(y, x, N, E, D);
    xy.options = yx.options = few_neighbours(csim_measure_find("cycle_knn"));
    csim_results *a = case_results(ctx, &xy), *b = case_results(ctx, &yx);
    for (int i = 0; i < csim_measure_count(); i++) {
        const csim_measure *m = csim_measure_get(i);
        double u = case_value(a, m->name, 0, 0), v = case_value(b, m->name, 0, 0);
        if (m->props & CSIM_SYMMETRIC) {
            case_near(&wrong, "either order", m->name, u, v, 1e-12 * fmax(1, fabs(v)));
        } else {
            assert_true(fabs(u - v) > 1e-6);
        }
    }
    csim_results_free(&a);
    csim_results_free(&b);
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

/* ---- the reference ---- */

/* Compare all cells of (X, Y) and (Y, X) of one sweep with the reference. */
static int compare(csim_context *ctx, const sweep_case *c, const char *what)
{
    int wrong = 0;
    csim_results *r = case_results(ctx, c);
    for (int v = 0; v < csim_results_count(r); v++) {
        const char *name = csim_results_variable(r, v)->name;
        for (int flip = 0; flip < 2; flip++) {
            const case_site *x = &c->site[flip], *y = &c->site[1 - flip];
            double expected = case_reference(ctx, name, x, y);
            if (case_note(r, name, flip, 1 - flip) == CSIM_NOTE_NOT_UNIQUE) { continue; }
            double scale = fmax(fabs(expected), case_scale(name, x, y) * 1e-2);
            case_near(&wrong, what, name, case_value(r, name, flip, 1 - flip), expected,
                      1e-10 * scale + case_float_error(name, x, y));
            assert_int_equal(case_cell(r, name, flip, 1 - flip),
                             isnan(expected) ? CSIM_CELL_UNDEFINED : CSIM_CELL_DONE);
        }
    }
    csim_results_free(&r);
    return wrong;
}

/* All at once, each alone, and in the families that share a route. */
static void agrees_with_reference(void **state)
{
    (void)state;
    static const int shape[][3] = {
        {200, 12, 17}, {40, 60, 33}, {64, 20, 20}, {65, 64, 66}, {129, 5, 40}, {30, 29, 31},
        {100, 1, 1},   {50, 1, 9},   {12, 30, 30}, {4, 3, 2},    {5, 8, 8},    {300, 26, 24},
    };
    csim_context *ctx = harness_context();
    int wrong = 0;
    for (size_t s = 0; s < sizeof shape / sizeof *shape; s++) {
        int n = shape[s][0], d = shape[s][1], e = shape[s][2];
        double *x = ref_alloc((int64_t)n * d, sizeof *x), *y = ref_alloc((int64_t)n * e, sizeof *y);
        ref_random_matrix(50 + s, n, d, x);
        ref_random_matrix(80 + s, n, e, y);
        for (int i = 0; i < n * e; i++) { y[i] = 0.5 + y[i] + 0.8 * x[i / e * d + i % e % d]; }
        sweep_case c = case_pair(x, y, n, d, e);
        char what[64];
        snprintf(what, sizeof what, "%d examples, %d and %d neurons", n, d, e);
        c.pairs = "all";
        wrong += compare(ctx, &c, what);
        for (int i = 0; i < csim_measure_count(); i++) {
            c.measures = csim_measure_get(i)->name;
            wrong += compare(ctx, &c, what);
        }
        c.measures = "hard_corr,procrustes,cka,dot";
        wrong += compare(ctx, &c, what);
        free(x);
        free(y);
    }
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

/* ---- routes ---- */

static csim__route route_of(csim_context *ctx, const sweep_case *c)
{
    int64_t width[2] = {c->site[0].d, c->site[1].d};
    const unsigned char wanted[4] = {0, 1, 0, 0};
    unsigned needs = 0;
    char text[256];
    csim__plan plan;
    strcpy(text, c->measures);
    for (char *word = strtok(text, ","); word != NULL; word = strtok(NULL, ",")) {
        needs |= csim_measure_find(word)->needs;
    }
    csim__problem p = {.n = c->site[0].n,
                       .sites = 2,
                       .width = width,
                       .wanted = wanted,
                       .needs = needs,
                       .size = csim_context_size(ctx),
                       .teams = {.p = 1, .q = 1}};
    assert_int_equal(csim__plan_make(ctx, &p, &plan), CSIM_OK);
    csim__route route = plan.pairs[plan.selves].route;
    csim__plan_clear(ctx, &plan);
    return route;
}

/* The same pair by Gram tiles, by the cross product and by the bases; and on either side of the
 * number of examples where the first takes over from the second. */
static void routes_agree(void **state)
{
    (void)state;
    static const struct {
        const char *measures;
        csim__route few, many;
    } list[] = {
        {"cka,cka_debiased,cka_lange,hsic", CSIM__ROUTE_GRAM, CSIM__ROUTE_CROSS},
        {"cka,cka_debiased,cka_lange,hsic,procrustes", CSIM__ROUTE_CROSS, CSIM__ROUTE_CROSS},
        {"cka,cka_debiased,cka_lange,hsic,hard_corr", CSIM__ROUTE_CROSS, CSIM__ROUTE_CROSS},
        {"cka,cka_debiased,cka_lange,hsic,svcca", CSIM__ROUTE_BASIS, CSIM__ROUTE_BASIS},
        {"cka,cka_debiased,cka_lange,hsic,hard_corr,pwcca", CSIM__ROUTE_BASIS, CSIM__ROUTE_BASIS},
    };
    enum { D = 25, E = 19, BORDER = 3 * (D + E), MOST = BORDER + 1 };
    static const char *const names[] = {"cka", "cka_debiased", "cka_lange", "hsic"};
    static double x[MOST * D], y[MOST * E];
    csim_context *ctx = harness_context();
    int wrong = 0;
    ref_random_matrix(95, MOST, D, x);
    ref_random_matrix(96, MOST, E, y);
    for (int i = 0; i < MOST * E; i++) { y[i] += x[i / E * D + i % E]; }
    for (int n = BORDER; n <= MOST; n++) {
        double first[4];
        for (size_t k = 0; k < sizeof list / sizeof *list; k++) {
            sweep_case c = case_pair(x, y, n, D, E);
            c.measures = list[k].measures;
            assert_int_equal(route_of(ctx, &c), n == BORDER ? list[k].few : list[k].many);
            csim_results *r = case_results(ctx, &c);
            for (int m = 0; m < 4; m++) {
                double v = case_value(r, names[m], 0, 0);
                if (k == 0) { first[m] = v; }
                case_near(&wrong, list[k].measures, names[m], v, first[m], 1e-13 * first[m]);
            }
            csim_results_free(&r);
        }
    }
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

/* ---- notes ---- */

static void notes_say_why(void **state)
{
    (void)state;
    enum { N = 40, D = 6, E = 5 };
    double x[N * D], y[N * E], column[N * D], hole[N * D];
    csim_context *ctx = harness_context();
    ref_random_matrix(91, N, D, x);
    ref_random_matrix(92, N, E, y);
    memcpy(column, x, sizeof x);
    memcpy(hole, x, sizeof x);
    for (int i = 0; i < N; i++) { column[i * D + 2] = 0.1; }
    for (int j = 0; j < D; j++) { hole[7 * D + j] = 0; }
    sweep_case c = {.pairs = "all"};
    case_add(&c, "s", x, N, D);
    case_add(&c, "s", y, N, E);
    case_add(&c, "s", column, N, D);
    case_add(&c, "s", hole, N, D);
    csim_results *r = case_results(ctx, &c);
    for (int i = 0; i < csim_measure_count(); i++) {
        const csim_measure *m = csim_measure_get(i);
        csim_note biased = m->props & CSIM_BIASED ? CSIM_NOTE_SMALL_SAMPLE : CSIM_NOTE_NONE;
        if (m->props & CSIM_EQUAL_WIDTHS) {
            assert_int_equal(case_note(r, m->name, 0, 1), CSIM_NOTE_WIDTHS);
            assert_int_equal(case_cell(r, m->name, 0, 1), CSIM_CELL_UNDEFINED);
        } else {
            assert_int_equal(case_note(r, m->name, 0, 1), biased); /* 40 < 10·6 */
        }
    }
    assert_int_equal(case_note(r, "hard_corr", 1, 2), CSIM_NOTE_CONSTANT_COLUMN);
    assert_int_equal(case_note(r, "soft_corr", 2, 1), CSIM_NOTE_CONSTANT_COLUMN);
    assert_int_equal(case_note(r, "hard_corr", 1, 3), CSIM_NOTE_NONE);
    assert_int_equal(case_note(r, "norm", 0, 3), CSIM_NOTE_ZERO_ROW);
    assert_int_equal(case_note(r, "align_cos", 1, 3), CSIM_NOTE_ZERO_ROW);
    assert_int_equal(case_note(r, "pwcca", 0, 0), CSIM_NOTE_NOT_UNIQUE);
    int wrong = 0;
    case_near(&wrong, "a zero row", "norm", case_value(r, "norm", 0, 3),
              case_reference(ctx, "norm", &c.site[0], &c.site[3]), 1e-13);
    case_near(&wrong, "a zero row", "align_cos", case_value(r, "align_cos", 1, 3),
              case_reference(ctx, "align_cos", &c.site[1], &c.site[3]), 1e-13);
    csim_results_free(&r);
    assert_int_equal(wrong, 0);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(invariances_tall),      cmocka_unit_test(invariances_gram_side),
        cmocka_unit_test(self_of_wide_sites),    cmocka_unit_test(symmetry),
        cmocka_unit_test(notes_say_why),         cmocka_unit_test(routes_agree),
        cmocka_unit_test(agrees_with_reference),
    };
    return harness_finish(cmocka_run_group_tests_name("measures", tests, NULL, NULL));
}
