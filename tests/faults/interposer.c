/* Lets one file operation below a folder go wrong, for the process that loads this library before libc.
 *
 * fault_arm(prefix, kind, nth, trace): of the operations that a fault of this kind can befall, the nth one
 * (1, 2, ...) does; 0: none. With trace >= 0 each of them is written to that descriptor, as "name path\n".
 * A full disk and a forbidden folder stay as they are from then on; everything else happens once. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum kind { NONE, KILL_BEFORE, KILL_AFTER, STOP, FULL, BROKEN, FORBIDDEN, TORN };
enum class { OPEN = 1, WRITE = 2, SYNC = 4, NAME = 8, READ = 16, SIZE = 32, MODE = 64 };

static const int applies[] = {
    [NONE] = 0,
    [KILL_BEFORE] = OPEN | WRITE | SYNC | NAME | SIZE | MODE,
    [KILL_AFTER] = OPEN | WRITE | SYNC | NAME | SIZE | MODE,
    [STOP] = OPEN | WRITE | SYNC | NAME | SIZE | MODE,
    [FULL] = OPEN | WRITE | SYNC,
    [BROKEN] = WRITE | SYNC | READ,
    [FORBIDDEN] = OPEN | NAME | MODE,
    [TORN] = WRITE,
};

static char prefix[4096];
static size_t prefix_length;
static int kind, trace = -1;
static long nth, seen;

void fault_arm(const char *folder, int which, long at, int descriptor) {
    strncpy(prefix, folder, sizeof prefix - 1);
    prefix_length = strlen(prefix);
    nth = at;
    seen = 0;
    trace = descriptor;
    kind = which;
}

void fault_disarm(void) { kind = NONE; }

long fault_seen(void) { return seen; }

static int below(const char *path) {
    return prefix_length && strncmp(path, prefix, prefix_length) == 0;
}

static void path_of(int descriptor, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = syscall(SYS_readlink, link, path, 4095);
    path[length < 0 ? 0 : length] = 0;
}

static void path_at(int folder, const char *name, char *path) {
    if (name[0] == '/') {
        strncpy(path, name, 4095);
    } else if (folder == AT_FDCWD) {
        if (!getcwd(path, 2048)) path[0] = 0;
        strncat(path, "/", 2);
        strncat(path, name, 2000);
    } else {
        path_of(folder, path);
        strncat(path, "/", 2);
        strncat(path, name, 2000);
    }
    path[4095] = 0;
}

static void note(const char *name, const char *path) {
    char line[4300];
    int length = snprintf(line, sizeof line, "%s %s\n", name, path + prefix_length);
    syscall(SYS_write, trace, line, length);
}

/* Returns the errno to fail with, 0 to go on, -1 to go on and die then, -2 to write a half and die then. */
static int strike(const char *name, enum class what, const char *path) {
    if (kind == NONE || !(applies[kind] & what) || !below(path)) return 0;
    seen++;
    if (trace >= 0 && (nth == 0 || seen == nth)) note(name, path);
    if (nth == 0 || seen < nth) return 0;
    if (kind == FULL) return ENOSPC;
    if (kind == FORBIDDEN) return EACCES;
    if (seen != nth) return 0;
    if (kind == KILL_BEFORE) raise(SIGKILL);
    if (kind == STOP) raise(SIGSTOP);
    if (kind == BROKEN) return EIO;
    if (kind == KILL_AFTER) return -1;
    return kind == TORN ? -2 : 0;
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define GO(label, what, path, call)                                   \
    do {                                                              \
        int verdict = strike(label, what, path);                      \
        if (verdict > 0) { errno = verdict; return -1; }              \
        __typeof__(call) result = call;                               \
        if (verdict < 0) raise(SIGKILL);                              \
        return result;                                                \
    } while (0)

#define WRITES(flags) (((flags) & O_ACCMODE) != O_RDONLY || ((flags) & (O_CREAT | O_TRUNC)))

#define OPENING(name)                                                 \
    int name(const char *file, int flags, ...) {                      \
        va_list more; va_start(more, flags);                          \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(more, mode_t) : 0; \
        va_end(more);                                                 \
        REAL(name);                                                   \
        if (kind == NONE || !WRITES(flags)) return real(file, flags, mode); \
        char path[4096] = ""; path_at(AT_FDCWD, file, path);          \
        GO("open", OPEN, path, real(file, flags, mode));              \
    }
OPENING(open)
OPENING(open64)

#define OPENING_AT(name)                                              \
    int name(int folder, const char *file, int flags, ...) {          \
        va_list more; va_start(more, flags);                          \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(more, mode_t) : 0; \
        va_end(more);                                                 \
        REAL(name);                                                   \
        if (kind == NONE || !WRITES(flags)) return real(folder, file, flags, mode); \
        char path[4096] = ""; path_at(folder, file, path);            \
        GO("open", OPEN, path, real(folder, file, flags, mode));      \
    }
OPENING_AT(openat)
OPENING_AT(openat64)

ssize_t write(int descriptor, const void *data, size_t size) {
    REAL(write);
    if (kind == NONE || descriptor == trace) return real(descriptor, data, size);
    char path[4096]; path_of(descriptor, path);
    int verdict = strike("write", WRITE, path);
    if (verdict > 0) { errno = verdict; return -1; }
    ssize_t done = real(descriptor, data, verdict == -2 ? size / 2 : size);
    if (verdict < 0) raise(SIGKILL);
    return done;
}

#define PWRITING(name, offset_type)                                   \
    ssize_t name(int descriptor, const void *data, size_t size, offset_type at) { \
        REAL(name);                                                   \
        if (kind == NONE) return real(descriptor, data, size, at);    \
        char path[4096]; path_of(descriptor, path);                   \
        int verdict = strike("write", WRITE, path);                   \
        if (verdict > 0) { errno = verdict; return -1; }              \
        ssize_t done = real(descriptor, data, verdict == -2 ? size / 2 : size, at); \
        if (verdict < 0) raise(SIGKILL);                              \
        return done;                                                  \
    }
PWRITING(pwrite, off_t)
PWRITING(pwrite64, off64_t)

ssize_t read(int descriptor, void *data, size_t size) {
    REAL(read);
    if (kind != BROKEN) return real(descriptor, data, size);
    char path[4096]; path_of(descriptor, path);
    GO("read", READ, path, real(descriptor, data, size));
}

ssize_t pread64(int descriptor, void *data, size_t size, off64_t at) {
    REAL(pread64);
    if (kind != BROKEN) return real(descriptor, data, size, at);
    char path[4096]; path_of(descriptor, path);
    GO("read", READ, path, real(descriptor, data, size, at));
}

#define ON_DESCRIPTOR(name, label, what, declared, passed)            \
    int name declared {                                               \
        REAL(name);                                                   \
        if (kind == NONE) return real passed;                         \
        char path[4096]; path_of(descriptor, path);                   \
        GO(label, what, path, real passed);                           \
    }
ON_DESCRIPTOR(fsync, "sync", SYNC, (int descriptor), (descriptor))
ON_DESCRIPTOR(fdatasync, "sync", SYNC, (int descriptor), (descriptor))
ON_DESCRIPTOR(ftruncate, "truncate", SIZE, (int descriptor, off_t size), (descriptor, size))
ON_DESCRIPTOR(ftruncate64, "truncate", SIZE, (int descriptor, off64_t size), (descriptor, size))
ON_DESCRIPTOR(fchmod, "chmod", MODE, (int descriptor, mode_t mode), (descriptor, mode))

#define ON_NAME(name, label, what, at, file, declared, passed)        \
    int name declared {                                               \
        REAL(name);                                                   \
        if (kind == NONE) return real passed;                         \
        char path[4096] = ""; path_at(at, file, path);                \
        GO(label, what, path, real passed);                           \
    }
ON_NAME(rename, "rename", NAME, AT_FDCWD, to, (const char *from, const char *to), (from, to))
ON_NAME(renameat, "rename", NAME, in, to, (int out, const char *from, int in, const char *to), (out, from, in, to))
ON_NAME(unlink, "unlink", NAME, AT_FDCWD, file, (const char *file), (file))
ON_NAME(unlinkat, "unlink", NAME, folder, file, (int folder, const char *file, int flags), (folder, file, flags))
ON_NAME(rmdir, "rmdir", NAME, AT_FDCWD, file, (const char *file), (file))
ON_NAME(mkdir, "mkdir", NAME, AT_FDCWD, file, (const char *file, mode_t mode), (file, mode))
ON_NAME(mkdirat, "mkdir", NAME, folder, file, (int folder, const char *file, mode_t mode), (folder, file, mode))
ON_NAME(chmod, "chmod", MODE, AT_FDCWD, file, (const char *file, mode_t mode), (file, mode))
ON_NAME(fchmodat, "chmod", MODE, folder, file, (int folder, const char *file, mode_t mode, int flags), (folder, file, mode, flags))
