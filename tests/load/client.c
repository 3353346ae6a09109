/* Many WebSocket clients in one process, cheaper than any gateway, that prove what each of them was given.
 *
 * usage: client PORT CONNECTIONS AT_ONCE MARK HEADERS PINGED PONG
 * CONNECTIONS: a file, a line for each: "<room>\t<seq before>\t<path>\t<first frame>". MARK: what the frame holds by
 * which a client is in ("" for: the handshake will do). HEADERS: lines of the request, each with its \r\n. PINGED, PONG:
 * a text frame that is to be answered, and the answer ("" for none).
 *
 * A message is a frame that holds {"seq":N,"t":T: its number in its room, and the instant (us, monotonic) at which it was
 * due. A frame with a "seq" and no "t" (a snapshot) says which message was the last before.
 *
 * Commands on stdin, each answered by one JSON line: open, drop (all at once, without a goodbye),
 * measure START RATE TOTAL ACTIVE_ROOMS FROM UNTIL DEADLINE PID...  (end of stdin: exit)
 */
#include "common.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ = 1 << 18, BATCH = 512, FROM_ONE_ADDRESS = 20000, BUCKETS = 4096, SUBJECT_PIDS = 64 };
enum state { CLOSED, CONNECTING, SHAKING, JOINING, IN };

struct connection {
    int file;
    enum state state;
    uint32_t room, have;
    uint64_t seq, began;
    unsigned char *rest; /* of a frame that has not come whole */
    char *path, *first, *before;
};

static struct connection *all;
static uint32_t count, opened, joined, in_flight, at_once;
static const char *mark, *headers, *pinged, *pong;
static uint16_t port;
static int loop;
static unsigned char buffer[2 * READ];

static uint64_t from, until, delivered, doubled, gaps, others, arrived, closed, close_code;
static uint64_t histogram[BUCKETS];

/* Buckets of at most 1.6 % width. */
static unsigned bucket_of(uint64_t us) {
    if (us < 128) return (unsigned)us;
    unsigned octave = 63u - (unsigned)__builtin_clzll(us), bucket = (octave - 5) * 64 + (unsigned)(us >> (octave - 6)) - 64;
    return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static double ms_of(unsigned bucket) {
    if (bucket < 128) return bucket / 1e3;
    unsigned octave = bucket / 64 + 5;
    return (double)((uint64_t)(bucket % 64 + 64) << (octave - 6)) / 1e3;
}

/* Prints the share q of what the histogram holds as a JSON number, or null. */
static void print_quantile(const char *name, double q) {
    uint64_t sum = 0, seen = 0;
    for (unsigned i = 0; i < BUCKETS; i++) sum += histogram[i];
    if (!sum) {
        printf(",\"%s\":null", name);
        return;
    }
    unsigned i = 0;
    while ((double)(seen += histogram[i]) < q * (double)sum) i++;
    printf(",\"%s\":%.3f", name, ms_of(i));
}

static void print_latencies(void) {
    print_quantile("p50_ms", 0.5);
    print_quantile("p99_ms", 0.99);
    print_quantile("p999_ms", 0.999);
    print_quantile("max_ms", 1.0);
}

static void fail(struct connection *connection, const char *what, const void *said, size_t length) {
    fprintf(stderr, "connection %u: %s: %.*s\n", (unsigned)(connection - all), what, (int)(length < 300 ? length : 300),
            (const char *)said);
    exit(1);
}

static void leave(struct connection *connection, int code) {
    if (connection->state != IN) fail(connection, "closed before it was in, code", buffer, 0);
    close(connection->file);
    connection->state = CLOSED;
    joined--;
    closed++;
    if (code) close_code = (uint64_t)code;
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
        case 0x88:
            if (connection->state != IN) fail(connection, "closed", frame + head + 2, length > 2 ? length - 2 : 0);
            leave(connection, length >= 2 ? frame[head] << 8 | frame[head + 1] : 1005);
            return have;
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
    if (have < 12 || memcmp(at, "HTTP/1.1 101", 12)) fail(connection, "handshake refused", at, have);
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
    connection->began = now_us();
    connection->seq = strtoull(connection->before, NULL, 10);
    connection->state = CONNECTING;
    in_flight++;
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = connection};
    if (epoll_ctl(loop, EPOLL_CTL_ADD, file, &event)) die("epoll_ctl");
    if (connect(file, (struct sockaddr *)&theirs, sizeof theirs) == 0) shake(connection);
    else if (errno != EINPROGRESS) fail(connection, strerror(errno), "", 0);
}

/* One turn: what has arrived within `patience` ms at most. Returns whether a command waits. */
static int turn(int patience) {
    struct epoll_event events[BATCH];
    int found = epoll_wait(loop, events, BATCH, patience), command = 0;
    for (int i = 0; i < found; i++) {
        struct connection *connection = events[i].data.ptr;
        if (!connection) command = 1;
        else if (connection->state == CONNECTING) shake(connection);
        else if (connection->state != CLOSED) readable(connection);
    }
    return command;
}

