/* callsandjunk - valid signed calls through an edge, and junk beside them, for `npm run soak:flood`.
 *
 *   cc -O2 -o callsandjunk callsandjunk.c -lcrypto -lpthread
 *   callsandjunk PORT SECONDS JUNK CALLS SECRET
 *
 * The edge listens on 127.0.0.3:PORT (trunk) and 127.0.0.4:PORT (upstream).  This program is the peer of the trunk at
 * 127.0.0.2:PORT and the upstream at 127.0.0.5:PORT: CALLS calls a second, INVITE 180 200 ACK BYE 200, each with the
 * retransmissions of RFC 3261 (T1 500 ms).  A thread of its own sends JUNK datagrams a second to the trunk, half of them
 * from the peer's address and half from 32 others.  Output: one JSON object on stdout.
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
#include <openssl/hmac.h>

#define T1 0.5
#define T2 4.0
#define GIVE_UP 32.0 /* 64 T1 */
#define HOLD 0.2     /* from answer to BYE, seconds */

static int port, seconds, junk_rate, call_rate;
static const char *secret;
static struct sockaddr_in trunk, upstream;
static double t0;

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }
static void until(double due)
{
	double t = now();
	if(due > t) { struct timespec ts = {(time_t)(due - t), (long)((due - t - (time_t)(due - t)) * 1e9)}; nanosleep(&ts, NULL); }
}

static struct sockaddr_in at(const char *address, int p)
{
	struct sockaddr_in a = {0};
	a.sin_family = AF_INET; a.sin_port = htons(p); inet_pton(AF_INET, address, &a.sin_addr);
	return a;
}

static int open_at(const char *address, int p)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0), size = 4 << 20; struct sockaddr_in a = at(address, p);
	setsockopt(s, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	if(bind(s, (void *)&a, sizeof a) < 0) { perror(address); exit(1); }
	return s;
}

/* ---- junk ---- */

enum { RANDOM, MALFORMED, UNSIGNED, WRONG_TOKEN, KINDS };
static const char *KIND[] = {"random", "malformed", "unsigned", "wrongToken"};
#define POOL 1024
#define OWN 8
#define OTHERS 32
#define BATCH 32
#define MOST_LATE 0.02 /* seconds */
static struct { char p[1400]; int len; } pool[KINDS][POOL];
static long junk_sent[KINDS][2], junk_failed;
static double junk_late, junk_seconds;
static volatile int junk_over;

static uint64_t seed = 88172645463325252ull;
static uint32_t rnd(void) { seed ^= seed << 13; seed ^= seed >> 7; seed ^= seed << 17; return (uint32_t)(seed >> 16); }

