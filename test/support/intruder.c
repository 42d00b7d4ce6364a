/* A VMM that has been taken over. Tries what it can do to the host and prints one line of JSON for each attempt.
 *
 *   intruder attempts KEY=VALUE…    see below for the keys
 *   intruder memory MIB             takes memory until it has that much
 * Both wait for a line first.
 *   intruder wait                   a victim
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char **given;

static const char *value(const char *key)
{
    size_t length = strlen(key);
    for (char **at = given; *at != NULL; at++)
        if (strncmp(*at, key, length) == 0 && (*at)[length] == '=') return *at + length + 1;
    fprintf(stderr, "%s is missing\n", key);
    exit(2);
}

static void report(const char *attempt, int done)
{
    printf("{\"attempt\":\"%s\",\"done\":%s,\"error\":\"%s\"}\n", attempt, done ? "true" : "false",
           done ? "" : strerror(errno));
    fflush(stdout);
}

static int opens(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

/* Makes, and takes away again. */
static int makes(const char *directory)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/intruder-was-here", directory);
    int made = opens(path, O_WRONLY | O_CREAT | O_EXCL);
    if (made) unlink(path);
    return made;
}

static int lists(const char *directory)
{
    DIR *opened = opendir(directory);
    if (opened != NULL) closedir(opened);
    return opened != NULL;
}

static int connects(int family, const void *address, socklen_t length)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int connected = fd >= 0 && connect(fd, address, length) == 0;
    int error = errno;
    if (fd >= 0) close(fd);
    errno = error;
    return connected;
}

static int connects_to_port(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connects(AF_INET, &address, sizeof address);
}

static int connects_to_unix(const char *name, int abstract)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path + abstract, name, sizeof address.sun_path - 2);
    return connects(AF_UNIX, &address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name) + 1));
}

static int reads_memory_of(pid_t pid, unsigned long address)
{
    char byte;
    struct iovec here = {&byte, 1}, there = {(void *)address, 1};
    return process_vm_readv(pid, &here, 1, &there, 1, 0) == 1;
}

/* In a process of its own, which gives back what it got by ending. */
static int in_child(int (*attempt)(void))
{
    pid_t child = fork();
    if (child == 0) _exit(attempt() ? 0 : errno);
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) return 0;
    errno = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int traces(void) { return ptrace(PTRACE_SEIZE, atoi(value("server")), NULL, NULL) == 0; }
static int mounts(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", "/tmp", "tmpfs", 0, NULL) == 0;
}
static int makes_user_namespace(void) { return unshare(CLONE_NEWUSER) == 0; }
static int clones_user_namespace(void)
{
    long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0) _exit(0);
    return child > 0;
}
static int becomes_root(void) { return setresuid(0, 0, 0) == 0; }
static int changes_root(void) { return chroot("/") == 0; }
static int raises_limit(void)
{
    struct rlimit limit = {1024, 1024};
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}
static int runs_shell(void)
{
    execl("/bin/sh", "sh", "-c", "exit 0", NULL);
    return 0;
}
static int leaves_group(void)
{
    int fd = open(value("group-root"), O_WRONLY);
    return fd >= 0 && write(fd, "0", 1) == 1;
}
static int renames_host(void)
{
    char name[256];
    return gethostname(name, sizeof name) == 0 && sethostname(name, strlen(name)) == 0;
}

static int makes_device(const char *path)
{
    int made = mknod(path, S_IFCHR | 0600, makedev(1, 3)) == 0;
    if (made) unlink(path);
    return made;
}

static int sees_processes(void)
{
    DIR *processes = opendir("/proc");
    int count = 0;
    for (struct dirent *entry; processes != NULL && (entry = readdir(processes)) != NULL;)
        count += entry->d_name[0] >= '1' && entry->d_name[0] <= '9';
    return count > 1;
}

static int uses_io_uring(void)
{
    char parameters[256] = {0};
    long fd = syscall(SYS_io_uring_setup, 1, parameters);
    if (fd >= 0) close((int)fd);
    return fd >= 0;
}

