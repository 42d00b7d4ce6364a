/* The application: one process for the life of the guest, and what it prints. */
#ifndef DORMOUSE_APP_H
#define DORMOUSE_APP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define APP_STATUS_BYTES 9

/* 0 or an errno; EALREADY when there was one before, unless that has ended with 0. */
int app_start(const uint8_t *fields, size_t length);
/* 0 unless it runs. */
pid_t app_pid(void);
/* state u8 (0 not started, 1 running, 2 exited), code u32, signal u32 */
void app_describe(uint8_t out[APP_STATUS_BYTES]);
/* True when the child was the application. */
int app_child_ended(pid_t pid, int status);
/* Hands kept output to the host as far as there is room, and reads on as far as there is room for more; every turn. */
void app_send_logs(void);

#endif