static int write_junk(char *p, int size, int kind)
{
	static const char *methods[] = {"INVITE", "BYE", "OPTIONS", "CANCEL", "ACK", "REGISTER", "INFO", "SUBSCRIBE"};
	const char *method = methods[rnd() % 8]; int l, id = rnd() % 1000000; char token[100] = "";
	if(kind == RANDOM) {
		l = 20 + rnd() % 1200;
		for(int i = 0; i < l; i++) p[i] = rnd();
		/* Not what a keep-alive looks like. */
		p[0] |= 0x80;
		return l;
	}
	if(kind == WRONG_TOKEN) {
		strcpy(token, "X-Auth: ");
		for(int i = 0; i < 64; i++) token[8 + i] = "0123456789abcdef"[rnd() % 16];
		strcpy(token + 72, "\r\n");
	}
	/* A response whose branch looks like one of the edge's. */
	if(rnd() % 8 == 0)
		l = snprintf(p, size, "SIP/2.0 %d Junk\r\nVia: SIP/2.0/UDP 127.0.0.3:%d;branch=z9hG4bKxk-%08x%08x%08x%04x-trunk\r\n"
			"Via: SIP/2.0/UDP 127.0.0.5:%d;branch=z9hG4bKj%d\r\n", 100 + rnd() % 600, port, rnd(), rnd(), rnd(), rnd() & 0xffff, port, id);
	else
		l = snprintf(p, size, "%s sip:junk%d@trunk.example SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2:%d;branch=z9hG4bKj%d;rport\r\n"
			"Max-Forwards: 70\r\n", method, id, port, id);
	l += snprintf(p + l, size - l, "From: \"Junk\" <sip:junk%d@peer.example>;tag=j%d\r\nTo: <sip:bob@trunk.example>%s\r\n"
		"Call-ID: c%07d@127.0.0.2\r\nCSeq: %d %s\r\nContact: <sip:junk@127.0.0.2:%d>\r\nUser-Agent: junk\r\n%s"
		"Content-Length: 0\r\n\r\n", id, id, rnd() % 2 ? ";tag=uas" : "", id % 30000, 1 + rnd() % 3, method, port, token);
	if(kind == MALFORMED) {
		char *c;
		switch(rnd() % 8) {
			case 0: l = 30 + rnd() % (l - 30 - 4); break;                                /* cut short */
			case 1: p[rnd() % l] = 0; break;
			case 2: if((c = strstr(p, "CSeq: "))) memcpy(c, "CSeq? ", 6); break;
			case 3: if((c = strstr(p, "Call-ID: "))) memcpy(c, "Call:ID  ", 9); break;
			case 4: if((c = strstr(p, "SIP/2.0"))) memcpy(c, "SIP/9.x", 7); break;
			case 5: if((c = strstr(p, "Content-Length: 0"))) memcpy(c, "Content-Length: 9", 17); break;
			case 6: if((c = strstr(p, "Via: "))) memcpy(c, "Bye: ", 5); break;
			case 7: if((c = strstr(p, "Max-Forwards: ")) || (c = strstr(p, "From: "))) *c = '\r'; break;
		}
	}
	return l;
}

static void *send_junk(void *unused)
{
	int own[OWN], others[OTHERS]; long sent = 0, total = (long)junk_rate * seconds; double start = t0;
	struct mmsghdr m[BATCH]; struct iovec v[BATCH];
	(void)unused;
	for(int i = 0; i < OWN; i++) own[i] = open_at("127.0.0.2", 0);
	for(int i = 0; i < OTHERS; i++) { char a[20]; snprintf(a, sizeof a, "127.0.1.%d", i + 1); others[i] = open_at(a, 0); }
	memset(m, 0, sizeof m);
	for(int i = 0; i < BATCH; i++) {
		m[i].msg_hdr.msg_iov = &v[i]; m[i].msg_hdr.msg_iovlen = 1;
		m[i].msg_hdr.msg_name = &trunk; m[i].msg_hdr.msg_namelen = sizeof trunk;
	}
	while(sent < total) {
		double due = start + (double)sent / junk_rate, late = now() - due;
		if(late < 0) until(due);
		/* Whoever was kept from sending does not send it all at once. */
		else if(late > MOST_LATE) { start += late; junk_late += late; }
		int n = total - sent < BATCH ? total - sent : BATCH, done, other = rnd() & 1, kinds[BATCH];
		for(int i = 0; i < n; i++) {
			int kind = kinds[i] = rnd() % KINDS, nth = rnd() % POOL;
			v[i].iov_base = pool[kind][nth].p; v[i].iov_len = pool[kind][nth].len;
		}
		done = sendmmsg(other ? others[rnd() % OTHERS] : own[rnd() % OWN], m, n, 0);
		if(done < 0) { junk_failed++; done = 0; }
		for(int i = 0; i < done; i++) junk_sent[kinds[i]][other]++;
		sent += n;
		junk_failed += done < n && done > 0 ? n - done : 0;
	}
	junk_seconds = now() - t0;
	junk_over = 1;
	return NULL;
}

/* ---- calls ---- */

enum { INVITE, RINGING, ANSWER, ACK, BYE, END, STEPS };
static const char *STEP[] = {"invite", "ringing", "answer", "ack", "bye", "end"};
/* unexpected: what is of no call got through, or an answer that is none of the three */
static long sent[STEPS], got[STEPS], again, bad_token, unexpected, failed, completed, started;

