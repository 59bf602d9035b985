/* A load client for WebSocket servers: one process, one thread, epoll.
 *
 * Every byte that comes back is compared with what was sent. Prints one JSON object: messages per
 * second, percentiles of the latency, and the server's CPU time and memory as the kernel counts
 * them. Linux only. `load` without arguments explains itself.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

enum { OP_CONTINUATION = 0, OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };
enum mode { ECHO, RAW, FANOUT, IDLE, HANDSHAKE };
enum stage { DOWN, CONNECTING, UPGRADING, OPEN };

#define MAX_DEPTH 256
#define PORTS_PER_ADDRESS 20000

static const char *mode_names[] = {"echo", "raw", "fanout", "idle", "handshake"};

static struct {
    enum mode mode;
    int port, pid, connections, depth;
    const char *path;
    size_t size, fragment;
    double seconds, warmup;
    bool text, deflate;
} options = {.connections = 1, .depth = 1, .size = 256, .seconds = 2, .warmup = 0.5};

struct connection {
    int fd;
    enum stage stage;
    char head[2048]; /* the response's head, then a frame's header and control payload */
    size_t head_size;
    size_t payload_left, payload_done; /* of the frame that is being received */
    int opcode;
    bool in_payload, compressed;
    char *collected; /* compressed payload, to be inflated */
    size_t collected_room;
    char *pending; /* what the socket did not take */
    size_t pending_size;
    uint64_t sent_at[MAX_DEPTH];
    unsigned oldest, newest;
    int got; /* fan-out: messages of this round */
};

static struct connection *connections;
static int poller;
static char *payload;             /* what every message holds */
static char *frame;               /* the same, framed and masked as the server wants it */
static size_t frame_size;
static char *known_reply;         /* compressed payload that was inflated and found right */
static size_t known_reply_size;
static uint64_t messages, handshakes, fanout_left, open_connections;
static bool counting, running;

/* Latencies in microseconds: 64 buckets for each power of two. */
#define SUB 64
static uint64_t histogram[40 * SUB];

static void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void note_latency(uint64_t ns) {
    uint64_t us = ns / 125; /* eighths, so that the small ones are told apart */
    int power = us < SUB ? 0 : 64 - __builtin_clzll(us) - 6;
    histogram[power * SUB + (us >> power)]++;
}

static double percentile_us(double share) {
    uint64_t total = 0, seen = 0;
    for (size_t i = 0; i < sizeof histogram / sizeof *histogram; i++) total += histogram[i];
    for (size_t i = 0; i < sizeof histogram / sizeof *histogram; i++) {
        seen += histogram[i];
        if (total && seen >= share * total) {
            size_t power = i / SUB, value = i % SUB;
            return (double)(value << power) / 8;
        }
    }
    return 0;
}

/* The server, as the kernel sees it. */

static double server_cpu_seconds(void) {
    if (!options.pid) return 0;
    char path[300];
    snprintf(path, sizeof path, "/proc/%d/task", options.pid);
    DIR *tasks = opendir(path);
    if (!tasks) die("no process %d", options.pid);
    double total = 0;
    struct dirent *entry;
    while ((entry = readdir(tasks))) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", options.pid, entry->d_name);
        FILE *file = fopen(path, "r");
        unsigned long long ns = 0;
        if (file && fscanf(file, "%llu", &ns) == 1) total += ns / 1e9;
        if (file) fclose(file);
    }
    closedir(tasks);
    return total;
}

static long server_memory(void) {
    if (!options.pid) return 0;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/statm", options.pid);
    FILE *file = fopen(path, "r");
    long total = 0, resident = 0;
    if (!file || fscanf(file, "%ld %ld", &total, &resident) != 2) die("no process %d", options.pid);
    fclose(file);
    return resident * sysconf(_SC_PAGESIZE);
}

/* Building what is sent. */

static char *allocate(size_t size) {
    char *memory = malloc(size ? size : 1);
    if (!memory) die("out of memory");
    return memory;
}

