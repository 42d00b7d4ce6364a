/* Saves and applies what a paused guest's RAM has that its snapshot's memory file has not.
 *
 *   memory-difference save  PID MEMORY OUTPUT    prints {"dataPages":N,"zeroPages":N}
 *   memory-difference apply PID MEMORY INPUT
 *   memory-difference checksum FILE...           prints one checksum a line, the same however sparse the file is
 *
 * The VMM maps MEMORY privately, so a page the guest wrote is anonymous, and pagemap tells which. Of these only
 * pages whose bytes really differ are stored; a page that became zero is stored without its bytes.
 *
 * File: header, records, end record, CRC-32C of everything before it; all integers little-endian.
 */
#include "crc32c.h"
#include "failure.h"
#include "guest-memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct header {
  char magic[8];
  uint32_t format;
  uint32_t page_size;
  uint64_t memory_bytes;
};

enum record_kind { RECORD_END = 0, RECORD_DATA = 1, RECORD_ZERO = 2 };

struct record {
  uint64_t first_page; /* of the memory file; in the end record the number of pages stored */
  uint32_t pages;
  uint32_t kind;
};

static const char magic[8] = "DMSEDIFF";
enum { FORMAT = 1, BATCH_PAGES = 64, SCAN_PAGES = 4096, OUTPUT_BUFFER = 1 << 20, CHUNK = MAX_PAGE_SIZE };

/* pagemap bits, see admin-guide/mm/pagemap in the kernel's documentation. */
static const uint64_t page_present = 1ull << 63, page_swapped = 1ull << 62, page_of_file = 1ull << 61;

struct output {
  int fd;
  uint32_t crc;
  size_t used;
  unsigned char buffer[OUTPUT_BUFFER];
};

