/* The first program of the machine that scripts/emulated-kvm emulates:
 *
 *   init PROGRAM [ARGUMENT…]
 *
 * makes a root of the real machine's files, which come by 9P and stay as they are, under a layer in memory, and
 * becomes PROGRAM there. Switches off when it cannot. */
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void load_modules(void) {
  FILE *order = fopen("/modules/order", "re");
  char name[128], path[160];
  while (order && fgets(name, sizeof name, order)) {
    name[strcspn(name, "\n")] = '\0';
    snprintf(path, sizeof path, "/modules/%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) < 0) perror(path);
    if (fd >= 0) close(fd);
  }
  if (order) fclose(order);
}

static int mount_at(const char *type, const char *directory, unsigned long flags, const char *options) {
  if (mkdir(directory, 0755) == 0 && mount("machine", directory, type, flags, options) == 0) return 0;
  perror(directory);
  return -1;
}

static int enter_root(void) {
  /* Cached as if nobody changed the files meanwhile. */
  if (mount_at("9p", "/machine", MS_RDONLY, "trans=virtio,version=9p2000.L,cache=loose,msize=1048576") < 0 ||
      mount_at("tmpfs", "/layer", 0, "mode=755,size=80%") < 0)
    return -1;
  if (mkdir("/layer/upper", 0755) < 0 || mkdir("/layer/work", 0755) < 0) return perror("/layer"), -1;
  if (mount_at("overlay", "/both", 0, "lowerdir=/machine,upperdir=/layer/upper,workdir=/layer/work") < 0) return -1;
  if (chdir("/both") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0) return perror("/both"), -1;
  return 0;
}

/* Not every machine has a program that does it. */
static void bring_up_loopback(void) {
  struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0) perror("lo");
  close(fd);
}

int main(int argc, char **argv) {
  load_modules();
  bring_up_loopback();
  if (argc > 1 && enter_root() == 0) {
    execv(argv[1], &argv[1]);
    perror(argv[1]);
  }
  reboot(RB_POWER_OFF);
}
