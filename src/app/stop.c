#define _POSIX_C_SOURCE 200809L
#include "app/stop.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/core.h"

/* A signal handler can reach nothing else. */
static volatile sig_atomic_t asked;

static double deadline = INFINITY;

static void handle(int number)
{
    asked = 1;
    if (number == SIGINT) { signal(SIGINT, SIG_DFL); }
}

void csim__stop_listen(void)
{
    static const int numbers[] = {SIGTERM, SIGUSR1, SIGUSR2, SIGINT};
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handle;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        sigaction(numbers[i], &action, NULL);
    }
}

/* Seconds of a time as SLURM writes it, −1 if it is none. */
static double seconds_of(const char *text)
{
    int days = 0, part[3] = {0, 0, 0}, used = 0, count;
    bool dashed = sscanf(text, "%9d-%n", &days, &used) == 1 && used > 0;
    const char *rest = dashed ? text + used : text;
    int end[3] = {0, 0, 0};
    count =
        sscanf(rest, "%9d%n:%9d%n:%9d%n", &part[0], &end[0], &part[1], &end[1], &part[2], &end[2]);
    if (count < 1 || rest[end[count - 1]] != 0 || strspn(text, "0123456789:-") != strlen(text)) {
        return -1;
    }
    if (dashed) { return ((days * 24.0 + part[0]) * 60 + part[1]) * 60 + part[2]; }
    if (count == 3) { return (part[0] * 60.0 + part[1]) * 60 + part[2]; }
    return part[0] * 60.0 + part[1];
}

csim_status csim__stop_after(csim_context *ctx, const char *walltime)
{
    double seconds = seconds_of(walltime);
    if (seconds < 0 || walltime[0] == '-') {
        return csim__fail(ctx, CSIM_E_USAGE,
                          "--walltime: found '%s', expected minutes, M:SS, H:MM:SS, D-H, D-H:MM or "
                          "D-H:MM:SS",
                          walltime);
    }
    deadline = csim__now() + seconds;
    return CSIM_OK;
}

int csim__stop_asked(void *unused)
{
    (void)unused;
    return asked || csim__now() >= deadline;
}
