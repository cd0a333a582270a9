/* Values of options from text and back to text, one kind at a time. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_private.h"

#define WHOLE_MAX 9007199254740992.0 /* 2⁵³: whole numbers up to here are exact in a double */

const char *csim__choice_word(const char *choices, int index, size_t *length)
{
    const char *word = choices;
    for (int i = 0; i < index && *word != '\0'; i++) {
        word += strcspn(word, "|");
        if (*word == '|') { word++; }
    }
    *length = strcspn(word, "|");
    return word;
}

static int in_range(const csim_option *option, double value)
{
    if (option->min == 0 && option->max == 0) { return 1; }
    return value >= option->min && value <= option->max;
}

/* A finite decimal number that begins the text; the rest goes to *end. */
static int parse_number(const char *text, double *value, char **end)
{
    *value = strtod(text, end);
    size_t used = (size_t)(*end - text);
    /* strtod() also takes blanks, hexadecimal numbers, "inf" and "nan" */
    return used > 0 && strspn(text, "0123456789+-.eE") >= used && isfinite(*value);
}

static int parse_flag(const char *text, csim__value *value)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    for (int i = 0; i < (int)(sizeof words / sizeof words[0]); i++) {
        if (strcmp(text, words[i]) == 0) {
            value->flag = i % 2;
            return 1;
        }
    }
    return 0;
}

static int parse_whole(const char *text, csim__value *value)
{
    char *end = NULL;
    double real;
    if (text[0] != '\0' && text[strspn(text, "+-0123456789")] == '\0') {
        errno = 0;
        long long whole = strtoll(text, &end, 10);
        value->whole = whole;
        return end != text && *end == '\0' && errno == 0;
    }
    if (!parse_number(text, &real, &end) || *end != '\0') { return 0; }
    if (real != floor(real) || fabs(real) > WHOLE_MAX) { return 0; }
    value->whole = (int64_t)real;
    return 1;
}

static int parse_size(const char *text, csim__value *value)
{
    static const char units[] = "KMGTP";
    double real;
    char *end;
    if (!parse_number(text, &real, &end) || real < 0) { return 0; }
    if (*end != '\0') {
        const char *unit = strchr(units, *end);
        if (unit == NULL) { return 0; }
        real = ldexp(real, 10 * (int)(unit - units + 1));
        end++;
        if (strcmp(end, "") != 0 && strcmp(end, "B") != 0 && strcmp(end, "iB") != 0) { return 0; }
    }
    if (real > 0x1p62) { return 0; }
    value->whole = (int64_t)real;
    return 1;
}

static int parse_choice(const char *choices, const char *text, csim__value *value)
{
    size_t length, wanted = strlen(text);
    for (int i = 0;; i++) {
        const char *word = csim__choice_word(choices, i, &length);
        if (length == 0) { return 0; }
        if (length == wanted && memcmp(word, text, length) == 0) {
            value->flag = i;
            return 1;
        }
    }
}

int csim__value_parse(const csim_option *option, const char *text, csim__value *value)
{
    char *end = NULL;
    switch (option->kind) {
    case CSIM_OPTION_FLAG:
        return parse_flag(text, value);
    case CSIM_OPTION_CHOICE:
        return parse_choice(option->choices, text, value);
    case CSIM_OPTION_INT:
        return parse_whole(text, value) && in_range(option, (double)value->whole);
    case CSIM_OPTION_SIZE:
        return parse_size(text, value) && in_range(option, (double)value->whole);
    case CSIM_OPTION_REAL:
        return parse_number(text, &value->real, &end) && *end == '\0' &&
               in_range(option, value->real);
    case CSIM_OPTION_TEXT:
    case CSIM_OPTION_TEXTS:
        break;
    }
    return 0;
}

int csim__value_is_text(const char *text)
{
    for (const unsigned char *s = (const unsigned char *)text; *s != '\0'; s++) {
        if (*s < 32 || *s == 127) { return 0; }
    }
    return 1;
}

static void describe_range(const csim_option *option, const char *what, char *out, size_t size)
{
    if (option->min == 0 && option->max == 0) {
        snprintf(out, size, "%s", what);
    } else if (option->max >= WHOLE_MAX) {
        snprintf(out, size, "%s of at least %g", what, option->min);
    } else {
        snprintf(out, size, "%s from %g to %g", what, option->min, option->max);
    }
}

static void describe_choices(const char *choices, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "one of ");
    for (const char *s = choices; *s != '\0' && used + 3 < size; s++) {
        if (*s == '|') {
            out[used++] = ',';
            out[used++] = ' ';
        } else {
            out[used++] = *s;
        }
    }
    out[used] = '\0';
}

void csim__value_expected(const csim_option *option, char out[CSIM__EXPECTED_MAX])
{
    size_t size = CSIM__EXPECTED_MAX;
    switch (option->kind) {
    case CSIM_OPTION_FLAG:
        snprintf(out, size, "true or false");
        break;
    case CSIM_OPTION_CHOICE:
        describe_choices(option->choices, out, size);
        break;
    case CSIM_OPTION_INT:
        describe_range(option, "a whole number", out, size);
        break;
    case CSIM_OPTION_REAL:
        describe_range(option, "a number", out, size);
        break;
    case CSIM_OPTION_SIZE:
        snprintf(out, size, "a size in bytes%s such as 512M or 4G",
                 option->min > 0 ? ", not 0," : "");
        break;
    case CSIM_OPTION_TEXT:
    case CSIM_OPTION_TEXTS:
        snprintf(out, size, "text without control characters");
        break;
    }
}

/* The shortest decimal that reads back as the same double. */
static void print_real(double value, FILE *out)
{
    char text[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) { break; }
    }
    fputs(text, out);
}

void csim__value_print(const csim_option *option, const void *target, FILE *out)
{
    const char *field = (const char *)target + option->offset;
    csim__value value = {0};
    const char *text = NULL, *word;
    size_t length;
    switch (option->kind) {
    case CSIM_OPTION_FLAG:
        memcpy(&value.flag, field, sizeof value.flag);
        fputs(value.flag ? "true" : "false", out);
        break;
    case CSIM_OPTION_CHOICE:
        memcpy(&value.flag, field, sizeof value.flag);
        word = csim__choice_word(option->choices, value.flag, &length);
        fprintf(out, "%.*s", (int)length, word);
        break;
    case CSIM_OPTION_INT:
    case CSIM_OPTION_SIZE:
        memcpy(&value.whole, field, sizeof value.whole);
        fprintf(out, "%" PRId64, value.whole);
        break;
    case CSIM_OPTION_REAL:
        memcpy(&value.real, field, sizeof value.real);
        print_real(value.real, out);
        break;
    case CSIM_OPTION_TEXT:
        memcpy(&text, field, sizeof text);
        fputs(text != NULL ? text : "", out);
        break;
    case CSIM_OPTION_TEXTS:
        break;
    }
}
