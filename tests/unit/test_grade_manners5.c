/* SPDX-License-Identifier: MIT */
/* test_grade_manners5.c - stage5's checks against correct routers in other manners. */
#define STAGE "stage5"
#define MANNERS
#include "grade_matrix.h"
