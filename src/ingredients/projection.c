#include <math.h>
#include <string.h>

#include "core/exact.h"
#include "ingredients/cross.h"
#include "ingredients/feed.h"
#include "ingredients/gram.h"
#include "ingredients/projection.h"
#include "ingredients/site.h"
#include "linalg/dense.h"

enum { ROUND = 32 }; /* blocks of CKA at once */

/* Unit rows that are this near to their mean (root mean square) are equal: they come from float32,
 * whose rounding would be a hundredth of what they differ by. */
static const double flat = 1e-5;

/* A projection under way. */
typedef struct work {
    csim_context *ctx;
    const csim_shard *shard;
    const csim__site *site;
    int count, width, init;
    const csim_encoder *encoder;
    const unsigned char *wanted;
    int *input;    /* [count] input layers */
    double *raw;   /* [widest] a row as read */
    double *chunk; /* [chunk, widest] of streamed sites, else NULL */
    csim__guest *guest;
    csim__feed feed;
    float *x, *zf; /* [chunk, widest], [chunk, width] */
    double **z;    /* [count] encoded rows: of a chunk, or all of this rank's */
    int *lost;     /* [count] see csim__projection */
    csim__meter *meter;
} work;

static csim_status start(work *w, int64_t rows)
{
    int64_t widest = 0;
    csim_status st = CSIM_OK;
    for (int s = 0; s < w->count; s++) { widest = csim__max64(widest, w->site[s].d); }
    CSIM_TRY(csim__alloc(w->ctx, w->count, sizeof *w->input, "input layers", &w->input));
    CSIM_TRY(csim__calloc(w->ctx, w->count, sizeof *w->z, "encoded rows", &w->z));
    CSIM_TRY(csim__alloc(w->ctx, widest, sizeof(double), "a row", &w->raw));
    CSIM_TRY(csim__alloc(w->ctx, w->shard->chunk * widest, sizeof(float), "a chunk", &w->x));
    CSIM_TRY(csim__alloc(w->ctx, w->shard->chunk * w->width, sizeof(float), "a chunk", &w->zf));
    for (int s = 0; s < w->count; s++) {
        const csim__site *site = &w->site[s];
        CSIM_TRY(csim_encoder_input(w->ctx, w->encoder, site->d, site->model, &w->input[s]));
        CSIM_TRY(csim__alloc(w->ctx, rows * w->width, sizeof(double), "encoded rows", &w->z[s]));
    }
done:
    return st;
}

/* Rows of streamed sites begin to come, chunk by chunk and in each site by site. */
static csim_status begin_rows(work *w)
{
    csim_status st = CSIM_OK;
    int64_t widest = 0;
    if (!w->site[0].streamed) { return CSIM_OK; }
    CSIM_TRY(csim__calloc(w->ctx, w->count, sizeof *w->guest, "sites", &w->guest));
    for (int s = 0; s < w->count; s++) {
        w->guest[s].site = &w->site[s];
        widest = csim__max64(widest, w->site[s].d);
    }
    CSIM_TRY(csim__alloc(w->ctx, w->shard->chunk * widest, sizeof *w->chunk, "a chunk", &w->chunk));
    st = csim__feed_open(w->ctx, w->shard, w->guest, w->count, true, NULL, &w->feed);
done:
    return st;
}

static void end_rows(work *w)
{
    csim__feed_close(&w->feed);
    csim__free(w->ctx, &w->chunk);
    csim__free(w->ctx, &w->guest);
}

/* Row @p i of this rank as read; of a streamed site one of the chunk at hand. */
static void raw_row(work *w, const csim__site *site, int64_t i)
{
    if (!site->streamed) {
        csim__site_raw_row(site, i, w->raw);
        return;
    }
    const double *x = w->chunk + i % w->shard->chunk * site->d;
    for (int64_t j = 0; j < site->d; j++) {
        double centred = x[j] - site->mean[j]; /* rounded like rows that are held */
        w->raw[j] = centred + site->mean[j];
    }
}

