/* udpload - small SIP/UDP load generator for loopback measurements.
 *
 *   cc -O2 -o udpload udpload.c -lcrypto -lpthread
 *
 *   udpload -m flood  -p POOL -t PORT -n N [-q BYTES] [-s SINKPORT]
 *        sends N datagrams from the pool (round robin) to 127.0.0.1:PORT.  Flow control: keeps the
 *        receiver's socket queue (rx_queue of /proc/net/udp) below BYTES, so nothing is lost while the
 *        receiver never idles.  -s opens a sink socket that counts what arrives there.
 *   udpload -m reply  -p POOL -t PORT -n N [-w WINDOW] [-l LOCALPORT]
 *        closed loop, WINDOW requests outstanding, every request must get one final reply.
 *   udpload -m digest -p POOL -t PORT -n N [-w WINDOW] [-l LOCALPORT] -u USER -r REALM -c PASSWORD [-a]
 *        closed loop, request -> 401/407 -> (ACK with -a) -> request with credentials -> 200.
 *   udpload -m pace   -p POOL -t PORT -n N -R RATE -s SINKPORT
 *        open loop at RATE messages a second; the sink tells the latency of each by its CSeq.
 *
 * POOL is a binary file of records: uint32 LE length, bytes.  In reply/digest mode each message must
 * carry  branch=z9hG4bKp%07u  (its index in the pool) in the top Via and the text CSeq: %06u.
 * Output: one JSON object on stdout.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdint.h>
#include <unistd.h>
#include <errno.h>
#include <time.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <openssl/evp.h>

typedef struct { char *p; int len; } msg_t;
static msg_t *pool; static int npool;
static int port = 5060, lport = 25090, window = 32, sinkport = 0, do_ack = 0;
static long N = 100000, qmax = 60000;
static const char *mode = "flood", *user = "alice", *realm = "r", *pass = "secret";
static struct sockaddr_in dst;

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }

static void load(const char *f)
{
	FILE *h = fopen(f, "rb"); uint32_t l; int cap = 0;
	if(!h) { perror(f); exit(1); }
	while(fread(&l, 4, 1, h) == 1) {
		if(npool == cap) { cap = cap ? cap * 2 : 1024; pool = realloc(pool, cap * sizeof *pool); }
		pool[npool].p = malloc(l + 1); pool[npool].len = l;
		if(fread(pool[npool].p, 1, l, h) != l) { fprintf(stderr, "short pool\n"); exit(1); }
		pool[npool].p[l] = 0; npool++;
	}
	fclose(h);
}

/* receive queue and drops of the local UDP socket bound to 'port' */
static FILE *pnu; static char pbuf[65536];
static long rxq(int prt, long *drops)
{
	static char key[16]; static int kp = -1; char *s; unsigned long tx = 0, rx = 0; long d = 0;
	if(kp != prt) { snprintf(key, sizeof key, ":%04X ", prt); kp = prt; }
	if(!pnu) { pnu = fopen("/proc/net/udp", "r"); setvbuf(pnu, NULL, _IONBF, 0); }
	rewind(pnu);
	size_t n = fread(pbuf, 1, sizeof pbuf - 1, pnu); pbuf[n] = 0;
	/* the local address only ("sl: ADDRESS:PORT "): a socket that is connected to the port shows it too */
	for(s = strstr(pbuf, key); s && !(s - pbuf >= 10 && s[-9] == ' ' && s[-10] == ':'); s = strstr(s + 1, key));
	if(!s) return -1;
	/* after local address:  rem_address st tx:rx tr tm->when retrnsmt uid timeout inode ref pointer drops */
	sscanf(s + 6, "%*s %*s %lx:%lx", &tx, &rx);
	char *e = strchr(s, '\n'); if(!e) e = s + strlen(s);
	while(e > s && e[-1] == ' ') e--;
	char *q = e; while(q > s && q[-1] >= '0' && q[-1] <= '9') q--;
	d = atol(q);
	if(drops) *drops = d;
	return (long)rx;
}

