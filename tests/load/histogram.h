/* Latencies in logarithmic buckets of microseconds, each at most 1.6 % wide. */
#ifndef BATON_LOAD_HISTOGRAM_H
#define BATON_LOAD_HISTOGRAM_H

#include "common.h"

enum { BUCKETS = 4096 };

static uint64_t histogram[BUCKETS];

static unsigned bucket_of(uint64_t us) {
    if (us < 128) return (unsigned)us;
    unsigned octave = 63u - (unsigned)__builtin_clzll(us);
    unsigned bucket = (octave - 5) * 64 + (unsigned)(us >> (octave - 6)) - 64;
    return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static double ms_of(unsigned bucket) {
    if (bucket < 128) return bucket / 1e3;
    unsigned octave = bucket / 64 + 5;
    return (double)((uint64_t)(bucket % 64 + 64) << (octave - 6)) / 1e3;
}

/* Prints the share q of what the histogram holds as a JSON number, or null. */
static void print_quantile(const char *name, double q) {
    uint64_t sum = 0, seen = 0;
    for (unsigned i = 0; i < BUCKETS; i++) sum += histogram[i];
    if (!sum) {
        printf(",\"%s\":null", name);
        return;
    }
    unsigned i = 0;
    while ((double)(seen += histogram[i]) < q * (double)sum) i++;
    printf(",\"%s\":%.3f", name, ms_of(i));
}

static void print_latencies(void) {
    print_quantile("p50_ms", 0.5);
    print_quantile("p99_ms", 0.99);
    print_quantile("p999_ms", 0.999);
    print_quantile("max_ms", 1.0);
}

#endif
