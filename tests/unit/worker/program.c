/* SPDX-License-Identifier: GPL-2.0 */
/* The program of a slot (exec): its socket outlives it, connections wait while none runs, and
 * whoever is recycled, crashes or hangs is replaced. This test is the program itself, see serve().
 */
#include <criterion/criterion.h>

#include <sys/un.h>

#include "slot.h"

static struct test_slot slot;
static char control[96], directory[] = "/";
static char *command[] = { NULL, (char *)"an argument" };
static char *environment[] = { (char *)"WEIR_TEST_PROGRAM=1" };

/* --- the program --- */

static void reply(int fd, const char *text)
{
	dprintf(fd, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(text), text);
}

static volatile sig_atomic_t is_over;

static void on_term(int number)
{
	(void)number;
	is_over = 1;
}

/* SIGTERM comes while we wait, and at no other time: it finishes what it has accepted. */
static int next_client(void)
{
	struct pollfd listener = { .fd = 3, .events = POLLIN };
	sigset_t none;
	int fd = -1;

	sigemptyset(&none);
	while (fd < 0 && !is_over) {
		(void)ppoll(&listener, 1, NULL, &none);
		fd = is_over ? -1 : accept(3, NULL, NULL);
	}
	return fd;
}

static void take_signals(void)
{
	sigset_t term;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGTERM, on_term);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &term, NULL);
	(void)fcntl(3, F_SETFL, O_NONBLOCK);
}

static void serve(void)
{
	char bytes[512], text[256];
	int fd;

	take_signals();
	printf("a line\nand half");
	fflush(stdout);
	while ((fd = next_client()) >= 0) {
		ssize_t n = recv(fd, bytes, sizeof(bytes) - 1, 0);

		bytes[n > 0 ? n : 0] = '\0';
		if (strstr(bytes, "/abort"))
			abort();
		if (strstr(bytes, "/hang"))
			(void)poll(NULL, 0, -1);
		snprintf(text, sizeof(text), "%d %s %s %s", getpid(), getenv("LISTEN_PID"), getenv("LISTEN_FDS"),
			 getenv("LISTEN_FDNAMES"));
		reply(fd, text);
		close(fd);
	}
}

__attribute__((constructor)) static void become_the_program(void)
{
	if (!getenv("WEIR_TEST_PROGRAM"))
		return;
	serve();
	_exit(0);
}

/* --- the tests --- */

static void prepare(void)
{
	static char self[256];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	cr_assert_gt(n, 0);
	command[0] = self;
	slot_init(&slot, 1);
	snprintf(control, sizeof(control), "%s/weir.sock", slot.root);
	slot.config.control = control;
	slot.pools[0].handler = WEIR_HANDLER_DEBUG;
	slot.pools[0].exec = (struct weir_conf_exec){
		.command = { command, 2 },
		.directory = directory,
		.overlap_ms = 100,
		.stop = (char *)"SIGTERM",
	};
	slot.pools[0].environment = (struct weir_conf_words){ environment, 1 };
}

static void start(void)
{
	slot_start(&slot);
	cr_assert(reaches(&slot.setup.metrics->program_pid, 1));
}

static pid_t program(void)
{
	return (pid_t)weir_metrics_get(slot.setup.metrics, program_pid);
}

static int call(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = WAIT_MS / 1000 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	weir_conf_exec_path(&slot.config, &slot.pools[0], 0, a.sun_path, sizeof(a.sun_path));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	cr_assert_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0, "%s: %s", a.sun_path, strerror(errno));
	dprintf(fd, "GET %s HTTP/1.1\r\n\r\n", path);
	return fd;
}

/* The process that answered; 0: nobody did. */
static pid_t answered_by(int fd)
{
	static struct answer a;
	int pid = 0, listen_pid, count;
	char name[32];

	client_read(fd, true, &a);
	close(fd);
	if (a.status != 200 || sscanf(a.body, "%d %d %d %31s", &pid, &listen_pid, &count, name) != 4)
		return 0;
	cr_expect_eq(pid, listen_pid);
	cr_expect_eq(count, 1);
	cr_expect_str_eq(name, "test");
	return pid;
}

static void wait_other_than(pid_t before)
{
	uint64_t until = weir_now_ms() + WAIT_MS;

	while (program() == before || program() == 0) {
		cr_assert_lt(weir_now_ms(), until, "no other program after %d", before);
		(void)poll(NULL, 0, 2);
	}
}

static void stop(void)
{
	pid_t last = program();

	cr_assert_eq(slot_stop(&slot), 0);
	cr_expect(kill(last, 0) < 0 && errno == ESRCH, "the program ends with its slot");
}

TestSuite(program, .init = prepare, .timeout = 60);

Test(program, answers_on_the_socket_that_it_inherited)
{
	start();
	cr_expect_eq(answered_by(call("/")), program());
	stop();
}

