// Writes down, in order, all that a process does to the files of one folder, so that a test can tell what a loss of power
// would have left of them at any moment. Preloaded into the server (LD_PRELOAD); disk.rs builds it, reads the record and
// makes the folder as it would be found.
//
//   DISK_FOLDER  the folder, as an absolute path without links
//   DISK_RECORD  where the record goes; without it nothing is written down
//   DISK_FULL    "first count": so many of the calls that need room fail with ENOSPC, from the first one on (counted from 0)
//   DISK_FROZEN  a path: nothing below it can be made, written, renamed or removed (EROFS) until the file that
//                DISK_THAW names is there
//
// Nothing is really synced: the process is killed, not the machine, so the system's own cache keeps everything and the record
// says what was asked for. One lock around each call and its note makes the order of the record the order of events.
//
// Each note: kind, file number, place, length (little-endian: u8, u64, u64, u64) and as many bytes. Kinds:
//   C file, path        made, as this path          W file, place, bytes   written
//   T file, place       cut or grown to this size   R from '\0' to         renamed
//   U path              unlinked                    M file, path           a folder was made
//   K path              a folder was removed
//   B file, place       a sync began; place tells it from others           E file, place   it ended

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int record = -1;
static char folder[PATH_MAX];
static size_t folder_length;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
static uint64_t syncs;
static uint64_t writes, full_first = UINT64_MAX, full_count;
static const char *frozen, *thaw;

__attribute__((constructor)) static void start(void) {
    const char *where = getenv("DISK_FOLDER"), *to = getenv("DISK_RECORD"), *full = getenv("DISK_FULL");
    if (!where || strlen(where) >= sizeof folder) return;
    strcpy(folder, where);
    folder_length = strlen(folder);
    if (full && sscanf(full, "%lu %lu", &full_first, &full_count) != 2) abort();
    frozen = getenv("DISK_FROZEN");
    thaw = getenv("DISK_THAW");
    if (!to) return;
    record = (int)syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (record < 0) abort();
}

static void note(char kind, uint64_t file, uint64_t place, const void *bytes, uint64_t length) {
    if (record < 0) return;
    unsigned char head[25] = {(unsigned char)kind};
    memcpy(head + 1, &file, 8);
    memcpy(head + 9, &place, 8);
    memcpy(head + 17, &length, 8);
    struct iovec parts[] = {{head, sizeof head}, {(void *)bytes, length}};
    int kept = errno;
    // A record with a hole proves nothing.
    if (syscall(SYS_writev, record, parts, 2) != (long)(sizeof head + length)) abort();
    errno = kept;
}

// The absolute path that `path` means, if it lies in the folder.
static bool inside(int at, const char *path, char *whole) {
    if (!folder_length || !path) return false;
    if (path[0] == '/') {
        if (strlen(path) >= PATH_MAX) return false;
        strcpy(whole, path);
    } else {
        char link[64], base[PATH_MAX];
        if (at == AT_FDCWD) strcpy(link, "/proc/self/cwd");
        else snprintf(link, sizeof link, "/proc/self/fd/%d", at);
        ssize_t length = readlink(link, base, sizeof base - 1);
        if (length < 0) return false;
        base[length] = 0;
        if (snprintf(whole, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) return false;
    }
    return !strncmp(whole, folder, folder_length) && (whole[folder_length] == '/' || !whole[folder_length]);
}

// The number of the file or folder behind a descriptor, if it lies (or lay, before it was unlinked) in the folder.
static bool ours(int fd, bool folders_too, uint64_t *file) {
    struct stat about;
    if (!folder_length || fstat(fd, &about) < 0) return false;
    if (!S_ISREG(about.st_mode) && !(folders_too && S_ISDIR(about.st_mode))) return false;
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return false;
    path[length] = 0;
    *file = about.st_ino;
    return !strncmp(path, folder, folder_length) && (path[folder_length] == '/' || !path[folder_length]);
}

// Whether the disk is full for this write. Within the lock.
static bool is_full(void) {
    uint64_t number = writes++;
    if (number < full_first || number - full_first >= full_count) return false;
    errno = ENOSPC;
    return true;
}

// Whether nothing may change at this path.
static bool is_frozen(const char *path) {
    if (!frozen || strncmp(path, frozen, strlen(frozen))) return false;
    if (thaw && syscall(SYS_faccessat, AT_FDCWD, thaw, F_OK) == 0) return false;
    errno = EROFS;
    return true;
}

static int open_any(int at, const char *path, int flags, mode_t mode) {
    char whole[PATH_MAX];
    if (!(flags & (O_CREAT | O_TRUNC)) || !inside(at, path, whole))
        return (int)syscall(SYS_openat, at, path, flags, mode);
    if (is_frozen(whole)) return -1;
    pthread_mutex_lock(&one_at_a_time);
    bool is_new = syscall(SYS_faccessat, AT_FDCWD, whole, F_OK) != 0;
    int fd = -1;
    if (!(is_new && (flags & O_CREAT) && is_full())) {
        fd = (int)syscall(SYS_openat, at, path, flags, mode);
        struct stat about;
        if (fd >= 0 && fstat(fd, &about) == 0) {
            if (is_new) note('C', about.st_ino, 0, whole, strlen(whole));
            else if (flags & O_TRUNC) note('T', about.st_ino, 0, "", 0);
        }
    }
    pthread_mutex_unlock(&one_at_a_time);
    return fd;
}

#define OPEN(name, declared, at)                                  \
    int name declared {                                           \
        mode_t mode = 0;                                          \
        if (flags & (O_CREAT | O_TMPFILE)) {                      \
            va_list rest;                                         \
            va_start(rest, flags);                                \
            mode = va_arg(rest, mode_t);                          \
            va_end(rest);                                         \
        }                                                         \
        return open_any(at, path, flags, mode);                   \
    }
OPEN(open, (const char *path, int flags, ...), AT_FDCWD)
OPEN(open64, (const char *path, int flags, ...), AT_FDCWD)
OPEN(openat, (int at, const char *path, int flags, ...), at)
OPEN(openat64, (int at, const char *path, int flags, ...), at)

static ssize_t write_any(int fd, const struct iovec *parts, int count, off_t place) {
    uint64_t file;
    bool is_ours = ours(fd, false, &file);
    if (is_ours) pthread_mutex_lock(&one_at_a_time);
    ssize_t written = -1;
    if (!is_ours || !is_full())
        written = place < 0 ? syscall(SYS_writev, fd, parts, count) : syscall(SYS_pwritev, fd, parts, count, place, 0);
    if (is_ours && written > 0) {
        uint64_t at = place < 0 ? (uint64_t)(lseek(fd, 0, SEEK_CUR) - written) : (uint64_t)place;
        size_t left = (size_t)written;
        for (int part = 0; part < count && left; part++) {
            size_t length = parts[part].iov_len < left ? parts[part].iov_len : left;
            note('W', file, at, parts[part].iov_base, length);
            at += length;
            left -= length;
        }
    }
    if (is_ours) pthread_mutex_unlock(&one_at_a_time);
    return written;
}

ssize_t write(int fd, const void *bytes, size_t count) {
    struct iovec part = {(void *)bytes, count};
    return write_any(fd, &part, 1, -1);
}
ssize_t writev(int fd, const struct iovec *parts, int count) { return write_any(fd, parts, count, -1); }
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t place) {
    struct iovec part = {(void *)bytes, count};
    return write_any(fd, &part, 1, place);
}
ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t place) { return pwrite(fd, bytes, count, place); }

