#ifndef JAIL_ROOT_H
#define JAIL_ROOT_H

#include <sys/types.h>

enum { MAX_PATHS = 32 };

/* What the new root holds, each at its path on the host. */
struct jail_root {
  const char *read_only[MAX_PATHS];
  int read_only_count;
  const char *writable; /* one directory */
  int devices_kvm;      /* /dev/kvm too */
  int make_devices;     /* make the nodes, for `owner`; otherwise the host's are used with their rights */
  uid_t owner;
};

/* Puts this process on a root that holds nothing else. It must be root of its user and mount namespaces. */
void enter_jail_root(const struct jail_root *root);

#endif
