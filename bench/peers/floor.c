/*
 * The floor: the least possible program that gives every subscriber the bytes that roomwire gives
 * it, one write per subscriber and order. What it costs is the kernel's share. It speaks the control
 * channel of peer.ts (lines of JSON on $NODE_CHANNEL_FD): {"publish":N} and {"usage":true}.
 * Arguments: the topic's name and an item, both as MessagePack in hexadecimal.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS = 20000, LINE = 1024 };

static int clients[CLIENTS], count;

static unsigned char *hex(const char *text, size_t *size) {
  *size = strlen(text) / 2;
  unsigned char *bytes = malloc(*size);
  for (size_t i = 0; i < *size; i++) {
    unsigned value;
    sscanf(text + 2 * i, "%2x", &value);
    bytes[i] = (unsigned char)value;
  }
  return bytes;
}

/* Sockets block: the load reads all the time, and waiting is part of what a write costs. */
static void write_all(int fd, const unsigned char *bytes, size_t size) {
  while (size > 0) {
    ssize_t written = write(fd, bytes, size);
    if (written <= 0) exit(1);
    bytes += written;
    size -= (size_t)written;
  }
}

/* One binary message that holds one EVENTS frame: [48, topic, offset, items...]. */
static unsigned char *message_of(unsigned events, const unsigned char *topic, size_t topic_size,
                                 const unsigned char *item, size_t item_size, size_t *size) {
  unsigned char *bytes = malloc(64 + topic_size + events * item_size), *at = bytes;
  unsigned elements = events + 3;
  size_t payload = (elements < 16 ? 1 : 3) + 1 + topic_size + 5 + events * item_size;
  *at++ = 0x82;
  if (payload < 126) *at++ = (unsigned char)payload;
  else if (payload < 65536) { *at++ = 126; *at++ = (unsigned char)(payload >> 8); *at++ = (unsigned char)payload; }
  else { *at++ = 127; for (int i = 7; i >= 0; i--) *at++ = (unsigned char)((unsigned long long)payload >> (8 * i)); }
  if (elements < 16) *at++ = (unsigned char)(0x90 | elements);
  else { *at++ = 0xdc; *at++ = (unsigned char)(elements >> 8); *at++ = (unsigned char)elements; }
  *at++ = 48;
  memcpy(at, topic, topic_size);
  at += topic_size;
  memcpy(at, "\xce\x01\x00\x00\x00", 5);
  at += 5;
  for (unsigned i = 0; i < events; i++, at += item_size) memcpy(at, item, item_size);
  *size = (size_t)(at - bytes);
  return bytes;
}

static void welcome(int fd) {
  char request[4096];
  size_t size = 0;
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  do {
    ssize_t got = read(fd, request + size, sizeof request - 1 - size);
    if (got <= 0) { close(fd); return; }
    size += (size_t)got;
    request[size] = 0;
  } while (strstr(request, "\r\n\r\n") == NULL && size < sizeof request - 1);
  /* The load does not check the key's answer, so none is worked out. */
  const char *answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
  write_all(fd, (const unsigned char *)answer, strlen(answer));
  if (count < CLIENTS) clients[count++] = fd;
}

int main(int argc, char **argv) {
  if (argc < 3 || getenv("NODE_CHANNEL_FD") == NULL) return 2;
  size_t topic_size, item_size, size = 0;
  unsigned char *topic = hex(argv[1], &topic_size), *item = hex(argv[2], &item_size), *message = NULL;
  unsigned made = 0;
  int control = atoi(getenv("NODE_CHANNEL_FD")), listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  if (bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 1024) != 0) return 1;
  getsockname(listener, (struct sockaddr *)&address, &length);
  dprintf(control, "{\"port\":%d}\n", ntohs(address.sin_port));
  char line[LINE];
  size_t used = 0;
  for (;;) {
    struct pollfd polled[2] = {{.fd = control, .events = POLLIN}, {.fd = listener, .events = POLLIN}};
    if (poll(polled, 2, -1) < 0) return 1;
    if (polled[1].revents & POLLIN) welcome(accept(listener, NULL, NULL));
    if ((polled[0].revents & (POLLIN | POLLHUP)) == 0) continue;
    ssize_t got = read(control, line + used, sizeof line - 1 - used);
    if (got <= 0) return 0;
    used += (size_t)got;
    line[used] = 0;
    for (char *end; (end = strchr(line, '\n')) != NULL;) {
      *end = 0;
      char *order = strstr(line, "\"publish\":");
      if (order != NULL) {
        unsigned events = (unsigned)atoi(order + strlen("\"publish\":"));
        if (events != made) {
          free(message);
          message = message_of(made = events, topic, topic_size, item, item_size, &size);
        }
        for (int i = 0; i < count; i++) write_all(clients[i], message, size);
      } else if (strstr(line, "usage") != NULL) {
        struct rusage usage;
        getrusage(RUSAGE_SELF, &usage);
        dprintf(control, "{\"cpuMicroseconds\":%lld,\"rss\":0,\"heap\":0}\n",
                (long long)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                    usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
      }
      used -= (size_t)(end + 1 - line);
      memmove(line, end + 1, used + 1);
    }
  }
}
