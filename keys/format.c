/* SPDX-License-Identifier: BSD-2-Clause */
#include "keys/format.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *format_count(char buf[FORMAT_SIZE], uint64_t n)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, n);
	char *p = buf;

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			*p++ = ',';
		*p++ = digits[i];
	}
	*p = '\0';
	return buf;
}

char *format_several(char buf[2 * FORMAT_SIZE], uint64_t n, const char *one)
{
	char count[FORMAT_SIZE];

	snprintf(
		buf, 2 * FORMAT_SIZE, "%s %.30s%s", format_count(count, n), one, n == 1 ? "" : "s");
	return buf;
}

char *format_rate(char buf[FORMAT_SIZE], double per_second)
{
	if (per_second >= 99.95)
		return format_count(buf, (uint64_t)(per_second + 0.5));
	if (per_second <= 0)
		snprintf(buf, FORMAT_SIZE, "0");
	else
		snprintf(buf, FORMAT_SIZE, per_second < 9.995 ? "%.2f" : "%.1f", per_second);
	return buf;
}

char *format_us(char buf[FORMAT_SIZE], double us)
{
	if (us < 999.5)
		snprintf(buf, FORMAT_SIZE, "%.3f ms", us / 1000);
	else if (us < 99950)
		snprintf(buf, FORMAT_SIZE, us < 9995 ? "%.2f ms" : "%.1f ms", us / 1000);
	else if (us < 999500)
		snprintf(buf, FORMAT_SIZE, "%.0f ms", us / 1000);
	else
		snprintf(buf, FORMAT_SIZE, "%.1f s", us / 1000000);
	return buf;
}

char *format_seconds(char buf[FORMAT_SIZE], uint64_t seconds)
{
	static const struct {
		uint64_t seconds;
		const char *name;
	} units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
	size_t i = 0;

	while (i < 3 && seconds < units[i].seconds)
		i++;
	if (i == 3 || seconds % units[i].seconds / units[i + 1].seconds == 0)
		snprintf(buf, FORMAT_SIZE, "%" PRIu64 " %s", seconds / units[i].seconds,
			units[i].name);
	else
		snprintf(buf, FORMAT_SIZE, "%" PRIu64 " %s %" PRIu64 " %s",
			seconds / units[i].seconds, units[i].name,
			seconds % units[i].seconds / units[i + 1].seconds, units[i + 1].name);
	return buf;
}

char *format_bytes(char buf[FORMAT_SIZE], uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes;
	size_t i = 0;

	for (; value >= 1024 && i + 1 < sizeof(units) / sizeof(units[0]); i++)
		value /= 1024;
	snprintf(buf, FORMAT_SIZE, i > 0 && value < 9.95 ? "%.1f %s" : "%.0f %s", value, units[i]);
	return buf;
}

static bool colours;

void style_init(void)
{
	const char *terminal = getenv("TERM"), *no = getenv("NO_COLOR");

	colours = isatty(STDOUT_FILENO) && terminal && *terminal && strcmp(terminal, "dumb") != 0 &&
		  !(no && *no);
}

const char *style(enum style s)
{
	static const char *const codes[STYLE_COUNT] = {
		[STYLE_PLAIN] = "\033[0m",
		[STYLE_TITLE] = "\033[1m",
		[STYLE_GOOD] = "\033[32m",
		[STYLE_WARNING] = "\033[33m",
		[STYLE_BAD] = "\033[1;31m",
		[STYLE_FAINT] = "\033[2m",
	};

	return colours ? codes[s] : "";
}
