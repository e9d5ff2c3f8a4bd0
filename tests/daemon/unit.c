/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/unit.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *unit_of(const char *text)
{
	static char unit[UNIT_SIZE];

	unit_of_cgroups(text, unit);
	return unit;
}

Test(unit, names_the_service_that_the_system_manager_made)
{
	cr_expect_str_eq(unit_of("0::/system.slice/nginx.service\n"), "nginx.service");
	cr_expect_str_eq(unit_of("0::/system.slice/system-a.slice/a@1.service\n"), "a@1.service");
	cr_expect_str_eq(
		unit_of("0::/user.slice/user-1000.slice/session-3.scope\n"), "session-3.scope");
	cr_expect_str_eq(unit_of("0::/init.scope\n"), "init.scope");
	cr_expect_str_eq(unit_of("4:memory:/x\n1:name=systemd:/system.slice/b.service\n0::/\n"),
		"b.service");
}

/* What is below a service may be named by whoever runs in it. */
Test(unit, believes_nothing_below_the_first_unit)
{
	cr_expect_str_eq(unit_of("0::/user.slice/user-1000.slice/user@1000.service/app.slice/"
				 "nginx.service\n"),
		"user@1000.service");
	cr_expect_str_eq(unit_of("0::/lxc/system.slice/nginx.service\n"), "");
}

Test(unit, says_nothing_where_there_is_none)
{
	for (const char *const *text = (const char *const[]){ "", "\n", "0::/\n", "0::\n", "0:",
		     "::", "x", "0::/system.slice\n", "0::/docker/0123\n", "0::/.service\n", NULL };
		*text; text++)
		cr_expect_str_eq(unit_of(*text), "", "%s", *text);
}

Test(unit, shows_no_byte_that_could_fool_a_terminal_and_cuts_what_is_long)
{
	char text[600] = "0::/";

	cr_expect_str_eq(unit_of("0::/a\x1b[31m\xc3\xa4.service\n"), "a?[31m??.service");
	memset(text + 4, 'a', 400);
	strcpy(text + 404, ".service");
	cr_expect_eq(strlen(unit_of(text)), UNIT_SIZE - 1);
}

Test(unit, reads_nothing_of_a_process_that_is_gone)
{
	char unit[UNIT_SIZE] = "x";

	unit_read(0x3fffffff, unit);
	cr_expect_str_eq(unit, "");
}
