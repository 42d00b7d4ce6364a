#define _GNU_SOURCE
#include "description.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

static int add_text(struct description *d, uint8_t tag, char *text)
{
    switch (tag) {
    case FIELD_ARGV:
        d->argv[d->argc++] = text;
        return 0;
    case FIELD_ENV:
        d->env[d->envc++] = text;
        return 0;
    case FIELD_WORKDIR:
        d->workdir = text;
        return 0;
    case FIELD_HOSTNAME:
        d->hostname = text;
        return 0;
    case FIELD_USER:
        d->user = text;
        d->has_user = true;
        return 0;
    case FIELD_ALL_CAPABILITIES:
        d->all_capabilities = true;
        return 0;
    case FIELD_LIKE_APP:
        d->like_app = true;
        return 0;
    case FIELD_DETACH:
        d->detach = true;
        return 0;
    case FIELD_HOLD:
        d->hold = true;
        return 0;
    default:
        return EPROTO;
    }
}

static int add_number(struct description *d, uint8_t tag, const char *bytes)
{
    const uint8_t *number = (const uint8_t *)bytes;
    switch (tag) {
    case FIELD_UID:
        d->uid = get_u32(number);
        d->has_user = true;
        return 0;
    case FIELD_GID:
        d->gid = get_u32(number);
        return 0;
    case FIELD_GROUP:
        if (d->group_count == MAX_GROUPS)
            return E2BIG;
        d->groups[d->group_count++] = get_u32(number);
        return 0;
    case FIELD_PTY:
        d->pty = true;
        d->size = (struct winsize){.ws_col = get_u16(number), .ws_row = get_u16(number + 2)};
        return 0;
    default:
        return EPROTO;
    }
}

static int add_field(struct description *d, uint8_t tag, char *value, size_t length)
{
    const bool number = tag == FIELD_UID || tag == FIELD_GID || tag == FIELD_GROUP || tag == FIELD_PTY;
    if (number)
        return length == 4 ? add_number(d, tag, value) : EPROTO;
    return add_text(d, tag, value);
}

/* Words and variables that the fields can hold: each takes at least its head. */
static int make_room(struct description *d, size_t length)
{
    const size_t most = length / FIELD_HEAD_BYTES + 1;
    d->storage = malloc(length + 1);
    d->argv = calloc(most, sizeof *d->argv);
    d->env = calloc(most, sizeof *d->env);
    return d->storage && d->argv && d->env ? 0 : ENOMEM;
}

int description_parse(const uint8_t *fields, size_t length, struct description *d)
{
    if (length > WIRE_MAX_DESCRIPTION)
        return E2BIG;
    int error = make_room(d, length);
    /* A value's terminating zero is paid for by the head of its field. */
    char *store = d->storage, *value = store;
    while (!error && length > 0) {
        if (length < FIELD_HEAD_BYTES || length - FIELD_HEAD_BYTES < get_u16(fields + 1))
            return EPROTO;
        const size_t size = get_u16(fields + 1);
        const bool continued = (fields[0] & FIELD_CONTINUED) != 0;
        memcpy(store, fields + FIELD_HEAD_BYTES, size);
        store += size;
        if (!continued) {
            *store = 0;
            error = add_field(d, fields[0], value, (size_t)(store - value));
            value = ++store;
        }
        fields += FIELD_HEAD_BYTES + size;
        length -= FIELD_HEAD_BYTES + size;
    }
    if (error)
        return error;
    if (d->detach && (d->hold || d->pty))
        return EPROTO;
    return (d->argc == 0) != d->hold || store != value ? EPROTO : 0;
}

static bool names_variable(const char *entry, const char *other)
{
    const char *mark = strchr(other, '=');
    const size_t length = mark ? (size_t)(mark - other) : strlen(other);
    return strncmp(entry, other, length) == 0 && entry[length] == '=';
}

static bool has_variable(const struct description *d, const char *other)
{
    for (size_t i = 0; i < d->envc; i++)
        if (names_variable(d->env[i], other))
            return true;
    return false;
}

int description_complete(struct description *d, const struct description *other)
{
    char **env = calloc(d->envc + other->envc + 1, sizeof *env);
    if (!env)
        return ENOMEM;
    size_t count = 0;
    for (size_t i = 0; i < other->envc; i++) {
        /* Whose home it is, the other user's entry says. */
        const bool home = d->has_user && strncmp(other->env[i], "HOME=", 5) == 0;
        if (!home && !has_variable(d, other->env[i]))
            env[count++] = other->env[i];
    }
    memcpy(env + count, d->env, d->envc * sizeof *env);
    free(d->env);
    d->env = env;
    d->envc += count;
    if (!d->workdir)
        d->workdir = other->workdir;
    d->all_capabilities = other->all_capabilities;
    if (!d->has_user) {
        d->uid = other->uid;
        d->gid = other->gid;
        d->group_count = other->group_count;
        memcpy(d->groups, other->groups, sizeof d->groups);
    }
    return 0;
}

void description_free(struct description *d)
{
    free(d->argv);
    free(d->env);
    free(d->storage);
    free(d);
}
