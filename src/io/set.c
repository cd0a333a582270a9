/* Sets: opening, describing and reading them. */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <xxhash.h>

#include "io/raw.h"
#include "io/set.h"
#include "io/shapes.h"

enum { MOST_OPEN = 64 }; /* files a set keeps open; ranks have about a thousand in all */

const csim_option csim_input_option_table[] = {
    {.name = "layers",
     .kind = CSIM_OPTION_TEXTS,
     .offset = offsetof(csim_input_options, layers),
     .metavar = "[SET:]LIST",
     .help =
         "Layers to use: names, indices (negative from the end), ranges a:b and globs, joined by"
         " commas; of one set when its name and a colon come first"},
    {.name = "examples",
     .kind = CSIM_OPTION_TEXT,
     .offset = offsetof(csim_input_options, examples),
     .metavar = "A:B",
     .help = "Examples to use, a half-open range; either end may be missing or count from the end"},
    {.name = "pool",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(csim_input_options, pool),
     .fallback = "none",
     .choices = "none|mean|max|flatten|first|last",
     .help = "How the positions of arrays of more than two dimensions become one row of neurons"},
    {.name = "axis",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(csim_input_options, axis),
     .fallback = "none",
     .choices = "none|nld|lnd",
     .help = "What the axes of a three-dimensional .npy are: examples, layers, neurons or layers,"
             " examples, neurons"},
    {.name = "neuron-axis",
     .kind = CSIM_OPTION_INT,
     .offset = offsetof(csim_input_options, neuron_axis),
     .fallback = "-1",
     .min = -1,
     .max = CSIM__MAX_DIMS - 1,
     .metavar = "AXIS",
     .help =
         "Axis of the neurons in arrays that are pooled; -1 is the last, or 1 of four-dimensional"
         " arrays"},
    {.name = "concat",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(csim_input_options, concat_rows),
     .fallback = "none",
     .choices = "none|rows",
     .help = "Join sites of the same name from several files or sub-folders by rows"},
    {.name = "nan",
     .kind = CSIM_OPTION_CHOICE,
     .offset = offsetof(csim_input_options, nan_drop_rows),
     .fallback = "error",
     .choices = "error|drop-rows",
     .help =
         "What to do about NaN and Inf in the input: stop, or drop those examples on all sides"},
    {.name = NULL}};

void csim__site_clear(csim_context *ctx, csim__site *site)
{
    for (int64_t i = 0; site->part != NULL && i < site->parts; ++i) {
        csim__free(ctx, &site->part[i].array.name);
    }
    csim__free(ctx, &site->part);
    csim__free(ctx, &site->name);
    csim__free(ctx, &site->shape);
    site->parts = 0;
}

void csim__set_clear(csim_set *set)
{
    csim_context *ctx = set->ctx;
    for (int64_t i = 0; set->site != NULL && i < set->sites; ++i) {
        csim__site_clear(ctx, &set->site[i]);
    }
    for (int64_t i = 0; set->companion != NULL && i < set->companions; ++i) {
        csim__site_clear(ctx, &set->companion[i]);
    }
    for (int64_t i = 0; set->file != NULL && i < set->files; ++i) {
        csim__set_file *f = &set->file[i];
        if (f->handle != NULL) { f->format->close(ctx, &f->handle); }
        csim__free(ctx, &f->path);
        csim__free(ctx, &f->part_of);
    }
    for (int64_t i = 0; set->strange != NULL && i < set->stranges; ++i) {
        csim__free(ctx, &set->strange[i]);
    }
    csim__free(ctx, &set->strange);
    csim__free(ctx, &set->dropped);
    csim__free(ctx, &set->site);
    csim__free(ctx, &set->companion);
    csim__free(ctx, &set->file);
    csim__free(ctx, &set->name);
    csim__free(ctx, &set->path);
    *set = (csim_set){.ctx = ctx};
}

/* Close the file that was not used for longest. */
static void close_oldest(csim_set *set)
{
    csim__set_file *oldest = NULL;
    for (int64_t i = 0; i < set->files; ++i) {
        csim__set_file *f = &set->file[i];
        if (f->handle != NULL && (oldest == NULL || f->used < oldest->used)) { oldest = f; }
    }
    if (oldest != NULL) {
        oldest->format->close(set->ctx, &oldest->handle);
        set->opened -= 1;
    }
}

/* The file must be here too, and the same as on rank 0. */
static csim_status check_file(csim_set *set, const csim__set_file *f)
{
    csim_status st = CSIM_OK;
    csim__raw *raw = NULL;
    CSIM_TRY(csim__raw_open(set->ctx, f->path, &raw));
    if (raw->size != f->bytes) {
        st = csim__fail(set->ctx, CSIM_E_IO,
                        "file %s: has %" PRId64 " bytes on rank %d, expected %" PRId64
                        " as rank 0 saw it",
                        f->path, raw->size, csim_context_rank(set->ctx), f->bytes);
    }
done:
    csim__raw_close(set->ctx, &raw);
    return st;
}

