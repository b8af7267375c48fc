/* relay PORT SERVICE_PORT: copies bytes between each client and a connection of its own to the service. One thread,
 * level-triggered epoll, two reads and two writes per exchange and nothing else: the floor of whatever proxies with
 * plain system calls. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static int peer[65536];
static char buf[262144];

int main(int argc, char **argv) {
  if (argc != 3) { fprintf(stderr, "usage: relay PORT SERVICE_PORT\n"); return 2; }
  int port = atoi(argv[1]), bport = atoi(argv[2]), one = 1;
  int ep = epoll_create1(0);
  int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(l, (void *)&a, sizeof a) || listen(l, 4096)) { perror("bind"); return 1; }
  struct epoll_event e = {.events = EPOLLIN, .data.fd = l}, ev[256];
  epoll_ctl(ep, EPOLL_CTL_ADD, l, &e);
  for (;;) {
    int n = epoll_wait(ep, ev, 256, -1);
    for (int i = 0; i < n; i++) {
      int fd = ev[i].data.fd;
      if (fd == l) {
        int c = accept4(l, NULL, NULL, SOCK_NONBLOCK), u;
        if (c < 0) continue;
        struct sockaddr_in b = a;
        b.sin_port = htons(bport);
        u = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(u, (void *)&b, sizeof b)) { perror("connect"); return 1; }
        setsockopt(u, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        peer[c] = u; peer[u] = c;
        e.events = EPOLLIN; e.data.fd = c; epoll_ctl(ep, EPOLL_CTL_ADD, c, &e);
        e.data.fd = u; epoll_ctl(ep, EPOLL_CTL_ADD, u, &e);
        continue;
      }
      ssize_t r = read(fd, buf, sizeof buf);
      if (r <= 0) {
        if (r < 0 && errno == EAGAIN) continue;
        if (peer[fd] > 0) { close(peer[fd]); peer[peer[fd]] = 0; }
        close(fd); peer[fd] = 0;
        continue;
      }
      for (ssize_t w, o = 0; o < r; o += w) { /* blocking writes are enough for a floor */
        w = write(peer[fd], buf + o, r - o);
        if (w < 0) { if (errno == EAGAIN) { w = 0; continue; } break; }
      }
    }
  }
}
