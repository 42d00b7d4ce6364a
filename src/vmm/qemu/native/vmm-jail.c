/* Becomes a VMM that can reach nothing but what it is given. See docs/security.md, "MicroVMs".
 *
 *   vmm-jail LEVEL [OPTION VALUE]… -- PROGRAM [ARGUMENT…]
 *
 * LEVEL      own-user=UID    a root, network and user of its own; must be started as root. PROGRAM runs as the user
 *                            UID + its process id: no two live processes have one
 *            namespace       a root and network of its own, in a user namespace; for an ordinary user
 *            filter          only limits and the filter of system calls
 * --directory DIR            working directory, and the only place where something can be written
 * --read-only PATH           seen in the root, where it is on the host
 * --kvm yes                  /dev/kvm is seen too
 * --listen NAME              a Unix socket in DIR; descriptor 3 and following, in this order
 * --own FILE                 a file in DIR, made if absent, that PROGRAM may write to
 * --largest-file BYTES, --address-space BYTES
 *
 * PROGRAM takes the place of this one, so the process that was started is the VMM.
 */
#include "failure.h"
#include "jail-filter.h"
#include "jail-root.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST_SOCKET = 3, MAX_FILES = 8, OPEN_FILES = 256, OWN_PROCESSES = 256 };

enum level { OWN_USER, NAMESPACE, FILTER };

struct list {
  const char *items[MAX_FILES];
  int count;
};

struct jail {
  enum level level;
  uid_t user; /* with OWN_USER */
  const char *directory;
  struct jail_root root;
  struct list listen, own;
  rlim_t largest_file, address_space;
};

static unsigned long long number(const char *text) {
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  if (errno || end == text || *end) fail(EXIT_USAGE, "not a number: %s", text);
  return value;
}

static void add(struct list *list, const char *item) {
  if (list->count == MAX_FILES) fail(EXIT_USAGE, "too many options");
  list->items[list->count++] = item;
}

static void parse_level(struct jail *jail, const char *text) {
  static const char own_user[] = "own-user=";
  if (strncmp(text, own_user, sizeof own_user - 1) == 0) {
    unsigned long long user = number(text + sizeof own_user - 1) + (unsigned long long)getpid();
    if (user > INT_MAX) fail(EXIT_USAGE, "not a user: %llu", user);
    jail->level = OWN_USER;
    jail->user = (uid_t)user;
  } else if (strcmp(text, "namespace") == 0) {
    jail->level = NAMESPACE;
  } else if (strcmp(text, "filter") == 0) {
    jail->level = FILTER;
  } else {
    fail(EXIT_USAGE, "unknown level %s", text);
  }
}

/* Returns the program and its arguments. */
static char **parse(struct jail *jail, char **at) {
  if (!*++at) fail(EXIT_USAGE, "usage: vmm-jail LEVEL [OPTION VALUE]... -- PROGRAM [ARGUMENT...]");
  parse_level(jail, *at++);
  for (; at[0] && strcmp(at[0], "--") != 0; at += 2) {
    const char *name = at[0], *value = at[1];
    if (!value) fail(EXIT_USAGE, "%s needs a value", name);
    if (strcmp(name, "--directory") == 0) jail->directory = value;
    else if (strcmp(name, "--kvm") == 0) jail->root.devices_kvm = 1;
    else if (strcmp(name, "--listen") == 0) add(&jail->listen, value);
    else if (strcmp(name, "--own") == 0) add(&jail->own, value);
    else if (strcmp(name, "--largest-file") == 0) jail->largest_file = number(value);
    else if (strcmp(name, "--address-space") == 0) jail->address_space = number(value);
    else if (strcmp(name, "--read-only") == 0 && jail->root.read_only_count < MAX_PATHS)
      jail->root.read_only[jail->root.read_only_count++] = value;
    else fail(EXIT_USAGE, "unknown option or too many of them: %s", name);
  }
  if (!at[0] || !at[1] || !jail->directory) fail(EXIT_USAGE, "a directory and a program are needed");
  return at + 1;
}

/* Made here and not by the program, which may then neither make nor replace anything in the directory. */
static void listen_on(const char *name, int descriptor) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(name) >= sizeof address.sun_path) fail(EXIT_USAGE, "too long: %s", name);
  strcpy(address.sun_path, name);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd != descriptor) fail(EXIT_SYSTEM, "no socket, or not descriptor %d, for %s", descriptor, name);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 1) < 0)
    fail(EXIT_SYSTEM, "cannot listen on %s", name);
}

