/* SPDX-License-Identifier: MIT */
/*
 * lab.h - one lab: a stage made concrete, and its record on disk.
 *
 * The record ($LABCTL_STATE/labs/<lab>.json) is written before anything else is made and
 * removed after everything else is gone. It names all that the lab may own, the stage's own
 * text included, so that stopping, looking and repairing never need the stage's directory.
 */
#ifndef LABCTL_LAB_LAB_H
#define LABCTL_LAB_LAB_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/str.h"
#include "docker/container.h"
#include "lab/ctx.h"
#include "stage/load.h"

/* IFLA_GROUP of every link of a lab: this base and 20 bits that are the lab's alone. */
#define LAB_GROUP_BASE 0x1ab00000u
#define LAB_GROUP_MASK 0xfff00000u

/* In the lab's run directory, which everyone may read: what only root may enter. */
#define LAB_PRIVATE   "private"
#define LAB_SRC_MOUNT LAB_PRIVATE "/src"

#define LAB_LABEL	 "labctl.lab"
#define LAB_LABEL_BOOK	 "labctl.book" /* the lease book: $LABCTL_STATE */
#define LAB_LABEL_STAGE	 "labctl.stage"
#define LAB_LABEL_CLIENT "labctl.client"
#define LAB_LABEL_OWNER	 "labctl.owner"

enum lab_state {
	LAB_STARTING,
	LAB_RUNNING,
	LAB_STOPPING,
	LAB_STATE_MAX
};

enum lab_wire {
	LAB_WIRE_DIRECT, /* two ends: one veth pair */
	LAB_WIRE_BRIDGE, /* a bridge in the fabric namespace */
};

/* Runs parallel to stage.networks. */
struct lab_network {
	enum lab_wire wire;
	char bridge[IFNAMSIZ]; /* in the fabric; empty for a direct wire */
	char ifname[IFNAMSIZ]; /* in the seat; empty when the network does not reach it */
	struct macaddr mac;    /* the seat's side */
	bool guarded;	       /* by the nftables hook; false: the weaker guard, or kernel mode */
};

/* A client's port, reachable at a leased port of this computer. */
struct lab_port {
	size_t client, port; /* indices: stage.clients[].ports[] */
	uint16_t host_port;  /* 0 until leased */
};

/* How src/ reaches the clients. */
enum lab_src {
	LAB_SRC_NONE,
	LAB_SRC_IDMAP, /* the owner's files, written as the owner */
	LAB_SRC_PLAIN, /* real root's own */
	LAB_SRC_MAX
};

struct lab {
	char name[LAB_NAME_MAX + 1];
	struct stage *stage; /* owned */
	char *stage_text;    /* the stage file's text; NULL for scripts */
	enum lab_state state;
	struct caller owner;
	char boot_id[37];
	time_t since;
	uint32_t group;
	bool isolated;
	bool isolated_by_choice; /* by --isolated; otherwise the owner may not have the host seat */
	char seat_ns[64];	 /* name in /run/netns; empty: the host's namespace */
	char fabric_ns[64];	 /* empty: no network needs a bridge */
	char guard[64];		 /* nftables table */
	struct lab_network *networks;
	struct lab_port *ports; /* every port that a client of the stage offers */
	size_t n_ports;
	enum lab_src src;
	char *src_dir; /* the student's directory; NULL: none */
	char *src_why; /* why it is not mounted; NULL: it is, or there is none */
	char *image;   /* for clients that name none */
	char *book;    /* $LABCTL_STATE: labs of other books are strangers, whatever their names */
	char *dir;     /* $LABCTL_RUN/<lab>: lab.json, hosts, LAB_PRIVATE */
	char *record;  /* path of the record */
	char *stage_file; /* .stage of the repository, or NULL */
	bool orphaned;	  /* not recorded: a labctl died, or lost the engine, at work on the lab */
};

void lab_free(struct lab *l);
DEFINE_AUTO(lab, struct lab *, lab_free, NULL)
#define auto_lab auto_cleanup(lab) struct lab *

/* Concrete from a stage (stolen on success): names, MACs, wires. Nothing is made or taken. */
int lab_new(struct lab_ctx *ctx, struct stage *stage, bool isolated, struct lab **ret,
	    struct err *err) MUST_CHECK;
/* Writes the record in the given state. */
int lab_save(struct lab *l, enum lab_state state, struct err *err) MUST_CHECK;
/* ERR_NOT_FOUND when there is no such lab; the hint says how to start one. */
int lab_load(const struct lab_ctx *ctx, const char *name, struct lab **ret,
	     struct err *err) MUST_CHECK;
/* Removes the record and releases the leases. */
int lab_forget(const struct lab_ctx *ctx, const struct lab *l, struct err *err) MUST_CHECK;
/* Names of all labs that have a record. */
int lab_names(const struct lab_ctx *ctx, struct strv *ret, struct err *err) MUST_CHECK;

/* "labctl --lab stu stage-start --isolated stage1": the command that starts the same again; heap
 * text. */
char *lab_start_command(const struct lab_ctx *ctx, const struct lab *l);
/* The same for the stage that follows by its number: stage2 after stage1; NULL: there is none. */
char *lab_next_command(const struct lab_ctx *ctx, const struct lab *l);

/* Everyone sees all labs; only the owner and the real root do something with one.
 * ERR_CONFLICT says whose it is. */
int lab_check_owner(const struct lab_ctx *ctx, const struct lab *l, struct err *err) MUST_CHECK;

/* May the caller work on ctx's lab? Its owner may, and the real root; when there is no such lab,
 * everyone but for a name that is another user's login. ERR_CONFLICT says whose it is. A record
 * that cannot be read is left for the verb to tell. */
int lab_check_caller(const struct lab_ctx *ctx, struct err *err) MUST_CHECK;

const char *lab_state_name(enum lab_state s);
const char *lab_src_name(enum lab_src s);

/* Do a container's labels say that it is this lab's? lab NULL: any lab of the book. */
bool lab_marks_match(const char *book, const char *lab, const json_t *labels);

/* "labctl-<lab>-<client>"; heap text. */
char *lab_container_name(const struct lab *l, const char *client);
/* A file below the lab's run directory; heap text. */
char *lab_path(const struct lab *l, const char *file);
/* Has the host booted since the lab was started? Then its links, namespaces, mounts are gone. */
bool lab_is_before_boot(const struct lab *l);
/* MAC of a client's interface: the stage's choice, else from its address. */
struct macaddr lab_client_mac(const struct stage_interface *ifc);

/* One command at a time works on a lab. ERR_BUSY names the holder. */
struct lab_lock {
	char *path;
	int fd;
	bool orphaned; /* the last one who had it died with it */
};
int lab_lock(const struct lab_ctx *ctx, const char *what, struct lab_lock *ret,
	     struct err *err) MUST_CHECK;
/* The same for a lab that ctx is not about. */
int lab_lock_named(const struct lab_ctx *ctx, const char *lab, const char *what,
		   struct lab_lock *ret, struct err *err) MUST_CHECK;
/* Is a labctl at work on it right now? */
bool lab_is_locked(const struct lab_ctx *ctx, const char *lab);
/* Did one die at work on it, and nobody has come by since? */
bool lab_is_orphaned(const struct lab_ctx *ctx, const char *lab);
void lab_unlock(struct lab_lock *lock);
static inline void auto_lab_lock_(struct lab_lock *l)
{
	lab_unlock(l);
}
#define auto_lab_lock auto_cleanup(lab_lock) struct lab_lock

#endif
