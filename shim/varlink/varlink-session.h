/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPLITFD_SHIM_VARLINK_SESSION_H
#define SPLITFD_SHIM_VARLINK_SESSION_H

/*
 * One client of the varlink service, and what its methods need. What the service serves is a
 * containers-storage store (org.composefs.Oci, for reading) or a composefs repository
 * (org.composefs.Oci and org.composefs.Repository). Source of the interfaces: cfsctl 0.9.4, which
 * describes them itself, and observation of it.
 */

#include "shim/serve/layer-sender.h"
#include "shim/serve/serve.h"
#include "shim/serve/worker-budget.h"
#include "shim/varlink/varlink-handles.h"
#include "transport/composefs/repository.h"
#include "transport/rpc/varlink.h"

#include <cjson/cJSON.h>

#define SFD_IFACE_SERVICE    "org.varlink.service"
#define SFD_IFACE_OCI	     "org.composefs.Oci"
#define SFD_IFACE_REPOSITORY "org.composefs.Repository"

/* What all clients of a service share. */
struct sfd_varlink_shared {
	struct sfd_senders *senders;
	struct sfd_worker_budget workers;   /* of imports */
	struct sfd_varlink_handles handles; /* of the repository */
};

struct sfd_varlink_session {
	const struct sfd_serve_settings *settings;
	struct sfd_varlink_shared *shared;
	struct sfd_client *client; /* of serve-clients.h; NULL where there is no such service */
	struct sfd_varlink *v;
	/* Only GetInfo, HasLayer and GetLayer of a store; and of this image, where it is not NULL
	 * (borrowed). */
	bool layers_only;
	struct splitfd_image *image;
	struct splitfd_store *store; /* NULL: the one of the settings, opened anew by each call */
	/* Locked (flock) from the first use on. */
	struct splitfd_repository *repository;
	bool writable;
};

/* A method's answer. It starts empty, and is sent and emptied by who called the method. */
struct sfd_varlink_result {
	const char *error; /* "interface.Name"; NULL: success */
	cJSON *parameters;
	int fds[SFD_VARLINK_FDS_MAX];
	size_t n_fds; /* closed after they were sent */
};

/* Returns 0 with the result filled in, which may be an error of the protocol's; or -errno with a
 * text, which becomes InternalError of the method's interface. -ECONNABORTED: nothing more can be
 * sent. */
typedef int sfd_varlink_method(struct sfd_varlink_session *s, const struct sfd_varlink_call *call,
	struct sfd_varlink_result *ret, struct splitfd_error *err);

struct sfd_varlink_row {
	const char *name;	 /* without the interface */
	sfd_varlink_method *run; /* NULL: described, and not served here */
};

struct sfd_varlink_interface {
	const char *name;
	const char *description;
	const struct sfd_varlink_row *rows; /* the last one's name is NULL */
};

/* The interfaces: of a store, and of a repository. */
extern const struct sfd_varlink_interface sfd_varlink_oci_of_store;
extern const struct sfd_varlink_interface sfd_varlink_oci_of_layers;
extern const struct sfd_varlink_interface sfd_varlink_oci_of_repository;
extern const struct sfd_varlink_interface sfd_varlink_repository;

/* Serves a client until it closes; see struct sfd_serve_protocol. Takes the socket, always. With
 * `layers_only` neither images nor the repository are served; where `store` is not NULL (borrowed)
 * it is the one that is served, and where `image` is not NULL (borrowed) only its layers are.
 * `client` is NULL, or told when the service waits for it. */
int sfd_varlink_serve(const struct sfd_serve_settings *settings, struct sfd_varlink_shared *shared,
	bool layers_only, struct splitfd_store *store, struct splitfd_image *image, int socket,
	struct sfd_client *client, struct splitfd_error *err);

/*
 * Parameters and results.
 */

enum sfd_varlink_type {
	SFD_VARLINK_STRING,
	SFD_VARLINK_BOOL,
	SFD_VARLINK_INT,
	SFD_VARLINK_OBJECT,
	SFD_VARLINK_ARRAY,
};

struct sfd_varlink_param {
	const char *name; /* NULL ends a table */
	enum sfd_varlink_type type;
	bool optional;
	const cJSON **ret; /* NULL where it is not there, or null */
};

/* Looks the members of `object` (may be NULL) up; others are ignored, as cfsctl does. False where
 * one is missing or of another type: the result is then InvalidParameter with its name. */
bool sfd_varlink_params(const cJSON *object, const struct sfd_varlink_param *params,
	struct sfd_varlink_result *ret);

/* The result is an error with one parameter; both strings are copied. Return 0, or -ENOMEM. */
int sfd_varlink_fail(struct sfd_varlink_result *ret, const char *error, const char *key,
	const char *value, struct splitfd_error *err);
int sfd_varlink_fail_number(struct sfd_varlink_result *ret, const char *error, const char *key,
	double value, struct splitfd_error *err);

/* The result's object, made at the first call; NULL where memory is short, which the callee of
 * cJSON_Add… takes. */
cJSON *sfd_varlink_object(struct sfd_varlink_result *ret);

/* "sha256:" and 64 hex digits; else the result is InvalidDigest. */
bool sfd_varlink_digest(const char *digest, struct sfd_varlink_result *ret);

/* Frees everything. */
void sfd_varlink_result_done(struct sfd_varlink_result *ret);

#endif