static void finish(work *w)
{
    for (int s = 0; w->z != NULL && s < w->count; s++) { csim__free(w->ctx, &w->z[s]); }
    csim__free(w->ctx, &w->zf);
    csim__free(w->ctx, &w->x);
    csim__free(w->ctx, &w->raw);
    csim__free(w->ctx, &w->z);
    csim__free(w->ctx, &w->input);
}

/* A row came out that is no direction: is it the fault of the parameters? They meet a row of zeros
 * then. Otherwise the row was too large. */
static csim_status lose(work *w, int s)
{
    memset(w->x, 0, (size_t)w->site[s].d * sizeof *w->x);
    csim_status st = csim_encoder_encode(w->ctx, w->encoder, w->init, w->input[s], 1, w->x, w->zf);
    for (int j = 0; st == CSIM_OK && j < w->width; j++) {
        if (isfinite(w->zf[j])) { continue; }
        st = csim__fail(w->ctx, CSIM_E_NUMERIC, "encoder %s: a parameter is not a finite number",
                        csim_encoder_path(w->encoder));
    }
    w->lost[s] = 1;
    return st;
}

/* One chunk of one site, rows of length 1 to double precision: a site is 1 with itself. */
static csim_status encode_chunk(work *w, int s, int64_t c, double *z)
{
    const csim__site *site = &w->site[s];
    int64_t rows = csim__chunk_rows(w->shard, c), at = csim__chunk_row(w->shard, c);
    bool lost = false;
    csim__meter_add(w->meter, "encoding",
                    2.0 * (double)csim_encoder_parameters(w->encoder) * (double)rows);
    csim_status st = site->streamed ? csim__feed_read(&w->feed, w->chunk) : CSIM_OK;
    if (st != CSIM_OK) { return st; }
    if (site->unfit != CSIM_NOTE_NONE) { /* gets no value from any measure */
        memset(z, 0, (size_t)(rows * w->width) * sizeof *z);
        return CSIM_OK;
    }
    for (int64_t i = 0; i < rows; i++) {
        raw_row(w, site, at - w->shard->row0 + i);
        for (int64_t j = 0; j < site->d; j++) { w->x[i * site->d + j] = (float)w->raw[j]; }
    }
    st = csim_encoder_encode(w->ctx, w->encoder, w->init, w->input[s], rows, w->x, w->zf);
    for (int64_t i = 0; st == CSIM_OK && i < rows; i++) {
        const float *from = w->zf + i * w->width;
        double *to = z + i * w->width;
        for (int j = 0; j < w->width; j++) { to[j] = (double)from[j]; }
        double length = sqrt(csim__dot(w->width, to, to));
        if (!isfinite(length)) {
            lost = true;
            memset(to, 0, (size_t)w->width * sizeof *to);
        }
        for (int j = 0; length > 0 && isfinite(length) && j < w->width; j++) { to[j] /= length; }
    }
    return st == CSIM_OK && lost ? lose(w, s) : st;
}

/* ---- mean cosine ---- */

static csim_status aligned_pass(work *w, double *value)
{
    int64_t cells = (int64_t)w->count * w->count;
    double *part = NULL;
    csim__exact *sum = NULL;
    int e = csim__exact_exponent(2 * (double)w->shard->n);
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(w->ctx, cells, sizeof *part, "products", &part));
    CSIM_TRY(csim__calloc(w->ctx, cells, sizeof *sum, "sums", &sum));
    CSIM_TRY(begin_rows(w));
    for (int64_t c = w->shard->first; c < w->shard->first + w->shard->count; c++) {
        for (int s = 0; s < w->count; s++) { CSIM_TRY(encode_chunk(w, s, c, w->z[s])); }
        csim__inner_products((const double *const *)w->z, w->count,
                             csim__chunk_rows(w->shard, c) * w->width, w->wanted, part);
        for (int64_t i = 0; i < cells; i++) {
            if (w->wanted[i]) { csim__exact_add(&sum[i], part[i], e); }
        }
    }
