#define _POSIX_C_SOURCE 200809L
#include "app/stop.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>

/* A signal handler can reach nothing else. */
static volatile sig_atomic_t asked;

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

int csim__stop_asked(void *unused)
{
    (void)unused;
    return asked;
}
