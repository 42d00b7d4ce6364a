#define _GNU_SOURCE
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

static void speak(const char *format, va_list arguments)
{
    char line[512];
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    if (length < 0)
        return;
    size_t count = (size_t)length < sizeof line - 1 ? (size_t)length : sizeof line - 2;
    line[count] = '\n';
    dprintf(STDERR_FILENO, "dormouse: %.*s", (int)count + 1, line);
}

void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    speak(format, arguments);
    va_end(arguments);
}

void fatal(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    speak(format, arguments);
    va_end(arguments);
    if (getpid() == 1) {
        sync();
        reboot(RB_POWER_OFF);
    }
    _exit(1);
}