done:
    end_rows(w);
    st = csim__vote(w->ctx, st);
    if (st == CSIM_OK) { st = csim__exact_reduce(w->ctx, sum, cells); }
    for (int64_t i = 0; st == CSIM_OK && i < cells; i++) {
        value[i] = w->wanted[i] ? csim__exact_value(sum[i], e) / (double)w->shard->n : NAN;
    }
    csim__free(w->ctx, &sum);
    csim__free(w->ctx, &part);
    return st;
}

/* ---- linear CKA ---- */

/* Sums of all columns of all sites over the examples; squares: of their squares. */
static csim_status column_sums(work *w, bool squares, double *out)
{
    int64_t columns = (int64_t)w->count * w->width;
    csim__exact *sum = NULL;
    double *part = NULL;
    int e = csim__exact_exponent(8 * (double)w->shard->n);
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__calloc(w->ctx, columns, sizeof *sum, "sums of columns", &sum));
    CSIM_TRY(csim__alloc(w->ctx, w->width, sizeof *part, "sums of columns", &part));
    for (int64_t c = w->shard->first; c < w->shard->first + w->shard->count; c++) {
        int64_t rows = csim__chunk_rows(w->shard, c);
        for (int s = 0; s < w->count; s++) {
            const double *z = w->z[s] + (csim__chunk_row(w->shard, c) - w->shard->row0) * w->width;
            memset(part, 0, (size_t)w->width * sizeof *part);
            for (int64_t i = 0; i < rows; i++) {
                for (int j = 0; j < w->width; j++) {
                    double v = z[i * w->width + j];
                    part[j] += squares ? v * v : v;
                }
            }
            for (int j = 0; j < w->width; j++) {
                csim__exact_add(&sum[(int64_t)s * w->width + j], part[j], e);
            }
        }
    }
done:
    st = csim__vote(w->ctx, st);
    if (st == CSIM_OK) { st = csim__exact_reduce(w->ctx, sum, columns); }
    for (int64_t i = 0; st == CSIM_OK && i < columns; i++) {
        out[i] = csim__exact_value(sum[i], e);
    }
    csim__free(w->ctx, &part);
    csim__free(w->ctx, &sum);
    return st;
}

/* Encode all rows, centre them, and bound their columns by their lengths in norm. */
static csim_status centred_rows(work *w, double *norm)
{
    csim_status st = CSIM_OK;
    CSIM_TRY(begin_rows(w));
    for (int64_t c = w->shard->first; c < w->shard->first + w->shard->count; c++) {
        int64_t at = (csim__chunk_row(w->shard, c) - w->shard->row0) * w->width;
        for (int s = 0; s < w->count; s++) { CSIM_TRY(encode_chunk(w, s, c, w->z[s] + at)); }
    }
done:
    end_rows(w);
    st = csim__vote(w->ctx, st);
    if (st == CSIM_OK) { st = column_sums(w, false, norm); }
    for (int s = 0; st == CSIM_OK && s < w->count; s++) {
        for (int64_t i = 0; i < w->shard->rows; i++) {
            for (int j = 0; j < w->width; j++) {
                w->z[s][i * w->width + j] -= norm[(int64_t)s * w->width + j] / (double)w->shard->n;
            }
        }
    }
    if (st == CSIM_OK) { st = column_sums(w, true, norm); }
    for (int64_t i = 0; st == CSIM_OK && i < (int64_t)w->count * w->width; i++) {
        norm[i] = norm[i] > 0 ? sqrt(norm[i]) * (1 + 1e-12) : 0;
    }
    return st;
}

