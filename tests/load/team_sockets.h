/* The sockets of teams: each event in its order, and who has heard of which award. */
#ifndef BATON_LOAD_TEAM_SOCKETS_H
#define BATON_LOAD_TEAM_SOCKETS_H

#include "players.h"

static void award(struct player *listener, const char *puzzle, uint64_t now) {
    struct player *team = listener - listener->seat;
    for (uint32_t i = 0; i < SEATS; i++) {
        struct player *solver = &team[i];
        if ((solver->step != SENT && solver->step != ACCEPTED) || memcmp(solver->pending, puzzle, ID)) continue;
        if (solver->awarded & 1u << listener->seat) strays++;
        solver->awarded |= 1u << listener->seat;
        check_done(solver, now);
        return;
    }
    strays++; /* a second time, or for what nobody has answered */
}

static void event(struct player *listener, const char *text, size_t length, uint64_t now) {
    if (length < 8 || strncmp(text, "{\"seq\":", 7)) return; /* ephemeral */
    char *end;
    uint64_t seq = strtoull(text + 7, &end, 10);
    if (seq != listener->seq + 1) gaps++;
    listener->seq = seq;
    if (strncmp(end, ",\"type\":\"points.awarded\"", 24)) return;
    const char *puzzle = strstr(end, "\"puzzle_id\":\"");
    if (!puzzle) fail("an award without a puzzle", text, length);
    award(listener, puzzle + 13, now);
}

static void send_frame(struct player *player, int kind, const char *text, size_t length) {
    unsigned char frame[2048] = {(unsigned char)(0x80 | kind), 0x80 | 126, (unsigned char)(length >> 8), (unsigned char)length};
    size_t head = 8; /* with a mask of zeros, which changes nothing */
    if (length < 126) frame[1] = (unsigned char)(0x80 | length), frame[2] = frame[3] = 0, head = 6;
    if (length + head > sizeof frame) fail("too long a frame", text, length);
    memcpy(frame + head, text, length);
    if (send(player->file, frame, head + length, MSG_NOSIGNAL) < 0) die("send");
}

/* The whole frame at the beginning: its size, or 0 while it is not complete. */
static size_t frame(struct player *player, unsigned char *at, size_t have, uint64_t now) {
    size_t length = have < 2 ? 0 : at[1] & 127, head = 2;
    if (length >= 126) head = length == 126 ? 4 : 10;
    if (have < head) return 0;
    if (head > 2) length = 0;
    for (size_t i = 2; i < head; i++) length = length << 8 | at[i];
    if (head + length > READ) fail("a frame too long to be true", at, 0);
    if (have < head + length) return 0;
    unsigned char next = at[head + length];
    at[head + length] = 0; /* text ends with a zero while it is looked at */
    char *text = (char *)at + head;
    if (at[0] == 0x89) send_frame(player, 10, text, length);
    else if (at[0] == 0x88) fail("the gateway has closed a socket", text + 2, length - 2);
    else if (player->seq == 0 && strstr(text, "\"type\":\"snapshot\"")) {
        const char *seq = strstr(text, "\"seq\":");
        if (!seq) fail("a snapshot without a number", text, length);
        player->seq = strtoull(seq + 6, NULL, 10);
    } else event(player, text, length, now);
    at[head + length] = next;
    return head + length;
}

static void heard(struct player *player) {
    memcpy(buffer, player->rest, player->have);
    ssize_t got = recv(player->file, buffer + player->have, READ, 0);
    if (got <= 0) fail("the gateway has cut a socket off", player->path, strlen(player->path));
    size_t have = player->have + (size_t)got, used = 0;
    uint64_t now = now_us();
    for (size_t size; (size = frame(player, buffer + used, have - used, now)); used += size) continue;
    player->have = have - used;
    player->rest = grown(player->rest, player->have + 1);
    memcpy(player->rest, buffer + used, player->have);
}

static void open_sockets(void) {
    for (uint32_t i = 0; i < players; i++) {
        struct player *player = &all[i];
        char request[1024], reply[4096];
        player->file = connected(gateway_port);
        player->rest = grown(NULL, 1);
        int length = snprintf(request, sizeof request,
                              "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Protocol: baton.v1\r\n\r\n",
                              player->path, gateway_port);
        if (send(player->file, request, (size_t)length, MSG_NOSIGNAL) != length) die("send");
        size_t have = 0;
        for (ssize_t got; !memmem(reply, have, "\r\n\r\n", 4); have += (size_t)got)
            if ((got = recv(player->file, reply + have, sizeof reply - have, 0)) <= 0) die("handshake");
        if (memcmp(reply, "HTTP/1.1 101", 12)) fail("handshake refused", reply, have);
        send_frame(player, 1, player->join, strlen(player->join));
        while (!player->seq) heard(player);
        watch(player->file, EPOLL_CTL_ADD, player);
    }
}

#endif
