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
#include "connections.h"
#include "histogram.h"
#include <sys/prctl.h>

enum { SUBJECT_PIDS = 64 };

static void open_all(void) {
    memset(histogram, 0, sizeof histogram);
    uint64_t began = now_us();
    for (opened = sent_back = 0; joined < count;) {
        while (sent_back_first && sent_back_first->back_at <= now_us()) {
            struct connection *back = sent_back_first;
            sent_back_first = back->next;
            open_one(back);
        }
        for (; opened < count && in_flight < at_once; opened++) {
            all[opened].began = now_us();
            all[opened].sent_back = 0;
            open_one(&all[opened]);
        }
        turn(sent_back_first ? 10 : 1000);
    }
    printf("{\"connections\":%u,\"seconds\":%.6f,\"sent_back\":%u", joined, (double)(now_us() - began) / 1e6,
           sent_back);
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
