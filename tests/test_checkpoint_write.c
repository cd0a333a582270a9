/* Checkpoints on disk: two generations, of which one is whole at every moment, whatever fails. The
 * linker puts our link(), rename() and aligned_alloc() in between. */
#define _POSIX_C_SOURCE 200809L
#include "checkpoint_case.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what comes in between ---- */

int __real_link(const char *from, const char *to);
int __wrap_link(const char *from, const char *to);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static struct {
    int link_error;          /* what link() says, 0 = do it */
    int step, fail_step;     /* calls of link() and rename(); the one that fails with EIO */
    const char *path, *prev; /* watched where not NULL */
    const char *image[3];    /* bytes that may be in them: oldest, present, new */
    size_t bytes[3];
    int moments, broken;       /* looked at; neither file whole */
    long allocations, fail_at; /* calls of aligned_alloc(); the one that fails */
} between;

static int whole(const char *path)
{
    for (int i = 0; i < 3; i++) {
        if (case_holds(path, between.image[i], between.bytes[i])) { return 1; }
    }
    return 0;
}

/* A machine that stops now leaves what is there now. */
static void look(void)
{
    if (between.path == NULL) { return; }
    int error = errno;
    between.moments++;
    between.broken += !whole(between.path) && !whole(between.prev);
    errno = error;
}

static int fails(int error)
{
    int this = ++between.step == between.fail_step;
    if (this) { errno = error; }
    return this;
}

int __wrap_link(const char *from, const char *to)
{
    look();
    if (between.link_error != 0) {
        errno = between.link_error;
        return -1;
    }
    int result = fails(EIO) ? -1 : __real_link(from, to);
    look();
    return result;
}

int __wrap_rename(const char *from, const char *to)
{
    look();
    int result = fails(EIO) ? -1 : __real_rename(from, to);
    look();
    return result;
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    if (++between.allocations == between.fail_at) { return NULL; }
    return __real_aligned_alloc(alignment, size);
}

/* ---- tests ---- */

/* The generation that a file holds, -1 if it is not there. Collective. */
static int generation(csim_context *ctx, const char *path)
{
    csim__checkpoint *c = NULL;
    int64_t found = -1;
    csim_status st = csim__checkpoint_read(ctx, path, &c);
    if (st == CSIM_OK) {
        case_must(ctx, csim__checkpoint_int(c, "generation", &found));
        case_check(c, (int)found);
    } else {
        assert_int_equal(st, CSIM_E_IO);
    }
    csim__checkpoint_free(ctx, &c);
    return (int)found;
}

static csim_status write_generation(csim_context *ctx, const char *path, int number)
{
    csim__checkpoint *c = case_make(ctx, number);
    csim_status st = csim__checkpoint_write(ctx, c, path);
    assert_true(harness_same(ctx, st));
    csim__checkpoint_free(ctx, &c);
    return st;
}

/* Remove what an earlier test or run left. Collective. */
static void clear(csim_context *ctx, const char *path)
{
    char prev[64];
    snprintf(prev, sizeof prev, "%s.prev", path);
    if (csim_context_rank(ctx) == 0) {
        remove(path);
        remove(prev);
    }
    case_meet();
}

static void two_generations(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    clear(ctx, "two.nc");
    case_must(ctx, write_generation(ctx, "two.nc", 1));
    assert_int_equal(generation(ctx, "two.nc"), 1);
    assert_int_equal(generation(ctx, "two.nc.prev"), -1);
    for (int g = 2; g < 5; g++) {
        case_must(ctx, write_generation(ctx, "two.nc", g));
        assert_int_equal(generation(ctx, "two.nc"), g);
        assert_int_equal(generation(ctx, "two.nc.prev"), g - 1);
    }
    assert_int_equal(case_count("two.nc"), 2);
    /* Where both names are one file, and where a killed process left its second name. */
    if (csim_context_rank(ctx) == 0) {
        char left[64];
        assert_int_equal(remove("two.nc.prev"), 0);
        assert_int_equal(__real_link("two.nc", "two.nc.prev"), 0);
        snprintf(left, sizeof left, "two.nc.prev.partial.%ld", (long)getpid());
        case_put(left, "left", 4);
    }
    case_meet();
    case_must(ctx, write_generation(ctx, "two.nc", 9));
    assert_int_equal(generation(ctx, "two.nc"), 9);
    assert_int_equal(generation(ctx, "two.nc.prev"), 4);
    assert_int_equal(case_count("two.nc"), 2);
    harness_context_free(&ctx);
}

