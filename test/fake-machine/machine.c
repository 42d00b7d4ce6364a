/* Stands for QEMU: takes its command line and its control protocol as far as the product uses them, and runs a
 * guest whose state is in the machine's RAM, disk and device state as a real one's is. It starts in a millisecond.
 * What it cannot do: run code. By the name of qemu-img it makes the empty disks that the guest writes to.
 *
 * A device state belongs to one state of the RAM. A machine that was given another ends with code 99, as a kernel
 * would that finds its memory changed under it: so no test can take a torn restore for a good one. */
#define _GNU_SOURCE
#include "guest.h"

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONTROL, AGENT, CONSOLE, SOCKETS, LINE_BYTES = 65536, TORN = 99 };
enum run_state { RUNNING, PAUSED, PRELAUNCH, INMIGRATE };

static const char disk_magic[8] = "QFI\xfb""FAK";
static const char state_magic[16] = "FAKEDEVICESTATE";

struct device_state {
    char magic[16];
    uint64_t registers;
    uint64_t check;
    char devices[4064];
};

struct machine {
    struct guest guest;
    enum run_state state;
    uint64_t registers; /* as loaded; compared when the virtual CPUs start */
    int loaded;
    int listening[SOCKETS];
    int connected[SOCKETS];
    struct channel *channel;
    size_t used;
    char line[LINE_BYTES];
};

_Noreturn static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* Copies the string that follows `key` in a JSON text; the product's paths hold nothing that needs escapes. */
static int string_of(const char *json, const char *key, char *out, size_t size)
{
    char pattern[64];
    snprintf(pattern, sizeof pattern, "\"%s\":\"", key);
    const char *at = strstr(json, pattern);
    if (at == NULL) return 0;
    at += strlen(pattern);
    size_t length = strcspn(at, "\"");
    if (length >= size) return 0;
    memcpy(out, at, length);
    out[length] = '\0';
    return 1;
}

static void create_disk(const char *file)
{
    char content[DISK_BYTES] = {0};
    memcpy(content, disk_magic, sizeof disk_magic);
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || write(fd, content, sizeof content) != (ssize_t)sizeof content) fail(file);
    close(fd);
}

static int open_disk(const char *file, int flags)
{
    char magic[8];
    int fd = open(file, flags | O_CLOEXEC);
    if (fd < 0 || pread(fd, magic, sizeof magic, 0) != (ssize_t)sizeof magic) fail(file);
    if (memcmp(magic, disk_magic, sizeof magic) != 0) fail("not a disk");
    return fd;
}

static void map_memory(struct machine *machine, const char *object)
{
    char file[4096];
    const char *size_at = strstr(object, "\"size\":");
    if (!string_of(object, "mem-path", file, sizeof file) || size_at == NULL) fail("memory");
    size_t size = strtoull(size_at + strlen("\"size\":"), NULL, 10);
    int own = strstr(object, "\"share\":true") != NULL;
    int fd = open(file, own ? O_RDWR | O_CREAT : O_RDONLY, 0600);
    if (fd < 0 || (own && ftruncate(fd, (off_t)size) != 0)) fail(file);
    unsigned char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, own ? MAP_SHARED : MAP_PRIVATE, fd, 0);
    if (memory == MAP_FAILED) fail("cannot map the memory");
    close(fd);
    machine->guest.ram = (struct ram *)(memory + RAM_AT);
    machine->guest.scratch = memory + SCRATCH_AT;
}

static void add_disk(struct machine *machine, const char *node)
{
    char driver[16], file[4096];
    if (!string_of(node, "driver", driver, sizeof driver) || strcmp(driver, "file") != 0) return;
    if (!string_of(node, "filename", file, sizeof file)) fail("disk");
    if (strstr(node, "\"node-name\":\"disk-file\"") != NULL) machine->guest.disk = open_disk(file, O_RDWR);
    else if (strstr(node, "\"node-name\":\"lower1-file\"") != NULL)
        machine->guest.lower_disk = open_disk(file, O_RDONLY);
}

/* The socket is there already: `-chardev socket,id=NAME,fd=NUMBER,…`. */
static int listening_at(int count, char **arguments, const char *name)
{
    char start[64];
    snprintf(start, sizeof start, "socket,id=%s,fd=", name);
    for (int i = 1; i < count; i++)
        if (strncmp(arguments[i], start, strlen(start)) == 0) return atoi(arguments[i] + strlen(start));
    fail(name);
}

__attribute__((format(printf, 2, 3))) static void tell(struct machine *machine, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (send(machine->connected[CONTROL], text, (size_t)length, MSG_NOSIGNAL) != length) return;
}

static int save_state(struct machine *machine, const char *file)
{
    struct device_state state = {.registers = guest_registers(&machine->guest)};
    memcpy(state.magic, state_magic, sizeof state_magic);
    state.check = ~state.registers;
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int whole = fd >= 0 && write(fd, &state, sizeof state) == (ssize_t)sizeof state;
    if (fd >= 0) close(fd);
    return whole;
}

static int load_state(struct machine *machine, const char *file)
{
    struct device_state state;
    int fd = open(file, O_RDONLY);
    int whole = fd >= 0 && read(fd, &state, sizeof state) == (ssize_t)sizeof state &&
                memcmp(state.magic, state_magic, sizeof state_magic) == 0 && state.check == ~state.registers;
    if (fd >= 0) close(fd);
    if (!whole) return 0;
    machine->registers = state.registers;
    machine->loaded = 1;
    machine->state = PAUSED;
    return 1;
}

static void start_cpus(struct machine *machine)
{
    if (machine->loaded && machine->registers != guest_registers(&machine->guest)) {
        fprintf(stderr, "the memory and the device state do not belong together\n");
        exit(TORN);
    }
    machine->loaded = 0;
    machine->state = RUNNING;
}

