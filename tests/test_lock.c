/* The lock of an output between processes: the ranks, each alone, and children that take it with
 * fcntl() as it is. The linker puts our fcntl() in between. */
#define _POSIX_C_SOURCE 200809L
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "contrasim/reps.h"
#include "io/lock.h"

/* ---- what comes in between ---- */

int __real_fcntl(int fd, int what, ...);
int __wrap_fcntl(int fd, int what, ...);

static int lock_error; /* what fcntl() says to who wants a lock, 0 = do it */

int __wrap_fcntl(int fd, int what, ...)
{
    va_list rest;
    va_start(rest, what);
    struct flock *argument = va_arg(rest, struct flock *);
    va_end(rest);
    if (what == F_SETLK && lock_error != 0) {
        errno = lock_error;
        return -1;
    }
    return __real_fcntl(fd, what, argument);
}

/* ---- helpers ---- */

static struct log {
    int warnings, count;
    char last[512];
} heard;

static void note(void *user, csim_log_level level, const char *event, const char *text,
                 const csim_log_value *values, int count)
{
    (void)user, (void)event, (void)values, (void)count;
    heard.warnings += level == CSIM_LOG_WARNING;
    heard.count++;
    snprintf(heard.last, sizeof heard.last, "%s", text);
}

static void hear(csim_context *ctx)
{
    heard = (struct log){.count = 0};
    csim_context_set_log(ctx, CSIM_LOG_INFO, note, NULL);
}

static int is_root(void)
{
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    return rank == 0;
}

static void meet(void)
{
    MPI_Barrier(MPI_COMM_WORLD);
}

static int there(const char *path)
{
    struct stat s;
    return lstat(path, &s) == 0;
}

static void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void must(csim_context *ctx, csim_status st)
{
    assert_true(harness_same(ctx, st));
    if (st != CSIM_OK) { fail_msg("%s", csim_context_error(ctx)); }
}

static void refused(csim_context *ctx, csim_status st, const char *part)
{
    assert_true(harness_same(ctx, st));
    assert_int_equal(st, CSIM_E_IO);
    if (strstr(csim_context_error(ctx), part) == NULL) {
        fail_msg("'%s' is not in: %s", part, csim_context_error(ctx));
    }
    csim__forgive(ctx);
}

static void doze(double seconds)
{
    struct timespec t = {.tv_sec = (time_t)seconds,
                         .tv_nsec = (long)(1e9 * (seconds - (double)(time_t)seconds))};
    nanosleep(&t, NULL);
}

