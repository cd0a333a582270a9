/* Where values come from: the command line, and run files (read by libinih). */
#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_private.h"
#include "core/text.h"

enum { RUNFILE_MAX = 1 << 20 }; /* bytes; a longer one is not a run file */

/* Stands for the value of a line that is too long for libinih; no text of an option holds it. */
static const char too_long[] = "\x01";

/* A name that was looked up: the options it stands for are visited by next_match(). */
typedef struct match {
    const char *name;
    size_t prefix;   /* length of the prefix in the name */
    const char *key; /* behind the prefix and its dot, or the whole name */
    int bare;        /* the name has no prefix and is not one of the command's own */
    int negated;     /* it is --no-key */
    int group, row;  /* the present option */
} match;

static int is_match(const csim__config *config, const match *m, int g, int r)
{
    const csim__config_group *group = &config->group[g];
    const csim_option *option = &group->g.table[r];
    if (strcmp(option->name, m->key) != 0) { return 0; }
    if (m->negated && option->kind != CSIM_OPTION_FLAG) { return 0; }
    if (m->bare) { return group->g.prefix[0] != '\0'; }
    return strlen(group->g.prefix) == m->prefix && memcmp(group->g.prefix, m->name, m->prefix) == 0;
}

/* Go on to the next option the name stands for. */
static int next_match(const csim__config *config, match *m)
{
    for (int g = m->group; g < config->groups; g++) {
        int r = g == m->group ? m->row + 1 : 0;
        for (; r < config->group[g].rows; r++) {
            if (is_match(config, m, g, r)) {
                m->group = g;
                m->row = r;
                return 1;
            }
        }
    }
    return 0;
}

static int try_match(const csim__config *config, match *m, const char *name, int bare, int negated)
{
    const char *dot = strchr(name, '.');
    size_t prefix = dot != NULL ? (size_t)(dot - name) : 0;
    const char *key = dot != NULL ? dot + 1 : name;
    if (negated) {
        if (strncmp(key, "no-", 3) != 0) { return 0; }
        key += 3;
    }
    if (bare && dot != NULL) { return 0; }
    *m = (match){.name = name, .prefix = prefix, .key = key, .bare = bare, .negated = negated};
    m->row = -1;
    return next_match(config, m);
}

/* Find the first option that "name" or "prefix.name" stands for. */
static int find_match(const csim__config *config, match *m, const char *name, int may_negate)
{
    for (int bare = 0; bare <= 1; bare++) {
        if (try_match(config, m, name, bare, 0)) { return 1; }
        if (may_negate && try_match(config, m, name, bare, 1)) { return 1; }
    }
    return 0;
}

static csim_option_kind match_kind(const csim__config *config, const match *m)
{
    return config->group[m->group].g.table[m->row].kind;
}

/* Set every option that the match stands for. level: of a value given to one group. */
static csim_status set_matches(csim__config *config, match *m, int level, csim__origin origin,
                               const char *text)
{
    do {
        csim_status st =
            csim__config_set(config, m->group, m->row, m->bare ? level - 1 : level, origin, text);
        if (st != CSIM_OK) { return st; }
    } while (next_match(config, m));
    return CSIM_OK;
}

static csim_status fail_unknown(csim__config *config, const char *name)
{
    csim__closest search = csim__closest_start(name);
    char(*spelling)[CSIM__NAME_MAX] = NULL;
    int count = 0, used = 0;
    for (int g = 0; g < config->groups; g++) { count += 2 * config->group[g].rows; }
    csim_status st = csim__alloc(config->ctx, count, sizeof *spelling, "spellings", &spelling);
    if (st != CSIM_OK) { return st; }
    for (int g = 0; g < config->groups; g++) {
        for (int r = 0; r < config->group[g].rows; r++) {
            char *full = spelling[used++];
            csim__config_spell(config, g, r, full);
            csim__closest_try(&search, full + 2);
            csim__closest_try(&search, config->group[g].g.table[r].name);
            snprintf(spelling[used], CSIM__NAME_MAX, "no-%s", config->group[g].g.table[r].name);
            if (config->group[g].g.table[r].kind == CSIM_OPTION_FLAG) {
                csim__closest_try(&search, spelling[used++]);
            }
        }
    }
    st = search.best != NULL
             ? csim__fail(config->ctx, CSIM_E_USAGE,
                          "unknown option '--%.80s' (command line); the closest is '--%s'", name,
                          search.best)
             : csim__fail(config->ctx, CSIM_E_USAGE, "unknown option '--%.80s' (command line)",
                          name);
    csim__free(config->ctx, &spelling);
    return st;
}

