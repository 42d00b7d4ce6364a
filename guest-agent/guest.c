#define _GNU_SOURCE
#include "guest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "container.h"
#include "freezer.h"
#include "identity.h"
#include "log.h"

#define ROOT_DISK "/dev/vda"
#define PORT_NAME "dormouse.agent"
#define APPEARS_WITHIN_MS 30000

static void mount_or_die(const char *type, const char *target)
{
    mkdir(target, 0755);
    if (mount(type, target, type, MS_NOSUID | MS_NOEXEC, NULL) && errno != EBUSY)
        fatal("cannot mount %s: errno %d", target, errno);
}

static bool on_command_line(const char *word)
{
    char line[4096] = {0};
    int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t count = read(fd, line, sizeof line - 1);
    close(fd);
    return count > 0 && strstr(line, word);
}

/* The accelerator probe only wants to see a guest reach user space. */
static void answer_probe(void)
{
    if (!on_command_line("dormouse.probe=1"))
        return;
    puts("dormouse-probe-ok");
    fflush(stdout);
    reboot(RB_POWER_OFF);
}

static void load_module(const char *name)
{
    char path[300];
    snprintf(path, sizeof path, "/modules/%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST))
        say("cannot load %s: errno %d", name, errno);
    if (fd >= 0)
        close(fd);
}

static void load_modules(void)
{
    char name[256];
    FILE *order = fopen("/modules/order", "re");
    if (!order)
        fatal("there are no modules");
    while (fgets(name, sizeof name, order)) {
        name[strcspn(name, "\n")] = 0;
        if (*name)
            load_module(name);
    }
    fclose(order);
}

/* Waits until a file is there; directories tell when they change. */
static void await_file(const char *directory, const char *path)
{
    int notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (notify < 0 || inotify_add_watch(notify, directory, IN_CREATE) < 0)
        fatal("cannot watch %s: errno %d", directory, errno);
    for (int left = APPEARS_WITHIN_MS; access(path, F_OK); left -= 100) {
        if (left <= 0)
            fatal("%s never appeared", path);
        struct pollfd change = {.fd = notify, .events = POLLIN};
        char events[4096];
        if (poll(&change, 1, 100) > 0 && read(notify, events, sizeof events) < 0 && errno != EAGAIN)
            fatal("cannot watch %s: errno %d", directory, errno);
    }
    close(notify);
}

static void bring_up_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request))
        fatal("no loopback: errno %d", errno);
    close(fd);
}

/* sysfs knows the ports by name; the device node bears the entry's name. */
static bool find_port(char *path, size_t size)
{
    DIR *ports = opendir("/sys/class/virtio-ports");
    bool found = false;
    struct dirent *entry;
    while (ports && !found && (entry = readdir(ports))) {
        char file[400], name[64] = {0};
        if (snprintf(file, sizeof file, "/sys/class/virtio-ports/%s/name", entry->d_name) >= (int)sizeof file)
            continue;
        int fd = open(file, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        ssize_t count = read(fd, name, sizeof name - 1);
        close(fd);
        if (count <= 0 || strncmp(name, PORT_NAME "\n", sizeof PORT_NAME))
            continue;
        found = snprintf(path, size, "/dev/%s", entry->d_name) < (int)size;
    }
    if (ports)
        closedir(ports);
    return found;
}

static int open_port(void)
{
    char path[300];
    /* The port's name comes by a message of the device after its driver has started. */
    for (int left = APPEARS_WITHIN_MS; !find_port(path, sizeof path); left -= 20) {
        if (left <= 0)
            fatal("there is no port " PORT_NAME);
        poll(NULL, 0, 20);
    }
    await_file("/dev", path);
    int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        fatal("cannot open %s: errno %d", path, errno);
    return fd;
}

static void protect_from_oom(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "-1000", 5) < 0)
        say("not protected from the OOM killer");
    if (fd >= 0)
        close(fd);
}

int guest_boot(void)
{
    mount_or_die("proc", "/proc");
    answer_probe();
    mount_or_die("sysfs", "/sys");
    mount_or_die("devtmpfs", "/dev");
    mount_or_die("devpts", "/dev/pts");
    freezer_start(FREEZE_BY_GROUP);
    identity_start("/identity");
    protect_from_oom();
    load_modules();
    bring_up_loopback();
    await_file("/dev", ROOT_DISK);
    mkdir(CONTAINER_ROOT, 0755);
    if (mount(ROOT_DISK, CONTAINER_ROOT, "ext4", MS_NOATIME, NULL))
        fatal("cannot mount the root disk: errno %d", errno);
    return open_port();
}