static void flush(struct output *out) {
  for (size_t done = 0; done < out->used;) {
    ssize_t put = write(out->fd, out->buffer + done, out->used - done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail(EXIT_SYSTEM, "cannot write the difference");
    done += (size_t)put;
  }
  out->used = 0;
}

static void put(struct output *out, const void *data, size_t length) {
  const unsigned char *at = data;
  out->crc = crc32c(out->crc, data, length);
  while (length > 0) {
    if (out->used == sizeof out->buffer) flush(out);
    size_t part = sizeof out->buffer - out->used;
    if (part > length) part = length;
    memcpy(out->buffer + out->used, at, part);
    out->used += part;
    at += part;
    length -= part;
  }
}

struct saver {
  struct guest_memory guest;
  struct output out;
  uint64_t data_pages;
  uint64_t zero_pages;
  unsigned char batch[BATCH_PAGES * MAX_PAGE_SIZE];
};

static const unsigned char zeros[MAX_PAGE_SIZE];

enum classification { SAME, DATA, ZERO };

static enum classification classify(const struct saver *saver, const unsigned char *page, uint64_t offset) {
  if (memcmp(page, saver->guest.base + offset, saver->guest.page_size) == 0) return SAME;
  return memcmp(page, zeros, saver->guest.page_size) == 0 ? ZERO : DATA;
}

static void put_run(struct saver *saver, uint64_t page, uint32_t pages, enum classification kind,
                    const unsigned char *bytes) {
  struct record record = {page, pages, kind == DATA ? RECORD_DATA : RECORD_ZERO};
  put(&saver->out, &record, sizeof record);
  if (kind == DATA) {
    put(&saver->out, bytes, (size_t)pages * saver->guest.page_size);
    saver->data_pages += pages;
  } else {
    saver->zero_pages += pages;
  }
}

/* Stores those of up to BATCH_PAGES private pages that differ. */
static void save_batch(struct saver *saver, uint64_t address, uint64_t offset, uint32_t pages) {
  size_t size = saver->guest.page_size;
  read_fully(saver->guest.memory, saver->batch, (size_t)pages * size, address, "guest memory");
  uint32_t start = 0;
  enum classification kind = SAME;
  for (uint32_t page = 0; page <= pages; page++) {
    enum classification next =
        page == pages ? SAME : classify(saver, saver->batch + (size_t)page * size, offset + (uint64_t)page * size);
    if (next == kind && page < pages) continue;
    if (kind != SAME)
      put_run(saver, offset / size + start, page - start, kind, saver->batch + (size_t)start * size);
    start = page;
    kind = next;
  }
}

static void save_mapping(struct saver *saver, const struct mapping *mapping) {
  static uint64_t entries[SCAN_PAGES];
  size_t size = saver->guest.page_size;
  uint64_t total = mapping->length / size;
  for (uint64_t first = 0; first < total; first += SCAN_PAGES) {
    uint32_t count = (uint32_t)(total - first < SCAN_PAGES ? total - first : SCAN_PAGES);
    read_fully(saver->guest.pagemap, entries, count * sizeof *entries,
               (mapping->address / size + first) * sizeof *entries, "the page map");
    for (uint32_t page = 0; page < count;) {
      uint32_t end = page;
      while (end < count && end - page < BATCH_PAGES && (entries[end] & (page_present | page_swapped)) &&
             !(entries[end] & page_of_file))
        end++;
      if (end == page) {
        page++;
        continue;
      }
      uint64_t at = (first + page) * size;
      save_batch(saver, mapping->address + at, mapping->offset + at, end - page);
      page = end;
    }
  }
}

static void save(pid_t pid, const char *base_file, const char *output) {
  static struct saver saver;
  open_guest_memory(&saver.guest, pid, base_file, 0);
  saver.out.fd = open(output, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (saver.out.fd < 0) fail(EXIT_SYSTEM, "cannot create %s", output);

  struct header header = {.format = FORMAT,
                          .page_size = (uint32_t)saver.guest.page_size,
                          .memory_bytes = saver.guest.bytes};
  memcpy(header.magic, magic, sizeof magic);
  put(&saver.out, &header, sizeof header);
  for (int i = 0; i < saver.guest.mapping_count; i++) save_mapping(&saver, &saver.guest.mappings[i]);
  struct record end = {saver.data_pages + saver.zero_pages, 0, RECORD_END};
  put(&saver.out, &end, sizeof end);
  uint32_t crc = saver.out.crc;
  put(&saver.out, &crc, sizeof crc);
  flush(&saver.out);
  if (fsync(saver.out.fd) < 0 || close(saver.out.fd) < 0) fail(EXIT_SYSTEM, "cannot store %s", output);
  printf("{\"dataPages\":%" PRIu64 ",\"zeroPages\":%" PRIu64 "}\n", saver.data_pages, saver.zero_pages);
}

/* Everything is checked before the first page is written. */
static void check_file(const unsigned char *file, uint64_t length, const struct guest_memory *guest) {
  struct header header;
  uint32_t stored;
  if (length < sizeof header + sizeof(struct record) + sizeof stored) fail(EXIT_CORRUPT, "the difference is cut short");
  memcpy(&header, file, sizeof header);
  memcpy(&stored, file + length - sizeof stored, sizeof stored);
  if (memcmp(header.magic, magic, sizeof magic) != 0 || header.format != FORMAT)
    fail(EXIT_CORRUPT, "not a memory difference of this format");
  if (header.page_size != guest->page_size || header.memory_bytes != guest->bytes)
    fail(EXIT_CORRUPT, "the difference belongs to a memory of another size");
  if (crc32c(0, file, length - sizeof stored) != stored) fail(EXIT_CORRUPT, "the difference's checksum is wrong");
}

static void apply_run(const struct guest_memory *guest, const struct record *record, const unsigned char *bytes) {
  uint64_t at = record->first_page * guest->page_size, end = at + record->pages * guest->page_size;
  while (at < end) {
    uint64_t length = bytes || end - at < sizeof zeros ? end - at : sizeof zeros;
    uint64_t address = guest_address(guest, at, &length);
    write_fully_at(guest->memory, bytes ? bytes : zeros, length, address, "guest memory");
    if (bytes) bytes += length;
    at += length;
  }
}

static void apply(pid_t pid, const char *base_file, const char *input) {
  struct guest_memory guest;
  open_guest_memory(&guest, pid, base_file, 1);
  int fd = open(input, O_RDONLY | O_CLOEXEC);
  struct stat info;
  if (fd < 0 || fstat(fd, &info) < 0) fail(EXIT_SYSTEM, "cannot open %s", input);
  errno = 0;
  if (info.st_size <= 0) fail(EXIT_CORRUPT, "the difference is empty");
  uint64_t length = (uint64_t)info.st_size;
  const unsigned char *file = mmap(NULL, length, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
  if (file == MAP_FAILED) fail(EXIT_SYSTEM, "cannot read %s", input);
  check_file(file, length, &guest);

  uint64_t total_pages = guest.bytes / guest.page_size, applied = 0;
  for (uint64_t at = sizeof(struct header);;) {
    struct record record;
    if (length - at < sizeof record + sizeof(uint32_t)) fail(EXIT_CORRUPT, "the difference is cut short");
    memcpy(&record, file + at, sizeof record);
    at += sizeof record;
    if (record.kind == RECORD_END) {
      if (record.first_page != applied || length - at != sizeof(uint32_t))
        fail(EXIT_CORRUPT, "the difference does not end where it says");
      return;
    }
    uint64_t bytes = record.kind == RECORD_DATA ? (uint64_t)record.pages * guest.page_size : 0;
    if ((record.kind != RECORD_DATA && record.kind != RECORD_ZERO) || record.first_page >= total_pages ||
        record.pages == 0 || record.pages > total_pages - record.first_page || bytes > length - at)
      fail(EXIT_CORRUPT, "the difference holds an impossible record");
    apply_run(&guest, &record, bytes ? file + at : NULL);
    at += bytes;
    applied += record.pages;
  }
}

/* Chunks of zeros are left out and the others counted with their place, so holes need not be read. */
static uint32_t checksum(const char *name) {
  static unsigned char chunk[CHUNK];
  int fd = open(name, O_RDONLY | O_CLOEXEC);
  struct stat info;
  if (fd < 0 || fstat(fd, &info) < 0) fail(EXIT_SYSTEM, "cannot open %s", name);
  uint64_t size = (uint64_t)info.st_size;
  uint32_t crc = crc32c(0, &size, sizeof size);
  for (uint64_t at = 0; at < size;) {
    off_t data = lseek(fd, (off_t)at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;
    if (data > 0) at = (uint64_t)data - (uint64_t)data % CHUNK;
    size_t length = size - at < CHUNK ? (size_t)(size - at) : CHUNK;
    read_fully(fd, chunk, length, at, name);
    if (memcmp(chunk, zeros, length) != 0) {
      crc = crc32c(crc, &at, sizeof at);
      crc = crc32c(crc, chunk, length);
    }
    at += length;
  }
  close(fd);
  return crc;
}

int main(int argc, char **argv) {
  crc32c_init();
  if (argc > 2 && strcmp(argv[1], "checksum") == 0) {
    for (int i = 2; i < argc; i++) printf("%08" PRIx32 "\n", checksum(argv[i]));
    return 0;
  }
  char *end;
  long pid = argc == 5 ? strtol(argv[2], &end, 10) : 0;
  if (pid <= 1 || *end != '\0' || (strcmp(argv[1], "save") != 0 && strcmp(argv[1], "apply") != 0)) {
    fprintf(stderr, "usage: memory-difference save|apply PID MEMORY FILE\n       memory-difference checksum FILE...\n");
    return EXIT_USAGE;
  }
  if (strcmp(argv[1], "save") == 0)
    save((pid_t)pid, argv[3], argv[4]);
  else
    apply((pid_t)pid, argv[3], argv[4]);
  return 0;
}
