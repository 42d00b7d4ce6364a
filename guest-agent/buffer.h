/* A byte queue: written at the end, consumed at the front. */
#ifndef DORMOUSE_BUFFER_H
#define DORMOUSE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

struct buffer {
    uint8_t *bytes;
    size_t start, end, capacity;
};

static inline size_t buffer_length(const struct buffer *b) { return b->end - b->start; }
static inline const uint8_t *buffer_head(const struct buffer *b) { return b->bytes + b->start; }

/* Room for at least `wanted` more bytes at the returned place; buffer_added() makes them part of the queue. */
uint8_t *buffer_room(struct buffer *b, size_t wanted);
static inline void buffer_added(struct buffer *b, size_t count) { b->end += count; }
void buffer_append(struct buffer *b, const void *bytes, size_t count);
void buffer_consume(struct buffer *b, size_t count);
void buffer_clear(struct buffer *b);
void buffer_free(struct buffer *b);

#endif