/* The arguments and how far they are used up. */
typedef struct arguments {
    int argc, next;
    char *const *argv;
} arguments;

/* The argument that is the value of option `name`. "--word" is taken for a forgotten value. */
static csim_status take_value(csim__config *config, arguments *args, const char *name,
                              const char **value)
{
    if (args->next >= args->argc || strncmp(args->argv[args->next], "--", 2) == 0) {
        return csim__fail(config->ctx, CSIM_E_USAGE,
                          "option %s (command line) needs a value; one that begins with '--' is "
                          "given as %s%sVALUE",
                          name, name, name[1] == '-' ? "=" : "");
    }
    *value = args->argv[args->next++];
    return CSIM_OK;
}

static csim_status parse_long(csim__config *config, arguments *args, const char *argument)
{
    static const csim__origin origin = {.file = NULL, .line = 0};
    char name[CSIM__NAME_MAX];
    size_t length = strcspn(argument + 2, "=");
    const char *value = argument[2 + length] == '=' ? argument + 3 + length : NULL;
    if (length >= sizeof name) { return fail_unknown(config, argument + 2); }
    memcpy(name, argument + 2, length);
    name[length] = '\0';
    match m;
    if (!find_match(config, &m, name, 1)) { return fail_unknown(config, name); }
    if (m.negated && value != NULL) {
        return csim__fail(config->ctx, CSIM_E_USAGE,
                          "option --%s (command line) takes no value, found '%.80s'", name, value);
    }
    if (match_kind(config, &m) == CSIM_OPTION_FLAG) {
        if (value == NULL) { value = m.negated ? "false" : "true"; }
    } else if (value == NULL) {
        char shown[CSIM__NAME_MAX + 2];
        snprintf(shown, sizeof shown, "--%s", name);
        csim_status st = take_value(config, args, shown, &value);
        if (st != CSIM_OK) { return st; }
    }
    return set_matches(config, &m, CSIM__LEVEL_ARGS, origin, value);
}

static int find_letter(const csim__config *config, char letter, int *group, int *row)
{
    for (int g = 0; g < config->groups; g++) {
        for (int r = 0; r < config->group[g].rows; r++) {
            if (config->group[g].g.table[r].letter == letter) {
                *group = g;
                *row = r;
                return 1;
            }
        }
    }
    return 0;
}

/* "-qv", "-ofile", "-o file" */
static csim_status parse_short(csim__config *config, arguments *args, const char *argument)
{
    static const csim__origin origin = {.file = NULL, .line = 0};
    for (const char *s = argument + 1; *s != '\0'; s++) {
        int g = 0, r = 0;
        if (!find_letter(config, *s, &g, &r)) {
            return csim__fail(config->ctx, CSIM_E_USAGE,
                              "unknown option '-%c' in '%.80s' (command line)", *s, argument);
        }
        const char *value = "true";
        int flag = config->group[g].g.table[r].kind == CSIM_OPTION_FLAG;
        if (!flag) {
            const char name[] = {'-', *s, '\0'};
            value = s + 1;
            csim_status st = *value != '\0' ? CSIM_OK : take_value(config, args, name, &value);
            if (st != CSIM_OK) { return st; }
        }
        csim_status st = csim__config_set(config, g, r, CSIM__LEVEL_ARGS, origin, value);
        if (st != CSIM_OK || !flag) { return st; }
    }
    return CSIM_OK;
}

