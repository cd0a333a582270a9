/* The calibration file. */
#define _POSIX_C_SOURCE 200809L
#include "app/perf/calibration.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"

enum { SCHEMA = 1 };

/* When a speed is known: always, of messages inside a node, of messages between nodes, of grids. */
typedef enum known { ALWAYS, MESSAGES, NETWORK, GRIDS } known;

typedef struct speed {
    const char *key, *text, *unit;
    size_t offset;
    known known;
} speed;

#define GEMM(p, i) (offsetof(csim__machine, gemm) + ((p)*CSIM__GEMM_SIZES + (i)) * sizeof(double))
#define INNER(p) (offsetof(csim__machine, inner) + (p) * sizeof(double))
#define AT(field) offsetof(csim__machine, field)

static const speed speeds[] = {
    {"gemm_double_64", "GEMM of 64 x 64, double", "flop/s", GEMM(0, 0), ALWAYS},
    {"gemm_double_256", "GEMM of 256 x 256, double", "flop/s", GEMM(0, 1), ALWAYS},
    {"gemm_double_1024", "GEMM of 1024 x 1024, double", "flop/s", GEMM(0, 2), ALWAYS},
    {"gemm_single_64", "GEMM of 64 x 64, single", "flop/s", GEMM(1, 0), ALWAYS},
    {"gemm_single_256", "GEMM of 256 x 256, single", "flop/s", GEMM(1, 1), ALWAYS},
    {"gemm_single_1024", "GEMM of 1024 x 1024, single", "flop/s", GEMM(1, 2), ALWAYS},
    {"inner_double", "inner products of tiles, double", "flop/s", INNER(0), ALWAYS},
    {"inner_single", "inner products of tiles, single", "flop/s", INNER(1), ALWAYS},
    {"eigen_values", "eigenvalues (4/3 k^3)", "flop/s", AT(eigen_values), ALWAYS},
    {"eigen_vectors", "eigenvectors (9 k^3)", "flop/s", AT(eigen_vectors), ALWAYS},
    {"svd_values", "singular values (8/3 k^3)", "flop/s", AT(svd_values), ALWAYS},
    {"svd_vectors", "singular vectors (20 k^3)", "flop/s", AT(svd_vectors), ALWAYS},
    {"grid_eigen_values", "the same of a rank of two (4/3 k^3)", "flop/s", AT(grid_eigen_values),
     GRIDS},
    {"grid_eigen_vectors", "eigenvectors (9 k^3)", "flop/s", AT(grid_eigen_vectors), GRIDS},
    {"grid_svd_values", "singular values (8/3 k^3)", "flop/s", AT(grid_svd_values), GRIDS},
    {"exact_sums", "exact sums of blocks", "numbers/s", AT(exact), ALWAYS},
    {"moments", "checking and centring", "numbers/s", AT(moments), ALWAYS},
    {"memory", "copies in memory", "bytes/s", AT(memory), ALWAYS},
    {"fresh_memory", "first use of memory", "bytes/s", AT(fresh), ALWAYS},
    {"read", "reading files", "bytes/s", AT(read), ALWAYS},
    {"latency", "message inside a node", "s", AT(latency), MESSAGES},
    {"bandwidth", "messages inside a node", "bytes/s", AT(bandwidth), MESSAGES},
    {"net_latency", "message between nodes", "s", AT(net_latency), NETWORK},
    {"net_bandwidth", "messages between nodes, of a node", "bytes/s", AT(net_bandwidth), NETWORK},
};

enum { SPEEDS = sizeof speeds / sizeof speeds[0] };

static double *field(csim__machine *machine, const speed *s)
{
    return (double *)(void *)((char *)machine + s->offset);
}

static bool is_known(const csim__calibration *c, known k)
{
    const bool list[] = {true, c->messages, c->network, c->grids};
    return list[k];
}

