#include "jail-root.h"

#include "failure.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Of this directory nothing is needed any more. */
static const char new_root[] = "/sys";

struct device {
  const char *path;
  unsigned int major, minor;
};
static const struct device devices[] = {{"/dev/null", 1, 3}, {"/dev/urandom", 1, 9}, {"/dev/kvm", 10, 232}};

/* mount_setattr only adds restrictions, so that it is allowed in a user namespace too. */
static void restrict_mount(const char *path, unsigned int flags, uint64_t attributes) {
  struct mount_attr attr = {.attr_set = attributes};
  if (syscall(SYS_mount_setattr, AT_FDCWD, path, flags, &attr, sizeof attr) < 0)
    fail(EXIT_SYSTEM, "cannot restrict the mount at %s", path);
}

/* Makes the directories above the place, which begins with the new root. */
static void make_parents(char *place) {
  for (char *slash = strchr(place + sizeof new_root, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    if (mkdir(place, 0755) < 0 && errno != EEXIST) fail(EXIT_SYSTEM, "cannot make %s", place);
    *slash = '/';
  }
}

static void inside(char place[PATH_MAX], const char *path) {
  int length = snprintf(place, PATH_MAX, "%s%s", new_root, path);
  errno = 0;
  if (path[0] != '/' || length >= PATH_MAX) fail(EXIT_USAGE, "not a usable path: %s", path);
  make_parents(place);
}

static void bind_path(const char *path, uint64_t attributes) {
  char place[PATH_MAX];
  struct stat info;
  if (lstat(path, &info) < 0) fail(EXIT_SYSTEM, "cannot find %s", path);
  inside(place, path);
  if (S_ISLNK(info.st_mode)) { /* /lib and /lib64, of which the target is bound */
    char target[PATH_MAX];
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length < 0) fail(EXIT_SYSTEM, "cannot read the link %s", path);
    target[length] = '\0';
    if (symlink(target, place) < 0) fail(EXIT_SYSTEM, "cannot link %s", place);
    return;
  }
  if (S_ISDIR(info.st_mode)) {
    if (mkdir(place, 0755) < 0 && errno != EEXIST) fail(EXIT_SYSTEM, "cannot make %s", place);
  } else if (mknod(place, S_IFREG | 0644, 0) < 0 && errno != EEXIST) {
    fail(EXIT_SYSTEM, "cannot make %s", place);
  }
  if (mount(path, place, NULL, MS_BIND | MS_REC, NULL) < 0) fail(EXIT_SYSTEM, "cannot mount %s", path);
  restrict_mount(place, AT_RECURSIVE, attributes);
}

static void add_device(const struct jail_root *root, const struct device *device) {
  if (!root->make_devices) return bind_path(device->path, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
  char place[PATH_MAX];
  inside(place, device->path);
  if (mknod(place, S_IFCHR | 0600, makedev(device->major, device->minor)) < 0 ||
      chown(place, root->owner, root->owner) < 0)
    fail(EXIT_SYSTEM, "cannot make the device %s", device->path);
}

void enter_jail_root(const struct jail_root *root) {
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) fail(EXIT_SYSTEM, "cannot leave the host's mounts");
  if (mount("tmpfs", new_root, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k,nr_inodes=256") < 0)
    fail(EXIT_SYSTEM, "cannot make a root");
  for (int i = 0; i < root->read_only_count; i++)
    bind_path(root->read_only[i], MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  bind_path(root->writable, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
    if (root->devices_kvm || strcmp(devices[i].path, "/dev/kvm") != 0) add_device(root, &devices[i]);
  if (chdir(new_root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0) fail(EXIT_SYSTEM, "cannot change the root");
  /* The old root lies over the new one, and goes with all that is mounted in it. */
  if (umount2(".", MNT_DETACH) < 0) fail(EXIT_SYSTEM, "cannot leave the host's root");
  restrict_mount("/", 0, MOUNT_ATTR_RDONLY);
}
