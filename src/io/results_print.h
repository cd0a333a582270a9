/* Shared by the three ways to print results (results_print.c, results_table.c, results_json.c). */
#ifndef CSIM_RESULTS_PRINT_H
#define CSIM_RESULTS_PRINT_H

#include "io/results_private.h"

/* Text on its way to the sink, and what of the results is printed. */
typedef struct csim__printer {
    csim_context *ctx;
    const csim_results *results;
    csim_sink_fn sink;
    void *user;
    int digits;
    char *buffer;
    int64_t used;
    int refused;   /* the sink has refused: nothing more is sent */
    int *variable; /* [variables] chosen, in their order */
    int variables;
    int64_t *row, *col; /* [rows], [cols] chosen */
    int64_t rows, cols;
} csim__printer;

/** Append formatted text. Failures of the sink are kept in `refused`. Local. */
void csim__print(csim__printer *p, const char *format, ...) CSIM_PRINTF(2, 3);
void csim__print_bytes(csim__printer *p, const char *text, int64_t length);

/** State of cell @p i of a variable; of a companion, the state of its measure. Local. */
csim_cell csim__cell_of(const csim_results *results, const csim__variable *v, int64_t i);

csim_status csim__print_tables(csim__printer *p);
csim_status csim__print_json(csim__printer *p);

#endif
