/* Sets that have shapes and no values: for plans. */
#ifndef CSIM_SHAPES_H
#define CSIM_SHAPES_H

#include "contrasim/reps.h"
#include "core/core.h"

/** Make a set whose rows cannot be read. Local.
 *  @param[in]  sites  [count] with distinct names; their rows are not looked at, any type will do
 *  @param[out] set    new; free with csim_set_free(); NULL on error
 *  @return CSIM_OK, CSIM_E_ARG, CSIM_E_MEM */
csim_status csim__set_of_shapes(csim_context *ctx, const char *name, int64_t n,
                                const csim_memory_site *sites, int count, csim_set **set);

#endif
