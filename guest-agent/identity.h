/* Files by which programs know the machine they run on: the VM's own, seen in the application's root. */
#ifndef DORMOUSE_IDENTITY_H
#define DORMOUSE_IDENTITY_H

#include <stdint.h>

#define IDENTITY_ID_BYTES 16

/* Makes them in a new directory, with an identity that lasts until the host gives another. */
void identity_start(const char *directory);
/* Names the machine, in place of an earlier name. */
void identity_name(const char *hostname);
/* Ids of the boot and of the machine. */
void identity_number(const uint8_t boot[IDENTITY_ID_BYTES], const uint8_t machine[IDENTITY_ID_BYTES]);

/* Opens them, to be shown under another root. */
void identity_open(void);
/* In the new root, with its /proc: puts them where programs look. What the image has in the way stays as it is. */
void identity_show(void);

#endif