static size_t put_header(char *out, int first, size_t length) {
    size_t used = 2;
    out[0] = (char)first;
    if (length < 126) {
        out[1] = (char)(0x80 | length);
    } else if (length < 65536) {
        out[1] = (char)(0x80 | 126);
        out[2] = (char)(length >> 8);
        out[3] = (char)length;
        used = 4;
    } else {
        out[1] = (char)(0x80 | 127);
        for (int i = 0; i < 8; i++) out[2 + i] = (char)((uint64_t)length >> (56 - 8 * i));
        used = 10;
    }
    return used;
}

static size_t put_frame(char *out, int first, const char *data, size_t length) {
    static const char key[4] = {0x37, (char)0xfa, 0x21, 0x3d};
    size_t used = put_header(out, first, length);
    memcpy(out + used, key, 4);
    used += 4;
    for (size_t i = 0; i < length; i++) out[used + i] = data[i] ^ key[i & 3];
    return used + length;
}

/* Records like an API's answers. */
static void fill_with_json(char *out, size_t size) {
    size_t used = 0;
    for (unsigned i = 0; used < size; i++) {
        char record[160];
        int length = snprintf(record, sizeof record,
            "{\"id\": %u, \"symbol\": \"%c%c%c\", \"price\": %u.%02u, \"volume\": %u, "
            "\"active\": %s},\n", 1000 + i * 7, 'A' + i % 26, 'A' + i * 5 % 26, 'A' + i * 11 % 26,
            100 + i * 37 % 900, i * 13 % 100, i * 7919 % 100000, i % 3 ? "true" : "false");
        for (int k = 0; k < length && used < size; k++) out[used++] = record[k];
    }
}

static void build_messages(void) {
    payload = allocate(options.size);
    if (options.text || options.deflate) {
        fill_with_json(payload, options.size);
    } else {
        uint64_t x = 88172645463325252u;
        for (size_t i = 0; i < options.size; i++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            payload[i] = (char)(x >> 32);
        }
    }
    if (options.mode == RAW) {
        frame = payload;
        frame_size = options.size;
        return;
    }
    int opcode = options.text || options.deflate ? OP_TEXT : OP_BINARY;
    const char *data = payload;
    size_t size = options.size;
    if (options.deflate) {
        z_stream deflater = {0};
        if (deflateInit2(&deflater, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY)) die("zlib");
        size_t room = deflateBound(&deflater, size) + 16;
        char *packed = allocate(room);
        deflater.next_in = (Bytef *)payload;
        deflater.avail_in = (uInt)size;
        deflater.next_out = (Bytef *)packed;
        deflater.avail_out = (uInt)room;
        deflate(&deflater, Z_SYNC_FLUSH);
        data = packed;
        size = room - deflater.avail_out - 4;
        deflateEnd(&deflater);
        opcode |= 0x40;
    }
    size_t step = options.fragment ? options.fragment : size;
    size_t frames = step ? (size + step - 1) / step : 1;
    frame = allocate(size + 14 * (frames ? frames : 1));
    frame_size = 0;
    size_t at = 0;
    do {
        size_t part = size - at < step ? size - at : step;
        int first = (at ? OP_CONTINUATION : opcode) | (at + part == size ? 0x80 : 0);
        frame_size += put_frame(frame + frame_size, first, data + at, part);
        at += part;
    } while (at < size);
}

/* Sending. */

static void watch(struct connection *c, int operation, unsigned events) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(poller, operation, c->fd, &event)) die("epoll_ctl: %s", strerror(errno));
}

static void keep(struct connection *c, const char *data, size_t size) {
    c->pending = realloc(c->pending, c->pending_size + size);
    if (!c->pending) die("out of memory");
    memcpy(c->pending + c->pending_size, data, size);
    if (!c->pending_size) watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    c->pending_size += size;
}

