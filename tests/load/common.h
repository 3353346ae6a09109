/* What the load tools share: the clock, the CPU time of other processes, ends with a message. */
#ifndef BATON_LOAD_COMMON_H
#define BATON_LOAD_COMMON_H

#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline void die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, errno ? strerror(errno) : "not possible");
    exit(1);
}

static inline uint64_t clock_us(clockid_t clock) {
    struct timespec now;
    if (clock_gettime(clock, &now)) die("clock_gettime");
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/* Microseconds on a clock that all processes of the machine share and nobody sets. */
static inline uint64_t now_us(void) {
    return clock_us(CLOCK_MONOTONIC);
}

static inline void *grown(void *memory, size_t size) {
    void *more = realloc(memory, size);
    if (!more) die("realloc");
    return more;
}

/* The whole file, with a zero byte after it. */
static inline char *file_text(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) die(path);
    size_t have = 0, room = 1 << 16;
    char *text = grown(NULL, room + 1);
    for (size_t got; (got = fread(text + have, 1, room - have, file)) > 0;) {
        have += got;
        if (have == room) text = grown(text, (room *= 2) + 1);
    }
    if (ferror(file)) die(path);
    fclose(file);
    text[have] = 0;
    return text;
}

/* The instant at which message `index` is due. The publishers and the client compute it alike. */
static inline uint64_t due_us(uint64_t start, uint64_t index, uint64_t rate) {
    return start + index * 1000000u / rate;
}

#endif
