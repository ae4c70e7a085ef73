/*
 * A disk that fails: preloaded into a process, it stands before the system calls that write one database and its
 * write-ahead log, and before nothing else.
 *
 * MEGAMIND_DISK_DATABASE is the path of the database, MEGAMIND_DISK_FOLDER a folder of the test's. While a file `write`
 * is in the folder, writing and truncating fail with EIO; while `sync` is, fsync and fdatasync do.
 *
 * The files `database` and `log` in the folder are what a power cut would leave. A page gets there when it is synced. A
 * sync that fails forgets its pages, as Linux does: they are read as written, the next sync does not write them, and
 * it says that all is well. Only writing them again brings them to the disk.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096
#define PAGES (1 << 18)

struct file {
	const char *suffix, *image;
	int known;
	/* Pages that were written and not synced yet, and the end of them. */
	unsigned char dirty[PAGES];
	off64_t end;
};

static struct file files[] = {{"", "database", 0, {0}, 0}, {"-wal", "log", 0, {0}, 0}};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void give_up(const char *what)
{
	fprintf(stderr, "the failing disk: %s: %s\n", what, strerror(errno));
	abort();
}

static int in_folder(char *path, const char *name)
{
	const char *folder = getenv("MEGAMIND_DISK_FOLDER");
	return folder && snprintf(path, 4096, "%s/%s", folder, name) < 4096;
}

static int fails(const char *what)
{
	char path[4096];
	int before = errno;
	int found = in_folder(path, what) && access(path, F_OK) == 0;
	errno = before;
	return found;
}

/* The file behind a descriptor, if it is one of ours. */
static struct file *file_of(int fd)
{
	const char *database = getenv("MEGAMIND_DISK_DATABASE");
	char link[64], path[4096];
	int before = errno;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t length = database ? readlink(link, path, sizeof path - 1) : -1;
	errno = before;
	if (length < 0)
		return NULL;
	path[length] = 0;
	size_t common = strlen(database);
	if (strncmp(path, database, common) != 0)
		return NULL;
	for (int i = 0; i < 2; i++)
		if (strcmp(path + common, files[i].suffix) == 0)
			return &files[i];
	return NULL;
}

static void copy(int from, int to, off64_t at, off64_t end)
{
	char page[PAGE];
	for (; at < end; at += PAGE) {
		ssize_t length = pread64(from, page, PAGE, at);
		if (length < 0 || REAL(pwrite64)(to, page, length, at) != length)
			give_up("a page cannot be copied");
	}
}

static off64_t size_of(int fd)
{
	struct stat64 status;
	if (fstat64(fd, &status) != 0)
		give_up("no size");
	return status.st_size;
}

/* The image of a file. What is there when it is seen first counts as synced. */
static int image_of(struct file *file, int fd)
{
	char path[4096];
	if (!in_folder(path, file->image))
		give_up("no folder");
	int image = open64(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (image < 0)
		give_up(path);
	if (!file->known && size_of(image) == 0)
		copy(fd, image, 0, size_of(fd));
	file->known = 1;
	return image;
}

static void touch(struct file *file, off64_t from, off64_t end)
{
	if (end > (off64_t)PAGE * PAGES)
		give_up("the file is too long");
	for (off64_t page = from / PAGE; page * PAGE < end; page++)
		file->dirty[page] = 1;
	if (end > file->end)
		file->end = end;
}

/* Before a file is changed: -1 if that is to fail. */
static int change(struct file *file, int fd)
{
	if (fails("write")) {
		errno = EIO;
		return -1;
	}
	if (!file->known)
		close(image_of(file, fd));
	return 0;
}

static ssize_t written(struct file *file, off64_t at, ssize_t result)
{
	if (result > 0)
		touch(file, at, at + result);
	pthread_mutex_unlock(&lock);
	return result;
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at)
{
	struct file *file = file_of(fd);
	if (!file)
		return REAL(pwrite64)(fd, bytes, count, at);
	pthread_mutex_lock(&lock);
	return written(file, at, change(file, fd) ? -1 : REAL(pwrite64)(fd, bytes, count, at));
}

ssize_t write(int fd, const void *bytes, size_t count)
{
	struct file *file = file_of(fd);
	if (!file)
		return REAL(write)(fd, bytes, count);
	pthread_mutex_lock(&lock);
	off64_t at = lseek64(fd, 0, SEEK_CUR);
	return written(file, at, change(file, fd) ? -1 : REAL(write)(fd, bytes, count));
}

int ftruncate64(int fd, off64_t size)
{
	struct file *file = file_of(fd);
	if (!file)
		return REAL(ftruncate64)(fd, size);
	pthread_mutex_lock(&lock);
	int result = change(file, fd) ? -1 : REAL(ftruncate64)(fd, size);
	pthread_mutex_unlock(&lock);
	return result;
}

static int sync_with(int (*real)(int), int fd)
{
	struct file *file = file_of(fd);
	if (!file)
		return real(fd);
	pthread_mutex_lock(&lock);
	int image = image_of(file, fd);
	int failed = fails("sync");
	int result = failed ? -1 : real(fd);
	if (result == 0) {
		off64_t size = size_of(fd);
		for (off64_t at = 0; at < file->end && at < size; at += PAGE)
			if (file->dirty[at / PAGE])
				copy(fd, image, at, at + 1);
		if (REAL(ftruncate64)(image, size) != 0)
			give_up("an image cannot be cut");
	}
	memset(file->dirty, 0, (file->end + PAGE - 1) / PAGE);
	file->end = 0;
	close(image);
	pthread_mutex_unlock(&lock);
	if (failed)
		errno = EIO;
	return result;
}

int fsync(int fd) { return sync_with(REAL(fsync), fd); }

int fdatasync(int fd) { return sync_with(REAL(fdatasync), fd); }

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { return pwrite64(fd, bytes, count, at); }

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }
