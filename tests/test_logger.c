/* The log and the progress lines, with a clock that the test moves. */
#define _POSIX_C_SOURCE 200809L
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/logger.h"

static double test_time;

static double test_clock(void)
{
    return test_time;
}

/* A log whose lines go to a file instead of stderr. */
typedef struct fixture {
    csim__logger log;
    FILE *file;
    int saved;
} fixture;

static void start(fixture *f, int json, int live)
{
    test_time = 100;
    csim__logger_start(&f->log, 0, 4, json);
    f->log.clock = test_clock;
    f->log.start_s = test_time;
    f->log.live = live;
    f->file = tmpfile();
    assert_non_null(f->file);
    fflush(stderr);
    f->saved = dup(STDERR_FILENO);
    assert_true(f->saved >= 0);
    assert_true(dup2(fileno(f->file), STDERR_FILENO) >= 0);
}

/* New text of what was logged. */
static char *finish(fixture *f)
{
    fflush(stderr);
    assert_true(dup2(f->saved, STDERR_FILENO) >= 0);
    close(f->saved);
    long length = lseek(fileno(f->file), 0, SEEK_END);
    char *text = calloc((size_t)length + 1, 1);
    assert_non_null(text);
    rewind(f->file);
    assert_int_equal(fread(text, 1, (size_t)length, f->file), length);
    fclose(f->file);
    return text;
}

static int count(const char *text, const char *part)
{
    int n = 0;
    for (const char *s = text; (s = strstr(s, part)) != NULL; s += strlen(part)) { n++; }
    return n;
}

/* 1000 s of work in steps of 1 s: seven lines, at 1, 2, 5, 10, 20, 50 and 100 %. */
static void batch_lines(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "contrasim: pass 1 % (20 of 2e+03 G, 2 G/s), left 16m 30s\n",
        "contrasim: pass 2 %",
        "contrasim: pass 5 %",
        "contrasim: pass 10 %",
        "contrasim: pass 20 %",
        "contrasim: pass 50 %",
        "contrasim: pass 100 %"};
    fixture f;
    start(&f, 0, 0);
    for (int i = 0; i <= 1000; i++) {
        csim__logger_progress(&f.log, "pass", 2e9 * i, 2e12);
        test_time += 1;
    }
    char *text = finish(&f);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_int_equal(count(text, lines[i]), 1);
    }
    assert_int_equal(count(text, "\n"), 7);
    assert_int_equal(count(text, "\r"), 0);
    assert_non_null(strstr(text, "took 16m 40s\n"));
    free(text);
}

/* A day between two steps of the fraction: a line every ten minutes. */
static void batch_silence(void **state)
{
    (void)state;
    fixture f;
    start(&f, 0, 0);
    for (int i = 0; i <= 3600; i++) {
        csim__logger_progress(&f.log, "pass", 0.5 + 1e-6 * i, 100);
        test_time += 1;
    }
    char *text = finish(&f);
    assert_int_equal(count(text, "\n"), 6);
    free(text);
}

/* What is over in a moment leaves no line; new work starts anew. */
static void short_work(void **state)
{
    (void)state;
    fixture f;
    start(&f, 0, 0);
    for (int i = 0; i <= 10; i++) {
        csim__logger_progress(&f.log, "first", i, 10);
        test_time += 0.1;
    }
    for (int i = 0; i <= 10; i++) {
        csim__logger_progress(&f.log, "second", i, 10);
        test_time += 1;
    }
    char *text = finish(&f);
    assert_int_equal(count(text, "first"), 0);
    assert_int_equal(count(text, "second"), 3); /* 20 % after two seconds, 50 %, 100 % */
    free(text);
}

/* Two phases in turn, fifty times: the lines, rate and time left of the work as a whole. */
static void phases_in_turn(void **state)
{
    (void)state;
    fixture f;
    start(&f, 0, 0);
    for (int i = 0; i <= 100; i++) {
        csim__logger_progress(&f.log, i % 2 == 0 ? "even" : "odd", 1e9 * i, 1e11);
        test_time += 10;
    }
    char *text = finish(&f);
    assert_int_equal(count(text, "\n"), 7);
    assert_int_equal(count(text, "0.1 G/s"), 7);
    assert_non_null(strstr(text, "contrasim: odd 5 % (5 of 100 G, 0.1 G/s), left 15m 50s\n"));
    free(text);
}

static void live_line(void **state)
{
    (void)state;
    fixture f;
    start(&f, 0, 1);
    for (int i = 0; i < 1000; i++) { /* 10 s in steps of 10 ms */
        csim__logger_progress(&f.log, "pass", i, 1000);
        test_time += 0.01;
    }
    csim__logger_sink(&f.log, CSIM_LOG_WARNING, "message", "look", NULL, 0);
    csim__logger_progress(&f.log, "pass", 1000, 1000);
    char *text = finish(&f);
    int states = count(text, "\rpass");
    assert_true(states >= 45 && states <= 50); /* five times a second */
    assert_int_equal(count(text, "\n"), 1);
    /* the line is blanked before the message and stays away at the end */
    assert_non_null(strstr(text, " \rcontrasim: warning: look\n"));
    assert_string_equal(strstr(text, "look\n"), "look\n");
    free(text);
}

static void json_lines(void **state)
{
    (void)state;
    fixture f;
    start(&f, 1, 0);
    csim__logger_sink(&f.log, CSIM_LOG_WARNING, "message", "a \"quoted\" \xff word", NULL, 0);
    test_time += 50;
    csim__logger_progress(&f.log, "pass", 0, 100);
    test_time += 10;
    csim__logger_progress(&f.log, "pass", 20, 100);
    char *text = finish(&f);
    assert_int_equal(count(text, "\n"), 2);
    assert_non_null(strstr(text, "\"text\":\"a \\\"quoted\\\" ? word\""));
    assert_non_null(strstr(text, "\"level\":\"warning\""));
    assert_non_null(strstr(text, "\"elapsed_s\":60.0,"));
    assert_non_null(strstr(text, "\"phase\":\"pass\",\"done\":20.0,\"total\":100.0,\"rate\":2.0,"
                                 "\"eta_s\":40.0"));
    free(text);
}

static void other_ranks(void **state)
{
    (void)state;
    fixture f;
    start(&f, 0, 0);
    f.log.rank = 2;
    csim__logger_progress(&f.log, "pass", 0, 100);
    test_time += 1000;
    csim__logger_progress(&f.log, "pass", 50, 100);
    csim__logger_sink(&f.log, CSIM_LOG_INFO, "message", "hello", NULL, 0);
    char *text = finish(&f);
    assert_string_equal(text, "contrasim: rank 2: hello\n");
    free(text);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_lines), cmocka_unit_test(batch_silence),
        cmocka_unit_test(short_work),  cmocka_unit_test(phases_in_turn),
        cmocka_unit_test(live_line),   cmocka_unit_test(json_lines),
        cmocka_unit_test(other_ranks),
    };
    return harness_finish(cmocka_run_group_tests_name("logger", tests, NULL, NULL));
}
