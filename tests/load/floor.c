/* The floor: the least that any gateway can do for a message, and nothing else.
 *
 * One thread, one epoll loop: it hears the rooms' channels by plain SUBSCRIBE, frames each message once, and makes one
 * `send` for each client of the room. No token, no snapshot, no recovery, no limits, no care for slow clients: whoever
 * cannot take a whole frame at once is cut off.
 *
 * usage: floor PORT VALKEY_PORT        clients come to /ws/game/<session id>
 */
#include "common.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROOMS = 1 << 16, ID = 36, HEAD = 1024, FRAME = 1 << 16, FILES = 1 << 20, HEARD = 1 << 20 };

static const char ACCEPTED[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

struct room {
    char id[ID];
    int *members;
    size_t count, space;
};

struct client {
    struct room *room; /* none until the head of its request is complete */
    size_t place;      /* among the members */
    char *head;
    size_t have;
};

static struct room rooms[ROOMS];
static struct client *clients;
static int loop, valkey;
static char heard[HEARD];
static size_t heard_have;

static struct room *room_of(const char *id) {
    uint64_t hash = 14695981039346656037u;
    for (int i = 0; i < ID; i++) hash = (hash ^ (unsigned char)id[i]) * 1099511628211u;
    for (size_t at = hash % ROOMS;; at = (at + 1) % ROOMS) {
        if (!rooms[at].id[0]) memcpy(rooms[at].id, id, ID);
        if (!memcmp(rooms[at].id, id, ID)) return &rooms[at];
    }
}

static void watch(int file) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = file};
    if (epoll_ctl(loop, EPOLL_CTL_ADD, file, &event)) die("epoll_ctl");
}

static void leave(int file) {
    struct client *client = &clients[file];
    if (client->room) {
        int last = client->room->members[--client->room->count];
        client->room->members[client->place] = last;
        clients[last].place = client->place;
    }
    free(client->head);
    *client = (struct client){0};
    close(file);
}

static void enter(int file, const char *id) {
    struct client *client = &clients[file];
    struct room *room = room_of(id);
    if (!room->space) {
        char command[160];
        int length = sprintf(command, "*2\r\n$9\r\nSUBSCRIBE\r\n$%d\r\nbaton:room:{%.*s}:live\r\n", 12 + ID + 6, ID, id);
        if (send(valkey, command, (size_t)length, MSG_NOSIGNAL) != length) die("subscribe");
    }
    if (room->count == room->space) {
        room->space = room->space ? room->space * 2 : 4;
        room->members = grown(room->members, room->space * sizeof *room->members);
    }
    client->room = room;
    client->place = room->count;
    room->members[room->count++] = file;
}

static void hear_client(int file) {
    struct client *client = &clients[file];
    if (client->room) { /* joins, pongs: heard and not needed */
        char rest[4096];
        ssize_t got = recv(file, rest, sizeof rest, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN)) leave(file);
        return;
    }
    if (!client->head) client->head = grown(NULL, HEAD + 1);
    ssize_t got = recv(file, client->head + client->have, HEAD - client->have, MSG_DONTWAIT);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) leave(file);
        return;
    }
    client->have += (size_t)got;
    client->head[client->have] = 0;
    if (!strstr(client->head, "\r\n\r\n")) {
        if (client->have == HEAD) leave(file);
        return;
    }
    static const char path[] = "GET /ws/game/";
    if (strncmp(client->head, path, sizeof path - 1) || client->have < sizeof path + ID) {
        leave(file);
        return;
    }
    if (send(file, ACCEPTED, sizeof ACCEPTED - 1, MSG_NOSIGNAL) < 0) {
        leave(file);
        return;
    }
    enter(file, client->head + sizeof path - 1);
    free(client->head);
    client->head = NULL;
}

static void tell(const char *channel, const char *body, size_t length) {
    static unsigned char frame[FRAME + 4];
    const char *text = memchr(body, ' ', length); /* after the number */
    if (!text || length > FRAME) return;
    length -= (size_t)(++text - body);
    size_t head = 2;
    frame[0] = 0x81;
    if (length < 126) {
        frame[1] = (unsigned char)length;
    } else {
        frame[1] = 126;
        frame[2] = (unsigned char)(length >> 8);
        frame[3] = (unsigned char)length;
        head = 4;
    }
    memcpy(frame + head, text, length);
    struct room *room = room_of(channel + 12);
    for (size_t i = room->count; i-- > 0;) { /* backwards: the last takes the place of one that leaves */
        int file = room->members[i];
        if (send(file, frame, head + length, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)(head + length)) leave(file);
    }
}

/* One bulk string from `at`. Returns what follows it, or NULL where it is not complete. */
static char *bulk(char *at, char *end, char **found, size_t *length) {
    char *line = memchr(at, '\n', (size_t)(end - at));
    if (!line) return NULL;
    *length = strtoul(at + 1, NULL, 10);
    *found = line + 1;
    return (size_t)(end - *found) < *length + 2 ? NULL : *found + *length + 2;
}

static void hear_valkey(void) {
    ssize_t got = recv(valkey, heard + heard_have, HEARD - heard_have, 0);
    if (got <= 0) die("valkey");
    heard_have += (size_t)got;
    char *at = heard, *end = heard + heard_have;
    for (;;) { /* *3 kind channel body; a body is a bulk string, or a number where a subscription is confirmed */
        char *kind, *channel, *body, *next = memchr(at, '\n', (size_t)(end - at));
        size_t kind_length, channel_length, body_length;
        if (!next || !(next = bulk(next + 1, end, &kind, &kind_length))) break;
        if (!(next = bulk(next, end, &channel, &channel_length)) || next == end) break;
        if (*next == ':') {
            if (!(next = memchr(next, '\n', (size_t)(end - next)))) break;
            next++;
        } else {
            if (!(next = bulk(next, end, &body, &body_length))) break;
            tell(channel, body, body_length);
        }
        at = next;
    }
    heard_have = (size_t)(end - at);
    memmove(heard, at, heard_have);
}

static int socket_to(const char *port, int listening) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int file = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (listening) {
        setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(file, (struct sockaddr *)&address, sizeof address) || listen(file, 4096)) die("listen");
    } else if (connect(file, (struct sockaddr *)&address, sizeof address)) {
        die("connect");
    }
    return file;
}

int main(int count, char **words) {
    if (count != 3) {
        fprintf(stderr, "usage: floor PORT VALKEY_PORT\n");
        return 2;
    }
    clients = calloc(FILES, sizeof *clients);
    loop = epoll_create1(0);
    valkey = socket_to(words[2], 0);
    int door = socket_to(words[1], 1), on = 1;
    watch(valkey);
    watch(door);
    struct epoll_event events[256];
    for (;;) {
        int found = epoll_wait(loop, events, 256, -1);
        for (int i = 0; i < found; i++) {
            int file = events[i].data.fd;
            if (file == valkey) {
                hear_valkey();
            } else if (file == door) {
                int client = accept(door, NULL, NULL);
                if (client < 0 || client >= FILES) die("accept");
                setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                watch(client);
            } else {
                hear_client(file);
            }
        }
    }
}
