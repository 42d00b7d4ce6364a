#define _GNU_SOURCE
#include "identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

#define LONGEST_HOSTS 65536
#define HOSTS_BEGIN "127.0.0.1 localhost "
#define HOSTS_REST "::1 localhost ip6-localhost ip6-loopback\n"

enum { HOSTS, HOSTNAME, MACHINE_ID, BOOT_ID, FILES };

static const char *const names[FILES] = {"hosts", "hostname", "machine-id", "boot-id"};
static const char *directory;
static int opened[FILES];

static const struct place {
    int file;
    const char *path;
    /* Otherwise only an image that has it gets it. */
    bool always, read_only;
} places[] = {
    {HOSTS, "/etc/hosts", true, false},
    {HOSTNAME, "/etc/hostname", true, false},
    {MACHINE_ID, "/etc/machine-id", false, false},
    {MACHINE_ID, "/var/lib/dbus/machine-id", false, false},
    {BOOT_ID, "/proc/sys/kernel/random/boot_id", false, true},
};

/* By its path, and not by a descriptor: what is to be mounted must be of the mount namespace of who mounts it. */
static int open_source(int file, int flags)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s", directory, names[file]);
    return open(path, flags | O_CLOEXEC, file == MACHINE_ID ? 0444 : 0644);
}

/* In place: the application sees this very file. */
static void put(int file, const char *text, size_t length)
{
    int fd = open_source(file, O_RDWR | O_CREAT);
    if (fd < 0 || pwrite(fd, text, length, 0) != (ssize_t)length || ftruncate(fd, (off_t)length))
        say("%s is not written: errno %d", names[file], errno);
    if (fd >= 0)
        close(fd);
}

/* The application's own lines stay, and so does all of it when its first line is not ours any more. */
static void name_in_hosts(const char *hostname)
{
    static char text[LONGEST_HOSTS];
    int head = snprintf(text, sizeof text, HOSTS_BEGIN "%s\n", hostname);
    char *rest = text + head;
    int fd = open_source(HOSTS, O_RDONLY);
    ssize_t length = fd < 0 ? 0 : read(fd, rest, sizeof text - (size_t)head);
    if (fd >= 0)
        close(fd);
    if (length <= 0) {
        length = sizeof HOSTS_REST - 1;
        memcpy(rest, HOSTS_REST, (size_t)length);
    } else {
        char *end = memchr(rest, '\n', (size_t)length);
        if (!end || (size_t)length == sizeof text - (size_t)head || strncmp(rest, HOSTS_BEGIN, sizeof HOSTS_BEGIN - 1) != 0)
            return;
        length -= end + 1 - rest;
        memmove(rest, end + 1, (size_t)length);
    }
    put(HOSTS, text, (size_t)head + (size_t)length);
}

void identity_name(const char *hostname)
{
    char line[300];
    name_in_hosts(hostname);
    int length = snprintf(line, sizeof line, "%s\n", hostname);
    put(HOSTNAME, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}

static size_t hexadecimal(char *out, const uint8_t *bytes, const char *shape)
{
    char *at = out;
    for (size_t byte = 0; *shape; shape++)
        if (*shape == '-')
            *at++ = '-';
        else
            at += sprintf(at, "%02x", bytes[byte++]);
    *at++ = '\n';
    return (size_t)(at - out);
}

void identity_number(const uint8_t boot[IDENTITY_ID_BYTES], const uint8_t machine[IDENTITY_ID_BYTES])
{
    char text[64];
    put(BOOT_ID, text, hexadecimal(text, boot, "xxxx-xx-xx-xx-xxxxxx"));
    put(MACHINE_ID, text, hexadecimal(text, machine, "xxxxxxxxxxxxxxxx"));
}

void identity_start(const char *where)
{
    uint8_t ids[2][IDENTITY_ID_BYTES];
    directory = where;
    if (mkdir(where, 0755) || getrandom(ids, sizeof ids, 0) != (ssize_t)sizeof ids)
        fatal("no identity: errno %d", errno);
    identity_number(ids[0], ids[1]);
}

void identity_open(void)
{
    for (int file = 0; file < FILES; file++)
        opened[file] = open_source(file, O_PATH);
}

/* Something to mount on, made where there is nothing. Not through a link: that may lead anywhere. */
static bool is_there(const struct place *place)
{
    int flags = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | (place->always ? O_CREAT | O_WRONLY : O_RDONLY);
    int fd = open(place->path, flags, 0644);
    struct stat found;
    bool there = fd >= 0 && !fstat(fd, &found) && S_ISREG(found.st_mode);
    if (fd >= 0)
        close(fd);
    return there;
}

void identity_show(void)
{
    mkdir("/etc", 0755);
    for (size_t at = 0; at < sizeof places / sizeof *places; at++) {
        const struct place *place = &places[at];
        char source[32];
        snprintf(source, sizeof source, "/proc/self/fd/%d", opened[place->file]);
        if (!is_there(place))
            continue;
        const unsigned long flags = MS_BIND | MS_REMOUNT | MS_NOSUID | MS_NODEV | MS_NOEXEC | (place->read_only ? MS_RDONLY : 0);
        if (mount(source, place->path, NULL, MS_BIND, NULL) || mount(NULL, place->path, NULL, flags, NULL))
            say("%s is not the VM's own: errno %d", place->path, errno);
    }
}