static csim_status parse_positional(csim__config *config, const char *argument)
{
    static const csim__origin origin = {.file = NULL, .line = 0};
    match m;
    int taken = config->positionals_taken;
    if (taken >= config->positionals || !try_match(config, &m, config->positional[taken], 0, 0)) {
        return csim__fail(config->ctx, CSIM_E_USAGE, "unexpected argument '%.200s'", argument);
    }
    if (match_kind(config, &m) != CSIM_OPTION_TEXTS) { config->positionals_taken++; }
    return csim__config_set(config, m.group, m.row, CSIM__LEVEL_ARGS, origin, argument);
}

csim_status csim__config_parse_args(csim__config *config, int argc, char *const *argv)
{
    arguments args = {.argc = argc, .next = 0, .argv = argv};
    int options = 1; /* until "--" */
    while (args.next < argc) {
        const char *argument = argv[args.next++];
        csim_status st = CSIM_OK;
        if (options && strcmp(argument, "--") == 0) {
            options = 0;
        } else if (options && strncmp(argument, "--", 2) == 0) {
            st = parse_long(config, &args, argument);
        } else if (options && argument[0] == '-' && argument[1] != '\0') {
            st = parse_short(config, &args, argument);
        } else {
            st = parse_positional(config, argument);
        }
        if (st != CSIM_OK) { return st; }
    }
    return CSIM_OK;
}

/* A run file while it is parsed: the lines are counted here, as libinih does not tell them. */
typedef struct runfile {
    csim__config *config;
    const char *file, *text;
    size_t length, at;
    int line;
    bool keyed;     /* an indented line goes on with the last key */
    char *value;    /* of the present line where libinih has a stand-in, else NULL */
    csim_status st; /* the first failure */
} runfile;

