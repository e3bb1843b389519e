/* SPDX-License-Identifier: GPL-2.0 */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fds.h"

Test(fds, all_but_the_kept_are_closed)
{
	static const int open_at[] = { 50, 51, 52, 60, 90 };
	int keep[] = { 60, -1, 51, 60, 2 }, status;
	size_t i;
	pid_t pid = fork();

	/* in a child, because the test's own pipes go too */
	if (pid == 0) {
		for (i = 0; i < 5; i++)
			dup2(2, open_at[i]);
		weir_fds_close_except(keep, 5);
		_exit((fcntl(60, F_GETFD) >= 0) && (fcntl(51, F_GETFD) >= 0) && fcntl(50, F_GETFD) < 0 &&
		      fcntl(52, F_GETFD) < 0 && fcntl(90, F_GETFD) < 0 && fcntl(2, F_GETFD) >= 0 ? 0 : 1);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
}