static volatile int stop_sink; static long sink_n;
static void *sinkfn(void *a)
{
	int s = *(int *)a; static char b[32][4096]; struct mmsghdr m[32]; struct iovec v[32];
	for(int i = 0; i < 32; i++) { v[i].iov_base = b[i]; v[i].iov_len = 4096; memset(&m[i], 0, sizeof m[i]); m[i].msg_hdr.msg_iov = &v[i]; m[i].msg_hdr.msg_iovlen = 1; }
	while(!stop_sink) {
		int r = recvmmsg(s, m, 32, MSG_WAITFORONE, NULL);
		if(r > 0) sink_n += r;
	}
	return NULL;
}

static int mksock(int p, int tmo_ms)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0), sz = 8 << 20; struct sockaddr_in a = {0};
	setsockopt(s, SOL_SOCKET, SO_RCVBUF, &sz, sizeof sz);
	if(setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &sz, sizeof sz) < 0) {}
	a.sin_family = AF_INET; a.sin_addr.s_addr = htonl(INADDR_LOOPBACK); a.sin_port = htons(p);
	if(bind(s, (void *)&a, sizeof a) < 0) { perror("bind"); exit(1); }
	struct timeval tv = { tmo_ms / 1000, (tmo_ms % 1000) * 1000 };
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	return s;
}

static void flood(void)
{
	int s = mksock(lport, 100), k = -1; pthread_t th; long d0 = 0, d1 = 0, i, pauses = 0; double t0, t1;
	connect(s, (void *)&dst, sizeof dst);
	if(sinkport) { k = mksock(sinkport, 50); pthread_create(&th, NULL, sinkfn, &k); }
	if(rxq(port, &d0) < 0) { fprintf(stderr, "no local socket on port %d\n", port); exit(1); }
	t0 = now();
	for(i = 0; i < N; i++) {
		msg_t *m = &pool[i % npool];
		if(send(s, m->p, m->len, 0) < 0 && errno != ECONNREFUSED) { perror("send"); exit(1); }
		if((i & 7) == 7) {
			while(rxq(port, NULL) > qmax) { pauses++; struct timespec ts = {0, 20000}; nanosleep(&ts, NULL); }
		}
	}
	while(rxq(port, &d1) > 0) { struct timespec ts = {0, 200000}; nanosleep(&ts, NULL); }
	t1 = now();
	usleep(100000);
	if(sinkport) { stop_sink = 1; pthread_join(th, NULL); }
	rxq(port, &d1);
	printf("{\"mode\":\"flood\",\"sent\":%ld,\"lost\":%ld,\"sink\":%ld,\"wall_s\":%.6f,\"msg_per_s\":%.1f,\"pauses\":%ld}\n", N, d1 - d0, sink_n, t1 - t0, N / (t1 - t0), pauses);
}

/* pace: when each message was sent, by its CSeq (100000 + index in the pool), and how long it took to the sink */
static double rate = 1000; static double *sent_at; static float *lat; static volatile long nlat;
static void *pacesink(void *a)
{
	int s = *(int *)a; static char b[65536];
	while(!stop_sink) {
		int r = recv(s, b, sizeof b - 1, 0);
		if(r <= 0) continue;
		double t = now(); b[r] = 0;
		char *c = strstr(b, "\r\nCSeq: ");
		if(!c) continue;
		long ix = atol(c + 8) - 100000;
		if(ix < 0 || ix >= npool || sent_at[ix] == 0) continue;
		if(nlat < N) lat[nlat++] = (float)((t - sent_at[ix]) * 1e6);
	}
	return NULL;
}
static int cmpf(const void *a, const void *b) { float x = *(const float *)a, y = *(const float *)b; return x < y ? -1 : x > y; }
static void pace(void)
{
	int s = mksock(lport, 100), k; pthread_t th; long i, d0 = 0, d1 = 0; double t0, t1;
	sent_at = calloc(npool, sizeof *sent_at); lat = calloc(N, sizeof *lat);
	connect(s, (void *)&dst, sizeof dst);
	k = mksock(sinkport, 50); pthread_create(&th, NULL, pacesink, &k);
	rxq(port, &d0);
	t0 = now();
	for(i = 0; i < N; i++) {
		double due = t0 + i / rate;
		for(;;) { double t = now(); if(t >= due) break; if(due - t > 200e-6) { struct timespec ts = {0, 50000}; nanosleep(&ts, NULL); } }
		msg_t *m = &pool[i % npool];
		sent_at[i % npool] = now();
		if(send(s, m->p, m->len, 0) < 0 && errno != ECONNREFUSED) { perror("send"); exit(1); }
	}
	t1 = now(); usleep(300000); stop_sink = 1; pthread_join(th, NULL); rxq(port, &d1);
	qsort(lat, nlat, sizeof *lat, cmpf);
	printf("{\"mode\":\"pace\",\"sent\":%ld,\"lost\":%ld,\"sink\":%ld,\"msg_per_s\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f}\n",
		N, d1 - d0, nlat, N / (t1 - t0), nlat ? lat[nlat / 2] : 0, nlat ? lat[(long)(nlat * 0.99)] : 0, nlat ? lat[nlat - 1] : 0);
}

