#define _GNU_SOURCE
#include "netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOPBACK_INDEX 1

struct request {
    struct nlmsghdr head;
    union {
        struct ifaddrmsg address;
        struct rtmsg route;
        uint8_t space[64];
    } body;
};

static void add_attribute(struct nlmsghdr *head, uint16_t type, uint32_t value)
{
    struct rtattr *attribute = (void *)((char *)head + NLMSG_ALIGN(head->nlmsg_len));
    attribute->rta_type = type;
    attribute->rta_len = RTA_LENGTH(sizeof value);
    memcpy(RTA_DATA(attribute), &value, sizeof value);
    head->nlmsg_len = NLMSG_ALIGN(head->nlmsg_len) + attribute->rta_len;
}

static int ask_kernel(struct request *request)
{
    struct {
        struct nlmsghdr head;
        struct nlmsgerr outcome;
        uint8_t rest[256];
    } answer;
    request->head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0)
        return errno;
    int error = 0;
    if (send(fd, request, request->head.nlmsg_len, 0) < 0 || recv(fd, &answer, sizeof answer, 0) < 0)
        error = errno;
    else if (answer.head.nlmsg_type == NLMSG_ERROR)
        error = -answer.outcome.error;
    close(fd);
    return error;
}

int netlink_add_address(uint32_t address)
{
    struct request request = {.head = {.nlmsg_type = RTM_NEWADDR, .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg))}};
    request.body.address = (struct ifaddrmsg){.ifa_family = AF_INET, .ifa_prefixlen = 32, .ifa_index = LOOPBACK_INDEX};
    add_attribute(&request.head, IFA_LOCAL, htonl(address));
    return ask_kernel(&request);
}

int netlink_make_all_local(void)
{
    struct request request = {.head = {.nlmsg_type = RTM_NEWROUTE, .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg))}};
    request.body.route = (struct rtmsg){
        .rtm_family = AF_INET, .rtm_table = RT_TABLE_LOCAL, .rtm_protocol = RTPROT_BOOT, .rtm_scope = RT_SCOPE_HOST, .rtm_type = RTN_LOCAL};
    add_attribute(&request.head, RTA_OIF, LOOPBACK_INDEX);
    add_attribute(&request.head, RTA_PREFSRC, htonl(OWN_ADDRESS));
    return ask_kernel(&request);
}

int netlink_route_all_to_loopback(void)
{
    struct request request = {.head = {.nlmsg_type = RTM_NEWROUTE, .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg))}};
    request.body.route = (struct rtmsg){
        .rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT, .rtm_scope = RT_SCOPE_LINK, .rtm_type = RTN_UNICAST};
    add_attribute(&request.head, RTA_DST, INADDR_ANY);
    add_attribute(&request.head, RTA_OIF, LOOPBACK_INDEX);
    return ask_kernel(&request);
}
