/* The clients' connections: each knows the number of the last message that it was given. */
#ifndef BATON_LOAD_CONNECTIONS_H
#define BATON_LOAD_CONNECTIONS_H

#include "common.h"
#include "histogram.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ = 1 << 18, BATCH = 512, FROM_ONE_ADDRESS = 20000, BACK_AFTER_US = 500000, PATIENCE = 20 };
enum state { CLOSED, CONNECTING, SHAKING, JOINING, IN };

struct connection {
    int file;
    enum state state;
    uint32_t room, have;
    uint32_t sent_back;
    uint64_t seq, began, back_at;
    unsigned char *rest; /* of a frame that has not come whole */
    char *path, *first, *before;
    struct connection *next; /* of those that were sent back */
};

static struct connection *all, *sent_back_first, *sent_back_last;
static uint32_t count, opened, joined, in_flight, at_once, sent_back;
static const char *mark, *headers, *pinged, *pong;
static uint16_t port;
static int loop;
static unsigned char buffer[2 * READ];

static uint64_t from, until, delivered, doubled, gaps, others, arrived, closed, close_code;

static void fail(struct connection *connection, const char *what, const void *said, size_t length) {
    fprintf(stderr, "connection %u: %s: %.*s\n", (unsigned)(connection - all), what, (int)(length < 300 ? length : 300),
            (const char *)said);
    exit(1);
}

static void leave(struct connection *connection, int code) {
    if (connection->state != IN) fail(connection, "closed before it was in", "", 0);
    close(connection->file);
    connection->state = CLOSED;
    joined--;
    closed++;
    if (code) close_code = (uint64_t)code;
}

/* The subject has asked a client that is not in yet to come back: it does, half a second later. */
static void come_back(struct connection *connection, const void *said, size_t length) {
    if (++connection->sent_back > PATIENCE) fail(connection, "sent back too often", said, length);
    close(connection->file);
    connection->state = CLOSED;
    connection->back_at = now_us() + BACK_AFTER_US;
    connection->next = NULL;
    if (sent_back_first) sent_back_last->next = connection;
    else sent_back_first = connection;
    sent_back_last = connection;
    in_flight--;
    sent_back++;
}

static int means_come_back(int code) {
    return code == 1012 || (3000 <= code && code < 3500) || (4000 <= code && code < 4500);
}

static void send_frame(struct connection *connection, int kind, const char *text, size_t length) {
    unsigned char frame[8192] = {(unsigned char)(0x80 | kind)};
    size_t head = 2;
    if (length + 8 > sizeof frame) fail(connection, "too long a frame", text, length);
    frame[1] = (unsigned char)(0x80 | (length < 126 ? length : 126));
    if (length >= 126) {
        frame[2] = (unsigned char)(length >> 8);
        frame[3] = (unsigned char)length;
        head = 4;
    }
    memcpy(frame + head + 4, text, length); /* masked with zeros, which changes nothing */
    memset(frame + head, 0, 4);
    if (send(connection->file, frame, head + 4 + length, MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET)
        fail(connection, strerror(errno), text, 0);
}

static void is_in(struct connection *connection) {
    connection->state = IN;
    joined++;
    in_flight--;
    histogram[bucket_of(now_us() - connection->began)]++;
}

static void message(struct connection *connection, uint64_t seq, uint64_t due, uint64_t now) {
    if (from <= now && now < until) arrived++;
    if (seq <= connection->seq) {
        doubled++;
        return;
    }
    gaps += seq - connection->seq - 1;
    connection->seq = seq;
    if (from <= due && due < until) {
        delivered++;
        histogram[bucket_of(now > due ? now - due : 0)]++;
    }
}

static void text_frame(struct connection *connection, const char *text, size_t length, uint64_t now) {
    size_t pinged_length = strlen(pinged);
    if (pinged_length && length == pinged_length && !memcmp(text, pinged, length)) {
        send_frame(connection, 1, pong, strlen(pong));
        return;
    }
    const char *number = memmem(text, length < 96 ? length : 96, "\"seq\":", 6);
    char *after = NULL;
    uint64_t seq = number ? strtoull(number + 6, &after, 10) : 0;
    if (connection->state == IN && number && !strncmp(after, ",\"t\":", 5)) {
        message(connection, seq, strtoull(after + 5, NULL, 10), now);
    } else if (connection->state == JOINING) {
        if (*mark && memmem(text, length, mark, strlen(mark))) {
            if (number) connection->seq = seq;
            is_in(connection);
        } else if (memmem(text, length, "\"type\":\"error\"", 14)) {
            fail(connection, "refused", text, length);
        }
    } else {
        others++;
    }
}

/* Handles the whole frames, returns the bytes they took. */
static size_t frames(struct connection *connection, unsigned char *at, size_t have, uint64_t now) {
    size_t done = 0;
    while (have - done >= 2 && connection->state >= JOINING) {
        unsigned char *frame = at + done;
        size_t length = frame[1] & 127, head = 2;
        if (length >= 126) {
            head = length == 126 ? 4 : 10;
            if (have - done < head) break;
            length = 0;
            for (size_t i = 2; i < head; i++) length = length << 8 | frame[i];
        }
        if (length + head > READ) fail(connection, "a frame too long to be true", frame, 0);
        if (have - done < head + length) break;
        done += head + length;
        switch (frame[0]) {
        case 0x81:
        case 0x82: {
            unsigned char next = frame[head + length]; /* text ends with a zero while it is looked at */
            frame[head + length] = 0;
            text_frame(connection, (char *)frame + head, length, now);
            frame[head + length] = next;
            break;
        }
        case 0x89: send_frame(connection, 10, (char *)frame + head, length); break;
        case 0x8a: break;
        case 0x88: {
            int code = length >= 2 ? frame[head] << 8 | frame[head + 1] : 1005;
            const unsigned char *reason = frame + head + 2;
            if (connection->state == IN) leave(connection, code);
            else if (means_come_back(code)) come_back(connection, reason, length - 2);
            else fail(connection, "closed", reason, length > 2 ? length - 2 : 0);
            return have;
        }
        default: fail(connection, "a frame that nobody should send", frame, 0);
        }
    }
    return done;
}

static void shake(struct connection *connection) {
    char request[4096];
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
                          connection->path, port, headers);
    if (send(connection->file, request, (size_t)length, MSG_NOSIGNAL) != length) fail(connection, "no handshake", "", 0);
    connection->state = SHAKING;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    epoll_ctl(loop, EPOLL_CTL_MOD, connection->file, &event);
}

