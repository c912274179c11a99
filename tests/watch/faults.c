/* Preloaded: lets writes below FAULT_FOLDER fail while the file FAULT_FLAG is there.
 * What the flag holds says how: "ENOSPC", "EIO", or "partial" (half of it, then ENOSPC). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int fault(int fd, char *how) {
    char link[64], path[4096];
    const char *flag = getenv("FAULT_FLAG"), *folder = getenv("FAULT_FOLDER");
    if (!flag || !folder) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long n = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    if (strncmp(path, folder, strlen(folder))) return 0;
    int file = (int)syscall(SYS_openat, AT_FDCWD, flag, O_RDONLY);
    if (file < 0) return 0;
    n = syscall(SYS_read, file, how, 15);
    syscall(SYS_close, file);
    how[n > 0 ? n : 0] = 0;
    return 1;
}

static ssize_t put(int fd, const void *data, size_t size, off_t at, int placed) {
    char how[16];
    size_t half = size / 2;
    if (fault(fd, how)) {
        if (!strcmp(how, "partial") && half) size = half;
        else {
            errno = strcmp(how, "EIO") ? ENOSPC : EIO;
            return -1;
        }
    }
    return placed ? syscall(SYS_pwrite64, fd, data, size, at) : syscall(SYS_write, fd, data, size);
}

ssize_t write(int fd, const void *data, size_t size) { return put(fd, data, size, 0, 0); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return put(fd, data, size, at, 1); }
ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) { return put(fd, data, size, at, 1); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
    char how[16];
    if (fault(fd, how)) {
        errno = strcmp(how, "EIO") ? ENOSPC : EIO;
        return -1;
    }
    return syscall(SYS_writev, fd, parts, count);
}
