#define _GNU_SOURCE
#include "capture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "netlink.h"

#define DNS_PORT 53

/* Every address is local now, so the guest would answer a ping in the place of any machine. */
static int ignore_pings(void)
{
    int fd = open("/proc/sys/net/ipv4/icmp_echo_ignore_all", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int error = write(fd, "1", 1) == 1 ? 0 : errno;
    close(fd);
    return error;
}

static int bpf(enum bpf_cmd command, union bpf_attr *attributes, size_t size)
{
    return (int)syscall(SYS_bpf, command, attributes, size);
}

enum { TCP_SLOT, UDP_SLOT, SLOTS };

static int put_socket(int map, uint32_t slot, int fd)
{
    uint64_t value = (uint64_t)fd;
    union bpf_attr attributes = {.map_fd = (uint32_t)map, .key = (uintptr_t)&slot, .value = (uintptr_t)&value, .flags = BPF_ANY};
    return bpf(BPF_MAP_UPDATE_ELEM, &attributes, sizeof attributes);
}

#define LOAD(to, from, field) ((struct bpf_insn){BPF_LDX | BPF_W | BPF_MEM, to, from, offsetof(struct bpf_sk_lookup, field), 0})
#define MOVE(to, from) ((struct bpf_insn){BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0})
#define SET(to, value) ((struct bpf_insn){BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, (int32_t)(value)})
#define AND(to, value) ((struct bpf_insn){BPF_ALU | BPF_AND | BPF_K, to, 0, 0, (int32_t)(value)})
/* Comparisons of 32 bits: an immediate would otherwise be extended by its sign. */
#define UNLESS(reg, value, skip) ((struct bpf_insn){BPF_JMP32 | BPF_JNE | BPF_K, reg, 0, skip, (int32_t)(value)})
#define WHEN(reg, value, skip) ((struct bpf_insn){BPF_JMP32 | BPF_JEQ | BPF_K, reg, 0, skip, (int32_t)(value)})
#define WHEN_NULL(reg, skip) ((struct bpf_insn){BPF_JMP | BPF_JEQ | BPF_K, reg, 0, skip, 0})
#define CALL(function) ((struct bpf_insn){BPF_JMP | BPF_CALL, 0, 0, 0, function})
#define EXIT ((struct bpf_insn){BPF_JMP | BPF_EXIT, 0, 0, 0, 0})

static int load_program(int map)
{
    enum { R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, FP };
    const struct bpf_insn program[] = {
        MOVE(R6, R1),
        LOAD(R1, R6, family),
        UNLESS(R1, AF_INET, 25), /* pass */
        LOAD(R2, R6, local_ip4),
        WHEN(R2, htonl(OWN_ADDRESS), 23), /* pass */
        AND(R2, htonl(0xff000000u)),
        WHEN(R2, htonl(0x7f000000u), 21), /* pass */
        SET(R3, TCP_SLOT),
        LOAD(R1, R6, protocol),
        WHEN(R1, IPPROTO_TCP, 4), /* chosen */
        SET(R3, UDP_SLOT),
        UNLESS(R1, IPPROTO_UDP, 18), /* drop */
        LOAD(R1, R6, local_port),
        UNLESS(R1, DNS_PORT, 16), /* drop */
        /* chosen: */
        {BPF_STX | BPF_W | BPF_MEM, FP, R3, -4, 0},
        {BPF_LD | BPF_DW | BPF_IMM, R1, BPF_PSEUDO_MAP_FD, 0, map},
        {0, 0, 0, 0, 0},
        MOVE(R2, FP),
        {BPF_ALU64 | BPF_ADD | BPF_K, R2, 0, 0, -4},
        CALL(BPF_FUNC_map_lookup_elem),
        WHEN_NULL(R0, 9), /* drop */
        MOVE(R7, R0),
        MOVE(R1, R6),
        MOVE(R2, R7),
        SET(R3, 0),
        CALL(BPF_FUNC_sk_assign),
        MOVE(R1, R7),
        CALL(BPF_FUNC_sk_release),
        /* pass: */
        SET(R0, SK_PASS),
        EXIT,
        /* drop: */
        SET(R0, SK_DROP),
        EXIT,
    };
    static const char license[] = "Apache-2.0";
    union bpf_attr attributes = {
        .prog_type = BPF_PROG_TYPE_SK_LOOKUP,
        .expected_attach_type = BPF_SK_LOOKUP,
        .insns = (uintptr_t)program,
        .insn_cnt = sizeof program / sizeof *program,
        .license = (uintptr_t)license,
    };
    return bpf(BPF_PROG_LOAD, &attributes, sizeof attributes);
}

/* The descriptors of map, program and link stay open: they hold what they stand for. */
static int steer(int tcp, int udp)
{
    union bpf_attr shape = {.map_type = BPF_MAP_TYPE_SOCKMAP, .key_size = sizeof(uint32_t), .value_size = sizeof(uint64_t), .max_entries = SLOTS};
    int map = bpf(BPF_MAP_CREATE, &shape, sizeof shape);
    if (map < 0 || put_socket(map, TCP_SLOT, tcp) || put_socket(map, UDP_SLOT, udp))
        return errno;
    int program = load_program(map);
    int network = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (program < 0 || network < 0)
        return errno;
    union bpf_attr link = {.link_create = {.prog_fd = (uint32_t)program, .target_fd = (uint32_t)network, .attach_type = BPF_SK_LOOKUP}};
    int error = bpf(BPF_LINK_CREATE, &link, sizeof link) < 0 ? errno : 0;
    close(network);
    return error;
}

int capture_start(int tcp, int udp)
{
    int error = steer(tcp, udp);
    if (!error)
        error = ignore_pings();
    if (!error)
        error = netlink_add_address(OWN_ADDRESS);
    /* Last: without all of the above, foreign addresses must stay unreachable. */
    return error ? error : netlink_make_all_local();
}