// Whoever copies falls back to reading and writing.
ssize_t copy_file_range(int in, off_t *from, int out, off_t *to, size_t count, unsigned flags) {
    (void)in, (void)from, (void)out, (void)to, (void)count, (void)flags;
    errno = ENOSYS;
    return -1;
}
ssize_t sendfile64(int out, int in, off_t *from, size_t count) {
    (void)out, (void)in, (void)from, (void)count;
    errno = ENOSYS;
    return -1;
}
ssize_t sendfile(int out, int in, off_t *from, size_t count) { return sendfile64(out, in, from, count); }

int ftruncate(int fd, off_t size) {
    uint64_t file;
    bool is_ours = ours(fd, false, &file);
    if (is_ours) pthread_mutex_lock(&one_at_a_time);
    int done = (int)syscall(SYS_ftruncate, fd, size);
    if (is_ours && done == 0) note('T', file, (uint64_t)size, "", 0);
    if (is_ours) pthread_mutex_unlock(&one_at_a_time);
    return done;
}
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

int fsync(int fd) {
    uint64_t file;
    if (!ours(fd, true, &file)) return (int)syscall(SYS_fsync, fd);
    pthread_mutex_lock(&one_at_a_time);
    uint64_t number = ++syncs;
    note('B', file, number, "", 0);
    pthread_mutex_unlock(&one_at_a_time);
    // A disk takes its time, and others go on meanwhile.
    usleep(500);
    pthread_mutex_lock(&one_at_a_time);
    note('E', file, number, "", 0);
    pthread_mutex_unlock(&one_at_a_time);
    return 0;
}
int fdatasync(int fd) { return fsync(fd); }

int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
    char names[2 * PATH_MAX], whole[PATH_MAX];
    if (!inside(from_at, from, names) || !inside(to_at, to, whole))
        return (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);
    if (is_frozen(whole)) return -1;
    size_t length = strlen(names) + 1;
    strcpy(names + length, whole);
    pthread_mutex_lock(&one_at_a_time);
    int done = (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);
    if (done == 0) note('R', 0, 0, names, length + strlen(whole));
    pthread_mutex_unlock(&one_at_a_time);
    return done;
}
int renameat(int from_at, const char *from, int to_at, const char *to) { return renameat2(from_at, from, to_at, to, 0); }
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int at, const char *path, int flags) {
    char whole[PATH_MAX];
    if (!inside(at, path, whole)) return (int)syscall(SYS_unlinkat, at, path, flags);
    if (is_frozen(whole)) return -1;
    pthread_mutex_lock(&one_at_a_time);
    int done = (int)syscall(SYS_unlinkat, at, path, flags);
    if (done == 0) note(flags & AT_REMOVEDIR ? 'K' : 'U', 0, 0, whole, strlen(whole));
    pthread_mutex_unlock(&one_at_a_time);
    return done;
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int at, const char *path, mode_t mode) {
    char whole[PATH_MAX];
    if (!inside(at, path, whole)) return (int)syscall(SYS_mkdirat, at, path, mode);
    if (is_frozen(whole)) return -1;
    pthread_mutex_lock(&one_at_a_time);
    int done = -1;
    if (!is_full()) done = (int)syscall(SYS_mkdirat, at, path, mode);
    struct stat about;
    if (done == 0 && stat(whole, &about) == 0) note('M', about.st_ino, 0, whole, strlen(whole));
    pthread_mutex_unlock(&one_at_a_time);
    return done;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
