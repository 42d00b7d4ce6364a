#include "jail-filter.h"

#include "failure.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define THIS_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define THIS_ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "no seccomp filter for this architecture"
#endif

/* Never needed by a VMM without a network device, whatever the arguments. */
static const uint16_t refused[] = {
    /* other processes */
    SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_process_madvise, SYS_process_mrelease, SYS_kcmp,
    SYS_pidfd_open, SYS_pidfd_getfd, SYS_pidfd_send_signal, SYS_tkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo,
    SYS_setpriority, SYS_sched_setparam, SYS_sched_setscheduler, SYS_sched_setattr, SYS_sched_setaffinity,
    SYS_ioprio_set, SYS_migrate_pages, SYS_move_pages,
    /* mounts, roots and namespaces */
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_unshare, SYS_setns, SYS_mount_setattr, SYS_move_mount,
    SYS_open_tree, SYS_fsopen, SYS_fsmount, SYS_fsconfig, SYS_fspick, SYS_mknodat, SYS_name_to_handle_at,
    SYS_open_by_handle_at, SYS_quotactl, SYS_quotactl_fd, SYS_swapon, SYS_swapoff,
    /* identities */
    SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid, SYS_setresuid, SYS_setresgid, SYS_setgroups, SYS_setfsuid,
    SYS_setfsgid, SYS_capset, SYS_personality, SYS_sethostname, SYS_setdomainname,
    /* the kernel itself */
    SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register,
    SYS_keyctl, SYS_add_key, SYS_request_key, SYS_fanotify_init, SYS_acct, SYS_syslog, SYS_reboot, SYS_init_module,
    SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_settimeofday, SYS_clock_settime, SYS_adjtimex,
    SYS_clock_adjtime, SYS_lookup_dcookie,
#if defined(__x86_64__)
    SYS_mknod, SYS_iopl, SYS_ioperm, SYS_modify_ldt, SYS_kexec_file_load, SYS_uselib, SYS_ustat,
#endif
};

enum { REFUSED = sizeof refused / sizeof *refused };
static const uint32_t namespace_flags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                                        CLONE_NEWNET | CLONE_NEWCGROUP;

/* Low half of an argument; both architectures are little-endian. Identifiers and flags are 32 bits wide. */
#define ARGUMENT(n) offsetof(struct seccomp_data, args[n])
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(offset))
#define UNLESS_EQUAL_SKIP(value, count) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), 0, count)
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)
#define ERROR(number) (SECCOMP_RET_ERRNO | ((number) & SECCOMP_RET_DATA))

/* `call` is allowed when its argument has the value; the number of the call is loaded before and not after. */
#define ONLY_WHEN(call, argument, value)                                                                       \
  UNLESS_EQUAL_SKIP(call, 4), LOAD(ARGUMENT(argument)), UNLESS_EQUAL_SKIP(value, 1), RETURN(SECCOMP_RET_ALLOW), \
      RETURN(ERROR(EPERM))

void install_jail_filter(void) {
  /* The program keeps its process id when it executes another. */
  const uint32_t self = (uint32_t)getpid();
  struct sock_filter head[] = {
      LOAD(offsetof(struct seccomp_data, arch)),
      UNLESS_EQUAL_SKIP(THIS_ARCHITECTURE, 1),
      BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),
      RETURN(SECCOMP_RET_KILL_PROCESS),
      LOAD(offsetof(struct seccomp_data, nr)),
#if defined(__x86_64__)
      /* The x32 calls are others by the same arguments. */
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1),
      RETURN(SECCOMP_RET_KILL_PROCESS),
#endif
      ONLY_WHEN(SYS_socket, 0, AF_UNIX),
      ONLY_WHEN(SYS_socketpair, 0, AF_UNIX),
      ONLY_WHEN(SYS_kill, 0, self),
      ONLY_WHEN(SYS_tgkill, 0, self),
      /* Its flags are in memory, where a filter cannot look; the C library then uses clone. */
      UNLESS_EQUAL_SKIP(SYS_clone3, 1),
      RETURN(ERROR(ENOSYS)),
      UNLESS_EQUAL_SKIP(SYS_clone, 4),
      LOAD(ARGUMENT(0)),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, namespace_flags, 0, 1),
      RETURN(ERROR(EPERM)),
      RETURN(SECCOMP_RET_ALLOW),
      /* Limits of other processes; 0 is the caller. */
      UNLESS_EQUAL_SKIP(SYS_prlimit64, 5),
      LOAD(ARGUMENT(0)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
      UNLESS_EQUAL_SKIP(self, 1),
      RETURN(SECCOMP_RET_ALLOW),
      RETURN(ERROR(EPERM)),
  };
  enum { HEAD = sizeof head / sizeof *head };
  struct sock_filter filter[HEAD + REFUSED + 2];
  for (int i = 0; i < HEAD; i++) filter[i] = head[i];
  for (int i = 0; i < REFUSED; i++)
    filter[HEAD + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused[i], (uint8_t)(REFUSED - i), 0);
  filter[HEAD + REFUSED] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
  filter[HEAD + REFUSED + 1] = (struct sock_filter)RETURN(ERROR(EPERM));
  struct sock_fprog program = {.len = HEAD + REFUSED + 2, .filter = filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) fail(EXIT_SYSTEM, "cannot give up new privileges");
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) fail(EXIT_SYSTEM, "cannot install the filter");
}
