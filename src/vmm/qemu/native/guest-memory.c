#include "guest-memory.h"

#include "failure.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void read_fully(int fd, void *buffer, size_t length, uint64_t offset, const char *what) {
  for (size_t done = 0; done < length;) {
    ssize_t got = pread(fd, (char *)buffer + done, length - done, (off_t)(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      if (got == 0) errno = 0;
      fail(EXIT_SYSTEM, "cannot read %s at %#" PRIx64, what, offset + done);
    }
    done += (size_t)got;
  }
}

void write_fully_at(int fd, const void *buffer, size_t length, uint64_t offset, const char *what) {
  for (size_t done = 0; done < length;) {
    ssize_t put = pwrite(fd, (const char *)buffer + done, length - done, (off_t)(offset + done));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) {
      if (put == 0) errno = 0;
      fail(EXIT_SYSTEM, "cannot write %s at %#" PRIx64, what, offset + done);
    }
    done += (size_t)put;
  }
}

static int open_of_process(pid_t pid, const char *name, int flags) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
  int fd = open(path, flags | O_CLOEXEC);
  if (fd < 0) fail(EXIT_SYSTEM, "cannot open %s", path);
  return fd;
}

static int by_offset(const void *left, const void *right) {
  const struct mapping *a = left, *b = right;
  return a->offset < b->offset ? -1 : a->offset > b->offset;
}

/* The file is known by its inode number: some file systems show another device in maps than stat does.
 * A chance match elsewhere cannot go unnoticed, because the parts must cover the file exactly. */
static void find_mappings(struct guest_memory *guest, pid_t pid, ino_t inode) {
  FILE *maps = fdopen(open_of_process(pid, "maps", O_RDONLY), "r");
  if (!maps) fail(EXIT_SYSTEM, "cannot read the memory map");
  char *line = NULL;
  size_t capacity = 0;
  while (getline(&line, &capacity, maps) > 0) {
    uint64_t start, end, offset;
    unsigned long long found;
    char access[5];
    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*x:%*x %llu", &start, &end, access, &offset,
               &found) != 5)
      continue;
    if (found != inode || access[1] != 'w') continue;
    if (access[3] != 'p') fail(EXIT_SYSTEM, "the snapshot's memory is not mapped privately");
    if (guest->mapping_count == MAX_MAPPINGS) fail(EXIT_SYSTEM, "too many mappings of the snapshot's memory");
    guest->mappings[guest->mapping_count++] = (struct mapping){start, offset, end - start};
  }
  free(line);
  fclose(maps);
  qsort(guest->mappings, (size_t)guest->mapping_count, sizeof *guest->mappings, by_offset);
  uint64_t covered = 0;
  for (int i = 0; i < guest->mapping_count; i++) {
    if (guest->mappings[i].offset != covered) break;
    covered += guest->mappings[i].length;
  }
  errno = 0;
  if (covered != guest->bytes)
    fail(EXIT_SYSTEM, "process %d does not have the snapshot's memory mapped exactly once", (int)pid);
}

void open_guest_memory(struct guest_memory *guest, pid_t pid, const char *base_file, int writing) {
  *guest = (struct guest_memory){.page_size = (size_t)sysconf(_SC_PAGESIZE), .pagemap = -1};
  if (guest->page_size > MAX_PAGE_SIZE) fail(EXIT_SYSTEM, "pages of %zu bytes are not supported", guest->page_size);
  int base = open(base_file, O_RDONLY | O_CLOEXEC);
  struct stat info;
  if (base < 0 || fstat(base, &info) < 0) fail(EXIT_SYSTEM, "cannot open %s", base_file);
  errno = 0;
  guest->bytes = (uint64_t)info.st_size;
  if (guest->bytes == 0 || guest->bytes % guest->page_size != 0)
    fail(EXIT_CORRUPT, "%s is not a whole number of pages", base_file);
  find_mappings(guest, pid, info.st_ino);
  guest->memory = open_of_process(pid, "mem", writing ? O_RDWR : O_RDONLY);
  if (writing) return;
  guest->pagemap = open_of_process(pid, "pagemap", O_RDONLY);
  void *mapped = mmap(NULL, guest->bytes, PROT_READ, MAP_SHARED, base, 0);
  if (mapped == MAP_FAILED) fail(EXIT_SYSTEM, "cannot map %s", base_file);
  guest->base = mapped;
}

uint64_t guest_address(const struct guest_memory *guest, uint64_t offset, uint64_t *length) {
  for (int i = 0; i < guest->mapping_count; i++) {
    const struct mapping *mapping = &guest->mappings[i];
    if (offset < mapping->offset || offset - mapping->offset >= mapping->length) continue;
    uint64_t left = mapping->length - (offset - mapping->offset);
    if (*length > left) *length = left;
    return mapping->address + (offset - mapping->offset);
  }
  errno = 0;
  fail(EXIT_SYSTEM, "no mapping holds %#" PRIx64, offset);
}
