/** @file status.h  Status codes, their texts, and the version of the library. */
#ifndef CONTRASIM_STATUS_H
#define CONTRASIM_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

/** The one list of status codes: X(name, exit code of the program, text). Larger = worse. */
#define CSIM_STATUS_LIST(X)                                                                        \
    X(OK, 0, "success")                                                                            \
    X(E_STOPPED, 85, "stopped early, everything saved")                                            \
    X(E_USAGE, 2, "wrong usage")                                                                   \
    X(E_ARG, 2, "invalid argument")                                                                \
    X(E_SHAPE, 1, "array sizes do not agree")                                                      \
    X(E_DATA, 1, "data cannot be used")                                                            \
    X(E_FORMAT, 1, "file is not what its format promises")                                         \
    X(E_IO, 1, "file cannot be read or written")                                                   \
    X(E_EXISTS, 1, "output exists")                                                                \
    X(E_LIMIT, 1, "a size is beyond what can be handled")                                          \
    X(E_MEM, 1, "out of memory")                                                                   \
    X(E_NUMERIC, 1, "a numerical routine failed")                                                  \
    X(E_MPI, 1, "MPI call failed")                                                                 \
    X(E_MISMATCH, 1, "arguments that must agree differ between ranks")                             \
    X(E_FAULT, 1, "injected fault")                                                                \
    X(E_INTERNAL, 1, "internal error")

#define CSIM_STATUS_ENUM(name, code, text) CSIM_##name,
typedef enum csim_status { CSIM_STATUS_LIST(CSIM_STATUS_ENUM) CSIM_STATUS_COUNT } csim_status;
#undef CSIM_STATUS_ENUM

/** Text of a status. Local. Never NULL. */
const char *csim_status_text(csim_status status);

/** Name of a status, for example "E_SHAPE". Local. Never NULL. */
const char *csim_status_name(csim_status status);

/** Exit code of the program for a status: 0 done, 1 failed, 2 usage, 85 stopped early. Local. */
int csim_status_exit_code(csim_status status);

/** Version of the library, "major.minor.patch". Local. */
const char *csim_version(void);

#ifdef __cplusplus
}
#endif
#endif