static csim_status fail_line(runfile *f, const char *what, const char *closest)
{
    if (closest != NULL) {
        return csim__fail(f->config->ctx, CSIM_E_USAGE, "%s, line %d: %s; the closest is '%s'",
                          f->file, f->line, what, closest);
    }
    return csim__fail(f->config->ctx, CSIM_E_USAGE, "%s, line %d: %s", f->file, f->line, what);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* A line longer than libinih's buffer: it gets the key with a stand-in for the value, which waits
 * here for handle_key(). */
static csim_status shorten(runfile *f, const char *line, size_t length, char *out, size_t size)
{
    size_t from = 0, end = length;
    while (from < end && is_blank(line[from])) { from++; }
    while (end > from && is_blank(line[end - 1])) { end--; }
    snprintf(out, size, "\n");
    if (from == end || line[from] == ';' || line[from] == '#') { return CSIM_OK; }
    if (from > 0 && f->keyed) {
        snprintf(out, size, " %s\n", too_long);
    } else {
        size_t name = from;
        while (name < end && line[name] != '=' && line[name] != ':') { name++; }
        if (name == end || name - from + sizeof " =  \n" > size) {
            char what[CSIM__EXPECTED_MAX];
            snprintf(what, sizeof what,
                     "expected 'key = value', found %zu bytes that start otherwise", length);
            return fail_line(f, what, NULL);
        }
        snprintf(out, size, "%.*s= %s\n", (int)(name - from), line + from, too_long);
        from = name + 1;
        while (from < end && is_blank(line[from])) { from++; }
    }
    csim_status st = csim__alloc(f->config->ctx, (int64_t)(end - from) + 1, 1, "a line", &f->value);
    if (st == CSIM_OK) {
        memcpy(f->value, line + from, end - from);
        f->value[end - from] = '\0';
    }
    return st;
}

/* Hand libinih the next line, as fgets() would. */
static char *read_line(char *out, int size, void *stream)
{
    runfile *f = stream;
    csim__free(f->config->ctx, &f->value);
    if (f->at >= f->length || f->st != CSIM_OK) { return NULL; }
    f->line++;
    const char *start = f->text + f->at;
    size_t left = f->length - f->at;
    const char *end = memchr(start, '\n', left);
    size_t length = end != NULL ? (size_t)(end - start) + 1 : left;
    f->at += length;
    if (start[0] == '[') { f->keyed = false; }
    if (memchr(start, '\0', length) != NULL) {
        f->st = fail_line(f, "a byte of value 0, expected text", NULL);
        return NULL;
    }
    if (length + 1 > (size_t)size) {
        f->st = shorten(f, start, length, out, (size_t)size);
        return f->st == CSIM_OK ? out : NULL;
    }
    memcpy(out, start, length);
    out[length] = '\0';
    return out;
}

/* Does any group have the section as its prefix? If not, fail and name the closest one. */
static csim_status check_section(runfile *f, const char *section)
{
    const csim__config *c = f->config;
    csim__closest search = csim__closest_start(section);
    csim__closest_try(&search, c->section);
    for (int g = 0; g < c->groups; g++) {
        if (c->group[g].g.prefix[0] == '\0') { continue; }
        if (strcmp(c->group[g].g.prefix, section) == 0) { return CSIM_OK; }
        csim__closest_try(&search, c->group[g].g.prefix);
    }
    char what[CSIM__EXPECTED_MAX];
    snprintf(what, sizeof what, "unknown section [%.60s]", section);
    return fail_line(f, what, search.best);
}

static csim_status fail_key(runfile *f, const char *section, const char *name)
{
    const csim__config *c = f->config;
    csim__closest search = csim__closest_start(name);
    for (int g = 0; g < c->groups; g++) {
        if (section[0] != '\0' && strcmp(c->group[g].g.prefix, section) != 0) { continue; }
        for (int r = 0; r < c->group[g].rows; r++) {
            csim__closest_try(&search, c->group[g].g.table[r].name);
        }
    }
    char what[CSIM__EXPECTED_MAX];
    snprintf(what, sizeof what, "unknown key '%.60s' in section [%.60s]", name,
             section[0] != '\0' ? section : c->section);
    return fail_line(f, what, search.best);
}

/* In a run file a list may grow line by line; any other key stands once. */
static int given_before(const runfile *f, const match *m)
{
    const csim__config_entry *e = &f->config->group[m->group].entry[m->row];
    int level = m->bare ? CSIM__LEVEL_FILE_BARE : CSIM__LEVEL_FILE;
    return match_kind(f->config, m) != CSIM_OPTION_TEXTS && e->level == level &&
           e->origin.file != NULL && strcmp(e->origin.file, f->file) == 0;
}

/* libinih drops "; comment" behind a value, but not always in a line that goes on with the last. */
static void drop_comment(char *value)
{
    char *end = strstr(value, " ;");
    if (end == NULL) { return; }
    while (end > value && end[-1] == ' ') { end--; }
    *end = '\0';
}

/* "value" stands for value, so that blanks at its ends can be kept. */
static void unquote(char *value)
{
    size_t length = strlen(value);
    if (length >= 2 && value[0] == '"' && value[length - 1] == '"') {
        memmove(value, value + 1, length - 2);
        value[length - 2] = '\0';
    }
}

static csim_status set_key(runfile *f, const char *section, const char *name, const char *value)
{
    char full[2 * CSIM__NAME_MAX], *plain = NULL;
    const char *prefix = strcmp(section, f->config->section) == 0 ? "" : section;
    if (prefix[0] != '\0') {
        csim_status st = check_section(f, section);
        if (st != CSIM_OK) { return st; }
    }
    snprintf(full, sizeof full, "%s%s%s", prefix, prefix[0] != '\0' ? "." : "", name);
    match m;
    if (strchr(name, '.') != NULL || !find_match(f->config, &m, full, 0)) {
        return fail_key(f, prefix, name);
    }
    if (given_before(f, &m)) {
        char what[CSIM__EXPECTED_MAX];
        snprintf(what, sizeof what, "key '%.60s' was given on line %d already", name,
                 f->config->group[m.group].entry[m.row].origin.line);
        return fail_line(f, what, NULL);
    }
    csim_status st = csim__strdup(f->config->ctx, value, &plain);
    if (st != CSIM_OK) { return st; }
    drop_comment(plain);
    unquote(plain);
    csim__origin origin = {.file = f->file, .line = f->line};
    st = set_matches(f->config, &m, CSIM__LEVEL_FILE, origin, plain);
    csim__free(f->config->ctx, &plain);
    return st;
}

static int handle_key(void *user, const char *section, const char *name, const char *value)
{
    runfile *f = user;
    if (value != NULL && f->value != NULL && strcmp(value, too_long) == 0) { value = f->value; }
    f->keyed = true;
    if (f->st == CSIM_OK) { f->st = set_key(f, section, name, value != NULL ? value : ""); }
    return f->st == CSIM_OK;
}

csim_status csim__config_parse_text(csim__config *config, const char *file, const char *text,
                                    size_t length)
{
    runfile f = {.config = config, .text = text, .length = length};
    csim_status st = csim__config_keep(config, file, &f.file); /* entries refer to it */
    if (st != CSIM_OK) { return st; }
    int bad = ini_parse_stream(read_line, &f, handle_key, &f);
    csim__free(config->ctx, &f.value);
    if (f.st != CSIM_OK) { return f.st; }
    if (bad < 0) { return csim__fail(config->ctx, CSIM_E_MEM, "%s: out of memory", file); }
    if (bad > 0) {
        f.line = bad;
        return fail_line(&f, "expected '[section]' or 'key = value'", NULL);
    }
    return CSIM_OK;
}

/* Read the whole file on one rank. */
static csim_status read_runfile(csim_context *ctx, const char *path, char **text, int64_t *length)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return csim__fail(ctx, CSIM_E_IO, "run file %s: %s", path, strerror(errno));
    }
    csim_status st = csim__alloc(ctx, RUNFILE_MAX + 1, 1, "run file", text);
    if (st == CSIM_OK) {
        errno = 0;
        *length = (int64_t)fread(*text, 1, RUNFILE_MAX + 1, file);
        if (ferror(file)) {
            st = csim__fail(ctx, CSIM_E_IO, "run file %s: %s", path, strerror(errno));
        } else if (*length > RUNFILE_MAX) {
            st = csim__fail(ctx, CSIM_E_LIMIT, "run file %s: longer than %d bytes", path,
                            RUNFILE_MAX);
        }
    }
    fclose(file);
    return st;
}

csim_status csim__config_load(csim__config *config, const char *path)
{
    csim_context *ctx = config->ctx;
    MPI_Comm comm = csim_context_comm(ctx);
    csim_status st = CSIM_OK;
    char *text = NULL;
    int64_t length = 0;
    if (csim_context_rank(ctx) == 0) { st = read_runfile(ctx, path, &text, &length); }
    CSIM_TRY(csim__vote(ctx, st));
    CSIM_TRY(
        csim__vote(ctx, csim__mpi(ctx, MPI_Bcast(&length, 1, MPI_INT64_T, 0, comm), "MPI_Bcast")));
    if (text == NULL) { st = csim__alloc(ctx, length, 1, "run file", &text); }
    CSIM_TRY(csim__vote(ctx, st));
    st = csim__mpi(ctx, MPI_Bcast(text, (int)length, MPI_CHAR, 0, comm), "MPI_Bcast");
    if (st == CSIM_OK) { st = csim__config_parse_text(config, path, text, (size_t)length); }
    CSIM_TRY(csim__vote(ctx, st));
done:
    csim__free(ctx, &text);
    return st;
}
