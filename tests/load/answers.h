/* Asking for puzzles and answering them over HTTP, always rightly. */
#ifndef BATON_LOAD_ANSWERS_H
#define BATON_LOAD_ANSWERS_H

#include "players.h"

struct http {
    enum kind kind; /* HTTP */
    int file;
    struct player *player; /* whose request is under way, or was the last */
    int busy;
    size_t have;
    char text[16384];
};

static const char *after(const char *text, const char *word) {
    const char *found = strstr(text, word);
    if (!found) fail("not in what was said", text, strlen(text));
    return found + strlen(word);
}

static size_t quoted(const char *text) {
    return strcspn(text, "\"");
}

static void solve_memory(const char *view, char *answer) {
    char key[16];
    snprintf(key, sizeof key, "\"%d\":\"", atoi(after(view, "\"question\":")));
    const char *colour = after(after(view, "\"mapping\":"), key);
    sprintf(answer, "{\"colour\":\"%.*s\"}", (int)quoted(colour), colour);
}

static void solve_concentration(const char *view, char *answer) {
    const char *pair = after(view, "\"pairs\":");
    for (int index = 0;; index++, pair = after(pair, "}")) {
        const char *word = after(pair, "\"word\":\""), *circle = after(pair, "\"circle\":\"");
        if (quoted(word) != quoted(circle) || strncmp(word, circle, quoted(word))) continue;
        sprintf(answer, "{\"index\":%d}", index);
        return;
    }
}

static void solve_multitasking(const char *view, char *answer) {
    char *end = answer + sprintf(answer, "{\"columns\":[");
    const char *row = after(view, "\"rows\":[");
    for (; *row == '"'; row += *row == ',') {
        end += sprintf(end, "%s%d", end[-1] == '[' ? "" : ",", (int)strcspn(row + 1, "6"));
        row += quoted(row + 1) + 2;
    }
    strcpy(end, "]}");
}

/* Remembers a puzzle, and what the right answer to it is. */
static void look(struct player *player, const char *puzzle) {
    const char *id = after(puzzle, "\"puzzle_id\":\""), *type = after(puzzle, "\"type\":\"");
    const char *view = after(puzzle, "\"view\":");
    memcpy(player->puzzle, id, ID);
    if (!strncmp(type, "memory\"", 7)) solve_memory(view, player->answer);
    else if (!strncmp(type, "concentration\"", 14)) solve_concentration(view, player->answer);
    else if (!strncmp(type, "multitasking\"", 13)) solve_multitasking(view, player->answer);
    else fail("a puzzle that nobody can solve here", type, strlen(type));
}

/* Answers the player's puzzle, after asking for it where it is not known. */
static void ask(struct http *http, uint64_t due_at) {
    static uint64_t number;
    struct player *player = http->player;
    char request[2048], body[320];
    int length;
    if (!*player->puzzle) {
        length = snprintf(request, sizeof request,
                          "GET /players/%s/puzzle HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n\r\n", player->id,
                          player->token);
        player->step = LOOKING;
    } else {
        int size = snprintf(body, sizeof body, "{\"answer\":%s}", player->answer);
        length = snprintf(request, sizeof request,
                          "POST /puzzles/%s/answer HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n"
                          "Idempotency-Key: %016llx\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                          player->puzzle, player->token, (unsigned long long)++number, size, body);
        memcpy(player->pending, player->puzzle, ID);
        player->awarded = 0;
        player->step = SENT;
        under_way++;
    }
    player->due_at = due_at;
    http->busy = 1;
    if (http->file < 0) watch(http->file = connected(puzzle_port), EPOLL_CTL_ADD, http);
    if (send(http->file, request, (size_t)length, MSG_NOSIGNAL) != length) die("send");
}

static void respond(struct http *http, int status, const char *body, uint64_t now) {
    struct player *player = http->player;
    if (player->step == LOOKING && status == 200) {
        look(player, after(body, "\"puzzle\":"));
        if (until) ask(http, player->due_at);
        else player->step = IDLE; /* nothing is measured yet */
    } else if (player->step == SENT && status == 200 && strstr(body, "\"verdict\":\"solved\"")) {
        accepted++;
        look(player, after(body, "\"next\":"));
        player->accepted_at = now;
        player->step = ACCEPTED;
        check_done(player, now);
    } else if (player->step == SENT && status == 409 && (strstr(body, "puzzle_expired") || strstr(body, "puzzle_closed"))) {
        too_late++;
        under_way--;
        *player->puzzle = 0;
        ask(http, player->due_at);
    } else {
        fail("an answer was not accepted", http->text, http->have);
    }
}

static void answered(struct http *http) {
    ssize_t got = recv(http->file, http->text + http->have, sizeof http->text - 1 - http->have, 0);
    if (got <= 0 && http->busy) die("the puzzle service has closed a connection");
    if (got <= 0) { /* it was idle for long */
        close(http->file);
        http->file = -1;
        return;
    }
    http->have += (size_t)got;
    http->text[http->have] = 0;
    char *body = strstr(http->text, "\r\n\r\n"), *announced = strcasestr(http->text, "\r\ncontent-length:");
    if (!body || !announced) return;
    body += 4;
    if (http->have < (size_t)(body - http->text) + strtoul(announced + 17, NULL, 10)) return;
    http->busy = 0;
    respond(http, atoi(http->text + 9), body, now_us());
    http->have = 0;
}

#endif
