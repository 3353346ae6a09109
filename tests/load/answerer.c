/* Players of many teams in one process, cheaper than any service, that prove what came of each of their answers.
 *
 * usage: answerer GATEWAY_PORT PUZZLE_PORT PLAYERS
 * PLAYERS: a file, a line for each, those of a team one after the other: "<path>\t<join frame>\t<player id>\t<token>".
 *
 * Each has a WebSocket to the gateway. Answers go over kept HTTP connections to the puzzle service, and are right. An
 * answer is done when it was accepted and `points.awarded` for its puzzle has come on every socket of the team.
 *
 * Commands on stdin, each answered by one JSON line (end of stdin: exit):
 *   open                     all sockets, up to their snapshots, and a look at everybody's puzzle
 *   closed CLIENTS FROM UNTIL  each client plays one team, and answers when its last answer is done
 *   paced RATE FROM UNTIL    so many answers a second, whatever becomes of them
 * FROM, UNTIL: what is done between these instants (us, monotonic) counts; at UNTIL nothing more is sent.
 */
#include "answers.h"
#include "team_sockets.h"

enum { GRACE_US = 10000000, QUIET_US = 200000, PATIENCE_US = 50000, LOOKING_AT_ONCE = 8 };

static struct http *links;
static uint32_t linked;

static void need_links(uint32_t wanted) {
    if (wanted > linked) links = grown(links, wanted * sizeof *links);
    for (uint32_t i = 0; i < wanted; i++) {
        if (i >= linked) links[i] = (struct http){.kind = HTTP, .file = -1};
        links[i].player = NULL;
        if (links[i].file >= 0) watch(links[i].file, EPOLL_CTL_MOD, &links[i]); /* it may have moved */
    }
    if (linked < wanted) linked = wanted;
}

static void turn(uint64_t until) {
    struct epoll_event events[256];
    uint64_t now = now_us();
    int found = epoll_wait(loop, events, 256, until > now ? (int)((until - now + 999) / 1000) : 0);
    for (int i = 0; i < found; i++) {
        if (*(enum kind *)events[i].data.ptr == HTTP) answered(events[i].data.ptr);
        else heard(events[i].data.ptr);
    }
}

/* Everybody knows the own puzzle before anything is measured. */
static void look_at_all(void) {
    uint32_t next = 0, known = 0;
    need_links(LOOKING_AT_ONCE);
    for (; known < players; turn(now_us() + PATIENCE_US)) {
        for (uint32_t i = 0; i < LOOKING_AT_ONCE && next < players; i++) {
            if (links[i].busy) continue;
            links[i].player = &all[next++];
            ask(&links[i], now_us());
        }
        for (; known < players && *all[known].puzzle; known++) continue;
    }
    printf("{\"sockets\":%u}\n", players);
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void print_quantiles(const char *name, uint32_t *latencies) {
    qsort(latencies, done, sizeof *latencies, by_size);
    const double shares[] = {0.5, 0.99, 1};
    const char *names[] = {"p50", "p99", "max"};
    for (int i = 0; i < 3; i++) {
        if (!done) printf(",\"%s_%s_ms\":null", names[i], name);
        else printf(",\"%s_%s_ms\":%.3f", names[i], name, latencies[(size_t)(shares[i] * (double)(done - 1))] / 1e3);
    }
}

/* Waits for what is under way, and a little longer for what should not come. */
static void report(uint64_t own) {
    own = clock_us(CLOCK_PROCESS_CPUTIME_ID) - own;
    uint64_t deadline = now_us() + GRACE_US;
    while (under_way && now_us() < deadline) turn(now_us() + PATIENCE_US);
    for (uint64_t quiet = now_us() + QUIET_US; now_us() < quiet;) turn(quiet);
    printf("{\"done\":%u,\"accepted\":%u,\"lost\":%u,\"strays\":%u,\"gaps\":%u,\"too_late\":%u,\"client_cpu_us\":%llu", done,
           accepted, under_way, strays, gaps, too_late, (unsigned long long)own);
    print_quantiles("accepted", since_accepted);
    print_quantiles("sent", since_sent);
    printf("}\n");
}

static uint64_t begin(uint64_t began, uint64_t ends) {
    from = began, until = ends;
    done = accepted = strays = gaps = too_late = 0;
    return clock_us(CLOCK_PROCESS_CPUTIME_ID);
}

static void closed_loop(uint32_t clients, uint64_t began, uint64_t ends) {
    uint64_t own = begin(began, ends);
    if (clients > players / SEATS) die("closed: fewer teams than clients");
    need_links(clients);
    uint32_t *turns = calloc(clients, sizeof *turns);
    for (uint64_t now; (now = now_us()) < until; turn(until)) {
        for (uint32_t i = 0; i < clients; i++) {
            if (links[i].player && links[i].player->step != IDLE) continue;
            links[i].player = &all[i * SEATS + turns[i]++ % SEATS];
            ask(&links[i], now);
        }
    }
    free(turns);
    report(own);
}

static void paced(uint64_t rate, uint64_t began, uint64_t ends) {
    uint64_t own = begin(began, ends), start = now_us(), sent = 0;
    uint32_t next = 0, link;
    need_links(players);
    for (uint64_t now; (now = now_us()) < until; turn(due_us(start, sent, rate) < until ? due_us(start, sent, rate) : until))
        for (; due_us(start, sent, rate) <= now; sent++) {
            uint32_t tried = 0;
            while (all[next].step != IDLE && tried++ < players) next = (next + 1) % players;
            if (all[next].step != IDLE) break; /* everybody waits: it is sent late, and its latency tells */
            for (link = 0; links[link].busy; link++) continue; /* there are as many as players */
            links[link].player = &all[next];
            ask(&links[link], due_us(start, sent, rate));
            next = (next + 1) % players;
        }
    report(own);
}

int main(int words, char **word) {
    if (words != 4) {
        fprintf(stderr, "usage: see answerer.c\n");
        return 2;
    }
    gateway_port = (uint16_t)atoi(word[1]), puzzle_port = (uint16_t)atoi(word[2]);
    read_players(file_text(word[3]));
    loop = epoll_create1(0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (char line[256]; fgets(line, sizeof line, stdin);) {
        unsigned long long number = 0, began = 0, ends = 0;
        if (!strncmp(line, "open", 4)) {
            open_sockets();
            look_at_all();
        } else if (sscanf(line, "closed %llu %llu %llu", &number, &began, &ends) == 3)
            closed_loop((uint32_t)number, began, ends);
        else if (sscanf(line, "paced %llu %llu %llu", &number, &began, &ends) == 3) paced(number, began, ends);
        else die(line);
    }
}
