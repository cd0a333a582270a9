/* Rows of sites that are not held: read again chunk by chunk, the next while one is used, and made
 * into what is computed with. The numbers are those of rows that are held, bit for bit. */
#ifndef CSIM_FEED_H
#define CSIM_FEED_H

#include "ingredients/meter.h"
#include "ingredients/site.h"

/** What is made of the rows of a chunk. */
enum csim__form {
    CSIM__FORM_CENTRED = 1,   /* double */
    CSIM__FORM_SINGLE = 2,    /* float, times 2^−shift */
    CSIM__FORM_BASIS = 4,     /* by site->basis.factors */
    CSIM__FORM_RAW_BASIS = 8, /* of the rows as read, by site->raw_basis.factors */
    CSIM__FORM_UNIT = 16      /* as read, each divided by its length */
};

/** A site in a feed: its rows of the chunk at hand in the forms that are wanted, others NULL. */
typedef struct csim__guest {
    const csim__site *site;
    unsigned forms;
    double *centred;                  /* [chunk, d] */
    float *single;                    /* [chunk, d] */
    double *basis, *raw_basis, *unit; /* [chunk, columns] */
} csim__guest;

/** Flops that take as long as reading, checking and centring a number. */
enum { CSIM__READING = 256 };

typedef struct csim__feed {
    csim_context *ctx;
    const csim_shard *shard;
    csim__meter *meter;
    csim__guest *guest; /* [count] borrowed */
    int count;
    bool again;
    struct csim__ahead *ahead;
    int64_t items, posted, taken; /* guests of the first chunk, then of the next, … */
    double *scratch[3];           /* [chunk, widest] as far as there is need */
} csim__feed;

/** Bytes of a number of a site in its file, where its rows are read ahead; else 0. */
int csim__feed_item(const csim__site *site);

/** Bytes of what a guest has of a chunk, of which a basis has @p q columns. Pure. */
int64_t csim__guest_bytes(int64_t chunk, int64_t d, int64_t q, unsigned forms);

/** Bytes of the rest of a feed. Pure.
 *  @param[in] widest  neurons of the widest guest
 *  @param[in] fetched bytes of a row in the files, the most of all guests
 *  @param[in] forms   of all guests together
 *  @param[in] shared  some guest has no centred rows of its own */
int64_t csim__feed_bytes(int64_t chunk, int64_t widest, int64_t fetched, unsigned forms,
                         bool shared);

/** Begin to read this rank's chunks of some sites. Local.
 *  @param[in]     again   the values must be those of the reading that made site->hash
 *  @param[in,out] guests  [count] with site and forms; must stay until the feed is closed
 *  @param[in]     meter   of the work on bases; NULL without any
 *  @param[out]    feed    close it also on error
 *  @return CSIM_OK, CSIM_E_MEM */
csim_status csim__feed_open(csim_context *ctx, const csim_shard *shard, csim__guest *guests,
                            int count, bool again, csim__meter *meter, csim__feed *feed);

/** Local. Accepts a feed of zeros. */
void csim__feed_close(csim__feed *feed);

/** The next rows as read, of one guest after the other, then of the next chunk. Local.
 *  @param[out] x  [chunk, d]; zeros of a site that is unfit
 *  @return CSIM_OK, CSIM_E_IO, CSIM_E_DATA (not the values that were there before), CSIM_E_MEM */
csim_status csim__feed_read(csim__feed *feed, double *x);

/** The same into the forms that the guest has. Local. */
csim_status csim__feed_next(csim__feed *feed);

/** Flops that take as long as reading a chunk of all guests. */
double csim__feed_work(const csim__feed *feed);

/** What is made of a chunk, counted from the first of this rank. Local. */
typedef csim_status (*csim__chunk_fn)(void *user, int64_t chunk);

/** One chunk of this rank after the other. Before the first, and now and then, the ranks tell each other
 *  whether some rank failed or is asked to stop, which ends the work of all. Collective.
 *  @param[in] mine  what came before
 *  @param[in] work  flops for a chunk, the same on every rank: a look comes every second or so
 *  @return CSIM_OK, CSIM_E_STOPPED, what @p one gives; the same on every rank */
csim_status csim__feed_chunks(csim_context *ctx, const csim_shard *shard, const csim__meter *meter,
                              csim_status mine, double work, csim__chunk_fn one, void *user);

/** A checksum of the values of some rows. */
int64_t csim__rows_hash(const double *x, int64_t count);

/** Read the centred rows of a streamed site to hold them for a while, in site->x or, @p single,
 *  site->xf; freed like those of any site. Local. CSIM_OK, what csim__feed_read() gives. */
csim_status csim__site_hold(csim_context *ctx, const csim_shard *shard, csim__site *site,
                            bool single);

#endif
