/* What a sweep keeps of its work: a journal of the sites' checksums and of finished pairs. Rank 0
 * writes it, in the order of the rounds; it says first what was asked for (request.c). */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "sweep/state.h"
#include "sweep/statistics/statistics.h"

typedef struct csim__site_record {
    int64_t site; /* −1: none */
    int64_t rank;
    uint64_t checksum;
    double median[2];
} site_record;

/* In front of the words of each pair in a record. */
enum { SITES = 2 };

/* ---- what was saved ---- */

typedef struct replay {
    csim__sweep *w;
    const char *request;
    bool begun;  /* the request was there */
    char *other; /* it was this one, of another sweep */
} replay;

static site_record record_of(int64_t site, const csim__site *t)
{
    return (site_record){site, t->rank, t->checksum, {t->median[0], t->median[1]}};
}

static void take_record(csim__site *site, const site_record *r)
{
    site->checksum = r->checksum;
    site->hashed = r->site >= 0;
    site->rank = r->rank;
    memcpy(site->median, r->median, sizeof site->median);
}

static csim_status take_sites(csim__sweep *w, const site_record *r, int64_t bytes)
{
    int64_t count = bytes / (int64_t)sizeof *r;
    for (int64_t i = 0; i < count; i++, r++) {
        if (bytes % (int64_t)sizeof *r != 0 || r->site < 0 || r->site >= w->all_count) {
            return csim__fail(w->ctx, CSIM_E_FORMAT, "%s: a record of a layer that is not there",
                              w->options->journal);
        }
        take_record(&w->all[r->site], r);
        w->recorded[r->site] = *r;
    }
    return CSIM_OK;
}

/* Without any pairs nothing hangs on the checksums of an earlier reading. */
static void drop_sites(csim__sweep *w)
{
    for (int s = 0; s < w->all_count; s++) {
        w->recorded[s] = (site_record){.site = -1, .rank = -1, .median = {NAN, NAN}};
        take_record(&w->all[s], &w->recorded[s]);
    }
}

static csim_status take_pairs(csim__sweep *w, const int64_t *words, int64_t bytes)
{
    int64_t each = SITES + csim__cells_words(&w->cells), count = bytes / (8 * each);
    for (int64_t i = 0; i < count; i++, words += each) {
        int64_t a = words[0], b = words[1];
        if (a < 0 || a > b || b >= w->all_count || bytes % (8 * each) != 0) {
            return csim__fail(w->ctx, CSIM_E_FORMAT, "%s: a record of pairs that are not there",
                              w->options->journal);
        }
        csim__cells_unpack(&w->cells, (int)a, (int)b, words + SITES);
        csim__cells_close(&w->cells, (int)a, (int)b);
        w->saved++;
    }
    return CSIM_OK;
}

static bool is_work(int kind)
{
    return kind == CSIM__RECORD_PAIRS || kind == CSIM__RECORD_DRAWS;
}

static csim_status visit(void *user, int kind, const void *data, int64_t bytes)
{
    replay *r = user;
    csim__sweep *w = r->w;
    if (kind == CSIM__RECORD_REQUEST && !r->begun && bytes > 0 &&
        ((const char *)data)[bytes - 1] == 0) {
        r->begun = true;
        return strcmp(data, r->request) != 0 ? csim__strdup(w->ctx, data, &r->other) : CSIM_OK;
    }
    /* only pairs and draws are work that could be lost */
    if (is_work(kind) && r->other != NULL) {
        return csim__request_compare(w, r->other, r->request);
    }
    if (kind == CSIM__RECORD_SITES && r->other != NULL) { return CSIM_OK; }
    if (kind == CSIM__RECORD_SITES && r->begun) { return take_sites(w, data, bytes); }
    if (kind == CSIM__RECORD_PAIRS && r->begun) { return take_pairs(w, data, bytes); }
    if (kind == CSIM__RECORD_DRAWS && r->begun) { return csim__saved_take_draws(w, data, bytes); }
    return csim__fail(w->ctx, CSIM_E_FORMAT, "%s: a record of unknown kind %d", w->options->journal,
                      kind);
}

static csim_status count_pairs(void *user, int kind, const void *data, int64_t bytes)
{
    int64_t *records = user;
    (void)data;
    (void)bytes;
    *records += is_work(kind);
    return CSIM_OK;
}

