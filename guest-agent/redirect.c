#define _GNU_SOURCE
#include "redirect.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* After <netinet/in.h>, and not with <net/if.h>, which says the same otherwise. */
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter_ipv4/ip_tables.h>

#include "egress.h"
#include "netlink.h"

#define DNS_PORT 53
#define LOOPBACK_NET 0x7f000000u
#define LOOPBACK_MASK 0xff000000u

struct verdict {
    struct ipt_entry match;
    struct xt_standard_target target;
};

struct translation {
    struct ipt_entry match;
    struct xt_entry_target target;
    struct nf_nat_ipv4_multi_range_compat range;
} __attribute__((aligned(8)));

/* With the port of a UDP packet. */
struct port_translation {
    struct ipt_entry match;
    struct xt_entry_match udp;
    struct xt_udp ports;
    struct xt_entry_target target __attribute__((aligned(8)));
    struct nf_nat_ipv4_multi_range_compat range;
} __attribute__((aligned(8)));

struct end {
    struct ipt_entry match;
    struct xt_error_target target;
};

/* In the order of the hooks; each chain ends with what becomes of everything else. */
struct rules {
    struct verdict arriving, input;
    struct verdict to_loopback, to_itself;
    struct translation connections;
    struct port_translation queries;
    struct verdict output, leaving;
    struct end end;
};

static void accept_rule(struct verdict *rule)
{
    *rule = (struct verdict){
        .match = {.target_offset = offsetof(struct verdict, target), .next_offset = sizeof *rule},
        .target = {.target.u.user.target_size = sizeof rule->target, .verdict = -NF_ACCEPT - 1},
    };
}

static void match_address(struct ipt_entry *match, uint32_t address, uint32_t mask)
{
    match->ip.dst.s_addr = htonl(address);
    match->ip.dmsk.s_addr = htonl(mask);
}

static void translate(struct xt_entry_target *target, struct nf_nat_ipv4_multi_range_compat *range, size_t size)
{
    target->u.user.target_size = (uint16_t)size;
    strcpy(target->u.user.name, "DNAT");
    range->rangesize = 1;
    range->range[0] = (struct nf_nat_ipv4_range){
        .flags = NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED,
        .min_ip = htonl(EGRESS_ADDRESS),
        .max_ip = htonl(EGRESS_ADDRESS),
        .min.all = htons(EGRESS_PORT),
        .max.all = htons(EGRESS_PORT),
    };
}

static void fill(struct rules *rules)
{
    struct verdict *const accepted[] = {&rules->arriving, &rules->input, &rules->to_loopback, &rules->to_itself, &rules->output, &rules->leaving};
    for (size_t at = 0; at < sizeof accepted / sizeof *accepted; at++)
        accept_rule(accepted[at]);
    match_address(&rules->to_loopback.match, LOOPBACK_NET, LOOPBACK_MASK);
    match_address(&rules->to_itself.match, OWN_ADDRESS, UINT32_MAX);
    struct translation *tcp = &rules->connections;
    tcp->match.ip.proto = IPPROTO_TCP;
    tcp->match.target_offset = offsetof(struct translation, target);
    tcp->match.next_offset = sizeof *tcp;
    translate(&tcp->target, &tcp->range, sizeof *tcp - offsetof(struct translation, target));
    struct port_translation *udp = &rules->queries;
    udp->match.ip.proto = IPPROTO_UDP;
    udp->match.target_offset = offsetof(struct port_translation, target);
    udp->match.next_offset = sizeof *udp;
    udp->udp.u.user.match_size = (uint16_t)(offsetof(struct port_translation, target) - offsetof(struct port_translation, udp));
    strcpy(udp->udp.u.user.name, "udp");
    udp->ports = (struct xt_udp){.spts = {0, UINT16_MAX}, .dpts = {DNS_PORT, DNS_PORT}};
    translate(&udp->target, &udp->range, sizeof *udp - offsetof(struct port_translation, target));
    rules->end.match.target_offset = offsetof(struct end, target);
    rules->end.match.next_offset = sizeof rules->end;
    rules->end.target.target.u.user.target_size = sizeof rules->end.target;
    strcpy(rules->end.target.target.u.user.name, XT_ERROR_TARGET);
    strcpy(rules->end.target.errorname, XT_ERROR_TARGET);
}

static int install(void)
{
    enum { ENTRIES = 9 };
    struct {
        struct ipt_replace head;
        struct rules rules;
    } table = {.head = {.name = "nat", .num_entries = ENTRIES, .size = sizeof table.rules}};
    struct xt_counters counters[ENTRIES];
    struct ipt_replace *head = &table.head;
    head->valid_hooks = 1 << NF_INET_PRE_ROUTING | 1 << NF_INET_LOCAL_IN | 1 << NF_INET_LOCAL_OUT | 1 << NF_INET_POST_ROUTING;
    head->hook_entry[NF_INET_PRE_ROUTING] = head->underflow[NF_INET_PRE_ROUTING] = offsetof(struct rules, arriving);
    head->hook_entry[NF_INET_LOCAL_IN] = head->underflow[NF_INET_LOCAL_IN] = offsetof(struct rules, input);
    head->hook_entry[NF_INET_LOCAL_OUT] = offsetof(struct rules, to_loopback);
    head->underflow[NF_INET_LOCAL_OUT] = offsetof(struct rules, output);
    head->hook_entry[NF_INET_POST_ROUTING] = head->underflow[NF_INET_POST_ROUTING] = offsetof(struct rules, leaving);
    head->num_counters = ENTRIES;
    head->counters = counters;
    fill(&table.rules);
    int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    if (fd < 0)
        return errno;
    int error = setsockopt(fd, IPPROTO_IP, IPT_SO_SET_REPLACE, &table, sizeof table) ? errno : 0;
    close(fd);
    return error;
}

int redirect_start(int tcp, int udp)
{
    (void)tcp, (void)udp;
    int error = install();
    if (!error)
        error = netlink_add_address(OWN_ADDRESS);
    /* Last: without all of the above, foreign addresses must stay unreachable. */
    return error ? error : netlink_route_all_to_loopback();
}

bool redirect_meant(int fd, struct sockaddr_in *meant)
{
    socklen_t size = sizeof *meant;
    return !getsockopt(fd, IPPROTO_IP, SO_ORIGINAL_DST, meant, &size) && meant->sin_family == AF_INET;
}