csim_status csim__set_handle(csim_set *set, int64_t file, void **handle)
{
    csim_status st = CSIM_OK;
    csim__set_file *f = &set->file[file];
    f->used = ++set->clock;
    if (f->handle == NULL) {
        if (set->opened >= MOST_OPEN) { close_oldest(set); }
        CSIM_TRY(check_file(set, f));
        CSIM_TRY(f->format->open(set->ctx, f->path, &f->handle));
        set->opened += 1;
    }
    *handle = f->handle;
done:
    return st;
}

/* What the public description borrows. */
static void describe_sites(csim_set *set)
{
    for (int64_t i = 0; i < set->sites; ++i) {
        csim__site *site = &set->site[i];
        site->info.name = site->name;
        site->info.shape = site->shape;
        site->info.file = site->part->array.path;
        site->info.dtype = site->part->array.dtype;
        site->info.n = set->kept - set->drops;
    }
}

/* Damage must not pass for numbers: formats with checksums are read once, each array by one rank. */
static csim_status check_sums(csim_set *set)
{
    csim_status st = CSIM_OK;
    int64_t turn = 0;
    int wanted = 0;
    for (int64_t i = 0; i < set->files; ++i) {
        wanted = wanted || set->file[i].format->check != NULL;
    }
    if (!wanted) { return CSIM_OK; }
    csim__phase_begin(set->ctx, "verify");
    for (int64_t i = 0; i < set->sites; ++i) {
        for (int64_t k = 0; k < set->site[i].parts; ++k) {
            const csim__part *p = &set->site[i].part[k];
            const csim__reader *format = set->file[p->file].format;
            void *handle;
            if (format->check == NULL ||
                turn++ % csim_context_size(set->ctx) != csim_context_rank(set->ctx)) {
                continue;
            }
            CSIM_TRY(csim__set_handle(set, p->file, &handle));
            CSIM_TRY(format->check(set->ctx, handle, &p->array));
        }
    }
done:
    csim__phase_end(set->ctx, 0, 0);
    return csim__vote(set->ctx, st);
}

static csim_status open_set(csim_context *ctx, const char *spec, const csim_input_options *options,
                            bool sums, csim_set **set)
{
    csim_set *s = NULL;
    *set = NULL;
    csim_status st = csim__calloc(ctx, 1, sizeof *s, "set", &s);
    if (st == CSIM_OK) { s->ctx = ctx; }
    CSIM_TRY(csim__vote(ctx, st));
    CSIM_TRY(csim__agree(ctx, XXH3_64bits(spec, strlen(spec)), "the names of a set"));
    if (csim_context_rank(ctx) == 0) {
        st = csim__set_find(s, spec, options);
        if (st == CSIM_OK) { st = csim__set_scan(s, options); }
        if (st == CSIM_OK && s->sites > INT32_MAX) {
            st = csim__fail(ctx, CSIM_E_LIMIT, "set %s: has too many sites", s->name);
        }
    }
    CSIM_TRY(csim__vote(ctx, st));
    CSIM_TRY(csim__set_share(s));
    describe_sites(s);
    CSIM_TRY(csim__vote(ctx, check_file(s, &s->file[s->site[0].part->file])));
    if (sums) { CSIM_TRY(check_sums(s)); }
    *set = s;
    return CSIM_OK;
done:
    csim_set_free(&s);
    return st;
}

csim_status csim_set_open(csim_context *ctx, const char *spec, const csim_input_options *options,
                          csim_set **set)
{
    return open_set(ctx, spec, options, true, set);
}

csim_status csim__set_headers(csim_context *ctx, const char *spec,
                              const csim_input_options *options, csim_set **set)
{
    return open_set(ctx, spec, options, false, set);
}

void csim_set_free(csim_set **set)
{
    if (*set == NULL) { return; }
    csim_context *ctx = (*set)->ctx;
    csim__set_clear(*set);
    csim__free(ctx, set);
}

const char *csim_set_name(const csim_set *set)
{
    return set->name;
}

const char *csim_set_path(const csim_set *set)
{
    return set->path;
}

const char *csim_set_format(const csim_set *set)
{
    for (int64_t i = 1; i < set->files; ++i) {
        if (set->file[i].format != set->file[0].format) { return "mixed"; }
    }
    return set->file[0].format->name;
}

int csim_set_site_count(const csim_set *set)
{
    return (int)set->sites;
}

