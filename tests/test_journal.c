/* A journal: what was appended comes back, whatever a killed writer or a bad disk did to the end. */
#define _POSIX_C_SOURCE 200809L
#include "harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/journal.h"

enum { RECORDS = 5, HEAD = 32 };

static const char *const text[RECORDS] = {"request", "", "a record of 24 bytes ...",
                                          "no multiple of a word", "the last one"};

static char folder[64], path[96];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/journal_XXXXXX");
    if (getenv("TMPDIR") != NULL && strlen(getenv("TMPDIR")) < 40) {
        snprintf(folder, sizeof folder, "%s/journal_XXXXXX", getenv("TMPDIR"));
    }
    if (mkdtemp(folder) == NULL) { return -1; }
    snprintf(path, sizeof path, "%s/out.nc.journal", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

/* What a reading saw: the records must be the first ones, in order. */
typedef struct seen {
    int count;
    csim_status answer;
} seen;

static csim_status visit(void *user, int kind, const void *data, int64_t bytes)
{
    seen *s = user;
    assert_true(s->count < RECORDS);
    assert_int_equal(kind, s->count * 7);
    assert_int_equal(bytes, (int64_t)strlen(text[s->count]));
    assert_memory_equal(data, text[s->count], (size_t)bytes);
    assert_int_equal((uintptr_t)data % 8, 0);
    s->count++;
    return s->answer;
}

/* A journal of all records; where each ends. */
static void fill(csim_context *ctx, int64_t end[RECORDS + 1])
{
    csim__journal *j = NULL;
    struct stat s;
    unlink(path);
    assert_int_equal(csim__journal_create(ctx, path, &j), CSIM_OK);
    for (int i = 0; i <= RECORDS; i++) {
        assert_int_equal(stat(path, &s), 0);
        end[i] = (int64_t)s.st_size;
        if (i == RECORDS) { break; }
        assert_int_equal(csim__journal_append(ctx, j, i * 7, text[i], (int64_t)strlen(text[i])),
                         CSIM_OK);
    }
    csim__journal_close(ctx, &j);
    assert_null(j);
    assert_int_equal(end[0], HEAD);
}

/* Records that a reading finds; then all that are missing are appended and read again. */
static int go_on(csim_context *ctx, int64_t *torn)
{
    csim__journal *j = NULL;
    seen s = {0, CSIM_OK}, again = {0, CSIM_OK};
    int64_t none;
    assert_int_equal(csim__journal_open(ctx, path, visit, &s, torn, &j), CSIM_OK);
    assert_non_null(j);
    for (int i = s.count; i < RECORDS; i++) {
        assert_int_equal(csim__journal_append(ctx, j, i * 7, text[i], (int64_t)strlen(text[i])),
                         CSIM_OK);
    }
    csim__journal_close(ctx, &j);
    assert_int_equal(csim__journal_open(ctx, path, visit, &again, &none, &j), CSIM_OK);
    csim__journal_close(ctx, &j);
    assert_int_equal(again.count, RECORDS);
    assert_int_equal(none, 0);
    return s.count;
}

static void torn_at_every_byte(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    int64_t end[RECORDS + 1], torn;
    fill(ctx, end);
    for (int64_t size = 0; size <= end[RECORDS]; size++) {
        int whole = 0;
        fill(ctx, end);
        assert_int_equal(truncate(path, (off_t)size), 0);
        while (whole < RECORDS && end[whole + 1] <= size) { whole++; }
        assert_int_equal(go_on(ctx, &torn), whole);
        assert_int_equal(torn, size < HEAD ? 0 : size - end[whole]);
    }
    harness_context_free(&ctx);
}

/* The file with one byte changed. */
static void damage(int64_t at)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, (long)at, SEEK_SET);
    int c = fgetc(f);
    fseek(f, (long)at, SEEK_SET);
    fputc(c ^ 0x10, f);
    fclose(f);
}

static void damaged_at_every_byte(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    int64_t end[RECORDS + 1], torn;
    fill(ctx, end);
    for (int64_t at = HEAD; at < end[RECORDS]; at++) {
        int whole = 0;
        fill(ctx, end);
        damage(at);
        while (end[whole + 1] <= at) { whole++; }
        assert_int_equal(go_on(ctx, &torn), whole);
        assert_int_equal(torn, end[RECORDS] - end[whole]);
    }
    for (int64_t at = 0; at < HEAD; at++) { /* no journal, of another version, of another order */
        csim__journal *j = NULL;
        seen s = {0, CSIM_OK};
        fill(ctx, end);
        damage(at);
        assert_int_equal(csim__journal_open(ctx, path, visit, &s, &torn, &j), CSIM_E_FORMAT);
        assert_null(j);
        assert_non_null(strstr(csim_context_error(ctx), path));
        csim__forgive(ctx);
    }
    harness_context_free(&ctx);
}

static void refusals(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    csim__journal *j = NULL;
    int64_t end[RECORDS + 1], torn;
    seen s = {0, CSIM_OK};
    unlink(path);
    assert_int_equal(csim__journal_open(ctx, path, visit, &s, &torn, &j), CSIM_OK);
    assert_null(j); /* there is none */
    fill(ctx, end);
    assert_int_equal(csim__journal_create(ctx, path, &j), CSIM_E_EXISTS);
    assert_null(j);
    csim__forgive(ctx);
    s.answer = CSIM_E_DATA; /* what the visitor says comes back */
    assert_int_equal(csim__journal_open(ctx, path, visit, &s, &torn, &j), CSIM_E_DATA);
    assert_null(j);
    assert_int_equal(s.count, 1);
    harness_context_free(&ctx);
}

/* No room for a record: it is an error, and what was there before stays. */
static void full_disk(void **state)
{
    (void)state;
    csim_context *ctx = harness_context();
    csim__journal *j = NULL;
    int64_t end[RECORDS + 1], torn;
    struct rlimit old, tight;
    seen s = {0, CSIM_OK};
    fill(ctx, end);
    assert_int_equal(csim__journal_open(ctx, path, visit, &s, &torn, &j), CSIM_OK);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight = old;
    tight.rlim_cur = (rlim_t)end[RECORDS] + 20;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    csim_status st = csim__journal_append(ctx, j, 1, text[2], (int64_t)strlen(text[2]));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(st, CSIM_E_IO);
    csim__forgive(ctx);
    csim__journal_close(ctx, &j);
    assert_int_equal(go_on(ctx, &torn), RECORDS);
    assert_int_equal(torn, 0);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {cmocka_unit_test(torn_at_every_byte),
                                       cmocka_unit_test(damaged_at_every_byte),
                                       cmocka_unit_test(refusals), cmocka_unit_test(full_disk)};
    return harness_finish(
        cmocka_run_group_tests_name("journal", tests, make_folder, remove_folder));
}
