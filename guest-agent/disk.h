/* The disk that the image's root file system is on. */
#ifndef DORMOUSE_DISK_H
#define DORMOUSE_DISK_H

/* Tells the host which of its blocks hold nothing, so that they need not be kept. */
void disk_trim(void);

#endif
