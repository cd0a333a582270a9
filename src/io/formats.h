/* The table of formats, for those who store or guess which one a file has. Local. */
#ifndef CSIM_FORMATS_H
#define CSIM_FORMATS_H

#include "io/format.h"

/** The format that a file's name promises, NULL if its extension is not one of ours. */
const csim__reader *csim__format_named(const char *path);

/** Place of a format in the table (−1: none) and back (NULL: none). */
int csim__format_index(const csim__reader *format);
const csim__reader *csim__format_at(int64_t index);

#endif
