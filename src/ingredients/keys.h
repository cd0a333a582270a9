/* Numbers that are not negative as whole numbers of the same order: their bits. */
#ifndef CSIM_KEYS_H
#define CSIM_KEYS_H

#include <stdint.h>
#include <string.h>

/** What is not above 0, −0 too, has key 0. Local, pure. */
static inline uint64_t csim__key_of(double value)
{
    uint64_t key;
    value = value > 0 ? value : 0;
    memcpy(&key, &value, sizeof key);
    return key;
}

/** The number of a key. Local, pure. */
static inline double csim__value_of(uint64_t key)
{
    double value;
    memcpy(&value, &key, sizeof value);
    return value;
}

#endif
