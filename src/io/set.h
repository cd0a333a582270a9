/* What a set is made of; shared by the files set*.c and pool.c only. */
#ifndef CSIM_SET_H
#define CSIM_SET_H

#include "io/formats.h"

/** A file of the set; the handle of this rank is opened when first needed. */
typedef struct csim__set_file {
    char *path;
    char *part_of; /* name of the sub-folder it was found in, NULL = not in one */
    const csim__reader *format;
    int64_t bytes; /* as rank 0 saw it */
    void *handle;
    int64_t used; /* clock of the last use */
} csim__set_file;

/** How an array of two or more dimensions is seen as examples × neurons. */
typedef struct csim__view {
    int64_t example_axis;
    int64_t layer_axis, layer; /* axis of which one index is the site, and that index; −1 = none */
    int64_t neuron_axis;
    int64_t pool; /* csim_pool; CSIM_POOL_NONE: there is nothing to pool */
} csim__view;

/** Consecutive examples of a site that lie in one array. */
typedef struct csim__part {
    int64_t file;      /* in the set's list */
    csim__array array; /* path is borrowed from the file */
} csim__part;

/** A site: joined parts, seen alike. */
typedef struct csim__site {
    char *name, *shape;
    csim__view view;
    csim__part *part;
    int64_t parts;
    int64_t rank;        /* order in the set while it is made */
    csim_site_info info; /* borrows the texts above */
} csim__site;

struct csim_set {
    csim_context *ctx;
    char *name, *path;
    csim__set_file *file;
    int64_t files;
    csim__site *site;
    int64_t sites;
    csim__site *companion; /* whole numbers in files of their own, one-dimensional */
    int64_t companions;
    int64_t stored;   /* examples in the files */
    int64_t first;    /* first example of --examples */
    int64_t kept;     /* examples of --examples, dropped ones included */
    int64_t *dropped; /* examples left out, counted from `first`, ascending */
    int64_t drops;
    int64_t bytes;  /* of all files */
    char **strange; /* "SET:LIST" texts of --layers that belong to another set */
    int64_t stranges;
    int64_t opened, clock; /* files with a handle; counts uses */
};

/** Find the files that a spec names and give the set its name and path. Rank 0, local. */
csim_status csim__set_find(csim_set *set, const char *spec, const csim_input_options *options);

/** Compare in natural order: runs of digits by their value. */
int csim__natural_order(const char *a, const char *b);

/** Read the headers of the files and make the sites that the options ask for. Rank 0, local. */
csim_status csim__set_scan(csim_set *set, const csim_input_options *options);

/** Which sites --layers picks, in its order. Rank 0, local.
 *  @param[out] pick   new list of places in set->site, each once; free with csim__free()
 *  @param[out] picks  its length, −1: all sites, *pick = NULL */
csim_status csim__set_layers(csim_set *set, const csim_input_options *options, int64_t **pick,
                             int64_t *picks);

/** A half-open range "a:b" of n things, either end missing or counted from the end. Local.
 *  @param[in] what  what messages call the option and the things
 *  @return CSIM_OK, CSIM_E_ARG (not a range, empty, or beyond n) */
csim_status csim__range_parse(csim_context *ctx, const char *what, const char *text, int64_t n,
                              int64_t *begin, int64_t *end);

/** Does a text look like a range? Local. */
int csim__range_is(const char *text, size_t length);

/** Give every rank what rank 0 found. Collective; agreed. */
csim_status csim__set_share(csim_set *set);

/** Free one site's parts and texts. Local. */
void csim__site_clear(csim_context *ctx, csim__site *site);

/** Free what the set consists of, leaving the empty struct. Local. */
void csim__set_clear(csim_set *set);

/** The open handle of file @p file. Local. */
csim_status csim__set_handle(csim_set *set, int64_t file, void **handle);

/** Neurons of an array under a view, −1 if that is beyond 64 bits. Local. */
int64_t csim__view_neurons(const csim__view *view, const csim__array *a);

/** Read rows of an array under a view into out[rows, neurons]. Local. */
csim_status csim__view_read(csim_context *ctx, const csim__reader *format, void *handle,
                            const csim__array *a, const csim__view *view, int64_t row0,
                            int64_t rows, double *out);

/** Consecutive stored rows that lie in one part. */
typedef struct csim__piece {
    const csim__part *part;
    int64_t row0, rows; /* in the part */
} csim__piece;

/** The piece of a site, or of a companion, that begins at row @p row of the present numbering; at
 *  most @p rows rows. Local. */
csim__piece csim__set_piece(const csim_set *set, const csim__site *site, int64_t row, int64_t rows);

/** Are these sites and rows of the set? Local. CSIM_OK, CSIM_E_ARG. */
csim_status csim__set_check_rows(const csim_set *set, int64_t site, int64_t row0, int64_t rows);

/** Whole numbers that accompany the examples, `name` = example_id, group or label_…: as the files of
 *  a site hold them, else from a file of their own. Local; see csim_set_example_ids().
 *  @param[out] from  what holds them, for csim__set_piece(); NULL: the set has none */
csim_status csim__set_column(csim_set *set, int64_t site, const char *name, int64_t row0,
                             int64_t rows, int64_t *ids, const csim__site **from);

/** Name of the i-th companion beside a site, in its first file or in files of their own, new; NULL
 *  behind the last. Local. CSIM_OK, CSIM_E_MEM, what reading the file gives. */
csim_status csim__set_list(csim_set *set, int64_t site, int64_t i, char **name);

#endif