static void open_all(void) {
    memset(histogram, 0, sizeof histogram);
    uint64_t began = now_us();
    for (opened = 0; joined < count;) {
        while (opened < count && in_flight < at_once) open_one(&all[opened++]);
        turn(1000);
    }
    printf("{\"connections\":%u,\"seconds\":%.6f", joined, (double)(now_us() - began) / 1e6);
    print_latencies();
    printf("}\n");
}

static void drop_all(void) {
    struct linger at_once_and_for_all = {1, 0};
    for (uint32_t i = 0; i < count; i++) {
        if (all[i].state == CLOSED) continue;
        setsockopt(all[i].file, SOL_SOCKET, SO_LINGER, &at_once_and_for_all, sizeof at_once_and_for_all);
        close(all[i].file);
        all[i].state = CLOSED;
    }
    joined = 0;
    printf("{\"dropped\":%u}\n", count);
}

static uint64_t cpu_of(const clockid_t *clocks, int number) {
    uint64_t sum = 0;
    for (int i = 0; i < number; i++) sum += clock_us(clocks[i]);
    return sum;
}

static void measure(char *command) {
    uint64_t numbers[7], expected = 0, cpu = 0, own = 0;
    clockid_t clocks[SUBJECT_PIDS];
    int pids = 0;
    strtok(command, " \n");
    for (int i = 0; i < 7; i++) {
        char *word = strtok(NULL, " \n");
        if (!word) die("measure: too few words");
        numbers[i] = strtoull(word, NULL, 10);
    }
    for (char *word; pids < SUBJECT_PIDS && (word = strtok(NULL, " \n")); pids++)
        if (clock_getcpuclockid(atoi(word), &clocks[pids])) die("clock_getcpuclockid");
    uint64_t start = numbers[0], rate = numbers[1], total = numbers[2], active = numbers[3], deadline = numbers[6];
    memset(histogram, 0, sizeof histogram);
    delivered = doubled = gaps = others = arrived = closed = close_code = 0;
    from = numbers[4];
    until = numbers[5];

    uint64_t *members = calloc(active, sizeof *members), due;
    for (uint32_t i = 0; i < count; i++)
        if (all[i].room < active) members[all[i].room]++;
    for (uint64_t i = 0; i < total; i++)
        if ((due = due_us(start, i, rate)) >= from && due < until) expected += members[i % active];
    free(members);

    int begun = 0, ended = 0;
    for (uint64_t now; (now = now_us()) < deadline && !(ended && delivered >= expected);) {
        if (!begun && now >= from) {
            begun = 1;
            cpu = cpu_of(clocks, pids);
            own = clock_us(CLOCK_PROCESS_CPUTIME_ID);
        }
        if (!ended && now >= until) {
            ended = 1;
            cpu = cpu_of(clocks, pids) - cpu;
            own = clock_us(CLOCK_PROCESS_CPUTIME_ID) - own;
        }
        uint64_t next = !begun ? from : !ended ? until : deadline;
        turn((int)((next - now + 999) / 1000));
    }
    printf("{\"expected\":%llu,\"delivered\":%llu,\"doubled\":%llu,\"gaps\":%llu,\"arrived\":%llu,\"others\":%llu,"
           "\"closed\":%llu,\"close_code\":%llu,\"cpu_us\":%llu,\"client_cpu_us\":%llu",
           (unsigned long long)expected, (unsigned long long)delivered, (unsigned long long)doubled,
           (unsigned long long)gaps, (unsigned long long)arrived, (unsigned long long)others, (unsigned long long)closed,
           (unsigned long long)close_code, (unsigned long long)cpu, (unsigned long long)own);
    print_latencies();
    printf("}\n");
}

static char *part(char **line, char end) {
    char *found = *line, *stop = strchr(found, end);
    if (!stop) die("a connection with too few parts");
    *stop = 0;
    *line = stop + 1;
    return found;
}

int main(int words, char **word) {
    if (words != 8) {
        fprintf(stderr, "usage: see client.c\n");
        return 2;
    }
    port = (uint16_t)atoi(word[1]);
    at_once = (uint32_t)atoi(word[3]);
    mark = word[4], headers = word[5], pinged = word[6], pong = word[7];
    char *text = file_text(word[2]);
    for (char *at = text; *at; count++) {
        if (!(count & (count - 1))) all = grown(all, (count ? 2 * count : 1) * sizeof *all);
        struct connection *connection = &all[count];
        *connection = (struct connection){.state = CLOSED};
        connection->room = (uint32_t)strtoul(part(&at, '\t'), NULL, 10);
        connection->before = part(&at, '\t');
        connection->path = part(&at, '\t');
        connection->first = part(&at, '\n');
    }
    prctl(PR_SET_TIMERSLACK, 1);
    loop = epoll_create1(0);
    struct epoll_event commands = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(loop, EPOLL_CTL_ADD, STDIN_FILENO, &commands)) die("epoll_ctl");
    setvbuf(stdin, NULL, _IONBF, 0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (char line[1024];;) {
        if (!turn(-1)) continue;
        if (!fgets(line, sizeof line, stdin)) return 0;
        if (!strncmp(line, "open", 4)) open_all();
        else if (!strncmp(line, "drop", 4)) drop_all();
        else if (!strncmp(line, "measure", 7)) measure(line);
        else die(line);
    }
}
