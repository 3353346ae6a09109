/* Publishes numbered messages to rooms at a fixed rate, pipelined, and looks at every answer.
 *
 * usage: publisher PORT ROOMS TAIL START_US RATE TOTAL FIRST_SEQ script SHA EPOCH EVENTS_KEPT TIME_TO_LIVE_MS
 *        publisher PORT ROOMS TAIL START_US RATE TOTAL FIRST_SEQ post
 * script: as points does, EVALSHA of the room script. post: as Nchan wants it, POST /publish/<session id>.
 * ROOMS: a file, a line for each room: "<session id>\t<state>", and with "\t<hex>" the schedule of its points. TAIL: the frame after its numbers.
 * Message i goes to room i mod rooms; it is due at START + i / RATE, and carries that instant, not the one at which it
 * was sent: a publisher that is held up makes its messages late, not fewer.
 * Ends with a line {"published", "refused", "late_ms", "cpu_us", "took_us"}; refused: not taken as the next event of its room.
 */
#include "common.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FRAME = 1 << 16, UNSENT = 1 << 18, SCRIPT_WORDS = 13, POST_WORDS = 9 };

struct room {
    const char *id, *state;
    char *schedule;
    size_t state_length, schedule_length;
};

static int server;
static char *out;
static size_t out_have, out_room;
static char in[1 << 16];
static size_t in_have;
static uint64_t answered, refused;
static uint64_t total, first_seq, rooms;
static char **script; /* SHA, EPOCH, EVENTS_KEPT, TIME_TO_LIVE_MS; none for post */

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

/* The script's answer: what the room had before. Returns what follows it, or NULL where it is not complete. */
static char *script_answer(char *at, char *end) {
    char *line = memchr(at, '\n', (size_t)(end - at));
    if (!line) return NULL;
    long long expected = (long long)(first_seq + answered / rooms - 1);
    if (at[0] != ':' || strtoll(at + 1, NULL, 10) != expected) {
        fprintf(stderr, "%.*s\n", (int)(line - at), at);
        refused++;
    }
    return line + 1;
}

static char *post_answer(char *at, char *end) {
    char *body = memmem(at, (size_t)(end - at), "\r\n\r\n", 4);
    if (!body) return NULL;
    char *length = memmem(at, (size_t)(body - at), "Content-Length: ", 16);
    if (!length) die("an answer without a length");
    body += 4 + strtoul(length + 16, NULL, 10);
    if (body > end) return NULL;
    if (memcmp(at, "HTTP/1.1 20", 11)) refused++;
    return body;
}

static void read_answers(int flags) {
    ssize_t got = recv(server, in + in_have, sizeof in - in_have, flags);
    if (got == 0) die("the server closed the connection");
    if (got < 0) {
        if (errno == EAGAIN || errno == EINTR) return;
        die("recv");
    }
    in_have += (size_t)got;
    char *at = in, *end = in + in_have, *next;
    for (; (next = script ? script_answer(at, end) : post_answer(at, end)); at = next) answered++;
    in_have = (size_t)(end - at);
    memmove(in, at, in_have);
}

static void add_script(const struct room *room, uint64_t number, const char *frame, size_t length) {
    char text[128];
    add("*15\r\n$7\r\nEVALSHA\r\n", 18);
    add_word(script[0]);
    add_word("3");
    add_bulk(text, (size_t)sprintf(text, "baton:room:{%s}", room->id));
    add_bulk(text, (size_t)sprintf(text, "baton:room:{%s}:log", room->id));
    add_bulk(text, (size_t)sprintf(text, "baton:room:{%s}:live", room->id));
    add_word(script[1]);
    add_bulk(text, (size_t)sprintf(text, "%llu", (unsigned long long)number));
    add_word("0");
    add_word(script[2]);
    add_word(script[3]);
    add_word("PUBLISH");
    add_bulk(room->state, room->state_length);
    add_bulk(room->schedule, room->schedule_length);
    add_bulk(frame, length);
}

static void add_post(const struct room *room, const char *frame, size_t length) {
    char head[256];
    add(head, (size_t)sprintf(head, "POST /publish/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %zu\r\n\r\n",
                              room->id, length));
    add(frame, length);
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

/* In place. Returns how many bytes it says. */
static size_t from_hex(char *text) {
    size_t length = strlen(text) / 2;
    for (size_t i = 0; i < length; i++) {
        char digits[3] = {text[2 * i], text[2 * i + 1], 0};
        text[i] = (char)strtoul(digits, NULL, 16);
    }
    return length;
}

static struct room *read_rooms(const char *path) {
    char *text = file_text(path);
    struct room *found = NULL;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char *tab = strchr(line, '\t');
        if (!tab) die("a room without a state");
        *tab = 0;
        found = grown(found, (rooms + 1) * sizeof *found);
        struct room *room = &found[rooms++];
        *room = (struct room){.id = line, .state = tab + 1, .schedule = ""};
        if ((tab = strchr(tab + 1, '\t'))) {
            *tab = 0;
            room->schedule = tab + 1;
            room->schedule_length = from_hex(room->schedule);
        }
        room->state_length = strlen(room->state);
    }
    if (!rooms) die("no rooms");
    return found;
}

static void connect_to(int port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    server = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(server, (struct sockaddr *)&address, sizeof address)) die("connect");
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

int main(int count, char **words) {
    if (count == SCRIPT_WORDS && !strcmp(words[8], "script")) script = words + 9;
    else if (count != POST_WORDS || strcmp(words[8], "post")) {
        fprintf(stderr, "usage: see publisher.c\n");
        return 2;
    }
    const char *tail = words[3];
    uint64_t start = strtoull(words[4], NULL, 10), rate = strtoull(words[5], NULL, 10);
    total = strtoull(words[6], NULL, 10);
    first_seq = strtoull(words[7], NULL, 10);
    struct room *room = read_rooms(words[2]);
    connect_to(atoi(words[1]));
    prctl(PR_SET_TIMERSLACK, 1);

    uint64_t latest = 0, cpu = clock_us(CLOCK_PROCESS_CPUTIME_ID), began = now_us();
    for (uint64_t next = 0; next < total;) {
        uint64_t due = due_us(start, next, rate);
        struct timespec until = {(time_t)(due / 1000000), (long)(due % 1000000) * 1000};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {}
        uint64_t now = now_us();
        if (now - due > latest) latest = now - due;
        for (; next < total && out_have < UNSENT && (due = due_us(start, next, rate)) <= now; next++) {
            static char frame[FRAME];
            uint64_t seq = first_seq + next / rooms;
            int length = snprintf(frame, sizeof frame, "{\"seq\":%llu,\"t\":%llu,%s", (unsigned long long)seq,
                                  (unsigned long long)due, tail);
            if (script) add_script(&room[next % rooms], seq, frame, (size_t)length);
            else add_post(&room[next % rooms], frame, (size_t)length);
        }
        send_all();
    }
    while (answered < total) read_answers(0);
    printf("{\"published\":%llu,\"refused\":%llu,\"late_ms\":%.3f,\"cpu_us\":%llu,\"took_us\":%llu}\n", (unsigned long long)answered,
           (unsigned long long)refused, (double)latest / 1e3,
           (unsigned long long)(clock_us(CLOCK_PROCESS_CPUTIME_ID) - cpu), (unsigned long long)(now_us() - began));
    return 0;
}