static void obey(struct machine *machine, const char *line)
{
    static const char *const states[] = {"running", "paused", "prelaunch", "inmigrate"};
    char command[64], file[4096] = "";
    const char *id_at = strstr(line, "\"id\":");
    if (!string_of(line, "execute", command, sizeof command) || id_at == NULL) return;
    unsigned long id = strtoul(id_at + strlen("\"id\":"), NULL, 10);
    string_of(line, "filename", file, sizeof file);
    const char *refusal = NULL;
    if (strcmp(command, "query-status") == 0) {
        tell(machine, "{\"return\":{\"status\":\"%s\"},\"id\":%lu}\n", states[machine->state], id);
        return;
    }
    if (strcmp(command, "stop") == 0) {
        if (machine->state == RUNNING) machine->state = PAUSED;
    } else if (strcmp(command, "cont") == 0) {
        if (machine->state == INMIGRATE) refusal = "nothing has been loaded";
        else start_cpus(machine);
    } else if (strcmp(command, "xen-save-devices-state") == 0) {
        if (!save_state(machine, file)) refusal = "cannot save";
    } else if (strcmp(command, "migrate") == 0 || strcmp(command, "migrate-incoming") == 0) {
        int done = command[7] == '\0' ? save_state(machine, file) : load_state(machine, file);
        tell(machine, "{\"return\":{},\"id\":%lu}\n", id);
        tell(machine, "{\"event\":\"MIGRATION\",\"data\":{\"status\":\"%s\"}}\n", done ? "completed" : "failed");
        return;
    } else if (strcmp(command, "quit") == 0) {
        exit(0);
    }
    if (refusal == NULL) tell(machine, "{\"return\":{},\"id\":%lu}\n", id);
    else tell(machine, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"%s\"},\"id\":%lu}\n", refusal, id);
}

static void hang_up(struct machine *machine, int which)
{
    if (which == AGENT) channel_close(machine->channel);
    else close(machine->connected[which]);
    machine->connected[which] = -1;
}

static void take_connection(struct machine *machine, int which)
{
    int fd = accept4(machine->listening[which], NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) return;
    machine->connected[which] = fd;
    if (which == AGENT) machine->channel = channel_open(&machine->guest, fd);
    if (which == CONTROL) {
        machine->used = 0;
        tell(machine, "{\"QMP\":{\"version\":{},\"capabilities\":[]}}\n");
    }
}

static void take_control(struct machine *machine)
{
    ssize_t got = recv(machine->connected[CONTROL], machine->line + machine->used,
                       sizeof machine->line - 1 - machine->used, 0);
    if (got <= 0) {
        hang_up(machine, CONTROL);
        return;
    }
    machine->used += (size_t)got;
    machine->line[machine->used] = '\0';
    for (char *end; (end = strchr(machine->line, '\n')) != NULL;) {
        *end = '\0';
        obey(machine, machine->line);
        machine->used -= (size_t)(end + 1 - machine->line);
        memmove(machine->line, end + 1, machine->used + 1);
    }
}

/* Each socket has one client at a time; the others wait. A stopped guest hears nothing. */
static void serve(struct machine *machine)
{
    for (;;) {
        struct pollfd ready[SOCKETS];
        for (int which = 0; which < SOCKETS; which++) {
            int connected = machine->connected[which];
            int heard = which != AGENT || machine->state == RUNNING;
            ready[which] = (struct pollfd){.fd = connected < 0 ? machine->listening[which] : heard ? connected : -1,
                                           .events = POLLIN};
        }
        if (poll(ready, SOCKETS, -1) < 0) continue;
        for (int which = 0; which < SOCKETS; which++) {
            if (ready[which].revents == 0) continue;
            if (machine->connected[which] < 0) take_connection(machine, which);
            else if (which == CONTROL) take_control(machine);
            else if (which == AGENT && !channel_read(machine->channel)) hang_up(machine, AGENT);
            else if (which == CONSOLE) hang_up(machine, CONSOLE);
        }
    }
}

int main(int count, char **arguments)
{
    const char *name = strrchr(arguments[0], '/') != NULL ? strrchr(arguments[0], '/') + 1 : arguments[0];
    if (count > 1 && strcmp(arguments[1], "--version") == 0) {
        puts("QEMU emulator version 10.0.2 (fake)");
        return 0;
    }
    if (strcmp(name, "qemu-img") == 0) {
        /* create -q -f qcow2 FILE SIZE */
        if (count == 7) create_disk(arguments[5]);
        return count == 7 ? 0 : 1;
    }
    static struct machine machine = {.guest = {.disk = -1, .lower_disk = -1}, .connected = {-1, -1, -1}};
    int deferred = 0;
    for (int i = 1; i + 1 < count; i++) {
        if (strcmp(arguments[i], "-object") == 0 && strstr(arguments[i + 1], "memory-backend-file") != NULL)
            map_memory(&machine, arguments[i + 1]);
        if (strcmp(arguments[i], "-blockdev") == 0) add_disk(&machine, arguments[i + 1]);
        if (strcmp(arguments[i], "-incoming") == 0) deferred = 1;
    }
    if (machine.guest.ram == NULL || machine.guest.disk < 0) fail("no memory or no disk");
    machine.state = deferred ? INMIGRATE : RUNNING;
    if (!deferred) guest_boot(&machine.guest);
    machine.listening[CONSOLE] = listening_at(count, arguments, "console");
    machine.listening[AGENT] = listening_at(count, arguments, "agent");
    machine.listening[CONTROL] = listening_at(count, arguments, "qmp");
    serve(&machine);
}
