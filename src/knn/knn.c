/* Lists of neighbours to a file, layer after layer. */
#include <string.h>

#include "contrasim/knn.h"
#include "contrasim/native.h"
#include "ingredients/neighbours.h"
#include "ingredients/rows.h"
#include "ingredients/site.h"
#include "io/knn_file.h"
#include "io/stamp.h"
#include "sweep/cells.h"

const csim_option csim_knn_option_table[] = {
    {.name = "k",
     .kind = CSIM_OPTION_REAL,
     .offset = offsetof(csim_knn_options, k),
     .fallback = "10",
     .min = 0,
     .max = 1e300,
     .metavar = "COUNT",
     .help = "neighbours of each example: a whole number, or below 1 a share of the examples"},
    {.name = "metric",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(csim_knn_options, metric),
     .fallback = "euclidean",
     .choices = "cosine|euclidean|inner",
     .help = "what neighbours are near by: the cosine, the distance or the inner product"},
    {.name = NULL},
};

static const char *const metric_name[CSIM_METRICS] = {"cosine", "euclidean", "inner"};
static const char *const metric_about[CSIM_METRICS] = {
    "1 - cosine of the rows, a row of zeros has cosine 0", "Euclidean distance of the rows",
    "inner product of the rows, negated"};

typedef struct knn {
    csim_context *ctx;
    csim_set *const *sets;
    int set_count, count;
    const csim_knn_options *options;
    const csim_knn_output *output;
    csim_shard shard;
    int64_t k;
    csim__site *site;      /* [count] without rows but for the one at hand */
    csim__knn_site *label; /* [count] */
    csim__knn_about about;
    csim__knn_file *file;
    csim__meter meter;
} knn;

/* Layers of all sets, and how many neighbours. Local. */
static csim_status prepare(knn *w)
{
    csim_context *ctx = w->ctx;
    int64_t n = csim_set_examples(w->sets[0]);
    int at = 0;
    double flops = 0;
    csim_status st = CSIM_OK;
    w->shard = csim__shard(n, csim_context_rank(ctx), csim_context_size(ctx));
    w->k = csim_neighbours(w->options->k, n);
    if (w->k == 0) {
        return csim__fail(ctx, CSIM_E_USAGE,
                          "--k: found %.15g, expected a whole number of neighbours from 1 to %lld, "
                          "as there are %lld examples, or a share of them, below 1, that is 1 "
                          "neighbour or more",
                          w->options->k, (long long)n - 1, (long long)n);
    }
    for (int s = 0; s < w->set_count; s++) { w->count += csim_set_site_count(w->sets[s]); }
    CSIM_TRY(csim__calloc(ctx, w->count, sizeof *w->site, "sites", &w->site));
    CSIM_TRY(csim__calloc(ctx, w->count, sizeof *w->label, "sites", &w->label));
    for (int s = 0; s < w->set_count; s++) {
        for (int i = 0; i < csim_set_site_count(w->sets[s]); i++, at++) {
            const csim__site *site = &w->site[at];
            w->site[at] = csim__site_of(w->sets[s], i);
            w->label[at] = (csim__knn_site){site->model, site->layer, site->d};
            flops += (double)n * (double)n * (double)site->d;
        }
    }
    w->meter.total = flops;
    w->about = (csim__knn_about){.examples = n,
                                 .k = w->k,
                                 .metric = metric_name[w->options->metric],
                                 .distance = metric_about[w->options->metric],
                                 .site = w->label,
                                 .sites = w->count};
done:
    return st;
}

/* The rows are looked at first as a sweep does it: NaN, checksum, range. */
static csim_status read_site(knn *w, int s, double **rows)
{
    csim_context *ctx = w->ctx;
    csim__site *site = &w->site[s];
    csim_shard shard;
    csim_status st = csim__ingest(ctx, site, 1, CSIM_DOUBLE, &shard);
    csim__site_release(ctx, site);
    if (st == CSIM_OK && site->unfit != CSIM_NOTE_NONE) {
        return csim__vote(ctx, csim__fail(ctx, CSIM_E_DATA, "site %s of set %s: %s", site->layer,
                                          site->model, csim_note_text(site->unfit)));
    }
    if (st != CSIM_OK) { return st; }
    st = csim__alloc(ctx, w->shard.rows * site->d, sizeof **rows, "rows of a site", rows);
    st = csim__vote(ctx, st);
    return st == CSIM_OK ? csim__raw_rows(ctx, &w->shard, site, *rows) : st;
}