static void write_pending(struct connection *c) {
    ssize_t sent = write(c->fd, c->pending, c->pending_size);
    if (sent < 0) {
        if (errno == EAGAIN) return;
        die("write: %s", strerror(errno));
    }
    c->pending_size -= (size_t)sent;
    memmove(c->pending, c->pending + sent, c->pending_size);
    if (!c->pending_size) watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

static void send_bytes(struct connection *c, const char *data, size_t size) {
    ssize_t sent = 0;
    if (!c->pending_size) {
        sent = write(c->fd, data, size);
        if (sent < 0) {
            if (errno != EAGAIN) die("write: %s", strerror(errno));
            sent = 0;
        }
    }
    if ((size_t)sent < size) keep(c, data + sent, size - (size_t)sent);
}

static void send_messages(struct connection *c, int count) {
    uint64_t now = now_ns();
    struct iovec parts[MAX_DEPTH];
    for (int i = 0; i < count; i++) {
        parts[i] = (struct iovec){frame, frame_size};
        c->sent_at[c->newest++ % MAX_DEPTH] = now;
    }
    ssize_t sent = 0;
    if (!c->pending_size) {
        sent = writev(c->fd, parts, count);
        if (sent < 0) {
            if (errno != EAGAIN) die("write: %s", strerror(errno));
            sent = 0;
        }
    }
    size_t total = frame_size * (size_t)count;
    while ((size_t)sent < total) {
        size_t at = (size_t)sent % frame_size;
        keep(c, frame + at, frame_size - at);
        sent += (ssize_t)(frame_size - at);
    }
}

static void send_pong(struct connection *c, const char *data, size_t size) {
    char out[256];
    send_bytes(c, out, put_frame(out, 0x80 | OP_PONG, data, size));
}

/* Connecting. */

static void begin(struct connection *c) {
    static unsigned started;
    unsigned number = started++;
    memset(c, 0, offsetof(struct connection, sent_at));
    c->oldest = c->newest = 0;
    c->got = 0;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) die("socket: %s", strerror(errno));
    int on = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    /* Ports wait a minute before they can be had again: take them from many loopback addresses. */
    struct sockaddr_in source = {.sin_family = AF_INET};
    source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + number / PORTS_PER_ADDRESS % 200);
    if (bind(c->fd, (struct sockaddr *)&source, sizeof source)) die("bind: %s", strerror(errno));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS)
        die("connect: %s", strerror(errno));
    c->stage = CONNECTING;
    watch(c, EPOLL_CTL_ADD, EPOLLOUT);
}

static void opened(struct connection *c) {
    c->stage = OPEN;
    c->head_size = 0;
    open_connections++;
    if (options.mode == HANDSHAKE) {
        handshakes++;
        char out[16];
        send_bytes(c, out, put_frame(out, 0x80 | OP_CLOSE, "\x03\xe8", 2));
    }
}

static void connected(struct connection *c) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) die("connect: %s", strerror(error));
    watch(c, EPOLL_CTL_MOD, EPOLLIN);
    if (options.mode == RAW) {
        opened(c);
        return;
    }
    char request[512];
    int length = snprintf(request, sizeof request,
        "GET /%s HTTP/1.1\r\nHost: localhost:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
        options.path ? options.path : mode_names[options.mode], options.port,
        options.deflate ? "Sec-WebSocket-Extensions: permessage-deflate; "
            "server_no_context_takeover; client_no_context_takeover\r\n" : "");
    c->stage = UPGRADING;
    send_bytes(c, request, (size_t)length);
}

/* Receiving. */

static void message_received(struct connection *c) {
    if (options.mode == FANOUT) {
        if (++c->got > options.depth) die("a message came twice");
        messages++;
        fanout_left--;
        return;
    }
    if (options.mode != ECHO && options.mode != RAW) die("a message came from nowhere");
    uint64_t sent = c->sent_at[c->oldest++ % MAX_DEPTH];
    messages++;
    if (counting) note_latency(now_ns() - sent);
}

