#include "core/text.h"

#include <math.h>
#include <string.h>

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

static int word_length(const char *s)
{
    int n = 0;
    while (n < CSIM__WORD_MAX && s[n] != '\0') { n++; }
    return n;
}

int csim__edit_distance(const char *a, const char *b)
{
    int na = word_length(a), nb = word_length(b);
    int row[3][CSIM__WORD_MAX + 1]; /* rows i-2, i-1 and i of the table, by i mod 3 */
    for (int j = 0; j <= nb; j++) { row[0][j] = j; }
    for (int i = 1; i <= na; i++) {
        int *now = row[i % 3], *one = row[(i + 2) % 3], *two = row[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= nb; j++) {
            int d = one[j - 1] + (a[i - 1] != b[j - 1]);
            d = min_int(d, min_int(one[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                d = min_int(d, two[j - 2] + 1);
            }
            now[j] = d;
        }
    }
    return row[na % 3][nb];
}

csim__closest csim__closest_start(const char *word)
{
    return (csim__closest){.word = word, .best = NULL, .distance = 0};
}

void csim__closest_try(csim__closest *search, const char *candidate)
{
    int d = csim__edit_distance(search->word, candidate);
    int length = word_length(candidate);
    /* More than a third of the letters wrong is a different word; a part of a long word counts as
     * close. */
    size_t typed = strlen(search->word);
    int within = typed >= 3 && strstr(candidate, search->word) != NULL;
    int limit = within ? length : (length <= 3 ? 1 : 1 + length / 4);
    if (d <= limit && (search->best == NULL || d < search->distance)) {
        search->best = candidate;
        search->distance = d;
    }
}

int csim__digits_apart(double a, double b, int least)
{
    enum { MOST = 9 };
    int digits = least;
    while (digits < MOST && a != b && fabs(a - b) <= pow(10, -digits)) { digits++; }
    return digits;
}

double csim__round_up(double number, int digits)
{
    double scale = pow(10, digits);
    return ceil(number * scale) / scale;
}

const char *const csim__text_paths[] = {"set = ", "encoder = ", NULL};

/* The next line that counts. */
static const char *pass_over(const char *text, const char *const *ignored)
{
    for (int i = 0; ignored != NULL && ignored[i] != NULL; i++) {
        if (strncmp(text, ignored[i], strlen(ignored[i])) != 0) { continue; }
        text += strcspn(text, "\n");
        text += *text == '\n';
        i = -1; /* the next line */
    }
    return text;
}

bool csim__text_difference(const char *const *ignored, const char **a, int *length_a,
                           const char **b, int *length_b)
{
    for (;;) {
        *a = pass_over(*a, ignored);
        *b = pass_over(*b, ignored);
        if (**a == '\0' && **b == '\0') { return false; }
        *length_a = (int)strcspn(*a, "\n");
        *length_b = (int)strcspn(*b, "\n");
        if (*length_a != *length_b || memcmp(*a, *b, (size_t)*length_a) != 0) { return true; }
        *a += *length_a + ((*a)[*length_a] == '\n');
        *b += *length_b + ((*b)[*length_b] == '\n');
    }
}

bool csim__text_has(const char *text, const char *line, const char *end)
{
    size_t length = strcspn(line, end) + 1;
    for (; *text != '\0' && *text != '['; text += *text == '\n') {
        if (strncmp(text, line, length) == 0) { return true; }
        text += strcspn(text, "\n");
    }
    return false;
}
