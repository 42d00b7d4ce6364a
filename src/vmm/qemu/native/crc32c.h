#ifndef CRC32C_H
#define CRC32C_H

#include <stddef.h>
#include <stdint.h>

void crc32c_init(void);

/* Continues a CRC-32C (Castagnoli); start with 0. */
uint32_t crc32c(uint32_t crc, const void *data, size_t length);

#endif
