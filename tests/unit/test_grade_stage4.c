/* SPDX-License-Identifier: MIT */
/* test_grade_stage4.c - stage4's checks against its reference and its broken routers. */
#define STAGE "stage4"
#include "grade_matrix.h"
