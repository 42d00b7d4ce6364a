#ifndef FAILURE_H
#define FAILURE_H

/* Exit codes the caller tells apart. */
enum { EXIT_SYSTEM = 1, EXIT_USAGE = 2, EXIT_CORRUPT = 3 };

/* Prints one line (with errno's text when it is set) and exits with the code. */
_Noreturn void fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
