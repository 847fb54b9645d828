/* SPDX-License-Identifier: MIT */
/* test_grade_matrix.c - stage1's checks against its reference and its broken routers. */
#define STAGE "stage1"
#include "grade_matrix.h"
