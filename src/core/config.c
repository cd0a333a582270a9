#include "core/config.h"

#include <string.h>

#include "core/config_private.h"

csim_status csim__config_create(csim_context *ctx, const char *section, csim__config **config)
{
    *config = NULL;
    csim__config *c = NULL;
    csim_status st = csim__calloc(ctx, 1, sizeof *c, "configuration", &c);
    if (st != CSIM_OK) { return st; }
    c->ctx = ctx;
    c->section = section;
    *config = c;
    return CSIM_OK;
}

void csim__config_free(csim__config **config)
{
    csim__config *c = *config;
    if (c == NULL) { return; }
    for (int g = 0; g < c->groups; g++) {
        for (int r = 0; r < c->group[g].rows; r++) {
            csim__free(c->ctx, &c->group[g].entry[r].list);
        }
        csim__free(c->ctx, &c->group[g].entry);
    }
    for (int i = 0; i < c->blocks; i++) { csim__free(c->ctx, &c->block[i]); }
    csim__free(c->ctx, &c->block);
    csim__free(c->ctx, &c->group);
    csim__free(c->ctx, &c->positional);
    csim_context *ctx = c->ctx;
    csim__free(ctx, config);
}

/* Room for one more block in the list of those to free. */
static csim_status reserve_block(csim__config *config)
{
    if (config->blocks < config->blocks_capacity) { return CSIM_OK; }
    int capacity = config->blocks_capacity == 0 ? 16 : 2 * config->blocks_capacity;
    csim_status st = csim__realloc(config->ctx, capacity, sizeof *config->block, "list of texts",
                                   &config->block);
    if (st == CSIM_OK) { config->blocks_capacity = capacity; }
    return st;
}

csim_status csim__config_keep(csim__config *config, const char *text, const char **kept)
{
    char *copy = NULL;
    csim_status st = reserve_block(config);
    if (st == CSIM_OK) { st = csim__strdup(config->ctx, text, &copy); }
    if (st != CSIM_OK) { return st; }
    config->block[config->blocks++] = copy;
    *kept = copy;
    return CSIM_OK;
}

csim_status csim__config_target(csim__config *config, size_t size, void **target)
{
    *target = NULL;
    csim_status st = reserve_block(config);
    if (st == CSIM_OK) { st = csim__calloc(config->ctx, 1, size, "options", target); }
    if (st == CSIM_OK) { config->block[config->blocks++] = *target; }
    return st;
}

void csim__config_spell(const csim__config *config, int group, int row, char out[CSIM__NAME_MAX])
{
    const csim__option_group *g = &config->group[group].g;
    snprintf(out, CSIM__NAME_MAX, "--%s%s%s", g->prefix, g->prefix[0] != '\0' ? "." : "",
             g->table[row].name);
}

/* Where a value was given, as in "run.ini, line 7". */
static void describe_origin(csim__origin origin, char out[CSIM__EXPECTED_MAX])
{
    if (origin.file != NULL) {
        snprintf(out, CSIM__EXPECTED_MAX, "%s, line %d", origin.file, origin.line);
    } else {
        snprintf(out, CSIM__EXPECTED_MAX, "command line");
    }
}

static csim_status fail_value(csim__config *config, int group, int row, csim__origin origin,
                              const char *text)
{
    char where[CSIM__EXPECTED_MAX], name[CSIM__NAME_MAX], expected[CSIM__EXPECTED_MAX];
    describe_origin(origin, where);
    csim__config_spell(config, group, row, name);
    csim__value_expected(&config->group[group].g.table[row], expected);
    return csim__fail(config->ctx, CSIM_E_USAGE, "option %s (%s): found '%.200s', expected %s",
                      name, where, text, expected);
}

static csim_status append_text(csim__config *config, csim__config_entry *entry, csim_texts *texts,
                               int restart, const char *kept)
{
    int count = restart ? 0 : texts->count;
    if (count == entry->capacity) {
        int capacity = count == 0 ? 8 : 2 * count;
        csim_status st = csim__realloc(config->ctx, capacity, sizeof *entry->list, "list of texts",
                                       &entry->list);
        if (st != CSIM_OK) { return st; }
        entry->capacity = capacity;
    }
    entry->list[count] = kept;
    texts->text = entry->list;
    texts->count = count + 1;
    return CSIM_OK;
}

csim_status csim__config_set(csim__config *config, int group, int row, int level,
                             csim__origin origin, const char *text)
{
    csim__config_group *g = &config->group[group];
    csim__config_entry *entry = &g->entry[row];
    const csim_option *option = &g->g.table[row];
    char *field = (char *)g->g.target + option->offset;
    bool is_text = option->kind == CSIM_OPTION_TEXT || option->kind == CSIM_OPTION_TEXTS;
    csim__value value = {0};
    if (is_text ? !csim__value_is_text(text) : !csim__value_parse(option, text, &value)) {
        return fail_value(config, group, row, origin, text);
    }
    if (level < entry->level) { return CSIM_OK; } /* checked, and overridden */
    csim_status st = CSIM_OK;
    const char *kept = NULL;
    if (is_text && text[0] != '\0') { CSIM_TRY(csim__config_keep(config, text, &kept)); }
    switch (option->kind) {
    case CSIM_OPTION_TEXTS:
        if (kept == NULL) {
            ((csim_texts *)(void *)field)->count = 0;
            break;
        }
        CSIM_TRY(
            append_text(config, entry, (csim_texts *)(void *)field, level > entry->level, kept));
        break;
    case CSIM_OPTION_TEXT:
        memcpy(field, &kept, sizeof kept);
        break;
    case CSIM_OPTION_FLAG:
    case CSIM_OPTION_CHOICE:
        memcpy(field, &value.flag, sizeof value.flag);
        break;
    case CSIM_OPTION_INT:
    case CSIM_OPTION_SIZE:
        memcpy(field, &value.whole, sizeof value.whole);
        break;
    case CSIM_OPTION_REAL:
        memcpy(field, &value.real, sizeof value.real);
        break;
    }
    entry->level = level;
    entry->origin = origin;
done:
    return st;
}