/* Without the wish to resume, saved work is refused; a journal without any is in nobody's way. */
static csim_status clear_way(csim__sweep *w)
{
    const char *path = w->options->journal;
    int64_t records = 0, torn = 0;
    bool there = false;
    if (w->options->overwrite) { return csim__file_remove(w->ctx, path); }
    csim_status st = csim__journal_look(w->ctx, path, count_pairs, &records, &torn, &there);
    if (st != CSIM_OK || !there) { return st; }
    if (records == 0 && torn == 0) { return csim__file_remove(w->ctx, path); }
    return csim__fail(w->ctx, CSIM_E_EXISTS,
                      "%s holds the work of a sweep that did not finish: --resume goes on with it, "
                      "--overwrite starts afresh",
                      path);
}

/* The groups that a journal was begun with, and whether it holds any pairs. */
typedef struct groups_there {
    csim__teams teams;
    int64_t pairs;
} groups_there;

static csim_status look_for_groups(void *user, int kind, const void *data, int64_t bytes)
{
    groups_there *there = user;
    const char *text = data;
    there->pairs += is_work(kind);
    if (kind != CSIM__RECORD_REQUEST || there->teams.p > 0 || bytes == 0 || text[bytes - 1] != 0) {
        return CSIM_OK;
    }
    csim__teams *t = &there->teams;
    *t = (csim__teams){1, 1, INT64_MAX};
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        csim__teams found;
        if (sscanf(line, "large pairs: from %" SCNd64 " on grids of %d x %d", &found.least,
                   &found.p, &found.q) == 3 &&
            found.p > 0 && found.q > 0) {
            *t = found;
        }
    }
    return CSIM_OK;
}

csim_status csim__saved_groups(csim__sweep *w)
{
    const csim_sweep_options *o = w->options;
    groups_there found = {.pairs = 0};
    int64_t torn = 0;
    bool there = false;
    csim_status st = CSIM_OK;
    if (o->journal == NULL || !o->resume || o->grid_rows > 0) { return CSIM_OK; }
    if (csim_context_rank(w->ctx) == 0) {
        st = csim__journal_look(w->ctx, o->journal, look_for_groups, &found, &torn, &there);
    }
    CSIM_TRY(csim__vote(w->ctx, st));
    st = csim__mpi(w->ctx, MPI_Bcast(&found, sizeof found, MPI_BYTE, 0, csim_context_comm(w->ctx)),
                   "groups of a journal");
    CSIM_TRY(csim__vote(w->ctx, st));
    if (found.pairs == 0) { goto done; }
    w->teams = found.teams;
    w->why = CSIM__WHY_SAVED;
    if ((int64_t)found.teams.p * found.teams.q > w->shard.size) {
        st = csim__fail(w->ctx, CSIM_E_ARG,
                        "--resume: the work in %s was done by groups of %d x %d ranks: found %d "
                        "rank%s",
                        o->journal, found.teams.p, found.teams.q, w->shard.size,
                        w->shard.size == 1 ? "" : "s");
    }
done:
    return st;
}

/* Take in what the journal holds. */
static csim_status resume(csim__sweep *w, replay *r)
{
    csim_context *ctx = w->ctx;
    const char *path = w->options->journal;
    int64_t torn = 0;
    csim_status st = csim__journal_open(ctx, path, visit, r, &torn, &w->journal);
    if (st == CSIM_OK && torn > 0) {
        csim__log(ctx, CSIM_LOG_WARNING,
                  "%s is torn or damaged: %lld bytes behind its last whole record are left out",
                  path, (long long)torn);
    }
    if (st == CSIM_OK && w->saved + w->saved_draws == 0) { drop_sites(w); }
    if (st == CSIM_OK && r->other != NULL) { /* of another sweep, but without any work */
        csim__journal_close(ctx, &w->journal);
        r->begun = false;
        st = csim__file_remove(ctx, path);
    }
    return st;
}

