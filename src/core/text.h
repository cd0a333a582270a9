/* Words: edit distance, and the known word closest to one that is not known. Texts: where they
 * differ. */
#ifndef CSIM_TEXT_H
#define CSIM_TEXT_H

#include <stdbool.h>

enum { CSIM__WORD_MAX = 64 }; /* longer words are compared by their first 64 bytes */

/** Number of insertions, deletions, replacements and swaps of neighbours that lead from a to b.
 *  Local, pure. */
int csim__edit_distance(const char *a, const char *b);

/** Digits behind the point with which two numbers that are not the same do not look the same: @p least,
 *  or more where they are close. Local, pure. */
int csim__digits_apart(double a, double b, int least);

/** The next number, not below, with so many digits behind the point. Local, pure. */
double csim__round_up(double number, int digits);

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

/** Find the first line in which two texts differ. Local, pure.
 *  @param[in]     ignored  beginnings of lines that are passed over in both, the last NULL; NULL: none
 *  @param[in,out] a,b  the texts; on return the lines, up to their '\n' or the end
 *  @param[out]    length_a,length_b  of the lines; 0 also where there is no further line
 *  @return whether they differ */
bool csim__text_difference(const char *const *ignored, const char **a, int *length_a,
                           const char **b, int *length_b);

/** Does a line of a text, before the next section in brackets, have the name of @p line? A name ends before
 *  @p end. Local, pure. */
bool csim__text_has(const char *text, const char *line, const char *end);

/** Beginnings of the lines of a configuration that say where inputs lie: they are known by their
 *  checksums. */
extern const char *const csim__text_paths[];

#endif