const csim_site_info *csim_set_site(const csim_set *set, int i)
{
    return i >= 0 && i < set->sites ? &set->site[i].info : NULL;
}

int64_t csim_set_examples(const csim_set *set)
{
    return set->kept - set->drops;
}

int64_t csim_set_stored_examples(const csim_set *set)
{
    return set->stored;
}

int csim_set_file_count(const csim_set *set)
{
    return (int)set->files;
}

const char *csim_set_file(const csim_set *set, int i)
{
    return i >= 0 && i < set->files ? set->file[i].path : NULL;
}

int64_t csim_set_bytes(const csim_set *set)
{
    return set->bytes;
}

/* Example `row` of the present numbering, counted from the first stored one; *run = how many follow
 * it without a gap, itself included. */
static int64_t stored_row(const csim_set *set, int64_t row, int64_t *run)
{
    int64_t lo = 0, hi = set->drops; /* dropped[j] − j never falls */
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        if (set->dropped[mid] - mid <= row) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    int64_t kept = row + lo;
    *run = (lo < set->drops ? set->dropped[lo] : set->kept) - kept;
    return set->first + kept;
}

csim_status csim__set_check_rows(const csim_set *set, int64_t site, int64_t row0, int64_t rows)
{
    int64_t n = set->kept - set->drops;
    if (site < 0 || site >= set->sites) {
        return csim__fail(set->ctx, CSIM_E_ARG, "set %s: site %" PRId64 " of %" PRId64, set->name,
                          site, set->sites);
    }
    if (row0 < 0 || rows < 0 || row0 > n - rows) {
        return csim__fail(set->ctx, CSIM_E_ARG,
                          "set %s: rows %" PRId64 " to %" PRId64 " of %" PRId64, set->name, row0,
                          row0 + rows, n);
    }
    return CSIM_OK;
}

csim__piece csim__set_piece(const csim_set *set, const csim__site *site, int64_t row, int64_t rows)
{
    int64_t i = 0, axis = site->view.example_axis, run, at = stored_row(set, row, &run);
    rows = csim__min64(rows, run);
    while (at >= site->part[i].array.shape[axis]) { at -= site->part[i++].array.shape[axis]; }
    return (csim__piece){&site->part[i], at,
                         csim__min64(rows, site->part[i].array.shape[axis] - at)};
}

const char *csim_set_locate(const csim_set *set, int site, int64_t row, int64_t *stored)
{
    if (row < 0 || row >= csim_set_examples(set) || csim_set_site(set, site) == NULL) {
        return NULL;
    }
    csim__piece p = csim__set_piece(set, &set->site[site], row, 1);
    *stored = p.row0;
    return p.part->array.path;
}

csim_status csim_set_read(csim_set *set, int site, int64_t row0, int64_t rows, double *out)
{
    csim_status st = CSIM_OK;
    void *handle;
    CSIM_TRY(csim__set_check_rows(set, site, row0, rows));
    const csim__site *s = &set->site[site];
    for (int64_t done = 0; done < rows;) {
        csim__piece p = csim__set_piece(set, s, row0 + done, rows - done);
        CSIM_TRY(csim__set_handle(set, p.part->file, &handle));
        CSIM_TRY(csim__view_read(set->ctx, set->file[p.part->file].format, handle, &p.part->array,
                                 &s->view, p.row0, p.rows, out + done * s->info.d));
        done += p.rows;
    }
done:
    return st;
}

csim_status csim_set_drop_rows(csim_set *set, const int64_t *rows, int64_t count)
{
    csim_status st = CSIM_OK;
    int64_t *dropped = NULL, total = set->drops + count, run;
    for (int64_t i = 0; i < count; ++i) {
        if (rows[i] < 0 || rows[i] >= csim_set_examples(set) || (i > 0 && rows[i] <= rows[i - 1])) {
            return csim__fail(set->ctx, CSIM_E_ARG,
                              "set %s: rows to drop are not ascending rows of"
                              " the set (%" PRId64 " of %" PRId64 ")",
                              set->name, rows[i], csim_set_examples(set));
        }
    }
    CSIM_TRY(csim__alloc(set->ctx, total, sizeof *dropped, "list of dropped examples", &dropped));
    for (int64_t i = 0, old = 0, k = 0; k < total; ++k) { /* merge */
        int64_t next = i < count ? stored_row(set, rows[i], &run) - set->first : INT64_MAX;
        if (old < set->drops && set->dropped[old] < next) {
            dropped[k] = set->dropped[old++];
        } else {
            dropped[k] = next;
            i += 1;
        }
    }
    csim__free(set->ctx, &set->dropped);
    set->dropped = dropped;
    set->drops = total;
    describe_sites(set);
done:
    return st;
}
