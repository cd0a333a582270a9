/* Measures on the command line: their options, their list in the help, and `--measures`. */
#include <string.h>

#include "app/app.h"
#include "core/text.h"
#include "encoder/encoder.h"

csim_status csim__measure_groups(csim__config *config, void ***options)
{
    int count = csim_measure_count();
    void *targets = NULL;
    csim_status st = csim__config_target(config, (size_t)count * sizeof(void *), &targets);
    if (st != CSIM_OK) { return st; }
    *options = targets;
    for (int i = 0; i < count; i++) {
        const csim_measure *measure = csim_measure_get(i);
        if (measure->options == NULL) { continue; }
        CSIM_TRY(csim__config_target(config, measure->options_size, &(*options)[i]));
        csim__option_group group = {.prefix = measure->name,
                                    .title = "Measure",
                                    .table = measure->options,
                                    .target = (*options)[i],
                                    .record = 1};
        CSIM_TRY(csim__config_add(config, &group));
    }
done:
    return st;
}

void csim__list_measures(void (*print)(FILE *, const char *, const char *), FILE *out)
{
    print(out, "Measures", "");
    for (int i = 0; i < csim_measure_count(); i++) {
        const csim_measure *measure = csim_measure_get(i);
        print(out, measure->name, measure->doc);
    }
    const char *target, *alias;
    for (int i = 0; (alias = csim_measure_alias(i, &target)) != NULL; i++) {
        if (i == 0) { print(out, "Other names of measures", ""); }
        print(out, alias, target);
    }
}

static csim_status fail_measure(const csim__config *config, const char *name)
{
    csim__closest search = csim__closest_start(name);
    const char *target;
    for (int i = 0; i < csim_measure_count(); i++) {
        csim__closest_try(&search, csim_measure_get(i)->name);
    }
    for (int i = 0; csim_measure_alias(i, &target) != NULL; i++) {
        csim__closest_try(&search, csim_measure_alias(i, &target));
    }
    if (search.best == NULL) {
        return csim__config_fail(config, "", "measures", "unknown measure '%.60s'", name);
    }
    return csim__config_fail(config, "", "measures", "unknown measure '%.60s'; the closest is '%s'",
                             name, search.best);
}

csim_status csim__choose_measures(const csim__config *config, const char *list, int *chosen)
{
    int found = 0;
    for (const char *s = list != NULL ? list : ""; *s != '\0';) {
        char name[CSIM__WORD_MAX + 1];
        size_t length = strcspn(s, ",");
        snprintf(name, sizeof name, "%.*s", (int)(length < 999 ? length : 999), s);
        s += length + (s[length] == ',');
        if (length == 0) { continue; }
        const csim_measure *measure = csim_measure_find(name);
        int all = strcmp(name, "all") == 0;
        if (measure == NULL && !all) { return fail_measure(config, name); }
        for (int i = 0; i < csim_measure_count(); i++) {
            /* `all` means what needs no encoder: a learned measure is named */
            bool closed = !(csim_measure_get(i)->needs & CSIM_NEEDS_PROJECTION);
            if ((all && closed) || csim_measure_get(i) == measure) { chosen[i] = 1; }
        }
        found = 1;
    }
    return found ? CSIM_OK : csim__config_fail(config, "", "measures", "no measure is named");
}

csim_status csim__read_encoders(csim_context *ctx, const csim_texts *paths, int64_t memory,
                                csim_encoder ***encoders)
{
    csim_status st = csim__calloc(ctx, paths->count, sizeof **encoders, "encoders", encoders);
    st = csim__vote(ctx, st);
    for (int i = 0; st == CSIM_OK && i < paths->count; i++) {
        st = csim__encoder_read(ctx, paths->text[i], memory, &(*encoders)[i]);
    }
    return st;
}

void csim__free_encoders(csim_context *ctx, int count, csim_encoder ***encoders)
{
    for (int i = 0; *encoders != NULL && i < count; i++) { csim_encoder_free(&(*encoders)[i]); }
    csim__free(ctx, encoders);
}

csim_status csim__resolve_measures(csim__config *config, csim_texts *names)
{
    size_t bytes = 1, count = 0;
    for (int i = 0; i < names->count; i++) {
        bytes += strlen(names->text[i]) + 1;
        for (const char *c = names->text[i]; *c != '\0'; c++) { count += *c == ','; }
    }
    count += (size_t)names->count;
    void *list = NULL, *texts = NULL;
    csim_status st = csim__config_target(config, (count + 1) * sizeof(char *), &list);
    if (st == CSIM_OK) { st = csim__config_target(config, bytes, &texts); }
    if (st != CSIM_OK) { return st; }
    const char **name = list;
    char *word = texts;
    int used = 0;
    for (int i = 0; i < names->count; i++) {
        for (const char *s = names->text[i]; *s != '\0';) {
            size_t length = strcspn(s, ",");
            memcpy(word, s, length);
            s += length + (s[length] == ',');
            word[length] = '\0';
            if (strcmp(word, "all") == 0) {
                names->count = 0;
                return CSIM_OK;
            }
            const csim_measure *measure = csim_measure_find(word);
            if (length > 0) { name[used++] = measure != NULL ? measure->name : word; }
            word += length + 1;
        }
    }
    *names = (csim_texts){used, name};
    return CSIM_OK;
}
