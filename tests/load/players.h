/* The players of many teams, and what each of their sockets and requests has in common. */
#ifndef BATON_LOAD_PLAYERS_H
#define BATON_LOAD_PLAYERS_H

#include "common.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SEATS = 4, ID = 36, READ = 1 << 17, MOST_DONE = 1 << 20 };
enum kind { HTTP, SOCKET };
enum step { IDLE, LOOKING, SENT, ACCEPTED };

struct player {
    enum kind kind; /* SOCKET: comes first, as in struct http */
    int file;
    uint32_t seat;
    char *path, *join, *id, *token;
    char puzzle[ID + 1], answer[256]; /* the open puzzle and the right answer to it, "" while unknown */
    enum step step;
    char pending[ID + 1]; /* the puzzle that was answered */
    unsigned awarded;     /* a bit for each socket of the team that has heard of the award */
    uint64_t due_at, accepted_at, seq;
    unsigned char *rest;
    size_t have;
};

static struct player *all;
static uint32_t players, done, accepted, under_way, strays, gaps, too_late;
static uint32_t since_accepted[MOST_DONE], since_sent[MOST_DONE];
static uint64_t from, until;
static uint16_t gateway_port, puzzle_port;
static int loop;
static unsigned char buffer[2 * READ];

static void fail(const char *what, const void *said, size_t length) {
    fprintf(stderr, "%s: %.*s\n", what, (int)(length < 600 ? length : 600), (const char *)said);
    exit(1);
}

static int connected(uint16_t port) {
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1, file = socket(AF_INET, SOCK_STREAM, 0);
    if (file < 0 || connect(file, (struct sockaddr *)&there, sizeof there)) die("connect");
    setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return file;
}

static void watch(int file, int operation, void *owner) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = owner};
    if (epoll_ctl(loop, operation, file, &event)) die("epoll_ctl");
}

static char *part(char **line, char end) {
    char *found = *line, *stop = strchr(found, end);
    if (!stop) die("a player with too few parts");
    *stop = 0;
    *line = stop + 1;
    return found;
}

static void read_players(char *text) {
    for (; *text; players++) {
        all = grown(all, (players + 1) * sizeof *all);
        all[players] = (struct player){.kind = SOCKET, .seat = players % SEATS};
        all[players].path = part(&text, '\t');
        all[players].join = part(&text, '\t');
        all[players].id = part(&text, '\t');
        all[players].token = part(&text, '\n');
    }
    if (!players || players % SEATS) die("a team that is not whole");
}

/* The answer was accepted and everybody has heard of the award. */
static void finish(struct player *player, uint64_t now) {
    player->step = IDLE;
    under_way--;
    if (now < from || now >= until || done == MOST_DONE) return;
    since_accepted[done] = (uint32_t)(now - player->accepted_at);
    since_sent[done++] = (uint32_t)(now - player->due_at);
}

static void check_done(struct player *player, uint64_t now) {
    if (player->step == ACCEPTED && player->awarded == (1u << SEATS) - 1) finish(player, now);
}

#endif
