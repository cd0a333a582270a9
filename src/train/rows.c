/* The rows of a training, read into the order of the examples, and how far each neuron spreads. */
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <xxhash.h>

#include "core/exact.h"
#include "train/trainer.h"

enum { SPAN = 1024, GAP = 8 }; /* rows read at once; rows read in vain rather than anew */

static csim_status refuse_value(csim__trainer *t, const csim__train_site *site, int64_t row,
                                int64_t column, double value)
{
    return csim__fail(t->ctx, CSIM_E_DATA,
                      "set %s, site %s: %s at row %" PRId64 ", column %" PRId64 "%s",
                      csim_set_name(site->set), csim_set_site(site->set, site->index)->name,
                      isnan(value) ? "NaN" : "infinity, or a value beyond float32,", row, column,
                      isfinite(value) ? "" : "; --nan drop-rows leaves such examples out");
}

/* The rows of one chunk of one site: list[0 … rows−1], ascending. */
static csim_status read_chunk(csim__trainer *t, const csim__train_site *site, const int64_t *list,
                              int64_t rows, double *span, float *to, uint64_t *hash)
{
    int64_t d = site->d;
    for (int64_t r = 0, end; r < rows; r = end) {
        for (end = r + 1;
             end < rows && list[end] - list[end - 1] <= GAP && list[end] - list[r] < SPAN;) {
            end++;
        }
        csim_status st =
            csim_set_read(site->set, site->index, list[r], list[end - 1] - list[r] + 1, span);
        if (st != CSIM_OK) { return st; }
        for (int64_t i = r; i < end; i++) {
            const double *row = span + (list[i] - list[r]) * d;
            for (int64_t j = 0; j < d; j++) {
                float value = (float)row[j];
                to[i * d + j] = value;
                if (!isfinite(value)) { return refuse_value(t, site, list[i], j, row[j]); }
            }
        }
    }
    *hash = XXH3_64bits_withSeed(to, (size_t)(rows * d) * sizeof *to, *hash);
    return CSIM_OK;
}

/* Fill the first order of a list of batches. Every chunk leaves a hash for each set. */
static csim_status read_batches(csim__trainer *t, csim__batches *b, const int64_t *row,
                                int64_t *hashes)
{
    int64_t widest = 0, at = 0;
    double *span = NULL;
    csim_status st = CSIM_OK;
    for (int s = 0; s < t->sites; s++) { widest = csim__max64(widest, t->width[s]); }
    CSIM_TRY(csim__alloc(t->ctx, SPAN * widest, sizeof *span, "rows", &span));
    for (int64_t i = 0; i < b->count; i++) {
        csim_shard s = csim__batch_shard(b, i);
        for (int64_t c = s.first; c < s.first + s.count; c++) {
            int64_t rows = csim__chunk_rows(&s, c), first = i * b->batch + csim__chunk_row(&s, c);
            float *to = csim__batch_chunk(b, i, c);
            for (int k = 0; k < t->sites; k++) {
                uint64_t hash = (uint64_t)hashes[(at + c) * t->set_count + t->site[k].model];
                CSIM_TRY(read_chunk(t, &t->site[k], row + first, rows, span, to, &hash));
                memcpy(&hashes[(at + c) * t->set_count + t->site[k].model], &hash, sizeof hash);
                to += rows * t->width[k];
            }
        }
        at += s.chunks;
    }
done:
    csim__free(t->ctx, &span);
    return st;
}

static int64_t count_chunks(const csim__batches *b)
{
    int64_t chunks = 0;
    for (int64_t i = 0; i < b->count; i++) { chunks += csim__batch_shard(b, i).chunks; }
    return chunks;
}

