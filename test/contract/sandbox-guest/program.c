/* What runs beside the agent in a sandbox that holds nothing else.
 *
 *   program count            counts in the file /count for ever
 *   program show FILE        prints a file
 *   program name             prints the host name
 *   program reach            connects to 192.0.2.1, port 80, and prints what comes
 *   program ask              asks a name server at 192.0.2.53 and prints the answer
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int count(void) {
  char text[32];
  int fd = open("/count", O_RDWR | O_CREAT | O_TRUNC, 0644);
  for (long n = 1;; n++) {
    int length = snprintf(text, sizeof text, "%ld\n", n);
    if (pwrite(fd, text, (size_t)length, 0) != length) return 1;
    usleep(2000);
  }
}

static int pass_on(int fd) {
  char text[256];
  ssize_t length;
  while ((length = read(fd, text, sizeof text)) > 0)
    if (write(STDOUT_FILENO, text, (size_t)length) != length) return 1;
  return length < 0;
}

static int reach(void) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80)};
  inet_pton(AF_INET, "192.0.2.1", &to.sin_addr);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr *)&to, sizeof to)) return perror("connect"), 1;
  return pass_on(fd);
}

static int ask(void) {
  char answer[64];
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(53)};
  inet_pton(AF_INET, "192.0.2.53", &to.sin_addr);
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (connect(fd, (struct sockaddr *)&to, sizeof to) || send(fd, "question", 8, 0) != 8) return perror("send"), 1;
  ssize_t length = recv(fd, answer, sizeof answer, 0);
  return length < 0 || write(STDOUT_FILENO, answer, (size_t)length) != length;
}

int main(int argc, char **argv) {
  char name[128];
  if (argc == 3 && !strcmp(argv[1], "show")) {
    int fd = open(argv[2], O_RDONLY);
    return fd < 0 || pass_on(fd);
  }
  if (argc != 2) return 2;
  if (!strcmp(argv[1], "count")) return count();
  if (!strcmp(argv[1], "reach")) return reach();
  if (!strcmp(argv[1], "ask")) return ask();
  if (gethostname(name, sizeof name)) return 1;
  puts(name);
  return 0;
}
