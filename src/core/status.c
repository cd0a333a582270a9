#include "contrasim/status.h"

#ifndef CSIM_VERSION
#error "CSIM_VERSION comes from the build"
#endif

const char *csim_status_text(csim_status status)
{
    switch (status) {
#define CSIM_TEXT(name, code, text)                                                                \
    case CSIM_##name:                                                                              \
        return text;
        CSIM_STATUS_LIST(CSIM_TEXT)
#undef CSIM_TEXT
    case CSIM_STATUS_COUNT:
        break;
    }
    return "unknown status";
}

const char *csim_status_name(csim_status status)
{
    switch (status) {
#define CSIM_NAME(name, code, text)                                                                \
    case CSIM_##name:                                                                              \
        return #name;
        CSIM_STATUS_LIST(CSIM_NAME)
#undef CSIM_NAME
    case CSIM_STATUS_COUNT:
        break;
    }
    return "UNKNOWN";
}

int csim_status_exit_code(csim_status status)
{
    switch (status) {
#define CSIM_EXIT(name, code, text)                                                                \
    case CSIM_##name:                                                                              \
        return code;
        CSIM_STATUS_LIST(CSIM_EXIT)
#undef CSIM_EXIT
    case CSIM_STATUS_COUNT:
        break;
    }
    return 1;
}

const char *csim_version(void)
{
    return CSIM_VERSION;
}
