/* SPDX-License-Identifier: BSD-2-Clause */
#include "keys/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Room for white space between the digits: a hex dump of the longest secret has less than this. */
#define HEX_TEXT_MAX 16384

/* Up to cap bytes and no more, so that a wrong file (a device, say) is not read to its end. */
static ssize_t read_all(int fd, uint8_t *buf, size_t cap)
{
	size_t len = 0;
	ssize_t n;

	do {
		n = read(fd, buf + len, cap - len);
		if (n > 0)
			len += (size_t)n;
	} while ((n > 0 && len < cap) || (n < 0 && errno == EINTR));
	return n < 0 ? -errno : (ssize_t)len;
}

/* The content of a file in sodium_malloc()ed memory, one byte more than cap at most. */
static ssize_t slurp(
	const char *path, size_t cap, char error[SECRET_FILE_ERROR_SIZE], uint8_t **ret_buf)
{
	int fd =
		strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	uint8_t *buf = sodium_malloc(cap + 1);
	ssize_t len = fd < 0 ? -errno : buf ? read_all(fd, buf, cap + 1) : -ENOMEM;

	if (fd > STDIN_FILENO)
		close(fd);
	if (len < 0) {
		snprintf(error, SECRET_FILE_ERROR_SIZE, "%s: %s", path, strerror((int)-len));
		sodium_free(buf);
		return len;
	}
	*ret_buf = buf;
	return len;
}

static int check_size(const char *path, size_t len, size_t cap, char error[SECRET_FILE_ERROR_SIZE])
{
	if (len == 0)
		snprintf(error, SECRET_FILE_ERROR_SIZE, "%s: is empty", path);
	else if (len > cap)
		snprintf(error, SECRET_FILE_ERROR_SIZE, "%s: more than %zu bytes", path, cap);
	return len == 0 || len > cap ? -EINVAL : 0;
}

int secret_file_read(const char *path, uint8_t *buf, size_t cap, char error[SECRET_FILE_ERROR_SIZE],
	size_t *ret_len)
{
	uint8_t *text = NULL;
	ssize_t len = slurp(path, cap, error, &text);
	int r;

	if (len < 0)
		return (int)len;
	r = check_size(path, (size_t)len, cap, error);
	if (r == 0) {
		memcpy(buf, text, (size_t)len);
		*ret_len = (size_t)len;
	}
	sodium_free(text);
	return r;
}

int secret_file_read_hex(const char *path, uint8_t *buf, size_t cap,
	char error[SECRET_FILE_ERROR_SIZE], size_t *ret_len)
{
	const char *end = NULL;
	uint8_t *text = NULL;
	ssize_t len = slurp(path, HEX_TEXT_MAX, error, &text);
	size_t n = 0;
	int r = 0;

	if (len < 0)
		return (int)len;
	if (sodium_hex2bin(buf, cap, (const char *)text, (size_t)len, " \t\r\n\f\v", &n, &end) <
			0 ||
		end != (const char *)text + len) {
		snprintf(error, SECRET_FILE_ERROR_SIZE,
			"%s: not an even number of hex digits for at most %zu bytes", path, cap);
		r = -EINVAL;
	}
	if (r == 0)
		r = check_size(path, n, cap, error);
	sodium_free(text);
	if (r == 0)
		*ret_len = n;
	else
		sodium_memzero(buf, cap);
	return r;
}