/* The answer to the handshake. Returns the bytes it took, 0 while it is not complete. */
static size_t shaken(struct connection *connection, unsigned char *at, size_t have) {
    unsigned char *end = memmem(at, have, "\r\n\r\n", 4);
    if (!end) return 0;
    if (!memcmp(at, "HTTP/1.1 503", 12)) {
        come_back(connection, at, have);
        return have;
    }
    if (memcmp(at, "HTTP/1.1 101", 12)) fail(connection, "handshake refused", at, have);
    if (!memmem(at, (size_t)(end - at), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28)) fail(connection, "wrong accept", at, have);
    connection->state = JOINING;
    if (*connection->first) send_frame(connection, 1, connection->first, strlen(connection->first));
    if (!*mark) is_in(connection);
    return (size_t)(end - at) + 4;
}

static void readable(struct connection *connection) {
    if (connection->have) memcpy(buffer, connection->rest, connection->have);
    ssize_t got = recv(connection->file, buffer + connection->have, READ, 0);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) leave(connection, 0);
        return;
    }
    size_t have = connection->have + (size_t)got, done = 0;
    if (connection->state == SHAKING) done = shaken(connection, buffer, have);
    if (connection->state >= JOINING) done += frames(connection, buffer + done, have - done, now_us());
    size_t rest = connection->state == CLOSED ? 0 : have - done;
    if (rest) {
        connection->rest = grown(connection->rest, rest);
        memcpy(connection->rest, buffer + done, rest);
    }
    connection->have = (uint32_t)rest;
}

static void open_one(struct connection *connection) {
    uint32_t index = (uint32_t)(connection - all);
    struct sockaddr_in mine = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK + index / FROM_ONE_ADDRESS)};
    struct sockaddr_in theirs = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1, file = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (file < 0) die("socket");
    setsockopt(file, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(file, (struct sockaddr *)&mine, sizeof mine)) die("bind");
    connection->file = file;
    connection->have = 0;
    connection->seq = strtoull(connection->before, NULL, 10);
    connection->state = CONNECTING;
    in_flight++;
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = connection};
    if (epoll_ctl(loop, EPOLL_CTL_ADD, file, &event)) die("epoll_ctl");
    if (connect(file, (struct sockaddr *)&theirs, sizeof theirs) == 0) shake(connection);
    else if (errno != EINPROGRESS) fail(connection, strerror(errno), "", 0);
}

/* Where all clients sleep between two messages, each `send` of the subject has to wake another processor, which costs it
 * as much as all the rest, and more often where it is slower. A network card would not ask that of it. So what has
 * arrived is looked at a few thousand times a second. */
enum { NAP_NS = 200000 };

/* One turn: what has arrived within `patience` ms at most. Returns whether a command waits. */
static int turn(int patience) {
    struct epoll_event events[BATCH];
    static const struct timespec nap = {.tv_nsec = NAP_NS};
    int found = epoll_wait(loop, events, BATCH, patience), command = 0;
    for (int i = 0; i < found; i++) {
        struct connection *connection = events[i].data.ptr;
        if (!connection) command = 1;
        else if (connection->state == CONNECTING) shake(connection);
        else if (connection->state != CLOSED) readable(connection);
    }
    if (found && found < BATCH) nanosleep(&nap, NULL);
    return command;
}

#endif
