/* The whole user space of the guest that the VMM contract suite runs. It answers each byte that comes through the
 * port "dormouse.agent" with one line of JSON: a counter in memory, a counter in a file on the root disk, fresh
 * random bytes and its process's boot-time identity. Orders: 'h' hit, 'w' hit after rewriting 4 MiB of memory,
 * 'q' power off. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { POLL_US = 5000, SCRATCH_BYTES = 4 << 20 };

static void mount_at(const char *type, const char *directory) {
  mkdir(directory, 0755);
  mount(type, directory, type, 0, NULL);
}

static void load_modules(void) {
  FILE *order = fopen("/modules/order", "r");
  char name[128], path[160];
  while (order && fgets(name, sizeof name, order)) {
    name[strcspn(name, "\n")] = '\0';
    snprintf(path, sizeof path, "/modules/%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) != 0) perror(path);
    if (fd >= 0) close(fd);
  }
  if (order) fclose(order);
}

static int port_named(const char *port, const char *wanted) {
  char path[300], name[64] = "";
  snprintf(path, sizeof path, "/sys/class/virtio-ports/%.200s/name", port);
  FILE *file = fopen(path, "r");
  if (!file) return 0;
  if (!fgets(name, sizeof name, file)) name[0] = '\0';
  fclose(file);
  name[strcspn(name, "\n")] = '\0';
  return strcmp(name, wanted) == 0;
}

static int open_port(const char *wanted) {
  for (;;) {
    DIR *ports = opendir("/sys/class/virtio-ports");
    for (struct dirent *entry; ports && (entry = readdir(ports));) {
      char device[64];
      if (!port_named(entry->d_name, wanted)) continue;
      snprintf(device, sizeof device, "/dev/%.32s", entry->d_name);
      int fd = open(device, O_RDWR | O_CLOEXEC);
      if (fd >= 0) return closedir(ports), fd;
    }
    if (ports) closedir(ports);
    usleep(POLL_US);
  }
}

static const char *counter = "/root/count";

static long count_on_disk(void) {
  char text[32] = "";
  int fd = open(counter, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || pread(fd, text, sizeof text - 1, 0) < 0) return -1;
  long count = atol(text) + 1;
  int length = snprintf(text, sizeof text, "%ld\n", count);
  if (pwrite(fd, text, (size_t)length, 0) != length) count = -1;
  close(fd);
  return count;
}

static unsigned long random_word(void) {
  unsigned long word = 0;
  if (getrandom(&word, sizeof word, 0) != (ssize_t)sizeof word) word = 0;
  return word;
}

/* With the channel as standard input and output, in a sandbox whose root is the disk. */
static int use_sandbox(void) {
  counter = "/count";
  return dup(STDIN_FILENO);
}

static int make_machine(void) {
  mount_at("proc", "/proc");
  mount_at("sysfs", "/sys");
  mount_at("devtmpfs", "/dev");
  mkdir("/root", 0755);
  load_modules();
  int port = open_port("dormouse.agent");
  while (mount("/dev/vda", "/root", "ext4", 0, NULL) != 0) usleep(POLL_US);
  return port;
}

int main(int argc, char **argv) {
  const int sandbox = argc == 2 && strcmp(argv[1], "--sandbox") == 0;
  const int port = sandbox ? use_sandbox() : make_machine();
  const int answers = sandbox ? STDOUT_FILENO : port;
  unsigned char *scratch = malloc(SCRATCH_BYTES);
  if (!scratch) return 1;
  unsigned long identity = random_word();
  long hits = 0;
  for (;;) {
    char order, answer[160];
    if (read(port, &order, 1) != 1) { /* nobody is connected */
      usleep(POLL_US);
      continue;
    }
    if (order == 'q') {
      if (sandbox) return 0;
      reboot(RB_POWER_OFF);
    }
    hits++;
    if (order == 'w')
      for (size_t i = 0; i < SCRATCH_BYTES; i++) scratch[i] = (unsigned char)(i + (i >> 12) * (size_t)hits);
    int length = snprintf(answer, sizeof answer, "{\"memory\":%ld,\"disk\":%ld,\"random\":\"%lx\",\"identity\":\"%lx\"}\n",
                          hits, count_on_disk(), random_word(), identity);
    if (write(answers, answer, (size_t)length) != length) return 1;
  }
}
