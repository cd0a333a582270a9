/* Values of one decision: closed-form measures by a sweep of this rank alone over the group's rows,
 * learned ones from rows that are encoded already. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "ingredients/rows.h"
#include "linalg/dense.h"

enum { NAME = 24 };

struct csim__judge {
    csim_context *alone; /* over this rank */
    const csim_bench_measure *measure;
    int measures;
    int64_t group, groups;     /* groups: the true one and the candidates */
    csim_sweep_measure *swept; /* [sweeps] closed forms over whole groups */
    int *swept_place, sweeps;  /* [sweeps] whose they are */
    int by_rows;               /* how many measures take rows one by one */
    csim_sweep_measure cka;    /* of encoded rows; measure NULL unless needed */
    int64_t *row;              /* [groups, group] which rows the groups are of */
    double *rows;              /* [groups, group, widest] */
    float *code;               /* [groups, group, encoded width] for cka */
    char (*name)[NAME];        /* [groups] */
    csim_memory_site *site;    /* [groups] */

    /* for measures by rows */
    double *zero;         /* [max(widest, group)] */
    csim__site *plain;    /* [groups + 1] the query first */
    csim__couple *couple; /* [groups] */
    csim__row_sums *sums; /* [groups] */
};

/* The judge's own context says what went wrong; pass it on. */
static csim_status pass_on(csim_context *ctx, csim__judge *j, csim_status st)
{
    return st == CSIM_OK ? st : csim__fail(ctx, st, "%s", csim_context_error(j->alone));
}

static csim_status make_room(csim__judge *j, int64_t widest, int64_t encoded)
{
    csim_context *ctx = j->alone;
    int64_t rows = j->groups * j->group, most = csim__max64(widest, j->group);
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(ctx, j->measures, sizeof *j->swept, "measures", &j->swept));
    CSIM_TRY(csim__alloc(ctx, j->measures, sizeof *j->swept_place, "measures", &j->swept_place));
    CSIM_TRY(csim__alloc(ctx, rows, sizeof *j->row, "rows of candidates", &j->row));
    CSIM_TRY(csim__alloc(ctx, rows * widest, sizeof *j->rows, "candidates", &j->rows));
    CSIM_TRY(csim__alloc(ctx, rows * encoded, sizeof *j->code, "candidates", &j->code));
    CSIM_TRY(csim__alloc(ctx, j->groups, sizeof *j->name, "names", &j->name));
    CSIM_TRY(csim__alloc(ctx, j->groups, sizeof *j->site, "candidates", &j->site));
    CSIM_TRY(csim__calloc(ctx, most, sizeof *j->zero, "means", &j->zero));
    CSIM_TRY(csim__alloc(ctx, j->groups + 1, sizeof *j->plain, "candidates", &j->plain));
    CSIM_TRY(csim__alloc(ctx, j->groups, sizeof *j->couple, "pairs", &j->couple));
    CSIM_TRY(csim__alloc(ctx, j->groups, sizeof *j->sums, "row sums", &j->sums));
    for (int64_t i = 0; i < j->groups; i++) {
        snprintf(j->name[i], NAME, "%lld", (long long)i);
        j->couple[i] = (csim__couple){0, (int)i + 1};
    }
done:
    return st;
}

static bool is_cka(const csim_bench_measure *m)
{
    return m->encoder != NULL && strcmp(csim_encoder_measure(m->encoder), "deepcka") == 0;
}

csim_status csim__judge_make(csim_context *ctx, const csim_bench_measure *measures, int count,
                             const csim_retrieval_options *options, int64_t widest,
                             csim__judge **judge)
{
    csim__judge *j = NULL;
    int64_t encoded = 0;
    csim_status st = CSIM_OK;
    *judge = NULL;
    CSIM_TRY(csim__calloc(ctx, 1, sizeof *j, "a judge", &j));
    st = csim_context_create(MPI_COMM_SELF, &j->alone);
    if (st != CSIM_OK) { CSIM_TRY(csim__fail(ctx, st, "no context for one rank")); }
    j->measure = measures;
    j->measures = count;
    j->group = options->group;
    j->groups = options->candidates + 1;
    for (int m = 0; m < count; m++) {
        if (!is_cka(&measures[m])) { continue; }
        encoded = csim__max64(encoded, csim_encoder_width(measures[m].encoder));
        j->cka = (csim_sweep_measure){.measure = csim_measure_find("cka")};
    }
    CSIM_TRY(pass_on(ctx, j, make_room(j, widest, encoded)));
    for (int m = 0; m < count; m++) {
        if (measures[m].encoder != NULL) { continue; }
        if (csim__bench_by_rows(measures[m].measure)) {
            j->by_rows++;
            continue;
        }
        j->swept_place[j->sweeps] = m;
        j->swept[j->sweeps++] = (csim_sweep_measure){measures[m].measure, measures[m].options};
    }
    *judge = j;
    j = NULL;
done:
    csim__judge_free(ctx, &j);
    return st;
}

