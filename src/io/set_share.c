/* From rank 0 to all: the set as a run of bytes. One function for each thing serves both directions,
 * so that what is packed and what is unpacked cannot differ. */
#include <string.h>

#include "io/set.h"

typedef struct packing {
    csim_context *ctx;
    int unpack;
    char *data;
    int64_t at, size; /* position; bytes there are (unpack) or room (pack) */
} packing;

static csim_status move_bytes(packing *p, void *value, int64_t bytes)
{
    csim_status st = CSIM_OK;
    if (p->unpack && bytes > p->size - p->at) {
        return csim__fail(p->ctx, CSIM_E_INTERNAL, "the description of a set ends early");
    }
    if (!p->unpack && bytes > p->size - p->at) {
        int64_t room = csim__max64(2 * p->size, p->at + bytes + 4096);
        CSIM_TRY(csim__realloc(p->ctx, room, 1, "description of a set", &p->data));
        p->size = room;
    }
    if (p->unpack) {
        memcpy(value, p->data + p->at, (size_t)bytes);
    } else {
        memcpy(p->data + p->at, value, (size_t)bytes);
    }
    p->at += bytes;
done:
    return st;
}

static csim_status move_int64(packing *p, int64_t *value)
{
    return move_bytes(p, value, (int64_t)sizeof *value);
}

static csim_status move_int(packing *p, int *value)
{
    int64_t wide = *value;
    csim_status st = move_int64(p, &wide);
    *value = (int)wide;
    return st;
}

/* A text, NULL too. */
static csim_status move_text(packing *p, char **text)
{
    csim_status st = CSIM_OK;
    int64_t length = *text != NULL ? (int64_t)strlen(*text) : -1;
    CSIM_TRY(move_int64(p, &length));
    if (length < 0) { return CSIM_OK; }
    if (p->unpack) { CSIM_TRY(csim__calloc(p->ctx, length + 1, 1, "a text", text)); }
    st = move_bytes(p, *text, length);
done:
    return st;
}

/* The length of a list, and room for it when unpacking: what was not reached stays zero. */
static csim_status move_list(packing *p, int64_t *count, size_t size, void *list)
{
    csim_status st = CSIM_OK;
    int64_t n = *count;
    CSIM_TRY(move_int64(p, &n));
    if (p->unpack) { CSIM_TRY(csim__calloc(p->ctx, n, size, "description of a set", list)); }
    *count = n;
done:
    return st;
}

static csim_status move_file(packing *p, csim__set_file *f)
{
    csim_status st = CSIM_OK;
    int64_t format = p->unpack ? 0 : csim__format_index(f->format);
    CSIM_TRY(move_text(p, &f->path));
    CSIM_TRY(move_int64(p, &format));
    CSIM_TRY(move_int64(p, &f->bytes));
    f->format = csim__format_at(format);
done:
    return st;
}

static csim_status move_part(packing *p, const csim_set *set, csim__part *part)
{
    csim_status st = CSIM_OK;
    csim__array *a = &part->array;
    int dtype = (int)a->dtype;
    CSIM_TRY(move_int64(p, &part->file));
    CSIM_TRY(move_text(p, &a->name));
    CSIM_TRY(move_int(p, &dtype));
    CSIM_TRY(move_int(p, &a->ndim));
    CSIM_TRY(move_bytes(p, a->shape, (int64_t)sizeof a->shape));
    CSIM_TRY(move_int64(p, &a->offset));
    CSIM_TRY(move_int(p, &a->swapped));
    CSIM_TRY(move_int(p, &a->fortran));
    CSIM_TRY(move_int64(p, &a->layer_index));
    CSIM_TRY(move_int(p, &a->companion));
    a->dtype = (csim_dtype)dtype;
    a->path = set->file[part->file].path;
done:
    return st;
}

static csim_status move_site(packing *p, const csim_set *set, csim__site *site)
{
    csim_status st = CSIM_OK;
    CSIM_TRY(move_text(p, &site->name));
    CSIM_TRY(move_text(p, &site->shape));
    CSIM_TRY(move_bytes(p, &site->view, (int64_t)sizeof site->view));
    CSIM_TRY(move_int64(p, &site->info.d));
    CSIM_TRY(move_list(p, &site->parts, sizeof *site->part, &site->part));
    for (int64_t i = 0; i < site->parts; ++i) { CSIM_TRY(move_part(p, set, &site->part[i])); }
done:
    return st;
}

static csim_status move_set(packing *p, csim_set *set)
{
    csim_status st = CSIM_OK;
    CSIM_TRY(move_text(p, &set->name));
    CSIM_TRY(move_text(p, &set->path));
    CSIM_TRY(move_int64(p, &set->stored));
    CSIM_TRY(move_int64(p, &set->first));
    CSIM_TRY(move_int64(p, &set->kept));
    CSIM_TRY(move_int64(p, &set->bytes));
    CSIM_TRY(move_list(p, &set->files, sizeof *set->file, &set->file));
    for (int64_t i = 0; i < set->files; ++i) { CSIM_TRY(move_file(p, &set->file[i])); }
    CSIM_TRY(move_list(p, &set->sites, sizeof *set->site, &set->site));
    for (int64_t i = 0; i < set->sites; ++i) { CSIM_TRY(move_site(p, set, &set->site[i])); }
    CSIM_TRY(move_list(p, &set->companions, sizeof *set->companion, &set->companion));
    for (int64_t i = 0; i < set->companions; ++i) {
        CSIM_TRY(move_site(p, set, &set->companion[i]));
    }
    CSIM_TRY(move_list(p, &set->stranges, sizeof *set->strange, &set->strange));
    for (int64_t i = 0; i < set->stranges; ++i) { CSIM_TRY(move_text(p, &set->strange[i])); }
done:
    return st;
}

/* Bytes of any number from rank 0, in pieces that fit the int of MPI. */
static csim_status broadcast(csim_context *ctx, char *data, int64_t bytes)
{
    csim_status st = CSIM_OK;
    const int64_t piece = INT64_C(1) << 30;
    for (int64_t i = 0; st == CSIM_OK && i < bytes; i += piece) {
        int n = (int)csim__min64(piece, bytes - i);
        st = csim__mpi(ctx, MPI_Bcast(data + i, n, MPI_BYTE, 0, csim_context_comm(ctx)),
                       "MPI_Bcast");
    }
    return st;
}

csim_status csim__set_share(csim_set *set)
{
    csim_context *ctx = set->ctx;
    int root = csim_context_rank(ctx) == 0;
    packing p = {.ctx = ctx};
    csim_status st = root ? move_set(&p, set) : CSIM_OK;
    CSIM_TRY(csim__vote(ctx, st));
    int64_t bytes = p.at;
    CSIM_TRY(
        csim__mpi(ctx, MPI_Bcast(&bytes, 1, MPI_INT64_T, 0, csim_context_comm(ctx)), "MPI_Bcast"));
    if (!root) {
        p.unpack = 1;
        p.size = bytes;
        st = csim__alloc(ctx, bytes, 1, "description of a set", &p.data);
    }
    CSIM_TRY(csim__vote(ctx, st));
    st = broadcast(ctx, p.data, bytes);
    if (st == CSIM_OK && !root) { st = move_set(&p, set); }
    st = csim__vote(ctx, st);
done:
    csim__free(ctx, &p.data);
    return st;
}