csim_status csim__calibration_path(csim_context *ctx, const char *given, char **path)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (given != NULL) { return csim__strdup(ctx, given, path); }
    if (config != NULL && config[0] == '/') {
        return csim__format(ctx, path, "%s/contrasim/machine.json", config);
    }
    if (home != NULL && home[0] != '\0') {
        return csim__format(ctx, path, "%s/.config/contrasim/machine.json", home);
    }
    return csim__fail(ctx, CSIM_E_USAGE,
                      "neither XDG_CONFIG_HOME nor HOME is set: give --calibration FILE");
}

static void take_text(const json_t *root, const char *key, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(root, key));
    size_t at = 0;
    for (; text != NULL && text[at] != '\0' && at + 1 < size; at++) {
        out[at] = (unsigned char)text[at] < ' ' ? '?' : text[at];
    }
    out[at] = '\0';
}

static int take_count(const json_t *root, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(root, key));
    return value >= 1 && value <= INT32_MAX ? (int)value : 0;
}

/* A file is the user's to edit: every number is looked at. */
static csim_status understand(csim_context *ctx, const char *path, const json_t *root,
                              csim__calibration *c)
{
    const json_t *list = json_object_get(root, "speeds");
    if (json_integer_value(json_object_get(root, "schema")) != SCHEMA || !json_is_object(list)) {
        return csim__fail(ctx, CSIM_E_FORMAT,
                          "%s: expected a calibration of schema %d, as contrasim perf --calibrate "
                          "writes it",
                          path, SCHEMA);
    }
    c->measured = true;
    c->ranks = take_count(root, "ranks");
    c->nodes = take_count(root, "nodes");
    c->messages = json_object_get(list, "bandwidth") != NULL;
    c->network = json_object_get(list, "net_bandwidth") != NULL;
    c->grids = json_object_get(list, "grid_svd_values") != NULL;
    const json_t *beside = json_object_get(root, "memory_beside");
    if (beside != NULL) { c->machine.beside = json_number_value(beside); }
    take_text(root, "host", c->host, sizeof c->host);
    take_text(root, "date", c->date, sizeof c->date);
    take_text(root, "blas", c->blas, sizeof c->blas);
    for (int i = 0; i < SPEEDS; i++) {
        const json_t *value = json_object_get(list, speeds[i].key);
        double number = json_number_value(value);
        if (value == NULL && !is_known(c, speeds[i].known)) { continue; }
        if (!json_is_number(value) || !(number > 0) || !isfinite(number)) {
            return csim__fail(ctx, CSIM_E_FORMAT, "%s: %s: expected a number above 0", path,
                              speeds[i].key);
        }
        *field(&c->machine, &speeds[i]) = number;
    }
    if (!(c->machine.beside > 0) || !isfinite(c->machine.beside)) {
        return csim__fail(ctx, CSIM_E_FORMAT, "%s: memory_beside: expected bytes above 0", path);
    }
    return c->ranks > 0 && c->nodes > 0
               ? CSIM_OK
               : csim__fail(ctx, CSIM_E_FORMAT, "%s: expected ranks and nodes of 1 or more", path);
}

static csim_status read_file(csim_context *ctx, const char *path, bool required,
                             csim__calibration *c)
{
    json_error_t error;
    FILE *file = fopen(path, "rb");
    if (file == NULL && errno == ENOENT && !required) { return CSIM_OK; }
    if (file == NULL) {
        return csim__fail(ctx, CSIM_E_IO, "calibration %s: %s", path, strerror(errno));
    }
    json_t *root = json_loadf(file, JSON_REJECT_DUPLICATES, &error);
    fclose(file);
    if (root == NULL) {
        return csim__fail(ctx, CSIM_E_FORMAT, "%s: line %d: %s", path, error.line, error.text);
    }
    csim_status st = understand(ctx, path, root, c);
    json_decref(root);
    return st;
}

