#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/sched.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app.h"
#include "capabilities.h"
#include "container.h"
#include "freezer.h"
#include "identity.h"
#include "wire.h"

#define MAX_WORDS 4096
#define MAX_GROUPS 256
#define MAX_DESCRIPTION (2u * 1024u * 1024u)

/* A process as the host described it; strings point into `storage`. */
struct description {
    char *storage;
    char *argv[MAX_WORDS + 1], *env[MAX_WORDS + 1];
    size_t argc, envc, group_count;
    const char *workdir, *hostname;
    uid_t uid;
    gid_t gid, groups[MAX_GROUPS];
    bool all_capabilities, pty;
    struct winsize size;
};

static bool on_host;
void process_stay_on_host(void) { on_host = true; }

static int add_field(struct description *d, uint8_t tag, char *text, const uint8_t *bytes, size_t length)
{
    switch (tag) {
    case FIELD_ARGV:
        if (d->argc == MAX_WORDS)
            return E2BIG;
        d->argv[d->argc++] = text;
        return 0;
    case FIELD_ENV:
        if (d->envc == MAX_WORDS)
            return E2BIG;
        d->env[d->envc++] = text;
        return 0;
    case FIELD_WORKDIR:
        d->workdir = text;
        return 0;
    case FIELD_HOSTNAME:
        d->hostname = text;
        return 0;
    case FIELD_ALL_CAPABILITIES:
        d->all_capabilities = true;
        return 0;
    default:
        break;
    }
    if (length != 4)
        return EPROTO;
    switch (tag) {
    case FIELD_UID:
        d->uid = get_u32(bytes);
        return 0;
    case FIELD_GID:
        d->gid = get_u32(bytes);
        return 0;
    case FIELD_GROUP:
        if (d->group_count == MAX_GROUPS)
            return E2BIG;
        d->groups[d->group_count++] = get_u32(bytes);
        return 0;
    case FIELD_PTY:
        d->pty = true;
        d->size = (struct winsize){.ws_col = get_u16(bytes), .ws_row = get_u16(bytes + 2)};
        return 0;
    default:
        return EPROTO;
    }
}

static int parse(const uint8_t *fields, size_t length, struct description *d)
{
    if (length > MAX_DESCRIPTION)
        return E2BIG;
    /* Every field's text gets a terminating zero, which its three header bytes pay for. */
    char *store = d->storage = malloc(length + 1);
    if (!store)
        return ENOMEM;
    d->workdir = "/";
    while (length > 0) {
        if (length < 3 || length - 3 < get_u16(fields + 1))
            return EPROTO;
        size_t size = get_u16(fields + 1);
        memcpy(store, fields + 3, size);
        store[size] = 0;
        int error = add_field(d, fields[0], store, fields + 3, size);
        if (error)
            return error;
        store += size + 1;
        fields += 3 + size;
        length -= 3 + size;
    }
    return d->argc == 0 ? EPROTO : 0;
}

static void make_directories(const char *path)
{
    char copy[4096];
    if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy)
        return;
    for (char *at = copy + 1; *at; at++)
        if (*at == '/') {
            *at = 0;
            mkdir(copy, 0755);
            *at = '/';
        }
    mkdir(copy, 0755);
}

static int become(const struct description *d)
{
    make_directories(d->workdir);
    if (!on_host) {
        if (!d->all_capabilities && capabilities_bound())
            return errno;
        if (setgroups(d->group_count, d->groups) || setresgid(d->gid, d->gid, d->gid) ||
            setresuid(d->uid, d->uid, d->uid))
            return errno;
        if (!d->all_capabilities && d->uid == 0 && capabilities_limit())
            return errno;
    }
    return chdir(d->workdir) ? errno : 0;
}

/* Only the agent is exempt from the OOM killer, and children inherit that. */
static void be_killable(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!write(fd, "0", 1);
    close(fd);
}

static void restore_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* On the child's side of the fork: never returns. */
static _Noreturn void become_process(struct description *d, bool is_app, const int stdio[3], int report)
{
    int error = 0;
    restore_signals();
    if (!on_host)
        be_killable();
    setsid();
    if (d->pty)
        ioctl(stdio[0], TIOCSCTTY, 0);
    for (int fd = 0; fd < 3; fd++)
        if (dup2(stdio[fd], fd) < 0)
            error = errno;
    if (!error && is_app && !on_host)
        error = container_enter(d->hostname, d->all_capabilities);
    struct rlimit files = {.rlim_cur = 1024, .rlim_max = 1048576};
    setrlimit(RLIMIT_NOFILE, &files);
    if (!error)
        error = become(d);
    if (!error) {
        environ = d->env;
        execvp(d->argv[0], d->argv);
        error = errno;
    }
    if (write(report, &error, sizeof error) < 0)
        _exit(126);
    _exit(127);
}

static int make_pipe(int fds[2], int our_end)
{
    if (pipe2(fds, O_CLOEXEC))
        return errno;
    return fcntl(fds[our_end], F_SETFL, O_NONBLOCK) ? errno : 0;
}

