#define _POSIX_C_SOURCE 200809L

#include "io/ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "io/raw.h"
#include "io/set.h"
#include "io/shapes.h"

enum {
    PIECES = 8,
    STACK = 1 << 18
}; /* runs of bytes of one reading; bytes of the thread's stack */

typedef enum stage { IDLE, POSTED, FETCHED } stage;

/* Bytes that lie together in a file, and the numbers that they are. */
typedef struct run {
    int fd; /* a duplicate of that of the set, which may close its own meanwhile */
    int64_t offset, bytes, numbers;
    csim_dtype dtype;
    int swapped;
} run;

typedef struct reading {
    csim_set *set;
    int site;
    int64_t row0, rows;
    run run[PIECES];
    int runs; /* 0: not fetched ahead */
    bool complete;
    stage stage; /* shared with the thread; all else is its own between POSTED and FETCHED */
    char *bytes;
} reading;

struct csim__ahead {
    csim_context *ctx;
    int64_t room; /* bytes of a reading */
    reading reading[CSIM__AHEAD];
    int64_t posted, taken, fetched;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool running, quit;
};

/* ---- where rows are ---- */

/* Do the rows of an array lie one behind the other? Then where, and how many numbers a row has. */
static bool find_run(const csim__reader *format, const csim__view *view, const csim__array *a,
                     int64_t *first, int64_t *numbers)
{
    int64_t layers = view->layer_axis == 0 ? 1 : 0;
    bool whole = view->pool == CSIM_POOL_NONE || view->pool == CSIM_POOL_FLATTEN;
    if (format->descriptor == NULL || a->offset < 0 || (a->fortran && a->ndim > 1) || !whole ||
        view->example_axis != layers || (layers == 0 && view->layer_axis > 0)) {
        return false;
    }
    *numbers = 1;
    for (int j = (int)layers + 1; j < a->ndim; j++) { *numbers *= a->shape[j]; }
    *first = layers > 0 ? view->layer * a->shape[view->example_axis] : 0;
    return true;
}

int csim__ahead_direct(const csim_set *set, int site)
{
    const csim__site *s = &set->site[site];
    int most = 0;
    if (csim__set_is_shapes(set)) { return csim__dtype_bytes(s->info.dtype); }
    for (int64_t i = 0; i < s->parts; i++) {
        const csim__part *p = &s->part[i];
        int64_t first, numbers;
        if (!find_run(set->file[p->file].format, &s->view, &p->array, &first, &numbers)) {
            return 0;
        }
        int bytes = csim__dtype_bytes(p->array.dtype);
        most = bytes > most ? bytes : most;
    }
    return most;
}

static void drop_runs(reading *r)
{
    for (int i = 0; i < r->runs; i++) { close(r->run[i].fd); }
    r->runs = 0;
}

/* The next run of a reading, of which @p done rows have been found. */
static bool add_run(reading *r, int64_t *done)
{
    csim_set *set = r->set;
    const csim__site *s = &set->site[r->site];
    csim__piece p = csim__set_piece(set, s, r->row0 + *done, r->rows - *done);
    const csim__array *a = &p.part->array;
    const csim__reader *format = set->file[p.part->file].format;
    int64_t first, numbers;
    void *handle;
    if (r->runs == PIECES || !find_run(format, &s->view, a, &first, &numbers)) { return false; }
    if (csim__set_handle(set, p.part->file, &handle) != CSIM_OK) {
        csim__forgive(set->ctx); /* whoever takes the reading is told */
        return false;
    }
    int fd = fcntl(format->descriptor(handle), F_DUPFD_CLOEXEC, 0);
    if (fd < 0) { return false; }
    int size = csim__dtype_bytes(a->dtype);
    r->run[r->runs++] = (run){.fd = fd,
                              .offset = a->offset + (first + p.row0) * numbers * size,
                              .bytes = p.rows * numbers * size,
                              .numbers = p.rows * numbers,
                              .dtype = a->dtype,
                              .swapped = a->swapped};
    *done += p.rows;
    return true;
}

static void find_runs(csim__ahead *a, reading *r)
{
    int64_t bytes = 0;
    bool found = a->running;
    if (csim__set_check_rows(r->set, r->site, r->row0, r->rows) != CSIM_OK) {
        csim__forgive(r->set->ctx);
        found = false;
    }
    for (int64_t done = 0; found && done < r->rows;) { found = add_run(r, &done); }
    for (int i = 0; i < r->runs; i++) { bytes += r->run[i].bytes; }
    if (!found || bytes > a->room) { drop_runs(r); }
}

/* ---- the thread ---- */

