/* SPDX-License-Identifier: MIT */
/* test_grade_manners4.c - stage4's checks against correct routers in other manners. */
#define STAGE "stage4"
#define MANNERS
#include "grade_matrix.h"