void csim__judge_free(csim_context *ctx, csim__judge **judge)
{
    csim__judge *j = *judge;
    if (j == NULL) { return; }
    if (j->alone != NULL) {
        csim__free(j->alone, &j->sums);
        csim__free(j->alone, &j->couple);
        csim__free(j->alone, &j->plain);
        csim__free(j->alone, &j->zero);
        csim__free(j->alone, &j->site);
        csim__free(j->alone, &j->name);
        csim__free(j->alone, &j->code);
        csim__free(j->alone, &j->rows);
        csim__free(j->alone, &j->row);
        csim__free(j->alone, &j->swept_place);
        csim__free(j->alone, &j->swept);
    }
    csim_context_free(&j->alone);
    csim__free(ctx, judge);
}

/* One sweep of a query site against all groups; values [measures, groups]. Local to this rank. */
static csim_status sweep(csim__judge *j, const csim_memory_site *query,
                         const csim_sweep_measure *measures, int count, csim_results **results)
{
    csim_set *sets[2] = {NULL, NULL};
    csim_sweep_options options = {.measures = measures, .measure_count = count};
    csim_status st = CSIM_OK;
    *results = NULL;
    CSIM_TRY(csim_set_from_memory(j->alone, "query", j->group, query, 1, &sets[0]));
    CSIM_TRY(csim_set_from_memory(j->alone, "groups", j->group, j->site, (int)j->groups, &sets[1]));
    CSIM_TRY(csim_sweep(j->alone, sets, 2, &options, results));
done:
    csim_set_free(&sets[1]);
    csim_set_free(&sets[0]);
    return st;
}

static void take(const csim__judge *j, csim_results *results, int v, double *value)
{
    const double *values = csim_results_values(results, v);
    const int8_t *cells = csim_results_cells(results, v);
    for (int64_t i = 0; i < j->groups; i++) {
        value[i] = cells[i] == CSIM_CELL_DONE ? values[i] : (double)NAN;
    }
}

static csim_status closed_forms(csim__judge *j, const csim__choice *c, int64_t k, double *value)
{
    csim_memory_site query = {.name = "query",
                              .dtype = CSIM_F64,
                              .d = c->width[0],
                              .rows = c->rows[0] + k * j->group * c->width[0]};
    csim_results *results = NULL;
    csim_status st = CSIM_OK;
    for (int64_t i = 0; i < j->groups; i++) {
        j->site[i] = (csim_memory_site){.name = j->name[i],
                                        .dtype = CSIM_F64,
                                        .d = c->width[1],
                                        .rows = j->rows + i * j->group * c->width[1]};
    }
    CSIM_TRY(sweep(j, &query, j->swept, j->sweeps, &results));
    for (int s = 0; s < j->sweeps; s++) {
        int v = csim_results_find(results, j->swept[s].measure->name);
        take(j, results, v, value + j->swept_place[s] * j->groups);
    }
done:
    csim_results_free(&results);
    return st;
}

/* A site whose rows are taken as they are: what measures by rows look at. */
static csim__site plain_site(const csim__judge *j, double *rows, int64_t d)
{
    return (csim__site){.n = j->group,
                        .d = d,
                        .x = rows,
                        .mean = j->zero,
                        .row_square = j->zero,
                        .raw_square = csim__dot(j->group * d, rows, rows)};
}

static csim_status measures_by_rows(csim__judge *j, const csim__choice *c, double *query,
                                    double *value)
{
    csim_shard shard = csim__shard(j->group, 0, 1);
    csim_status st = CSIM_OK;
    j->plain[0] = plain_site(j, query, c->width[0]);
    for (int64_t i = 0; i < j->groups; i++) {
        j->plain[i + 1] = plain_site(j, j->rows + i * j->group * c->width[1], c->width[1]);
    }
    for (int64_t i = 0; i <= j->groups; i++) {
        if (!isfinite(j->plain[i].raw_square)) {
            return csim__fail(j->alone, CSIM_E_DATA,
                              "values too large for sums of squares in double precision");
        }
    }
    CSIM_TRY(csim__sum_rows(j->alone, &shard, j->plain, j->couple, j->groups, true, j->sums));
    for (int m = 0; m < j->measures; m++) {
        const csim_bench_measure *b = &j->measure[m];
        if (b->encoder != NULL || !csim__bench_by_rows(b->measure)) { continue; }
        for (int64_t i = 0; i < j->groups; i++) {
            csim_value out = {.value = NAN, .cell = CSIM_CELL_UNDEFINED};
            csim_pair pair = {
                .ctx = j->alone, .site = {&j->plain[0], &j->plain[i + 1]}, .rows = j->sums[i]};
            CSIM_TRY(b->measure->finish(&pair, b->options, &out));
            value[m * j->groups + i] = out.cell == CSIM_CELL_DONE ? out.value : (double)NAN;
        }
    }
done:
    return st;
}

