/* Can sets be compared row by row? */
#include <inttypes.h>
#include <string.h>

#include "io/set.h"
#include "io/shapes.h"

enum { BLOCK = 4096 }; /* ids compared at once */

static csim_status check_names(csim_context *ctx, csim_set *const *sets, int count)
{
    for (int i = 0; i < count; ++i) {
        for (int j = 0; j < i; ++j) {
            if (strcmp(sets[i]->name, sets[j]->name) == 0) {
                return csim__fail(ctx, CSIM_E_ARG,
                                  "two sets are called %s (%s and %s): give one"
                                  " another name with name=path",
                                  sets[i]->name, sets[j]->path, sets[i]->path);
            }
        }
    }
    return CSIM_OK;
}

/* A --layers text that looks like SET:LIST must be the text of a set. */
static csim_status check_strange(csim_context *ctx, csim_set *const *sets, int count)
{
    for (int64_t k = 0; count > 0 && k < sets[0]->stranges; ++k) {
        const char *text = sets[0]->strange[k];
        int everywhere = 1;
        for (int i = 1; everywhere && i < count; ++i) {
            int here = 0;
            for (int64_t j = 0; j < sets[i]->stranges; ++j) {
                here = here || strcmp(sets[i]->strange[j], text) == 0;
            }
            everywhere = here;
        }
        if (everywhere) {
            return csim__fail(ctx, CSIM_E_ARG, "--layers %s: no set is called %.*s", text,
                              (int)strcspn(text, ":"), text);
        }
    }
    return CSIM_OK;
}

static csim_status check_sizes(csim_context *ctx, csim_set *const *sets, int count)
{
    for (int i = 1; i < count; ++i) {
        int64_t m = csim_set_examples(sets[0]), n = csim_set_examples(sets[i]);
        if (m != n) {
            return csim__fail(ctx, CSIM_E_SHAPE,
                              "set %s has %" PRId64 " examples (%s), set %s has %" PRId64
                              " (%s), expected the same",
                              sets[0]->name, m, sets[0]->path, sets[i]->name, n, sets[i]->path);
        }
    }
    return CSIM_OK;
}

/* Is a site the first of its set whose rows lie in that file? */
static int is_new_file(const csim_set *set, int64_t site)
{
    for (int64_t i = 0; i < site; ++i) {
        if (set->site[i].part->file == set->site[site].part->file) { return 0; }
    }
    return 1;
}

/* Ids of a block, compared with those of the first site that had some. */
typedef struct comparison {
    int64_t reference[BLOCK], ids[BLOCK];
    const csim_set *set;    /* whose the reference is, NULL = none yet */
    const csim__site *from; /* what holds it */
} comparison;

static csim_status fail_ids(csim_context *ctx, const comparison *c, const csim_set *set,
                            const csim__site *from, int64_t row0, int64_t r)
{
    csim__piece a = csim__set_piece(c->set, c->from, row0 + r, 1);
    csim__piece b = csim__set_piece(set, from, row0 + r, 1);
    return csim__fail(ctx, CSIM_E_DATA,
                      "example_id is %" PRId64 " in set %s (%s, row %" PRId64 ") but %" PRId64
                      " in set %s (%s, row %" PRId64 "): the rows are not the same examples",
                      c->reference[r], c->set->name, a.part->array.path, a.row0, c->ids[r],
                      set->name, b.part->array.path, b.row0);
}

static csim_status compare_block(csim_context *ctx, comparison *c, csim_set *const *sets, int count,
                                 int64_t row0, int64_t rows)
{
    csim_status st = CSIM_OK;
    c->set = NULL;
    for (int i = 0; i < count; ++i) {
        for (int64_t k = 0; k < sets[i]->sites; ++k) {
            const csim__site *from;
            if (!is_new_file(sets[i], k)) { continue; }
            int64_t *ids = c->set == NULL ? c->reference : c->ids;
            CSIM_TRY(csim__set_column(sets[i], k, "example_id", row0, rows, ids, &from));
            if (from == NULL) { continue; }
            if (c->set == NULL) {
                c->set = sets[i];
                c->from = from;
                continue;
            }
            for (int64_t r = 0; r < rows; ++r) {
                if (c->ids[r] != c->reference[r]) {
                    return fail_ids(ctx, c, sets[i], from, row0, r);
                }
            }
        }
    }
done:
    return st;
}

/* This rank's share of the rows. */
static csim_status compare_ids(csim_context *ctx, csim_set *const *sets, int count)
{
    csim_status st = CSIM_OK;
    comparison *c = NULL;
    int64_t n = count > 0 ? csim_set_examples(sets[0]) : 0;
    int64_t size = csim_context_size(ctx), rank = csim_context_rank(ctx);
    int64_t share = (n + size - 1) / size, first = csim__min64(rank * share, n);
    int64_t last = csim__min64(first + share, n);
    CSIM_TRY(csim__alloc(ctx, 1, sizeof *c, "example ids", &c));
    for (int64_t row = first; row < last; row += BLOCK) {
        CSIM_TRY(compare_block(ctx, c, sets, count, row, csim__min64(BLOCK, last - row)));
    }
done:
    csim__free(ctx, &c);
    return st;
}

csim_status csim__sets_alike(csim_context *ctx, csim_set *const *sets, int count)
{
    csim_status st = check_names(ctx, sets, count);
    if (st == CSIM_OK) { st = check_strange(ctx, sets, count); }
    return st == CSIM_OK ? check_sizes(ctx, sets, count) : st;
}

csim_status csim_sets_match(csim_context *ctx, csim_set *const *sets, int count)
{
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__vote(ctx, csim__sets_alike(ctx, sets, count)));
    st = csim__vote(ctx, compare_ids(ctx, sets, count));
done:
    return st;
}
