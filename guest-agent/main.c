/*
 * The guest agent: process 1 of every microVM. It makes the machine, runs the image's process in it and serves
 * the host over one byte channel. docs/agent-protocol.md describes the conversation.
 *
 * `guest-agent --sandbox` is process 1 of a gVisor sandbox, where the machine is there already.
 *
 * For tests it also runs as an ordinary program: `guest-agent --listen PATH [EGRESS-PORT]` serves one host after
 * another on a Unix socket, starts processes without namespaces, and takes what comes to the egress port on loopback
 * for what would leave a guest.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app.h"
#include "egress.h"
#include "guest.h"
#include "log.h"
#include "loop.h"
#include "port.h"
#include "process.h"
#include "sandbox.h"
#include "stream.h"
#include "worker.h"

static int listening = -1;

static void accept_host(void)
{
    int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        fatal("accept: errno %d", errno);
    port_attach(fd, fd, accept_host);
}

static void listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        fatal("the path is too long");
    strcpy(address.sun_path, path);
    listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listening < 0 || bind(listening, (struct sockaddr *)&address, sizeof address) || listen(listening, 1))
        fatal("cannot listen at %s: errno %d", path, errno);
    process_stay_on_host();
    accept_host();
}

static void on_child(struct watch *watch, uint32_t events)
{
    (void)events;
    struct signalfd_siginfo info;
    while (read(watch->fd, &info, sizeof info) == (ssize_t)sizeof info)
        ;
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (!app_child_ended(pid, status) && !worker_child_ended(pid, status))
            streams_child_ended(pid, status);
}

/* A stream has two descriptors; processes get limits of their own. */
static void raise_descriptor_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files))
        return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

static void watch_children(void)
{
    static struct watch children = {.ready = on_child};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    children.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (children.fd < 0)
        fatal("signalfd: errno %d", errno);
    loop_want(&children, EPOLLIN);
}

static void start_as_process_1(bool sandbox)
{
    if (sandbox) {
        sandbox_boot();
        port_attach(STDIN_FILENO, STDOUT_FILENO, NULL);
    } else {
        const int port = guest_boot();
        port_attach(port, port, NULL);
    }
    egress_start();
}

int main(int argc, char **argv)
{
    const int test = (argc == 3 || argc == 4) && strcmp(argv[1], "--listen") == 0;
    if (!test && getpid() != 1) {
        fprintf(stderr, "usage: %s --listen PATH [EGRESS-PORT]\n", argv[0]);
        return 2;
    }
    raise_descriptor_limit();
    loop_init();
    watch_children();
    if (!test) {
        start_as_process_1(argc == 2 && strcmp(argv[1], "--sandbox") == 0);
    } else {
        listen_at(argv[2]);
        if (argc == 4)
            egress_start_at((uint16_t)strtoul(argv[3], NULL, 10));
    }
    say("ready");
    for (;;) {
        loop_turn(-1);
        egress_turn();
        port_flush();
        app_send_logs();
    }
}
