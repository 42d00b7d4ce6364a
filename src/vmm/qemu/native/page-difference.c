/* Stores a file of pages as what of it is not in another, wherever it is there; and makes it whole again.
 *
 *   page-difference save  BASE FILE OUTPUT
 *   page-difference apply BASE INPUT OUTPUT
 *
 * Both write a new file and sync it. A checkpoint's pages move about between two of them, so they are found by what
 * they hold. File: header, one number for each page, padding, and the pages that are not in BASE; integers are
 * little-endian. Whether it is whole its caller knows by a checksum; here nothing may be read beyond its end.
 */
#include "failure.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096, FORMAT = 1, WRITE_PAGES = 256 };

/* Numbers of pages: of BASE, of those stored here with STORED set, or of none because it is all zeros. */
static const uint32_t ZERO = UINT32_MAX, STORED = 1u << 31;

struct header {
  char magic[8];
  uint32_t format;
  uint32_t page_size;
  uint64_t pages;
  uint64_t stored;
  uint64_t base_pages;
};

static const char magic[8] = "DMSEPAGE";

struct file {
  const unsigned char *bytes;
  size_t length;
};

static struct file map(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  struct stat found;
  if (fd < 0 || fstat(fd, &found)) fail(EXIT_SYSTEM, "cannot open %s", path);
  struct file file = {.length = (size_t)found.st_size};
  if (file.length) {
    void *at = mmap(NULL, file.length, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (at == MAP_FAILED) fail(EXIT_SYSTEM, "cannot map %s", path);
    file.bytes = at;
  }
  close(fd);
  return file;
}

static size_t pages_of(const struct file *file, const char *path) {
  errno = 0;
  if (file->length % PAGE || file->length / PAGE >= STORED) fail(EXIT_CORRUPT, "%s is not a file of pages", path);
  return file->length / PAGE;
}

static uint64_t hash(const unsigned char *page) {
  uint64_t lanes[4] = {1, 2, 3, 4};
  for (size_t at = 0; at < PAGE; at += sizeof lanes)
    for (size_t lane = 0; lane < 4; lane++) {
      uint64_t word;
      memcpy(&word, page + at + 8 * lane, sizeof word);
      lanes[lane] = (lanes[lane] ^ word) * 0x9e3779b97f4a7c15ull;
      lanes[lane] ^= lanes[lane] >> 29;
    }
  return (lanes[0] ^ (lanes[1] << 1) ^ (lanes[2] << 2) ^ (lanes[3] << 3)) * 0xff51afd7ed558ccdull;
}

static bool is_zero(const unsigned char *page) {
  return page[0] == 0 && memcmp(page, page + 1, PAGE - 1) == 0;
}

/* Open addressing; 0 is a free place, others are numbers of pages plus one. */
struct index {
  uint32_t *places;
  size_t mask;
  const unsigned char *bytes;
};

static struct index index_pages(const struct file *base, size_t count) {
  size_t size = 64;
  while (size < 2 * count) size *= 2;
  struct index index = {.places = calloc(size, sizeof *index.places), .mask = size - 1, .bytes = base->bytes};
  if (!index.places) fail(EXIT_SYSTEM, "no memory for an index of %zu pages", count);
  for (size_t page = 0; page < count; page++) {
    size_t at = hash(base->bytes + page * PAGE) & index.mask;
    /* Of equal pages one is enough. */
    while (index.places[at] && memcmp(base->bytes + (size_t)(index.places[at] - 1) * PAGE, base->bytes + page * PAGE, PAGE))
      at = (at + 1) & index.mask;
    if (!index.places[at]) index.places[at] = (uint32_t)page + 1;
  }
  return index;
}

/* Number of a page of BASE with these bytes; ZERO when there is none. */
static uint32_t look_up(const struct index *index, const unsigned char *page) {
  for (size_t at = hash(page) & index->mask; index->places[at]; at = (at + 1) & index->mask) {
    const uint32_t number = index->places[at] - 1;
    if (!memcmp(index->bytes + (size_t)number * PAGE, page, PAGE)) return number;
  }
  return ZERO;
}

static int create(const char *path) {
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) fail(EXIT_SYSTEM, "cannot make %s", path);
  return fd;
}

static void write_all(int fd, const void *bytes, size_t length) {
  const unsigned char *at = bytes;
  while (length > 0) {
    ssize_t put = write(fd, at, length);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail(EXIT_SYSTEM, "cannot write");
    at += put;
    length -= (size_t)put;
  }
}