static void md5hex(const char *in, int l, char *out)
{
	unsigned char d[16]; unsigned n; EVP_Digest(in, l, d, &n, EVP_md5(), NULL);
	for(int i = 0; i < 16; i++) sprintf(out + 2 * i, "%02x", d[i]);
}

/* dup: challenges that are still to come, because the first request was sent again */
typedef struct { long idx; int state, dup; double sent; char *buf; int len; } slot_t;

static void loop(int digest)
{
	int s = mksock(lport, 20); static char b[65536]; long started = 0, done = 0, retr = 0, c2 = 0, c4 = 0, other = 0; double t0, t1, last;
	slot_t *sl = calloc(window, sizeof *sl); int *owner = malloc(npool * sizeof(int)); char ha1[33] = "";
	if(window > npool) { fprintf(stderr, "pool too small\n"); exit(1); }
	connect(s, (void *)&dst, sizeof dst);
	for(int i = 0; i < npool; i++) owner[i] = -1;
	if(digest) { char t[512]; int l = snprintf(t, sizeof t, "%s:%s:%s", user, realm, pass); md5hex(t, l, ha1); }
	for(int i = 0; i < window; i++) sl[i].buf = malloc(8192);
	t0 = now(); last = t0;
	for(int i = 0; i < window && started < N; i++) {
		sl[i].idx = started % npool; owner[sl[i].idx] = i; sl[i].state = 1; sl[i].sent = now();
		memcpy(sl[i].buf, pool[sl[i].idx].p, sl[i].len = pool[sl[i].idx].len);
		send(s, sl[i].buf, sl[i].len, 0); started++;
	}
	while(done < N) {
		int r = recv(s, b, sizeof b - 1, 0);
		if(r <= 0) {
			double t = now();
			for(int i = 0; i < window; i++) if(sl[i].state && t - sl[i].sent > 0.2) { send(s, sl[i].buf, sl[i].len, 0); sl[i].sent = t; sl[i].dup += sl[i].state == 1; retr++; }
			if(t - last > 5) { fprintf(stderr, "no progress for 5 s, giving up\n"); break; }
			continue;
		}
		b[r] = 0; last = now();
		char *br = strstr(b, "branch=z9hG4bKp"); long ix; slot_t *x; int code = atoi(b + 8);
		if(!br) continue;
		ix = atol(br + 15);
		if(ix < 0 || ix >= npool || owner[ix] < 0) continue;
		x = &sl[owner[ix]];
		if(code < 200) continue;
		if(digest && x->state == 1 && (code == 401 || code == 407)) {
			/* parse nonce, build credentials */
			char *no = strstr(b, "nonce=\""), nonce[256], ha2[33], resp[33], t[1024], uri[512], meth[32]; int l;
			if(!no) { other++; continue; }
			no += 7; char *e = strchr(no, '"'); l = e - no; memcpy(nonce, no, l); nonce[l] = 0;
			c4++;
			if(do_ack) {
				char *to = strstr(b, "\r\nTo: "), *te = strstr(to + 2, "\r\n"); char a[2048]; msg_t *m = &pool[ix];
				char *fr = strstr(m->p, "\r\nFrom: "), *fe = strstr(fr + 2, "\r\n"), *ci = strstr(m->p, "\r\nCall-ID: "), *ce = strstr(ci + 2, "\r\n"), *vi = strstr(m->p, "\r\nVia: "), *ve = strstr(vi + 2, "\r\n"), *cs = strstr(m->p, "\r\nCSeq: ");
				char *u0 = strchr(m->p, ' ') + 1, *u1 = strchr(u0, ' ');
				l = snprintf(a, sizeof a, "ACK %.*s SIP/2.0%.*s\r\nMax-Forwards: 70%.*s%.*s%.*s\r\nCSeq: %.6s ACK\r\nContent-Length: 0\r\n\r\n", (int)(u1 - u0), u0, (int)(ve - vi), vi, (int)(fe - fr), fr, (int)(te - to), to, (int)(ce - ci), ci, cs + 8);
				send(s, a, l, 0);
			}
			msg_t *m = &pool[ix]; char *u0 = strchr(m->p, ' ') + 1, *u1 = strchr(u0, ' ');
			snprintf(meth, sizeof meth, "%.*s", (int)(u0 - 1 - m->p), m->p); snprintf(uri, sizeof uri, "%.*s", (int)(u1 - u0), u0);
			l = snprintf(t, sizeof t, "%s:%s", meth, uri); md5hex(t, l, ha2);
			/* qop is answered where it is offered; every nonce is used once */
			int qop = strstr(b, "qop=\"") != NULL;
			l = snprintf(t, sizeof t, qop ? "%s:%s:00000001:0a4f113b:auth:%s" : "%s:%s:%s", ha1, nonce, ha2); md5hex(t, l, resp);
			char *cl = strstr(m->p, "\r\nContent-Length:"); int hl = cl - m->p;
			memcpy(x->buf, m->p, hl);
			l = sprintf(x->buf + hl, "\r\n%s: Digest username=\"%s\", realm=\"%s\", nonce=\"%s\", uri=\"%s\", response=\"%s\", algorithm=MD5%s", code == 401 ? "Authorization" : "Proxy-Authorization", user, realm, nonce, uri, resp, qop ? ", qop=auth, nc=00000001, cnonce=\"0a4f113b\"" : "");
			memcpy(x->buf + hl + l, cl, m->len - hl); x->len = m->len + l;
			x->state = 2; x->sent = now();
			send(s, x->buf, x->len, 0);
			continue;
		}
		if(digest && x->state == 2 && (code == 401 || code == 407) && x->dup > 0) { x->dup--; continue; }
		if(code >= 200 && code < 300) c2++; else other++;
		done++; owner[ix] = -1; x->state = 0;
		if(started < N) {
			x->idx = started % npool; owner[x->idx] = x - sl; x->state = 1; x->dup = 0; x->sent = now();
			memcpy(x->buf, pool[x->idx].p, x->len = pool[x->idx].len);
			send(s, x->buf, x->len, 0); started++;
		}
	}
	t1 = now();
	printf("{\"mode\":\"%s\",\"done\":%ld,\"ok2xx\":%ld,\"challenges\":%ld,\"other\":%ld,\"retrans\":%ld,\"wall_s\":%.6f,\"per_s\":%.1f}\n", digest ? "digest" : "reply", done, c2, c4, other, retr, t1 - t0, done / (t1 - t0));
}

int main(int c, char **v)
{
	int o; const char *pf = NULL;
	while((o = getopt(c, v, "m:p:t:n:q:s:w:l:u:r:c:aR:")) != -1) switch(o) {
		case 'm': mode = optarg; break; case 'p': pf = optarg; break; case 't': port = atoi(optarg); break; case 'n': N = atol(optarg); break;
		case 'q': qmax = atol(optarg); break; case 's': sinkport = atoi(optarg); break; case 'w': window = atoi(optarg); break; case 'l': lport = atoi(optarg); break;
		case 'u': user = optarg; break; case 'r': realm = optarg; break; case 'c': pass = optarg; break; case 'a': do_ack = 1; break; case 'R': rate = atof(optarg); break; default: return 1; }
	if(!pf) { fprintf(stderr, "need -p\n"); return 1; }
	load(pf);
	dst.sin_family = AF_INET; dst.sin_addr.s_addr = htonl(INADDR_LOOPBACK); dst.sin_port = htons(port);
	if(!strcmp(mode, "flood")) flood(); else if(!strcmp(mode, "pace")) pace(); else loop(!strcmp(mode, "digest"));
	return 0;
}
