#include "buffer.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"

uint8_t *buffer_room(struct buffer *b, size_t wanted)
{
    if (b->capacity - b->end >= wanted)
        return b->bytes + b->end;
    size_t length = buffer_length(b);
    if (b->start > 0) {
        memmove(b->bytes, b->bytes + b->start, length);
        b->start = 0;
        b->end = length;
    }
    if (b->capacity - b->end < wanted) {
        size_t capacity = b->capacity ? b->capacity : 4096;
        while (capacity - length < wanted)
            capacity *= 2;
        uint8_t *bytes = realloc(b->bytes, capacity);
        if (!bytes)
            fatal("out of memory");
        b->bytes = bytes;
        b->capacity = capacity;
    }
    return b->bytes + b->end;
}

void buffer_append(struct buffer *b, const void *bytes, size_t count)
{
    if (count == 0)
        return;
    memcpy(buffer_room(b, count), bytes, count);
    buffer_added(b, count);
}

void buffer_consume(struct buffer *b, size_t count)
{
    b->start += count;
    if (b->start == b->end)
        b->start = b->end = 0;
}

void buffer_clear(struct buffer *b) { b->start = b->end = 0; }

void buffer_free(struct buffer *b)
{
    free(b->bytes);
    *b = (struct buffer){0};
}
