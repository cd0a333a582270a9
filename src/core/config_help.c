/* What the tables say to people: help, man page, words for completion, and the run file that
 * repeats a run. */
#define _POSIX_C_SOURCE 200809L
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_private.h"

enum { HELP_COLUMN = 30, HELP_WIDTH = 80 };

/* What stands for the value in the help, "" for a flag. */
static const char *metavar(const csim_option *option)
{
    static const char *const by_kind[] = {
        [CSIM_OPTION_FLAG] = "",     [CSIM_OPTION_INT] = "N",     [CSIM_OPTION_REAL] = "X",
        [CSIM_OPTION_SIZE] = "SIZE", [CSIM_OPTION_TEXT] = "TEXT", [CSIM_OPTION_CHOICE] = "WORD",
        [CSIM_OPTION_TEXTS] = "TEXT"};
    return option->metavar != NULL ? option->metavar : by_kind[option->kind];
}

/* The description with everything that the row knows: "…; one of a, b; from 0 to 1 [x]". */
static void describe(const csim_option *option, char *out, size_t size)
{
    char expected[CSIM__EXPECTED_MAX] = "";
    int bounded = option->min != 0 || option->max != 0;
    if (option->kind == CSIM_OPTION_CHOICE) {
        csim__value_expected(option, expected);
    } else if (bounded && option->kind != CSIM_OPTION_SIZE) {
        csim__value_expected(option, expected);
    }
    int shown = option->fallback != NULL && option->fallback[0] != '\0' &&
                !(option->kind == CSIM_OPTION_FLAG && strcmp(option->fallback, "false") == 0);
    snprintf(out, size, "%s%s%s%s%s%s%s", option->help, expected[0] != '\0' ? "; " : "", expected,
             option->kind == CSIM_OPTION_TEXTS ? "; may be repeated" : "", shown ? " [" : "",
             shown ? option->fallback : "", shown ? "]" : "");
    out[0] = (char)toupper((unsigned char)out[0]);
}

/* Words of `text` from column `at` on, with lines broken before HELP_WIDTH. */
static void print_wrapped(FILE *out, const char *text, int at)
{
    int column = at;
    while (*text != '\0') {
        int length = (int)strcspn(text, " ");
        if (column > HELP_COLUMN && column + 1 + length > HELP_WIDTH) {
            fputc('\n', out);
            column = 0;
        }
        if (column < HELP_COLUMN) {
            fprintf(out, "%*s", HELP_COLUMN - column, "");
            column = HELP_COLUMN;
        } else if (column > HELP_COLUMN) {
            fputc(' ', out);
            column++;
        }
        fprintf(out, "%.*s", length, text);
        column += length;
        text += length;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

/* "--svcca.[no-]flag", "--output FILE" */
static void spell_usage(const csim__option_group *group, const csim_option *option, char *out,
                        size_t size)
{
    const char *value = metavar(option);
    snprintf(out, size, "--%s%s%s%s%s%s", group->prefix, group->prefix[0] != '\0' ? "." : "",
             option->kind == CSIM_OPTION_FLAG ? "[no-]" : "", option->name,
             value[0] != '\0' ? " " : "", value);
}

static void print_option(const csim__config *config, int g, int r, FILE *out)
{
    const csim_option *option = &config->group[g].g.table[r];
    char left[2 * CSIM__NAME_MAX], text[2 * CSIM__EXPECTED_MAX];
    spell_usage(&config->group[g].g, option, left, sizeof left);
    describe(option, text, sizeof text);
    int at;
    if (option->letter != '\0') {
        at = fprintf(out, "  -%c, %s", option->letter, left);
    } else {
        at = fprintf(out, "      %s", left);
    }
    if (at > HELP_COLUMN - 2) {
        fputc('\n', out);
        at = 0;
    }
    print_wrapped(out, text, at);
}

/* Groups in a row under one title are one to the reader. */
static bool goes_on(const csim__config *config, int g)
{
    return g > 0 && strcmp(config->group[g - 1].g.prefix, config->group[g].g.prefix) == 0 &&
           strcmp(config->group[g - 1].g.title, config->group[g].g.title) == 0;
}

void csim__config_print_help(const csim__config *config, FILE *out)
{
    for (int g = 0; g < config->groups; g++) {
        if (config->group[g].rows == 0) { continue; }
        const char *prefix = config->group[g].g.prefix;
        if (!goes_on(config, g)) {
            fprintf(out, "\n%s%s%s:\n", config->group[g].g.title, prefix[0] != '\0' ? " " : "",
                    prefix);
        }
        for (int r = 0; r < config->group[g].rows; r++) { print_option(config, g, r, out); }
    }
}

void csim__print_troff(FILE *out, const char *text)
{
    if (*text == '.' || *text == '\'') { fputs("\\&", out); }
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '\\':
            fputs("\\e", out);
            break;
        case '-':
            fputs("\\-", out);
            break;
        case '\'':
            fputs("\\(aq", out);
            break;
        case '`':
            fputs("\\(ga", out);
            break;
        case '^':
            fputs("\\(ha", out);
            break;
        case '~':
            fputs("\\(ti", out);
            break;
        default:
            fputc(*text, out);
        }
    }
}

