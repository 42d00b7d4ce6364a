#define _GNU_SOURCE
#include "capabilities.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const uint64_t container_set = 0xa80425fbu;

int capabilities_bound(void)
{
    for (int number = 0; number < 64; number++) {
        if (container_set >> number & 1)
            continue;
        /* Past the last capability the kernel knows. */
        if (prctl(PR_CAPBSET_DROP, number) && errno != EINVAL)
            return -1;
    }
    return 0;
}

int capabilities_limit(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const uint32_t low = (uint32_t)container_set;
    struct __user_cap_data_struct data[2] = {{.effective = low, .permitted = low}, {0}};
    return (int)syscall(SYS_capset, &header, data);
}
