/* Publishes numbered events to rooms, at a fixed rate, as points does: EVALSHA of the room script, pipelined.
 *
 * usage: publisher PORT SHA EPOCH ROOMS TAIL START_US RATE TOTAL FIRST_SEQ EVENTS_KEPT TIME_TO_LIVE_MS
 * ROOMS: a file, a line for each room: "<session id>\t<state>". TAIL: the frame after its numbers.
 * Message i goes to room i mod rooms; it is due at START + i / RATE, and carries that instant, not the one at which it
 * was sent: a publisher that is held up makes its messages late, not fewer.
 * Ends with a line {"published", "refused", "late_ms", "cpu_us"}; refused: the script did not take it as the next event. */
#include "common.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROOM_FOR_ONE = 1 << 16 };

struct room {
    const char *id, *state;
    size_t state_length;
};

static int server;
static char *out;
static size_t out_have, out_room;
static char in[1 << 16];
static size_t in_have;
static uint64_t answered, refused;
static uint64_t total, first_seq, rooms;

static void add(const void *bytes, size_t length) {
    if (out_have + length > out_room) out = grown(out, out_room = (out_have + length) * 2);
    memcpy(out + out_have, bytes, length);
    out_have += length;
}

static void add_bulk(const char *bytes, size_t length) {
    char head[32];
    add(head, (size_t)sprintf(head, "$%zu\r\n", length));
    add(bytes, length);
    add("\r\n", 2);
}

static void add_word(const char *word) {
    add_bulk(word, strlen(word));
}

static void read_answers(int flags) {
    ssize_t got = recv(server, in + in_have, sizeof in - in_have, flags);
    if (got == 0) die("the server closed the connection");
    if (got < 0) {
        if (errno == EAGAIN || errno == EINTR) return;
        die("recv");
    }
    in_have += (size_t)got;
    char *at = in, *end = in + in_have, *line;
    while ((line = memchr(at, '\n', (size_t)(end - at)))) {
        uint64_t expected = first_seq + answered / rooms - 1; /* what the room had before */
        if (at[0] != ':') {
            fprintf(stderr, "%.*s\n", (int)(line - at), at);
            refused++;
        } else if (strtoll(at + 1, NULL, 10) != (long long)expected) {
            refused++;
        }
        answered++;
        at = line + 1;
    }
    in_have = (size_t)(end - at);
    memmove(in, at, in_have);
}

static void send_all(void) {
    size_t sent = 0;
    while (sent < out_have) {
        ssize_t wrote = send(server, out + sent, out_have - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (wrote > 0) sent += (size_t)wrote;
        else if (errno == EAGAIN) read_answers(0); /* both sides full: answers first, or neither goes on */
        else die("send");
    }
    out_have = 0;
    read_answers(MSG_DONTWAIT);
}

int main(int count, char **words) {
    if (count != 12) {
        fprintf(stderr, "usage: see publisher.c\n");
        return 2;
    }
    const char *sha = words[2], *epoch = words[3], *tail = words[5], *kept = words[10], *life = words[11];
    uint64_t start = strtoull(words[6], NULL, 10), rate = strtoull(words[7], NULL, 10);
    total = strtoull(words[8], NULL, 10);
    first_seq = strtoull(words[9], NULL, 10);

    char *text = file_text(words[4]);
    struct room *room = NULL;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char *tab = strchr(line, '\t');
        if (!tab) die("a room without a state");
        *tab = 0;
        room = grown(room, (rooms + 1) * sizeof *room);
        room[rooms++] = (struct room){.id = line, .state = tab + 1, .state_length = strlen(tab + 1)};
    }
    if (!rooms) die("no rooms");

    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(words[1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    server = socket(AF_INET, SOCK_STREAM, 0);
    int on = 1;
    if (connect(server, (struct sockaddr *)&address, sizeof address)) die("connect");
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    prctl(PR_SET_TIMERSLACK, 1);

    uint64_t latest = 0, cpu = clock_us(CLOCK_PROCESS_CPUTIME_ID);
    for (uint64_t next = 0; next < total;) {
        uint64_t due = due_us(start, next, rate);
        struct timespec until = {(time_t)(due / 1000000), (long)(due % 1000000) * 1000};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {}
        uint64_t now = now_us();
        if (now > due && now - due > latest) latest = now - due;
        for (; next < total && (due = due_us(start, next, rate)) <= now; next++) {
            struct room *it = &room[next % rooms];
            char key[128], seq[24], frame[ROOM_FOR_ONE];
            sprintf(seq, "%llu", (unsigned long long)(first_seq + next / rooms));
            int length = snprintf(frame, sizeof frame, "{\"seq\":%s,\"t\":%llu,%s", seq, (unsigned long long)due, tail);
            add("*14\r\n$7\r\nEVALSHA\r\n", 18);
            add_word(sha);
            add_word("3");
            add_bulk(key, (size_t)sprintf(key, "baton:room:{%s}", it->id));
            add_bulk(key, (size_t)sprintf(key, "baton:room:{%s}:log", it->id));
            add_bulk(key, (size_t)sprintf(key, "baton:room:{%s}:live", it->id));
            add_word(epoch);
            add_word(seq);
            add_word("0");
            add_word(kept);
            add_word(life);
            add_word("PUBLISH");
            add_bulk(it->state, it->state_length);
            add_bulk(frame, (size_t)length);
        }
        send_all();
    }
    while (answered < total) read_answers(0);
    printf("{\"published\":%llu,\"refused\":%llu,\"late_ms\":%.3f,\"cpu_us\":%llu}\n", (unsigned long long)answered,
           (unsigned long long)refused, (double)latest / 1e3,
           (unsigned long long)(clock_us(CLOCK_PROCESS_CPUTIME_ID) - cpu));
    return 0;
}