static void print_man_option(const csim__config *config, int g, int r, FILE *out)
{
    const csim_option *option = &config->group[g].g.table[r];
    char name[CSIM__NAME_MAX], text[2 * CSIM__EXPECTED_MAX];
    csim__config_spell(config, g, r, name);
    fputs(".TP\n", out);
    if (option->letter != '\0') { fprintf(out, "\\fB\\-%c\\fR, ", option->letter); }
    fputs("\\fB", out);
    csim__print_troff(out, name);
    fputs("\\fR", out);
    if (metavar(option)[0] != '\0') {
        fputs(" \\fI", out);
        csim__print_troff(out, metavar(option));
        fputs("\\fR", out);
    }
    fputc('\n', out);
    describe(option, text, sizeof text);
    csim__print_troff(out, text);
    fputc('\n', out);
}

void csim__config_print_man(const csim__config *config, FILE *out)
{
    for (int g = 0; g < config->groups; g++) {
        if (config->group[g].rows == 0) { continue; }
        if (!goes_on(config, g)) {
            fputs(".PP\n\\fI", out);
            csim__print_troff(out, config->group[g].g.title);
            fprintf(out, " %s\\fR\n", config->group[g].g.prefix);
        }
        for (int r = 0; r < config->group[g].rows; r++) { print_man_option(config, g, r, out); }
    }
}

void csim__config_print_words(const csim__config *config, FILE *out)
{
    const char *blank = "";
    for (int g = 0; g < config->groups; g++) {
        for (int r = 0; r < config->group[g].rows; r++) {
            const csim_option *option = &config->group[g].g.table[r];
            char name[CSIM__NAME_MAX];
            csim__config_spell(config, g, r, name);
            fprintf(out, "%s%s", blank, name);
            blank = " ";
            if (option->letter != '\0') { fprintf(out, " -%c", option->letter); }
            const char *prefix = config->group[g].g.prefix;
            if (option->kind == CSIM_OPTION_FLAG) {
                fprintf(out, " --%s%sno-%s", prefix, prefix[0] != '\0' ? "." : "", option->name);
            }
        }
    }
}

void csim__config_print_values(const csim__config *config, FILE *out)
{
    for (int g = 0; g < config->groups; g++) {
        for (int r = 0; r < config->group[g].rows; r++) {
            const csim_option *option = &config->group[g].g.table[r];
            char name[CSIM__NAME_MAX];
            if (option->choices == NULL) { continue; }
            csim__config_spell(config, g, r, name);
            fprintf(out, "    %s:%s", config->section, name);
            if (option->letter != '\0') {
                fprintf(out, "|%s:-%c", config->section, option->letter);
            }
            fputs(") values='", out);
            for (const char *c = option->choices; *c != '\0'; c++) {
                fputc(*c == '|' ? ' ' : *c, out);
            }
            fputs("' ;;\n", out);
        }
    }
}

static void write_text(const char *name, const char *text, FILE *out)
{
    size_t length = strlen(text);
    int quote = length > 0 &&
                (text[0] == ' ' || text[length - 1] == ' ' || text[0] == '"' || text[0] == ';');
    fprintf(out, "%s = %s%s%s\n", name, quote ? "\"" : "", text, quote ? "\"" : "");
}

static void write_option(const csim_option *option, const void *target, FILE *out)
{
    const char *field = (const char *)target + option->offset;
    const char *text = NULL;
    csim_texts texts;
    switch (option->kind) {
    case CSIM_OPTION_TEXTS:
        memcpy(&texts, field, sizeof texts);
        for (int i = 0; i < texts.count; i++) { write_text(option->name, texts.text[i], out); }
        /* An option that was emptied must not come back with its default. */
        if (texts.count == 0 && option->fallback != NULL) { write_text(option->name, "", out); }
        break;
    case CSIM_OPTION_TEXT:
        memcpy(&text, field, sizeof text);
        if (text != NULL || option->fallback != NULL) {
            write_text(option->name, text != NULL ? text : "", out);
        }
        break;
    default:
        fprintf(out, "%s = ", option->name);
        csim__value_print(option, target, out);
        fputc('\n', out);
    }
}

csim_status csim__config_write(const csim__config *config, char **text)
{
    *text = NULL;
    char *buffer = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&buffer, &length);
    if (out == NULL) { return csim__fail(config->ctx, CSIM_E_MEM, "effective configuration"); }
    const char *section = NULL;
    for (int g = 0; g < config->groups; g++) {
        const csim__option_group *group = &config->group[g].g;
        if (!group->record || config->group[g].rows == 0) { continue; }
        const char *next = group->prefix[0] != '\0' ? group->prefix : config->section;
        if (section == NULL || strcmp(section, next) != 0) { fprintf(out, "[%s]\n", next); }
        section = next;
        for (int r = 0; r < config->group[g].rows; r++) {
            write_option(&group->table[r], group->target, out);
        }
    }
    int failed = ferror(out);
    failed = fclose(out) != 0 || failed;
    csim_status st = failed ? csim__fail(config->ctx, CSIM_E_MEM, "effective configuration")
                            : csim__strdup(config->ctx, buffer, text);
    free(buffer);
    return st;
}