/* Rank 0: open or make the journal. */
static csim_status open_journal(csim__sweep *w)
{
    csim_context *ctx = w->ctx;
    replay r = {.w = w};
    char *request = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__alloc(ctx, w->all_count, sizeof *w->recorded, "saved layers", &w->recorded));
    drop_sites(w);
    CSIM_TRY(csim__request_text(w, &request));
    r.request = request;
    CSIM_TRY(w->options->resume ? resume(w, &r) : clear_way(w));
    if (w->journal == NULL) {
        CSIM_TRY(csim__journal_create(ctx, w->options->journal, &w->journal));
    }
    if (!r.begun) {
        st = csim__journal_append(ctx, w->journal, CSIM__RECORD_REQUEST, request,
                                  (int64_t)strlen(request) + 1);
    }
done:
    csim__free(ctx, &r.other);
    csim__free(ctx, &request);
    return st;
}

/* What rank 0 found: which cells are open, and checksums. The values stay with it until all join. */
static csim_status share(csim__sweep *w)
{
    MPI_Comm comm = csim_context_comm(w->ctx);
    site_record *list = NULL;
    int cells = 0, bytes = 0, drawn = 0;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__int(w->ctx, (int64_t)w->cells.rows * w->cells.cols, "cells", &cells));
    CSIM_TRY(csim__int(w->ctx, w->all_count * (int64_t)sizeof *list, "layers", &bytes));
    if (w->cells.drawn != NULL) {
        CSIM_TRY(csim__int(w->ctx, (int64_t)cells * CSIM__DRAWN_KINDS, "cells", &drawn));
    }
    CSIM_TRY(csim__alloc(w->ctx, w->all_count, sizeof *list, "records of layers", &list));
done:
    st = csim__vote(w->ctx, st);
    for (int s = 0; st == CSIM_OK && s < w->all_count; s++) {
        list[s] = record_of(w->all[s].hashed ? s : -1, &w->all[s]);
    }
    if (st == CSIM_OK) { /* every rank comes to all of them, whatever becomes of one */
        int code[] = {MPI_Bcast(w->cells.open, cells, MPI_BYTE, 0, comm),
                      MPI_Bcast(list, bytes, MPI_BYTE, 0, comm),
                      MPI_Bcast(&w->saved, 1, MPI_INT64_T, 0, comm),
                      MPI_Bcast(&w->saved_draws, 1, MPI_INT64_T, 0, comm),
                      MPI_Bcast(w->cells.drawn, drawn, MPI_INT64_T, 0, comm)};
        for (size_t i = 0; st == CSIM_OK && i < sizeof code / sizeof *code; i++) {
            st = csim__mpi(w->ctx, code[i], "what was saved");
        }
    }
    for (int s = 0; st == CSIM_OK && s < w->all_count; s++) { take_record(&w->all[s], &list[s]); }
    csim__free(w->ctx, &list);
    return csim__vote(w->ctx, st);
}

/* What the journal holds, for people. */
typedef struct text {
    char s[96];
} text;

static text work_text(const csim__sweep *w)
{
    text t;
    int at = snprintf(t.s, sizeof t.s, "%" PRId64 " pairs", w->saved);
    if (w->saved_draws > 0) {
        snprintf(t.s + at, sizeof t.s - (size_t)at, " and %" PRId64 " relabellings",
                 w->saved_draws);
    }
    return t;
}

csim_status csim__saved_begin(csim__sweep *w)
{
    csim_status st = CSIM_OK;
    if (w->options->journal == NULL) { return CSIM_OK; }
    if (csim_context_rank(w->ctx) == 0) { st = open_journal(w); }
    st = csim__vote(w->ctx, st);
    if (st == CSIM_OK && w->options->resume) {
        st = share(w);
        if (st == CSIM_OK && w->saved + w->saved_draws > 0) {
            csim__log(w->ctx, CSIM_LOG_INFO, "%s: %s were saved", w->options->journal,
                      work_text(w).s);
        }
    }
    return st;
}

void csim__saved_end(csim__sweep *w, csim_status st)
{
    bool nothing = st != CSIM_OK && w->journal != NULL && w->saved + w->saved_draws == 0;
    csim__free(w->ctx, &w->recorded);
    csim__journal_close(w->ctx, &w->journal);
    if (nothing) { csim__file_remove(w->ctx, w->options->journal); } /* the failure counts */
    if (st != CSIM_E_STOPPED) { return; }
    csim__forgive(w->ctx);
    if (w->saved + w->saved_draws == 0) {
        csim__fail(w->ctx, st, "stopped; nothing was saved so far, --resume starts afresh");
        return;
    }
    csim__fail(w->ctx, st, "stopped; %s are in %s, --resume goes on with it", work_text(w).s,
               w->options->journal);
}

