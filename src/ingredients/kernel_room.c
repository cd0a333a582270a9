/* What a pass of kernels takes: kinds of rows, and memory. */
#include "core/exact.h"
#include "ingredients/kernel_views.h"

/* Views of the forms, from one on. */
static int count_views(const int forms[CSIM_MATRICES], csim__view first)
{
    bool there[CSIM__VIEWS] = {false};
    int views = 0;
    for (int m = 0; m < CSIM_MATRICES; m++) {
        if (forms[m] > 0) { there[csim__view_of((csim_matrix)m)] = true; }
    }
    for (int v = (int)first; v < CSIM__VIEWS; v++) { views += there[v]; }
    return views;
}

int csim__kernel_views(const int forms[CSIM_MATRICES])
{
    return count_views(forms, CSIM__VIEW_CENTRED);
}

int csim__kernel_angles(const int forms[CSIM_MATRICES])
{
    return count_views(forms, CSIM__VIEW_UNIT);
}

int64_t csim__kernel_bytes(const csim_shard *shard, int sites, int64_t widths, int64_t widest,
                           const int forms[CSIM_MATRICES], int blocks, int64_t reading)
{
    const int64_t word = sizeof(double), exact = sizeof(csim__exact), chunk = shard->chunk;
    int of_view[CSIM__VIEWS] = {0}, most = 0, all = 0, views = csim__kernel_views(forms);
    int64_t bytes = 0, sums = sites * (blocks > 0 ? blocks + 1 : 1);
    for (int m = 0; m < CSIM_MATRICES; m++) {
        of_view[csim__view_of((csim_matrix)m)] += forms[m];
        all += forms[m];
    }
    for (int v = 0; v < CSIM__VIEWS; v++) {
        most = of_view[v] > most ? of_view[v] : most;
        if (v != CSIM__VIEW_CENTRED && of_view[v] > 0) { bytes += word * shard->rows * widths; }
    }
    if (all == 0) { return 0; }
    bytes += word * sites * csim__ring_tile(chunk) * (most > 1 ? 2 : 1);
    int64_t visitors = csim__ring_bytes(chunk, shard->size, views * widths, sizeof(double), sites);
    bytes += csim__max64(visitors, csim__kernel_angles(forms) > 0 ? reading : 0);
    bytes +=
        word * all * sums *
        (shard->rows + (shard->size > 1 ? csim__shard_fullest(shard->n, shard->size).rows : 0));
    bytes += word * sites * ((shard->count + 1) * chunk + sites + 6);
    return bytes + exact * all * sums * (2 * sites + 1) + exact * widest;
}