static void close_all(const int *fds, int count)
{
    for (int i = 0; i < count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* theirs[0..2] are the process's standard streams. */
static int make_stdio(const struct description *d, bool is_app, int theirs[3], struct process_io *io)
{
    int fds[2];
    if (d->pty) {
        if (openpty(&fds[0], &fds[1], NULL, NULL, &d->size))
            return errno;
        for (int i = 0; i < 3; i++)
            theirs[i] = fcntl(fds[1], F_DUPFD_CLOEXEC, 0);
        close(fds[1]);
        fcntl(fds[0], F_SETFD, FD_CLOEXEC);
        fcntl(fds[0], F_SETFL, O_NONBLOCK);
        io->terminal = true;
        io->output = fds[0];
        io->input = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
        return 0;
    }
    if (is_app) {
        theirs[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (theirs[0] < 0)
            return errno;
    } else {
        int error = make_pipe(fds, 1);
        if (error)
            return error;
        theirs[0] = fds[0];
        io->input = fds[1];
    }
    int *ours[] = {&io->output, &io->errors};
    for (int i = 0; i < 2; i++) {
        int error = make_pipe(fds, 0);
        if (error)
            return error;
        *ours[i] = fds[0];
        theirs[i + 1] = fds[1];
    }
    return 0;
}

static pid_t fork_into(unsigned namespaces)
{
    const int group = freezer_group();
    struct clone_args how = {.flags = namespaces, .exit_signal = SIGCHLD};
    if (group >= 0) {
        how.flags |= CLONE_INTO_CGROUP;
        how.cgroup = (unsigned)group;
    }
    return (pid_t)syscall(SYS_clone3, &how, sizeof how);
}

static int own_process_namespace(void) { return open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC); }

/*
 * Children are to live where the application lives. The other namespaces are joined by the child itself;
 * that of processes counts for children only, so the agent joins it around the fork.
 */
static pid_t fork_beside_app(int pidfd)
{
    int own = own_process_namespace();
    if (own < 0 || setns(pidfd, CLONE_NEWPID)) {
        if (own >= 0)
            close(own);
        return -1;
    }
    pid_t pid = fork_into(0);
    int error = errno;
    if (pid != 0 && setns(own, CLONE_NEWPID))
        _exit(1);
    close(own);
    errno = error;
    return pid;
}

static int spawn(struct description *d, bool is_app, struct process_io *io)
{
    int theirs[3] = {-1, -1, -1}, report[2] = {-1, -1}, pidfd = -1;
    int error = make_stdio(d, is_app, theirs, io);
    if (!error && pipe2(report, O_CLOEXEC))
        error = errno;
    if (!error && !is_app && !on_host) {
        pidfd = app_pid() > 0 ? (int)syscall(SYS_pidfd_open, app_pid(), 0) : -1;
        error = pidfd < 0 ? ESRCH : 0;
    }
    if (!error) {
        if (is_app && d->all_capabilities)
            freezer_give_up();
        const unsigned own = is_app && !on_host ? CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC : 0;
        io->pid = pidfd >= 0 ? fork_beside_app(pidfd) : fork_into(own);
        if (io->pid < 0)
            error = errno;
    }
    if (!error && io->pid == 0) {
        if (pidfd >= 0 && setns(pidfd, CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC)) {
            error = errno;
            _exit(write(report[1], &error, sizeof error) < 0 ? 126 : 127);
        }
        become_process(d, is_app, theirs, report[1]);
    }
    close_all(theirs, 3);
    close_all(&report[1], 1);
    close_all(&pidfd, 1);
    if (error)
        close_all(&report[0], 1);
    else
        io->report = report[0];
    return error;
}

static int start(const uint8_t *fields, size_t length, bool is_app, struct process_io *io)
{
    *io = (struct process_io){.pid = -1, .input = -1, .output = -1, .errors = -1, .report = -1};
    struct description *d = calloc(1, sizeof *d);
    if (!d)
        return ENOMEM;
    int error = parse(fields, length, d);
    if (!error)
        error = spawn(d, is_app, io);
    if (error)
        close_all((int[]){io->input, io->output, io->errors}, 3);
    free(d->storage);
    free(d);
    return error;
}

int process_start_app(const uint8_t *fields, size_t length, struct process_io *io)
{
    int error = start(fields, length, true, io), failure = 0;
    /* Nothing else goes on in the guest yet. */
    if (!error && read(io->report, &failure, sizeof failure) == (ssize_t)sizeof failure) {
        error = failure;
        waitpid(io->pid, NULL, 0);
        close_all((int[]){io->output, io->errors}, 2);
    }
    close_all(&io->report, 1);
    return error;
}

int process_exec(const uint8_t *fields, size_t length, struct process_io *io)
{
    int error = start(fields, length, false, io);
    if (!error)
        fcntl(io->report, F_SETFL, O_NONBLOCK);
    return error;
}

static int set_hostname(const char *name, size_t length)
{
    int own = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
    int pidfd = app_pid() > 0 ? (int)syscall(SYS_pidfd_open, app_pid(), 0) : -1;
    int error = 0;
    if (own < 0 || pidfd < 0 || setns(pidfd, CLONE_NEWUTS) || sethostname(name, length))
        error = errno;
    if (own >= 0 && setns(own, CLONE_NEWUTS) && !error)
        error = errno;
    close_all((int[]){own, pidfd}, 2);
    return error;
}

int process_set_identity(const uint8_t *fields, size_t length)
{
    char name[HOST_NAME_MAX + 1] = {0};
    if (length <= 2 * IDENTITY_ID_BYTES || length - 2 * IDENTITY_ID_BYTES > HOST_NAME_MAX)
        return EPROTO;
    memcpy(name, fields + 2 * IDENTITY_ID_BYTES, length - 2 * IDENTITY_ID_BYTES);
    if (on_host)
        return 0;
    identity_number(fields, fields + IDENTITY_ID_BYTES);
    identity_name(name);
    return set_hostname(name, strlen(name));
}
