/* SPDX-License-Identifier: MIT */
/* test_grade_stage3.c - stage3's checks against its reference and its broken routers. */
#define STAGE "stage3"
#include "grade_matrix.h"
