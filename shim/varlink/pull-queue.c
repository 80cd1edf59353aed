/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/varlink/pull-queue.h"
#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/ring.h"

#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Beyond this, progress and messages are left out; layers are told as many as the image has. */
#define WAITING_MAX 1024

struct node {
	struct sfd_copy_event event; /* the first member: it is what the taker frees */
	struct node *next;
	char id[];
};

struct sfd_pull_queue {
	struct sfd_copy_listener listener;
	int fd; /* an eventfd */
	pthread_mutex_t lock;
	struct node *first, **last;
	size_t n;
	bool ended;
};

static void wake(struct sfd_pull_queue *q)
{
	sfd_ring(q->fd);
}

/* A progress of the same layer that nobody has taken yet. */
static struct node *find_progress(const struct sfd_pull_queue *q, const char *id)
{
	for (struct node *n = q->first; n != NULL; n = n->next) {
		if (n->event.kind == SFD_COPY_PROGRESS && strcmp(n->id, id) == 0)
			return n;
	}
	return NULL;
}

static void append(struct sfd_pull_queue *q, const struct sfd_copy_event *event)
{
	size_t size = strlen(event->id) + 1;
	struct node *node = malloc(sizeof(*node) + size);

	/* Where memory is short, a pull has worse to worry about. */
	if (node == NULL)
		return;
	node->event = *event;
	node->next = NULL;
	memcpy(node->id, event->id, size);
	node->event.id = node->id;
	*q->last = node;
	q->last = &node->next;
	q->n++;
	if (q->n == 1)
		wake(q);
}

static void on_event(void *ctx, const struct sfd_copy_event *event)
{
	struct sfd_pull_queue *q = ctx;
	const struct sfd_copy_event stage = { .kind = SFD_COPY_MESSAGE, .id = event->id };
	bool may_go;
	struct node *before = NULL;

	if (event->kind == SFD_COPY_STAGE)
		event = &stage;
	if (event->kind > SFD_COPY_MESSAGE)
		return;
	may_go = event->kind == SFD_COPY_PROGRESS || event->kind == SFD_COPY_MESSAGE;
	pthread_mutex_lock(&q->lock);
	if (event->kind == SFD_COPY_PROGRESS)
		before = find_progress(q, event->id);
	if (before != NULL)
		before->event.bytes = event->bytes;
	else if (!may_go || q->n < WAITING_MAX)
		append(q, event);
	pthread_mutex_unlock(&q->lock);
}

int sfd_pull_queue_new(struct sfd_pull_queue **ret, struct splitfd_error *err)
{
	struct sfd_pull_queue *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return splitfd_error_oom(err);
	q->listener = (struct sfd_copy_listener){ on_event, q };
	q->last = &q->first;
	(void)pthread_mutex_init(&q->lock, NULL);
	q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->fd < 0) {
		int r = splitfd_error_sys(err, errno, "cannot make an eventfd");

		sfd_pull_queue_free(q);
		return r;
	}
	*ret = q;
	return 0;
}

struct sfd_pull_queue *sfd_pull_queue_free(struct sfd_pull_queue *queue)
{
	if (queue == NULL)
		return NULL;
	while (queue->first != NULL) {
		struct node *node = queue->first;

		queue->first = node->next;
		free(node);
	}
	sfd_close(queue->fd);
	pthread_mutex_destroy(&queue->lock);
	free(queue);
	return NULL;
}

const struct sfd_copy_listener *sfd_pull_queue_listener(const struct sfd_pull_queue *queue)
{
	return &queue->listener;
}

void sfd_pull_queue_end(struct sfd_pull_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->ended = true;
	wake(queue);
	pthread_mutex_unlock(&queue->lock);
}

int sfd_pull_queue_fd(const struct sfd_pull_queue *queue)
{
	return queue->fd;
}

struct sfd_copy_event *sfd_pull_queue_take(struct sfd_pull_queue *queue, bool *ret_end)
{
	struct node *node;

	pthread_mutex_lock(&queue->lock);
	node = queue->first;
	if (node != NULL) {
		queue->first = node->next;
		queue->n--;
		if (queue->first == NULL)
			queue->last = &queue->first;
	} else {
		uint64_t count;
		ssize_t r = read(queue->fd, &count, sizeof(count));

		(void)r; /* non-blocking: nothing to read is nothing to do */
	}
	*ret_end = node == NULL && queue->ended;
	pthread_mutex_unlock(&queue->lock);
	return node != NULL ? &node->event : NULL;
}