typedef struct {
	/* 0 not begun, 1 calling, 2 ringing, 3 answered, 4 bye sent, 5 over, 6 failed */
	char state;
	/* of the upstream: 1 answered, 2 acknowledged, 3 over */
	char callee;
	double begun, due, interval, callee_due, callee_interval;
	float setup;
} call_t;
static call_t *calls;
static long ncalls;
static int peer, core;
static char (*routes)[300];

static void token(const char *data, char *out)
{
	unsigned char d[32]; unsigned n = sizeof d;
	HMAC(EVP_sha256(), secret, strlen(secret), (const unsigned char *)data, strlen(data), d, &n);
	for(unsigned i = 0; i < n; i++) sprintf(out + 2 * i, "%02x", d[i]);
}

#define FU "sip:alice@peer.example"
#define TU "sip:bob@trunk.example"

/* A request of the peer, signed. */
static void request(long i, int step)
{
	static const char *methods[] = {[INVITE] = "INVITE", [ACK] = "ACK", [BYE] = "BYE"};
	const char *method = methods[step]; char ru[64], data[512], hex[65], p[2048]; int cseq = step == BYE ? 2 : 1, l;
	if(step == INVITE) strcpy(ru, TU); else snprintf(ru, sizeof ru, "sip:bob@127.0.0.5:%d", port);
	snprintf(data, sizeof data, "127.0.0.2:%s:" FU ":" TU ":%s:c%07ld@127.0.0.2:%d %s", method, ru, i, cseq, method);
	token(data, hex);
	l = snprintf(p, sizeof p, "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2:%d;branch=z9hG4bKc%ld-%d;rport\r\nMax-Forwards: 70\r\n%s"
		"From: \"Alice\" <" FU ">;tag=a%ld\r\nTo: <" TU ">%s\r\nCall-ID: c%07ld@127.0.0.2\r\nCSeq: %d %s\r\n"
		"Contact: <sip:alice@127.0.0.2:%d>\r\nUser-Agent: caller\r\nX-Auth: %s\r\nContent-Length: 0\r\n\r\n",
		method, ru, port, i, step, step == INVITE ? "" : routes[i], i, step == INVITE ? "" : ";tag=uas", i, cseq, method, port, hex);
	if(sendto(peer, p, l, 0, (void *)&trunk, sizeof trunk) == l) sent[step]++;
}

/* Appends the lines of 'from' that begin with 'name'. */
static char *lines(char *out, const char *from, const char *name, const char *as, const char *more)
{
	for(const char *s = from, *e; (e = strstr(s, "\r\n")) && e != s; s = e + 2) {
		if(strncasecmp(s, name, strlen(name))) continue;
		out += sprintf(out, "%s%.*s%s\r\n", as, (int)(e - s - strlen(name)), s + strlen(name), more);
	}
	return out;
}

/* The answer of the upstream to what it received. */
static void answer(const char *got_this, int step)
{
	char p[4096], *o = p;
	o += sprintf(o, step == RINGING ? "SIP/2.0 180 Ringing\r\n" : "SIP/2.0 200 OK\r\n");
	o = lines(o, got_this, "Via:", "Via:", ""); o = lines(o, got_this, "Record-Route:", "Record-Route:", "");
	o = lines(o, got_this, "From:", "From:", ""); o = lines(o, got_this, "To:", "To:", step == END ? "" : ";tag=uas");
	o = lines(o, got_this, "Call-ID:", "Call-ID:", ""); o = lines(o, got_this, "CSeq:", "CSeq:", "");
	o += sprintf(o, "Contact: <sip:bob@127.0.0.5:%d>\r\nContent-Length: 0\r\n\r\n", port);
	if(sendto(core, p, o - p, 0, (void *)&upstream, sizeof upstream) == o - p) sent[step]++;
}

static char (*invites)[1200];

