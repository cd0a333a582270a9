/* Sets of which the shapes are enough: for plans. */
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

/** Is a set one of those? */
int csim__set_is_shapes(const csim_set *set);

/** Open a set by its headers alone: as csim_set_open(), but no array is compared with its checksum.
 *  Collective. */
csim_status csim__set_headers(csim_context *ctx, const char *spec,
                              const csim_input_options *options, csim_set **set);

/** What of csim_sets_match() is seen without reading: distinct names, the same number of examples.
 *  Local. @return CSIM_OK, CSIM_E_ARG, CSIM_E_SHAPE */
csim_status csim__sets_alike(csim_context *ctx, csim_set *const *sets, int count);

#endif