/* ‖Z̃_aᵀZ̃_b‖_F² of the wanted pairs [first, last) in their order, each on its owner. */
static csim_status products(work *w, const csim__operand *operand, int64_t first, int64_t last,
                            double *square)
{
    csim__product list[ROUND];
    int64_t size = (int64_t)w->width * w->width, k = 0, cells = (int64_t)w->count * w->count;
    int64_t place[ROUND], many = 0;
    double *block[ROUND] = {NULL};
    csim_status st = CSIM_OK;
    for (int64_t i = 0; i < cells; i++) {
        int a = (int)(i / w->count), b = (int)(i % w->count);
        if (!w->wanted[i] || a > b) { continue; }
        if (k >= first && k < last) {
            int owner = (int)(k % w->shard->size);
            if (owner == w->shard->rank && st == CSIM_OK) {
                st = csim__alloc(w->ctx, size, sizeof(double), "a block", &block[many]);
            }
            list[many] = (csim__product){
                .left = &operand[a], .right = &operand[b], .owner = owner, .out = block[many]};
            place[many++] = i;
        }
        k++;
    }
    st = csim__vote(w->ctx, st);
    if (st == CSIM_OK) { st = csim__cross_pass(w->ctx, w->shard, list, many, w->meter); }
    for (int64_t i = 0; i < many; i++) {
        if (st == CSIM_OK && block[i] != NULL) {
            square[place[i]] = csim__dot(size, block[i], block[i]);
        }
        csim__free(w->ctx, &block[i]);
    }
    return st;
}

/* A site whose rows are equal to the digits of floats has no self-term; norm bounds its columns. */
static void drop_flat(const work *w, const double *norm, double *square)
{
    for (int64_t s = 0; s < w->count; s++) {
        double variance = csim__dot(w->width, norm + s * w->width, norm + s * w->width);
        if (!(variance > (double)w->shard->n * flat * flat)) { square[s * (w->count + 1)] = 0; }
    }
}

static csim_status cka_pass(work *w, double *value)
{
    int64_t cells = (int64_t)w->count * w->count, pairs = 0;
    double *norm = NULL, *square = NULL;
    csim__operand *operand = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(w->ctx, (int64_t)w->count * w->width, sizeof *norm, "norms", &norm));
    CSIM_TRY(csim__calloc(w->ctx, cells, sizeof *square, "products", &square));
    CSIM_TRY(csim__alloc(w->ctx, w->count, sizeof *operand, "operands", &operand));
    for (int s = 0; s < w->count; s++) {
        operand[s] =
            (csim__operand){.width = w->width, .x = w->z[s], .norm = norm + (int64_t)s * w->width};
    }
    for (int64_t i = 0; i < cells; i++) { pairs += w->wanted[i] != 0; }
done:
    st = csim__vote(w->ctx, st);
    if (st == CSIM_OK) { st = centred_rows(w, norm); }
    for (int64_t k = 0; st == CSIM_OK && k < pairs; k += ROUND) {
        st = products(w, operand, k, csim__min64(k + ROUND, pairs), square);
    }
    /* one rank has each number, the others 0 */
    if (st == CSIM_OK) {
        st = csim__mpi(w->ctx,
                       MPI_Allreduce(MPI_IN_PLACE, square, (int)cells, MPI_DOUBLE, MPI_MAX,
                                     csim_context_comm(w->ctx)),
                       "products of encoded rows");
    }
    if (st == CSIM_OK) { drop_flat(w, norm, square); }
    for (int64_t i = 0; st == CSIM_OK && i < cells; i++) {
        double a = square[i / w->count * (w->count + 1)], b = square[i % w->count * (w->count + 1)];
        value[i] = w->wanted[i] && a > 0 && b > 0 ? square[i] / (sqrt(a) * sqrt(b)) : NAN;
    }
    csim__free(w->ctx, &operand);
    csim__free(w->ctx, &square);
    csim__free(w->ctx, &norm);
    return st;
}

/* ---- all of it ---- */

/* Does the encoder's measure compare matching rows? Else it takes the CKA of all. */
static bool is_aligned(const csim_encoder *encoder)
{
    return strcmp(csim_encoder_measure(encoder), "deepcka") != 0;
}

