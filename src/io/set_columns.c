/* Whole numbers that accompany the examples: ids, groups, labels. */
#include <inttypes.h>
#include <string.h>

#include "io/set.h"

/* What the files of a site, or of a companion, hold. All of them, or none. */
static csim_status read_column(csim_set *set, const csim__site *s, const char *name, int64_t row0,
                               int64_t rows, int64_t *ids, int *has)
{
    csim_status st = CSIM_OK;
    void *handle;
    int64_t done = 0;
    const char *before = NULL;
    do { /* once for no rows too: it tells whether there are ids */
        csim__piece p = rows > 0 ? csim__set_piece(set, s, row0 + done, rows - done)
                                 : (csim__piece){.part = s->part};
        const csim__set_file *f = &set->file[p.part->file];
        *has = 0;
        if (f->format == &csim__format_npy && !p.part->array.companion) { break; }
        CSIM_TRY(csim__set_handle(set, p.part->file, &handle));
        CSIM_TRY(f->format->read_ids(set->ctx, handle, name, p.row0, p.rows, ids + done, has));
        if (!*has && before != NULL) {
            return csim__fail(set->ctx, CSIM_E_DATA, "file %s: has no %s, but file %s has it",
                              f->path, name, before);
        }
        before = f->path;
        done += p.rows;
    } while (*has && done < rows);
done:
    return st;
}

csim_status csim__set_column(csim_set *set, int64_t site, const char *name, int64_t row0,
                             int64_t rows, int64_t *ids, const csim__site **from)
{
    csim_status st = CSIM_OK;
    int has = 0;
    *from = NULL;
    CSIM_TRY(csim__set_check_rows(set, site, row0, rows));
    const csim__site *s = &set->site[site];
    CSIM_TRY(read_column(set, s, name, row0, rows, ids, &has));
    for (int64_t i = 0; !has && i < set->companions; ++i) {
        if (strcmp(set->companion[i].name, name) == 0) {
            s = &set->companion[i];
            CSIM_TRY(read_column(set, s, name, row0, rows, ids, &has));
        }
    }
    if (has) { *from = s; }
done:
    return st;
}

csim_status csim__set_list(csim_set *set, int64_t site, int64_t i, char **name)
{
    csim_status st = CSIM_OK;
    const csim__part *first = set->site[site].part;
    const csim__reader *format = set->file[first->file].format;
    void *handle;
    *name = NULL;
    if (i < set->companions) { return csim__strdup(set->ctx, set->companion[i].name, name); }
    if (format->list == NULL) { return CSIM_OK; }
    CSIM_TRY(csim__set_handle(set, first->file, &handle));
    st = format->list(set->ctx, handle, i - set->companions, name);
done:
    return st;
}

csim_status csim_set_example_ids(csim_set *set, int64_t row0, int64_t rows, int64_t *ids, int *has)
{
    const csim__site *from = NULL;
    csim_status st = csim__set_column(set, 0, "example_id", row0, rows, ids, &from);
    *has = from != NULL;
    return st;
}

csim_status csim_set_labels(csim_set *set, const char *label, int64_t row0, int64_t rows,
                            int64_t *values)
{
    const csim__site *from = NULL;
    char *name = NULL;
    csim_status st = csim__format(set->ctx, &name, "label_%s", label);
    if (st == CSIM_OK) { st = csim__set_column(set, 0, name, row0, rows, values, &from); }
    if (st == CSIM_OK && from == NULL) {
        st = csim__fail(set->ctx, CSIM_E_DATA, "set %s (%s) has no variable %s", set->name,
                        set->path, name);
    }
    csim__free(set->ctx, &name);
    return st;
}