csim_status csim__calibration_read(csim_context *ctx, const char *path, bool required,
                                   csim__calibration *c)
{
    csim_status st = CSIM_OK;
    *c = (csim__calibration){.machine = csim__machine_typical};
    if (csim_context_rank(ctx) == 0) { st = read_file(ctx, path, required, c); }
    CSIM_TRY(csim__vote(ctx, st));
    st = csim__mpi(ctx, MPI_Bcast(c, (int)sizeof *c, MPI_BYTE, 0, csim_context_comm(ctx)),
                   "MPI_Bcast");
    st = csim__vote(ctx, st);
done:
    return st;
}

/* Three digits are more than a measured speed has. */
static double rounded(double value)
{
    char text[32];
    snprintf(text, sizeof text, "%.3g", value);
    return strtod(text, NULL);
}

static char *to_text(const csim__calibration *c)
{
    csim__machine machine = c->machine;
    json_t *list = json_object();
    for (int i = 0; i < SPEEDS; i++) {
        if (!is_known(c, speeds[i].known)) { continue; }
        json_object_set_new(list, speeds[i].key, json_real(rounded(*field(&machine, &speeds[i]))));
    }
    json_t *root = json_pack("{s:i, s:s, s:s, s:s, s:s, s:i, s:i, s:I, s:o}", "schema", SCHEMA,
                             "version", csim_version(), "host", c->host, "date", c->date, "blas",
                             c->blas, "ranks", c->ranks, "nodes", c->nodes, "memory_beside",
                             (json_int_t)machine.beside, "speeds", list);
    char *text = root != NULL ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(root);
    return text;
}

/* Folders on the way to a file. */
static csim_status make_folders(csim_context *ctx, const char *path)
{
    char *copy = NULL;
    csim_status st = csim__strdup(ctx, path, &copy);
    for (char *c = copy; st == CSIM_OK && (c = strchr(c + 1, '/')) != NULL; *c = '/') {
        *c = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST) {
            st = csim__fail(ctx, CSIM_E_IO, "folder %s: %s", copy, strerror(errno));
        }
    }
    csim__free(ctx, &copy);
    return st;
}

csim_status csim__calibration_write(csim_context *ctx, const char *path, const csim__calibration *c)
{
    char *text = to_text(c), *line = NULL;
    csim_status st = CSIM_OK;
    if (text == NULL) { return csim__fail(ctx, CSIM_E_MEM, "the calibration: out of memory"); }
    CSIM_TRY(make_folders(ctx, path));
    CSIM_TRY(csim__format(ctx, &line, "%s\n", text));
    st = csim__file_replace(ctx, path, line, (int64_t)strlen(line), 1);
done:
    csim__free(ctx, &line);
    free(text);
    return st;
}

static void print_speed(const csim__calibration *c, const speed *s)
{
    csim__machine machine = c->machine;
    double value = *field(&machine, s);
    bool seconds = strcmp(s->unit, "s") == 0;
    printf("  %-34s %9.3g %s%s\n", s->text, seconds ? value * 1e6 : value / 1e9,
           seconds ? "u" : "G", s->unit);
}

csim_status csim__calibration_print(csim_context *ctx, const csim__calibration *c, bool json)
{
    if (json) {
        char *text = to_text(c);
        if (text == NULL) { return csim__fail(ctx, CSIM_E_MEM, "the calibration: out of memory"); }
        printf("%s\n", text);
        free(text);
        return CSIM_OK;
    }
    printf("%s: %d rank%s on %d node%s, %s\nspeeds of one rank while all work:\n", c->host,
           c->ranks, c->ranks == 1 ? "" : "s", c->nodes, c->nodes == 1 ? "" : "s", c->blas);
    for (int i = 0; i < SPEEDS; i++) {
        if (is_known(c, speeds[i].known)) { print_speed(c, &speeds[i]); }
    }
    printf("memory of a rank beside what it counts: %.0f MiB\n", c->machine.beside / 1048576);
    return CSIM_OK;
}
