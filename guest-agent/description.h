/* A process as the host describes it. */
#ifndef DORMOUSE_DESCRIPTION_H
#define DORMOUSE_DESCRIPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/types.h>

#define MAX_GROUPS 256

struct description {
    char *storage;           /* what the strings point into */
    char **argv, **env;      /* each ends in a null pointer */
    size_t argc, envc, group_count;
    const char *workdir, *hostname;
    const char *user;        /* as in USER of a Dockerfile; null: uid and gid count */
    uid_t uid;
    gid_t gid, groups[MAX_GROUPS];
    bool has_user, all_capabilities, like_app, hold, detach, pty;
    struct winsize size;
};

/* 0 or an errno; `description` is to be freed either way. */
int description_parse(const uint8_t *fields, size_t length, struct description *description);
/* Takes from another what this one leaves open: variables, directory, user, rights. It must live as long. */
int description_complete(struct description *description, const struct description *other);
void description_free(struct description *description);

#endif