static void check_inflated(struct connection *c) {
    if (c->payload_done == known_reply_size
        && !memcmp(c->collected, known_reply, known_reply_size)) return;
    char *room = allocate(options.size + 1);
    char *whole = allocate(c->payload_done + 4);
    memcpy(whole, c->collected, c->payload_done);
    memcpy(whole + c->payload_done, "\0\0\xff\xff", 4);
    z_stream inflater = {0};
    inflater.next_in = (Bytef *)whole;
    inflater.avail_in = (uInt)(c->payload_done + 4);
    inflater.next_out = (Bytef *)room;
    inflater.avail_out = (uInt)(options.size + 1);
    if (inflateInit2(&inflater, -15) || inflate(&inflater, Z_SYNC_FLUSH) < 0)
        die("the reply is not valid DEFLATE data");
    inflateEnd(&inflater);
    if (inflater.total_out != options.size || memcmp(room, payload, options.size))
        die("the reply inflates to something else");
    free(room);
    free(whole);
    known_reply = realloc(known_reply, c->payload_done + 1);
    memcpy(known_reply, c->collected, c->payload_done);
    known_reply_size = c->payload_done;
}

static void finish(struct connection *c) {
    close(c->fd);
    free(c->pending);
    free(c->collected);
    c->stage = DOWN;
}

static size_t header_size(const char *head, size_t have, size_t *length) {
    if (have < 2) return 0;
    unsigned char second = (unsigned char)head[1];
    if (second & 0x80) die("a server's frame is masked");
    size_t needed = second < 126 ? 2 : second == 126 ? 4 : 10;
    if (have < needed) return 0;
    *length = second;
    if (needed > 2) {
        *length = 0;
        for (size_t i = 2; i < needed; i++) *length = *length << 8 | (unsigned char)head[i];
    }
    return needed;
}

static void begin_frame(struct connection *c, size_t length) {
    unsigned char first = (unsigned char)c->head[0];
    if (!(first & 0x80)) die("a fragment came back");
    c->opcode = first & 0x0f;
    c->compressed = first & 0x40;
    c->in_payload = true;
    c->payload_left = length;
    c->payload_done = 0;
    c->head_size = 0;
    if (c->opcode >= OP_CLOSE) {
        if (length > 125) die("a control frame is too long");
        return;
    }
    if (c->opcode != (options.text || options.deflate ? OP_TEXT : OP_BINARY)) die("wrong opcode");
    if (c->compressed) {
        if (length > c->collected_room) {
            c->collected = realloc(c->collected, length);
            c->collected_room = length;
        }
    } else if (length != options.size) {
        die("a reply of %zu bytes, not %zu", length, options.size);
    }
}

static size_t take_payload(struct connection *c, const char *data, size_t size) {
    if (size > c->payload_left) size = c->payload_left;
    if (c->opcode >= OP_CLOSE)
        memcpy(c->head + c->payload_done, data, size);
    else if (c->compressed)
        memcpy(c->collected + c->payload_done, data, size);
    else if (memcmp(data, payload + c->payload_done, size))
        die("the reply differs from what was sent");
    c->payload_done += size;
    c->payload_left -= size;
    return size;
}

/* Returns false if the connection is gone. */
static bool frame_received(struct connection *c) {
    c->in_payload = false;
    if (c->opcode == OP_PING) {
        send_pong(c, c->head, c->payload_done);
    } else if (c->opcode == OP_CLOSE) {
        if (options.mode != HANDSHAKE) die("the server closed a connection");
        finish(c);
        return false;
    } else if (c->opcode < OP_CLOSE) {
        if (c->compressed) check_inflated(c);
        message_received(c);
    }
    return true;
}