/* Which of the calls under way it is of; -1 for none. */
static long index_of(const char *b)
{
	const char *c = strstr(b, "Call-ID: c"); long i = c ? atol(c + 10) : -1;
	return i < 0 || i >= started ? -1 : i;
}

static void at_upstream(char *b)
{
	long i = index_of(b); call_t *call = &calls[i < 0 ? 0 : i];
	if(i < 0 || strstr(b, "X-Auth") || strstr(b, "sip:junk")) { unexpected++; return; }
	if(!strncmp(b, "INVITE ", 7)) {
		got[INVITE]++;
		if(!call->callee) {
			snprintf(invites[i], sizeof *invites, "%s", b);
			call->callee = 1; call->callee_interval = T1; call->callee_due = now() + T1;
			answer(b, RINGING);
		}
		if(call->callee == 1) answer(b, ANSWER);
	} else if(!strncmp(b, "ACK ", 4)) {
		got[ACK]++;
		if(call->callee == 1) call->callee = 2;
	} else if(!strncmp(b, "BYE ", 4)) {
		got[BYE]++; call->callee = 3; answer(b, END);
	} else unexpected++;
}

static void at_peer(char *b)
{
	char *s = strstr(b, "CSeq: "), *x = strstr(b, "X-Auth: "), data[256], hex[65]; long i = index_of(b);
	call_t *call = &calls[i < 0 ? 0 : i]; int code = atoi(b + 8), cseq = s ? atoi(s + 6) : 0; double t = now();
	if(strncmp(b, "SIP/2.0 ", 8) || i < 0 || (code != 180 && code != 200)) { unexpected++; return; }
	snprintf(data, sizeof data, "127.0.0.3:%d:" FU ":" TU ":c%07ld@127.0.0.2:%d %s", code, i, cseq, cseq == 1 ? "INVITE" : "BYE");
	token(data, hex);
	if(!x || strncmp(x + 8, hex, 64)) { bad_token++; return; }
	if(code == 180) {
		got[RINGING]++;
		if(call->state == 1) { call->state = 2; call->due = t + GIVE_UP; }
	} else if(cseq == 1) {
		got[ANSWER]++;
		if(call->state < 3) {
			char *o = routes[i], one[2][140] = {"", ""}, *r = b; int n = 0;
			/* Its route set is the recorded one, the other way round. */
			for(; n < 2 && (r = strstr(r, "Record-Route:")); n++) { char *e = strstr(r, "\r\n"); snprintf(one[n], 140, "%.*s", (int)(e - r - 13), r + 13); r = e; }
			for(int k = n - 1; k >= 0; k--) o += sprintf(o, "Route:%s\r\n", one[k]);
			call->setup = t - call->begun; call->state = 3; call->due = t + HOLD;
		}
		request(i, ACK);
	} else {
		got[END]++;
		if(call->state == 4) { call->state = 5; completed++; }
	}
}

static void drain(int s, void (*take)(char *))
{
	static char b[65536];
	for(;;) {
		int r = recv(s, b, sizeof b - 1, MSG_DONTWAIT);
		if(r < 0) return;
		b[r] = 0; take(b);
	}
}

/* Timers of the calls that are not over, oldest first. */
static long oldest;
static void timers(void)
{
	double t = now();
	while(oldest < started && calls[oldest].state >= 5 && calls[oldest].callee != 1) oldest++;
	for(long i = oldest; i < started; i++) {
		call_t *c = &calls[i];
		if(c->callee == 1 && t >= c->callee_due) {
			again++; answer(invites[i], ANSWER);
			c->callee_interval = c->callee_interval * 2 > T2 ? T2 : c->callee_interval * 2; c->callee_due = t + c->callee_interval;
			if(t - c->begun > 2 * GIVE_UP) c->callee = 3;
		}
		if(c->state >= 5 || t < c->due) continue;
		if(t - c->begun > GIVE_UP || c->state == 2) { c->state = 6; failed++; continue; }
		if(c->state == 1) { again++; request(i, INVITE); c->interval *= 2; }
		if(c->state == 4) { again++; request(i, BYE); c->interval = c->interval * 2 > T2 ? T2 : c->interval * 2; }
		if(c->state == 3) { request(i, BYE); c->state = 4; c->interval = T1; }
		c->due = t + c->interval;
	}
}