static csim_status one_site(knn *w, int s)
{
    csim_context *ctx = w->ctx;
    const csim_shard *shard = &w->shard;
    int64_t k[CSIM_METRICS] = {0};
    double *rows = NULL;
    csim__near near[CSIM_METRICS] = {{.k = 0}};
    const csim__near *list = &near[w->options->metric];
    csim_status st = read_site(w, s, &rows);
    k[w->options->metric] = w->k;
    if (st == CSIM_OK) {
        st = csim__neighbours(ctx, shard, w->site[s].d, rows, k, &w->meter, near);
    }
    if (st != CSIM_OK) { goto done; }
    csim__free(ctx, &rows);
    csim__phase_begin(ctx, "write");
    for (int64_t c = 0; st == CSIM_OK && c < shard->count; c++) {
        int64_t row = csim__chunk_row(shard, shard->first + c);
        int64_t at = (row - shard->row0) * w->k;
        st = csim__knn_file_put(w->file, s, row, csim__chunk_rows(shard, shard->first + c),
                                list->index + at, list->distance + at);
    }
    csim__phase_end(ctx, 0, (double)(shard->rows * w->k) * 12);
    st = csim__vote(ctx, st);
done:
    csim__near_clear(ctx, &near[w->options->metric]);
    csim__free(ctx, &rows);
    return st;
}

/* Where the file comes from; rank 0's clock and host are those of all. */
static csim_status describe(knn *w)
{
    csim_context *ctx = w->ctx;
    csim__stamp stamp = {.history = NULL};
    char *names = NULL, *sums = NULL, times[2][32];
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__inputs_text(ctx, w->site, w->sets, w->set_count, &sums));
    CSIM_TRY(csim__inputs_names(ctx, w->sets, w->set_count, &names));
    CSIM_TRY(csim__stamp_take(ctx, w->output->command, NULL, w->output->start, &stamp));
done:
    st = csim__vote(ctx, st);
    if (st == CSIM_OK) {
        memcpy(times[0], stamp.start, sizeof times[0]);
        memcpy(times[1], stamp.end, sizeof times[1]);
        MPI_Bcast(times, sizeof times, MPI_CHAR, 0, csim_context_comm(ctx));
        MPI_Bcast(stamp.host, sizeof stamp.host, MPI_CHAR, 0, csim_context_comm(ctx));
        /* the time in front of the command has the length of any other */
        memcpy(stamp.history, times[1], strlen(times[1]));
        const char *const text[][2] = {{"source", "contrasim " CSIM_VERSION},
                                       {"input_names", names},
                                       {"input_checksums", sums},
                                       {"configuration", w->output->configuration},
                                       {"history", stamp.history},
                                       {"run_host", stamp.host},
                                       {"run_start", times[0]},
                                       {"run_end", times[1]}};
        for (size_t i = 0; st == CSIM_OK && i < sizeof text / sizeof *text; i++) {
            st = csim__knn_file_text(w->file, text[i][0], text[i][1]);
        }
        if (st == CSIM_OK) {
            st = csim__knn_file_whole(w->file, "run_ranks", csim_context_size(ctx));
        }
        st = csim__vote(ctx, st);
    }
    csim__free(ctx, &stamp.history);
    csim__free(ctx, &names);
    csim__free(ctx, &sums);
    return st;
}

csim_status csim_knn(csim_context *ctx, csim_set *const *sets, int set_count,
                     const csim_knn_options *options, int nan_drop_rows,
                     const csim_knn_output *output, csim_progress_fn progress, void *progress_user)
{
    knn w = {.ctx = ctx,
             .sets = sets,
             .set_count = set_count,
             .options = options,
             .output = output,
             .meter = {.fn = csim_context_rank(ctx) == 0 ? progress : NULL,
                       .user = progress_user,
                       .size = csim_context_size(ctx)}};
    csim_status st = CSIM_OK;
    csim__phase_begin(ctx, "knn");
    CSIM_TRY(csim_sets_match(ctx, sets, set_count));
    if (nan_drop_rows) {
        int64_t dropped;
        CSIM_TRY(csim_sets_drop_bad_rows(ctx, sets, set_count, &dropped));
    }
    CSIM_TRY(csim__vote(ctx, prepare(&w)));
    CSIM_TRY(csim__knn_file_make(ctx, output->path, output->overwrite, &w.about, &w.file));
    for (int s = 0; s < w.count; s++) { CSIM_TRY(one_site(&w, s)); }
    CSIM_TRY(describe(&w));
    CSIM_TRY(csim__knn_file_finish(w.file));
done:
    csim__knn_file_close(ctx, &w.file);
    csim__free(ctx, &w.label);
    csim__free(ctx, &w.site);
    csim__phase_end(ctx, 0, 0);
    return st;
}
