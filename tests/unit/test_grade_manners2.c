/* SPDX-License-Identifier: MIT */
/* test_grade_manners2.c - stage2's checks against correct routers in other manners. */
#define STAGE "stage2"
#define MANNERS
#include "grade_matrix.h"
