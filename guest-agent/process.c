#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/sched.h>
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

#include "account.h"
#include "app.h"
#include "capabilities.h"
#include "container.h"
#include "description.h"
#include "freezer.h"
#include "identity.h"
#include "reaper.h"
#include "terminal.h"
#include "wire.h"

static bool on_host;
void process_stay_on_host(void) { on_host = true; }

/* As it was started; what runs beside it may be like it. */
static struct description *application;

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

static int become(struct description *d, bool is_app)
{
    int error = account_find(d);
    if (error)
        return error;
    if (is_app)
        make_directories(d->workdir);
    if (!on_host) {
        if (d->pty)
            (void)!fchown(0, d->uid, (gid_t)-1);
        if (!d->all_capabilities && capabilities_bound())
            return errno;
        if (setgroups(d->group_count, d->groups) || setresgid(d->gid, d->gid, d->gid) ||
            setresuid(d->uid, d->uid, d->uid))
            return errno;
        if (!d->all_capabilities && d->uid == 0 && capabilities_limit())
            return errno;
    }
    /* Told apart from a program that is not there. */
    if (chdir(d->workdir))
        return errno == ENOENT ? ENOTDIR : errno;
    return 0;
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
static _Noreturn void become_process(struct description *d, bool is_app, const int stdio[3], int report, int verdict)
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
        error = become(d, is_app);
    if (!error && is_app && d->hold)
        reaper_hold(verdict);
    if (!error && is_app && !on_host)
        reaper_start(verdict);
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

static int make_no_stdio(int theirs[3])
{
    for (int i = 0; i < 3; i++) {
        theirs[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (theirs[i] < 0)
            return errno;
    }
    return 0;
}

/* theirs[0..2] are the process's standard streams. */
static int make_stdio(const struct description *d, bool is_app, int theirs[3], struct process_io *io)
{
    int fds[2];
    io->detached = d->detach;
    if (d->detach)
        return make_no_stdio(theirs);
    if (d->pty) {
        const int error = terminal_open(on_host ? 0 : app_pid(), &d->size, &fds[0], &fds[1]);
        if (error)
            return error;
        for (int i = 0; i < 3; i++)
            theirs[i] = fcntl(fds[1], F_DUPFD_CLOEXEC, 0);
        close(fds[1]);
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
    int theirs[3] = {-1, -1, -1}, report[2] = {-1, -1}, verdict[2] = {-1, -1}, pidfd = -1;
    int error = make_stdio(d, is_app, theirs, io);
    if (!error && pipe2(report, O_CLOEXEC))
        error = errno;
    if (!error && is_app)
        error = make_pipe(verdict, 0);
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
        become_process(d, is_app, theirs, report[1], verdict[1]);
    }
    close_all(theirs, 3);
    close_all((int[]){report[1], verdict[1], pidfd}, 3);
    if (error) {
        close_all((int[]){report[0], verdict[0]}, 2);
    } else {
        io->report = report[0];
        io->verdict = verdict[0];
    }
    return error;
}

static int start(const uint8_t *fields, size_t length, bool is_app, struct process_io *io)
{
    *io = (struct process_io){.pid = -1, .input = -1, .output = -1, .errors = -1, .report = -1, .verdict = -1};
    struct description *d = calloc(1, sizeof *d);
    if (!d)
        return ENOMEM;
    int error = description_parse(fields, length, d);
    if (!error && d->like_app && application)
        error = description_complete(d, application);
    if (!d->workdir)
        d->workdir = "/";
    if (!error)
        error = spawn(d, is_app, io);
    if (error)
        close_all((int[]){io->input, io->output, io->errors}, 3);
    if (!error && is_app && !application)
        application = d;
    else
        description_free(d);
    return error;
}

int process_start_app(const uint8_t *fields, size_t length, struct process_io *io)
{
    int error = start(fields, length, true, io), failure = 0;
    /* Nothing else goes on in the guest yet. */
    if (!error && read(io->report, &failure, sizeof failure) == (ssize_t)sizeof failure) {
        error = failure;
        waitpid(io->pid, NULL, 0);
        close_all((int[]){io->output, io->errors, io->verdict}, 3);
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
