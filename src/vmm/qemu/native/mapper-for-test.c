/* Stands for a VMM in the helper's test: maps FILE privately and obeys lines on its standard input.
 *   fill OFFSET LENGTH BYTE    writes into the private mapping
 *   dump OUTPUT                writes the whole mapping to a file
 * Each line is answered with "ok". */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv) {
  struct stat info;
  int fd = argc == 2 ? open(argv[1], O_RDONLY) : -1;
  if (fd < 0 || fstat(fd, &info) < 0) return 1;
  size_t size = (size_t)info.st_size;
  unsigned char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  if (memory == MAP_FAILED) return 1;
  char line[512], output[400];
  for (puts("ok"), fflush(stdout); fgets(line, sizeof line, stdin); puts("ok"), fflush(stdout)) {
    size_t offset, length;
    unsigned byte;
    if (sscanf(line, "fill %zu %zu %u", &offset, &length, &byte) == 3) {
      if (offset > size || length > size - offset) return 1;
      memset(memory + offset, (int)byte, length);
    } else if (sscanf(line, "dump %399s", output) == 1) {
      FILE *file = fopen(output, "w");
      if (!file || fwrite(memory, 1, size, file) != size || fclose(file) != 0) return 1;
    } else {
      return 1;
    }
  }
  return 0;
}