static void set_empty(const csim_option *option, void *target)
{
    static const size_t size[] = {
        [CSIM_OPTION_FLAG] = sizeof(int),        [CSIM_OPTION_INT] = sizeof(int64_t),
        [CSIM_OPTION_REAL] = sizeof(double),     [CSIM_OPTION_SIZE] = sizeof(int64_t),
        [CSIM_OPTION_TEXT] = sizeof(char *),     [CSIM_OPTION_CHOICE] = sizeof(int),
        [CSIM_OPTION_TEXTS] = sizeof(csim_texts)};
    memset((char *)target + option->offset, 0, size[option->kind]);
}

/* Is the name taken within the prefix, or the letter at all? */
static int is_taken(const csim__config *config, const char *prefix, const csim_option *option)
{
    for (int g = 0; g < config->groups; g++) {
        const csim__option_group *other = &config->group[g].g;
        for (int r = 0; r < config->group[g].rows; r++) {
            const csim_option *o = &other->table[r];
            if (o == option) { return 0; } /* only those before it */
            if (option->letter != '\0' && o->letter == option->letter) { return 1; }
            if (strcmp(other->prefix, prefix) == 0 && strcmp(o->name, option->name) == 0) {
                return 1;
            }
        }
    }
    return 0;
}

static csim_status add_option(csim__config *config, int row)
{
    const csim__option_group *group = &config->group[config->groups - 1].g;
    const csim_option *option = &group->table[row];
    csim__origin origin = {.file = "default", .line = 0};
    set_empty(option, group->target);
    if (is_taken(config, group->prefix, option)) {
        return csim__fail(config->ctx, CSIM_E_INTERNAL, "option '%s': its name or letter is taken",
                          option->name);
    }
    if (option->fallback == NULL) { return CSIM_OK; }
    csim_status st = csim__config_set(config, config->groups - 1, row, CSIM__LEVEL_DEFAULT, origin,
                                      option->fallback);
    if (st == CSIM_E_USAGE) {
        csim__forgive(config->ctx);
        st = csim__fail(config->ctx, CSIM_E_INTERNAL,
                        "option '%s': its default '%s' is not one it takes", option->name,
                        option->fallback);
    }
    return st;
}

csim_status csim__config_add(csim__config *config, const csim__option_group *group)
{
    csim_status st = CSIM_OK;
    int rows = 0;
    while (group->table[rows].name != NULL) { rows++; }
    CSIM_TRY(csim__realloc(config->ctx, config->groups + 1, sizeof *config->group, "option groups",
                           &config->group));
    csim__config_group *g = &config->group[config->groups];
    *g = (csim__config_group){.g = *group, .rows = rows};
    CSIM_TRY(csim__calloc(config->ctx, rows, sizeof *g->entry, "options", &g->entry));
    config->groups++;
    for (int r = 0; r < rows; r++) { CSIM_TRY(add_option(config, r)); }
done:
    return st;
}

csim_status csim__config_positional(csim__config *config, const char *name)
{
    csim_status st = csim__realloc(config->ctx, config->positionals + 1, sizeof *config->positional,
                                   "list of arguments", &config->positional);
    if (st == CSIM_OK) { config->positional[config->positionals++] = name; }
    return st;
}

static const csim__config_entry *find_entry(const csim__config *config, const char *prefix,
                                            const char *name)
{
    for (int g = 0; g < config->groups; g++) {
        const csim__config_group *group = &config->group[g];
        if (strcmp(group->g.prefix, prefix) != 0) { continue; }
        for (int r = 0; r < group->rows; r++) {
            if (strcmp(group->g.table[r].name, name) == 0) { return &group->entry[r]; }
        }
    }
    return NULL;
}

int csim__config_given(const csim__config *config, const char *prefix, const char *name)
{
    const csim__config_entry *entry = find_entry(config, prefix, name);
    return entry != NULL && entry->level > CSIM__LEVEL_DEFAULT;
}

void csim__config_record(csim__config *config, const char *prefix, int on)
{
    for (int g = 0; g < config->groups; g++) {
        if (strcmp(config->group[g].g.prefix, prefix) == 0) { config->group[g].g.record = on; }
    }
}

csim_status csim__config_fail(const csim__config *config, const char *prefix, const char *name,
                              const char *format, ...)
{
    char text[CSIM__EXPECTED_MAX], where[CSIM__EXPECTED_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const csim__config_entry *entry = find_entry(config, prefix, name);
    const char *dot = prefix[0] != '\0' ? "." : "";
    if (entry == NULL || entry->level == CSIM__LEVEL_DEFAULT) {
        return csim__fail(config->ctx, CSIM_E_USAGE, "option --%s%s%s: %s", prefix, dot, name,
                          text);
    }
    describe_origin(entry->origin, where);
    return csim__fail(config->ctx, CSIM_E_USAGE, "option --%s%s%s (%s): %s", prefix, dot, name,
                      where, text);
}