static void prepare_files(const struct jail *jail) {
  umask(077);
  if (chdir(jail->directory) < 0) fail(EXIT_SYSTEM, "cannot enter %s", jail->directory);
  for (int i = 0; i < jail->listen.count; i++) listen_on(jail->listen.items[i], FIRST_SOCKET + i);
  if (jail->level == OWN_USER && (chown(".", (uid_t)-1, jail->user) < 0 || chmod(".", 0710) < 0))
    fail(EXIT_SYSTEM, "cannot open the directory to its user");
  for (int i = 0; i < jail->own.count; i++) {
    int fd = open(jail->own.items[i], O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || (jail->level == OWN_USER && fchown(fd, jail->user, jail->user) < 0))
      fail(EXIT_SYSTEM, "cannot give away %s", jail->own.items[i]);
    close(fd);
  }
}

static void write_file(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text, strlen(text)) < 0) fail(EXIT_SYSTEM, "cannot write %s", path);
  close(fd);
}

static void limit(int resource, rlim_t value) {
  struct rlimit limits;
  if (value == 0) return;
  if (getrlimit(resource, &limits) < 0) fail(EXIT_SYSTEM, "cannot read a limit");
  if (limits.rlim_max == RLIM_INFINITY || limits.rlim_max > value) limits.rlim_max = value;
  limits.rlim_cur = limits.rlim_max;
  if (setrlimit(resource, &limits) < 0) fail(EXIT_SYSTEM, "cannot set a limit");
}

static void set_limits(const struct jail *jail) {
  const struct rlimit none = {0, 0};
  if (setrlimit(RLIMIT_CORE, &none) < 0) fail(EXIT_SYSTEM, "cannot set a limit");
  limit(RLIMIT_NOFILE, OPEN_FILES);
  limit(RLIMIT_FSIZE, jail->largest_file);
  limit(RLIMIT_AS, jail->address_space);
  /* Counted for each user. */
  if (jail->level == OWN_USER) limit(RLIMIT_NPROC, OWN_PROCESSES);
  /* A file that would grow too large is an error to the program and not its end. */
  signal(SIGXFSZ, SIG_IGN);
}

/* The user stays who it is, so that its files stay its own, and has all capabilities until it executes a program. */
static void map_user(uid_t user, gid_t group) {
  char line[64];
  write_file("/proc/self/setgroups", "deny");
  snprintf(line, sizeof line, "%u %u 1", user, user);
  write_file("/proc/self/uid_map", line);
  snprintf(line, sizeof line, "%u %u 1", group, group);
  write_file("/proc/self/gid_map", line);
}

static void enter_namespaces(struct jail *jail) {
  if (jail->level == FILTER) return;
  uid_t user = geteuid();
  gid_t group = getegid();
  int namespaces = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
  if (unshare(jail->level == NAMESPACE ? namespaces | CLONE_NEWUSER : namespaces) < 0)
    fail(EXIT_SYSTEM, "cannot make namespaces");
  if (jail->level == NAMESPACE) map_user(user, group);
  jail->root.writable = jail->directory;
  jail->root.make_devices = jail->level == OWN_USER;
  jail->root.owner = jail->user;
  umask(022);
  enter_jail_root(&jail->root);
  umask(077);
  if (chdir(jail->directory) < 0) fail(EXIT_SYSTEM, "cannot enter %s", jail->directory);
}

static void give_up_rights(const struct jail *jail) {
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++)
    if (prctl(PR_CAPBSET_DROP, capability) < 0 && errno != EPERM) fail(EXIT_SYSTEM, "cannot drop a capability");
  if (jail->level == OWN_USER &&
      (setgroups(0, NULL) < 0 || setresgid(jail->user, jail->user, jail->user) < 0 ||
       setresuid(jail->user, jail->user, jail->user) < 0))
    fail(EXIT_SYSTEM, "cannot become user %u", jail->user);
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
  if (syscall(SYS_capset, &header, none) < 0) fail(EXIT_SYSTEM, "cannot drop the capabilities");
}

int main(int argc, char **argv) {
  struct jail jail = {0};
  (void)argc;
  /* Whoever started the server may have left descriptors open, of a terminal, a lock or a secret. */
  if (close_range(FIRST_SOCKET, ~0U, 0) < 0) fail(EXIT_SYSTEM, "cannot close what was inherited");
  char **program = parse(&jail, argv);
  prepare_files(&jail);
  /* When the host's memory runs out, VMMs end before the server. */
  write_file("/proc/self/oom_score_adj", "500");
  enter_namespaces(&jail);
  give_up_rights(&jail);
  set_limits(&jail);
  install_jail_filter();
  char *environment[] = {NULL};
  execve(program[0], program, environment);
  fail(EXIT_SYSTEM, "cannot run %s", program[0]);
}