static void finish(int fd) {
  if (fsync(fd) || close(fd)) fail(EXIT_SYSTEM, "cannot sync what was written");
}

static size_t padded(size_t length) { return (length + PAGE - 1) / PAGE * PAGE; }

static void save(const char *base_path, const char *path, const char *output) {
  struct file base = map(base_path), file = map(path);
  struct header header = {.format = FORMAT, .page_size = PAGE, .pages = pages_of(&file, path), .base_pages = pages_of(&base, base_path)};
  memcpy(header.magic, magic, sizeof magic);
  struct index index = index_pages(&base, header.base_pages);
  const size_t head = padded(sizeof header + header.pages * sizeof(uint32_t));
  unsigned char *start = calloc(1, head);
  uint32_t *stored = calloc(header.pages ? header.pages : 1, sizeof *stored);
  if (!start || !stored) fail(EXIT_SYSTEM, "no memory for a map of %" PRIu64 " pages", header.pages);
  for (size_t page = 0; page < header.pages; page++) {
    const unsigned char *bytes = file.bytes + page * PAGE;
    uint32_t number = ZERO;
    if (!is_zero(bytes) && (number = look_up(&index, bytes)) == ZERO) {
      stored[header.stored] = (uint32_t)page;
      number = STORED | (uint32_t)header.stored++;
    }
    memcpy(start + sizeof header + page * sizeof number, &number, sizeof number);
  }
  memcpy(start, &header, sizeof header);
  int fd = create(output);
  write_all(fd, start, head);
  for (size_t at = 0; at < header.stored; at++) write_all(fd, file.bytes + (size_t)stored[at] * PAGE, PAGE);
  finish(fd);
}

static const unsigned char *find(const struct header *header, const struct file *base, const unsigned char *pages, uint32_t number, const char *input) {
  static const unsigned char zeros[PAGE];
  if (number == ZERO) return zeros;
  if (number & STORED) {
    if ((number & ~STORED) < header->stored) return pages + (size_t)(number & ~STORED) * PAGE;
  } else if (number < header->base_pages) {
    return base->bytes + (size_t)number * PAGE;
  }
  fail(EXIT_CORRUPT, "%s names a page that is not there", input);
}

static void apply(const char *base_path, const char *input, const char *output) {
  struct file base = map(base_path), file = map(input);
  struct header header;
  errno = 0;
  if (file.length < sizeof header) fail(EXIT_CORRUPT, "%s is cut short", input);
  memcpy(&header, file.bytes, sizeof header);
  if (memcmp(header.magic, magic, sizeof magic) || header.format != FORMAT || header.page_size != PAGE)
    fail(EXIT_CORRUPT, "%s is no difference of pages", input);
  if (header.pages >= STORED || header.stored > header.pages || header.base_pages != pages_of(&base, base_path) ||
      file.length != padded(sizeof header + header.pages * sizeof(uint32_t)) + header.stored * PAGE)
    fail(EXIT_CORRUPT, "%s does not fit what it was made from", input);
  const unsigned char *numbers = file.bytes + sizeof header;
  const unsigned char *pages = file.bytes + padded(sizeof header + header.pages * sizeof(uint32_t));
  static unsigned char buffer[WRITE_PAGES * PAGE];
  int fd = create(output);
  size_t used = 0;
  for (size_t page = 0; page < header.pages; page++) {
    uint32_t number;
    memcpy(&number, numbers + page * sizeof number, sizeof number);
    memcpy(buffer + used, find(&header, &base, pages, number, input), PAGE);
    used += PAGE;
    if (used == sizeof buffer || page + 1 == header.pages) {
      write_all(fd, buffer, used);
      used = 0;
    }
  }
  if (close(fd)) fail(EXIT_SYSTEM, "cannot write %s", output);
}

int main(int argc, char **argv) {
  if (argc == 5 && !strcmp(argv[1], "save")) save(argv[2], argv[3], argv[4]);
  else if (argc == 5 && !strcmp(argv[1], "apply")) apply(argv[2], argv[3], argv[4]);
  else {
    errno = 0;
    fail(EXIT_USAGE, "usage: page-difference save BASE FILE OUTPUT | apply BASE INPUT OUTPUT");
  }
  return 0;
}
