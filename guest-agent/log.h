/* Words for the console, and the end of everything. */
#ifndef DORMOUSE_LOG_H
#define DORMOUSE_LOG_H

void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* As process 1 the guest powers off: its host sees the VMM exit. */
_Noreturn void fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
