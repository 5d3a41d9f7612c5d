// A wall clock that a test sets while the server runs. Preloaded (LD_PRELOAD). CLOCK_OFFSET names a file of eight bytes, the
// nanoseconds (little-endian, signed) that the clock is ahead; it is mapped, so what the test writes counts at once.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void start(void) {
    real_clock_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    const char *path = getenv("CLOCK_OFFSET");
    if (!path) return;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, 8, PROT_READ, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) abort();
    offset = mapped;
    close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    // Another library's start may come before ours.
    if (!real_clock_gettime) start();
    int done = real_clock_gettime(clock, now);
    if (done == 0 && offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t nanoseconds = now->tv_nsec + *offset % 1000000000;
        int64_t seconds = now->tv_sec + *offset / 1000000000;
        if (nanoseconds < 0) nanoseconds += 1000000000, seconds--;
        if (nanoseconds >= 1000000000) nanoseconds -= 1000000000, seconds++;
        now->tv_sec = seconds;
        now->tv_nsec = nanoseconds;
    }
    return done;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec precise;
    int done = clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return done;
}

time_t time(time_t *to) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (to) *to = now.tv_sec;
    return now.tv_sec;
}
