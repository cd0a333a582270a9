/* A configuration as words of a command line. */
#define _POSIX_C_SOURCE 200809L
#include <string.h>

#include "core/config_private.h"

void csim__shell_word(const char *text, FILE *out)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-./=:,+@%";
    if (text[0] != '\0' && text[strspn(text, plain)] == '\0') {
        fputs(text, out);
        return;
    }
    fputc('\'', out);
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            fputs("'\\''", out);
        } else {
            fputc(*text, out);
        }
    }
    fputc('\'', out);
}

/* The value is printed to memory first: it may need quotes. */
static void print_value(const csim_option *option, const void *target, FILE *out)
{
    char text[4096] = "";
    const char *field = (const char *)target + option->offset, *whole = NULL;
    if (option->kind == CSIM_OPTION_TEXT) {
        memcpy(&whole, field, sizeof whole);
    } else {
        FILE *memory = fmemopen(text, sizeof text, "w");
        if (memory == NULL) { return; }
        csim__value_print(option, target, memory);
        fclose(memory);
    }
    csim__shell_word(whole != NULL ? whole : text, out);
}

static void print_option(const csim__config *config, int g, int r, FILE *out)
{
    const csim__option_group *group = &config->group[g].g;
    const csim_option *option = &group->table[r];
    const char *field = (const char *)group->target + option->offset;
    char name[CSIM__NAME_MAX];
    csim__config_spell(config, g, r, name);
    if (option->kind == CSIM_OPTION_FLAG) {
        int on;
        memcpy(&on, field, sizeof on);
        fprintf(out, " --%s%s", on ? "" : "no-", name + 2);
    } else if (option->kind == CSIM_OPTION_TEXTS) {
        csim_texts texts;
        memcpy(&texts, field, sizeof texts);
        for (int i = 0; i < texts.count; i++) {
            fprintf(out, " %s ", name);
            csim__shell_word(texts.text[i], out);
        }
    } else {
        fprintf(out, " %s ", name);
        print_value(option, group->target, out);
    }
}

void csim__config_line(const csim__config *config, const char *skip, FILE *out)
{
    for (int g = 0; g < config->groups; g++) {
        const csim__config_group *group = &config->group[g];
        for (int r = 0; group->g.record && r < group->rows; r++) {
            bool own = group->g.prefix[0] == '\0';
            if (group->entry[r].level == CSIM__LEVEL_DEFAULT) { continue; }
            if (own && strcmp(group->g.table[r].name, skip) == 0) { continue; }
            print_option(config, g, r, out);
        }
    }
}
