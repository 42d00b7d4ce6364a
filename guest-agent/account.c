#define _GNU_SOURCE
#include "account.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 4096
/* The image's own files, so what they hold is anything; beyond this nobody is looked for. */
#define MOST_LINES 65536

struct entry {
    char line[LINE_BYTES];
    char *fields[7];
    int count;
};

typedef bool (*visit)(const struct entry *entry, void *context);

static void split(struct entry *entry)
{
    char *rest = entry->line;
    entry->line[strcspn(entry->line, "\n")] = 0;
    entry->count = 0;
    while (rest && entry->count < 7)
        entry->fields[entry->count++] = strsep(&rest, ":");
}

/* Whether `done` said so of some line. */
static bool search(const char *path, visit done, void *context)
{
    /* A pipe or a device in its place must not hold the process up. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    if (!file) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    struct entry entry;
    bool found = false;
    for (int line = 0; !found && line < MOST_LINES && fgets(entry.line, sizeof entry.line, file); line++) {
        split(&entry);
        found = done(&entry, context);
    }
    fclose(file);
    return found;
}

static bool number(const char *text, unsigned *value)
{
    char *end;
    errno = 0;
    const unsigned long long read = strtoull(text, &end, 10);
    if (errno || *text < '0' || *text > '9' || *end || read > 0xfffffffeULL)
        return false;
    *value = (unsigned)read;
    return true;
}

struct wanted {
    const char *name;
    unsigned id;
    bool by_id;
    struct entry found;
};

static bool is_wanted(const struct entry *entry, void *context)
{
    struct wanted *wanted = context;
    unsigned id;
    if (entry->count < 3 || !number(entry->fields[2], &id))
        return false;
    if (wanted->by_id ? id != wanted->id : strcmp(entry->fields[0], wanted->name) != 0)
        return false;
    wanted->id = id;
    memcpy(wanted->found.line, entry->line, sizeof entry->line);
    for (int i = 0; i < entry->count; i++)
        wanted->found.fields[i] = wanted->found.line + (entry->fields[i] - entry->line);
    wanted->found.count = entry->count;
    return true;
}

static bool find(const char *path, const char *name, struct wanted *wanted)
{
    wanted->name = name;
    wanted->id = 0;
    wanted->by_id = number(name, &wanted->id);
    return search(path, is_wanted, wanted);
}

/* Whether an id is known: by the file, as a number, or because there is a root of everything. */
static bool identify(const struct wanted *wanted, bool listed)
{
    return listed || wanted->by_id || strcmp(wanted->name, "root") == 0;
}

struct membership {
    const char *user;
    struct description *description;
};

static bool note_membership(const struct entry *entry, void *context)
{
    struct membership *membership = context;
    struct description *d = membership->description;
    unsigned id;
    if (entry->count < 4 || !number(entry->fields[2], &id))
        return false;
    for (char *members = entry->fields[3], *member; (member = strsep(&members, ","));)
        if (strcmp(member, membership->user) == 0 && d->group_count < MAX_GROUPS)
            d->groups[d->group_count++] = id;
    return false;
}

static int set_home(struct description *d, const char *home)
{
    for (size_t i = 0; i < d->envc; i++)
        if (strncmp(d->env[i], "HOME=", 5) == 0)
            return 0;
    char *entry;
    char **env = calloc(d->envc + 2, sizeof *env);
    if (!env || asprintf(&entry, "HOME=%s", home) < 0)
        return ENOMEM;
    memcpy(env, d->env, d->envc * sizeof *env);
    env[d->envc++] = entry;
    free(d->env);
    d->env = env;
    return 0;
}

int account_find(struct description *d)
{
    static struct wanted user, group;
    char name[LINE_BYTES];
    if (!d->user)
        return 0;
    if (strlen(d->user) >= sizeof name)
        return ESRCH;
    strcpy(name, d->user);
    char *group_name = strchr(name, ':');
    if (group_name)
        *group_name++ = 0;
    const bool known = find("/etc/passwd", name, &user);
    if (!identify(&user, known))
        return ESRCH;
    d->uid = user.id;
    d->gid = 0;
    if (known && user.found.count > 3)
        (void)number(user.found.fields[3], &d->gid);
    d->group_count = 0;
    if (group_name) {
        if (!identify(&group, find("/etc/group", group_name, &group)))
            return ENODATA;
        d->gid = group.id;
    } else if (known) {
        struct membership membership = {user.found.fields[0], d};
        search("/etc/group", note_membership, &membership);
    }
    return set_home(d, known && user.found.count > 5 && *user.found.fields[5] ? user.found.fields[5] : "/");
}
