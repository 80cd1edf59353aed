/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads pairs of file names (source, copy), each ended by a NUL byte, and wants both files of a
 * pair to lie in the same place on the disk: the same extents, shared ones. Of consecutive pairs
 * with the same copy one is enough. Extents that a file system keeps inline in its metadata (btrfs,
 * small files) cannot be shared and only have to be inline in both. Prints the number of copies;
 * ends with 1 if one shares with none of its sources, and if there was no pair.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MAX_EXTENTS 4096

/* The extents lie behind the head. */
union map {
	struct fiemap head;
	char room[sizeof(struct fiemap) + MAX_EXTENTS * sizeof(struct fiemap_extent)];
};

static void read_map(const char *path, union map *map)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(1);
	}
	memset(map, 0, sizeof(*map));
	map->head.fm_length = FIEMAP_MAX_OFFSET;
	map->head.fm_flags = FIEMAP_FLAG_SYNC;
	map->head.fm_extent_count = MAX_EXTENTS;
	if (ioctl(fd, FS_IOC_FIEMAP, &map->head) < 0) {
		fprintf(stderr, "%s: FIEMAP: %s\n", path, strerror(errno));
		exit(1);
	}
	close(fd);
}

static bool shares(const struct fiemap_extent *a, const struct fiemap_extent *b)
{
	if (a->fe_logical != b->fe_logical || a->fe_length != b->fe_length)
		return false;
	if ((a->fe_flags & FIEMAP_EXTENT_DATA_INLINE) && (b->fe_flags & FIEMAP_EXTENT_DATA_INLINE))
		return true;
	return a->fe_physical == b->fe_physical && (a->fe_flags & FIEMAP_EXTENT_SHARED) &&
	       (b->fe_flags & FIEMAP_EXTENT_SHARED);
}

static bool same_place(const union map *a, const union map *b)
{
	if (a->head.fm_mapped_extents != b->head.fm_mapped_extents)
		return false;
	for (unsigned int i = 0; i < a->head.fm_mapped_extents; i++) {
		if (!shares(&a->head.fm_extents[i], &b->head.fm_extents[i]))
			return false;
	}
	return a->head.fm_mapped_extents < MAX_EXTENTS;
}

/* The copy whose sources are being read. */
struct group {
	char *copy;
	bool found;
	unsigned long copies;
	unsigned long bad;
};

static void end_group(struct group *group)
{
	if (group->copy == NULL)
		return;
	group->copies++;
	if (!group->found) {
		fprintf(stderr, "%s shares its extents with no source\n", group->copy);
		group->bad++;
	}
	free(group->copy);
	group->copy = NULL;
	group->found = false;
}

static void add_pair(struct group *group, const char *source, const char *copy)
{
	static union map first, second;

	if (group->copy == NULL || strcmp(group->copy, copy) != 0) {
		end_group(group);
		group->copy = strdup(copy);
	}
	if (group->found)
		return;
	read_map(source, &first);
	read_map(copy, &second);
	group->found = same_place(&first, &second);
}

int main(void)
{
	char *source = NULL, *copy = NULL;
	size_t size_source = 0, size_copy = 0;
	struct group group = { 0 };

	while (getdelim(&source, &size_source, '\0', stdin) > 0 &&
		getdelim(&copy, &size_copy, '\0', stdin) > 0)
		add_pair(&group, source, copy);
	end_group(&group);
	free(source);
	free(copy);
	printf("%lu\n", group.copies);
	return group.copies == 0 || group.bad != 0;
}