int64_t csim__projection_bytes(const csim_encoder *encoder, const csim_shard *shard, int64_t sites,
                               int64_t pairs, int64_t widest)
{
    bool aligned = is_aligned(encoder);
    int64_t width = csim_encoder_width(encoder), cells = sites * sites, block = width * width;
    int64_t rows = aligned ? shard->chunk : shard->rows;
    int64_t bytes = 8 * sites * width * rows + 4 * shard->chunk * (widest + width) + 8 * widest;
    int64_t encoding = csim_encoder_bytes(encoder, shard->chunk);
    bytes += sites * 16 + cells;
    if (aligned) { return bytes + encoding + 24 * cells; /* products and their sums */ }
    /* one after the other: encoding, sums of columns, blocks of a round and those under way */
    int64_t own = (csim__min64(ROUND, pairs) + shard->size - 1) / shard->size;
    int64_t panels = (shard->size > 1 ? 3 : 1) * csim__cross_panel(width, width);
    int64_t most = csim__max64(encoding, 16 * sites * width + 8 * width);
    most = csim__max64(most, 8 * (block * own + panels + 2 * width));
    return bytes + 8 * sites * width + 8 * cells + sites * (int64_t)sizeof(csim__operand) + most;
}

int64_t csim__projection_kept(const csim_encoder *encoder, int64_t sites)
{
    return sites * sites * csim_encoder_inits(encoder) * 8 + sites * 4;
}

double csim__projection_flops(const csim_encoder *encoder, int64_t n, int64_t sites, int64_t pairs)
{
    double width = csim_encoder_width(encoder), inits = csim_encoder_inits(encoder);
    double row = 2.0 * (double)csim_encoder_parameters(encoder) * (double)sites;
    if (!is_aligned(encoder)) { row += width * width * (double)(2 * pairs + sites); }
    return inits * (double)n * row;
}

/* Who lost rows, on any rank; their pairs have no value. */
static csim_status share_losses(work *w, csim__projection *p)
{
    int64_t cells = (int64_t)w->count * w->count;
    csim_status st = csim__mpi(
        w->ctx,
        MPI_Allreduce(MPI_IN_PLACE, p->lost, w->count, MPI_INT, MPI_MAX, csim_context_comm(w->ctx)),
        "sites that are lost");
    for (int64_t i = 0; st == CSIM_OK && i < cells * p->inits; i++) {
        if (p->lost[i % cells / w->count] || p->lost[i % w->count]) { p->value[i] = NAN; }
    }
    return st;
}

csim_status csim__project(csim_context *ctx, const csim_shard *shard, const csim__site *sites,
                          int count, const csim_encoder *encoder, const unsigned char *wanted,
                          csim__meter *meter, csim__projection *projection)
{
    bool aligned = is_aligned(encoder);
    work w = {.ctx = ctx,
              .shard = shard,
              .site = sites,
              .count = count,
              .width = csim_encoder_width(encoder),
              .encoder = encoder,
              .wanted = wanted,
              .meter = meter};
    int64_t cells = (int64_t)count * count;
    int ignore;
    csim_status st = CSIM_OK;
    *projection = (csim__projection){
        .encoder = encoder, .sites = count, .inits = csim_encoder_inits(encoder)};
    csim__phase_begin(ctx, "projection");
    CSIM_TRY(csim__int(ctx, cells, "pairs of sites", &ignore));
    CSIM_TRY(csim__alloc(ctx, cells * projection->inits, sizeof(double), "values of pairs",
                         &projection->value));
    CSIM_TRY(
        csim__calloc(ctx, count, sizeof *projection->lost, "marks of sites", &projection->lost));
    w.lost = projection->lost;
    CSIM_TRY(start(&w, aligned ? shard->chunk : shard->rows));
done:
    st = csim__vote(ctx, st);
    for (w.init = 0; st == CSIM_OK && w.init < projection->inits; w.init++) {
        double *value = projection->value + w.init * cells;
        st = aligned ? aligned_pass(&w, value) : cka_pass(&w, value);
    }
    if (st == CSIM_OK) { st = share_losses(&w, projection); }
    finish(&w);
    csim__phase_end(ctx, 0, 0);
    return st;
}

void csim__projection_clear(csim_context *ctx, csim__projection *projection)
{
    csim__free(ctx, &projection->value);
    csim__free(ctx, &projection->lost);
}
