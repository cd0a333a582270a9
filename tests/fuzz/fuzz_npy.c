#include "fuzz_reader.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    fuzz_start(argc, argv, ".npy");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_one(&csim__format_npy, data, size);
}