/* The link stays; its target, and what that was before, lie side by side. */
static void through_a_link(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    struct stat s;
    clear(ctx, "behind/real.nc");
    if (csim_context_rank(ctx) == 0) {
        assert_true(mkdir("behind", 0777) == 0 || errno == EEXIST);
        remove("link.nc");
    }
    case_meet();
    case_must(ctx, write_generation(ctx, "behind/real.nc", 1));
    if (csim_context_rank(ctx) == 0) { assert_int_equal(symlink("behind/real.nc", "link.nc"), 0); }
    case_meet();
    case_must(ctx, write_generation(ctx, "link.nc", 2));
    assert_int_equal(generation(ctx, "link.nc"), 2);
    assert_int_equal(generation(ctx, "behind/real.nc"), 2);
    assert_int_equal(generation(ctx, "behind/real.nc.prev"), 1);
    assert_int_equal(lstat("link.nc", &s), 0);
    assert_true(S_ISLNK(s.st_mode));
    assert_int_equal(lstat("link.nc.prev", &s), -1);
    harness_context_free(&ctx);
}

/* Names that cannot be written to, and no checkpoint at all. */
static void bad_outputs(void **unused)
{
    (void)unused;
    static const char *const bad[] = {"no/such/folder.nc", "/dev/full", ".", "", "blocked.nc"};
    csim_context *ctx = harness_context();
    clear(ctx, "blocked.nc");
    if (csim_context_rank(ctx) == 0) {
        mkdir("blocked.nc.prev", 0777);
        mkdir("read_only", 0777);
    }
    case_meet();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        csim_status st = write_generation(ctx, bad[i], 1);
        if (st != CSIM_E_IO) { fail_msg("'%s': %s", bad[i], csim_status_name(st)); }
        assert_non_null(strstr(csim_context_error(ctx), bad[i]));
    }
    assert_int_equal(case_count("blocked.nc"), 1);
    case_must(ctx, write_generation(ctx, "read_only/e.nc", 1));
    case_must(ctx, write_generation(ctx, "read_only/e.nc", 2));
    if (csim_context_rank(ctx) == 0) { chmod("read_only", 0555); }
    case_meet();
    if (access("read_only", W_OK) != 0) { /* root may write everywhere */
        assert_int_equal(write_generation(ctx, "read_only/e.nc", 3), CSIM_E_IO);
        assert_int_equal(generation(ctx, "read_only/e.nc"), 2);
        assert_int_equal(generation(ctx, "read_only/e.nc.prev"), 1);
    }
    case_meet();
    if (csim_context_rank(ctx) == 0) { chmod("read_only", 0777); }
    csim_status st = csim__checkpoint_write(ctx, NULL, "none.nc");
    assert_int_equal(st, CSIM_E_ARG);
    assert_int_equal(case_count("none.nc"), 0);
    harness_context_free(&ctx);
}