/* ---- to save ---- */

csim_status csim__saved_sites(csim__sweep *w)
{
    site_record *list = NULL;
    int64_t count = 0;
    csim_status st = CSIM_OK;
    if (w->options->journal == NULL) { return CSIM_OK; }
    if (w->journal == NULL) { goto done; }
    CSIM_TRY(csim__alloc(w->ctx, w->count, sizeof *list, "records of layers", &list));
    for (int s = 0; s < w->count; s++) {
        site_record now = record_of(w->id[s], &w->all[w->id[s]]), *last = &w->recorded[w->id[s]];
        if (memcmp(&now, last, sizeof now) == 0) { continue; }
        *last = list[count++] = now;
    }
    if (count > 0) {
        st = csim__journal_append(w->ctx, w->journal, CSIM__RECORD_SITES, list,
                                  count * (int64_t)sizeof *list);
    }
done:
    csim__free(w->ctx, &list);
    return csim__vote(w->ctx, st);
}

/* The words of the pairs that have cells, from all ranks. */
static csim_status collect(csim__sweep *w, int64_t first, int64_t last, int64_t **words,
                           int64_t *count)
{
    int64_t each = SITES + csim__cells_words(&w->cells), at = 0;
    int many = 0;
    csim_status st = CSIM_OK;
    *count = 0;
    for (int64_t i = first; i < last; i++) { *count += w->plan.pairs[i].cell; }
    CSIM_TRY(csim__int(w->ctx, *count * each, "cells of a round", &many));
    CSIM_TRY(csim__calloc(w->ctx, *count * each, sizeof **words, "cells of a round", words));
done:
    st = csim__vote(w->ctx, st);
    for (int64_t i = first; st == CSIM_OK && i < last; i++) {
        const csim__planned *p = &w->plan.pairs[i];
        if (!p->cell) { continue; }
        int a = w->id[p->couple.left], b = w->id[p->couple.right];
        (*words)[at] = a;
        (*words)[at + 1] = b;
        csim__cells_pack(&w->cells, a, b, *words + at + SITES);
        at += each;
    }
    if (st == CSIM_OK && many > 0) {
        bool root = csim_context_rank(w->ctx) == 0;
        st = csim__mpi(w->ctx,
                       MPI_Reduce(root ? MPI_IN_PLACE : *words, root ? *words : NULL, many,
                                  MPI_INT64_T, MPI_BOR, 0, csim_context_comm(w->ctx)),
                       "cells of a round");
    }
    return st;
}

csim_status csim__saved_pairs(csim__sweep *w, int64_t first, int64_t last)
{
    int64_t *words = NULL, count = 0;
    csim_status st = CSIM_OK;
    if (w->options->journal != NULL) {
        st = collect(w, first, last, &words, &count);
        if (st == CSIM_OK && w->journal != NULL && count > 0) {
            int64_t each = SITES + csim__cells_words(&w->cells);
            st = csim__journal_append(w->ctx, w->journal, CSIM__RECORD_PAIRS, words,
                                      8 * count * each);
        }
        st = csim__vote(w->ctx, st);
        w->saved += st == CSIM_OK ? count : 0;
    }
    for (int64_t i = first; st == CSIM_OK && i < last; i++) {
        const csim__planned *p = &w->plan.pairs[i];
        if (p->cell) {
            csim__cells_close(&w->cells, w->id[p->couple.left], w->id[p->couple.right]);
        }
    }
    csim__free(w->ctx, &words);
    return st;
}

csim_status csim__saved_stop(csim__sweep *w)
{
    const csim_sweep_options *o = w->options;
    csim__meter asked = {.stop = o->stop, .stop_user = o->stop_user};
    bool open = memchr(w->cells.open, 1, (size_t)w->cells.rows * (size_t)w->cells.cols) != NULL;
    if (o->journal == NULL || o->stop == NULL || !open) { return CSIM_OK; }
    w->meter.stop = o->stop; /* from the first save on also in the midst of a round */
    return csim__meter_look(w->ctx, &asked, CSIM_OK);
}
