/* Something happens at the n-th operation on files below one folder: an error, a short write, death.
 *
 * Loaded with LD_PRELOAD; does nothing without the variables, which are read at every call, so that
 * a process can set them for itself and its children:
 *   SHIM_UNDER  folder, without links
 *   SHIM_KINDS  of operations that count: "open write fsync rename link unlink mkdir read"
 *   SHIM_COUNT  file of 8 bytes in which all processes count; it lies elsewhere
 *   SHIM_AT     the first operation, from 1, that it happens to
 *   SHIM_FOR    how many in a row it happens to; 0 is all from then on
 *   SHIM_DO     "kill" this process, "group" kills its process group, "short" writes a half,
 *               "count" does nothing, else the number of an error
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name) static __typeof__(&name) real; if (!real) real = dlsym(RTLD_NEXT, #name)

static volatile uint64_t *counter(void) {
    static volatile uint64_t *shared;
    static char of[4096];
    const char *path = getenv("SHIM_COUNT");
    if (!path) return NULL;
    if (shared && !strcmp(of, path)) return shared;
    static __typeof__(&open) real;
    if (!real) real = dlsym(RTLD_NEXT, "open");
    int file = real(path, O_RDWR | O_CLOEXEC);
    if (file < 0) return NULL;
    void *page = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (page == MAP_FAILED) return NULL;
    strncpy(of, path, sizeof of - 1);
    return shared = page;
}

static int is_under(const char *path) {
    const char *folder = getenv("SHIM_UNDER");
    size_t length = folder ? strlen(folder) : 0;
    return length && path && !strncmp(path, folder, length) && (path[length] == '/' || !path[length]);
}

/* 0: go on; 1: a short write; -1: errno is set. */
static int happens(const char *kind, const char *path) {
    const char *kinds = getenv("SHIM_KINDS"), *what = getenv("SHIM_DO");
    if (!what || !kinds || !is_under(path) || !strstr(kinds, kind)) return 0;
    volatile uint64_t *count = counter();
    if (!count) return 0;
    uint64_t number = __sync_add_and_fetch(count, 1);
    uint64_t at = strtoull(getenv("SHIM_AT") ? getenv("SHIM_AT") : "0", NULL, 10);
    uint64_t often = strtoull(getenv("SHIM_FOR") ? getenv("SHIM_FOR") : "1", NULL, 10);
    if (number < at || (often && number >= at + often)) return 0;
    if (!strcmp(what, "count")) return 0;
    if (!strcmp(what, "kill")) kill(getpid(), SIGKILL);
    if (!strcmp(what, "group")) kill(0, SIGKILL);
    if (!strcmp(what, "short")) return !strcmp(kind, "write");
    errno = atoi(what);
    return -1;
}

static int happens_to(const char *kind, int file) {
    char link[64], path[4096];
    if (!getenv("SHIM_DO")) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return happens(kind, path);
}

static mode_t mode_of(int flags, va_list *rest) {
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(*rest, mode_t) : 0;
}

static const char *kind_of(int flags) {
    return flags & (O_CREAT | O_WRONLY | O_RDWR) ? "open" : "look";
}

#define OPEN(name)                                                  \
    int name(const char *path, int flags, ...) {                    \
        REAL(name);                                                 \
        va_list rest;                                               \
        va_start(rest, flags);                                      \
        mode_t mode = mode_of(flags, &rest);                        \
        va_end(rest);                                               \
        if (happens(kind_of(flags), path) < 0) return -1;           \
        return real(path, flags, mode);                             \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                \
    int name(int folder, const char *path, int flags, ...) {        \
        REAL(name);                                                 \
        va_list rest;                                               \
        va_start(rest, flags);                                      \
        mode_t mode = mode_of(flags, &rest);                        \
        va_end(rest);                                               \
        if (happens(kind_of(flags), path) < 0) return -1;           \
        return real(folder, path, flags, mode);                     \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int file, const void *from, size_t bytes) {
    REAL(write);
    int what = happens_to("write", file);
    return what < 0 ? -1 : real(file, from, what && bytes > 1 ? bytes / 2 : bytes);
}

#define PWRITE(name)                                                                  \
    ssize_t name(int file, const void *from, size_t bytes, off_t at) {                \
        REAL(name);                                                                   \
        int what = happens_to("write", file);                                         \
        return what < 0 ? -1 : real(file, from, what && bytes > 1 ? bytes / 2 : bytes, at); \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

ssize_t read(int file, void *to, size_t bytes) {
    REAL(read);
    return happens_to("read", file) < 0 ? -1 : real(file, to, bytes);
}

int fsync(int file) {
    REAL(fsync);
    return happens_to("fsync", file) < 0 ? -1 : real(file);
}

int rename(const char *from, const char *to) {
    REAL(rename);
    return happens("rename", to) < 0 ? -1 : real(from, to);
}

int link(const char *from, const char *to) {
    REAL(link);
    return happens("link", to) < 0 ? -1 : real(from, to);
}

int linkat(int a, const char *from, int b, const char *to, int flags) {
    REAL(linkat);
    return happens("link", to) < 0 ? -1 : real(a, from, b, to, flags);
}

int unlink(const char *path) {
    REAL(unlink);
    return happens("unlink", path) < 0 ? -1 : real(path);
}

int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    return happens("mkdir", path) < 0 ? -1 : real(path, mode);
}