static bool fetch_run(const run *p, char *out)
{
    for (int64_t got = 0; got < p->bytes;) {
        size_t want = (size_t)csim__min64(p->bytes - got, INT64_C(1) << 30);
        ssize_t n = pread(p->fd, out + got, want, (off_t)(p->offset + got));
        if (n < 0 && errno == EINTR) { continue; }
        if (n <= 0) { return false; }
        got += n;
    }
    return true;
}

static void *fetch(void *user)
{
    csim__ahead *a = user;
    pthread_mutex_lock(&a->lock);
    while (!a->quit) {
        reading *r = &a->reading[a->fetched % CSIM__AHEAD];
        if (r->stage != POSTED) {
            pthread_cond_wait(&a->changed, &a->lock);
            continue;
        }
        pthread_mutex_unlock(&a->lock);
        char *to = r->bytes;
        r->complete = true;
        for (int i = 0; i < r->runs && r->complete; to += r->run[i++].bytes) {
            r->complete = fetch_run(&r->run[i], to);
        }
        pthread_mutex_lock(&a->lock);
        r->stage = FETCHED;
        a->fetched++;
        pthread_cond_broadcast(&a->changed);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

/* Without a thread all is read where it is taken. Signals are for the thread that was there before. */
static void start(csim__ahead *a)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    if (a->running || a->room == 0 || pthread_attr_init(&attributes) != 0) { return; }
    pthread_attr_setstacksize(&attributes, STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    a->fetched = a->posted - 1; /* what was posted before is not for the thread */
    a->running = pthread_create(&a->thread, &attributes, fetch, a) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

/* ---- from outside ---- */

csim_status csim__ahead_open(csim_context *ctx, int64_t bytes, csim__ahead **ahead)
{
    csim__ahead *a = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__calloc(ctx, 1, sizeof *a, "readings", &a));
    *a = (csim__ahead){.ctx = ctx, .room = bytes};
    if (pthread_mutex_init(&a->lock, NULL) != 0) {
        st = csim__fail(ctx, CSIM_E_MEM, "no memory for a lock");
        csim__free(ctx, &a);
        goto done;
    }
    if (pthread_cond_init(&a->changed, NULL) != 0) {
        st = csim__fail(ctx, CSIM_E_MEM, "no memory for a condition");
        pthread_mutex_destroy(&a->lock);
        csim__free(ctx, &a);
        goto done;
    }
    for (int i = 0; st == CSIM_OK && i < CSIM__AHEAD; i++) {
        st = csim__alloc(ctx, bytes, 1, "rows that are read ahead", &a->reading[i].bytes);
    }
    if (st != CSIM_OK) { csim__ahead_close(ctx, &a); }
done:
    *ahead = a;
    return st;
}

void csim__ahead_close(csim_context *ctx, csim__ahead **ahead)
{
    csim__ahead *a = *ahead;
    if (a == NULL) { return; }
    if (a->running) {
        pthread_mutex_lock(&a->lock);
        a->quit = true;
        pthread_cond_broadcast(&a->changed);
        pthread_mutex_unlock(&a->lock);
        pthread_join(a->thread, NULL);
    }
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->lock);
    for (int i = 0; i < CSIM__AHEAD; i++) {
        drop_runs(&a->reading[i]);
        csim__free(ctx, &a->reading[i].bytes);
    }
    csim__free(ctx, ahead);
}

void csim__ahead_post(csim__ahead *a, csim_set *set, int site, int64_t row0, int64_t rows)
{
    reading *r = &a->reading[a->posted++ % CSIM__AHEAD];
    r->set = set;
    r->site = site;
    r->row0 = row0;
    r->rows = rows;
    r->runs = 0;
    r->complete = false;
    if (csim__ahead_direct(set, site) > 0) { start(a); }
    find_runs(a, r);
    if (!a->running) { return; } /* and no run was found */
    pthread_mutex_lock(&a->lock);
    r->stage = POSTED; /* also with nothing to fetch: the thread takes them in turn */
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

csim_status csim__ahead_take(csim__ahead *a, double *out)
{
    reading *r = &a->reading[a->taken++ % CSIM__AHEAD];
    pthread_mutex_lock(&a->lock);
    while (r->stage == POSTED) { pthread_cond_wait(&a->changed, &a->lock); }
    r->stage = IDLE;
    pthread_mutex_unlock(&a->lock);
    bool fetched = r->runs > 0 && r->complete;
    const char *from = r->bytes;
    for (int i = 0; fetched && i < r->runs; i++) {
        const run *p = &r->run[i];
        csim__convert(p->dtype, p->swapped, from, p->numbers, out);
        from += p->bytes;
        out += p->numbers;
    }
    drop_runs(r);
    /* what could not be fetched fails here, with a message, or was a passing trouble */
    return fetched ? CSIM_OK : csim_set_read(r->set, r->site, r->row0, r->rows, out);
}