/* Hashes of all chunks, each made by one rank while the others hold 0; one for each set. */
static csim_status join_hashes(csim__trainer *t, int64_t *hashes, int64_t chunks)
{
    enum { PIECE = 1 << 24 };
    csim_status st = CSIM_OK;
    for (int64_t at = 0; st == CSIM_OK && at < chunks * t->set_count; at += PIECE) {
        int piece = (int)csim__min64(PIECE, chunks * t->set_count - at);
        st = csim__mpi(t->ctx,
                       MPI_Allreduce(MPI_IN_PLACE, hashes + at, piece, MPI_INT64_T, MPI_SUM,
                                     csim_context_comm(t->ctx)),
                       "checksums");
    }
    for (int m = 0; st == CSIM_OK && m < t->set_count; m++) {
        for (int64_t c = 0; c < chunks; c++) {
            t->checksum[m] =
                XXH3_64bits_withSeed(&hashes[c * t->set_count + m], sizeof *hashes, t->checksum[m]);
        }
    }
    return st;
}

csim_status csim__train_read(csim__trainer *t)
{
    int64_t *hashes = NULL, chunks = count_chunks(&t->batches), held = 0;
    csim_status st = CSIM_OK;
    csim__phase_begin(t->ctx, "read");
    if (t->held > 0) { held = count_chunks(&t->held_batches); }
    CSIM_TRY(
        csim__calloc(t->ctx, (chunks + held) * t->set_count, sizeof *hashes, "checksums", &hashes));
    CSIM_TRY(csim__calloc(t->ctx, t->set_count, sizeof *t->checksum, "checksums", &t->checksum));
    CSIM_TRY(read_batches(t, &t->batches, t->train_row, hashes));
    if (held > 0) {
        CSIM_TRY(read_batches(t, &t->held_batches, t->held_row, hashes + chunks * t->set_count));
    }
done:
    st = csim__vote(t->ctx, st);
    if (st == CSIM_OK) { st = csim__vote(t->ctx, join_hashes(t, hashes, chunks + held)); }
    csim__free(t->ctx, &hashes);
    csim__phase_end(t->ctx, 0, 4.0 * (double)t->batches.rows * (double)t->batches.width);
    return st;
}

/* Standard deviations of the neurons of one site, by exact sums over the first order. */
static csim_status deviations(csim__trainer *t, int k, int64_t before, float top)
{
    csim__train_site *site = &t->site[k];
    csim__exact *sum = NULL;
    int64_t d = site->d, n = t->examples;
    double bound = (double)top;
    int e1 = csim__exact_exponent(2 * (double)n * bound);
    int e2 = csim__exact_exponent(2 * (double)n * bound * bound);
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(t->ctx, d, sizeof(float), "deviations", &site->deviation));
    CSIM_TRY(csim__calloc(t->ctx, 2 * d, sizeof *sum, "sums of columns", &sum));
    for (int64_t i = 0; i < t->batches.count; i++) {
        csim_shard s = csim__batch_shard(&t->batches, i);
        for (int64_t c = s.first; c < s.first + s.count; c++) {
            int64_t rows = csim__chunk_rows(&s, c);
            const float *x = csim__batch_chunk(&t->batches, i, c) + rows * before;
            for (int64_t r = 0; r < rows * d; r++) {
                csim__exact_add(&sum[r % d], (double)x[r], e1);
                csim__exact_add(&sum[d + r % d], (double)x[r] * (double)x[r], e2);
            }
        }
    }
done:
    st = csim__vote(t->ctx, st);
    if (st == CSIM_OK) { st = csim__exact_reduce(t->ctx, sum, 2 * d); }
    for (int64_t j = 0; st == CSIM_OK && j < d; j++) {
        double mean = csim__exact_value(sum[j], e1) / (double)n;
        double square = csim__exact_value(sum[d + j], e2) / (double)n;
        site->deviation[j] = (float)sqrt(fmax(square - mean * mean, 0));
    }
    csim__free(t->ctx, &sum);
    return st;
}

csim_status csim__train_deviations(csim__trainer *t)
{
    int64_t before = 0;
    csim_status st = CSIM_OK;
    float top = csim__largest(t->batches.rows * t->batches.width, t->batches.now);
    st = csim__mpi(
        t->ctx, MPI_Allreduce(MPI_IN_PLACE, &top, 1, MPI_FLOAT, MPI_MAX, csim_context_comm(t->ctx)),
        "the largest value");
    for (int k = 0; st == CSIM_OK && k < t->sites; k++) {
        st = deviations(t, k, before, top);
        before += t->width[k];
    }
    return st;
}