/* A disk that takes only so many bytes. */
static void full_disk(void **unused)
{
    (void)unused;
    static const rlim_t limits[] = {0, 100, 3000, 5000, 20000, 200000};
    csim_context *ctx = harness_context();
    clear(ctx, "full.nc");
    case_must(ctx, write_generation(ctx, "full.nc", 1));
    case_must(ctx, write_generation(ctx, "full.nc", 2));
    struct rlimit old;
    getrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct rlimit less = {limits[i], old.rlim_max};
        setrlimit(RLIMIT_FSIZE, &less);
        csim_status st = write_generation(ctx, "full.nc", 3);
        setrlimit(RLIMIT_FSIZE, &old);
        assert_int_equal(st, CSIM_E_IO);
        assert_non_null(strstr(csim_context_error(ctx), "full.nc"));
        assert_int_equal(generation(ctx, "full.nc"), 2);
        assert_int_equal(generation(ctx, "full.nc.prev"), 1);
        assert_int_equal(case_count("full.nc"), 2);
    }
    case_must(ctx, write_generation(ctx, "full.nc", 3));
    harness_context_free(&ctx);
}

/* Write generation 3 after 1 and 2, looking at both files around every link() and rename(), of
 * which one fails. Returns whether there were so many. */
static bool rotate(csim_context *ctx, int link_error, int fail_step, csim_status *st)
{
    const char *path = "moment.nc", *prev = "moment.nc.prev";
    clear(ctx, path);
    between.link_error = 0;
    between.fail_step = 0;
    for (int g = 1; g < 4; g++) {
        case_must(ctx, write_generation(ctx, path, g));
        case_meet();
        between.image[g - 1] = case_bytes(path, &between.bytes[g - 1]);
        case_meet();
    }
    clear(ctx, path);
    if (csim_context_rank(ctx) == 0) {
        case_put(path, between.image[1], between.bytes[1]);
        case_put(prev, between.image[0], between.bytes[0]);
    }
    case_meet();
    between.path = path;
    between.prev = prev;
    between.step = between.moments = between.broken = 0;
    between.link_error = link_error;
    between.fail_step = fail_step;
    *st = write_generation(ctx, path, 3);
    between.path = NULL;
    between.link_error = between.fail_step = 0;
    if (csim_context_rank(ctx) == 0) { assert_true(between.moments >= 1); }
    assert_int_equal(between.broken, 0);
    assert_int_equal(case_count("moment.nc.partial"), 0);
    assert_int_equal(case_count("moment.nc.prev.partial"), 0);
    for (int i = 0; i < 3; i++) { free((void *)(uintptr_t)between.image[i]); }
    int steps = between.step;
    MPI_Bcast(&steps, 1, MPI_INT, 0, csim_context_comm(ctx));
    return fail_step <= steps;
}

static void every_moment(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    csim_status st = CSIM_OK;
    int failures = 0;
    for (int k = 0; rotate(ctx, 0, k, &st); k++) {
        assert_int_equal(st, k == 0 ? CSIM_OK : CSIM_E_IO);
        assert_int_equal(generation(ctx, "moment.nc"), k == 0 ? 3 : 2);
        assert_int_equal(generation(ctx, "moment.nc.prev"), k == 0 ? 2 : 1);
        failures += k > 0;
    }
    assert_int_equal(failures, 3); /* a second name, the new file, the old one */
    harness_context_free(&ctx);
}

/* File systems without hard links; and one that has them, but is full. */
static void without_links(void **unused)
{
    (void)unused;
    static const int errors[] = {EPERM, EOPNOTSUPP, ENOSYS, EMLINK};
    csim_context *ctx = harness_context();
    csim_status st = CSIM_OK;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        rotate(ctx, errors[i], 0, &st);
        case_must(ctx, st);
        assert_int_equal(generation(ctx, "moment.nc"), 3);
        assert_int_equal(generation(ctx, "moment.nc.prev"), 2);
    }
    for (int k = 1; rotate(ctx, EPERM, k, &st); k++) {
        assert_int_equal(st, CSIM_E_IO);
        assert_int_equal(generation(ctx, "moment.nc"), 2);
        int before = generation(ctx, "moment.nc.prev");
        assert_int_equal(before, k == 1 ? 1 : -1);
    }
    rotate(ctx, ENOSPC, 0, &st);
    assert_int_equal(st, CSIM_E_IO);
    assert_int_equal(generation(ctx, "moment.nc"), 2);
    assert_int_equal(generation(ctx, "moment.nc.prev"), 1);
    harness_context_free(&ctx);
}

