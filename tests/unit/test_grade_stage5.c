/* SPDX-License-Identifier: MIT */
/* test_grade_stage5.c - stage5's checks against its reference and its broken routers. */
#define STAGE "stage5"
#include "grade_matrix.h"
