#ifndef GUEST_MEMORY_H
#define GUEST_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A part of the snapshot's memory file as the VMM has it mapped. */
struct mapping {
  uint64_t address;
  uint64_t offset; /* in the memory file */
  uint64_t length;
};

enum { MAX_MAPPINGS = 64, MAX_PAGE_SIZE = 1 << 16 };

/* The RAM of a paused guest: the snapshot's file and the VMM's private view of it. */
struct guest_memory {
  size_t page_size;
  uint64_t bytes;
  const unsigned char *base; /* the snapshot's memory */
  int memory;                /* /proc/PID/mem */
  int pagemap;               /* /proc/PID/pagemap; -1 when opened for writing */
  struct mapping mappings[MAX_MAPPINGS];
  int mapping_count;
};

/* Finds where PID has the file mapped and checks that the whole of it is, exactly once. */
void open_guest_memory(struct guest_memory *guest, pid_t pid, const char *base_file, int writing);

/* Address in the VMM of a part of the memory file; shortens `length` to what one mapping holds. */
uint64_t guest_address(const struct guest_memory *guest, uint64_t offset, uint64_t *length);

void read_fully(int fd, void *buffer, size_t length, uint64_t offset, const char *what);
void write_fully_at(int fd, const void *buffer, size_t length, uint64_t offset, const char *what);

#endif