static int by_time(const void *a, const void *b) { float x = *(const float *)a, y = *(const float *)b; return x < y ? -1 : x > y; }

int main(int argc, char **argv)
{
	pthread_t thread; double end, last = 0;
	if(argc != 6) { fprintf(stderr, "callsandjunk PORT SECONDS JUNK CALLS SECRET\n"); return 1; }
	port = atoi(argv[1]); seconds = atoi(argv[2]); junk_rate = atoi(argv[3]); call_rate = atoi(argv[4]); secret = argv[5];
	ncalls = (long)call_rate * seconds;
	calls = calloc(ncalls + 1, sizeof *calls); routes = calloc(ncalls + 1, sizeof *routes); invites = calloc(ncalls + 1, sizeof *invites);
	trunk = at("127.0.0.3", port); upstream = at("127.0.0.4", port);
	peer = open_at("127.0.0.2", port); core = open_at("127.0.0.5", port);
	for(int k = 0; k < KINDS; k++) for(int i = 0; i < POOL; i++) pool[k][i].len = write_junk(pool[k][i].p, sizeof pool[k][i].p, k);
	t0 = now();
	if(junk_rate) pthread_create(&thread, NULL, send_junk, NULL); else junk_over = 1;
	struct pollfd f[2] = {{peer, POLLIN, 0}, {core, POLLIN, 0}};
	for(;;) {
		double t = now();
		for(; started < ncalls && t >= t0 + (double)started / call_rate; started++) {
			call_t *c = &calls[started];
			c->state = 1; c->begun = t; c->interval = T1; c->due = t + T1;
			request(started, INVITE);
		}
		poll(f, 2, 1);
		drain(core, at_upstream); drain(peer, at_peer);
		if(t - last > 0.01) { timers(); last = t; }
		if(started == ncalls && junk_over && completed + failed == ncalls) break;
	}
	end = now();
	/* What is still on its way. */
	for(double t = now(); now() - t < 1;) { poll(f, 2, 10); drain(core, at_upstream); drain(peer, at_peer); }
	if(junk_rate) pthread_join(thread, NULL);
	float *times = calloc(ncalls + 1, sizeof *times); long n = 0;
	for(long i = 0; i < ncalls; i++) if(calls[i].state == 5) times[n++] = calls[i].setup;
	qsort(times, n, sizeof *times, by_time);
	printf("{\"seconds\":%.3f,\"junk\":{", end - t0);
	for(int k = 0; k < KINDS; k++) printf("%s\"%s\":{\"peer\":%ld,\"unknown\":%ld}", k ? "," : "", KIND[k], junk_sent[k][0], junk_sent[k][1]);
	printf("},\"junkFailed\":%ld,\"junkSeconds\":%.3f,\"junkKeptBackSeconds\":%.3f,\"calls\":{\"started\":%ld,\"completed\":%ld,\"failed\":%ld,\"retransmissions\":%ld},\"sent\":{",
		junk_failed, junk_seconds, junk_late, started, completed, failed, again);
	for(int k = 0; k < STEPS; k++) printf("%s\"%s\":%ld", k ? "," : "", STEP[k], sent[k]);
	printf("},\"received\":{");
	for(int k = 0; k < STEPS; k++) printf("%s\"%s\":%ld", k ? "," : "", STEP[k], got[k]);
	printf("},\"badToken\":%ld,\"unexpected\":%ld,\"setupMilliseconds\":{\"p50\":%.2f,\"p99\":%.2f,\"max\":%.2f}}\n",
		bad_token, unexpected, n ? times[n / 2] * 1e3 : 0, n ? times[(long)(n * 0.99)] * 1e3 : 0, n ? times[n - 1] * 1e3 : 0);
	return 0;
}
