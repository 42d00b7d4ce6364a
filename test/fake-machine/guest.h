/* The guest of the fake machine: an agent and an application whose whole state is in the machine's RAM and disk. */
#ifndef FAKE_GUEST_H
#define FAKE_GUEST_H

#include <stddef.h>
#include <stdint.h>

enum { RAM_AT = 1 << 20, SCRATCH_AT = 8 << 20, SCRATCH_BYTES = 4 << 20, COUNT_AT = 4096, DISK_BYTES = 8192 };

/* What the guest remembers; it lies in RAM, so snapshots and differences carry it. */
struct ram {
    char magic[8];
    uint64_t count; /* requests and hits answered */
    uint64_t identity;
    uint32_t app_state; /* 0 not started, 1 runs, 2 exited */
    uint32_t exit_code;
    uint32_t frozen; /* the application answers nothing; whoever asks it has forgotten to thaw it */
    uint32_t hook_status[6];
    uint32_t hook_calls[6];
    char hostname[64];
};

struct guest {
    struct ram *ram;
    unsigned char *scratch;
    int disk;
    int lower_disk; /* the snapshot's, or -1 */
};

void guest_boot(struct guest *guest);
/* What the machine's devices hold: it belongs to exactly one state of the RAM. */
uint64_t guest_registers(const struct guest *guest);

/* One connection to the agent's port. */
struct channel;
struct channel *channel_open(struct guest *guest, int fd);
/* Takes in what came; 0 once the connection is over. */
int channel_read(struct channel *channel);
void channel_close(struct channel *channel);

#endif
