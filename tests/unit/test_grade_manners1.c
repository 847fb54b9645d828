/* SPDX-License-Identifier: MIT */
/* test_grade_manners1.c - stage1's checks against correct routers in other manners. */
#define STAGE "stage1"
#define MANNERS
#include "grade_matrix.h"
