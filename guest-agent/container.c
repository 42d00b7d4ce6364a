#define _GNU_SOURCE
#include "container.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "identity.h"
#include "sandbox.h"

#define SAFE (MS_NOSUID | MS_NODEV | MS_NOEXEC)

struct mounted {
    const char *type, *target;
    unsigned long flags;
    const char *options;
};

/* Relative to the new root. /dev comes before what lies below it. */
static const struct mounted mounts[] = {
    {"proc", "proc", SAFE, NULL},
    {"tmpfs", "dev", MS_NOSUID, "mode=755,size=65536k"},
    {"devpts", "dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"},
    {"tmpfs", "dev/shm", SAFE, "mode=1777,size=50%"},
    {"mqueue", "dev/mqueue", SAFE, NULL},
};

static const struct {
    const char *path;
    unsigned major, minor;
} devices[] = {
    {"dev/null", 1, 3}, {"dev/zero", 1, 5}, {"dev/full", 1, 7}, {"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0},
};

static const char *const links[][2] = {
    {"pts/ptmx", "dev/ptmx"}, {"/proc/self/fd", "dev/fd"}, {"/proc/self/fd/0", "dev/stdin"}, {"/proc/self/fd/1", "dev/stdout"}, {"/proc/self/fd/2", "dev/stderr"},
};

static bool read_only(const char *path)
{
    return !mount(path, path, NULL, MS_BIND | MS_REC, NULL) &&
           !mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | SAFE, NULL);
}

/* What root could use without any capability to reach out of its namespaces, such as naming a core dump helper. */
static int restrict_proc(void)
{
    static const char *const fixed[] = {"proc/sys", "proc/sysrq-trigger", "proc/irq", "proc/bus", "proc/fs"};
    static const char *const hidden[] = {"proc/kcore", "proc/keys", "proc/timer_list"};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (!read_only(fixed[i]) && errno != ENOENT)
            return errno;
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (mount("dev/null", hidden[i], NULL, MS_BIND, NULL) && errno != ENOENT)
            return errno;
    return 0;
}

static int mount_all(bool privileged)
{
    for (size_t i = 0; i < sizeof mounts / sizeof *mounts; i++) {
        mkdir(mounts[i].target, 0755);
        if (mount(mounts[i].type, mounts[i].target, mounts[i].type, mounts[i].flags, mounts[i].options))
            return errno;
    }
    mkdir("sys", 0755);
    if (mount("sysfs", "sys", "sysfs", SAFE | (privileged ? 0 : MS_RDONLY), NULL))
        return errno;
    if (privileged && mount("cgroup2", "sys/fs/cgroup", "cgroup2", SAFE, NULL))
        return errno;
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
        if (mknod(devices[i].path, S_IFCHR | 0666, makedev(devices[i].major, devices[i].minor)) || chmod(devices[i].path, 0666))
            return errno;
    if (privileged && (mknod("dev/fuse", S_IFCHR | 0666, makedev(10, 229)) || chmod("dev/fuse", 0666)))
        return errno;
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        if (symlink(links[i][0], links[i][1]))
            return errno;
    return privileged ? 0 : restrict_proc();
}

static void write_resolver_file(void)
{
    static const char text[] = "nameserver 127.0.0.2\n";
    static const char path[] = "/etc/resolv.conf";
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
    if (fd < 0)
        return;
    if (write(fd, text, sizeof text - 1) < 0)
        unlink(path);
    close(fd);
}

int container_enter(const char *hostname, bool privileged)
{
    /* A mount point of its own: what is mounted at the root is moved, and that must not be seen elsewhere. */
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || chdir(in_sandbox() ? "/" : CONTAINER_ROOT))
        return errno;
    /* A sandbox has a /tmp of its own that is no part of the disk. */
    if (in_sandbox() && umount2("tmp", MNT_DETACH) && errno != EINVAL && errno != ENOENT)
        return errno;
    identity_name(hostname ? hostname : "localhost");
    identity_open();
    int error = mount_all(privileged);
    if (error)
        return error;
    if (!in_sandbox() && (mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/")))
        return errno;
    if (hostname && sethostname(hostname, strlen(hostname)))
        return errno;
    /* Inside the new root already, so that links in a hostile image lead nowhere else. */
    identity_show();
    write_resolver_file();
    umask(022);
    return 0;
}