static bool parse_frames(struct connection *c, const char *data, size_t size) {
    while (size || (c->in_payload && !c->payload_left)) {
        if (!c->in_payload) {
            size_t length, before = c->head_size;
            while (c->head_size < 10 && c->head_size - before < size) {
                c->head[c->head_size] = data[c->head_size - before];
                c->head_size++;
                if (header_size(c->head, c->head_size, &length)) break;
            }
            data += c->head_size - before;
            size -= c->head_size - before;
            if (!header_size(c->head, c->head_size, &length)) return true;
            begin_frame(c, length);
        }
        size_t taken = take_payload(c, data, size);
        data += taken;
        size -= taken;
        if (!c->payload_left && !frame_received(c)) return false;
    }
    return true;
}

static bool parse_raw(struct connection *c, const char *data, size_t size) {
    while (size) {
        size_t part = options.size - c->payload_done;
        if (part > size) part = size;
        if (memcmp(data, payload + c->payload_done, part)) die("the reply differs");
        c->payload_done += part;
        data += part;
        size -= part;
        if (c->payload_done == options.size) {
            c->payload_done = 0;
            message_received(c);
        }
    }
    return true;
}

static bool parse_response(struct connection *c, const char *data, size_t size) {
    if (c->head_size + size >= sizeof c->head) die("the response's head is too long");
    memcpy(c->head + c->head_size, data, size);
    c->head_size += size;
    c->head[c->head_size] = 0;
    char *end = strstr(c->head, "\r\n\r\n");
    if (!end) return true;
    if (strncmp(c->head, "HTTP/1.1 101 ", 13)) die("the server answered %.60s", c->head);
    if (!strcasestr(c->head, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")) die("wrong Sec-WebSocket-Accept");
    if (options.deflate && !strcasestr(c->head, "permessage-deflate")) die("no compression");
    char rest[sizeof c->head];
    size_t rest_size = c->head_size - (size_t)(end + 4 - c->head);
    memcpy(rest, end + 4, rest_size);
    opened(c);
    return parse_frames(c, rest, rest_size);
}

static void readable(struct connection *c) {
    static char buffer[1 << 18];
    ssize_t size = read(c->fd, buffer, sizeof buffer);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) die("the server cut a connection off: %s", size ? strerror(errno) : "EOF");
    bool is_there = c->stage == UPGRADING ? parse_response(c, buffer, (size_t)size)
        : options.mode == RAW ? parse_raw(c, buffer, (size_t)size)
        : parse_frames(c, buffer, (size_t)size);
    if (running && is_there && c->stage == OPEN && (options.mode == ECHO || options.mode == RAW)) {
        int missing = options.depth - (int)(c->newest - c->oldest);
        if (missing > 0) send_messages(c, missing);
    }
}

static void publish(void) {
    static uint64_t published;
    uint64_t now = now_ns();
    if (counting && published) note_latency(now - published);
    published = now;
    fanout_left = (uint64_t)options.connections * (uint64_t)options.depth;
    for (int i = 0; i < options.connections; i++) connections[i].got = 0;
    send_messages(&connections[0], options.depth);
}

static void turn(int timeout) {
    struct epoll_event events[512];
    int count = epoll_wait(poller, events, 512, timeout);
    for (int i = 0; i < count; i++) {
        struct connection *c = events[i].data.ptr;
        if (c->stage == CONNECTING) {
            connected(c);
        } else {
            if (events[i].events & EPOLLOUT) write_pending(c);
            if (events[i].events & ~(unsigned)EPOLLOUT) readable(c);
        }
        if (c->stage == DOWN) begin(c);
    }
    if (options.mode == FANOUT && running && !fanout_left) publish();
}

static void run_for(double seconds) {
    uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
    while (now_ns() < end) turn(10);
}

static void open_all(void) {
    /* A few at a time: the backlog is finite. */
    uint64_t limit = now_ns() + 60000000000u;
    for (int i = 0; i < options.connections; i++) {
        begin(&connections[i]);
        while ((uint64_t)i + 1 > open_connections + 100) turn(10);
    }
    while (open_connections < (uint64_t)options.connections) {
        turn(10);
        if (now_ns() > limit) die("only %lu connections open", (unsigned long)open_connections);
    }
}

static void parse_options(int count, char **arguments) {
    static const struct option names[] = {
        {"mode", 1, 0, 'm'}, {"port", 1, 0, 'p'}, {"pid", 1, 0, 'i'}, {"connections", 1, 0, 'c'},
        {"size", 1, 0, 's'}, {"depth", 1, 0, 'd'}, {"seconds", 1, 0, 't'}, {"warmup", 1, 0, 'w'},
        {"path", 1, 0, 'P'}, {"fragment", 1, 0, 'f'}, {"text", 0, 0, 'T'}, {"deflate", 0, 0, 'D'}, {0}};
    int found;
    while ((found = getopt_long(count, arguments, "", names, 0)) != -1) {
        switch (found) {
        case 'm':
            while (strcmp(mode_names[options.mode], optarg))
                if (++options.mode > HANDSHAKE) die("no mode %s", optarg);
            break;
        case 'p': options.port = atoi(optarg); break;
        case 'i': options.pid = atoi(optarg); break;
        case 'c': options.connections = atoi(optarg); break;
        case 's': options.size = (size_t)atol(optarg); break;
        case 'd': options.depth = atoi(optarg); break;
        case 't': options.seconds = atof(optarg); break;
        case 'w': options.warmup = atof(optarg); break;
        case 'P': options.path = optarg; break;
        case 'f': options.fragment = (size_t)atol(optarg); break;
        case 'T': options.text = true; break;
        case 'D': options.deflate = true; break;
        default: exit(2);
        }
    }
    if (!options.port || options.depth < 1 || options.depth > MAX_DEPTH || options.connections < 1)
        die("usage: load --port PORT [--pid SERVER] [--mode echo|raw|fanout|idle|handshake]\n"
            "  [--connections 1] [--size 256] [--depth 1, at most %d] [--fragment BYTES]\n"
            "  [--path MODE] [--text] [--deflate] [--seconds 2] [--warmup 0.5]", MAX_DEPTH);
}

int main(int count, char **arguments) {
    signal(SIGPIPE, SIG_IGN);
    parse_options(count, arguments);
    build_messages();
    poller = epoll_create1(0);
    connections = calloc((size_t)options.connections, sizeof *connections);
    if (!connections) die("out of memory");
    long memory_before = server_memory();
    double start = (double)now_ns();
    open_all();
    double opening = ((double)now_ns() - start) / 1e9;
    running = true;
    if (options.mode == ECHO || options.mode == RAW)
        for (int i = 0; i < options.connections; i++) send_messages(&connections[i], options.depth);
    run_for(options.warmup);
    counting = true;
    uint64_t messages_before = messages, handshakes_before = handshakes;
    double cpu_before = server_cpu_seconds();
    uint64_t begun = now_ns();
    run_for(options.seconds);
    double elapsed = (double)(now_ns() - begun) / 1e9;
    double cpu = server_cpu_seconds() - cpu_before;
    uint64_t done = options.mode == HANDSHAKE ? handshakes - handshakes_before
        : messages - messages_before;
    long memory = server_memory();
    printf("{\"mode\": \"%s\", \"connections\": %d, \"size\": %zu, \"depth\": %d, "
        "\"seconds\": %.3f, \"count\": %lu, \"per_second\": %.1f, \"cpu_us\": %.4f, "
        "\"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"opening_seconds\": %.3f, "
        "\"memory\": %ld, \"memory_per_connection\": %.1f}\n",
        mode_names[options.mode], options.connections, options.size, options.depth, elapsed,
        (unsigned long)done, (double)done / elapsed, done ? cpu * 1e6 / (double)done : 0,
        percentile_us(0.5), percentile_us(0.99), percentile_us(0.999), opening, memory,
        (double)(memory - memory_before) / options.connections);
    return 0;
}