Test(program, crash_loses_what_was_in_flight_and_no_more)
{
	pid_t before;
	int waiting, dead;

	start();
	before = program();
	dead = call("/abort");
	waiting = call("/"); /* in the queue of the socket, which nobody serves for a moment */
	cr_expect_eq(answered_by(dead), 0);
	wait_other_than(before);
	cr_expect_eq(answered_by(waiting), program());
	cr_expect_eq(weir_metrics_get(slot.setup.metrics, crashes), 1);
	cr_expect_eq(weir_metrics_get(slot.setup.metrics, program_restarts), 1);
	cr_expect_eq(weir_metrics_get(slot.setup.metrics, restarts), 0, "the worker is not concerned");
	stop();
}

static void order_recycle(void)
{
	cr_assert(reaches(&slot.setup.metrics->ready_pid, 1));
	cr_assert_eq(sigqueue(slot.keeper, WRK_ORDER, (union sigval){ .sival_int = WRK_ORDER_RECYCLE }), 0);
}

Test(program, is_recycled_with_its_worker_while_both_accept)
{
	pid_t before;

	start();
	before = program();
	order_recycle();
	wait_other_than(before);
	cr_expect(reaches(&slot.setup.metrics->recycles, 1));
	cr_expect_neq(answered_by(call("/")), 0);
	cr_expect_eq(weir_metrics_get(slot.setup.metrics, crashes), 0);
	cr_expect_eq(weir_metrics_get(slot.setup.metrics, program_restarts), 0, "nothing has crashed");
	stop();
}

Test(program, without_overlap_requests_wait_for_the_next)
{
	pid_t before;

	slot.pools[0].exec.overlap_ms = 0;
	start();
	before = program();
	order_recycle();
	wait_other_than(before);
	cr_expect(kill(before, 0) < 0 && errno == ESRCH, "one after the other");
	cr_expect_eq(answered_by(call("/")), program());
	cr_expect_eq(weir_metrics_get(slot.setup.metrics, crashes), 0);
	stop();
}

Test(program, that_hangs_is_replaced)
{
	pid_t before;
	int hung;

	slot.pools[0].ping_enabled = true;
	slot.pools[0].ping_interval_ms = 50;
	slot.pools[0].ping_response_ms = 300;
	slot.pools[0].exec.ping = (char *)"/health";
	start();
	before = program();
	cr_expect(reaches(&slot.setup.metrics->ping_asked, 4), "pings that are answered");
	cr_expect_eq(program(), before);
	hung = call("/hang");
	wait_other_than(before);
	cr_expect_eq(answered_by(hung), 0);
	cr_expect_eq(answered_by(call("/")), program());
	cr_expect_eq(weir_metrics_get(slot.setup.metrics, crashes), 1);
	stop();
}

static char state_of(pid_t pid)
{
	char path[48], text[512], *at;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f || !fgets(text, sizeof(text), f) || !(at = strrchr(text, ')')))
		return 0;
	fclose(f);
	return at[2];
}

Test(program, that_hangs_may_be_left_for_a_debugger)
{
	pid_t before;

	slot.pools[0].ping_enabled = slot.pools[0].orphan = true;
	slot.pools[0].ping_interval_ms = 50;
	slot.pools[0].ping_response_ms = 300;
	slot.pools[0].exec.ping = (char *)"/health";
	start();
	before = program();
	close(call("/hang"));
	wait_other_than(before);
	cr_expect_eq(state_of(before), 'T');
	cr_expect_eq(answered_by(call("/")), program());
	cr_expect_eq(kill(before, SIGKILL), 0);
	stop();
}

Test(program, is_ended_by_the_signal_that_it_wants)
{
	/* SIGTERM would be taken for an order, this one ends it at once */
	slot.pools[0].exec.stop = (char *)"SIGQUIT";
	start();
	cr_expect_neq(answered_by(call("/")), 0);
	stop();
}

Test(program, that_cannot_be_run_counts_as_crash_after_crash)
{
	command[0] = (char *)"/nonexistent/program";
	slot_start(&slot);
	cr_expect(reaches(&slot.setup.metrics->crashes, 3), "rapid-fail protection sees them");
	cr_expect_eq(weir_metrics_get(slot.setup.metrics, slot_state), WEIR_SLOT_STARTING);
	cr_assert_eq(slot_stop(&slot), 0);
}

Test(program, folder_of_somebody_else_is_left_alone)
{
	char path[128], victim[128];

	snprintf(path, sizeof(path), "%s.exec", control);
	snprintf(victim, sizeof(victim), "%s/hello.txt", slot.root);
	slot_file(&slot, "hello.txt", "x", 1);
	cr_assert_eq(symlink(slot.root, path), 0);
	wrk_programs_remove(control);
	cr_expect_eq(access(victim, F_OK), 0);
	slot_start(&slot);
	cr_expect_neq(slot_stop(&slot), 0, "no socket is made there");
}

Test(program, names_of_sockets_are_removed)
{
	char path[128];

	start();
	weir_conf_exec_path(&slot.config, &slot.pools[0], 0, path, sizeof(path));
	cr_expect_eq(access(path, F_OK), 0);
	wrk_programs_remove(control);
	cr_expect_neq(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s.exec", control);
	cr_expect_neq(access(path, F_OK), 0);
	stop();
}
