/* SPDX-License-Identifier: MIT */
/*
 * status.h - a lab as it is: its record against kernel and engine.
 *
 * Always answers, also with the engine down or the stage's directory gone. Without root some
 * facts are unknown and are left out; nothing is guessed.
 */
#ifndef LABCTL_LAB_STATUS_H
#define LABCTL_LAB_STATUS_H

#include <stdbool.h>

#include <jansson.h>

#include "lab/lab.h"

/* JSON: {"lab","stage","title","state","since","owner","isolated","seat","seat_why","src",
 *  "engine": "ok" or what is wrong, "engine_remedy": a command, or absent,
 *  "clients": [{"name","container","state","interfaces":[{"name","network","address","mac"}]}],
 *  "networks": [{"name","subnet","interface","address","mac","mtu","state","guard"}],
 *  "ports": [{"client","name","port","protocol","host_port"}],
 *  "drift": [{"text","remedy": a command, or absent}]}. Owned by the caller. ERR_NOT_FOUND when no
 * stage runs. */
int lab_status(struct lab_ctx *ctx, json_t **ret, struct err *err) MUST_CHECK;

#endif
