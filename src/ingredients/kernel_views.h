/* Kinds of rows that the tiles of kernels and distances are made of: private to kernel*.c. */
#ifndef CSIM_KERNEL_VIEWS_H
#define CSIM_KERNEL_VIEWS_H

#include "ingredients/kernels.h"

typedef enum csim__view {
    CSIM__VIEW_CENTRED,
    CSIM__VIEW_UNIT,
    CSIM__VIEW_UNIT_CENTRED,
    CSIM__VIEWS
} csim__view;

/** Those that a matrix takes. Local, pure. */
static inline csim__view csim__view_of(csim_matrix matrix)
{
    return matrix == CSIM_FAR_COSINE    ? CSIM__VIEW_UNIT
           : matrix == CSIM_FAR_CENTRED ? CSIM__VIEW_UNIT_CENTRED
                                        : CSIM__VIEW_CENTRED;
}

#endif