static void faults(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    csim__checkpoint *c = case_make(ctx, 5), *back = NULL;
    int failed[2] = {0, 0};
    for (uint64_t seed = 1; seed <= 24; seed++) {
        clear(ctx, "fault.nc");
        case_must(ctx, csim__checkpoint_write(ctx, c, "fault.nc"));
        int64_t live = csim_context_memory_live(ctx);
        csim_context_set_faults(ctx, 4, seed);
        csim_status st = csim__checkpoint_write(ctx, c, "fault.nc");
        csim_status st2 = csim__checkpoint_read(ctx, "fault.nc", &back);
        csim_context_set_faults(ctx, 0, 0);
        assert_true(harness_same(ctx, st));
        assert_true(harness_same(ctx, st2));
        assert_true(st == CSIM_OK || st == CSIM_E_FAULT);
        assert_true(st2 == CSIM_OK || st2 == CSIM_E_FAULT);
        assert_true((back != NULL) == (st2 == CSIM_OK));
        if (back != NULL) { case_check(back, 5); }
        csim__checkpoint_free(ctx, &back);
        assert_int_equal(csim_context_memory_live(ctx), live);
        failed[0] += st != CSIM_OK;
        failed[1] += st2 != CSIM_OK;
        assert_int_equal(case_count("fault.nc.partial"), 0);
        assert_int_equal(generation(ctx, "fault.nc"), 5);
    }
    for (int i = 0; i < 2; i++) { assert_true(failed[i] > 0 && failed[i] < 24); }
    csim__checkpoint_free(ctx, &c);
    harness_context_free(&ctx);
}

/* Memory that runs out on one rank, at one allocation after the other. */
static void out_of_memory(void **unused)
{
    (void)unused;
    enum { STRIDE = 5 };
    csim_context *ctx = harness_context();
    int size = csim_context_size(ctx), rank = csim_context_rank(ctx), failed = 0;
    csim__checkpoint *c = case_make(ctx, 6), *back = NULL;
    clear(ctx, "memory.nc");
    case_must(ctx, csim__checkpoint_write(ctx, c, "memory.nc"));
    int64_t live = csim_context_memory_live(ctx);
    for (int victim = 0; victim<size; victim += size> 1 ? size - 1 : 1) {
        for (long k = 1, more = 1; more; k += STRIDE) {
            between.allocations = 0;
            between.fail_at = rank == victim ? k : -1;
            csim_status st = csim__checkpoint_write(ctx, c, "memory.nc");
            csim_status st2 = csim__checkpoint_read(ctx, "memory.nc", &back);
            between.fail_at = 0;
            more = between.allocations >= k;
            MPI_Bcast(&more, 1, MPI_LONG, victim, csim_context_comm(ctx));
            assert_true(harness_same(ctx, st) && harness_same(ctx, st2));
            assert_true(st == CSIM_OK || st == CSIM_E_MEM);
            assert_true(st2 == CSIM_OK || st2 == CSIM_E_MEM);
            assert_int_equal(st != CSIM_OK || st2 != CSIM_OK, more);
            csim__checkpoint_free(ctx, &back);
            assert_int_equal(csim_context_memory_live(ctx), live);
            failed += (int)more;
        }
    }
    assert_true(failed > 10);
    assert_int_equal(case_count("memory.nc.partial"), 0);
    csim__checkpoint_free(ctx, &c);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_generations), cmocka_unit_test(through_a_link),
        cmocka_unit_test(bad_outputs),     cmocka_unit_test(full_disk),
        cmocka_unit_test(every_moment),    cmocka_unit_test(without_links),
        cmocka_unit_test(faults),          cmocka_unit_test(out_of_memory),
    };
    return harness_finish(cmocka_run_group_tests_name("checkpoint_write", tests, NULL, NULL));
}