static double dot(int64_t n, const float *x, const float *y)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) { sum += (double)x[i] * (double)y[i]; }
    return sum;
}

/* Mean over inits of the mean cosine of matching rows. */
static void mean_cosine(const csim__judge *j, const csim__choice *c, int m, int64_t k,
                        double *value)
{
    const csim_encoder *e = j->measure[m].encoder;
    int64_t width = csim_encoder_width(e), inits = csim_encoder_inits(e), g = j->group;
    for (int64_t i = 0; i < j->groups; i++) {
        value[i] = 0;
        for (int64_t init = 0; init < inits; init++) {
            const float *x = c->code[0][m] + init * c->total * width;
            const float *y = c->code[1][m] + init * c->total * width;
            double sum = 0;
            for (int64_t r = 0; r < g; r++) {
                sum += dot(width, x + (k * g + r) * width, y + j->row[i * g + r] * width);
            }
            value[i] += sum / (double)g;
        }
        value[i] /= (double)inits;
    }
}

/* Mean over inits of linear CKA of the encoded rows. */
static csim_status mean_cka(csim__judge *j, const csim__choice *c, int m, int64_t k, double *value)
{
    const csim_encoder *e = j->measure[m].encoder;
    int64_t width = csim_encoder_width(e), inits = csim_encoder_inits(e);
    csim_results *results = NULL;
    csim_status st = CSIM_OK;
    for (int64_t i = 0; i < j->groups; i++) { value[i] = 0; }
    for (int64_t init = 0; init < inits; init++) {
        const float *x = c->code[0][m] + init * c->total * width;
        const float *y = c->code[1][m] + init * c->total * width;
        csim_memory_site query = {
            .name = "query", .dtype = CSIM_F32, .d = width, .rows = x + k * j->group * width};
        for (int64_t i = 0; i < j->groups; i++) {
            float *to = j->code + i * j->group * width;
            for (int64_t r = 0; r < j->group; r++) {
                memcpy(to + r * width, y + j->row[i * j->group + r] * width,
                       (size_t)width * sizeof *to);
            }
            j->site[i] =
                (csim_memory_site){.name = j->name[i], .dtype = CSIM_F32, .d = width, .rows = to};
        }
        CSIM_TRY(sweep(j, &query, &j->cka, 1, &results));
        for (int64_t i = 0; i < j->groups; i++) {
            bool done = csim_results_cells(results, 0)[i] == CSIM_CELL_DONE;
            value[i] += done ? csim_results_values(results, 0)[i] / (double)inits : (double)NAN;
        }
        csim_results_free(&results);
    }
done:
    csim_results_free(&results);
    return st;
}

/* Which rows the groups are of, and these rows side by side where a closed form takes them. */
static void gather(csim__judge *j, const csim__choice *c, const csim__draw *draw, int64_t k)
{
    for (int64_t r = 0; r < j->group; r++) { j->row[r] = k * j->group + r; }
    for (int64_t i = 1; i < j->groups; i++) {
        int64_t *row = j->row + i * j->group;
        if (c->near == NULL) { csim__bench_candidate(draw, k, i - 1, row); }
        for (int64_t r = 0; c->near != NULL && r < j->group; r++) {
            row[r] = c->near[j->row[r] * (j->groups - 1) + i - 1];
        }
    }
    int64_t d = c->width[1];
    for (int64_t i = 0; c->rows[1] != NULL && i < j->groups * j->group; i++) {
        memcpy(j->rows + i * d, c->rows[1] + j->row[i] * d, (size_t)d * sizeof *j->rows);
    }
}

csim_status csim__judge_values(csim_context *ctx, csim__judge *j, const csim__choice *c,
                               const csim__draw *draw, int64_t k, double *value)
{
    csim_status st = CSIM_OK;
    gather(j, c, draw, k);
    if (j->sweeps > 0) { CSIM_TRY(closed_forms(j, c, k, value)); }
    if (j->by_rows > 0) {
        CSIM_TRY(measures_by_rows(j, c, c->rows[0] + k * j->group * c->width[0], value));
    }
    for (int m = 0; m < j->measures; m++) {
        if (j->measure[m].encoder == NULL) { continue; }
        if (is_cka(&j->measure[m])) {
            CSIM_TRY(mean_cka(j, c, m, k, value + m * j->groups));
        } else {
            mean_cosine(j, c, m, k, value + m * j->groups);
        }
    }
done:
    return pass_on(ctx, j, st);
}
