/* Words: edit distance, and the known word closest to one that is not known. */
#ifndef CSIM_TEXT_H
#define CSIM_TEXT_H

enum { CSIM__WORD_MAX = 64 }; /* longer words are compared by their first 64 bytes */

/** Number of insertions, deletions, replacements and swaps of neighbours that lead from a to b.
 *  Local, pure. */
int csim__edit_distance(const char *a, const char *b);

/** A search for the candidate closest to a word. */
typedef struct csim__closest {
    const char *word;
    const char *best; /* NULL while no candidate is close enough to be worth suggesting */
    int distance;
} csim__closest;

/** Start a search. Local. */
csim__closest csim__closest_start(const char *word);

/** Offer a candidate, which must outlive the search; of equally close ones the first stays. */
void csim__closest_try(csim__closest *search, const char *candidate);

#endif
