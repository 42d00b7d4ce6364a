/* Process 1 of the application's namespace. */
#ifndef DORMOUSE_REAPER_H
#define DORMOUSE_REAPER_H

/*
 * Splits the calling process in two: it returns in the application-to-be; the other one stays, waits for everything
 * that lost its parent, hands on signals, and ends with the application, whose wait status it writes to `verdict`.
 */
void reaper_start(int verdict);

/* Is what stays of the above and no application: never returns. A signal that asks a program to end ends it. */
_Noreturn void reaper_hold(int verdict);

#endif
