#ifndef JAIL_FILTER_H
#define JAIL_FILTER_H

/* Refuses, for good and also to programs executed later, system calls by which a process reaches others, the
 * network or the kernel's less travelled parts. Sets no_new_privs, without which the kernel takes no filter. */
void install_jail_filter(void);

#endif
