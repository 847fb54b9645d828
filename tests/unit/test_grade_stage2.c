/* SPDX-License-Identifier: MIT */
/* test_grade_stage2.c - stage2's checks against its reference and its broken routers. */
#define STAGE "stage2"
#include "grade_matrix.h"