static int makes_bpf_map(void)
{
    union bpf_attr attributes = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
    long fd = syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes);
    if (fd >= 0) close((int)fd);
    return fd >= 0;
}

static int grows_disk(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    int grown = fd >= 0 && ftruncate(fd, 1LL << 42) == 0;
    int error = errno;
    if (grown && ftruncate(fd, 4096) != 0) grown = 0;
    if (fd >= 0) close(fd);
    errno = error;
    return grown;
}

enum { WANTED_PROCESSES = 1000 };

static int starts_many(void)
{
    pid_t parent = getpid();
    int count = 0;
    /* They end with this one: signals to others may be refused. */
    for (pid_t child; count < WANTED_PROCESSES && (child = fork()) >= 0;) {
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            while (getppid() == parent) sleep(1);
            _exit(0);
        }
        count++;
    }
    return count == WANTED_PROCESSES;
}

static void attempt_all(void)
{
    pid_t server = atoi(value("server")), other = atoi(value("other-pid"));
    report("read the disk of another VM", opens(value("other-disk"), O_RDONLY));
    report("list the directory of another VM", lists(value("other")));
    report("connect to the control socket of another VM", connects_to_unix(value("other-socket"), 0));
    report("read the store", opens(value("store"), O_RDONLY));
    report("read the password file", opens("/etc/shadow", O_RDONLY));
    report("write to the snapshot", opens(value("snapshot"), O_RDWR));
    report("make the snapshot writable", chmod(value("snapshot"), 0666) == 0);
    report("add to the snapshot", makes(value("snapshots")));
    report("add to its own directory", makes("."));
    report("change its process record", opens("process.json", O_WRONLY));
    report("write to a public directory", makes("/tmp"));
    report("connect to a port of the host", connects_to_port(atoi(value("port"))));
    report("connect to an abstract socket of the host", connects_to_unix(value("abstract"), 1));
    report("signal the server", kill(server, 0) == 0);
    report("signal another VM", kill(other, 0) == 0);
    report("trace the server", in_child(traces));
    report("read the memory of another VM", reads_memory_of(other, strtoul(value("other-address"), NULL, 16)));
    report("see other processes", sees_processes());
    report("read the kernel's messages", opens("/dev/kmsg", O_RDONLY));
    report("make a device", makes_device("intruder-device"));
    report("mount", in_child(mounts));
    report("make a user namespace", in_child(makes_user_namespace));
    report("clone into a user namespace", in_child(clones_user_namespace));
    report("become root", in_child(becomes_root));
    report("change roots", in_child(changes_root));
    report("rename the host", renames_host());
    report("run another program", in_child(runs_shell));
    report("leave its control group", in_child(leaves_group));
    report("raise its limits", in_child(raises_limit));
    report("use io_uring", uses_io_uring());
    report("load a BPF map", makes_bpf_map());
    report("fill the host's disk", grows_disk("disk.qcow2"));
    report("start many processes", starts_many());
}

static void wait_for_line(void)
{
    char line[2];
    if (fgets(line, sizeof line, stdin) == NULL) exit(2);
}

int main(int count, char **arguments)
{
    static char target = 'x';
    given = arguments + 1;
    if (count > 1 && strcmp(arguments[1], "--version") == 0) {
        puts("intruder");
    } else if (count > 1 && strcmp(arguments[1], "wait") == 0) {
        printf("%lx\n", (unsigned long)&target);
        fflush(stdout);
        for (;;) pause();
    } else if (count > 2 && strcmp(arguments[1], "memory") == 0) {
        wait_for_line();
        size_t size = (size_t)atoi(arguments[2]) << 20;
        char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory != MAP_FAILED) memset(memory, 1, size);
        report("take much memory", memory != MAP_FAILED);
    } else {
        wait_for_line();
        attempt_all();
    }
    return 0;
}