/* A child that holds the lock for so long, and is there when it has it. */
static pid_t hold(const char *path, double seconds)
{
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct flock want = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        int fd = open(path, O_RDWR | O_CREAT, 0666);
        int got = fd >= 0 && __real_fcntl(fd, F_SETLK, &want) == 0;
        if (got && write(ready[1], "x", 1) == 1) { doze(seconds); }
        _exit(!got);
    }
    assert_true(pid > 0);
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void reap(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

/* ---- tests ---- */

static void taken_and_given_back(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    csim__lock lock = {.path = NULL};
    char host[256] = "", want[400], found[400] = "";
    csim__lock_release(ctx, &lock); /* what was never taken */
    for (int k = 0; k < 2; k++) {
        must(ctx, csim__lock_take(ctx, "one.nc", &lock));
        meet();
        assert_true(there("one.nc.lock"));
        if (is_root()) {
            FILE *file = fopen("one.nc.lock", "rb");
            assert_int_equal(gethostname(host, sizeof host - 1), 0);
            snprintf(want, sizeof want, "process %ld on %s\n", (long)getpid(), host);
            assert_non_null(fgets(found, sizeof found, file));
            assert_non_null(strstr(found, want));
            fclose(file);
        }
        meet();
        csim__lock_release(ctx, &lock);
        csim__lock_release(ctx, &lock);
        meet();
        assert_false(there("one.nc.lock"));
        assert_false(there("one.nc"));
        meet();
    }
    harness_context_free(&ctx);
}

/* A child has it for longer than is waited for; then it is killed, and its file keeps nobody out. */
static void another_job(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    csim__lock lock = {.path = NULL};
    char part[100] = "";
    pid_t child = is_root() ? hold("busy.nc.lock", 60) : 0;
    hear(ctx);
    double start = csim__now();
    csim_status st = csim__lock_take(ctx, "busy.nc", &lock);
    double took = csim__now() - start;
    snprintf(part, sizeof part, "busy.nc: another job (process %ld) works on this output",
             (long)child);
    refused(ctx, st, is_root() ? part : "busy.nc: another job");
    assert_true(took > 9.9 && took < 20);
    assert_null(lock.path);
    if (is_root()) {
        assert_int_equal(heard.count, 1);
        assert_non_null(strstr(heard.last, "waiting up to 10 s"));
        assert_true(there("busy.nc.lock"));
        kill(child, SIGKILL);
        reap(child);
    }
    meet();
    start = csim__now();
    must(ctx, csim__lock_take(ctx, "busy.nc", &lock));
    assert_true(csim__now() - start < 5);
    csim__lock_release(ctx, &lock);
    meet();
    assert_false(there("busy.nc.lock"));
    meet();
    harness_context_free(&ctx);
}

/* The ranks of a killed job are gone a moment later. */
static void waited_for(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    csim__lock lock = {.path = NULL};
    meet();
    double start = csim__now();
    pid_t child = is_root() ? hold("wait.nc.lock", 1.5) : 0;
    must(ctx, csim__lock_take(ctx, "wait.nc", &lock));
    double took = csim__now() - start;
    assert_true(took > 1 && took < 9);
    csim__lock_release(ctx, &lock);
    if (is_root()) { reap(child); }
    harness_context_free(&ctx);
}

/* Every rank a job of its own, all on one output: never two at once, though each time the file is
 * removed and made anew. */
static void one_at_a_time(void **unused)
{
    (void)unused;
    csim_context *ctx = NULL;
    csim__lock lock = {.path = NULL};
    int wrong = 0, failed = 0;
    assert_int_equal(csim_context_create(MPI_COMM_SELF, &ctx), CSIM_OK);
    meet();
    for (int k = 0; k < 40 && !failed; k++) {
        failed = csim__lock_take(ctx, "turns.nc", &lock) != CSIM_OK;
        if (failed) { break; }
        int fd = open("turns.inside", O_CREAT | O_EXCL | O_WRONLY, 0666);
        wrong += fd < 0 || !there("turns.nc.lock");
        if (fd >= 0) { close(fd); }
        doze(0.001);
        remove("turns.inside");
        csim__lock_release(ctx, &lock);
        doze(0.003 * (k % 7));
    }
    if (failed) { print_error("%s\n", csim_context_error(ctx)); }
    assert_int_equal(failed, 0);
    assert_int_equal(wrong, 0);
    meet();
    assert_false(there("turns.nc.lock"));
    meet();
    harness_context_free(&ctx);
}

/* Files of killed jobs go; all others stay, and all stay where the lock is not had. */
static void leftovers(void **unused)
{
    (void)unused;
    static const char *const gone[] = {"old.nc.partial.1", "old.nc.partial.99999999",
                                       "old.nc.prev.partial.17"};
    static const char *const kept[] = {"old.nc",
                                       "old.nc.prev",
                                       "old.nc.partial.",
                                       "old.nc.partial",
                                       "old.nc.partial.1a",
                                       "xold.nc.partial.1",
                                       "old.nc.partial1",
                                       "old.nc2.partial.1",
                                       "old.nc.lock2",
                                       "old.partial.1",
                                       "old.nc.prev.prev.partial.1"};
    const int n = sizeof gone / sizeof *gone, m = sizeof kept / sizeof *kept;
    csim_context *ctx = harness_context();
    csim__lock lock = {.path = NULL};
    if (is_root()) {
        for (int i = 0; i < n; i++) { put(gone[i], "x"); }
        for (int i = 0; i < m; i++) { put(kept[i], "x"); }
    }
    meet();
    hear(ctx);
    lock_error = EIO;
    refused(ctx, csim__lock_take(ctx, "old.nc", &lock), "old.nc.lock: cannot lock: ");
    lock_error = 0;
    for (int i = 0; i < n; i++) { assert_true(there(gone[i])); }
    meet();
    must(ctx, csim__lock_take(ctx, "old.nc", &lock));
    meet();
    for (int i = 0; i < n; i++) { assert_false(there(gone[i])); }
    for (int i = 0; i < m; i++) { assert_true(there(kept[i])); }
    if (is_root()) {
        assert_int_equal(heard.count, 1);
        assert_string_equal(heard.last,
                            "old.nc: removed 3 unfinished files of jobs that were killed");
    }
    meet();
    csim__lock_release(ctx, &lock);
    must(ctx, csim__lock_take(ctx, "./old.nc", &lock));
    assert_int_equal(heard.count, is_root());
    csim__lock_release(ctx, &lock);
    harness_context_free(&ctx);
}

static void without_locks(void **unused)
{
    (void)unused;
    static const int errors[] = {ENOLCK, EOPNOTSUPP, ENOSYS};
    csim_context *ctx = harness_context();
    csim__lock lock = {.path = NULL};
    if (is_root()) { put("none.nc.partial.5", "may be of a job that runs"); }
    meet();
    for (int k = 0; k < 3; k++) {
        hear(ctx);
        lock_error = errors[k];
        must(ctx, csim__lock_take(ctx, "none.nc", &lock));
        lock_error = 0;
        assert_null(lock.path);
        assert_int_equal(heard.warnings, is_root());
        if (is_root()) { assert_non_null(strstr(heard.last, "has no locks")); }
        csim__lock_release(ctx, &lock);
        meet();
        assert_false(there("none.nc.lock"));
        assert_true(there("none.nc.partial.5"));
        meet();
    }
    harness_context_free(&ctx);
}

/* One output by the name of its link and by its own. */
static void links(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    csim__lock lock = {.path = NULL};
    if (is_root()) {
        assert_true(mkdir("far", 0777) == 0 || errno == EEXIST);
        put("far/real.nc", "x");
        put("far/real.nc.partial.3", "x");
        remove("link.nc");
        assert_int_equal(symlink("far/real.nc", "link.nc"), 0);
    }
    meet();
    must(ctx, csim__lock_take(ctx, "link.nc", &lock));
    meet();
    assert_true(there("far/real.nc.lock"));
    assert_false(there("link.nc.lock"));
    assert_false(there("far/real.nc.partial.3"));
    meet();
    csim__lock_release(ctx, &lock);
    meet();
    assert_false(there("far/real.nc.lock"));
    harness_context_free(&ctx);
}

/* 6 × 2 float32, as .npy. */
static void put_array(const char *path)
{
    static const char head[] = "\x93NUMPY\x01\x00\x46\x00";
    static const float data[12] = {1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233};
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(head, 1, sizeof head - 1, file), 10);
    assert_int_equal(
        fprintf(file, "%-69s\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (6, 2), }"),
        70);
    assert_int_equal(fwrite(data, sizeof data, 1, file), 1);
    assert_int_equal(fclose(file), 0);
}

/* Could a process of its own lock the file? */
static int is_free(const char *path)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct flock want = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        int fd = open(path, O_RDWR);
        _exit(fd < 0 || __real_fcntl(fd, F_SETLK, &want) != 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The lock lies among the files of a set, whose reading must not let it go. */
static void beside_inputs(void **unused)
{
    (void)unused;
    static const char *const specs[] = {"mixed", "mixed/*"};
    csim_context *ctx = harness_context();
    csim__lock lock = {.path = NULL};
    csim_set *set = NULL;
    if (is_root()) {
        assert_true(mkdir("mixed", 0777) == 0 || errno == EEXIST);
        put_array("mixed/layer.npy");
    }
    meet();
    must(ctx, csim__lock_take(ctx, "mixed/out.nc", &lock));
    for (int i = 0; i < 2; i++) {
        csim_input_options options = {.neuron_axis = -1};
        must(ctx, csim_set_open(ctx, specs[i], &options, &set));
        assert_int_equal(csim_set_file_count(set), 1);
        if (is_root()) { assert_false(is_free("mixed/out.nc.lock")); }
        csim_set_free(&set);
    }
    csim__lock_release(ctx, &lock);
    harness_context_free(&ctx);
}

/* Nothing that is not the lock's is touched. */
static void in_the_way(void **unused)
{
    (void)unused;
    static const char mine[] = "contrasim lock: proc, says my diary";
    csim_context *ctx = harness_context();
    csim__lock lock = {.path = NULL};
    char found[100] = "";
    if (is_root()) {
        put("diary.nc.lock", mine);
        put("elsewhere", "");
        assert_int_equal(mkfifo("pipe.nc.lock", 0666), 0);
        assert_int_equal(mkdir("folder.nc.lock", 0777), 0);
        assert_int_equal(symlink("elsewhere", "linked.nc.lock"), 0);
    }
    meet();
    refused(ctx, csim__lock_take(ctx, "diary.nc", &lock), "diary.nc.lock is needed for the lock");
    refused(ctx, csim__lock_take(ctx, "pipe.nc", &lock), "pipe.nc.lock is needed for the lock");
    refused(ctx, csim__lock_take(ctx, "folder.nc", &lock), "folder.nc.lock: cannot make the lock");
    refused(ctx, csim__lock_take(ctx, "linked.nc", &lock), "linked.nc.lock: cannot make the lock");
    refused(ctx, csim__lock_take(ctx, "no/folder.nc", &lock), "there is no folder no");
    refused(ctx, csim__lock_take(ctx, ".", &lock), "not a regular file");
    refused(ctx, csim__lock_take(ctx, "", &lock), "not the name of a file");
    if (is_root()) {
        FILE *file = fopen("diary.nc.lock", "rb");
        assert_non_null(fgets(found, sizeof found, file));
        fclose(file);
        assert_string_equal(found, mine);
        assert_true(there("pipe.nc.lock") && there("folder.nc.lock") && there("linked.nc.lock"));
        /* whoever may do anything may write here: as somebody else */
        assert_true(mkdir("locked", 0555) == 0 || errno == EEXIST);
        assert_int_equal(seteuid(geteuid() == 0 ? 65534 : geteuid()), 0);
    }
    meet();
    refused(ctx, csim__lock_take(ctx, "locked/x.nc", &lock), "Permission denied");
    if (is_root()) { assert_int_equal(seteuid(getuid()), 0); }
    harness_context_free(&ctx);
}

/* Any vote may fail: the same status everywhere, and the output is free again. */
static void faults(void **unused)
{
    (void)unused;
    csim_context *ctx = harness_context();
    csim__lock lock = {.path = NULL};
    int failures = 0;
    for (int seed = 1; seed <= 12; seed++) {
        csim_context_set_faults(ctx, 2, (uint64_t)seed);
        csim_status st = csim__lock_take(ctx, "fault.nc", &lock);
        csim_context_set_faults(ctx, 0, 0);
        assert_true(harness_same(ctx, st));
        if (st != CSIM_OK) {
            failures++;
            assert_null(lock.path);
            assert_false(there("fault.nc.lock"));
            csim__forgive(ctx);
        }
        meet();
        csim__lock_release(ctx, &lock);
        meet();
    }
    assert_true(failures > 0 && failures < 12);
    harness_context_free(&ctx);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taken_and_given_back),
        cmocka_unit_test(another_job),
        cmocka_unit_test(waited_for),
        cmocka_unit_test(one_at_a_time),
        cmocka_unit_test(leftovers),
        cmocka_unit_test(without_locks),
        cmocka_unit_test(links),
        cmocka_unit_test(in_the_way),
        cmocka_unit_test(faults),
        cmocka_unit_test(beside_inputs),
    };
    MPI_Init(&argc, &argv);
    return harness_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
